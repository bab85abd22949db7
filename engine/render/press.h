/*
 * press.h - laying one document out: blocks become strips, strips become pages.
 *
 * A strip is the least part that a page break does not cut: a line of text, one line across the
 * cells of a table row, a signature block. Lengths are 1/100 pt (cpt), y grows downwards; sizes
 * 1/10 pt (dpt). Everything lives in the press, bounded; what does not fit sets `full`
 * (ST_TOO_LARGE).
 */
#ifndef TRIEN_RENDER_PRESS_H
#define TRIEN_RENDER_PRESS_H

#include "render/encoding.h"
#include "render/qr.h"
#include "render/render.h"
#include "render/template.h"

/* A4 and margins after ND 30/2020 PL I, I.2: top and bottom 20-25 mm, left 30-35, right 15-20. */
#define CPT_OF_MM10(mm10) ((mm10) * 283465 / 10000)	/* tenths of a millimetre: cpt */
#define PAGE_WIDTH 59528
#define PAGE_HEIGHT 84189
#define MARGIN_TOP 5669
#define MARGIN_LEFT 8504
#define FRAME_WIDTH 46772
#define FRAME_HEIGHT (PAGE_HEIGHT - 2 * MARGIN_TOP)

/* The two columns of header, number row and signature block. */
#define LEFT_WIDTH 18200
#define RIGHT_WIDTH (FRAME_WIDTH - LEFT_WIDTH)

#define SPANS_MAX 65536			/* of one text */
#define FRAGS_MAX 98304
#define LINES_MAX 49152
#define STRIPS_MAX 20480
#define TABLES_MAX 64
#define TEXT_BYTES_MAX (2 * 1024 * 1024)	/* encoded text of one document */
#define QR_SIDE 6236			/* 22 mm */
#define WORD_BYTES_MAX 1024		/* a date, a number or an amount in words */

/* Characters of a line that share a face. */
struct frag { const uint8_t *p; uint32_t n; uint8_t face; bool wide; };

struct line {
	uint32_t frag, frags_n;
	int32_t x;			/* from the frame's left edge */
	int32_t y;			/* baseline, below the strip's top */
	int32_t word_space;		/* added to each space, cpt */
	uint16_t size_dpt;
	uint8_t cell;			/* of its row, from the left */
};

enum strip_type { STRIP_TEXT, STRIP_HEADER, STRIP_SIGNATURE, STRIP_QR };

struct strip {
	uint32_t line, lines_n;
	int32_t height, space;		/* space above, none at the top of a page */
	int32_t top;			/* paginate: below the frame's top */
	int32_t qr_y;			/* STRIP_SIGNATURE, STRIP_QR: of the code below the strip's
					 * top; < 0: none */
	uint16_t page;			/* paginate */
	uint8_t type;
	uint8_t table;			/* index + 1; 0: none */
	uint8_t cells;			/* side by side, that the next strip continues; 0: none */
	bool keep;			/* on one page with the next */
	bool row;			/* begins a table row */
	bool heading;			/* of a table's repeating header */
};

struct column { int32_t x, width; };

struct table {
	uint32_t heading, headings_n;	/* strips */
	int32_t heading_height;
	uint8_t columns_n;
	struct column columns[TABLE_COLUMNS_MAX + 1];
};

struct page_place { uint32_t content_at, page_at; };	/* file offsets of its two objects */

struct press {
	const struct encoding *encoding;
	const struct qr_tables *qr_tables;
	const struct template *t;
	const struct item *item;
	const struct field *values[FIELDS_MAX];		/* by the kind's field index; NULL: none */
	const struct original *original;	/* that the item copies; NULL: none */
	uint32_t images_n;		/* pages of it, before those laid out here */
	uint32_t original_at, images_at[ORIGINAL_PAGES_MAX];	/* file offsets of their objects */
	uint32_t lead;			/* pages that stand for an original's, in a preview */
	bool full;
	int32_t space;			/* waits for the next strip */
	uint32_t frags_n, lines_n, strips_n, tables_n, pages;
	struct well well;
	struct qr qr;
	struct table tables[TABLES_MAX];
	struct page_place places[DOC_PAGES_MAX];
	uint8_t *text;
	struct span *spans;
	struct frag *frags;
	struct line *lines;
	struct strip *strips;
};

void press_clear(struct press *p);

/* ---- text.c: from runs to lines ---- */

struct frame {
	int32_t x, width;		/* cpt */
	int32_t indent;			/* of the first line */
	uint16_t size_dpt;
	char align;			/* 'j' 'l' 'c' 'r' */
};

/* Height of a line, and its baseline below the line's top. */
static inline int32_t line_height(uint16_t size_dpt) { return size_dpt * 10 * 5 / 4; }
static inline int32_t line_base(uint16_t size_dpt) { return size_dpt * 10 * 97 / 100; }

/* Begins a new text; then text_runs() and text_plain() append to it. */
void text_begin(struct press *p);
void text_runs(struct press *p, const struct text *t);
void text_plain(struct press *p, struct slice s, enum face face, bool upper);
/* The first character as a capital. */
void text_capital(struct press *p, struct slice s, enum face face);
/* Wraps the text. Returns the number of lines appended; y: baseline in the line's own height. */
uint32_t text_wrap(struct press *p, const struct frame *f);
bool value_present(const struct field *f);

/* ---- layout.c, table.c ---- */

/* An empty strip; NULL when full. */
struct strip *strip_add(struct press *p, int32_t height, int32_t space);
/* A strip a line for `n` lines from `first`; keeps two lines together at both ends. */
void strips_of_lines(struct press *p, uint32_t first, uint32_t n, uint16_t size_dpt, int32_t space);
/* Texts side by side: counts[i] lines each, one after the other from `first`. */
struct cells { uint32_t first, counts[TABLE_COLUMNS_MAX + 1]; uint8_t n; };
/* Appends the lines of the current text as the next cell. */
void cell_add(struct press *p, struct cells *c, const struct frame *f);
void strips_of_cells(struct press *p, const struct cells *c, uint16_t size_dpt, int32_t space);
void layout_table(struct press *p, const struct block *b, uint16_t size_dpt, int32_t space);
/* replaced.c: `(Thay thế văn bản số 07/GXN-UBND ngày 24 tháng 11 năm 2026, mã kết quả …)` */
void layout_replaced(struct press *p);
/* It stands behind which block: the title, else the number, else the first one. */
uint8_t replaced_behind(const struct kind *k);
/* All blocks of the item's kind. */
void layout_document(struct press *p);

/* ---- paginate.c ---- */

/* Sets page and top of each strip, and p->pages. ST_TOO_LARGE: more than DOC_PAGES_MAX. */
enum status paginate(struct press *p) must_use;

/* ---- page.c: content streams ---- */

struct pen {
	struct writer *w;
	int32_t x, y;			/* where the last Td led */
	int32_t word_space;
	uint16_t font;			/* face + FACES × wide, and 0xffff: none yet */
	uint16_t size_dpt;
	bool text;			/* between BT and ET */
};

struct pen pen_of(struct writer *w);
/* Shows line with its strip's top at y (PDF coordinates). */
void pen_line(struct pen *pen, const struct press *p, const struct line *l, int32_t x, int32_t y);
void pen_end(struct pen *pen);
/* The content stream of one page. */
void page_content(const struct press *p, uint32_t page, struct writer *w);
/* Where the widgets stand: rectangles in cpt, [x1 y1 x2 y2]; page 0 and no area without a block. */
struct places { uint32_t page; int32_t rect[2][4]; /* by enum signer_role */ };
struct places widget_places(const struct press *p);

/* ---- numbers of a content stream; the writer goes bad with less than NUMBER_ROOM left ---- */
#define NUMBER_ROOM 16
void write_number(struct writer *w, uint32_t v);
void write_cpt(struct writer *w, int32_t v);		/* 1234: 12.34 */

/* ---- builtins.c ---- */

/* As text, what the item makes of a built-in reference. */
void write_builtin(const struct press *p, enum run_builtin b, struct writer *w);
void write_sha256(struct writer *w, const uint8_t sha256[SHA256_BYTES]);
/* "jpeg", "ban-goc.jpg" and "image#2Fjpeg": in the attached data, as its file, as a PDF name. */
const char *original_code(const struct original *o);
const char *original_file(const struct original *o);
const char *original_mime(const struct original *o);

/* ---- section.c: the original in the file ---- */

/* With room for the runs of p->original; NULL: the arena is spent. */
struct section *section_take(const struct press *p, struct arena *a);
/*
 * Its images as objects and itself as an attached file: text into the body, from its beginning,
 * and *s; sets p->original_at and p->images_at. The pages must be known.
 */
void section_write(struct press *p, struct section *s, struct writer *w);
/* Object number of its image i. */
uint32_t section_image(const struct press *p, uint32_t i);
/* A side of a page, cpt: at least 3 units (ISO 19005-3, 6.1.13). */
static inline int32_t scan_side(uint32_t cpt) { return cpt < 300 ? 300 : (int32_t)cpt; }
/* The content stream of its page i. */
void scan_content(const struct press *p, uint32_t i, struct writer *w);

/* ---- data.c, tail.c ---- */
void write_json_text(struct writer *w, struct slice s);
void write_data(const struct press *p, struct writer *w);
/* Pages, widgets, data and signatures: the body and its parts. */
enum status tail_write(struct press *p, struct item *item, struct writer *w) must_use;

#endif
