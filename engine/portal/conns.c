#include "portal/conns.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BUCKETS 4096
#define LOOK_MS 250

struct conn {
	struct conn *next, *before;	/* of all */
	struct owner *owner;
	struct address address;
	int fd;
	int64_t until_ms;		/* 0: for ever */
};

/* Who has connections: a proxy, or an asker, as its address begins and zeros behind that. */
struct owner {
	struct owner *next;
	struct address key;
	uint32_t n;
};

struct conns {
	pthread_mutex_t lock;		/* for the list, between libmicrohttpd's thread and ours */
	pthread_cond_t stop;
	pthread_t watch;
	bool stopping;
	uint32_t most;
	const struct proxies *proxies;
	struct conn *first;
	struct owner *owners[BUCKETS];
};

static int64_t clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void *watch(void *ctx)
{
	struct conns *c = ctx;

	pthread_mutex_lock(&c->lock);
	while (!c->stopping) {
		int64_t now = clock_ms();
		struct timespec until;

		for (struct conn *one = c->first; one != NULL; one = one->next)
			if (one->until_ms != 0 && one->until_ms < now) {
				/* Its thread sees the end and closes it. */
				shutdown(one->fd, SHUT_RDWR);
				one->until_ms = 0;
			}
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += LOOK_MS * 1000000L;
		until.tv_sec += until.tv_nsec / 1000000000L;
		until.tv_nsec %= 1000000000L;
		pthread_cond_timedwait(&c->stop, &c->lock, &until);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

enum status conns_new(struct conns **out, uint32_t most, const struct proxies *proxies,
		      struct error *e)
{
	struct conns *c = calloc(1, sizeof(*c));
	pthread_condattr_t monotonic;

	*out = c;
	if (c == NULL)
		return ST_NOMEM;
	c->most = most;
	c->proxies = proxies;
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c->stop, &monotonic);
	pthread_condattr_destroy(&monotonic);
	if (pthread_create(&c->watch, NULL, watch, c) == 0)
		return ST_OK;
	free(c);
	*out = NULL;
	return error_set(e, ST_NOMEM, "the portal's watch cannot be started");
}

void conns_free(struct conns *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_signal(&c->stop);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->watch, NULL);
	pthread_cond_destroy(&c->stop);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

/* Proxies of one network are as many as they are. */
static struct address key_of(const struct conns *c, const struct address *a)
{
	struct slice asker = address_asker(a);
	struct address key = { { 0 } };

	if (proxies_have(c->proxies, a))
		return *a;
	memcpy(key.b, asker.p, asker.n);
	return key;
}

static struct owner **owner_of(struct conns *c, const struct address *key)
{
	uint32_t h = 2166136261u;
	struct owner **at;

	for (uint32_t i = 0; i < sizeof(key->b); i++)
		h = (h ^ key->b[i]) * 16777619u;
	at = &c->owners[h % BUCKETS];
	while (*at != NULL && !address_eq(&(*at)->key, key))
		at = &(*at)->next;
	return at;
}

bool conns_room(struct conns *c, const struct address *a)
{
	struct address key = key_of(c, a);
	const struct owner *o = *owner_of(c, &key);

	return o == NULL || o->n < c->most || proxies_have(c->proxies, a);
}

struct conn *conn_begun(struct conns *c, const struct address *a, int fd)
{
	struct address key = key_of(c, a);
	struct owner **at = owner_of(c, &key);
	struct conn *one = calloc(1, sizeof(*one));

	if (one != NULL && *at == NULL) {
		*at = calloc(1, sizeof(**at));
		if (*at != NULL)
			(*at)->key = key;
	}
	if (one == NULL || *at == NULL) {
		free(one);
		return NULL;
	}
	(*at)->n++;
	one->owner = *at;
	one->address = *a;
	one->fd = fd;
	pthread_mutex_lock(&c->lock);
	one->next = c->first;
	if (c->first != NULL)
		c->first->before = one;
	c->first = one;
	pthread_mutex_unlock(&c->lock);
	return one;
}

void conn_ended(struct conns *c, struct conn *one)
{
	struct owner *o;

	if (one == NULL)
		return;
	o = one->owner;
	pthread_mutex_lock(&c->lock);
	if (one->next != NULL)
		one->next->before = one->before;
	if (one->before != NULL)
		one->before->next = one->next;
	else
		c->first = one->next;
	pthread_mutex_unlock(&c->lock);
	if (--o->n == 0) {
		*owner_of(c, &o->key) = o->next;
		free(o);
	}
	free(one);
}

const struct address *conn_address(const struct conn *one)
{
	return &one->address;
}

void conn_within(struct conns *c, struct conn *one, int64_t ms)
{
	if (one == NULL)
		return;
	pthread_mutex_lock(&c->lock);
	one->until_ms = ms > 0 ? clock_ms() + ms : 0;
	pthread_mutex_unlock(&c->lock);
}
