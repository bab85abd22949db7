#include "remote/jobs.h"

#include <stdlib.h>

#define BUCKETS (1u << 14)

struct jobs { uint32_t n; struct job *buckets[BUCKETS]; };

struct jobs *jobs_new(void)
{
	return calloc(1, sizeof(struct jobs));
}

void jobs_free(struct jobs *all)
{
	if (all == NULL)
		return;
	for (uint32_t i = 0; i < BUCKETS; i++)
		while (all->buckets[i] != NULL)
			jobs_remove(all, all->buckets[i]);
	free(all);
}

uint32_t jobs_count(const struct jobs *all)
{
	return all->n;
}

static uint32_t bucket_of(uint64_t tag)
{
	return (uint32_t)((tag * 0x9e3779b97f4a7c15ull) >> 50);
}

struct job *jobs_find(const struct jobs *all, uint64_t tag)
{
	struct job *j = all->buckets[bucket_of(tag)];

	while (j != NULL && j->tag != tag)
		j = j->of_bucket;
	return j;
}

enum status jobs_add(struct jobs *all, uint64_t tag, struct job **out)
{
	struct job **at = &all->buckets[bucket_of(tag)];

	if (jobs_find(all, tag) != NULL)
		return ST_EXISTS;
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return ST_NOMEM;
	(*out)->tag = tag;
	(*out)->of_bucket = *at;
	*at = *out;
	all->n++;
	return ST_OK;
}

void jobs_remove(struct jobs *all, struct job *j)
{
	struct job **at = &all->buckets[bucket_of(j->tag)];

	job_unlink(j);
	while (*at != j)
		at = &(*at)->of_bucket;
	*at = j->of_bucket;
	all->n--;
	free(j);
}

void jobs_each(struct jobs *all, void (*see)(void *ctx, struct job *j), void *ctx)
{
	for (uint32_t i = 0; i < BUCKETS; i++)
		for (struct job *j = all->buckets[i], *next; j != NULL; j = next) {
			next = j->of_bucket;
			see(ctx, j);
		}
}

void job_append(struct job_list *l, struct job *j)
{
	j->list = l;
	j->prev = l->last;
	j->next = NULL;
	if (l->last != NULL)
		l->last->next = j;
	else
		l->first = j;
	l->last = j;
	l->n++;
}

void job_prepend(struct job_list *l, struct job *j)
{
	j->list = l;
	j->next = l->first;
	j->prev = NULL;
	if (l->first != NULL)
		l->first->prev = j;
	else
		l->last = j;
	l->first = j;
	l->n++;
}

void job_unlink(struct job *j)
{
	struct job_list *l = j->list;

	if (l == NULL)
		return;
	if (j->prev != NULL)
		j->prev->next = j->next;
	else
		l->first = j->next;
	if (j->next != NULL)
		j->next->prev = j->prev;
	else
		l->last = j->prev;
	l->n--;
	j->list = NULL;
	j->next = j->prev = NULL;
}
