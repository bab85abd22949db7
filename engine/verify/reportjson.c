#include <stdio.h>

#include "base/calendar.h"
#include "verify/report.h"

#define VIETNAM_MS (7 * 3600 * 1000LL)
#define TIME_BYTES 48
#define DAY_BYTES 32

static json_t *time_json(int64_t ms)
{
	struct civil t;
	char text[TIME_BYTES];

	if (ms == INT64_MIN)
		return json_null();
	t = civil_vietnam(ms - VIETNAM_MS);
	snprintf(text, sizeof(text), "%04u-%02u-%02uT%02u:%02u:%02uZ", t.year, t.month, t.day,
		 t.hour, t.minute, t.second);
	return json_string(text);
}

static json_t *hash_json(const uint8_t sha256[SHA256_BYTES])
{
	char text[2 * SHA256_BYTES + 1] = "";

	hex_lower(text, sha256, SHA256_BYTES);
	return json_string(text);
}

/* What is "" is left out. */
static void put_text(json_t *j, const char *key, const char *text)
{
	if (text[0] != '\0')
		json_object_set_new(j, key, json_string(text));
}

static void put_day(json_t *j, const char *key, uint32_t day)
{
	char text[DAY_BYTES];

	if (day == 0)
		return;
	snprintf(text, sizeof(text), "%04u-%02u-%02u", day / 10000, day / 100 % 100, day % 100);
	json_object_set_new(j, key, json_string(text));
}

static json_t *finding_json(const struct finding *f)
{
	return json_pack("{s:s, s:s, s:s}", "verdict", verdict_name(f->verdict), "indication",
			 indication_name(f->indication), "why", f->why);
}

static json_t *signature_json(const struct signature_report *s)
{
	json_t *j = finding_json(&s->finding);

	json_object_set_new(j, "subject", json_string(s->subject));
	json_object_set_new(j, "unit", json_string(s->unit));
	json_object_set_new(j, "algorithm", json_string(s->algorithm));
	json_object_set_new(j, "signTime", time_json(s->signed_ms));
	json_object_set_new(j, "certifies", json_boolean(s->certifies));
	json_object_set_new(j, "level", json_string(level_name(s->level)));
	json_object_set_new(j, "certificateSha256", hash_json(s->cert_sha256));
	json_object_set_new(j, "coveredBytes",
			    json_integer((json_int_t)(s->range[2] + s->range[3])));
	return j;
}

static json_t *stamps_json(const struct report *r)
{
	json_t *list = json_array();

	for (uint8_t i = 0; i < r->stamps_n; i++) {
		const struct stamp_report *s = &r->stamps[i];
		json_t *j = json_pack("{s:s, s:b, s:I}", "authority", s->subject, "trusted",
				      s->trusted, "coveredBytes",
				      (json_int_t)(s->range[2] + s->range[3]));

		json_object_set_new(j, "time", time_json(s->time_ms));
		put_text(j, "why", s->why);
		json_array_append_new(list, j);
	}
	return list;
}

static json_t *said_json(const struct said *s)
{
	json_t *j = json_object();

	put_text(j, "unit", s->unit);
	put_text(j, "unitName", s->unit_name);
	put_text(j, "kind", s->kind);
	put_text(j, "kindName", s->kind_name);
	put_text(j, "number", s->number);
	return j;
}

static json_t *issued_json(const struct asked *a)
{
	json_t *j = json_object();

	json_object_set_new(j, "resultId", json_string(a->result_id));
	put_text(j, "unit", a->unit);
	put_text(j, "unitName", a->unit_name);
	put_text(j, "kindName", a->kind_name);
	put_text(j, "number", a->number);
	json_object_set_new(j, "life", json_string(life_name(a->life)));
	put_text(j, "replacedBy", a->replaced_by);
	put_text(j, "paperNumber", a->paper_number);
	put_day(j, "paperDate", a->paper_day);
	put_text(j, "ground", a->ground);
	put_day(j, "validUntil", a->valid_until);
	return j;
}

static json_t *sentences_json(const struct report *r, const struct asked *a,
			      enum report_language in)
{
	char text[REPORT_SENTENCE_BYTES];
	json_t *list = json_array();

	for (uint32_t i = 0; i < REPORT_SENTENCES; i++) {
		report_sentence(text, in, i, r, a);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

json_t *report_json(const struct report *r, const struct asked *asked)
{
	static const struct asked nothing = { .standing = STANDING_NOT_ASKED };
	const struct asked *a = asked != NULL ? asked : &nothing;
	json_t *j = finding_json(&r->finding), *list = json_array();
	char id[ID_TEXT_BYTES + 1] = "";

	json_object_set_new(j, "schema", json_string(REPORT_SCHEMA));
	json_object_set_new(j, "form", json_string(r->own ? "OWN" : "OTHER"));
	json_object_set_new(j, "fileBytes", json_integer((json_int_t)r->file_bytes));
	json_object_set_new(j, "fileSha256", hash_json(r->file_sha256));
	if (r->issued_bytes < r->file_bytes)
		json_object_set_new(j, "addedBytes",
				    json_integer((json_int_t)(r->file_bytes - r->issued_bytes)));
	if (r->named)
		id_text(id, r->id);
	put_text(j, "resultId", id);
	if (r->said.read)
		json_object_set_new(j, "document", said_json(&r->said));
	for (uint8_t i = 0; i < r->signatures_n; i++)
		json_array_append_new(list, signature_json(&r->signatures[i]));
	json_object_set_new(j, "signatures", list);
	if (r->stamps_n > 0)
		json_object_set_new(j, "timeStamps", stamps_json(r));
	if (r->dss)
		json_object_set_new(j, "longTermEvidence", json_true());
	json_object_set_new(j, "standing", json_string(standing_name(a->standing)));
	if (a->standing == STANDING_ISSUED)
		json_object_set_new(j, "issued", issued_json(a));
	json_object_set_new(j, "sentences", json_pack("{s:o, s:o}", "vi",
						      sentences_json(r, a, REPORT_VI), "en",
						      sentences_json(r, a, REPORT_EN)));
	return j;
}
