#include "verify/seen.h"

#include <stdlib.h>

#include "signer/certs.h"

/* Certificates times lengths of a signature; a set is searched. */
#define SETS 256
#define WAYS 4
/* Of the hex behind messageDigest: signingCertificateV2, which names the certificate by SHA-256. */
#define NAME_AT (2 * 25)
#define NAME_BYTES 32

struct signer {
	struct proven proven;		/* cert NULL: empty */
	EVP_PKEY_CTX *key;
	uint8_t attributes[CMS_ATTRIBUTES_BYTES];
	struct signature_report report;	/* what all of its signatures have in common */
	uint64_t used;
};

struct seen {
	struct sha256 *hash;
	uint64_t now;
	struct signer signers[SETS][WAYS];
};

enum status seen_new(struct seen **out)
{
	struct seen *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ST_NOMEM;
	s->hash = sha256_new();
	if (s->hash == NULL) {
		free(s);
		return ST_NOMEM;
	}
	*out = s;
	return ST_OK;
}

static void drop(struct signer *g)
{
	EVP_PKEY_CTX_free(g->key);
	proven_free(&g->proven);
	*g = (struct signer){ .used = 0 };
}

void seen_free(struct seen *s)
{
	if (s == NULL)
		return;
	for (int i = 0; i < SETS; i++)
		for (int k = 0; k < WAYS; k++)
			drop(&s->signers[i][k]);
	sha256_free(s->hash);
	free(s);
}

/* ---- looking at a signature ---- */

/* One DER header in hex: where its content begins, and how long it is. */
static bool header(struct reader *r, size_t *n)
{
	struct slice s = read_bytes(r, 4);
	uint8_t b[2], more[3];
	size_t width;

	if (!hex_read(b, 2, s))
		return false;
	*n = b[1];
	if (b[1] < 0x80)
		return true;
	width = b[1] & 0x7f;
	if (width == 0 || width > sizeof(more) || !hex_read(more, width, read_bytes(r, 2 * width)))
		return false;
	*n = 0;
	for (size_t i = 0; i < width; i++)
		*n = *n << 8 | more[i];
	return true;
}

static void skip(struct reader *r)
{
	size_t n = 0;

	if (header(r, &n))
		read_bytes(r, 2 * n);
	else
		r->bad = true;
}

/*
 * The certificate's name in the signed attributes, without an opinion on the rest: the way to it
 * leads over ContentInfo, SignedData and SignerInfo. n = 0: not there.
 */
static struct slice name_in(struct slice hole)
{
	struct reader r = reader_of(hole);
	size_t n;

	read_bytes(&r, 1);
	header(&r, &n);			/* ContentInfo */
	skip(&r);			/* its type */
	header(&r, &n);
	header(&r, &n);			/* SignedData */
	for (int i = 0; i < 4; i++)
		skip(&r);		/* version, digests, content, certificates */
	header(&r, &n);
	header(&r, &n);			/* SignerInfo */
	for (int i = 0; i < 3; i++)
		skip(&r);		/* version, issuer and serial, digest */
	header(&r, &n);
	/* CMS_DIGEST_AT counts the three octets of this header. */
	read_bytes(&r, 2 * (CMS_DIGEST_AT - 3 + SHA256_BYTES) + NAME_AT);
	return read_bytes(&r, NAME_BYTES);
}

static struct signer *set_of(struct seen *s, struct slice name)
{
	uint64_t h = 0xcbf29ce484222325;	/* FNV-1a */

	for (size_t i = 0; i < name.n; i++)
		h = (h ^ name.p[i]) * 0x100000001b3;
	return s->signers[(h ^ h >> 32) % SETS];
}

static bool value_is_right(struct seen *s, struct signer *g, const uint8_t digest[SHA256_BYTES],
			   const uint8_t *value)
{
	uint8_t attributes[CMS_ATTRIBUTES_BYTES], hash[SHA256_BYTES];

	memcpy(attributes, g->attributes, sizeof(attributes));
	memcpy(attributes + CMS_DIGEST_AT, digest, SHA256_BYTES);
	sha256_start(s->hash);
	sha256_add(s->hash, attributes, sizeof(attributes));
	sha256_end(s->hash, hash);
	return EVP_PKEY_verify(g->key, value, g->proven.form.value_bytes, hash, sizeof(hash)) == 1;
}

bool seen_passes(struct seen *s, struct slice hole, const uint8_t digest[SHA256_BYTES],
		 struct signature_report *out)
{
	struct slice name = name_in(hole);
	struct signer *set = set_of(s, name);
	uint8_t value[SIGNATURE_BYTES_MAX];

	for (int i = 0; i < WAYS && name.n > 0; i++) {
		struct signer *g = &set[i];

		if (g->proven.cert == NULL || out->signed_ms < g->proven.from_ms ||
		    out->signed_ms >= g->proven.to_ms ||
		    !own_matches(&g->proven.form, hole, digest, value))
			continue;
		if (!value_is_right(s, g, digest, value))
			return false;
		g->used = ++s->now;
		memcpy(out->subject, g->report.subject, sizeof(out->subject));
		memcpy(out->unit, g->report.unit, sizeof(out->unit));
		memcpy(out->algorithm, g->report.algorithm, sizeof(out->algorithm));
		memcpy(out->cert_sha256, g->report.cert_sha256, sizeof(out->cert_sha256));
		return true;
	}
	return false;
}

/* ---- keeping one ---- */

static bool fill(struct signer *g, const struct proven *p, const struct signature_report *passed)
{
	unsigned char *der = NULL;
	int n = i2d_X509(p->cert, &der);
	bool ok = n > 0 &&
		  cms_attributes(g->attributes, slice_of(der, (size_t)n)) == ST_OK;

	OPENSSL_free(der);
	g->key = algorithm_context(algorithm_info(p->form.algorithm), X509_get0_pubkey(p->cert),
				   false);
	g->report = *passed;
	return ok && g->key != NULL;
}

void seen_keep(struct seen *s, struct proven *proven, const struct signature_report *passed)
{
	static const uint8_t zeros[SHA256_BYTES];
	const struct layer *middle = &proven->form.skeleton.middle;
	struct signer *set, *oldest;

	if (proven->cert == NULL || proven->from_ms >= proven->to_ms ||
	    middle->size < NAME_AT + NAME_BYTES) {
		proven_free(proven);
		return;
	}
	set = set_of(s, slice_of(middle->bytes + NAME_AT, NAME_BYTES));
	oldest = set;
	for (int i = 1; i < WAYS; i++)
		if (set[i].used < oldest->used)
			oldest = &set[i];
	drop(oldest);
	if (memcmp(passed->cert_sha256, zeros, sizeof(zeros)) != 0 &&
	    fill(oldest, proven, passed)) {
		oldest->proven = *proven;
		oldest->used = ++s->now;
		*proven = (struct proven){ .cert = NULL };
		return;
	}
	drop(oldest);
	proven_free(proven);
}
