/*
 * seen.h - signatures that passed, by certificate: what the next one by the same certificate must
 * look like byte for byte, its public key ready, and for which signing times its chain passes. So a
 * chain and a CMS are read once and compared from then on.
 *
 * Exact: whatever is not recognised in every byte is for the caller to judge anew. One thread's;
 * for one snapshot of roots; bounded, the least recently used of a few goes.
 */
#ifndef TRIEN_VERIFY_SEEN_H
#define TRIEN_VERIFY_SEEN_H

#include "verify/proof.h"

struct seen;

enum status seen_new(struct seen **out) must_use;
void seen_free(struct seen *s);

/* Does the signature pass for what is known? Then *out is what proof_own() would make of it. */
bool seen_passes(struct seen *s, struct slice hole, const uint8_t digest[SHA256_BYTES],
		 struct signature_report *out);
/* Takes what *proven owns; passed: the report that it belongs to. */
void seen_keep(struct seen *s, struct proven *proven, const struct signature_report *passed);

#endif
