#include "render/press.h"

/* Sizes in dpt and spaces in cpt, after ND 30/2020 PL I, II. */
#define SIZE_BODY 130
#define SIZE_TITLE 140
#define SIZE_TABLE 120
#define SIZE_RECIPIENTS_HEADING 120
#define SIZE_RECIPIENTS 110
#define SIZE_CAPTION 100
#define SIZE_ADDRESS 80
#define INDENT 3600			/* 1.27 cm */
#define COLUMN_GAP 800
#define QR_GAP 900			/* the quiet zone of four modules (ISO/IEC 18004, 9.1) */
#define SPACE_PARAGRAPH 600		/* at least 6 pt */

void press_clear(struct press *p)
{
	p->well = (struct well){ .p = p->text, .end = p->text + TEXT_BYTES_MAX, .spans = p->spans,
				 .max = SPANS_MAX };
	p->full = false;
	p->space = 0;
	p->frags_n = p->lines_n = p->strips_n = p->tables_n = p->pages = 0;
	p->lead = 0;
}

struct strip *strip_add(struct press *p, int32_t height, int32_t space)
{
	struct strip *s = &p->strips[p->strips_n];

	if (p->strips_n == STRIPS_MAX) {
		p->full = true;
		return NULL;
	}
	*s = (struct strip){ .height = height, .space = space + p->space, .line = p->lines_n,
			     .qr_y = -1 };
	p->space = 0;
	p->strips_n++;
	return s;
}

void strips_of_lines(struct press *p, uint32_t first, uint32_t n, uint16_t size_dpt, int32_t space)
{
	for (uint32_t i = 0; i < n; i++) {
		struct strip *s = strip_add(p, line_height(size_dpt), i == 0 ? space : 0);

		if (s == NULL)
			return;
		s->line = first + i;
		s->lines_n = 1;
		s->keep = n > 1 && (i == 0 || i == n - 2);
	}
}

/* ---- cells ---- */

void cell_add(struct press *p, struct cells *c, const struct frame *f)
{
	if (c->n == 0)
		c->first = p->lines_n;
	c->counts[c->n++] = text_wrap(p, f);
}

/* Lines stand cell by cell; strips need them line by line. False: full. */
static bool transpose(struct press *p, const struct cells *c, uint32_t most)
{
	uint32_t total = p->lines_n - c->first, at = p->lines_n;

	if (total > LINES_MAX - p->lines_n) {
		p->full = true;
		return false;
	}
	for (uint32_t i = 0; i < most; i++)
		for (uint32_t k = 0, from = c->first; k < c->n; from += c->counts[k++])
			if (i < c->counts[k]) {
				p->lines[at] = p->lines[from + i];
				p->lines[at++].cell = (uint8_t)k;
			}
	memmove(&p->lines[c->first], &p->lines[p->lines_n], total * sizeof(*p->lines));
	return true;
}

void strips_of_cells(struct press *p, const struct cells *c, uint16_t size_dpt, int32_t space)
{
	uint32_t most = 1, at = c->first;

	for (uint8_t k = 0; k < c->n; k++)
		if (c->counts[k] > most)
			most = c->counts[k];
	if (p->full || (most > 1 && !transpose(p, c, most)))
		return;
	for (uint32_t i = 0; i < most; i++) {
		struct strip *s = strip_add(p, line_height(size_dpt), i == 0 ? space : 0);

		if (s == NULL)
			return;
		s->line = at;
		for (uint8_t k = 0; k < c->n; k++)
			s->lines_n += i < c->counts[k];
		s->cells = i + 1 < most ? c->n : 0;
		at += s->lines_n;
		s->keep = most > 1 && (i == 0 || i == most - 2);
	}
}

/* ---- blocks ---- */

static void layout_text(struct press *p, const struct text *t, const struct frame *f, int32_t space)
{
	uint32_t first = p->lines_n, n;

	text_begin(p);
	text_runs(p, t);
	n = text_wrap(p, f);
	strips_of_lines(p, first, n, f->size_dpt, space);
}

static void keep_last(struct press *p, uint32_t from)
{
	for (uint32_t i = from; i < p->strips_n; i++)
		p->strips[i].keep = true;
}

static void layout_number(struct press *p, const struct block_texts *t, uint16_t size,
			  int32_t space)
{
	struct frame left = { 0, LEFT_WIDTH, 0, size, 'c' };
	struct frame right = { LEFT_WIDTH, RIGHT_WIDTH, 0, size, 'c' };
	struct cells c = { 0 };

	text_begin(p);
	text_runs(p, &t->text);
	cell_add(p, &c, &left);
	text_begin(p);
	text_runs(p, &t->subtitle);
	cell_add(p, &c, &right);
	strips_of_cells(p, &c, size, space);
}

static void layout_title(struct press *p, const struct block_texts *t, uint16_t size, int32_t space)
{
	struct frame f = { 0, FRAME_WIDTH, 0, size, 'c' };
	uint32_t from = p->strips_n;

	layout_text(p, &t->text, &f, space);
	layout_text(p, &t->subtitle, &f, 0);
	keep_last(p, from);
}

static void layout_paragraph(struct press *p, const struct block *b, const struct block_texts *t,
			     uint16_t size, int32_t space)
{
	struct frame f = { 0, FRAME_WIDTH, b->indent ? INDENT : 0, size, b->align };

	layout_text(p, &t->text, &f, space);
}

/* Without an original, in a preview, as if it could be shown; a result of ours never is. */
static bool wrapped(const struct press *p)
{
	if (p->original == NULL)
		return p->item->kind->copies == COPIES_RESULT;
	return p->original->wrapped != ORIGINAL_REBUILT;
}

static bool shown(const struct press *p, int16_t only_if)
{
	switch (only_if) {
	case SHOWN_ALWAYS:
		return true;
	case SHOWN_REBUILT:
		return !wrapped(p);
	case SHOWN_WRAPPED:
		return wrapped(p);
	case SHOWN_PAGES:
		return p->original == NULL || p->original->pages > 0;
	case SHOWN_CORRECTED:
		return p->original != NULL && original_corrected(p->original);
	default:
		return value_present(p->values[only_if]);
	}
}

static void field_cell(struct press *p, struct cells *c, const struct line_texts *t,
		       const struct frame *f)
{
	text_begin(p);
	text_runs(p, &t->label);
	text_runs(p, &t->value);
	cell_add(p, c, f);
}

static void layout_fields(struct press *p, const struct block *b, const struct block_texts *t,
			  uint16_t size, int32_t space)
{
	struct frame whole = { 0, FRAME_WIDTH, 0, size, 'j' };
	struct frame half = { 0, (FRAME_WIDTH - COLUMN_GAP) / 2, 0, size, 'l' };
	struct frame other = { half.width + COLUMN_GAP, half.width, 0, size, 'l' };

	for (uint16_t i = 0; i < b->lines_n; i++) {
		struct cells c = { 0 };
		uint16_t next = i + 1;

		if (!shown(p, b->lines[i].only_if))
			continue;
		field_cell(p, &c, &t->lines[i], b->lines[i].half ? &half : &whole);
		while (next < b->lines_n && !shown(p, b->lines[next].only_if))
			next++;
		if (b->lines[i].half && next < b->lines_n && b->lines[next].half) {
			field_cell(p, &c, &t->lines[next], &other);
			i = next;
		}
		strips_of_cells(p, &c, size, space);
		if (p->full)
			return;
	}
}

/* ---- recipients, signature, QR ---- */

/* Heading and lines of the recipients. Returns how many lines of text. */
static uint32_t recipients(struct press *p, const struct block *b, const struct block_texts *t,
			   int32_t width)
{
	struct frame heading = { 0, width, 0, SIZE_RECIPIENTS_HEADING, 'l' };
	struct frame f = { 0, width, 0, SIZE_RECIPIENTS, 'l' };
	uint32_t n = 0;

	for (uint16_t i = 0; i < b->lines_n; i++) {
		if (!shown(p, b->lines[i].only_if))
			continue;
		if (n == 0) {
			text_begin(p);
			text_runs(p, &t->text);
			n = text_wrap(p, &heading);
		}
		text_begin(p);
		text_runs(p, &t->lines[i].value);
		n += text_wrap(p, &f);
	}
	return n;
}

static int32_t heights(const struct press *p, uint32_t first, uint32_t n)
{
	int32_t height = 0;

	for (uint32_t i = first; i < first + n; i++)
		height += line_height(p->lines[i].size_dpt);
	return height;
}

/* Lines one below the other inside of a strip, from y on. Returns the y below them. */
static int32_t stack(struct press *p, uint32_t first, uint32_t n, int32_t y)
{
	for (uint32_t i = first; i < first + n; i++) {
		p->lines[i].y += y;
		y += line_height(p->lines[i].size_dpt);
	}
	return y;
}

/* Caption beside the code, address below it; y: the code's top in the strip. Returns the height. */
static int32_t qr_texts(struct press *p, const struct block_texts *t, int32_t width, int32_t y)
{
	struct frame caption = { QR_SIDE + QR_GAP, width - QR_SIDE - QR_GAP, 0, SIZE_CAPTION, 'l' };
	struct frame address = { 0, width, 0, SIZE_ADDRESS, 'l' };
	uint32_t first = p->lines_n, n;
	int32_t below = y + QR_SIDE, end;
	char id[ID_TEXT_BYTES];

	text_begin(p);
	text_runs(p, &t->text);
	n = text_wrap(p, &caption);
	end = stack(p, first, n, y);
	if (p->t->draft)
		return end > below ? end : below;
	if (end > below)
		below = end;
	first = p->lines_n;
	text_begin(p);
	text_runs(p, &t->subtitle);
	n = text_wrap(p, &address);
	id_text(id, p->item->result_id);
	text_begin(p);
	text_plain(p, slice_of(id, sizeof(id)), FACE_REGULAR, false);
	n += text_wrap(p, &address);
	return stack(p, first, n, below + SIZE_ADDRESS * 2);
}

static void layout_qr(struct press *p, const struct block_texts *t, int32_t space)
{
	struct strip *s = strip_add(p, 0, space);

	if (s == NULL)
		return;
	s->type = STRIP_QR;
	s->qr_y = 0;
	s->height = qr_texts(p, t, FRAME_WIDTH, 0);
	s->lines_n = p->lines_n - s->line;
}

/* A code that follows the signature stands in the free column below the recipients. */
static void layout_signature(struct press *p, const struct block *b, const struct block_texts *t,
			     const struct block_texts *qr, int32_t space)
{
	int32_t width = LEFT_WIDTH - COLUMN_GAP, height = 0;
	uint32_t first = p->lines_n, n = recipients(p, b, t, width), at = p->strips_n;
	bool beside = heights(p, first, n) < FRAME_HEIGHT / 3;
	struct strip *s = strip_add(p, p->t->shared[LAYER_SIGNER]->height, space);

	if (s == NULL)
		return;
	for (uint32_t i = at > 2 ? at - 2 : 0; i < at; i++)
		p->strips[i].keep = true;
	s->type = STRIP_SIGNATURE;
	s->line = first;
	if (beside)
		height = stack(p, first, n, 0);
	else
		s->line = first + n;
	if (qr != NULL) {
		s->qr_y = height + (height > 0 ? SPACE_PARAGRAPH : 0);
		height = qr_texts(p, qr, width, s->qr_y);
	}
	s->lines_n = p->lines_n - s->line;
	if (height > s->height)
		s->height = height;
	if (!beside)
		strips_of_lines(p, first, n, SIZE_RECIPIENTS_HEADING, SPACE_PARAGRAPH);
}

static void layout_recipients(struct press *p, const struct block *b, const struct block_texts *t,
			      int32_t space)
{
	uint32_t first = p->lines_n;

	strips_of_lines(p, first, recipients(p, b, t, FRAME_WIDTH), SIZE_RECIPIENTS_HEADING, space);
}

/* The next block that is shown, if it is a QR code. */
static const struct block_texts *qr_behind(const struct press *p, uint8_t *i)
{
	const struct kind *k = p->item->kind;
	uint8_t next = *i + 1;

	while (next < k->blocks_n && !shown(p, k->blocks[next].only_if))
		next++;
	if (next >= k->blocks_n || k->blocks[next].type != BLOCK_QR)
		return NULL;
	*i = next;
	return &p->t->blocks[next];
}

static int32_t or_default(uint16_t dpt, int32_t cpt)
{
	return dpt != 0 ? dpt * 10 : cpt;
}

static uint8_t layout_block(struct press *p, uint8_t i)
{
	const struct block *b = &p->item->kind->blocks[i];
	const struct block_texts *t = &p->t->blocks[i];
	uint16_t size = b->size_dpt;
	struct strip *s;

	switch (b->type) {
	case BLOCK_NATIONAL_HEADER:
		s = strip_add(p, p->t->shared[LAYER_UNIT]->height, or_default(b->space_dpt, 0));
		if (s != NULL)
			s->type = STRIP_HEADER;
		break;
	case BLOCK_NUMBER_DATE:
		layout_number(p, t, size != 0 ? size : SIZE_BODY, or_default(b->space_dpt, 600));
		break;
	case BLOCK_TITLE:
		layout_title(p, t, size != 0 ? size : SIZE_TITLE, or_default(b->space_dpt, 1800));
		break;
	case BLOCK_PARAGRAPH:
		layout_paragraph(p, b, t, size != 0 ? size : SIZE_BODY,
				 or_default(b->space_dpt, SPACE_PARAGRAPH));
		break;
	case BLOCK_FIELDS:
		layout_fields(p, b, t, size != 0 ? size : SIZE_BODY,
			      or_default(b->space_dpt, SPACE_PARAGRAPH));
		break;
	case BLOCK_TABLE:
		layout_table(p, b, size != 0 ? size : SIZE_TABLE,
			     or_default(b->space_dpt, SPACE_PARAGRAPH));
		break;
	case BLOCK_SIGNATURE:
		layout_signature(p, b, t, qr_behind(p, &i), or_default(b->space_dpt, 1200));
		break;
	case BLOCK_RECIPIENTS:
		layout_recipients(p, b, t, or_default(b->space_dpt, SPACE_PARAGRAPH));
		break;
	case BLOCK_QR:
		layout_qr(p, t, or_default(b->space_dpt, 1000));
		break;
	case BLOCK_SPACE:
		p->space += or_default(b->space_dpt, 1200);
		break;
	}
	return i + 1;
}

/* A page that stands for those of the original, which a preview does not have. */
static void layout_lead(struct press *p)
{
	struct frame f = { 0, FRAME_WIDTH, 0, SIZE_TITLE, 'c' };
	uint32_t first = p->lines_n, n;
	struct strip *s;

	text_begin(p);
	text_plain(p, slice_str("[Ở đây là các trang của bản chính]"), FACE_ITALIC,
		   false);
	n = text_wrap(p, &f);
	stack(p, first, n, FRAME_HEIGHT / 2);
	s = strip_add(p, FRAME_HEIGHT, 0);
	if (s == NULL)
		return;
	s->line = first;
	s->lines_n = n;
	p->lead = 1;
}

void layout_document(struct press *p)
{
	const struct kind *k = p->item->kind;
	bool replaces = p->item->result->replaces.n > 0;
	uint8_t behind = replaced_behind(k);

	if (p->t->draft == DRAFT_TRY && k->copies == COPIES_ORIGINAL)
		layout_lead(p);
	for (uint8_t i = 0; i < k->blocks_n && !p->full;) {
		uint8_t at = i;

		i = shown(p, k->blocks[i].only_if) ? layout_block(p, i) : i + 1;
		if (replaces && at <= behind && behind < i)
			layout_replaced(p);
	}
}
