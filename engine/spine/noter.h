/*
 * noter.h - who reads what is noted in the store before it is answered: on a thread of its own, so
 * that a read waits neither for the janitor's acts nor for the journal, and what comes together
 * is one write.
 */
#ifndef TRIEN_SPINE_NOTER_H
#define TRIEN_SPINE_NOTER_H

#include "submission.h"

struct noter;

/* engine: ours, part of every stamp. store: as long as it is used. */
enum status noter_start(struct noter **n, struct store *store, uint8_t engine,
			struct error *e) must_use;
/* What was taken is done before it returns. NULL is allowed. */
void noter_stop(struct noter *n);
/* engine_ops.note_read. */
enum status noter_take(struct noter *n, struct read_noting *r) must_use;

#endif
