/*
 * notify.h - the hub between whoever learns of a state change and those who wait for one.
 *
 * Publishers never wait for a watcher: each watch has a bounded queue, and one that overflows is
 * cut off with a reason while everybody else goes on. A watcher asks for cases or result ids by
 * name, so a publication costs two look-ups however many watches there are, and nothing but one
 * atomic read while there are none.
 *
 * A change published before notify_watch() returns is not delivered: subscribe first, then read the
 * present states, then take; a change that is seen twice says the same.
 */
#ifndef TRIEN_NOTIFY_H
#define TRIEN_NOTIFY_H

#include "result.h"

struct notify;
struct watch;

/* (unit, case code), as they stand in struct state_change. */
struct watch_case { struct slice unit, code; };

/* Matches a change that is of any of the cases or has any of the ids. Copied by notify_watch. */
struct watch_filter {
	const struct watch_case *cases;
	uint32_t cases_n;
	const uint8_t (*ids)[16];
	uint32_t ids_n;
	uint32_t queue_max;	/* changes; 0: WATCH_QUEUE_MAX */
};

/* ST_NOMEM. */
enum status notify_new(struct notify **n) must_use;
/* Every watch must be gone (notify_close() tells them). NULL is allowed. */
void notify_free(struct notify *n);
/*
 * Cuts all watches off with ST_UNAVAILABLE, waking each; later watches are refused with it. Any
 * thread.
 */
void notify_close(struct notify *n);

/*
 * Any thread, in the order in which the changes happened. Never blocks for longer than a watcher
 * copies one change.
 */
void notify_publish(struct notify *n, const struct state_change *changes, uint32_t changes_n);

/*
 * Any thread. wake(owner) runs on the publishing thread when the queue goes from empty to not
 * empty, or when a watch with an empty queue is cut off; it must not block and must not call
 * into notify. ST_INVALID: filter empty, or a name empty or beyond its limit; ST_TOO_LARGE: more
 * than WATCH_ENTRIES_MAX; ST_FULL: WATCHES_MAX are open; ST_UNAVAILABLE: closed; ST_NOMEM.
 */
enum status notify_watch(struct notify *n, const struct watch_filter *f, void (*wake)(void *owner),
			 void *owner, struct watch **out) must_use;
/*
 * The watch's own thread: at most max of the oldest changes into out; take until fewer than max
 * come, there is no wake before. *cut (may be NULL) becomes
 * true once the watch was cut off and all that came before is taken; notify_cut() then says why.
 */
uint32_t notify_take(struct watch *w, struct state_change *out, uint32_t max, bool *cut);
/* ST_OK: alive; ST_FULL: too slow, changes were lost; ST_UNAVAILABLE: the engine is stopping. */
enum status notify_cut(struct watch *w);
/* Afterwards wake() neither runs nor will run. NULL is allowed. */
void notify_unwatch(struct watch *w);
/* For metrics. */
uint32_t notify_count(const struct notify *n);

#endif
