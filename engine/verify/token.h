/*
 * token.h - the syntax of PDF values (ISO 32000-1 7.2, 7.3) as slices of the file, without a tree.
 *
 * Strict: no comments inside objects, no escapes in keys, no key twice in a dictionary, nesting at
 * most TOKEN_DEPTH_MAX.
 */
#ifndef TRIEN_VERIFY_TOKEN_H
#define TRIEN_VERIFY_TOKEN_H

#include "base/bytes.h"

#define TOKEN_DEPTH_MAX 24
#define TOKEN_KEYS_MAX 256		/* of one dictionary */

enum value_type {
	VALUE_BAD,
	VALUE_DICT,
	VALUE_ARRAY,
	VALUE_NAME,
	VALUE_STRING,
	VALUE_HEX,
	VALUE_INTEGER,
	VALUE_REAL,
	VALUE_REF,
	VALUE_KEYWORD
};

struct value { enum value_type type; struct slice s; };	/* s: all its bytes, delimiters included */

void token_space(struct reader *r);
/* Takes the next value and the white space in front of it; VALUE_BAD sets r->bad. */
struct value token_value(struct reader *r);
/* As token_space(), but some must be there. */
void token_gap(struct reader *r);
/* Takes exactly these bytes, else sets r->bad. */
void token_literal(struct reader *r, const char *s);
/* Decimal digits only, at most 10; sets r->bad otherwise. */
uint64_t token_number(struct reader *r);

/* The value of a key of a dictionary that token_value() took; VALUE_BAD: not there. */
struct value dict_get(struct value dict, const char *key);
/* Likewise of up to DICT_READ_MAX different keys, in one walk. */
#define DICT_READ_MAX 8
void dict_read(struct value dict, const char *const *keys, struct value *out, size_t n);
/* Walks entries: *r = dict_entries(); false at the end. */
struct reader dict_entries(struct value dict);
bool dict_next(struct reader *r, struct slice *key, struct value *v);
/*
 * All entries at once, for many look-ups in one dictionary: each key of the one searched in the
 * other is the square of a file that its sender makes as large as he likes.
 */
struct entries {
	size_t n;
	struct slice keys[TOKEN_KEYS_MAX];
	struct value values[TOKEN_KEYS_MAX];
};

/* false: no dictionary that token_value() took. */
bool entries_read(struct entries *e, struct value dict);
/* VALUE_BAD: not there. at: where to look first, as most writers keep the order. */
struct value entries_get(const struct entries *e, struct slice key, size_t at);
/* Walks elements likewise. */
struct reader array_elements(struct value array);
bool array_next(struct reader *r, struct value *v);

bool value_is(struct value v, enum value_type type, const char *text);
/* Object number of "n 0 R"; 0: v is no reference. */
uint32_t value_ref(struct value v);
/* A non-negative direct integer below 2^40; false otherwise. */
bool value_uint(struct value v, uint64_t *out);

#endif
