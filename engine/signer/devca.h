/*
 * devca.h - a throw-away certification authority for development and tests: `trien keys dev`.
 *
 * Root and issuing CA live in memory and die with the object: nobody can issue under them later.
 * Written below the data folder:
 *	keys/		0700: one private key a signing key, 0600, unless it is in a token
 *	certs/		certificates, root.pem, issuing.pem, root.crl, issuing.crl, keys.json
 *	tls/		0700: ca.pem, server.pem/.key, client-NAME.pem/.key, an authority apart
 * Names, units and principals are the caller's; all are invented. Profiles: keys/README.md.
 */
#ifndef TRIEN_SIGNER_DEVCA_H
#define TRIEN_SIGNER_DEVCA_H

#include <stdbool.h>

#include "base/status.h"
#include "signer/policy.h"

struct devca;

struct devca_config {
	const char *data;		/* made when missing */
	enum algorithm algorithm;	/* of root and issuing CA */
	int64_t now_ms;			/* Unix, UTC: when validity begins, less a day */
	uint32_t crl_days;		/* until nextUpdate of the lists */
	/* encrypts the signing keys (PKCS#8, AES-256); NULL: plain */
	const char *passphrase;
	/* a token for keys that say so; NULL: none. module, and slot or label, as in keys.json */
	const struct token_policy *token;
	const char *pin_file;
};

/* Strings are copied. */
struct devca_key {
	const char *id, *unit, *signer;	/* signer NULL: the agency's seal */
	const char *name;		/* subject CN, UTF-8 */
	const char *organisation;	/* subject O; NULL: none */
	enum algorithm algorithm;
	const char *const *kinds;
	uint32_t kinds_n;		/* 0: all */
	uint32_t from, to;		/* yyyymmdd in the policy; 0: open */
	int32_t valid_from_days, valid_to_days;	/* of the certificate, relative to now */
	bool in_token;			/* made there, and never outside */
};

/*
 * ST_EXISTS: the data folder has keys already; they are never overwritten. With a token also
 * ST_NOT_FOUND, ST_INVALID, ST_DENIED (its PIN), ST_UNAVAILABLE.
 */
enum status devca_new(struct devca **out, const struct devca_config *cfg, struct error *e) must_use;
void devca_free(struct devca *ca);
/* Makes key and certificate and writes both; in the token its label and CKA_ID are the id. */
enum status devca_add(struct devca *ca, const struct devca_key *key, struct error *e) must_use;
/* ST_NOT_FOUND: no such key. Shown by the lists of the next devca_publish(). */
enum status devca_revoke(struct devca *ca, const char *id, struct error *e) must_use;
/* Lists and keys.json; again after more was added or revoked. */
enum status devca_publish(struct devca *ca, struct error *e) must_use;
/* tls/server.*: SAN localhost, 127.0.0.1, ::1. */
enum status devca_server(struct devca *ca, struct error *e) must_use;
/* tls/client-NAME.*: SAN URI trien://principal/NAME. name: [a-z0-9.-_]. */
enum status devca_client(struct devca *ca, const char *name, struct error *e) must_use;

#endif
