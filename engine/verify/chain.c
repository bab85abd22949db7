#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "signer/certs.h"
#include "verify/inside.h"
#include "verify/proof.h"

enum status roots_load(struct roots **out, const char *trust, const char *crls, struct error *e)
{
	struct roots *r = calloc(1, sizeof(*r));
	STACK_OF(X509) *all = NULL;
	int roots_n = 0;
	enum status st;

	if (r == NULL)
		return error_set(e, ST_NOMEM, "roots: out of memory");
	r->store = X509_STORE_new();
	r->others = sk_X509_new_null();
	st = r->store == NULL || r->others == NULL ?
		     error_set(e, ST_NOMEM, "roots: out of memory") :
		     certs_read_all(&all, trust, e);
	if (st == ST_OK && crls != NULL)
		st = crls_read_all(&r->crls, crls, e);
	for (int i = 0; st == ST_OK && i < sk_X509_num(all); i++) {
		X509 *x = sk_X509_value(all, i);

		if (X509_check_ca(x) != 1)
			continue;
		if (X509_self_signed(x, 1) == 1)
			roots_n += X509_STORE_add_cert(r->store, x) == 1;
		else if (X509_up_ref(x) == 1 && sk_X509_push(r->others, x) <= 0)
			st = ST_NOMEM;
	}
	ERR_clear_error();
	sk_X509_pop_free(all, X509_free);
	if (st == ST_OK && roots_n == 0)
		st = error_set(e, ST_NOT_FOUND,
			       "%s has no self-signed CA certificate (*.pem) to trust", trust);
	if (st != ST_OK) {
		roots_free(r);
		return st;
	}
	*out = r;
	return ST_OK;
}

enum status roots_add_tsa(struct roots *r, const char *path, struct error *e)
{
	STACK_OF(X509) *all = NULL;
	enum status st = certs_read_all(&all, path, e);
	int n = 0;

	if (st == ST_OK && r->tsa == NULL)
		r->tsa = X509_STORE_new();
	if (st == ST_OK && r->tsa == NULL)
		st = error_set(e, ST_NOMEM, "roots: out of memory");
	for (int i = 0; st == ST_OK && i < sk_X509_num(all); i++)
		if (X509_check_ca(sk_X509_value(all, i)) == 1 &&
		    X509_self_signed(sk_X509_value(all, i), 1) == 1)
			n += X509_STORE_add_cert(r->tsa, sk_X509_value(all, i)) == 1;
	ERR_clear_error();
	sk_X509_pop_free(all, X509_free);
	if (st == ST_OK && n == 0)
		st = error_set(e, ST_NOT_FOUND, "%s has no self-signed CA certificate (*.pem)",
			       path);
	return st;
}

enum status roots_bare(struct roots **out, const struct roots *of)
{
	struct roots *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return ST_NOMEM;
	if (X509_STORE_up_ref(of->store) == 1)
		r->store = of->store;
	r->others = X509_chain_up_ref(of->others);
	r->crls = sk_X509_CRL_new_null();
	if (r->store == NULL || r->others == NULL || r->crls == NULL) {
		roots_free(r);
		return ST_NOMEM;
	}
	*out = r;
	return ST_OK;
}

enum status roots_add_list(struct roots *r, struct slice der)
{
	const unsigned char *p = der.p;
	X509_CRL *list = d2i_X509_CRL(NULL, &p, (long)der.n);

	if (list == NULL) {
		ERR_clear_error();
		return ST_INVALID;
	}
	if (sk_X509_CRL_push(r->crls, list) > 0)
		return ST_OK;
	X509_CRL_free(list);
	return ST_NOMEM;
}

void roots_free(struct roots *r)
{
	if (r == NULL)
		return;
	X509_STORE_free(r->store);
	X509_STORE_free(r->tsa);
	sk_X509_pop_free(r->others, X509_free);
	sk_X509_CRL_pop_free(r->crls, X509_CRL_free);
	free(r);
}

void roots_digest(const struct roots *r, uint8_t out[SHA256_BYTES])
{
	STACK_OF(X509) *all = X509_STORE_get1_all_certs(r->store);
	uint8_t one[SHA256_BYTES];
	unsigned int n;

	memset(out, 0, SHA256_BYTES);
	for (int i = 0; i < sk_X509_num(all); i++)
		if (X509_digest(sk_X509_value(all, i), EVP_sha256(), one, &n) == 1)
			for (int k = 0; k < SHA256_BYTES; k++)
				out[k] ^= one[k];
	sk_X509_pop_free(all, X509_free);
}

static void chain_fault(int code, struct finding *f)
{
	const char *text = X509_verify_cert_error_string(code);

	switch (code) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		find_fault(f, VERDICT_INDETERMINATE, IND_OUT_OF_BOUNDS_NO_POE,
			   "a certificate had expired at the signing time");
		break;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		find_fault(f, VERDICT_FAILED, IND_NOT_YET_VALID,
			   "a certificate was not yet valid at the signing time");
		break;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		find_fault(f, VERDICT_INDETERMINATE, IND_NO_CERTIFICATE_CHAIN_FOUND,
			   "no chain to a trusted root: %s", text);
		break;
	default:
		find_fault(f, VERDICT_INDETERMINATE, IND_CHAIN_CONSTRAINTS_FAILURE,
			   "certificate chain: %s", text);
	}
}

/* What the lists say of one certificate of the chain; which: counted from 1. */
static void check_lists(const struct roots *roots, const struct revocation *r, int which,
			int64_t signed_ms, struct finding *f)
{
	if (r->state == REVOCATION_REVOKED && r->revoked_ms <= signed_ms)
		find_fault(f, VERDICT_FAILED, IND_REVOKED,
			   "certificate %d of the chain was revoked before the signing time",
			   which);
	else if (r->state == REVOCATION_REVOKED)
		find_fault(f, VERDICT_INDETERMINATE, IND_REVOKED_NO_POE,
			   "certificate %d of the chain was revoked later, and nothing proves "
			   "that the signature is older", which);
	else if (r->state == REVOCATION_UNKNOWN && !roots->lists_optional)
		find_fault(f, VERDICT_INDETERMINATE, IND_TRY_LATER,
			   "there is no revocation list for certificate %d of the chain", which);
	else if (r->state == REVOCATION_GOOD && signed_ms > r->next_ms)
		find_fault(f, VERDICT_INDETERMINATE, IND_TRY_LATER,
			   "the revocation list for certificate %d of the chain is older than "
			   "the signature", which);
}

/* Lists may be younger than the signature: what they say of later is no proof, of earlier it is. */
static void check_revocation(const struct roots *roots, struct chain *chain, int64_t signed_ms,
			     struct finding *f)
{
	for (int i = 0; i + 1 < sk_X509_num(chain->certs); i++) {
		struct revocation r = crl_look_up(roots->crls, sk_X509_value(chain->certs, i),
						  sk_X509_value(chain->certs, i + 1));
		struct finding one = { .verdict = VERDICT_PASSED };

		check_lists(roots, &r, i + 1, signed_ms, &one);
		/* One that was revoked says more than one that is not known. */
		if (one.indication == IND_REVOKED_NO_POE && f->indication == IND_TRY_LATER)
			*f = one;
		finding_merge(f, &one);
		if (r.state == REVOCATION_GOOD && r.next_ms < chain->to_ms)
			chain->to_ms = r.next_ms + 1;
	}
}

/* How many of them could have issued cert? */
static int issuers_in(STACK_OF(X509) *from, X509 *cert)
{
	int n = 0;

	for (int i = 0; i < sk_X509_num(from); i++)
		n += X509_NAME_cmp(X509_get_subject_name(sk_X509_value(from, i)),
				   X509_get_issuer_name(cert)) == 0;
	return n;
}

/*
 * From when to when the same chain is found: all of its certificates are valid, and no other one
 * could have been taken instead, else which is found depends on the time.
 */
static void find_window(const struct roots *roots, STACK_OF(X509) *embedded, struct chain *chain)
{
	STACK_OF(X509) *trusted = X509_STORE_get1_all_certs(roots->store);

	chain->from_ms = INT64_MIN;
	chain->to_ms = trusted != NULL ? INT64_MAX : INT64_MIN;
	for (int i = 0; i < sk_X509_num(chain->certs); i++) {
		X509 *x = sk_X509_value(chain->certs, i);
		int64_t from_ms = cert_time_ms(X509_get0_notBefore(x));
		int64_t to_ms = cert_time_ms(X509_get0_notAfter(x));
		int in_hand = issuers_in(embedded, x);

		if (in_hand == 0)
			in_hand = issuers_in(roots->others, x);
		if (in_hand + issuers_in(trusted, x) != 1)
			chain->to_ms = INT64_MIN;
		chain->from_ms = from_ms > chain->from_ms ? from_ms : chain->from_ms;
		chain->to_ms = to_ms < chain->to_ms ? to_ms : chain->to_ms;
	}
	sk_X509_pop_free(trusted, X509_free);
}

/* Out of its time, a chain is looked at to its end: what else is wrong with it may be graver. */
static int go_on(int good, X509_STORE_CTX *ctx)
{
	struct finding *f = X509_STORE_CTX_get_app_data(ctx), one = { .verdict = VERDICT_PASSED };
	int code = X509_STORE_CTX_get_error(ctx);

	if (good == 1)
		return 1;
	chain_fault(code, &one);
	finding_merge(f, &one);
	return code == X509_V_ERR_CERT_HAS_EXPIRED || code == X509_V_ERR_CERT_NOT_YET_VALID;
}

static void set_up(X509_VERIFY_PARAM *param, int64_t signed_ms)
{
	X509_VERIFY_PARAM_set_time(param, (time_t)(signed_ms / 1000));
	X509_VERIFY_PARAM_set_depth(param, KEY_CHAIN_MAX);
	X509_VERIFY_PARAM_set_auth_level(param, 2);	/* 112 bits: RSA-2048, SHA-256 */
	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
}

void chain_check(const struct roots *roots, X509 *cert, STACK_OF(X509) *certs, int64_t signed_ms,
		 struct chain *out, struct finding *f)
{
	STACK_OF(X509) *untrusted = sk_X509_dup(roots->others);
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	struct finding found = { .verdict = VERDICT_PASSED };
	bool in_time = false;

	*out = (struct chain){ .to_ms = INT64_MIN };
	for (int i = 0; untrusted != NULL && i < sk_X509_num(certs); i++)
		sk_X509_push(untrusted, sk_X509_value(certs, i));
	if (ctx == NULL || untrusted == NULL ||
	    X509_STORE_CTX_init(ctx, roots->store, cert, untrusted) != 1) {
		find_fault(f, VERDICT_INDETERMINATE, IND_GENERIC, "out of memory");
		goto out;
	}
	set_up(X509_STORE_CTX_get0_param(ctx), signed_ms);
	X509_STORE_CTX_set_app_data(ctx, &found);
	X509_STORE_CTX_set_verify_cb(ctx, go_on);
	if (X509_verify_cert(ctx) == 1) {
		out->certs = X509_STORE_CTX_get1_chain(ctx);
		in_time = found.verdict == VERDICT_PASSED;
		find_window(roots, certs, out);
		check_revocation(roots, out, signed_ms, &found);
	} else if (found.verdict == VERDICT_PASSED) {
		chain_fault(X509_STORE_CTX_get_error(ctx), &found);
	}
	if (!in_time) {
		sk_X509_pop_free(out->certs, X509_free);
		out->certs = NULL;
	}
	finding_merge(f, &found);
	if ((X509_get_key_usage(cert) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) == 0)
		find_fault(f, VERDICT_INDETERMINATE, IND_CHAIN_CONSTRAINTS_FAILURE,
			   "the certificate may not sign documents (key usage)");
out:
	X509_STORE_CTX_free(ctx);
	sk_X509_free(untrusted);
	ERR_clear_error();
}
