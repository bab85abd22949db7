/*
 * document.h - a PDF as parts: shared layers, and a body of bytes that only this document has.
 *
 * The file is the concatenation of its parts, bit for bit; reassembly never encodes anything
 * (P5). Render lays the whole file out, with a hole for each signature's /Contents; sign fills the
 * holes; store keeps body and parts, and each layer once by its SHA-256.
 *
 *	%PDF… fonts, form, unit, signer │ pages, QR, XMP, JSON │ sig 1 │ xref, update │ sig 2 │ …
 *	└──── layers (shared prefix) ───┘└────── body ─────────┘└ hole ┘└──── body ───┘└ hole ┘└ …
 */
#ifndef TRIEN_DOCUMENT_H
#define TRIEN_DOCUMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "limits.h"

/*
 * Immutable bytes stored once. Owned by whoever composed it (a template, a signing key), alive as
 * long as that owner is referenced; `sha256` is of exactly these bytes.
 */
struct layer {
	uint8_t sha256[SHA256_BYTES];
	const uint8_t *bytes;
	uint32_t size;
};

/*
 * The pages' images and the attached original of a certified copy: a stretch of the file between
 * the prefix and parts[prefix_parts], made of text in the body and of runs of one object.
 */
struct section_run {
	bool original;		/* else of the body */
	uint32_t offset, size;	/* in the original, or in the body */
};

struct section {
	uint8_t sha256[SHA256_BYTES];	/* the object: the original's bytes */
	uint32_t size;			/* of the section, in the file */
	uint32_t runs_n;
	struct section_run *runs;	/* in the batch's arena */
};

/* A run of the file. layer == NULL: body[offset, offset + size), else the layer's same range. */
struct part {
	const struct layer *layer;
	uint32_t offset;
	uint32_t size;
};

/*
 * Why a signing key was trusted, kept for ever (DESIGN 7): its certificate, its issuers' and the
 * revocation lists, all in DER, and `set`, a text that names all but the first by SHA-256. Keys of
 * one authority have one set, as long as its lists are the same. Its lines:
 *	trien evidence 1
 *	list <64 hex digits>		what was asked about the signer's certificate; "none"
 *	certificate <64 hex digits>	its issuer; so on up to the root, which no list speaks of
 *	not revoked, known until <Unix ms>	or: revocation is not known; … not asked for
 */
#define EVIDENCE_HEAD "trien evidence 1"
struct evidence {
	struct layer certificate, set;
	uint8_t members_n;
	const struct layer *members[EVIDENCE_MEMBERS_MAX];
};

enum signer_role { ROLE_PERSON, ROLE_AGENCY };

/*
 * One signature as render must know it: filled by sign before rendering, read by render.
 * The hole is `<` + hex + `>`: hole_bytes = contents hex digits + 2.
 */
struct signature_slot {
	enum signer_role role;
	uint32_t hole_bytes;	/* exact, from chain, algorithm and profile */
	/* room in the body for what differs per document: digest and value, hex */
	uint32_t body_bytes;
	char name[256];		/* UTF-8, /Name: the certificate's subject CN */
	uint8_t cert_sha256[SHA256_BYTES];	/* of the signer's certificate */
	const struct evidence *evidence;	/* the key's, for the store; NULL: none */
	int64_t signed_ms;	/* Unix, UTC; printed as /M in +07'00' */
};

/* Where a hole lies. Render sets all; sign replaces parts[part] by its own parts. */
struct hole {
	uint8_t part;		/* index in document.parts of the hole's placeholder (layer NULL) */
	uint32_t body_offset;	/* its body_bytes of room begin here */
	uint32_t file_offset;	/* of `<` */
	uint32_t file_bytes;	/* of `<`…`>` */
	uint32_t revision_end;	/* file offset just after this revision's `%%EOF\n` */
};

struct document {
	uint8_t *body;		/* in the batch's arena */
	uint32_t body_size;
	uint32_t file_size;	/* sum of all parts once signed, and of the section */
	uint32_t pages;
	uint8_t parts_n;
	uint8_t holes_n;
	uint8_t prefix_parts;	/* parts[0 … prefix_parts) are the template's prefix, hashed once */
	const struct section *section;	/* follows the prefix; NULL: none */
	struct part parts[DOC_PARTS_MAX];
	struct hole holes[DOC_SIGNATURES_MAX];
};

static inline uint32_t section_size(const struct document *d)
{
	return d->section != NULL ? d->section->size : 0;
}

static inline const uint8_t *part_bytes(const struct document *d, const struct part *p)
{
	return (p->layer != NULL ? p->layer->bytes : d->body) + p->offset;
}

#endif
