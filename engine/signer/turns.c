#include "signer/turns.h"

#include <stdlib.h>

/*
 * What a thread takes at once: short enough that the last request of a row is shared by all cores.
 */
#define CHUNK 4
/* Signatures that wait when others help: more than a batch, so another one stands behind it. */
#define HELP_SIGNATURES 128

/* ---- start and end ---- */

/* Keys of the same agency share one account. */
static void find_units(struct turns *t)
{
	const struct vault *v = t->vault;

	for (uint32_t i = 0; i < vault_keys(v); i++) {
		struct slice unit = slice_str(vault_policy(v, i)->unit);
		uint32_t k = 0;

		/* Only tokens' queues look at it. */
		if (vault_source(v, i) == VAULT_FILES) {
			t->unit_of[i] = i;
			continue;
		}
		while (k < i && (vault_source(v, k) == VAULT_FILES ||
				 !slice_eq(slice_str(vault_policy(v, k)->unit), unit)))
			k++;
		t->unit_of[i] = k;
	}
}

enum status turns_init(struct turns *t, const struct vault *v)
{
	uint32_t keys = vault_keys(v);

	*t = (struct turns){ .vault = v };
	for (uint32_t i = 0; i < ARRAY_LEN(t->sources); i++) {
		pthread_cond_init(&t->sources[i].work, NULL);
		pthread_cond_init(&t->sources[i].crowded, NULL);
	}
	t->key_share = calloc(keys, sizeof(*t->key_share));
	t->unit_share = calloc(keys, sizeof(*t->unit_share));
	t->unit_of = calloc(keys, sizeof(*t->unit_of));
	if (t->key_share == NULL || t->unit_share == NULL || t->unit_of == NULL)
		return ST_NOMEM;
	find_units(t);
	return ST_OK;
}

void turns_free(struct turns *t)
{
	for (uint32_t i = 0; i < ARRAY_LEN(t->sources) && t->vault != NULL; i++) {
		pthread_cond_destroy(&t->sources[i].work);
		pthread_cond_destroy(&t->sources[i].crowded);
	}
	free(t->key_share);
	free(t->unit_share);
	free(t->unit_of);
}

void turns_close(struct turns *t)
{
	t->closing = true;
	for (uint32_t i = 0; i < ARRAY_LEN(t->sources) && t->vault != NULL; i++) {
		pthread_cond_broadcast(&t->sources[i].work);
		pthread_cond_broadcast(&t->sources[i].crowded);
	}
}

/* ---- into the queue ---- */

void turns_join(struct turns *t, struct run *run)
{
	struct turns_source *s = &t->sources[vault_source(t->vault, run->key)];
	uint64_t *share = &t->unit_share[t->unit_of[run->key]];

	if (*share < s->served)
		*share = s->served;
	if (s->last != NULL)
		s->last->later = run;
	else
		s->first = run;
	s->last = run;
	s->waiting += run->end - run->next;
	pthread_cond_broadcast(&s->work);
	if (s->waiting > HELP_SIGNATURES)
		pthread_cond_broadcast(&s->crowded);
}

/* ---- out of it ---- */

static bool goes_before(const struct turns *t, const struct run *a, const struct run *b)
{
	uint64_t mine = t->unit_share[t->unit_of[a->key]], his = t->unit_share[t->unit_of[b->key]];

	if (a->urgency != b->urgency)
		return a->urgency < b->urgency;
	if (mine != his)
		return mine < his;
	return t->key_share[a->key] < t->key_share[b->key];
}

/* Where the next run stands in the queue: the first for files, else whose turn it is. */
static struct run **choose(struct turns *t, uint32_t source)
{
	struct turns_source *s = &t->sources[source];
	struct run **best = &s->first;

	if (source == VAULT_FILES || s->first == NULL)
		return best;
	for (struct run **at = &s->first->later; *at != NULL; at = &(*at)->later)
		if (goes_before(t, *at, *best))
			best = at;
	return best;
}

static void drop(struct turns_source *s, struct run **at)
{
	struct run *gone = *at;

	*at = gone->later;
	if (s->last == gone) {
		s->last = NULL;
		for (struct run *r = s->first; r != NULL; r = r->later)
			s->last = r;
	}
}

static void wait_for_work(struct turns *t, pthread_mutex_t *lock, struct turns_source *s,
			  bool helps)
{
	if (helps)
		while (s->waiting <= HELP_SIGNATURES && !t->closing)
			pthread_cond_wait(&s->crowded, lock);
	else
		while (s->first == NULL && !t->closing)
			pthread_cond_wait(&s->work, lock);
}

struct request *turns_take(struct turns *t, pthread_mutex_t *lock, uint32_t source, bool helps,
			   uint32_t *first, uint32_t *n)
{
	struct turns_source *s = &t->sources[source];
	struct run **at, *run;

	wait_for_work(t, lock, s, helps);
	at = choose(t, source);
	run = *at;
	if (run == NULL)
		return NULL;
	*first = run->next;
	*n = run->end - run->next;
	/* A token's signature may take long: one at a time, so that what is urgent overtakes. */
	if (*n > (source == VAULT_FILES ? CHUNK : 1))
		*n = source == VAULT_FILES ? CHUNK : 1;
	run->next += *n;
	s->waiting -= *n;
	t->key_share[run->key] += *n;
	s->served = t->unit_share[t->unit_of[run->key]];
	t->unit_share[t->unit_of[run->key]] += *n;
	if (run->next == run->end)
		drop(s, at);
	return run->request;
}
