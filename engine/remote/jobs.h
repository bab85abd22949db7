/*
 * jobs.h - the items that this process has, found by tag, and lists of them.
 *
 * A job stands in one list, or in a transaction, or (for a moment) in neither. One thread.
 */
#ifndef TRIEN_REMOTE_JOBS_H
#define TRIEN_REMOTE_JOBS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "remote/remote.h"

struct transaction;			/* desk.c */
struct job_list { struct job *first, *last; uint32_t n; };

struct job {
	uint64_t tag;
	uint32_t key;			/* index of the desk's keys */
	uint8_t digest[32];
	uint8_t name_n, tries, wrong;	/* asked and not answered; answered wrongly */
	bool alone;			/* its call asks for nothing else */
	char name[REMOTE_NAME_BYTES_MAX];
	int64_t deadline_ms;		/* Unix; 0: none */
	int64_t since_ms;		/* patience counts from here */
	int64_t not_before_ms, queued_ms;
	struct job_list *list;
	struct job *next, *prev;
	struct transaction *in;
	struct job *of_bucket;
};

struct jobs;

/* NULL: out of memory. */
struct jobs *jobs_new(void);
void jobs_free(struct jobs *all);
uint32_t jobs_count(const struct jobs *all);
/* ST_EXISTS: that tag is there. A new job stands in no list. */
enum status jobs_add(struct jobs *all, uint64_t tag, struct job **out) must_use;
struct job *jobs_find(const struct jobs *all, uint64_t tag);
/* Takes it out of its list and frees it. */
void jobs_remove(struct jobs *all, struct job *j);
/* Calls see() on each; it may remove the one it is given. */
void jobs_each(struct jobs *all, void (*see)(void *ctx, struct job *j), void *ctx);

void job_append(struct job_list *l, struct job *j);
void job_prepend(struct job_list *l, struct job *j);
void job_unlink(struct job *j);

#endif
