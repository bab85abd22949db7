#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "storesame.h"

void same_opened(struct storesame *f)
{
	struct error e;

	assert_int_equal(f->store->ops->reader_open(f->store, &f->reader, &e), ST_OK);
}

void same_close(struct storesame *f)
{
	if (f->store == NULL)
		return;
	f->store->ops->reader_close(f->reader);
	f->store->ops->close(f->store);
	f->store = NULL;
}

enum status same_put_batch(struct storesame *f)
{
	return storewait_put(&f->wait, f->store, f->sc.b);
}

void same_put(struct storesame *f, uint32_t first, uint32_t n)
{
	storecase_fill(&f->sc, first, n);
	assert_int_equal(same_put_batch(f), ST_OK);
	for (uint32_t i = 0; i < n; i++)
		assert_int_equal(f->sc.b->items[i].stored, ST_OK);
}

enum status same_get(struct storesame *f, uint32_t k, struct result_view *v)
{
	return f->store->ops->get(f->reader, storecase_lane(k), storecase_sequence(k), v);
}

/* Result k stands in the batch that is filled. */
static void check_file(struct storesame *f, uint32_t k, const struct item *it)
{
	uint8_t *want, got[16384];
	size_t size, n, at = 0;

	want = storecase_file(it, &size);
	assert_true(size < sizeof(got));
	do {
		n = 1000;
		assert_int_equal(f->store->ops->read(f->reader, storecase_lane(k),
						     storecase_sequence(k),
						     at, got + at, &n), ST_OK);
		at += n;
	} while (n == 1000);
	assert_int_equal(at, size);
	assert_memory_equal(got, want, size);
	free(want);
}

void same_check_all(struct storesame *f, uint32_t first, uint32_t n)
{
	storecase_fill(&f->sc, first, n);
	for (uint32_t i = 0; i < n; i++)
		check_file(f, first + i, &f->sc.b->items[i]);
}

static void layer_fill(struct layer *l, const char *bytes)
{
	l->bytes = (const uint8_t *)bytes;
	l->size = (uint32_t)strlen(bytes);
	sha256_once(l->bytes, l->size, l->sha256);
}

void same_proof(struct proof *p, const char *list)
{
	char hex[2 * SHA256_BYTES + 1] = "";

	*p = (struct proof){ .v = { .members_n = 1, .members = { &p->list } } };
	layer_fill(&p->v.certificate, "a certificate");
	layer_fill(&p->list, list);
	hex_lower(hex, p->list.sha256, SHA256_BYTES);
	snprintf(p->set, sizeof(p->set), EVIDENCE_HEAD "\nlist %s\nnot revoked\n", hex);
	layer_fill(&p->v.set, p->set);
}

void same_put_with(struct storesame *f, uint32_t k, const struct proof *p)
{
	struct signature_slot *plan = &f->sc.b->items[0].slots[0].plan;

	storecase_fill(&f->sc, k, 1);
	plan->evidence = &p->v;
	memcpy(plan->cert_sha256, p->v.certificate.sha256, SHA256_BYTES);
	assert_int_equal(same_put_batch(f), ST_OK);
}

static void take_mark(void *ctx, const struct register_mark *m)
{
	uint64_t *highest = ctx;

	if (strcmp(m->unit, "don-vi-0") == 0 && strcmp(m->code, "XN") == 0 && m->year == 2026)
		*highest = m->highest;
}

uint64_t same_highest(struct storesame *f)
{
	uint64_t v = 0;
	struct error e;

	assert_int_equal(f->store->ops->marks(f->store, take_mark, &v, &e), ST_OK);
	return v;
}

/* ---- put and get ---- */

void same_stored_as_given(void **state)
{
	struct storesame *f = *state;
	struct result_view v;
	const struct item *it;

	same_put(f, 0, 10);
	it = &f->sc.b->items[4];
	assert_int_equal(same_get(f, 4, &v), ST_OK);
	assert_int_equal(v.state, STATE_STORED);
	assert_int_equal(v.life, LIFE_VALID);
	assert_true(slice_eq(v.unit, it->result->unit));
	assert_true(slice_eq(v.case_code, it->c.code));
	assert_true(slice_eq(v.kind, slice_str("xac-nhan")));
	assert_true(slice_eq(v.register_code, slice_str("XN")));
	assert_true(slice_eq(v.number_text, slice_str(it->number_text)));
	assert_true(slice_eq(v.case_bytes, it->case_bytes));
	assert_int_equal(v.number, it->number);
	assert_int_equal(v.stored_ms, SAME_NOW_MS);
	assert_int_equal(v.issued_ms, it->issued_ms);
	assert_int_equal(v.file_size, it->doc.file_size);
	assert_memory_equal(v.file_sha256, it->file_sha256, SHA256_BYTES);
	assert_memory_equal(v.case_digest, it->case_digest, SHA256_BYTES);
	assert_memory_equal(v.template_version, it->template_version, SHA256_BYTES);
	assert_memory_equal(v.result_id, it->result_id, 16);
	assert_int_equal(v.signatures_n, 2);
	assert_int_equal(v.signatures[1].role, ROLE_AGENCY);
	assert_true(slice_eq(v.signatures[1].subject, slice_str("Khóa số 1")));
	assert_memory_equal(v.signatures[1].cert_sha256, it->slots[1].plan.cert_sha256, 32);
	assert_int_equal(same_get(f, 10, &v), ST_NOT_FOUND);
	assert_int_equal(f->store->ops->get(f->reader, (uint8_t)(it->lane ^ 1), it->sequence, &v),
			 ST_NOT_FOUND);
	same_check_all(f, 0, 10);
}

void same_offsets(void **state)
{
	struct storesame *f = *state;
	const struct item *it;
	uint8_t buf[64], *want;
	size_t n = sizeof(buf), size;

	same_put(f, 0, 8);
	it = &f->sc.b->items[7];
	want = storecase_file(it, &size);
	assert_int_equal(f->store->ops->read(f->reader, it->lane, it->sequence, size - 10, buf, &n),
			 ST_OK);
	assert_int_equal(n, 10);
	assert_memory_equal(buf, want + size - 10, 10);
	n = sizeof(buf);
	assert_int_equal(f->store->ops->read(f->reader, it->lane, it->sequence, size + 5, buf, &n),
			 ST_OK);
	assert_int_equal(n, 0);
	/* Downloads in turns on one thread, more than are kept open. */
	for (uint32_t k = 0; k < 8; k++) {
		n = sizeof(buf);
		assert_int_equal(f->store->ops->read(f->reader, storecase_lane(k),
						     storecase_sequence(k), 100, buf, &n), ST_OK);
		assert_int_equal(n, sizeof(buf));
		assert_memory_equal(buf, f->sc.layers[0].bytes + 100, sizeof(buf));
	}
	free(want);
}

void same_first_stored_wins(void **state)
{
	struct storesame *f = *state;
	struct result_view v;
	struct item *it = &f->sc.b->items[1];

	same_put(f, 0, 3);
	storecase_fill(&f->sc, 0, 4);
	/* The same again, signed anew: other bytes; one with other content; a new one. */
	f->sc.b->items[0].doc.body[5] ^= 1;
	it->c.code = slice_str("khac");
	storecase_encode(&f->sc, it);
	assert_int_equal(same_put_batch(f), ST_OK);
	assert_int_equal(f->sc.b->items[0].stored, ST_EXISTS);
	assert_int_equal(f->sc.b->items[1].stored, ST_CONFLICT);
	assert_int_equal(f->sc.b->items[2].stored, ST_EXISTS);
	/* Whoever looks what is there after the fact finds the new one, too. */
	assert_true(f->sc.b->items[3].stored == ST_OK || f->sc.b->items[3].stored == ST_EXISTS);
	same_check_all(f, 0, 4);
	assert_int_equal(same_get(f, 1, &v), ST_OK);
	assert_false(slice_eq(v.case_code, slice_str("khac")));
}

void same_number_taken(void **state)
{
	struct storesame *f = *state;
	struct void_entry gone = { .unit = slice_str("don-vi-0"), .register_code = slice_str("XN"),
				   .year = 2026, .number = 900, .sequence = 5,
				   .reason = slice_str("sai"), .actor = slice_str("ai") };
	struct error e = { 0 };

	same_put(f, 0, 6);
	assert_int_equal(f->store->ops->void_number(f->store, &gone, &e), ST_OK);
	storecase_fill(&f->sc, 60, 2);
	f->sc.b->items[0].number = storecase_number(&f->sc, 3);	/* that of result 3, same unit */
	f->sc.b->items[1].number = 7;
	assert_int_equal(same_put_batch(f), ST_OK);
	assert_int_equal(f->sc.b->items[0].stored, ST_CONFLICT);
	assert_int_equal(f->sc.b->items[1].stored, ST_OK);
	storecase_fill(&f->sc, 63, 1);
	f->sc.b->items[0].number = 900;
	assert_int_equal(same_put_batch(f), ST_OK);
	assert_int_equal(f->sc.b->items[0].stored, ST_CONFLICT);
}

void same_held_items_stay_out(void **state)
{
	struct storesame *f = *state;
	struct result_view v;

	storecase_fill(&f->sc, 0, 3);
	f->sc.b->items[1].held = REASON_KEY_MISSING;
	assert_int_equal(same_put_batch(f), ST_OK);
	assert_int_equal(same_get(f, 0, &v), ST_OK);
	assert_int_equal(same_get(f, 1, &v), ST_NOT_FOUND);
	assert_int_equal(same_get(f, 2, &v), ST_OK);
}

/* ---- what people ask ---- */

static void key_of(const struct storecase *sc, uint32_t k, uint8_t key[16])
{
	char number[32];

	storecase_holder(sc, k, number);
	holder_key_of_id(key, ID_CITIZEN, slice_str("VN"), slice_str(number));
}

void same_list_pages(void **state)
{
	struct storesame *f = *state;
	struct holding_view rows[7];
	uint8_t key[16];
	uint64_t before = 0;
	uint32_t n, got = 0;
	char mine[32], other[32];

	for (uint32_t k = 0; k < 5120; k += 128)	/* the older ones are in SQLite */
		same_put(f, k, 128);
	key_of(&f->sc, 0, key);
	storecase_holder(&f->sc, 0, mine);
	for (uint32_t k = 5120; k > 0;) {
		assert_int_equal(f->store->ops->list(f->reader, key, before, 7, rows, &n), ST_OK);
		if (n == 0)
			break;
		for (uint32_t i = 0; i < n; i++) {
			do
				storecase_holder(&f->sc, --k, other);
			while (strcmp(mine, other) != 0);
			assert_int_equal(rows[i].result.sequence, storecase_sequence(k));
			assert_int_equal(rows[i].role, HOLDER_OWNER);
			assert_true(slice_eq(rows[i].result.kind, slice_str("xac-nhan")));
			got++;
		}
		before = rows[n - 1].result.sequence;
	}
	assert_true(got > 200);
	memset(key, 0, sizeof(key));
	assert_int_equal(f->store->ops->list(f->reader, key, 0, 7, rows, &n), ST_OK);
	assert_int_equal(n, 0);
}

void same_find_case(void **state)
{
	struct storesame *f = *state;
	uint8_t lanes[8];
	uint64_t sequences[8];
	uint32_t n;

	storecase_fill(&f->sc, 0, 6);
	/* Results 0 and 3, of one unit, are of one case. */
	f->sc.b->items[3].c.code = f->sc.b->items[0].c.code;
	assert_int_equal(same_put_batch(f), ST_OK);
	assert_int_equal(f->store->ops->find_case(f->reader, slice_str("don-vi-0"),
						  slice_str("H29.15-261124-000000"), 8, lanes,
							  sequences,
						  &n), ST_OK);
	assert_int_equal(n, 2);
	assert_int_equal(sequences[0], storecase_sequence(3));
	assert_int_equal(lanes[1], storecase_lane(0));
	assert_int_equal(f->store->ops->find_case(f->reader, slice_str("don-vi-1"),
						  slice_str("H29.15-261124-000000"), 8, lanes,
							  sequences,
						  &n), ST_NOT_FOUND);
	assert_int_equal(f->store->ops->find_number(f->reader, slice_str("don-vi-0"),
						    slice_str("XN"),
						    2026, 2, lanes, sequences), ST_OK);
	assert_int_equal(sequences[0], storecase_sequence(3));
	assert_int_equal(f->store->ops->find_number(f->reader, slice_str("don-vi-0"),
						    slice_str("XN"),
						    2025, 2, lanes, sequences), ST_NOT_FOUND);
}

/* A birth certificate: child without number, two parents, a guardian until it is of age. */
void same_holders(void **state)
{
	struct storesame *f = *state;
	static const struct field_def defs[] = { { .name = "ngay_sinh", .type = FIELD_DATE } };
	struct kind kind = f->sc.kind;
	struct item *it = &f->sc.b->items[0];
	struct field date = { .name = slice_str("ngay_sinh"), .type = FIELD_DATE,
			      .date = { 2008, 2, 29 } };
	struct holding_view row;
	uint8_t key[16];
	uint32_t n;

	kind.fields = defs;
	kind.fields_n = 1;
	kind.child_birth_field = 0;
	storecase_fill(&f->sc, 0, 1);
	it->kind = &kind;
	it->c.results[0].fields = &date;
	it->c.holders[0].number = slice_str("");
	it->c.holders[0].role = HOLDER_CHILD;
	it->c.holders[1] = it->c.holders[2] = it->c.holders[0];
	it->c.holders[1].number = it->c.holders[2].number = slice_str("079012345678");
	it->c.holders[1].role = HOLDER_GUARDIAN;
	it->c.holders[2].role = HOLDER_OTHER;		/* the same person twice: one holding */
	it->c.holders_n = 3;
	storecase_encode(&f->sc, it);
	assert_int_equal(same_put_batch(f), ST_OK);
	holder_key_of_id(key, ID_CITIZEN, slice_str("VN"), slice_str("079012345678"));
	assert_int_equal(f->store->ops->list(f->reader, key, 0, 1, &row, &n), ST_OK);
	assert_int_equal(n, 1);
	assert_int_equal(row.role, HOLDER_GUARDIAN);
	assert_int_equal(row.to, 20260228);
	holder_key(key, &it->c.holders[0], it->result->unit, it->c.code, 0);
	assert_int_equal(f->store->ops->list(f->reader, key, 0, 1, &row, &n), ST_OK);
	assert_int_equal(n, 1);
	assert_int_equal(row.role, HOLDER_CHILD);
	assert_int_equal(row.to, 0);
}

void same_validity(void **state)
{
	struct storesame *f = *state;
	static const struct field_def defs[] = { { .name = "den", .type = FIELD_DATE } };
	struct kind kind = f->sc.kind;
	struct item *it = &f->sc.b->items[0];
	struct field date = { .name = slice_str("den"), .type = FIELD_DATE, .date = { 2021, 0,
										     0 } };
	struct result_view v;

	kind.fields = defs;
	kind.fields_n = 1;
	kind.validity_field = 0;
	storecase_fill(&f->sc, 0, 2);
	it->kind = &kind;
	it->c.results[0].fields = &date;
	assert_int_equal(same_put_batch(f), ST_OK);
	assert_int_equal(same_get(f, 0, &v), ST_OK);
	assert_int_equal(v.valid_until, 20211231);
	assert_int_equal(v.life, LIFE_EXPIRED);
	/* Issued on 18 November 2026, six months. */
	assert_int_equal(same_get(f, 1, &v), ST_OK);
	assert_int_equal(v.valid_until, 20270518);
}

/* ---- acts ---- */

void same_life(void **state)
{
	struct storesame *f = *state;
	struct item *it = &f->sc.b->items[0];
	struct result_event ev = { .lane = storecase_lane(1), .sequence = storecase_sequence(1),
				   .kind = EVENT_REVOKED, .at_ms = SAME_NOW_MS,
				   .actor = slice_str("ai"),
				   .detail = slice_str("ly do") };
	struct result_event handed = { .kind = EVENT_HANDED, .at_ms = SAME_NOW_MS,
				       .actor = slice_str("van-thu"),
				       .detail = slice_str("cu\nmoi\nly do") };
	struct result_view v;
	struct error e = { 0 };
	uint8_t first[16];
	char old[ID_TEXT_BYTES];

	same_put(f, 0, 3);
	memcpy(first, f->sc.b->items[0].result_id, 16);
	id_text(old, first);
	storecase_fill(&f->sc, 3, 1);
	it->c.results[0].replaces = slice_of(old, sizeof(old));
	it->c.results[0].revision = 1;
	assert_int_equal(same_put_batch(f), ST_OK);
	assert_int_equal(f->store->ops->events(f->store, &ev, 1, &e), ST_OK);
	assert_int_equal(f->store->ops->events(f->store, &ev, 1, &e), ST_OK);
	/* Handed to another signer it is as valid as it was. */
	handed.sequence = storecase_sequence(2);
	handed.lane = storecase_lane(2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(f->store->ops->events(f->store, &handed, 1, &e), ST_OK);
		assert_int_equal(f->store->ops->events(f->store, &handed, 1, &e), ST_OK);
		handed.at_ms++;
	}
	/* However often it is read later, it stays revoked. */
	ev.kind = EVENT_READ;
	for (int i = 0; i < 70; i++)
		assert_int_equal(f->store->ops->events(f->store, &ev, 1, &e), ST_OK);
	ev.kind = 77;
	assert_int_equal(f->store->ops->events(f->store, &ev, 1, &e), ST_INVALID);
	ev.sequence = storecase_sequence(99);
	assert_int_equal(f->store->ops->events(f->store, &ev, 1, &e), ST_NOT_FOUND);
	for (int again = 0; again < 2; again++) {
		assert_int_equal(same_get(f, 0, &v), ST_OK);
		assert_int_equal(v.life, LIFE_REPLACED);
		assert_memory_equal(v.replaced_by, it->result_id, 16);
		assert_int_equal(same_get(f, 1, &v), ST_OK);
		assert_int_equal(v.life, LIFE_REVOKED);
		assert_int_equal(same_get(f, 2, &v), ST_OK);
		assert_int_equal(v.life, LIFE_VALID);
		assert_int_equal(same_get(f, 3, &v), ST_OK);
		assert_memory_equal(v.replaces, first, 16);
		f->reopen(f);
	}
}

/* Who reads many at once is noted for each of them, with one write, or for none. */
void same_reads_together(void **state)
{
	struct storesame *f = *state;
	static struct result_event ev[BATCH_GET_MAX];
	struct error e = { 0 };
	struct result_view v;

	for (uint32_t k = 0; k < 1024; k += 128)
		same_put(f, k, 128);
	for (uint32_t i = 0; i < BATCH_GET_MAX; i++)
		ev[i] = (struct result_event){ .lane = storecase_lane(i), .kind = EVENT_READ,
					       .sequence = storecase_sequence(i),
					       .at_ms = SAME_NOW_MS,
					       .actor = slice_str("ai"),
					       .detail = slice_str("gi") };
	ev[900].sequence = storecase_sequence(5000);
	assert_int_equal(f->store->ops->events(f->store, ev, BATCH_GET_MAX, &e), ST_NOT_FOUND);
	ev[900].sequence = storecase_sequence(900);
	assert_int_equal(f->store->ops->events(f->store, ev, BATCH_GET_MAX, &e), ST_OK);
	assert_int_equal(same_get(f, 999, &v), ST_OK);
	f->reopen(f);
	assert_int_equal(f->event_rows(f), BATCH_GET_MAX);
}

void same_link(void **state)
{
	struct storesame *f = *state;
	struct holding_link l = { .lane = storecase_lane(2), .sequence = storecase_sequence(2),
				  .at_ms = SAME_NOW_MS, .actor = slice_str("ai"),
				  .reason = slice_str("Cấp số định danh"),
				  .holder = { .id_kind = ID_CITIZEN, .role = HOLDER_CHILD,
					      .country = slice_str("VN"), .from = 20261124,
					      .number = slice_str("079000000001"),
					      .name = slice_str("Trẻ Thử") } };
	struct result_event act = { .lane = storecase_lane(2), .sequence = storecase_sequence(2),
				    .kind = EVENT_HANDED, .actor = slice_str("van-thu"),
				    .detail = slice_str("cu\nmoi\nly do") }, rows[8];
	struct holding_view row;
	struct result_view v;
	struct error e = { 0 };
	uint32_t n;

	holder_key_of_id(l.key, ID_CITIZEN, slice_str("VN"), l.holder.number);
	assert_int_equal(f->store->ops->link(f->store, &l, &e), ST_NOT_FOUND);
	same_put(f, 0, 4);
	assert_int_equal(f->store->ops->link(f->store, &l, &e), ST_OK);
	assert_int_equal(f->store->ops->link(f->store, &l, &e), ST_OK);
	assert_int_equal(f->store->ops->list(f->reader, l.key, 0, 1, &row, &n), ST_OK);
	assert_int_equal(n, 1);
	assert_int_equal(row.result.sequence, l.sequence);
	assert_int_equal(row.role, HOLDER_CHILD);
	assert_int_equal(row.from, 20261124);
	/* A link is no change of life, but one of what happened to it. */
	assert_int_equal(same_get(f, 2, &v), ST_OK);
	assert_int_equal(v.life, LIFE_VALID);
	act.at_ms = SAME_NOW_MS + 1;
	assert_int_equal(f->store->ops->events(f->store, &act, 1, &e), ST_OK);
	f->reopen(f);
	assert_int_equal(f->store->ops->history(f->reader, l.lane, l.sequence, 8, rows, &n), ST_OK);
	assert_int_equal(n, 2);
	assert_int_equal(rows[0].kind, EVENT_LINKED);
	assert_int_equal(rows[0].at_ms, SAME_NOW_MS);
	assert_true(slice_eq(rows[0].actor, l.actor) && slice_eq(rows[0].detail, l.reason));
	assert_int_equal(rows[1].kind, EVENT_HANDED);
	assert_int_equal(f->store->ops->history(f->reader, l.lane, l.sequence, 1, rows, &n), ST_OK);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].kind, EVENT_LINKED);
	/* Nor can events() tell one: it would be a holder whom no list has. */
	act.kind = EVENT_LINKED;
	assert_int_equal(f->store->ops->events(f->store, &act, 1, &e), ST_INVALID);
}

void same_void(void **state)
{
	struct storesame *f = *state;
	struct void_entry v = { .unit = slice_str("don-vi-0"), .register_code = slice_str("XN"),
				.year = 2026, .number = 5, .sequence = 77, .at_ms = SAME_NOW_MS,
				.reason = slice_str("hỏng"), .actor = slice_str("ai") };
	struct error e = { 0 };
	uint8_t lane;
	uint64_t sequence;

	same_put(f, 0, 6);
	assert_int_equal(same_highest(f), 2);
	assert_int_equal(f->store->ops->void_number(f->store, &v, &e), ST_OK);
	assert_int_equal(f->store->ops->void_number(f->store, &v, &e), ST_OK);
	assert_int_equal(same_highest(f), 5);
	assert_int_equal(f->store->ops->find_number(f->reader, v.unit, v.register_code, 2026, 5,
						    &lane, &sequence), ST_NOT_FOUND);
	v.number = 1;
	assert_int_equal(f->store->ops->void_number(f->store, &v, &e), ST_CONFLICT);
	v.number = 6;
	v.sequence = 0;
	v.used_outside = true;
	assert_int_equal(f->store->ops->void_number(f->store, &v, &e), ST_OK);
	assert_int_equal(same_highest(f), 6);
}

/* What the book told: numbers and states, in its order. */
struct told { uint64_t number[16]; enum book_state state[16]; uint32_t n, stop_at; };

static bool tell_book(void *ctx, const struct book_entry *b)
{
	struct told *t = ctx;

	assert_false(b->damaged);
	assert_int_equal(b->result.number, b->number);
	if (b->state == BOOK_ISSUED)
		assert_true(b->result.case_bytes.n > 0 && b->result.sequence == b->sequence);
	else
		assert_true(slice_eq(b->actor, slice_str("ai")));
	t->number[t->n] = b->number;
	t->state[t->n++] = b->state;
	return t->n != t->stop_at;
}

static struct told book_of(struct storesame *f, uint64_t after, uint32_t max, uint32_t stop_at)
{
	struct told t = { .stop_at = stop_at };
	uint32_t n = 99;

	assert_int_equal(f->store->ops->book(f->reader, slice_str("don-vi-0"), slice_str("XN"),
					     2026, after, max, tell_book, &t, &n), ST_OK);
	assert_int_equal(n, t.n);
	return t;
}

/* Issued, void, used outside and a gap: told as they are, from memory and after a restart. */
void same_book(void **state)
{
	struct storesame *f = *state;
	struct void_entry v = { .unit = slice_str("don-vi-0"), .register_code = slice_str("XN"),
				.year = 2026, .number = 4, .sequence = 77, .at_ms = SAME_NOW_MS,
				.reason = slice_str("hỏng"), .actor = slice_str("ai") };
	struct error e = { 0 };
	struct told t;
	uint32_t n = 99;

	same_put(f, 0, 9);
	assert_int_equal(f->store->ops->void_number(f->store, &v, &e), ST_OK);
	v.number = 6;
	v.sequence = 0;
	v.used_outside = true;
	assert_int_equal(f->store->ops->void_number(f->store, &v, &e), ST_OK);
	for (int i = 0; i < 2; i++) {
		static const enum book_state states[] = { BOOK_ISSUED, BOOK_ISSUED, BOOK_ISSUED,
							  BOOK_VOID, BOOK_OUTSIDE };
		static const uint64_t numbers[] = { 1, 2, 3, 4, 6 };

		t = book_of(f, 0, 16, 0);
		assert_int_equal(t.n, 5);
		assert_memory_equal(t.number, numbers, sizeof(numbers));
		assert_memory_equal(t.state, states, sizeof(states));
		t = book_of(f, 2, 2, 0);
		assert_true(t.n == 2 && t.number[0] == 3 && t.number[1] == 4);
		assert_int_equal(book_of(f, 0, 16, 3).n, 3);
		assert_int_equal(book_of(f, 6, 16, 0).n, 0);
		f->reopen(f);
	}
	assert_int_equal(f->store->ops->book(f->reader, slice_str("don-vi-0"), slice_str("XN"),
					     2025, 0, 9, tell_book, &t, &n), ST_OK);
	assert_int_equal(n, 0);
}

/* A result whose number was voided: an end that is shown like any other. */
void same_voided_result(void **state)
{
	struct storesame *f = *state;
	struct void_entry gone = { .unit = slice_str("don-vi-0"), .register_code = slice_str("XN"),
				   .year = 2026, .number = 3, .lane = storecase_lane(6),
				   .sequence = storecase_sequence(6), .at_ms = SAME_NOW_MS + 5,
				   .held = REASON_KEY_MISSING, .kind = slice_str("xac-nhan"),
				   .case_code = slice_str("H29.15-261124-000000"),
				   .number_text = slice_str("03/XN"), .ordinal = 1, .revision = 2,
				   .accepted_ms = 7, .issued_ms = 8, .reason = slice_str("hỏng"),
				   .actor = slice_str("ai"), .result_id = { 1, 2, 3 } };
	struct result_event ev = { .lane = gone.lane, .sequence = gone.sequence,
				   .kind = EVENT_READ };
	struct error e = { 0 };
	struct result_view v;
	uint64_t sequences[8];
	uint8_t lanes[8], byte;
	uint32_t n;
	size_t one = 1;

	same_put(f, 0, 6);
	assert_int_equal(f->store->ops->void_number(f->store, &gone, &e), ST_OK);
	storecase_fill(&f->sc, 6, 1);
	assert_int_equal(same_put_batch(f), ST_OK);
	assert_int_equal(f->sc.b->items[0].stored, ST_CONFLICT);
	assert_int_equal(f->store->ops->events(f->store, &ev, 1, &e), ST_NOT_FOUND);
	for (int again = 0; again < 3; again++) {
		assert_int_equal(same_get(f, 6, &v), ST_OK);
		assert_int_equal(v.state, STATE_VOID);
		assert_int_equal(v.held, REASON_KEY_MISSING);
		assert_int_equal(v.result_id[2], 3);
		assert_int_equal(v.revision, 2);
		assert_int_equal(v.number, 3);
		assert_int_equal(v.stored_ms, SAME_NOW_MS + 5);
		assert_int_equal(v.accepted_ms, 7);
		assert_int_equal(v.issued_ms, 8);
		assert_true(slice_eq(v.kind, gone.kind));
		assert_true(slice_eq(v.number_text, gone.number_text));
		assert_true(slice_eq(v.register_code, gone.register_code));
		assert_true(slice_eq(v.void_reason, gone.reason));
		assert_int_equal(f->store->ops->read(f->reader, gone.lane, gone.sequence, 0, &byte,
						     &one), ST_NOT_FOUND);
		assert_int_equal(f->store->ops->get(f->reader, (uint8_t)(gone.lane ^ 1),
						    gone.sequence, &v), ST_NOT_FOUND);
		assert_int_equal(f->store->ops->find_case(f->reader, gone.unit, gone.case_code, 8,
							  lanes, sequences, &n), ST_OK);
		assert_int_equal(n, 2);
		assert_int_equal(sequences[0], gone.sequence);
		f->reopen(f);
	}
}

/* One that ended without a number is no entry in the register, and answers for ever. */
void same_ended_result(void **state)
{
	static const enum state ends[] = { STATE_REFUSED, STATE_WITHDRAWN, STATE_TIMED_OUT };
	struct storesame *f = *state;
	struct error e = { 0 };
	struct result_view v;
	uint8_t byte;
	size_t one = 1;

	same_put(f, 0, 6);
	for (uint32_t i = 0; i < ARRAY_LEN(ends); i++) {
		struct void_entry end = { .unit = slice_str("don-vi-0"),
					  .lane = storecase_lane(6 + i), .accepted_ms = 7,
					  .sequence = storecase_sequence(6 + i),
					  .at_ms = SAME_NOW_MS + 5, .kind = slice_str("xac-nhan"),
					  .case_code = slice_str("H29.15-261124-000000"),
					  .state = (uint8_t)ends[i], .reason = slice_str("thiếu"),
					  .actor = slice_str("ai"), .result_id = { 9 } };

		assert_int_equal(f->store->ops->void_number(f->store, &end, &e), ST_OK);
		assert_int_equal(f->store->ops->void_number(f->store, &end, &e), ST_OK);
	}
	assert_int_equal(same_highest(f), 2);
	for (int again = 0; again < 2; again++) {
		for (uint32_t i = 0; i < ARRAY_LEN(ends); i++) {
			assert_int_equal(same_get(f, 6 + i, &v), ST_OK);
			assert_int_equal(v.state, ends[i]);
			assert_int_equal(v.number, 0);
			assert_int_equal(v.number_text.n, 0);
			assert_int_equal(v.issued_ms, 0);
			assert_int_equal(v.stored_ms, SAME_NOW_MS + 5);
			assert_true(slice_eq(v.void_reason, slice_str("thiếu")));
			assert_int_equal(f->store->ops->read(f->reader, storecase_lane(6 + i),
							     storecase_sequence(6 + i), 0, &byte,
							     &one), ST_NOT_FOUND);
		}
		f->reopen(f);
	}
	same_check_all(f, 0, 6);
}

/* ---- what was held because the store has another ---- */

static struct void_entry disputed(uint64_t number, uint32_t k)
{
	return (struct void_entry){ .unit = slice_str("don-vi-0"), .register_code = slice_str("XN"),
				    .year = 2026, .number = number, .lane = storecase_lane(k),
				    .sequence = storecase_sequence(k), .at_ms = SAME_NOW_MS,
				    .held = REASON_STORE_CONFLICT, .kind = slice_str("xac-nhan"),
				    .case_code = slice_str("H29.15-261124-999999"),
				    .number_text = slice_str("1/XN"), .reason = slice_str("trùng"),
				    .actor = slice_str("ai"), .result_id = { 1, 2, 3 } };
}

/* Told twice, as a restart does: number 1 stays result 0's, and that stays as it is. */
static void dispute(struct storesame *f, const struct void_entry *v)
{
	struct error e = { 0 };
	uint64_t sequence = 0;
	struct result_view view;
	uint8_t lane;

	for (int i = 0; i < 2; i++) {
		assert_int_equal(f->store->ops->void_number(f->store, v, &e), ST_OK);
		f->reopen(f);
	}
	assert_int_equal(f->store->ops->find_number(f->reader, v->unit, v->register_code, 2026, 1,
						    &lane, &sequence), ST_OK);
	assert_int_equal(sequence, storecase_sequence(0));
	assert_int_equal(f->store->ops->find_number(f->reader, v->unit, v->register_code, 2026, 7,
						    &lane, &sequence), ST_NOT_FOUND);
	assert_int_equal(same_get(f, 0, &view), ST_OK);
	assert_int_equal(view.state, STATE_STORED);
	assert_int_equal(view.number, 1);
}

void same_disputed(void **state)
{
	struct storesame *f = *state;
	struct void_entry number = disputed(1, 6), sequence = disputed(7, 0), both = disputed(1, 0);
	struct result_view view;

	same_put(f, 0, 6);
	assert_int_equal(same_highest(f), 2);
	dispute(f, &number);
	assert_int_equal(same_get(f, 6, &view), ST_OK);
	assert_int_equal(view.state, STATE_VOID);
	assert_int_equal(view.held, REASON_STORE_CONFLICT);
	assert_true(slice_eq(view.number_text, number.number_text));
	dispute(f, &both);
	assert_int_equal(same_highest(f), 2);
	dispute(f, &sequence);
	assert_int_equal(same_highest(f), 7);
}

/* ---- evidence ---- */

static void check_kept(struct storesame *f, const struct layer *l)
{
	struct slice s;

	assert_int_equal(f->store->ops->object(f->reader, l->sha256, &s), ST_OK);
	assert_true(slice_eq(s, slice_of(l->bytes, l->size)));
}

void same_evidence_is_kept(void **state)
{
	struct storesame *f = *state;
	static const uint8_t none[SHA256_BYTES];
	struct proof old, new;
	struct result_view v;
	struct slice s;

	same_proof(&old, "the list of Monday");
	same_proof(&new, "the list of Tuesday");
	assert_int_equal(f->store->ops->object(f->reader, old.list.sha256, &s), ST_NOT_FOUND);
	same_put_with(f, 0, &old);
	same_put_with(f, 1, &old);
	same_put_with(f, 2, &new);
	for (int again = 0; again < 2; again++) {
		check_kept(f, &old.v.certificate);
		check_kept(f, &old.v.set);
		check_kept(f, &old.list);
		check_kept(f, &new.v.set);
		check_kept(f, &new.list);
		assert_int_equal(same_get(f, 1, &v), ST_OK);
		assert_memory_equal(v.signatures[0].evidence_sha256, old.v.set.sha256, 32);
		assert_memory_equal(v.signatures[1].evidence_sha256, none, 32);
		assert_int_equal(same_get(f, 2, &v), ST_OK);
		assert_memory_equal(v.signatures[0].evidence_sha256, new.v.set.sha256, 32);
		f->reopen(f);
	}
}

/* ---- certified copies ---- */

#define ORIGINAL (2u * OBJECT_CHUNK_BYTES + 5000)	/* three pieces */

void same_bring(struct storesame *f, uint8_t lane, struct slice bytes)
{
	struct upload u;
	struct error e = { 0 };
	int fd;

	assert_int_equal(upload_begin(f->objects, &u, bytes.n, &e), ST_OK);
	assert_int_equal(upload_add(&u, bytes, &e), ST_OK);
	assert_int_equal(upload_end(&u, &fd, &e), ST_OK);
	close(fd);
	assert_int_equal(objects_keep(f->objects, &u, &e), ST_OK);
	for (int again = 0; again < 2; again++)
		assert_int_equal(f->store->ops->original_keep(f->store, lane, u.sha256, bytes.n,
							      &e), ST_OK);
	objects_release(f->objects, u.sha256, true);
}

/* The file as it must be; the caller frees it. */
static uint8_t *copy_file(const struct item *it, struct slice original)
{
	const struct document *d = &it->doc;
	uint8_t *all = malloc(d->file_size), *at = all;

	assert_non_null(all);
	memcpy(at, part_bytes(d, &d->parts[0]), d->parts[0].size);
	at += d->parts[0].size;
	for (uint32_t i = 0; i < d->section->runs_n; i++) {
		const struct section_run *run = &d->section->runs[i];

		memcpy(at, (run->original ? original.p : d->body) + run->offset, run->size);
		at += run->size;
	}
	for (uint8_t i = 1; i < d->parts_n; i++) {
		memcpy(at, part_bytes(d, &d->parts[i]), d->parts[i].size);
		at += d->parts[i].size;
	}
	assert_int_equal(at - all, d->file_size);
	return all;
}

static enum status read_at(struct storesame *f, uint32_t k, uint64_t offset, uint8_t *buf,
			   size_t *n)
{
	return f->store->ops->read(f->reader, storecase_lane(k), storecase_sequence(k), offset,
				   buf, n);
}

/* In the pieces of a download; some of it out of order, with other files open in between. */
static void check_copy(struct storesame *f, uint32_t k, const uint8_t *want, size_t size)
{
	static uint8_t got[DOWNLOAD_CHUNK_BYTES];
	static const size_t places[] = { 2000000, 0, 3500010, 5, 1500010 };
	uint8_t byte;
	size_t n;

	for (size_t at = 0; at < size; at += n) {
		n = sizeof(got);
		assert_int_equal(read_at(f, k, at, got, &n), ST_OK);
		assert_int_equal(n, size - at < sizeof(got) ? size - at : sizeof(got));
		assert_memory_equal(got, want + at, n);
	}
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		for (uint32_t other = 1; other < 6; other++) {
			n = 1;
			assert_int_equal(read_at(f, other, 0, &byte, &n), ST_OK);
		}
		n = 100;
		assert_int_equal(read_at(f, k, places[i], got, &n), ST_OK);
		assert_int_equal(n, 100);
		assert_memory_equal(got, want + places[i], n);
	}
}

void same_copies(void **state)
{
	struct storesame *f = *state;
	struct item *it = &f->sc.b->items[0];
	uint8_t *bytes = malloc(ORIGINAL), *want, byte;
	struct slice original = slice_of(bytes, ORIGINAL);
	uint8_t sha256[SHA256_BYTES];
	struct error e = { 0 };
	size_t n = 1, size;

	for (uint32_t i = 0; i < ORIGINAL; i++)
		bytes[i] = (uint8_t)(i * 13 + i / 255 + i / 65000);
	sha256_once(bytes, ORIGINAL, sha256);
	same_bring(f, storecase_lane(0), original);
	storecase_fill(&f->sc, 0, 6);
	storecase_copy(&f->sc, it, original);
	assert_int_equal(same_put_batch(f), ST_OK);
	assert_int_equal(objects_have(f->objects, sha256, ORIGINAL), !f->keeps);
	want = copy_file(it, original);
	size = it->doc.file_size;
	check_copy(f, 0, want, size);
	f->reopen(f);
	check_copy(f, 0, want, size);
	/* What this machine lost, a server has. */
	assert_int_equal(f->store->ops->original_fetch(f->store, storecase_lane(0), sha256,
						       ORIGINAL, &e),
			 f->keeps ? ST_OK : ST_NOT_FOUND);
	assert_true(objects_have(f->objects, sha256, ORIGINAL));
	objects_remove(f->objects, sha256);
	assert_true(objects_have(f->objects, sha256, ORIGINAL));
	if (f->keeps)
		objects_release(f->objects, sha256, true);
	f->spoil(f);
	/* Brought again: what stands there is not what was brought. */
	assert_int_equal(f->store->ops->original_keep(f->store, storecase_lane(0), sha256,
						      ORIGINAL, &e),
			 f->keeps ? ST_CORRUPT : ST_OK);
	assert_int_equal(read_at(f, 0, 0, &byte, &n), ST_CORRUPT);
	assert_int_not_equal(f->store->ops->original_fetch(f->store, storecase_lane(0), sha256,
							   ORIGINAL, &e), ST_OK);
	free(want);
	free(bytes);
}
