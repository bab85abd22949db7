#include "remote/tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

#define DEPTH_MAX 16
#define NAME_MAX_BYTES 128

bool tree_is_pointer(const char *p)
{
	uint32_t depth = 0;
	size_t name = 0;

	if (p == NULL || (p[0] != '\0' && p[0] != '/'))
		return false;
	for (; *p != '\0'; p++) {
		if (*p == '~' && p[1] != '0' && p[1] != '1')
			return false;
		depth += *p == '/';
		name = *p == '/' ? 0 : name + 1;
		if (depth > DEPTH_MAX || name >= NAME_MAX_BYTES)
			return false;
	}
	return true;
}

static json_t *step(json_t *v, const char *name)
{
	if (json_is_array(v)) {
		char *end;
		unsigned long i = strtoul(name, &end, 10);

		return name[0] >= '0' && name[0] <= '9' && *end == '\0' ? json_array_get(v, i) :
			NULL;
	}
	return json_object_get(v, name);
}

json_t *tree_at(json_t *root, const char *p)
{
	while (root != NULL && *p == '/') {
		char name[NAME_MAX_BYTES];
		size_t n = 0;

		for (p++; *p != '\0' && *p != '/' && n + 1 < sizeof(name); p++) {
			name[n++] = *p != '~' ? *p : p[1] == '1' ? '/' : '~';
			p += *p == '~';
		}
		name[n] = '\0';
		root = step(root, name);
	}
	return root;
}

static void as_text(const json_t *v, char *out, size_t n)
{
	if (json_is_integer(v))
		snprintf(out, n, "%lld", (long long)json_integer_value(v));
	else if (json_is_boolean(v))
		snprintf(out, n, "%s", json_is_true(v) ? "true" : "false");
	else
		snprintf(out, n, "%s", json_is_string(v) ? json_string_value(v) : "");
}

bool tree_one_of(const json_t *v, const json_t *list)
{
	char a[64], b[64];

	as_text(v, a, sizeof(a));
	for (size_t i = 0; v != NULL && i < json_array_size(list); i++) {
		as_text(json_array_get(list, i), b, sizeof(b));
		if (strcmp(a, b) == 0)
			return true;
	}
	return false;
}

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

json_t *tree_base64(const void *p, size_t n)
{
	const uint8_t *s = p;
	char *out = malloc((n + 2) / 3 * 4 + 1), *at = out;
	json_t *v;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t x = (uint32_t)s[i] << 16 | (uint32_t)(i + 1 < n ? s[i + 1] : 0) << 8 |
			     (uint32_t)(i + 2 < n ? s[i + 2] : 0);

		*at++ = digits[x >> 18];
		*at++ = digits[x >> 12 & 63];
		*at++ = i + 1 < n ? digits[x >> 6 & 63] : '=';
		*at++ = i + 2 < n ? digits[x & 63] : '=';
	}
	v = json_stringn(out, (size_t)(at - out));
	free(out);
	return v;
}

json_t *tree_hex(const void *p, size_t n)
{
	char *out = malloc(2 * n + 1);
	json_t *v;

	if (out == NULL)
		return NULL;
	hex_lower(out, p, n);
	v = json_stringn(out, 2 * n);
	free(out);
	return v;
}

static int digit(char c)
{
	const char *at = c == '\0' ? NULL : strchr(digits, c == '-' ? '+' : c == '_' ? '/' : c);

	return at == NULL ? -1 : (int)(at - digits);
}

long tree_base64_read(uint8_t *out, size_t max, const char *text)
{
	uint32_t x = 0, bits = 0;
	size_t n = 0, characters = 0;

	for (; *text != '\0' && *text != '='; text++) {
		int d = digit(*text);

		if (*text == '\r' || *text == '\n')
			continue;
		if (d < 0)
			return -1;
		characters++;
		x = x << 6 | (uint32_t)d;
		bits += 6;
		if (bits < 8)
			continue;
		bits -= 8;
		if (n == max)
			return -1;
		out[n++] = (uint8_t)(x >> bits);
		x &= (1u << bits) - 1;
	}
	if (strspn(text, "=\r\n") != strlen(text) || characters % 4 == 1 || x != 0)
		return -1;
	return (long)n;
}

long tree_hex_read(uint8_t *out, size_t max, const char *text)
{
	size_t n = strlen(text);

	if (n % 2 != 0 || n / 2 > max || !hex_read(out, n / 2, slice_of(text, n)))
		return -1;
	return (long)(n / 2);
}
