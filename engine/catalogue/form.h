/*
 * form.h - reading one JSON file of the catalogue so that every complaint names file, line, place,
 * what is wrong and what is allowed.
 *
 * The first failure sticks: later calls return neutral values, so that a reader checks once, at
 * the end. form_enter()/form_leave() keep the place; a failure is located by walking the text
 * again, as jansson keeps no lines. Texts handed out live in the pool. One thread.
 */
#ifndef TRIEN_CATALOGUE_FORM_H
#define TRIEN_CATALOGUE_FORM_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "catalogue/pool.h"

#define FORM_DEPTH_MAX 12
#define FORM_BYTES_MAX (1024 * 1024)
#define FORM_TEXT_BYTES_MAX 8000

struct form_step { const char *key; uint32_t index; };	/* key NULL: an element of a list */

struct form {
	const char *path;		/* as errors show it; borrowed */
	const char *text;		/* borrowed while the form is open */
	size_t size;
	json_t *root;
	struct pool *pool;
	struct error *error;		/* may be NULL */
	enum status status;
	uint32_t depth;
	struct form_step steps[FORM_DEPTH_MAX];
};

/* Parses text. ST_INVALID: the error tells line and reason. form_close() is due on success only. */
enum status form_open(struct form *f, const char *path, struct slice text, struct pool *pool,
		      struct error *e) must_use;
void form_close(struct form *f);

/* Fails at the present place, below it at key if key is not NULL. Returns f->status. */
enum status form_fail(struct form *f, const char *key, const char *fmt, ...) printf_like(3, 4);
/* Line of the present place, below it at key if it is there. From 1. */
uint32_t form_line(const struct form *f, const char *key);

void form_enter(struct form *f, const char *key);
void form_enter_at(struct form *f, uint32_t index);
void form_leave(struct form *f);

/* obj must be an object with no keys but those listed (NULL ends); names the nearest otherwise. */
bool form_keys(struct form *f, const json_t *obj, const char *const *allowed);

#define FORM_REQUIRED 1u
#define FORM_LINES 2u			/* LF allowed */
#define FORM_CODE 4u			/* [a-z0-9][a-z0-9-]*, at most CODE_BYTES_MAX */
#define FORM_ASCII 8u			/* printable ASCII without space */
#define FORM_EMPTY 16u			/* no bytes are allowed too */

/* NULL when absent. NFC without refused characters, 1 to bytes_max bytes. */
const char *form_text(struct form *f, const json_t *obj, const char *key, unsigned int flags,
		      size_t bytes_max);
int64_t form_int(struct form *f, const json_t *obj, const char *key, int64_t absent, int64_t min,
		 int64_t max);
/* A number of which tenths are kept: 13.5 gives 135. min and max are tenths. */
uint32_t form_tenths(struct form *f, const json_t *obj, const char *key, uint32_t absent,
		     uint32_t min, uint32_t max);
bool form_bool(struct form *f, const json_t *obj, const char *key, bool absent);
/* "2026-07-01" as 20260701; 0 when absent. */
uint32_t form_day(struct form *f, const json_t *obj, const char *key, unsigned int flags);
/* Index in names (NULL ends), or absent; absent < 0: required. */
int form_choice(struct form *f, const json_t *obj, const char *key, const char *const *names,
		int absent);
/* NULL when absent or failed. */
const json_t *form_object(struct form *f, const json_t *obj, const char *key, unsigned int flags);
/* At most max elements; NULL when absent or failed. */
const json_t *form_list(struct form *f, const json_t *obj, const char *key, unsigned int flags,
			size_t max);
/* A list of texts, checked as form_text() does. NULL with *n = 0 when absent. */
const char *const *form_texts(struct form *f, const json_t *obj, const char *key,
			      unsigned int flags, size_t n_max, size_t bytes_max, size_t *n);
/* Pool memory, cleared. Fails with ST_NOMEM. */
void *form_take(struct form *f, size_t n);

/* The listed name nearest to word by edit distance, or NULL when none is near. */
const char *form_nearest(const char *word, const char *const *names);

#endif
