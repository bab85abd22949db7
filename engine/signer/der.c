#include "signer/der.h"

#include <assert.h>

struct der der_of(void *buf, size_t n)
{
	uint8_t *b = buf;

	return (struct der){ b, b + n, b + n };
}

void der_bytes(struct der *d, const void *p, size_t n)
{
	assert(n <= (size_t)(d->p - d->start));
	d->p -= n;
	if (n > 0)
		memcpy(d->p, p, n);
}

void der_wrap(struct der *d, uint8_t tag, const uint8_t *mark)
{
	size_t n = (size_t)(mark - d->p);
	uint8_t head[6];
	size_t used = 0;

	assert(mark >= d->p && mark <= d->end && n <= UINT32_MAX);
	head[used++] = tag;
	if (n < 128) {
		head[used++] = (uint8_t)n;
	} else {
		size_t width = n < 0x100 ? 1 : n < 0x10000 ? 2 : n < 0x1000000 ? 3 : 4;

		head[used++] = (uint8_t)(0x80 | width);
		for (size_t i = width; i > 0; i--)
			head[used++] = (uint8_t)(n >> (8 * (i - 1)));
	}
	der_bytes(d, head, used);
}
