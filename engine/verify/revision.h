/*
 * revision.h - a PDF file as its revisions: every byte accounted for (V3, V5).
 */
#ifndef TRIEN_VERIFY_REVISION_H
#define TRIEN_VERIFY_REVISION_H

#include "verify/token.h"
#include "verify/verify.h"

#define REVISIONS_MAX 32
#define OBJECTS_MAX 65536		/* of one revision */

struct object {
	uint32_t number;
	uint64_t offset;
	struct value value;		/* a stream's dictionary */
	struct slice data;		/* a stream's, as it stands */
	bool stream;
	bool known;			/* its value lies in a prefix, which has no signature */
};

/*
 * The beginning of a file that many files share: objects that tile it from the header on. Found by
 * its bytes, so nothing rests on where it was learned from (known.h).
 */
struct prefix {
	const uint8_t *bytes;
	size_t n;
	uint32_t objects_n;
	const struct object *objects;	/* by number */
	const struct sha256 *state;	/* over the bytes */
};

struct revision {
	uint64_t start, xref, end;	/* its objects lie in [start, xref) */
	struct value trailer;
	uint32_t objects_n;
	struct object *objects;		/* by number */
};

struct pdf {
	struct slice file;
	const struct prefix *prefix;	/* that the file begins with; NULL: none is known */
	uint8_t revisions_n;
	struct revision revisions[REVISIONS_MAX];	/* oldest first */
	uint32_t root;
	uint64_t size;			/* /Size of the newest trailer */
};

/*
 * ST_OK; ST_INVALID: malformed (*f FAILED, FORMAT_FAILURE); ST_UNSUPPORTED: a kind of PDF that the
 * engine never writes (*f INDETERMINATE); ST_NOMEM. pdf_close() in every case.
 */
enum status pdf_open(struct pdf *pdf, struct slice file, const struct prefix *prefix,
		     struct finding *f) must_use;
void pdf_close(struct pdf *pdf);

/*
 * The objects that tile bytes from its header to its end, by number, in *out (the caller's to
 * free). ST_INVALID: anything else, or a signature among them; ST_NOMEM.
 */
enum status prefix_read(struct object **out, uint32_t *n, struct slice bytes) must_use;
/* May it be the dictionary of a signature or a time stamp? */
bool is_signature(struct value v);

/* The object as revision `upto` shows it, or NULL. */
const struct object *pdf_object(const struct pdf *pdf, uint32_t number, uint8_t upto);
/* As the revision itself defines it, or NULL. */
const struct object *revision_object(const struct revision *r, uint32_t number);
/*
 * v itself, or what it refers to; VALUE_BAD if nothing. One step: a reference to a reference is
 * bad.
 */
struct value pdf_follow(const struct pdf *pdf, struct value v, uint8_t upto);

/* Fills *f; returns ST_INVALID / ST_UNSUPPORTED. */
enum status pdf_bad(struct finding *f, const char *fmt, ...) printf_like(2, 3);
enum status pdf_foreign(struct finding *f, const char *fmt, ...) printf_like(2, 3);

#endif
