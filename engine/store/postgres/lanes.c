#include "store/postgres/lanes.h"

#include <assert.h>
#include <stdlib.h>

void lanes_key(struct place *p, const uint8_t key[16], uint64_t sequence)
{
	*p = (struct place){ .lane = lane_of_key(key), .sequence = sequence };
	memcpy(p->key, key, sizeof(p->key));
}

bool lanes_place(struct place *p, int64_t lane, int64_t sequence)
{
	*p = (struct place){ .lane = (uint8_t)lane, .sequence = (uint64_t)sequence };
	return lane >= 0 && lane < LANES;
}

/* Which parameters it has behind the lane. */
enum { KEYS = 1, SEQUENCES = 2, AFTER = 4 };

static int params_of(enum pg_statement which)
{
	switch (which) {
	case PG_REPLACED:
		return KEYS | AFTER;
	case PG_HOLDINGS_THERE:
	case PG_LOCATORS_THERE:
		return KEYS | SEQUENCES;
	default:
		return SEQUENCES;
	}
}

static struct slice array_of(struct writer *w, bool keys, const struct place *of, uint32_t n,
			     uint8_t lane)
{
	struct pg_array a = pg_array(w, keys ? PG_BYTEA : PG_INT8);

	for (uint32_t i = 0; i < n; i++) {
		if (of[i].lane != lane)
			continue;
		if (keys)
			pg_array_bytes(&a, slice_of(of[i].key, sizeof(of[i].key)));
		else
			pg_array_int8(&a, (int64_t)of[i].sequence);
	}
	return pg_array_end(&a);
}

static void question_of(struct pg_question *q, struct writer *w, enum pg_statement which,
			const struct place *of, uint32_t n, uint8_t lane)
{
	int params = params_of(which);
	uint64_t after = UINT64_MAX;

	pg_question(q, which);
	pg_int2(q, lane);
	if ((params & KEYS) != 0)
		pg_bytes(q, array_of(w, true, of, n, lane));
	if ((params & SEQUENCES) != 0)
		pg_bytes(q, array_of(w, false, of, n, lane));
	if ((params & AFTER) == 0)
		return;
	for (uint32_t i = 0; i < n; i++)
		if (of[i].lane == lane && of[i].sequence < after)
			after = of[i].sequence;
	pg_int8(q, (int64_t)after);
}

static uint64_t lanes_named(const struct place *of, uint32_t n)
{
	uint64_t lanes = 0;

	for (uint32_t i = 0; i < n; i++)
		lanes |= 1ull << of[i].lane;
	return lanes;
}

enum status lanes_ask(struct store_reader *r, enum pg_statement which, const struct place *of,
		      uint32_t n, PGresult *answers[LANES])
{
	const struct pg_servers *s = &r->home->servers;
	uint64_t lanes = lanes_named(of, n);
	size_t room = n * (sizeof(of->key) + 4 + sizeof(of->sequence) + 4) +
		      2 * LANES * PG_ARRAY_BYTES;
	uint8_t *buf = malloc(room);
	struct writer w = writer_of(buf, room);
	enum status st = buf != NULL ? ST_OK : ST_NOMEM;

	memset(answers, 0, LANES * sizeof(*answers));
	for (uint8_t server = 0; server < s->n && st == ST_OK; server++) {
		PGresult *out[LANES];
		uint8_t asked[LANES];
		uint32_t asked_n = 0;

		for (uint8_t lane = 0; lane < LANES && st == ST_OK; lane++) {
			if ((lanes >> lane & 1) == 0 || s->of_lane[lane] != server)
				continue;
			question_of(&r->questions[asked_n], &w, which, of, n, lane);
			asked[asked_n++] = lane;
			if (!s->citus)
				continue;
			st = reader_ask_all(r, server, &r->questions[0], 1, &answers[lane]);
			asked_n = 0;
		}
		if (asked_n == 0 || st != ST_OK)
			continue;
		st = reader_ask_all(r, server, r->questions, asked_n, out);
		for (uint32_t i = 0; i < asked_n && st == ST_OK; i++)
			answers[asked[i]] = out[i];
	}
	assert(buf == NULL || !w.bad);
	free(buf);
	return st;
}

int lanes_row(const PGresult *answer, uint64_t first)
{
	for (int i = 0; answer != NULL && i < PQntuples(answer); i++)
		if ((uint64_t)pg_number(answer, i, 0) == first)
			return i;
	return -1;
}

int lanes_row_of(const PGresult *answer, const struct place *at, int column)
{
	for (int i = 0; answer != NULL && i < PQntuples(answer); i++)
		if ((uint64_t)pg_number(answer, i, 0) == at->sequence &&
		    slice_eq(pg_column(answer, i, column), slice_of(at->key, sizeof(at->key))))
			return i;
	return -1;
}
