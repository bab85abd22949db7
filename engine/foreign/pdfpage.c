#include "foreign/pdfinside.h"

#include <math.h>

#define SKEW 1e-4			/* of a side: less than a sample of any scan */
#define CLIP_POINTS 0.1			/* what a rounded page box may cut off */
#define CPT_MAX 1000000.0		/* 3.5 m */
#define SHOWN_MAX 1048000.0		/* with what lies outside of the page */

struct box { double x, y, width, height; };

static bool box_read(struct pdf *p, qpdf_oh array, struct box *out)
{
	double v[4];

	if (!pdf_numbers(p, array, 4, v))
		return false;
	out->x = fmin(v[0], v[2]);
	out->y = fmin(v[1], v[3]);
	out->width = fabs(v[2] - v[0]);
	out->height = fabs(v[3] - v[1]);
	return out->width > 0 && out->height > 0;
}

/* What of `within` lies in b. */
static bool cut(struct box *b, const struct box *within)
{
	double right = fmin(b->x + b->width, within->x + within->width);
	double top = fmin(b->y + b->height, within->y + within->height);

	b->x = fmax(b->x, within->x);
	b->y = fmax(b->y, within->y);
	b->width = right - b->x;
	b->height = top - b->y;
	return b->width > 0 && b->height > 0;
}

/* 14.11.2: what is shown is the crop box, as far as there is a medium. */
static bool visible(struct pdf *p, qpdf_oh page, struct box *out)
{
	qpdf_oh crop = pdf_inherited(p, page, "/CropBox");
	struct box media;

	if (!box_read(p, pdf_inherited(p, page, "/MediaBox"), &media))
		return false;
	*out = media;
	return qpdf_oh_is_null(p->q, crop) || (box_read(p, crop, out) && cut(out, &media));
}

/* The matrix and the page in the space that the reader sees: turned, from its own corner. */
static void turn(double m[6], struct box *b, int quarters)
{
	m[4] -= b->x;
	m[5] -= b->y;
	for (int i = 0; i < quarters; i++) {
		double r[6] = { m[1], -m[0], m[3], -m[2], m[5], b->width - m[4] };
		double width = b->width;

		memcpy(m, r, sizeof(r));
		b->width = b->height;
		b->height = width;
	}
}

/* Nothing that would be seen of the image is cut off by the page's content. */
static bool all_shown(const struct placed *p, const struct box *b)
{
	const double *m = p->matrix;
	double left = fmin(m[4], m[4] + m[0] + m[2]), right = fmax(m[4], m[4] + m[0] + m[2]);
	double bottom = fmin(m[5], m[5] + m[1] + m[3]), top = fmax(m[5], m[5] + m[1] + m[3]);

	return fmax(left, b->x) >= p->clip.left - CLIP_POINTS &&
	       fmax(bottom, b->y) >= p->clip.bottom - CLIP_POINTS &&
	       fmin(right, b->x + b->width) <= p->clip.right + CLIP_POINTS &&
	       fmin(top, b->y + b->height) <= p->clip.top + CLIP_POINTS;
}

/* 0: neither upright nor turned by a right angle. */
static uint8_t orientation(const double m[6])
{
	double across = fmax(fabs(m[0]), fabs(m[3])), along = fmax(fabs(m[1]), fabs(m[2]));

	if (along <= SKEW * across && m[0] != 0 && m[3] != 0)
		return m[0] > 0 ? (m[3] > 0 ? 1 : 4) : (m[3] > 0 ? 2 : 3);
	if (across <= SKEW * along && m[1] != 0 && m[2] != 0)
		return m[1] < 0 ? (m[2] < 0 ? 5 : 6) : (m[2] > 0 ? 7 : 8);
	return 0;
}

static bool side(double points, uint32_t *out)
{
	double cpt = round(points * 100);

	if (!(cpt >= 1 && cpt <= CPT_MAX))
		return false;
	*out = (uint32_t)cpt;
	return true;
}

static bool place(const double m[6], const struct box *b, double unit, struct original_image *out)
{
	double x = fmin(m[4], m[4] + m[0] + m[2]) * unit * 100;
	double y = fmin(m[5], m[5] + m[1] + m[3]) * unit * 100;

	out->orientation = orientation(m);
	if (out->orientation == 0 || !side(b->width * unit, &out->page_width) ||
	    !side(b->height * unit, &out->page_height) ||
	    !side(fabs(m[0] + m[2]) * unit, &out->shown_width) ||
	    !side(fabs(m[1] + m[3]) * unit, &out->shown_height) || !(fabs(x) <= SHOWN_MAX) ||
	    !(fabs(y) <= SHOWN_MAX))
		return false;
	out->x = (int32_t)round(x);
	out->y = (int32_t)round(y);
	return true;
}

static bool quarters(struct pdf *p, qpdf_oh page, int *out)
{
	qpdf_oh rotate = pdf_inherited(p, page, "/Rotate");
	int64_t degrees = 0;

	if (!qpdf_oh_is_null(p->q, rotate) &&
	    (!pdf_integer(p, rotate, -3600, 3600, &degrees) || degrees % 90 != 0))
		return false;
	*out = (int)(((degrees / 90) % 4 + 4) % 4);
	return true;
}

/* What would be drawn over the page, or shown in other circumstances only. */
static bool is_plain(struct pdf *p, qpdf_oh page)
{
	qpdf_oh annotations = qpdf_oh_get_key(p->q, page, "/Annots");

	return (qpdf_oh_is_null(p->q, annotations) ||
		(qpdf_oh_is_array(p->q, annotations) &&
		 qpdf_oh_get_array_n_items(p->q, annotations) == 0)) &&
	       !qpdf_oh_has_key(p->q, page, "/OC");
}

static bool find(struct pdf *p, qpdf_oh page, const char *name, qpdf_oh *image)
{
	qpdf_oh resources = pdf_inherited(p, page, "/Resources");
	qpdf_oh drawn = qpdf_oh_get_key_if_dict(p->q, resources, "/XObject"), kind;

	*image = qpdf_oh_get_key_if_dict(p->q, drawn, name);
	if (!qpdf_oh_is_stream(p->q, *image))
		return false;
	kind = qpdf_oh_get_key(p->q, qpdf_oh_get_dict(p->q, *image), "/Subtype");
	return qpdf_oh_is_name_and_equals(p->q, kind, "/Image");
}

void pdf_page(struct pdf *p, qpdf_oh page, struct original_image *m, qpdf_oh *image,
	      uint8_t *wrapped)
{
	qpdf_oh unit = qpdf_oh_get_key(p->q, page, "/UserUnit");
	double points = 1;
	struct placed placed;
	struct box b;
	int n;

	*wrapped = ORIGINAL_NOT_IMAGES;
	if (!is_plain(p, page) || !pdf_content(p, page, &placed) ||
	    !find(p, page, placed.name, image) || !visible(p, page, &b) || !quarters(p, page, &n) ||
	    !all_shown(&placed, &b))
		return;
	if (!qpdf_oh_is_null(p->q, unit) &&
	    (!qpdf_oh_get_value_as_number(p->q, unit, &points) || !(points > 0)))
		return;
	turn(placed.matrix, &b, n);
	if (place(placed.matrix, &b, points, m))
		*wrapped = ORIGINAL_REBUILT;
}
