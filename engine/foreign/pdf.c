#include "foreign/pdf.h"

#include <math.h>

#include "foreign/pdfinside.h"
#include "foreign/pdflex.h"
#include "limits.h"

#define LEVELS_MAX 64			/* of a page tree */

/* ---- values ---- */

/* qpdf's words may quote the file: only the kind and place of its last ones leave here. */
static void complaint(struct pdf *p, qpdf_error e, enum reason *why)
{
	const char *text = qpdf_get_error_full_text(p->q, e);

	if (*why == REASON_ORIGINAL_TOO_LARGE)
		return;
	if (text != NULL && strstr(text, "bad_alloc") != NULL)
		*why = look_refuse(p->d, REASON_ORIGINAL_TOO_LARGE, "PDF: memory");
	else
		*why = look_refuse(p->d, REASON_ORIGINAL_DAMAGED, "PDF: qpdf %d, byte %llu",
				   (int)qpdf_get_error_code(p->q, e),
				   qpdf_get_error_file_position(p->q, e));
}

bool pdf_complains(struct pdf *p, enum reason *why)
{
	bool any = false;

	for (; qpdf_more_warnings(p->q); any = true)
		complaint(p, qpdf_next_warning(p->q), why);
	if (qpdf_has_error(p->q)) {
		complaint(p, qpdf_get_error(p->q), why);
		any = true;
	}
	return any;
}

bool pdf_integer(struct pdf *p, qpdf_oh oh, int64_t min, int64_t max, int64_t *out)
{
	long long v;

	if (!qpdf_oh_get_value_as_longlong(p->q, oh, &v) || v < min || v > max)
		return false;
	*out = v;
	return true;
}

bool pdf_numbers(struct pdf *p, qpdf_oh array, uint32_t n, double *out)
{
	if (!qpdf_oh_is_array(p->q, array) ||
	    qpdf_oh_get_array_n_items(p->q, array) != (int)n)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!qpdf_oh_get_value_as_number(p->q, qpdf_oh_get_array_item(p->q, array, (int)i),
						 &out[i]) || !isfinite(out[i]))
			return false;
	return true;
}

qpdf_oh pdf_inherited(struct pdf *p, qpdf_oh page, const char *key)
{
	qpdf_oh node = page;

	for (int i = 0; i < LEVELS_MAX && qpdf_oh_is_dictionary(p->q, node); i++) {
		qpdf_oh value = qpdf_oh_get_key(p->q, node, key);

		if (!qpdf_oh_is_null(p->q, value))
			return value;
		node = qpdf_oh_get_key(p->q, node, "/Parent");
	}
	return qpdf_oh_new_null(p->q);
}

qpdf_oh pdf_only(struct pdf *p, qpdf_oh oh)
{
	if (qpdf_oh_is_array(p->q, oh) && qpdf_oh_get_array_n_items(p->q, oh) == 1)
		return qpdf_oh_get_array_item(p->q, oh, 0);
	return oh;
}

/* ---- every object ---- */

struct seen { bool active, signature, rendition, script; };

/*
 * The words of one object and all that lies in it, as qpdf writes them: escapes are gone. What kind
 * an action is may stand in an object of its own: a name that is one is taken for that. false: no
 * words of the language.
 */
static bool words(const char *text, struct seen *seen)
{
	struct reader r = reader_of(slice_str(text));
	struct pdf_word w, before = { .type = PDF_END };

	seen->rendition = seen->script = false;
	for (pdf_next(&r, &w); w.type != PDF_END && w.type != PDF_BAD; pdf_next(&r, &w)) {
		if (w.type == PDF_NAME) {
			bool alone = before.type == PDF_END;
			bool action = before.type == PDF_NAME && pdf_is(before.text, "S");

			seen->active |= pdf_is(w.text, "JavaScript") || pdf_is(w.text, "XFA") ||
					((action || alone) && pdf_is(w.text, "Launch")) ||
					(alone && pdf_is(w.text, "Rendition"));
			seen->signature |= pdf_is(w.text, "ByteRange") || pdf_is(w.text, "DocMDP");
			seen->rendition |= action && pdf_is(w.text, "Rendition");
			seen->script |= pdf_is(w.text, "JS");
		}
		before = w;
	}
	seen->active |= seen->rendition && seen->script;
	return w.type == PDF_END;
}

static enum reason object(struct pdf *p, qpdf_oh oh, struct seen *seen)
{
	bool stream = qpdf_oh_is_stream(p->q, oh);
	enum reason why = REASON_NONE;

	if (!words(qpdf_oh_unparse_resolved(p->q, stream ? qpdf_oh_get_dict(p->q, oh) : oh), seen))
		why = look_refuse(p->d, REASON_ORIGINAL_DAMAGED, "PDF: words");
	else if (stream)
		why = pdf_decoded(p, oh);
	qpdf_oh_release_all(p->q);
	return why;
}

static enum reason objects(struct pdf *p, struct seen *seen)
{
	enum reason why;

	why = object(p, qpdf_get_trailer(p->q), seen);
	for (uint32_t n = 1; n < p->xref.n && why == REASON_NONE; n++) {
		const struct xref_entry *e = &p->xref.entries[n];

		if (e->kind == XREF_AT || e->kind == XREF_WITHIN)
			why = object(p, qpdf_get_object_by_id(p->q, (int)n, e->generation), seen);
		if (why == REASON_NONE && !pdf_complains(p, &why) && seen->active)
			return look_refuse(p->d, REASON_ORIGINAL_ACTIVE, "object %u", n);
	}
	return why;
}

/* ---- pages ---- */

static enum reason page(struct pdf *p, uint32_t n, struct original *out)
{
	struct original_image *m = &out->images[n];
	enum reason why = REASON_NONE;
	qpdf_oh image;

	pdf_page(p, qpdf_get_page_n(p->q, n), m, &image, &out->wrapped);
	if (out->wrapped == ORIGINAL_REBUILT)
		why = pdf_image(p, image, m, &out->wrapped);
	if (why == REASON_NONE)
		pdf_complains(p, &why);
	qpdf_oh_release_all(p->q);
	for (uint16_t i = 0; i < m->runs_n; i++) {
		/* One image on many pages: the copy would be many times as large. */
		if (m->runs[i].size > p->runs_left)
			out->wrapped = ORIGINAL_LONG;
		else
			p->runs_left -= m->runs[i].size;
	}
	return why;
}

static enum reason pages(struct pdf *p, struct original *out)
{
	enum reason why = REASON_NONE;

	out->images = arena_zero(p->arena, out->pages * sizeof(*out->images));
	if (out->images == NULL)
		return look_refuse(p->d, REASON_ORIGINAL_TOO_LARGE, "memory");
	out->images_n = out->pages;
	for (uint32_t i = 0; i < out->pages && why == REASON_NONE &&
	     out->wrapped == ORIGINAL_REBUILT; i++)
		why = page(p, i, out);
	return why;
}

static enum reason count(struct pdf *p, struct original *out)
{
	int n = qpdf_get_num_pages(p->q);
	enum reason why = REASON_NONE;

	if (pdf_complains(p, &why))
		return why;
	if (n < 1)
		return look_refuse(p->d, REASON_ORIGINAL_DAMAGED, "PDF: no pages");
	if (n > UINT16_MAX)
		return look_refuse(p->d, REASON_ORIGINAL_TOO_LARGE, "PDF: %d pages", n);
	out->pages = (uint16_t)n;
	return REASON_NONE;
}

static enum reason look(struct pdf *p, struct original *out)
{
	struct seen seen = { false };
	enum reason why = REASON_NONE;

	qpdf_silence_errors(p->q);
	qpdf_set_suppress_warnings(p->q, QPDF_TRUE);
	qpdf_set_attempt_recovery(p->q, QPDF_FALSE);
	if (qpdf_read_memory(p->q, "", (const char *)p->file.p, p->file.n, NULL) != QPDF_SUCCESS &&
	    !pdf_complains(p, &why))
		return look_refuse(p->d, REASON_ORIGINAL_DAMAGED, "PDF");
	if (why == REASON_NONE && qpdf_is_encrypted(p->q))
		return look_refuse(p->d, REASON_ORIGINAL_ENCRYPTED, "/Encrypt");
	if (why == REASON_NONE)
		why = objects(p, &seen);
	if (why == REASON_NONE)
		why = count(p, out);
	if (why != REASON_NONE)
		return why;
	if (seen.signature)
		out->wrapped = ORIGINAL_SIGNED;
	else if (out->pages > ORIGINAL_PAGES_MAX)
		out->wrapped = ORIGINAL_LONG;
	return out->wrapped == ORIGINAL_REBUILT ? pages(p, out) : REASON_NONE;
}

enum reason pdf_look(struct slice file, struct arena *a, struct original *out, struct detail *d)
{
	struct pdf p = { .file = file, .arena = a, .d = d,
			 .decoded_left = ORIGINAL_DECODED_BYTES_MAX,
			 .images_left = ORIGINAL_DECODED_BYTES_MAX, .runs_left = file.n };
	enum reason why = xref_read(file, a, &p.xref, d);

	if (why != REASON_NONE)
		return why;
	p.q = qpdf_init();
	why = look(&p, out);
	qpdf_cleanup(&p.q);
	return why;
}
