/*
 * Originals of certified copies: in pieces on the server of their lane, claimed by this engine
 * until a result that rests on them is stored, or nothing names them any more (006.sql).
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/postgres/asking.h"
#include "store/postgres/postgres.h"

/* A server's at once; their calls wait for each other. */
#define WAYS 4
#define CLAIMS_PAGE 256

struct pg_way { pthread_mutex_t lock; struct pg_asking servers[PG_SERVERS_MAX]; };

struct pg_originals {
	atomic_uint turn;
	struct pg_way ways[WAYS];
};

enum status pg_originals_open(struct postgres *p, struct error *e)
{
	p->originals = calloc(1, sizeof(*p->originals));
	if (p->originals == NULL)
		return error_set(e, ST_NOMEM, "no memory for the store's originals");
	for (size_t i = 0; i < WAYS; i++) {
		struct pg_way *w = &p->originals->ways[i];

		pthread_mutex_init(&w->lock, NULL);
		for (uint8_t k = 0; k < p->servers.n; k++)
			pg_asking_init(&w->servers[k], &p->servers, k, PG_ACTS);
	}
	return ST_OK;
}

void pg_originals_close(struct postgres *p)
{
	if (p->originals == NULL)
		return;
	for (size_t i = 0; i < WAYS; i++) {
		for (uint8_t k = 0; k < p->servers.n; k++)
			pg_asking_close(&p->originals->ways[i].servers[k]);
		pthread_mutex_destroy(&p->originals->ways[i].lock);
	}
	free(p->originals);
	p->originals = NULL;
}

static struct pg_way *way_take(struct postgres *p)
{
	struct pg_way *w = &p->originals->ways[atomic_fetch_add(&p->originals->turn, 1) % WAYS];

	pthread_mutex_lock(&w->lock);
	return w;
}

static enum status told(enum status st, struct error *e)
{
	if (st == ST_OK)
		return st;
	return st == ST_UNAVAILABLE || st == ST_TIMEOUT ?
	       error_set(e, st, "the store is away") :
	       error_set(e, st, "an original: %s", status_name(st));
}

uint32_t pg_piece_bytes(uint64_t size, uint32_t n)
{
	uint64_t at = (uint64_t)n * OBJECT_CHUNK_BYTES;

	if (at >= size)
		return 0;
	return size - at < OBJECT_CHUNK_BYTES ? (uint32_t)(size - at) : OBJECT_CHUNK_BYTES;
}

/* ST_NOT_FOUND: the server does not have it. */
static enum status piece_ask(struct pg_asking *a, uint8_t lane,
			     const uint8_t sha256[SHA256_BYTES], uint32_t n, PGresult **out)
{
	struct pg_question q;
	enum status st;

	pg_question(&q, PG_OBJECT);
	pg_int2(&q, lane);
	pg_bytes(&q, slice_of(sha256, SHA256_BYTES));
	pg_int4(&q, (int32_t)n);
	st = pg_ask(a, &q, 1, out);
	return st == ST_OK && PQntuples(*out) == 0 ? ST_NOT_FOUND : st;
}

/* ---- there ---- */

/* One that stands there already is what it must be, or no result may rest on it. */
static enum status piece_same(struct pg_asking *a, uint8_t lane,
			      const uint8_t sha256[SHA256_BYTES], uint32_t n, struct slice bytes)
{
	PGresult *out = NULL;
	enum status st = piece_ask(a, lane, sha256, n, &out);

	if (st == ST_OK && !slice_eq(pg_column(out, 0, 0), bytes))
		st = ST_CORRUPT;
	PQclear(out);
	return st;
}

static void claim_question(struct pg_question *q, uint8_t lane, const uint8_t sha256[SHA256_BYTES],
			   uint8_t engine)
{
	pg_question(q, PG_CLAIM);
	pg_int2(q, lane);
	pg_bytes(q, slice_of(sha256, SHA256_BYTES));
	pg_int2(q, engine);
}

/* It is not here any more; perhaps it is there. */
static enum status claim_alone(struct postgres *p, uint8_t lane,
			       const uint8_t sha256[SHA256_BYTES])
{
	struct pg_way *w = way_take(p);
	struct pg_question q;
	PGresult *out = NULL;
	enum status st;

	claim_question(&q, lane, sha256, p->engine);
	st = pg_ask(&w->servers[p->servers.of_lane[lane]], &q, 1, &out);
	PQclear(out);
	pthread_mutex_unlock(&w->lock);
	return st;
}

/* The first one together with the claim: without it, it would stay for ever. */
static enum status piece_put(struct pg_asking *a, uint8_t engine, uint8_t lane,
			     const uint8_t sha256[SHA256_BYTES], uint32_t n, struct slice bytes)
{
	struct pg_question q[2];
	PGresult *out[2] = { NULL, NULL };
	uint32_t k = n == 0;
	enum status st;
	bool there;

	claim_question(&q[0], lane, sha256, engine);
	pg_question(&q[k], PG_OBJECT_ADD);
	pg_int2(&q[k], lane);
	pg_bytes(&q[k], slice_of(sha256, SHA256_BYTES));
	pg_int4(&q[k], (int32_t)n);
	pg_bytes(&q[k], bytes);
	st = pg_ask(a, q, k + 1, out);
	there = st == ST_OK && strcmp(PQcmdTuples(out[k]), "0") == 0;
	PQclear(out[0]);
	PQclear(out[1]);
	return there ? piece_same(a, lane, sha256, n, bytes) : st;
}

enum status pg_original_keep(struct store *store, uint8_t lane,
			     const uint8_t sha256[SHA256_BYTES], uint64_t size, struct error *e)
{
	struct postgres *p = (struct postgres *)store;
	uint8_t *piece = malloc(OBJECT_CHUNK_BYTES);
	struct object_file f = { .fd = -1 };
	struct pg_way *w;
	enum status st = piece != NULL ? object_open(p->objects, sha256, size, &f) : ST_NOMEM;

	if (st != ST_OK) {
		enum status claimed = object_lost(st) ? claim_alone(p, lane, sha256) : ST_OK;

		free(piece);
		return told(claimed == ST_OK ? st : claimed, e);
	}
	w = way_take(p);
	for (uint32_t n = 0; st == ST_OK && pg_piece_bytes(size, n) > 0; n++) {
		uint32_t bytes = pg_piece_bytes(size, n);

		st = object_read(&f, (uint64_t)n * OBJECT_CHUNK_BYTES, piece, bytes);
		if (st == ST_OK)
			st = piece_put(&w->servers[p->servers.of_lane[lane]], p->engine, lane,
				       sha256, n, slice_of(piece, bytes));
	}
	pthread_mutex_unlock(&w->lock);
	object_close(&f);
	free(piece);
	return told(st, e);
}

/* ---- and back ---- */

static enum status piece_get(struct pg_asking *a, uint8_t lane,
			     const uint8_t sha256[SHA256_BYTES], uint32_t n, struct upload *u,
			     struct error *e)
{
	PGresult *out = NULL;
	enum status st = piece_ask(a, lane, sha256, n, &out);

	if (st == ST_OK)
		st = upload_add(u, pg_column(out, 0, 0), e);
	PQclear(out);
	return st;
}

static enum status whole_get(struct postgres *p, uint8_t lane,
			     const uint8_t sha256[SHA256_BYTES], uint64_t size, struct upload *u,
			     struct error *e)
{
	struct pg_way *w = way_take(p);
	enum status st = ST_OK;
	int fd = -1;

	for (uint32_t n = 0; st == ST_OK && pg_piece_bytes(size, n) > 0; n++)
		st = piece_get(&w->servers[p->servers.of_lane[lane]], lane, sha256, n, u, e);
	pthread_mutex_unlock(&w->lock);
	if (st == ST_OK)
		st = upload_end(u, &fd, e);
	if (fd >= 0)
		close(fd);
	if (st == ST_OK && (u->size != size || memcmp(u->sha256, sha256, SHA256_BYTES) != 0))
		st = error_set(e, ST_CORRUPT, "what the store has of it is damaged");
	return st;
}

enum status pg_original_fetch(struct store *store, uint8_t lane,
			      const uint8_t sha256[SHA256_BYTES], uint64_t size, struct error *e)
{
	struct postgres *p = (struct postgres *)store;
	struct upload u;
	enum status st = fetch_begin(p->objects, &u, size, e);

	if (st != ST_OK)
		return st;
	st = whole_get(p, lane, sha256, size, &u, e);
	if (st != ST_OK) {
		upload_drop(&u);
		return told(st, e);
	}
	return objects_keep(p->objects, &u, e);
}

/* The server has it: nothing on this machine needs it any more. */
enum status pg_original_settle(struct store *store, const uint8_t sha256[SHA256_BYTES],
			       struct error *e)
{
	struct postgres *p = (struct postgres *)store;

	if (p->objects != NULL)
		objects_remove(p->objects, sha256);
	return ST_OK;
}

/* ---- what nothing here names ---- */

/* A page of them. */
struct unneeded {
	uint32_t n;
	uint8_t hashes[CLAIMS_PAGE][SHA256_BYTES];
	uint8_t room[PG_ARRAY_BYTES + CLAIMS_PAGE * (SHA256_BYTES + 4)];
};

static enum status release(struct pg_asking *a, uint8_t engine, uint8_t lane, struct unneeded *u,
			   uint32_t *removed)
{
	struct writer w = writer_of(u->room, sizeof(u->room));
	struct pg_array hashes = pg_array(&w, PG_BYTEA);
	struct pg_question q;
	PGresult *out = NULL;
	enum status st;

	for (uint32_t i = 0; i < u->n; i++)
		pg_array_bytes(&hashes, slice_of(u->hashes[i], SHA256_BYTES));
	pg_question(&q, PG_RELEASE);
	pg_int2(&q, lane);
	pg_bytes(&q, pg_array_end(&hashes));
	pg_int2(&q, engine);
	st = pg_ask(a, &q, 1, &out);
	if (st == ST_OK)
		*removed += (uint32_t)pg_number(out, 0, 0);
	PQclear(out);
	return st;
}

enum status pg_original_drop(struct store *store, uint8_t lane,
			     const uint8_t sha256[SHA256_BYTES], struct error *e)
{
	struct postgres *p = (struct postgres *)store;
	struct unneeded *u = malloc(sizeof(*u));
	struct pg_way *w;
	uint32_t removed = 0;
	enum status st;

	if (u == NULL)
		return told(ST_NOMEM, e);
	u->n = 1;
	memcpy(u->hashes[0], sha256, SHA256_BYTES);
	w = way_take(p);
	st = release(&w->servers[p->servers.of_lane[lane]], p->engine, lane, u, &removed);
	pthread_mutex_unlock(&w->lock);
	free(u);
	return told(st, e);
}

/* In order, from behind `after` on. */
static enum status page_ask(struct pg_asking *a, uint8_t engine, uint8_t lane, struct slice after,
			    PGresult **out)
{
	struct pg_question q;

	pg_question(&q, PG_CLAIMS);
	pg_int2(&q, lane);
	pg_int2(&q, engine);
	pg_bytes(&q, after);
	pg_int8(&q, CLAIMS_PAGE);
	return pg_ask(a, &q, 1, out);
}

struct sweeping {
	uint8_t engine;
	bool (*needed)(void *ctx, uint8_t lane, const uint8_t sha256[SHA256_BYTES]);
	void *ctx;
	uint32_t *removed;
	struct unneeded unneeded;
};

static enum status page_sweep(struct sweeping *s, struct pg_asking *a, uint8_t lane,
			      const PGresult *page)
{
	struct unneeded *u = &s->unneeded;

	u->n = 0;
	for (int i = 0; i < PQntuples(page); i++) {
		struct slice hash = pg_column(page, i, 0);

		if (hash.n != SHA256_BYTES)
			return ST_CORRUPT;
		if (!s->needed(s->ctx, lane, hash.p))
			memcpy(u->hashes[u->n++], hash.p, SHA256_BYTES);
	}
	return u->n > 0 ? release(a, s->engine, lane, u, s->removed) : ST_OK;
}

static enum status lane_sweep(struct sweeping *s, struct pg_asking *a, uint8_t lane)
{
	uint8_t last[SHA256_BYTES];
	size_t last_n = 0;
	int rows = CLAIMS_PAGE;
	enum status st = ST_OK;

	while (st == ST_OK && rows == CLAIMS_PAGE) {
		PGresult *page = NULL;

		st = page_ask(a, s->engine, lane, slice_of(last, last_n), &page);
		rows = st == ST_OK ? PQntuples(page) : 0;
		if (rows > 0)
			st = page_sweep(s, a, lane, page);
		if (rows > 0 && st == ST_OK) {
			last_n = SHA256_BYTES;
			memcpy(last, pg_column(page, rows - 1, 0).p, last_n);
		}
		PQclear(page);
	}
	return st;
}

enum status pg_originals_sweep(struct store *store,
			       bool (*needed)(void *ctx, uint8_t lane,
					      const uint8_t sha256[SHA256_BYTES]),
			       void *ctx, uint32_t *removed, struct error *e)
{
	struct postgres *p = (struct postgres *)store;
	struct sweeping s = { .engine = p->engine, .needed = needed, .ctx = ctx,
			      .removed = removed };
	struct pg_way *w = way_take(p);
	enum status st = ST_OK;

	for (uint8_t lane = 0; lane < LANES && st == ST_OK; lane++)
		st = lane_sweep(&s, &w->servers[p->servers.of_lane[lane]], lane);
	pthread_mutex_unlock(&w->lock);
	return told(st, e);
}

void pg_originals_stored(struct objects *o, const struct batch *b)
{
	for (uint32_t i = 0; o != NULL && i < b->items_n; i++) {
		const struct item *it = &b->items[i];

		if (it->held != REASON_NONE || it->stored == ST_CONFLICT || it->doc.section == NULL)
			continue;
		objects_unname(o, it->doc.section->sha256, it->sequence);
		objects_remove(o, it->doc.section->sha256);
	}
}
