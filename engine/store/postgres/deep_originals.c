/*
 * Originals of copies: whether anybody needs them. Those that no engine claims are noted before a
 * lane's results are looked at: a result that rests on one of them was there by then.
 */
#include <stdio.h>
#include <stdlib.h>

#include "store/postgres/deep_inside.h"

#define ORIGINALS_ROOM_MIN 1024

/* They come in order; a page that is asked for again begins where it began. */
static void page_begin(struct deep *d, const struct deep_cursor *at)
{
	while (d->originals_n > 0 &&
	       (at->key_n == 0 || memcmp(d->originals[d->originals_n - 1].sha256, at->key,
					 SHA256_BYTES) > 0))
		d->originals_n--;
}

static enum status note(struct deep *d, struct slice hash)
{
	if (d->originals_n == d->originals_room) {
		size_t room = d->originals_room == 0 ? ORIGINALS_ROOM_MIN : 2 * d->originals_room;
		struct deep_original *more = realloc(d->originals, room * sizeof(*more));

		if (more == NULL)
			return ST_NOMEM;
		d->originals = more;
		d->originals_room = room;
	}
	d->originals[d->originals_n].named = false;
	memcpy(d->originals[d->originals_n++].sha256, hash.p, SHA256_BYTES);
	return ST_OK;
}

enum status deep_originals(struct deep *d, struct deep_cursor *at, bool *more)
{
	struct pg_question *q = &d->reader->questions[0];
	PGresult *page = NULL;
	enum status st;

	page_begin(d, at);
	pg_question(q, PG_WALK_ORIGINALS);
	pg_int2(q, d->lane);
	pg_bytes(q, slice_of(at->key, at->key_n));
	st = deep_ask(d, q, DEEP_PAGE, DEEP_ORIGINALS, &page, more);
	for (int i = 0; st == ST_OK && i < PQntuples(page); i++) {
		struct slice hash = pg_column(page, i, 0);

		if (hash.n != SHA256_BYTES) {
			deep_fault(d, "lane %u: an original's hash has %zu bytes", d->lane, hash.n);
			*more = false;
			break;
		}
		memcpy(at->key, hash.p, SHA256_BYTES);
		at->key_n = SHA256_BYTES;
		if (pg_number(page, i, 1) < 0)
			st = note(d, hash);
		else
			d->report->claimed++;
	}
	return st;
}

static int by_hash(const void *a, const void *b)
{
	return memcmp(a, b, SHA256_BYTES);
}

void deep_original_named(struct deep *d, const struct stored_result *r)
{
	struct deep_original *one = NULL;

	/* Looked at again, it may be another lane's. */
	if (d->report == &d->ignored)
		return;
	if (r == NULL) {
		d->originals_n = 0;
		return;
	}
	if (r->section.runs_n > 0 && d->originals_n > 0)
		one = bsearch(r->section.sha256, d->originals, d->originals_n, sizeof(*one),
			      by_hash);
	if (one != NULL)
		one->named = true;
}

void deep_originals_tell(struct deep *d)
{
	for (size_t i = 0; i < d->originals_n; i++) {
		char text[DEEP_LINE_BYTES], hash[2 * SHA256_BYTES + 1] = "";

		if (d->originals[i].named)
			continue;
		hex_lower(hash, d->originals[i].sha256, SHA256_BYTES);
		snprintf(text, sizeof(text), "lane %u, original %s: no result rests on it, no "
			 "engine claims it", d->lane, hash);
		d->report->spare++;
		d->cfg->told(d->cfg->ctx, text, DEEP_SPARE);
	}
	d->originals_n = 0;
}
