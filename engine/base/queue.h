/*
 * queue.h - hand-over between threads: a bounded queue of pointers.
 *
 * Many producers, one or many consumers. Passing a pointer passes ownership of what it points to.
 * The consumer is woken only when it declared itself asleep, so a busy queue costs no system call
 * (measured 0.05 us an item, facts/grpc.md 2.6). A consumer that sleeps in a ring instead of here
 * reads `queue_fd()` (an eventfd) through its ring.
 */
#ifndef TRIEN_BASE_QUEUE_H
#define TRIEN_BASE_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

struct queue;

/* capacity: items, rounded up to a power of two. */
enum status queue_new(struct queue **q, uint32_t capacity) must_use;
/* Must be empty; its items are not freed. NULL is allowed. */
void queue_free(struct queue *q);

/* Any thread. ST_FULL: not taken, the caller still owns item. */
enum status queue_push(struct queue *q, void *item) must_use;
/* Consumer. NULL when empty. */
void *queue_pop(struct queue *q);
/*
 * Consumer: blocks until an item or queue_close(); NULL = closed and empty. timeout_ms < 0: ever.
 */
void *queue_wait(struct queue *q, int timeout_ms);
/*
 * A consumer beside those: blocks until more than `level` items are there (all helpers of a queue
 * name the same level) and takes one; NULL = closed, whatever is left is the others'.
 */
void *queue_help(struct queue *q, uint32_t level);
/* Wakes all waiters; later pushes fail with ST_UNAVAILABLE. */
void queue_close(struct queue *q);

/*
 * For a consumer that sleeps elsewhere: call queue_arm() before sleeping; false = there are items,
 * do not sleep. After an arm the next push makes queue_fd() readable once; queue_ack() drains it.
 */
bool queue_arm(struct queue *q);
int queue_fd(const struct queue *q);
void queue_ack(struct queue *q);
/* Any thread. */
uint32_t queue_count(struct queue *q);

#endif
