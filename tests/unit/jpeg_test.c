/* Markers of JPEG files: what a page needs to know of them, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "damage.h"
#include "foreign/exif.h"
#include "foreign/jpeg.h"

#define BYTES_MAX 1024

/* A file of segments; its samples are never looked at. */
struct file { uint8_t p[BYTES_MAX]; size_t n; };

static void put(struct file *f, const void *p, size_t n)
{
	assert_true(f->n + n <= sizeof(f->p));
	memcpy(f->p + f->n, p, n);
	f->n += n;
}

static void segment(struct file *f, uint8_t marker, const void *p, size_t n)
{
	uint8_t head[4] = { 0xFF, marker, (uint8_t)((n + 2) >> 8), (uint8_t)(n + 2) };

	put(f, head, sizeof(head));
	put(f, p, n);
}

#define SEGMENT(f, marker, s) segment(f, marker, s, sizeof(s) - 1)
#define PUT(f, s) put(f, s, sizeof(s) - 1)
#define GREY "\x08\x00\x20\x00\x10\x01\x01\x11\x00"
#define THREE "\x08\x00\x20\x00\x10\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01"
#define FOUR "\x08\x00\x20\x00\x10\x04\x01\x11\x00\x02\x11\x00\x03\x11\x00\x04\x11\x00"

static void begin(struct file *f)
{
	f->n = 0;
	PUT(f, "\xFF\xD8");
}

static void tables(struct file *f)
{
	SEGMENT(f, 0xDB, "\x00quantisation");
	SEGMENT(f, 0xC4, "\x00huffman");
}

/* Of the components 1 … n, progressive or not: bytes enough for 16 × 32 samples. */
static void scan_of(struct file *f, uint8_t n, const char *bytes, size_t bytes_n)
{
	uint8_t head[12] = { n };

	for (uint8_t i = 0; i < n; i++)
		head[1 + 2 * i] = i + 1;
	segment(f, 0xDA, head, 4 + 2u * n);
	put(f, bytes, bytes_n);
}

static void scan(struct file *f, uint8_t n)
{
	scan_of(f, n, "abc\xFF\x00" "defghi\xFF\xFF", 13);
}

static void end(struct file *f)
{
	PUT(f, "\xFF\xD9");
}

static enum reason look(const struct file *f, struct jpeg *j)
{
	uint8_t *exact = malloc(f->n);
	struct detail d;
	enum reason why;

	memcpy(exact, f->p, f->n);
	why = jpeg_look(slice_of(exact, f->n), j, &d);
	free(exact);
	return why;
}

static void whole(struct file *f, uint8_t marker, const void *frame, size_t n)
{
	begin(f);
	tables(f);
	segment(f, marker, frame, n);
	scan(f, ((const uint8_t *)frame)[5]);
	end(f);
}

#define WHOLE(f, marker, s) whole(f, marker, s, sizeof(s) - 1)

static void frames(void **state)
{
	struct file f;
	struct jpeg j;

	for (uint8_t marker = 0xC0; marker <= 0xC2; marker++) {
		WHOLE(&f, marker, THREE);
		assert_int_equal(look(&f, &j), REASON_NONE);
		assert_int_equal(j.wrapped, ORIGINAL_REBUILT);
		assert_int_equal(j.width, 16);
		assert_int_equal(j.height, 32);
		assert_int_equal(j.components, 3);
		assert_int_equal(j.orientation, 1);
		assert_int_equal(j.density.x, 0);
	}
	WHOLE(&f, 0xC0, GREY);
	assert_int_equal(look(&f, &j), REASON_NONE);
	assert_int_equal(j.components, 1);
	WHOLE(&f, 0xC0, FOUR);
	assert_int_equal(look(&f, &j), REASON_NONE);
	assert_int_equal(j.wrapped, ORIGINAL_COLOUR);
	for (uint8_t marker = 0xC3; marker <= 0xCF; marker++) {
		if (marker == 0xC4 || marker == 0xC8 || marker == 0xCC)
			continue;
		WHOLE(&f, marker, THREE);
		assert_int_equal(look(&f, &j), REASON_ORIGINAL_FORMAT);
	}
	WHOLE(&f, 0xC1, "\x0C\x00\x20\x00\x10\x01\x01\x11\x00");
	assert_int_equal(look(&f, &j), REASON_ORIGINAL_FORMAT);
	WHOLE(&f, 0xC0, "\x08\x00\x00\x00\x10\x01\x01\x11\x00");
	assert_int_equal(look(&f, &j), REASON_ORIGINAL_FORMAT);
	WHOLE(&f, 0xC0, "\x08\xEA\x60\xEA\x60\x01\x01\x11\x00");
	assert_int_equal(look(&f, &j), REASON_ORIGINAL_TOO_LARGE);
}

static void what_does_not_hold_together(void **state)
{
	struct file f, cut;
	struct jpeg j;

	WHOLE(&f, 0xC0, THREE);
	for (size_t n = 2; n < f.n; n++) {
		cut = f;
		cut.n = n;
		assert_int_equal(look(&cut, &j), REASON_ORIGINAL_DAMAGED);
	}
	begin(&f);
	tables(&f);
	SEGMENT(&f, 0xC0, THREE);
	end(&f);
	assert_int_equal(look(&f, &j), REASON_ORIGINAL_DAMAGED);
	begin(&f);
	SEGMENT(&f, 0xC0, THREE);
	scan(&f, 3);
	end(&f);
	assert_int_equal(look(&f, &j), REASON_ORIGINAL_DAMAGED);
	WHOLE(&f, 0xC0, "\x08\x00\x20\x00\x10\x01\x01\x51\x00");
	assert_int_equal(look(&f, &j), REASON_ORIGINAL_DAMAGED);
	WHOLE(&f, 0xC0, "\x08\x00\x20\x00\x10\x01\x02\x11\x00");
	assert_int_equal(look(&f, &j), REASON_ORIGINAL_DAMAGED);	/* no scan's component */
}

/* It is whole; but a page would not have what stands behind the image, so it is not rebuilt. */
static void more_behind_the_image(void **state)
{
	struct file f;
	struct jpeg j;

	WHOLE(&f, 0xC0, THREE);
	for (int i = 0; i < 3; i++) {
		put(&f, "\xFF\xD8!" + i, 1);
		assert_int_equal(look(&f, &j), REASON_NONE);
		assert_int_equal(j.wrapped, ORIGINAL_TAIL);
		assert_int_equal(j.height, 32);
	}
	f.p[f.n - 4] = 0;			/* its EOI: now the scan goes on */
	assert_int_equal(look(&f, &j), REASON_ORIGINAL_DAMAGED);
}

/* 16 × 32 samples with an interval of MCUs, and what stands in the scan. */
static enum reason restarted(uint8_t marker, const char *frame, size_t n, uint8_t interval,
			     const char *bytes, size_t bytes_n)
{
	uint8_t every[2] = { 0, interval };
	struct file f;
	struct jpeg j;

	begin(&f);
	tables(&f);
	segment(&f, 0xDD, every, 2);
	segment(&f, marker, frame, n);
	scan_of(&f, (uint8_t)frame[5], bytes, bytes_n);
	end(&f);
	return look(&f, &j);
}

#define RESTARTED(frame, interval, bytes) \
	restarted(0xC0, frame, sizeof(frame) - 1, interval, bytes, sizeof(bytes) - 1)

/* Of 8 MCUs of one block, or 2 of six: what is cut out of a scan is missed. */
static void restarts(void **state)
{
	assert_int_equal(RESTARTED(GREY, 4, "abc\xFF\xD0" "def"), REASON_NONE);
	assert_int_equal(RESTARTED(GREY, 4, "abc\xFF\xD0" "def\xFF\xD1"), REASON_NONE);
	assert_int_equal(RESTARTED(GREY, 3, "a\xFF\xD0" "b\xFF\xD1" "c"), REASON_NONE);
	assert_int_equal(RESTARTED(GREY, 8, "abc"), REASON_NONE);
	assert_int_equal(RESTARTED(THREE, 1, "abc\xFF\xD0" "def"), REASON_NONE);
	assert_int_equal(RESTARTED(GREY, 4, "abcdef"), REASON_ORIGINAL_DAMAGED);
	assert_int_equal(RESTARTED(GREY, 4, "abc\xFF\xD1" "def"), REASON_ORIGINAL_DAMAGED);
	assert_int_equal(RESTARTED(GREY, 2, "a\xFF\xD0" "b\xFF\xD2" "cd"),
			 REASON_ORIGINAL_DAMAGED);
	assert_int_equal(RESTARTED(GREY, 4, "a\xFF\xD0" "b\xFF\xD1" "c\xFF\xD2"),
			 REASON_ORIGINAL_DAMAGED);
	assert_int_equal(RESTARTED(THREE, 1, "abcdef"), REASON_ORIGINAL_DAMAGED);
	assert_int_equal(RESTARTED(GREY, 0, "abc\xFF\xD0" "def"), REASON_ORIGINAL_DAMAGED);
}

/* Two bits a block, or one of a progressive image's first scan: no fewer bytes can be all rows. */
static void scans_that_are_too_short(void **state)
{
	assert_int_equal(RESTARTED(GREY, 0, "ab"), REASON_NONE);
	assert_int_equal(RESTARTED(GREY, 0, "a"), REASON_ORIGINAL_DAMAGED);
	assert_int_equal(RESTARTED(THREE, 0, "abc"), REASON_NONE);
	assert_int_equal(RESTARTED(THREE, 0, "ab"), REASON_ORIGINAL_DAMAGED);
	assert_int_equal(restarted(0xC2, GREY, sizeof(GREY) - 1, 0, "a", 1), REASON_NONE);
	assert_int_equal(restarted(0xC2, GREY, sizeof(GREY) - 1, 0, "", 0),
			 REASON_ORIGINAL_DAMAGED);
	assert_int_equal(restarted(0xC2, THREE, sizeof(THREE) - 1, 0, "a", 1),
			 REASON_ORIGINAL_DAMAGED);
}

/* Each component in a scan of its own, but the last one. */
static void a_component_without_a_scan(void **state)
{
	struct file f;
	struct jpeg j;

	for (int n = 2; n <= 3; n++) {
		begin(&f);
		tables(&f);
		SEGMENT(&f, 0xC0, THREE);
		for (uint8_t i = 1; i <= n; i++) {
			uint8_t head[6] = { 1, i };

			segment(&f, 0xDA, head, 6);
			PUT(&f, "abc");
		}
		end(&f);
		assert_int_equal(look(&f, &j), n == 3 ? REASON_NONE : REASON_ORIGINAL_DAMAGED);
	}
}

static void density_and_colour(void **state)
{
	struct file f;
	struct jpeg j;

	begin(&f);
	SEGMENT(&f, 0xE0, "JFIF\0\x01\x02\x02\x00\x76\x00\x3B\x00\x00");
	tables(&f);
	SEGMENT(&f, 0xC0, "\x08\x00\x20\x00\x10\x03R\x11\x00G\x11\x00" "B\x11\x00");
	SEGMENT(&f, 0xDA, "\x03R\x00G\x00" "B\x00\x00\x3F\x00");
	PUT(&f, "six of");
	end(&f);
	assert_int_equal(look(&f, &j), REASON_NONE);
	assert_int_equal(j.density.x, 11800 * 254 / 100);
	assert_int_equal(j.density.y, 5900 * 254 / 100);
	assert_int_equal(j.wrapped, ORIGINAL_REBUILT);	/* JFIF says that it is YCbCr */
	begin(&f);
	SEGMENT(&f, 0xEE, "Adobe\0\x64\0\0\0\0\0");
	tables(&f);
	SEGMENT(&f, 0xC0, THREE);
	scan(&f, 3);
	end(&f);
	assert_int_equal(look(&f, &j), REASON_NONE);
	assert_int_equal(j.wrapped, ORIGINAL_REBUILT);
}

static void orientation_of_exif(void **state)
{
	static const char big[] = "MM\0*\0\0\0\x08\0\x03"
		"\x01\x12\0\x03\0\0\0\x01\0\x06\0\0"
		"\x01\x1A\0\x05\0\0\0\x01\0\0\0\x32"
		"\x01\x1B\0\x05\0\0\0\x01\0\0\0\x32"
		"\0\0\0\0" "\0\0\x01\x2C\0\0\0\x01";
	static const char little[] = "II*\0\x08\0\0\0\x01\0"
		"\x12\x01\x03\0\x01\0\0\0\x08\0\0\0";
	struct exif e;

	exif_read(slice_of(big, sizeof(big) - 1), &e);
	assert_int_equal(e.orientation, 6);
	assert_int_equal(e.density.x, 30000);
	assert_int_equal(e.density.y, 30000);
	exif_read(slice_of(little, sizeof(little) - 1), &e);
	assert_int_equal(e.orientation, 8);
	for (size_t n = 0; n < sizeof(big) - 1; n++) {
		uint8_t *exact = malloc(n + 1);

		memcpy(exact, big, n);
		exif_read(slice_of(exact, n), &e);
		assert_true(e.orientation == 0 || e.orientation == 6);
		free(exact);
	}
}

static void damaged_at_random(void **state)
{
	struct arena a;
	struct file f;

	assert_int_equal(arena_init(&a, 1 << 20), ST_OK);
	WHOLE(&f, 0xC0, THREE);
	assert_in_range(damage_all(slice_of(f.p, f.n), 20000, &a), 1000, 19000);
	arena_free(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames),
		cmocka_unit_test(what_does_not_hold_together),
		cmocka_unit_test(more_behind_the_image),
		cmocka_unit_test(restarts),
		cmocka_unit_test(scans_that_are_too_short),
		cmocka_unit_test(a_component_without_a_scan),
		cmocka_unit_test(density_and_colour),
		cmocka_unit_test(orientation_of_exif),
		cmocka_unit_test(damaged_at_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
