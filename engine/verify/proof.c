#include "verify/proof.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/ess.h>
#include <openssl/rsa.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "signer/certs.h"

void find_fault(struct finding *f, enum verdict v, enum indication i, const char *fmt, ...)
{
	va_list ap;

	if (f->verdict != VERDICT_PASSED)
		return;
	f->verdict = v;
	f->indication = i;
	va_start(ap, fmt);
	vsnprintf(f->why, sizeof(f->why), fmt, ap);
	va_end(ap);
}

static void format_fault(struct finding *f, const char *why)
{
	find_fault(f, VERDICT_FAILED, IND_FORMAT_FAILURE, "CMS: %s", why);
}

CMS_ContentInfo *proof_parse(struct slice der, int content, struct finding *f)
{
	const unsigned char *p = der.p;
	CMS_ContentInfo *cms = d2i_CMS_ContentInfo(NULL, &p, (long)der.n);
	unsigned char *again = NULL;
	int n;

	if (cms == NULL) {
		format_fault(f, "/Contents is no CMS");
		return NULL;
	}
	n = i2d_CMS_ContentInfo(cms, &again);
	if (n <= 0 || (size_t)n != (size_t)(p - der.p) || memcmp(again, der.p, (size_t)n) != 0)
		format_fault(f, "/Contents is not DER");
	OPENSSL_free(again);
	for (; p < der.p + der.n; p++)
		if (*p != 0)
			format_fault(f, "something follows the CMS in /Contents");
	if (OBJ_obj2nid(CMS_get0_type(cms)) != NID_pkcs7_signed) {
		format_fault(f, "it is no SignedData");
	} else {
		ASN1_OCTET_STRING **held = CMS_get0_content(cms);
		bool detached = held != NULL && *held == NULL;

		/* Plain data are the file's own bytes; other content stands in the CMS. */
		if (held == NULL || detached != (content == NID_pkcs7_data) ||
		    OBJ_obj2nid(CMS_get0_eContentType(cms)) != content)
			format_fault(f, "it is not detached, or its content is not what it has to "
					"be");
	}
	return cms;
}

/* The value of an attribute that must stand once, with one value. */
static const ASN1_TYPE *one_value(const CMS_SignerInfo *si, int nid)
{
	int at = CMS_signed_get_attr_by_NID(si, nid, -1);
	X509_ATTRIBUTE *a = at < 0 ? NULL : CMS_signed_get_attr(si, at);

	if (a == NULL || X509_ATTRIBUTE_count(a) != 1 ||
	    CMS_signed_get_attr_by_NID(si, nid, at) >= 0)
		return NULL;
	return X509_ATTRIBUTE_get0_type(a, 0);
}

static void check_attributes(const CMS_SignerInfo *si, const uint8_t digest[SHA256_BYTES],
			     struct finding *f)
{
	const ASN1_TYPE *type = one_value(si, NID_pkcs9_contentType);
	const ASN1_TYPE *md = one_value(si, NID_pkcs9_messageDigest);

	if (type == NULL || type->type != V_ASN1_OBJECT ||
	    OBJ_obj2nid(type->value.object) != NID_pkcs7_data)
		format_fault(f, "the content-type attribute is missing or wrong");
	if (md == NULL || md->type != V_ASN1_OCTET_STRING) {
		format_fault(f, "the message-digest attribute is missing");
		return;
	}
	if (ASN1_STRING_length(md->value.octet_string) != SHA256_BYTES ||
	    memcmp(ASN1_STRING_get0_data(md->value.octet_string), digest, SHA256_BYTES) != 0)
		find_fault(f, VERDICT_FAILED, IND_HASH_FAILURE,
			   "the document is not the one that was signed");
	if (CMS_signed_get_attr_by_NID(si, NID_pkcs9_signingTime, -1) >= 0)
		find_fault(f, VERDICT_INDETERMINATE, IND_SIG_CONSTRAINTS_FAILURE,
			   "PAdES: a signing-time attribute is not allowed "
			   "(EN 319 142-1 clause 6.3)");
	if (CMS_unsigned_get_attr_count(si) > 0)
		find_fault(f, VERDICT_INDETERMINATE, IND_SIG_CONSTRAINTS_FAILURE,
			   "unsigned attributes are not known to this verifier");
}

/* RFC 5035: the first certificate named is the signer's; by SHA-256, the default. */
static void check_ess(const CMS_SignerInfo *si, X509 *cert, struct finding *f)
{
	static const uint8_t head[] = { 0x30, 38, 0x30, 36, 0x30, 34, 4, 32 };
	const ASN1_TYPE *v = one_value(si, NID_id_smime_aa_signingCertificateV2);
	uint8_t hash[SHA256_BYTES];
	unsigned int n = 0;

	if (v == NULL || v->type != V_ASN1_SEQUENCE) {
		find_fault(f, VERDICT_INDETERMINATE, IND_SIG_CONSTRAINTS_FAILURE,
			   "PAdES: the signing-certificate-v2 attribute is missing");
		return;
	}
	if (X509_digest(cert, EVP_sha256(), hash, &n) != 1 ||
	    ASN1_STRING_length(v->value.sequence) != (int)(sizeof(head) + SHA256_BYTES) ||
	    memcmp(ASN1_STRING_get0_data(v->value.sequence), head, sizeof(head)) != 0 ||
	    memcmp(ASN1_STRING_get0_data(v->value.sequence) + sizeof(head), hash, SHA256_BYTES) !=
		    0)
		find_fault(f, VERDICT_FAILED, IND_FORMAT_FAILURE,
			   "PAdES: the signing-certificate-v2 attribute does not name this "
			   "certificate");
}

bool proof_pss_allowed(const X509_ALGOR *alg)
{
	const ASN1_OBJECT *oid;
	const void *value;
	int type;
	RSA_PSS_PARAMS *p;
	const ASN1_OBJECT *mgf = NULL, *hash = NULL, *inner = NULL;
	X509_ALGOR *mask;
	bool ok;

	X509_ALGOR_get0(&oid, &type, &value, alg);
	if (type != V_ASN1_SEQUENCE)
		return false;
	p = ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
	if (p == NULL)
		return false;
	ok = p->hashAlgorithm != NULL && p->maskGenAlgorithm != NULL && p->trailerField == NULL &&
		p->saltLength != NULL && ASN1_INTEGER_get(p->saltLength) == 32;
	if (ok) {
		X509_ALGOR_get0(&hash, NULL, NULL, p->hashAlgorithm);
		X509_ALGOR_get0(&mgf, &type, &value, p->maskGenAlgorithm);
		mask = type == V_ASN1_SEQUENCE ?
			ASN1_item_unpack(value, ASN1_ITEM_rptr(X509_ALGOR)) : NULL;
		if (mask != NULL)
			X509_ALGOR_get0(&inner, NULL, NULL, mask);
		ok = mask != NULL && OBJ_obj2nid(hash) == NID_sha256 &&
		     OBJ_obj2nid(mgf) == NID_mgf1 && OBJ_obj2nid(inner) == NID_sha256;
		X509_ALGOR_free(mask);
	}
	RSA_PSS_PARAMS_free(p);
	return ok;
}

/* The allow-list. SHA-256 everywhere; RSA of at least 2048 bits, or P-256. */
static void check_algorithms(const CMS_SignerInfo *si, X509 *cert, struct signature_report *out)
{
	X509_ALGOR *digest_alg, *signature_alg;
	const ASN1_OBJECT *oid;
	EVP_PKEY *key = X509_get0_pubkey(cert);
	bool rsa = key != NULL && EVP_PKEY_is_a(key, "RSA") && EVP_PKEY_get_bits(key) >= 2048;
	bool ec = cert_has_algorithm(cert, ALG_P256);
	bool ok;
	int nid;

	CMS_SignerInfo_get0_algs((CMS_SignerInfo *)si, NULL, NULL, &digest_alg, &signature_alg);
	X509_ALGOR_get0(&oid, NULL, NULL, digest_alg);
	ok = OBJ_obj2nid(oid) == NID_sha256;
	X509_ALGOR_get0(&oid, NULL, NULL, signature_alg);
	nid = OBJ_obj2nid(oid);
	if (nid == NID_rsassaPss)
		ok = ok && rsa && proof_pss_allowed(signature_alg);
	else if (nid == NID_sha256WithRSAEncryption || nid == NID_rsaEncryption)
		ok = ok && rsa;
	else
		ok = ok && nid == NID_ecdsa_with_SHA256 && ec;
	snprintf(out->algorithm, sizeof(out->algorithm), "%s%d%s",
		 rsa ? "RSA-" : ec ? "P-" : "other-",
		 key != NULL ? EVP_PKEY_get_bits(key) : 0, nid == NID_rsassaPss ? " PSS" : "");
	if (!ok)
		find_fault(&out->finding, VERDICT_INDETERMINATE, IND_CRYPTO_CONSTRAINTS_FAILURE,
			   "algorithm or key size is not allowed: %s", out->algorithm);
}

X509 *proof_signer(CMS_SignerInfo *si, STACK_OF(X509) *certs)
{
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (CMS_SignerInfo_cert_cmp(si, sk_X509_value(certs, i)) == 0)
			return sk_X509_value(certs, i);
	return NULL;
}

/* What is proved, and what of it is known so far. */
struct question {
	const struct roots *roots;
	const uint8_t *digest;
	struct slice hole;		/* own form; n = 0: any */
	struct signature_report *out;
	struct proven *proven;
};

/* The algorithm of our profiles under which the signature stands; ALG_COUNT: none. */
static enum algorithm own_algorithm(CMS_SignerInfo *si, X509 *cert)
{
	X509_ALGOR *alg;
	const ASN1_OBJECT *oid;
	enum algorithm a = 0;

	CMS_SignerInfo_get0_algs(si, NULL, NULL, NULL, &alg);
	X509_ALGOR_get0(&oid, NULL, NULL, alg);
	while (a < ALG_COUNT && (algorithm_info(a)->pss != (OBJ_obj2nid(oid) == NID_rsassaPss) ||
				 !cert_has_algorithm(cert, a)))
		a++;
	return a;
}

static void check_form(const struct question *c, CMS_SignerInfo *si, X509 *cert,
		       const struct chain *chain)
{
	enum algorithm a = own_algorithm(si, cert);
	int n = ASN1_STRING_length(CMS_SignerInfo_get0_signature(si));
	uint8_t value[SIGNATURE_BYTES_MAX];
	struct own_form form = { 0 };
	enum status st = a == ALG_COUNT || n > SIGNATURE_BYTES_MAX ? ST_INVALID :
			 own_build(&form, a, chain->certs, (uint16_t)n);

	if (st == ST_NOMEM)
		find_fault(&c->out->finding, VERDICT_INDETERMINATE, IND_GENERIC, "out of memory");
	else if (st != ST_OK || !own_matches(&form, c->hole, c->digest, value))
		format_fault(&c->out->finding, "/Contents is not, byte for byte, what the engine "
			     "writes for these certificates and this value");
	if (c->out->finding.verdict == VERDICT_PASSED && c->proven != NULL &&
	    X509_up_ref(cert) == 1)
		*c->proven = (struct proven){ form, cert, chain->from_ms, chain->to_ms };
	else
		own_free(&form);
}

void proven_free(struct proven *p)
{
	X509_free(p->cert);
	own_free(&p->form);
	*p = (struct proven){ .cert = NULL };
}

static void check_signer(const struct question *c, CMS_SignerInfo *si, STACK_OF(X509) *certs)
{
	struct signature_report *out = c->out;
	X509 *cert = proof_signer(si, certs);
	struct chain chain = { 0 };
	unsigned int n = 0;

	if (cert == NULL) {
		find_fault(&out->finding, VERDICT_INDETERMINATE, IND_NO_SIGNING_CERTIFICATE_FOUND,
			   "CMS: the signer's certificate is not in it");
		return;
	}
	cert_common_name(cert, out->subject, sizeof(out->subject));
	if (!cert_unit(cert, out->unit, sizeof(out->unit)))
		out->unit[0] = '\0';
	X509_digest(cert, EVP_sha256(), out->cert_sha256, &n);
	check_attributes(si, c->digest, &out->finding);
	check_ess(si, cert, &out->finding);
	check_algorithms(si, cert, out);
	CMS_SignerInfo_set1_signer_cert(si, cert);
	if (out->finding.verdict == VERDICT_PASSED && CMS_SignerInfo_verify(si) != 1)
		find_fault(&out->finding, VERDICT_FAILED, IND_SIG_CRYPTO_FAILURE,
			   "the signature value is wrong");
	if (out->finding.verdict == VERDICT_PASSED)
		chain_check(c->roots, cert, certs, out->signed_ms, &chain, &out->finding);
	if (out->finding.verdict == VERDICT_PASSED && c->hole.n > 0)
		check_form(c, si, cert, &chain);
	sk_X509_pop_free(chain.certs, X509_free);
}

static void check(const struct question *c, struct slice der)
{
	struct finding *f = &c->out->finding;
	CMS_ContentInfo *cms = proof_parse(der, NID_pkcs7_data, f);
	STACK_OF(CMS_SignerInfo) *infos = NULL;
	STACK_OF(X509) *certs = NULL;

	if (cms != NULL && f->verdict == VERDICT_PASSED) {
		infos = CMS_get0_SignerInfos(cms);
		certs = CMS_get1_certs(cms);
		if (sk_CMS_SignerInfo_num(infos) != 1)
			format_fault(f, "there is not exactly one SignerInfo");
		else
			check_signer(c, sk_CMS_SignerInfo_value(infos, 0), certs);
	}
	sk_X509_pop_free(certs, X509_free);
	CMS_ContentInfo_free(cms);
	ERR_clear_error();
}

void proof_check(const struct roots *roots, struct slice der, const uint8_t digest[SHA256_BYTES],
		 struct signature_report *out)
{
	struct question c = { .roots = roots, .digest = digest, .out = out };

	check(&c, der);
}

void proof_own(const struct roots *roots, struct slice hole, const uint8_t digest[SHA256_BYTES],
	       struct signature_report *out, struct proven *proven)
{
	struct question c = { roots, digest, hole, out, proven };
	size_t n = hole.n / 2 - 1;
	uint8_t *der = malloc(n);

	if (der == NULL)
		find_fault(&out->finding, VERDICT_INDETERMINATE, IND_GENERIC, "out of memory");
	else if (!hex_read(der, n, slice_of(hole.p + 1, 2 * n)))
		format_fault(&out->finding, "/Contents is no hex");
	else
		check(&c, slice_of(der, n));
	free(der);
}
