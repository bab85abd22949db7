#include "portal/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 4096

static bool room(struct text *t, size_t n)
{
	size_t want = t->room > 0 ? t->room : ROOM_FIRST;
	char *p;

	if (t->bad || n > t->max || t->n > t->max - n) {
		t->bad = true;
		return false;
	}
	while (want < t->n + n)
		want *= 2;
	if (want == t->room)
		return true;
	p = realloc(t->p, want);
	if (p == NULL) {
		t->bad = true;
		return false;
	}
	t->p = p;
	t->room = want;
	return true;
}

void text_add(struct text *t, const void *p, size_t n)
{
	if (n > 0 && room(t, n)) {
		memcpy(t->p + t->n, p, n);
		t->n += n;
	}
}

void text_str(struct text *t, const char *s)
{
	text_add(t, s, strlen(s));
}

void text_printf(struct text *t, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (n < 0) {
		t->bad = true;
		return;
	}
	text_add(t, s, (size_t)n);
	free(s);
}

static const char *reference(uint8_t c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void text_html(struct text *t, struct slice s)
{
	size_t from = 0;

	for (size_t i = 0; i < s.n; i++) {
		const char *r = reference(s.p[i]);

		if (r == NULL)
			continue;
		text_add(t, s.p + from, i - from);
		text_str(t, r);
		from = i + 1;
	}
	text_add(t, s.p + from, s.n - from);
}

static bool unreserved(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

void text_url(struct text *t, struct slice s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		char coded[3] = { '%', hex[s.p[i] >> 4], hex[s.p[i] & 15] };

		if (unreserved(s.p[i]))
			text_add(t, &s.p[i], 1);
		else
			text_add(t, coded, sizeof(coded));
	}
}

void text_free(struct text *t)
{
	free(t->p);
	*t = text_of(t->max);
}
