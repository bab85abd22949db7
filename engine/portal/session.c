#include "portal/session.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/base64url.h"

struct entry {
	int64_t begun_ms, seen_ms;
	struct session session;
};

struct sessions {
	pthread_mutex_t lock;
	uint32_t n;
	uint64_t *heads;		/* of each entry's key; 0: it is free */
	struct entry entries[];
};

enum status session_table_new(struct sessions **out, uint32_t most)
{
	struct sessions *t = calloc(1, sizeof(*t) + most * sizeof(t->entries[0]));

	*out = t;
	if (t != NULL)
		t->heads = calloc(most, sizeof(t->heads[0]));
	if (t == NULL || t->heads == NULL) {
		free(t);
		*out = NULL;
		return ST_NOMEM;
	}
	t->n = most;
	pthread_mutex_init(&t->lock, NULL);
	return ST_OK;
}

void session_table_free(struct sessions *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	explicit_bzero(t->entries, t->n * sizeof(t->entries[0]));
	free(t->heads);
	free(t);
}

static uint64_t head_of(const uint8_t key[SHA256_BYTES])
{
	uint64_t head;

	memcpy(&head, key, sizeof(head));
	return head | 1;
}

/* 256 random bits as base64url. */
static bool random_text(char out[SESSION_COOKIE_BYTES + 1])
{
	uint8_t bytes[32];

	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return false;
	base64url_write(out, bytes, sizeof(bytes));
	explicit_bzero(bytes, sizeof(bytes));
	return true;
}

static bool over(const struct entry *one, int64_t now_ms)
{
	return now_ms - one->seen_ms > SESSION_IDLE_MS_MAX ||
	       now_ms - one->begun_ms > SESSION_MS_MAX;
}

static uint32_t place(const struct sessions *t, int64_t now_ms)
{
	uint32_t best = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		if (t->heads[i] == 0 || over(&t->entries[i], now_ms))
			return i;
		if (t->entries[i].seen_ms < t->entries[best].seen_ms)
			best = i;
	}
	return best;
}

enum status session_start(struct sessions *t, struct session *s, int64_t now_ms,
			char cookie[SESSION_COOKIE_BYTES + 1], struct error *e)
{
	uint32_t at;

	if (!random_text(cookie) || !random_text(s->csrf))
		return error_set(e, ST_INTERNAL, "no random bytes for a session");
	sha256_once(cookie, SESSION_COOKIE_BYTES, s->key);
	pthread_mutex_lock(&t->lock);
	at = place(t, now_ms);
	t->entries[at] = (struct entry){ now_ms, now_ms, *s };
	t->heads[at] = head_of(s->key);
	pthread_mutex_unlock(&t->lock);
	return ST_OK;
}

/* n: there is none. */
static uint32_t entry_of(const struct sessions *t, const uint8_t key[SHA256_BYTES])
{
	uint64_t head = head_of(key);
	uint32_t i = 0;

	while (i < t->n && (t->heads[i] != head ||
			    memcmp(t->entries[i].session.key, key, SHA256_BYTES) != 0))
		i++;
	return i;
}

static void forget(struct sessions *t, uint32_t at)
{
	explicit_bzero(&t->entries[at], sizeof(t->entries[at]));
	t->heads[at] = 0;
}

bool session_find(struct sessions *t, const char *cookie, int64_t now_ms, struct session *out)
{
	uint8_t key[SHA256_BYTES];
	bool found;
	uint32_t at;

	if (cookie == NULL || strlen(cookie) != SESSION_COOKIE_BYTES)
		return false;
	sha256_once(cookie, SESSION_COOKIE_BYTES, key);
	pthread_mutex_lock(&t->lock);
	at = entry_of(t, key);
	found = at < t->n && !over(&t->entries[at], now_ms);
	if (found) {
		t->entries[at].seen_ms = now_ms;
		*out = t->entries[at].session;
	} else if (at < t->n) {
		forget(t, at);
	}
	pthread_mutex_unlock(&t->lock);
	return found;
}

void session_end(struct sessions *t, const uint8_t key[SHA256_BYTES])
{
	uint32_t at;

	pthread_mutex_lock(&t->lock);
	at = entry_of(t, key);
	if (at < t->n)
		forget(t, at);
	pthread_mutex_unlock(&t->lock);
}
