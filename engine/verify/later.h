/*
 * later.h - what may be added behind the last signature: evidence (EN 319 142-1 clause 5.4), that
 * is a document security store and document time stamps, and nothing that a reader could show.
 *
 * A revision may write the catalog anew with another /DSS, with the stamp's field at the end of
 * /Fields, and with /Extensions that say so; the store's own objects; the stamp, its field without
 * appearance and area, and the page that lists it. All else must mean what it meant. Whatever is
 * new was not referred to before, so nothing that was signed can point at it.
 */
#ifndef TRIEN_VERIFY_LATER_H
#define TRIEN_VERIFY_LATER_H

#include <openssl/x509.h>

#include "verify/signature.h"

#define LATER_OBJECTS_MAX 1024		/* of one revision */
#define DSS_ITEMS_MAX 512		/* of all revisions */
/*
 * What is read of values in all revisions, each as often as something refers to it: a few hundred
 * bytes can name the same large value over and over.
 */
#define LATER_BYTES_MAX (16u * 1024 * 1024)

/* What the stores of all revisions hold; all of it was read. */
struct dss {
	STACK_OF(X509) *certs;
	STACK_OF(X509_CRL) *crls;
	uint32_t items, answers;	/* answers: OCSP */
	uint8_t revision;		/* the newest; 0: there is none */
	uint64_t read;			/* of LATER_BYTES_MAX */
};

void dss_free(struct dss *d);

/*
 * Reads revision `i`, which has no signature of a person or an agency. stamp->object != 0: it has
 * a time stamp. ST_INVALID: something else was changed; ST_UNSUPPORTED; ST_NOMEM.
 */
enum status later_read(const struct pdf *pdf, uint8_t i, struct found_signature *stamp,
		       struct dss *dss, struct finding *f) must_use;
/*
 * When all revisions from `first` on were read so: nothing before them refers to what they brought.
 * ST_INVALID.
 */
enum status later_check_references(const struct pdf *pdf, uint8_t first, struct finding *f)
	must_use;

#endif
