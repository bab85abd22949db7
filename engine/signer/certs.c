#include "signer/certs.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define UNIT_URI "trien://unit/"

const char *openssl_reason(void)
{
	const char *s = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return s != NULL ? s : "unknown reason";
}

static BIO *open_file(const char *dir, const char *file, struct error *e)
{
	char path[4096];
	BIO *b;

	if (snprintf(path, sizeof(path), "%s/%s", dir, file) >= (int)sizeof(path)) {
		error_set(e, ST_INVALID, "%s: the path is too long", file);
		return NULL;
	}
	b = BIO_new_file(path, "rb");
	if (b == NULL) {
		error_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", path,
			  strerror(errno));
		ERR_clear_error();
	}
	return b;
}

enum status cert_read(X509 **out, const char *dir, const char *file, struct error *e)
{
	struct error why = { .status = ST_IO };
	BIO *b = open_file(dir, file, &why);

	if (b == NULL) {
		if (e != NULL)
			*e = why;
		return why.status;
	}
	*out = PEM_read_bio_X509(b, NULL, NULL, NULL);
	BIO_free(b);
	if (*out == NULL)
		return error_set(e, ST_INVALID, "%s/%s: no PEM certificate: %s", dir, file,
				 openssl_reason());
	return ST_OK;
}

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), m = strlen(end);

	return n > m && s[0] != '.' && strcmp(s + n - m, end) == 0;
}

static enum status one_file(const char *path,
			    enum status (*take)(void *out, BIO *b, const char *file,
						struct error *e),
			    void *out, struct error *e)
{
	BIO *b = BIO_new_file(path, "rb");
	enum status st;

	if (b == NULL) {
		ERR_clear_error();
		return error_set(e, ST_IO, "%s: %s", path, strerror(errno));
	}
	st = take(out, b, path, e);
	BIO_free(b);
	return st;
}

/* Calls take() on each file of dir whose name ends so, in no order; or on the one file. */
static enum status each_file(const char *dir, const char *end,
			     enum status (*take)(void *out, BIO *b, const char *file,
						 struct error *e),
			     void *out, struct error *e)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	enum status st = ST_OK;

	if (d == NULL && errno == ENOTDIR)
		return one_file(dir, take, out, e);
	if (d == NULL)
		return error_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", dir,
				 strerror(errno));
	while (st == ST_OK && (entry = readdir(d)) != NULL) {
		struct error why = { .status = ST_IO };
		BIO *b;

		if (!ends_with(entry->d_name, end))
			continue;
		b = open_file(dir, entry->d_name, &why);
		if (b == NULL) {
			st = why.status;
			if (e != NULL)
				*e = why;
			continue;
		}
		st = take(out, b, entry->d_name, e);
		BIO_free(b);
	}
	closedir(d);
	return st;
}

static enum status take_certs(void *out, BIO *b, const char *file, struct error *e)
{
	STACK_OF(X509) *all = out;
	X509 *x;

	while ((x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL) {
		if (sk_X509_push(all, x) <= 0) {
			X509_free(x);
			return error_set(e, ST_NOMEM, "%s: out of memory", file);
		}
	}
	ERR_clear_error();
	return ST_OK;
}

enum status certs_read_all(STACK_OF(X509) **out, const char *dir, struct error *e)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	enum status st;

	if (all == NULL)
		return error_set(e, ST_NOMEM, "%s: out of memory", dir);
	st = each_file(dir, ".pem", take_certs, all, e);
	if (st != ST_OK) {
		sk_X509_pop_free(all, X509_free);
		return st;
	}
	*out = all;
	return ST_OK;
}

static enum status take_crl(void *out, BIO *b, const char *file, struct error *e)
{
	STACK_OF(X509_CRL) *all = out;
	X509_CRL *crl = PEM_read_bio_X509_CRL(b, NULL, NULL, NULL);

	if (crl == NULL) {
		ERR_clear_error();
		if (BIO_seek(b, 0) == 0)
			crl = d2i_X509_CRL_bio(b, NULL);
	}
	if (crl == NULL)
		return error_set(e, ST_INVALID, "%s: neither a PEM nor a DER revocation list: %s",
				 file, openssl_reason());
	if (sk_X509_CRL_push(all, crl) <= 0) {
		X509_CRL_free(crl);
		return error_set(e, ST_NOMEM, "%s: out of memory", file);
	}
	return ST_OK;
}

enum status crls_read_all(STACK_OF(X509_CRL) **out, const char *dir, struct error *e)
{
	STACK_OF(X509_CRL) *all = sk_X509_CRL_new_null();
	enum status st;

	if (all == NULL)
		return error_set(e, ST_NOMEM, "%s: out of memory", dir);
	st = each_file(dir, ".crl", take_crl, all, e);
	if (st != ST_OK) {
		sk_X509_CRL_pop_free(all, X509_CRL_free);
		return st;
	}
	*out = all;
	return ST_OK;
}

int64_t cert_time_ms(const ASN1_TIME *t)
{
	struct tm tm;

	if (t == NULL || ASN1_TIME_to_tm(t, &tm) != 1)
		return INT64_MIN;
	return (int64_t)timegm(&tm) * 1000;
}

void cert_common_name(const X509 *cert, char *out, size_t n)
{
	const X509_NAME *name = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	unsigned char *utf8 = NULL;
	int len = at < 0 ? -1 : ASN1_STRING_to_UTF8(&utf8,
				X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
	size_t keep = len < 0 ? 0 : (size_t)len;

	if (keep > n - 1) {
		keep = n - 1;
		/* Not in the middle of a character. */
		while (keep > 0 && (utf8[keep] & 0xc0) == 0x80)
			keep--;
	}
	if (keep > 0)
		memcpy(out, utf8, keep);
	out[keep] = '\0';
	OPENSSL_free(utf8);
}

bool cert_of_development(const X509 *cert)
{
	char name[sizeof(DEVELOPMENT_CA) + 1];
	int n = X509_NAME_get_text_by_NID(X509_get_issuer_name(cert), NID_organizationName, name,
					  sizeof(name));

	return n == (int)strlen(DEVELOPMENT_CA) && strcmp(name, DEVELOPMENT_CA) == 0;
}

bool cert_unit(X509 *cert, char *out, size_t n)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	size_t prefix = strlen(UNIT_URI);
	bool found = false;

	for (int i = 0; !found && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		const unsigned char *p;
		size_t len;

		if (g->type != GEN_URI)
			continue;
		p = ASN1_STRING_get0_data(g->d.uniformResourceIdentifier);
		len = (size_t)ASN1_STRING_length(g->d.uniformResourceIdentifier);
		if (len <= prefix || len - prefix >= n || memcmp(p, UNIT_URI, prefix) != 0)
			continue;
		memcpy(out, p + prefix, len - prefix);
		out[len - prefix] = '\0';
		found = true;
	}
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return found;
}

bool cert_has_algorithm(X509 *cert, enum algorithm a)
{
	const struct algorithm_info *info = algorithm_info(a);
	EVP_PKEY *key = X509_get0_pubkey(cert);
	char curve[64] = "";
	size_t n;

	if (key == NULL || EVP_PKEY_get_bits(key) != info->bits)
		return false;
	if (info->rsa)
		return EVP_PKEY_is_a(key, "RSA") || (info->pss && EVP_PKEY_is_a(key, "RSA-PSS"));
	return EVP_PKEY_is_a(key, "EC") &&
		EVP_PKEY_get_group_name(key, curve, sizeof(curve), &n) == 1 &&
		strcmp(curve, "prime256v1") == 0;
}

EVP_PKEY_CTX *algorithm_context(const struct algorithm_info *info, EVP_PKEY *key, bool signing)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);
	bool ok = c != NULL && (signing ? EVP_PKEY_sign_init(c) : EVP_PKEY_verify_init(c)) == 1;

	if (ok && info->rsa)
		ok = EVP_PKEY_CTX_set_rsa_padding(c, info->pss ? RSA_PKCS1_PSS_PADDING :
						  RSA_PKCS1_PADDING) == 1;
	if (ok)
		ok = EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) == 1;
	if (ok && info->pss)
		ok = EVP_PKEY_CTX_set_rsa_pss_saltlen(c, 32) == 1 &&
			EVP_PKEY_CTX_set_rsa_mgf1_md(c, EVP_sha256()) == 1;
	if (ok)
		return c;
	EVP_PKEY_CTX_free(c);
	return NULL;
}

static bool crl_speaks_for(X509_CRL *crl, X509 *issuer)
{
	if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) != 0)
		return false;
	for (int i = 0; i < X509_CRL_get_ext_count(crl); i++)
		if (X509_EXTENSION_get_critical(X509_CRL_get_ext(crl, i)))
			return false;
	if ((X509_get_key_usage(issuer) & KU_CRL_SIGN) == 0)
		return false;
	return X509_CRL_verify(crl, X509_get0_pubkey(issuer)) == 1;
}

/* What the lists of an issuer say together. */
struct word {
	int64_t revoked_ms;		/* the earliest, for good; INT64_MAX: never */
	int64_t held_ms, free_ms;	/* of the newest lists with it on hold, and without it */
	int64_t hold_ms;		/* since when, by the former */
};

static bool is_hold(const X509_REVOKED *entry)
{
	ASN1_ENUMERATED *reason = X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, NULL, NULL);
	bool hold = reason != NULL && ASN1_ENUMERATED_get(reason) == CRL_REASON_CERTIFICATE_HOLD;

	ASN1_ENUMERATED_free(reason);
	return hold;
}

static void list_read(struct word *w, X509_CRL *crl, int64_t this_ms, X509 *cert)
{
	X509_REVOKED *entry = NULL;
	/* 2: it says "removed from the list". */
	bool listed = X509_CRL_get0_by_cert(crl, &entry, cert) == 1;
	int64_t at = listed ? cert_time_ms(X509_REVOKED_get0_revocationDate(entry)) : 0;

	if (listed && is_hold(entry)) {
		if (this_ms > w->held_ms) {
			w->held_ms = this_ms;
			w->hold_ms = at;
		}
	} else if (listed) {
		w->revoked_ms = at < w->revoked_ms ? at : w->revoked_ms;
	} else if (this_ms <= cert_time_ms(X509_get0_notAfter(cert)) && this_ms > w->free_ms) {
		w->free_ms = this_ms;
	}
}

struct revocation crl_look_up(const STACK_OF(X509_CRL) *crls, X509 *cert, X509 *issuer)
{
	struct revocation r = { .state = REVOCATION_UNKNOWN, .list = -1, .this_ms = INT64_MIN };
	struct word w = { INT64_MAX, INT64_MIN, INT64_MIN, INT64_MAX };

	for (int i = 0; i < sk_X509_CRL_num(crls); i++) {
		X509_CRL *crl = sk_X509_CRL_value(crls, i);
		int64_t this_ms = cert_time_ms(X509_CRL_get0_lastUpdate(crl));

		if (!crl_speaks_for(crl, issuer))
			continue;
		list_read(&w, crl, this_ms, cert);
		if (this_ms > r.this_ms) {
			r.list = i;
			r.this_ms = this_ms;
			r.next_ms = X509_CRL_get0_nextUpdate(crl) == NULL ? INT64_MAX :
				    cert_time_ms(X509_CRL_get0_nextUpdate(crl));
		}
	}
	ERR_clear_error();
	if (r.list < 0)
		return r;
	if (w.held_ms >= w.free_ms && w.hold_ms < w.revoked_ms)
		w.revoked_ms = w.hold_ms;
	r.state = w.revoked_ms == INT64_MAX ? REVOCATION_GOOD : REVOCATION_REVOKED;
	r.revoked_ms = r.state == REVOCATION_REVOKED ? w.revoked_ms : 0;
	return r;
}
