/*
 * read.h - from a JSON file to the dated versions of a kind, an agency or a signer.
 *
 * The readers of one version find the form standing at that version; they leave it there. Failures
 * stick in the form, so they return nothing. All memory is the form's pool.
 */
#ifndef TRIEN_CATALOGUE_READ_H
#define TRIEN_CATALOGUE_READ_H

#include "catalogue/catalogue.h"
#include "catalogue/form.h"
#include "catalogue/image.h"

enum sort { SORT_KIND, SORT_UNIT, SORT_SIGNER, SORT_COUNT };

/* "results", "agencies", "signers". */
extern const char *const sort_folders[SORT_COUNT];

/* One dated version, loaded. */
struct entry {
	enum sort sort;
	const char *code;		/* the same pointer in all versions of one file */
	const char *path;		/* of its file */
	uint32_t version;		/* index in its file */
	uint32_t from, to;		/* yyyymmdd; to = 0: open */
	const void *object;		/* struct kind, unit or signer, by sort */
	uint8_t *pin;			/* the object's */
	struct slice json;		/* canonical: what the pin names and the archive keeps */
	struct picture picture;		/* seal or handwriting */
};

struct source {
	const char *path;		/* as errors show it */
	enum sort sort;
	const char *code;		/* what the file must have; NULL: any */
	const struct catalogue *home;	/* of its kinds; may be NULL */
	struct pool *pool;
};

/* Reads a whole file, `{"code", "versions"}`. Entries live in the pool, oldest first. */
enum status source_read(const struct source *s, struct slice text, struct entry **entries,
			uint32_t *n, struct error *e) must_use;
/*
 * For what only shows beside other files: fails at key of that version, and at its element index if
 * it is a list. Reads the file again to find the line. Returns ST_INVALID.
 */
enum status source_fail(const struct entry *at, const char *key, uint32_t index, struct error *e,
			const char *fmt, ...) must_use printf_like(5, 6);

/*
 * ND 30/2020, 13.4: a TUQ is limited in time, so it needs its last day. Not asked of the archive:
 * what was pinned once stays readable.
 */
enum status signer_limited(const struct entry *at, struct error *e) must_use;

void kind_read(struct form *f, const json_t *v, struct kind *out);
/* out has its fields; sets the blocks, and field_def.public. */
void layout_read(struct form *f, const json_t *v, struct kind *out, struct field_def *fields);
/*
 * Of a kind with its layout: that it tells only of what it has (volumes, an original), and, where
 * it copies, all that a copy must show (NĐ 23/2015, 13 and 20; TT 01/2020/TT-BTP, 4).
 */
void copying_check(struct form *f, const struct kind *k);
void unit_read(struct form *f, const json_t *v, const char *dir, struct unit *out,
	       struct picture *seal);
void signer_read(struct form *f, const json_t *v, const char *dir, struct signer *out,
		 struct picture *hand);

/* Index of the field of that name; fails at key, naming the nearest, and gives -1. */
int16_t field_index(struct form *f, const struct kind *k, const char *key, const char *name);

#endif
