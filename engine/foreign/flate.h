/*
 * flate.h - is a zlib stream (RFC 1950) whole, and does it hold exactly the rows that it should?
 *
 * What comes out is counted and forgotten, a window at a time: a bomb costs its own time up to the
 * rows that its image declares, and no memory.
 */
#ifndef TRIEN_FOREIGN_FLATE_H
#define TRIEN_FOREIGN_FLATE_H

#include <zlib.h>

#include "foreign/look.h"

#define FLATE_PARTS_MAX 7		/* passes of an interlaced PNG */

/* row_bytes: without the byte that names the row's filter. */
struct flate_part { uint64_t row_bytes; uint32_t rows; };

struct flate_rows {
	struct flate_part parts[FLATE_PARTS_MAX];	/* none of them empty */
	uint32_t n;
	bool filtered;			/* each row begins with its PNG filter, 0 … 4 */
};

enum flate_end {
	FLATE_WHOLE,
	FLATE_BROKEN,			/* no zlib stream, wrong checksum, a filter that is none */
	FLATE_SHORT,			/* fewer rows, or cut off */
	FLATE_LONG,			/* more than the rows */
};

struct flate {
	struct flate_rows rows;
	z_stream z;
	uint32_t part, row;		/* where it stands, */
	uint64_t left;			/* and what that row still lacks */
	bool ended;
	enum flate_end end;		/* so far */
	uint64_t behind;		/* bytes fed after the stream's own end */
};

/* Bytes that the rows are, filters included. */
uint64_t flate_bytes(const struct flate_rows *rows);
/* ST_NOMEM. */
enum status flate_begin(struct flate *f, const struct flate_rows *rows) must_use;
/* In order; once it is not FLATE_WHOLE the rest is ignored. */
void flate_feed(struct flate *f, struct slice in);
enum flate_end flate_finish(struct flate *f);

/* How much comes out, as far as `most`: FLATE_LONG beyond. *n: so far. ST_NOMEM. */
enum status flate_count(struct slice in, uint64_t most, uint64_t *n, enum flate_end *end) must_use;

/* A small stream as a whole. ST_TOO_LARGE: does not fit; ST_CORRUPT; ST_NOMEM. */
enum status flate_read(struct slice in, uint8_t *out, size_t out_max, size_t *n) must_use;

#endif
