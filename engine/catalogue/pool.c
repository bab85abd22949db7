#include "catalogue/pool.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define POOL_BLOCK_BYTES (64 * 1024)

struct pool_block {
	struct pool_block *next;
	size_t used, size;
	_Alignas(16) uint8_t bytes[];
};

void *pool_take(struct pool *p, size_t n)
{
	struct pool_block *b = p->blocks;
	void *at;

	n = (n + 15) & ~(size_t)15;
	if (b == NULL || n > b->size - b->used) {
		size_t size = n > POOL_BLOCK_BYTES ? n : POOL_BLOCK_BYTES;

		b = calloc(1, sizeof(*b) + size);
		if (b == NULL)
			return NULL;
		b->size = size;
		b->next = p->blocks;
		p->blocks = b;
	}
	at = b->bytes + b->used;
	b->used += n;
	return at;
}

char *pool_text(struct pool *p, const char *s, size_t n)
{
	char *copy = pool_take(p, n + 1);

	if (copy != NULL)
		memcpy(copy, s, n);
	return copy;
}

void pool_free(struct pool *p)
{
	while (p->blocks != NULL) {
		struct pool_block *b = p->blocks;

		p->blocks = b->next;
		free(b);
	}
}
