#include "base/utf8.h"

#include <emmintrin.h>
#include <stdlib.h>
#include <utf8proc.h>

int32_t utf8_next(struct slice *s)
{
	const uint8_t *p = s->p;
	uint32_t cp, least;
	size_t more;

	if (s->n == 0)
		return -1;
	if (p[0] < 0x80) {
		s->p++;
		s->n--;
		return p[0];
	}
	if ((p[0] & 0xe0) == 0xc0) {
		more = 1, cp = p[0] & 0x1f, least = 0x80;
	} else if ((p[0] & 0xf0) == 0xe0) {
		more = 2, cp = p[0] & 0x0f, least = 0x800;
	} else if ((p[0] & 0xf8) == 0xf0) {
		more = 3, cp = p[0] & 0x07, least = 0x10000;
	} else {
		return -1;
	}
	if (s->n < more + 1)
		return -1;
	for (size_t i = 1; i <= more; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return -1;
		cp = cp << 6 | (p[i] & 0x3f);
	}
	if (cp < least || cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
		return -1;
	s->p += more + 1;
	s->n -= more + 1;
	return (int32_t)cp;
}

size_t utf8_put(uint8_t out[4], uint32_t cp)
{
	if (cp < 0x80) {
		out[0] = (uint8_t)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (uint8_t)(0xc0 | cp >> 6);
		out[1] = (uint8_t)(0x80 | (cp & 0x3f));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (uint8_t)(0xe0 | cp >> 12);
		out[1] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
		out[2] = (uint8_t)(0x80 | (cp & 0x3f));
		return 3;
	}
	out[0] = (uint8_t)(0xf0 | cp >> 18);
	out[1] = (uint8_t)(0x80 | (cp >> 12 & 0x3f));
	out[2] = (uint8_t)(0x80 | (cp >> 6 & 0x3f));
	out[3] = (uint8_t)(0x80 | (cp & 0x3f));
	return 4;
}

/* 8: so many ASCII characters stand in front; 1: at least one; 0: none. */
static size_t ascii_ahead(struct slice s)
{
	uint64_t eight;

	if (s.n >= 8) {
		memcpy(&eight, s.p, 8);
		if ((eight & 0x8080808080808080u) == 0)
			return 8;
	}
	return s.p[0] < 0x80;
}

bool utf8_valid(struct slice s)
{
	while (s.n > 0) {
		size_t ascii = ascii_ahead(s);

		if (ascii == 0 && utf8_next(&s) < 0)
			return false;
		s.p += ascii;
		s.n -= ascii;
	}
	return true;
}

/* 0 if none of the eight bytes is NUL or beyond ASCII. A borrow only comes from a NUL. */
static uint64_t not_ascii(uint64_t eight)
{
	return (eight | (eight - 0x0101010101010101u)) & 0x8080808080808080u;
}

static bool ascii_string(const uint8_t *p, size_t n)
{
	uint64_t eight, seen = 0;
	uint32_t first, last;

	if (n < 4) {
		for (size_t i = 0; i < n; i++)
			seen |= not_ascii(0x0101010101010100u | p[i]);
		return seen == 0;
	}
	if (n < 8) {
		memcpy(&first, p, 4);
		memcpy(&last, p + n - 4, 4);
		return not_ascii((uint64_t)first << 32 | last) == 0;
	}
	for (size_t i = 0; i + 8 < n; i += 8) {
		memcpy(&eight, p + i, 8);
		seen |= not_ascii(eight);
	}
	memcpy(&eight, p + n - 8, 8);
	return (seen | not_ascii(eight)) == 0;
}

bool utf8_string(struct slice s)
{
	return ascii_string(s.p, s.n) || (utf8_valid(s) && memchr(s.p, 0, s.n) == NULL);
}

/*
 * Code points that NFC leaves alone wherever they stand: Latin letters up to U+024F (the digraphs
 * and all precomposed letters there are their own NFC), Vietnamese U+1E00–1EFF except the two that
 * decompose, general punctuation. None of them is a combining mark, so no composition can
 * start across them. Everything else goes through utf8proc.
 */
static bool stays(uint32_t cp)
{
	if (cp < 0x300)
		return true;
	if (cp >= 0x1e00 && cp <= 0x1eff)
		return cp != 0x1e9b;
	return (cp >= 0x2010 && cp <= 0x2027) || (cp >= 0x2030 && cp <= 0x205e) ||
	       (cp >= 0x20a0 && cp <= 0x20cf);
}

char *utf8_folded(const char *s)
{
	utf8proc_uint8_t *out = NULL;
	char *p, *to;

	if (utf8proc_map((const utf8proc_uint8_t *)s, 0, &out,
			 UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPAT |
			 UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_STRIPMARK) < 0)
		return NULL;
	/* The bar of đ (U+0111) is no mark of its own in Unicode. */
	for (p = to = (char *)out; *p != '\0'; p++)
		if (memcmp(p, "\xc4\x91", 2) == 0) {
			*to++ = 'd';
			p++;
		} else {
			*to++ = *p;
		}
	*to = '\0';
	return (char *)out;
}

enum status utf8_nfc(struct slice s, struct arena *a, struct slice *out)
{
	struct slice rest = s;
	utf8proc_uint8_t *composed;
	utf8proc_ssize_t n;

	for (;;) {
		int32_t cp;

		if (rest.n == 0) {
			*out = s;
			return ST_OK;
		}
		cp = utf8_next(&rest);
		if (cp < 0)
			return ST_INVALID;
		if (!stays((uint32_t)cp))
			break;
	}
	if (!utf8_valid(rest))
		return ST_INVALID;
	n = utf8proc_map(s.p, (utf8proc_ssize_t)s.n, &composed,
			 UTF8PROC_STABLE | UTF8PROC_COMPOSE);
	if (n < 0)
		return n == UTF8PROC_ERROR_NOMEM ? ST_NOMEM : ST_INVALID;
	if ((size_t)n == s.n && memcmp(composed, s.p, s.n) == 0)
		*out = s;
	else
		*out = arena_copy(a, slice_of(composed, (size_t)n));
	free(composed);
	return out->p == NULL && out->n > 0 ? ST_TOO_LARGE : ST_OK;
}

/* 1 to 15 bytes, none read beyond them, filled up with spaces. */
static __m128i load_rest(const uint8_t *p, size_t n)
{
	const uint64_t spaces = 0x2020202020202020u;
	uint64_t low = 0, high = spaces;

	if (n >= 8) {
		memcpy(&low, p, 8);
		memcpy(&high, p + n - 8, 8);
		high = n == 8 ? spaces : high >> (8 * (16 - n)) | spaces << (8 * (n - 8));
	} else if (n >= 4) {
		uint32_t first, last;

		memcpy(&first, p, 4);
		memcpy(&last, p + n - 4, 4);
		low = first | (uint64_t)last << (8 * (n - 4)) | spaces << (8 * n);
	} else {
		low = p[0] | (uint64_t)p[n / 2] << (8 * (n / 2)) |
		      (uint64_t)p[n - 1] << (8 * (n - 1)) | spaces << (8 * n);
	}
	return _mm_set_epi64x((long long)high, (long long)low);
}

/* A character of two or three bytes that stays() and is not refused, by its range alone. */
static bool plain_at(const uint8_t *p, const struct codeset *shown)
{
	bool three = p[0] >= 0xe0;
	uint32_t cp = three ? (p[0] & 0x1fu) << 6 | (p[1] & 0x3f) : p[0] & 0x1f;

	cp = cp << 6 | (p[1 + three] & 0x3f);
	/* Bounds from below keep overlong forms out. */
	if (cp - (three ? 0x1e00 : 0xa0) >= (three ? 0x100u : 0x260u) &&
	    !(three && ((cp >= 0x2010 && cp <= 0x2027) || (cp >= 0x2030 && cp <= 0x205e) ||
			(cp >= 0x20a0 && cp <= 0x20cf))))
		return false;
	return cp != 0xad && cp != 0x1e9b && codeset_has(shown, cp);
}

static inline uint32_t mask_of(__m128i v)
{
	return (uint32_t)_mm_movemask_epi8(v);
}

static inline __m128i between(__m128i v, int low, int high)
{
	return _mm_and_si128(_mm_cmpgt_epi8(v, _mm_set1_epi8((char)(low - 1))),
			     _mm_cmpgt_epi8(_mm_set1_epi8((char)(high + 1)), v));
}

static inline __m128i is(__m128i v, int byte)
{
	return _mm_cmpeq_epi8(v, _mm_set1_epi8((char)byte));
}

/* Does the font show all letters that vietnamese() finds? */
static bool has_vietnamese(const struct codeset *shown)
{
	const __m128i *latin = (const __m128i *)&shown->bits[0xc0 / 32];
	__m128i all = _mm_and_si128(_mm_loadu_si128(latin), _mm_loadu_si128(latin + 1));
	const uint32_t *marked = &shown->bits[0x1ea0 / 32];

	return mask_of(is(all, 0xff)) == 0xffff && (marked[0] & marked[1]) == UINT32_MAX &&
	       (~marked[2] & 0x03ffffff) == 0;
}

/*
 * Where the letters of Vietnamese begin among 16 bytes, all at once: U+00C0–U+01BF by their first
 * byte, U+1EA0–U+1EF9 by all three. One by one they cost a mispredicted loop a block.
 */
static uint32_t vietnamese(__m128i v, const uint8_t *p, size_t n, size_t rest)
{
	bool more = n == 16 && rest >= 2;
	__m128i second = more ? _mm_loadu_si128((const __m128i *)(p + 1)) : _mm_srli_si128(v, 1);
	__m128i third = more ? _mm_loadu_si128((const __m128i *)(p + 2)) : _mm_srli_si128(v, 2);
	__m128i low = _mm_and_si128(is(second, 0xba), between(third, (char)0xa0, (char)0xbf));
	__m128i high = _mm_and_si128(is(second, 0xbb), between(third, (char)0x80, (char)0xb9));
	__m128i marked = _mm_and_si128(is(v, 0xe1), _mm_or_si128(low, high));

	return mask_of(_mm_or_si128(marked, between(v, (char)0xc3, (char)0xc6)));
}

bool utf8_plain(struct slice s, const struct codeset *shown)
{
	uint32_t carry = 0;
	bool quick = has_vietnamese(shown);

	if ((shown->bits[1] & shown->bits[2]) != UINT32_MAX || shown->bits[3] << 1 != ~1u)
		return false;
	while (s.n > 0) {
		size_t n = s.n < 16 ? s.n : 16, rest = s.n - n;
		__m128i v = n == 16 ? _mm_loadu_si128((const __m128i *)s.p) : load_rest(s.p, n);
		/* Signed bytes: what is not ASCII is negative, continuations lowest of all. */
		uint32_t high = mask_of(v);
		uint32_t below = mask_of(_mm_cmplt_epi8(v, _mm_set1_epi8(0x20)));
		uint32_t del = mask_of(_mm_cmpeq_epi8(v, _mm_set1_epi8(0x7f)));
		uint32_t follow = mask_of(_mm_cmplt_epi8(v, _mm_set1_epi8(-64)));
		uint32_t three = high & mask_of(_mm_cmpgt_epi8(v, _mm_set1_epi8(-33)));
		uint32_t lead = high & ~follow, expected = lead << 1 | three << 2 | carry;

		carry = expected >> 16;
		/* Nothing is read beyond the end: as many bytes as are still expected follow. */
		if ((below & ~high) != 0 || del != 0 || (expected & 0xffff) != follow ||
		    carry >> (rest < 2 ? rest : 2) != 0)
			return false;
		if (quick && lead != 0)
			lead &= ~vietnamese(v, s.p, n, rest);
		for (; lead != 0; lead &= lead - 1)
			if (!plain_at(s.p + __builtin_ctz(lead), shown))
				return false;
		s.p += n;
		s.n = rest;
	}
	return true;
}

bool utf8_refused(uint32_t cp)
{
	if (cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || cp == 0xad)
		return true;
	if ((cp >= 0x200b && cp <= 0x200f) || (cp >= 0x2028 && cp <= 0x202e) ||
	    (cp >= 0x2060 && cp <= 0x206f))
		return true;
	if (cp == 0x61c || cp == 0x180e || cp == 0xfeff || (cp >= 0xfff9 && cp <= 0xfffb))
		return true;
	if ((cp >= 0xe000 && cp <= 0xf8ff) || (cp >= 0xfdd0 && cp <= 0xfdef))
		return true;
	return (cp & 0xfffe) == 0xfffe || cp >= 0xe0000;
}
