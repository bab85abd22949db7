#include "foreign/pdfinside.h"

#include "foreign/fax.h"
#include "foreign/flate.h"
#include "foreign/icc.h"
#include "foreign/jpeg.h"
#include "limits.h"

#define PALETTE_BYTES_MAX 768
#define PREDICTOR_PNG 10		/* and above: each row names its own */

struct image {
	struct pdf *p;
	qpdf_oh dict, parms;		/* parms: of its one filter, or null */
	struct original_image *m;
	struct slice data;
};

static qpdf_oh key(struct image *i, const char *name)
{
	return qpdf_oh_get_key(i->p->q, i->dict, name);
}

static bool is_null(struct image *i, qpdf_oh oh)
{
	return qpdf_oh_is_null(i->p->q, oh);
}

/* A parameter of the filter; absent: `missing`. */
static bool parameter(struct image *i, const char *name, int64_t missing, int64_t *out)
{
	qpdf_oh v = qpdf_oh_get_key_if_dict(i->p->q, i->parms, name);

	*out = missing;
	return is_null(i, v) || pdf_integer(i->p, v, INT32_MIN, INT32_MAX, out);
}

static bool flag(struct image *i, qpdf_oh oh)
{
	return qpdf_oh_is_bool(i->p->q, oh) && qpdf_oh_get_bool_value(i->p->q, oh);
}

static bool flag_of_filter(struct image *i, const char *name, bool missing)
{
	qpdf_oh v = qpdf_oh_get_key_if_dict(i->p->q, i->parms, name);

	return is_null(i, v) ? missing : flag(i, v);
}

/* ---- colour ---- */

/* A small stream that is coded plainly, as a whole; bytes: room for `most`. */
static bool small_stream(struct image *i, qpdf_oh stream, uint8_t *bytes, size_t most,
			 struct slice *out)
{
	qpdf_data q = i->p->q;
	qpdf_oh dict, filter;
	size_t n;

	if (!pdf_stream(i->p, stream, out))
		return false;
	dict = qpdf_oh_get_dict(q, stream);
	filter = pdf_only(i->p, qpdf_oh_get_key(q, dict, "/Filter"));
	if (!is_null(i, qpdf_oh_get_key(q, dict, "/DecodeParms")))
		return false;
	if (is_null(i, filter))
		return true;
	if (!qpdf_oh_is_name_and_equals(q, filter, "/FlateDecode") ||
	    flate_read(*out, bytes, most, &n) != ST_OK)
		return false;
	*out = slice_of(bytes, n);
	return true;
}

static bool profile_is_srgb(struct image *i, qpdf_oh stream, uint8_t n)
{
	size_t before = i->p->arena->used;
	uint8_t *bytes = arena_take(i->p->arena, ICC_BYTES_MAX);
	struct slice profile;
	bool good = bytes != NULL && small_stream(i, stream, bytes, ICC_BYTES_MAX, &profile) &&
		    icc_is_srgb(profile, n);

	i->p->arena->used = before;
	return good;
}

/* Components of a space that sRGB stands for; 0: another one. */
static uint8_t components(struct image *i, qpdf_oh space)
{
	qpdf_data q = i->p->q;
	int64_t n;

	space = pdf_only(i->p, space);
	if (qpdf_oh_is_name_and_equals(q, space, "/DeviceGray"))
		return 1;
	if (qpdf_oh_is_name_and_equals(q, space, "/DeviceRGB"))
		return 3;
	if (!qpdf_oh_is_array(q, space) || qpdf_oh_get_array_n_items(q, space) != 2 ||
	    !qpdf_oh_is_name_and_equals(q, qpdf_oh_get_array_item(q, space, 0), "/ICCBased"))
		return 0;
	space = qpdf_oh_get_array_item(q, space, 1);
	if (!qpdf_oh_is_stream(q, space) ||
	    !pdf_integer(i->p, qpdf_oh_get_key(q, qpdf_oh_get_dict(q, space), "/N"), 1, 3, &n))
		return 0;
	return n != 2 && profile_is_srgb(i, space, (uint8_t)n) ? (uint8_t)n : 0;
}

/* A string, or a stream. */
static bool lookup_table(struct image *i, qpdf_oh table, struct slice *out)
{
	qpdf_data q = i->p->q;
	uint8_t *bytes = arena_take(i->p->arena, PALETTE_BYTES_MAX + 1);
	size_t n;

	if (bytes == NULL)
		return false;
	if (qpdf_oh_is_string(q, table)) {
		const char *text = qpdf_oh_get_binary_string_value(q, table, &n);

		if (n > PALETTE_BYTES_MAX)
			return false;
		memcpy(bytes, text, n);
		*out = slice_of(bytes, n);
		return true;
	}
	return small_stream(i, table, bytes, PALETTE_BYTES_MAX + 1, out);
}

/* [/Indexed base hival table] of RGB; grey ones become triples. */
static bool palette(struct image *i, qpdf_oh space)
{
	qpdf_data q = i->p->q;
	uint8_t *triples = arena_take(i->p->arena, PALETTE_BYTES_MAX);
	struct slice table;
	uint8_t base;
	int64_t last;

	if (triples == NULL || qpdf_oh_get_array_n_items(q, space) != 4)
		return false;
	base = components(i, qpdf_oh_get_array_item(q, space, 1));
	if (base == 0 || !pdf_integer(i->p, qpdf_oh_get_array_item(q, space, 2), 0, 255, &last) ||
	    !lookup_table(i, qpdf_oh_get_array_item(q, space, 3), &table) ||
	    table.n < base * (size_t)(last + 1))
		return false;
	for (int64_t n = 0; n <= last; n++)
		for (int c = 0; c < 3; c++)
			triples[3 * n + c] = table.p[base * n + (base == 3 ? c : 0)];
	i->m->palette = slice_of(triples, 3 * (size_t)(last + 1));
	return true;
}

static bool colour(struct image *i)
{
	qpdf_data q = i->p->q;
	qpdf_oh space = key(i, "/ColorSpace");

	if (qpdf_oh_is_array(q, space) &&
	    qpdf_oh_is_name_and_equals(q, qpdf_oh_get_array_item(q, space, 0), "/Indexed")) {
		i->m->components = 1;
		return palette(i, space);
	}
	i->m->components = components(i, space);
	return i->m->components != 0;
}

/* Absent, as it would be anyway, or turned round in black and white. */
static bool decode(struct image *i, bool *inverted)
{
	double v[6];
	uint32_t n = 2u * i->m->components;

	*inverted = false;
	if (is_null(i, key(i, "/Decode")))
		return true;
	if (!pdf_numbers(i->p, key(i, "/Decode"), n, v))
		return false;
	if (i->m->bits == 1 && i->m->palette.n == 0 && n == 2 && v[0] == 1 && v[1] == 0) {
		*inverted = true;
		return true;
	}
	for (uint32_t k = 0; k < n; k++) {
		double top = i->m->palette.n > 0 ? (1 << i->m->bits) - 1 : 1;

		if (v[k] != (k % 2 == 0 ? 0 : top))
			return false;
	}
	return true;
}

/* ---- the codings ---- */

/* An end of line before `endstream` that its program counted in. */
static void line_end_drop(struct slice *data)
{
	for (int n = 0; n < 2 && data->n > 0 && (data->p[data->n - 1] == '\n' ||
						 data->p[data->n - 1] == '\r'); n++)
		data->n--;
}

static enum reason as_jpeg(struct image *i, uint8_t *wrapped)
{
	struct original_image *m = i->m;
	struct jpeg j;
	int64_t transform;
	enum reason why;

	*wrapped = ORIGINAL_CODING;
	line_end_drop(&i->data);
	why = jpeg_look(i->data, &j, i->p->d);
	if (why != REASON_NONE)
		return why == REASON_ORIGINAL_FORMAT ? REASON_NONE : why;
	m->coding = IMAGE_JPEG;
	if (j.wrapped != ORIGINAL_REBUILT)
		*wrapped = j.wrapped;
	else if (m->palette.n == 0 && m->bits == 8 && j.width == m->width &&
		 j.height == m->height && j.components == m->components &&
		 parameter(i, "/ColorTransform", 1, &transform) && transform == 1)
		*wrapped = ORIGINAL_REBUILT;
	return REASON_NONE;
}

static bool flate_form(struct image *i)
{
	struct original_image *m = i->m;
	int64_t kind, columns, colours, bits;

	if (!parameter(i, "/Predictor", 1, &kind) || !parameter(i, "/Columns", 1, &columns) ||
	    !parameter(i, "/Colors", 1, &colours) ||
	    !parameter(i, "/BitsPerComponent", 8, &bits))
		return false;
	m->coding = kind >= PREDICTOR_PNG ? IMAGE_FLATE_ROWS : IMAGE_FLATE;
	if (m->bits != 1 && m->bits != 2 && m->bits != 4 && m->bits != 8 && m->bits != 16)
		return false;
	if ((m->components == 3 && m->bits < 8) || (m->palette.n > 0 && m->bits > 8))
		return false;
	return kind == 1 || (kind >= PREDICTOR_PNG && kind <= 15 && columns == m->width &&
			     colours == m->components && bits == m->bits);
}

static enum reason image_damaged(struct image *i)
{
	return look_refuse(i->p->d, REASON_ORIGINAL_DAMAGED, "PDF: image, byte %zu",
			   (size_t)(i->data.p - i->p->file.p));
}

/* The rows are there, all of them, and nothing that a reader would not see. */
static enum reason flate_rows(struct image *i, uint8_t *wrapped)
{
	struct original_image *m = i->m;
	struct flate_rows rows = { .n = 1, .filtered = m->coding == IMAGE_FLATE_ROWS };
	struct flate f;
	enum flate_end end;

	rows.parts[0] = (struct flate_part){
		((uint64_t)m->width * m->components * m->bits + 7) / 8, m->height };
	if (flate_bytes(&rows) > i->p->images_left)
		return look_refuse(i->p->d, REASON_ORIGINAL_TOO_LARGE, "PDF: decoded images");
	i->p->images_left -= flate_bytes(&rows);
	if (flate_begin(&f, &rows) != ST_OK)
		return look_refuse(i->p->d, REASON_ORIGINAL_TOO_LARGE, "memory");
	flate_feed(&f, i->data);
	end = flate_finish(&f);
	/* As line_end_drop(), which might take bytes of a checksum. */
	*wrapped = end == FLATE_LONG || f.behind > 2 ? ORIGINAL_CODING : ORIGINAL_REBUILT;
	return end == FLATE_BROKEN || end == FLATE_SHORT ? image_damaged(i) : REASON_NONE;
}

static enum reason as_flate(struct image *i, uint8_t *wrapped)
{
	*wrapped = ORIGINAL_CODING;
	return flate_form(i) ? flate_rows(i, wrapped) : REASON_NONE;
}

/* Group 4, rows as long as the image is wide, ended by EOFB or by their number. */
static bool fax_form(struct image *i)
{
	const struct original_image *m = i->m;
	int64_t k, columns, rows;

	return m->components == 1 && m->bits == 1 && m->palette.n == 0 &&
	       parameter(i, "/K", 0, &k) && k < 0 && parameter(i, "/Columns", 1728, &columns) &&
	       columns == m->width && parameter(i, "/Rows", 0, &rows) &&
	       (rows == 0 || rows == m->height) && !flag_of_filter(i, "/EncodedByteAlign", false) &&
	       !flag_of_filter(i, "/EndOfLine", false) && flag_of_filter(i, "/EndOfBlock", true);
}

static enum reason as_fax(struct image *i, uint8_t *wrapped)
{
	struct original_image *m = i->m;
	enum fax_end end;

	*wrapped = ORIGINAL_CODING;
	if (!fax_form(i))
		return REASON_NONE;
	if (fax_check(i->data, m->width, m->height, i->p->arena, &end) != ST_OK)
		return look_refuse(i->p->d, REASON_ORIGINAL_TOO_LARGE, "memory");
	if (end == FAX_BROKEN || end == FAX_SHORT)
		return image_damaged(i);
	m->coding = IMAGE_FAX;
	m->inverted ^= flag_of_filter(i, "/BlackIs1", false);
	if (end == FAX_WHOLE)
		*wrapped = ORIGINAL_REBUILT;
	return REASON_NONE;
}

/* ---- the image ---- */

/* Masks make a part of it invisible; others show another image in its place. */
static bool is_whole(struct image *i)
{
	static const char *const not[] = { "/SMask", "/Mask", "/OC", "/Alternates", "/OPI" };

	for (size_t n = 0; n < ARRAY_LEN(not); n++)
		if (!is_null(i, key(i, not[n])))
			return false;
	return !flag(i, key(i, "/ImageMask"));
}

static bool measures(struct image *i)
{
	int64_t width, height, bits;

	if (!pdf_integer(i->p, key(i, "/Width"), 1, INT32_MAX, &width) ||
	    !pdf_integer(i->p, key(i, "/Height"), 1, INT32_MAX, &height) ||
	    !pdf_integer(i->p, key(i, "/BitsPerComponent"), 1, 16, &bits))
		return false;
	i->m->width = (uint32_t)width;
	i->m->height = (uint32_t)height;
	i->m->bits = (uint8_t)bits;
	return true;
}

static enum reason by_filter(struct image *i, uint8_t *wrapped)
{
	qpdf_data q = i->p->q;
	qpdf_oh filter = pdf_only(i->p, key(i, "/Filter"));

	i->parms = pdf_only(i->p, key(i, "/DecodeParms"));
	if (qpdf_oh_is_name_and_equals(q, filter, "/DCTDecode"))
		return as_jpeg(i, wrapped);
	if (qpdf_oh_is_name_and_equals(q, filter, "/FlateDecode"))
		return as_flate(i, wrapped);
	if (qpdf_oh_is_name_and_equals(q, filter, "/CCITTFaxDecode"))
		return as_fax(i, wrapped);
	*wrapped = ORIGINAL_CODING;
	return REASON_NONE;
}

static enum reason run_take(struct image *i)
{
	struct original_image *m = i->m;

	m->runs = arena_take(i->p->arena, sizeof(*m->runs));
	if (m->runs == NULL)
		return look_refuse(i->p->d, REASON_ORIGINAL_TOO_LARGE, "memory");
	m->runs_n = 1;
	m->runs[0] = (struct original_run){ (uint32_t)(i->data.p - i->p->file.p),
					    (uint32_t)i->data.n };
	return REASON_NONE;
}

enum reason pdf_image(struct pdf *p, qpdf_oh image, struct original_image *m, uint8_t *wrapped)
{
	struct image i = { .p = p, .dict = qpdf_oh_get_dict(p->q, image), .m = m };
	enum reason why;
	bool inverted;

	*wrapped = ORIGINAL_NOT_IMAGES;
	if (!is_whole(&i) || !measures(&i))
		return REASON_NONE;
	why = look_sides(m->width, m->height, p->d);
	if (why != REASON_NONE)
		return why;
	*wrapped = ORIGINAL_COLOUR;
	if (!colour(&i) || !decode(&i, &inverted))
		return REASON_NONE;
	m->inverted = inverted;
	*wrapped = ORIGINAL_CODING;
	if (!pdf_stream(p, image, &i.data) || i.data.n == 0)
		return REASON_NONE;
	why = by_filter(&i, wrapped);
	return why == REASON_NONE && *wrapped == ORIGINAL_REBUILT ? run_take(&i) : why;
}
