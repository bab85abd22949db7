#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/wire.h"
#include "rawcase.h"
#include "trien/v1/case.pb-c.h"

#define SCRATCH_BYTES (8u << 20)
#define WIRE_BYTES_MAX (1u << 20)

static struct arena scratch;
static struct rawcase c;
static struct raw_case raw;
static struct refusal why;
static uint8_t *wire;			/* WIRE_BYTES_MAX */

static int set_up(void **state)
{
	wire = malloc(WIRE_BYTES_MAX);
	return wire != NULL && arena_init(&scratch, SCRATCH_BYTES) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	arena_free(&scratch);
	free(wire);
	return 0;
}

/* From a block of its very size, so that a sanitizer sees one byte too many. */
static enum status read_wire(const uint8_t *p, size_t n)
{
	uint8_t *own = malloc(n > 0 ? n : 1);
	enum status st;

	assert_non_null(own);
	memcpy(own, p, n);
	arena_reset(&scratch);
	why = (struct refusal){ 0 };
	st = raw_read(&raw, slice_of(own, n), &scratch, &why);
	assert_int_equal(st == ST_OK, why.reason == REASON_NONE);
	assert_true(raw.holders_n <= CASE_HOLDERS_MAX || st != ST_OK);
	assert_true(raw.results_n <= CASE_RESULTS_MAX || st != ST_OK);
	free(own);
	return st;
}

/* Facts and Approval as a case system fills them. */
static void put_side(struct writer *w)
{
	uint8_t *facts = put_begin(w, 6), *inner;

	put_text(w, 1, "1.004873");
	put_number(w, 3, 1);
	put_time(w, 4, 1795000000123);
	put_text(w, 9, "KQ.1");
	put_text(w, 9, "KQ.2");
	inner = put_begin(w, 10);
	put_text(w, 1, "CSDLQGDC");
	put_time(w, 2, 1795000000000);
	put_end(w, inner);
	put_end(w, facts);
	inner = put_begin(w, 7);
	put_text(w, 1, "chuyên viên");
	put_text(w, 2, "lãnh đạo");
	put_time(w, 5, 1795000000000);
	put_end(w, inner);
}

static size_t good_wire(void)
{
	struct writer w = writer_of(wire, WIRE_BYTES_MAX);

	rawcase_good(&c);
	rawcase_holder(&c)->from = (struct raw_date){ true, 2026, 11, 24 };
	rawcase_result(&c)->ordinal = 1;
	c.results[1].given_number = 7;
	c.results[1].given_text = slice_str("07");
	c.results[1].replaces = slice_str("0123456789ABCDEFGHJKMNPQRS");
	rawcase_write(&w, &c.raw);
	put_side(&w);
	assert_false(w.bad);
	return writer_size(&w);
}

static void assert_same_field(const struct raw_field *f, const Trien__V1__Field *p)
{
	assert_int_equal(f->name.n, strlen(p->name));
	assert_memory_equal(f->name.p, p->name, f->name.n);
	switch (f->type) {
	case FIELD_TEXT:
		assert_int_equal(p->value_case, TRIEN__V1__FIELD__VALUE_TEXT);
		assert_memory_equal(f->text.p, p->text, f->text.n);
		break;
	case FIELD_NUMBER:
		assert_int_equal(f->number.value, p->number->value);
		assert_int_equal(f->number.decimals, p->number->decimals);
		break;
	case FIELD_FLAG:
		assert_int_equal(f->flag, p->flag);
		break;
	case FIELD_DATE:
		assert_int_equal(f->date.year, p->date->year);
		assert_int_equal(f->date.month, p->date->month);
		assert_int_equal(f->date.day, p->date->day);
		break;
	case FIELD_TABLE:
		assert_int_equal(f->table.rows_n, p->table->n_rows);
		for (uint32_t r = 0; r < f->table.rows_n; r++)
			assert_int_equal(f->table.rows[r].cells_n, p->table->rows[r]->n_cells);
		break;
	default:
		fail();
	}
}

/* The oracle is protobuf-c, which reads the same bytes by its own code. */
static void equals_protobuf_c(void **state)
{
	size_t n = good_wire();
	Trien__V1__Case *p = trien__v1__case__unpack(NULL, n, wire);
	struct slice whole = slice_of(wire, n);

	assert_non_null(p);
	arena_reset(&scratch);
	assert_int_equal(raw_read(&raw, whole, &scratch, &why), ST_OK);
	assert_true(slice_eq(raw.code, slice_str(p->code)));
	assert_true(slice_eq(raw.request_id, slice_str(p->request_id)));
	assert_int_equal(raw.priority, p->priority);
	assert_int_equal(raw.holders_n, p->n_holders);
	for (uint32_t i = 0; i < raw.holders_n; i++) {
		assert_int_equal(raw.holders[i].id_kind, p->holders[i]->id_kind);
		assert_true(slice_eq(raw.holders[i].number, slice_str(p->holders[i]->number)));
		assert_true(slice_eq(raw.holders[i].name, slice_str(p->holders[i]->name)));
		assert_int_equal(raw.holders[i].from.given, p->holders[i]->from != NULL);
	}
	assert_int_equal(raw.results_n, p->n_results);
	for (uint32_t i = 0; i < raw.results_n; i++) {
		const struct raw_result *r = &raw.results[i];

		assert_true(slice_eq(r->unit, slice_str(p->results[i]->unit)));
		assert_true(slice_eq(r->kind, slice_str(p->results[i]->kind)));
		assert_true(slice_eq(r->signer, slice_str(p->results[i]->signer)));
		assert_true(slice_eq(r->replaces, slice_str(p->results[i]->replaces)));
		assert_int_equal(r->ordinal, p->results[i]->ordinal);
		assert_int_equal(r->given_number, p->results[i]->given_number);
		assert_int_equal(r->fields_n, p->results[i]->n_fields);
		for (uint32_t k = 0; k < r->fields_n; k++)
			assert_same_field(&r->fields[k], p->results[i]->fields[k]);
	}
	/* Each of the three lengths within takes two bytes more than it needs. */
	assert_int_equal(raw.facts.n, trien__v1__facts__get_packed_size(p->facts) + 3 * 2);
	trien__v1__case__free_unpacked(p, NULL);
}

/* Cut anywhere: malformed, except between two members of the case. */
static void cut_off(void **state)
{
	size_t n = good_wire(), whole = 0;

	for (size_t i = 0; i < n; i++) {
		struct wire w = wire_of(slice_of(wire, i));
		struct wire_field f;
		bool between;

		while (wire_next(&w, &f))
			;
		between = !w.bad;
		whole += between;
		assert_int_equal(read_wire(wire, i), between ? ST_OK : ST_INVALID);
		assert_true(between || why.reason == REASON_MALFORMED);
	}
	assert_int_equal(whole, 9);	/* before each of the nine members */
}

static void a_reject_names_its_case(void **state)
{
	struct writer w = writer_of(wire, WIRE_BYTES_MAX);

	put_slice(&w, 3, slice_str("\xff\xff"));
	put_text(&w, 1, "H99-1");
	assert_int_equal(raw_read(&raw, writer_slice(&w), &scratch, &why), ST_INVALID);
	assert_true(slice_eq(raw.code, slice_str("H99-1")));
}

static enum reason reason_of(const struct writer *w)
{
	read_wire(w->start, writer_size(w));
	return why.reason;
}

static struct writer fresh(void)
{
	return writer_of(wire, WIRE_BYTES_MAX);
}

static void wrong_wire_types(void **state)
{
	for (uint32_t number = 1; number <= 7; number++) {
		struct writer w = fresh();

		put_varint(&w, number << 3 | (number == 4 ? WIRE_BYTES : WIRE_VARINT));
		put_varint(&w, 1);
		write_u8(&w, 0);
		assert_int_equal(reason_of(&w), REASON_MALFORMED);
		/* Groups, and types that do not exist. */
		for (uint32_t type = 3; type < 8; type++) {
			if (type == WIRE_FIXED32)
				continue;
			w = fresh();
			put_varint(&w, number << 3 | type);
			assert_int_equal(reason_of(&w), REASON_MALFORMED);
		}
	}
	/* Unknown members pass, whatever their type. */
	struct writer w = fresh();

	put_number(&w, 1000, 5);
	put_text(&w, 99, "later");
	put_varint(&w, 98 << 3 | WIRE_FIXED64);
	write_u64(&w, 1);
	put_varint(&w, 97 << 3 | WIRE_FIXED32);
	write_u32(&w, 1);
	assert_int_equal(reason_of(&w), REASON_NONE);
	/* Member 0, a number beyond 29 bits, a varint of 11 bytes. */
	w = fresh();
	write_bytes(&w, "\x00\x01", 2);
	assert_int_equal(reason_of(&w), REASON_MALFORMED);
	w = fresh();
	write_bytes(&w, "\x80\x80\x80\x80\x10\x01", 6);
	assert_int_equal(reason_of(&w), REASON_MALFORMED);
	w = fresh();
	write_bytes(&w, "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12);
	assert_int_equal(reason_of(&w), REASON_MALFORMED);
	/* A length beyond the end, beyond 32 and 63 bits. */
	w = fresh();
	write_bytes(&w, "\x0a\x05" "abcd", 6);
	assert_int_equal(reason_of(&w), REASON_MALFORMED);
	w = fresh();
	write_bytes(&w, "\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" "abcd", 15);
	assert_int_equal(reason_of(&w), REASON_MALFORMED);
}

static void repeat(struct writer *w, uint32_t number, uint32_t times)
{
	for (uint32_t i = 0; i < times; i++) {
		put_varint(w, number << 3 | WIRE_BYTES);
		put_varint(w, 0);
	}
}

static void counts_are_bounded(void **state)
{
	struct writer w = fresh();
	uint8_t *result, *field, *table, *row;

	repeat(&w, 2, CASE_HOLDERS_MAX + 1);
	assert_int_equal(reason_of(&w), REASON_TOO_LARGE);
	assert_string_equal(why.field, "holders");
	w = fresh();
	repeat(&w, 3, CASE_RESULTS_MAX + 1);
	assert_int_equal(reason_of(&w), REASON_TOO_LARGE);
	w = fresh();
	repeat(&w, 3, 200000);
	assert_int_equal(reason_of(&w), REASON_TOO_LARGE);
	w = fresh();
	result = put_begin(&w, 3);
	repeat(&w, 9, FIELDS_MAX + 1);
	put_end(&w, result);
	assert_int_equal(reason_of(&w), REASON_TOO_LARGE);
	for (int rows = 0; rows < 2; rows++) {
		w = fresh();
		result = put_begin(&w, 3);
		field = put_begin(&w, 9);
		table = put_begin(&w, 6);
		if (rows) {
			repeat(&w, 1, TABLE_ROWS_MAX + 1);
		} else {
			row = put_begin(&w, 1);
			repeat(&w, 1, TABLE_COLUMNS_MAX + 1);
			put_end(&w, row);
		}
		put_end(&w, table);
		put_end(&w, field);
		put_end(&w, result);
		assert_int_equal(reason_of(&w), REASON_TOO_LARGE);
	}
	/* Whole size. */
	assert_int_equal(read_wire(wire, RAW_CASE_BYTES_MAX + 1), ST_TOO_LARGE);
}

/* The largest tables that counts and size allow fit the scratch. */
static void largest_fits(void **state)
{
	struct writer w = fresh();
	uint8_t *result = put_begin(&w, 3);

	for (int i = 0; i < 36; i++) {
		uint8_t *field = put_begin(&w, 9), *table = put_begin(&w, 6);

		for (int r = 0; r < TABLE_ROWS_MAX; r++) {
			uint8_t *row = put_begin(&w, 1);

			repeat(&w, 1, TABLE_COLUMNS_MAX);
			put_end(&w, row);
		}
		put_end(&w, table);
		put_end(&w, field);
		if (writer_size(&w) > RAW_CASE_BYTES_MAX - 20000)
			break;
	}
	put_end(&w, result);
	assert_false(w.bad);
	assert_true(writer_size(&w) <= RAW_CASE_BYTES_MAX);
	assert_int_equal(reason_of(&w), REASON_NONE);
}

static void two_values_of_one_field(void **state)
{
	struct writer w = fresh();
	uint8_t *result = put_begin(&w, 3), *field = put_begin(&w, 9);

	put_text(&w, 1, "ho_ten");
	put_text(&w, 2, "một");
	put_text(&w, 2, "hai");
	put_end(&w, field);
	put_end(&w, result);
	assert_int_equal(reason_of(&w), REASON_MALFORMED);
}

static void numbers_too_big_stay_big(void **state)
{
	struct writer w = fresh();
	uint8_t *result = put_begin(&w, 3);

	put_number(&w, 3, (uint64_t)UINT32_MAX + 2);
	put_number(&w, 4, UINT64_MAX);
	put_end(&w, result);
	put_number(&w, 4, (uint64_t)UINT32_MAX + 3);
	assert_int_equal(reason_of(&w), REASON_NONE);
	assert_int_equal(raw.results[0].ordinal, UINT32_MAX);
	assert_int_equal(raw.results[0].revision, UINT32_MAX);
	assert_int_equal(raw.priority, UINT32_MAX);
}

static void a_nul_is_a_byte(void **state)
{
	struct writer w = fresh();

	put_slice(&w, 1, slice_of("H99\0x", 5));
	assert_int_equal(raw_read(&raw, writer_slice(&w), &scratch, &why), ST_OK);
	assert_int_equal(raw.code.n, 5);
}

/* ---- facts and approval ---- */

static enum reason facts_of(void (*fill)(struct writer *w))
{
	struct writer w = fresh();
	uint8_t *at = put_begin(&w, 6);

	fill(&w);
	put_end(&w, at);
	assert_false(w.bad);
	return reason_of(&w);
}

static char big[20000];

static void facts_good(struct writer *w) { put_text(w, 1, "1.004873"); }
static void facts_type(struct writer *w) { put_number(w, 1, 5); }
static void facts_utf8(struct writer *w) { put_text(w, 1, "a\xff"); }
static void facts_nul(struct writer *w) { put_slice(w, 1, slice_of("a\0b", 3)); }
static void facts_long(struct writer *w) { put_slice(w, 1, slice_of(big, 401)); }
static void facts_many(struct writer *w) { repeat(w, 9, 33); }
static void facts_huge(struct writer *w) { put_slice(w, 99, slice_of(big, sizeof(big))); }
static void facts_time(struct writer *w) { put_slice(w, 4, slice_str("\x0a\x01x")); }
static void facts_unknown(struct writer *w) { put_text(w, 99, "later"); }
static void facts_cut(struct writer *w) { write_bytes(w, "\x0a\x05x", 3); }

static void side_is_checked(void **state)
{
	struct writer w = fresh();

	memset(big, 'x', sizeof(big));
	assert_int_equal(facts_of(facts_good), REASON_NONE);
	assert_int_equal(facts_of(facts_unknown), REASON_NONE);
	assert_int_equal(facts_of(facts_type), REASON_MALFORMED);
	assert_int_equal(facts_of(facts_time), REASON_MALFORMED);
	assert_int_equal(facts_of(facts_cut), REASON_MALFORMED);
	assert_int_equal(facts_of(facts_utf8), REASON_UTF8_INVALID);
	assert_int_equal(facts_of(facts_nul), REASON_UTF8_INVALID);
	assert_int_equal(facts_of(facts_long), REASON_FIELD_TOO_LONG);
	assert_int_equal(facts_of(facts_many), REASON_TOO_LARGE);
	assert_int_equal(facts_of(facts_huge), REASON_TOO_LARGE);
	/* Twice: which one counts? */
	put_text(&w, 6, "\x0a\x01x");
	put_text(&w, 6, "\x0a\x01y");
	assert_int_equal(reason_of(&w), REASON_MALFORMED);
}

/* A message within itself, as deep as the bytes go. */
static void deep_nesting(void **state)
{
	static const uint8_t numbers[] = { 2, 3, 6, 7, 9 };

	for (size_t k = 0; k < ARRAY_LEN(numbers); k++) {
		uint8_t *p = wire + WIRE_BYTES_MAX;

		for (size_t n = 0; n < RAW_CASE_BYTES_MAX - 10;) {
			uint8_t head[12];
			struct writer w = writer_of(head, sizeof(head));

			put_varint(&w, (uint32_t)numbers[k] << 3 | WIRE_BYTES);
			put_varint(&w, n);
			p -= writer_size(&w);
			memcpy(p, head, writer_size(&w));
			n += writer_size(&w);
		}
		/* Any answer, as long as there is one. */
		(void)read_wire(p, (size_t)(wire + WIRE_BYTES_MAX - p));
	}
}

/* ---- fuzz ---- */

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33);
}

/* What we take, protobuf-c takes too, and sees the same counts. */
static void compare(const uint8_t *bytes, size_t n)
{
	Trien__V1__Case *p = trien__v1__case__unpack(NULL, n, bytes);

	assert_non_null(p);
	assert_int_equal(raw.holders_n, p->n_holders);
	assert_int_equal(raw.results_n, p->n_results);
	trien__v1__case__free_unpacked(p, NULL);
}

static void mutations(void **state)
{
	size_t n = good_wire();
	uint8_t *bytes = malloc(2 * n);
	uint64_t seed = 1;
	uint32_t taken = 0, refused = 0;

	assert_non_null(bytes);
	for (int round = 0; round < 40000; round++) {
		size_t size = n;

		memcpy(bytes, wire, n);
		for (uint32_t k = 1 + next_random(&seed) % 5; k > 0; k--) {
			size_t at = next_random(&seed) % size, from = next_random(&seed) % size;
			size_t some = next_random(&seed) % 32;

			if (at + some > size || from + some > size)
				continue;
			switch (next_random(&seed) % 5) {
			case 0:
				bytes[at] ^= (uint8_t)(1u << next_random(&seed) % 8);
				break;
			case 1:
				bytes[at] = (uint8_t)next_random(&seed);
				break;
			case 2:
				memmove(bytes + at, bytes + from, some);
				break;
			case 3:		/* leave some out */
				memmove(bytes + at, bytes + at + some, size - at - some);
				size -= some;
				break;
			default:	/* put some in */
				if (size + some > 2 * n)
					break;
				memmove(bytes + at + some, bytes + at, size - at);
				size += some;
			}
		}
		if (read_wire(bytes, size) == ST_OK) {
			compare(bytes, size);
			taken++;
		} else {
			refused++;
		}
	}
	assert_true(taken > 1000 && refused > 1000);
	free(bytes);
}

static void noise(void **state)
{
	uint8_t bytes[300];
	uint64_t seed = 99;

	for (int round = 0; round < 20000; round++) {
		size_t n = next_random(&seed) % sizeof(bytes);

		for (size_t i = 0; i < n; i++)
			bytes[i] = (uint8_t)(next_random(&seed) % (round % 2 == 0 ? 256 : 64));
		(void)read_wire(bytes, n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equals_protobuf_c), cmocka_unit_test(cut_off),
		cmocka_unit_test(a_reject_names_its_case), cmocka_unit_test(wrong_wire_types),
		cmocka_unit_test(counts_are_bounded), cmocka_unit_test(largest_fits),
		cmocka_unit_test(two_values_of_one_field),
		cmocka_unit_test(numbers_too_big_stay_big), cmocka_unit_test(a_nul_is_a_byte),
		cmocka_unit_test(side_is_checked), cmocka_unit_test(deep_nesting),
		cmocka_unit_test(mutations), cmocka_unit_test(noise),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
