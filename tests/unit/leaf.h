/*
 * leaf.h - a made-up kind with every sort of block, an agency, an officer and a filled-in result:
 * what tests and benches of render lay out. Everything is invented and fixed, so are the bytes.
 */
#ifndef TESTS_LEAF_H
#define TESTS_LEAF_H

#include "batch.h"
#include "catalogue/pool.h"
#include "render/render.h"

#define LEAF_FIELDS 20
#define LEAF_BLOCKS 16
#define LEAF_LINES 24
#define LEAF_HOST "HTTPS://TRIEN.EXAMPLE"

struct leaf {
	struct pool pool;
	struct kind kind;
	struct unit unit;
	struct signer signer;
	struct field_def defs[LEAF_FIELDS];
	struct block blocks[LEAF_BLOCKS];
	struct field_line lines[LEAF_LINES];
	uint8_t lines_n;
	struct field fields[LEAF_FIELDS];	/* those with a value, in order */
	struct case_result result;
	uint8_t seal[850 / 8 * 850 + 850], hand[900 / 8 * 300 + 300];
	struct item item;
};

/* One page, 15 fields, signed by officer and agency (signs_n 2) or the agency alone (1). */
void leaf_open(struct leaf *l, uint8_t signs_n);
void leaf_close(struct leaf *l);
/* Adds to the kind; before the template is made. Texts as in the schemas. */
struct block *leaf_block(struct leaf *l, enum block_type type, const char *text);
void leaf_line(struct leaf *l, struct block *b, const char *label, const char *value, bool half);
/* Another text for the field of that name. */
void leaf_set(struct leaf *l, const char *name, struct slice text);
/* NULL: no value. */
struct field *leaf_field(struct leaf *l, const char *name);
struct render *leaf_render(bool development);
/* A plan as sign would make it, without a key: the hole is `hole_bytes` long. */
void leaf_plan(struct leaf *l, uint32_t hole_bytes);
/* Template and document in one. The arena must outlive the item's use. */
enum status leaf_press(struct leaf *l, struct render *r, struct press *p, struct arena *a);
/* The file as it stands, holes filled with zeros; caller frees. */
uint8_t *leaf_file(const struct leaf *l, size_t *size);

#endif
