#include "remote/template.h"

#include <stdio.h>
#include <string.h>

#define IN_URL "$transaction"

static bool is_word_of(const char *s, const char *allowed)
{
	size_t n = strlen(s);

	for (const char *p = allowed; *p != '\0'; p += strspn(p, " ")) {
		size_t m = strcspn(p, " ");

		if (m == n && memcmp(p, s, n) == 0)
			return true;
		p += m;
	}
	return false;
}

const char *template_unknown(const json_t *v, const char *allowed)
{
	const char *s = json_string_value(v), *found = NULL;

	if (s != NULL)
		return s[0] == '$' && !is_word_of(s, allowed) ? s : NULL;
	if (json_is_object(v)) {
		/* Iterators want a pointer that is not const, and change nothing. */
		json_t *o = (json_t *)v, *child;
		const char *name;

		json_object_foreach(o, name, child)
			if (found == NULL && strcmp(name, "$secret") != 0)
				found = template_unknown(child, allowed);
	}
	for (size_t i = 0; found == NULL && i < json_array_size(v); i++)
		found = template_unknown(json_array_get(v, i), allowed);
	return found;
}

static json_t *fill_text(const json_t *v, const struct template_word *words, size_t n)
{
	const char *s = json_string_value(v);

	for (size_t i = 0; s[0] == '$' && i < n; i++)
		if (strcmp(words[i].word, s) == 0)
			return json_incref(words[i].value);
	return json_incref((json_t *)v);
}

json_t *template_fill(const json_t *v, const struct template_word *words, size_t n)
{
	json_t *out, *o = (json_t *)v, *child;
	const char *name;
	int rc = 0;

	if (json_is_string(v))
		return fill_text(v, words, n);
	if (json_is_object(v)) {
		out = json_object();
		json_object_foreach(o, name, child)
			rc |= json_object_set_new(out, name, template_fill(child, words, n));
	} else if (json_is_array(v)) {
		out = json_array();
		for (size_t i = 0; i < json_array_size(v); i++)
			rc |= json_array_append_new(out, template_fill(json_array_get(v, i), words,
								       n));
	} else {
		return json_incref(o);
	}
	if (rc == 0)
		return out;
	json_decref(out);
	return NULL;
}

static bool is_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

bool template_url(char *out, size_t n, const char *url, const char *id)
{
	const char *at = strstr(url, IN_URL);
	size_t used = at == NULL ? strlen(url) : (size_t)(at - url);
	int rest;

	if (used >= n)
		return false;
	memcpy(out, url, used);
	out[used] = '\0';
	if (at == NULL)
		return true;
	for (const char *p = id; *p != '\0'; p++) {
		int k = snprintf(out + used, n - used, is_unreserved(*p) ? "%c" : "%%%02X",
				 (unsigned char)*p);

		used += (size_t)k;
		if (used >= n)
			return false;
	}
	rest = snprintf(out + used, n - used, "%s", at + strlen(IN_URL));
	return (size_t)rest < n - used;
}
