#include "render/press.h"

#include <assert.h>

#define NO_FONT 0xffff

/* ---- numbers ---- */

static bool room(struct writer *w, size_t n)
{
	if (w->bad || n > (size_t)(w->end - w->p))
		w->bad = true;
	return !w->bad;
}

static const char pairs[] =
	"00010203040506070809101112131415161718192021222324252627282930313233343536373839"
	"40414243444546474849505152535455565758596061626364656667686970717273747576777879"
	"8081828384858687888990919293949596979899";

static uint8_t *put_two(uint8_t *p, uint32_t v)
{
	memcpy(p, &pairs[2 * v], 2);
	return p + 2;
}

/* Forwards and in place: bytes that are read again at once in another width cost a stall. */
static uint8_t *put_digits(uint8_t *p, uint32_t v)
{
	if (v >= 10000) {
		p = put_digits(p, v / 10000);
		v %= 10000;
		return put_two(put_two(p, v / 100), v % 100);
	}
	if (v >= 1000)
		return put_two(put_two(p, v / 100), v % 100);
	if (v >= 100) {
		*p++ = (uint8_t)('0' + v / 100);
		return put_two(p, v % 100);
	}
	if (v >= 10)
		return put_two(p, v);
	*p++ = (uint8_t)('0' + v);
	return p;
}

void write_number(struct writer *w, uint32_t v)
{
	if (room(w, NUMBER_ROOM))
		w->p = put_digits(w->p, v);
}

void write_cpt(struct writer *w, int32_t v)
{
	uint32_t u = v < 0 ? (uint32_t)-v : (uint32_t)v, part = u % 100;
	uint8_t *p = w->p;

	if (!room(w, NUMBER_ROOM))
		return;
	if (v < 0)
		*p++ = '-';
	if (u >= 100 || part == 0)
		p = put_digits(p, u / 100);
	if (part != 0) {
		*p++ = '.';
		put_two(p, part);
		p += part % 10 == 0 ? 1 : 2;
	}
	w->p = p;
}

static void write_pair(struct writer *w, int32_t x, int32_t y, const char *behind)
{
	write_cpt(w, x);
	write_u8(w, ' ');
	write_cpt(w, y);
	write_str(w, behind);
}

/* ---- text ---- */

struct pen pen_of(struct writer *w)
{
	return (struct pen){ .w = w, .font = NO_FONT };
}

void pen_end(struct pen *pen)
{
	if (!pen->text)
		return;
	write_str(pen->w, "ET\n");
	pen->text = false;
}

static void pen_begin(struct pen *pen)
{
	if (pen->text)
		return;
	write_str(pen->w, "BT\n");
	pen->text = true;
	pen->x = pen->y = 0;
}

static void pen_font(struct pen *pen, const struct frag *f, uint16_t size_dpt)
{
	uint16_t font = (uint16_t)(f->face + (f->wide ? FACES : 0));

	if (font == pen->font && size_dpt == pen->size_dpt)
		return;
	write_bytes(pen->w, f->wide ? "/G" : "/F", 2);
	write_u8(pen->w, (uint8_t)('1' + f->face));
	write_u8(pen->w, ' ');
	write_cpt(pen->w, size_dpt * 10);
	write_bytes(pen->w, " Tf", 3);
	pen->font = font;
	pen->size_dpt = size_dpt;
}

static void show_wide(struct writer *w, const struct frag *f)
{
	if (!room(w, 2 * (size_t)f->n + 1))
		return;
	*w->p++ = '<';
	hex_upper((char *)w->p, f->p, f->n);
	w->p += 2 * f->n;
	write_bytes(w, ">Tj", 3);
}

/* Neighbours in one face are one string. Returns the first fragment not shown. */
static uint32_t show(struct pen *pen, const struct frag *frags, uint32_t i, uint32_t end)
{
	struct writer *w = pen->w;
	uint8_t face = frags[i].face;

	if (frags[i].wide) {
		show_wide(w, &frags[i]);
		return i + 1;
	}
	write_u8(w, '(');
	for (; i < end && frags[i].face == face && !frags[i].wide; i++)
		write_bytes(w, frags[i].p, frags[i].n);
	write_bytes(w, ")Tj", 3);
	return i;
}

void pen_line(struct pen *pen, const struct press *p, const struct line *l, int32_t x, int32_t y)
{
	uint32_t i = l->frag, end = l->frag + l->frags_n;
	struct writer *w = pen->w;

	if (l->frags_n == 0)
		return;
	pen_begin(pen);
	x += l->x;
	y -= l->y;
	write_pair(w, x - pen->x, y - pen->y, " Td");
	pen->x = x;
	pen->y = y;
	if (l->word_space != pen->word_space) {
		write_u8(w, ' ');
		write_cpt(w, l->word_space);
		write_bytes(w, " Tw", 3);
		pen->word_space = l->word_space;
	}
	while (i < end) {
		pen_font(pen, &p->frags[i], l->size_dpt);
		i = show(pen, p->frags, i, end);
	}
	write_u8(w, '\n');
}

/* ---- drawings ---- */

static int32_t pdf_y(int32_t frame_y)
{
	return PAGE_HEIGHT - MARGIN_TOP - frame_y;
}

/* Draws a form whose origin is its top left corner. */
static void draw(struct pen *pen, const char *name, int32_t x, int32_t y)
{
	pen_end(pen);
	write_str(pen->w, "q 1 0 0 1 ");
	write_pair(pen->w, x, y, " cm");
	write_str(pen->w, name);
	write_str(pen->w, " Do Q\n");
}

static void draw_qr(struct pen *pen, int32_t x, int32_t top)
{
	pen_end(pen);
	write_str(pen->w, "q ");
	write_cpt(pen->w, QR_SIDE);
	write_str(pen->w, " 0 0 ");
	write_cpt(pen->w, QR_SIDE);
	write_u8(pen->w, ' ');
	write_pair(pen->w, x, top - QR_SIDE, " cm/Q Do Q\n");
}

static void draw_strip(struct pen *pen, const struct press *p, const struct strip *s, int32_t top)
{
	int32_t y = pdf_y(top);

	if (s->type == STRIP_HEADER)
		draw(pen, "/H", MARGIN_LEFT, y);
	if (s->qr_y >= 0 && p->t->has_qr)
		draw_qr(pen, MARGIN_LEFT, y - s->qr_y);
	for (uint32_t i = s->line; i < s->line + s->lines_n; i++)
		pen_line(pen, p, &p->lines[i], MARGIN_LEFT, y);
	if (s->type == STRIP_SIGNATURE)
		draw(pen, "/S", MARGIN_LEFT + LEFT_WIDTH, y);
}

/* Strips [from, to) of one row, from top down. A cell is read whole before the next one. */
static void draw_row(struct pen *pen, const struct press *p, uint32_t from, uint32_t to,
		     int32_t top)
{
	const struct strip *first = &p->strips[from];

	if (to - from == 1) {
		draw_strip(pen, p, first, top);
		return;
	}
	for (uint8_t cell = 0; cell < first->cells; cell++) {
		int32_t y = top;

		for (const struct strip *s = first; s < &p->strips[to]; y += s->height, s++)
			for (uint32_t i = s->line; i < s->line + s->lines_n; i++)
				if (p->lines[i].cell == cell)
					pen_line(pen, p, &p->lines[i], MARGIN_LEFT, pdf_y(y));
	}
}

/* ---- rules of tables ---- */

static void rule(struct writer *w, int32_t x1, int32_t y1, int32_t x2, int32_t y2)
{
	write_pair(w, x1, y1, " m ");
	write_pair(w, x2, y2, " l\n");
}

static void columns_close(struct writer *w, const struct table *t, int32_t top, int32_t bottom)
{
	const struct column *last = &t->columns[t->columns_n - 1];
	int32_t right = MARGIN_LEFT + last->x + last->width;

	rule(w, MARGIN_LEFT, pdf_y(bottom), right, pdf_y(bottom));
	for (uint8_t i = 0; i < t->columns_n; i++)
		rule(w, MARGIN_LEFT + t->columns[i].x, pdf_y(top), MARGIN_LEFT + t->columns[i].x,
		     pdf_y(bottom));
	rule(w, right, pdf_y(top), right, pdf_y(bottom));
}

/* The tables' part on strips [from, to) of one page; heading above it where it was repeated. */
static void table_rules(const struct press *p, uint32_t from, uint32_t to, int32_t above,
			struct writer *w)
{
	const struct table *t = &p->tables[p->strips[from].table - 1];
	const struct column *last = &t->columns[t->columns_n - 1];
	int32_t top = p->strips[from].top - above, bottom;

	bottom = p->strips[to - 1].top + p->strips[to - 1].height;
	write_str(w, ".5 w\n");
	rule(w, MARGIN_LEFT, pdf_y(top), MARGIN_LEFT + last->x + last->width, pdf_y(top));
	for (uint32_t i = from; i < to; i++)
		if (p->strips[i].row && p->strips[i].top > top)
			rule(w, MARGIN_LEFT, pdf_y(p->strips[i].top),
			     MARGIN_LEFT + last->x + last->width, pdf_y(p->strips[i].top));
	columns_close(w, t, top, bottom);
	write_str(w, "S\n");
}

static void page_rules(const struct press *p, uint32_t from, uint32_t to, struct writer *w)
{
	for (uint32_t i = from; i < to;) {
		const struct strip *s = &p->strips[i];
		uint32_t k = i + 1;

		while (k < to && p->strips[k].table == s->table)
			k++;
		if (s->table != 0)
			table_rules(p, i, k, i == from && !s->heading ?
				    p->tables[s->table - 1].heading_height : 0, w);
		i = k;
	}
}

/* ---- a page ---- */

static void repeat_heading(struct pen *pen, const struct press *p, const struct strip *first)
{
	const struct table *t;

	if (first->table == 0 || first->heading)
		return;
	t = &p->tables[first->table - 1];
	draw_row(pen, p, t->heading, t->heading + t->headings_n, 0);
}

/* First strip of a page: pages are in order. */
static uint32_t first_of(const struct press *p, uint32_t page)
{
	uint32_t low = 0, high = p->strips_n;

	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (p->strips[mid].page < page)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* ND 30/2020 PL I, II.7: from the second page on, in the middle of the top margin. */
static void page_number(struct pen *pen, uint32_t page)
{
	int32_t width = 325 * (page + 1 < 10 ? 2 : page + 1 < 100 ? 4 : 6);

	pen_begin(pen);
	write_str(pen->w, "/F1 13 Tf ");
	pen->font = FACE_REGULAR;
	pen->size_dpt = 130;
	pen->x = (PAGE_WIDTH - width) / 2;
	pen->y = PAGE_HEIGHT - MARGIN_TOP + 1000;
	write_pair(pen->w, pen->x, pen->y, " Td(");
	write_number(pen->w, page + 1);
	write_str(pen->w, ")Tj\n");
}

void page_content(const struct press *p, uint32_t page, struct writer *w)
{
	uint32_t from = first_of(p, page), to = first_of(p, page + 1);
	struct pen pen = pen_of(w);

	if (p->t->marked)
		write_str(w, "/M Do\n");
	if (page > p->lead)
		page_number(&pen, page - p->lead);
	if (from < to)
		repeat_heading(&pen, p, &p->strips[from]);
	for (uint32_t i = from, end; i < to; i = end) {
		for (end = i + 1; end < to && p->strips[end - 1].cells != 0; end++)
			;
		draw_row(&pen, p, i, end, p->strips[i].top);
	}
	pen_end(&pen);
	page_rules(p, from, to, w);
}

/* ---- widgets ---- */

static void place(int32_t rect[4], int32_t x, int32_t y, int32_t width, int32_t height)
{
	rect[0] = x;
	rect[1] = y - height;
	rect[2] = x + width;
	rect[3] = y;
}

/*
 * Handwriting in the middle between title and name; the seal over its left third (ND 30/2020 PL I,
 * II.8). y grows upwards, (x, y) is the top left corner.
 */
struct places widget_places(const struct press *p)
{
	const struct shared_layer *hand = p->t->shared[LAYER_SIGNER];
	const struct shared_layer *seal = p->t->shared[LAYER_UNIT];
	int32_t middle_x = MARGIN_LEFT + LEFT_WIDTH + RIGHT_WIDTH / 2, middle_y, left;
	struct places places = { .page = p->pages - 1 };
	const struct strip *s = NULL;

	for (uint32_t i = 0; i < p->strips_n && s == NULL; i++)
		if (p->strips[i].type == STRIP_SIGNATURE)
			s = &p->strips[i];
	if (s == NULL)
		return places;
	places.page = s->page;
	middle_y = pdf_y(s->top + hand->gap_y + hand->gap_height / 2);
	left = middle_x - hand->image_width / 2;
	place(places.rect[ROLE_PERSON], left, middle_y + hand->image_height / 2, hand->image_width,
	      hand->image_height);
	if (p->t->person && hand->image_width > 0)
		left += hand->image_width / 3 - seal->image_width;
	else
		left = middle_x - seal->image_width * 2 / 3;
	place(places.rect[ROLE_AGENCY], left, middle_y + seal->image_height / 2, seal->image_width,
	      seal->image_height);
	return places;
}
