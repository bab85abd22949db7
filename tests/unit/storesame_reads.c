/* Who read what, as every store has to note and to show it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "identity.h"
#include "storesame.h"

#define SEEN_MAX 128

struct seen {
	uint32_t n;
	struct { uint64_t stamp; uint8_t call; bool reuse; uint16_t names_n;
		 struct result_name first; char actor[32], why[64], requester[32]; } of[SEEN_MAX];
	uint64_t last;
};

static void see(void *ctx, const struct reading_view *v)
{
	struct seen *s = ctx;

	assert_true(s->n < SEEN_MAX);
	s->of[s->n].stamp = v->stamp;
	s->of[s->n].call = v->call;
	s->of[s->n].reuse = v->reuse;
	s->of[s->n].names_n = v->names_n;
	if (v->names_n > 0)
		s->of[s->n].first = reading_name(v, 0);
	snprintf(s->of[s->n].actor, 32, "%.*s", (int)v->actor.n, (const char *)v->actor.p);
	snprintf(s->of[s->n].requester, 32, "%.*s", (int)v->requester.n,
		 (const char *)v->requester.p);
	snprintf(s->of[s->n++].why, 64, "%.*s, %.*s, %.*s", (int)v->purpose.n,
		 (const char *)v->purpose.p, (int)v->legal_basis.n,
		 (const char *)v->legal_basis.p, (int)v->case_code.n,
		 (const char *)v->case_code.p);
}

static void look(struct storesame *f, const uint8_t key[16], uint64_t before, uint32_t max,
		 struct seen *s)
{
	*s = (struct seen){ 0 };
	assert_int_equal(f->store->ops->readings(f->reader, key, before, max, see, s, &s->last),
			 ST_OK);
}

static void key_of(struct storesame *f, uint32_t k, uint8_t key[16])
{
	char number[32];

	storecase_holder(&f->sc, k, number);
	holder_key_of_id(key, ID_CITIZEN, slice_str("VN"), slice_str(number));
}

static struct read_note note_of(uint32_t i, uint8_t call, const struct result_name *names,
				uint32_t n)
{
	return (struct read_note){ .stamp = sequence_make(STORECASE_BASE_MS + i, 3, 0),
				   .call = call, .actor = slice_str("mot-cua"),
				   .purpose = slice_str("Nhập học"),
				   .legal_basis = slice_str("Đ.9"),
				   .requester = slice_str("P. Giáo dục"),
				   .case_code = slice_str("H1"), .names = names, .names_n = n };
}

static void tell(struct storesame *f, const struct read_note *notes, uint32_t n)
{
	struct error e = { 0 };

	if (f->store->ops->note_reads(f->store, notes, n, &e) != ST_OK)
		fail_msg("%s", e.text);
}

/* Each holder sees each call once, newest first, with nothing of others' results in it. */
void same_readings(void **state)
{
	struct storesame *f = *state;
	struct result_name names[4];
	struct read_note notes[4];
	uint8_t mine[16], others[16], nobody[16] = { 7 };
	struct seen s;

	same_put(f, 0, 4);
	for (uint32_t k = 0; k < 4; k++)
		names[k] = (struct result_name){ storecase_lane(k), storecase_sequence(k) };
	key_of(f, 1, mine);
	key_of(f, 2, others);
	assert_memory_not_equal(mine, others, 16);
	notes[0] = note_of(0, READ_GET, &names[1], 1);
	notes[1] = note_of(1, READ_BATCH_GET, names, 4);
	notes[2] = note_of(2, READ_LIST, NULL, 0);
	notes[2].holder = mine;
	notes[2].purpose = notes[2].legal_basis = notes[2].requester = notes[2].case_code =
		(struct slice){ NULL, 0 };
	notes[3] = note_of(3, READ_FIND, &names[1], 1);
	notes[3].holder = mine;
	notes[3].reuse = true;
	tell(f, notes, 4);
	for (int again = 0; again < 2; again++) {
		look(f, mine, 0, SEEN_MAX, &s);
		assert_int_equal(s.n, 4);
		assert_int_equal(s.last, 0);
		for (uint32_t i = 0; i < 4; i++)
			assert_int_equal(s.of[i].stamp, notes[3 - i].stamp);
		assert_int_equal(s.of[0].call, READ_FIND);
		assert_true(s.of[0].reuse);
		assert_int_equal(s.of[0].names_n, 1);
		assert_string_equal(s.of[0].why, "Nhập học, Đ.9, H1");
		assert_string_equal(s.of[0].requester, "P. Giáo dục");
		assert_string_equal(s.of[0].actor, "mot-cua");
		assert_int_equal(s.of[1].names_n, 0);
		assert_string_equal(s.of[1].why, ", , ");
		assert_int_equal(s.of[2].names_n, 1);
		assert_int_equal(s.of[2].first.sequence, storecase_sequence(1));
		assert_int_equal(s.of[2].first.lane, storecase_lane(1));
		look(f, others, 0, SEEN_MAX, &s);
		assert_int_equal(s.n, 1);
		assert_int_equal(s.of[0].first.sequence, storecase_sequence(2));
		look(f, nobody, 0, SEEN_MAX, &s);
		assert_int_equal(s.n, 0);
		f->reopen(f);
	}
	look(f, mine, 0, 3, &s);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.last, notes[1].stamp);
	look(f, mine, s.last, 3, &s);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.of[0].stamp, notes[0].stamp);
}

/* A call of the largest kind, with one that is not stored; and a holder who was added later. */
void same_readings_of_many(void **state)
{
	struct storesame *f = *state;
	static struct result_name names[BATCH_GET_MAX];
	struct holding_link l = { .lane = storecase_lane(2), .sequence = storecase_sequence(2),
				  .at_ms = SAME_NOW_MS, .actor = slice_str("ai"),
				  .holder = { .id_kind = ID_CITIZEN, .role = HOLDER_CHILD,
					      .country = slice_str("VN"),
					      .number = slice_str("079999999999") } };
	struct read_note note = note_of(0, READ_BATCH_GET, names, BATCH_GET_MAX);
	struct error e = { 0 };
	struct seen s;
	uint8_t keys[64][16];
	uint32_t keys_n = 0, all = 0;

	for (uint32_t k = 0; k < 512; k += 128)
		same_put(f, k, 128);
	for (uint32_t i = 0; i < BATCH_GET_MAX; i++)
		names[i] = (struct result_name){ storecase_lane(i % 513),
						 storecase_sequence(i % 513) };
	holder_key_of_id(l.key, ID_CITIZEN, slice_str("VN"), l.holder.number);
	assert_int_equal(f->store->ops->link(f->store, &l, &e), ST_OK);
	tell(f, &note, 1);
	f->reopen(f);
	look(f, l.key, 0, SEEN_MAX, &s);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.of[0].first.sequence, storecase_sequence(2));
	for (uint32_t k = 0; k < 512; k++) {
		uint32_t h = 0;

		key_of(f, k, keys[keys_n]);
		while (memcmp(keys[h], keys[keys_n], sizeof(keys[h])) != 0)
			h++;
		if (h < keys_n)
			continue;
		look(f, keys[keys_n++], 0, SEEN_MAX, &s);
		assert_int_equal(s.n, 1);
		all += s.of[0].names_n;
	}
	assert_int_equal(all, BATCH_GET_MAX - 1);	/* 512 is stored nowhere */
}

/* However often it is fetched: a result used in a case is one. */
void same_reuse_counts_once(void **state)
{
	struct storesame *f = *state;
	struct result_name name = { storecase_lane(1), storecase_sequence(1) };
	struct result_name both[2] = { { storecase_lane(2), storecase_sequence(2) },
				       { storecase_lane(3), storecase_sequence(3) } };
	const bool own[2] = { true, false };
	struct read_note notes[3];
	struct seen s;
	uint8_t key[16];
	int links;

	same_put(f, 0, 4);
	f->reopen(f);
	links = f->event_rows(f);
	notes[0] = note_of(0, READ_GET, &name, 1);
	notes[1] = note_of(1, READ_DOWNLOAD, &name, 1);
	notes[2] = note_of(2, READ_FIND, &name, 1);
	notes[0].reuse = notes[1].reuse = notes[2].reuse = true;
	tell(f, notes, 3);
	notes[0].stamp += 5;
	tell(f, notes, 1);
	notes[1].stamp += 5;
	notes[1].case_code = slice_str("H2");
	tell(f, &notes[1], 1);
	f->reopen(f);
	assert_int_equal(f->event_rows(f) - links, 2);
	notes[1].stamp += 5;
	tell(f, &notes[1], 1);
	notes[1].stamp += 5;
	notes[1].actor = slice_str("khac");
	tell(f, &notes[1], 1);
	f->reopen(f);
	assert_int_equal(f->event_rows(f) - links, 3);
	/* Of one call, that of the reader's own agency is none. */
	notes[2] = note_of(9, READ_BATCH_GET, both, 2);
	notes[2].own = own;
	notes[2].reuse = true;
	tell(f, &notes[2], 1);
	f->reopen(f);
	assert_int_equal(f->event_rows(f) - links, 4);
	for (uint32_t k = 2; k < 4; k++) {
		key_of(f, k, key);
		look(f, key, 0, SEEN_MAX, &s);
		assert_int_equal(s.of[0].stamp, notes[2].stamp);
		assert_int_equal(s.of[0].reuse, k == 3);
	}
}

/* Who was added as a holder sees who reads, however often it was used elsewhere since. */
void same_reuse_hides_no_holder(void **state)
{
	struct storesame *f = *state;
	struct result_name name = { storecase_lane(1), storecase_sequence(1) };
	struct holding_link l = { .lane = storecase_lane(1), .sequence = storecase_sequence(1),
				  .at_ms = SAME_NOW_MS, .actor = slice_str("ai"),
				  .holder = { .id_kind = ID_CITIZEN, .role = HOLDER_CHILD,
					      .country = slice_str("VN"),
					      .number = slice_str("079999999998") } };
	struct error e = { 0 };
	char code[16];
	struct seen s;

	same_put(f, 0, 4);
	holder_key_of_id(l.key, ID_CITIZEN, slice_str("VN"), l.holder.number);
	assert_int_equal(f->store->ops->link(f->store, &l, &e), ST_OK);
	for (uint32_t i = 0; i < LINKS_TOLD_MAX + 2; i++) {
		struct read_note note = note_of(i, READ_GET, &name, 1);

		snprintf(code, sizeof(code), "H-%u", i);
		note.reuse = true;
		note.case_code = slice_str(code);
		tell(f, &note, 1);
	}
	look(f, l.key, 0, SEEN_MAX, &s);
	assert_int_equal(s.n, LINKS_TOLD_MAX + 2);
}
