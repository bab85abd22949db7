/*
 * provider.h - what we ask an OpenID provider: what it says of itself (OpenID Connect Discovery
 * 1.0), its keys, an ID token for a code (RFC 6749 4.1.3). Any thread; blocks as fetch.h says.
 */
#ifndef TRIEN_PORTAL_PROVIDER_H
#define TRIEN_PORTAL_PROVIDER_H

#include "portal/oidc.h"

#define PROVIDER_CODE_BYTES_MAX 2048

struct metadata {
	char authorization[PROVIDER_URL_BYTES_MAX + 1];
	char token[PROVIDER_URL_BYTES_MAX + 1];
	char keys[PROVIDER_URL_BYTES_MAX + 1];
	bool secret_in_form;		/* client_secret_post, for lack of client_secret_basic */
	bool issuer_returned;		/* it names itself in what comes back (RFC 9207) */
};

struct provider;

/* s is borrowed. */
enum status provider_new(struct provider **out, const struct oidc_settings *s,
			 struct error *e) must_use;
/* NULL is allowed. */
void provider_free(struct provider *p);
/*
 * Asked for at first use and every PROVIDER_AGAIN_MS; what was known serves while it cannot be had.
 * ST_UNAVAILABLE, ST_TIMEOUT: it is away, is another issuer, or cannot do what we need.
 */
enum status provider_metadata(struct provider *p, int64_t now_ms, struct metadata *out,
			      struct error *e) must_use;
/* malloc'd bytes of the key set; of the metadata known last. */
enum status provider_keys(struct provider *p, uint8_t **bytes, size_t *n, struct error *e) must_use;
/* *token: malloc'd, not checked yet. ST_PRECONDITION: the code is not good any more. */
enum status provider_exchange(struct provider *p, const struct metadata *m, const char *code,
			      const char *verifier, char **token, struct error *e) must_use;

#endif
