#include "pipeline.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/queue.h"
#include "section.h"

/* As many ranges as one batch has: more mean that another one waits behind it. */
#define HELP_RANGES BATCH_RANGES_MAX

struct worker {
	pthread_t thread;
	bool helper;
	struct pipeline *home;
	struct press *press;
	struct sign_worker *sign;
	struct section_reader section;
};

struct pipeline {
	struct pipeline_config cfg;
	struct queue *ranges;		/* struct batch_range, to the workers */
	uint32_t workers_n;
	struct worker *workers;
};

static void hold(struct item *item, enum reason why, const char *detail)
{
	if (item->held != REASON_NONE)
		return;
	item->held = why;
	snprintf(item->held_detail, sizeof(item->held_detail), "%.119s", detail);
}

/* A slot whose signature is there takes it, if the document is still what it was made for. */
static void kept_take(struct item *item, uint8_t slot)
{
	struct signed_slot *s = &item->slots[slot];
	const struct kept_signature *k = item->kept != NULL && slot < item->kept->n ?
		&item->kept->slots[slot] : NULL;

	if (k == NULL)
		return;
	if (memcmp(k->digest, s->to_sign, SHA256_BYTES) != 0) {
		hold(item, REASON_SIGNATURE_OUTDATED, k->key);
		return;
	}
	s->value = k->value;
	s->value_size = k->value_size;
}

static enum status hash_section(struct worker *w, struct item *item)
{
	sha256_fork(item->mid, template_view(item->template)->prefix_state);
	return section_hash(&w->section, &item->doc, w->home->cfg.objects,
			    item->result->original->size, item->mid);
}

/*
 * The section's bytes, into the state that stands behind the prefix. What is damaged here may be
 * whole elsewhere: there it is brought from, over what is here. Only what is lost is held: an
 * original that cannot be had now is tried again.
 */
static void add_section(struct worker *w, struct item *item)
{
	const struct pipeline_config *cfg = &w->home->cfg;
	const struct original *of = item->result->original;
	enum status st;

	if (item->doc.section == NULL) {
		sha256_fork(item->mid, template_view(item->template)->prefix_state);
		return;
	}
	st = hash_section(w, item);
	if (object_lost(st) && cfg->fetch != NULL) {
		st = cfg->fetch(cfg->ctx, item->lane, of->sha256, of->size);
		if (st == ST_OK) {
			st = hash_section(w, item);
			objects_release(cfg->objects, of->sha256, true);
		}
	}
	item->later = st != ST_OK && !object_lost(st);
	if (st != ST_OK)
		hold(item, item->later ? REASON_BUSY : REASON_OBJECT_MISSING, status_name(st));
}

/* It waits for its server before it is rendered and signed, not behind that. */
static bool waits_for_server(const struct store *store, struct item *item)
{
	struct store_health now;
	uint64_t lanes;

	store->ops->health(store, &now);
	lanes = now.lanes_away != 0 ? store->ops->lanes(item) : 0;
	if ((lanes & now.lanes_away) == 0)
		return false;
	item->later = true;
	item->lanes = lanes;
	hold(item, REASON_BUSY, "a server is away");
	return true;
}

/* The press stage for one item. ST_TOO_LARGE: the range's arena is spent. */
static enum status press_item(struct worker *w, struct item *item, struct batch_range *range)
{
	struct error e = { 0 };
	enum status st = case_decode(&item->c, item->case_bytes, &range->arena);

	if (st != ST_OK)
		return st;
	item->result = &item->c.results[item->result_index];
	st = catalogue_pinned(range->batch->catalogue, &item->pins, &item->kind, &item->unit,
			      &item->signer, &e);
	if (st != ST_OK) {
		hold(item, REASON_RENDER_FAILED, e.text);
		return ST_OK;
	}
	if (waits_for_server(w->home->cfg.store, item))
		return ST_OK;
	sign_plan(item, range->batch->keyring, item->sign_ms);
	if (item->held != REASON_NONE)
		return ST_OK;
	st = render_template(w->home->cfg.render, item->kind, item->unit, item->signer,
			     &item->template, &e);
	if (st != ST_OK) {
		hold(item, REASON_RENDER_FAILED, e.text);
		return ST_OK;
	}
	memcpy(item->template_version, template_view(item->template)->version, SHA256_BYTES);
	st = render_item(w->press, item, &range->arena);
	if (st != ST_OK)
		return st;
	add_section(w, item);
	if (item->held != REASON_NONE)
		return ST_OK;
	st = sign_prepare(w->sign, item, 0);
	if (st == ST_OK)
		kept_take(item, 0);
	return st;
}

static void press_range(struct worker *w, struct batch_range *range)
{
	for (uint32_t i = 0; i < range->count; i++) {
		struct item *item = &range->batch->items[range->first + i];
		enum status st = press_item(w, item, range);

		if (st == ST_OK)
			continue;
		/* Too large for its share: later stages skip it, the spine seals it alone. */
		item->large = st == ST_TOO_LARGE && range->batch->items_n > 1;
		hold(item, item->large ? REASON_BUSY : REASON_RENDER_FAILED, status_name(st));
	}
}

static void bind_range(struct worker *w, struct batch_range *range)
{
	uint8_t slot = range->batch->slot;

	for (uint32_t i = 0; i < range->count; i++) {
		struct item *item = &range->batch->items[range->first + i];

		if (item->held != REASON_NONE || slot >= item->slots_n)
			continue;
		if (sign_bind(w->sign, item, slot) != ST_OK) {
			hold(item, REASON_SIGNATURE_WRONG, "");
			continue;
		}
		if (slot + 1 == item->slots_n)
			continue;
		if (sign_prepare(w->sign, item, slot + 1) != ST_OK)
			hold(item, REASON_RENDER_FAILED, "second revision");
		else
			kept_take(item, slot + 1);
	}
}

static struct batch_range *next_range(struct worker *w)
{
	return w->helper ? queue_help(w->home->ranges, HELP_RANGES) :
			   queue_wait(w->home->ranges, -1);
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct batch_range *range;

	if (!w->helper)
		cpu_patient();
	while ((range = next_range(w)) != NULL) {
		struct batch *b = range->batch;

		if (b->stage == BATCH_PRESS)
			press_range(w, range);
		else
			bind_range(w, range);
		/* The last range to end hands the batch on; the next owner sees its writes. */
		if (atomic_fetch_sub(&b->left, 1) == 1)
			w->home->cfg.done(w->home->cfg.ctx, b);
	}
	return NULL;
}

static enum status worker_start(struct pipeline *p, struct worker *w, bool helper, struct error *e)
{
	enum status st;

	w->home = p;
	w->helper = helper;
	st = press_new(&w->press, p->cfg.render);
	if (st == ST_OK)
		st = sign_worker_new(&w->sign);
	if (st == ST_OK)
		st = section_reader_init(&w->section);
	if (st == ST_OK && pthread_create(&w->thread, NULL, worker_main, w) != 0)
		st = ST_NOMEM;
	if (st != ST_OK) {
		press_free(w->press);
		sign_worker_free(w->sign);
		section_reader_free(&w->section);
		return error_set(e, st, "a press worker cannot start: %s", status_name(st));
	}
	p->workers_n++;
	return ST_OK;
}

enum status pipeline_new(struct pipeline **out, const struct pipeline_config *cfg, struct error *e)
{
	struct pipeline *p = calloc(1, sizeof(*p));
	enum status st;

	if (p == NULL)
		return ST_NOMEM;
	p->cfg = *cfg;
	p->workers = calloc(2 * cfg->workers, sizeof(*p->workers));
	st = p->workers == NULL ? ST_NOMEM :
		queue_new(&p->ranges, BATCHES_IN_FLIGHT_MAX * BATCH_RANGES_MAX);
	for (uint32_t i = 0; st == ST_OK && i < 2 * cfg->workers; i++)
		st = worker_start(p, &p->workers[i], i >= cfg->workers, e);
	if (st != ST_OK) {
		pipeline_free(p);
		return st;
	}
	*out = p;
	return ST_OK;
}

void pipeline_free(struct pipeline *p)
{
	if (p == NULL)
		return;
	if (p->ranges != NULL)
		queue_close(p->ranges);
	for (uint32_t i = 0; i < p->workers_n; i++) {
		pthread_join(p->workers[i].thread, NULL);
		press_free(p->workers[i].press);
		sign_worker_free(p->workers[i].sign);
		section_reader_free(&p->workers[i].section);
	}
	queue_free(p->ranges);
	free(p->workers);
	free(p);
}

void pipeline_push(struct pipeline *p, struct batch *b)
{
	enum status st = ST_OK;

	if (b->stage == BATCH_STORING) {
		p->cfg.store->ops->take(p->cfg.store, b);
	} else {
		atomic_store(&b->left, b->ranges_n);
		for (uint8_t i = 0; i < b->ranges_n && st == ST_OK; i++)
			st = queue_push(p->ranges, &b->ranges[i]);
	}
	/* The queue holds every range there can be. */
	assert(st == ST_OK);
}
