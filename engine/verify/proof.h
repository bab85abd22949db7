/*
 * proof.h - the cryptographic part: CMS (V9), certificate chain, revocation.
 */
#ifndef TRIEN_VERIFY_PROOF_H
#define TRIEN_VERIFY_PROOF_H

#include <openssl/x509.h>

#include "verify/verify.h"

struct roots {
	X509_STORE *store;		/* trusted roots */
	STACK_OF(X509) *others;		/* intermediates */
	STACK_OF(X509_CRL) *crls;
};

/* der: /Contents decoded, with its padding. digest: of the signed ranges. */
void proof_check(const struct roots *roots, struct slice der, const uint8_t digest[SHA256_BYTES],
		 struct signature_report *out);

/* Chain and revocation of the signer's certificate at signed_ms; certs: those of the CMS. */
void chain_check(const struct roots *roots, X509 *cert, STACK_OF(X509) *certs, int64_t signed_ms,
		 struct finding *f);

/* Sets *f unless something was found before. */
void find_fault(struct finding *f, enum verdict v, enum indication i, const char *fmt, ...)
	printf_like(4, 5);

#endif
