#include "store/postgres/question.h"

#include <assert.h>

#include "store/postgres/postgres.h"

static void big_endian(uint8_t *out, uint64_t v, size_t width)
{
	for (size_t i = 0; i < width; i++)
		out[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
}

void pg_question(struct pg_question *q, enum pg_statement which)
{
	q->which = which;
	q->n = 0;
}

static void number(struct pg_question *q, uint64_t v, size_t width)
{
	assert(q->n < PG_PARAMS_MAX);
	big_endian(q->numbers[q->n], v, width);
	q->values[q->n] = (const char *)q->numbers[q->n];
	q->lengths[q->n++] = (int)width;
}

void pg_int2(struct pg_question *q, int16_t v) { number(q, (uint64_t)v, 2); }
void pg_int4(struct pg_question *q, int32_t v) { number(q, (uint64_t)v, 4); }
void pg_int8(struct pg_question *q, int64_t v) { number(q, (uint64_t)v, 8); }
void pg_stamp(struct pg_question *q, int64_t unix_ms) { pg_int8(q, pg_time(unix_ms)); }

void pg_bytes(struct pg_question *q, struct slice s)
{
	assert(q->n < PG_PARAMS_MAX);
	q->values[q->n] = s.n > 0 ? (const char *)s.p : "";
	q->lengths[q->n++] = (int)s.n;
}

/* ---- arrays ---- */

static void put(struct writer *w, uint64_t v, size_t width)
{
	uint8_t b[8];

	big_endian(b, v, width);
	write_bytes(w, b, width);
}

struct pg_array pg_array(struct writer *w, enum pg_type type)
{
	struct pg_array a = { .w = w, .head = w->p };

	put(w, 1, 4);		/* dimensions */
	put(w, 0, 4);		/* no NULL in it */
	put(w, type, 4);
	put(w, 0, 4);		/* its length, at the end */
	put(w, 1, 4);		/* counted from 1 */
	return a;
}

static void element(struct pg_array *a, uint64_t v, size_t width)
{
	put(a->w, width, 4);
	put(a->w, v, width);
	a->n++;
}

void pg_array_int2(struct pg_array *a, int16_t v) { element(a, (uint64_t)v, 2); }
void pg_array_int4(struct pg_array *a, int32_t v) { element(a, (uint64_t)v, 4); }
void pg_array_int8(struct pg_array *a, int64_t v) { element(a, (uint64_t)v, 8); }

void pg_array_stamp(struct pg_array *a, int64_t unix_ms)
{
	pg_array_int8(a, pg_time(unix_ms));
}

void pg_array_bytes(struct pg_array *a, struct slice s)
{
	put(a->w, s.n, 4);
	write_bytes(a->w, s.p, s.n);
	a->n++;
}

struct slice pg_array_end(struct pg_array *a)
{
	if (a->w->bad)
		return (struct slice){ NULL, 0 };
	big_endian(a->head + 12, a->n, 4);
	return slice_of(a->head, (size_t)(a->w->p - a->head));
}

/* ---- answers ---- */

int64_t pg_number(const PGresult *answer, int row, int column)
{
	struct slice s = pg_column(answer, row, column);
	uint64_t v = 0;

	if (s.n != 2 && s.n != 4 && s.n != 8)
		return 0;
	for (size_t i = 0; i < s.n; i++)
		v = v << 8 | s.p[i];
	return s.n == 2 ? (int16_t)v : s.n == 4 ? (int32_t)v : (int64_t)v;
}

struct slice pg_column(const PGresult *answer, int row, int column)
{
	return slice_of(PQgetvalue(answer, row, column), (size_t)PQgetlength(answer, row, column));
}
