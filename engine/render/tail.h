/*
 * tail.h - writing the objects behind prefix and section, for the files that share it.
 */
#ifndef TRIEN_RENDER_TAIL_H
#define TRIEN_RENDER_TAIL_H

#include "render/press.h"

#define TAIL_FIXED_MAX 12		/* numbers from OBJ_PAGES to the first page */

struct tail {
	const struct press *p;
	const struct template *t;
	struct item *item;
	struct document *d;
	struct writer *w;
	uint32_t file_at, part_at;	/* where the part being written begins, in file and body */
	uint32_t at[TAIL_FIXED_MAX];	/* file offsets */
	struct places places;		/* page: of the document */
	uint32_t pages;			/* of the original, then those laid out */
	uint32_t next;			/* first number behind all objects of the first revision */
	uint32_t xref;			/* of the revision before */
	char id[32];
};

/* Begins an object; its file offset. */
uint32_t tail_begin(struct tail *t, uint32_t number);
void tail_end(struct tail *t);
void tail_reference(struct tail *t, uint32_t number);
/* Where the offset of a number from OBJ_PAGES to the first page is kept. */
uint32_t *tail_place(struct tail *t, uint32_t number);
/* Page i, and behind it its content stream. */
uint32_t tail_page(const struct tail *t, uint32_t page);
/* The dictionary is open: leaves places for /Length and begins the data. Returns the places. */
uint8_t *tail_stream(struct tail *t);
void tail_stream_end(struct tail *t, uint8_t *length, const uint8_t *data);

/* ---- scans.c: what a copy has more ---- */

/* Page i of the original, and its content. */
void tail_scan(struct tail *t, uint32_t i, struct page_place *place);
/* The file specification of the original, and the names of the attached files. */
void tail_source(struct tail *t);

#endif
