#include "signer/cms.h"

#include <assert.h>
#include <openssl/x509.h>
#include <stdlib.h>

#include "signer/der.h"

#define SET 0x31
#define SEQUENCE 0x30
#define OCTETS 0x04
#define CONTEXT_0 0xa0

/* Complete encodings, tag and length included. */
static const uint8_t oid_data[] = { 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 7, 1 };
static const uint8_t oid_signed_data[] = { 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 7, 2 };
static const uint8_t oid_content_type[] = { 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 9, 3 };
static const uint8_t oid_message_digest[] = { 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 9, 4 };
/* id-aa-signingCertificateV2, RFC 5035 */
static const uint8_t oid_certificate_v2[] = {
	6, 11, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 9, 16, 2, 47
};
/* SHA-256 without parameters, RFC 5754 section 2 */
static const uint8_t alg_sha256[] = { 0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 101, 3, 4, 2, 1 };
/* sha256WithRSAEncryption with NULL, RFC 4055 section 5 */
static const uint8_t alg_rsa[] = {
	0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 11, 5, 0
};
/* RSASSA-PSS, SHA-256, MGF1 with SHA-256, salt 32, RFC 4055 section 3.1 */
static const uint8_t alg_pss[] = {
	0x30, 65, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 10,
	0x30, 52, 0xa0, 15, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 101, 3, 4, 2, 1, 5, 0,
	0xa1, 28, 0x30, 26, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 8,
	0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 101, 3, 4, 2, 1, 5, 0,
	0xa2, 3, 2, 1, 32 };
/* ecdsa-with-SHA256, RFC 5758 section 3.2 */
static const uint8_t alg_ecdsa[] = { 0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 61, 4, 3, 2 };
static const uint8_t version_1[] = { 2, 1, 1 };

#define PUT(d, constant) der_bytes(d, constant, sizeof(constant))

/* What surrounds digest and value; pointers into the buffer that was built. */
struct built { struct slice all; const uint8_t *digest, *value; };

static void put_signature_algorithm(struct der *d, enum algorithm a)
{
	const struct algorithm_info *info = algorithm_info(a);

	if (!info->rsa)
		PUT(d, alg_ecdsa);
	else if (info->pss)
		PUT(d, alg_pss);
	else
		PUT(d, alg_rsa);
}

/* Attribute ::= SEQUENCE { type, SET { value } }, the value written since mark. */
static void end_attribute(struct der *d, const uint8_t *oid, size_t oid_n, const uint8_t *mark)
{
	der_wrap(d, SET, mark);
	der_bytes(d, oid, oid_n);
	der_wrap(d, SEQUENCE, mark);
}

/* Content of the signed attributes. Returns where the digest's octets begin. */
static const uint8_t *put_attributes(struct der *d, struct slice cert)
{
	static const uint8_t nothing[SHA256_BYTES];
	uint8_t cert_hash[SHA256_BYTES];
	const uint8_t *mark = der_mark(d), *digest;

	sha256_once(cert.p, cert.n, cert_hash);
	PUT(d, cert_hash);
	der_wrap(d, OCTETS, mark);
	/* ESSCertIDv2, certs, SigningCertificateV2 */
	for (int nested = 0; nested < 3; nested++)
		der_wrap(d, SEQUENCE, mark);
	end_attribute(d, oid_certificate_v2, sizeof(oid_certificate_v2), mark);

	mark = der_mark(d);
	PUT(d, nothing);
	digest = d->p;
	der_wrap(d, OCTETS, mark);
	end_attribute(d, oid_message_digest, sizeof(oid_message_digest), mark);

	mark = der_mark(d);
	PUT(d, oid_data);
	end_attribute(d, oid_content_type, sizeof(oid_content_type), mark);
	return digest;
}

enum status cms_attributes(uint8_t out[CMS_ATTRIBUTES_BYTES], struct slice cert)
{
	uint8_t buf[CMS_ATTRIBUTES_BYTES];
	struct der d = der_of(buf, sizeof(buf));
	const uint8_t *digest = put_attributes(&d, cert);

	der_wrap(&d, SET, d.end);
	assert(d.p == buf && digest - d.p == CMS_DIGEST_AT);
	memcpy(out, buf, sizeof(buf));
	return ST_OK;
}

/* IssuerAndSerialNumber. */
static bool put_issuer_serial(struct der *d, struct slice cert)
{
	const unsigned char *p = cert.p;
	X509 *x = d2i_X509(NULL, &p, (long)cert.n);
	const uint8_t *mark = der_mark(d);
	uint8_t *serial = NULL, *issuer = NULL;
	int serial_n = -1, issuer_n = -1;

	if (x != NULL) {
		serial_n = i2d_ASN1_INTEGER(X509_get0_serialNumber(x), &serial);
		issuer_n = i2d_X509_NAME(X509_get_issuer_name(x), &issuer);
	}
	if (serial_n > 0 && issuer_n > 0) {
		der_bytes(d, serial, (size_t)serial_n);
		der_bytes(d, issuer, (size_t)issuer_n);
		der_wrap(d, SEQUENCE, mark);
	}
	OPENSSL_free(serial);
	OPENSSL_free(issuer);
	X509_free(x);
	return serial_n > 0 && issuer_n > 0;
}

static int compare_der(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	int c = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

	return c != 0 ? c : (x->n > y->n) - (x->n < y->n);
}

/* [0] certificates: SET OF, so ordered by encoding. */
static void put_certificates(struct der *d, const struct slice *certs, size_t n)
{
	struct slice sorted[KEY_CHAIN_MAX + 1];
	const uint8_t *mark = der_mark(d);

	assert(n <= KEY_CHAIN_MAX + 1);
	memcpy(sorted, certs, n * sizeof(*certs));
	qsort(sorted, n, sizeof(*sorted), compare_der);
	while (n-- > 0)
		der_bytes(d, sorted[n].p, sorted[n].n);
	der_wrap(d, CONTEXT_0, mark);
}

static enum status build(struct built *out, struct der *d, enum algorithm a,
			 const struct slice *certs, size_t certs_n, uint16_t signature_bytes)
{
	static const uint8_t nothing[512];
	const uint8_t *info = der_mark(d), *mark = info;

	assert(signature_bytes <= sizeof(nothing));
	der_bytes(d, nothing, signature_bytes);
	out->value = d->p;
	der_wrap(d, OCTETS, mark);
	put_signature_algorithm(d, a);
	mark = der_mark(d);
	out->digest = put_attributes(d, certs[0]);
	der_wrap(d, CONTEXT_0, mark);
	PUT(d, alg_sha256);
	if (!put_issuer_serial(d, certs[0]))
		return ST_INVALID;
	PUT(d, version_1);
	der_wrap(d, SEQUENCE, info);
	der_wrap(d, SET, info);			/* signerInfos */
	put_certificates(d, certs, certs_n);
	mark = der_mark(d);
	PUT(d, oid_data);
	der_wrap(d, SEQUENCE, mark);		/* encapContentInfo without content: detached */
	mark = der_mark(d);
	PUT(d, alg_sha256);
	der_wrap(d, SET, mark);
	PUT(d, version_1);
	der_wrap(d, SEQUENCE, info);		/* SignedData */
	der_wrap(d, CONTEXT_0, info);
	PUT(d, oid_signed_data);
	der_wrap(d, SEQUENCE, info);		/* ContentInfo */
	out->all = der_slice(d);
	return ST_OK;
}

/* One layer: `before`, hex of bytes, `zeros` times "0", `after`. */
static bool layer_make(struct layer *l, const char *before, struct slice der, size_t zeros,
		       const char *after)
{
	size_t size = strlen(before) + 2 * der.n + zeros + strlen(after);
	uint8_t *bytes = malloc(size);
	struct writer w;

	if (bytes == NULL)
		return false;
	w = writer_of(bytes, size);
	write_str(&w, before);
	hex_upper((char *)w.p, der.p, der.n);
	w.p += 2 * der.n;
	memset(w.p, '0', zeros);
	w.p += zeros;
	write_str(&w, after);
	assert(!w.bad && w.p == w.end);
	l->bytes = bytes;
	l->size = (uint32_t)size;
	sha256_once(bytes, size, l->sha256);
	return true;
}

static enum status cut(struct cms_skeleton *out, const struct built *b, uint16_t signature_bytes,
		       uint32_t hole_bytes)
{
	const uint8_t *middle = b->digest + SHA256_BYTES, *end = b->value + signature_bytes;
	size_t needs = 2 * b->all.n + 2;

	assert(end == b->all.p + b->all.n);
	if (hole_bytes != 0 && needs > hole_bytes)
		return ST_TOO_LARGE;
	if (!layer_make(&out->head, "<", slice_of(b->all.p, (size_t)(b->digest - b->all.p)), 0,
			"") ||
	    !layer_make(&out->middle, "", slice_of(middle, (size_t)(b->value - middle)), 0, "") ||
	    !layer_make(&out->tail, "", slice_of(end, 0), hole_bytes == 0 ? 0 : hole_bytes - needs,
			">"))
		return ST_NOMEM;
	return ST_OK;
}

enum status cms_skeleton(struct cms_skeleton *out, enum algorithm a, const struct slice *certs,
			 size_t certs_n, uint16_t signature_bytes, uint32_t hole_bytes)
{
	size_t room = 2048;
	enum status st;
	struct built b;
	struct der d;
	uint8_t *buf;

	*out = (struct cms_skeleton){ 0 };
	for (size_t i = 0; i < certs_n; i++)
		room += certs[i].n + (i == 0 ? certs[i].n : 0);	/* the issuer's name once more */
	buf = malloc(room);
	if (buf == NULL)
		return ST_NOMEM;
	d = der_of(buf, room);
	st = build(&b, &d, a, certs, certs_n, signature_bytes);
	if (st == ST_OK)
		st = cut(out, &b, signature_bytes, hole_bytes);
	free(buf);
	if (st != ST_OK)
		cms_free(out);
	return st;
}

uint32_t cms_hole_bytes(const struct cms_skeleton *s, uint16_t signature_bytes)
{
	return s->head.size + 2 * SHA256_BYTES + s->middle.size + 2 * (uint32_t)signature_bytes +
		s->tail.size;
}

void cms_free(struct cms_skeleton *s)
{
	free((void *)s->head.bytes);
	free((void *)s->middle.bytes);
	free((void *)s->tail.bytes);
	*s = (struct cms_skeleton){ 0 };
}
