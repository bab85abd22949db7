#include "render/ledger.h"

#include <stdlib.h>

#include "render/compose.h"

/* A4 across; ND 30/2020 asks 20 to 25 mm where it is bound, here at the top. */
#define LONG PAGE_HEIGHT
#define SHORT PAGE_WIDTH
#define EDGE 4252			/* 15 mm at the sides and below */
#define HEAD 5669			/* 20 mm */
#define WIDTH (LONG - 2 * EDGE)
#define BOTTOM (SHORT - EDGE)
#define PAD_X 250
#define PAD_Y 200
#define SIZE_ROW 100
#define SIZE_NAMES 120
#define SIZE_TITLE 140
#define SIZE_RUNNING 90
#define PAGE_BYTES (512 * 1024)		/* of a page's content */
#define PAGES_MAX 20000

/* A book must be printed whatever stands in it: this is for what its fonts do not have. */
#define REPLACEMENT "¤"
#define REPLACED_NOTE "Ghi chú: ký hiệu " REPLACEMENT \
		      " thay cho ký tự mà phông chữ của sổ này không có."

struct ledger {
	const struct ledger_form *form;
	const struct composer *c;
	struct press *press;
	struct sheet sheet;
	bool open;			/* sheet */
	struct column columns[LEDGER_COLUMNS_MAX];
	uint8_t *content;		/* of the page under way */
	struct writer w;
	struct pen pen;
	int32_t y;			/* from the page's top */
	bool table;			/* the heading row stands on this page, */
	bool rows;			/* and something below it */
	bool replaced;			/* somewhere a character */
	uint32_t *at;			/* file offsets: a page's, its content's */
	uint32_t pages;
	enum status st;			/* the first failure */
};

static void fail(struct ledger *l, enum status st)
{
	if (l->st == ST_OK)
		l->st = st;
}

/* ---- drawing ---- */

static int32_t pdf_y(int32_t y)
{
	return SHORT - y;
}

static bool has_glyph(const struct ledger *l, int32_t cp)
{
	return cp == '\n' || cp == '\t' ||
	       (cp > 0 && codeset_has(&l->press->encoding->coverage, (uint32_t)cp));
}

/* As text_plain(), which drops what it has no glyph for. */
static void shown(struct ledger *l, struct slice text, enum face face, bool upper)
{
	struct slice rest = text;
	const uint8_t *from = text.p;

	while (rest.n > 0) {
		const uint8_t *at = rest.p;
		int32_t cp = utf8_next(&rest);

		if (has_glyph(l, cp))
			continue;
		if (cp < 0)		/* no UTF-8: byte after byte */
			rest = slice_of(at + 1, (size_t)(text.p + text.n - at - 1));
		text_plain(l->press, slice_of(from, (size_t)(at - from)), face, upper);
		text_plain(l->press, slice_str(REPLACEMENT), face, upper);
		l->replaced = true;
		from = rest.p;
	}
	text_plain(l->press, slice_of(from, (size_t)(rest.p - from)), face, upper);
}

/* Wraps a text; the lines stand in the press from *first on. */
static uint32_t wrap(struct ledger *l, const char *text, enum face face, bool upper,
		     const struct frame *f, uint32_t *first)
{
	*first = l->press->lines_n;
	if (text == NULL || text[0] == '\0')
		return 0;
	text_begin(l->press);
	shown(l, slice_str(text), face, upper);
	return text_wrap(l->press, f);
}

static void show(struct ledger *l, uint32_t first, uint32_t n, uint16_t size_dpt, int32_t y)
{
	for (uint32_t i = first; i < first + n; i++) {
		pen_line(&l->pen, l->press, &l->press->lines[i], EDGE, pdf_y(y));
		y += line_height(size_dpt);
	}
}

/* A text in a frame, from y on; returns where it ends. */
static int32_t put(struct ledger *l, const char *text, enum face face, bool upper,
		   const struct frame *f, int32_t y)
{
	uint32_t first, n = wrap(l, text, face, upper, f, &first);

	show(l, first, n, f->size_dpt, y);
	return y + (int32_t)n * line_height(f->size_dpt);
}

static void rule(struct ledger *l, int32_t x1, int32_t y1, int32_t x2, int32_t y2)
{
	struct writer *w = &l->w;

	pen_end(&l->pen);
	write_str(w, ".5 w ");
	write_cpt(w, EDGE + x1);
	write_u8(w, ' ');
	write_cpt(w, pdf_y(y1));
	write_str(w, " m ");
	write_cpt(w, EDGE + x2);
	write_u8(w, ' ');
	write_cpt(w, pdf_y(y2));
	write_str(w, " l S\n");
}

/* ---- pages ---- */

static void page_begin(struct ledger *l)
{
	struct frame middle = { 0, WIDTH, 0, SIZE_RUNNING, 'c' };
	struct frame right = { 0, WIDTH, 0, SIZE_RUNNING, 'r' };
	char number[16];

	press_clear(l->press);
	l->w = writer_of(l->content, PAGE_BYTES);
	l->pen = pen_of(&l->w);
	l->y = HEAD;
	l->table = l->rows = false;
	if (l->pages == 0)
		return;
	snprintf(number, sizeof(number), "%u", l->pages + 1);
	put(l, l->form->running, FACE_ITALIC, false, &middle, HEAD - 2000);
	put(l, number, FACE_REGULAR, false, &right, HEAD - 2000);
}

static void page_write(struct ledger *l)
{
	FILE *f = l->sheet.f;
	uint32_t page = OBJ_PAGES + 1 + 2 * l->pages;

	pen_end(&l->pen);
	if (l->w.bad || l->press->full)
		fail(l, ST_TOO_LARGE);
	if (l->pages == PAGES_MAX)
		fail(l, ST_TOO_LARGE);
	if (l->st != ST_OK)
		return;
	l->at[2 * l->pages] = (uint32_t)ftello(f);
	fprintf(f, "%u 0 obj\n<</Type/Page/Parent %d 0 R/MediaBox[0 0 841.89 595.28]"
		"/Resources %d 0 R/Contents %u 0 R>>\nendobj\n", page, OBJ_PAGES, OBJ_RESOURCES,
		page + 1);
	l->at[2 * l->pages + 1] = (uint32_t)ftello(f);
	fprintf(f, "%u 0 obj\n", page + 1);
	if (stream_write(f, "", writer_slice(&l->w)) != ST_OK)
		fail(l, ST_NOMEM);
	fputs("\nendobj\n", f);
	l->pages++;
}

/* ---- the table ---- */

/* A row's lines, wrapped on the page where it is drawn. */
struct row { uint32_t firsts[LEDGER_COLUMNS_MAX], counts[LEDGER_COLUMNS_MAX], most; };

/* align NULL: as the columns are. */
static struct row cells_wrap(struct ledger *l, const char *const *cells, enum face face,
			     const char *align)
{
	struct row r = { .most = 1 };

	for (uint32_t i = 0; i < l->form->columns_n; i++) {
		const struct column *c = &l->columns[i];
		struct frame f = { c->x + PAD_X, c->width - 2 * PAD_X, 0, SIZE_ROW,
				   align != NULL ? *align : l->form->columns[i].align };

		r.counts[i] = wrap(l, cells[i], face, false, &f, &r.firsts[i]);
		if (r.counts[i] > r.most)
			r.most = r.counts[i];
	}
	return r;
}

static int32_t row_height(uint32_t lines)
{
	return (int32_t)lines * line_height(SIZE_ROW) + 2 * PAD_Y;
}

/* Lines [from, from + n) of each cell, with rules around. */
static void row_draw(struct ledger *l, const struct row *r, uint32_t from, uint32_t n)
{
	int32_t bottom = l->y + row_height(n);

	for (uint32_t i = 0; i < l->form->columns_n; i++) {
		uint32_t left = r->counts[i] > from ? r->counts[i] - from : 0;

		show(l, r->firsts[i] + from, left < n ? left : n, SIZE_ROW, l->y + PAD_Y);
	}
	for (uint32_t i = 0; i < l->form->columns_n; i++)
		rule(l, l->columns[i].x, l->y, l->columns[i].x, bottom);
	rule(l, WIDTH, l->y, WIDTH, bottom);
	rule(l, 0, bottom, WIDTH, bottom);
	l->y = bottom;
}

/* How many lines of that size fit below. */
static uint32_t lines_below(const struct ledger *l, uint16_t size_dpt)
{
	int32_t left = BOTTOM - l->y - 2 * PAD_Y;

	return left > 0 ? (uint32_t)(left / line_height(size_dpt)) : 0;
}

/*
 * The heading, and below it the columns' numbers: annex IV has them. Never at the end of a page,
 * without room for a line below.
 */
static void heading(struct ledger *l)
{
	const char *words[LEDGER_COLUMNS_MAX], *numbers[LEDGER_COLUMNS_MAX];
	char texts[LEDGER_COLUMNS_MAX][16];
	struct row r;

	if (l->st != ST_OK)
		return;
	for (uint32_t i = 0; i < l->form->columns_n; i++) {
		words[i] = l->form->columns[i].heading;
		snprintf(texts[i], sizeof(texts[i]), "(%u)", i + 1);
		numbers[i] = texts[i];
	}
	r = cells_wrap(l, words, FACE_BOLD, "c");
	if (l->y > HEAD && l->y + row_height(r.most) + 2 * row_height(1) > BOTTOM) {
		page_write(l);
		page_begin(l);
		r = cells_wrap(l, words, FACE_BOLD, "c");
	}
	rule(l, 0, l->y, WIDTH, l->y);
	row_draw(l, &r, 0, r.most);
	r = cells_wrap(l, numbers, FACE_ITALIC, "c");
	row_draw(l, &r, 0, r.most);
	l->table = true;
}

static void page_turn(struct ledger *l)
{
	page_write(l);
	page_begin(l);
	heading(l);
}

void ledger_row(struct ledger *l, const char *const *cells)
{
	struct row r;
	uint32_t done = 0;

	if (!l->table)
		heading(l);
	while (l->st == ST_OK) {
		uint32_t room = lines_below(l, SIZE_ROW);

		r = cells_wrap(l, cells, FACE_REGULAR, NULL);
		if (r.most - done <= room) {
			row_draw(l, &r, done, r.most - done);
			l->rows = true;
			return;
		}
		/* Only one that is longer than a page is cut, or that would leave one without. */
		if (!l->rows && room == 0)
			fail(l, ST_TOO_LARGE);
		else if (!l->rows) {
			row_draw(l, &r, done, room);
			done += room;
		}
		page_turn(l);
	}
}

void ledger_volume(struct ledger *l, const char *name)
{
	struct frame middle = { 0, WIDTH, 0, SIZE_NAMES, 'c' };

	if (l->table && l->st == ST_OK) {
		page_write(l);
		page_begin(l);
	}
	if (l->st == ST_OK)
		l->y = put(l, name, FACE_BOLD, false, &middle, l->y) + 800;
}

/* It shows its columns, above all that is said of it. */
static void book_without_entry(struct ledger *l)
{
	if (!l->table && l->pages == 0)
		heading(l);
}

void ledger_text(struct ledger *l, const char *text, bool bold)
{
	struct frame f = { 0, WIDTH, 0, SIZE_NAMES, 'l' };
	enum face face = bold ? FACE_BOLD : FACE_REGULAR;
	uint32_t done = 0;

	book_without_entry(l);
	while (l->st == ST_OK) {
		uint32_t first, room = lines_below(l, f.size_dpt);
		uint32_t n = wrap(l, text, face, false, &f, &first);

		/* Only one that is longer than a page is cut. */
		if (n - done <= room || l->y == HEAD) {
			uint32_t here = n - done < room ? n - done : room;

			show(l, first + done, here, f.size_dpt, l->y + 2 * PAD_Y);
			l->y += 2 * PAD_Y + (int32_t)here * line_height(f.size_dpt);
			done += here;
		}
		if (done == n)
			return;
		page_write(l);
		page_begin(l);
	}
}

/* ---- begin and end ---- */

static void cover(struct ledger *l)
{
	const struct ledger_form *form = l->form;
	struct frame left = { 0, WIDTH * 2 / 5, 0, SIZE_NAMES, 'c' };
	struct frame whole = { 0, WIDTH, 0, SIZE_TITLE, 'c' };
	struct frame below = { 0, WIDTH, 0, SIZE_NAMES, 'c' };

	l->y = put(l, form->superior, FACE_REGULAR, true, &left, l->y);
	l->y = put(l, form->issuer, FACE_BOLD, true, &left, l->y) + 600;
	l->y = put(l, form->title, FACE_BOLD, true, &whole, l->y);
	l->y = put(l, form->subtitle, FACE_REGULAR, false, &below, l->y) + 800;
}

static void columns_of(struct ledger *l)
{
	const struct ledger_form *form = l->form;
	int32_t at = 0;

	for (uint32_t i = 0; i < form->columns_n; i++) {
		int32_t width = (int32_t)((int64_t)WIDTH * form->columns[i].permille / 1000);

		if (i + 1 == form->columns_n)
			width = WIDTH - at;
		l->columns[i] = (struct column){ at, width };
		at += width;
	}
}

/* What stands before the pages: the fonts of all documents, and the document's own objects. */
static enum status front(struct ledger *l)
{
	static const uint32_t absent[] = { OBJ_FILESPEC, OBJ_MARK, OBJ_HEADER, OBJ_SEAL_IMAGE,
					   OBJ_SEAL, OBJ_HAND_IMAGE, OBJ_HAND, OBJ_SIGNER };
	struct sheet *s = &l->sheet;
	enum status st = sheet_begin(s);

	if (st != ST_OK)
		return st;
	l->open = true;
	fwrite(l->c->fonts.bytes, 1, l->c->fonts.size, s->f);
	memcpy(s->at, l->c->fonts_at, sizeof(s->at));
	object_begin(s, OBJ_CATALOG);
	fprintf(s->f, "<</Type/Catalog/Pages %d 0 R/Lang(vi-VN)/Metadata %d 0 R"
		"/ViewerPreferences<</DisplayDocTitle true>>"
		"/OutputIntents[<</Type/OutputIntent/S/GTS_PDFA1"
		"/OutputConditionIdentifier(sRGB IEC61966-2.1)/Info(sRGB IEC61966-2.1)"
		"/DestOutputProfile %d 0 R>>]>>", OBJ_PAGES, OBJ_METADATA, OBJ_ICC);
	object_end(s);
	st = metadata_object(s, l->form->title, NULL);
	object_begin(s, OBJ_RESOURCES);
	fprintf(s->f, "<</Font %d 0 R>>", OBJ_FONTS);
	object_end(s);
	for (size_t i = 0; i < ARRAY_LEN(absent); i++)
		object_null(s, absent[i]);
	return st;
}

enum status ledger_begin(struct ledger **out, struct render *r, const struct ledger_form *form,
			 struct error *e)
{
	struct ledger *l = calloc(1, sizeof(*l));
	enum status st = l != NULL ? ST_OK : ST_NOMEM;

	if (form->columns_n == 0 || form->columns_n > LEDGER_COLUMNS_MAX)
		st = ST_INVALID;
	if (st == ST_OK) {
		l->form = form;
		l->c = render_composer(r);
		l->content = malloc(PAGE_BYTES);
		l->at = malloc(2 * PAGES_MAX * sizeof(*l->at));
		st = l->content == NULL || l->at == NULL ? ST_NOMEM : press_new(&l->press, r);
	}
	if (st == ST_OK)
		st = front(l);
	if (st != ST_OK) {
		ledger_free(l);
		return error_set(e, st, "the book cannot be begun: %s", status_name(st));
	}
	columns_of(l);
	page_begin(l);
	cover(l);
	*out = l;
	return ST_OK;
}

void ledger_free(struct ledger *l)
{
	if (l == NULL)
		return;
	if (l->open)
		sheet_drop(&l->sheet);
	press_free(l->press);
	free(l->content);
	free(l->at);
	free(l);
}

static void back(struct ledger *l)
{
	struct sheet *s = &l->sheet;
	FILE *f = s->f;
	uint32_t pages_at = (uint32_t)ftello(f), size = OBJ_PAGES + 1 + 2 * l->pages, xref;
	uint8_t digest[SHA256_BYTES];
	char hex[33];

	fprintf(f, "%d 0 obj\n<</Type/Pages/Count %u/Kids[", OBJ_PAGES, l->pages);
	for (uint32_t i = 0; i < l->pages; i++)
		fprintf(f, i == 0 ? "%u 0 R" : " %u 0 R", OBJ_PAGES + 1 + 2 * i);
	fputs("]>>\nendobj\n", f);
	xref = (uint32_t)ftello(f);
	fprintf(f, "xref\n0 %u\n0000000000 65535 f \n", size);
	for (uint32_t i = 1; i < OBJ_PAGES; i++)
		fprintf(f, "%010u 00000 n \n", s->at[i]);
	fprintf(f, "%010u 00000 n \n", pages_at);
	for (uint32_t i = 0; i < 2 * l->pages; i++)
		fprintf(f, "%010u 00000 n \n", l->at[i]);
	/* What is written after this moves the bytes. */
	fflush(f);
	sha256_once((const uint8_t *)s->bytes, xref, digest);
	hex_upper(hex, digest, 16);
	fprintf(f, "trailer\n<</Size %u/Root %d 0 R/ID[<%.32s><%.32s>]>>\nstartxref\n%u\n"
		"%%%%EOF\n", size, OBJ_CATALOG, hex, hex, xref);
}

enum status ledger_end(struct ledger *l, uint8_t **pdf, size_t *size, struct error *e)
{
	struct layer whole;
	enum status st;

	book_without_entry(l);
	if (l->replaced)
		ledger_text(l, REPLACED_NOTE, false);
	page_write(l);
	st = l->st;
	if (st == ST_OK) {
		back(l);
		st = sheet_end(&l->sheet, &whole);
		l->open = false;
	}
	if (st != ST_OK)
		return error_set(e, st, "the book cannot be drawn: %s", status_name(st));
	*pdf = (uint8_t *)(uintptr_t)whole.bytes;
	*size = whole.size;
	return ST_OK;
}
