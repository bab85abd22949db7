#include "foreign/flate.h"

#define WINDOW_BYTES (64 * 1024)
#define FILTER_MAX 4
#define FEED_BYTES_MAX (1u << 30)	/* zlib counts in 32 bits */

uint64_t flate_bytes(const struct flate_rows *rows)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < rows->n; i++)
		n += (rows->parts[i].row_bytes + rows->filtered) * rows->parts[i].rows;
	return n;
}

enum status flate_begin(struct flate *f, const struct flate_rows *rows)
{
	*f = (struct flate){ .rows = *rows };
	return inflateInit(&f->z) == Z_OK ? ST_OK : ST_NOMEM;
}

/* The first byte of a row names its filter. */
static bool row_begins(struct flate *f, uint8_t filter)
{
	f->left = f->rows.parts[f->part].row_bytes + f->rows.filtered;
	return !f->rows.filtered || filter <= FILTER_MAX;
}

static void row_ends(struct flate *f)
{
	if (++f->row == f->rows.parts[f->part].rows) {
		f->row = 0;
		f->part++;
	}
}

static enum flate_end count(struct flate *f, const uint8_t *p, size_t n)
{
	while (n > 0) {
		size_t step;

		if (f->left == 0) {
			if (f->part == f->rows.n)
				return FLATE_LONG;
			if (!row_begins(f, *p))
				return FLATE_BROKEN;
		}
		step = f->left < n ? (size_t)f->left : n;
		f->left -= step;
		p += step;
		n -= step;
		if (f->left == 0)
			row_ends(f);
	}
	return FLATE_WHOLE;
}

static void feed(struct flate *f, struct slice in)
{
	uint8_t window[WINDOW_BYTES];
	int rc = Z_OK;

	f->z.next_in = (uint8_t *)in.p;
	f->z.avail_in = (uInt)in.n;
	while (f->end == FLATE_WHOLE && !f->ended && rc == Z_OK) {
		f->z.next_out = window;
		f->z.avail_out = sizeof(window);
		rc = inflate(&f->z, Z_NO_FLUSH);
		if (rc == Z_BUF_ERROR)
			break;		/* it wants more */
		if (rc != Z_OK && rc != Z_STREAM_END)
			f->end = FLATE_BROKEN;
		else
			f->end = count(f, window, sizeof(window) - f->z.avail_out);
		f->ended = rc == Z_STREAM_END;
	}
	if (f->ended)
		f->behind += f->z.avail_in;
}

void flate_feed(struct flate *f, struct slice in)
{
	while (in.n > 0 && f->end == FLATE_WHOLE) {
		size_t n = in.n < FEED_BYTES_MAX ? in.n : FEED_BYTES_MAX;

		if (f->ended)
			f->behind += n;
		else
			feed(f, slice_of(in.p, n));
		in = slice_of(in.p + n, in.n - n);
	}
}

enum flate_end flate_finish(struct flate *f)
{
	inflateEnd(&f->z);
	if (f->end == FLATE_WHOLE && (!f->ended || f->part < f->rows.n))
		f->end = FLATE_SHORT;
	return f->end;
}

enum status flate_count(struct slice in, uint64_t most, uint64_t *n, enum flate_end *end)
{
	uint8_t window[WINDOW_BYTES];
	z_stream z = { .next_in = (uint8_t *)in.p, .avail_in = (uInt)in.n };
	int rc = Z_OK;

	*n = 0;
	if (in.n > FEED_BYTES_MAX || inflateInit(&z) != Z_OK)
		return ST_NOMEM;
	while (rc == Z_OK && *n <= most) {
		z.next_out = window;
		z.avail_out = sizeof(window);
		rc = inflate(&z, Z_NO_FLUSH);
		*n += sizeof(window) - z.avail_out;
	}
	inflateEnd(&z);
	*end = *n > most ? FLATE_LONG : rc == Z_STREAM_END ? FLATE_WHOLE :
	       rc == Z_BUF_ERROR ? FLATE_SHORT : FLATE_BROKEN;
	return ST_OK;
}

enum status flate_read(struct slice in, uint8_t *out, size_t out_max, size_t *n)
{
	z_stream z = { .next_in = (uint8_t *)in.p, .avail_in = (uInt)in.n, .next_out = out,
		       .avail_out = (uInt)out_max };
	int rc;

	*n = 0;
	if (in.n > FEED_BYTES_MAX || out_max > FEED_BYTES_MAX)
		return ST_TOO_LARGE;
	if (inflateInit(&z) != Z_OK)
		return ST_NOMEM;
	rc = inflate(&z, Z_FINISH);
	*n = out_max - z.avail_out;
	inflateEnd(&z);
	if (rc == Z_STREAM_END)
		return ST_OK;
	return rc == Z_BUF_ERROR && z.avail_out == 0 && z.avail_in > 0 ? ST_TOO_LARGE :
		ST_CORRUPT;
}
