#include "render/tail.h"

static void content(struct tail *t, uint32_t i)
{
	uint8_t *length, *data;

	write_str(t->w, "<<");
	length = tail_stream(t);
	data = t->w->p;
	scan_content(t->p, i, t->w);
	tail_stream_end(t, length, data);
}

void tail_scan(struct tail *t, uint32_t i, struct page_place *place)
{
	const struct original_image *m = &t->p->original->images[i];
	struct writer *w = t->w;

	place->content_at = tail_begin(t, tail_page(t, i) + 1);
	content(t, i);
	place->page_at = tail_begin(t, tail_page(t, i));
	write_str(w, "<</Type/Page/Parent ");
	tail_reference(t, OBJ_PAGES);
	write_str(w, "/MediaBox[0 0 ");
	write_cpt(w, scan_side(m->page_width));
	write_u8(w, ' ');
	write_cpt(w, scan_side(m->page_height));
	write_str(w, "]/Resources<</XObject<</I ");
	tail_reference(t, section_image(t->p, i));
	if (t->t->marked) {
		write_str(w, "/M ");
		tail_reference(t, OBJ_MARK);
	}
	write_str(w, ">>>>/Contents ");
	tail_reference(t, tail_page(t, i) + 1);
	write_str(w, ">>");
	tail_end(t);
}

static void file_name(struct tail *t)
{
	write_u8(t->w, '(');
	write_str(t->w, original_file(t->p->original));
	write_u8(t->w, ')');
}

/* ISO 19005-3, 6.8. The document was made from it: /Source. */
void tail_source(struct tail *t)
{
	struct writer *w = t->w;

	*tail_place(t, t->t->object_source) = tail_begin(t, t->t->object_source);
	write_str(w, "<</Type/Filespec/F");
	file_name(t);
	write_str(w, "/UF");
	file_name(t);
	write_str(w, "/AFRelationship/Source/EF<</F ");
	tail_reference(t, t->t->object_original);
	write_str(w, "/UF ");
	tail_reference(t, t->t->object_original);
	write_str(w, ">>>>");
	tail_end(t);
	/* By name (ISO 32000-1, 7.9.6). */
	*tail_place(t, t->t->object_names) = tail_begin(t, t->t->object_names);
	write_str(w, "<</Names[");
	file_name(t);
	tail_reference(t, t->t->object_source);
	write_str(w, "(result.json)");
	tail_reference(t, OBJ_FILESPEC);
	write_str(w, "]>>");
	tail_end(t);
}
