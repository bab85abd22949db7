/*
 * p11make.h - key pairs made in a PKCS#11 token, for the development CA.
 *
 * The private half is CKA_SENSITIVE and not extractable: it exists in the token only.
 */
#ifndef TRIEN_SIGNER_P11MAKE_H
#define TRIEN_SIGNER_P11MAKE_H

#include <openssl/evp.h>

#include "base/status.h"
#include "signer/policy.h"

struct p11_maker;

/*
 * Loads the module and logs in. pin_file: for a token that names none. ST_NOT_FOUND (module, file),
 * ST_INVALID, ST_DENIED (the PIN is refused, see p11_login), ST_UNAVAILABLE (no such token).
 */
enum status p11_maker_open(struct p11_maker **out, const struct token_policy *t,
			   const char *pin_file, struct error *e) must_use;
void p11_maker_close(struct p11_maker *m);
/* A pair under this label, which is its CKA_ID too; *out is the public half, the caller's. */
enum status p11_maker_pair(struct p11_maker *m, enum algorithm a, const char *label, EVP_PKEY **out,
			   struct error *e) must_use;

#endif
