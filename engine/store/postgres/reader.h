/*
 * reader.h - what the files of one reading thread share. Inside store/postgres only.
 *
 *	reader.c	one result, what happened to it, locators
 *	lists.c		what a holder sees
 *	book.c		a register's numbers
 *	lanes.c		look-ups over many lanes
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
	uint8_t *piece;			/* of an object */
	struct opened_files files;
	bool unchecked;			/* who reads files compares them */
};

/* pg_reader_open() for one who sends statements of that use. */
enum status reader_make(struct postgres *p, enum pg_use use, struct store_reader **out,
		       struct error *e) must_use;
/* Asks one server. The answer is kept until the next call of the reader. */
enum status reader_ask(struct store_reader *r, uint8_t server, const struct pg_question *q,
		       PGresult **out) must_use;
/* n questions in one transaction; the answers are kept likewise. */
enum status reader_ask_all(struct store_reader *r, uint8_t server, const struct pg_question *q,
			   uint32_t n, PGresult **out) must_use;
/* Answers go but for the first ones; all of them, and what borrows, at the begin of a call. */
void reader_forget(struct store_reader *r, uint32_t kept);
/*
 * A row's columns layers, record, crc from `column` on, checked and decoded: ST_CORRUPT if they are
 * not what was written for (lane, sequence).
 */
enum status reader_row(const PGresult *answer, int row, int column, uint8_t lane,
		       uint64_t sequence, struct stored_result *out) must_use;

/* Columns record, crc of a row without layers: is it what was written? Borrowed. */
bool reader_record(const PGresult *answer, int row, int column, uint8_t lane, uint64_t sequence,
		   struct slice *record);
/* The same of an event, decoded: ST_CORRUPT. */
enum status reader_event(const PGresult *answer, int row, int column, uint8_t lane,
			 uint64_t sequence, struct result_event *ev) must_use;
/* What the calendar says of a result, and what another one in its place does. */
void reader_expire(struct result_view *v);
void reader_replace(struct result_view *v, const struct result_view *by);
/*
 * A holding's row has no checksum: it says what the result's own record says of a first-hand
 * holder, and of one that was added later what an event (PG_LIVES) says. h: role, visibility, from,
 * to.
 */
bool reader_holding(const struct stored_result *s, const PGresult *lives, const uint8_t key[16],
		    const struct holding_view *h);
/* Puts the file of r->result together: is it what its digest says? ST_CORRUPT; or a server's. */
enum status reader_file_check(struct store_reader *r, struct slice layers,
			      struct slice body) must_use;

#endif
