#include "store/postgres/recount.h"

#include <assert.h>
#include <stdlib.h>

#include "store/counted.h"
#include "store/postgres/counted_sql.h"
#include "store/postgres/postgres.h"
#include "store/postgres/question.h"
#include "store/postgres/reader.h"

#define PAGE 128

static const char look_sql[] =
	"SELECT sequence, layers, record, crc, unit, kind, issued FROM result"
	" WHERE lane = $1::smallint AND sequence > $2::bigint AND facts IS NULL"
	" ORDER BY sequence LIMIT 128";
static const char facts_sql[] =
	"UPDATE result SET facts = v.f FROM unnest($2::bigint[], $3::bigint[]) AS v(s, f)"
	" WHERE lane = $1::smallint AND sequence = v.s";
/*
 * As results they were counted then, and stay without parts; no row of theirs has such a watermark
 * (counting.c).
 */
#define ADDED(name, column, sql) \
	", nullif(" sql " - CASE '" #column "' WHEN 'results' THEN count(*) ELSE 0 END, 0)"
static const char counts_sql[] =
	"WITH stored AS (SELECT $1::smallint AS lane, sequence, unit, kind, issued, facts,"
	" 0 AS papers, '' AS parts, old_unit, old_day"
	" FROM unnest($2::bigint[], $3::bigint[], $4::text[], $5::text[],"
	" $6::timestamptz[], $7::text[], $8::int[]) AS v(sequence, facts, unit, kind, issued,"
	" old_unit, old_day)), " COUNTED_DATED " "
	COUNTED(ADDED, "max(sequence) # (128::bigint << 14)", "stored");

/* One of a page, whose answer its slices borrow from. */
struct recounted { uint64_t sequence; int64_t word, issued; struct slice unit, kind, old_unit;
		   uint32_t old_day; };

struct recount {
	PGconn *c;
	PGresult *answer;
	uint8_t lane[2];		/* as the server takes it */
	struct recounted of[PAGE];
	uint32_t n;
	struct stored_result result;
	uint8_t *buf;
	size_t room;
};

/* false: the server refused; the answer says why. */
static bool ask(struct recount *r, const char *sql, const struct slice *params, int n)
{
	const char *values[8];
	int lengths[8], formats[8];

	assert(n <= 8);
	for (int i = 0; i < n; i++) {
		values[i] = (const char *)params[i].p;
		lengths[i] = (int)params[i].n;
		formats[i] = 1;
	}
	PQclear(r->answer);
	r->answer = PQexecParams(r->c, sql, n, NULL, values, lengths, formats, 1);
	return PQresultStatus(r->answer) == PGRES_TUPLES_OK ||
	       PQresultStatus(r->answer) == PGRES_COMMAND_OK;
}

enum column { SEQUENCE, WORD, UNIT, KIND, ISSUED, OLD_UNIT, OLD_DAY };

static struct slice column_of(const struct recount *r, struct writer *w, enum column which)
{
	static const enum pg_type types[] = { PG_INT8, PG_INT8, PG_TEXT, PG_TEXT, PG_TIME, PG_TEXT,
					      PG_INT4 };
	struct pg_array a = pg_array(w, types[which]);

	for (uint32_t i = 0; i < r->n; i++) {
		const struct recounted *one = &r->of[i];

		switch (which) {
		case SEQUENCE: pg_array_int8(&a, (int64_t)one->sequence); break;
		case WORD: pg_array_int8(&a, one->word); break;
		case UNIT: pg_array_bytes(&a, one->unit); break;
		case KIND: pg_array_bytes(&a, one->kind); break;
		/* As it came: of eight bytes, too. */
		case ISSUED: pg_array_int8(&a, one->issued); break;
		case OLD_UNIT: pg_array_bytes(&a, one->old_unit); break;
		default: pg_array_int4(&a, (int32_t)one->old_day);
		}
	}
	return pg_array_end(&a);
}

/* The page's rows, counted; *after: the last of them. */
static void read_page(struct recount *r, uint8_t lane, uint64_t *after)
{
	r->n = 0;
	for (int i = 0; i < PQntuples(r->answer); i++) {
		struct recounted *one = &r->of[r->n];
		struct counted_says says;
		struct counted old;

		*after = (uint64_t)pg_number(r->answer, i, 0);
		if (reader_row(r->answer, i, 1, lane, *after, &r->result) != ST_OK)
			continue;
		counted_says(&says, &r->result.view);
		*one = (struct recounted){ .sequence = *after,
					   .word = says.facts,
					   .issued = pg_number(r->answer, i, 6),
					   .unit = pg_column(r->answer, i, 4),
					   .kind = pg_column(r->answer, i, 5) };
		if (counted_replaced(&old, &r->result.view, one->word)) {
			one->old_unit = old.unit;
			one->old_day = old.day;
		}
		r->n++;
	}
}

static bool page_write(struct recount *r)
{
	struct writer w = writer_of(r->buf, r->room);
	struct slice params[8] = { slice_of(r->lane, sizeof(r->lane)) };

	/* All of them before the answer goes that they borrow from. */
	for (int i = 0; i < 7; i++)
		params[i + 1] = column_of(r, &w, (enum column)i);
	assert(!w.bad);
	return ask(r, facts_sql, params, 3) && ask(r, counts_sql, params, 8);
}

static bool lane_recount(struct recount *r, uint8_t lane)
{
	uint64_t after = 0;
	int rows = PAGE;

	r->lane[1] = lane;
	while (rows == PAGE) {
		uint8_t from[8];
		struct slice params[2] = { slice_of(r->lane, sizeof(r->lane)),
					   slice_of(from, sizeof(from)) };

		for (int i = 0; i < 8; i++)
			from[i] = (uint8_t)(after >> 8 * (7 - i));
		if (!ask(r, look_sql, params, 2))
			return false;
		rows = PQntuples(r->answer);
		read_page(r, lane, &after);
		if (r->n > 0 && !page_write(r))
			return false;
	}
	return true;
}

bool pg_recount(PGconn *c, PGresult **why)
{
	struct recount *r = calloc(1, sizeof(*r));
	bool done;

	*why = NULL;
	if (r == NULL)
		return false;
	r->c = c;
	r->room = 8 * PG_ARRAY_BYTES + PAGE * (8 * 12 + 3 * (CODE_BYTES_MAX + 4));
	r->buf = malloc(r->room);
	done = r->buf != NULL;
	for (uint8_t lane = 0; lane < LANES && done; lane++)
		done = lane_recount(r, lane);
	if (done)
		PQclear(r->answer);
	else
		*why = r->answer;
	free(r->buf);
	free(r);
	return done;
}
