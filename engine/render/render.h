/*
 * render.h - a result's document, laid out after Decree 30/2020 (ND 30/2020 Phu luc I).
 *
 * Static prefix + variable tail (DESIGN 6): a composed template holds the layers (fonts and ICC,
 * form, unit with seal, signer with handwriting), their joint SHA-256 state and their part of the
 * xref; an item's render writes only the tail. PDF/A-3u (ISO 19005-3), PDF 1.7 (ISO 32000-1).
 */
#ifndef TRIEN_RENDER_H
#define TRIEN_RENDER_H

#include "base/utf8.h"
#include "batch.h"

struct render;			/* fonts, coverage, the LRU of templates; shared by workers */

struct render_config {
	const char *font_regular, *font_bold, *font_italic, *font_bold_italic;	/* TrueType paths */
	const char *icc;		/* sRGB profile path; NULL: Debian's icc-profiles-free */
	const char *verify_host;	/* "HTTPS://…": the permanent host in the QR, in capitals */
	bool development;		/* BẢN THỬ on each page (DESIGN 6) */
	uint32_t templates_max;		/* LRU bound */
};

enum status render_open(struct render **r, const struct render_config *cfg,
			struct error *e) must_use;
void render_close(struct render *r);
/* Every code point a document can show; intake refuses others. */
const struct codeset *render_coverage(const struct render *r);

/*
 * The template of (kind, unit, signer); composed on the first use, which allocates and takes a
 * lock, found without allocation after. Referenced for the caller; render_release() when the
 * item's batch is stored. Any worker.
 */
enum status render_template(struct render *r, const struct kind *k, const struct unit *u,
			    const struct signer *s, struct template **out,
			    struct error *e) must_use;
void render_release(struct render *r, struct template *t);

/* What sign and store need of a template. */
struct template_view {
	uint8_t version[SHA256_BYTES];	/* hash over the list of its layers' hashes */
	uint8_t layers_n;
	const struct layer *const *layers;	/* prefix, in order, then the xref text layer */
	uint8_t prefix_n;		/* the first prefix_n layers are the prefix */
	const struct sha256 *prefix_state;	/* over the prefix; fork, never write */
	uint32_t prefix_size;
};
const struct template_view *template_view(const struct template *t);

/* Per worker: scratch for wrapping, tables, QR. Allocated once. */
struct press;
enum status press_new(struct press **p, struct render *r) must_use;
void press_free(struct press *p);

/*
 * Lays item->doc out: item->template, c, result, kind, unit, signer, slots[].plan, issued_ms,
 * number_text and result_id must be set. The body is taken from arena. ST_TOO_LARGE: more than
 * DOC_PAGES_MAX or DOC_BODY_BYTES_MAX; ST_INTERNAL otherwise. Pure: no clock, no randomness, no
 * allocation by our code.
 */
enum status render_item(struct press *p, struct item *item, struct arena *arena) must_use;

/*
 * What a person sees before it is confirmed: the document but for signatures, seal and QR code,
 * "DỰ THẢO" at the top of each page, item->number_text where the number will stand and dots for
 * the date. As render_item(), but the template is taken here (render_release() when item->doc is
 * done with) and neither slots nor issued_ms are read. The same item gives the same bytes.
 */
enum status render_unsigned(struct render *r, struct press *p, struct item *item,
			    struct arena *arena, struct error *e) must_use;

/*
 * A draft: marked "BẢN NHÁP" on each page, no number, no signature fields filled. The whole file is
 * returned in malloc'd *pdf (`trien schema preview`).
 */
enum status render_preview(struct render *r, struct item *item, uint8_t **pdf, size_t *size,
			   struct error *e) must_use;

#endif
