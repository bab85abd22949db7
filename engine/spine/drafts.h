/*
 * drafts.h - what waits for approval as its signer is shown it: read from the waiting room, drawn
 * without number, date and signatures.
 *
 * One drawer serves all threads, one at a time: drawing takes some tenths of a millisecond, and its
 * scratch is large. Pure in the record and the catalogue's pinned versions: the same bytes each
 * time, as long as the engine draws as it did.
 */
#ifndef TRIEN_SPINE_DRAFTS_H
#define TRIEN_SPINE_DRAFTS_H

#include "render/render.h"
#include "submission.h"

struct drafts;

/* What it is drawn with, and what outlives it. fetch: as pipeline_config.fetch. */
struct drafts_config {
	struct render *render;
	struct objects *objects;
	enum status (*fetch)(void *ctx, uint8_t lane, const uint8_t sha256[SHA256_BYTES],
			     uint64_t size);
	void *ctx;
};

enum status drafts_new(struct drafts **out, const struct drafts_config *cfg) must_use;
/* NULL is allowed. */
void drafts_free(struct drafts *d);
/*
 * Fills all of *out but row: record is the result's ACCEPTED record, out->row.sequence says which
 * of its results. Slices borrow from record. Any thread. ST_CORRUPT: no such record;
 * ST_DAMAGED: the original of a copy is missing or damaged, and nobody else has it;
 * ST_UNAVAILABLE, ST_TIMEOUT, ST_FULL, ST_AGAIN: it cannot be had now. Who waits for it to come
 * keeps nobody else waiting.
 */
enum status drafts_draw(struct drafts *d, struct slice record, struct catalogue *c, bool file,
			struct waiting_paper *out, struct error *e) must_use;

#endif
