/*
 * own.h - the one form that a signature of this engine has: /Contents rebuilt from certificates,
 * digest and signature value that it names, so that no byte that nobody signed can differ:
 * not the case of a hex digit, not the padding.
 *
 * What remains: of an ECDSA value (r, s) anybody can make (r, n - s), which is as valid. Only the
 * store's record of the file's SHA-256 tells them apart (V10).
 */
#ifndef TRIEN_VERIFY_OWN_H
#define TRIEN_VERIFY_OWN_H

#include <openssl/x509.h>

#include "signer/cms.h"
#include "signer/signer.h"

struct own_form {
	enum algorithm algorithm;
	uint16_t value_bytes;
	struct cms_skeleton skeleton;
};

/*
 * The form of a signature of value_bytes by cert under the algorithm, with what its issuers
 * (`chain`: cert first, root last) are named by. own_free() in every case. ST_INVALID: the engine
 * makes no such signature.
 */
enum status own_build(struct own_form *f, enum algorithm a, STACK_OF(X509) *chain,
		      uint16_t value_bytes) must_use;
void own_free(struct own_form *f);

/*
 * hole: `<` to `>`. Does it have the form, with that digest? Then *value gets its octets,
 * value_bytes of them.
 */
bool own_matches(const struct own_form *f, struct slice hole, const uint8_t digest[SHA256_BYTES],
		 uint8_t value[SIGNATURE_BYTES_MAX]);

#endif
