#include "intake/validate.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/calendar.h"
#include "catalogue/catalogue.h"

#define REQUEST_ID_BYTES_MAX 64
#define COUNTRY_BYTES 2
#define ABSENT UINT8_MAX
#define CASE_CODE_AT (1 + 4 + 2)	/* in the canonical bytes (case.h) */

static_assert(FIELDS_MAX < ABSENT, "an index of a field fits a byte");

/* What is being looked at; made into a path only when it is wrong. */
struct place {
	const char *list;		/* "holders", "results"; NULL: of the case itself */
	uint32_t index;
	const char *member;
	const char *field;		/* by its schema's name; NULL: member */
	int32_t row, cell;		/* -1: not in a table */
};

struct check {
	const struct catalogue *catalogue;
	const struct codeset *coverage;
	uint32_t day;
	struct arena *scratch;
	struct refusal *why;
	struct place at;
};

static void write_path(const struct place *p, char *out, size_t size)
{
	int n = 0;

	if (p->list == NULL) {
		snprintf(out, size, "%s", p->member);
		return;
	}
	n = snprintf(out, size, "%s[%u]", p->list, p->index);
	if (p->field == NULL) {
		snprintf(out + n, size - (size_t)n, "%s%s", p->member[0] != '\0' ? "." : "", p->member);
		return;
	}
	n += snprintf(out + n, size - (size_t)n, ".fields.%s", p->field);
	if (p->row >= 0)
		n += snprintf(out + n, size - (size_t)n, ".rows[%d]", p->row);
	if (p->row >= 0 && p->cell >= 0)
		snprintf(out + n, size - (size_t)n, ".cells[%d]", p->cell);
}

static enum status fail(struct check *x, enum reason why, const char *fmt, ...) printf_like(3, 4);
static enum status fail(struct check *x, enum reason why, const char *fmt, ...)
{
	char path[sizeof(x->why->field)], detail[sizeof(x->why->detail)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	write_path(&x->at, path, sizeof(path));
	return refuse(x->why, why, path, "%s", detail);
}

static enum status spent(struct check *x)
{
	return fail(x, REASON_TOO_LARGE, "at most %d bytes", CASE_BYTES_MAX);
}

/* What the sender calls something, repeated only if it looks like a name: else it may be anything. */
static void copy_name(char out[FIELD_NAME_BYTES_MAX + 1], struct slice s)
{
	bool good = s.n <= FIELD_NAME_BYTES_MAX;

	for (size_t i = 0; i < s.n && good; i++)
		good = (s.p[i] >= 'a' && s.p[i] <= 'z') || (s.p[i] >= '0' && s.p[i] <= '9') ||
		       s.p[i] == '-' || s.p[i] == '_';
	snprintf(out, FIELD_NAME_BYTES_MAX + 1, "%.*s", good ? (int)s.n : 0, (const char *)s.p);
}

static enum status fail_code(struct check *x, enum reason why, struct slice code)
{
	char name[FIELD_NAME_BYTES_MAX + 1];

	copy_name(name, code);
	return fail(x, why, "%s", name);
}

/* ---- text ---- */

/* NFC, and the first character that may not be there. */
static enum status look_closer(struct check *x, struct slice *out, struct slice raw, bool lines)
{
	enum status st = utf8_nfc(raw, x->scratch, out);
	struct slice rest = *out;

	if (st == ST_INVALID)
		return fail(x, REASON_UTF8_INVALID, "%s", "");
	if (st != ST_OK)
		return spent(x);
	while (rest.n > 0) {
		uint32_t cp = (uint32_t)utf8_next(&rest);

		if (cp == '\n' && lines)
			continue;
		if (utf8_refused(cp))
			return fail(x, REASON_CHARACTER_REFUSED, "U+%04X", cp);
		if (!codeset_has(x->coverage, cp))
			return fail(x, REASON_GLYPH_MISSING, "U+%04X", cp);
	}
	return ST_OK;
}

static enum status take_text(struct check *x, struct slice *out, struct slice raw,
			     uint32_t bytes_max, bool lines)
{
	enum status st = ST_OK;

	if (utf8_plain(raw, x->coverage))
		*out = raw;
	else
		st = look_closer(x, out, raw, lines);
	if (st == ST_OK && out->n > bytes_max)
		st = fail(x, REASON_FIELD_TOO_LONG, "%zu bytes; at most %u", out->n, bytes_max);
	return st;
}

static bool blank(struct slice s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ' && s.p[i] != '\n')
			return false;
	return true;
}

/* ---- dates ---- */

static enum status take_date(struct check *x, struct partial_date *out, const struct raw_date *d,
			     bool partial)
{
	if (d->year < 1 || d->year > 9999)
		return fail(x, REASON_DATE_INVALID, "year");
	if (d->month > 12 || d->day > 31 || (d->month == 0 && d->day != 0))
		return fail(x, REASON_DATE_INVALID, "%s", d->month > 12 ? "month" : "day");
	if (!partial && d->day == 0)
		return fail(x, REASON_DATE_INVALID, "a whole date is needed");
	if (d->day != 0 && !date_exists(d->year, (uint8_t)d->month, (uint8_t)d->day))
		return fail(x, REASON_DATE_INVALID, "there is no such day");
	*out = (struct partial_date){ (uint16_t)d->year, (uint8_t)d->month, (uint8_t)d->day };
	return ST_OK;
}

/* yyyymmdd; 0 where none is given. */
static enum status take_day(struct check *x, uint32_t *out, const struct raw_date *d)
{
	struct partial_date whole;
	enum status st;

	*out = 0;
	if (!d->given)
		return ST_OK;
	st = take_date(x, &whole, d, false);
	if (st == ST_OK)
		*out = whole.year * 10000u + whole.month * 100u + whole.day;
	return st;
}

/* ---- fields ---- */

static enum status take_number(struct check *x, struct field *out, const struct raw_field *raw,
			       const struct field_def *def)
{
	__int128 unit = 1;

	if (raw->number.decimals > def->decimals_max)
		return fail(x, REASON_FIELD_VALUE, "at most %u decimals", def->decimals_max);
	for (uint32_t i = 0; i < raw->number.decimals; i++)
		unit *= 10;
	if (raw->number.value < def->min * unit)
		return fail(x, REASON_FIELD_VALUE, "at least %lld", (long long)def->min);
	if (raw->number.value > def->max * unit)
		return fail(x, REASON_FIELD_VALUE, "at most %lld", (long long)def->max);
	out->number.value = raw->number.value;
	out->number.decimals = (uint8_t)raw->number.decimals;
	return ST_OK;
}

static enum status take_value(struct check *x, struct field *out, struct slice raw,
			      const struct field_def *def)
{
	enum status st = take_text(x, &out->text, raw, def->bytes_max, def->multiline);

	if (st != ST_OK)
		return st;
	if (out->text.p[0] <= ' ' && blank(out->text))
		return fail(x, REASON_FIELD_VALUE, "blank");
	for (uint8_t i = 0; i < def->values_n; i++)
		if (slice_eq(out->text, slice_str(def->values[i])))
			return ST_OK;
	return def->values_n == 0 ? ST_OK : fail(x, REASON_FIELD_VALUE, "not in the schema's list");
}

static enum status take_table(struct check *x, struct field *out, const struct raw_field *raw,
			      const struct field_def *def)
{
	uint32_t rows = raw->table.rows_n;
	struct slice *cell;
	enum status st = ST_OK;

	if (rows > def->rows_max)
		return fail(x, REASON_FIELD_TOO_LONG, "%u rows; at most %u", rows, def->rows_max);
	cell = arena_take(x->scratch, rows * def->columns_n * sizeof(*cell));
	if (cell == NULL)
		return spent(x);
	out->table.rows = (uint16_t)rows;
	out->table.columns = def->columns_n;
	out->table.cells = cell;
	for (uint32_t r = 0; r < rows && st == ST_OK; r++) {
		const struct raw_row *row = &raw->table.rows[r];

		x->at.row = (int32_t)r;
		x->at.cell = -1;
		if (row->cells_n != def->columns_n)
			return fail(x, REASON_FIELD_VALUE, "%u cells; the table has %u columns",
				    row->cells_n, def->columns_n);
		for (uint32_t i = 0; i < row->cells_n && st == ST_OK; i++) {
			x->at.cell = (int32_t)i;
			st = take_text(x, cell++, row->cells[i], def->bytes_max, def->multiline);
		}
	}
	return st;
}

static enum status take_field(struct check *x, struct field *out, const struct raw_field *raw,
			      const struct field_def *def)
{
	static const char *const types[] = { "no value", "text", "number", "flag", "date", "table" };

	if (raw->type != def->type)
		return fail(x, REASON_FIELD_TYPE, "%s; the schema has %s", types[raw->type],
			    types[def->type]);
	out->name = raw->name;
	out->type = def->type;
	switch (def->type) {
	case FIELD_TEXT:
		return take_value(x, out, raw->text, def);
	case FIELD_NUMBER:
		return take_number(x, out, raw, def);
	case FIELD_FLAG:
		out->flag = raw->flag;
		return ST_OK;
	case FIELD_DATE:
		return take_date(x, &out->date, &raw->date, def->year_only);
	case FIELD_TABLE:
		return take_table(x, out, raw, def);
	}
	return ST_INTERNAL;
}

/* An empty text or table is a field that was left out. */
static bool has_value(const struct raw_field *raw)
{
	if (raw->type == FIELD_TEXT)
		return raw->text.n > 0;
	return raw->type != FIELD_TABLE || raw->table.rows_n > 0;
}

static enum status fail_field(struct check *x, enum reason why, const struct raw_result *raw,
			      uint32_t i)
{
	char name[FIELD_NAME_BYTES_MAX + 1];
	enum status st;

	copy_name(name, raw->fields[i].name);
	x->at.field = name;
	st = fail(x, why, "fields[%u]", i);
	x->at.field = NULL;
	return st;
}

/* Which of the raw fields is the kind's i-th: place[i], or ABSENT. */
static enum status sort_fields(struct check *x, const struct raw_result *raw, const struct kind *k,
			       uint8_t place[FIELDS_MAX])
{
	memset(place, ABSENT, k->fields_n);
	for (uint32_t i = 0; i < raw->fields_n; i++) {
		int at = kind_field(k, raw->fields[i].name);

		if (at < 0 || place[at] != ABSENT)
			return fail_field(x, at < 0 ? REASON_FIELD_UNKNOWN : REASON_FIELD_DUPLICATE, raw,
					  i);
		place[at] = (uint8_t)i;
	}
	return ST_OK;
}

static enum status take_fields(struct check *x, struct case_result *out,
			       const struct raw_result *raw, const struct kind *k)
{
	uint8_t place[FIELDS_MAX];
	enum status st = sort_fields(x, raw, k, place);

	out->fields = arena_take(x->scratch, raw->fields_n * sizeof(*out->fields));
	if (st == ST_OK && out->fields == NULL)
		return spent(x);
	for (uint8_t i = 0; i < k->fields_n && st == ST_OK; i++) {
		const struct field_def *def = &k->fields[i];
		const struct raw_field *f = place[i] != ABSENT ? &raw->fields[place[i]] : NULL;

		x->at.field = def->name;
		x->at.row = -1;
		/* A value of another type is told as such before it is missed. */
		if (f != NULL && (f->type != def->type || has_value(f)))
			st = take_field(x, &out->fields[out->fields_n++], f, def);
		else if (def->required)
			st = fail(x, REASON_FIELD_MISSING, "%s", "");
	}
	x->at.field = NULL;
	return st;
}

/* ---- holders ---- */

static bool digits(struct slice s, size_t from, size_t n)
{
	if (s.n < from + n)
		return false;
	for (size_t i = from; i < from + n; i++)
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
	return true;
}

/* The forms of numbers that Vietnam gives; of others only the characters are known. Capitals, so that
 * a number has one spelling and one key. */
static bool number_fits(uint32_t kind, struct slice s)
{
	switch (kind) {
	case ID_CITIZEN:
		return s.n == 12 && digits(s, 0, 12);
	case ID_OLD_CITIZEN:
		return s.n == 9 && digits(s, 0, 9);
	case ID_ENTERPRISE:
	case ID_TAX:
		/* Since 2025 a household's or person's tax code is the personal number. */
		return (s.n == 10 && digits(s, 0, 10)) || (s.n == 12 && digits(s, 0, 12)) ||
		       (s.n == 14 && digits(s, 0, 10) && s.p[10] == '-' && digits(s, 11, 3));
	}
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i];

		if (c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'Z'))
			return false;
	}
	return s.n <= CODE_BYTES_MAX;
}

static enum status take_country(struct check *x, struct holder *out, const struct raw_holder *raw)
{
	struct slice c = raw->country;

	x->at.member = "country";
	if (c.n == 0)
		c = slice_str("VN");
	if (c.n != COUNTRY_BYTES || c.p[0] < 'A' || c.p[0] > 'Z' || c.p[1] < 'A' || c.p[1] > 'Z')
		return fail(x, REASON_HOLDER_INVALID, "two capital letters (ISO 3166-1)");
	if (raw->id_kind != ID_PASSPORT && raw->id_kind != ID_OTHER && memcmp(c.p, "VN", 2) != 0)
		return fail(x, REASON_HOLDER_INVALID, "numbers of this kind are given by VN");
	out->country = c;
	return ST_OK;
}

static enum status take_identity(struct check *x, struct holder *out, const struct raw_holder *raw)
{
	x->at.member = "id_kind";
	if (raw->id_kind > ID_OTHER)
		return fail(x, REASON_HOLDER_INVALID, "not an IdKind");
	out->id_kind = (uint8_t)raw->id_kind;
	x->at.member = "number";
	if ((raw->id_kind == ID_NONE) != (raw->number.n == 0))
		return fail(x, REASON_HOLDER_INVALID, "number and id_kind go together");
	if (raw->id_kind == ID_NONE)
		return ST_OK;
	if (!number_fits(raw->id_kind, raw->number))
		return fail(x, REASON_HOLDER_INVALID, "not the form of such a number");
	out->number = raw->number;
	return take_country(x, out, raw);
}

static enum status take_holder(struct check *x, struct holder *out, const struct raw_holder *raw)
{
	enum status st;

	*out = (struct holder){ .role = (uint8_t)raw->role, .visibility = (uint8_t)raw->visibility };
	st = take_identity(x, out, raw);
	if (st != ST_OK)
		return st;
	x->at.member = "name";
	st = take_text(x, &out->name, raw->name, NAME_BYTES_MAX, false);
	if (st == ST_OK && blank(out->name))
		st = fail(x, REASON_HOLDER_INVALID, "empty");
	if (st != ST_OK)
		return st;
	x->at.member = "role";
	if (raw->role > HOLDER_OTHER)
		return fail(x, REASON_HOLDER_INVALID, "not a Role");
	if (raw->role == 0)
		out->role = HOLDER_OWNER;
	x->at.member = "visibility";
	if (raw->visibility > 2)
		return fail(x, REASON_HOLDER_INVALID, "not a Visibility");
	if (raw->visibility == 0)
		out->visibility = 1;
	x->at.member = "from";
	st = take_day(x, &out->from, &raw->from);
	x->at.member = "to";
	if (st == ST_OK)
		st = take_day(x, &out->to, &raw->to);
	if (st == ST_OK && out->to != 0 && out->to < out->from)
		st = fail(x, REASON_HOLDER_INVALID, "before from");
	return st;
}

static bool same_holder(const struct holder *a, const struct holder *b)
{
	return a->number.n > 0 && a->id_kind == b->id_kind && slice_eq(a->number, b->number) &&
	       slice_eq(a->country, b->country);
}

static enum status take_holders(struct check *x, struct case_view *c, const struct raw_case *raw)
{
	enum status st = ST_OK;

	x->at = (struct place){ .member = "holders" };
	if (raw->holders_n == 0)
		return fail(x, REASON_HOLDER_MISSING, "%s", "");
	c->holders = arena_take(x->scratch, raw->holders_n * sizeof(*c->holders));
	if (c->holders == NULL)
		return spent(x);
	for (uint32_t i = 0; i < raw->holders_n && st == ST_OK; i++) {
		x->at = (struct place){ .list = "holders", .index = i };
		st = take_holder(x, &c->holders[i], &raw->holders[i]);
		for (uint32_t k = 0; k < i && st == ST_OK; k++) {
			x->at.member = "number";
			if (same_holder(&c->holders[k], &c->holders[i]))
				st = fail(x, REASON_HOLDER_INVALID, "the same as holders[%u]", k);
		}
	}
	if (st == ST_OK && c->holders[0].role > HOLDER_CHILD) {
		x->at = (struct place){ .list = "holders", .member = "role" };
		st = fail(x, REASON_HOLDER_INVALID, "the first one is whom the result is about");
	}
	c->holders_n = (uint8_t)raw->holders_n;
	return st;
}

/* ---- results ---- */

/* Kind, unit and signer as they stand on the day of issue. */
static enum status find_parts(struct check *x, struct submitted_result *out,
			      const struct raw_result *raw)
{
	const struct signer *s;
	bool allowed;

	x->at.member = "unit";
	out->unit = catalogue_unit(x->catalogue, raw->unit, x->day);
	if (out->unit == NULL)
		return fail_code(x, REASON_UNIT_UNKNOWN, raw->unit);
	x->at.member = "kind";
	out->kind = catalogue_kind(x->catalogue, raw->kind, x->day);
	if (out->kind == NULL)
		return fail_code(x, catalogue_kind_exists(x->catalogue, raw->kind) ?
				 REASON_KIND_NOT_EFFECTIVE : REASON_KIND_UNKNOWN, raw->kind);
	if (out->kind->numbered == NUMBERED_AT_APPROVAL)
		return fail_code(x, REASON_KIND_NEEDS_APPROVAL, raw->kind);
	x->at.member = "signer";
	s = out->signer = catalogue_signer(x->catalogue, raw->signer, x->day);
	if (s == NULL)
		return fail_code(x, REASON_SIGNER_UNKNOWN, raw->signer);
	allowed = s->kinds_n == 0;
	for (uint8_t i = 0; i < s->kinds_n && !allowed; i++)
		allowed = strcmp(s->kinds[i], out->kind->code) == 0;
	if (!allowed || strcmp(s->unit, out->unit->code) != 0)
		return fail_code(x, REASON_SIGNER_NOT_ALLOWED, raw->signer);
	return ST_OK;
}

static enum status take_given(struct check *x, struct submitted_result *out,
			      const struct raw_result *raw, struct arena *a)
{
	struct slice text;
	enum status st;

	x->at.member = "given_number";
	if (!out->kind->number_given)
		return raw->given_number == 0 && raw->given_text.n == 0 ?
		       ST_OK : fail(x, REASON_NUMBER_GIVEN_REFUSED, "%s", "");
	if (raw->given_number == 0)
		return fail(x, REASON_NUMBER_GIVEN_MISSING, "%s", "");
	out->given_number = raw->given_number;
	x->at.member = "given_text";
	st = take_text(x, &text, raw->given_text, NUMBER_TEXT_BYTES_MAX, false);
	if (st != ST_OK)
		return st;
	if (text.n > 0 && blank(text))
		return fail(x, REASON_FIELD_VALUE, "blank");
	out->given_text = arena_copy(a, text);
	return out->given_text.p == NULL && text.n > 0 ? spent(x) : ST_OK;
}

/* The id as we write it, whichever way it was typed. Whether it may be replaced is for those who see
 * the store. */
static enum status take_replaces(struct check *x, struct case_result *out,
				 const struct raw_result *raw)
{
	uint8_t id[16];
	char *text;

	x->at.member = "replaces";
	if (raw->replaces.n == 0) {
		x->at.member = "revision";
		return raw->revision == 0 ? ST_OK :
		       fail(x, REASON_FIELD_VALUE, "only together with replaces");
	}
	if (!id_read(id, raw->replaces))
		return fail(x, REASON_REPLACES_UNKNOWN, "not a result id");
	text = arena_take(x->scratch, ID_TEXT_BYTES);
	if (text == NULL)
		return spent(x);
	id_text(text, id);
	out->replaces = slice_of(text, ID_TEXT_BYTES);
	return ST_OK;
}

static enum status take_result(struct check *x, struct submitted_result *out,
			       struct case_result *r, const struct raw_result *raw, struct arena *a)
{
	enum status st = find_parts(x, out, raw);

	*r = (struct case_result){ 0 };
	if (st != ST_OK)
		return st;
	out->unit_code = r->unit = slice_str(out->unit->code);
	out->kind_code = r->kind = slice_str(out->kind->code);
	r->signer = slice_str(out->signer->code);
	x->at.member = "ordinal";
	if (raw->ordinal > UINT16_MAX)
		return fail(x, REASON_FIELD_VALUE, "at most %d", UINT16_MAX);
	x->at.member = "revision";
	if (raw->revision > UINT16_MAX)
		return fail(x, REASON_FIELD_VALUE, "at most %d", UINT16_MAX);
	out->ordinal = r->ordinal = (uint16_t)raw->ordinal;
	r->revision = (uint16_t)raw->revision;
	st = take_replaces(x, r, raw);
	if (st == ST_OK)
		st = take_given(x, out, raw, a);
	r->given_number = out->given_number;
	r->given_text = out->given_text;
	return st == ST_OK ? take_fields(x, r, raw, out->kind) : st;
}

static enum status take_results(struct check *x, struct submitted_case *out, struct case_view *c,
				const struct raw_case *raw, struct arena *a)
{
	enum status st = ST_OK;

	x->at = (struct place){ .member = "results" };
	if (raw->results_n == 0)
		return fail(x, REASON_RESULT_MISSING, "%s", "");
	c->results = arena_take(x->scratch, raw->results_n * sizeof(*c->results));
	if (c->results == NULL)
		return spent(x);
	for (uint32_t i = 0; i < raw->results_n && st == ST_OK; i++) {
		struct submitted_result *s = &out->results[i];
		struct case_result *r = &c->results[i];
		uint8_t holder[16];

		x->at = (struct place){ .list = "results", .index = i, .row = -1 };
		st = take_result(x, s, r, &raw->results[i], a);
		if (st != ST_OK)
			break;
		result_key(s->key, r->unit, c->code, r->kind, r->ordinal, r->revision);
		holder_key(holder, &c->holders[0], r->unit, c->code, 0);
		s->lane = lane_of_key(holder);
		x->at.member = "";
		for (uint32_t k = 0; k < i && st == ST_OK; k++)
			if (memcmp(out->results[k].key, s->key, sizeof(s->key)) == 0)
				st = fail(x, REASON_RESULT_DUPLICATE, "the same as results[%u]", k);
	}
	c->results_n = out->results_n = (uint8_t)raw->results_n;
	return st;
}

/* ---- the case ---- */

static bool code_fits(struct slice s)
{
	for (size_t i = 0; i < s.n; i++) {
		uint8_t c = s.p[i], letter = c | 0x20;

		if ((letter < 'a' || letter > 'z') && (c < '-' || c > '9') && c != '_')
			return false;
	}
	return s.n > 0 && s.n <= CASE_CODE_BYTES_MAX;
}

static enum status take_side(struct check *x, struct case_view *c, const struct raw_case *raw)
{
	static const uint8_t priorities[] = { PRIORITY_NORMAL, PRIORITY_INTERACTIVE, PRIORITY_NORMAL,
					      PRIORITY_BULK };
	struct slice rest = raw->request_id;

	x->at = (struct place){ .member = "priority" };
	if (raw->priority >= ARRAY_LEN(priorities))
		return fail(x, REASON_FIELD_VALUE, "not a Priority");
	c->priority = priorities[raw->priority];
	x->at.member = "request_id";
	if (rest.n > REQUEST_ID_BYTES_MAX)
		return fail(x, REASON_FIELD_TOO_LONG, "at most %d bytes", REQUEST_ID_BYTES_MAX);
	while (rest.n > 0) {
		int32_t cp = utf8_next(&rest);

		if (cp < 0)
			return fail(x, REASON_UTF8_INVALID, "%s", "");
		if (utf8_refused((uint32_t)cp))
			return fail(x, REASON_CHARACTER_REFUSED, "U+%04X", (uint32_t)cp);
	}
	c->request_id = raw->request_id;
	c->facts = raw->facts;
	c->approval = raw->approval;
	return ST_OK;
}

/* Straight into the arena: its free end is the writer's room. */
static enum status encode(struct check *x, struct submitted_case *out, const struct case_view *c,
			  struct arena *a)
{
	uint8_t *start = arena_take(a, 0);
	size_t room = a->size - a->used;
	struct writer w = writer_of(start, room < CASE_BYTES_MAX ? room : CASE_BYTES_MAX);

	x->at = (struct place){ .member = "" };
	if (start == NULL || case_encode(c, &w) != ST_OK || arena_take(a, writer_size(&w)) != start)
		return spent(x);
	out->bytes = writer_slice(&w);
	out->code = slice_of(out->bytes.p + CASE_CODE_AT, c->code.n);
	out->priority = c->priority;
	return case_digest(out->bytes, out->digest);
}

enum status validate_case(struct submitted_case *out, const struct raw_case *raw,
			  const struct validate_env *env, struct arena *a)
{
	struct check x = { env->catalogue, env->coverage, env->day, env->scratch, &out->refusal,
			   { .member = "code" } };
	struct case_view c = { .code = raw->code };
	size_t mark = a->used;
	enum status st = ST_OK;

	if (!code_fits(raw->code))
		st = fail(&x, REASON_CASE_CODE_INVALID, "1 to %d of A-Z a-z 0-9 . _ / -",
			  CASE_CODE_BYTES_MAX);
	if (st == ST_OK)
		st = take_holders(&x, &c, raw);
	if (st == ST_OK)
		st = take_results(&x, out, &c, raw, a);
	if (st == ST_OK)
		st = take_side(&x, &c, raw);
	if (st == ST_OK)
		st = encode(&x, out, &c, a);
	if (st != ST_OK)
		a->used = mark;
	return st;
}

enum status validate_holder(struct holder *out, const struct raw_holder *raw,
			    const struct codeset *coverage, struct arena *a, struct refusal *why)
{
	struct check x = { .coverage = coverage, .scratch = a, .why = why,
			   .at = { .member = "number" } };
	enum status st;

	if (raw->number.n == 0)
		return fail(&x, REASON_HOLDER_INVALID, "it must have a number");
	st = take_holder(&x, out, raw);
	if (st != ST_OK)
		return st;
	out->country = arena_copy(a, out->country);
	out->number = arena_copy(a, out->number);
	out->name = arena_copy(a, out->name);
	return out->country.p == NULL || out->number.p == NULL || out->name.p == NULL ?
	       spent(&x) : ST_OK;
}
