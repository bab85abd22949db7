/*
 * Originals on PostgreSQL: what no case of any engine names goes, what anybody needs never does, on
 * one server, on four with the lanes spread, and on Citus. Run by with_postgres.py.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "pgrig.h"

#define OTHER (STORECASE_ENGINE + 1)
#define BYTES (OBJECT_CHUNK_BYTES + 3000u)	/* two pieces */
#define ROUNDS 60

struct rig {
	struct pgrig *f;
	struct store *other;		/* of another engine */
	uint8_t *bytes, sha256[SHA256_BYTES];
	uint8_t lane;
};

static void rig_make(struct rig *r, struct pgrig *f)
{
	const char *texts[PGRIG_SERVERS];
	struct store_config cfg = { .postgres = texts, .postgres_n = f->servers,
				    .citus = f->citus, .reader = "", .connections = 1,
				    .engine = OTHER, .objects = f->same.objects };
	struct error e = { 0 };

	*r = (struct rig){ .f = f, .bytes = malloc(BYTES), .lane = storecase_lane(0) };
	assert_non_null(r->bytes);
	for (uint32_t i = 0; i < BYTES; i++)
		r->bytes[i] = (uint8_t)(i * 11 + i / 250);
	sha256_once(r->bytes, BYTES, r->sha256);
	for (uint32_t i = 0; i < f->servers; i++)
		texts[i] = f->texts[i];
	if (store_postgres_open(&r->other, &cfg, &e) != ST_OK)
		fail_msg("%s", e.text);
	same_bring(&f->same, r->lane, slice_of(r->bytes, BYTES));
}

static void rig_free(struct rig *r)
{
	r->other->ops->close(r->other);
	free(r->bytes);
}

static int pieces(const struct rig *r)
{
	return pgrig_all(r->f, "SELECT n FROM object");
}

static int claims(const struct rig *r)
{
	return pgrig_all(r->f, "SELECT unnest(engines) FROM claim");
}

struct asked { bool needed; uint32_t n; };

static bool needed(void *ctx, uint8_t lane, const uint8_t sha256[SHA256_BYTES])
{
	struct asked *a = ctx;

	(void)lane;
	(void)sha256;
	a->n++;
	return a->needed;
}

/* How many it was asked of; *removed of them went. */
static uint32_t sweep(struct store *s, bool all_needed, uint32_t *removed)
{
	struct asked a = { .needed = all_needed };
	struct error e = { 0 };

	*removed = 0;
	assert_int_equal(s->ops->originals_sweep(s, needed, &a, removed, &e), ST_OK);
	return a.n;
}

static enum status keep(const struct rig *r, struct store *s)
{
	struct error e = { 0 };

	return s->ops->original_keep(s, r->lane, r->sha256, BYTES, &e);
}

static enum status drop(const struct rig *r, struct store *s)
{
	struct error e = { 0 };

	return s->ops->original_drop(s, r->lane, r->sha256, &e);
}

/* All of it, as it was brought. */
static enum status fetch(const struct rig *r, struct store *s)
{
	struct error e = { 0 };
	enum status st = s->ops->original_fetch(s, r->lane, r->sha256, BYTES, &e);

	if (st == ST_OK)
		objects_release(r->f->same.objects, r->sha256, true);
	return st;
}

/* Result 0 rests on it. */
static void store_copy(struct rig *r)
{
	struct storesame *same = &r->f->same;

	storecase_fill(&same->sc, 0, 6);
	storecase_copy(&same->sc, &same->sc.b->items[0], slice_of(r->bytes, BYTES));
	assert_int_equal(same_put_batch(same), ST_OK);
}

static enum status read_copy(const struct rig *r)
{
	struct storesame *same = &r->f->same;
	uint8_t byte;
	size_t n = 1;

	same->reopen(same);
	return same->store->ops->read(same->reader, r->lane, storecase_sequence(0), 0, &byte, &n);
}

static void test_what_nothing_names_goes(void **state)
{
	struct store *own;
	struct rig r;
	uint32_t removed;

	rig_make(&r, *state);
	own = r.f->same.store;
	assert_int_equal(pieces(&r), 2);
	assert_int_equal(claims(&r), 1);
	/* Another engine's business. */
	assert_int_equal(sweep(r.other, false, &removed), 0);
	assert_int_equal(sweep(own, true, &removed), 1);
	assert_int_equal(removed, 0);
	assert_int_equal(fetch(&r, own), ST_OK);
	assert_int_equal(sweep(own, false, &removed), 1);
	assert_int_equal(removed, 1);
	assert_int_equal(pieces(&r) + claims(&r), 0);
	assert_int_equal(fetch(&r, own), ST_NOT_FOUND);
	/* Brought anew it is there as if it had never been. */
	assert_int_equal(keep(&r, own), ST_OK);
	assert_int_equal(fetch(&r, own), ST_OK);
	assert_int_equal(claims(&r), 1);
	assert_int_equal(drop(&r, r.other), ST_OK);
	assert_int_equal(claims(&r), 1);
	assert_int_equal(drop(&r, own), ST_OK);
	assert_int_equal(drop(&r, own), ST_OK);
	assert_int_equal(pieces(&r) + claims(&r), 0);
	rig_free(&r);
}

static void test_what_a_result_rests_on_stays(void **state)
{
	struct rig r;
	uint32_t removed;

	rig_make(&r, *state);
	assert_int_equal(keep(&r, r.other), ST_OK);
	assert_int_equal(claims(&r), 2);
	store_copy(&r);
	assert_int_equal(claims(&r), 0);
	assert_int_equal(sweep(r.f->same.store, false, &removed), 0);
	assert_int_equal(sweep(r.other, false, &removed), 0);
	/* Nor when nothing comes of what is copied from it again. */
	same_bring(&r.f->same, r.lane, slice_of(r.bytes, BYTES));
	assert_int_equal(keep(&r, r.other), ST_OK);
	assert_int_equal(claims(&r), 2);
	assert_int_equal(drop(&r, r.other), ST_OK);
	assert_int_equal(claims(&r), 1);
	assert_int_equal(sweep(r.f->same.store, false, &removed), 1);
	assert_int_equal(removed, 0);
	assert_int_equal(claims(&r), 0);
	assert_int_equal(pieces(&r), 2);
	assert_int_equal(read_copy(&r), ST_OK);
	rig_free(&r);
}

static void test_what_another_engine_needs_stays(void **state)
{
	struct rig r;
	uint32_t removed;

	rig_make(&r, *state);
	assert_int_equal(keep(&r, r.other), ST_OK);
	assert_int_equal(sweep(r.f->same.store, false, &removed), 1);
	assert_int_equal(removed, 0);
	assert_int_equal(claims(&r), 1);
	assert_int_equal(fetch(&r, r.other), ST_OK);
	assert_int_equal(sweep(r.f->same.store, false, &removed), 0);
	assert_int_equal(sweep(r.other, false, &removed), 1);
	assert_int_equal(removed, 1);
	assert_int_equal(pieces(&r) + claims(&r), 0);
	rig_free(&r);
}

/* A machine that lost it, or never had it, needs what the server has. */
static void test_what_lies_there_alone_is_claimed(void **state)
{
	struct rig r;
	uint32_t removed;

	rig_make(&r, *state);
	objects_remove(r.f->same.objects, r.sha256);
	assert_int_equal(keep(&r, r.other), ST_NOT_FOUND);
	assert_int_equal(claims(&r), 2);
	assert_int_equal(sweep(r.f->same.store, false, &removed), 1);
	assert_int_equal(removed, 0);
	assert_int_equal(fetch(&r, r.other), ST_OK);
	rig_free(&r);
}

/* Of before there were claims, or of a claim that went with its result. */
static void test_what_was_there_unclaimed_stays(void **state)
{
	struct rig r;
	uint32_t removed;

	rig_make(&r, *state);
	assert_int_equal(pgrig_all(r.f, "DELETE FROM claim"), 1);
	assert_int_equal(keep(&r, r.other), ST_OK);
	assert_int_equal(keep(&r, r.f->same.store), ST_OK);
	assert_int_equal(claims(&r), 2);
	assert_int_equal(sweep(r.f->same.store, false, &removed), 1);
	assert_int_equal(sweep(r.other, false, &removed), 1);
	assert_int_equal(removed, 0);
	assert_int_equal(claims(&r), 0);
	assert_int_equal(pieces(&r), 2);
	rig_free(&r);
}

/* More than a page of them; and a crash between two pieces. */
static void test_many_and_halves(void **state)
{
	struct rig r;
	uint32_t removed;
	char text[300];

	rig_make(&r, *state);
	pgrig_all(r.f, "DELETE FROM object WHERE n = 1");
	snprintf(text, sizeof(text), "INSERT INTO claim SELECT %u, sha256(int4send(i)), "
		 "ARRAY[%d, %d], false FROM generate_series(1, 600) i", r.lane, STORECASE_ENGINE,
		 OTHER);
	pgrig_sql(r.f->first + (r.f->servers > 1 ? r.lane * r.f->servers / LANES : 0), text);
	assert_int_equal(sweep(r.f->same.store, false, &removed), 601);
	assert_int_equal(removed, 1);
	assert_int_equal(pieces(&r), 0);
	assert_int_equal(sweep(r.other, true, &removed), 600);
	assert_int_equal(sweep(r.other, false, &removed), 600);
	assert_int_equal(removed, 600);
	assert_int_equal(claims(&r), 0);
	rig_free(&r);
}

struct churn { struct rig *r; atomic_bool stored, stop; uint32_t went; enum status status; };

/* Brings it and lets it go, over and over. */
static void *churn(void *ctx)
{
	struct churn *c = ctx;

	while (!atomic_load(&c->stop) && c->status == ST_OK) {
		struct asked a = { .needed = false };
		struct store *s = c->r->other;
		struct error e = { 0 };

		c->status = keep(c->r, s);
		/* Here both have one depot, which what is stored leaves. */
		if (c->status == ST_NOT_FOUND && atomic_load(&c->stored))
			c->status = ST_OK;
		if (c->status == ST_OK)
			c->status = s->ops->originals_sweep(s, needed, &a, &c->went, &e);
	}
	return NULL;
}

/* Whatever another engine does meanwhile: what was brought is there until it is let go. */
static void test_two_at_once(void **state)
{
	struct rig r;
	struct churn c = { .r = &r };
	struct store *own;
	uint32_t removed, went = 0;
	pthread_t thread;

	rig_make(&r, *state);
	own = r.f->same.store;
	assert_int_equal(pthread_create(&thread, NULL, churn, &c), 0);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		assert_int_equal(keep(&r, own), ST_OK);
		for (int again = 0; again < 2; again++)
			if (fetch(&r, own) != ST_OK)
				fail_msg("round %u: it went", i);
		assert_int_equal(sweep(own, false, &removed), 1);
		went += removed;
	}
	assert_int_equal(keep(&r, own), ST_OK);
	atomic_store(&c.stored, true);
	store_copy(&r);
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(c.status, ST_OK);
	/* Each was the last to need it now and then. */
	assert_true(went + c.went > 0);
	assert_int_equal(pieces(&r), 2);
	assert_int_equal(claims(&r), 0);
	assert_int_equal(read_copy(&r), ST_OK);
	rig_free(&r);
}

#define ONE(test) cmocka_unit_test_setup_teardown(test, pgrig_one, pgrig_teardown)
#define FOUR(test) cmocka_unit_test_setup_teardown(test, pgrig_four, pgrig_teardown)
#define CITUS(test) cmocka_unit_test_setup_teardown(test, pgrig_citus, pgrig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ONE(test_what_nothing_names_goes),
		ONE(test_what_a_result_rests_on_stays),
		FOUR(test_what_a_result_rests_on_stays),
		CITUS(test_what_a_result_rests_on_stays),
		FOUR(test_what_another_engine_needs_stays),
		CITUS(test_what_another_engine_needs_stays),
		ONE(test_what_lies_there_alone_is_claimed),
		ONE(test_what_was_there_unclaimed_stays),
		FOUR(test_many_and_halves),
		ONE(test_two_at_once),
	};

	if (getenv("TRIEN_POSTGRES") == NULL)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL) != 0;
}
