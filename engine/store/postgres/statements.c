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
		" WHERE lane = $1::int2 AND sequence = $2::int8", PG_READS, true },
	[PG_RESULTS] = { "results_of",
		"SELECT sequence, layers, record, crc FROM result"
		" WHERE lane = $1::int2 AND sequence = ANY($2::int8[])", PG_READS, true },
	[PG_LIVES] = { "lives",
		"SELECT sequence, record, crc, kind FROM event"
		" WHERE lane = $1::int2 AND sequence = ANY($2::int8[]) AND kind <> 1",
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
		" AND year = $4::int4 AND number = $5::int8", PG_READS | PG_ACTS, true },
	[PG_LAYER] = { "layer",
		"SELECT bytes FROM layer WHERE hash = $1::bytea", PG_READS, false },
	[PG_STORED] = { "stored",
		"SELECT sequence FROM result"
		" WHERE lane = $1::int2 AND sequence = ANY($2::int8[])", PG_ACTS, true },
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
};
