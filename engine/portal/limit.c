#include "portal/limit.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hash.h"
#include "base/status.h"

#define WAYS 8				/* places that one asker may have */
#define SETS 4096

#define MINUTE_MS 60000
#define HOUR_MS (60 * MINUTE_MS)

static const struct { uint32_t burst; int64_t one_ms; } rates[LIMIT_CLASSES] = {
	[LIMIT_PAGE] = { 120, MINUTE_MS / 600 },
	[LIMIT_LOOKUP] = { 20, MINUTE_MS / 20 },
	/* Thousands of telephones stand behind one address of a mobile network. */
	[LIMIT_SCAN] = { 240, MINUTE_MS / 600 },
	/* A holder mistypes; another one's mistakes do not count for them, */
	[LIMIT_CASE_ASKER] = { 5, HOUR_MS / 2 },
	/* unless very many come together: of ten thousand, forty days long. */
	[LIMIT_CASE] = { 100, HOUR_MS / 10 },
	[LIMIT_FILE] = { 10, MINUTE_MS / 20 },
	[LIMIT_SIGN_IN] = { 60, MINUTE_MS / 240 },
	[LIMIT_API] = { 120, MINUTE_MS / 600 },
};

struct bucket {
	uint64_t name;			/* 0: free */
	int64_t full_ms;		/* when it has its burst again; each taking moves it on */
};

struct limits {
	pthread_mutex_t lock;
	uint8_t secret[16];
	struct bucket sets[SETS][WAYS];
};

int64_t limit_clock_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

enum status limits_new(struct limits **out, const uint8_t secret[16])
{
	struct limits *l = calloc(1, sizeof(*l));

	*out = l;
	if (l == NULL)
		return ST_NOMEM;
	pthread_mutex_init(&l->lock, NULL);
	memcpy(l->secret, secret, sizeof(l->secret));
	return ST_OK;
}

void limits_free(struct limits *l)
{
	if (l == NULL)
		return;
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static uint64_t name_of(const struct limits *l, enum limit_class of, struct slice asker)
{
	uint8_t text[16 + 1 + 64], digest[SHA256_BYTES];
	size_t n = asker.n < 64 ? asker.n : 64;
	uint64_t name;

	memcpy(text, l->secret, 16);
	text[16] = (uint8_t)of;
	memcpy(text + 17, asker.p, n);
	sha256_once(text, 17 + n, digest);
	memcpy(&name, digest, sizeof(name));
	return name | 1;
}

static struct bucket *bucket_of(struct limits *l, uint64_t name)
{
	struct bucket *set = l->sets[name / 2 % SETS], *best = &set[0];

	for (uint32_t i = 0; i < WAYS; i++) {
		if (set[i].name == name)
			return &set[i];
		if (set[i].full_ms < best->full_ms)
			best = &set[i];
	}
	*best = (struct bucket){ .name = name };
	return best;
}

static bool ask(struct limits *l, enum limit_class of, struct slice asker, int64_t now_ms,
		bool take, uint32_t *retry_ms)
{
	int64_t one_ms = rates[of].one_ms, room_ms = one_ms * rates[of].burst;
	uint64_t name = name_of(l, of, asker);
	struct bucket *b;
	bool may;

	pthread_mutex_lock(&l->lock);
	b = bucket_of(l, name);
	if (b->full_ms < now_ms)
		b->full_ms = now_ms;
	may = b->full_ms + one_ms <= now_ms + room_ms;
	if (may)
		b->full_ms += take ? one_ms : 0;
	else
		*retry_ms = (uint32_t)(b->full_ms + one_ms - now_ms - room_ms);
	pthread_mutex_unlock(&l->lock);
	return may;
}

bool limit_take(struct limits *l, enum limit_class of, struct slice asker, int64_t now_ms,
		uint32_t *retry_ms)
{
	return ask(l, of, asker, now_ms, true, retry_ms);
}

bool limit_may(struct limits *l, enum limit_class of, struct slice asker, int64_t now_ms,
	       uint32_t *retry_ms)
{
	return ask(l, of, asker, now_ms, false, retry_ms);
}
