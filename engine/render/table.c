#include "render/press.h"

#include <stdio.h>

#define PAD_X 350
#define PAD_Y 200
#define NUMBERS_WIDTH 3000		/* of the column STT */

static void columns_of(struct table *t, const struct field_def *def, bool row_numbers)
{
	int32_t x = 0, room = FRAME_WIDTH, permille = 0;

	t->columns_n = 0;
	if (row_numbers) {
		t->columns[t->columns_n++] = (struct column){ 0, NUMBERS_WIDTH };
		x = NUMBERS_WIDTH;
		room -= NUMBERS_WIDTH;
	}
	for (uint8_t i = 0; i < def->columns_n; i++)
		permille += (int32_t)def->columns[i].width_permille;
	for (uint8_t i = 0; i < def->columns_n; i++) {
		/* Widths are shares of what is there; equal ones where none is given. */
		int32_t width = permille > 0 ? (int32_t)((int64_t)room *
				def->columns[i].width_permille / permille) : room / def->columns_n;

		t->columns[t->columns_n++] = (struct column){ x, width };
		x += width;
	}
}

/* Strips [from, …) become one row, with room above and below. */
static void end_row(struct press *p, uint32_t from)
{
	struct strip *first = &p->strips[from], *last = &p->strips[p->strips_n - 1];

	if (p->full || p->strips_n == from)
		return;
	first->row = true;
	first->height += PAD_Y;
	for (uint32_t i = 0; i < first->lines_n; i++)
		p->lines[first->line + i].y += PAD_Y;
	last->height += PAD_Y;
	for (struct strip *s = first; s <= last; s++)
		s->table = (uint8_t)p->tables_n;
}

static void cell_text(struct press *p, struct cells *c, const struct column *column, struct slice s,
		      enum face face, uint16_t size, char align)
{
	struct frame f = { column->x + PAD_X, column->width - 2 * PAD_X, 0, size, align };

	text_begin(p);
	text_plain(p, s, face, false);
	cell_add(p, c, &f);
}

static void heading_row(struct press *p, struct table *t, const struct field_def *def,
			bool row_numbers, uint16_t size, int32_t space)
{
	const struct column *column = t->columns;
	struct cells c = { 0 };

	t->heading = p->strips_n;
	if (row_numbers)
		cell_text(p, &c, column++, slice_str("STT"), FACE_BOLD, size, 'c');
	for (uint8_t i = 0; i < def->columns_n; i++)
		cell_text(p, &c, column++, slice_str(def->columns[i].label), FACE_BOLD, size, 'c');
	strips_of_cells(p, &c, size, space);
	end_row(p, t->heading);
	t->headings_n = p->strips_n - t->heading;
	t->heading_height = 0;
	for (uint32_t i = t->heading; i < p->strips_n; i++) {
		p->strips[i].keep = true;
		p->strips[i].heading = true;
		t->heading_height += p->strips[i].height;
	}
}

static void row(struct press *p, const struct table *t, const struct field_def *def,
		const struct field *f, uint16_t index, bool row_numbers, uint16_t size)
{
	const struct column *column = t->columns;
	uint32_t from = p->strips_n;
	struct cells c = { 0 };
	char number[8];

	if (row_numbers) {
		snprintf(number, sizeof(number), "%u", index + 1u);
		cell_text(p, &c, column++, slice_str(number), FACE_REGULAR, size, 'c');
	}
	for (uint8_t i = 0; i < def->columns_n && i < f->table.columns; i++)
		cell_text(p, &c, column++, f->table.cells[index * f->table.columns + i],
			  FACE_REGULAR, size, def->columns[i].number ? 'r' : 'l');
	strips_of_cells(p, &c, size, 0);
	end_row(p, from);
}

void layout_table(struct press *p, const struct block *b, uint16_t size_dpt, int32_t space)
{
	const struct field *f = p->values[b->table_field];
	const struct field_def *def = &p->item->kind->fields[b->table_field];
	struct table *t = &p->tables[p->tables_n];

	if (f == NULL)
		return;
	if (p->tables_n == TABLES_MAX) {
		p->full = true;
		return;
	}
	p->tables_n++;
	columns_of(t, def, b->row_numbers);
	heading_row(p, t, def, b->row_numbers, size_dpt, space);
	for (uint16_t i = 0; i < f->table.rows && !p->full; i++)
		row(p, t, def, f, i, b->row_numbers, size_dpt);
}
