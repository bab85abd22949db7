#include "client/protojson.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/wellknown.h"
#include "google/protobuf/duration.pb-c.h"
#include "google/protobuf/timestamp.pb-c.h"

#define FIELDS_OF_MESSAGE_MAX 128

/* Where the reader is, for error texts. */
struct place {
	char path[256];
	size_t n;
	struct error *e;
};

static enum status wrong(struct place *at, const char *fmt, ...) printf_like(2, 3);

static enum status wrong(struct place *at, const char *fmt, ...)
{
	char what[200];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	return error_set(at->e, ST_INVALID, "%s%s%s", at->path, at->n > 0 ? ": " : "", what);
}

/* Goes one step down; the caller restores `n` and cuts the path there. */
static void step_name(struct place *at, const char *name)
{
	size_t left = sizeof(at->path) - at->n;
	int n = snprintf(at->path + at->n, left, "%s%s", at->n > 0 ? "." : "", name);

	at->n += (size_t)n < left ? (size_t)n : left - 1;
}

static void step_index(struct place *at, size_t i)
{
	size_t left = sizeof(at->path) - at->n;
	int n = snprintf(at->path + at->n, left, "[%zu]", i);

	at->n += (size_t)n < left ? (size_t)n : left - 1;
}

static void step_back(struct place *at, size_t n)
{
	at->n = n;
	at->path[n] = '\0';
}

/* ---- names ---- */

static void camel(char *out, size_t size, const char *name)
{
	size_t n = 0;

	for (; *name != '\0' && n + 1 < size; name++) {
		bool up = *name == '_' && name[1] >= 'a' && name[1] <= 'z';

		name += up;
		out[n++] = up ? (char)(*name - 'a' + 'A') : *name;
	}
	out[n] = '\0';
}

static const ProtobufCFieldDescriptor *field_named(const ProtobufCMessageDescriptor *type,
						    const char *name)
{
	char text[128];

	for (unsigned int i = 0; i < type->n_fields; i++) {
		camel(text, sizeof(text), type->fields[i].name);
		if (strcmp(name, text) == 0 || strcmp(name, type->fields[i].name) == 0)
			return &type->fields[i];
	}
	return NULL;
}

static size_t size_of(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_DOUBLE:
		return 8;
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_MESSAGE:
		return sizeof(void *);
	case PROTOBUF_C_TYPE_BYTES:
		return sizeof(ProtobufCBinaryData);
	case PROTOBUF_C_TYPE_BOOL:
		return sizeof(protobuf_c_boolean);
	default:
		return 4;
	}
}

/* ---- reading ---- */

static enum status read_message(struct place *at, const json_t *j, ProtobufCMessage *m);

static enum status read_signed(struct place *at, const json_t *j, void *out, size_t size)
{
	uint64_t max = size == 4 ? INT32_MAX : INT64_MAX, magnitude;
	bool negative;
	int64_t v;

	if (!whole_read(j, &negative, &magnitude) || magnitude > max + negative)
		return wrong(at, "a whole number from -%" PRIu64 " to %" PRIu64 " is needed",
			     max + 1, max);
	v = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
	if (size == 4)
		*(int32_t *)out = (int32_t)v;
	else
		*(int64_t *)out = v;
	return ST_OK;
}

static enum status read_unsigned(struct place *at, const json_t *j, void *out, size_t size)
{
	uint64_t max = size == 4 ? UINT32_MAX : UINT64_MAX, magnitude;
	bool negative;

	if (!whole_read(j, &negative, &magnitude) || magnitude > max || (negative && magnitude > 0))
		return wrong(at, "a whole number from 0 to %" PRIu64 " is needed", max);
	if (size == 4)
		*(uint32_t *)out = (uint32_t)magnitude;
	else
		*(uint64_t *)out = magnitude;
	return ST_OK;
}

static enum status read_real(struct place *at, const json_t *j, void *out, size_t size)
{
	const char *text = json_is_string(j) ? json_string_value(j) : "";
	char *end = NULL;
	double v = json_is_string(j) ? strtod(text, &end) : json_number_value(j);

	if (!json_is_number(j) && (end == text || end == NULL || *end != '\0'))
		return wrong(at, "a number is needed");
	if (size == 4)
		*(float *)out = (float)v;
	else
		*(double *)out = v;
	return ST_OK;
}

static enum status read_enum(struct place *at, const json_t *j, const ProtobufCEnumDescriptor *type,
			     void *out)
{
	const ProtobufCEnumValue *v;
	char names[128] = "";
	size_t n = 0;

	if (!json_is_string(j))
		return json_is_number(j) ? read_signed(at, j, out, 4) :
		       wrong(at, "a name of %s is needed", type->short_name);
	v = protobuf_c_enum_descriptor_get_value_by_name(type, json_string_value(j));
	if (v != NULL) {
		*(int32_t *)out = v->value;
		return ST_OK;
	}
	for (unsigned int i = 0; i < type->n_values && n < sizeof(names); i++)
		n += (size_t)snprintf(names + n, sizeof(names) - n, "%s%s", i > 0 ? ", " : "",
				      type->values[i].name);
	return wrong(at, "unknown name; known are %s%s", names, n >= sizeof(names) ? "…" : "");
}

static enum status read_bytes_field(struct place *at, const json_t *j, ProtobufCBinaryData *out)
{
	size_t n = json_string_length(j);
	uint8_t *data;

	if (!json_is_string(j))
		return wrong(at, "base64 text is needed");
	data = malloc((n / 4 + 1) * 3);
	if (data == NULL)
		return error_set(at->e, ST_NOMEM, "out of memory");
	if (!base64_read(data, &out->len, json_string_value(j), n)) {
		free(data);
		return wrong(at, "base64 text is needed");
	}
	out->data = data;
	return ST_OK;
}

static enum status read_text(struct place *at, const json_t *j, char **out)
{
	if (!json_is_string(j))
		return wrong(at, "text is needed");
	*out = strdup(json_string_value(j));
	return *out != NULL ? ST_OK : error_set(at->e, ST_NOMEM, "out of memory");
}

static enum status read_submessage(struct place *at, const json_t *j,
				   const ProtobufCMessageDescriptor *type, ProtobufCMessage **out)
{
	ProtobufCMessage *m = calloc(1, type->sizeof_message);
	enum status st;

	if (m == NULL)
		return error_set(at->e, ST_NOMEM, "out of memory");
	protobuf_c_message_init(type, m);
	st = read_message(at, j, m);
	if (st == ST_OK)
		*out = m;
	else
		protobuf_c_message_free_unpacked(m, NULL);
	return st;
}

static enum status read_value(struct place *at, const json_t *j, const ProtobufCFieldDescriptor *f,
			      void *out)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return read_signed(at, j, out, size_of(f->type));
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return read_unsigned(at, j, out, size_of(f->type));
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_DOUBLE:
		return read_real(at, j, out, size_of(f->type));
	case PROTOBUF_C_TYPE_BOOL:
		if (!json_is_boolean(j))
			return wrong(at, "true or false is needed");
		*(protobuf_c_boolean *)out = json_is_true(j);
		return ST_OK;
	case PROTOBUF_C_TYPE_ENUM:
		return read_enum(at, j, f->descriptor, out);
	case PROTOBUF_C_TYPE_STRING:
		return read_text(at, j, out);
	case PROTOBUF_C_TYPE_BYTES:
		return read_bytes_field(at, j, out);
	case PROTOBUF_C_TYPE_MESSAGE:
		return read_submessage(at, j, f->descriptor, out);
	}
	return wrong(at, "a type that is not known here");
}

static enum status read_list(struct place *at, const json_t *j, const ProtobufCFieldDescriptor *f,
			     ProtobufCMessage *m)
{
	void **list = (void **)((char *)m + f->offset);
	size_t *n = (size_t *)((char *)m + f->quantifier_offset), size = size_of(f->type);
	enum status st = ST_OK;

	if (!json_is_array(j))
		return wrong(at, "a list is needed");
	if (json_array_size(j) == 0)
		return ST_OK;
	*list = calloc(json_array_size(j), size);
	if (*list == NULL)
		return error_set(at->e, ST_NOMEM, "out of memory");
	for (size_t i = 0; i < json_array_size(j) && st == ST_OK; i++) {
		size_t back = at->n;

		step_index(at, i);
		st = read_value(at, json_array_get(j, i), f, (char *)*list + *n * size);
		*n += st == ST_OK;
		step_back(at, back);
	}
	return st;
}

static enum status read_field(struct place *at, const json_t *j, const ProtobufCFieldDescriptor *f,
			      ProtobufCMessage *m)
{
	uint32_t *which = (uint32_t *)((char *)m + f->quantifier_offset);
	enum status st;

	if (f->label == PROTOBUF_C_LABEL_REPEATED)
		return read_list(at, j, f, m);
	if ((f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0)
		return read_value(at, j, f, (char *)m + f->offset);
	if (*which != 0)
		return wrong(at, "only one value may be given; %s is there already",
			     protobuf_c_message_descriptor_get_field(m->descriptor, *which)->name);
	st = read_value(at, j, f, (char *)m + f->offset);
	if (st == ST_OK)
		*which = f->id;
	return st;
}

static enum status read_time(struct place *at, const json_t *j, ProtobufCMessage *m)
{
	const char *text = json_is_string(j) ? json_string_value(j) : "";

	if (m->descriptor == &google__protobuf__timestamp__descriptor) {
		Google__Protobuf__Timestamp *t = (Google__Protobuf__Timestamp *)m;

		return timestamp_read(&t->seconds, &t->nanos, text) ? ST_OK :
		       wrong(at, "a time like 2026-07-01T08:30:00+07:00 is needed");
	}
	Google__Protobuf__Duration *d = (Google__Protobuf__Duration *)m;

	return duration_read(&d->seconds, &d->nanos, text) ? ST_OK :
	       wrong(at, "a duration like 1.5s is needed");
}

static bool is_time(const ProtobufCMessageDescriptor *type)
{
	return type == &google__protobuf__timestamp__descriptor ||
	       type == &google__protobuf__duration__descriptor;
}

/* On failure m may be half filled; it is freed like a whole one. */
static enum status read_message(struct place *at, const json_t *j, ProtobufCMessage *m)
{
	bool seen[FIELDS_OF_MESSAGE_MAX] = { false };
	enum status st = ST_OK;
	const char *name;
	json_t *value;

	if (is_time(m->descriptor))
		return read_time(at, j, m);
	if (!json_is_object(j))
		return wrong(at, "an object is needed");
	json_object_foreach((json_t *)j, name, value) {
		const ProtobufCFieldDescriptor *f = field_named(m->descriptor, name);
		size_t back = at->n;

		if (f == NULL)
			return wrong(at, "no member \"%.60s\" in %s", name,
				     m->descriptor->short_name);
		if (json_is_null(value))
			continue;
		step_name(at, f->name);
		if (f - m->descriptor->fields >= FIELDS_OF_MESSAGE_MAX)
			return wrong(at, "a message with too many members");
		if (seen[f - m->descriptor->fields])
			return wrong(at, "given twice");
		seen[f - m->descriptor->fields] = true;
		st = read_field(at, value, f, m);
		step_back(at, back);
		if (st != ST_OK)
			return st;
	}
	return ST_OK;
}

enum status protojson_read(ProtobufCMessage **out, const json_t *json,
			   const ProtobufCMessageDescriptor *type, struct error *e)
{
	struct place at = { .e = e };

	return read_submessage(&at, json, type, out);
}

enum status protojson_parse(ProtobufCMessage **out, struct slice text,
			    const ProtobufCMessageDescriptor *type, struct error *e)
{
	json_error_t why;
	json_t *j = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, &why);
	enum status st;

	if (j == NULL) {
		/* jansson quotes what stands there: it may be somebody's name. */
		char *near = strstr(why.text, " near '");

		if (near != NULL)
			*near = '\0';
		return error_set(e, ST_INVALID, "line %d, column %d: %s", why.line, why.column,
				 why.text);
	}
	st = protojson_read(out, j, type, e);
	json_decref(j);
	return st;
}

/* ---- writing ---- */

static json_t *made(json_t *j)
{
	if (j == NULL)
		abort();
	return j;
}

static json_t *write_bytes_field(const ProtobufCBinaryData *b)
{
	char *text = malloc((b->len + 2) / 3 * 4 + 1);
	json_t *j;

	if (text == NULL)
		abort();
	base64_write(text, b->data, b->len);
	j = made(json_string(text));
	free(text);
	return j;
}

static json_t *write_wide(const void *p, bool is_signed)
{
	char text[24];

	if (is_signed)
		snprintf(text, sizeof(text), "%" PRId64, *(const int64_t *)p);
	else
		snprintf(text, sizeof(text), "%" PRIu64, *(const uint64_t *)p);
	return made(json_string(text));
}

static json_t *write_enum(const ProtobufCEnumDescriptor *type, int32_t value)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(type, value);

	return made(v != NULL ? json_string(v->name) : json_integer(value));
}

static json_t *write_value(const ProtobufCFieldDescriptor *f, const void *p)
{
	switch (f->type) {
	case PROTOBUF_C_TYPE_INT32:
	case PROTOBUF_C_TYPE_SINT32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return made(json_integer(*(const int32_t *)p));
	case PROTOBUF_C_TYPE_UINT32:
	case PROTOBUF_C_TYPE_FIXED32:
		return made(json_integer(*(const uint32_t *)p));
	case PROTOBUF_C_TYPE_INT64:
	case PROTOBUF_C_TYPE_SINT64:
	case PROTOBUF_C_TYPE_SFIXED64:
	case PROTOBUF_C_TYPE_UINT64:
	case PROTOBUF_C_TYPE_FIXED64:
		return write_wide(p, f->type != PROTOBUF_C_TYPE_UINT64 &&
				     f->type != PROTOBUF_C_TYPE_FIXED64);
	case PROTOBUF_C_TYPE_FLOAT:
		return made(json_real((double)*(const float *)p));
	case PROTOBUF_C_TYPE_DOUBLE:
		return made(json_real(*(const double *)p));
	case PROTOBUF_C_TYPE_BOOL:
		return json_boolean(*(const protobuf_c_boolean *)p);
	case PROTOBUF_C_TYPE_ENUM:
		return write_enum(f->descriptor, *(const int32_t *)p);
	case PROTOBUF_C_TYPE_STRING: {
		/* NULL where a peer sent what is no UTF-8. */
		json_t *j = json_string(*(char *const *)p);

		return j != NULL ? j : json_null();
	}
	case PROTOBUF_C_TYPE_BYTES:
		return write_bytes_field(p);
	case PROTOBUF_C_TYPE_MESSAGE:
		return protojson_write(*(ProtobufCMessage *const *)p);
	}
	return json_null();
}

static bool is_default(const ProtobufCFieldDescriptor *f, const void *p)
{
	static const uint8_t zero[8];

	if (f->type == PROTOBUF_C_TYPE_STRING)
		return *(char *const *)p == NULL || **(char *const *)p == '\0';
	if (f->type == PROTOBUF_C_TYPE_BYTES)
		return ((const ProtobufCBinaryData *)p)->len == 0;
	return memcmp(p, zero, size_of(f->type)) == 0;
}

static json_t *write_field(const ProtobufCFieldDescriptor *f, const ProtobufCMessage *m)
{
	const char *quantifier = (const char *)m + f->quantifier_offset;
	const char *at = (const char *)m + f->offset;
	size_t n = f->label == PROTOBUF_C_LABEL_REPEATED ? *(const size_t *)quantifier : 0;
	json_t *list;

	if (f->label != PROTOBUF_C_LABEL_REPEATED) {
		bool set = (f->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0 ?
			   *(const uint32_t *)quantifier == f->id : !is_default(f, at);

		return set ? write_value(f, at) : NULL;
	}
	if (n == 0)
		return NULL;
	list = made(json_array());
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, write_value(f, *(char *const *)at +
							   i * size_of(f->type)));
	return list;
}

static json_t *write_time(const ProtobufCMessage *m)
{
	char text[TIMESTAMP_TEXT_BYTES];

	if (m->descriptor == &google__protobuf__timestamp__descriptor) {
		const Google__Protobuf__Timestamp *t = (const Google__Protobuf__Timestamp *)m;

		timestamp_write(text, t->seconds, t->nanos);
	} else {
		const Google__Protobuf__Duration *d = (const Google__Protobuf__Duration *)m;

		duration_write(text, d->seconds, d->nanos);
	}
	return made(json_string(text));
}

json_t *protojson_write(const ProtobufCMessage *m)
{
	json_t *j;

	if (is_time(m->descriptor))
		return write_time(m);
	j = made(json_object());
	for (unsigned int i = 0; i < m->descriptor->n_fields; i++) {
		const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
		json_t *value = write_field(f, m);
		char name[128];

		camel(name, sizeof(name), f->name);
		if (value != NULL)
			json_object_set_new(j, name, value);
	}
	return j;
}

void json_print(json_t *j)
{
	json_dumpf(j, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(j);
}

void json_print_line(FILE *out, json_t *j)
{
	json_dumpf(j, out, JSON_COMPACT | JSON_REAL_PRECISION(9));
	putc('\n', out);
	json_decref(j);
}
