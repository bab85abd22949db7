#include "foreign/pdfrows.h"

#include "foreign/flate.h"
#include "foreign/pdflex.h"

#define FIELD_BYTES_MAX 8
#define ROW_BYTES_MAX (3 * FIELD_BYTES_MAX)

/* Undoes the PNG filters in place (ISO/IEC 15948, 9.2), with one byte a sample. */
static bool unfilter(uint8_t *p, uint32_t row, uint64_t rows)
{
	static const uint8_t zero[ROW_BYTES_MAX];
	const uint8_t *above = zero;

	for (uint64_t y = 0; y < rows; y++) {
		uint8_t *line = p + y * (row + 1) + 1, filter = line[-1];

		for (uint32_t x = 0; x < row; x++) {
			int a = x > 0 ? line[x - 1] : 0, b = above[x], c = x > 0 ? above[x - 1] : 0;
			int pa = b > c ? b - c : c - b, pb = a > c ? a - c : c - a;
			int pc = a + b - 2 * c;
			int paeth;

			if (pc < 0)
				pc = -pc;
			paeth = pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
			line[x] = (uint8_t)(line[x] + (filter == 1 ? a : filter == 2 ? b :
				filter == 3 ? (a + b) / 2 : filter == 4 ? paeth : 0));
		}
		if (filter > 4)
			return false;
		above = line;
	}
	return true;
}

/* What the filter dictionary of a cross-reference stream says: none, or a PNG predictor. */
static bool predictor(struct slice dict, uint32_t width, bool *filtered)
{
	struct pdf_word word;
	struct reader left;
	struct slice parms;
	int64_t kind, columns, colours, bits;

	*filtered = false;
	if (!pdf_find(dict, "DecodeParms", &word, &left) || pdf_is(word.text, "null"))
		return true;
	if (word.type == PDF_ARRAY)
		pdf_next(&left, &word);
	left = (struct reader){ word.text.p, dict.p + dict.n, false };
	if (word.type != PDF_DICT || !pdf_expect_dict(&left, &parms) ||
	    !pdf_find_integer(parms, "Predictor", 15, 1, &kind) ||
	    !pdf_find_integer(parms, "Columns", INT32_MAX, 1, &columns) ||
	    !pdf_find_integer(parms, "Colors", 4, 1, &colours) ||
	    !pdf_find_integer(parms, "BitsPerComponent", 16, 8, &bits))
		return false;
	*filtered = kind >= 10;
	return kind == 1 || (kind >= 10 && columns == width && colours == 1 && bits == 8);
}

bool pdf_rows_form(struct slice dict, struct pdf_rows *rows)
{
	struct pdf_word word;
	struct reader left;
	int64_t n;

	*rows = (struct pdf_rows){ .width = 0 };
	if (!pdf_find(dict, "W", &word, &left) || word.type != PDF_ARRAY)
		return false;
	for (int i = 0; i < 3; i++) {
		if (!pdf_expect_integer(&left, FIELD_BYTES_MAX, &n))
			return false;
		rows->widths[i] = (uint32_t)n;
		rows->width += (uint32_t)n;
	}
	return rows->width > 0 && rows->widths[1] > 0;
}

static bool filter_is_flate(struct slice dict, bool *none)
{
	struct pdf_word word, end;
	struct reader left;

	*none = !pdf_find(dict, "Filter", &word, &left);
	if (*none)
		return true;
	if (word.type == PDF_ARRAY) {
		pdf_next(&left, &word);
		pdf_next(&left, &end);
		if (end.type != PDF_ARRAY_END)
			return false;
	}
	return word.type == PDF_NAME && pdf_is(word.text, "FlateDecode");
}

enum status pdf_rows_read(struct slice dict, struct slice data, uint64_t n, struct arena *a,
			  struct pdf_rows *rows)
{
	bool none, filtered = false;
	uint64_t bytes;
	uint8_t *out;
	size_t got;

	if (!filter_is_flate(dict, &none) || (!none && !predictor(dict, rows->width, &filtered)))
		return ST_CORRUPT;
	bytes = n * (rows->width + filtered);
	if (none) {
		rows->bytes = data;
		return data.n >= bytes ? ST_OK : ST_CORRUPT;
	}
	/* One byte of room: more rows than it says are seen as such. */
	out = arena_take(a, bytes + 1);
	if (out == NULL)
		return ST_TOO_LARGE;
	if (flate_read(data, out, bytes + 1, &got) != ST_OK || got != bytes ||
	    (filtered && !unfilter(out, rows->width, n)))
		return ST_CORRUPT;
	rows->bytes = slice_of(out, bytes);
	rows->width += filtered;
	return ST_OK;
}
