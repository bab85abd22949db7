/*
 * sheet.h - writing the objects of a layer: cold path, at template build.
 *
 * Numbers of the prefix's objects are the same in every template, so that a layer's bytes do not
 * depend on the layers beside it and one agency's layer serves all kinds. An object that a template
 * lacks is `null`. Those of the tail begin at OBJ_PAGES; which follow depends on the kind.
 */
#ifndef TRIEN_RENDER_SHEET_H
#define TRIEN_RENDER_SHEET_H

#include <stdio.h>

#include "document.h"
#include "render/encoding.h"

enum prefix_object {
	/* fonts and ICC, the same in every document */
	OBJ_ICC = 1, OBJ_CMAP, OBJ_TOUNICODE, OBJ_TOUNICODE_WIDE,
	OBJ_FONT,			/* of each face: font, wide font, CIDFont, descriptor, */
	OBJ_FONT_PARTS = 6,		/* font program, CIDToGIDMap */
	OBJ_FONTS = OBJ_FONT + FACES * OBJ_FONT_PARTS, OBJ_EMPTY, OBJ_LOCK,
	/* form: of a kind */
	OBJ_CATALOG, OBJ_METADATA, OBJ_FILESPEC, OBJ_RESOURCES, OBJ_MARK,
	/* unit */
	OBJ_HEADER, OBJ_SEAL_IMAGE, OBJ_SEAL,
	/* signer */
	OBJ_HAND_IMAGE, OBJ_HAND, OBJ_SIGNER,
	OBJ_PAGES,			/* the tail's first */
};
#define PREFIX_OBJECTS (OBJ_PAGES - 1)

struct sheet {
	FILE *f;
	char *bytes;			/* valid after sheet_end() */
	size_t size;
	uint32_t at[OBJ_PAGES];		/* of each object in the layer; UINT32_MAX: not here */
};

enum status sheet_begin(struct sheet *s) must_use;
/* Hands the bytes over as a layer (malloc'd, to be freed) with its hash. */
enum status sheet_end(struct sheet *s, struct layer *out) must_use;
/* Drops what was written, after a failure. */
void sheet_drop(struct sheet *s);

void object_begin(struct sheet *s, uint32_t number);
void object_end(struct sheet *s);
void object_null(struct sheet *s, uint32_t number);
/* dict: entries without << >> and /Length. Deflated where that is shorter. ST_NOMEM: nothing, or
 * an object of nothing, is written. */
enum status stream_write(FILE *f, const char *dict, struct slice data) must_use;
enum status object_stream(struct sheet *s, uint32_t number, const char *dict, struct slice data)
	must_use;

/* The whole first layer: header, ICC, CMaps, fonts, what every document shares. */
enum status fonts_layer(const struct encoding *enc, struct font *const faces[FACES],
			struct slice icc, struct sheet *s, struct error *e) must_use;
/* XMP (ISO 16684-1) of a kind: PDF/A-3u and the title; all else stands in the attached data. */
enum status metadata_object(struct sheet *s, const char *title_vi, const char *title_en) must_use;

#endif
