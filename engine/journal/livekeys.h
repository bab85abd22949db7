/*
 * livekeys.h - inside journal/: the keys of live segments, in memory, for keyindex.h.
 *
 * They are put and looked up where every submission waits, so no single call may take longer the
 * more keys there are: versions stand in chunks that never move, and the table grows by one
 * bucket a version (linear hashing: W. Litwin, VLDB 1980) instead of being made anew.
 *
 * One thread, but for a span: that is read by another while this one puts and looks up.
 */
#ifndef TRIEN_JOURNAL_LIVEKEYS_H
#define TRIEN_JOURNAL_LIVEKEYS_H

#include <stdbool.h>

#include "journal/keyindex.h"

struct livekeys;

/* NULL: no memory. */
struct livekeys *livekeys_new(void);
void livekeys_free(struct livekeys *l);

/* The newest version of the key; false: there is none. */
bool livekeys_get(const struct livekeys *l, const uint8_t key[16], struct keyentry *out);
/* Positions never fall. ST_NOMEM: nothing has changed. */
enum status livekeys_put(struct livekeys *l, const struct keyentry *entry, uint64_t pos) must_use;

/* The oldest versions, for whoever writes them down. */
struct live_span {
	struct live_chunk **chunks;
	uint64_t first;
	size_t n;
};

/* Those with pos < upto, none (n = 0) or more. They stay as they are until livekeys_drop(). */
enum status livekeys_span(const struct livekeys *l, uint64_t upto, struct live_span *out) must_use;
/* The i-th oldest. Any thread. */
const struct keyentry *live_span_at(const struct live_span *s, size_t i);
/* Forgets the span's versions and frees it. */
void livekeys_drop(struct livekeys *l, struct live_span *s);
/* Frees the span alone. */
void live_span_end(struct live_span *s);

#endif
