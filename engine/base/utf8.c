#include "base/utf8.h"

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

bool utf8_valid(struct slice s)
{
	while (s.n > 0)
		if (utf8_next(&s) < 0)
			return false;
	return true;
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
