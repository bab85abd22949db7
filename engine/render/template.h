/*
 * template.h - what is the same for all documents of one kind, unit and signer: prefix layers,
 * texts encoded in advance, constants of data and dictionaries. Immutable but for its place in the
 * LRU.
 */
#ifndef TRIEN_RENDER_TEMPLATE_H
#define TRIEN_RENDER_TEMPLATE_H

#include "catalogue/pool.h"
#include "render/render.h"
#include "render/sheet.h"

/* What is drawn that nobody has signed. */
enum draft {
	DRAFT_NONE,
	DRAFT_TRY,			/* render_preview() */
	DRAFT_TO_SIGN			/* render_unsigned() */
};

/* A run of a text: spans that were encoded in advance, or a reference. */
struct source {
	const struct span *spans;	/* NULL: a reference */
	uint32_t spans_n;
	int16_t field;			/* index in kind.fields; -1: built in */
	uint8_t builtin, format;
	uint8_t face;
	bool upper;
};

struct text { uint16_t n; const struct source *sources; };

struct line_texts { struct text label, value; };
struct block_texts { struct text text, subtitle; const struct line_texts *lines; };

enum layer_type { LAYER_FORM, LAYER_UNIT, LAYER_SIGNER, LAYER_TYPES };

/* A layer with what the tail must know of its drawings; shared by templates. */
struct shared_layer {
	struct shared_layer *next;
	uint32_t refs;			/* render's lock */
	enum layer_type type;
	uint8_t key[2 * PIN_BYTES + 2];
	struct layer layer;
	uint32_t at[OBJ_PAGES];
	int32_t height;			/* of header or signer drawing */
	int32_t gap_y, gap_height;	/* signer: room for the handwriting below its top */
	int32_t image_width, image_height;	/* seal or handwriting; 0: none */
};

struct template {
	struct template *next, *newer, *older;	/* bucket and LRU; render's lock */
	uint32_t refs;			/* render's lock */
	uint8_t key[3 * PIN_BYTES + 1];
	struct template_view view;
	struct shared_layer *shared[LAYER_TYPES];
	struct layer xref;		/* entries of the prefix's objects */
	const struct layer *layers[LAYER_TYPES + 2];
	struct sha256 *state;
	struct pool pool;		/* all below */
	uint8_t draft;			/* enum draft */
	bool marked;			/* a line on each page says what it is not */
	bool has_qr;
	bool person;			/* a person signs, so the handwriting is painted */
	bool copies;			/* an original is attached, and shown where it can be */
	uint8_t signs_n;
	struct slice url;		/* HTTPS://HOST/V/ */
	const struct block_texts *blocks;
	const uint8_t *name_sizes;	/* length of each field's name */
	struct slice data_head;		/* attached data up to the result's own values */
	const struct slice *data_keys;	/* `"name":` of each field; n = 0: not public */
	/* object numbers of the tail */
	uint32_t object_data, object_signature, object_widget, object_qr, object_page;
	/* of a copy: the original, its file specification, the names of attached files */
	uint32_t object_original, object_source, object_names;
};

#endif
