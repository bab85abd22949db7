/*
 * proof.h - the cryptographic part: CMS (V9), certificate chain, revocation.
 */
#ifndef TRIEN_VERIFY_PROOF_H
#define TRIEN_VERIFY_PROOF_H

#include <openssl/cms.h>
#include <openssl/x509.h>

#include "verify/own.h"
#include "verify/verify.h"

struct roots {
	X509_STORE *store;		/* trusted roots */
	STACK_OF(X509) *others;		/* intermediates */
	STACK_OF(X509_CRL) *crls;
	X509_STORE *tsa;		/* roots of time-stamp authorities; NULL: none */
	bool lists_optional;		/* a certificate without a list is no fault */
};

/* What a signature that passed can be recognised by; another with it passes likewise. */
struct proven {
	struct own_form form;
	X509 *cert;
	int64_t from_ms, to_ms;		/* signing times for which the chain passes: [from, to) */
};

void proven_free(struct proven *p);

/* der: /Contents decoded, with its padding. digest: of the signed ranges. */
void proof_check(const struct roots *roots, struct slice der, const uint8_t digest[SHA256_BYTES],
		 struct signature_report *out);
/*
 * The same of a signature in this engine's form: hole is `<` to `>`, and no byte of it may be
 * other than the engine writes it. *proven is filled when it passed and can be used again.
 */
void proof_own(const struct roots *roots, struct slice hole, const uint8_t digest[SHA256_BYTES],
	       struct signature_report *out, struct proven *proven);

struct chain {
	STACK_OF(X509) *certs;		/* the signer's first, root last; NULL: not passed */
	int64_t from_ms, to_ms;		/* as struct proven; empty where a chain is not the only */
};

/*
 * Chain and revocation of the signer's certificate at signed_ms; certs: those of the CMS. The
 * caller frees out->certs with sk_X509_pop_free().
 */
void chain_check(const struct roots *roots, X509 *cert, STACK_OF(X509) *certs, int64_t signed_ms,
		 struct chain *out, struct finding *f);

/*
 * One SignedData in DER, with nothing but zeros behind it: detached where content is
 * NID_pkcs7_data, else of that content. What is wrong is set in *f; NULL: it could not even be
 * read. The caller frees it.
 */
CMS_ContentInfo *proof_parse(struct slice der, int content, struct finding *f);
/* RSASSA-PSS with SHA-256 throughout and a salt of 32 bytes. */
bool proof_pss_allowed(const X509_ALGOR *alg);
/* The certificate that si names, borrowed from certs; NULL: not among them. */
X509 *proof_signer(CMS_SignerInfo *si, STACK_OF(X509) *certs);

/* Sets *f unless something was found before. */
void find_fault(struct finding *f, enum verdict v, enum indication i, const char *fmt, ...)
	printf_like(4, 5);

#endif
