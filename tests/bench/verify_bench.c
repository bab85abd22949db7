/*
 * verify_bench [--json FILE] [--least RATIO] - verifying own documents against the bare
 * verification of their signatures, on one thread (issue: at least 0.4 with two signatures).
 *
 * In one process and turn by turn: EVP_PKEY_verify() alone, as often as the documents have
 * signatures; then whole documents whose template and certificates were seen before; then the same
 * documents each by itself, as a file that comes alone is verified. Medians over turns, CPU time.
 */
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "signedleaf.h"
#include "signer/certs.h"
#include "verify/verify.h"

/* What was just read lies in a cache, as these do together. */
#define FILES 8
#define TURNS 21

struct rig {
	struct bench *bench;
	struct desk desk;
	struct roots *roots;
	struct known *known;
	struct verifier *verifier;
	EVP_PKEY_CTX *contexts[DOC_SIGNATURES_MAX];
	leaf_values values[FILES];
	uint16_t sizes[FILES][DOC_SIGNATURES_MAX];
	uint8_t digests[FILES][DOC_SIGNATURES_MAX][SHA256_BYTES];
	struct slice files[FILES];
	uint8_t signs_n;
};

struct figures { double ratio, cold, raw_us, own_us, cold_us; size_t bytes; };

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

/* ---- set-up ---- */

static EVP_PKEY_CTX *context(const struct desk *d, enum algorithm a, const char *id)
{
	char path[400];
	EVP_PKEY *key = NULL;
	EVP_PKEY_CTX *c;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.pem", d->keys.keys, id);
	f = fopen(path, "r");
	if (f == NULL)
		return NULL;
	key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	fclose(f);
	c = key != NULL ? algorithm_context(algorithm_info(a), key, false) : NULL;
	EVP_PKEY_free(key);
	return c;
}

static int make(struct rig *r, int i)
{
	struct leaf *l = &r->bench->leaf;
	char note[200];
	size_t n;

	arena_reset(&r->bench->arena);
	leaf_open(l, r->signs_n);
	snprintf(note, sizeof(note), "Lần thứ %d%.*s", i, 2 * i, "................................"
		 "................................");
	leaf_set(l, "ghi_chu", slice_str(note));
	if (leaf_sign(r->bench, &r->desk, r->values[i]) != 0)
		return -1;
	for (uint8_t k = 0; k < r->signs_n; k++) {
		r->sizes[i][k] = l->item.slots[k].value_size;
		memcpy(r->digests[i][k], l->item.slots[k].to_sign, SHA256_BYTES);
	}
	r->files[i].p = leaf_file(l, &n);
	r->files[i].n = n;
	leaf_close(l);
	return 0;
}

static int rig_open(struct rig *r, enum algorithm a, uint8_t signs_n)
{
	bool two = signs_n == 2;

	memset(r, 0, sizeof(*r));
	r->signs_n = signs_n;
	if (desk_open(&r->desk, a) != 0 || bench_open((void **)&r->bench) != 0 ||
	    roots_load(&r->roots, r->desk.keys.certs, r->desk.keys.certs, &r->desk.keys.e) !=
		    ST_OK ||
	    known_new(&r->known) != ST_OK ||
	    verifier_new(&r->verifier, r->roots, r->known) != ST_OK)
		return -1;
	r->contexts[0] = context(&r->desk, a, two ? "pen" : "seal");
	r->contexts[1] = context(&r->desk, a, "seal");
	for (int i = 0; i < FILES; i++)
		if (make(r, i) != 0)
			return -1;
	return r->contexts[0] != NULL && r->contexts[1] != NULL ? 0 : -1;
}

static void rig_close(struct rig *r)
{
	for (int i = 0; i < FILES; i++)
		free((void *)r->files[i].p);
	EVP_PKEY_CTX_free(r->contexts[0]);
	EVP_PKEY_CTX_free(r->contexts[1]);
	verifier_free(r->verifier);
	known_free(r->known);
	roots_free(r->roots);
	bench_close((void **)&r->bench);
	desk_close(&r->desk);
}

/* ---- what is measured: microseconds a document ---- */

static double bare(struct rig *r, uint32_t rounds)
{
	double begin = cpu_us();

	for (uint32_t i = 0; i < rounds * FILES; i++)
		for (uint8_t k = 0; k < r->signs_n; k++) {
			uint32_t f = i % FILES;
			int ok = EVP_PKEY_verify(r->contexts[k], r->values[f][k], r->sizes[f][k],
						 r->digests[f][k], SHA256_BYTES);

			assert(ok == 1);
		}
	return (cpu_us() - begin) / (rounds * FILES);
}

static double documents(struct rig *r, uint32_t rounds, bool alone)
{
	double begin = cpu_us();

	for (uint32_t i = 0; i < rounds * FILES; i++) {
		struct slice file = r->files[i % FILES];
		struct report report;
		enum status st = alone ? verify_document(r->roots, file, &report) :
					 verifier_judge(r->verifier, file, &report);

		assert(st == ST_OK && report.finding.verdict == VERDICT_PASSED &&
		       report.signatures_n == r->signs_n);
	}
	return (cpu_us() - begin) / (rounds * FILES);
}

static struct figures measure(struct rig *r, uint32_t rounds)
{
	double ratio[TURNS], cold[TURNS], raw[TURNS], own[TURNS], alone[TURNS];
	struct figures f = { .bytes = r->files[0].n };

	/* All lengths of a P-256 signature want to be seen. */
	documents(r, 2, false);
	for (int i = 0; i < TURNS; i++) {
		double before = bare(r, rounds);

		own[i] = documents(r, rounds, false);
		raw[i] = (before + bare(r, rounds)) / 2;
		alone[i] = documents(r, 1, true);
		ratio[i] = raw[i] / own[i];
		cold[i] = raw[i] / alone[i];
	}
	f.ratio = median(ratio, TURNS);
	f.cold = median(cold, TURNS);
	f.raw_us = median(raw, TURNS);
	f.own_us = median(own, TURNS);
	f.cold_us = median(alone, TURNS);
	return f;
}

static const struct { const char *name; enum algorithm algorithm; uint32_t rounds; } rows[] = {
	{ "rsa2048", ALG_RSA2048, 32 },
	{ "p256", ALG_P256, 16 },
};

static void json_row(FILE *out, const char *name, uint8_t n, const struct figures *f, bool last)
{
	const char *two = n == 2 ? ".two" : "";

	fprintf(out, "  \"verify.%s%s.ratio\": %.4f,\n  \"verify.%s%s.alone_ratio\": %.4f,\n"
		"  \"verify.%s%s.raw_us\": %.3f,\n  \"verify.%s%s.own_us\": %.3f%s\n", name, two,
		f->ratio, name, two, f->cold, name, two, f->raw_us, name, two, f->own_us,
		last ? "" : ",");
}

int main(int argc, char **argv)
{
	static struct rig r;
	FILE *out = NULL;
	double least = 0;
	int code = 0;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--json") == 0)
			out = fopen(argv[i + 1], "w");
		else if (strcmp(argv[i], "--least") == 0)
			least = atof(argv[i + 1]);
	}
	if (out != NULL)
		fprintf(out, "{\n");
	printf("key   signs    raw us    own us   ratio  alone us   ratio    bytes\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (uint8_t n = 1; n <= 2; n++) {
			struct figures f;

			if (rig_open(&r, rows[i].algorithm, n) != 0) {
				fprintf(stderr, "%s: %s\n", rows[i].name, r.desk.keys.e.text);
				return 1;
			}
			f = measure(&r, rows[i].rounds);
			rig_close(&r);
			printf("%-8s %u %9.2f %9.2f %7.3f %9.2f %7.3f %8zu\n", rows[i].name, n,
			       f.raw_us, f.own_us, f.ratio, f.cold_us, f.cold, f.bytes);
			if (out != NULL)
				json_row(out, rows[i].name, n, &f,
					 i + 1 == ARRAY_LEN(rows) && n == 2);
			code |= n == 2 && f.ratio < least;
		}
	if (out != NULL) {
		fprintf(out, "}\n");
		fclose(out);
	}
	return code;
}
