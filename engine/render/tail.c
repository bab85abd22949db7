#include "render/tail.h"

#include <stdio.h>

#include "base/calendar.h"

#define LENGTH_PLACES 8
#define RANGE_PLACES 32

/* What /ByteRange and the hole must be told at the end of the revision. */
struct open_signature { uint8_t *range; struct hole *hole; };

static uint32_t here(const struct tail *t)
{
	return t->file_at + (uint32_t)writer_size(t->w) - t->part_at;
}

static void end_part(struct tail *t)
{
	uint32_t at = (uint32_t)writer_size(t->w);

	t->d->parts[t->d->parts_n++] = (struct part){ NULL, t->part_at, at - t->part_at };
	t->file_at += at - t->part_at;
	t->part_at = at;
}

uint32_t *tail_place(struct tail *t, uint32_t number)
{
	return &t->at[number - OBJ_PAGES];
}

uint32_t tail_page(const struct tail *t, uint32_t page)
{
	return t->t->object_page + 2 * page;
}

/* ---- objects ---- */

uint32_t tail_begin(struct tail *t, uint32_t number)
{
	uint32_t at = here(t);

	write_number(t->w, number);
	write_str(t->w, " 0 obj\n");
	return at;
}

void tail_end(struct tail *t)
{
	write_str(t->w, "\nendobj\n");
}

void tail_reference(struct tail *t, uint32_t number)
{
	write_number(t->w, number);
	write_str(t->w, " 0 R");
}

/* Fills the places that were left for a number. */
static void fill(uint8_t *at, uint32_t v)
{
	uint8_t b[LENGTH_PLACES + NUMBER_ROOM];
	struct writer w = writer_of(b, sizeof(b));

	write_number(&w, v);
	memcpy(at, b, writer_size(&w));
}

uint8_t *tail_stream(struct tail *t)
{
	uint8_t *length;

	write_str(t->w, "/Length ");
	length = t->w->p;
	write_bytes(t->w, "        ", LENGTH_PLACES);
	write_str(t->w, ">>\nstream\n");
	return length;
}

void tail_stream_end(struct tail *t, uint8_t *length, const uint8_t *data)
{
	if (!t->w->bad)
		fill(length, (uint32_t)(t->w->p - data));
	write_str(t->w, "\nendstream");
	tail_end(t);
}

/* Page i of the document. */
static void page(struct tail *t, uint32_t i, struct page_place *place)
{
	struct writer *w = t->w;
	const uint8_t *data;
	uint8_t *length;

	place->content_at = tail_begin(t, tail_page(t, i) + 1);
	write_str(w, "<<");
	length = tail_stream(t);
	data = w->p;
	page_content(t->p, i - t->p->images_n, w);
	tail_stream_end(t, length, data);
	place->page_at = tail_begin(t, tail_page(t, i));
	write_str(w, "<</Type/Page/Parent ");
	tail_reference(t, OBJ_PAGES);
	/* On the page itself: inherited ones do not count (ISO 19005-3, 6.2.2). */
	write_str(w, "/Resources ");
	tail_reference(t, OBJ_RESOURCES);
	write_str(w, "/Contents ");
	tail_reference(t, tail_page(t, i) + 1);
	for (uint8_t k = 0; k < t->t->signs_n && i == t->places.page; k++) {
		write_str(w, k == 0 ? "/Annots[" : " ");
		tail_reference(t, t->t->object_widget + k);
		if (k + 1 == t->t->signs_n)
			write_u8(w, ']');
	}
	write_str(w, ">>");
	tail_end(t);
}

static void pages(struct tail *t, struct press *p)
{
	struct writer *w = t->w;

	for (uint32_t i = 0; i < t->pages && !w->bad; i++) {
		if (i < p->images_n)
			tail_scan(t, i, &p->places[i]);
		else
			page(t, i, &p->places[i]);
	}
	*tail_place(t, OBJ_PAGES) = tail_begin(t, OBJ_PAGES);
	write_str(w, "<</Type/Pages/MediaBox[0 0 595.28 841.89]/Count ");
	write_number(w, t->pages);
	write_str(w, "/Kids[");
	for (uint32_t i = 0; i < t->pages; i++) {
		if (i > 0)
			write_u8(w, ' ');
		tail_reference(t, tail_page(t, i));
	}
	write_str(w, "]>>");
	tail_end(t);
}

static void data(struct tail *t)
{
	uint8_t *length;
	const uint8_t *start;

	*tail_place(t, t->t->object_data) = tail_begin(t, t->t->object_data);
	write_str(t->w, "<</Type/EmbeddedFile/Subtype/application#2Fjson");
	length = tail_stream(t);
	start = t->w->p;
	write_data(t->p, t->w);
	tail_stream_end(t, length, start);
}

static void qr(struct tail *t)
{
	const struct qr *q = &t->p->qr;
	uint32_t n = (uint32_t)q->row_bytes * q->side;

	*tail_place(t, t->t->object_qr) = tail_begin(t, t->t->object_qr);
	write_str(t->w, "<</Type/XObject/Subtype/Image/ImageMask true/BitsPerComponent 1/Width ");
	write_number(t->w, q->side);
	write_str(t->w, "/Height ");
	write_number(t->w, q->side);
	write_str(t->w, "/Length ");
	write_number(t->w, n);
	write_str(t->w, ">>\nstream\n");
	write_bytes(t->w, q->rows, n);
	write_str(t->w, "\nendstream");
	tail_end(t);
}

/* ---- signature fields ---- */

static uint32_t appearance(const struct tail *t, enum signer_role role)
{
	const struct shared_layer *l =
		t->t->shared[role == ROLE_PERSON ? LAYER_SIGNER : LAYER_UNIT];

	if (l->image_width == 0)
		return OBJ_EMPTY;
	return role == ROLE_PERSON ? OBJ_HAND : OBJ_SEAL;
}

/* Field and widget in one; signature: its object, 0 while it is empty. */
static uint32_t widget(struct tail *t, uint8_t slot, uint32_t signature)
{
	enum signer_role role = t->item->slots[slot].plan.role;
	uint32_t at = tail_begin(t, t->t->object_widget + slot);
	struct writer *w = t->w;

	write_str(w, "<</Type/Annot/Subtype/Widget/FT/Sig/F 132/T");
	write_str(w, role == ROLE_PERSON ? "(person)" : "(agency)");
	write_str(w, "/Rect[");
	for (int i = 0; i < 4; i++) {
		if (i > 0)
			write_u8(w, ' ');
		write_cpt(w, t->places.rect[role][i]);
	}
	write_str(w, "]/P ");
	tail_reference(t, tail_page(t, t->places.page));
	write_str(w, "/AP<</N ");
	tail_reference(t, signature == 0 ? OBJ_EMPTY : appearance(t, role));
	write_str(w, ">>");
	if (role == ROLE_AGENCY) {
		write_str(w, "/Lock ");
		tail_reference(t, OBJ_LOCK);
	}
	if (signature != 0) {
		write_str(w, "/V ");
		tail_reference(t, signature);
	}
	write_str(w, ">>");
	tail_end(t);
	return at;
}

/* UTF-16BE with its mark, hex: no byte of a name can end the string. */
static void write_name(struct writer *w, const char *name)
{
	struct slice s = slice_str(name);
	uint8_t b[2 * 256 + 2] = { 0xfe, 0xff };
	size_t n = 2;
	int32_t cp;

	while (n + 4 <= sizeof(b) && (cp = utf8_next(&s)) >= 0) {
		uint32_t units[2] = { (uint32_t)cp, 0 };

		if (cp > 0xffff) {
			units[0] = 0xd800u + (((uint32_t)cp - 0x10000u) >> 10);
			units[1] = 0xdc00u + ((uint32_t)cp & 0x3ffu);
		}
		for (int i = 0; i < (cp > 0xffff ? 2 : 1); i++) {
			b[n++] = (uint8_t)(units[i] >> 8);
			b[n++] = (uint8_t)units[i];
		}
	}
	write_u8(w, '<');
	if (w->bad || 2 * n > (size_t)(w->end - w->p)) {
		w->bad = true;
		return;
	}
	hex_upper((char *)w->p, b, n);
	w->p += 2 * n;
	write_u8(w, '>');
}

static void write_two(struct writer *w, uint32_t v)
{
	uint8_t b[2] = { (uint8_t)('0' + v / 10 % 10), (uint8_t)('0' + v % 10) };

	write_bytes(w, b, 2);
}

static void write_moment(struct writer *w, int64_t unix_ms)
{
	struct civil c = civil_vietnam(unix_ms);

	write_str(w, "/M(D:");
	write_two(w, c.year / 100);
	write_two(w, c.year);
	write_two(w, c.month);
	write_two(w, c.day);
	write_two(w, c.hour);
	write_two(w, c.minute);
	write_two(w, c.second);
	write_str(w, "+07'00')");
}

/* The signature dictionary around its hole. */
static struct open_signature signature(struct tail *t, uint8_t slot, uint32_t number)
{
	static const char empty[RANGE_PLACES + 1] = "                                ";
	const struct signature_slot *plan = &t->item->slots[slot].plan;
	struct document *d = t->d;
	struct open_signature s = { .hole = &d->holes[d->holes_n++] };
	struct writer *w = t->w;

	tail_begin(t, number);
	write_str(w, "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached");
	write_moment(w, plan->signed_ms);
	write_str(w, "/Name");
	write_name(w, plan->name);
	if (slot == 0 && t->item->kind->certify)
		write_str(w, "/Reference[<</Type/SigRef/TransformMethod/DocMDP/TransformParams"
			  "<</Type/TransformParams/P 2/V/1.2>>>>]");
	write_str(w, "/ByteRange[0 ");
	s.range = w->p;
	write_bytes(w, empty, RANGE_PLACES);
	write_str(w, "]/Contents");
	end_part(t);
	*s.hole = (struct hole){ .part = d->parts_n, .file_offset = t->file_at,
				 .file_bytes = plan->hole_bytes, .body_offset = t->part_at };
	d->parts[d->parts_n++] = (struct part){ NULL, 0, plan->hole_bytes };
	t->file_at += plan->hole_bytes;
	if (w->bad || plan->body_bytes > (size_t)(w->end - w->p)) {
		w->bad = true;
	} else {
		memset(w->p, '0', plan->body_bytes);
		w->p += plan->body_bytes;
	}
	t->part_at = (uint32_t)writer_size(w);
	write_str(w, ">>");
	tail_end(t);
	return s;
}

/* ---- cross-reference, trailer ---- */

static void entry(struct writer *w, uint32_t offset)
{
	uint8_t line[21] = "0000000000 00000 n \n";

	for (int i = 9; offset > 0; i--) {
		line[i] = (uint8_t)('0' + offset % 10);
		offset /= 10;
	}
	write_bytes(w, line, 20);
}

static void trailer(struct tail *t, uint32_t size, uint32_t xref)
{
	struct writer *w = t->w;

	write_str(w, "trailer\n<</Size ");
	write_number(w, size);
	write_str(w, "/Root ");
	tail_reference(t, OBJ_CATALOG);
	write_str(w, "/ID[<");
	write_bytes(w, t->id, sizeof(t->id));
	write_str(w, "><");
	write_bytes(w, t->id, sizeof(t->id));
	write_str(w, ">]");
	if (t->xref != 0) {
		write_str(w, "/Prev ");
		write_number(w, t->xref);
	}
	write_str(w, ">>\nstartxref\n");
	write_number(w, xref);
	write_str(w, "\n%%EOF\n");
	t->xref = xref;
}

static void close_signature(struct tail *t, const struct open_signature *s)
{
	uint32_t after = s->hole->file_offset + s->hole->file_bytes;
	uint8_t b[RANGE_PLACES + NUMBER_ROOM];
	struct writer w = writer_of(b, sizeof(b));

	s->hole->revision_end = here(t);
	write_number(&w, s->hole->file_offset);
	write_u8(&w, ' ');
	write_number(&w, after);
	write_u8(&w, ' ');
	write_number(&w, s->hole->revision_end - after);
	if (!t->w->bad)
		memcpy(s->range, b, writer_size(&w));
}

static void first_xref(struct tail *t)
{
	uint32_t size = t->next, xref = here(t);
	const struct layer *layer = &t->t->xref;
	struct writer *w = t->w;

	write_str(w, "xref\n0 ");
	write_number(w, size);
	write_u8(w, '\n');
	end_part(t);
	t->d->parts[t->d->parts_n++] = (struct part){ layer, 0, layer->size };
	t->file_at += layer->size;
	for (uint32_t i = OBJ_PAGES; i < t->t->object_page; i++)
		entry(w, *tail_place(t, i));
	for (uint32_t i = 0; i < t->pages; i++) {
		entry(w, t->p->places[i].page_at);
		entry(w, t->p->places[i].content_at);
	}
	for (uint32_t i = 0; i < t->p->images_n; i++)
		entry(w, t->p->images_at[i]);
	trailer(t, size, xref);
}

/* A later signature: its field's new value and itself. */
static void update(struct tail *t, uint8_t slot)
{
	uint32_t number = t->next + slot - 1, at, widget_at, xref;
	struct open_signature s;
	struct writer *w = t->w;

	widget_at = widget(t, slot, number);
	at = here(t);
	s = signature(t, slot, number);
	xref = here(t);
	write_str(w, "xref\n");
	write_number(w, t->t->object_widget + slot);
	write_str(w, " 1\n");
	entry(w, widget_at);
	write_number(w, number);
	write_str(w, " 1\n");
	entry(w, at);
	trailer(t, number + 1, xref);
	close_signature(t, &s);
}

/* Where the section left off. */
static struct tail tail_of(struct press *p, struct item *item, struct writer *w)
{
	const struct section *section = item->doc.section;
	struct tail t = { .p = p, .t = p->t, .item = item, .d = &item->doc, .w = w,
			  .file_at = p->t->view.prefix_size, .part_at = (uint32_t)writer_size(w),
			  .places = widget_places(p), .pages = p->images_n + p->pages };

	if (section != NULL) {
		t.file_at += section->size;
		*tail_place(&t, p->t->object_original) = p->original_at;
	}
	t.places.page += p->images_n;
	t.next = tail_page(&t, t.pages) + p->images_n;
	hex_upper(t.id, item->result_id, sizeof(item->result_id));
	return t;
}

enum status tail_write(struct press *p, struct item *item, struct writer *w)
{
	struct tail t = tail_of(p, item, w);
	struct open_signature s = { 0 };

	pages(&t, p);
	if (p->t->has_qr)
		qr(&t);
	data(&t);
	if (p->original != NULL)
		tail_source(&t);
	for (uint8_t i = 0; i < p->t->signs_n; i++)
		*tail_place(&t, p->t->object_widget + i) =
			widget(&t, i, i == 0 ? p->t->object_signature : 0);
	if (p->t->signs_n > 0) {
		*tail_place(&t, p->t->object_signature) = here(&t);
		s = signature(&t, 0, p->t->object_signature);
	}
	first_xref(&t);
	if (p->t->signs_n > 0)
		close_signature(&t, &s);
	for (uint8_t i = 1; i < p->t->signs_n; i++)
		update(&t, i);
	end_part(&t);
	if (w->bad)
		return ST_TOO_LARGE;
	item->doc.body_size = (uint32_t)writer_size(w);
	item->doc.file_size = t.file_at;
	item->doc.pages = t.pages;
	return ST_OK;
}
