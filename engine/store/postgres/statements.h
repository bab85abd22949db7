/*
 * statements.h - every statement that the store can send to PostgreSQL once it runs, in one table,
 * so that the rules of schemas/store/README.md can be checked over all of them. Inside
 * store/postgres only.
 *
 * Columns and their meaning: schemas/store/postgres/001.sql.
 */
#ifndef TRIEN_STORE_POSTGRES_STATEMENTS_H
#define TRIEN_STORE_POSTGRES_STATEMENTS_H

#include <stdbool.h>
#include <stdint.h>

#define PG_SCHEMA_VERSION 9	/* of schemas/store/postgres, that these speak to */

enum pg_statement {
	PG_GET,			/* lane, sequence: what, layers, record, crc */
	PG_FILE,		/* lane, sequence: layers, record, crc, body */
	PG_RESULTS,		/* lane, sequences: sequence, layers, record, crc */
	PG_LIVES,		/* lane, sequences: sequence, record, crc, kind; no reads, no
				 * shares */
	PG_SHARES,		/* lane, sequence: record, crc; of its shares */
	PG_HOLDINGS,		/* lane, holder, before, max: sequence, result's lane, role,
				 * visibility, from, to; newest first */
	PG_LOCATE,		/* lane, key, max: sequence, result's lane; newest first */
	PG_REPLACED,		/* lane, keys, after: key, sequence, result's lane; newest first */
	PG_NUMBER,		/* lane, unit, register, year, number: sequence, result's lane,
				 * state */
	PG_BOOK,		/* lane, unit, register, year, after, max: sequence, result's lane,
				 * state, number, record */
	PG_LAYER,		/* hash: bytes */
	PG_OBJECT,		/* lane, hash, n: bytes */
	PG_OBJECT_ADD,		/* a row */
	PG_CLAIM,		/* lane, hash, engine: before its pieces */
	PG_CLAIMS,		/* lane, engine, hash, max: hash */
	PG_RELEASE,		/* lane, hashes, engine: of how many the pieces went */
	PG_COUNTS,		/* lane, units, kinds, from, to, period: unit, kind, period, the
				 * counts of counts.h */
	PG_STORED,		/* lane, sequences: sequence, unit, kind, issued */
	PG_MARKS,		/* lane: unit, register, year, highest number */
	PG_EVENTS_ADD,		/* lane; sequences, ns, kinds, ats, crcs, records */
	PG_READINGS_ADD,	/* lane; holders, stamps, crcs, records */
	PG_READINGS,		/* lane, holder, before, max: stamp, record, crc; newest first */
	PG_EVENTS_THERE,	/* lane; sequences, ns: sequence, n */
	PG_COUNT_ADD,		/* lane; units, kinds, days, engines, watermarks, what, how much */
	PG_HOLDING_ADD,		/* a row */
	PG_LOCATOR_ADD,		/* a row */
	PG_NUMBER_ADD,		/* a row: number, if it is new */
	PG_NUMBER_VOID,		/* a number that stands for a result which never came */
	PG_VOIDED_ADD,		/* a row */
	PG_MONTHS,		/* first day, how many */
	PG_OWNERS,		/* : unit, engine, address */
	PG_OWNERS_DROP,		/* engine */
	PG_OWNERS_ADD,		/* units, engine, addresses */
	/* for looking over the whole (deep.h): pages by the key, from behind a row on */
	PG_MAY,			/* : is the user a reader, may it read counters, books */
	PG_WALK_RESULTS,	/* lane, sequence, max: sequence, unit, kind, issued, case digest */
	PG_WALK_HOLDINGS,	/* lane, holder, sequence, max: sequence, result's lane, role,
				 * visibility, from, to, holder */
	PG_WALK_LOCATORS,	/* lane, key, sequence, max: sequence, result's lane, key */
	PG_WALK_NUMBERS,	/* lane, unit, register, year, number, max: sequence, result's lane,
				 * state, unit, register, year, number, record */
	PG_WALK_VOIDED,		/* lane, sequence, max: sequence, record, crc */
	PG_WALK_EVENTS,		/* lane, sequence, n, max: sequence, record, crc, kind, n */
	PG_WALK_READINGS,	/* lane, holder, stamp, max: stamp, record, crc, holder */
	PG_WALK_ORIGINALS,	/* lane, hash, max: hash, how many engines claim it; -1: it is not
				 * claimed */
	PG_WALK_LAYERS,		/* hash, max: hash, bytes */
	PG_HOLDINGS_THERE,	/* lane; holders, sequences: as PG_WALK_HOLDINGS */
	PG_LOCATORS_THERE,	/* lane; keys, sequences: as PG_WALK_LOCATORS */
	PG_VOIDED_THERE,	/* lane, sequences: sequence, record, crc */
	PG_LAYERS_THERE,	/* hashes: hash */
	PG_COUNTED,		/* lane: what counters say and what is there, each the counts of
				 * results (counts.h) and a sum over agency, kind and day; accepted,
				 * ended, outside, reuses, replaced, corrected, revoked, likewise */
	PG_STATEMENTS
};

/* Who sends it: prepared when the connection is made. */
enum pg_use { PG_READS = 1, PG_ACTS = 2, PG_CHECKS = 4, PG_NOTES = 8 };

struct pg_statement_row {
	const char *name, *sql;
	uint8_t uses;		/* of pg_use */
	bool lane;		/* false: it is about no lane (shared layers, months) */
};

extern const struct pg_statement_row pg_statements[PG_STATEMENTS];

#endif
