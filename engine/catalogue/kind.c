#include <stdio.h>
#include <string.h>

#include "catalogue/index.h"
#include "catalogue/number.h"
#include "catalogue/read.h"

#define LABEL_BYTES_MAX 300
#define TEXT_BYTES_DEFAULT 400
#define ROWS_DEFAULT 100
#define DECIMALS_MAX 6
#define VALUES_MAX 200
#define MONTHS_MAX 1200
#define VOLUME_NUMBERS_MAX 1000000

int kind_field(const struct kind *k, struct slice name)
{
	uint32_t i = index_hash(name) & k->field_slots_mask;

	for (; k->field_slots[i] != 0; i = (i + 1) & k->field_slots_mask) {
		const struct field_def *f = &k->fields[k->field_slots[i] - 1];

		if (f->name_n == name.n && memcmp(f->name, name.p, name.n) == 0)
			return k->field_slots[i] - 1;
	}
	return -1;
}

int16_t field_index(struct form *f, const struct kind *k, const char *key, const char *name)
{
	const char *names[FIELDS_MAX + 1] = { NULL };
	const char *near;
	int at = kind_field(k, slice_str(name));

	if (at >= 0)
		return (int16_t)at;
	for (uint8_t i = 0; i < k->fields_n; i++)
		names[i] = k->fields[i].name;
	near = form_nearest(name, names);
	form_fail(f, key, "\"%s\" is no field of this kind%s%s%s", name,
		  near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
		  near != NULL ? "\"?" : "");
	return -1;
}

/* Twice as many slots as fields at least, so that a probe chain ends. */
static void index_fields(struct form *f, struct kind *k)
{
	uint32_t slots = 2;
	uint8_t *slot;

	while (slots < 2u * k->fields_n)
		slots *= 2;
	slot = form_take(f, slots);
	if (slot == NULL)
		return;
	for (uint8_t i = 0; i < k->fields_n; i++) {
		uint32_t at = index_hash(slice_str(k->fields[i].name)) & (slots - 1);

		while (slot[at] != 0)
			at = (at + 1) & (slots - 1);
		slot[at] = i + 1;
	}
	k->field_slots = slot;
	k->field_slots_mask = (uint8_t)(slots - 1);
}

static_assert(2 * FIELDS_MAX <= 256, "a mask of one byte is enough");

static void read_names(struct form *f, const json_t *obj, const char *key, const char **vi,
		       const char **en)
{
	static const char *const keys[] = { "vi", "en", NULL };
	const json_t *v = form_object(f, obj, key, FORM_REQUIRED);

	if (v == NULL)
		return;
	form_enter(f, key);
	if (form_keys(f, v, keys)) {
		*vi = form_text(f, v, "vi", FORM_REQUIRED, LABEL_BYTES_MAX);
		*en = form_text(f, v, "en", FORM_REQUIRED, LABEL_BYTES_MAX);
	}
	form_leave(f);
}

static const char *read_name(struct form *f, const json_t *obj)
{
	const char *s = form_text(f, obj, "name", FORM_REQUIRED, FIELD_NAME_BYTES_MAX);

	if (s == NULL)
		return "";
	if (s[0] < 'a' || s[0] > 'z' ||
	    strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(s))
		form_fail(f, "name", "a name is made of a-z, 0-9 and _, and begins with a letter");
	return s;
}

/* ---- fields ---- */

static void read_column(struct form *f, const json_t *v, struct column_def *c)
{
	static const char *const keys[] = { "name", "label", "width_permille", "number", NULL };

	if (!form_keys(f, v, keys))
		return;
	c->name = read_name(f, v);
	c->label = form_text(f, v, "label", FORM_REQUIRED, LABEL_BYTES_MAX);
	c->width_permille = (uint32_t)form_int(f, v, "width_permille", 0, 1, 1000);
	c->number = form_bool(f, v, "number", false);
	if (c->width_permille == 0)
		form_fail(f, NULL, "\"width_permille\" is missing");
}

static void read_columns(struct form *f, const json_t *obj, struct field_def *d)
{
	const json_t *list = form_list(f, obj, "columns", FORM_REQUIRED, TABLE_COLUMNS_MAX);
	size_t n = json_array_size(list);
	struct column_def *c = form_take(f, (n + 1) * sizeof(*c));
	uint32_t width = 0;

	form_enter(f, "columns");
	for (size_t i = 0; i < n && f->status == ST_OK; i++) {
		form_enter_at(f, (uint32_t)i);
		read_column(f, json_array_get(list, i), &c[i]);
		for (size_t j = 0; j < i && f->status == ST_OK; j++)
			if (strcmp(c[i].name, c[j].name) == 0)
				form_fail(f, "name", "columns[%zu] has this name already", j);
		width += c[i].width_permille;
		form_leave(f);
	}
	form_leave(f);
	if (width > 1000)
		form_fail(f, "columns", "the widths add up to %u; at most 1000 is allowed", width);
	d->columns = c;
	d->columns_n = (uint8_t)n;
}

static void read_values(struct form *f, const json_t *obj, struct field_def *d)
{
	size_t n;
	const char *const *values = form_texts(f, obj, "values", 0, VALUES_MAX, d->bytes_max, &n);

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < i; j++)
			if (strcmp(values[i], values[j]) == 0)
				form_fail(f, "values", "\"%s\" stands there twice", values[i]);
	d->values = values;
	d->values_n = (uint8_t)n;
}

static void read_bounds(struct form *f, const json_t *obj, struct field_def *d)
{
	int64_t most = 1000000000000000000;	/* with its decimals a value has 18 digits */

	d->decimals_max = (uint8_t)form_int(f, obj, "decimals_max", 0, 0, DECIMALS_MAX);
	for (uint8_t i = 0; i < d->decimals_max; i++)
		most /= 10;
	d->min = form_int(f, obj, "min", -most, -most, most);
	d->max = form_int(f, obj, "max", most, -most, most);
	if (d->min > d->max)
		form_fail(f, "max", "is below \"min\"");
}

static const char *const type_names[] = { "text", "number", "flag", "date", "table", NULL };

/* Keys by type, so that one that means nothing is found. */
static const char *const type_keys[][10] = {
	[FIELD_TEXT] = { "name", "label", "type", "required", "bytes_max", "multiline", "values",
			 "original" },
	[FIELD_NUMBER] = { "name", "label", "type", "required", "min", "max", "decimals_max" },
	[FIELD_FLAG] = { "name", "label", "type", "required" },
	[FIELD_DATE] = { "name", "label", "type", "required", "partial", "original" },
	[FIELD_TABLE] = { "name", "label", "type", "required", "bytes_max", "multiline", "rows_max",
			  "columns" },
};

/* In the order of enum field_tells. */
static void read_tells(struct form *f, const json_t *v, struct field_def *d)
{
	static const char *const names[] = { "name", "number", "date", "issuer", "holder", NULL };
	const int nothing = ARRAY_LEN(names) - 1;
	int tells = form_choice(f, v, "original", names, nothing);

	if (tells < 0 || tells == nothing)
		return;
	d->tells = (uint8_t)(TELLS_NAME + tells);
	if ((d->tells == TELLS_DATE) != (d->type == FIELD_DATE))
		form_fail(f, "original", "\"date\" is told by a date, all else by a text");
	if (d->tells != TELLS_HOLDER && !d->required)
		form_fail(f, "required", "the engine fills it: it is never left out");
}

static void read_field(struct form *f, const json_t *v, struct field_def *d)
{
	int type;

	if (!json_is_object(v)) {
		form_fail(f, NULL, "must be an object { }");
		return;
	}
	type = form_choice(f, v, "type", type_names, -1);
	if (type < 0)
		return;
	d->type = (enum field_type)(type + FIELD_TEXT);
	if (!form_keys(f, v, type_keys[d->type]))
		return;
	d->name = read_name(f, v);
	d->name_n = d->name != NULL ? (uint8_t)strlen(d->name) : 0;
	read_names(f, v, "label", &d->label_vi, &d->label_en);
	d->required = form_bool(f, v, "required", true);
	if (d->type == FIELD_TEXT || d->type == FIELD_TABLE) {
		d->bytes_max = (uint32_t)form_int(f, v, "bytes_max", TEXT_BYTES_DEFAULT, 1,
						  FIELD_TEXT_BYTES_MAX);
		d->multiline = form_bool(f, v, "multiline", false);
	}
	if (d->type == FIELD_TEXT)
		read_values(f, v, d);
	if (d->type == FIELD_NUMBER)
		read_bounds(f, v, d);
	if (d->type == FIELD_DATE)
		d->year_only = form_bool(f, v, "partial", false);
	if (d->type == FIELD_TEXT || d->type == FIELD_DATE)
		read_tells(f, v, d);
	if (d->type == FIELD_TABLE) {
		d->rows_max = (uint32_t)form_int(f, v, "rows_max", ROWS_DEFAULT, 1, TABLE_ROWS_MAX);
		read_columns(f, v, d);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct field_def *)a)->name, ((const struct field_def *)b)->name);
}

static struct field_def *read_fields(struct form *f, const json_t *v, struct kind *k)
{
	const json_t *list = form_list(f, v, "fields", FORM_REQUIRED, FIELDS_MAX);
	size_t n = json_array_size(list);
	struct field_def *fields = form_take(f, (n + 1) * sizeof(*fields));

	form_enter(f, "fields");
	for (size_t i = 0; i < n && f->status == ST_OK; i++) {
		form_enter_at(f, (uint32_t)i);
		read_field(f, json_array_get(list, i), &fields[i]);
		for (size_t j = 0; j < i && f->status == ST_OK; j++)
			if (strcmp(fields[i].name, fields[j].name) == 0)
				form_fail(f, "name", "fields[%zu] has this name already", j);
		form_leave(f);
	}
	form_leave(f);
	if (f->status != ST_OK)
		return NULL;
	/* By name: the canonical case has this order; a later version may list them otherwise. */
	if (f->status == ST_OK)
		qsort(fields, n, sizeof(*fields), by_name);
	k->fields = fields;
	k->fields_n = (uint8_t)n;
	index_fields(f, k);
	return fields;
}

/* ---- numbers, approval, signatures, validity ---- */

static void number_fits(struct form *f, const char *key, const char *form, const char *wrong)
{
	size_t n = number_form_bytes(form, "");

	if (wrong != NULL)
		form_fail(f, key, "%s", wrong);
	else if (n > NUMBER_TEXT_BYTES_MAX)
		form_fail(f, key, "a number of %d digits would have %zu bytes; %d are allowed",
			  NUMBER_DIGITS_MAX, n, NUMBER_TEXT_BYTES_MAX);
}

static void read_book(struct form *f, const json_t *o, struct kind *k)
{
	k->volume_numbers = (uint32_t)form_int(f, o, "volume_numbers", 0, 1, VOLUME_NUMBERS_MAX);
	k->book_form = form_text(f, o, "book", 0, 100);
	if (f->status != ST_OK || k->book_form == NULL)
		return;
	if (k->volume_numbers == 0)
		form_fail(f, "book", "needs \"volume_numbers\"");
	else
		number_fits(f, "book", k->book_form, number_book_wrong(k->book_form));
}

static void read_number(struct form *f, const json_t *v, struct kind *k)
{
	static const char *const keys[] = { "register", "form", "given", "volume_numbers", "book",
					    NULL };
	const json_t *o = form_object(f, v, "number", FORM_REQUIRED);

	if (o == NULL)
		return;
	form_enter(f, "number");
	if (form_keys(f, o, keys)) {
		k->register_code = form_text(f, o, "register", FORM_REQUIRED | FORM_ASCII,
					     CODE_BYTES_MAX);
		k->number_form = form_text(f, o, "form", FORM_REQUIRED, 100);
		k->number_given = form_bool(f, o, "given", false);
		read_book(f, o, k);
	}
	if (f->status == ST_OK)
		number_fits(f, "form", k->number_form,
			    number_form_wrong(k->number_form, k->volume_numbers > 0));
	form_leave(f);
}

/* Only of a kind that waits for its approval. */
static void read_approval(struct form *f, const json_t *v, struct kind *k)
{
	static const char *const keys[] = { "expires_days", "own_draft", NULL };
	const json_t *o = form_object(f, v, "approval", 0);

	if (k->numbered == NUMBERED_AT_APPROVAL && k->number_given && f->status == ST_OK)
		form_fail(f, "number", "a number that the case brings is there at_acceptance");
	if (o == NULL)
		return;
	if (k->numbered != NUMBERED_AT_APPROVAL) {
		form_fail(f, "approval", "only with \"numbered\": \"at_approval\"");
		return;
	}
	form_enter(f, "approval");
	if (form_keys(f, o, keys)) {
		k->approval_days = (uint16_t)form_int(f, o, "expires_days", 0, 1,
						      APPROVAL_DAYS_MAX);
		k->own_draft = form_bool(f, o, "own_draft", false);
	}
	form_leave(f);
}

static void read_signs(struct form *f, const json_t *v, struct kind *k)
{
	const json_t *list = form_list(f, v, "signs", FORM_REQUIRED, DOC_SIGNATURES_MAX);
	size_t n = json_array_size(list);
	const char *first = json_string_value(json_array_get(list, 0));
	const char *last = n > 0 ? json_string_value(json_array_get(list, n - 1)) : NULL;

	if (list == NULL)
		return;
	/* The agency's signature closes the document: it is always there, and last. */
	if (last == NULL || strcmp(last, "agency") != 0 ||
	    (n == 2 && (first == NULL || strcmp(first, "person") != 0))) {
		form_fail(f, "signs", "must be [\"person\", \"agency\"] or [\"agency\"]");
		return;
	}
	k->signs_n = (uint8_t)n;
	k->signs[0] = n == 2 ? ROLE_PERSON : ROLE_AGENCY;
	k->signs[1] = ROLE_AGENCY;
}

/* A field that must be a date; -1 when key is absent. */
static int16_t read_date_field(struct form *f, const json_t *obj, const char *key,
			       const struct kind *k)
{
	const char *name = form_text(f, obj, key, 0, FIELD_NAME_BYTES_MAX);
	int16_t at;

	if (name == NULL)
		return -1;
	at = field_index(f, k, key, name);
	if (at >= 0 && k->fields[at].type != FIELD_DATE)
		form_fail(f, key, "\"%s\" is a %s; a date is needed", name,
			  type_names[k->fields[at].type - FIELD_TEXT]);
	return at;
}

static void read_validity(struct form *f, const json_t *v, struct kind *k)
{
	static const char *const keys[] = { "months", "field", NULL };
	const json_t *o = form_object(f, v, "validity", 0);

	k->validity_field = -1;
	if (o == NULL)
		return;
	form_enter(f, "validity");
	if (form_keys(f, o, keys)) {
		k->validity_months = (uint16_t)form_int(f, o, "months", 0, 1, MONTHS_MAX);
		k->validity_field = read_date_field(f, o, "field", k);
		if (json_object_size(o) != 1)
			form_fail(f, NULL, "either \"months\" or \"field\"; leave it out for ever");
	}
	form_leave(f);
}

void kind_read(struct form *f, const json_t *v, struct kind *k)
{
	static const char *const keys[] = { "from", "to", "name", "procedure", "numbered",
		"approval", "number", "signs", "certify", "validity", "copy",
		"child_birth", "fields", "layout", NULL };
	static const char *const numbered[] = { "at_acceptance", "at_approval", NULL };
	static const char *const copies[] = { "certified", "register", NULL };
	const int nothing = ARRAY_LEN(copies) - 1;
	int copy;
	struct field_def *fields;

	if (!form_keys(f, v, keys))
		return;
	read_names(f, v, "name", &k->name_vi, &k->name_en);
	k->procedure = form_text(f, v, "procedure", FORM_REQUIRED | FORM_ASCII, CODE_BYTES_MAX);
	k->numbered = (enum numbered)form_choice(f, v, "numbered", numbered, -1);
	copy = form_choice(f, v, "copy", copies, nothing);
	k->copies = copy == nothing ? COPIES_NOTHING : (enum copies)(COPIES_ORIGINAL + copy);
	read_number(f, v, k);
	read_approval(f, v, k);
	read_signs(f, v, k);
	k->certify = form_bool(f, v, "certify", true);
	fields = read_fields(f, v, k);
	if (fields == NULL)
		return;
	read_validity(f, v, k);
	k->child_birth_field = read_date_field(f, v, "child_birth", k);
	layout_read(f, v, k, fields);
	if (f->status == ST_OK)
		copying_check(f, k);
}
