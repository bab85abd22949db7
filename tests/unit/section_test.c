/*
 * A document's section from its body and its object: hashed as it is read, an object that is
 * missing, damaged or too short is no section; a held file is the same bytes at any offset.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "section.h"
#include "tmpdir.h"

#define BIG (150u * 1024 + 7)

struct rig {
	struct tmpdir tmp;
	struct objects *o;
	uint8_t object[BIG], body[100], prefix[50];
	struct layer layer;
	struct section_run runs[4];
	struct section section;
	struct document d;
	struct section_reader reader;
	struct sha256 *hash;
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct upload u;
	int fd;

	if (r == NULL || tmpdir_make(&r->tmp) != 0 ||
	    objects_open(&r->o, r->tmp.path, NULL) != ST_OK ||
	    section_reader_init(&r->reader) != ST_OK)
		return -1;
	r->hash = sha256_new();
	for (uint32_t i = 0; i < BIG; i++)
		r->object[i] = (uint8_t)(i * 11 + i / 253);
	memset(r->body, 'b', 60);
	memset(r->body + 60, 't', 40);
	memset(r->prefix, 'p', sizeof(r->prefix));
	r->layer = (struct layer){ .bytes = r->prefix, .size = sizeof(r->prefix) };
	r->runs[0] = (struct section_run){ false, 0, 20 };
	r->runs[1] = (struct section_run){ true, 100, 70000 };
	r->runs[2] = (struct section_run){ false, 20, 40 };
	r->runs[3] = (struct section_run){ true, 0, BIG };
	r->section = (struct section){ .size = 60 + 70000 + BIG, .runs_n = 4, .runs = r->runs };
	r->d = (struct document){ .body = r->body, .body_size = sizeof(r->body), .parts_n = 2,
				  .prefix_parts = 1, .section = &r->section };
	r->d.parts[0] = (struct part){ &r->layer, 0, sizeof(r->prefix) };
	r->d.parts[1] = (struct part){ NULL, 60, 40 };
	r->d.file_size = (uint32_t)sizeof(r->prefix) + r->section.size + 40;
	if (upload_begin(r->o, &u, BIG, NULL) != ST_OK ||
	    upload_add(&u, slice_of(r->object, BIG), NULL) != ST_OK ||
	    upload_end(&u, &fd, NULL) != ST_OK || close(fd) != 0)
		return -1;
	memcpy(r->section.sha256, u.sha256, SHA256_BYTES);
	*state = r;
	return objects_keep(r->o, &u, NULL) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	section_reader_free(&r->reader);
	sha256_free(r->hash);
	objects_close(r->o);
	tmpdir_remove(&r->tmp);
	free(r);
	return 0;
}

/* The file as it must be. */
static uint8_t *whole(const struct rig *r)
{
	uint8_t *all = malloc(r->d.file_size), *at = all;

	memcpy(at, r->prefix, sizeof(r->prefix));
	at += sizeof(r->prefix);
	for (uint32_t i = 0; i < 4; i++) {
		memcpy(at, (r->runs[i].original ? r->object : r->body) + r->runs[i].offset,
		       r->runs[i].size);
		at += r->runs[i].size;
	}
	memcpy(at, r->body + 60, 40);
	return all;
}

static enum status hashed(struct rig *r, uint8_t out[SHA256_BYTES])
{
	enum status st;

	sha256_start(r->hash);
	st = section_hash(&r->reader, &r->d, r->o, BIG, r->hash);
	sha256_end(r->hash, out);
	return st;
}

static void it_is_hashed_as_it_stands(void **state)
{
	struct rig *r = *state;
	uint8_t got[SHA256_BYTES], want[SHA256_BYTES], *all = whole(r);

	assert_int_equal(hashed(r, got), ST_OK);
	sha256_once(all + sizeof(r->prefix), r->section.size, want);
	assert_memory_equal(got, want, SHA256_BYTES);
	free(all);
}

static void what_is_not_the_object_is_none(void **state)
{
	struct rig *r = *state;
	uint8_t got[SHA256_BYTES];

	r->runs[1].size = BIG;
	assert_int_equal(hashed(r, got), ST_CORRUPT);
	r->runs[1].size = 70000;
	r->runs[2].offset = 90;
	assert_int_equal(hashed(r, got), ST_CORRUPT);
	r->runs[2].offset = 20;
	/* Where no run is all of it, it is checked all the same. */
	r->runs[3].size = BIG - 1;
	assert_int_equal(hashed(r, got), ST_OK);
	r->section.sha256[31] ^= 1;
	assert_int_equal(hashed(r, got), ST_NOT_FOUND);
	r->section.sha256[31] ^= 1;
	for (uint32_t size = BIG; size >= BIG - 1; size--) {
		char path[400], hex[2 * SHA256_BYTES + 1] = { 0 };
		FILE *f;

		hex_lower(hex, r->section.sha256, SHA256_BYTES);
		snprintf(path, sizeof(path), "%s/waiting/%s", r->tmp.path, hex);
		f = fopen(path, "r+");
		assert_non_null(f);
		assert_int_equal(fseek(f, BIG - 50, SEEK_SET), 0);
		assert_int_equal(fputc('!', f), '!');
		fclose(f);
		assert_int_equal(truncate(path, size), 0);
		assert_int_equal(hashed(r, got), ST_CORRUPT);
	}
}

static void a_held_file_is_the_same(void **state)
{
	static const size_t steps[] = { 1000, 64 * 1024, 33333 };
	struct rig *r = *state;
	struct held_file *f = NULL;
	uint8_t *all = whole(r), *got = malloc(64 * 1024);

	assert_int_equal(held_file_of(&f, &r->d, r->o, BIG), ST_OK);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++)
		for (size_t at = 0; at < r->d.file_size; at += steps[i]) {
			size_t n = r->d.file_size - at < steps[i] ? r->d.file_size - at : steps[i];

			assert_int_equal(held_file_read(f, at, got, n), ST_OK);
			assert_memory_equal(got, all + at, n);
		}
	assert_int_equal(held_file_read(f, r->d.file_size - 5, got, 6), ST_CORRUPT);
	held_file_free(f);
	r->d.section = NULL;
	assert_int_equal(held_file_of(&f, &r->d, NULL, 0), ST_OK);
	assert_int_equal(held_file_read(f, 40, got, 50), ST_OK);
	assert_memory_equal(got, "pppppppppptttttttttttttttttttttttttttttttttttttttt", 50);
	held_file_free(f);
	free(all);
	free(got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_hashed_as_it_stands, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_not_the_object_is_none, setup, teardown),
		cmocka_unit_test_setup_teardown(a_held_file_is_the_same, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
