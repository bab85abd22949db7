/*
 * words.h - what the pages say, in each language: words/vi.json and words/en.json, flat objects of
 * "key": "text". A text may name values of the page's model: "{n} kết quả". Both have the same
 * keys (a test sees to that). Immutable after words_new(): any thread.
 */
#ifndef TRIEN_PORTAL_WORDS_H
#define TRIEN_PORTAL_WORDS_H

#include "base/bytes.h"
#include "base/status.h"

enum language { LANGUAGE_VI, LANGUAGE_EN, LANGUAGES };

struct words;

/* JSON of each language. ST_INVALID: not a flat object of strings. */
enum status words_new(struct words **out, const struct slice of[LANGUAGES],
		      struct error *e) must_use;
/* NULL is allowed. */
void words_free(struct words *w);
/* NULL: no such key. */
const char *words_get(const struct words *w, enum language language, const char *key);

/* "vi", "en". */
const char *language_code(enum language language);
/* LANGUAGES: none is called so. */
enum language language_of(const char *code);

#endif
