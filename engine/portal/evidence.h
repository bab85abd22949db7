/*
 * evidence.h - what a result's signatures rest on, kept with it (document.h): certificates, issuers
 * and revocation lists, by the SHA-256 of their DER.
 */
#ifndef TRIEN_PORTAL_EVIDENCE_H
#define TRIEN_PORTAL_EVIDENCE_H

#include "portal/reading.h"

#define EVIDENCE_ITEMS_MAX (DOC_SIGNATURES_MAX * (EVIDENCE_MEMBERS_MAX + 1))

struct evidence_item {
	uint8_t sha256[SHA256_BYTES];
	uint8_t signature;		/* it is of, from 0 */
	bool list;			/* revocation list; else a certificate */
	bool signer;			/* the certificate that signed */
};

struct evidence_list {
	struct evidence_item of[EVIDENCE_ITEMS_MAX];
	uint32_t n;
};

/* v is not to be used any more. ST_CORRUPT, or the store's. */
enum status evidence_read(struct reading *r, const struct result_view *v,
			  struct evidence_list *out) must_use;
/* NULL: it is none of these. */
const struct evidence_item *evidence_find(const struct evidence_list *l,
					  const uint8_t sha256[SHA256_BYTES]);
/* [{sha256, list, signer, signature, subject, issuer, from, to}], names and times of the DER. */
json_t *evidence_json(struct reading *r, const struct evidence_list *l, enum status *st);

#endif
