/*
 * originals.h - what certified copies are made of (objects/objects.h), from the upload to the
 * result, and after a crash.
 *
 * The depot has an original before the journal names it; a store on servers has it, too. A mirror
 * has the journal alone: where the store is embedded, an accepted copy would not be as durable as
 * its record, and none is taken (P1).
 */
#ifndef TRIEN_SPINE_ORIGINALS_H
#define TRIEN_SPINE_ORIGINALS_H

#include "spine/replay.h"

/* The depot that originals may be brought to; NULL, told in the log: none are taken. */
struct objects *originals_taken(const struct spine *s);
/* As pipeline_config.fetch. */
enum status originals_fetch(void *ctx, uint8_t lane, const uint8_t sha256[SHA256_BYTES],
			    uint64_t size);

/* No case on its way names it: it goes from the store, as far as that is not this machine. */
void originals_drop(struct spine *s, uint8_t lane, const uint8_t sha256[SHA256_BYTES]);
/*
 * Janitor, while its row is still there: this result ended without being stored. With the last that
 * names its original that goes.
 */
void originals_end(struct spine *s, uint8_t lane, uint64_t sequence);

/* One replayed record names these. */
enum status originals_note(struct replay *r, const struct record_numbered *rec,
			   const struct case_view *c) must_use;
/*
 * After the replay, before rows of the waiting room go: what nothing names is removed, what belongs
 * to a stored result is settled.
 */
enum status originals_sweep(struct replay *r, struct store_reader *reader,
			    struct error *e) must_use;
/*
 * The same in a store on servers, of what this engine brought there: last, when it is known what
 * goes on, and that this journal is not older than the store. What goes on and is missing there is
 * brought again.
 */
enum status originals_meet(struct replay *r, struct error *e) must_use;

#endif
