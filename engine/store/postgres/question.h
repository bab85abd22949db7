/*
 * question.h - the parameters of one statement, and the columns of its answer, in PostgreSQL's
 * binary form (numbers big-endian). Inside store/postgres only.
 */
#ifndef TRIEN_STORE_POSTGRES_QUESTION_H
#define TRIEN_STORE_POSTGRES_QUESTION_H

#include <libpq-fe.h>

#include "base/bytes.h"
#include "store/postgres/statements.h"

#define PG_PARAMS_MAX 10

/* Parameters in their order. Points into itself: it is filled where it stays. */
struct pg_question {
	enum pg_statement which;
	int n;
	const char *values[PG_PARAMS_MAX];
	int lengths[PG_PARAMS_MAX];
	uint8_t numbers[PG_PARAMS_MAX][8];
};

void pg_question(struct pg_question *q, enum pg_statement which);
void pg_int2(struct pg_question *q, int16_t v);
void pg_int4(struct pg_question *q, int32_t v);
void pg_int8(struct pg_question *q, int64_t v);
void pg_stamp(struct pg_question *q, int64_t unix_ms);
/* bytea, text or an array; borrowed. An empty one is no NULL. */
void pg_bytes(struct pg_question *q, struct slice s);

/* An array of one dimension, written into w: begun, one element after the other, ended. */
struct pg_array { struct writer *w; uint8_t *head; uint32_t n; };
enum pg_type { PG_BYTEA = 17, PG_INT8 = 20, PG_INT2 = 21, PG_INT4 = 23, PG_TEXT = 25,
	       PG_TIME = 1184 };
#define PG_ARRAY_BYTES 20	/* before its elements; each has 4 bytes before it */

struct pg_array pg_array(struct writer *w, enum pg_type type);
void pg_array_int2(struct pg_array *a, int16_t v);
void pg_array_int4(struct pg_array *a, int32_t v);
void pg_array_int8(struct pg_array *a, int64_t v);
void pg_array_stamp(struct pg_array *a, int64_t unix_ms);
void pg_array_bytes(struct pg_array *a, struct slice s);
struct slice pg_array_end(struct pg_array *a);

/* A column: 0 or empty where it is NULL or of another width. Borrowed from the answer. */
int64_t pg_number(const PGresult *answer, int row, int column);
struct slice pg_column(const PGresult *answer, int row, int column);

#endif
