#include "portal/words.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct words { json_t *of[LANGUAGES]; };

static const char *const codes[LANGUAGES] = { "vi", "en" };

static enum status words_read(json_t **out, enum language language, struct slice text,
			      struct error *e)
{
	json_error_t why;
	json_t *j = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why);
	const char *key;
	json_t *value;

	*out = j;
	if (j == NULL)
		return error_set(e, ST_INVALID, "words/%s.json:%d: %s", codes[language], why.line,
				 why.text);
	if (!json_is_object(j))
		return error_set(e, ST_INVALID, "words/%s.json: an object is needed",
				 codes[language]);
	json_object_foreach(j, key, value)
		if (!json_is_string(value) || json_string_length(value) == 0)
			return error_set(e, ST_INVALID, "words/%s.json: %s: a text is needed",
					 codes[language], key);
	return ST_OK;
}

enum status words_new(struct words **out, const struct slice of[LANGUAGES], struct error *e)
{
	struct words *w = calloc(1, sizeof(*w));
	enum status st = w == NULL ? ST_NOMEM : ST_OK;

	for (enum language l = 0; st == ST_OK && l < LANGUAGES; l++)
		st = words_read(&w->of[l], l, of[l], e);
	if (st != ST_OK) {
		words_free(w);
		w = NULL;
	}
	*out = w;
	return st;
}

void words_free(struct words *w)
{
	if (w == NULL)
		return;
	for (enum language l = 0; l < LANGUAGES; l++)
		json_decref(w->of[l]);
	free(w);
}

const char *words_get(const struct words *w, enum language language, const char *key)
{
	return json_string_value(json_object_get(w->of[language], key));
}

const char *language_code(enum language language)
{
	return codes[language];
}

enum language language_of(const char *code)
{
	enum language l = 0;

	while (l < LANGUAGES && (code == NULL || strcmp(codes[l], code) != 0))
		l++;
	return l;
}
