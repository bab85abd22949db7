#include "store/batchwriter.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/queue.h"

#define RETRY_MS_MIN 20
#define RETRY_MS_MAX 1000

struct batchwriter {
	struct store *store;
	batchwriter_put *put;
	struct store_sink sink;
	struct queue *batches;
	pthread_t thread;
	atomic_bool stopping, up;
	_Atomic uint64_t retries;
};

static void pause_ms(uint32_t ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	nanosleep(&t, NULL);
}

/* False: it failed for good, or we stop. */
static bool write_batch(struct batchwriter *w, struct batch *b)
{
	uint32_t wait_ms = RETRY_MS_MIN;

	for (;;) {
		struct error e = { 0 };
		enum status st = w->put(w->store, b, w->sink.now_ms(w->sink.ctx), &e);

		if (st == ST_OK) {
			atomic_store(&w->up, true);
			return true;
		}
		if (st == ST_IO || st == ST_DAMAGED) {
			atomic_store(&w->up, false);
			w->sink.failed(w->sink.ctx, &e);
			return false;
		}
		if (atomic_exchange(&w->up, false))
			log_error("store", "%s: %s; trying again", status_name(st), e.text);
		atomic_fetch_add(&w->retries, 1);
		if (atomic_load(&w->stopping))
			return false;
		pause_ms(wait_ms);
		wait_ms = wait_ms * 2 > RETRY_MS_MAX ? RETRY_MS_MAX : wait_ms * 2;
	}
}

static void *writer_main(void *arg)
{
	struct batchwriter *w = arg;
	struct batch *b;

	while ((b = queue_wait(w->batches, -1)) != NULL)
		if (write_batch(w, b))
			w->sink.done(w->sink.ctx, b);
	return NULL;
}

enum status batchwriter_new(struct batchwriter **out, struct store *s, batchwriter_put *put,
			    const struct store_sink *sink)
{
	struct batchwriter *w = calloc(1, sizeof(*w));
	enum status st = ST_NOMEM;

	if (w != NULL)
		st = queue_new(&w->batches, BATCHES_IN_FLIGHT_MAX);
	if (st == ST_OK) {
		w->store = s;
		w->put = put;
		w->sink = *sink;
		atomic_init(&w->up, true);
		st = pthread_create(&w->thread, NULL, writer_main, w) == 0 ? ST_OK : ST_NOMEM;
	}
	if (st != ST_OK) {
		if (w != NULL)
			queue_free(w->batches);
		free(w);
		return st;
	}
	*out = w;
	return ST_OK;
}

void batchwriter_free(struct batchwriter *w)
{
	if (w == NULL)
		return;
	atomic_store(&w->stopping, true);
	queue_close(w->batches);
	pthread_join(w->thread, NULL);
	queue_free(w->batches);
	free(w);
}

void batchwriter_take(struct batchwriter *w, struct batch *b)
{
	enum status st = queue_push(w->batches, b);

	/* It holds every batch there can be. */
	assert(st == ST_OK);
}

bool batchwriter_up(const struct batchwriter *w, uint64_t *retries)
{
	*retries = w != NULL ? atomic_load(&w->retries) : 0;
	return w == NULL || atomic_load(&w->up);
}
