/*
 * oidc.h - sign-in by OpenID Connect (Core 1.0, Discovery 1.0): authorization code flow with PKCE
 * S256 (RFC 7636) at one configured provider, and its ID tokens as bearer tokens for the API.
 *
 *	oidc_begin()	a cookie that binds state, nonce and code verifier to this browser, and the
 *			provider's address to send it to
 *	oidc_finish()	what came back with that cookie: the code is exchanged, the ID token checked
 *
 * The cookie is sealed (AES-256-GCM) with a key of this process: nothing is kept here for somebody
 * who only begins, and after a restart one begins anew. Any thread; what asks the provider blocks,
 * bounded by fetch.h. Error texts are for the log: no personal data, no secret.
 */
#ifndef TRIEN_PORTAL_OIDC_H
#define TRIEN_PORTAL_OIDC_H

#include "portal/claims.h"
#include "portal/fetch.h"
#include "portal/session.h"
#include "portal/text.h"

#define OIDC_BACK_BYTES_MAX 512		/* path to come back to */
#define OIDC_COOKIE_BYTES_MAX 1024
#define OIDC_LIST_MAX 8

/* Strings are borrowed, for as long as the oidc lives. */
struct oidc_settings {
	const char *issuer;		/* as in `iss`; https, or http to this machine */
	const char *client;		/* client_id */
	const char *secret;		/* client_secret; "": a public client */
	const char *redirect;		/* our /sign-in/return, as registered with the provider */
	const char *scope;		/* "openid …" */
	const char *acr[OIDC_LIST_MAX];	/* levels that are enough; none: any */
	uint32_t acr_n;
	const char *audience;		/* of bearer tokens; "": there are none */
	const char *parties[OIDC_LIST_MAX];	/* clients whose users send those */
	uint32_t parties_n;
	struct claim_names claims;
	/* fetch(), or a test's; ctx is its first argument. */
	enum status (*fetch)(void *ctx, const struct fetch_request *r, struct fetched *out,
			     struct error *e);
	void *ctx;
};

struct oidc;

/* An address that may be an issuer's. */
bool oidc_issuer_fits(const char *issuer);
/* ST_INVALID: an issuer or client that is none. The provider is not asked yet. */
enum status oidc_new(struct oidc **out, const struct oidc_settings *s, struct error *e) must_use;
/* NULL is allowed. */
void oidc_free(struct oidc *o);

/*
 * back: a path of ours; language: "vi", asked of the provider's pages. url gets the provider's
 * address, NUL-terminated; cookie is for this browser and SIGN_IN_S_MAX. ST_UNAVAILABLE,
 * ST_TIMEOUT: the provider is away, or is not what discovery says of it.
 */
enum status oidc_begin(struct oidc *o, const char *back, const char *language, int64_t now_ms,
		       char cookie[OIDC_COOKIE_BYTES_MAX], struct text *url,
		       struct error *e) must_use;

/* What came back: parameters of the redirect, NULL where missing, and the cookie. */
struct oidc_return { const char *cookie, *state, *code, *error, *issuer; };

/*
 * Fills holder, name, roles and units of *who, and the path of oidc_begin().
 * ST_PRECONDITION: no sign-in of this browser, it took too long, or its code is used up: begin anew
 * ST_DENIED: the provider says no (its user chose so, or may not)
 * ST_UNAUTHENTICATED, ST_INVALID, ST_UNSUPPORTED, ST_TOO_LARGE: the ID token is not good
 * ST_NOT_FOUND: it names nobody, see claims_person()
 * ST_UNAVAILABLE, ST_TIMEOUT: the provider is away, or answers with something else
 */
enum status oidc_finish(struct oidc *o, const struct oidc_return *r, int64_t now_ms,
			struct session *who, char back[OIDC_BACK_BYTES_MAX + 1],
			struct error *e) must_use;

/*
 * Who sends a bearer token to the API; statuses as oidc_finish(), ST_UNAUTHENTICATED also where
 * there is no such door. Does not wait for keys that another thread fetches: ST_UNAVAILABLE.
 */
enum status oidc_bearer(struct oidc *o, struct slice token, int64_t now_ms, struct session *who,
			struct error *e) must_use;

#endif
