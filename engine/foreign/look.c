#include "foreign/look.h"

#include <stdarg.h>
#include <stdio.h>

#include "foreign/jpeg.h"
#include "foreign/pdf.h"
#include "foreign/png.h"
#include "limits.h"

/* cpt */
#define A4_SHORT 59528
#define A4_LONG 84189
#define PAGE_SIDE_MAX 1000000		/* 3.5 m: a plan */
#define CPT_IN_INCH 7200

/* Samples in an inch × 100: what programs write who do not know, and what no scanner does. */
#define DENSITY_SAID_MIN 9600
#define DENSITY_SAID_MAX 480000
#define DENSITY_ASSUMED 7200

#define HEADER_SOUGHT_BYTES 1024	/* other programs find a PDF so far from the beginning */

enum reason look_refuse(struct detail *d, enum reason why, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->text, sizeof(d->text), fmt, ap);
	va_end(ap);
	return why;
}

enum reason look_sides(uint32_t width, uint32_t height, struct detail *d)
{
	if (width <= ORIGINAL_SIDE_MAX && height <= ORIGINAL_SIDE_MAX &&
	    (uint64_t)width * height <= ORIGINAL_SAMPLES_MAX)
		return REASON_NONE;
	return look_refuse(d, REASON_ORIGINAL_TOO_LARGE, "%u x %u", width, height);
}

/* ---- the page of a single image ---- */

static bool is_said(uint32_t density)
{
	return density > DENSITY_SAID_MIN && density <= DENSITY_SAID_MAX;
}

static uint32_t at_least_one(uint64_t v)
{
	return v == 0 ? 1 : (uint32_t)v;
}

/* Shrunk, never enlarged, into `shorter` × `longer`; its shape stays. */
static void fit(uint64_t *w, uint64_t *h, uint64_t shorter, uint64_t longer)
{
	uint64_t wide = *w > *h ? longer : shorter, high = *w > *h ? shorter : longer;

	if (*w <= wide && *h <= high)
		return;
	if (*w * high > *h * wide) {
		*h = *h * wide / *w;
		*w = wide;
	} else {
		*w = *w * high / *h;
		*h = high;
	}
}

/* The page is the image: of the size that was scanned where the file says one, else at most A4. */
static void page_of(struct original_image *m, struct density density)
{
	bool said = is_said(density.x) && is_said(density.y);
	uint64_t w, h;

	if (!said)
		density = (struct density){ DENSITY_ASSUMED, DENSITY_ASSUMED };
	w = (uint64_t)m->width * CPT_IN_INCH * 100 / density.x;
	h = (uint64_t)m->height * CPT_IN_INCH * 100 / density.y;
	if (said)
		fit(&w, &h, PAGE_SIDE_MAX, PAGE_SIDE_MAX);
	else
		fit(&w, &h, A4_SHORT, A4_LONG);
	if (m->orientation > 4) {
		uint64_t turned = w;

		w = h;
		h = turned;
	}
	m->page_width = m->shown_width = at_least_one(w);
	m->page_height = m->shown_height = at_least_one(h);
}

static enum reason one_image(struct arena *a, struct original *out, struct detail *d,
			     struct original_image **m)
{
	out->images = *m = arena_zero(a, sizeof(**m));
	if (*m == NULL)
		return look_refuse(d, REASON_ORIGINAL_TOO_LARGE, "memory");
	out->images_n = 1;
	return REASON_NONE;
}

static enum reason of_jpeg(struct slice file, struct arena *a, struct original *out,
			   struct detail *d)
{
	struct original_image *m;
	struct jpeg j;
	enum reason why = jpeg_look(file, &j, d);

	out->format = ORIGINAL_JPEG;
	out->pages = 1;
	out->wrapped = j.wrapped == ORIGINAL_REBUILT && j.other_colours ? ORIGINAL_COLOUR :
		       j.wrapped;
	if (why != REASON_NONE || out->wrapped != ORIGINAL_REBUILT)
		return why;
	why = one_image(a, out, d, &m);
	if (why != REASON_NONE)
		return why;
	m->runs = arena_take(a, sizeof(*m->runs));
	if (m->runs == NULL)
		return look_refuse(d, REASON_ORIGINAL_TOO_LARGE, "memory");
	m->runs_n = 1;
	m->runs[0] = (struct original_run){ 0, (uint32_t)file.n };
	m->coding = IMAGE_JPEG;
	m->width = j.width;
	m->height = j.height;
	m->components = j.components;
	m->bits = 8;
	m->orientation = j.orientation;
	page_of(m, j.density);
	return REASON_NONE;
}

static enum reason of_png(struct slice file, struct arena *a, struct original *out,
			  struct detail *d)
{
	struct original_image *m;
	struct png p;
	enum reason why = png_look(file, a, &p, d);

	out->format = ORIGINAL_PNG;
	out->pages = 1;
	out->wrapped = p.wrapped;
	if (why != REASON_NONE || p.wrapped != ORIGINAL_REBUILT)
		return why;
	why = one_image(a, out, d, &m);
	if (why != REASON_NONE)
		return why;
	m->runs = p.runs;
	m->runs_n = p.runs_n;
	m->coding = IMAGE_FLATE_ROWS;
	m->width = p.width;
	m->height = p.height;
	m->components = p.components;
	m->bits = p.bits;
	m->palette = p.palette;
	m->orientation = p.orientation;
	page_of(m, p.density);
	return REASON_NONE;
}

/* ---- what is it? ---- */

static bool begins(struct slice file, const char *with, size_t n)
{
	return file.n >= n && memcmp(file.p, with, n) == 0;
}

static enum reason by_format(struct slice file, struct arena *a, struct original *out,
			     struct detail *d)
{
	size_t sought = file.n < HEADER_SOUGHT_BYTES ? file.n : HEADER_SOUGHT_BYTES;
	const uint8_t *header;

	if (begins(file, "\xFF\xD8\xFF", 3))
		return of_jpeg(file, a, out, d);
	if (begins(file, "\x89PNG", 4))
		return of_png(file, a, out, d);
	header = memmem(file.p, sought, "%PDF-", 5);
	if (header == NULL)
		return look_refuse(d, REASON_ORIGINAL_FORMAT, "first bytes");
	if (header != file.p)
		return look_refuse(d, REASON_ORIGINAL_JUNK, "%zu bytes",
				   (size_t)(header - file.p));
	out->format = ORIGINAL_PDF;
	return pdf_look(file, a, out, d);
}

enum reason look_at(struct slice file, bool own, struct arena *a, struct original *out,
		    struct detail *d)
{
	enum reason why;

	*d = (struct detail){ "" };
	*out = (struct original){ .size = (uint32_t)file.n };
	if (file.n == 0)
		return look_refuse(d, REASON_ORIGINAL_EMPTY, "0 bytes");
	if (file.n > ORIGINAL_BYTES_MAX)
		return look_refuse(d, REASON_ORIGINAL_TOO_LARGE, "%zu bytes", file.n);
	why = by_format(file, a, out, d);
	if (why == REASON_NONE && own)
		out->wrapped = ORIGINAL_OWN;
	if (why != REASON_NONE || out->wrapped != ORIGINAL_REBUILT) {
		out->images = NULL;
		out->images_n = 0;
	}
	return why;
}
