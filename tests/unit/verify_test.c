/*
 * verify_test [rsa|p256] - the two paths of the verifier over whole documents: they agree on every
 * file, and no file passes in which a byte is another, signed or not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "signedleaf.h"
#include "verify/verify.h"

/* Prime, so that it falls into every phase of what repeats. */
#ifndef __SANITIZE_ADDRESS__
#define STEP 97
#else				/* some twenty times as slow */
#define STEP 977
#endif

struct rig {
	struct bench *bench;
	struct desk desk;
	struct roots *roots;
	struct known *known;
	struct verifier *verifier;
	uint8_t *file;
	size_t n;
};


static void rig_open(struct rig *r, struct bench *b, enum algorithm a)
{
	*r = (struct rig){ .bench = b };
	assert_int_equal(desk_open(&r->desk, a), 0);
	assert_int_equal(roots_load(&r->roots, r->desk.keys.certs, r->desk.keys.certs,
				    &r->desk.keys.e), ST_OK);
	assert_int_equal(known_new(&r->known), ST_OK);
	assert_int_equal(verifier_new(&r->verifier, r->roots, r->known), ST_OK);
}

static void rig_close(struct rig *r)
{
	free(r->file);
	verifier_free(r->verifier);
	known_free(r->known);
	roots_free(r->roots);
	desk_close(&r->desk);
}

/* A signed document with that note, in r->file. */
static void make(struct rig *r, uint8_t signs_n, const char *note)
{
	struct leaf *l = &r->bench->leaf;
	leaf_values values;

	free(r->file);
	arena_reset(&r->bench->arena);
	leaf_open(l, signs_n);
	l->kind.pin[1] = signs_n;
	leaf_set(l, "ghi_chu", slice_str(note));
	assert_int_equal(leaf_sign(r->bench, &r->desk, values), 0);
	r->file = leaf_file(l, &r->n);
	leaf_close(l);
}

static void same(const struct report *a, const struct report *b)
{
	assert_int_equal(a->finding.verdict, b->finding.verdict);
	assert_int_equal(a->finding.indication, b->finding.indication);
	assert_string_equal(a->finding.why, b->finding.why);
	assert_int_equal(a->signatures_n, b->signatures_n);
	assert_int_equal(a->own, b->own);
	assert_int_equal(a->said.read, b->said.read);
	assert_string_equal(a->said.unit, b->said.unit);
	assert_string_equal(a->said.number, b->said.number);
	assert_int_equal(a->named, b->named);
	assert_memory_equal(a->id, b->id, sizeof(a->id));
	assert_memory_equal(a->file_sha256, b->file_sha256, sizeof(a->file_sha256));
	assert_int_equal(a->issued_bytes, b->issued_bytes);
	assert_memory_equal(a->issued_sha256, b->issued_sha256, sizeof(a->issued_sha256));
	for (uint8_t i = 0; i < a->signatures_n; i++) {
		const struct signature_report *x = &a->signatures[i], *y = &b->signatures[i];

		assert_int_equal(x->finding.verdict, y->finding.verdict);
		assert_int_equal(x->finding.indication, y->finding.indication);
		assert_string_equal(x->finding.why, y->finding.why);
		assert_string_equal(x->subject, y->subject);
		assert_string_equal(x->unit, y->unit);
		assert_string_equal(x->algorithm, y->algorithm);
		assert_int_equal(x->signed_ms, y->signed_ms);
		assert_memory_equal(x->range, y->range, sizeof(x->range));
		assert_int_equal(x->certifies, y->certifies);
		assert_memory_equal(x->cert_sha256, y->cert_sha256, sizeof(x->cert_sha256));
	}
}

/* Both paths' common report. */
static struct report judge(struct rig *r)
{
	struct report slow, fast;

	assert_int_equal(verify_document(r->roots, slice_of(r->file, r->n), &slow), ST_OK);
	assert_int_equal(verifier_judge(r->verifier, slice_of(r->file, r->n), &fast), ST_OK);
	same(&slow, &fast);
	return slow;
}

static const enum algorithm algorithms[] = { ALG_RSA2048, ALG_P256, ALG_PSS2048 };

static void good_files_pass_on_both_paths(void **state)
{
	for (size_t a = 0; a < ARRAY_LEN(algorithms); a++) {
		struct rig r;

		rig_open(&r, *state, algorithms[a]);
		for (int i = 0; i < 12; i++) {
			char note[64];
			struct report report;

			snprintf(note, sizeof(note), "Lần thứ %d >>\nendobj\n%%%%EOF", i * i);
			make(&r, (uint8_t)(1 + i % 2), note);
			report = judge(&r);
			if (report.finding.verdict != VERDICT_PASSED)
				fail_msg("%s", report.finding.why);
			assert_int_equal(report.signatures_n, 1 + i % 2);
			assert_true(report.own);
		}
		rig_close(&r);
	}
}

/* Whatever it is taught, by whomever: the verdicts are those of a verifier that knows nothing. */
static void what_is_learned_changes_no_verdict(void **state)
{
	static const char head[] = "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n";
	const uint8_t *end;
	struct slice layers[2];
	char text[2048];
	struct rig r;

	rig_open(&r, *state, ALG_P256);
	make(&r, 2, "Không");
	/* More than are kept, and half of them are none. */
	for (int i = 0; i < 600; i++) {
		snprintf(text, sizeof(text), "%d 0 obj\n(%01200d)\n%s\n", i + 1, i,
			 i % 2 == 0 ? "endobj" : "endofjob");
		layers[0] = slice_str(head);
		layers[1] = slice_str(text);
		assert_int_equal(known_learn(r.known, layers, 2), ST_OK);
	}
	/* All objects up to the table, the signature's among them: not as a beginning. */
	end = memmem(r.file, r.n, "\nxref\n0 ", 8);
	assert_non_null(end);
	layers[0] = slice_of(r.file, (size_t)(end + 1 - r.file));
	assert_int_equal(known_learn(r.known, layers, 1), ST_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(judge(&r).finding.verdict, VERDICT_PASSED);
	/* The officer's part alone. */
	end = memmem(r.file, r.n, "%%EOF\n", 6);
	r.n = (size_t)(end + 6 - r.file);
	assert_int_equal(judge(&r).finding.verdict, VERDICT_INDETERMINATE);
	rig_close(&r);
}

/* ---- every byte ---- */

static void none_passes(struct rig *r, size_t at, uint8_t bits)
{
	struct report report;

	r->file[at] ^= bits;
	report = judge(r);
	if (report.finding.verdict == VERDICT_PASSED)
		fail_msg("byte %zu of %zu, changed by %02x, and the file passes", at, r->n, bits);
	r->file[at] ^= bits;
}

static bool full(void)
{
	return getenv("TRIEN_FULL") != NULL;
}

/* Those bytes that no signature covers, or a later one alone: digits, their case, padding. */
static void mutate_hole(struct rig *r, const uint64_t range[4])
{
	for (uint64_t at = range[1]; at < range[2]; at += full() ? 1 : STEP)
		none_passes(r, at, 0x20);
	for (uint64_t at = range[2] - 10; at < range[2]; at++)
		none_passes(r, at, 0x01);
}

static void no_mutation_passes(struct bench *b, enum algorithm a)
{
	for (uint8_t n = 1; n <= 2; n++) {
		struct report good;
		struct rig r;

		rig_open(&r, b, a);
		/* Twice, so that the quick path knows beginning and certificates. */
		make(&r, n, "Không");
		judge(&r);
		good = judge(&r);
		assert_int_equal(good.finding.verdict, VERDICT_PASSED);
		for (size_t at = 0; at < r.n; at += full() ? 1 : STEP)
			none_passes(&r, at, (uint8_t)(1u << at % 8));
		for (uint8_t i = 0; i < n; i++)
			mutate_hole(&r, good.signatures[i].range);
		assert_int_equal(judge(&r).finding.verdict, VERDICT_PASSED);
		rig_close(&r);
	}
}

static void no_mutation_passes_rsa(void **state)
{
	no_mutation_passes(*state, ALG_RSA2048);
}

static void no_mutation_passes_p256(void **state)
{
	no_mutation_passes(*state, ALG_P256);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest files[] = {
		cmocka_unit_test(good_files_pass_on_both_paths),
		cmocka_unit_test(what_is_learned_changes_no_verdict),
	};
	const struct CMUnitTest rsa[] = { cmocka_unit_test(no_mutation_passes_rsa) };
	const struct CMUnitTest p256[] = { cmocka_unit_test(no_mutation_passes_p256) };

	if (argc == 2 && strcmp(argv[1], "rsa") == 0)
		return cmocka_run_group_tests(rsa, bench_open, bench_close);
	if (argc == 2 && strcmp(argv[1], "p256") == 0)
		return cmocka_run_group_tests(p256, bench_open, bench_close);
	return cmocka_run_group_tests(files, bench_open, bench_close);
}
