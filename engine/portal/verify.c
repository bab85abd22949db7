/*
 * Anybody's file, verified: three sentences, and what they rest on. It is looked into and
 * forgotten. What the store knows of it is asked by the id that the file itself names.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "portal/inside.h"
#include "portal/models.h"
#include "portal/route.h"
#include "portal/seen.h"
#include "portal/show.h"
#include "portal/verified.h"

static void verify_show(struct request *q)
{
	answer_page(q, 200, "verify", seen_form(q));
}

/* *a as the store has it; without a store, or an id, it was not asked. */
static void ask_store(struct request *q, const struct report *report, struct asked *a)
{
	char id[ID_TEXT_BYTES + 1] = "";
	struct result_view v;
	struct reading *r;
	enum status st;

	*a = (struct asked){ .standing = STANDING_UNKNOWN };
	if (!report->named)
		return;
	id_text(id, report->id);
	st = reading_of(q, &r);
	if (st == ST_OK)
		st = seen_find(r, id, &v);
	if (st != ST_OK) {
		a->standing = st == ST_NOT_FOUND ? STANDING_UNKNOWN : STANDING_PENDING;
		return;
	}
	if (memcmp(v.file_sha256, report->issued_sha256, SHA256_BYTES) == 0) {
		verified_asked(a, r, &v);
		seen_record(q, id, TRIEN__V1__READ__CALL__LOOK_UP_FILE);
	} else {
		a->standing = STANDING_DIFFERENT;
		memcpy(a->result_id, id, sizeof(id));
	}
}

static json_t *signatures_told(const struct report *report)
{
	json_t *list = json_array();

	for (uint8_t i = 0; i < report->signatures_n; i++) {
		const struct signature_report *s = &report->signatures[i];
		json_t *one = json_pack("{s:s, s:s, s:s, s:b}", "subject", s->subject, "verdict",
					verdict_name(s->finding.verdict), "algorithm", s->algorithm,
					"passed", s->finding.verdict == VERDICT_PASSED);

		if (s->signed_ms != INT64_MIN)
			json_object_set_new(one, "signed", moment_json(s->signed_ms));
		if (s->finding.verdict == VERDICT_PASSED)
			json_object_set_new(one, "level", json_string(level_name(s->level)));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *stamps_told(const struct report *report)
{
	json_t *list = json_array();

	for (uint8_t i = 0; i < report->stamps_n; i++) {
		const struct stamp_report *s = &report->stamps[i];
		json_t *one = json_pack("{s:s, s:b, s:s}", "authority", s->subject, "trusted",
					s->trusted, "why", s->why);

		if (s->time_ms != INT64_MIN)
			json_object_set_new(one, "time", moment_json(s->time_ms));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *verdict_told(struct request *q, const struct report *report,
			    const struct asked *a)
{
	char sha[2 * SHA256_BYTES + 1] = "";
	json_t *m = json_object();
	bool issued = a->standing == STANDING_ISSUED;

	verified_told(m, q, report, a);
	hex_lower(sha, report->file_sha256, SHA256_BYTES);
	json_object_set_new(m, "sha256", json_string(sha));
	json_object_set_new(m, "bytes", json_integer((json_int_t)report->file_bytes));
	json_object_set_new(m, "checked", moment_json(q->now_ms));
	json_object_set_new(m, "signatures", signatures_told(report));
	json_object_set_new(m, "time_stamps", stamps_told(report));
	json_object_set_new(m, "why", json_string(report->finding.why));
	json_object_set_new(m, "indication",
			    json_string(indication_name(report->finding.indication)));
	json_object_set_new(m, "good", json_boolean(report->finding.verdict == VERDICT_PASSED &&
						    asked_good(a)));
	json_object_set_new(m, "changed", json_boolean(report->finding.verdict == VERDICT_FAILED ||
						       a->standing == STANDING_DIFFERENT));
	json_object_set_new(m, "issued", json_boolean(issued));
	return m;
}

enum status verify_model(struct request *q, struct slice file, json_t **model)
{
	struct report *report = calloc(1, sizeof(*report));
	struct asked a;
	enum status st = report != NULL ? verified_file(q, file, report) : ST_NOMEM;

	*model = NULL;
	if (st == ST_OK) {
		ask_store(q, report, &a);
		*model = verdict_told(q, report, &a);
	}
	free(report);
	return st;
}

static void file_verify(struct request *q)
{
	struct slice file = form_file(&q->form, "file");
	json_t *m;
	char *text;

	if (file.p == NULL || file.n == 0) {
		m = seen_form(q);
		json_object_set_new(m, "no_file", json_true());
		answer_page(q, 400, "verify", m);
		return;
	}
	if (verify_model(q, file, &m) != ST_OK) {
		answer_error(q, 503);
		return;
	}
	text = json_dumps(json_object_get(m, "report"), JSON_INDENT(2));
	json_object_set_new(m, "report_text", json_string(text != NULL ? text : ""));
	free(text);
	answer_page(q, 200, "verified", m);
}

const struct route verify_routes[] = {
	{ METHOD_GET, "/verify", verify_show, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ METHOD_POST, "/verify", file_verify, WHO_ANYBODY, LIMIT_FILE, ROUTE_SLOW | ROUTE_FILE },
	{ 0 }
};
