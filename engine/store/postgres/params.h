/*
 * params.h - a statement's parameters in PostgreSQL's binary form, most of them arrays: one value a
 * row. Inside store/postgres only.
 *
 *	array	i32 dimensions = 1, i32 has nulls = 0, u32 element type, i32 n, i32 lower bound = 1,
 *		then each value: i32 size, bytes; all big-endian (array_recv())
 *
 * The buffer is made again larger where it does not suffice and kept for the next statement. A
 * failed call sets `bad`; later ones do nothing.
 */
#ifndef TRIEN_STORE_POSTGRES_PARAMS_H
#define TRIEN_STORE_POSTGRES_PARAMS_H

#include "base/bytes.h"

#define PG_WRITE_PARAMS_MAX 15

/* Types by the numbers that PostgreSQL gives them for ever (pg_type.dat). */
enum pg_oid { PG_OID_BYTEA = 17, PG_OID_INT8 = 20, PG_OID_INT2 = 21, PG_OID_INT4 = 23,
	      PG_OID_TEXT = 25, PG_OID_TIMESTAMPTZ = 1184 };

struct pg_params {
	uint8_t *buf;
	size_t used, room;
	bool bad;			/* no memory, or more than a message holds */
	int n;
	size_t at[PG_WRITE_PARAMS_MAX];	/* where each begins */
	/* set by pg_params_end() */
	const char *values[PG_WRITE_PARAMS_MAX];
	int sizes[PG_WRITE_PARAMS_MAX];
	int formats[PG_WRITE_PARAMS_MAX];	/* all binary */
};

void pg_params_begin(struct pg_params *p);
void pg_params_free(struct pg_params *p);
/* The next parameter is an array of n values, which follow; n > 0. */
void pg_params_array(struct pg_params *p, enum pg_oid element, uint32_t n);
void pg_params_i16(struct pg_params *p, int16_t v);
void pg_params_i32(struct pg_params *p, int32_t v);
void pg_params_i64(struct pg_params *p, int64_t v);
void pg_params_bytes(struct pg_params *p, struct slice v);
/* The next parameter is one value. */
void pg_params_one_i16(struct pg_params *p, int16_t v);
void pg_params_one_i32(struct pg_params *p, int32_t v);
/* False: bad. */
bool pg_params_end(struct pg_params *p);

#endif
