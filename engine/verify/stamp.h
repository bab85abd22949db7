/*
 * stamp.h - document time stamps (RFC 3161, EN 319 142-1 clause 5.4.3) and the level of evidence
 * that they and the document security store give.
 *
 * A stamp must be right to be there at all; whether its authority is trusted changes the level
 * alone. The verdict stays that of the signatures. Long-term evidence is a revocation list for each
 * certificate: an OCSP answer is read, but proves nothing here.
 */
#ifndef TRIEN_VERIFY_STAMP_H
#define TRIEN_VERIFY_STAMP_H

#include "verify/later.h"
#include "verify/proof.h"

/*
 * hole: `<` to `>`. digest: SHA-256 of what the stamp covers. Sets *f if the token is not right;
 * out->trusted and why not.
 */
void stamp_check(const struct roots *roots, struct slice hole, const uint8_t digest[SHA256_BYTES],
		 const struct dss *dss, struct stamp_report *out, struct finding *f);

/* Does the store hold what proves the chain of a signature (`<` to `>`) in the long term? */
bool dss_proves(const struct roots *roots, const struct dss *dss, struct slice hole,
		int64_t signed_ms);

#endif
