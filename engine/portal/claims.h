/*
 * claims.h - what a signed token says: whether it is meant for us and now, and who it names.
 *
 * The checks are OpenID Connect Core 1.0 3.1.3.7, the narrow reading wherever it leaves one. Which
 * claims name a person is the provider's own matter, hence configuration. Pure; any thread. Error
 * texts name claims, never what they say (P9).
 */
#ifndef TRIEN_PORTAL_CLAIMS_H
#define TRIEN_PORTAL_CLAIMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "portal/session.h"

/* What a token has to say. Strings are borrowed. */
struct claims_wanted {
	const char *issuer;		/* `iss`, letter by letter */
	const char *audience;		/* one of `aud` */
	const char *const *parties;	/* `azp` may be one of these beside the audience */
	uint32_t parties_n;
	const char *nonce;		/* NULL: the token answers no sign-in of ours */
	const char *const *acr;		/* `acr` is one of these; acr_n 0: it may be anything */
	uint32_t acr_n;
	int64_t now_s;			/* Unix time */
	int64_t age_s_max;		/* since `iat` */
	int64_t life_s_max;		/* from `iat` to `exp` */
};

/* ST_UNAUTHENTICATED: not for us, not now, or it does not say so. */
enum status claims_check(const json_t *claims, const struct claims_wanted *w,
			 struct error *e) must_use;

/*
 * Names of claims: a member, or a JSON pointer (RFC 6901) where it begins with "/". Text or a list
 * of texts where several values may stand; one text is split at its blanks.
 */
struct claim_names {
	const char *number;		/* of the person's paper; "": no claim, leaders only */
	const char *id_kind;		/* "": fixed_id_kind */
	const char *country;		/* "": VN */
	const char *name;		/* to be shown */
	const char *roles, *units;	/* "": nobody has one */
	const char *leader;		/* the role that means it */
	const char *fixed_id_kind;	/* "citizen", … as `--id-kind` of trien list */
};

/* "citizen", "old_citizen", "passport", "enterprise", "tax", "other"; ID_NONE: none of them. */
uint8_t person_id_kind(const char *name);
/*
 * Fills holder, name, roles and units; the rest of *out is cleared. ST_NOT_FOUND: the claims do not
 * name a person as configured (no number, a number that has not the form of its kind, an unknown
 * kind or country) who has no role either; or a list is longer than its bound.
 */
enum status claims_person(const json_t *claims, const struct claim_names *names,
			  struct session *out, struct error *e) must_use;

#endif
