#include "base/base64url.h"

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void base64url_write(char *out, const uint8_t *p, size_t n)
{
	uint32_t bits = 0;
	unsigned held = 0;

	for (size_t i = 0; i < n; i++) {
		bits = bits << 8 | p[i];
		for (held += 8; held >= 6; held -= 6)
			*out++ = digits[bits >> (held - 6) & 63];
	}
	if (held > 0)
		*out++ = digits[bits << (6 - held) & 63];
	*out = '\0';
}

static int value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool base64url_read(uint8_t *out, size_t room, size_t *n, struct slice text)
{
	uint32_t bits = 0;
	unsigned held = 0;
	size_t done = 0;

	*n = 0;
	if (text.n % 4 == 1 || BASE64URL_BYTES(text.n) > room)
		return false;
	for (size_t i = 0; i < text.n; i++) {
		int v = value(text.p[i]);

		if (v < 0)
			return false;
		bits = bits << 6 | (uint32_t)v;
		held += 6;
		if (held >= 8) {
			held -= 8;
			out[done++] = (uint8_t)(bits >> held);
		}
	}
	if ((bits & ((1u << held) - 1)) != 0)
		return false;
	*n = done;
	return true;
}
