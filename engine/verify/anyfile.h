/*
 * anyfile.h - any PDF as its revisions and objects, for the slow strict path (anypdf.h).
 *
 * Cross-reference tables and streams, object streams, a linearized first revision. Strict all the
 * same: an offset that is wrong, an object that stands twice in a revision, a hybrid or encrypted
 * file, bytes behind the end: none of it is repaired or overlooked.
 */
#ifndef TRIEN_VERIFY_ANYFILE_H
#define TRIEN_VERIFY_ANYFILE_H

#include "verify/token.h"
#include "verify/verify.h"

#define ANY_REVISIONS_MAX 64
#define ANY_OBJECTS_MAX (1024 * 1024)		/* of all revisions, and the highest number */
#define ANY_INFLATED_BYTES_MAX (64u * 1024 * 1024)	/* cross-reference and object streams */

enum any_kind { ANY_FREE, ANY_AT, ANY_WITHIN };

struct any_object {
	uint32_t number;
	uint8_t kind;			/* enum any_kind */
	bool stream;
	uint64_t at;			/* ANY_AT: offset; ANY_WITHIN: the object stream's number */
	uint64_t end;			/* ANY_AT: behind endobj; ANY_WITHIN: place in it */
	struct value value;		/* a stream's dictionary */
	struct slice data;		/* a stream's, as it stands */
};

struct any_revision {
	uint64_t start, section;	/* section: offset of its cross-reference */
	uint64_t mark, end;		/* behind %%EOF; and behind the end of line after it */
	uint64_t startxref;		/* as it says itself */
	struct value trailer;
	uint64_t size;
	bool tiled;			/* nothing but white space stands between its objects */
	uint32_t objects_n, room;
	struct any_object *objects;	/* by number */
};

struct any {
	struct slice file;
	uint8_t revisions_n;
	struct any_revision revisions[ANY_REVISIONS_MAX];	/* oldest first */
	uint32_t root;
	uint32_t objects_n;		/* of all revisions */
	uint64_t inflated;		/* bytes so far */
	uint32_t buffers_n, buffers_room;
	uint8_t **buffers;		/* inflated streams, which values lie in */
};

/*
 * ST_OK; ST_INVALID (*f FAILED, FORMAT_FAILURE); ST_UNSUPPORTED (*f INDETERMINATE); ST_NOMEM.
 * any_close() in every case.
 */
enum status any_open(struct any *a, struct slice file, struct finding *f) must_use;
void any_close(struct any *a);

/* As revision `upto` shows it; NULL: not there, or freed. */
const struct any_object *any_object(const struct any *a, uint32_t number, uint8_t upto);
/* v, or what it refers to: one step. VALUE_BAD: nothing, or a stream. */
struct value any_follow(const struct any *a, struct value v, uint8_t upto);

/* Decodes a stream of /FlateDecode, or of no filter; *out lives as long as a. */
enum status any_inflate(struct any *a, struct value dict, struct slice data, struct slice *out,
			struct finding *f) must_use;

#endif
