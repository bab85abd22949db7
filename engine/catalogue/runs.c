#include "catalogue/runs.h"

#include <stdio.h>
#include <string.h>

#include "catalogue/form.h"

#define TYPE(t) (1u << (t))
#define TYPES_SHOWN (TYPE(FIELD_TEXT) | TYPE(FIELD_NUMBER) | TYPE(FIELD_FLAG) | TYPE(FIELD_DATE))

static const struct { const char *name; enum run_format format; unsigned int types; } formats[] = {
	{ "plain", RUN_PLAIN, TYPES_SHOWN },
	{ "date", RUN_DATE, TYPE(FIELD_DATE) },
	{ "date_long", RUN_DATE_LONG, TYPE(FIELD_DATE) },
	{ "date_words", RUN_DATE_WORDS, TYPE(FIELD_DATE) },
	{ "number", RUN_NUMBER, TYPE(FIELD_NUMBER) },
	{ "money", RUN_MONEY, TYPE(FIELD_NUMBER) },
	{ "money_words", RUN_MONEY_WORDS, TYPE(FIELD_NUMBER) },
	{ "upper", RUN_UPPER, TYPE(FIELD_TEXT) },
	{ "capital", RUN_CAPITAL, TYPE(FIELD_TEXT) },
};

static const char *const builtins[] = {
	[BUILTIN_NUMBER] = "_number", [BUILTIN_DATE] = "_date", [BUILTIN_PLACE] = "_place",
	[BUILTIN_UNIT] = "_unit", [BUILTIN_SUPERIOR] = "_superior", [BUILTIN_SIGNER] = "_signer",
	[BUILTIN_TITLE] = "_title", [BUILTIN_SERIAL] = "_serial", [BUILTIN_VOLUME] = "_volume",
	[BUILTIN_BOOK] = "_book", [BUILTIN_FILE] = "_file", [BUILTIN_FORMAT] = "_format",
	[BUILTIN_BYTES] = "_bytes", [BUILTIN_PAGES] = "_pages", [BUILTIN_SHA256] = "_sha256",
	[BUILTIN_WRAPPED] = "_wrapped", [BUILTIN_CORRECTED] = "_corrected",
};

static_assert(ARRAY_LEN(builtins) == BUILTINS, "a name for every built-in");

const char *runs_builtin(enum run_builtin b)
{
	return builtins[b];
}

struct parse {
	const struct field_def *fields;
	uint8_t fields_n;
	struct pool *pool;
	bool bold, italic;
	uint16_t n;
	struct run run[RUNS_MAX];
	size_t literal_n;
	char literal[FORM_TEXT_BYTES_MAX];
	char *why;
	size_t size;
};

static enum status add(struct parse *p, struct run r)
{
	if (p->n == RUNS_MAX) {
		snprintf(p->why, p->size, "more than %d pieces in one text", RUNS_MAX);
		return ST_INVALID;
	}
	r.bold = p->bold;
	r.italic = p->italic;
	p->run[p->n++] = r;
	return ST_OK;
}

static enum status flush(struct parse *p)
{
	const char *copy;

	if (p->literal_n == 0)
		return ST_OK;
	copy = pool_text(p->pool, p->literal, p->literal_n);
	if (copy == NULL)
		return ST_NOMEM;
	p->literal_n = 0;
	return add(p, (struct run){ .literal = copy, .field = -1 });
}

static enum status unknown_field(struct parse *p, const char *name)
{
	const char *names[FIELDS_MAX + ARRAY_LEN(builtins) + 1];
	const char *near;
	size_t n = 0;

	for (uint8_t i = 0; i < p->fields_n; i++)
		names[n++] = p->fields[i].name;
	for (size_t i = BUILTIN_NONE + 1; i < ARRAY_LEN(builtins); i++)
		names[n++] = builtins[i];
	names[n] = NULL;
	near = form_nearest(name, names);
	snprintf(p->why, p->size, "{%s} is no field of this kind%s%s%s", name,
		 near != NULL ? "; did you mean {" : "", near != NULL ? near : "",
		 near != NULL ? "}?" : "");
	return ST_INVALID;
}

/* field NULL: a built-in, which is text. */
static enum status find_format(struct parse *p, const char *name, const char *of,
			       const struct field_def *field, uint8_t *format)
{
	enum field_type type = field != NULL ? field->type : FIELD_TEXT;

	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (strcmp(formats[i].name, name) != 0)
			continue;
		*format = (uint8_t)formats[i].format;
		if (formats[i].types & TYPE(type))
			return ST_OK;
		if (type == FIELD_TABLE)
			snprintf(p->why, p->size, "{%s} is a table: it is shown by a table block",
				 of);
		else
			snprintf(p->why, p->size, "{%s|%s}: this format does not suit the field's "
				 "type", of, name);
		return ST_INVALID;
	}
	snprintf(p->why, p->size, "format \"%s\" is unknown; allowed: date, date_long, date_words, "
		 "number, money, money_words, upper, capital", name);
	return ST_INVALID;
}

/* text stands behind `{`; *used counts up to and with `}`. */
static enum status reference(struct parse *p, const char *text, size_t *used)
{
	const char *end = strchr(text, '}'), *bar;
	char name[FIELD_NAME_BYTES_MAX + 1], format[24] = "plain";
	struct run r = { .field = -1 };
	const struct field_def *field = NULL;
	enum status st;
	size_t n;

	if (end == NULL) {
		snprintf(p->why, p->size, "\"{\" without \"}\"; write \\{ for the character");
		return ST_INVALID;
	}
	*used = (size_t)(end - text) + 1;
	bar = memchr(text, '|', (size_t)(end - text));
	n = (size_t)((bar != NULL ? bar : end) - text);
	if (n == 0 || n >= sizeof(name) ||
	    (bar != NULL && (size_t)(end - bar) > sizeof(format))) {
		snprintf(p->why, p->size, "\"{%.*s}\" is not a field's name",
			 (int)(n < 40 ? n : 40), text);
		return ST_INVALID;
	}
	snprintf(name, sizeof(name), "%.*s", (int)n, text);
	if (bar != NULL)
		snprintf(format, sizeof(format), "%.*s", (int)(end - bar - 1), bar + 1);
	for (uint8_t i = BUILTIN_NONE + 1; i < ARRAY_LEN(builtins); i++)
		if (strcmp(builtins[i], name) == 0)
			r.builtin = i;
	for (uint8_t i = 0; i < p->fields_n; i++)
		if (strcmp(p->fields[i].name, name) == 0)
			r.field = i;
	if (r.builtin == BUILTIN_NONE && r.field < 0)
		return unknown_field(p, name);
	if (r.field >= 0)
		field = &p->fields[r.field];
	st = find_format(p, format, name, field, &r.format);
	if (st != ST_OK)
		return st;
	st = flush(p);
	return st != ST_OK ? st : add(p, r);
}

static enum status step(struct parse *p, const char *text, size_t *i)
{
	enum status st;
	size_t used;

	if (text[*i] == '{') {
		st = reference(p, text + *i + 1, &used);
		*i += st == ST_OK ? 1 + used : 0;
		return st;
	}
	if (text[*i] == '}') {
		snprintf(p->why, p->size, "\"}\" without \"{\"; write \\} for the character");
		return ST_INVALID;
	}
	if ((text[*i] == '*' || text[*i] == '_') && text[*i + 1] == text[*i]) {
		st = flush(p);
		if (text[*i] == '*')
			p->bold = !p->bold;
		else
			p->italic = !p->italic;
		*i += 2;
		return st;
	}
	if (text[*i] == '\\') {
		(*i)++;
		if (text[*i] == '\0' || strchr("{}*_\\", text[*i]) == NULL) {
			snprintf(p->why, p->size, "\"\\\" must stand before one of { } * _ \\");
			return ST_INVALID;
		}
	}
	if (p->literal_n == sizeof(p->literal)) {
		snprintf(p->why, p->size, "the text is longer than %zu bytes", sizeof(p->literal));
		return ST_INVALID;
	}
	p->literal[p->literal_n++] = text[(*i)++];
	return ST_OK;
}

enum status runs_parse(struct runs *out, const char *text, const struct field_def *fields,
		       uint8_t fields_n, struct pool *pool, char *why, size_t size)
{
	struct parse p = { .fields = fields, .fields_n = fields_n, .pool = pool, .why = why,
			   .size = size };
	enum status st = ST_OK;
	struct run *copy;

	*out = (struct runs){ 0 };
	for (size_t i = 0; st == ST_OK && text[i] != '\0';)
		st = step(&p, text, &i);
	if (st == ST_OK)
		st = flush(&p);
	if (st == ST_OK && (p.bold || p.italic)) {
		snprintf(why, size, "%s is opened and not closed", p.bold ? "**" : "__");
		st = ST_INVALID;
	}
	if (st != ST_OK || p.n == 0)
		return st;
	copy = pool_take(pool, p.n * sizeof(*copy));
	if (copy == NULL)
		return ST_NOMEM;
	memcpy(copy, p.run, p.n * sizeof(*copy));
	*out = (struct runs){ p.n, copy };
	return ST_OK;
}
