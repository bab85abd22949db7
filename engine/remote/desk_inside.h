/*
 * desk_inside.h - what the desk's files share: desk.c starts calls, verdict.c takes their outcome,
 * transaction.c moves items between queue, transaction and answer. Nobody else includes it.
 */
#ifndef TRIEN_REMOTE_DESK_INSIDE_H
#define TRIEN_REMOTE_DESK_INSIDE_H

#include "remote/desk.h"
#include "remote/jobs.h"

enum fit { FIT_UNKNOWN, FIT_ASKING, FIT_YES, FIT_NO };

struct desk_key {
	struct remote_key remote;
	struct post *post;		/* of its service */
	struct job_list waiting, alone;
	struct desk_key *next_waiting;	/* the ring of keys that have something waiting */
	bool in_ring;
	enum fit fit;
	int64_t fit_until_ms;		/* FIT_NO */
	char credential[CREDENTIAL_BYTES_MAX + 1];
	char (*candidates)[CREDENTIAL_BYTES_MAX + 1];
	uint32_t candidates_n, candidate;
	const char *sign_algo;
	uint32_t multisign;
	struct transaction *authorizing;	/* CSC: asked for a SAD; NULL: none */
	bool pin_refused;		/* and not to be sent again */
	uint32_t calls;			/* under way */
	uint32_t row;			/* time-outs of this key alone, in a row */
	int64_t until_ms;
};

struct transaction {
	struct post *post;
	struct desk_key *key;		/* NULL: the access token */
	enum api_step step;
	struct job **jobs;		/* NULL: cancelled or answered */
	uint32_t n, live;
	bool calling, dead;
	int64_t wake_ms, started_ms, poll_ms;
	uint32_t row;
	char id[TRANSACTION_BYTES_MAX + 1];
	char *sad;			/* NULL: none */
	struct transaction *next;	/* of the service */
};

/* What this process knows of a service. */
struct post {
	const struct service *service;
	struct transaction *all;
	struct desk_key *ring;		/* last in turn; its next is first */
	uint32_t keys_n, calls, items;
	const struct desk_key *slow;	/* the only one not answered since good_ms; NULL: none */
	uint32_t row;			/* failures in a row */
	int64_t until_ms, good_ms;	/* left alone until; last good answer */
	char *token;
	int64_t token_until_ms;
	uint32_t denied;		/* fresh tokens that were not taken, in a row */
};

struct desk {
	const struct services *services;
	struct desk_outlets out;
	struct policy *policy;
	struct desk_key *keys;
	uint32_t keys_n;
	struct desk_key **by_id;
	struct post posts[SERVICES_MAX];
	struct jobs *jobs;
	uint32_t random;
	int64_t sweep_ms;
	struct moment now;
	struct api_item items[SERVICE_HASHES_MAX];
	struct api_answer answer;
};

/* ---- transaction.c ---- */

void desk_tell(struct desk *d, uint64_t tag, enum remote_status s, struct slice bytes);
/* The item's last answer; it is gone then. */
void desk_settle(struct desk *d, struct job *j, enum remote_status s, struct slice bytes);
void desk_settle_text(struct desk *d, struct job *j, enum remote_status s, const char *text);
/* Into the ring of its service's keys. */
void key_waits(struct desk_key *k);
/* Back to where it waits; at the front, unless it waits alone. */
void desk_wait_again(struct desk *d, struct job *j, int64_t not_before_ms);

/* n places, all free. NULL: out of memory. */
struct transaction *transaction_new(struct post *p, struct desk_key *k, enum api_step step,
				    uint32_t n);
void transaction_free(struct transaction *t);
void transaction_join(struct transaction *t, uint32_t place, struct job *j);
/* Where hashes are sent, only those that still matter go; places in an answer follow. */
void transaction_close_ranks(struct transaction *t);
/* Tells the engine each item's. */
void transaction_tickets(struct desk *d, struct transaction *t);
void transaction_settle(struct desk *d, struct transaction *t, enum remote_status s,
			const char *why);
void transaction_wait_again(struct desk *d, struct transaction *t, bool alone,
			    int64_t not_before_ms);
void sad_forget(struct transaction *t);
/* The key's next one may be authorized. */
void transaction_authorized(struct transaction *t);

/* ---- verdict.c ---- */

/* The service, not an item, is in trouble. wish_ms: as it said itself, or 0. */
void post_failed(struct desk *d, struct post *p, int64_t wish_ms, const char *why);
/* Was not answered: asked again later. The transaction may be gone then. */
void transaction_again(struct desk *d, struct transaction *t);
/* Was asked, and there is no answer: counts as a try. silent: nothing came for all its time. */
void transaction_no_answer(struct desk *d, struct transaction *t, bool silent, const char *why);
/* d->answer is what the service says. */
void transaction_verdict(struct desk *d, struct transaction *t, const struct web_result *r);

#endif
