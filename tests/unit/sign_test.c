#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/calendar.h"
#include "paper.h"

/* OpenSSL's own CMS code, with the CA as the only trust: what `openssl cms -verify -cades` does. */
static int openssl_accepts(const struct desk *d, const uint8_t *file, const struct hole *hole)
{
	uint32_t after = hole->file_offset + hole->file_bytes;
	size_t n = (hole->file_bytes - 2) / 2,
	       signed_n = hole->file_offset + hole->revision_end - after;
	uint8_t *der = malloc(n), *range = malloc(signed_n);
	const unsigned char *p = der;
	char path[400];
	X509_STORE *store = X509_STORE_new();
	CMS_ContentInfo *cms;
	BIO *content;
	int ok;

	assert_int_equal(file[hole->file_offset], '<');
	assert_int_equal(file[after - 1], '>');
	assert_true(hex_read(der, n, slice_of(file + hole->file_offset + 1, 2 * n)));
	memcpy(range, file, hole->file_offset);
	memcpy(range + hole->file_offset, file + after, hole->revision_end - after);
	cms = d2i_CMS_ContentInfo(NULL, &p, (long)n);
	assert_non_null(cms);
	for (const unsigned char *z = p; z < der + n; z++)
		assert_int_equal(*z, 0);
	snprintf(path, sizeof(path), "%s/root.pem", d->keys.certs);
	assert_int_equal(X509_STORE_load_file(store, path), 1);
	X509_STORE_set_purpose(store, X509_PURPOSE_ANY);
	content = BIO_new_mem_buf(range, (int)signed_n);
	ok = CMS_verify(cms, NULL, store, content, NULL, CMS_BINARY | CMS_CADES);
	BIO_free(content);
	CMS_ContentInfo_free(cms);
	X509_STORE_free(store);
	ERR_clear_error();
	free(der);
	free(range);
	return ok;
}

static void check_paper(struct desk *d, uint8_t signs_n)
{
	struct paper p;
	uint8_t *file, digest[SHA256_BYTES];
	size_t n;

	paper_open(&p, "u", "s", signs_n);
	assert_int_equal(paper_sign(&p, d->worker, d->ring, d->vault, d->hand, d->keys.now_ms),
			 ST_OK);
	file = paper_file(&p, &n);
	sha256_once(file, n, digest);
	assert_memory_equal(digest, p.item.file_sha256, SHA256_BYTES);
	for (uint8_t i = 0; i < signs_n; i++) {
		assert_true(p.item.slots[i].checked);
		assert_int_equal(openssl_accepts(d, file, &p.item.doc.holes[i]), 1);
	}
	/* A flipped bit on the page is seen by every signature. */
	((uint8_t *)memmem(file, n, "10 10 re", 8))[0] ^= 1;
	for (uint8_t i = 0; i < signs_n; i++)
		assert_int_equal(openssl_accepts(d, file, &p.item.doc.holes[i]), 0);
	free(file);
	paper_close(&p);
}

static void openssl_accepts_every_algorithm(void **state)
{
	for (int a = 0; a < ALG_COUNT; a++) {
		struct desk d = { 0 };

		assert_int_equal(desk_open(&d, (enum algorithm)a), 0);
		check_paper(&d, 1);
		check_paper(&d, 2);
		desk_close(&d);
	}
}

/* Each length that P-256 can have needs its own skeleton; short ones are rare, so wait for 69. */
static void every_usual_length_of_p256_is_accepted(void **state)
{
	struct desk d = { 0 };
	uint32_t seen[73] = { 0 };

	assert_int_equal(desk_open(&d, ALG_P256), 0);
	for (uint32_t i = 0; i < 20000 && (seen[69] == 0 || seen[70] < 3 || seen[72] < 3); i++) {
		struct paper p;
		uint8_t *file;
		size_t n;

		paper_open(&p, "u", "s", 1);
		assert_int_equal(paper_sign(&p, d.worker, d.ring, d.vault, d.hand, d.keys.now_ms),
				 ST_OK);
		if (seen[p.item.slots[0].value_size]++ < 3) {
			file = paper_file(&p, &n);
			assert_int_equal(openssl_accepts(&d, file, &p.item.doc.holes[0]), 1);
			free(file);
		}
		paper_close(&p);
	}
	assert_true(seen[70] > 0 && seen[71] > 0 && seen[72] > 0);
	desk_close(&d);
}

static void a_wrong_signature_is_caught(void **state)
{
	struct desk d = { 0 };
	struct paper p;
	struct item *it = &p.item;

	assert_int_equal(desk_open(&d, ALG_RSA2048), 0);
	paper_open(&p, "u", "s", 1);
	assert_int_equal(paper_sign(&p, d.worker, d.ring, d.vault, d.hand, d.keys.now_ms), ST_OK);
	for (int how = 0; how < 4; how++) {
		uint8_t value[SIGNATURE_BYTES_MAX];
		int32_t pen = vault_find(d.vault, slice_str("pen"));

		it->held = REASON_NONE;
		paper_render(&p, "giấy thử");
		sha256_fork(it->mid, p.prefix);
		assert_int_equal(sign_prepare(d.worker, it, 0), ST_OK);
		memcpy(value, p.values[0], 256);
		it->slots[0].value_size = 256;
		if (how == 0)
			value[100] ^= 4;
		else if (how == 1)		/* another key's */
			assert_int_equal(vault_sign(d.hand, (uint32_t)pen, it->slots[0].to_sign,
						    value, &it->slots[0].value_size),
					 ST_OK);
		else if (how == 2)
			it->slots[0].value_size = 255;
		else				/* of another document */
			it->slots[0].to_sign[0] ^= 1;
		it->slots[0].value = value;
		assert_int_equal(sign_bind(d.worker, it, 0), ST_CORRUPT);
		assert_int_equal(it->held, REASON_SIGNATURE_WRONG);
		assert_string_equal(it->held_detail, "seal");
	}
	paper_close(&p);
	desk_close(&d);
}

/* DESIGN 6: what such a key signs says so on each page, whoever starts the engine, and however. */
static void a_development_key_needs_marked_pages(void **state)
{
	struct desk d = { 0 };
	struct keyring *ring = NULL;
	struct keyring_config cfg = { .check_one_in = 1 };
	struct error e = { 0 };

	assert_int_equal(desk_open(&d, ALG_P256), 0);
	cfg.certs_dir = d.keys.certs;
	assert_int_equal(keyring_load(&ring, &cfg, &e), ST_PRECONDITION);
	assert_non_null(strstr(e.text, "'seal'"));
	assert_non_null(strstr(e.text, "--development"));
	cfg.development = true;
	assert_int_equal(keyring_load(&ring, &cfg, &e), ST_OK);
	keyring_unref(ring);
	desk_close(&d);
	(void)state;
}

static void sampling_checks_one_in_n(void **state)
{
	struct desk d = { 0 };
	struct keyring *sampled;
	struct keyring_config cfg = { .crl_age_hours_max = 0, .check_one_in = 8,
				      .development = true };
	uint32_t checked = 0;

	assert_int_equal(desk_open(&d, ALG_P256), 0);
	cfg.certs_dir = d.keys.certs;
	assert_int_equal(keyring_load(&sampled, &cfg, NULL), ST_OK);
	for (int i = 0; i < 64; i++) {
		struct paper p;

		paper_open(&p, "u", "s", 1);
		assert_int_equal(paper_sign(&p, d.worker, sampled, d.vault, d.hand, d.keys.now_ms),
				 ST_OK);
		checked += p.item.slots[0].checked;
		paper_close(&p);
	}
	assert_int_equal(checked, 8);
	keyring_unref(sampled);
	desk_close(&d);
}

static void holes_that_disagree_with_the_plan_are_refused(void **state)
{
	struct desk d = { 0 };
	struct paper p;
	struct item *it = &p.item;

	assert_int_equal(desk_open(&d, ALG_P256), 0);
	paper_open(&p, "u", "s", 1);
	assert_int_equal(paper_sign(&p, d.worker, d.ring, d.vault, d.hand, d.keys.now_ms), ST_OK);
	for (int how = 0; how < 5; how++) {
		struct hole *hole = &it->doc.holes[0];

		paper_render(&p, "giấy thử");
		sha256_fork(it->mid, p.prefix);
		if (how == 0)
			hole->file_offset++;
		else if (how == 1)
			hole->file_bytes -= 2;
		else if (how == 2)
			hole->revision_end = hole->file_offset;
		else if (how == 3)
			hole->revision_end += 1;
		else
			hole->body_offset = it->doc.body_size - 10;
		assert_int_equal(sign_prepare(d.worker, it, 0), ST_INTERNAL);
	}
	paper_close(&p);
	desk_close(&d);
}

static void rsa_is_the_same_every_time(void **state)
{
	struct desk d = { 0 };
	struct paper a, b;
	uint8_t *x, *y;
	size_t n, m;

	assert_int_equal(desk_open(&d, ALG_RSA2048), 0);
	paper_open(&a, "u", "s", 2);
	paper_open(&b, "u", "s", 2);
	memset(b.body, 0xee, sizeof(b.body));
	assert_int_equal(paper_sign(&a, d.worker, d.ring, d.vault, d.hand, d.keys.now_ms), ST_OK);
	assert_int_equal(paper_sign(&b, d.worker, d.ring, d.vault, d.hand, d.keys.now_ms), ST_OK);
	x = paper_file(&a, &n);
	y = paper_file(&b, &m);
	assert_int_equal(n, m);
	assert_memory_equal(x, y, n);
	assert_int_equal(a.item.doc.body_size, b.item.doc.body_size);
	assert_memory_equal(a.body, b.body, a.item.doc.body_size);
	free(x);
	free(y);
	paper_close(&a);
	paper_close(&b);
	desk_close(&d);
}

/* What was known of the certificates travels with the signature; one authority, one set. */
static void evidence_names_chain_and_lists(void **state)
{
	struct desk d = { 0 };
	const struct evidence *v[2];
	char want[400], hex[4][65] = { "" };
	struct paper p;

	assert_int_equal(desk_open(&d, ALG_P256), 0);
	paper_open(&p, "u", "s", 2);
	assert_int_equal(paper_sign(&p, d.worker, d.ring, d.vault, d.hand, d.keys.now_ms), ST_OK);
	for (int i = 0; i < 2; i++) {
		v[i] = p.item.slots[i].plan.evidence;
		assert_memory_equal(v[i]->certificate.sha256, p.item.slots[i].plan.cert_sha256,
				    SHA256_BYTES);
	}
	assert_memory_equal(v[0]->set.sha256, v[1]->set.sha256, SHA256_BYTES);
	assert_int_equal(v[0]->members_n, 4);
	for (int i = 0; i < 4; i++) {
		uint8_t digest[SHA256_BYTES];

		sha256_once(v[0]->members[i]->bytes, v[0]->members[i]->size, digest);
		assert_memory_equal(digest, v[0]->members[i]->sha256, SHA256_BYTES);
		hex_lower(hex[i], digest, SHA256_BYTES);
	}
	snprintf(want, sizeof(want),
		 "trien evidence 1\nlist %s\ncertificate %s\nlist %s\ncertificate %s\n"
		 "not revoked, known until ", hex[0], hex[1], hex[2], hex[3]);
	assert_memory_equal(v[0]->set.bytes, want, strlen(want));
	paper_close(&p);
	desk_close(&d);
}

/* Confirmed or not: whoever stands in for another signs until that ends. */
static void who_stands_in_signs_until_that_ends(void **state)
{
	static const char *const authorities[] = { "KT", "TL", "TUQ", "TM" };
	struct desk d = { 0 };
	uint32_t today;

	assert_int_equal(desk_open(&d, ALG_P256), 0);
	today = day_vietnam(d.keys.now_ms);
	for (size_t i = 0; i < ARRAY_LEN(authorities); i++)
		for (uint32_t late = 0; late < 2; late++) {
			bool ended = late == 1 && i < 3;
			struct paper p;

			paper_open(&p, "u", "s", 2);
			p.signer.authority = authorities[i];
			p.signer.to = today - late;
			assert_int_equal(paper_sign(&p, d.worker, d.ring, d.vault, d.hand,
						    d.keys.now_ms),
					 ended ? ST_PRECONDITION : ST_OK);
			assert_int_equal(p.item.held, ended ? REASON_DELEGATION_ENDED :
							      REASON_NONE);
			paper_close(&p);
		}
	desk_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(openssl_accepts_every_algorithm),
		cmocka_unit_test(every_usual_length_of_p256_is_accepted),
		cmocka_unit_test(a_wrong_signature_is_caught),
		cmocka_unit_test(a_development_key_needs_marked_pages),
		cmocka_unit_test(sampling_checks_one_in_n),
		cmocka_unit_test(holes_that_disagree_with_the_plan_are_refused),
		cmocka_unit_test(rsa_is_the_same_every_time),
		cmocka_unit_test(who_stands_in_signs_until_that_ends),
		cmocka_unit_test(evidence_names_chain_and_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
