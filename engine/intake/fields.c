#include "intake/check.h"

#define ABSENT UINT8_MAX

static_assert(FIELDS_MAX < ABSENT, "an index of a field fits a byte");

static enum status take_number(struct check *x, struct field *out, const struct raw_field *raw,
			       const struct field_def *def)
{
	__int128 unit = 1;

	if (raw->number.decimals > def->decimals_max)
		return check_fail(x, REASON_FIELD_VALUE, "at most %u decimals", def->decimals_max);
	for (uint32_t i = 0; i < raw->number.decimals; i++)
		unit *= 10;
	if (raw->number.value < def->min * unit)
		return check_fail(x, REASON_FIELD_VALUE, "at least %lld", (long long)def->min);
	if (raw->number.value > def->max * unit)
		return check_fail(x, REASON_FIELD_VALUE, "at most %lld", (long long)def->max);
	out->number.value = raw->number.value;
	out->number.decimals = (uint8_t)raw->number.decimals;
	return ST_OK;
}

static enum status take_value(struct check *x, struct field *out, struct slice raw,
			      const struct field_def *def)
{
	enum status st = check_text(x, &out->text, raw, def->bytes_max, def->multiline);

	if (st != ST_OK)
		return st;
	if (out->text.p[0] <= ' ' && check_blank(out->text))
		return check_fail(x, REASON_FIELD_VALUE, "blank");
	for (uint8_t i = 0; i < def->values_n; i++)
		if (slice_eq(out->text, slice_str(def->values[i])))
			return ST_OK;
	return def->values_n == 0 ? ST_OK :
	       check_fail(x, REASON_FIELD_VALUE, "not in the schema's list");
}

static enum status take_table(struct check *x, struct field *out, const struct raw_field *raw,
			      const struct field_def *def)
{
	uint32_t rows = raw->table.rows_n;
	struct slice *cell;
	enum status st = ST_OK;

	if (rows > def->rows_max)
		return check_fail(x, REASON_FIELD_TOO_LONG, "%u rows; at most %u", rows,
				  def->rows_max);
	cell = arena_take(x->scratch, rows * def->columns_n * sizeof(*cell));
	if (cell == NULL)
		return check_spent(x);
	out->table.rows = (uint16_t)rows;
	out->table.columns = def->columns_n;
	out->table.cells = cell;
	for (uint32_t r = 0; r < rows && st == ST_OK; r++) {
		const struct raw_row *row = &raw->table.rows[r];

		x->at.row = (int32_t)r;
		x->at.cell = -1;
		if (row->cells_n != def->columns_n)
			return check_fail(x, REASON_FIELD_VALUE,
					  "%u cells; the table has %u columns", row->cells_n,
					  def->columns_n);
		for (uint32_t i = 0; i < row->cells_n && st == ST_OK; i++) {
			x->at.cell = (int32_t)i;
			st = check_text(x, cell++, row->cells[i], def->bytes_max, def->multiline);
		}
	}
	return st;
}

static enum status take_field(struct check *x, struct field *out, const struct raw_field *raw,
			      const struct field_def *def)
{
	static const char *const types[] = { "no value", "text", "number", "flag", "date",
					     "table" };

	if (raw->type != def->type)
		return check_fail(x, REASON_FIELD_TYPE, "%s; the schema has %s", types[raw->type],
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
		return check_date(x, &out->date, &raw->date, def->year_only);
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

/* ---- what the register says ---- */

/* Into *out, as if the case said it. False: it is not the engine's to fill. */
static bool told_value(struct raw_field *out, const struct original_told *told,
		       const struct field_def *def)
{
	const struct slice texts[] = { [TELLS_NAME] = told->name, [TELLS_NUMBER] = told->number,
				       [TELLS_ISSUER] = told->issuer };

	*out = (struct raw_field){ .name = slice_of(def->name, def->name_n), .type = def->type };
	if (def->tells == TELLS_DATE)
		out->date = (struct raw_date){ true, told->day / 10000, told->day / 100 % 100,
					       told->day % 100 };
	else if (def->tells < ARRAY_LEN(texts))
		out->text = texts[def->tells];
	return def->tells == TELLS_DATE || out->text.n > 0;
}

static bool told_holder(const struct original_told *told, struct slice name)
{
	for (uint8_t i = 0; i < told->holders_n; i++)
		if (slice_eq(told->holders[i], name))
			return true;
	return false;
}

static bool same(const struct field *said, const struct raw_field *told)
{
	if (said->type == FIELD_TEXT)
		return slice_eq(said->text, told->text);
	return said->date.year == told->date.year && said->date.month == told->date.month &&
	       said->date.day == told->date.day;
}

/* A field that tells of the original, said by the case (f) or not (NULL). */
static enum status take_told(struct check *x, struct case_result *out, const struct raw_field *f,
			     const struct field_def *def)
{
	const struct original_told *told = x->original->told;
	struct field *said = &out->fields[out->fields_n];
	struct raw_field known;
	bool filled = told_value(&known, told, def), true_one;
	enum status st;

	if (f == NULL && !filled)
		return def->required ? check_fail(x, REASON_FIELD_MISSING, "%s", "") : ST_OK;
	st = take_field(x, said, f != NULL ? f : &known, def);
	if (st != ST_OK)
		return st;
	out->fields_n++;
	true_one = def->tells == TELLS_HOLDER ? told_holder(told, said->text) :
		   !filled || same(said, &known);
	return true_one ? ST_OK : check_fail(x, REASON_COPY_UNTRUE, "%s", "");
}

static enum status fail_field(struct check *x, enum reason why, const struct raw_result *raw,
			      uint32_t i)
{
	char name[FIELD_NAME_BYTES_MAX + 1];
	enum status st;

	check_name(name, raw->fields[i].name);
	x->at.field = name;
	st = check_fail(x, why, "fields[%u]", i);
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
			return fail_field(x, at < 0 ? REASON_FIELD_UNKNOWN : REASON_FIELD_DUPLICATE,
					  raw, i);
		place[at] = (uint8_t)i;
	}
	return ST_OK;
}

enum status check_fields(struct check *x, struct case_result *out, const struct raw_result *raw,
			 const struct kind *k)
{
	bool told = x->original != NULL && x->original->told != NULL;
	uint8_t place[FIELDS_MAX];
	enum status st = sort_fields(x, raw, k, place);

	out->fields = arena_take(x->scratch, k->fields_n * sizeof(*out->fields));
	if (st == ST_OK && out->fields == NULL)
		return check_spent(x);
	for (uint8_t i = 0; i < k->fields_n && st == ST_OK; i++) {
		const struct field_def *def = &k->fields[i];
		const struct raw_field *f = place[i] != ABSENT ? &raw->fields[place[i]] : NULL;

		x->at.field = def->name;
		x->at.row = -1;
		/* A value of another type is told as such before it is missed. */
		if (f != NULL && f->type == def->type && !has_value(f))
			f = NULL;
		if (told && def->tells != TELLS_NOTHING)
			st = take_told(x, out, f, def);
		else if (f != NULL)
			st = take_field(x, &out->fields[out->fields_n++], f, def);
		else if (def->required && (def->tells == TELLS_NOTHING || !x->draft))
			st = check_fail(x, REASON_FIELD_MISSING, "%s", "");
	}
	x->at.field = NULL;
	return st;
}
