#include "sample/build.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

void build_start(struct build *b, struct arena *a, const struct office *o)
{
	arena_reset(a);
	b->arena = a;
	b->office = o;
	b->c = (struct case_view){ .priority = PRIORITY_NORMAL };
	b->c.holders = arena_zero(a, CASE_HOLDERS_MAX * sizeof(*b->c.holders));
	b->c.results = arena_zero(a, CASE_RESULTS_MAX * sizeof(*b->c.results));
	b->facts = (struct facts){ 0 };
	b->decompose = b->child = b->fatherless = false;
	assert(b->c.holders != NULL && b->c.results != NULL);
}

static struct slice copied(struct build *b, const char *text)
{
	struct slice s = arena_copy(b->arena, slice_str(text));

	assert(s.p != NULL || s.n == 0);
	return s;
}

static char *print(struct build *b, const char *fmt, va_list args)
{
	va_list again;
	char *out;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, again);
	va_end(again);
	assert(n >= 0);
	out = arena_take(b->arena, (size_t)n + 1);
	assert(out != NULL);
	vsnprintf(out, (size_t)n + 1, fmt, args);
	return out;
}

char *build_text(struct build *b, const char *fmt, ...)
{
	va_list args;
	char *out;

	va_start(args, fmt);
	out = print(b, fmt, args);
	va_end(args);
	return out;
}

void build_code(struct build *b, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	b->c.code = slice_str(print(b, fmt, args));
	va_end(args);
}

struct holder *build_holder(struct build *b, enum holder_role role, enum id_kind kind,
			    const char *country, const char *number, const char *name)
{
	struct holder *h = &b->c.holders[b->c.holders_n++];

	assert(b->c.holders_n <= CASE_HOLDERS_MAX);
	*h = (struct holder){ .id_kind = (uint8_t)kind, .role = (uint8_t)role,
			      .country = copied(b, country), .number = copied(b, number),
			      .name = copied(b, name) };
	return h;
}

struct holder *build_person(struct build *b, enum holder_role role, const struct person *p)
{
	return build_holder(b, role, p->id_kind, p->country, p->number, p->name);
}

struct case_result *build_result(struct build *b, const char *kind, const char *signer)
{
	struct case_result *r = &b->c.results[b->c.results_n];

	assert(b->c.results_n < CASE_RESULTS_MAX);
	*r = (struct case_result){ .unit = slice_str(b->office->unit), .kind = slice_str(kind),
				   .signer = slice_str(signer) };
	for (uint8_t i = 0; i < b->c.results_n; i++)
		r->ordinal += slice_eq(b->c.results[i].kind, r->kind);
	r->fields = arena_take(b->arena, FIELDS_MAX * sizeof(*r->fields));
	assert(r->fields != NULL);
	b->c.results_n++;
	return r;
}

static struct field *field_of(struct case_result *r, const char *name)
{
	struct slice s = slice_str(name);
	uint8_t i = 0;

	while (i < r->fields_n && !slice_eq(r->fields[i].name, s))
		i++;
	if (i == r->fields_n) {
		assert(r->fields_n < FIELDS_MAX);
		r->fields_n++;
	}
	r->fields[i] = (struct field){ .name = s };
	return &r->fields[i];
}

void set_text(struct build *b, struct case_result *r, const char *name, const char *text)
{
	struct field *f;

	if (text == NULL || text[0] == '\0')
		return;
	f = field_of(r, name);
	f->type = FIELD_TEXT;
	f->text = copied(b, text);
}

void set_number(struct build *b, struct case_result *r, const char *name, int64_t value,
		uint8_t decimals)
{
	struct field *f = field_of(r, name);

	f->type = FIELD_NUMBER;
	f->number.value = value;
	f->number.decimals = decimals;
}

void set_date(struct build *b, struct case_result *r, const char *name, struct partial_date d)
{
	struct field *f = field_of(r, name);

	f->type = FIELD_DATE;
	f->date = d;
}

void set_day(struct build *b, struct case_result *r, const char *name, int64_t ms)
{
	struct civil c = civil_vietnam(ms);

	set_date(b, r, name, (struct partial_date){ (uint16_t)c.year, c.month, c.day });
}

struct field *set_table(struct build *b, struct case_result *r, const char *name, uint16_t rows_max,
			uint8_t columns)
{
	struct field *f = field_of(r, name);

	f->type = FIELD_TABLE;
	f->table.rows = 0;
	f->table.columns = columns;
	f->table.cells = arena_take(b->arena, (size_t)rows_max * columns * sizeof(struct slice));
	assert(f->table.cells != NULL && rows_max <= TABLE_ROWS_MAX);
	return f;
}

void add_row(struct build *b, struct field *table, const char *const *cells)
{
	struct slice *row = table->table.cells + (size_t)table->table.rows * table->table.columns;

	for (uint8_t i = 0; i < table->table.columns; i++)
		row[i] = copied(b, cells[i]);
	table->table.rows++;
}

const char *vietnamese_number(struct build *b, int64_t value, uint8_t decimals)
{
	int64_t unit = 1, whole;
	char digits[24], grouped[40];
	size_t n, at = 0;

	for (uint8_t i = 0; i < decimals; i++)
		unit *= 10;
	whole = value / unit;
	assert(value >= 0);
	n = (size_t)snprintf(digits, sizeof(digits), "%lld", (long long)whole);
	for (size_t i = 0; i < n; i++) {
		if (i > 0 && (n - i) % 3 == 0)
			grouped[at++] = '.';
		grouped[at++] = digits[i];
	}
	grouped[at] = '\0';
	if (decimals == 0)
		return build_text(b, "%s", grouped);
	return build_text(b, "%s,%0*lld", grouped, decimals, (long long)(value % unit));
}

const char *vietnamese_date(struct build *b, struct partial_date d)
{
	if (d.day != 0)
		return build_text(b, "%02u/%02u/%u", d.day, d.month, d.year);
	if (d.month != 0)
		return build_text(b, "%02u/%u", d.month, d.year);
	return build_text(b, "%u", d.year);
}
