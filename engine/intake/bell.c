#include "intake/bell.h"

#include <stdlib.h>
#include <time.h>

struct bell {
	uint64_t (*news)(void *ctx);
	void *ctx;
	pthread_t thread;
	bool started;
	pthread_mutex_t lock;		/* all below, and every listed call's struct ringing */
	pthread_cond_t wake;
	struct ringing *first;
	uint32_t n;
	bool quiet;
};

static void unlist(struct bell *b, struct ringing *r)
{
	*(r->prev != NULL ? &r->prev->next : &b->first) = r->next;
	if (r->next != NULL)
		r->next->prev = r->prev;
	r->listed = false;
	b->n--;
}

static void ring(struct bell *b, uint64_t news, uint64_t now)
{
	struct ringing *r = b->first;

	while (r != NULL) {
		struct ringing *next = r->next;
		struct call *c = r->call;

		if (r->seen != news || now >= r->until_ms) {
			unlist(b, r);
			call_queue(c);
			call_unref(c);
		}
		r = next;
	}
}

static void wait_a_little(struct bell *b)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += BELL_LOOK_MS * 1000000l;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&b->wake, &b->lock, &until);
}

static void *bell_main(void *arg)
{
	struct bell *b = arg;

	pthread_mutex_lock(&b->lock);
	while (!b->quiet) {
		if (b->first == NULL) {
			pthread_cond_wait(&b->wake, &b->lock);
			continue;
		}
		ring(b, b->news(b->ctx), intake_clock_ms());
		wait_a_little(b);
	}
	pthread_mutex_unlock(&b->lock);
	return NULL;
}

enum status bell_open(struct bell **out, uint64_t (*news)(void *ctx), void *ctx, struct error *e)
{
	struct bell *b = calloc(1, sizeof(*b));
	pthread_condattr_t attr;

	if (b == NULL)
		return error_set(e, ST_NOMEM, "no memory for calls that wait");
	b->news = news;
	b->ctx = ctx;
	pthread_mutex_init(&b->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&b->wake, &attr);
	pthread_condattr_destroy(&attr);
	b->started = pthread_create(&b->thread, NULL, bell_main, b) == 0;
	if (!b->started) {
		bell_close(b);
		return error_set(e, ST_NOMEM, "no thread for calls that wait");
	}
	*out = b;
	return ST_OK;
}

void bell_close(struct bell *b)
{
	if (b == NULL)
		return;
	pthread_mutex_lock(&b->lock);
	b->quiet = true;
	pthread_cond_signal(&b->wake);
	pthread_mutex_unlock(&b->lock);
	if (b->started)
		pthread_join(b->thread, NULL);
	pthread_cond_destroy(&b->wake);
	pthread_mutex_destroy(&b->lock);
	free(b);
}

bool bell_wait(struct bell *b, struct ringing *r, struct call *c, uint64_t seen,
	       uint64_t until_ms)
{
	bool room;

	pthread_mutex_lock(&b->lock);
	room = b->n < BELL_CALLS_MAX;
	if (room) {
		call_ref(c);
		*r = (struct ringing){ .next = b->first, .call = c, .seen = seen,
				       .until_ms = until_ms, .listed = true };
		if (b->first != NULL)
			b->first->prev = r;
		b->first = r;
		b->n++;
		pthread_cond_signal(&b->wake);
	}
	pthread_mutex_unlock(&b->lock);
	return room;
}

void bell_leave(struct bell *b, struct ringing *r)
{
	bool listed;

	pthread_mutex_lock(&b->lock);
	listed = r->listed;
	if (listed)
		unlist(b, r);
	pthread_mutex_unlock(&b->lock);
	if (listed)
		call_unref(r->call);
}
