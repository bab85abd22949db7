#include <stdlib.h>
#include <zlib.h>

#include "verify/anyfile.h"
#include "verify/revision.h"

#define CHUNK_BYTES (256u * 1024)
#define COLUMNS_MAX 65536

/* Keeps p as long as a. */
static bool keep(struct any *a, uint8_t *p)
{
	if (a->buffers_n == a->buffers_room) {
		uint32_t room = a->buffers_room == 0 ? 64 : 2 * a->buffers_room;
		uint8_t **more = realloc(a->buffers, room * sizeof(*more));

		if (more == NULL)
			return false;
		a->buffers = more;
		a->buffers_room = room;
	}
	a->buffers[a->buffers_n++] = p;
	return true;
}

/* The whole stream, no byte behind it but an end of line. */
static enum status inflate_all(struct any *a, struct slice in, uint8_t **out, size_t *n,
			       struct finding *f)
{
	z_stream z = { .next_in = (Bytef *)in.p, .avail_in = (uInt)in.n };
	size_t room = 0;
	int rc = Z_OK;

	*out = NULL;
	*n = 0;
	if (inflateInit(&z) != Z_OK)
		return ST_NOMEM;
	while (rc == Z_OK) {
		if (*n == room) {
			uint8_t *more = a->inflated + room + CHUNK_BYTES > ANY_INFLATED_BYTES_MAX ?
					NULL : realloc(*out, room + CHUNK_BYTES);

			if (more == NULL)
				break;
			*out = more;
			room += CHUNK_BYTES;
		}
		z.next_out = *out + *n;
		z.avail_out = (uInt)(room - *n);
		rc = inflate(&z, Z_NO_FLUSH);
		*n = room - z.avail_out;
	}
	inflateEnd(&z);
	a->inflated += room;
	if (rc == Z_STREAM_END && z.avail_in <= 2)
		return ST_OK;
	return rc == Z_OK ? pdf_foreign(f, "object and cross-reference streams are larger than %u "
					"bytes", ANY_INFLATED_BYTES_MAX) :
			    pdf_bad(f, "an object or cross-reference stream is damaged");
}

static uint8_t paeth(int left, int above, int corner)
{
	int p = left + above - corner, l = abs(p - left), u = abs(p - above), c = abs(p - corner);

	return (uint8_t)(l <= u && l <= c ? left : u <= c ? above : corner);
}

/* PNG prediction (ISO 32000-1, 7.4.4.4) undone in place; rows lose their first byte. */
static bool unpredict(uint8_t *p, size_t *n, size_t columns)
{
	size_t rows = *n / (columns + 1);
	uint8_t *out = p;

	if (*n % (columns + 1) != 0)
		return false;
	for (size_t i = 0; i < rows; i++) {
		const uint8_t *in = p + i * (columns + 1);
		const uint8_t *above = i == 0 ? NULL : out - columns;
		uint8_t filter = *in++;

		if (filter > 4)
			return false;
		for (size_t k = 0; k < columns; k++) {
			uint8_t l = k > 0 ? out[k - 1] : 0, u = above != NULL ? above[k] : 0;
			uint8_t c = k > 0 && above != NULL ? above[k - 1] : 0;
			uint8_t add[] = { 0, l, u, (uint8_t)((l + u) / 2), paeth(l, u, c) };

			out[k] = (uint8_t)(in[k] + add[filter]);
		}
		out += columns;
	}
	*n = rows * columns;
	return true;
}

/* A name, or an array of it alone. */
static struct value only(struct value v)
{
	struct reader r = array_elements(v);
	struct value one = v, more;

	if (v.type == VALUE_ARRAY && (!array_next(&r, &one) || array_next(&r, &more)))
		one.type = VALUE_BAD;
	return one;
}

static enum status predicted(struct value dict, uint8_t *p, size_t *n, struct finding *f)
{
	struct value parms = only(dict_get(dict, "/DecodeParms"));
	uint64_t predictor = 1, columns = 1, other;

	if (parms.type == VALUE_BAD || parms.type == VALUE_KEYWORD)
		return ST_OK;
	if (parms.type != VALUE_DICT ||
	    (value_uint(dict_get(parms, "/Colors"), &other) && other != 1) ||
	    (value_uint(dict_get(parms, "/BitsPerComponent"), &other) && other != 8))
		return pdf_foreign(f, "a stream is coded in a way that is not known");
	value_uint(dict_get(parms, "/Predictor"), &predictor);
	value_uint(dict_get(parms, "/Columns"), &columns);
	if (predictor == 1)
		return ST_OK;
	if (predictor < 10 || predictor > 15 || columns == 0 || columns > COLUMNS_MAX)
		return pdf_foreign(f, "a stream is coded in a way that is not known");
	return unpredict(p, n, columns) ? ST_OK :
		pdf_bad(f, "an object or cross-reference stream is damaged");
}

enum status any_inflate(struct any *a, struct value dict, struct slice data, struct slice *out,
			struct finding *f)
{
	struct value filter = only(dict_get(dict, "/Filter"));
	uint8_t *p = NULL;
	size_t n = 0;
	enum status st;

	if (dict_get(dict, "/Filter").type == VALUE_BAD) {
		*out = data;
		return ST_OK;
	}
	if (!value_is(filter, VALUE_NAME, "/FlateDecode") || data.n > UINT32_MAX)
		return pdf_foreign(f, "a stream is coded in a way that is not known");
	st = inflate_all(a, data, &p, &n, f);
	if (st == ST_OK)
		st = predicted(dict, p, &n, f);
	if (st == ST_OK && !keep(a, p))
		st = ST_NOMEM;
	if (st == ST_OK)
		*out = slice_of(p, n);
	else
		free(p);
	return st;
}
