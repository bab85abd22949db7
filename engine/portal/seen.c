/*
 * Public look-ups: by the QR code of a print, by number, by a file's id and hash. What does not
 * exist and what nobody may see are one answer. Numbers are serial, so few may be tried
 * (LIMIT_LOOKUP); ids are not to be guessed (LIMIT_SCAN).
 */
#include "portal/seen.h"

#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/utf8.h"
#include "portal/agencies.h"
#include "portal/engineside.h"
#include "portal/inside.h"
#include "portal/models.h"
#include "portal/route.h"
#include "portal/show.h"

#define FOUND_MAX 20			/* of one number, in the registers of an agency */

enum status seen_find(struct reading *r, const char *id, struct result_view *v)
{
	uint64_t sequence;
	uint8_t lane;
	enum status st;

	if (!reading_id(r, id, &lane, &sequence))
		return ST_NOT_FOUND;
	st = r->ops->get(r->store, lane, sequence, v);
	if (st == ST_OK && (v->state != STATE_STORED || v->living.restricted))
		st = ST_NOT_FOUND;
	return st;
}

json_t *seen_told(struct reading *r, const struct result_view *v, enum language in)
{
	static const char *const shown[] = { "kind", "unit", "number", "issued", "year", "life",
					     "badge", "valid_until" };
	const struct holding_view h = { .result = *v };
	json_t *row = show_row(r, &h, in), *m = json_object();

	for (size_t i = 0; i < ARRAY_LEN(shown); i++)
		json_object_set(m, shown[i], json_object_get(row, shown[i]));
	if (v->living.note.number[0] != '\0' && v->life != LIFE_VALID) {
		json_object_set_new(m, "paper", json_string(v->living.note.number));
		json_object_set_new(m, "paper_day", day_json(v->living.note.day));
	}
	json_decref(row);
	return m;
}

void seen_record(struct request *q, const char *id, Trien__V1__Read__Call call)
{
	Trien__V1__RecordReadRequest r = TRIEN__V1__RECORD_READ_REQUEST__INIT;
	struct failure f = { 0 };
	ProtobufCMessage *a;

	r.result_id = (char *)id;
	r.call = call;
	a = engine_ask(q->worker, ENGINE_ANY, REPOSITORY "RecordRead", &r.base,
		       &trien__v1__record_read_response__descriptor, &f);
	if (a != NULL)
		protobuf_c_message_free_unpacked(a, NULL);
	else
		log_info("portal", "a public look-up is not recorded: %d %s", f.code, f.reason);
}

/* ---- the QR code of a print ---- */

enum status seen_model(struct request *q, const char *id, json_t **model)
{
	struct result_view v;
	struct reading *r;
	enum status st = reading_of(q, &r);

	*model = NULL;
	if (st == ST_OK)
		st = seen_find(r, id, &v);
	if (st != ST_OK)
		return st;
	*model = json_pack("{s:o, s:s}", "seen", seen_told(r, &v, q->language), "id", id);
	seen_record(q, id, TRIEN__V1__READ__CALL__LOOK_UP);
	return ST_OK;
}

static void print_show(struct request *q)
{
	json_t *m;
	enum status st = seen_model(q, q->args[0], &m);

	if (st == ST_NOT_FOUND) {
		answer_page(q, 404, "seen", json_pack("{s:b}", "missing", 1));
		return;
	}
	if (st != ST_OK) {
		reading_refuse(q, st);
		return;
	}
	json_object_set_new(m, "wrong_code",
			    json_boolean(form_value(&q->query, "wrong") != NULL));
	answer_page(q, 200, "seen", m);
}

/* ---- by number ---- */

struct asked_number {
	struct slice unit, text;	/* text: as it was typed */
	uint32_t year;
	uint64_t number;
};

/* "4313/XNTTHN-UBND" or "4313": the number is what it begins with. */
static bool number_read(const char *text, uint64_t *number)
{
	size_t n = text != NULL ? strspn(text, "0123456789") : 0;

	if (n == 0 || n > 9 || (text[n] != '\0' && text[n] != '/' && text[n] != '-'))
		return false;
	*number = strtoull(text, NULL, 10);
	return *number > 0;
}

static bool asked_read(const struct request *q, struct asked_number *a)
{
	const char *unit = form_value(&q->query, "unit"), *year = form_value(&q->query, "year");
	const char *number = form_value(&q->query, "number");

	if (unit == NULL || year == NULL || strlen(year) != 4 ||
	    strspn(year, "0123456789") != 4 || !number_read(number, &a->number))
		return false;
	a->unit = slice_str(unit);
	a->text = slice_str(number);
	a->year = (uint32_t)strtoul(year, NULL, 10);
	return true;
}

/* Is the register of this kind another than those of the kinds before it? */
static bool register_new(const struct catalogue *c, uint32_t at)
{
	const char *code = catalogue_kind_at(c, at)->register_code;

	for (uint32_t i = 0; i < at; i++)
		if (strcmp(catalogue_kind_at(c, i)->register_code, code) == 0)
			return false;
	return true;
}

/* With the whole number typed, only what has exactly that one. */
static bool meant(const struct asked_number *a, const struct result_view *v)
{
	return memchr(a->text.p, '/', a->text.n) == NULL || slice_eq(a->text, v->number_text);
}

static enum status found_add(struct request *q, struct reading *r, const struct asked_number *a,
			     const char *code, json_t *list)
{
	char id[ID_TEXT_BYTES + 1];
	struct result_view v;
	uint64_t sequence;
	uint8_t lane;
	enum status st = r->ops->find_number(r->store, a->unit, slice_str(code), a->year,
					     a->number, &lane, &sequence);

	if (st == ST_OK) {
		reading_id_text(r, lane, sequence, id);
		st = seen_find(r, id, &v);
	}
	if (st != ST_OK || !meant(a, &v))
		return st == ST_NOT_FOUND ? ST_OK : st;
	json_array_append_new(list, seen_told(r, &v, q->language));
	seen_record(q, id, TRIEN__V1__READ__CALL__LOOK_UP_NUMBER);
	return ST_OK;
}

static enum status numbers_find(struct request *q, const struct asked_number *a, json_t *list)
{
	const struct catalogue *c = q->worker->edition->catalogue;
	struct reading *r;
	enum status st = reading_of(q, &r);

	for (uint32_t i = 0; st == ST_OK && catalogue_kind_at(c, i) != NULL &&
	     json_array_size(list) < FOUND_MAX; i++)
		if (register_new(c, i))
			st = found_add(q, r, a, catalogue_kind_at(c, i)->register_code, list);
	return st;
}

json_t *seen_form(const struct request *q)
{
	const char *year = form_value(&q->query, "year"), *text = form_value(&q->query, "number");
	json_t *m = json_pack("{s:o, s:s}", "agencies",
			      agencies_told(q->worker->edition->catalogue,
					    form_value(&q->query, "unit")),
			      "number", text != NULL ? text : "");

	json_object_set_new(m, "year", year != NULL ? json_string(year) :
			    json_sprintf("%u", civil_vietnam(q->now_ms).year));
	return m;
}

enum status numbers_model(struct request *q, json_t **model)
{
	struct asked_number a;
	json_t *list;
	enum status st;

	*model = NULL;
	if (!asked_read(q, &a))
		return ST_INVALID;
	list = json_array();
	st = numbers_find(q, &a, list);
	if (st == ST_OK && json_array_size(list) == 0)
		st = ST_NOT_FOUND;
	if (st == ST_OK)
		*model = json_pack("{s:O}", "found", list);
	json_decref(list);
	return st;
}

static void number_show(struct request *q)
{
	json_t *m = seen_form(q), *found;
	unsigned int status = 200;
	enum status st = numbers_model(q, &found);

	if (st == ST_OK) {
		json_object_update(m, found);
		json_decref(found);
	} else if (st == ST_INVALID) {
		json_object_set_new(m, "incomplete", json_true());
		status = 400;
	} else if (st == ST_NOT_FOUND) {
		json_object_set_new(m, "missing", json_true());
		status = 404;
	} else {
		json_decref(m);
		reading_refuse(q, st);
		return;
	}
	answer_page(q, status, "numbers", m);
}

/* ---- by a file's id and hash, without the file ---- */

/* 26 characters as in print, or 32 hex digits as in the file's /ID. */
static bool id_of(struct reading *r, const char *text, char id[ID_TEXT_BYTES + 1])
{
	uint8_t raw[16];

	if (strlen(text) == 32 && hex_read(raw, sizeof(raw), slice_str(text))) {
		id_text(id, raw);
		id[ID_TEXT_BYTES] = '\0';
		return true;
	}
	if (strlen(text) != ID_TEXT_BYTES)
		return false;
	memcpy(id, text, ID_TEXT_BYTES + 1);
	return true;
}

void seen_file(struct request *q)
{
	const char *said = form_value(&q->query, "id"), *hash = form_value(&q->query, "sha256");
	uint8_t sha256[SHA256_BYTES];
	char id[ID_TEXT_BYTES + 1];
	struct result_view v;
	struct reading *r;
	json_t *m;
	bool same;
	enum status st = reading_of(q, &r);

	if (said == NULL || hash == NULL || strlen(hash) != 2 * SHA256_BYTES ||
	    !hex_read(sha256, SHA256_BYTES, slice_str(hash))) {
		answer_error(q, 400);
		return;
	}
	if (st == ST_OK)
		st = id_of(r, said, id) ? seen_find(r, id, &v) : ST_NOT_FOUND;
	if (st != ST_OK && st != ST_NOT_FOUND) {
		reading_refuse(q, st);
		return;
	}
	same = st == ST_OK && memcmp(v.file_sha256, sha256, SHA256_BYTES) == 0;
	m = json_pack("{s:b, s:b}", "known", st == ST_OK, "same", same);
	/* Whoever has the file has what it shows; of another one nothing is told. */
	if (same)
		json_object_set_new(m, "result", seen_told(r, &v, q->language));
	if (same)
		seen_record(q, id, TRIEN__V1__READ__CALL__LOOK_UP_FILE);
	answer_json(q, 200, m);
}

const struct route seen_routes[] = {
	{ METHOD_GET, "/V/:id", print_show, WHO_ANYBODY, LIMIT_SCAN, ROUTE_SLOW },
	{ METHOD_GET, "/verify/number", number_show, WHO_ANYBODY, LIMIT_LOOKUP, ROUTE_SLOW },
	{ METHOD_GET, "/verify/lookup", seen_file, WHO_ANYBODY, LIMIT_SCAN,
	  ROUTE_SLOW | ROUTE_JSON },
	{ 0 }
};
