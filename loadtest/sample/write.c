#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>

#include "sample/build.h"

#define UTC_OFFSET_MS (7 * 3600000ll)

static const char *const priorities[] = {
	[PRIORITY_INTERACTIVE] = "PRIORITY_INTERACTIVE", [PRIORITY_NORMAL] = "PRIORITY_NORMAL",
	[PRIORITY_BULK] = "PRIORITY_BULK",
};
static const char *const id_kinds[] = {
	[ID_NONE] = NULL, [ID_CITIZEN] = "CITIZEN", [ID_OLD_CITIZEN] = "OLD_CITIZEN",
	[ID_PASSPORT] = "PASSPORT", [ID_ENTERPRISE] = "ENTERPRISE", [ID_TAX] = "TAX",
	[ID_OTHER] = "OTHER_ID",
};
static const char *const roles[] = {
	[HOLDER_OWNER] = "OWNER", [HOLDER_SPOUSE] = "SPOUSE", [HOLDER_CHILD] = "CHILD",
	[HOLDER_GUARDIAN] = "GUARDIAN", [HOLDER_REPRESENTATIVE] = "REPRESENTATIVE",
	[HOLDER_OTHER] = "OTHER_ROLE",
};
static const char *const visibilities[] = { NULL, "VISIBLE", "HIDDEN" };
static const char *const channels[] = {
	[CHANNEL_ONLINE] = "ONLINE", [CHANNEL_COUNTER] = "COUNTER", [CHANNEL_POST] = "POST",
	[CHANNEL_PROACTIVE] = "PROACTIVE",
};
static const char *const deliveries[] = {
	[DELIVERY_ELECTRONIC] = "ELECTRONIC", [DELIVERY_BY_HAND] = "BY_HAND",
	[DELIVERY_BY_POST] = "BY_POST",
};
static const char *const fees[] = {
	[FEE_FREE] = "FREE", [FEE_PAID_ONLINE] = "PAID_ONLINE", [FEE_PAID_CASH] = "PAID_CASH",
	[FEE_EXEMPT] = "EXEMPT", [FEE_DUE] = "DUE",
};

/* Codes in a case are slices; the JSON of a code is ASCII without anything to escape. */
static void write_code(struct json *j, const char *key, struct slice s)
{
	char text[CASE_CODE_BYTES_MAX + 1];

	assert(s.n < sizeof(text));
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	json_code(j, key, text);
}

static void write_date(struct json *j, const char *key, uint32_t year, uint32_t month, uint32_t day)
{
	json_open(j, key, '{');
	json_uint(j, "year", year);
	if (month != 0)
		json_uint(j, "month", month);
	if (day != 0)
		json_uint(j, "day", day);
	json_close(j, '}');
}

static void write_day(struct json *j, const char *key, uint32_t yyyymmdd)
{
	if (yyyymmdd != 0)
		write_date(j, key, yyyymmdd / 10000, yyyymmdd / 100 % 100, yyyymmdd % 100);
}

static void write_time(struct json *j, const char *key, int64_t ms)
{
	struct civil c = civil_vietnam(ms - UTC_OFFSET_MS);
	char text[40];

	snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02uZ", c.year, c.month, c.day,
		 c.hour, c.minute, c.second);
	json_code(j, key, text);
}

static void write_holder(struct json *j, const struct holder *h)
{
	json_open(j, NULL, '{');
	if (id_kinds[h->id_kind] != NULL)
		json_code(j, "idKind", id_kinds[h->id_kind]);
	if (h->country.n > 0)
		write_code(j, "country", h->country);
	if (h->number.n > 0)
		write_code(j, "number", h->number);
	json_text(j, "name", h->name);
	json_code(j, "role", roles[h->role]);
	write_day(j, "from", h->from);
	write_day(j, "to", h->to);
	if (visibilities[h->visibility] != NULL)
		json_code(j, "visibility", visibilities[h->visibility]);
	json_close(j, '}');
}

static void write_table(struct json *j, const struct field *f)
{
	const struct slice *cell = f->table.cells;

	json_open(j, "table", '{');
	json_open(j, "rows", '[');
	for (uint16_t row = 0; row < f->table.rows; row++) {
		json_open(j, NULL, '{');
		json_open(j, "cells", '[');
		for (uint8_t column = 0; column < f->table.columns; column++)
			json_text(j, NULL, *cell++);
		json_close(j, ']');
		json_close(j, '}');
	}
	json_close(j, ']');
	json_close(j, '}');
}

static void write_field(struct json *j, const struct field *f)
{
	json_open(j, NULL, '{');
	write_code(j, "name", f->name);
	switch (f->type) {
	case FIELD_TEXT:
		json_text(j, "text", f->text);
		break;
	case FIELD_NUMBER:
		json_open(j, "number", '{');
		json_int64(j, "value", f->number.value);
		if (f->number.decimals != 0)
			json_uint(j, "decimals", f->number.decimals);
		json_close(j, '}');
		break;
	case FIELD_FLAG:
		json_flag(j, "flag", f->flag);
		break;
	case FIELD_DATE:
		write_date(j, "date", f->date.year, f->date.month, f->date.day);
		break;
	case FIELD_TABLE:
		write_table(j, f);
		break;
	}
	json_close(j, '}');
}

static void write_result(struct json *j, const struct case_result *r)
{
	json_open(j, NULL, '{');
	write_code(j, "unit", r->unit);
	write_code(j, "kind", r->kind);
	if (r->ordinal != 0)
		json_uint(j, "ordinal", r->ordinal);
	write_code(j, "signer", r->signer);
	if (r->given_number != 0)
		json_uint64(j, "givenNumber", r->given_number);
	if (r->given_text.n > 0)
		json_text(j, "givenText", r->given_text);
	json_open(j, "fields", '[');
	for (uint8_t i = 0; i < r->fields_n; i++)
		write_field(j, &r->fields[i]);
	json_close(j, ']');
	json_close(j, '}');
}

static void write_facts(struct json *j, const struct facts *f)
{
	json_open(j, "facts", '{');
	json_code(j, "procedureCode", f->procedure->code);
	json_code(j, "procedureVersion", "2025-07");
	json_code(j, "channel", channels[f->channel]);
	write_time(j, "receivedTime", f->received_ms);
	write_time(j, "dueTime", f->due_ms);
	write_time(j, "finishedTime", f->finished_ms);
	json_code(j, "delivery", deliveries[f->delivery]);
	json_code(j, "fee", fees[f->fee]);
	if (f->reused_n > 0) {
		json_open(j, "reusedResults", '[');
		for (uint32_t i = 0; i < f->reused_n; i++)
			json_code(j, NULL, f->reused[i]);
		json_close(j, ']');
	}
	if (f->sources_n > 0) {
		json_open(j, "dataSources", '[');
		for (uint32_t i = 0; i < f->sources_n; i++) {
			json_open(j, NULL, '{');
			json_code(j, "database", f->sources[i].database);
			write_time(j, "readTime", f->sources[i].read_ms);
			json_code(j, "reference", f->sources[i].reference);
			json_close(j, '}');
		}
		json_close(j, ']');
	}
	if (f->extended_minutes > 0)
		json_uint(j, "extendedMinutes", f->extended_minutes);
	json_close(j, '}');
}

static void write_approval(struct json *j, const struct facts *f)
{
	unsigned char base64[48];

	EVP_EncodeBlock(base64, f->shown, sizeof(f->shown));
	json_open(j, "approval", '{');
	json_code(j, "drafter", f->drafter);
	json_code(j, "approver", f->approver);
	json_text(j, "title", slice_str(f->approver_title));
	write_time(j, "approveTime", f->finished_ms);
	json_code(j, "shownSha256", (const char *)base64);
	json_close(j, '}');
}

void build_write(const struct build *b, struct json *j)
{
	j->decompose = b->decompose;
	json_open(j, NULL, '{');
	write_code(j, "code", b->c.code);
	json_open(j, "holders", '[');
	for (uint8_t i = 0; i < b->c.holders_n; i++)
		write_holder(j, &b->c.holders[i]);
	json_close(j, ']');
	json_open(j, "results", '[');
	for (uint8_t i = 0; i < b->c.results_n; i++)
		write_result(j, &b->c.results[i]);
	json_close(j, ']');
	json_code(j, "priority", priorities[b->c.priority]);
	write_code(j, "requestId", b->c.request_id);
	if (b->facts.given) {
		write_facts(j, &b->facts);
		write_approval(j, &b->facts);
	}
	json_close(j, '}');
	j->buf[j->n++] = '\n';
}
