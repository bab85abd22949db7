#include "store/postgres/work.h"

#include "store/postgres/counted_sql.h"

#define NUMBERS \
	"INSERT INTO number_register (lane, unit, register, year, number, sequence," \
	" result_lane, state, at)" \
	" SELECT l, u, r, y, n, s, rl, 1, a FROM unnest($1::smallint[], $2::text[]," \
	" $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::smallint[]," \
	" $8::timestamptz[]) AS v(l, u, r, y, n, s, rl, a)" \
	" ON CONFLICT (lane, unit, register, year, number) DO NOTHING"

#define RESULTS \
	"INSERT INTO result (lane, sequence, unit, kind, issued, case_digest, crc, layers," \
	" record, body, facts, papers, parts)" \
	" SELECT * FROM unnest($1::smallint[], $2::bigint[], $3::text[], $4::text[]," \
	" $5::timestamptz[], $6::bytea[], $7::int[], $8::bytea[], $9::bytea[]," \
	" $10::bytea[], $11::bigint[], $12::int[], $13::text[])" \
	" ON CONFLICT (lane, sequence) DO NOTHING"

/*
 * Rows go in as arrays, one a column; what is there already stays. The engine sees from the number
 * of rows that went in whether it must look closer.
 */
static const struct pg_write_text texts[] = {
	[PGW_LAYERS] = { "layers",
		"INSERT INTO layer (hash, bytes) SELECT * FROM unnest($1::bytea[], $2::bytea[])"
		" ON CONFLICT (hash) DO NOTHING" },
	[PGW_NUMBERS] = { "numbers", NUMBERS },
	/*
	 * Counted are the rows that went in, in the same transaction. A delta lies in the lane of
	 * one of its results, so that it lies on their server.
	 */
	[PGW_RESULTS] = { "results",
		"WITH stored AS (" RESULTS " RETURNING lane, sequence, unit, kind, issued, facts,"
		" papers, parts), " COUNTED_DATED ", counted AS ("
		COUNTED(COUNTED_ALL, "max(sequence)", "stored JOIN unnest($2::bigint[],"
			" $14::text[], $15::int[]) AS old(of, old_unit, old_day) ON of = sequence")
		") SELECT count(*) FROM stored" },
	[PGW_HOLDINGS] = { "holdings",
		"INSERT INTO holding (lane, holder, sequence, result_lane, role, visibility,"
		" valid_from, valid_to)"
		" SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::bigint[], $4::smallint[],"
		" $5::smallint[], $6::smallint[], $7::int[], $8::int[])"
		" ON CONFLICT (lane, holder, sequence) DO NOTHING" },
	[PGW_LOCATORS] = { "locators",
		"INSERT INTO locator (lane, key, sequence, result_lane)"
		" SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::bigint[], $4::smallint[])"
		" ON CONFLICT (lane, key, sequence) DO NOTHING" },
	/* What a result rests on, stored in the same transaction, is taken away by nobody. */
	[PGW_UNCLAIM] = { "unclaim",
		"DELETE FROM claim c USING unnest($1::smallint[], $2::bytea[]) AS v(l, h)"
		" WHERE c.lane = l AND c.hash = h" },
	[PGW_NUMBERS_THERE] = { "numbers_there",
		"SELECT i, b.sequence, b.state FROM unnest($1::smallint[], $2::text[], $3::text[],"
		" $4::int[], $5::bigint[], $6::int[]) AS v(l, u, r, y, n, i)"
		" JOIN number_register b ON b.lane = l AND b.unit = u AND b.register = r"
		" AND b.year = y AND b.number = n" },
	[PGW_RESULTS_THERE] = { "results_there",
		"SELECT i, b.case_digest FROM unnest($1::smallint[], $2::bigint[], $3::int[])"
		" AS v(l, s, i) JOIN result b ON b.lane = l AND b.sequence = s" },
	[PGW_MONTHS] = { "months", "SELECT trien_months($1::date, $2::int)" },
	[PGW_NEWEST] = { "newest",
		"SELECT coalesce(max(newest), 0)::bigint FROM (SELECT (SELECT max(sequence)"
		" FROM result WHERE lane = l) AS newest FROM generate_series(0, 63) AS l) AS v" },
	[PGW_FOLD] = { "fold", "SELECT trien_fold($1::smallint, $2::smallint)" },
	/*
	 * For Citus. It reports as inserted all rows that were sent, those that were there too: so
	 * each that went in is returned. And it takes no row that a statement of a distributed
	 * table returns into another one's: counted are the rows that were looked for before and
	 * not there. Sent again after it was committed, a delta meets itself.
	 */
	[PGW_LANE_NUMBERS] = { "lane_numbers",
		NUMBERS " RETURNING lane" },
	[PGW_LANE_RESULTS] = { "lane_results",
		RESULTS " RETURNING lane" },
	[PGW_LANE_COUNTERS] = { "lane_counters",
		"WITH stored AS (SELECT l AS lane, sequence, unit, kind, issued, facts, papers,"
		" parts, old_unit, old_day FROM unnest($1::smallint[], $2::bigint[], $3::text[],"
		" $4::text[], $5::timestamptz[], $6::bigint[], $7::int[], $8::text[], $9::text[],"
		" $10::int[]) AS v(l, sequence, unit, kind, issued, facts, papers, parts, old_unit,"
		" old_day)), "
		COUNTED_DATED " "
		COUNTED(COUNTED_ALL, "max(sequence)", "stored")
		" ON CONFLICT (lane, unit, kind, day, engine, watermark) DO NOTHING" },
	[PGW_LANE_UNCLAIM] = { "lane_unclaim",
		"DELETE FROM claim WHERE lane = $1::smallint AND hash = ANY($2::bytea[])" },
	[PGW_LANE_NUMBERS_THERE] = { "lane_numbers_there",
		"SELECT i, b.sequence, b.state FROM unnest($2::text[], $3::text[], $4::int[],"
		" $5::bigint[], $6::int[]) AS v(u, r, y, n, i)"
		" JOIN number_register b ON b.unit = u AND b.register = r AND b.year = y"
		" AND b.number = n WHERE b.lane = $1::smallint" },
	[PGW_LANE_RESULTS_THERE] = { "lane_results_there",
		"SELECT i, b.case_digest FROM unnest($2::bigint[], $3::int[]) AS v(s, i)"
		" JOIN result b ON b.sequence = s WHERE b.lane = $1::smallint" },
};

const struct pg_write_text *pg_write_text(enum pg_write s)
{
	return &texts[s];
}

uint32_t pg_writes_of(const struct pg_part *part, bool citus,
		      enum pg_write out[PG_PART_WRITES_MAX])
{
	struct list { uint32_t n; enum pg_write of[PG_PART_WRITES_MAX]; };
	static const struct list plain[] = {
		[PART_BEFORE] = { 3, { PGW_LAYERS, PGW_NUMBERS, PGW_RESULTS_THERE } },
		[PART_ROWS] = { 4, { PGW_RESULTS, PGW_HOLDINGS, PGW_LOCATORS, PGW_UNCLAIM } },
		[PART_NUMBERS_THERE] = { 1, { PGW_NUMBERS_THERE } },
		[PART_RESULTS_THERE] = { 1, { PGW_RESULTS_THERE } },
		[PART_MONTHS] = { 1, { PGW_MONTHS } },
		[PART_NEWEST] = { 1, { PGW_NEWEST } },
		[PART_FOLD] = { 1, { PGW_FOLD } },
	}, lane[] = {
		[PART_BEFORE] = { 2, { PGW_LANE_NUMBERS, PGW_LANE_RESULTS_THERE } },
		[PART_ROWS] = { 5, { PGW_LANE_RESULTS, PGW_LANE_COUNTERS, PGW_HOLDINGS,
				     PGW_LOCATORS, PGW_LANE_UNCLAIM } },
		[PART_NUMBERS_THERE] = { 1, { PGW_LANE_NUMBERS_THERE } },
		[PART_RESULTS_THERE] = { 1, { PGW_LANE_RESULTS_THERE } },
	}, all_lanes = { 1, { PGW_LAYERS } };
	const struct list *of = &plain[part->kind];

	/* What all shards share is written in a part of its own. */
	if (citus && part->work != NULL)
		of = part->lane == PG_LANE_ANY ? &all_lanes : &lane[part->kind];
	memcpy(out, of->of, sizeof(of->of));
	return of->n;
}
