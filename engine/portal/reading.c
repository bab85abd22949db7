#include "portal/reading.h"

#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "base/log.h"
#include "holding.h"
#include "portal/inside.h"
#include "portal/route.h"

#define SCRATCH_BYTES (8 * 1024 * 1024)	/* untouched pages cost nothing */

/* The secrets, too: a thread has its own ciphers. */
static enum status edition_follow(struct reading *r, struct edition *now)
{
	struct identity *id;

	if (r->edition == now)
		return ST_OK;
	if (now->identity == NULL)
		return ST_UNAVAILABLE;
	id = identity_dup(now->identity);
	if (id == NULL)
		return ST_NOMEM;
	identity_close(r->identity);
	edition_unref(r->edition);
	r->identity = id;
	r->edition = edition_ref(now);
	return ST_OK;
}

enum status reading_open(struct reading **out, struct library *l, struct error *e)
{
	enum status st = library_ready(l, e);
	struct edition *now = NULL;
	struct reading *r;

	*out = NULL;
	if (st != ST_OK)
		return st;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return ST_NOMEM;
	r->library = l;
	r->ops = l->store->ops;
	library_latest(l, &now);
	st = edition_follow(r, now);
	edition_unref(now);
	if (st == ST_OK)
		st = arena_init(&r->scratch, SCRATCH_BYTES);
	if (st == ST_OK)
		st = r->ops->reader_open(l->store, &r->store, e);
	if (st != ST_OK) {
		reading_close(r);
		return st;
	}
	*out = r;
	return ST_OK;
}

enum status reading_of(struct request *q, struct reading **out)
{
	struct error e = { 0 };
	enum status st = ST_OK;

	if (q->worker->reading == NULL) {
		st = reading_open(&q->worker->reading, q->portal->library, &e);
		if (st != ST_OK)
			log_warn("portal", "the store cannot be read: %s",
				 e.text[0] != '\0' ? e.text : status_name(st));
	}
	*out = q->worker->reading;
	if (st == ST_OK)
		st = edition_follow(*out, q->worker->edition);
	if (st == ST_OK)
		arena_reset(&(*out)->scratch);
	return st;
}

void reading_close(struct reading *r)
{
	if (r == NULL)
		return;
	if (r->store != NULL)
		r->ops->reader_close(r->store);
	identity_close(r->identity);
	edition_unref(r->edition);
	if (r->scratch.base != NULL)
		arena_free(&r->scratch);
	free(r);
}

bool reading_id(struct reading *r, const char *text, uint8_t *lane, uint64_t *sequence)
{
	uint8_t rid[16];

	return id_read(rid, slice_str(text)) && identity_read(r->identity, rid, lane, sequence);
}

void reading_id_text(struct reading *r, uint8_t lane, uint64_t sequence,
		     char out[ID_TEXT_BYTES + 1])
{
	uint8_t rid[16];

	identity_result_id(r->identity, rid, lane, sequence);
	id_text(out, rid);
	out[ID_TEXT_BYTES] = '\0';
}

void person_key_of(const struct person *p, uint8_t key[16])
{
	holder_key_of_id(key, p->id_kind, slice_str(p->country), slice_str(p->number));
}

enum status reading_result(struct reading *r, const uint8_t key[16], const char *id,
			   int64_t now_ms, struct holding_view *h)
{
	uint64_t sequence;
	uint32_t n = 0;
	uint8_t lane;
	enum status st;

	if (!reading_id(r, id, &lane, &sequence))
		return ST_NOT_FOUND;
	st = r->ops->list(r->store, key, sequence + 1, 1, h, &n);
	if (st != ST_OK)
		return st;
	if (n != 1 || h->result.sequence != sequence || h->result.lane != lane ||
	    !holding_lasts(h->from, h->to, day_vietnam(now_ms)))
		return ST_NOT_FOUND;
	st = r->ops->get(r->store, lane, sequence, &h->result);
	if (st == ST_OK && (h->result.state != STATE_STORED || h->result.living.restricted))
		st = ST_NOT_FOUND;
	return st;
}

enum status reading_list(struct reading *r, const uint8_t key[16], int64_t now_ms, bool hidden,
			 void (*one)(void *ctx, const struct holding_view *h), void *ctx,
			 bool *all)
{
	struct holding_view *rows = arena_take(&r->scratch, PAGE_SIZE_MAX * sizeof(*rows));
	uint32_t day = day_vietnam(now_ms), walked = 0, n = PAGE_SIZE_MAX;
	uint64_t before = 0;
	enum status st = rows != NULL ? ST_OK : ST_NOMEM;

	while (st == ST_OK && n == PAGE_SIZE_MAX && walked < HOLDINGS_WALKED_MAX) {
		st = r->ops->list(r->store, key, before, PAGE_SIZE_MAX, rows, &n);
		for (uint32_t i = 0; st == ST_OK && i < n; i++)
			if (holding_lasts(rows[i].from, rows[i].to, day) &&
			    !rows[i].result.living.restricted &&
			    holding_listed(rows[i].visibility, hidden))
				one(ctx, &rows[i]);
		if (st == ST_OK && n > 0)
			before = rows[n - 1].result.sequence;
		walked += n;
	}
	*all = n < PAGE_SIZE_MAX;
	return st;
}

enum status reading_ended(struct reading *r, const uint8_t key[16], int64_t now_ms,
			  uint64_t **sequences, uint32_t *n)
{
	struct holding_view *rows = arena_take(&r->scratch, PAGE_SIZE_MAX * sizeof(*rows));
	uint32_t day = day_vietnam(now_ms), walked = 0, got = PAGE_SIZE_MAX;
	uint64_t before = 0;
	enum status st;

	*n = 0;
	*sequences = malloc(HOLDINGS_WALKED_MAX * sizeof(**sequences));
	st = rows != NULL && *sequences != NULL ? ST_OK : ST_NOMEM;
	while (st == ST_OK && got == PAGE_SIZE_MAX && walked + got <= HOLDINGS_WALKED_MAX) {
		st = r->ops->list(r->store, key, before, PAGE_SIZE_MAX, rows, &got);
		for (uint32_t i = 0; st == ST_OK && i < got; i++) {
			if (!holding_lasts(rows[i].from, rows[i].to, day))
				(*sequences)[(*n)++] = rows[i].result.sequence;
			before = rows[i].result.sequence;
		}
		walked += got;
	}
	if (st != ST_OK) {
		free(*sequences);
		*sequences = NULL;
	}
	return st;
}

enum status reading_file(struct reading *r, const struct result_view *v, size_t max,
			 uint8_t **bytes)
{
	size_t size = v->file_size, done = 0;
	uint64_t sequence = v->sequence;
	uint8_t lane = v->lane;
	enum status st = ST_OK;

	*bytes = NULL;
	if (size > max)
		return ST_TOO_LARGE;
	*bytes = malloc(size + 1);
	if (*bytes == NULL)
		return ST_NOMEM;
	while (st == ST_OK && done < size) {
		size_t n = size - done;

		st = r->ops->read(r->store, lane, sequence, done, *bytes + done, &n);
		if (st == ST_OK && n == 0)
			st = ST_CORRUPT;
		done += n;
	}
	if (st != ST_OK) {
		free(*bytes);
		*bytes = NULL;
	}
	return st;
}

void reading_refuse(struct request *q, enum status st)
{
	if (st == ST_NOT_FOUND) {
		answer_error(q, 404);
		return;
	}
	log_warn("portal", "%s: %s", q->route->pattern, status_name(st));
	answer_error(q, status_class(st) == CLASS_RETRY || st == ST_IO || st == ST_NOMEM ? 503 :
			500);
}
