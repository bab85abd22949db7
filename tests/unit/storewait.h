/*
 * storewait.h - one batch at a time into a store, waiting until it is durable.
 */
#ifndef TESTS_STOREWAIT_H
#define TESTS_STOREWAIT_H

#include <pthread.h>

#include "store/store.h"

struct storewait {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t out;			/* taken and not back */
	bool failed;
	struct error error;
	int64_t now_ms;
};

static inline void storewait_done(void *ctx, struct batch *b)
{
	struct storewait *w = ctx;

	pthread_mutex_lock(&w->lock);
	w->out--;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static inline void storewait_failed(void *ctx, const struct error *e)
{
	struct storewait *w = ctx;

	pthread_mutex_lock(&w->lock);
	w->failed = true;
	w->error = *e;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

static inline int64_t storewait_now(void *ctx)
{
	return ((const struct storewait *)ctx)->now_ms;
}

static inline struct store_sink storewait_sink(struct storewait *w, int64_t now_ms)
{
	*w = (struct storewait){ .lock = PTHREAD_MUTEX_INITIALIZER,
				 .changed = PTHREAD_COND_INITIALIZER, .now_ms = now_ms };
	return (struct store_sink){ .ctx = w, .done = storewait_done, .failed = storewait_failed,
				    .now_ms = storewait_now };
}

static inline enum status storewait_all(struct storewait *w)
{
	bool failed;

	pthread_mutex_lock(&w->lock);
	while (w->out > 0 && !w->failed)
		pthread_cond_wait(&w->changed, &w->lock);
	failed = w->failed;
	pthread_mutex_unlock(&w->lock);
	return failed ? w->error.status : ST_OK;
}

static inline void storewait_take(struct storewait *w, struct store *s, struct batch *b)
{
	pthread_mutex_lock(&w->lock);
	w->out++;
	pthread_mutex_unlock(&w->lock);
	s->ops->take(s, b);
}

static inline enum status storewait_put(struct storewait *w, struct store *s, struct batch *b)
{
	storewait_take(w, s, b);
	return storewait_all(w);
}

#endif
