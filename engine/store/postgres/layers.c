#include "store/postgres/layers.h"

#include <pthread.h>
#include <stdlib.h>

#include "store/postgres/postgres.h"

#define HEADS 1024		/* a power of two */
#define ENTRIES 1024

struct entry {
	uint8_t sha256[SHA256_BYTES];
	uint8_t *bytes;		/* NULL: free */
	size_t n;
	uint64_t used;
	uint32_t next;		/* of its hash chain; index + 1 */
};

struct pg_layers {
	pthread_mutex_t lock;
	uint32_t heads[HEADS];	/* index + 1 */
	struct entry of[ENTRIES];
	uint64_t uses;
	size_t bytes;
};

enum status pg_layers_open(struct postgres *p, struct error *e)
{
	p->layers = calloc(1, sizeof(*p->layers));
	if (p->layers == NULL)
		return error_set(e, ST_NOMEM, "no memory to keep shared layers");
	pthread_mutex_init(&p->layers->lock, NULL);
	return ST_OK;
}

void pg_layers_close(struct postgres *p)
{
	if (p->layers == NULL)
		return;
	for (uint32_t i = 0; i < ENTRIES; i++)
		free(p->layers->of[i].bytes);
	pthread_mutex_destroy(&p->layers->lock);
	free(p->layers);
	p->layers = NULL;
}

static uint32_t *head_of(struct pg_layers *l, const uint8_t *sha256)
{
	uint32_t h;

	memcpy(&h, sha256, sizeof(h));
	return &l->heads[h & (HEADS - 1)];
}

static struct entry *find(struct pg_layers *l, const uint8_t *sha256)
{
	uint32_t i = *head_of(l, sha256);

	while (i != 0 && memcmp(l->of[i - 1].sha256, sha256, SHA256_BYTES) != 0)
		i = l->of[i - 1].next;
	return i != 0 ? &l->of[i - 1] : NULL;
}

static void forget(struct pg_layers *l, struct entry *gone)
{
	uint32_t *at = head_of(l, gone->sha256), id = (uint32_t)(gone - l->of) + 1;

	while (*at != id)
		at = &l->of[*at - 1].next;
	*at = gone->next;
	l->bytes -= gone->n;
	free(gone->bytes);
	*gone = (struct entry){ 0 };
}

/* A free entry, and room for n more bytes. */
static struct entry *make_room(struct pg_layers *l, size_t n)
{
	for (;;) {
		struct entry *empty = NULL, *oldest = NULL;

		for (uint32_t i = 0; i < ENTRIES; i++) {
			struct entry *one = &l->of[i];

			if (one->bytes == NULL)
				empty = one;
			else if (oldest == NULL || one->used < oldest->used)
				oldest = one;
		}
		if (empty != NULL && (oldest == NULL || l->bytes + n <= LAYER_CACHE_BYTES))
			return empty;
		forget(l, oldest);
	}
}

enum status pg_layers_copy(struct pg_layers *l, const uint8_t sha256[SHA256_BYTES],
			   uint32_t offset, uint8_t *to, size_t room, size_t *n)
{
	enum status st = ST_NOT_FOUND;
	struct entry *one;

	pthread_mutex_lock(&l->lock);
	one = find(l, sha256);
	if (one != NULL) {
		size_t left = offset <= one->n ? one->n - offset : 0;

		if (*n == 0)
			*n = left;
		st = offset <= one->n && *n <= left && *n <= room ? ST_OK : ST_CORRUPT;
		if (st == ST_OK)
			memcpy(to, one->bytes + offset, *n);
		one->used = ++l->uses;
	}
	pthread_mutex_unlock(&l->lock);
	return st;
}

void pg_layers_keep(struct pg_layers *l, const uint8_t sha256[SHA256_BYTES], struct slice bytes)
{
	uint8_t *copy = bytes.n > 0 && bytes.n <= LAYER_CACHE_BYTES ? malloc(bytes.n) : NULL;

	if (copy == NULL)
		return;
	memcpy(copy, bytes.p, bytes.n);
	pthread_mutex_lock(&l->lock);
	if (find(l, sha256) != NULL) {
		free(copy);
	} else {
		struct entry *one = make_room(l, bytes.n);
		uint32_t *head = head_of(l, sha256);

		*one = (struct entry){ .bytes = copy, .n = bytes.n, .used = ++l->uses,
				       .next = *head };
		memcpy(one->sha256, sha256, SHA256_BYTES);
		*head = (uint32_t)(one - l->of) + 1;
		l->bytes += bytes.n;
	}
	pthread_mutex_unlock(&l->lock);
}
