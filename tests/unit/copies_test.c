/* Copies as documents: the section, the pages of an original, what is attached, drafts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "copyrig.h"
#include "paper.h"
#include "press_rig.h"
#include "verify/verify.h"

/* Bytes that a reader who searches would stumble over. */
#define NASTY "%PDF-1.4\n1 0 obj\nendstream\nendobj\nxref\n0 1\ntrailer\nstartxref\n7\n%%EOF\n"

static uint8_t object[4096];

static struct original_run two_runs[] = { { 100, 1000 }, { 1200, 800 } };

/* A page of 200 × 300 pt that shows the image whole. */
static struct original_image image_of(enum image_coding coding, uint8_t components, uint8_t bits)
{
	return (struct original_image){
		.width = 40, .height = 60, .coding = (uint8_t)coding, .components = components,
		.bits = bits, .orientation = 1, .page_width = 20000, .page_height = 30000,
		.shown_width = 20000, .shown_height = 30000, .runs_n = ARRAY_LEN(two_runs),
		.runs = two_runs };
}

static struct original original_of(struct original_image *images, uint16_t n)
{
	return (struct original){ .format = ORIGINAL_PDF, .pages = n, .images_n = n,
				  .images = images };
}

static int open_all(void **state)
{
	for (size_t i = 0; i < sizeof(object); i++)
		object[i] = (uint8_t)(i * 31 + i / 256);
	memcpy(object + 150, NASTY, sizeof(NASTY) - 1);
	return bench_open(state);
}

static void rig_open(struct bench *b, struct copyrig *r, const char *kind,
		     const struct original *o)
{
	arena_reset(&b->arena);
	copyrig_open(r, kind, o, slice_of(object, sizeof(object)));
	copyrig_plan(r, 4000);
}

static uint8_t *press(struct bench *b, struct copyrig *r, size_t *n)
{
	uint8_t *file;

	assert_int_equal(copyrig_press(r, b->render, b->press, &b->arena), ST_OK);
	file = copyrig_file(r, n);
	assert_int_equal(*n, r->item.doc.file_size);
	render_release(b->render, r->item.template);
	return file;
}

static uint32_t count(const uint8_t *file, size_t n, const char *text)
{
	const uint8_t *at = file;
	uint32_t times = 0;

	while ((at = memmem(at, n - (size_t)(at - file), text, strlen(text))) != NULL) {
		times++;
		at++;
	}
	return times;
}

/* The stream behind the first dictionary that has this text in it. */
static const uint8_t *stream_of(const uint8_t *file, size_t n, const char *text)
{
	const uint8_t *at = memmem(file, n, text, strlen(text));
	const uint8_t *data;

	assert_non_null(at);
	data = memmem(at, n - (size_t)(at - file), ">>\nstream\n", 10);
	assert_non_null(data);
	return data + 10;
}

/* ---- the file ---- */

static void each_entry_points_at_its_object(const uint8_t *file, size_t n, uint32_t objects)
{
	const char *at = memmem(file, n, "\nxref\n0 ", 8);
	uint32_t size = 0, used = 0;

	/* The attached original has one too. */
	for (const char *next = at; next != NULL;
	     next = memmem(next + 1, n - (size_t)(next + 1 - (const char *)file), "\nxref\n0 ", 8))
		if (strtoul(next + 8, NULL, 10) > 1)
			at = next;
	size = (uint32_t)strtoul(at + 8, (char **)&at, 10);
	at++;
	for (uint32_t i = 0; i < size; i++, at += 20) {
		char want[24];
		unsigned long offset = strtoul(at, NULL, 10);

		if (at[17] != 'n')
			continue;
		snprintf(want, sizeof(want), "%u 0 obj\n", i);
		assert_true(offset + strlen(want) < n);
		assert_memory_equal(file + offset, want, strlen(want));
		used++;
	}
	assert_int_equal(used, size - 1);
	assert_true(size > objects);
}

static void sections_and_holes_lie_where_they_are_said_to(void **state)
{
	struct bench *b = *state;
	struct original_image images[3];
	struct original o = original_of(images, 3);
	struct copyrig r;
	uint64_t at = 0;
	size_t n;
	uint8_t *file;

	for (int i = 0; i < 3; i++)
		images[i] = image_of(IMAGE_JPEG, 3, 8);
	rig_open(b, &r, COPYRIG_CERTIFIED, &o);
	file = press(b, &r, &n);
	for (uint8_t i = 0, hole = 0; i < r.item.doc.parts_n; i++) {
		const struct document *d = &r.item.doc;

		if (i == d->prefix_parts)
			at += d->section->size;
		if (hole < d->holes_n && d->holes[hole].part == i) {
			assert_int_equal(d->holes[hole].file_offset, at);
			assert_int_equal(file[at], '<');
			assert_int_equal(file[at + 3999], '>');
			hole++;
		}
		at += d->parts[i].size;
	}
	assert_int_equal(at, n);
	assert_int_equal(r.item.doc.holes[1].revision_end, n);
	assert_int_equal(r.item.doc.pages, 4);
	/* Under a development CA every page says so. */
	assert_int_equal(count(file, n, "/M Do"), 4);
	assert_memory_equal(r.item.doc.section->sha256, r.original.sha256, SHA256_BYTES);
	each_entry_points_at_its_object(file, n, 50);
	free(file);
	copyrig_close(&r);
}

static void its_bytes_are_those_that_came(void **state)
{
	struct bench *b = *state;
	struct original_image image = image_of(IMAGE_JPEG, 3, 8);
	struct original o = original_of(&image, 1);
	struct copyrig r;
	const uint8_t *data;
	size_t n;
	uint8_t *file;

	rig_open(b, &r, COPYRIG_CERTIFIED, &o);
	file = press(b, &r, &n);
	data = stream_of(file, n, "/Filter/DCTDecode/Length 1800>>");
	assert_memory_equal(data, object + 100, 1000);
	assert_memory_equal(data + 1000, object + 1200, 800);
	assert_memory_equal(data + 1800, "\nendstream\nendobj\n", 18);
	data = stream_of(file, n, "/Type/EmbeddedFile/Subtype/application#2Fpdf/Params<</Size "
			 "4096>>/Length 4096>>");
	assert_memory_equal(data, object, sizeof(object));
	assert_memory_equal(data + sizeof(object), "\nendstream\nendobj\n", 18);
	assert_int_equal(count(file, n, "/AFRelationship/Source"), 1);
	assert_int_equal(count(file, n, "(ban-goc.pdf)"), 3);
	free(file);
	copyrig_close(&r);
}

static void the_same_copy_gives_the_same_bytes(void **state)
{
	struct bench *b = *state;
	struct original_image image = image_of(IMAGE_FLATE, 1, 8);
	struct original o = original_of(&image, 1);
	struct copyrig r;
	uint8_t *files[2];
	size_t n[2];

	rig_open(b, &r, COPYRIG_CERTIFIED, &o);
	for (int i = 0; i < 2; i++)
		files[i] = press(b, &r, &n[i]);
	assert_int_equal(n[0], n[1]);
	assert_memory_equal(files[0], files[1], n[0]);
	free(files[0]);
	free(files[1]);
	copyrig_close(&r);
}

/* ---- images ---- */

static void dictionaries(void **state)
{
	static const uint8_t palette[6] = { 0, 1, 2, 0xfd, 0xfe, 0xff };
	static const struct { uint8_t coding, components, bits; bool inverted, palette;
			      const char *want; } rows[] = {
		{ IMAGE_JPEG, 1, 8, false, false,
		  "/BitsPerComponent 8/ColorSpace/DeviceGray/Filter/DCTDecode/Length" },
		{ IMAGE_JPEG, 3, 8, false, false,
		  "/ColorSpace/DeviceRGB/Filter/DCTDecode/Length" },
		{ IMAGE_FLATE, 3, 16, false, false,
		  "/BitsPerComponent 16/ColorSpace/DeviceRGB/Filter/FlateDecode/Length" },
		{ IMAGE_FLATE, 1, 1, true, false,
		  "/BitsPerComponent 1/ColorSpace/DeviceGray/Filter/FlateDecode/Decode[1 0]/L" },
		{ IMAGE_FLATE_ROWS, 1, 4, false, true,
		  "/BitsPerComponent 4/ColorSpace[/Indexed/DeviceRGB 1<000102FDFEFF>]"
		  "/Filter/FlateDecode/DecodeParms<</Predictor 15/Colors 1/BitsPerComponent 4"
		  "/Columns 40>>/Length" },
		{ IMAGE_FLATE_ROWS, 3, 8, false, false,
		  "/DecodeParms<</Predictor 15/Colors 3/BitsPerComponent 8/Columns 40>>/Length" },
		{ IMAGE_FAX, 1, 1, false, false,
		  "/CCITTFaxDecode/DecodeParms<</K -1/Columns 40/Rows 60>>/Length 1800" },
		{ IMAGE_FAX, 1, 1, true, false,
		  "/CCITTFaxDecode/DecodeParms<</K -1/Columns 40/Rows 60/BlackIs1 true>>/Len" },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct original_image image = image_of((enum image_coding)rows[i].coding,
						       rows[i].components, rows[i].bits);
		struct original o = original_of(&image, 1);
		struct copyrig r;
		size_t n;
		uint8_t *file;

		image.inverted = rows[i].inverted;
		if (rows[i].palette)
			image.palette = slice_of(palette, sizeof(palette));
		rig_open(b, &r, COPYRIG_CERTIFIED, &o);
		file = press(b, &r, &n);
		if (count(file, n, rows[i].want) != 1)
			fail_msg("%s", rows[i].want);
		free(file);
		copyrig_close(&r);
	}
}

/* Page of 200 × 300 pt, image shown at (10, 20), 150 × 250. */
static void orientations(void **state)
{
	static const char *const want[] = {
		"q 150 0 0 250 10 20 cm/I Do Q",	/* as it is */
		"q -150 0 0 250 160 20 cm/I Do Q",	/* mirrored */
		"q -150 0 0 -250 160 270 cm/I Do Q",	/* upside down */
		"q 150 0 0 -250 10 270 cm/I Do Q",
		"q 0 -250 -150 0 160 270 cm/I Do Q",	/* transposed */
		"q 0 -250 150 0 10 270 cm/I Do Q",	/* a quarter to the right */
		"q 0 250 150 0 10 20 cm/I Do Q",
		"q 0 250 -150 0 160 20 cm/I Do Q",	/* a quarter to the left */
	};
	struct bench *b = *state;

	for (uint8_t i = 0; i < ARRAY_LEN(want); i++) {
		struct original_image image = image_of(IMAGE_JPEG, 3, 8);
		struct original o = original_of(&image, 1);
		struct copyrig r;
		size_t n;
		uint8_t *file;

		image.orientation = i + 1;
		image.x = 1000;
		image.y = 2000;
		image.shown_width = 15000;
		image.shown_height = 25000;
		rig_open(b, &r, COPYRIG_CERTIFIED, &o);
		file = press(b, &r, &n);
		if (count(file, n, want[i]) != 1)
			fail_msg("%s", want[i]);
		assert_int_equal(count(file, n, "/MediaBox[0 0 200 300]"), 1);
		free(file);
		copyrig_close(&r);
	}
}

/* Beyond A4's width, and a page that would be smaller than any may be. */
static void odd_sizes(void **state)
{
	static const struct { uint32_t width, height; const char *box; } rows[] = {
		{ 12, 84189, "/MediaBox[0 0 3 841.89]" }, { 100, 100, "/MediaBox[0 0 3 3]" },
		{ 1048576, 1048576, "/MediaBox[0 0 10485.76 10485.76]" },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct original_image image = image_of(IMAGE_JPEG, 3, 8);
		struct original o = original_of(&image, 1);
		struct copyrig r;
		size_t n;
		uint8_t *file;

		image.page_width = image.shown_width = rows[i].width;
		image.page_height = image.shown_height = rows[i].height;
		rig_open(b, &r, COPYRIG_CERTIFIED, &o);
		file = press(b, &r, &n);
		assert_int_equal(count(file, n, rows[i].box), 1);
		free(file);
		copyrig_close(&r);
	}
}

/* ---- wrapped, drafts ---- */

static void a_wrapped_original_has_no_page(void **state)
{
	struct bench *b = *state;
	struct original o = { .format = ORIGINAL_PDF, .wrapped = ORIGINAL_SIGNED };
	struct copyrig r;
	size_t n;
	uint8_t *file;

	for (int own = 0; own < 2; own++) {
		o.wrapped = own == 1 ? ORIGINAL_OWN : ORIGINAL_SIGNED;
		rig_open(b, &r, own == 1 ? COPYRIG_REGISTER : COPYRIG_CERTIFIED, &o);
		file = press(b, &r, &n);
		assert_int_equal(r.item.doc.pages, 1);
		assert_int_equal(count(file, n, "cm/I Do Q"), 0);
		assert_memory_equal(stream_of(file, n, "/Subtype/application#2Fpdf"), object,
				    sizeof(object));
		assert_int_equal(count(file, n, "\"format\":\"pdf\",\"size\":4096,"
				       "\"shown\":false}"), 1);
		each_entry_points_at_its_object(file, n, 50);
		free(file);
		copyrig_close(&r);
	}
}

/* What an officer is asked to confirm: marked on each page, and the same whenever it is drawn. */
static void a_draft_is_marked_on_each_page(void **state)
{
	struct bench *b = *state;
	struct original_image images[2] = { image_of(IMAGE_JPEG, 3, 8),
					    image_of(IMAGE_JPEG, 1, 8) };
	struct original o = original_of(images, 2);
	struct copyrig r;
	uint8_t *files[2];
	size_t n[2];

	images[1].page_height = 2000;
	rig_open(b, &r, COPYRIG_CERTIFIED, &o);
	for (int i = 0; i < 2; i++) {
		r.item.number += 1000;
		r.item.issued_ms += 86400000;
		assert_int_equal(render_unsigned(b->render, b->press, &r.item, &b->arena, NULL),
				 ST_OK);
		files[i] = copyrig_file(&r, &n[i]);
		render_release(b->render, r.item.template);
	}
	assert_int_equal(n[0], n[1]);
	assert_memory_equal(files[0], files[1], n[0]);
	assert_int_equal(r.item.doc.pages, 3);
	assert_int_equal(count(files[0], n[0], "/M Do"), 3);
	/* Shrunk where the page is low. */
	assert_int_equal(count(files[0], n[0], "q .33 0 0 .33 "), 2);
	assert_int_equal(count(files[0], n[0], "/FT/Sig"), 0);
	assert_int_equal(count(files[0], n[0], "\"draft\":true,\"original\":{"), 1);
	assert_memory_equal(stream_of(files[0], n[0], "/Subtype/application#2Fpdf"), object,
			    sizeof(object));
	free(files[0]);
	free(files[1]);
	copyrig_close(&r);
}

static void a_preview_needs_no_original(void **state)
{
	static const struct { const char *kind; uint32_t pages; } rows[] = {
		{ COPYRIG_CERTIFIED, 2 }, { COPYRIG_REGISTER, 1 },
	};
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct copyrig r;
		uint8_t *pdf = NULL;
		size_t n = 0;

		rig_open(b, &r, rows[i].kind, NULL);
		assert_int_equal(render_preview(b->render, &r.item, &pdf, &n, NULL), ST_OK);
		assert_int_equal(count(pdf, n, "/Type/Page/"), rows[i].pages);
		assert_int_equal(count(pdf, n, "/M Do"), rows[i].pages);
		assert_int_equal(count(pdf, n, "/AFRelationship/Source"), 0);
		assert_int_equal(count(pdf, n, "\"original\""), 0);
		free(pdf);
		copyrig_close(&r);
	}
}

/* ---- what does not fit ---- */

static void what_does_not_fit_is_refused(void **state)
{
	static struct original_image images[ORIGINAL_PAGES_MAX];
	struct bench *b = *state;
	struct original o = original_of(images, ORIGINAL_PAGES_MAX);
	struct arena small = { 0 };
	uint8_t block[2048];
	struct copyrig r;
	size_t n;
	uint8_t *file;

	for (int i = 0; i < ORIGINAL_PAGES_MAX; i++)
		images[i] = image_of(IMAGE_FLATE_ROWS, 3, 8);
	rig_open(b, &r, COPYRIG_CERTIFIED, &o);
	file = press(b, &r, &n);
	assert_int_equal(r.item.doc.pages, ORIGINAL_PAGES_MAX + 1);
	each_entry_points_at_its_object(file, n, 3 * ORIGINAL_PAGES_MAX);
	free(file);
	for (size_t room = 0; room <= sizeof(block); room += 512) {
		arena_wrap(&small, block, room);
		assert_int_equal(copyrig_press(&r, b->render, b->press, &small), ST_TOO_LARGE);
		render_release(b->render, r.item.template);
	}
	/* A copy without its original never comes so far. */
	r.result.original = NULL;
	assert_int_equal(copyrig_press(&r, b->render, b->press, &b->arena), ST_INTERNAL);
	render_release(b->render, r.item.template);
	copyrig_close(&r);
}

/* ---- signed and verified by the strict verifier ---- */

static void sign_all(struct bench *b, struct copyrig *r, struct desk *d,
		     uint8_t values[][SIGNATURE_BYTES_MAX])
{
	struct item *it = &r->item;

	it->issued_ms = it->sign_ms = d->keys.now_ms;
	sign_plan(it, d->ring, it->sign_ms);
	assert_int_equal(it->held, REASON_NONE);
	assert_int_equal(copyrig_press(r, b->render, b->press, &b->arena), ST_OK);
	it->mid = sha256_new();
	sha256_fork(it->mid, template_view(it->template)->prefix_state);
	copyrig_hash(r, it->mid);
	for (uint8_t i = 0; i < it->slots_n; i++) {
		struct signed_slot *s = &it->slots[i];
		int32_t key = vault_find(d->vault, slice_str(signing_key_row(s->key)->id));

		assert_int_equal(sign_prepare(d->worker, it, i), ST_OK);
		assert_int_equal(vault_sign(d->hand, (uint32_t)key, s->to_sign, values[i],
					    &s->value_size), ST_OK);
		s->value = values[i];
		assert_int_equal(sign_bind(d->worker, it, i), ST_OK);
	}
	render_release(b->render, it->template);
	sha256_free(it->mid);
}

static void signed_copies_pass(void **state)
{
	struct bench *b = *state;
	struct original_image image = image_of(IMAGE_JPEG, 3, 8);
	struct original all[] = { original_of(&image, 1),
				  { .format = ORIGINAL_PDF, .wrapped = ORIGINAL_NOT_IMAGES } };
	struct roots *roots;
	struct desk d;

	assert_int_equal(desk_open(&d, ALG_P256), 0);
	assert_int_equal(roots_load(&roots, d.keys.certs, d.keys.certs, &d.keys.e), ST_OK);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		uint8_t values[DOC_SIGNATURES_MAX][SIGNATURE_BYTES_MAX];
		static struct unit unit;
		static struct signer signer;
		struct report report;
		struct copyrig r;
		size_t n;
		uint8_t *file;

		rig_open(b, &r, COPYRIG_CERTIFIED, &all[i]);
		/* Whose keys the desk has: another agency, so another pin, or the template is the
		 * one that was made of the first. */
		unit = *r.item.unit;
		signer = *r.item.signer;
		unit.pin[0] ^= 1;
		signer.pin[0] ^= 1;
		unit.code = signer.unit = "u";
		signer.code = "s";
		r.item.unit = &unit;
		r.item.signer = &signer;
		sign_all(b, &r, &d, values);
		file = copyrig_file(&r, &n);
		assert_int_equal(verify_document(roots, slice_of(file, n), &report), ST_OK);
		if (report.finding.verdict != VERDICT_PASSED)
			fail_msg("%s", report.finding.why);
		assert_int_equal(report.signatures_n, 2);
		assert_true(report.signatures[0].certifies);
		assert_memory_equal(report.file_sha256, r.item.file_sha256, SHA256_BYTES);
		/* One byte of the original: no signature holds. */
		file[stream_of(file, n, "/Subtype/application#2Fpdf") - file + 9] ^= 1;
		assert_int_equal(verify_document(roots, slice_of(file, n), &report), ST_OK);
		assert_int_equal(report.finding.verdict, VERDICT_FAILED);
		free(file);
		copyrig_close(&r);
	}
	roots_free(roots);
	desk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sections_and_holes_lie_where_they_are_said_to),
		cmocka_unit_test(its_bytes_are_those_that_came),
		cmocka_unit_test(the_same_copy_gives_the_same_bytes),
		cmocka_unit_test(dictionaries),
		cmocka_unit_test(orientations),
		cmocka_unit_test(odd_sizes),
		cmocka_unit_test(a_wrapped_original_has_no_page),
		cmocka_unit_test(a_draft_is_marked_on_each_page),
		cmocka_unit_test(a_preview_needs_no_original),
		cmocka_unit_test(what_does_not_fit_is_refused),
		cmocka_unit_test(signed_copies_pass),
	};

	return cmocka_run_group_tests(tests, open_all, bench_close);
}
