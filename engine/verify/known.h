/*
 * known.h - beginnings of files that were read before: fonts, form, unit and signer are the same
 * bytes in every document of one template version, so they are parsed and hashed once. A file that
 * begins with them is compared, and read from there on.
 *
 * A beginning is recognised by all of its bytes and says only what reading them again would say:
 * where it was learned from changes no verdict. Bounded, the least recently used goes first. Any
 * thread; one lock, not held while bytes are compared.
 */
#ifndef TRIEN_VERIFY_KNOWN_H
#define TRIEN_VERIFY_KNOWN_H

#include "verify/revision.h"

#define KNOWN_PREFIXES_MAX 256
#define KNOWN_BYTES_MAX (64u * 1024 * 1024)	/* of all */
#define KNOWN_PREFIX_BYTES_MAX (4u * 1024 * 1024)
#define KNOWN_PREFIX_BYTES_MIN 1024		/* shorter ones are read as fast */

/* The longest one that the file begins with, to be given back; NULL: none. */
const struct prefix *known_find(struct known *k, struct slice file);
void known_release(struct known *k, const struct prefix *p);

/*
 * After a file that passed: what stands before its page tree, and what of that it shares with
 * others. Without effect where memory is short.
 */
void known_learn_file(struct known *k, const struct pdf *pdf);

#endif
