/*
 * batchwriter.h - a store whose writes block, behind a thread of its own: take() and the sink of
 * store.h. Inside store/ only.
 *
 * A store that is away or full keeps its batch and is asked again after 20 ms, 40 ms … 1 s: nothing
 * is lost, the backlog grows in the journal. ST_IO and ST_DAMAGED are for good.
 */
#ifndef TRIEN_STORE_BATCHWRITER_H
#define TRIEN_STORE_BATCHWRITER_H

#include "store/store.h"

struct batchwriter;

/* One batch, durable on return: what store.h says of take() and done(). */
typedef enum status batchwriter_put(struct store *s, struct batch *b, int64_t now_ms,
				    struct error *e);

/* The sink is copied; s must outlive it. */
enum status batchwriter_new(struct batchwriter **out, struct store *s, batchwriter_put *put,
			    const struct store_sink *sink) must_use;
/* Stops and joins; a batch that cannot be written now is given up. NULL is allowed. */
void batchwriter_free(struct batchwriter *w);
void batchwriter_take(struct batchwriter *w, struct batch *b);
/* Any thread. NULL: nothing is taken, so nothing fails. */
bool batchwriter_up(const struct batchwriter *w, uint64_t *retries);

#endif
