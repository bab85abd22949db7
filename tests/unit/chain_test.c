/*
 * What revocation lists of different ages say together, and which fault of a chain is told. Times
 * are days.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tmpdir.h"
#include "verify/proof.h"

#define DAY_S 86400L
#define ALWAYS 10000		/* days */
#define PERMANENT 1		/* keyCompromise */
#define HOLD 6			/* certificateHold */

/* One key for all of them: names tell them apart. */
struct rig {
	struct tmpdir dir;
	EVP_PKEY *key;
	X509 *root, *issuing, *leaf;
	STACK_OF(X509) *certs;
	struct roots *base, *roots;
};

static void extend(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	X509_add_ext(x, ext, -1);
	X509_EXTENSION_free(ext);
}

static void name_set(X509_NAME *name, const char *cn)
{
	assert_int_equal(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
						    (const uint8_t *)cn, -1, -1, 0), 1);
}

/* issuer NULL: by itself. */
static X509 *cert_make(struct rig *r, const char *name, X509 *issuer, bool ca, long from, long to)
{
	static long serial = 7;
	X509 *x = X509_new();

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), serial++);
	name_set(X509_get_subject_name(x), name);
	X509_set_issuer_name(x, X509_get_subject_name(issuer != NULL ? issuer : x));
	ASN1_TIME_set(X509_getm_notBefore(x), from * DAY_S);
	ASN1_TIME_set(X509_getm_notAfter(x), to * DAY_S);
	X509_set_pubkey(x, r->key);
	extend(x, x, NID_basic_constraints, ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	extend(x, x, NID_key_usage, ca ? "critical,keyCertSign,cRLSign" :
					 "critical,digitalSignature");
	extend(x, x, NID_subject_key_identifier, "hash");
	extend(x, issuer != NULL ? issuer : x, NID_authority_key_identifier, "keyid:always");
	assert_true(X509_sign(x, r->key, EVP_sha256()) > 0);
	return x;
}

static void rig_open(struct rig *r)
{
	struct error e;
	char path[320];
	FILE *f;

	*r = (struct rig){ .key = EVP_EC_gen("P-256") };
	assert_non_null(r->key);
	assert_int_equal(tmpdir_make(&r->dir), 0);
	r->root = cert_make(r, "root", NULL, true, 0, ALWAYS);
	snprintf(path, sizeof(path), "%s/root.pem", r->dir.path);
	f = fopen(path, "w");
	assert_non_null(f);
	PEM_write_X509(f, r->root);
	fclose(f);
	assert_int_equal(roots_load(&r->base, path, NULL, &e), ST_OK);
	r->certs = sk_X509_new_null();
}

/* A chain, and no lists. */
static void chain_make(struct rig *r, long issuing_to, long leaf_from, long leaf_to)
{
	X509_free(r->issuing);
	X509_free(r->leaf);
	roots_free(r->roots);
	assert_int_equal(roots_bare(&r->roots, r->base), ST_OK);
	r->issuing = cert_make(r, "issuing", r->root, true, 0, issuing_to);
	r->leaf = cert_make(r, "leaf", r->issuing, false, leaf_from, leaf_to);
	sk_X509_zero(r->certs);
	sk_X509_push(r->certs, r->leaf);
	sk_X509_push(r->certs, r->issuing);
}

static void rig_close(struct rig *r)
{
	X509_free(r->root);
	X509_free(r->issuing);
	X509_free(r->leaf);
	sk_X509_free(r->certs);
	roots_free(r->roots);
	roots_free(r->base);
	EVP_PKEY_free(r->key);
	tmpdir_remove(&r->dir);
}

/* The issuer's list of that day, good for ever; cert NULL: nobody is on it. */
static void list_add(struct rig *r, X509 *issuer, long day, X509 *cert, long revoked, int reason)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *t = ASN1_TIME_set(NULL, day * DAY_S);
	unsigned char *der = NULL;
	int n;

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
	X509_CRL_set1_lastUpdate(crl, t);
	if (cert != NULL) {
		X509_REVOKED *entry = X509_REVOKED_new();
		ASN1_ENUMERATED *why = ASN1_ENUMERATED_new();

		ASN1_TIME_set(t, revoked * DAY_S);
		ASN1_ENUMERATED_set(why, reason);
		X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(cert));
		X509_REVOKED_set_revocationDate(entry, t);
		X509_REVOKED_add1_ext_i2d(entry, NID_crl_reason, why, 0, 0);
		X509_CRL_add0_revoked(crl, entry);
		ASN1_ENUMERATED_free(why);
	}
	assert_true(X509_CRL_sign(crl, r->key, EVP_sha256()) > 0);
	n = i2d_X509_CRL(crl, &der);
	assert_int_equal(roots_add_list(r->roots, slice_of(der, (size_t)n)), ST_OK);
	OPENSSL_free(der);
	X509_CRL_free(crl);
	ASN1_TIME_free(t);
}

static void expect(struct rig *r, long day, enum verdict v, enum indication i)
{
	struct finding f = { .verdict = VERDICT_PASSED };
	struct chain chain;

	chain_check(r->roots, r->leaf, r->certs, day * DAY_S * 1000, &chain, &f);
	if (f.verdict != v || f.indication != i)
		fail_msg("day %ld: %s %s %s", day, verdict_name(f.verdict),
			 indication_name(f.indication), f.why);
	/* A chain out of its time proves nothing. */
	assert_int_equal(chain.certs != NULL, i != IND_OUT_OF_BOUNDS_NO_POE &&
			 i != IND_NOT_YET_VALID && day < 20);
	sk_X509_pop_free(chain.certs, X509_free);
}

/* Whichever list comes first, and whatever the newest one has forgotten. */
static void revoked_once_is_revoked(void **state)
{
	struct rig r;

	rig_open(&r);
	for (int order = 0; order < 2; order++)
		for (long newest = 15; newest <= 30; newest += 15) {
			chain_make(&r, ALWAYS, 0, 20);
			list_add(&r, r.root, 1, NULL, 0, 0);
			if (order == 0)
				list_add(&r, r.issuing, newest, NULL, 0, 0);
			list_add(&r, r.issuing, 10, r.leaf, 5, PERMANENT);
			if (order == 1)
				list_add(&r, r.issuing, newest, NULL, 0, 0);
			expect(&r, 8, VERDICT_FAILED, IND_REVOKED);
			expect(&r, 4, VERDICT_INDETERMINATE, IND_REVOKED_NO_POE);
		}
	/* Another issuer's list says nothing of it. */
	chain_make(&r, ALWAYS, 0, 20);
	list_add(&r, r.issuing, 10, NULL, 0, 0);
	list_add(&r, r.root, 10, r.leaf, 5, PERMANENT);
	expect(&r, 8, VERDICT_PASSED, IND_NONE);
	rig_close(&r);
}

/* RFC 5280 5.3.1: a hold may be taken back; 3.3: what has expired may be left out. */
static void a_hold_ends(void **state)
{
	struct rig r;

	rig_open(&r);
	chain_make(&r, ALWAYS, 0, 20);
	list_add(&r, r.root, 1, NULL, 0, 0);
	list_add(&r, r.issuing, 6, r.leaf, 5, HOLD);
	expect(&r, 8, VERDICT_FAILED, IND_REVOKED);
	list_add(&r, r.issuing, 30, NULL, 0, 0);
	expect(&r, 8, VERDICT_FAILED, IND_REVOKED);
	list_add(&r, r.issuing, 10, NULL, 0, 0);
	expect(&r, 8, VERDICT_PASSED, IND_NONE);
	/* Once more: since then, not since the first time. */
	list_add(&r, r.issuing, 13, r.leaf, 12, HOLD);
	expect(&r, 8, VERDICT_INDETERMINATE, IND_REVOKED_NO_POE);
	expect(&r, 14, VERDICT_FAILED, IND_REVOKED);
	/* And then for good, which nothing takes back. */
	list_add(&r, r.issuing, 16, r.leaf, 15, PERMANENT);
	list_add(&r, r.issuing, 17, NULL, 0, 0);
	expect(&r, 14, VERDICT_INDETERMINATE, IND_REVOKED_NO_POE);
	expect(&r, 16, VERDICT_FAILED, IND_REVOKED);
	rig_close(&r);
}

static void the_gravest_fault_is_told(void **state)
{
	struct rig r;

	rig_open(&r);
	/* Of the leaf nothing is known. */
	chain_make(&r, ALWAYS, 0, 20);
	list_add(&r, r.root, 10, r.issuing, 5, PERMANENT);
	expect(&r, 8, VERDICT_FAILED, IND_REVOKED);
	expect(&r, 4, VERDICT_INDETERMINATE, IND_REVOKED_NO_POE);
	/* It had expired, too. */
	chain_make(&r, ALWAYS, 0, 20);
	list_add(&r, r.root, 1, NULL, 0, 0);
	expect(&r, 25, VERDICT_INDETERMINATE, IND_OUT_OF_BOUNDS_NO_POE);
	list_add(&r, r.issuing, 10, r.leaf, 5, PERMANENT);
	expect(&r, 25, VERDICT_FAILED, IND_REVOKED);
	/* Its authority had expired before it began. */
	chain_make(&r, 10, 20, 30);
	expect(&r, 15, VERDICT_FAILED, IND_NOT_YET_VALID);
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(revoked_once_is_revoked),
		cmocka_unit_test(a_hold_ends),
		cmocka_unit_test(the_gravest_fault_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
