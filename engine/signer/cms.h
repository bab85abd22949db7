/*
 * cms.h - CMS skeletons (RFC 5652): everything of a signature but digest and value, as hex text.
 *
 *	`<` 3082…SignedData…certificates…SignerInfo…messageDigest 0420 │ digest │
 *	└──────────────────────── head ────────────────────────────────┘  body  └
 *	signingCertificateV2…signatureAlgorithm 0482nnnn │ value │ 00… `>`
 *	─────────────────── middle ──────────────────────┘ body  └ tail ─┘
 *
 * Lengths stand in front, so each length of the value has a head of its own. The three signed
 * attributes are ordered by their encoding (DER SET OF): contentType 3018, messageDigest 302f,
 * signingCertificateV2 3037 (SHA-256 is its default and left out, RFC 5035 section 4). No
 * signing-time attribute (EN 319 142-1 clause 6.3: the time stands in /M).
 */
#ifndef TRIEN_SIGNER_CMS_H
#define TRIEN_SIGNER_CMS_H

#include "base/hash.h"
#include "base/status.h"
#include "document.h"
#include "signer/policy.h"

#define CMS_ATTRIBUTES_BYTES 135
#define CMS_DIGEST_AT 46		/* of messageDigest's octets in the attributes */

/* Layers own their bytes until cms_free(). */
struct cms_skeleton { struct layer head, middle, tail; };

/*
 * certs: DER, the signer's first, without the root. hole_bytes: of the whole from `<` to `>`; a
 * shorter skeleton is filled up with zeros behind the DER. 0: exactly what it needs.
 */
enum status cms_skeleton(struct cms_skeleton *out, enum algorithm a, const struct slice *certs,
			 size_t certs_n, uint16_t signature_bytes, uint32_t hole_bytes) must_use;
/* From `<` to `>`. */
uint32_t cms_hole_bytes(const struct cms_skeleton *s, uint16_t signature_bytes);
void cms_free(struct cms_skeleton *s);

/* The signed attributes as they are hashed (SET OF), zeros where the digest goes. */
enum status cms_attributes(uint8_t out[CMS_ATTRIBUTES_BYTES], struct slice cert) must_use;

#endif
