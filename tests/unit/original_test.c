/* Cases with an original: the same again, other bytes than without, nothing read beyond bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "case.h"

#define BYTES_MAX 65536
#define ARENA_BYTES (1024 * 1024)

struct room {
	uint8_t bytes[BYTES_MAX];
	struct arena arena;
};

static struct original_run runs[2] = { { 100, 500 }, { 700, 300 } };
static uint8_t palette[6] = { 0, 0, 0, 255, 255, 255 };

static struct original_image image(void)
{
	return (struct original_image){
		.width = 1654, .height = 2339, .coding = IMAGE_FLATE_ROWS, .components = 1,
		.bits = 1, .orientation = 6,
		.page_width = 59528, .page_height = 84189,
		.x = -10, .y = 20, .shown_width = 59528, .shown_height = 84000,
		.palette = { palette, sizeof(palette) }, .runs_n = 2, .runs = runs,
	};
}

static struct slice encoded(struct room *room, const struct original *o)
{
	struct field field = { .name = slice_str("ten"), .type = FIELD_TEXT,
			       .text = slice_str("Bằng") };
	struct case_result results[2] = {
		{ .unit = slice_str("u"), .kind = slice_str("k"), .fields_n = 1, .fields = &field,
		  .original = o },
		{ .unit = slice_str("u"), .kind = slice_str("l"), .ordinal = 1 },
	};
	struct holder holder = { .id_kind = ID_CITIZEN, .number = slice_str("072199000001") };
	struct case_view c = { .code = slice_str("H1"), .holders_n = 1, .results_n = 2,
			       .holders = &holder, .results = results };
	struct writer w = writer_of(room->bytes, sizeof(room->bytes));

	assert_int_equal(case_encode(&c, &w), ST_OK);
	return writer_slice(&w);
}

static int setup(void **state)
{
	struct room *room = calloc(1, sizeof(*room));

	if (room == NULL || arena_init(&room->arena, ARENA_BYTES) != ST_OK)
		return -1;
	*state = room;
	return 0;
}

static int teardown(void **state)
{
	struct room *room = *state;

	arena_free(&room->arena);
	free(room);
	return 0;
}

static void the_same_again(void **state)
{
	struct room *room = *state;
	struct original_image m = image();
	struct original o = { .format = ORIGINAL_PNG, .size = 1000, .pages = 1, .images_n = 1,
			      .images = &m };
	const struct original *got;
	struct case_view c;

	o.sha256[31] = 7;
	assert_int_equal(case_decode(&c, encoded(room, &o), &room->arena), ST_OK);
	got = c.results[0].original;
	assert_non_null(got);
	assert_null(c.results[1].original);
	assert_int_equal(got->format, ORIGINAL_PNG);
	assert_int_equal(got->size, 1000);
	assert_memory_equal(got->sha256, o.sha256, SHA256_BYTES);
	assert_int_equal(got->images[0].width, 1654);
	assert_int_equal(got->images[0].orientation, 6);
	assert_false(got->images[0].inverted);
	assert_int_equal(got->images[0].x, -10);
	assert_int_equal(got->images[0].shown_height, 84000);
	assert_int_equal(got->images[0].palette.n, sizeof(palette));
	assert_memory_equal(got->images[0].runs, runs, sizeof(runs));
}

static void it_belongs_to_the_content(void **state)
{
	struct room *room = *state;
	struct original o = { .format = ORIGINAL_PDF, .wrapped = ORIGINAL_SIGNED, .size = 9 };
	uint8_t plain[SHA256_BYTES], one[SHA256_BYTES], other[SHA256_BYTES];
	struct slice bytes = encoded(room, NULL);

	assert_int_equal(bytes.p[0], CASE_VERSION);
	assert_int_equal(case_digest(bytes, plain), ST_OK);
	bytes = encoded(room, &o);
	assert_int_equal(bytes.p[0], CASE_VERSION_ORIGINAL);
	assert_int_equal(case_digest(bytes, one), ST_OK);
	o.sha256[0] ^= 1;
	assert_int_equal(case_digest(encoded(room, &o), other), ST_OK);
	assert_memory_not_equal(plain, one, SHA256_BYTES);
	assert_memory_not_equal(one, other, SHA256_BYTES);
}

/* The same copy sent again after an upgrade is the same one. */
static void what_was_found_in_it_does_not(void **state)
{
	struct room *room = *state;
	struct original_image m = image();
	struct original o = { .format = ORIGINAL_PDF, .wrapped = ORIGINAL_SIGNED, .size = 1000 };
	uint8_t wrapped[SHA256_BYTES], rebuilt[SHA256_BYTES];

	assert_int_equal(case_digest(encoded(room, &o), wrapped), ST_OK);
	o.wrapped = ORIGINAL_REBUILT;
	o.pages = o.images_n = 1;
	o.images = &m;
	assert_int_equal(case_digest(encoded(room, &o), rebuilt), ST_OK);
	assert_memory_equal(wrapped, rebuilt, SHA256_BYTES);
}

static void refused(struct room *room, const struct original *o)
{
	struct case_view c;

	arena_reset(&room->arena);
	assert_int_equal(case_decode(&c, encoded(room, o), &room->arena), ST_CORRUPT);
}

static void what_cannot_be_is_refused(void **state)
{
	struct room *room = *state;
	struct original_image m = image();
	struct original good = { .format = ORIGINAL_PNG, .size = 1000, .pages = 1, .images_n = 1,
				 .images = &m }, o = good;

	o.format = ORIGINAL_FORMAT_COUNT;
	refused(room, &o);
	o = good;
	o.wrapped = ORIGINAL_COLOUR;	/* wrapped, but with an image */
	refused(room, &o);
	o = good;
	o.size = 999;			/* its last run ends behind it */
	refused(room, &o);
	o = good;
	o.pages = 2;
	refused(room, &o);
	m.bits = 3;
	refused(room, &good);
	m = image();
	m.orientation = 9;
	refused(room, &good);
	m = image();
	m.coding = IMAGE_JPEG;		/* with a palette */
	refused(room, &good);
	m = image();
	m.width = 0;
	refused(room, &good);
	m = image();
	m.runs_n = 0;
	refused(room, &good);
	m = image();
	m.inverted = true;		/* with a palette */
	refused(room, &good);
	m = image();
	m.palette.n = 0;
	m.bits = 8;
	m.inverted = true;
	refused(room, &good);
}

/* One bit of black and white may be turned round. */
static void black_may_be_one(void **state)
{
	struct room *room = *state;
	struct original_image m = image();
	struct original o = { .format = ORIGINAL_PNG, .size = 1000, .pages = 1, .images_n = 1,
			      .images = &m };
	struct case_view c;

	m.palette.n = 0;
	m.inverted = true;
	assert_int_equal(case_decode(&c, encoded(room, &o), &room->arena), ST_OK);
	assert_true(c.results[0].original->images[0].inverted);
}

/* Runs may overlap, but a copy is not larger for them than its original. */
static void runs_are_no_more_than_it(void **state)
{
	struct room *room = *state;
	struct original_image m[2] = { image(), image() };
	struct original o = { .format = ORIGINAL_PNG, .size = 1600, .pages = 2, .images_n = 2,
			      .images = m };
	struct case_view c;

	assert_int_equal(case_decode(&c, encoded(room, &o), &room->arena), ST_OK);
	o.size = 1599;
	refused(room, &o);
}

/* Which result of ours it is, and what corrected it; nothing else may say so. */
static void a_source_is_named(void **state)
{
	struct room *room = *state;
	struct original_source source = { .corrected = slice_str("12/ĐC-UBND"),
					  .corrected_day = 20261101 };
	struct original o = { .format = ORIGINAL_PDF, .wrapped = ORIGINAL_OWN, .size = 9 };
	uint8_t without[SHA256_BYTES], with[SHA256_BYTES];
	const struct original *got;
	struct case_view c;

	assert_int_equal(case_digest(encoded(room, &o), without), ST_OK);
	memset(source.id, 7, sizeof(source.id));
	o.source = &source;
	assert_int_equal(case_decode(&c, encoded(room, &o), &room->arena), ST_OK);
	got = c.results[0].original;
	assert_int_equal(got->wrapped, ORIGINAL_OWN);
	assert_non_null(got->source);
	assert_memory_equal(got->source->id, source.id, sizeof(source.id));
	assert_true(slice_eq(got->source->corrected, source.corrected));
	assert_int_equal(got->source->corrected_day, 20261101);
	/* Sent again after its original was corrected, it is the same copy. */
	assert_int_equal(case_digest(encoded(room, &o), with), ST_OK);
	assert_memory_equal(without, with, SHA256_BYTES);
	o.wrapped = ORIGINAL_SIGNED;
	refused(room, &o);
}

/* Bytes changed at random: an answer, and no step outside (run under ASan). */
static void damaged_bytes_do_no_harm(void **state)
{
	struct room *room = *state;
	struct original_image m = image();
	struct original o = { .format = ORIGINAL_PNG, .size = 1000, .pages = 1, .images_n = 1,
			      .images = &m };
	struct slice whole = encoded(room, &o);
	uint8_t *bytes = malloc(whole.n);
	struct case_view c;

	assert_non_null(bytes);
	srand(5);
	for (int round = 0; round < 20000; round++) {
		size_t n = round % 3 == 0 ? (size_t)rand() % whole.n : whole.n;

		memcpy(bytes, whole.p, whole.n);
		for (int i = rand() % 4; i >= 0; i--)
			bytes[(size_t)rand() % whole.n] = (uint8_t)rand();
		arena_reset(&room->arena);
		if (case_decode(&c, (struct slice){ bytes, n }, &room->arena) == ST_OK)
			assert_int_equal(c.results_n, 2);
	}
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_same_again, setup, teardown),
		cmocka_unit_test_setup_teardown(it_belongs_to_the_content, setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_found_in_it_does_not, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(black_may_be_one, setup, teardown),
		cmocka_unit_test_setup_teardown(runs_are_no_more_than_it, setup, teardown),
		cmocka_unit_test_setup_teardown(a_source_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(damaged_bytes_do_no_harm, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
