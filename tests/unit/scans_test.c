/* The load test's own originals: the engine copies each as it is meant to, and no two are alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the ones above. */
#include <cmocka.h>

#include "base/hash.h"
#include "foreign/look.h"
#include "load/scans.h"

#define CODE "L7K3Q9-000000012"

static struct original looked_at(struct arena *a, const struct scans *s, uint32_t i)
{
	size_t n = scans_size(s, i);
	uint8_t *p = malloc(n);
	struct original o = { .size = (uint32_t)n };
	struct detail why = { "" };

	scans_write(s, i, CODE, p);
	arena_reset(a);
	if (look_at(slice_of(p, n), false, a, &o, &why) != REASON_NONE)
		fail_msg("scan %u: %s", i, why.text);
	free(p);
	return o;
}

static void each_is_copied_as_it_is_meant_to_be(void **state)
{
	struct scans *s = scans_make(1);
	uint32_t jpegs = 0, scanned = 0, texts = 0;
	struct arena a;

	assert_int_equal(arena_init(&a, 4 << 20), ST_OK);
	for (uint32_t i = 0; i < SCANS; i++) {
		struct original o = looked_at(&a, s, i);

		assert_in_range(scans_size(s, i), 1500, 100000);
		if (o.wrapped != ORIGINAL_REBUILT) {
			assert_int_equal(o.wrapped, ORIGINAL_NOT_IMAGES);
			texts++;
			continue;
		}
		assert_int_equal(o.images_n, o.pages);
		assert_int_equal(o.images[0].coding, IMAGE_JPEG);
		assert_in_range(o.images[0].width, 800, 1240);
		jpegs += o.format == ORIGINAL_JPEG;
		scanned += o.format == ORIGINAL_PDF && o.pages == 1 + i % 2;
	}
	assert_int_equal(jpegs, SCANS * 5 / 8);
	assert_int_equal(scanned, SCANS / 4);
	assert_int_equal(texts, SCANS / 8);
	arena_free(&a);
	scans_free(s);
}

static void the_hash(const struct scans *s, uint32_t which, const char *code, uint8_t sha256[32])
{
	size_t n = scans_size(s, which);
	uint8_t *p = malloc(n);

	scans_write(s, which, code, p);
	sha256_once(p, n, sha256);
	free(p);
}

static void the_same_seed_and_code_are_the_same_bytes(void **state)
{
	struct scans *a = scans_make(5), *b = scans_make(5), *c = scans_make(6);

	for (uint32_t i = 0; i < SCANS; i++) {
		uint8_t one[32], other[32];

		the_hash(a, i, CODE, one);
		the_hash(b, i + SCANS, CODE, other);
		assert_memory_equal(one, other, sizeof(one));
		the_hash(c, i, CODE, other);
		assert_memory_not_equal(one, other, sizeof(one));
		the_hash(a, i, "L7K3Q9-000000013", other);
		assert_memory_not_equal(one, other, sizeof(one));
		the_hash(a, i + 1, CODE, other);
		assert_memory_not_equal(one, other, sizeof(one));
	}
	scans_free(a);
	scans_free(b);
	scans_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_is_copied_as_it_is_meant_to_be),
		cmocka_unit_test(the_same_seed_and_code_are_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
