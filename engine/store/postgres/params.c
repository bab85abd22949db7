#include "store/postgres/params.h"

#include <assert.h>
#include <stdlib.h>

#define ROOM_MIN (64u * 1024)

static bool room_for(struct pg_params *p, size_t n)
{
	size_t room = p->room < ROOM_MIN ? ROOM_MIN : p->room;
	uint8_t *more;

	if (p->bad || n > INT32_MAX - p->used) {
		p->bad = true;
		return false;
	}
	if (n <= p->room - p->used)
		return true;
	while (room - p->used < n)
		room *= 2;
	more = realloc(p->buf, room);
	if (more == NULL) {
		p->bad = true;
		return false;
	}
	p->buf = more;
	p->room = room;
	return true;
}

static void put(struct pg_params *p, uint64_t v, size_t width)
{
	if (!room_for(p, width))
		return;
	for (size_t i = 0; i < width; i++)
		p->buf[p->used + i] = (uint8_t)(v >> 8 * (width - 1 - i));
	p->used += width;
}

static void next(struct pg_params *p)
{
	assert(p->n < PG_WRITE_PARAMS_MAX);
	p->at[p->n++] = p->used;
}

void pg_params_begin(struct pg_params *p)
{
	p->used = 0;
	p->n = 0;
	p->bad = false;
}

void pg_params_free(struct pg_params *p)
{
	free(p->buf);
}

void pg_params_array(struct pg_params *p, enum pg_oid element, uint32_t n)
{
	next(p);
	put(p, 1, 4);
	put(p, 0, 4);
	put(p, element, 4);
	put(p, n, 4);
	put(p, 1, 4);
}

void pg_params_i16(struct pg_params *p, int16_t v)
{
	put(p, sizeof(v), 4);
	put(p, (uint16_t)v, sizeof(v));
}

void pg_params_i32(struct pg_params *p, int32_t v)
{
	put(p, sizeof(v), 4);
	put(p, (uint32_t)v, sizeof(v));
}

void pg_params_i64(struct pg_params *p, int64_t v)
{
	put(p, sizeof(v), 4);
	put(p, (uint64_t)v, sizeof(v));
}

void pg_params_bytes(struct pg_params *p, struct slice v)
{
	if (!room_for(p, v.n + 4))
		return;
	put(p, v.n, 4);
	if (v.n > 0)
		memcpy(p->buf + p->used, v.p, v.n);
	p->used += v.n;
}

void pg_params_one_i16(struct pg_params *p, int16_t v)
{
	next(p);
	put(p, (uint16_t)v, sizeof(v));
}

void pg_params_one_i32(struct pg_params *p, int32_t v)
{
	next(p);
	put(p, (uint32_t)v, sizeof(v));
}

bool pg_params_end(struct pg_params *p)
{
	for (int i = 0; i < p->n; i++) {
		size_t end = i + 1 < p->n ? p->at[i + 1] : p->used;

		p->values[i] = (const char *)p->buf + p->at[i];
		p->sizes[i] = (int)(end - p->at[i]);
		p->formats[i] = 1;
	}
	return !p->bad;
}
