/*
 * reader.h - what the files of one reading thread share. Inside store/postgres only.
 *
 *	reader.c	one result, lists, locators
 *	file.c		the file's bytes, shared layers
 */
#ifndef TRIEN_STORE_POSTGRES_READER_H
#define TRIEN_STORE_POSTGRES_READER_H

#include "store/opened.h"
#include "store/postgres/asking.h"
#include "store/postgres/postgres.h"

struct store_reader {
	struct postgres *home;
	struct pg_asking servers[PG_SERVERS_MAX];
	PGresult **kept;		/* answers that views borrow from, until the next call */
	uint32_t kept_n, kept_room;
	struct pg_question questions[LANES];
	struct stored_result result;
	struct sha256 *hash;
	struct opened_files files;
};

/* Asks one server. The answer is kept until the next call of the reader. */
enum status reader_ask(struct store_reader *r, uint8_t server, const struct pg_question *q,
		       PGresult **out) must_use;
/* At the begin of a call: what the last one handed out goes. */
void reader_begin(struct store_reader *r);
/*
 * A row's columns layers, record, crc from `column` on, checked and decoded: ST_CORRUPT if they are
 * not what was written for (lane, sequence).
 */
enum status reader_row(const PGresult *answer, int row, int column, uint8_t lane,
		       uint64_t sequence, struct stored_result *out) must_use;

#endif
