/*
 * policy.h - which key may sign what, until when: CERTS/keys.json, and the algorithms we know.
 *
 * Read by the signer (which enforces it), by the engine's keyring (which chooses by it) and by
 * `trien keys list`. The format is described in keys/README.md. An unknown member is an error: a
 * misspelt "to" must not open a key for ever.
 */
#ifndef TRIEN_SIGNER_POLICY_H
#define TRIEN_SIGNER_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define KEYS_MAX 65536			/* of one keys.json */
#define KEY_ID_BYTES_MAX 64
#define CREDENTIAL_BYTES_MAX 128
#define KEY_CHAIN_MAX 4			/* issuers above the certificate, the root included */
#define TOKENS_MAX 16			/* of one keys.json */
#define TOKEN_SESSIONS 4
#define TOKEN_SESSIONS_MAX 32
#define TOKEN_PATHS_MAX 8
#define OBJECT_ID_BYTES_MAX 64

enum algorithm { ALG_RSA2048, ALG_RSA3072, ALG_PSS2048, ALG_P256, ALG_COUNT };

struct algorithm_info {
	const char *name;		/* as in keys.json */
	bool rsa, pss;
	uint16_t bits;			/* of the RSA modulus or the curve's field */
	uint16_t signature_min, signature_max;	/* bytes; ECDSA: DER, shorter ones are made again */
};

const struct algorithm_info *algorithm_info(enum algorithm a);
/* false: no such name. */
bool algorithm_by_name(enum algorithm *out, struct slice name);

/*
 * The private key: files and tokens are the signer's; remote/ asks signing services; a bridge is a
 * client on the officer's computer that comes and takes digests (Signing.TakeDigests).
 */
enum key_source { SOURCE_FILE, SOURCE_PKCS11, SOURCE_REMOTE, SOURCE_BRIDGE };

/* As in keys.json; static storage. */
const char *key_source_name(enum key_source s);

/* A PKCS#11 token that holds keys. Strings are borrowed from the policy. */
struct token_policy {
	const char *name;		/* ours, unique; [a-z0-9.-_] */
	const char *module;		/* path of the shared library */
	const char *label;		/* the token's; NULL: slot rules */
	int64_t slot;			/* slot number; -1: label rules */
	const char *pin_file;		/* NULL: the setting pin_file */
	uint32_t sessions;		/* that sign at once; 0: TOKEN_SESSIONS */
	bool network;			/* the module may open sockets */
	uint32_t paths_n;
	const char *paths[TOKEN_PATHS_MAX];	/* files and folders that the module opens */
};

/* Strings are borrowed from the policy. */
struct key_policy {
	const char *id;			/* [a-z0-9.-], unique */
	const char *unit;
	const char *signer;		/* NULL: the agency's seal */
	enum algorithm algorithm;
	uint32_t kinds_n;		/* 0: all kinds of the unit */
	const char **kinds;
	int64_t from_ms, to_ms;		/* Unix, UTC: [from, to); INT64_MIN / INT64_MAX when open */
	enum key_source source;
	const char *key_file;		/* SOURCE_FILE: in the key folder */
	uint32_t token;			/* SOURCE_PKCS11: index of policy_token() */
	const char *label;		/* and its CKA_LABEL; NULL: the id alone */
	uint8_t object_id_n;		/* and its CKA_ID; 0: the label alone */
	uint8_t object_id[OBJECT_ID_BYTES_MAX];
	const char *service;		/* SOURCE_REMOTE: its name in remote.json; else NULL */
	/* SOURCE_REMOTE: the service's name for the key; may be personal: never logged; or NULL */
	const char *credential;
	const char *user_id;		/* and for the key's owner: the same */
	const char *cert_file;		/* in the certificate folder */
	uint8_t chain_n;
	const char *chain[KEY_CHAIN_MAX];	/* issuer first, the self-signed root last */
	const char *evidence;		/* "B-B" */
};

struct policy;

/* ST_NOT_FOUND, ST_INVALID: *e says file, line or path of the member, and what is allowed. */
enum status policy_load(struct policy **out, const char *certs_dir, struct error *e) must_use;
void policy_free(struct policy *p);
uint32_t policy_count(const struct policy *p);
const struct key_policy *policy_key(const struct policy *p, uint32_t index);
uint32_t policy_tokens(const struct policy *p);
const struct token_policy *policy_token(const struct policy *p, uint32_t index);
/* May the key sign this kind? */
bool policy_covers(const struct key_policy *k, struct slice kind);

#endif
