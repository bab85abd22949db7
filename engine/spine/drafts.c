#include "spine/drafts.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "spine/approval.h"

#define CASE_ARENA_BYTES (4 * CASE_BYTES_MAX)

struct drafts {
	struct drafts_config cfg;
	pthread_mutex_t lock;		/* all below */
	struct press *press;
	struct sha256 *hash;
	struct section_reader section;
	struct arena decoded, body;
	struct item item;
};

enum status drafts_new(struct drafts **out, const struct drafts_config *cfg)
{
	struct drafts *d = calloc(1, sizeof(*d));
	enum status st = d != NULL ? ST_OK : ST_NOMEM;

	if (st != ST_OK)
		return st;
	d->cfg = *cfg;
	pthread_mutex_init(&d->lock, NULL);
	d->hash = sha256_new();
	st = d->hash != NULL ? press_new(&d->press, cfg->render) : ST_NOMEM;
	if (st == ST_OK)
		st = section_reader_init(&d->section);
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
	section_reader_free(&d->section);
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
	uint8_t index = record_result_index(rec, out->row.sequence);
	enum status st;

	arena_reset(&d->decoded);
	*item = (struct item){ .sequence = out->row.sequence, .result_index = index,
			       .accepted_ms = rec->accepted_ms, .case_bytes = rec->case_bytes };
	if (index == rec->results_n ||
	    case_decode(&item->c, rec->case_bytes, &d->decoded) != ST_OK ||
	    index >= item->c.results_n || case_digest(rec->case_bytes, out->case_sha256) != ST_OK)
		return error_set(e, ST_CORRUPT, "the record of a waiting result cannot be read");
	item->pins = rec->results[index].pins;
	item->result = &item->c.results[index];
	approval_versions(c, &item->pins, item->result, io_wall_ms());
	st = catalogue_pinned(c, &item->pins, &out->kind, &out->unit, &out->signer, e);
	if (st != ST_OK)
		return st;
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

/* An original that was not here. */
struct wanted { bool any; uint64_t size; uint8_t sha256[SHA256_BYTES]; };

/* The prefix and what follows it, up to the tail. */
static enum status section_add(struct drafts *d, struct wanted *w)
{
	const struct item *item = &d->item;
	const struct original *of = item->result->original;
	enum status st;

	sha256_fork(d->hash, template_view(item->template)->prefix_state);
	if (item->doc.section == NULL)
		return ST_OK;
	st = section_hash(&d->section, &item->doc, d->cfg.objects, of->size, d->hash);
	w->any = object_lost(st);
	w->size = of->size;
	memcpy(w->sha256, of->sha256, SHA256_BYTES);
	return st;
}

/* NOT_FOUND would say of the result that it does not wait. */
static enum status original_failed(enum status st, struct error *e)
{
	return error_set(e, object_lost(st) ? ST_DAMAGED : st, "the original that is copied: %s",
			 status_name(st));
}

static enum status digest(struct drafts *d, struct waiting_paper *out, struct wanted *w,
			  struct error *e)
{
	const struct document *doc = &d->item.doc;
	enum status st = section_add(d, w);

	for (uint8_t i = doc->prefix_parts; i < doc->parts_n; i++)
		sha256_add(d->hash, part_bytes(doc, &doc->parts[i]), doc->parts[i].size);
	sha256_end(d->hash, out->preview_sha256);
	out->file_n = doc->file_size;
	return st == ST_OK ? ST_OK : original_failed(st, e);
}

static enum status file_hold(struct drafts *d, struct waiting_paper *out, struct error *e)
{
	const struct original *of = d->item.result->original;
	enum status st = held_file_of(&out->file, &d->item.doc, d->cfg.objects,
				      of != NULL ? of->size : 0);

	return st == ST_OK ? ST_OK : error_set(e, st, "a draft cannot be held: %s",
					       status_name(st));
}

static enum status draw(struct drafts *d, const struct record_numbered *rec, struct catalogue *c,
			bool file, struct waiting_paper *out, struct wanted *w, struct error *e)
{
	enum status st;

	pthread_mutex_lock(&d->lock);
	st = prepare(d, rec, c, out, e);
	arena_reset(&d->body);
	if (st == ST_OK)
		st = render_unsigned(d->cfg.render, d->press, &d->item, &d->body, e);
	if (st == ST_OK) {
		out->approval = d->item.c.approval;
		st = digest(d, out, w, e);
		if (st == ST_OK && file)
			st = file_hold(d, out, e);
		render_release(d->cfg.render, d->item.template);
	}
	pthread_mutex_unlock(&d->lock);
	return st;
}

enum status drafts_draw(struct drafts *d, struct slice record, struct catalogue *c, bool file,
			struct waiting_paper *out, struct error *e)
{
	struct record_numbered rec;
	struct wanted w = { .any = false };
	enum status st = record_numbered_decode(&rec, record);

	out->file = NULL;
	if (st != ST_OK)
		return error_set(e, ST_CORRUPT, "the record of a waiting result cannot be read");
	st = draw(d, &rec, c, file, out, &w, e);
	if (!w.any || d->cfg.fetch == NULL)
		return st;
	w.any = false;
	st = d->cfg.fetch(d->cfg.ctx, out->row.lane, w.sha256, w.size);
	if (st != ST_OK)
		return original_failed(st, e);
	st = draw(d, &rec, c, file, out, &w, e);
	objects_release(d->cfg.objects, w.sha256, true);
	return st;
}
