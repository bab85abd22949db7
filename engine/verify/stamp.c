#include "verify/stamp.h"

#include <openssl/cms.h>
#include <openssl/err.h>
#include <openssl/ess.h>
#include <openssl/ts.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "signer/certs.h"

/* A token in hand. */
struct token {
	CMS_ContentInfo *cms;
	CMS_SignerInfo *si;
	STACK_OF(X509) *certs;
	X509 *cert;
	TS_TST_INFO *info;
};

static void token_free(struct token *t)
{
	TS_TST_INFO_free(t->info);
	sk_X509_pop_free(t->certs, X509_free);
	CMS_ContentInfo_free(t->cms);
}

/* Hex in one case, then one DER, then zeros: nothing that nobody signed has a choice. */
static CMS_ContentInfo *decode(struct slice hole)
{
	size_t n = hole.n / 2 - 1;
	uint8_t *der = malloc(n);
	const unsigned char *p = der;
	unsigned char *again = NULL;
	CMS_ContentInfo *cms = NULL;
	bool lower = false, upper = false, ok;

	for (size_t i = 1; i + 1 < hole.n; i++) {
		lower |= hole.p[i] >= 'a';
		upper |= hole.p[i] >= 'A' && hole.p[i] < 'a';
	}
	ok = der != NULL && !(lower && upper) && hex_read(der, n, slice_of(hole.p + 1, 2 * n));
	if (ok)
		cms = d2i_CMS_ContentInfo(NULL, &p, (long)n);
	if (cms != NULL) {
		int size = i2d_CMS_ContentInfo(cms, &again);

		ok = size > 0 && size == p - der && memcmp(again, der, (size_t)size) == 0;
		while (p < der + n)
			ok = *p++ == 0 && ok;
	}
	OPENSSL_free(again);
	free(der);
	if (cms != NULL && !ok) {
		CMS_ContentInfo_free(cms);
		cms = NULL;
	}
	return cms;
}

static const ASN1_TYPE *one_value(const CMS_SignerInfo *si, int nid)
{
	int at = CMS_signed_get_attr_by_NID(si, nid, -1);
	X509_ATTRIBUTE *a = at < 0 ? NULL : CMS_signed_get_attr(si, at);

	return a != NULL && X509_ATTRIBUTE_count(a) == 1 &&
		CMS_signed_get_attr_by_NID(si, nid, at) < 0 ? X509_ATTRIBUTE_get0_type(a, 0) : NULL;
}

/* RFC 3161 2.4.1, RFC 5816: the certificate is named by the token, by SHA-1 or better. */
static bool names_certificate(const CMS_SignerInfo *si, X509 *cert)
{
	const ASN1_TYPE *v2 = one_value(si, NID_id_smime_aa_signingCertificateV2);
	const ASN1_TYPE *v1 = one_value(si, NID_id_smime_aa_signingCertificate);
	const ASN1_TYPE *v = v2 != NULL ? v2 : v1;
	uint8_t hash[EVP_MAX_MD_SIZE];
	const EVP_MD *const mds[] = { EVP_sha256(), EVP_sha384(), EVP_sha512(), EVP_sha1() };

	if (v == NULL || v->type != V_ASN1_SEQUENCE)
		return false;
	for (size_t i = v2 != NULL ? 0 : 3; i < (v2 != NULL ? 3u : 4u); i++) {
		unsigned int n = 0;

		if (X509_digest(cert, mds[i], hash, &n) == 1 &&
		    memmem(ASN1_STRING_get0_data(v->value.sequence),
			   (size_t)ASN1_STRING_length(v->value.sequence), hash, n) != NULL)
			return true;
	}
	return false;
}

static bool take_info(struct token *t)
{
	ASN1_OCTET_STRING **content = CMS_get0_content(t->cms);
	const unsigned char *p;

	if (content == NULL || *content == NULL)
		return false;
	p = ASN1_STRING_get0_data(*content);
	t->info = d2i_TS_TST_INFO(NULL, &p, ASN1_STRING_length(*content));
	return t->info != NULL;
}

static bool open_token(struct token *t, struct slice hole)
{
	STACK_OF(CMS_SignerInfo) *infos;
	const ASN1_TYPE *type;

	t->cms = decode(hole);
	if (t->cms == NULL || OBJ_obj2nid(CMS_get0_type(t->cms)) != NID_pkcs7_signed ||
	    OBJ_obj2nid(CMS_get0_eContentType(t->cms)) != NID_id_smime_ct_TSTInfo || !take_info(t))
		return false;
	infos = CMS_get0_SignerInfos(t->cms);
	if (sk_CMS_SignerInfo_num(infos) != 1)
		return false;
	t->si = sk_CMS_SignerInfo_value(infos, 0);
	t->certs = CMS_get1_certs(t->cms);
	for (int i = 0; t->cert == NULL && i < sk_X509_num(t->certs); i++)
		if (CMS_SignerInfo_cert_cmp(t->si, sk_X509_value(t->certs, i)) == 0)
			t->cert = sk_X509_value(t->certs, i);
	type = one_value(t->si, NID_pkcs9_contentType);
	return t->cert != NULL && type != NULL && type->type == V_ASN1_OBJECT &&
		OBJ_obj2nid(type->value.object) == NID_id_smime_ct_TSTInfo &&
		names_certificate(t->si, t->cert);
}

static bool covers(TS_TST_INFO *info, const uint8_t digest[SHA256_BYTES])
{
	TS_MSG_IMPRINT *imprint = TS_TST_INFO_get_msg_imprint(info);
	const ASN1_OBJECT *oid;
	ASN1_OCTET_STRING *said = TS_MSG_IMPRINT_get_msg(imprint);

	X509_ALGOR_get0(&oid, NULL, NULL, TS_MSG_IMPRINT_get_algo(imprint));
	return OBJ_obj2nid(oid) == NID_sha256 && ASN1_STRING_length(said) == SHA256_BYTES &&
		memcmp(ASN1_STRING_get0_data(said), digest, SHA256_BYTES) == 0;
}

/* The chain at the stamp's time, to the roots for time stamps. */
static void trust(const struct roots *roots, const struct token *t, const struct dss *dss,
		  struct stamp_report *out)
{
	struct roots tsa = *roots;
	STACK_OF(X509) *others = sk_X509_dup(roots->others);
	struct finding f = { .verdict = VERDICT_PASSED };
	struct chain chain = { 0 };

	if (roots->tsa == NULL) {
		snprintf(out->why, sizeof(out->why), "no root for time stamps is configured");
	} else if (X509_check_purpose(t->cert, X509_PURPOSE_TIMESTAMP_SIGN, 0) != 1) {
		snprintf(out->why, sizeof(out->why), "its certificate is not for time stamps");
	} else if (others != NULL) {
		for (int i = 0; i < sk_X509_num(dss->certs); i++)
			sk_X509_push(others, sk_X509_value(dss->certs, i));
		tsa.store = roots->tsa;
		tsa.others = others;
		/* Authorities for time publish lists of their own: what is there counts. */
		tsa.lists_optional = true;
		chain_check(&tsa, t->cert, t->certs, out->time_ms, &chain, &f);
		out->trusted = f.verdict == VERDICT_PASSED && chain.certs != NULL;
		snprintf(out->why, sizeof(out->why), "%.*s", (int)sizeof(out->why) - 1, f.why);
	}
	sk_X509_pop_free(chain.certs, X509_free);
	sk_X509_free(others);
}

void stamp_check(const struct roots *roots, struct slice hole, const uint8_t digest[SHA256_BYTES],
		 const struct dss *dss, struct stamp_report *out, struct finding *f)
{
	struct token t = { NULL };

	if (!open_token(&t, hole)) {
		find_fault(f, VERDICT_FAILED, IND_FORMAT_FAILURE, "a document time stamp is no "
			   "time-stamp token");
	} else if (!covers(t.info, digest)) {
		find_fault(f, VERDICT_FAILED, IND_HASH_FAILURE,
			   "a document time stamp is of another document");
	} else if (CMS_verify(t.cms, NULL, NULL, NULL, NULL,
			      CMS_BINARY | CMS_NO_SIGNER_CERT_VERIFY) != 1) {
		find_fault(f, VERDICT_FAILED, IND_SIG_CRYPTO_FAILURE,
			   "the signature value of a document time stamp is wrong");
	} else {
		out->time_ms = cert_time_ms(TS_TST_INFO_get_time(t.info));
		cert_common_name(t.cert, out->subject, sizeof(out->subject));
		trust(roots, &t, dss, out);
	}
	token_free(&t);
	ERR_clear_error();
}

/* ---- long-term evidence ---- */

static bool holds(const struct dss *dss, STACK_OF(X509) *embedded, X509 *cert)
{
	for (int i = 0; i < sk_X509_num(embedded); i++)
		if (X509_cmp(sk_X509_value(embedded, i), cert) == 0)
			return true;
	for (int i = 0; i < sk_X509_num(dss->certs); i++)
		if (X509_cmp(sk_X509_value(dss->certs, i), cert) == 0)
			return true;
	return false;
}

bool dss_proves(const struct roots *roots, const struct dss *dss, struct slice hole,
		int64_t signed_ms)
{
	CMS_ContentInfo *cms = decode(hole);
	STACK_OF(X509) *certs = cms != NULL ? CMS_get1_certs(cms) : NULL;
	STACK_OF(CMS_SignerInfo) *infos = cms != NULL ? CMS_get0_SignerInfos(cms) : NULL;
	struct finding f = { .verdict = VERDICT_PASSED };
	struct chain chain = { 0 };
	bool ok = false;

	for (int i = 0; i < sk_X509_num(certs) && chain.certs == NULL; i++)
		if (CMS_SignerInfo_cert_cmp(sk_CMS_SignerInfo_value(infos, 0),
					    sk_X509_value(certs, i)) == 0)
			chain_check(roots, sk_X509_value(certs, i), certs, signed_ms, &chain, &f);
	ok = chain.certs != NULL;
	for (int i = 0; ok && i + 1 < sk_X509_num(chain.certs); i++) {
		X509 *cert = sk_X509_value(chain.certs, i);

		ok = holds(dss, certs, cert) &&
			crl_look_up(dss->crls, cert, sk_X509_value(chain.certs, i + 1)).state ==
				REVOCATION_GOOD;
	}
	sk_X509_pop_free(chain.certs, X509_free);
	sk_X509_pop_free(certs, X509_free);
	CMS_ContentInfo_free(cms);
	ERR_clear_error();
	return ok;
}
