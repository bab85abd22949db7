#include "original.h"

#include "limits.h"

#define PALETTE_BYTES_MAX 768
#define IMAGE_BYTES_MIN 45		/* of one image without palette and runs */
#define SOURCE_FOLLOWS 128		/* of what is wrapped */
#define SIDE_MAX (1u << 20)		/* samples, cpt: products stay far within 64 bits */

static void write_image(const struct original_image *m, struct writer *w)
{
	write_u32(w, m->width);
	write_u32(w, m->height);
	write_u8(w, m->coding);
	write_u8(w, m->components);
	write_u8(w, m->bits);
	write_u8(w, m->orientation);
	write_u8(w, m->inverted);
	write_u32(w, m->page_width);
	write_u32(w, m->page_height);
	write_u32(w, (uint32_t)m->x);
	write_u32(w, (uint32_t)m->y);
	write_u32(w, m->shown_width);
	write_u32(w, m->shown_height);
	write_u16(w, (uint16_t)m->palette.n);
	write_bytes(w, m->palette.p, m->palette.n);
	write_u16(w, m->runs_n);
	for (uint16_t i = 0; i < m->runs_n; i++) {
		write_u32(w, m->runs[i].offset);
		write_u32(w, m->runs[i].size);
	}
}

void original_write(const struct original *o, struct writer *w)
{
	const struct original_source *s = o->source;

	write_u8(w, o->format);
	write_u8(w, o->wrapped | (s != NULL ? SOURCE_FOLLOWS : 0));
	write_u32(w, o->size);
	write_bytes(w, o->sha256, SHA256_BYTES);
	write_u16(w, o->pages);
	write_u16(w, o->images_n);
	for (uint16_t i = 0; i < o->images_n; i++)
		write_image(&o->images[i], w);
	if (s == NULL)
		return;
	write_bytes(w, s->id, sizeof(s->id));
	write_u16(w, (uint16_t)s->corrected.n);
	write_bytes(w, s->corrected.p, s->corrected.n);
	write_u32(w, s->corrected_day);
}

static enum status read_runs(const struct original *o, struct original_image *m, struct reader *r,
			     struct arena *a)
{
	m->runs_n = read_u16(r);
	if (r->bad || m->runs_n == 0 || m->runs_n > reader_left(r) / 8)
		return ST_CORRUPT;
	m->runs = arena_take(a, m->runs_n * sizeof(*m->runs));
	if (m->runs == NULL)
		return ST_TOO_LARGE;
	for (uint16_t i = 0; i < m->runs_n; i++) {
		struct original_run *run = &m->runs[i];

		run->offset = read_u32(r);
		run->size = read_u32(r);
		if (run->size == 0 || run->offset > o->size || run->size > o->size - run->offset)
			return ST_CORRUPT;
	}
	return ST_OK;
}

static bool bits_fit(const struct original_image *m)
{
	switch (m->coding) {
	case IMAGE_JPEG:
		return m->bits == 8 && m->palette.n == 0;
	case IMAGE_FAX:
		return m->bits == 1 && m->components == 1 && m->palette.n == 0;
	default:
		return (m->bits == 8 || m->bits == 16 ||
			(m->components == 1 && (m->bits == 1 || m->bits == 2 || m->bits == 4))) &&
		       (m->palette.n == 0 || (m->components == 1 && m->bits <= 8));
	}
}

static bool side_fits(uint32_t v)
{
	return v > 0 && v <= SIDE_MAX;
}

/* What render relies on. */
static bool image_fits(const struct original_image *m)
{
	return side_fits(m->width) && side_fits(m->height) && side_fits(m->page_width) &&
	       side_fits(m->page_height) && side_fits(m->shown_width) &&
	       side_fits(m->shown_height) && m->x >= -(int32_t)SIDE_MAX &&
	       m->x <= (int32_t)SIDE_MAX && m->y >= -(int32_t)SIDE_MAX &&
	       m->y <= (int32_t)SIDE_MAX && m->coding >= IMAGE_JPEG &&
	       m->coding < IMAGE_CODING_COUNT && (m->components == 1 || m->components == 3) &&
	       m->orientation >= 1 && m->orientation <= 8 && m->palette.n % 3 == 0 &&
	       m->palette.n <= PALETTE_BYTES_MAX && bits_fit(m) &&
	       (!m->inverted || (m->bits == 1 && m->components == 1 && m->palette.n == 0));
}

static enum status read_image(const struct original *o, struct original_image *m, struct reader *r,
			      struct arena *a)
{
	uint8_t inverted;

	m->width = read_u32(r);
	m->height = read_u32(r);
	m->coding = read_u8(r);
	m->components = read_u8(r);
	m->bits = read_u8(r);
	m->orientation = read_u8(r);
	inverted = read_u8(r);
	m->inverted = inverted != 0;
	m->page_width = read_u32(r);
	m->page_height = read_u32(r);
	m->x = (int32_t)read_u32(r);
	m->y = (int32_t)read_u32(r);
	m->shown_width = read_u32(r);
	m->shown_height = read_u32(r);
	m->palette = read_bytes(r, read_u16(r));
	if (r->bad || inverted > 1 || !image_fits(m))
		return ST_CORRUPT;
	return read_runs(o, m, r, a);
}

static bool original_fits(const struct original *o)
{
	if (o->format < ORIGINAL_JPEG || o->format >= ORIGINAL_FORMAT_COUNT ||
	    o->wrapped >= ORIGINAL_WRAPPED_COUNT || o->size == 0 || o->size > ORIGINAL_BYTES_MAX)
		return false;
	if (o->wrapped != ORIGINAL_REBUILT)
		return o->images_n == 0;
	return o->images_n > 0 && o->images_n <= ORIGINAL_PAGES_MAX && o->images_n == o->pages;
}

static enum status read_source(struct original *o, struct reader *r, struct arena *a)
{
	struct original_source *s = arena_zero(a, sizeof(*s));
	struct slice id = read_bytes(r, sizeof(s->id));

	if (s == NULL)
		return ST_TOO_LARGE;
	s->corrected = read_bytes(r, read_u16(r));
	s->corrected_day = read_u32(r);
	if (r->bad || s->corrected.n > DECISION_NUMBER_BYTES_MAX || o->wrapped != ORIGINAL_OWN)
		return ST_CORRUPT;
	memcpy(s->id, id.p, sizeof(s->id));
	o->source = s;
	return ST_OK;
}

enum status original_read(struct original *o, struct reader *r, struct arena *a)
{
	struct slice digest;
	bool source;
	enum status st;
	uint64_t bytes = 0;
	uint32_t runs = 0;

	o->format = read_u8(r);
	o->wrapped = read_u8(r);
	source = (o->wrapped & SOURCE_FOLLOWS) != 0;
	o->wrapped &= SOURCE_FOLLOWS - 1;
	o->source = NULL;
	o->size = read_u32(r);
	digest = read_bytes(r, SHA256_BYTES);
	o->pages = read_u16(r);
	o->images_n = read_u16(r);
	if (r->bad || !original_fits(o) || o->images_n > reader_left(r) / IMAGE_BYTES_MIN)
		return ST_CORRUPT;
	memcpy(o->sha256, digest.p, SHA256_BYTES);
	o->images = arena_zero(a, o->images_n * sizeof(*o->images));
	if (o->images == NULL)
		return ST_TOO_LARGE;
	for (uint16_t i = 0; i < o->images_n; i++) {
		st = read_image(o, &o->images[i], r, a);
		if (st != ST_OK)
			return st;
		runs += o->images[i].runs_n;
		for (uint16_t k = 0; k < o->images[i].runs_n; k++)
			bytes += o->images[i].runs[k].size;
		if (runs > ORIGINAL_RUNS_MAX || bytes > o->size)
			return ST_CORRUPT;
	}
	return source ? read_source(o, r, a) : ST_OK;
}
