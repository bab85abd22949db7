#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "cli/audit/audit.h"
#include "client/protojson.h"
#include "client/wellknown.h"

static const struct audit_kind kinds[AUDIT_FAULTS] = {
	[AUDIT_UNREADABLE] = { "UNREADABLE", "Không đọc được", "cannot be read",
		"restore the store from its newest backup: trien fsck, or trien store check "
		"--deep, says which place is damaged" },
	[AUDIT_FILE] = { "FILE", "Tệp bị thay đổi", "the file was changed",
		"restore the store from its newest backup; the holder's copy is the one that was "
		"signed" },
	[AUDIT_CASE] = { "CASE", "Hồ sơ bị thay đổi", "the case was changed",
		"restore the store from its newest backup" },
	[AUDIT_SIGNATURE] = { "SIGNATURE", "Chữ ký không hợp lệ", "a signature is not valid",
		"compare with the holder's copy: trien get, trien verify; restore the store, or "
		"replace the result" },
	[AUDIT_UNDETERMINED] = { "UNDETERMINED", "Chưa kết luận được", "not determined",
		"give the roots and revocation lists that are missing: --trust, --crl" },
	[AUDIT_RECORD] = { "RECORD", "Sổ lưu không khớp văn bản", "record and document differ",
		"the document is right; find out who wrote to the store, and restore it" },
	[AUDIT_CERTIFICATE] = { "CERTIFICATE", "Chứng thư không còn giá trị khi ký",
		"certificate not valid when it signed",
		"ask who held the key; replace the result with a new one" },
	[AUDIT_EVIDENCE] = { "EVIDENCE", "Thiếu bằng chứng chứng thư", "evidence is missing",
		"restore the store from its newest backup; else ask the authority for the lists "
		"of that day" },
	[AUDIT_POLICY] = { "POLICY", "Khóa ký ngoài phạm vi được giao", "key not meant for this",
		"compare keys.json with the decision that gave the key" },
	[AUDIT_HISTORY] = { "HISTORY", "Lịch sử trạng thái không hợp lệ", "history is not possible",
		"compare with trien history and the decisions' papers; restore the store" },
	[AUDIT_LINK] = { "LINK", "Liên kết thay thế không khớp", "replacement known on one side",
		"trien fsck, or trien store check --deep; restore the store" },
	[AUDIT_NUMBER] = { "NUMBER", "Không có trong sổ", "not in the book at its number",
		"trien fsck, or trien store check --deep; the document says its number" },
	[AUDIT_BOOK] = { "BOOK", "Sổ đăng ký không liên tục", "register not whole",
		"trien register check" },
	[AUDIT_COUNTERS] = { "COUNTERS", "Số liệu thống kê không khớp", "statistics differ",
		"trien fsck, or trien store check --deep, counts again" },
};

const struct audit_kind *audit_kind(enum audit_fault f)
{
	return &kinds[f];
}

enum audit_fault audit_kind_by_name(const char *name)
{
	for (int i = 0; i < AUDIT_FAULTS; i++)
		if (strcmp(kinds[i].name, name) == 0)
			return (enum audit_fault)i;
	return AUDIT_FAULTS;
}

static json_t *time_json(int64_t ms)
{
	char text[TIMESTAMP_TEXT_BYTES];

	timestamp_write(text, ms / 1000, (int32_t)(ms % 1000) * 1000000);
	return json_string(text);
}

/* ---- in an order of their own, whoever found them first ---- */

static int by_words(const void *a, const void *b)
{
	static const char *const keys[] = { "fault", "result", "what" };
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	int order = 0;

	for (size_t i = 0; i < ARRAY_LEN(keys) && order == 0; i++)
		order = strcmp(json_string_value(json_object_get(x, keys[i])),
			       json_string_value(json_object_get(y, keys[i])));
	return order != 0 ? order :
	       (json_integer_value(json_object_get(x, "sequence")) >
		json_integer_value(json_object_get(y, "sequence"))) -
	       (json_integer_value(json_object_get(x, "sequence")) <
		json_integer_value(json_object_get(y, "sequence")));
}

static json_t *findings_json(const struct audit *a)
{
	size_t n = json_array_size(a->findings);
	json_t **rows = calloc(n + 1, sizeof(*rows)), *out = json_array();

	for (size_t i = 0; rows != NULL && i < n; i++)
		rows[i] = json_array_get(a->findings, i);
	if (rows != NULL)
		qsort(rows, n, sizeof(*rows), by_words);
	for (size_t i = 0; rows != NULL && i < n; i++) {
		enum audit_fault f = audit_kind_by_name(
			json_string_value(json_object_get(rows[i], "fault")));

		if (json_object_get(rows[i], "todo") == NULL)
			json_object_set_new(rows[i], "todo", json_string(kinds[f].todo));
		json_array_append(out, rows[i]);
	}
	free(rows);
	return out;
}

static json_t *faults_json(const struct audit *a)
{
	json_t *out = json_array();

	for (int i = 0; i < AUDIT_FAULTS; i++)
		if (a->by_fault[i] > 0)
			json_array_append_new(out, json_pack(
				"{s:s, s:I, s:s, s:s, s:s}", "fault", kinds[i].name, "findings",
				(json_int_t)a->by_fault[i], "vi", kinds[i].vi, "en", kinds[i].en,
				"todo", kinds[i].todo));
	return out;
}

/* ---- days ---- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Members by name, each as a row with its day. value: what an integer is called. */
static json_t *days_json(const json_t *days, const char *value)
{
	size_t n = json_object_size(days), at = 0;
	const char **names = calloc(n + 1, sizeof(*names)), *name;
	json_t *out = json_array(), *member;

	if (names == NULL)
		return out;
	json_object_foreach((json_t *)days, name, member)
		names[at++] = name;
	qsort(names, n, sizeof(*names), by_text);
	for (size_t i = 0; i < n; i++) {
		json_t *row = json_pack("{s:i}", "day", atoi(names[i]));

		member = json_object_get(days, names[i]);
		if (json_is_integer(member))
			json_object_set(row, value, member);
		else
			json_object_update(row, member);
		json_array_append_new(out, row);
	}
	free(names);
	return out;
}

json_t *audit_report(const struct audit *a, const json_t *on_time, bool whole, int64_t ended_ms)
{
	const struct audit_sums *s = &a->sums;
	uint64_t findings = 0;
	json_t *scope = json_pack("{s:i, s:i, s:s, s:s}", "fromDay", (int)a->scope.from_day,
				  "toDay", (int)a->scope.to_day, "sample", a->scope.sample_text,
				  "seed", a->scope.seed);

	for (int i = 0; i < AUDIT_FAULTS; i++)
		findings += a->by_fault[i];
	return json_pack(
		"{s:s, s:b, s:o, s:o, s:{s:I, s:I, s:I, s:I, s:I}, s:I, s:o, s:o, s:o, s:O, s:o}",
		"store", a->store->ops->name, "whole", (int)whole, "ran",
		json_pack("{s:o, s:o, s:O}", "begun", time_json(a->scope.begun_ms), "ended",
			  time_json(ended_ms), "registersUnasked", a->unasked),
		"scope", scope, "results", "looked", (json_int_t)s->looked, "good",
		(json_int_t)s->passed, "bytes", (json_int_t)s->bytes, "withoutEvidence",
		(json_int_t)s->without_evidence, "revokedSince",
		(json_int_t)s->revoked_since, "findingsCount", (json_int_t)findings, "faults",
		faults_json(a), "issued", days_json(a->days, "results"), "onTime",
		days_json(on_time, "results"), "registers", a->registers, "findings",
		findings_json(a));
}
