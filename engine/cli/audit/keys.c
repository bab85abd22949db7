#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/audit/audit.h"
#include "document.h"

#define FACTS_MAX 4096			/* a power of two; the oldest is forgotten */
#define SKEW_MS (10 * 60 * 1000)	/* of the clocks of who issues lists */

/* What certificate and evidence say together: read once, asked for every signature. */
struct facts {
	bool known;
	uint8_t cert[SHA256_BYTES], set[SHA256_BYTES];
	int64_t from_ms, to_ms;		/* of the certificate */
	int64_t revoked_ms;		/* INT64_MAX: not by its lists */
	int64_t lists_from_ms, lists_to_ms;	/* that all of them speak of; INT64_MIN: none */
	enum audit_fault fault;
	char why[120];			/* "": all is there and belongs together */
};

struct named { uint8_t sha256[SHA256_BYTES]; const struct key_policy *key; };

struct audit_keys {
	const struct audit *a;
	struct facts of[FACTS_MAX];
	struct named *policy;		/* by certificate */
	size_t policy_n;
};

static const uint8_t nothing[SHA256_BYTES];

/* ---- keys.json ---- */

static bool cert_hash(const char *folder, const char *name, uint8_t out[SHA256_BYTES])
{
	char path[PATH_MAX];
	uint8_t *der = NULL;
	X509 *x = NULL;
	FILE *f;
	int n;

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return false;
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	x = PEM_read_X509(f, NULL, NULL, NULL);
	fclose(f);
	n = x != NULL ? i2d_X509(x, &der) : -1;
	if (n > 0)
		sha256_once(der, (size_t)n, out);
	OPENSSL_free(der);
	X509_free(x);
	return n > 0;
}

static int by_hash(const void *a, const void *b)
{
	return memcmp(((const struct named *)a)->sha256, ((const struct named *)b)->sha256,
		      SHA256_BYTES);
}

static enum status policy_take(struct audit_keys *k)
{
	const struct policy *p = k->a->policy;
	uint32_t n = p != NULL ? policy_count(p) : 0;

	if (n == 0)
		return ST_OK;
	k->policy = calloc(n, sizeof(*k->policy));
	if (k->policy == NULL)
		return ST_NOMEM;
	for (uint32_t i = 0; i < n; i++) {
		struct named *at = &k->policy[k->policy_n];

		at->key = policy_key(p, i);
		k->policy_n += cert_hash(k->a->certs, at->key->cert_file, at->sha256);
	}
	qsort(k->policy, k->policy_n, sizeof(*k->policy), by_hash);
	return ST_OK;
}

enum status audit_keys_new(struct audit_keys **out, const struct audit *a)
{
	struct audit_keys *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return ST_NOMEM;
	k->a = a;
	if (policy_take(k) != ST_OK) {
		audit_keys_free(k);
		return ST_NOMEM;
	}
	*out = k;
	return ST_OK;
}

void audit_keys_free(struct audit_keys *k)
{
	if (k == NULL)
		return;
	free(k->policy);
	free(k);
}

/* A key that is not in keys.json any more is not judged by it. */
static void policy_ask(const struct audit_keys *k, const uint8_t id[16], struct slice unit,
		       struct slice kind, const struct signature_view *s, json_t *findings)
{
	size_t low = 0, high = k->policy_n;
	bool any = false, fits = false;
	const char *name = "";

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (memcmp(k->policy[middle].sha256, s->cert_sha256, SHA256_BYTES) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < k->policy_n &&
	     memcmp(k->policy[low].sha256, s->cert_sha256, SHA256_BYTES) == 0; low++) {
		const struct key_policy *p = k->policy[low].key;

		any = true;
		name = p->id;
		fits |= slice_eq(slice_str(p->unit), unit) && policy_covers(p, kind) &&
			s->signed_ms >= p->from_ms && s->signed_ms < p->to_ms;
	}
	if (any && !fits)
		json_array_append_new(findings, audit_finding(
			AUDIT_POLICY, id, 0, "keys.json does not let key %s sign this for %.*s "
			"at that time", name, (int)unit.n, (const char *)unit.p));
}

/* ---- certificate and evidence ---- */

static int64_t ms_of(const ASN1_TIME *t)
{
	struct tm tm = { 0 };

	return t != NULL && ASN1_TIME_to_tm(t, &tm) == 1 ? (int64_t)timegm(&tm) * 1000 :
							   INT64_MIN;
}

static void wrong(struct facts *f, enum audit_fault fault, const char *why)
{
	if (f->why[0] != '\0')
		return;
	f->fault = fault;
	snprintf(f->why, sizeof(f->why), "%s", why);
}

static enum status object(const struct audit *a, struct store_reader *r, const uint8_t *sha256,
			  struct facts *f, struct slice *out)
{
	enum status st = a->store->ops->object(r, sha256, out);

	if (st == ST_NOT_FOUND)
		wrong(f, AUDIT_EVIDENCE, "what the store keeps of its key is missing");
	if (st == ST_CORRUPT)
		wrong(f, AUDIT_EVIDENCE, "what the store keeps of its key is damaged");
	return st;
}

static X509 *cert_get(const struct audit *a, struct store_reader *r, const uint8_t *sha256,
		      struct facts *f, enum status *st)
{
	struct slice der = { NULL, 0 };
	const uint8_t *p;
	X509 *x = NULL;

	*st = object(a, r, sha256, f, &der);
	p = der.p;
	if (*st == ST_OK)
		x = d2i_X509(NULL, &p, (long)der.n);
	if (*st == ST_OK && x == NULL)
		wrong(f, AUDIT_EVIDENCE, "what the store keeps of its key is no certificate");
	return x;
}

static void list_read(struct facts *f, X509 *cert, X509_CRL *list)
{
	X509_REVOKED *entry = NULL;
	int64_t from = ms_of(X509_CRL_get0_lastUpdate(list));
	int64_t to = ms_of(X509_CRL_get0_nextUpdate(list));

	if (X509_NAME_cmp(X509_CRL_get_issuer(list), X509_get_issuer_name(cert)) != 0)
		return;
	if (from > f->lists_from_ms)
		f->lists_from_ms = from;
	if (to != INT64_MIN && to < f->lists_to_ms)
		f->lists_to_ms = to;
	if (X509_CRL_get0_by_cert(list, &entry, cert) == 1) {
		int64_t at = ms_of(X509_REVOKED_get0_revocationDate(entry));

		if (at < f->revoked_ms)
			f->revoked_ms = at;
	}
}

/* One word of the set: the lists that were asked, and the issuers, nearest first. */
static enum status member(const struct audit *a, struct store_reader *r, struct facts *f,
			  const char *line, X509 *cert, X509 **issuer)
{
	bool list = strncmp(line, "list ", 5) == 0;
	bool issuers = strncmp(line, "certificate ", 12) == 0;
	const char *hex = list ? line + 5 : line + 12;
	uint8_t sha256[SHA256_BYTES];
	struct slice der = { NULL, 0 };
	const uint8_t *p;
	X509_CRL *crl;
	enum status st;

	if ((!list && !issuers) ||
	    !hex_read(sha256, SHA256_BYTES, slice_of(hex, strcspn(hex, "\n"))))
		return ST_OK;
	if (issuers && *issuer != NULL)
		return object(a, r, sha256, f, &der);
	if (issuers) {
		*issuer = cert_get(a, r, sha256, f, &st);
		if (*issuer != NULL && X509_verify(cert, X509_get0_pubkey(*issuer)) != 1)
			wrong(f, AUDIT_EVIDENCE, "its evidence is of another certificate's issuer");
		return st;
	}
	st = object(a, r, sha256, f, &der);
	p = der.p;
	crl = st == ST_OK ? d2i_X509_CRL(NULL, &p, (long)der.n) : NULL;
	if (st == ST_OK && crl == NULL)
		wrong(f, AUDIT_EVIDENCE, "a revocation list of its evidence is none");
	if (crl != NULL)
		list_read(f, cert, crl);
	X509_CRL_free(crl);
	return st;
}

static enum status set_read(const struct audit *a, struct store_reader *r, struct facts *f,
			    X509 *cert)
{
	struct slice bytes = { NULL, 0 };
	X509 *issuer = NULL;
	char *set = NULL;
	enum status st = object(a, r, f->set, f, &bytes);

	if (st != ST_OK)
		return st;
	set = strndup((const char *)bytes.p, bytes.n);
	if (set == NULL)
		return ST_NOMEM;
	if (strncmp(set, EVIDENCE_HEAD, strlen(EVIDENCE_HEAD)) != 0)
		wrong(f, AUDIT_EVIDENCE, "its evidence is none");
	for (const char *line = set; line != NULL && *line != '\0' &&
	     (st == ST_OK || status_class(st) == CLASS_REJECT);
	     line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL)
		st = member(a, r, f, line, cert, &issuer);
	X509_free(issuer);
	free(set);
	return st;
}

static enum status facts_read(const struct audit *a, struct store_reader *r, struct facts *f)
{
	enum status st = ST_OK;
	X509 *cert = cert_get(a, r, f->cert, f, &st);

	f->from_ms = f->lists_from_ms = INT64_MIN;
	f->to_ms = f->lists_to_ms = f->revoked_ms = INT64_MAX;
	if (cert != NULL) {
		f->from_ms = ms_of(X509_get0_notBefore(cert));
		f->to_ms = ms_of(X509_get0_notAfter(cert));
		st = set_read(a, r, f, cert);
	}
	X509_free(cert);
	f->known = st == ST_OK || status_class(st) == CLASS_REJECT;
	return f->known ? ST_OK : st;
}

static void judge(const struct facts *f, int64_t signed_ms, const uint8_t id[16], json_t *findings)
{
	const char *why = NULL;
	enum audit_fault fault = AUDIT_CERTIFICATE;

	if (f->why[0] != '\0') {
		fault = f->fault;
		why = f->why;
	} else if (signed_ms < f->from_ms || signed_ms > f->to_ms) {
		why = "it was signed outside of its certificate's time";
	} else if (signed_ms >= f->revoked_ms) {
		why = "its certificate was revoked when it signed";
	} else if (f->lists_from_ms != INT64_MIN && f->lists_from_ms > signed_ms + SKEW_MS) {
		fault = AUDIT_EVIDENCE;
		why = "the revocation list that it rests on is younger than the signature";
	} else if (f->lists_to_ms != INT64_MAX && f->lists_to_ms < signed_ms) {
		fault = AUDIT_EVIDENCE;
		why = "the revocation list that it rests on was out of date";
	}
	if (why != NULL)
		json_array_append_new(findings, audit_finding(fault, id, 0, "%s", why));
}

enum status audit_key(struct audit_keys *k, struct store_reader *r, const uint8_t id[16],
		      struct slice unit, struct slice kind, const struct signature_view *s,
		      json_t *findings)
{
	uint32_t at = crc32c(crc32c(0, s->cert_sha256, SHA256_BYTES), s->evidence_sha256,
			     SHA256_BYTES) & (FACTS_MAX - 1);
	struct facts *f = &k->of[at];
	enum status st = ST_OK;

	policy_ask(k, id, unit, kind, s, findings);
	/* None was kept: of a key whose authority gives no lists. The verifier has judged it. */
	if (memcmp(s->evidence_sha256, nothing, SHA256_BYTES) == 0)
		return ST_OK;
	if (!f->known || memcmp(f->cert, s->cert_sha256, SHA256_BYTES) != 0 ||
	    memcmp(f->set, s->evidence_sha256, SHA256_BYTES) != 0) {
		*f = (struct facts){ 0 };
		memcpy(f->cert, s->cert_sha256, SHA256_BYTES);
		memcpy(f->set, s->evidence_sha256, SHA256_BYTES);
		st = facts_read(k->a, r, f);
	}
	if (st == ST_OK)
		judge(f, s->signed_ms, id, findings);
	return st;
}
