/*
 * turns.h - whose signature is made next: a queue for the keys in files and one for each token, and
 * the threads that wait at them. Inside signer/ only.
 *
 * Keys in files go in the order of requests. In a token's queue lower urgency goes first, then the
 * agency that had least, then its key that had. Who had nothing to sign for a while has not saved
 * it up: he begins at the others' share.
 *
 * All is called with the caller's one lock held.
 */
#ifndef TRIEN_SIGNER_TURNS_H
#define TRIEN_SIGNER_TURNS_H

#include <pthread.h>

#include "signer/vault.h"

struct request;

/* What a group has to sign: entries [next, end) of its request, all by one key. */
struct run {
	struct run *later;		/* turns' own: queue of its source */
	struct request *request;	/* the caller's, not looked into */
	uint32_t next, end;
	uint32_t key;
	uint8_t urgency;
};

/* Keys in files, or a token: a queue and threads that nobody else uses. */
struct turns_source {
	struct run *first, *last;
	pthread_cond_t work, crowded;
	uint32_t waiting;		/* signatures in runs */
	uint64_t served;		/* share of who was served last */
};

struct turns {
	const struct vault *vault;
	struct turns_source sources[1 + TOKENS_MAX];
	bool closing;
	/* Signatures that a key, and all keys of its agency, had. */
	uint64_t *key_share, *unit_share;
	uint32_t *unit_of;		/* a key: index of the first key of the same agency */
};

/* The vault is borrowed for good. ST_NOMEM; turns_free() in any case. */
enum status turns_init(struct turns *t, const struct vault *v) must_use;
/* No thread waits any more. Zeroed memory is allowed. */
void turns_free(struct turns *t);

/* A run of at least one entry goes to its key's source; borrowed until its last entry is taken. */
void turns_join(struct turns *t, struct run *run);
/*
 * Waits, giving the lock up, for the next entries of a source: *n of them from *first on, of the
 * request that is given; NULL when closing and nothing is left. A few at a time, so that the last
 * request of a row is shared by all cores; of a token one. helps: waits until more is there than
 * one batch.
 */
struct request *turns_take(struct turns *t, pthread_mutex_t *lock, uint32_t source, bool helps,
			   uint32_t *first, uint32_t *n);
/* Nobody waits any longer; what is there is still given out. Zeroed memory is allowed. */
void turns_close(struct turns *t);

#endif
