#include "render/compose.h"

#include <stdlib.h>

enum status press_make(struct press **out, const struct encoding *enc, const struct qr_tables *qr)
{
	struct press *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return ST_NOMEM;
	p->encoding = enc;
	p->qr_tables = qr;
	p->text = malloc(TEXT_BYTES_MAX);
	p->spans = malloc(SPANS_MAX * sizeof(*p->spans));
	p->frags = malloc(FRAGS_MAX * sizeof(*p->frags));
	p->lines = malloc(LINES_MAX * sizeof(*p->lines));
	p->strips = malloc(STRIPS_MAX * sizeof(*p->strips));
	if (p->text == NULL || p->spans == NULL || p->frags == NULL || p->lines == NULL ||
	    p->strips == NULL) {
		press_free(p);
		return ST_NOMEM;
	}
	press_clear(p);
	*out = p;
	return ST_OK;
}

void press_free(struct press *p)
{
	if (p == NULL)
		return;
	free(p->text);
	free(p->spans);
	free(p->frags);
	free(p->lines);
	free(p->strips);
	free(p);
}

/* Fields stand in the order of the schema (case.h), so one walk finds them all. */
static enum status find_values(struct press *p)
{
	const struct kind *k = p->item->kind;
	const struct case_result *r = p->item->result;
	uint8_t i = 0;

	memset(p->values, 0, k->fields_n * sizeof(p->values[0]));
	for (uint8_t f = 0; f < r->fields_n; f++) {
		struct slice name = r->fields[f].name;

		while (i < k->fields_n && (name.n != p->t->name_sizes[i] ||
					   memcmp(name.p, k->fields[i].name, name.n) != 0))
			i++;
		if (i == k->fields_n || r->fields[f].type != k->fields[i].type)
			return ST_INTERNAL;
		p->values[i++] = &r->fields[f];
	}
	return ST_OK;
}

static enum status make_qr(struct press *p)
{
	uint8_t text[300];
	struct writer w = writer_of(text, sizeof(text));

	if (!p->t->has_qr)
		return ST_OK;
	write_bytes(&w, p->t->url.p, p->t->url.n);
	if ((size_t)(w.end - w.p) < ID_TEXT_BYTES)
		return ST_INTERNAL;
	id_text((char *)w.p, p->item->result_id);
	w.p += ID_TEXT_BYTES;
	return qr_encode(p->qr_tables, writer_slice(&w), &p->qr) == ST_OK ? ST_OK : ST_INTERNAL;
}

static bool plan_fits(const struct template *t, const struct item *item)
{
	if (t->draft)
		return item->slots_n == 0;
	if (item->slots_n != t->signs_n)
		return false;
	for (uint8_t i = 0; i < t->signs_n; i++)
		if (item->slots[i].plan.role != item->kind->signs[i])
			return false;
	return true;
}

static void begin_document(struct document *d, const struct template *t, uint8_t *body)
{
	*d = (struct document){ .body = body, .prefix_parts = t->view.prefix_n,
				.parts_n = t->view.prefix_n };
	for (uint8_t i = 0; i < t->view.prefix_n; i++)
		d->parts[i] = (struct part){ t->view.layers[i], 0, t->view.layers[i]->size };
}

/* A copy has an original, and nothing else has; a preview does without. */
static enum status take_original(struct press *p, const struct item *item)
{
	p->original = p->t->copies ? item->result->original : NULL;
	p->images_n = p->original != NULL ? p->original->images_n : 0;
	if (p->t->copies ? p->original == NULL :
	    item->kind->copies == COPIES_NOTHING && item->result->original != NULL)
		return ST_INTERNAL;
	return p->images_n <= ORIGINAL_PAGES_MAX ? ST_OK : ST_TOO_LARGE;
}

/* What is laid out, into the document. */
static enum status write_document(struct press *p, struct item *item, struct arena *arena)
{
	struct section *section = NULL;
	uint8_t *body;
	struct writer w;
	enum status st;

	if (p->original != NULL) {
		section = section_take(p, arena);
		if (section == NULL)
			return ST_TOO_LARGE;
	}
	body = arena_take(arena, 0);
	if (body == NULL)
		return ST_TOO_LARGE;
	w = writer_of(body, arena->base + arena->size - body < DOC_BODY_BYTES_MAX ?
		      (size_t)(arena->base + arena->size - body) : DOC_BODY_BYTES_MAX);
	begin_document(&item->doc, p->t, body);
	if (section != NULL)
		section_write(p, section, &w);
	item->doc.section = section;
	st = tail_write(p, item, &w);
	if (st == ST_OK && arena_take(arena, item->doc.body_size) != body)
		st = ST_INTERNAL;
	return st;
}

enum status press_item(struct press *p, struct item *item, struct arena *arena)
{
	enum status st;

	p->item = item;
	p->t = item->template;
	press_clear(p);
	if (item->kind->fields_n > FIELDS_MAX || !plan_fits(p->t, item))
		return ST_INTERNAL;
	st = take_original(p, item);
	if (st == ST_OK)
		st = find_values(p);
	if (st == ST_OK)
		st = make_qr(p);
	if (st != ST_OK)
		return st;
	layout_document(p);
	if (p->well.foreign)
		return ST_INTERNAL;
	st = p->full ? ST_TOO_LARGE : paginate(p);
	if (st == ST_OK && p->images_n + p->pages > DOC_PAGES_MAX)
		st = ST_TOO_LARGE;
	return st == ST_OK ? write_document(p, item, arena) : st;
}

enum status render_item(struct press *p, struct item *item, struct arena *arena)
{
	return press_item(p, item, arena);
}
