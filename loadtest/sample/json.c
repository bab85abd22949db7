#include "sample/json.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <utf8proc.h>

static void put(struct json *j, const void *p, size_t n)
{
	assert(n <= JSON_BYTES_MAX - j->n);
	memcpy(j->buf + j->n, p, n);
	j->n += n;
}

static void put_str(struct json *j, const char *s)
{
	put(j, s, strlen(s));
}

static void put_key(struct json *j, const char *key)
{
	if (j->n > 0 && strchr("{[\n", j->buf[j->n - 1]) == NULL)
		put(j, ",", 1);
	if (key != NULL) {
		put(j, "\"", 1);
		put_str(j, key);
		put(j, "\":", 2);
	}
}

void json_open(struct json *j, const char *key, char bracket)
{
	put_key(j, key);
	put(j, &bracket, 1);
}

void json_close(struct json *j, char bracket)
{
	put(j, &bracket, 1);
}

static bool plain(uint8_t c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

static void put_escaped(struct json *j, struct slice s)
{
	size_t from = 0;

	for (size_t i = 0; i < s.n; i++) {
		char escape[8];

		if (plain(s.p[i]))
			continue;
		put(j, s.p + from, i - from);
		from = i + 1;
		if (s.p[i] < 0x20)
			snprintf(escape, sizeof(escape), "\\u%04x", s.p[i]);
		else
			snprintf(escape, sizeof(escape), "\\%c", s.p[i]);
		put_str(j, escape);
	}
	put(j, s.p + from, s.n - from);
}

static void put_decomposed(struct json *j, struct slice s)
{
	utf8proc_uint8_t *nfd = NULL;
	utf8proc_ssize_t n = utf8proc_map(s.p, (utf8proc_ssize_t)s.n, &nfd,
					  UTF8PROC_STABLE | UTF8PROC_DECOMPOSE);

	assert(n >= 0);
	put_escaped(j, slice_of(nfd, (size_t)n));
	free(nfd);
}

void json_text(struct json *j, const char *key, struct slice text)
{
	put_key(j, key);
	put(j, "\"", 1);
	if (j->decompose)
		put_decomposed(j, text);
	else
		put_escaped(j, text);
	put(j, "\"", 1);
}

void json_code(struct json *j, const char *key, const char *code)
{
	put_key(j, key);
	put(j, "\"", 1);
	put_str(j, code);
	put(j, "\"", 1);
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	put_key(j, key);
	put_str(j, digits);
}

void json_flag(struct json *j, const char *key, bool value)
{
	put_key(j, key);
	put_str(j, value ? "true" : "false");
}

void json_int64(struct json *j, const char *key, int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, value);
	json_code(j, key, digits);
}

void json_uint64(struct json *j, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	json_code(j, key, digits);
}
