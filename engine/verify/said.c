#include "verify/said.h"

#include <jansson.h>
#include <stdio.h>

#define SCHEMA "trien-result/1"

/* The attached file of that name, by the name tree's one leaf. */
static const struct object *attached(const struct pdf *pdf, const char *name)
{
	const struct object *catalog = pdf_object(pdf, pdf->root, 0);
	struct value names = catalog == NULL ? (struct value){ VALUE_BAD, { NULL, 0 } } :
			     pdf_follow(pdf, dict_get(catalog->value, "/Names"), 0);
	struct value files = pdf_follow(pdf, dict_get(names, "/EmbeddedFiles"), 0);
	struct value list = pdf_follow(pdf, dict_get(files, "/Names"), 0), key, v;
	struct reader r = array_elements(list);

	while (array_next(&r, &key) && array_next(&r, &v))
		if (value_is(key, VALUE_STRING, name)) {
			struct value ef = dict_get(pdf_follow(pdf, v, 0), "/EF");

			return pdf_object(pdf, value_ref(dict_get(ef, "/F")), 0);
		}
	return NULL;
}

/* ---- as this engine writes it: no space, no escape in what is read; a tenth of the time ---- */

#define QUICK_DEPTH_MAX 8

/* A string with its quotes; escapes are passed over. */
static void quick_string(struct reader *r, struct slice *out)
{
	const uint8_t *start = r->p;

	token_literal(r, "\"");
	while (!r->bad && r->p < r->end && *r->p != '"')
		r->p += *r->p == '\\' && reader_left(r) > 1 ? 2 : 1;
	token_literal(r, "\"");
	*out = slice_of(start, (size_t)(r->p - start));
}

static void quick_value(struct reader *r, int depth)
{
	const uint8_t *start = r->p;
	struct slice s;
	uint8_t open;

	if (r->bad || r->p == r->end || depth > QUICK_DEPTH_MAX) {
		r->bad = true;
		return;
	}
	if (*r->p == '"') {
		quick_string(r, &s);
		return;
	}
	if (*r->p != '{' && *r->p != '[') {
		while (r->p < r->end && *r->p != 0 &&
		       strchr("+-.0123456789Eaeflnrstu", *r->p) != NULL)
			r->p++;
		r->bad = r->p == start;
		return;
	}
	open = read_u8(r);
	if (!r->bad && r->p < r->end && *r->p == open + 2) {
		r->p++;
		return;
	}
	do {
		if (open == '{') {
			quick_string(r, &s);
			token_literal(r, ":");
		}
		quick_value(r, depth + 1);
	} while (!r->bad && r->p < r->end && *r->p == ',' && r->p++ != NULL);
	if (read_u8(r) != open + 2)		/* ASCII: } and ] */
		r->bad = true;
}

/* The values of an object's keys, each as it stands; n = 0: not there. No key twice. */
static void quick_object(struct reader *r, const char *const *keys, struct slice *values, size_t n)
{
	token_literal(r, "{");
	for (size_t i = 0; i < n; i++)
		values[i] = slice_of(NULL, 0);
	do {
		const uint8_t *start;
		struct slice key;

		quick_string(r, &key);
		token_literal(r, ":");
		start = r->p;
		quick_value(r, 0);
		for (size_t i = 0; i < n && !r->bad; i++)
			if (key.n == strlen(keys[i]) + 2 &&
			    memcmp(key.p + 1, keys[i], key.n - 2) == 0) {
				r->bad = values[i].n != 0;
				values[i] = slice_of(start, (size_t)(r->p - start));
			}
	} while (!r->bad && r->p < r->end && *r->p == ',' && r->p++ != NULL);
	token_literal(r, "}");
}

static bool quick_text(char *out, size_t max, struct slice value)
{
	if (value.n < 2 || value.n - 2 >= max || value.p[0] != '"' ||
	    memchr(value.p, '\\', value.n) != NULL || memchr(value.p, 0, value.n) != NULL)
		return false;
	memcpy(out, value.p + 1, value.n - 2);
	out[value.n - 2] = '\0';
	return true;
}

static bool quick_pair(char *code, size_t code_max, char *name, size_t name_max,
		       struct slice object)
{
	static const char *const keys[] = { "code", "name" };
	struct reader r = reader_of(object);
	struct slice values[2];

	quick_object(&r, keys, values, 2);
	return !r.bad && r.p == r.end && quick_text(code, code_max, values[0]) &&
		quick_text(name, name_max, values[1]);
}

/* false: to be read in full. */
static bool quick_read(struct slice data, struct said *out)
{
	static const char *const keys[] = { "schema", "unit", "kind", "number" };
	struct reader r = reader_of(data);
	struct slice values[4];

	quick_object(&r, keys, values, 4);
	token_literal(&r, "\n");
	return !r.bad && r.p == r.end && slice_eq(values[0], slice_str("\"" SCHEMA "\"")) &&
		quick_pair(out->unit, sizeof(out->unit), out->unit_name, sizeof(out->unit_name),
			   values[1]) &&
		quick_pair(out->kind, sizeof(out->kind), out->kind_name, sizeof(out->kind_name),
			   values[2]) &&
		(values[3].n == 0 || quick_text(out->number, sizeof(out->number), values[3]));
}

/* ---- in any form ---- */

static bool text_of(char *out, size_t max, json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s != NULL && snprintf(out, max, "%s", s) < (int)max;
}

static void full_read(struct slice data, struct said *out)
{
	json_t *j = json_loadb((const char *)data.p, data.n, JSON_REJECT_DUPLICATES, NULL);
	json_t *unit = json_object_get(j, "unit"), *kind = json_object_get(j, "kind");
	const char *schema = json_string_value(json_object_get(j, "schema"));

	if (schema != NULL && strcmp(schema, SCHEMA) == 0)
		out->read = text_of(out->unit, sizeof(out->unit), unit, "code") &&
			    text_of(out->unit_name, sizeof(out->unit_name), unit, "name") &&
			    text_of(out->kind, sizeof(out->kind), kind, "code") &&
			    text_of(out->kind_name, sizeof(out->kind_name), kind, "name");
	/* A paper of a kind without numbers has none. */
	if (out->read)
		text_of(out->number, sizeof(out->number), j, "number");
	json_decref(j);
}

bool said_read(const struct pdf *pdf, struct said *out)
{
	const struct object *o = attached(pdf, "(result.json)");
	/* One that a filter codes is none of ours. */
	struct slice data = o == NULL || dict_get(o->value, "/Filter").type != VALUE_BAD ?
			    slice_of(NULL, 0) : o->data;

	*out = (struct said){ .read = false };
	out->read = data.n > 0 && quick_read(data, out);
	if (!out->read && data.n > 0) {
		*out = (struct said){ .read = false };
		full_read(data, out);
	}
	return out->read;
}
