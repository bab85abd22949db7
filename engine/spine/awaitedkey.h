/*
 * awaitedkey.h - is the key from which a signature is awaited still the one that signs this?
 *
 * Keys are reloaded while results wait: a certificate is revoked, renewed under the same name,
 * given to another service. What was asked of the key before is then asked of nobody. Pure; any
 * thread.
 */
#ifndef TRIEN_SPINE_AWAITEDKEY_H
#define TRIEN_SPINE_AWAITEDKEY_H

#include "base/bytes.h"
#include "sign/keyring.h"

/* What is awaited. */
struct question {
	const char *unit, *signer, *kind;	/* of the result: a key of either */
	const char *service;		/* "": an officer's device */
	struct slice key;		/* its id */
	int64_t sign_ms;		/* of the signature */
	int64_t until_ms;		/* not later, as was known when it was asked; 0: no limit */
};

/* NULL: there is none of that name. */
const struct signing_key *key_named(const struct keyring *k, const char *unit,
				    const char *signer, struct slice id);
/*
 * NULL: it does not sign this any more: the document is to be drawn again, for the key that does,
 * or to be held with the reason why none does.
 */
const struct signing_key *key_asked(const struct keyring *k, const struct question *q,
				    int64_t now_ms);
/* Does the key sign beyond until_ms? Then what ended is its signer's delegation. */
bool key_outlasts(const struct keyring *k, const struct question *q);

#endif
