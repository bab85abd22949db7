#include "spine/drafts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define CASE_ARENA_BYTES (4 * CASE_BYTES_MAX)

struct drafts {
	struct render *render;
	pthread_mutex_t lock;		/* all below */
	struct press *press;
	struct sha256 *hash;
	struct arena decoded, body;
	struct item item;
};

enum status drafts_new(struct drafts **out, struct render *r)
{
	struct drafts *d = calloc(1, sizeof(*d));
	enum status st = d != NULL ? ST_OK : ST_NOMEM;

	if (st != ST_OK)
		return st;
	d->render = r;
	pthread_mutex_init(&d->lock, NULL);
	d->hash = sha256_new();
	st = d->hash != NULL ? press_new(&d->press, r) : ST_NOMEM;
	if (st == ST_OK)
		st = arena_init(&d->decoded, CASE_ARENA_BYTES);
	if (st == ST_OK)
		st = arena_init(&d->body, DOC_BODY_BYTES_MAX);
	if (st != ST_OK) {
		drafts_free(d);
		return st;
	}
	*out = d;
	return ST_OK;
}

void drafts_free(struct drafts *d)
{
	if (d == NULL)
		return;
	press_free(d->press);
	sha256_free(d->hash);
	arena_free(&d->decoded);
	arena_free(&d->body);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

/* The item whose document is wanted: what numbering would make of it, but for number and date. */
static enum status prepare(struct drafts *d, const struct record_numbered *rec,
			   struct catalogue *c, struct waiting_paper *out, struct error *e)
{
	struct item *item = &d->item;
	uint8_t index = 0;
	enum status st;

	while (index < rec->results_n && rec->results[index].sequence != out->row.sequence)
		index++;
	arena_reset(&d->decoded);
	*item = (struct item){ .sequence = out->row.sequence, .result_index = index,
			       .accepted_ms = rec->accepted_ms, .case_bytes = rec->case_bytes };
	if (index == rec->results_n ||
	    case_decode(&item->c, rec->case_bytes, &d->decoded) != ST_OK ||
	    index >= item->c.results_n || case_digest(rec->case_bytes, out->case_sha256) != ST_OK)
		return error_set(e, ST_CORRUPT, "the record of a waiting result cannot be read");
	st = catalogue_pinned(c, &rec->results[index].pins, &out->kind, &out->unit, &out->signer,
			      e);
	if (st != ST_OK)
		return st;
	item->pins = rec->results[index].pins;
	item->result = &item->c.results[index];
	item->kind = out->kind;
	item->unit = out->unit;
	item->signer = out->signer;
	memcpy(item->result_id, out->result_id, sizeof(item->result_id));
	if (item->result->given_text.n > 0)
		snprintf(item->number_text, sizeof(item->number_text), "%.*s",
			 (int)item->result->given_text.n,
			 (const char *)item->result->given_text.p);
	else
		number_dots(item->number_text, item->kind, item->unit);
	return ST_OK;
}

static void digest(struct drafts *d, struct waiting_paper *out)
{
	const struct document *doc = &d->item.doc;

	sha256_fork(d->hash, template_view(d->item.template)->prefix_state);
	for (uint8_t i = doc->prefix_parts; i < doc->parts_n; i++)
		sha256_add(d->hash, part_bytes(doc, &doc->parts[i]), doc->parts[i].size);
	sha256_end(d->hash, out->preview_sha256);
	out->file_n = doc->file_size;
}

static enum status copy(const struct document *doc, struct waiting_paper *out, struct error *e)
{
	uint8_t *at = out->file = malloc(doc->file_size);

	if (at == NULL)
		return error_set(e, ST_NOMEM, "no memory for a draft");
	for (uint8_t i = 0; i < doc->parts_n; i++) {
		memcpy(at, part_bytes(doc, &doc->parts[i]), doc->parts[i].size);
		at += doc->parts[i].size;
	}
	return ST_OK;
}

enum status drafts_draw(struct drafts *d, struct slice record, struct catalogue *c, bool file,
			struct waiting_paper *out, struct error *e)
{
	struct record_numbered rec;
	enum status st = record_numbered_decode(&rec, record);

	out->file = NULL;
	if (st != ST_OK)
		return error_set(e, ST_CORRUPT, "the record of a waiting result cannot be read");
	pthread_mutex_lock(&d->lock);
	st = prepare(d, &rec, c, out, e);
	arena_reset(&d->body);
	if (st == ST_OK)
		st = render_unsigned(d->render, d->press, &d->item, &d->body, e);
	if (st == ST_OK) {
		out->approval = d->item.c.approval;
		digest(d, out);
		if (file)
			st = copy(&d->item.doc, out, e);
		render_release(d->render, d->item.template);
	}
	pthread_mutex_unlock(&d->lock);
	return st;
}
