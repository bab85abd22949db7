#include "render/press.h"

#include "base/calendar.h"

/* ---- strings ---- */

/*
 * Besides what JSON demands, `%` and the e of `end` are escaped: a value cannot spell %%EOF,
 * endstream or endobj, so that even a reader that searches instead of following /Length is not
 * misled.
 */
static const uint8_t special[256] = {
	[0] = 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
	['"'] = 1, ['\\'] = 1, ['%'] = 1, ['e'] = 1,
};

static void escape(struct writer *w, uint8_t c)
{
	static const char digits[] = "0123456789abcdef";
	char unicode[6] = { '\\', 'u', '0', '0', digits[c >> 4], digits[c & 15] };
	char two[2] = { '\\', (char)c };

	if (c == '\n') {
		two[1] = 'n';
		write_bytes(w, two, 2);
	} else if (c == '"' || c == '\\') {
		write_bytes(w, two, 2);
	} else {
		write_bytes(w, unicode, 6);
	}
}

void write_json_text(struct writer *w, struct slice s)
{
	const uint8_t *p = s.p, *end = s.p + s.n, *from = p;

	write_u8(w, '"');
	for (; p < end; p++) {
		if (!special[*p] || (*p == 'e' && (end - p < 3 || p[1] != 'n' || p[2] != 'd')))
			continue;
		write_bytes(w, from, (size_t)(p - from));
		escape(w, *p);
		from = p + 1;
	}
	write_bytes(w, from, (size_t)(p - from));
	write_u8(w, '"');
}

/* ---- values ---- */

static void write_padded(struct writer *w, uint32_t v, uint32_t places)
{
	uint8_t b[10];

	for (uint32_t i = places; i > 0; i--) {
		b[i - 1] = (uint8_t)('0' + v % 10);
		v /= 10;
	}
	write_bytes(w, b, places);
}

static void write_number_value(struct writer *w, int64_t value, uint8_t decimals)
{
	uint64_t u = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
	uint8_t b[32], *end = b + sizeof(b), *at = end;
	uint8_t n = 0;

	do {
		if (n == decimals && n > 0)
			*--at = '.';
		*--at = (uint8_t)('0' + u % 10);
		u /= 10;
	} while (++n <= decimals || u > 0);
	if (value < 0)
		*--at = '-';
	write_bytes(w, at, (size_t)(end - at));
}

/* "1990", "1990-03", "1990-03-05": as much as is known. */
static void write_date(struct writer *w, struct partial_date d)
{
	write_u8(w, '"');
	write_padded(w, d.year, 4);
	if (d.month != 0) {
		write_u8(w, '-');
		write_padded(w, d.month, 2);
	}
	if (d.month != 0 && d.day != 0) {
		write_u8(w, '-');
		write_padded(w, d.day, 2);
	}
	write_u8(w, '"');
}

static void write_table(struct writer *w, const struct field *f)
{
	write_u8(w, '[');
	for (uint32_t row = 0; row < f->table.rows; row++) {
		write_bytes(w, ",[" + (row == 0), row == 0 ? 1 : 2);
		for (uint32_t i = 0; i < f->table.columns; i++) {
			if (i > 0)
				write_u8(w, ',');
			write_json_text(w, f->table.cells[row * f->table.columns + i]);
		}
		write_u8(w, ']');
	}
	write_u8(w, ']');
}

static void write_value(struct writer *w, const struct field *f)
{
	switch (f->type) {
	case FIELD_TEXT:
		write_json_text(w, f->text);
		break;
	case FIELD_NUMBER:
		write_number_value(w, f->number.value, f->number.decimals);
		break;
	case FIELD_FLAG:
		write_str(w, f->flag ? "true" : "false");
		break;
	case FIELD_DATE:
		write_date(w, f->date);
		break;
	case FIELD_TABLE:
		write_table(w, f);
		break;
	}
}

/* RFC 3339 in Vietnam time. */
static void write_time(struct writer *w, int64_t unix_ms)
{
	struct civil c = civil_vietnam(unix_ms);

	write_padded(w, c.year, 4);
	write_u8(w, '-');
	write_padded(w, c.month, 2);
	write_u8(w, '-');
	write_padded(w, c.day, 2);
	write_u8(w, 'T');
	write_padded(w, c.hour, 2);
	write_u8(w, ':');
	write_padded(w, c.minute, 2);
	write_u8(w, ':');
	write_padded(w, c.second, 2);
	write_str(w, "+07:00");
}

/* The head ends inside of the address. */
static void write_identity(const struct press *p, struct writer *w)
{
	char id[ID_TEXT_BYTES];

	id_text(id, p->item->result_id);
	write_bytes(w, id, sizeof(id));
	write_str(w, "\",\"id\":\"");
	write_bytes(w, id, sizeof(id));
	write_str(w, "\",\"number\":");
	write_json_text(w, slice_str(p->item->number_text));
	write_str(w, ",\"issued\":\"");
	write_time(w, p->item->issued_ms);
	write_u8(w, '"');
}

static void write_day(struct writer *w, uint32_t day)
{
	write_date(w, (struct partial_date){ (uint16_t)(day / 10000), (uint8_t)(day / 100 % 100),
					     (uint8_t)(day % 100) });
}

static void write_source(const struct original_source *s, struct writer *w)
{
	char id[ID_TEXT_BYTES];

	id_text(id, s->id);
	write_str(w, ",\"id\":\"");
	write_bytes(w, id, sizeof(id));
	write_u8(w, '"');
	if (s->corrected.n == 0)
		return;
	write_str(w, ",\"corrected\":{\"number\":");
	write_json_text(w, s->corrected);
	write_str(w, ",\"date\":");
	write_day(w, s->corrected_day);
	write_u8(w, '}');
}

/* What was copied, so that anyone can find it again from the file attached beside this one. */
static void write_original(const struct original *o, struct writer *w)
{
	write_str(w, ",\"original\":{\"file\":\"");
	write_str(w, original_file(o));
	write_str(w, "\",\"sha256\":\"");
	write_sha256(w, o->sha256);
	write_str(w, "\",\"format\":\"");
	write_str(w, original_code(o));
	write_str(w, "\",\"size\":");
	write_number(w, o->size);
	if (o->pages > 0) {
		write_str(w, ",\"pages\":");
		write_number(w, o->pages);
	}
	write_str(w, o->wrapped == ORIGINAL_REBUILT ? ",\"shown\":true" : ",\"shown\":false");
	if (o->source != NULL)
		write_source(o->source, w);
	write_u8(w, '}');
}

/* As much as the page says. */
static void write_replaced(const struct press *p, struct writer *w)
{
	const struct case_result *r = p->item->result;

	write_str(w, ",\"replaces\":{\"id\":");
	write_json_text(w, r->replaces);
	if (r->replaced.number.n > 0) {
		write_str(w, ",\"number\":");
		write_json_text(w, r->replaced.number);
		write_str(w, ",\"date\":");
		write_day(w, r->replaced.day);
	}
	if (r->replaced.agency.n > 0) {
		write_str(w, ",\"agency\":");
		write_json_text(w, r->replaced.agency);
	}
	write_u8(w, '}');
}

void write_data(const struct press *p, struct writer *w)
{
	const struct template *t = p->t;
	bool first = true;

	write_bytes(w, t->data_head.p, t->data_head.n);
	if (!t->draft)
		write_identity(p, w);
	if (p->original != NULL)
		write_original(p->original, w);
	if (p->item->result->replaces.n > 0)
		write_replaced(p, w);
	write_str(w, ",\"fields\":{");
	for (uint8_t i = 0; i < p->item->kind->fields_n; i++) {
		if (t->data_keys[i].n == 0 || p->values[i] == NULL)
			continue;
		if (!first)
			write_u8(w, ',');
		first = false;
		write_bytes(w, t->data_keys[i].p, t->data_keys[i].n);
		write_value(w, p->values[i]);
	}
	write_str(w, "}}\n");
}
