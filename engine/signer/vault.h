/*
 * vault.h - the private keys: in memory, read and checked against their certificates, or in tokens.
 *
 * Lives only in the signer process. A vault is immutable once connected; each thread signs through
 * a hand of its own. Keys come from sources: VAULT_FILES are those in memory, where a hand has one
 * duplicated key and one prepared context per key, so signing takes no lock, fetches nothing and
 * shares no blinding state; each source above is a token (pkcs11.h), whose signatures take as long
 * as they take. A hand serves one source, so that a slow one has threads apart.
 */
#ifndef TRIEN_SIGNER_VAULT_H
#define TRIEN_SIGNER_VAULT_H

#include "base/bytes.h"
#include "base/status.h"
#include "signer/policy.h"
#include "signer/signer.h"

#define VAULT_FILES 0u			/* the source of keys in memory */

struct vault;
struct vault_hand;

/*
 * Reads every key file of the policy, loads the modules of its tokens and reads their PINs: all
 * that needs the file system. Keys at remote services are passed over. Refuses the whole start,
 * saying which file and what to do:
 * ST_DENIED (a key file that others can read), ST_INVALID (not a key, wrong passphrase, not the key
 * of its certificate, not of its algorithm), ST_NOT_FOUND, ST_IO. Each key signs once and is
 * verified with its certificate before it is accepted.
 */
enum status vault_open(struct vault **out, const struct signer_config *cfg,
		       struct error *e) must_use;
/*
 * Then, shut in or not: logs in to the tokens and has their keys make a trial signature. A token
 * that is away or refuses its PIN is logged and stops nothing: its keys are refused at each call.
 * ST_NOT_FOUND, ST_INVALID: a key that a token has not, or that is not its certificate's.
 */
enum status vault_connect(struct vault *v, struct error *e) must_use;
/* Or, once keys were in order: pkcs11_expect(), pkcs11_connect_late() of a source above files. */
void vault_expect(struct vault *v, uint32_t source);
void vault_connect_late(struct vault *v, uint32_t source);
void vault_close(struct vault *v);

uint32_t vault_keys(const struct vault *v);
const struct key_policy *vault_policy(const struct vault *v, uint32_t key);
/* Index of the key of that id, or -1. */
int32_t vault_find(const struct vault *v, struct slice id);
/* May `key` sign for this unit and kind at now_ms? ANSWER_SIGNED = yes. */
enum sign_answer vault_judge(const struct vault *v, uint32_t key, struct slice unit,
			     struct slice kind, int64_t now_ms);

/* VAULT_FILES and one a token. */
uint32_t vault_sources(const struct vault *v);
uint32_t vault_source(const struct vault *v, uint32_t key);
/* NULL for VAULT_FILES. */
const struct token_policy *vault_token(const struct vault *v, uint32_t source);
/* Threads that it keeps busy; files: 0, as many as there are cores. After vault_connect(). */
uint32_t vault_source_threads(const struct vault *v, uint32_t source);

enum status vault_hand_new(struct vault_hand **out, const struct vault *v,
			   uint32_t source) must_use;
void vault_hand_free(struct vault_hand *h);
/*
 * The owner's thread only; key is one of the hand's source. ST_INTERNAL: the library failed;
 * ST_UNAVAILABLE, ST_DENIED: the token (pkcs11_sign).
 */
enum status vault_sign(struct vault_hand *h, uint32_t key, const uint8_t digest[32],
		       uint8_t out[SIGNATURE_BYTES_MAX], uint16_t *size) must_use;
/* Why it failed last; the hand's. */
const char *vault_why(const struct vault_hand *h);

#endif
