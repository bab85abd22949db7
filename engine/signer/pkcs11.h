/*
 * pkcs11.h - keys in a token that may go away: one login, a pool of sessions, recovery.
 *
 * Lives only in the signer process. A token is used by as many threads as it has sessions
 * (pkcs11_sessions); each has a hand of its own. Tokens of the same module share its life: the
 * module is initialised once and started over for all of them.
 *
 * What fails is tried again, boundedly (TRIES, over about 3 s): everything is started over
 * (C_Finalize, C_Initialize, session, login, search), and no key signs then before a trial
 * signature has verified with its certificate. A token that does not come back is down: its keys
 * are answered ST_UNAVAILABLE at once, and somebody's call tries it again after 1 s, later up to
 * 30 s. A PIN that was refused is not tried again (p11_login); the process has to be started anew,
 * and the token's own flag has to be gone.
 */
#ifndef TRIEN_SIGNER_PKCS11_H
#define TRIEN_SIGNER_PKCS11_H

#include <openssl/x509.h>

#include "base/status.h"
#include "signer/p11.h"
#include "signer/policy.h"
#include "signer/signer.h"

struct pkcs11;			/* one token */
struct pkcs11_modules;		/* the modules loaded, each once */
struct pkcs11_hand;

enum status pkcs11_modules_new(struct pkcs11_modules **out) must_use;
/* After its tokens are closed. */
void pkcs11_modules_free(struct pkcs11_modules *m);

/*
 * Loads the module; talks to no token yet. The policy is borrowed, the PIN copied (and wiped by
 * pkcs11_close). ST_NOT_FOUND, ST_INVALID: no module; ST_NOMEM.
 */
enum status pkcs11_open(struct pkcs11 **out, struct pkcs11_modules *m, const struct token_policy *t,
			const struct pin *pin, struct error *e) must_use;
void pkcs11_close(struct pkcs11 *t);

/* Before pkcs11_connect(). *key: its index here; the policy is borrowed, cert referenced. */
enum status pkcs11_add(struct pkcs11 *t, const struct key_policy *k, X509 *cert,
		       uint32_t *key) must_use;

/*
 * Finds the token, logs in and has each key make a trial signature. ST_UNAVAILABLE (the token is
 * away) and ST_DENIED (the PIN is refused) leave a token that may be used: it answers its keys so.
 * ST_NOT_FOUND (no such key in it), ST_INVALID (not the certificate's key): keys.json is wrong.
 */
enum status pkcs11_connect(struct pkcs11 *t, struct error *e) must_use;
/*
 * The same while others sign, on a thread of its own, after pkcs11_expect(): until it is through
 * the token's keys are answered ST_UNAVAILABLE, without waiting. What keeps a key or the token from
 * signing is logged, and harms no other.
 */
void pkcs11_expect(struct pkcs11 *t);
void pkcs11_connect_late(struct pkcs11 *t);
/* How many signatures it may make at once: keys.json or TOKEN_SESSIONS; at most its limit. */
uint32_t pkcs11_sessions(const struct pkcs11 *t);

enum status pkcs11_hand_new(struct pkcs11_hand **out, struct pkcs11 *t) must_use;
void pkcs11_hand_free(struct pkcs11_hand *h);
/*
 * The owner's thread only; blocks for as long as the token takes. ST_UNAVAILABLE: it is down, later
 * perhaps; ST_DENIED: its PIN is refused; ST_INTERNAL: it has no such mechanism. pkcs11_why() says
 * more, without secrets.
 */
enum status pkcs11_sign(struct pkcs11_hand *h, uint32_t key, const uint8_t digest[32],
			uint8_t out[SIGNATURE_BYTES_MAX], uint16_t *size) must_use;
const char *pkcs11_why(const struct pkcs11_hand *h);

#endif
