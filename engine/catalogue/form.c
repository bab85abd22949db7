#include "catalogue/form.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/calendar.h"
#include "base/utf8.h"
#include "limits.h"

enum status form_open(struct form *f, const char *path, struct slice text, struct pool *pool,
		      struct error *e)
{
	json_error_t why;

	*f = (struct form){ .path = path, .text = (const char *)text.p, .size = text.n,
			    .pool = pool, .error = e };
	if (!utf8_valid(text))
		return error_set(e, ST_INVALID, "%s:1: not UTF-8", path);
	f->root = json_loadb(f->text, f->size, JSON_REJECT_DUPLICATES, &why);
	if (f->root == NULL)
		return error_set(e, ST_INVALID, "%s:%d: %s", path, why.line, why.text);
	return ST_OK;
}

void form_close(struct form *f)
{
	json_decref(f->root);
	f->root = NULL;
}

/* ---- where: the text is valid JSON, so this walk needs no checks but the end ---- */

static const char *skip_space(const char *p, const char *end, uint32_t *line)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		*line += *p++ == '\n';
	return p;
}

static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p + 1;
}

static const char *skip_value(const char *p, const char *end, uint32_t *line)
{
	uint32_t depth = 0;

	do {
		p = skip_space(p, end, line);
		if (p >= end)
			return end;
		if (*p == '"') {
			p = skip_string(p, end);
			continue;
		}
		depth += *p == '{' || *p == '[';
		depth -= *p == '}' || *p == ']';
		if (*p == '}' || *p == ']' || *p == '{' || *p == '[' || *p == ',' || *p == ':') {
			p++;
			continue;
		}
		while (p < end && strchr(",:{}[] \t\r\n\"", *p) == NULL)
			p++;
	} while (depth > 0);
	return p;
}

/* Moves to the child that step names; false when there is none (then *line is the parent's). */
static bool descend(const char **at, const char *end, uint32_t *line, const struct form_step *step)
{
	uint32_t here = *line, index = 0;
	const char *p = skip_space(*at, end, &here);
	char close = step->key != NULL ? '}' : ']';

	*line = here;
	if (p >= end || *p != (step->key != NULL ? '{' : '['))
		return false;
	p = skip_space(p + 1, end, &here);
	for (; p < end && *p != close; index++) {
		bool hit = step->key == NULL && index == step->index;

		if (step->key != NULL) {
			const char *name = p + 1;
			size_t n = strlen(step->key);

			p = skip_string(p, end);
			hit = (size_t)(p - name) == n + 1 && memcmp(name, step->key, n) == 0;
			p = skip_space(p, end, &here) + 1;
		}
		p = skip_space(p, end, &here);
		if (hit) {
			*at = p;
			*line = here;
			return true;
		}
		p = skip_space(skip_value(p, end, &here), end, &here);
		if (p < end && *p == ',')
			p = skip_space(p + 1, end, &here);
	}
	return false;
}

uint32_t form_line(const struct form *f, const char *key)
{
	struct form_step last = { key, 0 };
	const char *p = f->text;
	uint32_t line = 1;

	for (uint32_t i = 0; i < f->depth; i++)
		if (!descend(&p, f->text + f->size, &line, &f->steps[i]))
			return line;
	if (key != NULL)
		descend(&p, f->text + f->size, &line, &last);
	return line;
}

static void place_text(char *out, size_t size, const struct form *f, const char *key)
{
	size_t n = 0;

	out[0] = '\0';
	for (uint32_t i = 0; i < f->depth && n < size; i++) {
		const struct form_step *s = &f->steps[i];

		if (s->key != NULL)
			n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? "." : "", s->key);
		else
			n += (size_t)snprintf(out + n, size - n, "[%u]", s->index);
	}
	if (key != NULL && n < size)
		n += (size_t)snprintf(out + n, size - n, "%s%s", n > 0 ? "." : "", key);
}

enum status form_fail(struct form *f, const char *key, const char *fmt, ...)
{
	char place[160], what[300];
	va_list ap;

	if (f->status != ST_OK)
		return f->status;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	place_text(place, sizeof(place), f, key);
	f->status = error_set(f->error, ST_INVALID, "%s:%u: %s%s%s", f->path, form_line(f, key),
			      place, place[0] != '\0' ? ": " : "", what);
	return f->status;
}

void form_enter(struct form *f, const char *key)
{
	if (f->depth == FORM_DEPTH_MAX)
		form_fail(f, NULL, "nested too deep");
	else
		f->steps[f->depth++] = (struct form_step){ key, 0 };
}

void form_enter_at(struct form *f, uint32_t index)
{
	if (f->depth == FORM_DEPTH_MAX)
		form_fail(f, NULL, "nested too deep");
	else
		f->steps[f->depth++] = (struct form_step){ NULL, index };
}

void form_leave(struct form *f)
{
	f->depth -= f->depth > 0;
}

/* ---- what ---- */

#define WORD_MAX 48

static uint32_t distance(const char *a, const char *b)
{
	uint32_t row[WORD_MAX + 1];
	size_t n = strlen(a), m = strlen(b);

	if (n > WORD_MAX || m > WORD_MAX)
		return UINT32_MAX;
	for (size_t j = 0; j <= m; j++)
		row[j] = (uint32_t)j;
	for (size_t i = 1; i <= n; i++) {
		uint32_t diagonal = row[0];

		row[0] = (uint32_t)i;
		for (size_t j = 1; j <= m; j++) {
			uint32_t best = diagonal + (a[i - 1] != b[j - 1]);

			best = row[j] + 1 < best ? row[j] + 1 : best;
			best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
			diagonal = row[j];
			row[j] = best;
		}
	}
	return row[m];
}

const char *form_nearest(const char *word, const char *const *names)
{
	const char *nearest = NULL;
	uint32_t least = (uint32_t)strlen(word) / 2 + 1;

	for (; *names != NULL; names++) {
		uint32_t d = distance(word, *names);

		if (d < least) {
			least = d;
			nearest = *names;
		}
	}
	return nearest;
}

static void join(char *out, size_t size, const char *const *names)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; names[i] != NULL && n < size; i++)
		n += (size_t)snprintf(out + n, size - n, "%s%s", i > 0 ? ", " : "", names[i]);
}

bool form_keys(struct form *f, const json_t *obj, const char *const *allowed)
{
	const char *key;
	json_t *value;

	if (f->status != ST_OK)
		return false;
	if (!json_is_object(obj))
		return form_fail(f, NULL, "must be an object { }") == ST_OK;
	json_object_foreach((json_t *)obj, key, value) {
		const char *near;
		char list[240];
		size_t i = 0;

		while (allowed[i] != NULL && strcmp(allowed[i], key) != 0)
			i++;
		if (allowed[i] != NULL)
			continue;
		near = form_nearest(key, allowed);
		join(list, sizeof(list), allowed);
		if (near != NULL)
			form_fail(f, key, "unknown key; did you mean \"%s\"?", near);
		else
			form_fail(f, key, "unknown key; allowed: %s", list);
		return false;
	}
	return true;
}

/* NULL when absent (a failure if required). */
static const json_t *get(struct form *f, const json_t *obj, const char *key, unsigned int flags)
{
	const json_t *v;

	if (f->status != ST_OK)
		return NULL;
	v = json_object_get(obj, key);
	if (v == NULL && (flags & FORM_REQUIRED))
		form_fail(f, NULL, "\"%s\" is missing", key);
	return v;
}

static bool text_fits(struct form *f, const char *key, struct slice s, unsigned int flags)
{
	uint8_t scratch[4 * FORM_TEXT_BYTES_MAX];
	struct slice composed, rest = s;
	struct arena a;

	arena_wrap(&a, scratch, sizeof(scratch));
	if (utf8_nfc(s, &a, &composed) != ST_OK || !slice_eq(s, composed))
		return form_fail(f, key, "text is not in the composed form (NFC)") == ST_OK;
	while (rest.n > 0) {
		int32_t cp = utf8_next(&rest);

		if (cp == '\n' && (flags & FORM_LINES))
			continue;
		if (cp < 0 || utf8_refused((uint32_t)cp))
			return form_fail(f, key, "character U+%04X is refused%s", (unsigned int)cp,
					 cp == '\n' ? ": one line only" : "") == ST_OK;
	}
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		if ((flags & FORM_CODE) && !alnum && (c != '-' || i == 0))
			return form_fail(f, key, "a code is made of a-z, 0-9 and -") == ST_OK;
		if ((flags & FORM_ASCII) && (c <= ' ' || c > '~'))
			return form_fail(f, key, "only ASCII without spaces") == ST_OK;
	}
	return true;
}

static const char *text_of(struct form *f, const json_t *v, const char *key, unsigned int flags,
			   size_t bytes_max)
{
	size_t min = flags & FORM_EMPTY ? 0 : 1;
	struct slice s;
	const char *copy;

	if (!json_is_string(v)) {
		form_fail(f, key, "must be a text");
		return NULL;
	}
	s = slice_of(json_string_value(v), json_string_length(v));
	if (flags & FORM_CODE)
		bytes_max = CODE_BYTES_MAX;
	if (s.n < min || s.n > bytes_max) {
		form_fail(f, key, "%zu bytes; %zu to %zu are allowed", s.n, min, bytes_max);
		return NULL;
	}
	if (!text_fits(f, key, s, flags))
		return NULL;
	copy = pool_text(f->pool, (const char *)s.p, s.n);
	if (copy == NULL)
		f->status = error_set(f->error, ST_NOMEM, "%s: memory is short", f->path);
	return copy;
}

const char *form_text(struct form *f, const json_t *obj, const char *key, unsigned int flags,
		      size_t bytes_max)
{
	const json_t *v = get(f, obj, key, flags);

	return v == NULL ? NULL : text_of(f, v, key, flags, bytes_max);
}

int64_t form_int(struct form *f, const json_t *obj, const char *key, int64_t absent, int64_t min,
		 int64_t max)
{
	const json_t *v = get(f, obj, key, 0);
	int64_t n;

	if (v == NULL)
		return absent;
	n = (int64_t)json_integer_value(v);
	if (!json_is_integer(v) || n < min || n > max) {
		form_fail(f, key, "must be a whole number from %lld to %lld", (long long)min,
			  (long long)max);
		return absent;
	}
	return n;
}

uint32_t form_tenths(struct form *f, const json_t *obj, const char *key, uint32_t absent,
		     uint32_t min, uint32_t max)
{
	const json_t *v = get(f, obj, key, 0);
	double d;

	if (v == NULL)
		return absent;
	d = json_number_value(v) * 10;
	if (!json_is_number(v) || d < min || d > max) {
		form_fail(f, key, "must be a number from %.1f to %.1f", min / 10.0, max / 10.0);
		return absent;
	}
	return (uint32_t)(d + 0.5);
}

bool form_bool(struct form *f, const json_t *obj, const char *key, bool absent)
{
	const json_t *v = get(f, obj, key, 0);

	if (v == NULL)
		return absent;
	if (!json_is_boolean(v))
		form_fail(f, key, "must be true or false");
	return json_is_true(v);
}

uint32_t form_day(struct form *f, const json_t *obj, const char *key, unsigned int flags)
{
	const char *s = form_text(f, obj, key, flags, 10);
	static const char shape[] = "0000-00-00";
	unsigned int y = 0, m = 0, d = 0;
	bool shaped = true;

	if (s == NULL)
		return 0;
	for (size_t i = 0; i < sizeof(shape); i++)
		shaped = shaped && (shape[i] == '0' ? isdigit((unsigned char)s[i]) :
				    s[i] == shape[i]);
	if (!shaped || sscanf(s, "%4u-%2u-%2u", &y, &m, &d) != 3 || y < 1900 ||
	    !date_exists(y, (uint8_t)m, (uint8_t)d)) {
		form_fail(f, key, "must be a date of the form 2026-07-01");
		return 0;
	}
	return y * 10000 + m * 100 + d;
}

int form_choice(struct form *f, const json_t *obj, const char *key, const char *const *names,
		int absent)
{
	const json_t *v = get(f, obj, key, absent < 0 ? FORM_REQUIRED : 0);
	char list[240];

	if (v == NULL)
		return absent;
	for (int i = 0; json_is_string(v) && names[i] != NULL; i++)
		if (strcmp(names[i], json_string_value(v)) == 0)
			return i;
	join(list, sizeof(list), names);
	form_fail(f, key, "must be one of: %s", list);
	return absent;
}

const json_t *form_object(struct form *f, const json_t *obj, const char *key, unsigned int flags)
{
	const json_t *v = get(f, obj, key, flags);

	if (v != NULL && !json_is_object(v)) {
		form_fail(f, key, "must be an object { }");
		return NULL;
	}
	return v;
}

const json_t *form_list(struct form *f, const json_t *obj, const char *key, unsigned int flags,
			size_t max)
{
	const json_t *v = get(f, obj, key, flags);

	if (v == NULL)
		return NULL;
	if (!json_is_array(v)) {
		form_fail(f, key, "must be a list [ ]");
		return NULL;
	}
	if (json_array_size(v) > max || ((flags & FORM_REQUIRED) && json_array_size(v) == 0)) {
		form_fail(f, key, "%zu elements; %u to %zu are allowed", json_array_size(v),
			  flags & FORM_REQUIRED, max);
		return NULL;
	}
	return v;
}

const char *const *form_texts(struct form *f, const json_t *obj, const char *key,
			      unsigned int flags, size_t n_max, size_t bytes_max, size_t *n)
{
	const json_t *list = form_list(f, obj, key, flags, n_max);
	const char **out;

	*n = 0;
	if (list == NULL || json_array_size(list) == 0)
		return NULL;
	out = form_take(f, json_array_size(list) * sizeof(*out));
	if (out == NULL)
		return NULL;
	form_enter(f, key);
	for (size_t i = 0; i < json_array_size(list) && f->status == ST_OK; i++) {
		form_enter_at(f, (uint32_t)i);
		out[i] = text_of(f, json_array_get(list, i), NULL, flags, bytes_max);
		form_leave(f);
	}
	form_leave(f);
	if (f->status != ST_OK)
		return NULL;
	*n = json_array_size(list);
	return out;
}

void *form_take(struct form *f, size_t n)
{
	void *p = pool_take(f->pool, n);

	if (p == NULL && f->status == ST_OK)
		f->status = error_set(f->error, ST_NOMEM, "%s: memory is short", f->path);
	return p;
}
