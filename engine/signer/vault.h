/*
 * vault.h - the private keys in memory: read, checked against their certificates, ready to sign.
 *
 * Lives only in the signer process. A vault is immutable once opened; each thread signs through a
 * hand of its own (one duplicated key and one prepared context per key), so signing takes no lock,
 * fetches nothing and shares no blinding state.
 */
#ifndef TRIEN_SIGNER_VAULT_H
#define TRIEN_SIGNER_VAULT_H

#include "base/bytes.h"
#include "base/status.h"
#include "signer/policy.h"
#include "signer/signer.h"

struct vault;
struct vault_hand;

/*
 * Reads every key of the policy. Refuses the whole start, saying which file and what to do:
 * ST_DENIED (a key file that others can read), ST_INVALID (not a key, wrong passphrase, not the key
 * of its certificate, not of its algorithm), ST_NOT_FOUND, ST_IO. Each key signs once and is
 * verified with its certificate before it is accepted.
 */
enum status vault_open(struct vault **out, const struct signer_config *cfg,
		       struct error *e) must_use;
void vault_close(struct vault *v);

uint32_t vault_keys(const struct vault *v);
const struct key_policy *vault_policy(const struct vault *v, uint32_t key);
/* Index of the key of that id, or -1. */
int32_t vault_find(const struct vault *v, struct slice id);
/* May `key` sign for this unit and kind at now_ms? ANSWER_SIGNED = yes. */
enum sign_answer vault_judge(const struct vault *v, uint32_t key, struct slice unit,
			     struct slice kind, int64_t now_ms);

enum status vault_hand_new(struct vault_hand **out, const struct vault *v) must_use;
void vault_hand_free(struct vault_hand *h);
/* The owner's thread only. ST_INTERNAL: the library failed. */
enum status vault_sign(struct vault_hand *h, uint32_t key, const uint8_t digest[32],
		       uint8_t out[SIGNATURE_BYTES_MAX], uint16_t *size) must_use;

#endif
