/*
 * der.h - writing DER (X.690) from the end to the front: a length is known when its header is due.
 *
 * Cold path: skeletons are built once a key. The writer asserts that its buffer suffices.
 */
#ifndef TRIEN_SIGNER_DER_H
#define TRIEN_SIGNER_DER_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct der { uint8_t *start, *p, *end; };	/* written so far: [p, end) */

struct der der_of(void *buf, size_t n);
/* A place to wrap from later: everything written after it, in front of it, becomes the content. */
static inline const uint8_t *der_mark(const struct der *d) { return d->p; }
void der_bytes(struct der *d, const void *p, size_t n);
/* Puts tag and length in front of what was written since `mark`. */
void der_wrap(struct der *d, uint8_t tag, const uint8_t *mark);
static inline struct slice der_slice(const struct der *d)
{
	return slice_of(d->p, (size_t)(d->end - d->p));
}

#endif
