#include "verify/said.h"

#include <jansson.h>
#include <stdio.h>

#define SCHEMA "trien-result/1"

/* The bytes of a stream as they stand; nothing where a filter codes them. */
static struct slice stream_data(const struct pdf *pdf, const struct object *o)
{
	struct reader r;
	uint64_t length = 0;

	if (o == NULL || !o->stream || dict_get(o->value, "/Filter").type != VALUE_BAD ||
	    !value_uint(dict_get(o->value, "/Length"), &length))
		return slice_of(NULL, 0);
	r = (struct reader){ o->value.s.p + o->value.s.n,
			     o->known ? pdf->prefix->bytes + pdf->prefix->n :
					pdf->file.p + pdf->file.n, false };
	token_space(&r);
	token_literal(&r, "stream");
	if (reader_left(&r) > 0 && *r.p == '\r')
		r.p++;
	token_literal(&r, "\n");
	return read_bytes(&r, length);
}

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

static bool text_of(char *out, size_t max, json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s != NULL && snprintf(out, max, "%s", s) < (int)max;
}

bool said_read(const struct pdf *pdf, struct said *out)
{
	struct slice data = stream_data(pdf, attached(pdf, "(result.json)"));
	json_t *j = data.n == 0 ? NULL : json_loadb((const char *)data.p, data.n,
						    JSON_REJECT_DUPLICATES, NULL);
	json_t *unit = json_object_get(j, "unit"), *kind = json_object_get(j, "kind");
	const char *schema = json_string_value(json_object_get(j, "schema"));

	*out = (struct said){ .read = false };
	if (schema != NULL && strcmp(schema, SCHEMA) == 0)
		out->read = text_of(out->unit, sizeof(out->unit), unit, "code") &&
			    text_of(out->unit_name, sizeof(out->unit_name), unit, "name") &&
			    text_of(out->kind, sizeof(out->kind), kind, "code") &&
			    text_of(out->kind_name, sizeof(out->kind_name), kind, "name");
	/* A paper of a kind without numbers has none. */
	if (out->read)
		text_of(out->number, sizeof(out->number), j, "number");
	json_decref(j);
	return out->read;
}
