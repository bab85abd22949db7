/*
 * press_bench [--json FILE] - one thread of the press against the bare signature (DESIGN 10).
 *
 * In one process and turn by turn: EVP_PKEY_sign() alone, then whole documents with the same key
 * (plan, template, one page of 15 fields, signed-range hash, sign, splice), stage by stage over
 * ranges as the pipeline has them; then EVP_PKEY_sign() and _verify() alone, and the documents with
 * file hash and release check. `ratio` is without the file's hash, which is measured apart and
 * taken off, `whole` with it. Medians over turns, in CPU time.
 */
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "leaf.h"
#include "paper.h"

/* Different ones, else the branch predictor learns the document. */
#define ITEMS 64
#define TURNS 41
#define ARENA_BYTES (8u * 1024 * 1024)

/* ---- allocations: ours through --wrap, OpenSSL's through its own hook ---- */

static uint64_t ours, openssl;

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n) { ours++; return __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t size) { ours++; return __real_calloc(n, size); }
void *__wrap_realloc(void *p, size_t n) { ours++; return __real_realloc(p, n); }

static void *count_malloc(size_t n, const char *file, int line)
{
	openssl++;
	return __real_malloc(n);
}

static void *count_realloc(void *p, size_t n, const char *file, int line)
{
	openssl++;
	return __real_realloc(p, n);
}

static void count_free(void *p, const char *file, int line)
{
	free(p);
}

/* ---- what is measured ---- */

struct bench {
	struct desk desk;
	struct keyring *unchecked;	/* the same keys, no release check */
	struct render *render;
	struct press *press;
	struct arena arena;
	struct leaf leaves[ITEMS];
	uint32_t keys[DOC_SIGNATURES_MAX];	/* in the vault */
	EVP_PKEY *pairs[DOC_SIGNATURES_MAX];
	EVP_PKEY_CTX *signing[DOC_SIGNATURES_MAX], *verifying[DOC_SIGNATURES_MAX];
	uint8_t values[ITEMS][DOC_SIGNATURES_MAX][SIGNATURE_BYTES_MAX];
	struct sha256 *hash;
	uint8_t signs_n;
};

/* plan and template are part of rendering; the file's hash is part of binding */
enum stage { STAGE_RENDER, STAGE_PREPARE, STAGE_SIGN, STAGE_BIND, STAGES };
static const char *const stage_names[STAGES] = { "render", "prepare", "sign", "bind" };

struct figures {
	double ratio, whole, checked;	/* without and with the file's hash; with hash and check */
	double raw_us, item_us, file_hash_us, stages_us[STAGES], ours, openssl;
	uint32_t bytes;
};

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

/* ---- documents: stage by stage over a worker's range, as the pipeline does ---- */

static void lay_out(struct bench *b, struct leaf *l, struct keyring *ring)
{
	struct item *it = &l->item;
	struct error e;
	enum status st;

	sign_plan(it, ring, it->sign_ms);
	assert(it->held == REASON_NONE);
	st = render_template(b->render, it->kind, it->unit, it->signer, &it->template, &e);
	assert(st == ST_OK);
	st = render_item(b->press, it, &b->arena);
	assert(st == ST_OK);
}

static void prepare(struct bench *b, struct leaf *l, uint8_t slot)
{
	enum status st;

	if (slot == 0)
		sha256_fork(l->item.mid, template_view(l->item.template)->prefix_state);
	st = sign_prepare(b->desk.worker, &l->item, slot);
	assert(st == ST_OK);
}

static void sign(struct bench *b, uint32_t i, uint8_t slot)
{
	struct signed_slot *s = &b->leaves[i].item.slots[slot];
	enum status st;

	st = vault_sign(b->desk.hand, b->keys[slot], s->to_sign, b->values[i][slot],
			&s->value_size);
	assert(st == ST_OK);
	s->value = b->values[i][slot];
}

static void bind(struct bench *b, struct leaf *l, uint8_t slot)
{
	enum status st = sign_bind(b->desk.worker, &l->item, slot);

	assert(st == ST_OK);
	if (slot + 1 == b->signs_n)
		render_release(b->render, l->item.template);
}

/* Microseconds by stage, added to spent[]. */
static void range(struct bench *b, struct keyring *ring, uint32_t first, double spent[STAGES])
{
	uint32_t end = first + BATCH_RANGE_ITEMS;
	double t = cpu_us(), now;

#define LAP(stage) (now = cpu_us(), spent[stage] += now - t, t = now)
	for (uint32_t i = first; i < end; i++)
		lay_out(b, &b->leaves[i], ring);
	LAP(STAGE_RENDER);
	for (uint8_t slot = 0; slot < b->signs_n; slot++) {
		for (uint32_t i = first; i < end; i++)
			prepare(b, &b->leaves[i], slot);
		LAP(STAGE_PREPARE);
		for (uint32_t i = first; i < end; i++)
			sign(b, i, slot);
		LAP(STAGE_SIGN);
		for (uint32_t i = first; i < end; i++)
			bind(b, &b->leaves[i], slot);
		LAP(STAGE_BIND);
	}
#undef LAP
}

/* What sign_bind() ends with: the rest of the file into its hash. */
static double file_hash(struct bench *b, uint32_t rounds)
{
	double begin = cpu_us();
	uint8_t digest[SHA256_BYTES];

	for (uint32_t r = 0; r < rounds * ITEMS; r++) {
		const struct document *d = &b->leaves[r % ITEMS].item.doc;

		sha256_start(b->hash);
		for (uint8_t i = d->holes[d->holes_n - 1].part; i < d->parts_n; i++)
			sha256_add(b->hash, part_bytes(d, &d->parts[i]), d->parts[i].size);
		sha256_end(b->hash, digest);
	}
	return (cpu_us() - begin) / (rounds * ITEMS);
}

static double documents(struct bench *b, struct keyring *ring, uint32_t rounds,
			double spent[STAGES])
{
	double begin = cpu_us();

	for (uint32_t r = 0; r < rounds; r++) {
		arena_reset(&b->arena);
		for (uint32_t i = 0; i < ITEMS; i += BATCH_RANGE_ITEMS)
			range(b, ring, i, spent);
	}
	return (cpu_us() - begin) / (rounds * ITEMS);
}

/* As many signatures as a document has. */
static double bare(struct bench *b, uint32_t rounds, bool verify)
{
	uint8_t digest[32] = { 1 }, value[SIGNATURE_BYTES_MAX];
	double begin = cpu_us();

	for (uint32_t r = 0; r < rounds * ITEMS; r++)
		for (uint8_t i = 0; i < b->signs_n; i++) {
			size_t n = sizeof(value);
			int ok = EVP_PKEY_sign(b->signing[i], value, &n, digest, sizeof(digest));

			if (verify)
				ok &= EVP_PKEY_verify(b->verifying[i], value, n, digest,
						      sizeof(digest));
			assert(ok == 1);
			memcpy(digest, value + 8, 8);
		}
	return (cpu_us() - begin) / (rounds * ITEMS);
}

/* ---- set-up ---- */

static EVP_PKEY *pair_read(const struct desk *d, const char *id)
{
	char path[400];
	EVP_PKEY *key = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.pem", d->keys.keys, id);
	f = fopen(path, "r");
	if (f != NULL) {
		key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
		fclose(f);
	}
	return key;
}

static int contexts_open(struct bench *b, uint8_t slot, const char *id)
{
	int32_t key = vault_find(b->desk.vault, slice_str(id));
	EVP_PKEY *pair = pair_read(&b->desk, id);

	if (key < 0 || pair == NULL)
		return -1;
	b->keys[slot] = (uint32_t)key;
	b->pairs[slot] = pair;
	b->signing[slot] = EVP_PKEY_CTX_new(pair, NULL);
	b->verifying[slot] = EVP_PKEY_CTX_new(pair, NULL);
	if (EVP_PKEY_sign_init(b->signing[slot]) != 1 ||
	    EVP_PKEY_verify_init(b->verifying[slot]) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(b->signing[slot], EVP_sha256()) != 1 ||
	    EVP_PKEY_CTX_set_signature_md(b->verifying[slot], EVP_sha256()) != 1)
		return -1;
	return 0;
}

/* Sixty-four people, no two of them alike in length. */
static int leaves_open(struct bench *b)
{
	static const char *const names[] = {
		"Lò Thị Mỷ", "Trần Nguyễn Hoàng Phương Thảo", "Y Brăm", "Vừ A Dế",
		"Nguyễn Văn Quyết", "Hồ Thị Bích", "Đặng Trần Thục Đoan", "Phùng Quang Hiển",
	};

	for (uint32_t i = 0; i < ITEMS; i++) {
		struct leaf *l = &b->leaves[i];

		leaf_open(l, b->signs_n);
		leaf_set(l, "ho_ten", slice_str(names[i % 8]));
		leaf_set(l, "nguoi_yeu_cau", slice_str(names[i / 8]));
		leaf_field(l, "ngay_sinh")->date.day = (uint8_t)(1 + i % 28);
		leaf_field(l, "le_phi")->number.value = 1000 * (i * i + 3);
		snprintf(l->item.number_text, sizeof(l->item.number_text), "%02u/XNTN-UBND", i + 1);
		for (int k = 0; k < 16; k++)
			l->item.result_id[k] = (uint8_t)(i * 37 + (uint32_t)k * 101);
		l->item.issued_ms = l->item.sign_ms = b->desk.keys.now_ms;
		l->item.mid = sha256_new();
		if (l->item.mid == NULL)
			return -1;
	}
	return 0;
}

static int bench_open(struct bench *b, enum algorithm a, uint8_t signs_n)
{
	struct keyring_config ring = { .crl_age_hours_max = 24 * 30, .check_one_in = UINT32_MAX,
				       .development = true };
	bool two = signs_n == 2;

	memset(b, 0, sizeof(*b));
	b->signs_n = signs_n;
	if (desk_open(&b->desk, a) != 0)
		return -1;
	ring.certs_dir = b->desk.keys.certs;
	b->hash = sha256_new();
	b->render = leaf_render(true);
	if (b->hash == NULL || b->render == NULL ||
	    keyring_load(&b->unchecked, &ring, &b->desk.keys.e) != ST_OK ||
	    press_new(&b->press, b->render) != ST_OK ||
	    arena_init(&b->arena, ARENA_BYTES) != ST_OK ||
	    contexts_open(b, 0, two ? "pen" : "seal") != 0 ||
	    (two && contexts_open(b, 1, "seal") != 0))
		return -1;
	return leaves_open(b);
}

static void bench_close(struct bench *b)
{
	for (uint32_t i = 0; i < ITEMS; i++) {
		sha256_free(b->leaves[i].item.mid);
		leaf_close(&b->leaves[i]);
	}
	for (uint8_t i = 0; i < b->signs_n; i++) {
		EVP_PKEY_CTX_free(b->signing[i]);
		EVP_PKEY_CTX_free(b->verifying[i]);
		EVP_PKEY_free(b->pairs[i]);
	}
	sha256_free(b->hash);
	press_free(b->press);
	render_close(b->render);
	keyring_unref(b->unchecked);
	arena_free(&b->arena);
	desk_close(&b->desk);
}

static struct figures measure(struct bench *b, uint32_t rounds, uint32_t turns)
{
	double ratio[TURNS], whole[TURNS], checked[TURNS], raw[TURNS], item[TURNS], hash[TURNS];
	double warm[STAGES] = { 0 };
	struct figures f = { 0 };

	documents(b, b->unchecked, 1, warm);
	documents(b, b->desk.ring, 1, warm);
	for (uint32_t i = 0; i < turns; i++) {
		double before = bare(b, rounds, false);

		item[i] = documents(b, b->unchecked, rounds, f.stages_us);
		hash[i] = file_hash(b, rounds);
		/* Its neighbours on both sides: a drift of the clock rate falls out. */
		raw[i] = (before + bare(b, rounds, false)) / 2;
		whole[i] = raw[i] / item[i];
		ratio[i] = raw[i] / (item[i] - hash[i]);
		before = bare(b, rounds, true);
		checked[i] = documents(b, b->desk.ring, rounds, warm);
		checked[i] = (before + bare(b, rounds, true)) / 2 / checked[i];
	}
	for (int i = 0; i < STAGES; i++)
		f.stages_us[i] /= (double)turns * rounds * ITEMS;
	ours = openssl = 0;
	documents(b, b->desk.ring, rounds, warm);
	f.ours = (double)ours / (rounds * ITEMS);
	f.openssl = (double)openssl / (rounds * ITEMS);
	f.ratio = median(ratio, turns);
	f.whole = median(whole, turns);
	f.checked = median(checked, turns);
	f.raw_us = median(raw, turns);
	f.item_us = median(item, turns);
	f.file_hash_us = median(hash, turns);
	f.bytes = b->leaves[0].item.doc.body_size;
	return f;
}

/* ---- report ---- */

static const struct {
	const char *name;
	enum algorithm algorithm;
	uint32_t rounds, turns;
} rows[] = {
	{ "rsa2048", ALG_RSA2048, 1, 21 },
	{ "p256", ALG_P256, 6, TURNS },
	{ "rsa3072", ALG_RSA3072, 1, 3 },
};

static void print(const char *name, uint8_t signs_n, const struct figures *f)
{
	printf("%-8s %u %9.2f %9.2f %7.3f %7.3f %7.3f %7u  ", name, signs_n, f->raw_us, f->item_us,
	       f->ratio, f->whole, f->checked, f->bytes);
	for (int i = 0; i < STAGES; i++)
		printf("%9.2f", f->stages_us[i]);
	printf("%9.2f\n", f->file_hash_us);
}

static void json_row(FILE *out, const char *name, uint8_t signs_n, const struct figures *f)
{
	const struct { const char *key; double value; } all[] = {
		{ "ratio", f->ratio },           { "whole_ratio", f->whole },
		{ "checked_ratio", f->checked }, { "raw_us", f->raw_us },
		{ "item_us", f->item_us },       { "file_hash_us", f->file_hash_us },
		{ "body_bytes", f->bytes },
	};
	const char *two = signs_n == 2 ? ".two" : "";

	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		fprintf(out, "  \"press.%s%s.%s\": %.4f,\n", name, two, all[i].key, all[i].value);
	for (int i = 0; i < STAGES; i++)
		fprintf(out, "  \"press.%s%s.%s_us\": %.3f,\n", name, two, stage_names[i],
			f->stages_us[i]);
}

int main(int argc, char **argv)
{
	static struct bench b;
	FILE *out = argc == 3 && strcmp(argv[1], "--json") == 0 ? fopen(argv[2], "w") : NULL;
	double most = 0, theirs = 0;

	if (CRYPTO_set_mem_functions(count_malloc, count_realloc, count_free) != 1 ||
	    (argc != 1 && out == NULL)) {
		fprintf(stderr, "press_bench [--json FILE]\n");
		return 2;
	}
	if (out != NULL)
		fprintf(out, "{\n");
	printf("key   signs    raw µs   item µs   ratio   whole checked  body B     render  "
	       "prepare     sign"
	       "     bind  (file hash) µs\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		for (uint8_t n = 1; n <= 2; n++) {
			struct figures f;

			if (bench_open(&b, rows[i].algorithm, n) != 0) {
				fprintf(stderr, "%s: %s\n", rows[i].name, b.desk.keys.e.text);
				return 1;
			}
			f = measure(&b, rows[i].rounds, rows[i].turns);
			bench_close(&b);
			print(rows[i].name, n, &f);
			if (out != NULL)
				json_row(out, rows[i].name, n, &f);
			most = f.ours > most ? f.ours : most;
			theirs = f.openssl > theirs ? f.openssl : theirs;
		}
	printf("allocations an item: %.2f by our code, up to %.1f inside of OpenSSL\n", most,
	       theirs);
	if (out != NULL) {
		fprintf(out, "  \"press.openssl_allocations_per_item\": %.2f,\n"
			"  \"press.allocations_per_item\": %.4f\n}\n", theirs, most);
		fclose(out);
	}
	return 0;
}
