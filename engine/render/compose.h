/*
 * compose.h - making templates: cold path, under render's lock.
 */
#ifndef TRIEN_RENDER_COMPOSE_H
#define TRIEN_RENDER_COMPOSE_H

#include "render/press.h"

/* What all templates of a process share. */
struct composer {
	struct encoding encoding;
	struct qr_tables *qr_tables;
	struct layer fonts;		/* first layer, and offsets of its objects */
	uint32_t fonts_at[OBJ_PAGES];
	struct sha256 *fonts_state;	/* over it */
	char url[256];			/* HTTPS://HOST/V/ */
	bool development;
	struct press *press;		/* scratch for texts that stand in layers */
	struct shared_layer *shared;
};

/* Whose template. signer NULL: the case names none. */
struct parties {
	const struct kind *kind;
	const struct unit *unit;
	const struct signer *signer;
	enum draft draft;
};

/* Of an open render: what a document of another form than a result's is made with. */
const struct composer *render_composer(const struct render *r);

void template_key(uint8_t key[3 * PIN_BYTES + 1], const struct parties *p);
/* ST_INVALID: a text has a character that the fonts lack. ST_NOMEM. */
enum status template_compose(struct template **out, struct composer *c, const struct parties *p,
			     struct error *e) must_use;
void template_free(struct composer *c, struct template *t);

/* ---- texts.c: what a template encodes in advance; lives in t->pool ---- */
enum status texts_compile(struct template *t, struct composer *c, const struct parties *p,
			  struct error *e) must_use;

/* ---- drawings.c: the forms of the layers; heights and gaps go to *l ---- */
enum status draw_mark(struct composer *c, struct sheet *s, enum draft draft) must_use;
enum status draw_header(struct composer *c, struct sheet *s, const struct unit *u,
			struct shared_layer *l) must_use;
enum status draw_signer(struct composer *c, struct sheet *s, const struct unit *u,
			const struct signer *signer, struct shared_layer *l) must_use;
/* Image and the appearance that shows it; both `null` without bits. */
enum status draw_image(struct sheet *s, const struct image *image, uint32_t object, bool red,
		       struct shared_layer *l) must_use;

enum status press_make(struct press **out, const struct encoding *enc, const struct qr_tables *qr)
	must_use;
/* Lays out and writes p->item, whose template is p->item->template. */
enum status press_item(struct press *p, struct item *item, struct arena *arena) must_use;

#endif
