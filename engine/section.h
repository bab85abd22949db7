/*
 * section.h - files of which a stretch, the document's section (document.h), lies in an object:
 * hashed and read in pieces, never in memory as a whole.
 */
#ifndef TRIEN_SECTION_H
#define TRIEN_SECTION_H

#include "document.h"
#include "objects/objects.h"

/* ---- documents on their way ---- */

/* What one thread reads objects with. */
struct section_reader {
	struct sha256 *check;
	uint8_t *piece;			/* OBJECT_PIECE_BYTES */
};

enum status section_reader_init(struct section_reader *r) must_use;
void section_reader_free(struct section_reader *r);
/*
 * Adds d's section to h, and checks that the object, of object_size bytes, is what its name says.
 * ST_NOT_FOUND: it is not here; ST_CORRUPT: it is damaged, or a run lies outside of it; ST_AGAIN,
 * ST_IO. A document without one: ST_OK.
 */
enum status section_hash(struct section_reader *r, const struct document *d,
			 const struct objects *o, uint64_t object_size, struct sha256 *h) must_use;

/* ---- whole files ---- */

/*
 * A file put together: all but what is the object's lies in `bytes`, first what stands around the
 * section, then what stands within. Without a section it is just its bytes.
 */
struct spliced {
	uint8_t *bytes;
	size_t room;
	uint64_t size;			/* of the file */
	uint64_t section_at, section_size;
	struct section_run *runs;	/* original: of the object; else of `bytes` */
	uint32_t runs_n, runs_room;
};

/* Bytes [offset, offset + n) of its object. */
typedef enum status spliced_object(void *ctx, uint64_t offset, void *buf, size_t n);

/* Room for what stands around a section (size without it), and within; and for its runs. */
bool spliced_room(struct spliced *f, uint64_t bytes, uint32_t runs) must_use;
void spliced_free(struct spliced *f);
/* [offset, offset + n) must lie in the file. */
enum status spliced_read(const struct spliced *f, spliced_object *read, void *ctx,
			 uint64_t offset, uint8_t *buf, size_t n) must_use;
/* All of it into h, which was started; piece: OBJECT_PIECE_BYTES. */
enum status spliced_hash(const struct spliced *f, spliced_object *read, void *ctx,
			 uint8_t *piece, struct sha256 *h) must_use;
/* A spliced_object; ctx: struct object_file. */
enum status spliced_from_file(void *ctx, uint64_t offset, void *buf, size_t n);

/* One that somebody holds, with its object open. */
struct held_file { struct spliced file; struct object_file object; };

/* malloc'd; the document's bytes as they are now. Statuses as section_hash(), and ST_NOMEM. */
enum status held_file_of(struct held_file **out, const struct document *d,
			 const struct objects *o, uint64_t object_size) must_use;
/* NULL is allowed. */
void held_file_free(struct held_file *f);
enum status held_file_read(struct held_file *f, uint64_t offset, uint8_t *buf, size_t n) must_use;

#endif
