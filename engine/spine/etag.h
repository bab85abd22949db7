/*
 * etag.h - the state of a stored result's life as 24 hex digits (AIP-154).
 *
 *	u16 acts, u8 1 if another result is in its place, 9 bytes of a seal under the instance's
 *	secret over those, the result's id and its agency
 *
 * Sealed, so that an act may be judged and taken while the store is away: whoever has an etag of a
 * result has seen it, and the agency that it names is the one that issued it.
 */
#ifndef TRIEN_SPINE_ETAG_H
#define TRIEN_SPINE_ETAG_H

#include "identity.h"
#include "submission.h"

/* Of a view of a stored result: into v->etag. */
void etag_write(struct identity *id, struct result_view *v);
/* false: not one of this result and agency. */
bool etag_read(struct identity *id, const uint8_t result_id[16], struct slice unit,
	       const char *text, struct etag *out);
/* That of the result after `acts` of them. */
void etag_after(struct identity *id, const uint8_t result_id[16], struct slice unit,
		const struct etag *e, char out[ETAG_BYTES + 1]);

#endif
