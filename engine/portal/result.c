/* One result: its data, what became of it, its file, and what its signatures rest on. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/utf8.h"
#include "portal/evidence.h"
#include "portal/inside.h"
#include "portal/models.h"
#include "portal/preview.h"
#include "portal/route.h"
#include "portal/show.h"

static json_t *signatures_json(const struct result_view *v)
{
	json_t *list = json_array();

	for (uint8_t i = 0; i < v->signatures_n; i++)
		json_array_append_new(list, json_pack(
			"{s:o, s:o, s:b}", "subject", slice_json(v->signatures[i].subject),
			"signed", moment_json(v->signatures[i].signed_ms), "agency",
			v->signatures[i].role == ROLE_AGENCY));
	return list;
}

static enum status whole_model(struct request *q, struct reading *r, const uint8_t key[16],
			       const struct holding_view *h, json_t **out)
{
	const struct result_view *v = &h->result;
	json_t *model = show_row(r, h, q->language);
	char sha[2 * SHA256_BYTES + 1] = "";
	enum status st;

	hex_lower(sha, v->file_sha256, SHA256_BYTES);
	json_object_set_new(model, "case", slice_json(v->case_code));
	json_object_set_new(model, "fields", show_fields(r, v, q->language));
	json_object_set_new(model, "signatures", signatures_json(v));
	json_object_set_new(model, "file_bytes", json_integer((json_int_t)v->file_size));
	json_object_set_new(model, "file_kb", json_integer((json_int_t)(v->file_size + 1023) /
							   1024));
	json_object_set_new(model, "file_sha256", json_string(sha));
	if (v->living.note.number[0] != '\0') {
		json_object_set_new(model, "note_number", json_string(v->living.note.number));
		json_object_set_new(model, "note_day", day_json(v->living.note.day));
	}
	/* The last look: the view's texts are gone after it. */
	json_object_set_new(model, "history", show_history(r, v, key, &st));
	if (st == ST_OK)
		*out = model;
	else
		json_decref(model);
	return st;
}

enum status result_model(struct request *q, const char *id, json_t **model)
{
	struct holding_view h;
	struct reading *r;
	uint8_t key[16];
	enum status st = reading_of(q, &r);

	*model = NULL;
	person_key_of(&q->session.holder, key);
	if (st == ST_OK)
		st = reading_result(r, key, id, q->now_ms, &h);
	return st == ST_OK ? whole_model(q, r, key, &h, model) : st;
}

static void result_show(struct request *q)
{
	json_t *model;
	enum status st = result_model(q, q->args[0], &model);

	if (st != ST_OK) {
		reading_refuse(q, st);
		return;
	}
	json_object_set_new(model, "changed", json_boolean(
		strcmp(json_string_value(json_object_get(model, "life")),
		       show_life(LIFE_VALID)) != 0));
	json_object_set_new(model, "preview", json_boolean(
		q->portal->preview != NULL &&
		json_integer_value(json_object_get(model, "file_bytes")) <=
			PREVIEW_FILE_BYTES_MAX));
	answer_page(q, 200, "result", model);
}

/* ---- its file ---- */

struct download {
	const struct portal *portal;
	uint8_t lane;
	uint64_t sequence;
};

static enum status download_fill(void *ctx, struct worker *w, uint64_t offset, uint8_t *buf,
				 size_t *n)
{
	const struct download *d = ctx;
	struct reading *r = w->reading;
	struct error e = { 0 };
	enum status st = ST_OK;

	if (r == NULL)
		st = reading_open(&w->reading, d->portal->library, &e);
	r = w->reading;
	return st == ST_OK ? r->ops->read(r->store, d->lane, d->sequence, offset, buf, n) : st;
}

/* "07-GXN-UBND.pdf": the number says nothing of the person. */
static void file_name(char out[80], struct slice number, const char *id)
{
	size_t n = 0;

	for (size_t i = 0; i < number.n && n < 60; i++) {
		uint8_t c = number.p[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			     (c >= 'a' && c <= 'z');

		if (plain || (n > 0 && out[n - 1] != '-'))
			out[n++] = plain ? (char)c : '-';
	}
	out[n] = '\0';
	snprintf(out + n, 80 - n, "%s.pdf", n > 0 ? "" : id);
}

enum status result_file_send(struct request *q, const struct result_view *v, const char *id)
{
	struct download *d = calloc(1, sizeof(*d));
	char name[80];

	if (d == NULL)
		return ST_NOMEM;
	*d = (struct download){ q->portal, v->lane, v->sequence };
	file_name(name, v->number_text, id);
	answer_stream(q, "application/pdf", v->file_size, name, download_fill, free, d);
	return ST_OK;
}

void result_file(struct request *q)
{
	struct holding_view h;
	struct reading *r;
	uint8_t key[16];
	enum status st = reading_of(q, &r);

	person_key_of(&q->session.holder, key);
	if (st == ST_OK)
		st = reading_result(r, key, q->args[0], q->now_ms, &h);
	if (st == ST_OK)
		st = result_file_send(q, &h.result, q->args[0]);
	if (st != ST_OK)
		reading_refuse(q, st);
}

/* ---- its first page ---- */

static enum status picture(struct request *q, struct reading *r, const struct result_view *v,
			   void **png, size_t *n)
{
	struct preview *p = q->portal->preview;
	uint8_t lane = v->lane, *pdf;
	uint64_t sequence = v->sequence;
	size_t size = v->file_size;
	enum status st;

	*png = preview_kept(p, lane, sequence, n);
	if (*png != NULL)
		return ST_OK;
	st = reading_file(r, v, PREVIEW_FILE_BYTES_MAX, &pdf);
	if (st == ST_OK)
		st = preview_draw(p, lane, sequence, slice_of(pdf, size), png, n);
	free(pdf);
	return st == ST_TOO_LARGE || st == ST_UNSUPPORTED ? ST_NOT_FOUND : st;
}

static void preview_send(struct request *q)
{
	struct holding_view h;
	struct reading *r;
	uint8_t key[16];
	void *png = NULL;
	size_t n = 0;
	enum status st = q->portal->preview == NULL ? ST_NOT_FOUND : reading_of(q, &r);

	person_key_of(&q->session.holder, key);
	if (st == ST_OK)
		st = reading_result(r, key, q->args[0], q->now_ms, &h);
	if (st == ST_OK)
		st = picture(q, r, &h.result, &png, &n);
	if (st != ST_OK)
		reading_refuse(q, st);
	else
		answer_bytes(q, 200, "image/png", png, n, NULL);
}

/* ---- certificates and lists ---- */

void result_evidence(struct request *q)
{
	struct holding_view h;
	struct evidence_list l;
	struct reading *r;
	struct slice bytes;
	uint8_t key[16], sha256[SHA256_BYTES];
	const struct evidence_item *item = NULL;
	enum status st = reading_of(q, &r);
	char name[80];
	void *copy;

	person_key_of(&q->session.holder, key);
	if (st == ST_OK)
		st = reading_result(r, key, q->args[0], q->now_ms, &h);
	if (st == ST_OK)
		st = evidence_read(r, &h.result, &l);
	if (st == ST_OK && hex_read(sha256, SHA256_BYTES, slice_str(q->args[1])))
		item = evidence_find(&l, sha256);
	if (st == ST_OK && item == NULL)
		st = ST_NOT_FOUND;
	if (st == ST_OK)
		st = r->ops->object(r->store, sha256, &bytes);
	if (st != ST_OK) {
		reading_refuse(q, st);
		return;
	}
	copy = malloc(bytes.n + 1);
	if (copy == NULL) {
		answer_error(q, 503);
		return;
	}
	memcpy(copy, bytes.p, bytes.n);
	snprintf(name, sizeof(name), "%.16s.%s", q->args[1], item->list ? "crl" : "cer");
	answer_bytes(q, 200, item->list ? "application/pkix-crl" : "application/pkix-cert", copy,
		     bytes.n, name);
}

const struct route result_routes[] = {
	{ METHOD_GET, "/results/:id", result_show, WHO_CITIZEN, LIMIT_PAGE, 0 },
	{ METHOD_GET, "/results/:id/preview.png", preview_send, WHO_CITIZEN, LIMIT_PAGE,
	  ROUTE_SLOW },
	{ METHOD_GET, "/results/:id/file", result_file, WHO_CITIZEN, LIMIT_PAGE, 0 },
	{ METHOD_GET, "/results/:id/evidence/:sha256", result_evidence, WHO_CITIZEN, LIMIT_PAGE,
	  0 },
	{ 0 }
};
