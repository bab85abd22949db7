#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/ess.h>
#include <stdio.h>
#include <stdlib.h>

#include "signer/certs.h"
#include "verify/anysign.h"
#include "verify/stamp.h"

#define CONTENTS_BYTES_MAX (256u * 1024)
#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192		/* larger ones cost time and say nothing more */

static void constraint(struct finding *f, const char *why)
{
	find_fault(f, VERDICT_INDETERMINATE, IND_SIG_CONSTRAINTS_FAILURE, "%s", why);
}

static const EVP_MD *digest_of(const X509_ALGOR *alg)
{
	const ASN1_OBJECT *oid;
	int nid;

	X509_ALGOR_get0(&oid, NULL, NULL, alg);
	nid = OBJ_obj2nid(oid);
	return nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512 ?
		EVP_get_digestbynid(nid) : NULL;
}

static bool digest_ranges(struct slice file, const uint64_t range[4], const EVP_MD *md,
			  uint8_t out[EVP_MAX_MD_SIZE])
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c != NULL && EVP_DigestInit_ex(c, md, NULL) == 1 &&
		  EVP_DigestUpdate(c, file.p, range[1]) == 1 &&
		  EVP_DigestUpdate(c, file.p + range[2], range[3]) == 1 &&
		  EVP_DigestFinal_ex(c, out, NULL) == 1;

	EVP_MD_CTX_free(c);
	return ok;
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

/* RFC 5035: the first certificate named is the signer's, and all that are named are in the CMS. */
static void check_ess(const CMS_SignerInfo *si, X509 *cert, STACK_OF(X509) *certs,
		      struct finding *f)
{
	const ASN1_TYPE *v = one_value(si, NID_id_smime_aa_signingCertificateV2);
	const unsigned char *p = v != NULL && v->type == V_ASN1_SEQUENCE ?
				 ASN1_STRING_get0_data(v->value.sequence) : NULL;
	ESS_SIGNING_CERT_V2 *ess = p == NULL ? NULL :
		d2i_ESS_SIGNING_CERT_V2(NULL, &p, ASN1_STRING_length(v->value.sequence));
	STACK_OF(X509) *chain = sk_X509_new_null();

	if (ess == NULL) {
		constraint(f, "the signing-certificate-v2 attribute is missing");
	} else if (chain != NULL && sk_X509_push(chain, cert) > 0) {
		for (int i = 0; i < sk_X509_num(certs); i++)
			if (sk_X509_value(certs, i) != cert)
				sk_X509_push(chain, sk_X509_value(certs, i));
		if (OSSL_ESS_check_signing_certs(NULL, ess, chain, 1) != 1)
			find_fault(f, VERDICT_FAILED, IND_FORMAT_FAILURE,
				   "the signing-certificate-v2 attribute does not name this "
				   "certificate");
	}
	ESS_SIGNING_CERT_V2_free(ess);
	sk_X509_free(chain);
}

static void check_attributes(const CMS_SignerInfo *si, const struct any_signature *s,
			     const uint8_t *digest, int n, struct finding *f)
{
	const ASN1_TYPE *type = one_value(si, NID_pkcs9_contentType);
	const ASN1_TYPE *md = one_value(si, NID_pkcs9_messageDigest);

	if (type == NULL || type->type != V_ASN1_OBJECT || md == NULL ||
	    md->type != V_ASN1_OCTET_STRING ||
	    OBJ_obj2nid(type->value.object) != NID_pkcs7_data) {
		find_fault(f, VERDICT_FAILED, IND_FORMAT_FAILURE,
			   "CMS: the content-type or message-digest attribute is missing or wrong");
		return;
	}
	if (ASN1_STRING_length(md->value.octet_string) != n ||
	    memcmp(ASN1_STRING_get0_data(md->value.octet_string), digest, (size_t)n) != 0)
		find_fault(f, VERDICT_FAILED, IND_HASH_FAILURE,
			   "the document is not the one that was signed");
	if (!s->pades)
		constraint(f, "it is no PAdES signature (ETSI.CAdES.detached)");
	if (s->pades && CMS_signed_get_attr_by_NID(si, NID_pkcs9_signingTime, -1) >= 0)
		constraint(f, "PAdES: a signing-time attribute is not allowed "
			   "(EN 319 142-1 clause 6.3)");
	/* A signature's own time-stamp changes no verdict; anything else is unknown. */
	for (int i = 0; i < CMS_unsigned_get_attr_count(si); i++) {
		X509_ATTRIBUTE *a = CMS_unsigned_get_attr(si, i);

		if (OBJ_obj2nid(X509_ATTRIBUTE_get0_object(a)) !=
		    NID_id_smime_aa_timeStampToken)
			constraint(f, "an unsigned attribute is not known to this verifier");
	}
}

/* The allow-list: SHA-2 of 256 bits and more, RSA of at least 2048 bits, P-256, P-384, P-521. */
static void check_algorithms(const CMS_SignerInfo *si, X509 *cert, const EVP_MD *md,
			     struct signature_report *out)
{
	static const int ecdsa[] = { NID_ecdsa_with_SHA256, NID_ecdsa_with_SHA384,
				     NID_ecdsa_with_SHA512 };
	static const int rsa_with[] = { NID_sha256WithRSAEncryption, NID_sha384WithRSAEncryption,
					NID_sha512WithRSAEncryption, NID_rsaEncryption };
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int bits = key != NULL ? EVP_PKEY_get_bits(key) : 0, nid;
	bool rsa = key != NULL && EVP_PKEY_is_a(key, "RSA");
	bool ec = key != NULL && EVP_PKEY_is_a(key, "EC");
	bool ok = false;
	X509_ALGOR *alg;
	const ASN1_OBJECT *oid;
	char curve[32] = "";

	CMS_SignerInfo_get0_algs((CMS_SignerInfo *)si, NULL, NULL, NULL, &alg);
	X509_ALGOR_get0(&oid, NULL, NULL, alg);
	nid = OBJ_obj2nid(oid);
	if (ec)
		EVP_PKEY_get_group_name(key, curve, sizeof(curve), NULL);
	if (rsa && bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX) {
		ok = nid == NID_rsassaPss && proof_pss_allowed(alg);
		for (size_t i = 0; i < ARRAY_LEN(rsa_with); i++)
			ok |= nid == rsa_with[i];
	} else if (strcmp(curve, "prime256v1") == 0 || strcmp(curve, "secp384r1") == 0 ||
		   strcmp(curve, "secp521r1") == 0) {
		for (size_t i = 0; i < ARRAY_LEN(ecdsa); i++)
			ok |= nid == ecdsa[i];
	}
	snprintf(out->algorithm, sizeof(out->algorithm), "%s%d%s", rsa ? "RSA-" : ec ? "P-" :
		 "other-", bits, nid == NID_rsassaPss ? " PSS" : "");
	if (!ok || md == NULL)
		find_fault(&out->finding, VERDICT_INDETERMINATE, IND_CRYPTO_CONSTRAINTS_FAILURE,
			   "algorithm or key size is not allowed: %s", out->algorithm);
}

static void check_signer(const struct roots *roots, struct slice file,
			 const struct any_signature *s, CMS_SignerInfo *si, STACK_OF(X509) *certs,
			 struct signature_report *out)
{
	X509 *cert = proof_signer(si, certs);
	uint8_t digest[EVP_MAX_MD_SIZE];
	struct chain chain = { 0 };
	X509_ALGOR *alg;
	const EVP_MD *md;

	if (cert == NULL) {
		find_fault(&out->finding, VERDICT_INDETERMINATE, IND_NO_SIGNING_CERTIFICATE_FOUND,
			   "CMS: the signer's certificate is not in it");
		return;
	}
	cert_common_name(cert, out->subject, sizeof(out->subject));
	if (!cert_unit(cert, out->unit, sizeof(out->unit)))
		out->unit[0] = '\0';
	X509_digest(cert, EVP_sha256(), out->cert_sha256, NULL);
	CMS_SignerInfo_get0_algs(si, NULL, NULL, &alg, NULL);
	md = digest_of(alg);
	if (md != NULL && digest_ranges(file, s->range, md, digest))
		check_attributes(si, s, digest, EVP_MD_get_size(md), &out->finding);
	else if (md != NULL)
		find_fault(&out->finding, VERDICT_INDETERMINATE, IND_GENERIC, "out of memory");
	check_algorithms(si, cert, md, out);
	check_ess(si, cert, certs, &out->finding);
	if (s->signed_ms == INT64_MIN)
		constraint(&out->finding, "/M is missing or malformed: when it was signed is not "
			   "known");
	CMS_SignerInfo_set1_signer_cert(si, cert);
	/* What is wrong says more than what is not known; only of keys that are not too large. */
	if (out->finding.indication != IND_CRYPTO_CONSTRAINTS_FAILURE &&
	    CMS_SignerInfo_verify(si) != 1) {
		if (out->finding.verdict != VERDICT_FAILED)
			out->finding = (struct finding){ .verdict = VERDICT_PASSED };
		find_fault(&out->finding, VERDICT_FAILED, IND_SIG_CRYPTO_FAILURE,
			   "the signature value is wrong");
	}
	if (out->finding.verdict == VERDICT_PASSED)
		chain_check(roots, cert, certs, s->signed_ms, &chain, &out->finding);
	sk_X509_pop_free(chain.certs, X509_free);
}

/* ---- document time-stamps ---- */

void any_stamp_check(const struct roots *roots, struct slice file, const struct any_signature *s,
		     struct report *out)
{
	const struct slice hole = { s->contents.p - 1, s->contents.n + 2 };
	const struct dss nothing = { .certs = NULL };
	struct stamp_report stamp = { .time_ms = INT64_MIN };
	uint8_t digest[EVP_MAX_MD_SIZE];

	memcpy(stamp.range, s->range, sizeof(stamp.range));
	if (hole.n > 2 * CONTENTS_BYTES_MAX)
		constraint(&out->finding, "/Contents is larger than a time stamp has to be");
	else if (digest_ranges(file, s->range, EVP_sha256(), digest))
		stamp_check(roots, hole, digest, &nothing, &stamp, &out->finding);
	else
		find_fault(&out->finding, VERDICT_INDETERMINATE, IND_GENERIC, "out of memory");
	if (out->stamps_n < VERIFY_STAMPS_MAX)
		out->stamps[out->stamps_n++] = stamp;
}

/* ---- signatures ---- */

static void check_signature(const struct roots *roots, struct slice der, struct slice file,
			    const struct any_signature *s, struct signature_report *out)
{
	CMS_ContentInfo *cms = proof_parse(der, NID_pkcs7_data, &out->finding);
	STACK_OF(CMS_SignerInfo) *infos = cms == NULL ? NULL : CMS_get0_SignerInfos(cms);
	STACK_OF(X509) *certs = cms == NULL ? NULL : CMS_get1_certs(cms);

	if (cms != NULL && out->finding.verdict == VERDICT_PASSED) {
		if (sk_CMS_SignerInfo_num(infos) == 1)
			check_signer(roots, file, s, sk_CMS_SignerInfo_value(infos, 0), certs,
				     out);
		else
			find_fault(&out->finding, VERDICT_FAILED, IND_FORMAT_FAILURE,
				   "CMS: there is not exactly one SignerInfo");
	}
	sk_X509_pop_free(certs, X509_free);
	CMS_ContentInfo_free(cms);
}

enum status any_proof_check(const struct roots *roots, struct slice file,
			    const struct any_signature *s, struct signature_report *out)
{
	size_t n = s->contents.n / 2;
	uint8_t *der = n > CONTENTS_BYTES_MAX ? NULL : malloc(n);

	*out = (struct signature_report){ .signed_ms = s->signed_ms, .certifies = s->docmdp != 0 };
	memcpy(out->range, s->range, sizeof(out->range));
	if (n > CONTENTS_BYTES_MAX) {
		constraint(&out->finding, "/Contents is larger than a signature has to be");
		return ST_OK;
	}
	if (der == NULL)
		return ST_NOMEM;
	if (!hex_read(der, n, s->contents))
		find_fault(&out->finding, VERDICT_FAILED, IND_FORMAT_FAILURE,
			   "PDF: /Contents is no hex");
	else
		check_signature(roots, slice_of(der, n), file, s, out);
	free(der);
	ERR_clear_error();
	return ST_OK;
}
