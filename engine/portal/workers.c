#include "portal/workers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "limits.h"

struct line {
	struct job *first, **last;
};

struct workers {
	pthread_mutex_t lock;
	pthread_cond_t more;
	struct line quick, slow, files;
	uint32_t waiting;		/* in all lines */
	uint32_t slow_running, slow_max, files_running, files_max;	/* slow: files, too */
	bool stopping;
	const struct portal *portal;
	void (*close)(struct worker *w);
	uint32_t n;
	pthread_t threads[PORTAL_WORKERS_MAX];
};

static void line_add(struct line *l, struct job *j)
{
	j->next = NULL;
	*l->last = j;
	l->last = &j->next;
}

static struct job *line_take(struct line *l)
{
	struct job *j = l->first;

	if (j == NULL)
		return NULL;
	l->first = j->next;
	if (l->first == NULL)
		l->last = &l->first;
	return j;
}

/* Locked. NULL: nothing that may be run now. */
static struct job *next_job(struct workers *w)
{
	struct job *j = line_take(&w->quick);

	if (j == NULL && w->slow_running < w->slow_max) {
		j = line_take(&w->slow);
		if (j == NULL && w->files_running < w->files_max)
			j = line_take(&w->files);
		w->slow_running += j != NULL;
		w->files_running += j != NULL && j->file;
	}
	w->waiting -= j != NULL;
	return j;
}

static void *work(void *ctx)
{
	struct workers *w = ctx;
	struct worker own = { .portal = w->portal };

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct job *j = next_job(w);
		bool slow = j != NULL && j->slow, file = slow && j->file;

		if (j == NULL && w->stopping && w->waiting == 0)
			break;
		if (j == NULL) {
			pthread_cond_wait(&w->more, &w->lock);
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		j->run(j, &own);
		pthread_mutex_lock(&w->lock);
		w->slow_running -= slow;
		w->files_running -= file;
		/* A slow one that waited for its turn, and whoever waits for the end. */
		if (slow || (w->stopping && w->waiting == 0))
			pthread_cond_broadcast(&w->more);
	}
	pthread_mutex_unlock(&w->lock);
	w->close(&own);
	return NULL;
}

enum status workers_start(struct workers **out, const struct portal *p, uint32_t threads,
			  void (*close)(struct worker *w), struct error *e)
{
	struct workers *w = calloc(1, sizeof(*w));

	*out = w;
	if (w == NULL)
		return ST_NOMEM;
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	w->quick.last = &w->quick.first;
	w->slow.last = &w->slow.first;
	w->files.last = &w->files.first;
	w->slow_max = threads > 1 ? threads / 2 : 1;
	w->files_max = w->slow_max > 1 ? w->slow_max - 1 : 1;
	w->portal = p;
	w->close = close;
	while (w->n < threads && pthread_create(&w->threads[w->n], NULL, work, w) == 0)
		w->n++;
	if (w->n == threads)
		return ST_OK;
	workers_stop(w);
	*out = NULL;
	return error_set(e, ST_NOMEM, "the portal's threads cannot be started");
}

enum status workers_push(struct workers *w, struct job *j)
{
	enum status st = ST_OK;

	pthread_mutex_lock(&w->lock);
	if (w->stopping) {
		st = ST_UNAVAILABLE;
	} else if (w->waiting >= PORTAL_QUEUE_MAX) {
		st = ST_FULL;
	} else {
		line_add(!j->slow ? &w->quick : j->file ? &w->files : &w->slow, j);
		w->waiting++;
		pthread_cond_signal(&w->more);
	}
	pthread_mutex_unlock(&w->lock);
	return st;
}

void workers_stop(struct workers *w)
{
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_broadcast(&w->more);
	pthread_mutex_unlock(&w->lock);
	for (uint32_t i = 0; i < w->n; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
