/*
 * form.h - names and values of a query, a form (application/x-www-form-urlencoded) or a form with
 * files (multipart/form-data, RFC 7578). Values are valid UTF-8 without NUL, and NUL-terminated;
 * a file's bytes are as they came. The first of a name counts.
 */
#ifndef TRIEN_PORTAL_FORM_H
#define TRIEN_PORTAL_FORM_H

#include "base/bytes.h"
#include "base/status.h"
#include "limits.h"

struct form_field {
	const char *name, *value;	/* of a file: value is NULL */
	struct slice file;		/* borrowed from the body */
};

struct form {
	struct form_field of[PORTAL_PARTS_MAX];
	uint32_t n;
	char *kept;			/* names and values */
};

/*
 * ST_INVALID: malformed, or too many fields. A query is parsed as a form. The text need not
 * outlive the form.
 */
enum status form_read(struct form *f, struct slice text) must_use;
/* content_type: as the header says it; the body must outlive the form. ST_INVALID. */
enum status form_read_parts(struct form *f, const char *content_type,
			    struct slice body) must_use;
/*
 * One JSON object (RFC 8259) of texts, whole numbers and truths, told as a form would: 7 is "7",
 * true is "1", false is "0". ST_INVALID: anything else, or a name twice.
 */
enum status form_read_json(struct form *f, struct slice text) must_use;
void form_free(struct form *f);

/* NULL: there is none of this name, or it is a file. */
const char *form_value(const struct form *f, const char *name);
/* p NULL: there is none; n 0: it is empty. */
struct slice form_file(const struct form *f, const char *name);

/* "%2F" → "/", in place; plus: "+" is a blank. False: malformed, NUL, or no UTF-8. */
bool percent_decode(char *s, size_t n, bool plus);

#endif
