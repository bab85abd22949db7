/* Signing sessions: states, outcomes, the manifest's bytes, the file, the table's bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "session/table.h"

#define NOW 1700000000000LL

static struct session *sample(uint8_t id, uint32_t n)
{
	struct session *s = session_new(n);

	assert_non_null(s);
	memset(s->id, id, sizeof(s->id));
	s->state = SESSION_OPEN;
	snprintf(s->signer, sizeof(s->signer), "lac-xuan-a");
	snprintf(s->principal, sizeof(s->principal), "hoai-thu");
	s->opened_ms = NOW;
	s->expires_ms = NOW + 1000;
	for (uint32_t i = 0; i < n; i++) {
		struct session_item *item = &s->items[i];

		item->sequence = 1000 + i;
		memcpy(item->result_id, &item->sequence, sizeof(item->sequence));
		item->lane = (uint8_t)(i % LANES);
		snprintf(item->unit, sizeof(item->unit), "ubnd-lac-xuan");
		snprintf(item->kind, sizeof(item->kind), "giay-%u", i % 7);
		memset(item->case_sha256, (int)(i + 1), SHA256_BYTES);
		memset(item->preview_sha256, (int)(i + 2), SHA256_BYTES);
	}
	assert_int_equal(session_seal(s), ST_OK);
	return s;
}

static void assert_same(const struct session *a, const struct session *b)
{
	struct session x = *a, y = *b;

	assert_int_equal(a->items_n, b->items_n);
	for (uint32_t i = 0; i < a->items_n; i++) {
		const struct session_item *p = &a->items[i], *q = &b->items[i];

		assert_memory_equal(p->result_id, q->result_id, 16);
		assert_string_equal(p->unit, q->unit);
		assert_string_equal(p->kind, q->kind);
		assert_string_equal(p->number_text, q->number_text);
		assert_memory_equal(p->case_sha256, q->case_sha256, SHA256_BYTES);
		assert_memory_equal(p->preview_sha256, q->preview_sha256, SHA256_BYTES);
		assert_true(p->sequence == q->sequence && p->lane == q->lane &&
			    p->claimed == q->claimed && p->approved == q->approved &&
			    p->state == q->state && p->reason == q->reason &&
			    p->changed_ms == q->changed_ms && p->cursor == q->cursor);
	}
	assert_string_equal(x.signer, y.signer);
	assert_string_equal(x.principal, y.principal);
	assert_memory_equal(x.id, y.id, 16);
	assert_memory_equal(x.manifest, y.manifest, SHA256_BYTES);
	assert_true(x.state == y.state && x.opened_ms == y.opened_ms &&
		    x.expires_ms == y.expires_ms && x.confirmed_ms == y.confirmed_ms &&
		    x.ended_ms == y.ended_ms && x.cursor == y.cursor);
}

static uint8_t *encoded(const struct session *s, size_t *n)
{
	uint8_t *bytes = malloc(SESSION_FILE_BYTES_MAX);
	struct writer w = writer_of(bytes, SESSION_FILE_BYTES_MAX);

	assert_int_equal(session_encode(s, &w), ST_OK);
	*n = writer_size(&w);
	return bytes;
}

static void assert_kept(const struct session *s)
{
	struct session *back;
	size_t n;
	uint8_t *bytes = encoded(s, &n);

	assert_int_equal(session_decode(&back, slice_of(bytes, n)), ST_OK);
	assert_same(s, back);
	session_free(back);
	free(bytes);
}

/* The bytes are a contract with whoever shows a manifest: made here once more, another way. */
static void test_manifest(void **state)
{
	struct session *s = sample(7, 2);
	uint8_t got[MANIFEST_BYTES_MAX(2)], want[512], digest[SHA256_BYTES];
	struct writer w = writer_of(got, sizeof(got));
	size_t n = 0;

	session_manifest(s, &w);
	assert_false(w.bad);
	memcpy(want, "\0\x10trien manifest 1", 18);
	n = 18;
	memset(want + n, 7, 16);
	n += 16;
	memcpy(want + n, "\0\x0alac-xuan-a\0\0\0\x02", 16);
	n += 16;
	for (int i = 0; i < 2; i++) {
		memcpy(want + n, s->items[i].result_id, 16);
		memset(want + n + 16, i + 1, 32);
		memset(want + n + 48, i + 2, 32);
		n += 80;
		memcpy(want + n, "\0\x0dubnd-lac-xuan\0\x06giay-", 22);
		want[n + 22] = (uint8_t)('0' + i);
		n += 23;
	}
	assert_int_equal(writer_size(&w), n);
	assert_memory_equal(got, want, n);
	sha256_once(want, n, digest);
	assert_memory_equal(digest, s->manifest, SHA256_BYTES);
	session_free(s);
}

/* Whatever of the list changes, the hash does. */
static void test_manifest_covers(void **state)
{
	struct session *s = sample(1, 3);
	uint8_t first[SHA256_BYTES];
	uint8_t *const places[] = { s->id, (uint8_t *)s->signer, s->items[1].result_id,
				    s->items[1].case_sha256, s->items[2].preview_sha256,
				    (uint8_t *)s->items[0].unit, (uint8_t *)s->items[2].kind };

	memcpy(first, s->manifest, sizeof(first));
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		places[i][0] ^= 1;
		assert_int_equal(session_seal(s), ST_OK);
		assert_memory_not_equal(first, s->manifest, SHA256_BYTES);
		places[i][0] ^= 1;
	}
	s->items_n = 2;
	assert_int_equal(session_seal(s), ST_OK);
	assert_memory_not_equal(first, s->manifest, SHA256_BYTES);
	s->items[1].sequence = s->items[0].sequence;
	assert_int_equal(session_seal(s), ST_CONFLICT);
	session_free(s);
}

static void test_confirm(void **state)
{
	struct session *s = sample(1, 4);
	uint8_t other[SHA256_BYTES] = { 1 };

	assert_int_equal(session_begin(s, other, NOW), ST_CONFLICT);
	assert_int_equal(s->state, SESSION_OPEN);
	assert_int_equal(session_begin(s, s->manifest, NOW + 999), ST_OK);
	assert_int_equal(s->state, SESSION_CONFIRMING);
	assert_kept(s);
	assert_int_equal(session_begin(s, s->manifest, NOW + 5000), ST_EXISTS);
	assert_int_equal(session_begin(s, other, NOW), ST_CONFLICT);
	assert_int_equal(session_cancel(s, NOW), ST_PRECONDITION);
	assert_int_equal(session_forget_ms(s), 0);
	assert_false(s->asked);
	session_refuse(s, 2, STATE_WITHDRAWN, REASON_UNIT_DENIED, NOW + 1);
	session_refuse(s, 2, STATE_REFUSED, REASON_UNIT_DENIED, NOW + 2);
	assert_kept(s);
	session_confirmed(s, NOW + 3);
	assert_int_equal(s->state, SESSION_CONFIRMED);
	assert_int_equal(session_forget_ms(s), NOW + 3 + SESSION_KEPT_MS);
	assert_int_equal(session_count(s).approved, 3);
	assert_int_equal(s->items[2].state, STATE_WITHDRAWN);
	assert_false(s->items[2].approved);
	assert_kept(s);
	assert_int_equal(session_begin(s, s->manifest, NOW + 9999999), ST_EXISTS);
	session_free(s);
}

/* Nobody misses an outcome and nobody gets one twice, wherever the line breaks. */
static void test_outcomes(void **state)
{
	struct session *s = sample(1, 4);
	uint64_t cursor = 0;
	uint32_t i, seen = 0;

	assert_int_equal(session_begin(s, s->manifest, NOW), ST_OK);
	session_refuse(s, 1, STATE_AWAITING_APPROVAL, REASON_SIGNER_UNKNOWN, NOW);
	session_confirmed(s, NOW);
	while ((i = session_next(s, cursor)) < s->items_n) {
		assert_int_equal(s->items[i].cursor, cursor + 1);
		cursor = s->items[i].cursor;
		seen |= 1u << i;
	}
	assert_int_equal(seen, 15);
	assert_false(session_follow(s, 1, STATE_STORED, REASON_NONE, "1", NOW));
	assert_true(session_follow(s, 3, STATE_NUMBERED, REASON_NONE, "07/GXN", NOW + 1));
	assert_false(session_follow(s, 3, STATE_NUMBERED, REASON_NONE, "07/GXN", NOW + 2));
	assert_true(session_follow(s, 0, STATE_HELD, REASON_KEY_MISSING, "08/GXN", NOW + 2));
	assert_true(session_follow(s, 3, STATE_STORED, REASON_NONE, "", NOW + 3));
	assert_kept(s);
	/* The change of item 3 that nobody has seen is not told any more. */
	i = session_next(s, cursor);
	assert_int_equal(i, 0);
	i = session_next(s, s->items[0].cursor);
	assert_int_equal(i, 3);
	assert_string_equal(s->items[3].number_text, "07/GXN");
	assert_int_equal(session_next(s, s->items[3].cursor), s->items_n);
	assert_int_equal(session_count(s).settled, 1);
	assert_true(session_follow(s, 0, STATE_VOID, REASON_KEY_MISSING, "", NOW + 4));
	assert_int_equal(s->state, SESSION_CONFIRMED);
	assert_true(session_follow(s, 2, STATE_STORED, REASON_NONE, "09/GXN", NOW + 5));
	assert_int_equal(s->state, SESSION_DONE);
	assert_false(session_follow(s, 2, STATE_VOID, REASON_NONE, "", NOW + 6));
	assert_kept(s);
	assert_int_equal(session_index(s, s->items[2].result_id), 2);
	assert_int_equal(session_index(s, s->id), s->items_n);
	session_free(s);
}

static void test_ends(void **state)
{
	struct session *s = sample(1, 2);

	assert_false(session_expire(s, NOW + 999));
	assert_true(session_expire(s, NOW + 1000));
	assert_false(session_expire(s, NOW + 1001));
	assert_int_equal(session_begin(s, s->manifest, NOW), ST_PRECONDITION);
	assert_int_equal(session_cancel(s, NOW), ST_PRECONDITION);
	assert_kept(s);
	session_free(s);

	s = sample(1, 2);
	assert_int_equal(session_begin(s, s->manifest, NOW + 1000), ST_PRECONDITION);
	assert_int_equal(s->state, SESSION_EXPIRED);
	session_free(s);

	s = sample(1, 2);
	assert_int_equal(session_cancel(s, NOW + 5), ST_OK);
	assert_int_equal(session_cancel(s, NOW + 6), ST_EXISTS);
	assert_int_equal(s->ended_ms, NOW + 5);
	assert_int_equal(session_begin(s, s->manifest, NOW + 7), ST_PRECONDITION);
	assert_kept(s);
	session_free(s);

	/* Nothing left to approve: done at once. */
	s = sample(1, 2);
	assert_int_equal(session_begin(s, s->manifest, NOW), ST_OK);
	session_refuse(s, 0, STATE_REFUSED, REASON_SIGNER_UNKNOWN, NOW);
	session_refuse(s, 1, STATE_REFUSED, REASON_SIGNER_UNKNOWN, NOW);
	session_confirmed(s, NOW);
	assert_int_equal(s->state, SESSION_DONE);
	session_free(s);
}

static void test_bounds(void **state)
{
	struct session *s;

	assert_null(session_new(0));
	assert_null(session_new(SESSION_ITEMS_MAX + 1));
	/* Every text as long as it may be. */
	s = sample(255, SESSION_ITEMS_MAX);
	memset(s->signer, 'a', CODE_BYTES_MAX);
	memset(s->principal, 'a', PRINCIPAL_BYTES_MAX);
	for (uint32_t i = 0; i < s->items_n; i++) {
		memset(s->items[i].unit, 'u', CODE_BYTES_MAX);
		memset(s->items[i].kind, 'k', CODE_BYTES_MAX);
		memset(s->items[i].number_text, 'n', NUMBER_TEXT_BYTES_MAX);
	}
	assert_int_equal(session_seal(s), ST_OK);
	assert_kept(s);
	session_free(s);
}

/* A byte that fell over is noticed; one with a good checksum is never believed against itself. */
static void test_fuzz(void **state)
{
	struct session *s = sample(3, 3), *back;
	uint8_t *bytes, *copy;
	size_t n;
	uint32_t read = 0, random = 1;

	assert_int_equal(session_begin(s, s->manifest, NOW), ST_OK);
	session_refuse(s, 0, STATE_WITHDRAWN, REASON_UNIT_DENIED, NOW);
	session_confirmed(s, NOW);
	bytes = encoded(s, &n);
	copy = malloc(n);
	for (size_t i = 0; i < n; i++) {
		memcpy(copy, bytes, n);
		copy[i] ^= 0x40;
		assert_int_equal(session_decode(&back, slice_of(copy, n)), ST_CORRUPT);
		assert_int_equal(session_decode(&back, slice_of(bytes, i)), ST_CORRUPT);
	}
	for (uint32_t k = 0; k < 200000; k++) {
		uint32_t crc;
		enum status st;

		memcpy(copy, bytes, n);
		for (int m = 0; m < 1 + (int)(k % 3); m++) {
			random = random * 1664525 + 1013904223;
			copy[(random >> 8) % (n - 4)] = (uint8_t)(random >> 3);
		}
		crc = crc32c(0, copy, n - 4);
		memcpy(copy + n - 4, &crc, 4);
		st = session_decode(&back, slice_of(copy, n));
		assert_true(st == ST_OK || st == ST_CORRUPT || st == ST_UNSUPPORTED);
		if (st != ST_OK)
			continue;
		read++;
		assert_kept(back);
		for (uint32_t i = 0; i < back->items_n; i++)
			assert_true(strlen(back->items[i].unit) <= CODE_BYTES_MAX);
		session_free(back);
	}
	assert_true(read > 0);
	free(copy);
	free(bytes);
	session_free(s);
}

static uint32_t gone;
static void count_gone(void *owner, const uint8_t id[16])
{
	gone++;
}

static struct session *named(uint32_t k, const char *principal, uint32_t items)
{
	struct session *s = sample(0, items);

	memcpy(s->id, &k, sizeof(k));
	snprintf(s->principal, sizeof(s->principal), "%s", principal);
	return s;
}

static void test_table(void **state)
{
	struct sessions *t;
	struct session *s;
	char name[16];

	assert_int_equal(sessions_new(&t), ST_OK);
	for (uint32_t k = 0; k < SESSIONS_KNOWN_MAX; k++) {
		snprintf(name, sizeof(name), "p%u", k / SESSIONS_OPEN_MAX);
		assert_int_equal(sessions_add(t, named(k, name, 1), count_gone, NULL), ST_OK);
	}
	s = named(5000, "other", 1);
	assert_int_equal(sessions_add(t, s, count_gone, NULL), ST_FULL);
	assert_int_equal(gone, 0);
	assert_int_equal(session_cancel(sessions_find(t, s->id) == NULL ? sessions_next(t, NULL) :
					NULL, NOW + 3), ST_OK);
	for (struct session *x = sessions_next(t, NULL); x != NULL; x = sessions_next(t, x))
		if (x->id[0] == 9 && x->id[1] == 0)
			assert_int_equal(session_cancel(x, NOW + 1), ST_OK);
	assert_int_equal(sessions_add(t, s, count_gone, NULL), ST_OK);
	assert_int_equal(gone, 1);
	assert_ptr_equal(sessions_find(t, s->id), s);
	assert_null(sessions_find(t, (const uint8_t[16]){ 9 }));
	assert_int_equal(sessions_count(t), SESSIONS_KNOWN_MAX);
	s = named(5000, "again", 1);
	assert_int_equal(sessions_add(t, s, count_gone, NULL), ST_EXISTS);
	session_free(s);
	sessions_free(t);
	sessions_free(NULL);
}

/* An ended one of that state, so late. */
static struct session *ended(uint32_t k, enum session_state state, int64_t at_ms)
{
	struct session *s = named(k, "p", 1);

	s->state = state;
	s->ended_ms = at_ms;
	return s;
}

/* Whoever cancels again and again pushes out nobody's outcomes. */
static void test_table_what_goes_first(void **state)
{
	static const enum session_state order[] = { SESSION_EXPIRED, SESSION_CANCELLED,
						    SESSION_DONE, SESSION_CONFIRMED };
	struct sessions *t;
	uint32_t k = 0;

	assert_int_equal(sessions_new(&t), ST_OK);
	/* What is worth most ended first; each state twice, the later one behind. */
	for (int i = 3; i >= 0; i--)
		for (uint32_t late = 0; late < 2; late++)
			assert_int_equal(sessions_add(t, ended(k++, order[i], NOW + (3 - i) * 10 +
							       late), count_gone, NULL), ST_OK);
	while (k < SESSIONS_KNOWN_MAX) {
		struct session *s = named(k, "", 1);

		snprintf(s->principal, sizeof(s->principal), "q%u", k++ / SESSIONS_OPEN_MAX);
		assert_int_equal(sessions_add(t, s, count_gone, NULL), ST_OK);
	}
	/* Cancelled and expired ones are alike: the one that ended first. */
	for (uint32_t i = 0; i < 8; i++) {
		static const uint32_t went[] = { 4, 5, 6, 7, 2, 3, 0, 1 };
		struct session *s = named(5000 + i, "other", 1);
		uint8_t id[16];

		memcpy(id, s->id, sizeof(id));
		memcpy(id, &went[i], sizeof(went[i]));
		assert_non_null(sessions_find(t, id));
		assert_int_equal(sessions_add(t, s, count_gone, NULL), ST_OK);
		assert_null(sessions_find(t, id));
	}
	sessions_free(t);
}

static void test_table_claims(void **state)
{
	struct session *a = named(1, "p", 2), *b = named(2, "p", 3);
	struct sessions *t;

	assert_int_equal(sessions_new(&t), ST_OK);
	assert_int_equal(sessions_add(t, a, count_gone, NULL), ST_OK);
	assert_int_equal(sessions_add(t, b, count_gone, NULL), ST_OK);
	assert_false(sessions_claimed(t, b, b->items[1].result_id));
	assert_int_equal(session_begin(a, a->manifest, NOW), ST_OK);
	assert_true(sessions_claimed(t, b, b->items[1].result_id));
	assert_false(sessions_claimed(t, a, b->items[1].result_id));
	assert_false(sessions_claimed(t, b, b->items[2].result_id));
	session_refuse(a, 1, STATE_REFUSED, REASON_UNIT_DENIED, NOW);
	assert_false(sessions_claimed(t, b, b->items[1].result_id));
	sessions_release(t, a);
	assert_null(sessions_find(t, a->id));
	assert_int_equal(sessions_count(t), 1);
	session_free(a);
	sessions_free(t);
}

/* One principal opens no more than its share, and leaves the others room. */
static void test_table_shares(void **state)
{
	struct session *one = named(5000, "p", 1), *more = named(5001, "p", SESSION_ITEMS_MAX);
	struct session *other = named(5002, "other", SESSION_ITEMS_MAX);
	struct session *last = NULL;
	struct sessions *t;
	uint32_t k = 0;

	assert_int_equal(sessions_new(&t), ST_OK);
	while (sessions_share_left(t, more)) {
		last = named(k++, "p", SESSION_ITEMS_MAX);
		assert_int_equal(sessions_add(t, last, count_gone, NULL), ST_OK);
	}
	assert_int_equal(k, SESSIONS_OPEN_ITEMS_MAX / SESSION_ITEMS_MAX);
	assert_true(sessions_share_left(t, one));
	assert_true(sessions_share_left(t, other));
	for (; k < SESSIONS_OPEN_MAX; k++)
		assert_int_equal(sessions_add(t, named(k, "p", 1), count_gone, NULL), ST_OK);
	assert_false(sessions_share_left(t, one));
	assert_true(sessions_share_left(t, other));
	/* What has ended counts no more. */
	assert_int_equal(session_cancel(last, NOW), ST_OK);
	assert_true(sessions_share_left(t, one));
	session_free(one);
	session_free(more);
	session_free(other);
	sessions_free(t);
}

static void test_table_items(void **state)
{
	struct sessions *t;
	struct session *s;
	uint32_t k = 0;
	char name[16];
	enum status st;

	gone = 0;
	assert_int_equal(sessions_new(&t), ST_OK);
	do {
		snprintf(name, sizeof(name), "p%u", k / SESSIONS_OPEN_MAX);
		s = named(k++, name, SESSION_ITEMS_MAX);
		st = sessions_add(t, s, count_gone, NULL);
	} while (st == ST_OK);
	assert_int_equal(st, ST_FULL);
	assert_int_equal(sessions_count(t), SESSIONS_ITEMS_MAX / SESSION_ITEMS_MAX);
	sessions_forget(t, (const uint8_t[16]){ 1 });
	assert_int_equal(sessions_add(t, s, count_gone, NULL), ST_OK);
	assert_int_equal(gone, 0);
	sessions_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_manifest),
		cmocka_unit_test(test_manifest_covers),
		cmocka_unit_test(test_confirm),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_fuzz),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_what_goes_first),
		cmocka_unit_test(test_table_claims),
		cmocka_unit_test(test_table_shares),
		cmocka_unit_test(test_table_items),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
