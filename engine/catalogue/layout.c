#include <string.h>

#include "catalogue/read.h"
#include "catalogue/runs.h"

#define BLOCKS_MAX 100
#define LINES_MAX 100
#define RECIPIENTS_MAX 20
#define SIZE_DPT_MIN 60			/* 6 pt */
#define SIZE_DPT_MAX 360
#define SPACE_DPT_MAX 4000

static const char *const type_names[] = { "national_header", "number_date", "title", "paragraph",
	"fields", "table", "signature", "recipients", "qr", "space", NULL };

/* In the order of enum block_type, as type_names. */
static const char *const type_keys[][9] = {
	{ "type", "only_if", "size_pt", "space_pt" },
	{ "type", "only_if", "size_pt", "space_pt" },
	{ "type", "only_if", "size_pt", "space_pt", "text", "subtitle" },
	{ "type", "only_if", "size_pt", "space_pt", "text", "align", "indent", "italic" },
	{ "type", "only_if", "size_pt", "space_pt", "lines" },
	{ "type", "only_if", "size_pt", "space_pt", "field", "row_numbers" },
	{ "type", "only_if", "size_pt", "space_pt", "recipients" },
	{ "type", "only_if", "size_pt", "space_pt", "recipients" },
	{ "type", "only_if", "size_pt", "space_pt", "text" },
	{ "type", "only_if", "size_pt", "space_pt" },
};

static_assert(ARRAY_LEN(type_keys) == BLOCK_SPACE + 1, "keys of every block type");
static_assert(ARRAY_LEN(type_names) == BLOCK_SPACE + 2, "a name for every block type");

static void parse(struct form *f, const struct kind *k, const char *key, const char *text,
		  struct runs *out)
{
	char why[200] = "";
	enum status st;

	if (text == NULL)
		return;
	st = runs_parse(out, text, k->fields, k->fields_n, f->pool, why, sizeof(why));
	if (st != ST_OK)
		form_fail(f, key, "%s", st == ST_NOMEM ? "memory is short" : why);
}

static void read_runs(struct form *f, const struct kind *k, const json_t *obj, const char *key,
		      unsigned int flags, struct runs *out)
{
	parse(f, k, key, form_text(f, obj, key, flags | FORM_LINES, FORM_TEXT_BYTES_MAX), out);
}

static int16_t read_only_if(struct form *f, const struct kind *k, const json_t *obj)
{
	static const struct { const char *name; enum shown_if shown; } copies[] = {
		{ "_rebuilt", SHOWN_REBUILT }, { "_wrapped", SHOWN_WRAPPED },
		{ "_pages", SHOWN_PAGES }, { "_corrected", SHOWN_CORRECTED },
	};
	const char *name = form_text(f, obj, "only_if", 0, FIELD_NAME_BYTES_MAX);

	if (name == NULL)
		return SHOWN_ALWAYS;
	for (size_t i = 0; i < ARRAY_LEN(copies) && k->copies != COPIES_NOTHING; i++)
		if (strcmp(name, copies[i].name) == 0)
			return (int16_t)copies[i].shown;
	return field_index(f, k, "only_if", name);
}

/* ---- lines ---- */

static void read_line(struct form *f, const struct kind *k, const json_t *v, struct field_line *l)
{
	static const char *const keys[] = { "label", "value", "half", "only_if", NULL };

	if (!form_keys(f, v, keys))
		return;
	read_runs(f, k, v, "label", FORM_EMPTY, &l->label);
	read_runs(f, k, v, "value", FORM_EMPTY, &l->value);
	if (l->label.n == 0 && l->value.n == 0)
		form_fail(f, NULL, "\"label\" and \"value\" are both missing");
	l->half = form_bool(f, v, "half", false);
	l->only_if = read_only_if(f, k, v);
}

static void read_lines(struct form *f, const struct kind *k, const json_t *obj, struct block *b)
{
	const json_t *list = form_list(f, obj, "lines", FORM_REQUIRED, LINES_MAX);
	size_t n = json_array_size(list);
	struct field_line *lines = form_take(f, (n + 1) * sizeof(*lines));

	form_enter(f, "lines");
	for (size_t i = 0; i < n && f->status == ST_OK; i++) {
		form_enter_at(f, (uint32_t)i);
		read_line(f, k, json_array_get(list, i), &lines[i]);
		form_leave(f);
	}
	form_leave(f);
	b->lines = lines;
	b->lines_n = (uint16_t)n;
}

static void read_recipients(struct form *f, const struct kind *k, const json_t *obj,
			    unsigned int flags, struct block *b)
{
	size_t n;
	const char *const *texts = form_texts(f, obj, "recipients", flags, RECIPIENTS_MAX,
					      FORM_TEXT_BYTES_MAX, &n);
	struct field_line *lines = form_take(f, (n + 1) * sizeof(*lines));

	form_enter(f, "recipients");
	for (size_t i = 0; i < n && f->status == ST_OK; i++) {
		lines[i].only_if = SHOWN_ALWAYS;
		form_enter_at(f, (uint32_t)i);
		parse(f, k, NULL, texts[i], &lines[i].value);
		form_leave(f);
	}
	form_leave(f);
	b->lines = lines;
	b->lines_n = (uint16_t)n;
}

/* ---- blocks ---- */

static void read_paragraph(struct form *f, const struct kind *k, const json_t *v, struct block *b)
{
	static const char *const aligns[] = { "justify", "left", "center", "right", NULL };
	int align;

	read_runs(f, k, v, "text", FORM_REQUIRED, &b->text);
	align = form_choice(f, v, "align", aligns, 0);
	b->align = aligns[align][0];
	b->indent = form_bool(f, v, "indent", b->align == 'j');
	b->italic = form_bool(f, v, "italic", false);
}

static void read_table(struct form *f, const struct kind *k, const json_t *v, struct block *b)
{
	const char *name = form_text(f, v, "field", FORM_REQUIRED, FIELD_NAME_BYTES_MAX);

	if (name == NULL)
		return;
	b->table_field = field_index(f, k, "field", name);
	if (b->table_field >= 0 && k->fields[b->table_field].type != FIELD_TABLE)
		form_fail(f, "field", "\"%s\" is no table", name);
	b->row_numbers = form_bool(f, v, "row_numbers", false);
}

static void read_content(struct form *f, const struct kind *k, const json_t *v, struct block *b)
{
	switch (b->type) {
	case BLOCK_TITLE:
		b->align = 'c';
		read_runs(f, k, v, "text", FORM_REQUIRED, &b->text);
		read_runs(f, k, v, "subtitle", 0, &b->subtitle);
		return;
	case BLOCK_PARAGRAPH:
		read_paragraph(f, k, v, b);
		return;
	case BLOCK_FIELDS:
		read_lines(f, k, v, b);
		return;
	case BLOCK_TABLE:
		read_table(f, k, v, b);
		return;
	case BLOCK_SIGNATURE:
		read_recipients(f, k, v, 0, b);
		return;
	case BLOCK_RECIPIENTS:
		read_recipients(f, k, v, FORM_REQUIRED, b);
		return;
	case BLOCK_QR:
		read_runs(f, k, v, "text", FORM_EMPTY, &b->text);
		return;
	case BLOCK_SPACE:
		if (b->space_dpt == 0)
			form_fail(f, NULL, "\"space_pt\" is missing");
		return;
	case BLOCK_NATIONAL_HEADER:
	case BLOCK_NUMBER_DATE:
		return;
	}
}

static void read_block(struct form *f, const struct kind *k, const json_t *v, struct block *b)
{
	int type;

	*b = (struct block){ .align = 'l', .only_if = SHOWN_ALWAYS, .table_field = -1 };
	if (!json_is_object(v)) {
		form_fail(f, NULL, "must be an object { }");
		return;
	}
	type = form_choice(f, v, "type", type_names, -1);
	if (type < 0)
		return;
	b->type = (enum block_type)type;
	if (!form_keys(f, v, type_keys[type]))
		return;
	b->only_if = read_only_if(f, k, v);
	b->size_dpt = (uint16_t)form_tenths(f, v, "size_pt", 0, SIZE_DPT_MIN, SIZE_DPT_MAX);
	b->space_dpt = (uint16_t)form_tenths(f, v, "space_pt", 0, 1, SPACE_DPT_MAX);
	read_content(f, k, v, b);
}

/* Signatures have one place, always; number, header and QR code would contradict themselves. */
static void check_once(struct form *f, const struct kind *k)
{
	uint32_t n[BLOCK_SPACE + 1] = { 0 };

	for (uint8_t i = 0; i < k->blocks_n; i++) {
		n[k->blocks[i].type]++;
		if (k->blocks[i].type == BLOCK_SIGNATURE &&
		    k->blocks[i].only_if != SHOWN_ALWAYS)
			form_fail(f, "layout", "the signature block takes no \"only_if\"");
	}
	if (n[BLOCK_SIGNATURE] != 1)
		form_fail(f, "layout", "%u signature blocks; exactly 1 is allowed",
			  n[BLOCK_SIGNATURE]);
	if (n[BLOCK_NATIONAL_HEADER] > 1 || n[BLOCK_NUMBER_DATE] > 1 || n[BLOCK_QR] > 1)
		form_fail(f, "layout", "at most 1 block each of national_header, number_date and "
			  "qr is allowed");
}

/* ---- what a page shows whenever it has it ---- */

/* Is what stands under this condition shown whenever the field has a value? */
static bool always(const struct kind *k, int16_t only_if, int16_t field)
{
	const struct field_def *d;

	if (only_if < 0)
		return only_if == SHOWN_ALWAYS;
	d = &k->fields[only_if];
	return d->type != FIELD_FLAG && (d->required || only_if == field);
}

static void show(struct field_def *fields, const struct kind *k, const struct runs *runs,
		 int16_t block_if, int16_t line_if)
{
	for (uint16_t i = 0; i < runs->n; i++) {
		int16_t at = runs->run[i].field;

		if (at >= 0 && always(k, block_if, at) && always(k, line_if, at))
			fields[at].public = true;
	}
}

static void derive_public(const struct kind *k, struct field_def *fields)
{
	for (uint8_t i = 0; i < k->blocks_n; i++) {
		const struct block *b = &k->blocks[i];

		show(fields, k, &b->text, b->only_if, -1);
		show(fields, k, &b->subtitle, b->only_if, -1);
		if (b->table_field >= 0 && always(k, b->only_if, b->table_field))
			fields[b->table_field].public = true;
		for (uint16_t l = 0; l < b->lines_n; l++) {
			show(fields, k, &b->lines[l].label, b->only_if, b->lines[l].only_if);
			show(fields, k, &b->lines[l].value, b->only_if, b->lines[l].only_if);
		}
	}
}

void layout_read(struct form *f, const json_t *v, struct kind *k, struct field_def *fields)
{
	const json_t *list = form_list(f, v, "layout", FORM_REQUIRED, BLOCKS_MAX);
	size_t n = json_array_size(list);
	struct block *blocks = form_take(f, (n + 1) * sizeof(*blocks));

	form_enter(f, "layout");
	for (size_t i = 0; i < n && f->status == ST_OK; i++) {
		form_enter_at(f, (uint32_t)i);
		read_block(f, k, json_array_get(list, i), &blocks[i]);
		form_leave(f);
	}
	form_leave(f);
	if (f->status != ST_OK)
		return;
	k->blocks = blocks;
	k->blocks_n = (uint8_t)n;
	check_once(f, k);
	if (f->status == ST_OK)
		derive_public(k, fields);
}
