#include "verify/same.h"

static int digit(int c)
{
	int letter = c | 0x20;

	if (c >= '0' && c <= '9')
		return c - '0';
	return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

/* The next character of a literal string that was taken whole; -1: its end. */
static int next_literal(struct reader *r)
{
	static const char letters[] = "nrtbf", meant[] = "\n\r\t\b\f";
	const char *at;
	int c = read_u8(r), v = 0;

	if (r->bad || r->p == r->end)
		return -1;			/* the closing parenthesis is the last byte */
	if (c != '\\')
		return c;
	c = read_u8(r);
	at = c != 0 ? strchr(letters, c) : NULL;
	if (at != NULL)
		return meant[at - letters];
	if (c < '0' || c > '7')
		return c;
	v = c - '0';
	for (int i = 0; i < 2 && r->p < r->end && *r->p >= '0' && *r->p <= '7'; i++)
		v = v * 8 + (*r->p++ - '0');
	return v & 0xff;
}

static int next_hex(struct reader *r)
{
	int hi, lo;

	if (r->p == r->end || *r->p == '>')
		return -1;
	hi = digit(read_u8(r));
	lo = r->p == r->end || *r->p == '>' ? 0 : digit(read_u8(r));
	return hi * 16 + lo;
}

static int next_of(struct reader *r, enum value_type type)
{
	if (type == VALUE_HEX)
		return next_hex(r);
	return next_literal(r);
}

static bool string_same(struct value a, struct value b)
{
	struct reader x = reader_of(a.s), y = reader_of(b.s);
	int c;

	read_u8(&x);
	read_u8(&y);
	do {
		c = next_of(&x, a.type);
		if (c != next_of(&y, b.type))
			return false;
	} while (c >= 0);
	return !x.bad && !y.bad;
}

static int next_name(struct reader *r)
{
	int c;

	if (r->p == r->end)
		return -1;
	c = read_u8(r);
	if (c != '#' || reader_left(r) < 2 || digit(r->p[0]) < 0 || digit(r->p[1]) < 0)
		return c;
	c = digit(r->p[0]) * 16 + digit(r->p[1]);
	r->p += 2;
	return c;
}

static bool name_same(struct slice a, struct slice b)
{
	struct reader x = reader_of(a), y = reader_of(b);
	int c;

	do {
		c = next_name(&x);
		if (c != next_name(&y))
			return false;
	} while (c >= 0);
	return true;
}

static bool is_one_of(struct slice key, const char *const *keys, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (slice_eq(key, slice_str(keys[i])))
			return true;
	return false;
}

/*
 * One way and the count: no key stands twice in a dictionary. Both ways would double with each
 * dictionary inside another.
 */
bool dict_same(struct value a, struct value b, const char *const *except, size_t n)
{
	struct reader r = dict_entries(a);
	struct entries other;
	size_t left = 0, at = 0;
	struct slice key;
	struct value v;

	if (!entries_read(&other, b))
		return false;
	for (size_t i = 0; i < other.n; i++)
		left += !is_one_of(other.keys[i], except, n);
	for (; dict_next(&r, &key, &v); at++) {
		if (is_one_of(key, except, n))
			continue;
		if (left-- == 0 || !value_same(v, entries_get(&other, key, at)))
			return false;
	}
	return !r.bad && left == 0;
}

bool array_continues(struct value a, struct value b, size_t *more, struct value *last)
{
	struct reader x = array_elements(a), y = array_elements(b);
	struct value v, w;

	*more = 0;
	if (b.type != VALUE_ARRAY || (a.type != VALUE_ARRAY && a.type != VALUE_BAD))
		return false;
	while (a.type == VALUE_ARRAY && array_next(&x, &v))
		if (!array_next(&y, &w) || !value_same(v, w))
			return false;
	while (array_next(&y, &w)) {
		*last = w;
		(*more)++;
	}
	return !y.bad && (a.type == VALUE_BAD || !x.bad);
}

bool value_same(struct value a, struct value b)
{
	bool a_text = a.type == VALUE_STRING || a.type == VALUE_HEX;
	struct value last;
	size_t more;

	if (a_text && (b.type == VALUE_STRING || b.type == VALUE_HEX))
		return string_same(a, b);
	if (a.type != b.type)
		return false;
	if (slice_eq(a.s, b.s))
		return true;
	switch (a.type) {
	case VALUE_NAME:
		return name_same(a.s, b.s);
	case VALUE_ARRAY:
		return array_continues(a, b, &more, &last) && more == 0;
	case VALUE_DICT:
		return dict_same(a, b, NULL, 0);
	default:
		return false;
	}
}
