#include "store/postgres/statements.h"

#include <assert.h>

#include "store/store.h"

/* A life that ends is told by a kind above those that only change it. */
static_assert(LIFE_CORRECTED == 2 && LIFE_REPLACED == 3 && LIFE_REVOKED == 4,
	      "the kinds of 001.sql");

const struct pg_statement_row pg_statements[PG_STATEMENTS] = {
	[PG_GET] = { "get",
		"(SELECT 1::int2, layers, record, crc FROM result"
		" WHERE lane = $1::int2 AND sequence = $2::int8)"
		" UNION ALL (SELECT 2::int2, ''::bytea, record, crc FROM voided"
		" WHERE lane = $1::int2 AND sequence = $2::int8)"
		" UNION ALL (SELECT 3::int2, ''::bytea, record, crc FROM event"
		" WHERE lane = $1::int2 AND sequence = $2::int8 AND kind BETWEEN 2 AND 4"
		" ORDER BY kind DESC LIMIT 1)", PG_READS, true },
	[PG_FILE] = { "file",
		"SELECT layers, record, crc, body FROM result"
		" WHERE lane = $1::int2 AND sequence = $2::int8", PG_READS | PG_CHECKS, true },
	[PG_RESULTS] = { "results_of",
		"SELECT sequence, layers, record, crc FROM result"
		" WHERE lane = $1::int2 AND sequence = ANY($2::int8[])",
		PG_READS | PG_CHECKS, true },
	[PG_LIVES] = { "lives",
		"SELECT sequence, record, crc, kind FROM event"
		" WHERE lane = $1::int2 AND sequence = ANY($2::int8[]) AND kind <> 1",
		PG_READS | PG_CHECKS, true },
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
	[PG_LAYER] = { "layer",
		"SELECT bytes FROM layer WHERE hash = $1::bytea", PG_READS | PG_CHECKS, false },
	[PG_STORED] = { "stored",
		"SELECT sequence FROM result"
		" WHERE lane = $1::int2 AND sequence = ANY($2::int8[])",
		PG_ACTS | PG_CHECKS, true },
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
		" SELECT unit, register, year, number FROM mark", PG_ACTS, true },
	[PG_EVENTS_ADD] = { "events_add",
		"INSERT INTO event (lane, sequence, n, kind, at, crc, record)"
		" SELECT $1::int2, sequence, n, kind, at, crc, record FROM unnest($2::int8[],"
		" $3::int8[], $4::int2[], $5::timestamptz[], $6::int4[], $7::bytea[])"
		" AS row(sequence, n, kind, at, crc, record)"
		" ON CONFLICT (lane, sequence, n) DO NOTHING", PG_ACTS, true },
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
		"SELECT trien_months($1::date, $2::int4)", PG_ACTS, false },
	[PG_OWNERS] = { "owners", "SELECT unit, engine, address FROM unit_owner ORDER BY unit",
			PG_ACTS, false },
	[PG_OWNERS_DROP] = { "owners_drop", "DELETE FROM unit_owner WHERE engine = $1::int2",
			     PG_ACTS, false },
	[PG_OWNERS_ADD] = { "owners_add",
		"INSERT INTO unit_owner (unit, engine, address) SELECT unit, $2::int2, address"
		" FROM unnest($1::text[], $3::text[]) AS row(unit, address)", PG_ACTS, false },
	[PG_MAY] = { "may",
		"SELECT (has_table_privilege('result', 'SELECT')"
		" AND has_table_privilege('holding', 'SELECT')"
		" AND has_table_privilege('locator', 'SELECT')"
		" AND has_table_privilege('layer', 'SELECT'))::int4,"
		" has_table_privilege('counter', 'SELECT')::int4,"
		" (has_table_privilege('number_register', 'SELECT')"
		" AND has_table_privilege('voided', 'SELECT')"
		" AND has_table_privilege('event', 'SELECT')"
		" AND has_column_privilege('result', 'sequence', 'SELECT'))::int4",
		PG_CHECKS, false },
	[PG_WALK_RESULTS] = { "walk_results",
		"SELECT sequence, unit, kind, issued, case_digest FROM result"
		" WHERE lane = $1::int2 AND sequence > $2::int8 ORDER BY sequence LIMIT $3::int8",
		PG_CHECKS, true },
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
	[PG_WALK_LAYERS] = { "walk_layers",
		"SELECT hash, bytes FROM layer WHERE hash > $1::bytea ORDER BY hash LIMIT $2::int8",
		PG_CHECKS, false },
	[PG_HOLDINGS_THERE] = { "holdings_there",
		"SELECT h.sequence, h.result_lane, h.role, h.visibility, h.valid_from, h.valid_to,"
		" h.holder FROM unnest($2::bytea[], $3::int8[]) AS v(k, s)"
		" JOIN holding h ON h.holder = v.k AND h.sequence = v.s WHERE h.lane = $1::int2",
		PG_CHECKS, true },
	[PG_LOCATORS_THERE] = { "locators_there",
		"SELECT b.sequence, b.result_lane, b.key FROM unnest($2::bytea[], $3::int8[])"
		" AS v(k, s) JOIN locator b ON b.key = v.k AND b.sequence = v.s"
		" WHERE b.lane = $1::int2", PG_CHECKS, true },
	[PG_VOIDED_THERE] = { "voided_there",
		"SELECT sequence, record, crc FROM voided"
		" WHERE lane = $1::int2 AND sequence = ANY($2::int8[])", PG_CHECKS, true },
	[PG_LAYERS_THERE] = { "layers_there",
		"SELECT hash FROM layer WHERE hash = ANY($1::bytea[])", PG_CHECKS, false },
	[PG_COUNTED] = { "counted",
		"SELECT (SELECT coalesce(sum(results), 0) FROM counter"
		" WHERE lane = $1::int2)::int8,"
		" (SELECT count(*) FROM result WHERE lane = $1::int2)", PG_CHECKS, true },
};
