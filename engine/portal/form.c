#include "portal/form.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/utf8.h"

#define BOUNDARY_BYTES_MAX 70		/* RFC 2046, 5.1.1 */
#define PART_HEAD_BYTES_MAX 1024

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

bool percent_decode(char *s, size_t n, bool plus)
{
	size_t to = 0;

	for (size_t i = 0; i < n; i++) {
		int high, low;

		if (s[i] != '%') {
			s[to++] = plus && s[i] == '+' ? ' ' : s[i];
			continue;
		}
		high = i + 2 < n ? hex_digit(s[i + 1]) : -1;
		low = i + 2 < n ? hex_digit(s[i + 2]) : -1;
		if (high < 0 || low < 0)
			return false;
		s[to++] = (char)(high << 4 | low);
		i += 2;
	}
	s[to] = '\0';
	return utf8_string(slice_of(s, to));
}

static enum status add(struct form *f, const char *name, const char *value, struct slice file)
{
	if (f->n == PORTAL_PARTS_MAX)
		return ST_INVALID;
	f->of[f->n++] = (struct form_field){ name, value, file };
	return ST_OK;
}

/* One "name=value", its end a NUL. */
static enum status read_pair(struct form *f, char *pair, size_t n)
{
	char *equals = memchr(pair, '=', n);
	size_t name_n = equals != NULL ? (size_t)(equals - pair) : n;
	char *value = equals != NULL ? equals + 1 : pair + n;

	if (n == 0)
		return ST_OK;
	if (equals != NULL)
		*equals = '\0';
	if (!percent_decode(value, (size_t)(pair + n - value), true) ||
	    !percent_decode(pair, name_n, true))
		return ST_INVALID;
	return add(f, pair, value, slice_of(NULL, 0));
}

enum status form_read(struct form *f, struct slice text)
{
	enum status st = ST_OK;
	char *p, *end;

	*f = (struct form){ .kept = malloc(text.n + 1) };
	if (f->kept == NULL)
		return ST_NOMEM;
	if (text.n > 0)
		memcpy(f->kept, text.p, text.n);
	f->kept[text.n] = '\0';
	p = f->kept;
	end = p + text.n;
	while (st == ST_OK && p < end) {
		char *stop = memchr(p, '&', (size_t)(end - p));

		if (stop == NULL)
			stop = end;
		*stop = '\0';
		st = read_pair(f, p, (size_t)(stop - p));
		p = stop + 1;
	}
	if (st != ST_OK)
		form_free(f);
	return st;
}

/* "\r\n--" and the boundary that the header names. */
static bool boundary_of(const char *content_type, char out[BOUNDARY_BYTES_MAX + 5], size_t *n)
{
	const char *b = strcasestr(content_type, "boundary=");
	size_t len;

	if (b == NULL)
		return false;
	b += strlen("boundary=");
	len = *b == '"' ? strcspn(++b, "\"") : strcspn(b, "; \t");
	if (len == 0 || len > BOUNDARY_BYTES_MAX)
		return false;
	memcpy(out, "\r\n--", 4);
	memcpy(out + 4, b, len);
	*n = len + 4;
	return true;
}

/* name="…" or filename="…" of a Content-Disposition; browsers write %22 for a quote in it. */
static bool parameter(struct slice head, const char *name, struct slice *out)
{
	const uint8_t *p = head.p, *end = head.p + head.n, *stop;
	size_t n = strlen(name);

	while ((p = memmem(p, (size_t)(end - p), name, n)) != NULL) {
		if (p > head.p && (p[-1] == ' ' || p[-1] == ';')) {
			p += n;
			stop = memchr(p, '"', (size_t)(end - p));
			if (stop == NULL)
				return false;
			*out = slice_of(p, (size_t)(stop - p));
			return true;
		}
		p += n;
	}
	return false;
}

/* One part; kept is where its name and value go. */
static enum status read_part(struct form *f, struct slice part, char **kept)
{
	const uint8_t *end = memmem(part.p, part.n, "\r\n\r\n", 4);
	struct slice head, name, file, body;
	char *name_at = *kept, *value_at = NULL;

	if (end == NULL || end - part.p > PART_HEAD_BYTES_MAX)
		return ST_INVALID;
	head = slice_of(part.p, (size_t)(end - part.p));
	body = slice_of(end + 4, (size_t)(part.p + part.n - end - 4));
	if (!parameter(head, "name=\"", &name) || !utf8_string(name))
		return ST_INVALID;
	memcpy(name_at, name.p, name.n);
	name_at[name.n] = '\0';
	*kept += name.n + 1;
	if (parameter(head, "filename=\"", &file))
		return add(f, name_at, NULL, body);
	if (body.n > PORTAL_FORM_BYTES_MAX || !utf8_string(body))
		return ST_INVALID;
	value_at = *kept;
	memcpy(value_at, body.p, body.n);
	value_at[body.n] = '\0';
	*kept += body.n + 1;
	return add(f, name_at, value_at, slice_of(NULL, 0));
}

enum status form_read_parts(struct form *f, const char *content_type, struct slice body)
{
	char boundary[BOUNDARY_BYTES_MAX + 5], *kept;
	const uint8_t *p = body.p, *end = body.p + body.n;
	enum status st = ST_OK;
	size_t n;

	*f = (struct form){ 0 };
	if (!boundary_of(content_type, boundary, &n) || body.n < n - 2 ||
	    memcmp(p, boundary + 2, n - 2) != 0)
		return ST_INVALID;
	/* Names and values are no longer than heads and short bodies. */
	f->kept = malloc(PORTAL_PARTS_MAX * (PART_HEAD_BYTES_MAX + PORTAL_FORM_BYTES_MAX + 2));
	if (f->kept == NULL)
		return ST_NOMEM;
	kept = f->kept;
	p += n - 2;
	while (st == ST_OK) {
		const uint8_t *next;

		if (end - p >= 2 && memcmp(p, "--", 2) == 0)
			return ST_OK;
		next = end - p >= 2 && memcmp(p, "\r\n", 2) == 0 ?
			memmem(p + 2, (size_t)(end - p - 2), boundary, n) : NULL;
		/* Kept has room for so many. */
		st = next == NULL || f->n == PORTAL_PARTS_MAX ? ST_INVALID :
		     read_part(f, slice_of(p + 2, (size_t)(next - p - 2)), &kept);
		if (st == ST_OK)
			p = next + n;
	}
	form_free(f);
	return st;
}

/* NULL: none that a form could have. */
static const char *text_of_json(const json_t *v, char number[24])
{
	if (json_is_string(v))
		return json_string_value(v);
	if (json_is_integer(v)) {
		snprintf(number, 24, "%" PRId64, (int64_t)json_integer_value(v));
		return number;
	}
	return json_is_boolean(v) ? (json_is_true(v) ? "1" : "0") : NULL;
}

/* With its NUL; where it stands then. NULL: no room. */
static const char *keep(struct writer *w, const char *text)
{
	const char *at = (const char *)w->p;

	write_bytes(w, text, strlen(text) + 1);
	return w->bad ? NULL : at;
}

enum status form_read_json(struct form *f, struct slice text)
{
	json_t *all = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL), *v;
	/* Nothing is longer than it was in JSON, its quotes or colon and comma for the NUL. */
	size_t room = text.n + 1;
	enum status st = json_is_object(all) ? ST_OK : ST_INVALID;
	char number[24];
	const char *name;
	struct writer w;

	*f = (struct form){ .kept = malloc(room) };
	if (f->kept == NULL)
		st = ST_NOMEM;
	w = writer_of(f->kept, f->kept != NULL ? room : 0);
	json_object_foreach(all, name, v) {
		const char *value = text_of_json(v, number), *at, *value_at;

		if (st != ST_OK)
			break;
		at = keep(&w, name);
		value_at = value != NULL ? keep(&w, value) : NULL;
		st = at == NULL || value_at == NULL ? ST_INVALID :
		     add(f, at, value_at, slice_of(NULL, 0));
	}
	json_decref(all);
	if (st != ST_OK)
		form_free(f);
	return st;
}

void form_free(struct form *f)
{
	free(f->kept);
	*f = (struct form){ 0 };
}

static const struct form_field *field_of(const struct form *f, const char *name)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (strcmp(f->of[i].name, name) == 0)
			return &f->of[i];
	return NULL;
}

const char *form_value(const struct form *f, const char *name)
{
	const struct form_field *one = field_of(f, name);

	return one != NULL ? one->value : NULL;
}

struct slice form_file(const struct form *f, const char *name)
{
	const struct form_field *one = field_of(f, name);

	return one != NULL && one->value == NULL ? one->file : slice_of(NULL, 0);
}
