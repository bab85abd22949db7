#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include <openssl/pem.h>

#include "signedleaf.h"
#include "signer/cms.h"
#include "verify/verify.h"

#define GOLDEN SOURCE_DIR "/tests/golden/"

static void begin(struct bench *b, uint8_t signs_n)
{
	arena_reset(&b->arena);
	leaf_open(&b->leaf, signs_n);
	b->leaf.kind.pin[1] = signs_n;
	leaf_plan(&b->leaf, 4000);
}

/* ---- what sign relies on ---- */

static void parts_and_holes_fit(void **state)
{
	struct bench *b = *state;

	for (uint8_t signs_n = 1; signs_n <= 2; signs_n++) {
		const struct document *d = &b->leaf.item.doc;
		const struct template_view *v;
		uint64_t at = 0, end = 0;

		begin(b, signs_n);
		assert_int_equal(leaf_press(&b->leaf, b->render, b->press, &b->arena), ST_OK);
		v = template_view(b->leaf.item.template);
		assert_int_equal(d->holes_n, signs_n);
		assert_int_equal(d->prefix_parts, v->prefix_n);
		for (uint8_t i = 0, hole = 0; i < d->parts_n; i++) {
			if (hole < d->holes_n && d->holes[hole].part == i) {
				assert_int_equal(d->holes[hole].file_offset, at);
				assert_int_equal(d->holes[hole].file_bytes, 4000);
				hole++;
			} else if (d->parts[i].layer == NULL) {
				/* Body bytes follow each other, but for the holes' room. */
				assert_true(d->parts[i].offset >= end);
				end = d->parts[i].offset + d->parts[i].size;
			}
			at += d->parts[i].size;
			if (i + 1 == v->prefix_n)
				assert_int_equal(at, v->prefix_size);
		}
		assert_int_equal(at, d->file_size);
		assert_int_equal(d->holes[signs_n - 1].revision_end, at);
		assert_int_equal(end, d->body_size);
		leaf_close(&b->leaf);
	}
}

static void prefix_state_is_of_the_layers(void **state)
{
	struct bench *b = *state;
	struct sha256 *all = sha256_new(), *fork = sha256_new();
	uint8_t x[SHA256_BYTES], y[SHA256_BYTES];
	const struct template_view *v;

	begin(b, 2);
	assert_int_equal(leaf_press(&b->leaf, b->render, b->press, &b->arena), ST_OK);
	v = template_view(b->leaf.item.template);
	sha256_start(all);
	for (uint8_t i = 0; i < v->prefix_n; i++) {
		sha256_add(all, v->layers[i]->bytes, v->layers[i]->size);
		sha256_once(v->layers[i]->bytes, v->layers[i]->size, x);
		assert_memory_equal(x, v->layers[i]->sha256, sizeof(x));
	}
	sha256_end(all, x);
	sha256_fork(fork, v->prefix_state);
	sha256_end(fork, y);
	assert_memory_equal(x, y, sizeof(x));
	sha256_free(all);
	sha256_free(fork);
	leaf_close(&b->leaf);
}

static void the_same_item_gives_the_same_bytes(void **state)
{
	struct bench *b = *state;
	struct render *other = leaf_render(true);
	size_t n[2];
	uint8_t *file[2];

	assert_non_null(other);
	begin(b, 2);
	assert_int_equal(leaf_press(&b->leaf, b->render, b->press, &b->arena), ST_OK);
	file[0] = leaf_file(&b->leaf, &n[0]);
	assert_int_equal(leaf_press(&b->leaf, other, b->press, &b->arena), ST_OK);
	file[1] = leaf_file(&b->leaf, &n[1]);
	assert_int_equal(n[0], n[1]);
	assert_memory_equal(file[0], file[1], n[0]);
	free(file[0]);
	free(file[1]);
	render_close(other);
	leaf_close(&b->leaf);
}

static void a_wrong_plan_is_refused(void **state)
{
	struct bench *b = *state;

	begin(b, 2);
	b->leaf.item.slots_n = 1;
	assert_int_equal(leaf_press(&b->leaf, b->render, b->press, &b->arena), ST_INTERNAL);
	leaf_close(&b->leaf);
}

/* ---- signed and verified by the strict verifier ---- */

static void verify_all(struct bench *b, const struct roots *roots, uint8_t signs_n)
{
	struct report report;
	size_t n;
	uint8_t *file = leaf_file(&b->leaf, &n);

	assert_int_equal(verify_document(roots, slice_of(file, n), &report), ST_OK);
	if (report.finding.verdict != VERDICT_PASSED)
		fail_msg("%s", report.finding.why);
	assert_int_equal(report.signatures_n, signs_n);
	assert_true(report.signatures[0].certifies);
	assert_memory_equal(report.file_sha256, b->leaf.item.file_sha256, SHA256_BYTES);
	assert_true(report.named);
	assert_memory_equal(report.id, b->leaf.item.result_id, sizeof(report.id));
	/* A broken file says whose it claims to be, and nothing of it is believed. */
	file[n - 2] ^= 1;
	assert_int_equal(verify_without_roots(slice_of(file, n), &report), ST_OK);
	assert_int_equal(report.finding.verdict, VERDICT_INDETERMINATE);
	assert_true(report.named);
	for (size_t i = 0; i + 5 < n; i++)
		if (memcmp(file + i, "/ID[<", 5) == 0)
			file[i + 5] = 'g';
	assert_int_equal(verify_without_roots(slice_of(file, n), &report), ST_OK);
	assert_false(report.named);
	for (size_t i = 0; i <= 38; i++) {
		assert_int_equal(verify_without_roots(
			slice_of("/ID[<0123456789abcdef0123456789ABCDEF>", i), &report), ST_OK);
		assert_int_equal(report.named, i == 38);
	}
	free(file);
}

static void signed_documents_pass(void **state)
{
	static const enum algorithm algorithms[] = { ALG_RSA2048, ALG_P256 };
	/* Stored bytes without shared layers (DESIGN 10). */
	static const uint32_t bytes_max[] = { 8500, 8000 };
	struct bench *b = *state;

	for (size_t a = 0; a < ARRAY_LEN(algorithms); a++) {
		static const char *const notes[] = { "Không", ">>\nendobj\n%%EOF", "\\)(" };
		struct roots *roots;
		struct desk d;

		assert_int_equal(desk_open(&d, algorithms[a]), 0);
		assert_int_equal(roots_load(&roots, d.keys.certs, d.keys.certs, &d.keys.e), ST_OK);
		for (uint8_t n = 1; n <= 2; n++)
			for (size_t i = 0; i < ARRAY_LEN(notes); i++) {
				leaf_values values;

				begin(b, n);
				leaf_set(&b->leaf, "ghi_chu", slice_str(notes[i]));
				assert_int_equal(leaf_sign(b, &d, values), 0);
				verify_all(b, roots, n);
				assert_true(b->leaf.item.doc.body_size < bytes_max[a]);
				leaf_close(&b->leaf);
			}
		roots_free(roots);
		desk_close(&d);
	}
}

/* ---- templates ---- */

static struct template *take(struct bench *b, struct render *r)
{
	struct template *t = NULL;

	assert_int_equal(
		render_template(r, &b->leaf.kind, &b->leaf.unit, &b->leaf.signer, &t, NULL), ST_OK);
	return t;
}

static void templates_are_shared_and_bounded(void **state)
{
	struct bench *b = *state;
	struct render *r = leaf_render(false);
	struct template *first, *second, *again;

	begin(b, 2);
	first = take(b, r);
	assert_ptr_equal(take(b, r), first);
	b->leaf.signer.pin[5] = 9;
	b->leaf.signer.name = "Đỗ Quang Vinh";
	second = take(b, r);
	assert_ptr_not_equal(first, second);
	/* Only the signer's layer and the cross-reference differ. */
	for (int i = 0; i < 3; i++)
		assert_ptr_equal(template_view(first)->layers[i], template_view(second)->layers[i]);
	assert_ptr_not_equal(template_view(first)->layers[3], template_view(second)->layers[3]);
	assert_memory_not_equal(template_view(first)->version, template_view(second)->version,
				SHA256_BYTES);
	render_release(r, second);
	/* Those that are held survive any number of others. */
	for (uint8_t i = 0; i < 40; i++) {
		b->leaf.signer.pin[6] = i;
		render_release(r, take(b, r));
	}
	b->leaf.signer.pin[5] = b->leaf.signer.pin[6] = 0;
	again = take(b, r);
	assert_ptr_equal(again, first);
	for (int i = 0; i < 3; i++)
		render_release(r, first);
	render_close(r);
	leaf_close(&b->leaf);
}

static void no_signer_is_a_template_too(void **state)
{
	struct bench *b = *state;
	struct template *t = NULL;

	begin(b, 1);
	b->leaf.item.signer = NULL;
	assert_int_equal(render_template(b->render, &b->leaf.kind, &b->leaf.unit, NULL, &t, NULL),
			 ST_OK);
	b->leaf.item.template = t;
	assert_int_equal(render_item(b->press, &b->leaf.item, &b->arena), ST_OK);
	render_release(b->render, t);
	leaf_close(&b->leaf);
}

static void a_character_without_glyph_fails_the_template(void **state)
{
	struct bench *b = *state;
	struct template *t = NULL;
	struct error e = { 0 };

	begin(b, 1);
	b->leaf.kind.pin[7] = 1;
	leaf_block(&b->leaf, BLOCK_PARAGRAPH, "中");
	assert_int_equal(render_template(b->render, &b->leaf.kind, &b->leaf.unit, &b->leaf.signer,
					 &t, &e),
			 ST_INVALID);
	assert_non_null(strstr(e.text, b->leaf.kind.code));
	leaf_close(&b->leaf);
}

static void a_draft_has_no_signature(void **state)
{
	struct bench *b = *state;
	uint8_t *pdf = NULL;
	size_t n = 0;

	begin(b, 2);
	assert_int_equal(render_preview(b->render, &b->leaf.item, &pdf, &n, NULL), ST_OK);
	assert_memory_equal(pdf, "%PDF-1.7\n", 9);
	assert_memory_equal(pdf + n - 6, "%%EOF\n", 6);
	assert_null(memmem(pdf, n, "/FT/Sig", 7));
	assert_null(memmem(pdf, n, "/ByteRange", 10));
	assert_null(memmem(pdf, n, "07/XNTN", 7));
	assert_non_null(memmem(pdf, n, "\"draft\":true", 12));
	assert_null(b->leaf.item.template);
	free(pdf);
	leaf_close(&b->leaf);
}

/* The whole file of an item's document. */
static uint8_t *whole(const struct document *d)
{
	uint8_t *file = malloc(d->file_size), *at = file;

	for (uint8_t i = 0; i < d->parts_n; i++) {
		memcpy(at, part_bytes(d, &d->parts[i]), d->parts[i].size);
		at += d->parts[i].size;
	}
	assert_int_equal(at - file, d->file_size);
	return file;
}

/* What a person is shown has a digest; it may not depend on when it is drawn. */
static void what_is_shown_is_the_same_each_time(void **state)
{
	struct bench *b = *state;
	struct item *item = &b->leaf.item;
	uint8_t *files[3];
	uint32_t sizes[3];

	begin(b, 2);
	snprintf(item->number_text, sizeof(item->number_text), "……/XNTN");
	for (int i = 0; i < 3; i++) {
		item->issued_ms += 86400000LL;
		item->accepted_ms += 1;
		if (i == 2)
			snprintf(item->number_text, sizeof(item->number_text), "……/KHAC");
		assert_int_equal(render_unsigned(b->render, b->press, item, &b->arena, NULL),
				 ST_OK);
		files[i] = whole(&item->doc);
		sizes[i] = item->doc.file_size;
		render_release(b->render, item->template);
		item->template = NULL;
	}
	assert_int_equal(sizes[0], sizes[1]);
	assert_memory_equal(files[0], files[1], sizes[0]);
	assert_true(sizes[0] != sizes[2] || memcmp(files[0], files[2], sizes[0]) != 0);
	assert_memory_equal(files[0], "%PDF-1.7\n", 9);
	assert_null(memmem(files[0], sizes[0], "/FT/Sig", 7));
	assert_null(memmem(files[0], sizes[0], "/ByteRange", 10));
	assert_non_null(memmem(files[0], sizes[0], "\"draft\":true", 12));
	for (int i = 0; i < 3; i++)
		free(files[i]);
	leaf_close(&b->leaf);
}

static void what_is_missing_is_named(void **state)
{
	static const struct { struct render_config cfg; const char *says; } all[] = {
		{ { .verify_host = LEAF_HOST, .icc = "/nowhere.icc" }, "icc-profiles-free" },
		{ { .verify_host = LEAF_HOST, .font_bold = "/nowhere.ttf" }, "/nowhere.ttf" },
		{ { .verify_host = "https://small.example" }, "verify_host" },
		{ { .verify_host = "HTTPS://\xc4\x90" }, "verify_host" },
		{ { .verify_host = NULL }, "verify_host" },
	};

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct render *r = NULL;
		struct error e = { 0 };

		assert_int_not_equal(render_open(&r, &all[i].cfg, &e), ST_OK);
		assert_null(r);
		assert_non_null(strstr(e.text, all[i].says));
	}
}

/* ---- golden bytes: fixed octets for signatures, a public certificate ---- */

static struct slice file_read(const char *name)
{
	char path[400];
	uint8_t *bytes = malloc(256 * 1024);
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), GOLDEN "%s", name);
	f = fopen(path, "rb");
	if (f != NULL) {
		n = fread(bytes, 1, 256 * 1024, f);
		fclose(f);
	}
	return slice_of(bytes, n);
}

static void file_write(const char *name, struct slice s)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), GOLDEN "%s", name);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(s.p, 1, s.n, f), s.n);
	fclose(f);
}

static struct slice certificate(void)
{
	FILE *f = fopen(GOLDEN "leaf-certificate.pem", "r");
	X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	uint8_t *der = NULL;
	int n;

	assert_non_null(x);
	n = i2d_X509(x, &der);
	X509_free(x);
	fclose(f);
	return slice_of(der, (size_t)n);
}

/* Digest of the signed range and octets a5 … into the hole, as sign would. */
static void fill_hole(uint8_t *file, const struct hole *h, const struct cms_skeleton *s)
{
	struct sha256 *hash = sha256_new();
	uint8_t digest[SHA256_BYTES], value[72], *at = file + h->file_offset;

	sha256_start(hash);
	sha256_add(hash, file, h->file_offset);
	sha256_add(hash, file + h->file_offset + h->file_bytes,
		   h->revision_end - h->file_offset - h->file_bytes);
	sha256_end(hash, digest);
	sha256_free(hash);
	memset(value, 0xa5, sizeof(value));
	memcpy(at, s->head.bytes, s->head.size);
	at += s->head.size;
	hex_upper((char *)at, digest, sizeof(digest));
	at += 2 * sizeof(digest);
	memcpy(at, s->middle.bytes, s->middle.size);
	at += s->middle.size;
	hex_upper((char *)at, value, sizeof(value));
	at += 2 * sizeof(value);
	memcpy(at, s->tail.bytes, s->tail.size);
	assert_int_equal(at + s->tail.size - file, h->file_offset + h->file_bytes);
}

/*
 * All but the fonts, whose bytes belong to Debian's font and HarfBuzz packages: with others the
 * offsets differ, and the test says that it compared nothing. TRIEN_GOLDEN=write writes.
 */
static void golden_bytes(void **state)
{
	struct bench *b = *state;
	struct slice cert = certificate(), golden = file_read("leaf.pdf-behind-fonts");
	const struct layer *fonts;
	struct cms_skeleton s;
	uint8_t *file;
	size_t n;

	begin(b, 2);
	assert_int_equal(cms_skeleton(&s, ALG_P256, &cert, 1, 72, 0), ST_OK);
	leaf_plan(&b->leaf, cms_hole_bytes(&s, 72));
	assert_int_equal(leaf_press(&b->leaf, b->render, b->press, &b->arena), ST_OK);
	fonts = template_view(b->leaf.item.template)->layers[0];
	file = leaf_file(&b->leaf, &n);
	for (uint8_t i = 0; i < 2; i++)
		fill_hole(file, &b->leaf.item.doc.holes[i], &s);
	/* The fonts' hash stands in front of what follows them. */
	memcpy(file + fonts->size - SHA256_BYTES, fonts->sha256, SHA256_BYTES);
	if (getenv("TRIEN_GOLDEN") != NULL)
		file_write("leaf.pdf-behind-fonts", slice_of(file + fonts->size - SHA256_BYTES,
							      n - fonts->size + SHA256_BYTES));
	else if (golden.n < SHA256_BYTES || memcmp(golden.p, fonts->sha256, SHA256_BYTES) != 0)
		print_message("golden bytes: other fonts than the recorded ones, nothing "
			      "compared\n");
	else if (golden.n != n - fonts->size + SHA256_BYTES ||
		 memcmp(golden.p, file + fonts->size - SHA256_BYTES, golden.n) != 0)
		fail_msg("the document's bytes differ from " GOLDEN "leaf.pdf-behind-fonts");
	free(file);
	free((void *)golden.p);
	OPENSSL_free((void *)cert.p);
	cms_free(&s);
	leaf_close(&b->leaf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_and_holes_fit),
		cmocka_unit_test(prefix_state_is_of_the_layers),
		cmocka_unit_test(the_same_item_gives_the_same_bytes),
		cmocka_unit_test(a_wrong_plan_is_refused),
		cmocka_unit_test(signed_documents_pass),
		cmocka_unit_test(templates_are_shared_and_bounded),
		cmocka_unit_test(no_signer_is_a_template_too),
		cmocka_unit_test(a_character_without_glyph_fails_the_template),
		cmocka_unit_test(a_draft_has_no_signature),
		cmocka_unit_test(what_is_shown_is_the_same_each_time),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(golden_bytes),
	};

	return cmocka_run_group_tests(tests, bench_open, bench_close);
}
