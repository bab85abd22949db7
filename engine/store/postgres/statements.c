#include "store/postgres/statements.h"

#include <assert.h>

#include "counts.h"
#include "store/store.h"

/* These say something of a result's life; those of its shares. */
static_assert(EVENT_CORRECTED == 2 && EVENT_RELEASED == 10 && EVENT_REUSED == 16 &&
	      EVENT_SHARED == 12 && EVENT_SHARE_ENDED == 14, "kinds");

#define SUM3(name, column, sql) ", sum(" #column ")::int8"
#define SUM2(name, column) SUM3(, column, )
#define NAME2(name, column) ", " #column
#define CASE2(name, column) ", CASE what WHEN '" #column "' THEN much END"
#define AS3(name, column, sql) ", coalesce(" sql ", 0) AS " #column
#define TOTAL3(name, column, sql) ", coalesce(sum(" #column "), 0)::int8"
#define WEIGHED3(name, column, sql) " + coalesce(" #column ", 0) * (hashtext('" #column "') & 1023)"
/* Each count, and all of them weighed by what they count: equal only where all of that is. */
#define TOTALS COUNTS_OF_RESULTS(TOTAL3) \
	", coalesce(mod(sum((hashtext(unit || ' ' || kind || ' ' || day || ' ' || parts)" \
	" & 2147483647)::numeric * (0" COUNTS_OF_RESULTS(WEIGHED3) ")), 4611686018427387904)," \
	" 0)::int8"

const struct pg_statement_row pg_statements[PG_STATEMENTS] = {
	[PG_GET] = { "get",
		"(SELECT 1::int2, layers, record, crc FROM result"
		" WHERE lane = $1::int2 AND sequence = $2::int8)"
		" UNION ALL (SELECT 2::int2, ''::bytea, record, crc FROM voided"
		" WHERE lane = $1::int2 AND sequence = $2::int8)"
		" UNION ALL (SELECT 3::int2, ''::bytea, record, crc FROM event"
		" WHERE lane = $1::int2 AND sequence = $2::int8 AND kind BETWEEN 2 AND 10)",
		PG_READS, true },
	[PG_FILE] = { "file",
		"SELECT layers, record, crc, body FROM result"
		" WHERE lane = $1::int2 AND sequence = $2::int8", PG_READS | PG_CHECKS, true },
	[PG_RESULTS] = { "results_of",
		"SELECT sequence, layers, record, crc FROM result"
		" WHERE lane = $1::int2 AND sequence = ANY($2::int8[])",
		PG_READS | PG_CHECKS | PG_NOTES, true },
	[PG_LIVES] = { "lives",
		"SELECT sequence, record, crc, kind FROM event"
		" WHERE lane = $1::int2 AND sequence = ANY($2::int8[])"
		" AND kind NOT IN (1, 12, 13, 14, 16)", PG_READS | PG_CHECKS | PG_NOTES, true },
	[PG_SHARES] = { "shares_of",
		"SELECT record, crc FROM event"
		" WHERE lane = $1::int2 AND sequence = $2::int8 AND kind BETWEEN 12 AND 14",
		PG_READS, true },
	[PG_HOLDINGS] = { "holdings_of",
		"SELECT sequence, result_lane, role, visibility, valid_from, valid_to FROM holding"
		" WHERE lane = $1::int2 AND holder = $2::bytea AND sequence < $3::int8"
		" ORDER BY sequence DESC LIMIT $4::int8", PG_READS | PG_ACTS, true },
	[PG_LOCATE] = { "locate",
		"SELECT sequence, result_lane FROM locator"
		" WHERE lane = $1::int2 AND key = $2::bytea"
		" ORDER BY sequence DESC LIMIT $3::int8", PG_READS, true },
	[PG_REPLACED] = { "replaced",
		"SELECT key, sequence, result_lane FROM locator"
		" WHERE lane = $1::int2 AND key = ANY($2::bytea[]) AND sequence > $3::int8"
		" ORDER BY sequence DESC", PG_READS, true },
	[PG_NUMBER] = { "number",
		"SELECT sequence, result_lane, state FROM number_register"
		" WHERE lane = $1::int2 AND unit = $2::text AND register = $3::text"
		" AND year = $4::int4 AND number = $5::int8",
		PG_READS | PG_ACTS | PG_CHECKS, true },
	[PG_BOOK] = { "book",
		"SELECT sequence, result_lane, state, number, record FROM number_register"
		" WHERE lane = $1::int2 AND unit = $2::text AND register = $3::text"
		" AND year = $4::int4 AND number > $5::int8 ORDER BY number LIMIT $6::int8",
		PG_READS, true },
	[PG_LAYER] = { "layer",
		"SELECT bytes FROM layer WHERE hash = $1::bytea", PG_READS | PG_CHECKS, false },
	[PG_OBJECT] = { "object",
		"SELECT bytes FROM object WHERE lane = $1::int2 AND hash = $2::bytea"
		" AND n = $3::int4", PG_READS | PG_ACTS | PG_CHECKS, true },
	[PG_OBJECT_ADD] = { "object_add",
		"INSERT INTO object (lane, hash, n, bytes)"
		" VALUES ($1::int2, $2::bytea, $3::int4, $4::bytea)"
		" ON CONFLICT (lane, hash, n) DO NOTHING", PG_ACTS, true },
	/* The rest is of functions: who takes pieces away must have seen that nobody needs them. */
	[PG_CLAIM] = { "claim",
		"SELECT trien_claim($1::int2, $2::bytea, $3::int2)", PG_ACTS, true },
	[PG_CLAIMS] = { "claims",
		"SELECT hash FROM claim WHERE lane = $1::int2 AND $2::int2 = ANY(engines)"
		" AND hash > $3::bytea ORDER BY hash LIMIT $4::int8", PG_ACTS, true },
	[PG_RELEASE] = { "release",
		"SELECT trien_release($1::int2, $2::bytea[], $3::int2)", PG_ACTS, true },
	[PG_STORED] = { "stored",
		"SELECT sequence, unit, kind, issued FROM result"
		" WHERE lane = $1::int2 AND sequence = ANY($2::int8[])",
		PG_ACTS | PG_CHECKS, true },
	[PG_COUNTS] = { "counts",
		"SELECT unit, kind, CASE $6::int2 WHEN 0 THEN day WHEN 1 THEN day / 100"
		" WHEN 2 THEN day / 10000 * 10 + (day / 100 % 100 + 2) / 3 ELSE day / 10000 END,"
		" CASE $7::int2 WHEN 0 THEN '' ELSE parts END"
		COUNTS_OF_RESULTS(SUM3) COUNTS_OF_ACTS(SUM2)
		" FROM counter WHERE lane = $1::int2"
		" AND (cardinality($2::text[]) = 0 OR unit = ANY($2::text[]))"
		" AND (cardinality($3::text[]) = 0 OR kind = ANY($3::text[]))"
		" AND day BETWEEN $4::int4 AND $5::int4 GROUP BY 1, 2, 3, 4", PG_READS, true },
	/* From register to register through the key, not over all numbers. */
	[PG_MARKS] = { "marks",
		"WITH RECURSIVE mark AS ("
		"(SELECT unit, register, year, number FROM number_register"
		" WHERE lane = $1::int2"
		" ORDER BY unit DESC, register DESC, year DESC, number DESC LIMIT 1)"
		" UNION ALL "
		"SELECT n.unit, n.register, n.year, n.number FROM mark CROSS JOIN LATERAL ("
		"SELECT unit, register, year, number FROM number_register"
		" WHERE lane = $1::int2"
		" AND (unit, register, year) < (mark.unit, mark.register, mark.year)"
		" ORDER BY unit DESC, register DESC, year DESC, number DESC LIMIT 1) n)"
		" SELECT unit, register, year, number FROM mark", PG_READS | PG_ACTS, true },
	[PG_EVENTS_ADD] = { "events_add",
		"INSERT INTO event (lane, sequence, n, kind, at, crc, record)"
		" SELECT $1::int2, sequence, n, kind, at, crc, record FROM unnest($2::int8[],"
		" $3::int8[], $4::int2[], $5::timestamptz[], $6::int4[], $7::bytea[])"
		" AS row(sequence, n, kind, at, crc, record)"
		" ON CONFLICT (lane, sequence, n) DO NOTHING", PG_ACTS | PG_NOTES, true },
	[PG_READINGS_ADD] = { "readings_add",
		"INSERT INTO reading (lane, holder, stamp, crc, record)"
		" SELECT $1::int2, holder, stamp, crc, record FROM unnest($2::bytea[],"
		" $3::int8[], $4::int4[], $5::bytea[]) AS row(holder, stamp, crc, record)"
		" ON CONFLICT (lane, holder, stamp) DO NOTHING", PG_NOTES, true },
	[PG_READINGS] = { "readings_of",
		"SELECT stamp, record, crc FROM reading"
		" WHERE lane = $1::int2 AND holder = $2::bytea AND stamp < $3::int8"
		" ORDER BY stamp DESC LIMIT $4::int8", PG_READS, true },
	[PG_EVENTS_THERE] = { "events_there",
		"SELECT e.sequence, e.n FROM unnest($2::int8[], $3::int8[]) AS v(s, m)"
		" JOIN event e ON e.sequence = v.s AND e.n = v.m WHERE e.lane = $1::int2",
		PG_NOTES, true },
	/* Each says one thing; told again it meets itself. */
	[PG_COUNT_ADD] = { "count_add",
		"INSERT INTO counter (lane, unit, kind, day, engine, watermark"
		COUNTS_OF_ACTS(NAME2) ")"
		" SELECT $1::int2, u, k, d, e, w" COUNTS_OF_ACTS(CASE2)
		" FROM unnest($2::text[], $3::text[], $4::int4[], $5::int2[], $6::int8[],"
		" $7::text[], $8::int8[]) AS v(u, k, d, e, w, what, much)"
		" ON CONFLICT (lane, unit, kind, day, engine, watermark) DO NOTHING",
		PG_ACTS | PG_NOTES, true },
	[PG_HOLDING_ADD] = { "holding_add",
		"INSERT INTO holding (lane, holder, sequence, result_lane, role, visibility,"
		" valid_from, valid_to) VALUES ($1::int2, $2::bytea, $3::int8, $4::int2, $5::int2,"
		" $6::int2, $7::int4, $8::int4)"
		" ON CONFLICT (lane, holder, sequence) DO NOTHING", PG_ACTS, true },
	[PG_LOCATOR_ADD] = { "locator_add",
		"INSERT INTO locator (lane, key, sequence, result_lane)"
		" VALUES ($1::int2, $2::bytea, $3::int8, $4::int2)"
		" ON CONFLICT (lane, key, sequence) DO NOTHING", PG_ACTS, true },
	[PG_NUMBER_ADD] = { "number_add",
		"INSERT INTO number_register (lane, unit, register, year, number, sequence,"
		" result_lane, state, at, record) VALUES ($1::int2, $2::text, $3::text, $4::int4,"
		" $5::int8, $6::int8, $7::int2, $8::int2, $9::timestamptz, $10::bytea)"
		" ON CONFLICT (lane, unit, register, year, number) DO NOTHING", PG_ACTS, true },
	[PG_NUMBER_VOID] = { "number_void",
		"UPDATE number_register SET state = 2, at = $6::timestamptz, record = $7::bytea"
		" WHERE lane = $1::int2 AND unit = $2::text AND register = $3::text"
		" AND year = $4::int4 AND number = $5::int8 AND state = 1", PG_ACTS, true },
	[PG_VOIDED_ADD] = { "voided_add",
		"INSERT INTO voided (lane, sequence, crc, record)"
		" VALUES ($1::int2, $2::int8, $3::int4, $4::bytea)"
		" ON CONFLICT (lane, sequence) DO NOTHING", PG_ACTS, true },
	[PG_MONTHS] = { "months",
		"SELECT trien_months($1::date, $2::int4)", PG_ACTS | PG_NOTES, false },
	[PG_OWNERS] = { "owners", "SELECT unit, engine, address, folder FROM unit_owner"
			" ORDER BY unit", PG_ACTS, false },
	/* A word: only this folder's, and those of before there were words. */
	[PG_OWNERS_DROP] = { "owners_drop",
		"DELETE FROM unit_owner WHERE engine = $1::int2"
		" AND ($2::text = '' OR folder IN ('', $2::text))", PG_ACTS, false },
	[PG_OWNERS_ADD] = { "owners_add",
		"INSERT INTO unit_owner (unit, engine, address, folder)"
		" SELECT unit, $2::int2, address, $4::text"
		" FROM unnest($1::text[], $3::text[]) AS row(unit, address)", PG_ACTS, false },
	[PG_MAY] = { "may",
		"SELECT (has_table_privilege('result', 'SELECT')"
		" AND has_table_privilege('holding', 'SELECT')"
		" AND has_table_privilege('locator', 'SELECT')"
		" AND has_table_privilege('layer', 'SELECT')"
		" AND has_table_privilege('object', 'SELECT')"
		" AND has_table_privilege('claim', 'SELECT')"
		" AND has_table_privilege('reading', 'SELECT'))::int4,"
		" has_table_privilege('counter', 'SELECT')::int4,"
		" (has_table_privilege('number_register', 'SELECT')"
		" AND has_table_privilege('voided', 'SELECT')"
		" AND has_table_privilege('event', 'SELECT')"
		" AND has_column_privilege('result', 'sequence', 'SELECT'))::int4",
		PG_CHECKS, false },
	[PG_WALK_RESULTS] = { "walk_results",
		"SELECT sequence, unit, kind, issued, case_digest, facts, papers, parts FROM result"
		" WHERE lane = $1::int2 AND sequence > $2::int8 ORDER BY sequence LIMIT $3::int8",
		PG_READS | PG_CHECKS, true },
	[PG_WALK_HOLDINGS] = { "walk_holdings",
		"SELECT sequence, result_lane, role, visibility, valid_from, valid_to, holder"
		" FROM holding WHERE lane = $1::int2 AND (holder, sequence) > ($2::bytea, $3::int8)"
		" ORDER BY holder, sequence LIMIT $4::int8", PG_CHECKS, true },
	[PG_WALK_LOCATORS] = { "walk_locators",
		"SELECT sequence, result_lane, key FROM locator"
		" WHERE lane = $1::int2 AND (key, sequence) > ($2::bytea, $3::int8)"
		" ORDER BY key, sequence LIMIT $4::int8", PG_CHECKS, true },
	[PG_WALK_NUMBERS] = { "walk_numbers",
		"SELECT sequence, result_lane, state, unit, register, year, number, record"
		" FROM number_register WHERE lane = $1::int2"
		" AND (unit, register, year, number) > ($2::text, $3::text, $4::int4, $5::int8)"
		" ORDER BY unit, register, year, number LIMIT $6::int8", PG_CHECKS, true },
	[PG_WALK_VOIDED] = { "walk_voided",
		"SELECT sequence, record, crc FROM voided"
		" WHERE lane = $1::int2 AND sequence > $2::int8 ORDER BY sequence LIMIT $3::int8",
		PG_CHECKS, true },
	[PG_WALK_EVENTS] = { "walk_events",
		"SELECT sequence, record, crc, kind, n FROM event"
		" WHERE lane = $1::int2 AND (sequence, n) > ($2::int8, $3::int8)"
		" ORDER BY sequence, n LIMIT $4::int8", PG_CHECKS, true },
	[PG_WALK_READINGS] = { "walk_readings",
		"SELECT stamp, record, crc, holder FROM reading"
		" WHERE lane = $1::int2 AND (holder, stamp) > ($2::bytea, $3::int8)"
		" ORDER BY holder, stamp LIMIT $4::int8", PG_CHECKS, true },
	[PG_WALK_ORIGINALS] = { "walk_originals",
		"SELECT o.hash, coalesce(cardinality(c.engines), -1) FROM object o"
		" LEFT JOIN claim c ON c.lane = $1::int2 AND c.hash = o.hash"
		" WHERE o.lane = $1::int2 AND o.hash > $2::bytea AND o.n = 0"
		" ORDER BY o.hash LIMIT $3::int8", PG_CHECKS, true },
	[PG_WALK_LAYERS] = { "walk_layers",
		"SELECT hash, bytes FROM layer WHERE hash > $1::bytea ORDER BY hash LIMIT $2::int8",
		PG_CHECKS, false },
	[PG_HOLDINGS_THERE] = { "holdings_there",
		"SELECT h.sequence, h.result_lane, h.role, h.visibility, h.valid_from, h.valid_to,"
		" h.holder FROM unnest($2::bytea[], $3::int8[]) AS v(k, s)"
		" JOIN holding h ON h.holder = v.k AND h.sequence = v.s WHERE h.lane = $1::int2",
		PG_READS | PG_CHECKS, true },
	[PG_LOCATORS_THERE] = { "locators_there",
		"SELECT b.sequence, b.result_lane, b.key FROM unnest($2::bytea[], $3::int8[])"
		" AS v(k, s) JOIN locator b ON b.key = v.k AND b.sequence = v.s"
		" WHERE b.lane = $1::int2", PG_READS | PG_CHECKS, true },
	[PG_VOIDED_THERE] = { "voided_there",
		"SELECT sequence, record, crc FROM voided"
		" WHERE lane = $1::int2 AND sequence = ANY($2::int8[])", PG_CHECKS, true },
	[PG_LAYERS_THERE] = { "layers_there",
		"SELECT hash FROM layer WHERE hash = ANY($1::bytea[])", PG_CHECKS, false },
	[PG_COUNTED] = { "counted",
		"SELECT told.*, there.*, happened.*, ended.n, outside.n FROM (SELECT 0" TOTALS ","
		" coalesce(sum(accepted), 0)::int8,"
		" (coalesce(sum(voided), 0) + coalesce(sum(refused), 0)"
		" + coalesce(sum(withdrawn), 0) + coalesce(sum(timed_out), 0))::int8,"
		" coalesce(sum(outside), 0)::int8, coalesce(sum(reuses), 0)::int8,"
		" coalesce(sum(replaced), 0)::int8, coalesce(sum(corrected), 0)::int8,"
		" coalesce(sum(revoked), 0)::int8 FROM counter WHERE lane = $1::int2) AS told,"
		" (SELECT 0" TOTALS ", coalesce(sum(accepted), 0)::int8"
		" FROM (SELECT unit, kind, parts, day, count(f) AS accepted" COUNTS_OF_RESULTS(AS3)
		" FROM (SELECT unit, kind, coalesce(parts, '') AS parts, facts AS f,"
		" coalesce(papers, 0) AS g, to_char(issued AT TIME ZONE 'UTC'"
		" + interval '7 hours', 'YYYYMMDD')::int AS day FROM result"
		" WHERE lane = $1::int2) AS one GROUP BY unit, kind, parts, day) AS days) AS there,"
		" (SELECT count(*) FILTER (WHERE kind = 16), (SELECT count(*) FROM result"
		" WHERE lane = $1::int2 AND facts >> 61 & 1 = 1),"
		" count(*) FILTER (WHERE kind = 2), count(*) FILTER (WHERE kind = 4)"
		" FROM event WHERE lane = $1::int2) AS happened,"
		" (SELECT count(*) AS n FROM voided WHERE lane = $1::int2) AS ended,"
		" (SELECT count(*) AS n FROM number_register WHERE lane = $1::int2 AND state = 3)"
		" AS outside", PG_CHECKS, true },
};
