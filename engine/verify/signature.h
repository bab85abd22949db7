/*
 * signature.h - the signatures of a PDF, one a revision, and what each revision changed (V1–V4,
 * V6).
 */
#ifndef TRIEN_VERIFY_SIGNATURE_H
#define TRIEN_VERIFY_SIGNATURE_H

#include "verify/revision.h"

struct found_signature {
	uint32_t field, object;		/* object numbers */
	uint8_t revision;
	struct value dict;
	uint64_t range[4];
	struct slice contents;		/* hex digits between < and > */
	int64_t signed_ms;
	uint32_t docmdp;		/* P of a certification; 0: none */
	bool locks_all;			/* /FieldMDP or /Lock for all fields */
	bool own;			/* in the form that this engine writes */
};

/* The signatures in the first revisions, one each, and in later ones what was added to them. */
struct found {
	uint8_t signatures_n, stamps_n;
	struct found_signature signatures[VERIFY_SIGNATURES_MAX];
	struct found_signature stamps[REVISIONS_MAX];
};

struct dss;

/*
 * ST_INVALID, ST_UNSUPPORTED as pdf_open(). ST_OK with *f INDETERMINATE: a field that the document
 * has from the start is not signed. dss: what the revisions behind the last signature brought.
 */
enum status signatures_find(const struct pdf *pdf, struct found *found, struct dss *dss,
			    struct finding *f) must_use;
/* A document time stamp's dictionary, from stamp->dict: the rest of *stamp (V1-V3). */
enum status stamp_read(const struct pdf *pdf, struct found_signature *stamp, struct finding *f)
	must_use;

/*
 * V1, V2, of any PDF: `range` is exactly [0 a b c], and its gap is this signature's own `contents`.
 * object: its number, for *f. *digits: what stands between < and >. ST_INVALID.
 */
enum status signed_range(struct slice file, uint32_t object, struct value range,
			 struct value contents, uint64_t out[4], struct slice *digits,
			 struct finding *f) must_use;

#endif
