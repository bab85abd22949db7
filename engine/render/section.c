#include "render/press.h"

/* A section being written: text since text_at belongs to no run yet. */
struct writing {
	struct section *s;
	struct writer *w;
	uint32_t text_at;		/* in the body */
	uint32_t file_at;		/* of text_at in the file */
};

struct section *section_take(const struct press *p, struct arena *a)
{
	const struct original *o = p->original;
	struct section *s = arena_take(a, sizeof(*s));
	size_t n = o->images_n + 3u;	/* a text before each image, around the whole */

	for (uint16_t i = 0; i < o->images_n; i++)
		n += o->images[i].runs_n;
	if (s == NULL)
		return NULL;
	*s = (struct section){ .runs = arena_take(a, n * sizeof(*s->runs)) };
	memcpy(s->sha256, o->sha256, SHA256_BYTES);
	return s->runs != NULL ? s : NULL;
}

uint32_t section_image(const struct press *p, uint32_t i)
{
	return p->t->object_page + 2 * (p->images_n + p->pages) + i;
}

static void add_run(struct writing *t, bool original, uint32_t offset, uint32_t size)
{
	if (size == 0)
		return;
	t->s->runs[t->s->runs_n++] = (struct section_run){ original, offset, size };
	t->s->size += size;
	t->file_at += size;
}

static void end_text(struct writing *t)
{
	uint32_t at = (uint32_t)writer_size(t->w);

	add_run(t, false, t->text_at, at - t->text_at);
	t->text_at = at;
}

static void add_original(struct writing *t, uint32_t offset, uint32_t size)
{
	end_text(t);
	add_run(t, true, offset, size);
}

static uint32_t begin(struct writing *t, uint32_t number)
{
	uint32_t at = t->file_at + (uint32_t)writer_size(t->w) - t->text_at;

	write_number(t->w, number);
	write_str(t->w, " 0 obj\n<<");
	return at;
}

static void entry(struct writer *w, const char *key, uint32_t v)
{
	write_str(w, key);
	write_number(w, v);
}

static void begin_data(struct writing *t, uint32_t size)
{
	entry(t->w, "/Length ", size);
	write_str(t->w, ">>\nstream\n");
}

static void end_data(struct writing *t)
{
	write_str(t->w, "\nendstream\nendobj\n");
}

/* ---- images ---- */

/* sRGB of the output intent holds all of them (ISO 19005-3, 6.2.4.3). */
static void colour_space(struct writer *w, const struct original_image *m)
{
	if (m->palette.n == 0) {
		write_str(w, m->components == 3 ? "/ColorSpace/DeviceRGB" :
			  "/ColorSpace/DeviceGray");
		return;
	}
	entry(w, "/ColorSpace[/Indexed/DeviceRGB ", (uint32_t)m->palette.n / 3 - 1);
	write_u8(w, '<');
	if (w->bad || 2 * m->palette.n > (size_t)(w->end - w->p)) {
		w->bad = true;
		return;
	}
	hex_upper((char *)w->p, m->palette.p, m->palette.n);
	w->p += 2 * m->palette.n;
	write_str(w, ">]");
}

static void filter(struct writer *w, const struct original_image *m)
{
	switch (m->coding) {
	case IMAGE_JPEG:
		write_str(w, "/Filter/DCTDecode");
		break;
	case IMAGE_FLATE:
		write_str(w, "/Filter/FlateDecode");
		break;
	case IMAGE_FLATE_ROWS:
		entry(w, "/Filter/FlateDecode/DecodeParms<</Predictor 15/Colors ", m->components);
		entry(w, "/BitsPerComponent ", m->bits);
		entry(w, "/Columns ", m->width);
		write_str(w, ">>");
		break;
	case IMAGE_FAX:
		entry(w, "/Filter/CCITTFaxDecode/DecodeParms<</K -1/Columns ", m->width);
		entry(w, "/Rows ", m->height);
		write_str(w, m->inverted ? "/BlackIs1 true>>" : ">>");
		break;
	}
	if (m->inverted && m->coding != IMAGE_FAX)
		write_str(w, "/Decode[1 0]");
}

static void image(struct writing *t, const struct original_image *m)
{
	struct writer *w = t->w;
	uint32_t size = 0;

	for (uint16_t i = 0; i < m->runs_n; i++)
		size += m->runs[i].size;
	entry(w, "/Type/XObject/Subtype/Image/Width ", m->width);
	entry(w, "/Height ", m->height);
	entry(w, "/BitsPerComponent ", m->bits);
	colour_space(w, m);
	filter(w, m);
	begin_data(t, size);
	for (uint16_t i = 0; i < m->runs_n; i++)
		add_original(t, m->runs[i].offset, m->runs[i].size);
	end_data(t);
}

void section_write(struct press *p, struct section *s, struct writer *w)
{
	const struct original *o = p->original;
	struct writing t = { .s = s, .w = w, .file_at = p->t->view.prefix_size };

	for (uint16_t i = 0; i < o->images_n; i++) {
		p->images_at[i] = begin(&t, section_image(p, i));
		image(&t, &o->images[i]);
	}
	p->original_at = begin(&t, p->t->object_original);
	write_str(w, "/Type/EmbeddedFile/Subtype/");
	write_str(w, original_mime(o));
	entry(w, "/Params<</Size ", o->size);
	write_str(w, ">>");
	begin_data(&t, o->size);
	add_original(&t, 0, o->size);
	end_data(&t);
	end_text(&t);
}

/* ---- its pages ---- */

/*
 * From the image's unit square, its first row at the top, to the shown one: where the first row and
 * the first column are shown (EXIF 2.3, 4.6.4 A, Orientation).
 */
static const struct { int8_t a, b, c, d, e, f; } turns[9] = {
	[1] = { 1, 0, 0, 1, 0, 0 },	/* row at the top, column at the left */
	[2] = { -1, 0, 0, 1, 1, 0 },	/* top, right */
	[3] = { -1, 0, 0, -1, 1, 1 },	/* bottom, right */
	[4] = { 1, 0, 0, -1, 0, 1 },	/* bottom, left */
	[5] = { 0, -1, -1, 0, 1, 1 },	/* left, top */
	[6] = { 0, -1, 1, 0, 0, 1 },	/* right, top */
	[7] = { 0, 1, 1, 0, 0, 0 },	/* right, bottom */
	[8] = { 0, 1, -1, 0, 1, 0 },	/* left, bottom */
};

static void write_matrix(struct writer *w, const int32_t m[6])
{
	for (int i = 0; i < 6; i++) {
		write_cpt(w, m[i]);
		write_u8(w, ' ');
	}
	write_str(w, "cm");
}

/* The line that says what the document is not: of an A4 page, made as wide as this page. */
static void mark(const struct original_image *m, struct writer *w)
{
	/* It stands in the uppermost 30 pt: half of a low page is enough. In hundredths. */
	int32_t width = scan_side(m->page_width), height = scan_side(m->page_height);
	int32_t wide = width * 100 / PAGE_WIDTH, low = height / 60;
	int32_t scale = wide < low ? wide : low;
	int32_t x, y;

	if (scale == 0)
		scale = 1;
	x = (width - PAGE_WIDTH * scale / 100) / 2;
	y = height - PAGE_HEIGHT * scale / 100;
	write_str(w, "q ");
	write_cpt(w, scale);
	write_str(w, " 0 0 ");
	write_cpt(w, scale);
	write_u8(w, ' ');
	write_cpt(w, x);
	write_u8(w, ' ');
	write_cpt(w, y);
	write_str(w, " cm/M Do Q\n");
}

void scan_content(const struct press *p, uint32_t i, struct writer *w)
{
	const struct original_image *m = &p->original->images[i];
	int32_t x = (int32_t)m->shown_width, y = (int32_t)m->shown_height;
	int32_t matrix[6] = {
		turns[m->orientation].a * x, turns[m->orientation].b * y,
		turns[m->orientation].c * x, turns[m->orientation].d * y,
		turns[m->orientation].e * x + m->x, turns[m->orientation].f * y + m->y
	};

	write_str(w, "q ");
	write_matrix(w, matrix);
	write_str(w, "/I Do Q\n");
	if (p->t->marked)
		mark(m, w);
}
