#include "base/arena.h"

#include <sys/mman.h>

enum status arena_init(struct arena *a, size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return ST_NOMEM;
	*a = (struct arena){ .base = p, .size = size };
	return ST_OK;
}

void arena_wrap(struct arena *a, void *block, size_t size)
{
	*a = (struct arena){ .base = block, .size = size };
}

void arena_free(struct arena *a)
{
	if (a->base != NULL)
		munmap(a->base, a->size);
	*a = (struct arena){ 0 };
}

void *arena_take(struct arena *a, size_t n)
{
	size_t at = (a->used + 15) & ~(size_t)15;

	if (at > a->size || n > a->size - at)
		return NULL;
	a->used = at + n;
	if (a->used > a->peak)
		a->peak = a->used;
	return a->base + at;
}

void *arena_zero(struct arena *a, size_t n)
{
	void *p = arena_take(a, n);

	if (p != NULL)
		memset(p, 0, n);
	return p;
}

struct slice arena_copy(struct arena *a, struct slice s)
{
	void *p = arena_take(a, s.n);

	if (p == NULL)
		return (struct slice){ NULL, s.n };
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return slice_of(p, s.n);
}

void arena_reset(struct arena *a)
{
	a->used = 0;
}
