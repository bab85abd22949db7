#include "render/compose.h"

#include <stdlib.h>

#define SIZE_NAMES 120			/* ND 30/2020 PL I, II.1-2: 12-13 pt */
#define SIZE_MOTTO 130
#define SIZE_SIGNER 130
#define SIZE_MARK 110
#define SIZE_DRAFT 900
#define RULE_GAP 250
#define HAND_GAP_MIN 9900		/* 35 mm between title and name */
#define SEAL_AIR 200			/* above and below a seal that stands there */
#define CONTENT_MAX 16384
#define SLACK 2000			/* of a box: strokes and accents beyond it are shown */

/* A form under way: its content, drawn with the composer's press. */
struct drawing {
	struct composer *c;
	struct press *p;
	uint8_t *bytes;
	struct writer w;
	struct pen pen;
	int32_t y;			/* below the form's top */
};

static enum status drawing_begin(struct drawing *d, struct composer *c)
{
	*d = (struct drawing){ .c = c, .p = c->press, .bytes = malloc(CONTENT_MAX) };
	if (d->bytes == NULL)
		return ST_NOMEM;
	press_clear(d->p);
	d->w = writer_of(d->bytes, CONTENT_MAX);
	d->pen = pen_of(&d->w);
	/* A form begins with the word spacing of the line before it. */
	write_str(&d->w, "0 Tw\n");
	return ST_OK;
}

static void box(char *out, size_t size, const char *box, bool fonts)
{
	snprintf(out, size, "/Type/XObject/Subtype/Form/BBox[%s]/Resources<<%s>>", box,
		 fonts ? "/Font 29 0 R" : "");
}

static enum status drawing_end(struct drawing *d, struct sheet *s, uint32_t object,
			       const char *bbox)
{
	enum status st = ST_TOO_LARGE;
	char dict[200];

	static_assert(OBJ_FONTS == 29, "named in box()");
	pen_end(&d->pen);
	box(dict, sizeof(dict), bbox, true);
	if (d->p->well.foreign)
		st = ST_INVALID;
	else if (!d->w.bad && !d->p->full)
		st = object_stream(s, object, dict, writer_slice(&d->w));
	free(d->bytes);
	return st;
}

/* A text of one face in the column; returns the width of its last line. */
static int32_t put(struct drawing *d, const char *text, enum face face, bool upper,
		   const struct frame *f)
{
	struct press *p = d->p;
	uint32_t first = p->lines_n, n;
	int32_t width = 0;

	if (text == NULL || text[0] == '\0')
		return 0;
	text_begin(p);
	text_plain(p, slice_str(text), face, upper);
	n = text_wrap(p, f);
	for (uint32_t i = first; i < first + n; i++) {
		pen_line(&d->pen, p, &p->lines[i], 0, -d->y);
		d->y += line_height(f->size_dpt);
		width = f->width - 2 * (p->lines[i].x - f->x);
	}
	return width;
}

/* In the middle of the column, below what was put. */
static void put_rule(struct drawing *d, const struct frame *f, int32_t width)
{
	int32_t x = f->x + (f->width - width) / 2, y = -(d->y + RULE_GAP);

	pen_end(&d->pen);
	write_str(&d->w, ".6 w ");
	write_cpt(&d->w, x);
	write_u8(&d->w, ' ');
	write_cpt(&d->w, y);
	write_str(&d->w, " m ");
	write_cpt(&d->w, x + width);
	write_u8(&d->w, ' ');
	write_cpt(&d->w, y);
	write_str(&d->w, " l S\n");
}

static void bbox_of(char *out, size_t size, int32_t width, int32_t height)
{
	snprintf(out, size, "%d %d %d %d", -SLACK / 100, -(height + SLACK) / 100,
		 (width + SLACK) / 100, SLACK / 100);
}

enum status draw_header(struct composer *c, struct sheet *s, const struct unit *u,
			struct shared_layer *l)
{
	struct frame left = { 0, LEFT_WIDTH, 0, SIZE_NAMES, 'c' };
	struct frame right = { LEFT_WIDTH, RIGHT_WIDTH, 0, SIZE_NAMES, 'c' };
	struct frame motto = { LEFT_WIDTH, RIGHT_WIDTH, 0, SIZE_MOTTO, 'c' };
	struct drawing d;
	int32_t width;
	char bbox[64];

	if (drawing_begin(&d, c) != ST_OK)
		return ST_NOMEM;
	put(&d, u->superior, FACE_REGULAR, true, &left);
	width = put(&d, u->header, FACE_BOLD, true, &left);
	put_rule(&d, &left, width * 2 / 5);
	l->height = d.y;
	d.y = 0;
	put(&d, "CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", FACE_BOLD, false, &right);
	width = put(&d, "Độc lập - Tự do - Hạnh phúc", FACE_BOLD, false, &motto);
	put_rule(&d, &motto, width);
	l->height = (d.y > l->height ? d.y : l->height) + RULE_GAP;
	bbox_of(bbox, sizeof(bbox), FRAME_WIDTH, l->height);
	return drawing_end(&d, s, OBJ_HEADER, bbox);
}

enum status draw_signer(struct composer *c, struct sheet *s, const struct unit *u,
			const struct signer *signer, struct shared_layer *l)
{
	struct frame f = { 0, RIGHT_WIDTH, 0, SIZE_SIGNER, 'c' };
	int32_t seal = CPT_OF_MM10(u->seal.height_mm10);
	struct drawing d;
	char bbox[64];

	if (drawing_begin(&d, c) != ST_OK)
		return ST_NOMEM;
	if (signer != NULL) {
		put(&d, signer->authority_line, FACE_BOLD, true, &f);
		put(&d, signer->title, FACE_BOLD, true, &f);
	} else {
		put(&d, u->name, FACE_BOLD, true, &f);
	}
	l->gap_y = d.y;
	l->gap_height = l->image_height > HAND_GAP_MIN ? l->image_height : HAND_GAP_MIN;
	/* Where no hand leads it to the left, the seal stands between title and name. */
	if (l->image_height == 0 && u->seal.bits != NULL && l->gap_height < seal + 2 * SEAL_AIR)
		l->gap_height = seal + 2 * SEAL_AIR;
	d.y += l->gap_height;
	if (signer != NULL)
		put(&d, signer->name, FACE_BOLD, false, &f);
	l->height = d.y;
	bbox_of(bbox, sizeof(bbox), RIGHT_WIDTH, l->height);
	return drawing_end(&d, s, OBJ_SIGNER, bbox);
}

static const char *mark_text(enum draft draft)
{
	switch (draft) {
	case DRAFT_TRY:
		return "BẢN NHÁP – KHÔNG CÓ GIÁ TRỊ PHÁP LÝ";
	case DRAFT_TO_SIGN:
		return "DỰ THẢO – CHƯA KÝ, SỐ VÀ NGÀY CẤP KHI KÝ";
	default:
		return "BẢN THỬ – KHÔNG CÓ GIÁ TRỊ PHÁP LÝ";
	}
}

enum status draw_mark(struct composer *c, struct sheet *s, enum draft draft)
{
	struct frame f = { 0, PAGE_WIDTH, 0, SIZE_MARK, 'c' };
	struct frame big = { 0, PAGE_WIDTH, 0, SIZE_DRAFT, 'c' };
	struct drawing d;

	if (draft == DRAFT_NONE && !c->development) {
		object_null(s, OBJ_MARK);
		return ST_OK;
	}
	if (drawing_begin(&d, c) != ST_OK)
		return ST_NOMEM;
	if (draft == DRAFT_TRY) {
		/* Across the page, under everything else. */
		write_str(&d.w, "q .9 g .5736 .8192 -.8192 .5736 297.64 420.94 cm"
			  " 1 0 0 1 -297.64 30 cm\n");
		put(&d, "BẢN NHÁP", FACE_BOLD, false, &big);
		pen_end(&d.pen);
		write_str(&d.w, "Q\n");
		d.pen = pen_of(&d.w);
	}
	write_str(&d.w, ".8 0 0 rg\n");
	d.y = 1500 - PAGE_HEIGHT;
	put(&d, mark_text(draft), FACE_BOLD, false, &f);
	return drawing_end(&d, s, OBJ_MARK, "0 0 595.28 841.89");
}

/* A stencil, painted red or blue (ND 30/2020 PL I, II.7-8), without transparency. */
enum status draw_image(struct sheet *s, const struct image *image, uint32_t object, bool red,
		       struct shared_layer *l)
{
	char dict[240], content[120], bbox[64];
	uint32_t w = image != NULL ? CPT_OF_MM10(image->width_mm10) / 100 : 0;
	uint32_t h = image != NULL ? CPT_OF_MM10(image->height_mm10) / 100 : 0;
	enum status st;

	if (image == NULL || image->bits == NULL) {
		object_null(s, object);
		object_null(s, object + 1);
		return ST_OK;
	}
	snprintf(dict, sizeof(dict), "/Type/XObject/Subtype/Image/ImageMask true/BitsPerComponent 1"
		 "/Width %u/Height %u/Decode[1 0]", image->width, image->height);
	st = object_stream(s, object, dict,
			   slice_of(image->bits, (size_t)((image->width + 7) / 8) * image->height));
	if (st != ST_OK)
		return st;
	l->image_width = (int32_t)(w * 100);
	l->image_height = (int32_t)(h * 100);
	snprintf(bbox, sizeof(bbox), "0 0 %u %u", w, h);
	snprintf(dict, sizeof(dict), "/Type/XObject/Subtype/Form/BBox[%s]"
		 "/Resources<</XObject<</I %u 0 R>>>>", bbox, object);
	snprintf(content, sizeof(content), "%s rg %u 0 0 %u 0 0 cm/I Do",
		 red ? ".84 .07 .1" : "0 .2 .65", w, h);
	return object_stream(s, object + 1, dict, slice_str(content));
}
