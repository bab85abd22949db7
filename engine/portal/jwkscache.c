#include <pthread.h>
#include <stdlib.h>

#include "portal/jwks.h"

/* A set that threads may still read after the next one came. */
struct shared { struct jwks *set; uint32_t users; };

struct jwks_cache {
	struct jwks_source source;
	pthread_mutex_t lock;
	pthread_cond_t fetched;
	struct shared *now;		/* NULL: none yet */
	int64_t now_since_ms;
	int64_t paid_until_ms;		/* each fetch moves it on by KEY_SET_PAUSE_MS */
	bool fetching, failed;		/* failed: the newest fetch */
};

enum status jwks_cache_new(struct jwks_cache **out, const struct jwks_source *source,
			   struct error *e)
{
	struct jwks_cache *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return error_set(e, ST_NOMEM, "no memory for the provider's keys");
	c->source = *source;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->fetched, NULL);
	*out = c;
	return ST_OK;
}

/* The lock is held, or nobody else knows s. */
static void shared_leave(struct shared *s)
{
	if (s != NULL && --s->users == 0) {
		jwks_free(s->set);
		free(s);
	}
}

void jwks_cache_free(struct jwks_cache *c)
{
	if (c == NULL)
		return;
	shared_leave(c->now);
	pthread_cond_destroy(&c->fetched);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static enum status fetch(struct jwks_cache *c, struct shared **out, struct error *e)
{
	struct shared *s = calloc(1, sizeof(*s));
	uint8_t *bytes = NULL;
	size_t n = 0;
	enum status st;

	if (s == NULL)
		return error_set(e, ST_NOMEM, "no memory for the provider's keys");
	s->users = 1;
	st = c->source.fetch(c->source.ctx, &bytes, &n, e);
	if (st == ST_OK)
		st = jwks_read(&s->set, slice_of(bytes, n), e);
	free(bytes);
	if (st != ST_OK) {
		free(s);
		return st;
	}
	*out = s;
	return ST_OK;
}

/* Fetches without the lock, which is held before and after. */
static void renew(struct jwks_cache *c, struct error *e)
{
	struct shared *s = NULL;
	int64_t now;
	enum status st;

	c->fetching = true;
	pthread_mutex_unlock(&c->lock);
	st = fetch(c, &s, e);
	now = c->source.now_ms(c->source.ctx);
	pthread_mutex_lock(&c->lock);
	c->fetching = false;
	c->failed = st != ST_OK;
	if (st == ST_OK) {
		shared_leave(c->now);
		c->now = s;
		c->now_since_ms = now;
	}
	pthread_cond_broadcast(&c->fetched);
}

static bool may_fetch(struct jwks_cache *c, int64_t now)
{
	if (c->paid_until_ms > now + (KEY_SET_FETCHES_MAX - 1) * KEY_SET_PAUSE_MS)
		return false;
	c->paid_until_ms = (c->paid_until_ms > now ? c->paid_until_ms : now) + KEY_SET_PAUSE_MS;
	return true;
}

/* The lock is held. The key, of the set that is in *s and has one user more; NULL with a status. */
static const struct jwt_key *key_for(struct jwks_cache *c, const struct jwt_header *h,
				     enum jwks_wait wait, struct shared **s, enum status *st,
				     struct error *e)
{
	for (bool asked = false;; asked = true) {
		int64_t now = c->source.now_ms(c->source.ctx);
		int64_t age = now - c->now_since_ms;
		const struct jwt_key *key = NULL;

		if (c->now != NULL && age < KEY_SET_STALE_MS)
			key = jwks_find(c->now->set, h);
		if (key != NULL && (age < KEY_SET_FRESH_MS || asked || c->fetching ||
				    !may_fetch(c, now))) {
			*s = c->now;
			(*s)->users++;
			return key;
		}
		if (key == NULL && (asked || (c->fetching && wait == JWKS_NO_WAIT)))
			break;
		if (c->fetching)
			while (c->fetching)
				pthread_cond_wait(&c->fetched, &c->lock);
		else if (key != NULL || may_fetch(c, now))
			renew(c, e);
		else
			break;
	}
	*st = c->failed || c->now == NULL || c->fetching ?
	      error_set(e, ST_UNAVAILABLE, "the provider's keys cannot be had") :
	      error_set(e, ST_UNAUTHENTICATED, "the token's key is not among its provider's");
	return NULL;
}

enum status jwks_claims(struct jwks_cache *c, struct slice token, enum jwks_wait wait,
			json_t **claims, struct error *e)
{
	const struct jwt_key *key;
	struct shared *s = NULL;
	struct jwt_header h;
	enum status st = jwt_header(token, &h, e);

	if (st != ST_OK)
		return st;
	pthread_mutex_lock(&c->lock);
	key = key_for(c, &h, wait, &s, &st, e);
	pthread_mutex_unlock(&c->lock);
	if (key == NULL)
		return st;
	st = jwt_claims(token, key, claims, e);
	pthread_mutex_lock(&c->lock);
	shared_leave(s);
	pthread_mutex_unlock(&c->lock);
	return st;
}
