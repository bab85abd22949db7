/*
 * copyrig.h - a copy of something: a shipped kind that copies, with an invented case and an
 * original that lies in memory.
 */
#ifndef TESTS_COPYRIG_H
#define TESTS_COPYRIG_H

#include "batch.h"
#include "render/render.h"

#define COPYRIG_CERTIFIED "ban-sao-chung-thuc-dien-tu"
#define COPYRIG_REGISTER "ban-sao-tu-so-goc"

struct copyrig {
	struct catalogue *catalogue;
	struct item item;
	struct case_result result;
	struct field fields[FIELDS_MAX];
	struct original original;
	struct slice object;		/* the original's bytes; borrowed */
};

/* original: of object, with its SHA-256 and size set here; its images are borrowed. */
void copyrig_open(struct copyrig *r, const char *kind, const struct original *original,
		  struct slice object);
void copyrig_close(struct copyrig *r);
/* Signatures of that many bytes each, as nobody made them. */
void copyrig_plan(struct copyrig *r, uint32_t hole_bytes);
/* Template and document; to be released by render_release(r->item.template). */
enum status copyrig_press(struct copyrig *r, struct render *render, struct press *p,
			  struct arena *a);
/* The prefix's state and the section behind it. */
void copyrig_hash(const struct copyrig *r, struct sha256 *h);
/* The whole file, holes as they are, into file_size bytes; or into new ones, that caller frees. */
void copyrig_splice(const struct copyrig *r, uint8_t *file);
uint8_t *copyrig_file(const struct copyrig *r, size_t *size);

#endif
