#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/hash.h"
#include "catalogue/catalogue.h"
#include "catalogue/demo.h"
#include "catalogue/image.h"
#include "io/file.h"
#include "schemafile.h"

static const char hand[] =
	"\"hand\": { \"image\": \"s.pbm\", \"width_mm\": 45, \"height_mm\": 20 },\n\"kinds\"";

static void folder(struct tmpdir *t)
{
	assert_int_equal(tmpdir_make(t), 0);
	schema_folder(t->path);
	schema_put(t->path, "signers/s.json", good_signer, "\"kinds\"", hand);
}

static void read_picture(const struct tmpdir *t, const char *name, uint8_t **bytes, size_t *n)
{
	char path[600];
	struct error e;

	snprintf(path, sizeof(path), "%s/%s", t->path, name);
	assert_int_equal(file_read(path, IMAGE_BYTES_MAX, bytes, n, &e), ST_OK);
}

/* The bytes are fixed on every machine: results of the demo stay comparable. */
static void the_same_code_gives_the_same_bytes(void **state)
{
	static const struct { const char *name, *sha256; uint32_t width, height; } want[] = {
		{ "agencies/u.pbm",
		  "fc4442188921ff5d4dfc80d6a124d61757129fa1060c2a85109e42c7635a025d", 850, 850 },
		{ "signers/s.pbm",
		  "1768ee4e64daefa267220428f2fae3ca4cfd3bc0174ce3a3640c168cbca41fdf", 1062, 472 },
	};
	struct tmpdir t;
	struct error e;

	folder(&t);
	assert_int_equal(catalogue_demo_images(t.path, &e), ST_OK);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		uint8_t *file, digest[SHA256_BYTES];
		const uint8_t *bits;
		char hex[2 * SHA256_BYTES + 1] = "";
		uint32_t width, height;
		size_t n;

		read_picture(&t, want[i].name, &file, &n);
		assert_null(image_parse(slice_of(file, n), &width, &height, &bits));
		assert_int_equal(width, want[i].width);
		assert_int_equal(height, want[i].height);
		sha256_once(file, n, digest);
		hex_lower(hex, digest, SHA256_BYTES);
		assert_string_equal(hex, want[i].sha256);
		free(file);
	}
	tmpdir_remove(&t);
}

static void another_code_gives_another_image(void **state)
{
	struct tmpdir t;
	struct error e;
	uint8_t *one, *other;
	size_t one_n, other_n;

	folder(&t);
	schema_put(t.path, "agencies/w.json",
		   "{\"code\": \"w\", \"versions\": [ { \"seal\": { \"image\": \"w.pbm\", "
		   "\"width_mm\": 36, \"height_mm\": 36 } } ] }", NULL, NULL);
	assert_int_equal(catalogue_demo_images(t.path, &e), ST_OK);
	read_picture(&t, "agencies/u.pbm", &one, &one_n);
	read_picture(&t, "agencies/w.pbm", &other, &other_n);
	assert_int_equal(one_n, other_n);
	assert_memory_not_equal(one, other, one_n);
	free(one);
	free(other);
	tmpdir_remove(&t);
}

static void what_is_there_stays(void **state)
{
	struct tmpdir t;
	struct error e;
	uint8_t *file;
	size_t n;

	folder(&t);
	schema_put(t.path, "agencies/u.pbm", "mine", NULL, NULL);
	assert_int_equal(catalogue_demo_images(t.path, &e), ST_OK);
	read_picture(&t, "agencies/u.pbm", &file, &n);
	assert_int_equal(n, 4);
	free(file);
	tmpdir_remove(&t);
	assert_int_equal(catalogue_demo_images("/nowhere", &e), ST_IO);
	assert_non_null(strstr(e.text, "/nowhere"));
}

static void names_that_lead_out_are_left_alone(void **state)
{
	struct tmpdir t;
	struct error e;
	char path[600];

	folder(&t);
	schema_put(t.path, "agencies/u.json", good_unit, "u.pbm", "../u.pbm");
	schema_put(t.path, "agencies/broken.json", "{", NULL, NULL);
	assert_int_equal(catalogue_demo_images(t.path, &e), ST_OK);
	snprintf(path, sizeof(path), "%s/u.pbm", t.path);
	assert_int_not_equal(remove(path), 0);
	tmpdir_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_code_gives_the_same_bytes),
		cmocka_unit_test(another_code_gives_another_image),
		cmocka_unit_test(what_is_there_stays),
		cmocka_unit_test(names_that_lead_out_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
