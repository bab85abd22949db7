#include "verify/token.h"

#include <assert.h>

enum { SPACE = 1, DELIMITER = 2 };

/* By byte (ISO 32000-1 7.2.2). */
static const uint8_t classes[256] = {
	[0] = SPACE, ['\t'] = SPACE, ['\n'] = SPACE, ['\f'] = SPACE, ['\r'] = SPACE, [' '] = SPACE,
	['('] = DELIMITER, [')'] = DELIMITER, ['<'] = DELIMITER, ['>'] = DELIMITER,
	['['] = DELIMITER, [']'] = DELIMITER, ['{'] = DELIMITER, ['}'] = DELIMITER,
	['/'] = DELIMITER, ['%'] = DELIMITER,
};

static bool is_space(uint8_t c)
{
	return classes[c] & SPACE;
}

static bool is_regular(uint8_t c)
{
	return (classes[c] & (SPACE | DELIMITER)) == 0;
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

void token_space(struct reader *r)
{
	while (!r->bad && r->p < r->end && is_space(*r->p))
		r->p++;
}

void token_gap(struct reader *r)
{
	if (r->p == r->end || !is_space(*r->p))
		r->bad = true;
	token_space(r);
}

void token_literal(struct reader *r, const char *s)
{
	if (!slice_eq(read_bytes(r, strlen(s)), slice_str(s)))
		r->bad = true;
}

uint64_t token_number(struct reader *r)
{
	uint64_t v = 0;
	int digits = 0;

	while (!r->bad && r->p < r->end && is_digit(*r->p)) {
		v = v * 10 + (uint64_t)(*r->p++ - '0');
		if (++digits > 10)
			r->bad = true;
	}
	if (digits == 0)
		r->bad = true;
	return v;
}

static enum value_type bad(struct reader *r)
{
	r->bad = true;
	return VALUE_BAD;
}

static enum value_type take_string(struct reader *r)
{
	uint32_t depth = 0;

	while (r->p < r->end) {
		uint8_t c = *r->p++;

		if (c == '\\') {
			if (r->p == r->end)
				return bad(r);
			r->p++;
		} else if (c == '(') {
			depth++;
		} else if (c == ')' && --depth == 0) {
			return VALUE_STRING;
		}
	}
	return bad(r);
}

/* A signature's is thousands of digits: sixteen at once, which the compiler does from O3 on. */
__attribute__((optimize("O3"))) static bool all_hex(const uint8_t *p, size_t n)
{
	uint8_t wrong = 0;

	for (size_t i = 0; i < n; i++) {
		uint8_t letter = (uint8_t)((p[i] | 0x20) - 'a'), digit = (uint8_t)(p[i] - '0');

		wrong |= (uint8_t)((letter > 5) & (digit > 9));
	}
	return wrong == 0;
}

static enum value_type take_hex(struct reader *r)
{
	const uint8_t *p = r->p + 1, *end = memchr(p, '>', (size_t)(r->end - p));

	if (end == NULL || !all_hex(p, (size_t)(end - p)))
		return bad(r);
	r->p = end + 1;
	return VALUE_HEX;
}

static struct slice take_name(struct reader *r)
{
	const uint8_t *start = r->p;

	if (r->p == r->end || *r->p != '/') {
		r->bad = true;
		return (struct slice){ NULL, 0 };
	}
	r->p++;
	while (r->p < r->end && is_regular(*r->p))
		r->p++;
	return slice_of(start, (size_t)(r->p - start));
}

static enum value_type take_value(struct reader *r, uint32_t depth);

static enum value_type take_dict(struct reader *r, uint32_t depth)
{
	struct slice keys[TOKEN_KEYS_MAX];
	size_t n = 0;

	token_literal(r, "<<");
	for (;;) {
		struct slice key;

		token_space(r);
		if (!r->bad && reader_left(r) >= 2 && r->p[0] == '>' && r->p[1] == '>') {
			r->p += 2;
			return VALUE_DICT;
		}
		key = take_name(r);
		/* An escape could spell a key that another reader understands. */
		if (r->bad || n == TOKEN_KEYS_MAX || memchr(key.p, '#', key.n) != NULL)
			return bad(r);
		for (size_t i = 0; i < n; i++)
			if (slice_eq(keys[i], key))
				return bad(r);
		keys[n++] = key;
		token_space(r);
		if (take_value(r, depth + 1) == VALUE_BAD)
			return bad(r);
	}
}

static enum value_type take_array(struct reader *r, uint32_t depth)
{
	r->p++;
	for (;;) {
		token_space(r);
		if (!r->bad && r->p < r->end && *r->p == ']') {
			r->p++;
			return VALUE_ARRAY;
		}
		if (take_value(r, depth + 1) == VALUE_BAD)
			return bad(r);
	}
}

/* "n 0 R", or the number alone. */
static enum value_type take_number(struct reader *r)
{
	const uint8_t *start = r->p;
	struct reader ref;
	bool real = false;

	if (*r->p == '+' || *r->p == '-')
		r->p++;
	while (r->p < r->end && (is_digit(*r->p) || (*r->p == '.' && !real)))
		real |= *r->p++ == '.';
	if (r->p < r->end && is_regular(*r->p))
		return bad(r);
	if (r->p - start > 20 || !is_digit(r->p[-1]))
		return bad(r);
	if (real || !is_digit(*start))
		return real ? VALUE_REAL : VALUE_INTEGER;
	ref = (struct reader){ r->p, r->end, false };
	token_literal(&ref, " 0 R");
	if (ref.bad || (ref.p < ref.end && is_regular(*ref.p)))
		return VALUE_INTEGER;
	r->p = ref.p;
	return VALUE_REF;
}

static enum value_type take_keyword(struct reader *r)
{
	static const char *const known[] = { "true", "false", "null" };
	const uint8_t *start = r->p;

	while (r->p < r->end && is_regular(*r->p))
		r->p++;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (slice_eq(slice_of(start, (size_t)(r->p - start)), slice_str(known[i])))
			return VALUE_KEYWORD;
	return bad(r);
}

static enum value_type take_value(struct reader *r, uint32_t depth)
{
	if (r->bad || r->p == r->end || depth > TOKEN_DEPTH_MAX)
		return bad(r);
	switch (*r->p) {
	case '<':
		return reader_left(r) >= 2 && r->p[1] == '<' ? take_dict(r, depth) : take_hex(r);
	case '[':
		return take_array(r, depth);
	case '(':
		return take_string(r);
	case '/':
		take_name(r);
		return r->bad ? VALUE_BAD : VALUE_NAME;
	case '+': case '-': case '.': case '0': case '1': case '2': case '3': case '4': case '5':
	case '6': case '7': case '8': case '9':
		return take_number(r);
	default:
		return take_keyword(r);
	}
}

struct value token_value(struct reader *r)
{
	struct value v;
	const uint8_t *start;

	token_space(r);
	start = r->p;
	v.type = take_value(r, 0);
	v.s = slice_of(start, v.type == VALUE_BAD ? 0 : (size_t)(r->p - start));
	return v;
}

struct reader dict_entries(struct value dict)
{
	struct reader r = { NULL, NULL, true };

	if (dict.type == VALUE_DICT)
		r = (struct reader){ dict.s.p + 2, dict.s.p + dict.s.n - 2, false };
	return r;
}

bool dict_next(struct reader *r, struct slice *key, struct value *v)
{
	token_space(r);
	if (r->bad || r->p == r->end)
		return false;
	*key = take_name(r);
	*v = token_value(r);
	return !r->bad;
}

void dict_read(struct value dict, const char *const *keys, struct value *out, size_t n)
{
	struct reader r = dict_entries(dict);
	struct slice names[DICT_READ_MAX], k;
	size_t left = n;
	struct value v;

	assert(n <= DICT_READ_MAX);
	for (size_t i = 0; i < n; i++) {
		names[i] = slice_str(keys[i]);
		out[i] = (struct value){ VALUE_BAD, { NULL, 0 } };
	}
	while (left > 0 && dict_next(&r, &k, &v))
		for (size_t i = 0; i < n; i++)
			if (slice_eq(k, names[i])) {
				out[i] = v;
				left--;
			}
}

struct value dict_get(struct value dict, const char *key)
{
	struct value v;

	dict_read(dict, &key, &v, 1);
	return v;
}

bool entries_read(struct entries *e, struct value dict)
{
	struct reader r = dict_entries(dict);

	for (e->n = 0; e->n < TOKEN_KEYS_MAX; e->n++)
		if (!dict_next(&r, &e->keys[e->n], &e->values[e->n]))
			break;
	return !r.bad;
}

struct value entries_get(const struct entries *e, struct slice key, size_t at)
{
	if (at < e->n && slice_eq(e->keys[at], key))
		return e->values[at];
	for (size_t i = 0; i < e->n; i++)
		if (slice_eq(e->keys[i], key))
			return e->values[i];
	return (struct value){ VALUE_BAD, { NULL, 0 } };
}

struct reader array_elements(struct value array)
{
	struct reader r = { NULL, NULL, true };

	if (array.type == VALUE_ARRAY)
		r = (struct reader){ array.s.p + 1, array.s.p + array.s.n - 1, false };
	return r;
}

bool array_next(struct reader *r, struct value *v)
{
	token_space(r);
	if (r->bad || r->p == r->end)
		return false;
	*v = token_value(r);
	return !r->bad;
}

bool value_is(struct value v, enum value_type type, const char *text)
{
	return v.type == type && slice_eq(v.s, slice_str(text));
}

uint32_t value_ref(struct value v)
{
	struct reader r = reader_of(v.s);
	uint64_t n;

	if (v.type != VALUE_REF)
		return 0;
	n = token_number(&r);
	return r.bad || n > UINT32_MAX ? 0 : (uint32_t)n;
}

bool value_uint(struct value v, uint64_t *out)
{
	struct reader r = reader_of(v.s);

	if (v.type != VALUE_INTEGER)
		return false;
	*out = token_number(&r);
	return !r.bad && r.p == r.end;
}
