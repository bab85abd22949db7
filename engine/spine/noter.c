#include "spine/noter.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/queue.h"
#include "identity.h"
#include "io/io.h"

#define NOTES_MAX 4096			/* calls that wait: more are refused */
#define TOGETHER_MAX 64

struct noter {
	struct store *store;
	struct queue *queue;
	pthread_t thread;
	uint64_t last;			/* stamp given last */
	uint8_t engine;
	struct read_noting *next;	/* taken, and too much for the write before */
};

/* Of its own, and none is below the one before, however the clock goes. */
static uint64_t stamp(struct noter *n)
{
	uint64_t now = sequence_make(io_wall_ms(), n->engine, 0);

	if (now <= n->last) {
		uint16_t counter = (uint16_t)((n->last + 1) & 0x3fff);

		now = counter != 0 ? n->last + 1 :
		      sequence_make(sequence_ms(n->last) + 1, n->engine, 0);
	}
	n->last = now;
	return now;
}

/* As many as are there and go together. */
static uint32_t collect(struct noter *n, struct read_noting *first,
			struct read_noting *of[TOGETHER_MAX])
{
	uint32_t count = 1, names = first->note.names_n;

	n->next = NULL;
	of[0] = first;
	while (count < TOGETHER_MAX && (n->next = queue_pop(n->queue)) != NULL) {
		if (names + n->next->note.names_n > BATCH_GET_MAX)
			break;
		names += n->next->note.names_n;
		of[count++] = n->next;
		n->next = NULL;
	}
	return count;
}

static enum status tell(struct noter *n, struct read_noting *const *of, uint32_t count,
			struct error *e)
{
	struct read_note notes[TOGETHER_MAX];

	for (uint32_t i = 0; i < count; i++)
		notes[i] = of[i]->note;
	return n->store->ops->note_reads(n->store, notes, count, e);
}

static void *noter_main(void *arg)
{
	struct noter *n = arg;
	struct read_noting *r, *of[TOGETHER_MAX];

	while ((r = n->next) != NULL || (r = queue_wait(n->queue, -1)) != NULL) {
		struct error e = { 0 };
		uint32_t count = collect(n, r, of);
		enum status st;

		for (uint32_t i = 0; i < count; i++)
			of[i]->note.stamp = stamp(n);
		st = tell(n, of, count, &e);
		for (uint32_t i = 0; i < count; i++) {
			of[i]->status = st;
			of[i]->error = e;
			/* One that cannot be told does not take the others with it. */
			if (count > 1 && status_class(st) == CLASS_REJECT)
				of[i]->status = tell(n, &of[i], 1, &of[i]->error);
			of[i]->done(of[i]);
		}
	}
	return NULL;
}

enum status noter_start(struct noter **out, struct store *store, uint8_t engine, struct error *e)
{
	struct noter *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return error_set(e, ST_NOMEM, "no memory for who notes reads");
	n->store = store;
	n->engine = engine;
	if (queue_new(&n->queue, NOTES_MAX) != ST_OK ||
	    pthread_create(&n->thread, NULL, noter_main, n) != 0) {
		queue_free(n->queue);
		free(n);
		return error_set(e, ST_NOMEM, "the thread that notes reads cannot start");
	}
	*out = n;
	return ST_OK;
}

void noter_stop(struct noter *n)
{
	if (n == NULL)
		return;
	queue_close(n->queue);
	pthread_join(n->thread, NULL);
	queue_free(n->queue);
	free(n);
}

enum status noter_take(struct noter *n, struct read_noting *r)
{
	return queue_push(n->queue, r);
}
