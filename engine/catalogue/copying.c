#include "catalogue/read.h"
#include "catalogue/runs.h"

/*
 * What a layout shows: on every document (ALWAYS), where no page shows the original, and where the
 * original was corrected.
 */
enum { NEVER, ELSEWHERE, CORRECTED, WRAPPED, ALWAYS };
struct shown { uint8_t builtin[BUILTINS], number_date, qr; };

static uint8_t when(int16_t block_if, int16_t line_if)
{
	bool block = block_if == SHOWN_ALWAYS, line = line_if == SHOWN_ALWAYS;

	if (block && line)
		return ALWAYS;
	if ((block || block_if == SHOWN_WRAPPED) && (line || line_if == SHOWN_WRAPPED))
		return WRAPPED;
	if ((block || block_if == SHOWN_CORRECTED) && (line || line_if == SHOWN_CORRECTED))
		return CORRECTED;
	return ELSEWHERE;
}

static void raise(uint8_t *seen, uint8_t to)
{
	if (*seen < to)
		*seen = to;
}

static void see_runs(struct shown *s, const struct runs *runs, uint8_t at)
{
	for (uint16_t i = 0; i < runs->n; i++)
		raise(&s->builtin[runs->run[i].builtin], at);
}

static void see(struct shown *s, const struct block *b)
{
	uint8_t at = when(b->only_if, SHOWN_ALWAYS);

	if (b->type == BLOCK_NUMBER_DATE)
		raise(&s->number_date, at);
	if (b->type == BLOCK_QR)
		raise(&s->qr, at);
	see_runs(s, &b->text, at);
	see_runs(s, &b->subtitle, at);
	for (uint16_t i = 0; i < b->lines_n; i++) {
		at = when(b->only_if, b->lines[i].only_if);
		see_runs(s, &b->lines[i].label, at);
		see_runs(s, &b->lines[i].value, at);
	}
}

/* ---- what may not be told of ---- */

static void refuse_unknown(struct form *f, const struct kind *k, const struct shown *s)
{
	for (int b = BUILTIN_FILE; b < BUILTINS && k->copies == COPIES_NOTHING; b++)
		if (s->builtin[b] != NEVER)
			form_fail(f, "layout", "{%s} tells of an original: only a kind with "
				  "\"copy\" has one", runs_builtin((enum run_builtin)b));
	if (s->builtin[BUILTIN_VOLUME] != NEVER && k->volume_numbers == 0)
		form_fail(f, "layout", "{_volume} needs \"volume_numbers\" in \"number\"");
	if (s->builtin[BUILTIN_BOOK] != NEVER && k->book_form == NULL)
		form_fail(f, "layout", "{_book} needs \"book\" in \"number\"");
}

/* ---- what a copy must show ---- */

static void must_show(struct form *f, bool shown, const char *what, const char *how)
{
	if (!shown)
		form_fail(f, "layout", "a copy must always show %s: %s", what, how);
}

static bool always(const struct shown *s, enum run_builtin b)
{
	return s->builtin[b] == ALWAYS;
}

static void demand(struct form *f, const struct kind *k, const struct shown *s)
{
	bool dated = s->number_date == ALWAYS;

	must_show(f, dated || always(s, BUILTIN_NUMBER) || always(s, BUILTIN_SERIAL), "its number",
		  "{_number}, {_serial} or a number_date block");
	must_show(f, dated || always(s, BUILTIN_DATE), "its date",
		  "{_date} or a number_date block");
	must_show(f, k->volume_numbers == 0 || always(s, BUILTIN_BOOK) ||
		  always(s, BUILTIN_VOLUME), "its book", "{_book} or {_volume}");
	must_show(f, always(s, BUILTIN_SHA256), "the original's SHA-256", "{_sha256}");
	must_show(f, always(s, BUILTIN_FORMAT), "the original's format", "{_format}");
	must_show(f, always(s, BUILTIN_BYTES), "the original's length", "{_bytes}");
	must_show(f, s->qr == ALWAYS, "its QR code", "a qr block");
	if (s->builtin[BUILTIN_WRAPPED] < WRAPPED)
		form_fail(f, "layout", "where no page shows the original, a copy must say why: "
			  "{_wrapped}, by itself or in a block with \"only_if\": \"_wrapped\"");
}

/* A copy from the register says of its original what the register has, and who reads it sees it. */
static void demand_told(struct form *f, const struct kind *k, const struct shown *s)
{
	static const char *const told[] = { [TELLS_NAME] = "name", [TELLS_NUMBER] = "number",
					    [TELLS_DATE] = "date", [TELLS_ISSUER] = "issuer" };

	for (uint8_t t = TELLS_NAME; t < ARRAY_LEN(told); t++) {
		uint8_t fields = 0;

		for (uint8_t i = 0; i < k->fields_n; i++)
			fields += k->fields[i].tells == t && k->fields[i].public;
		if (fields != 1)
			form_fail(f, "layout", "a copy from the register must always show one "
				  "field with \"original\": \"%s\"", told[t]);
	}
	if (s->builtin[BUILTIN_CORRECTED] < CORRECTED)
		form_fail(f, "layout", "a copy from the register must say what corrected its "
			  "original: {_corrected}, by itself or in a block with \"only_if\": "
			  "\"_corrected\"");
}

static void refuse_told(struct form *f, const struct kind *k)
{
	for (uint8_t i = 0; i < k->fields_n; i++)
		if (k->fields[i].tells != TELLS_NOTHING)
			form_fail(f, "fields", "\"%s\" tells of an \"original\": only with "
				  "\"copy\": \"register\"", k->fields[i].name);
}

void copying_check(struct form *f, const struct kind *k)
{
	struct shown s = { 0 };

	for (uint8_t i = 0; i < k->blocks_n; i++)
		see(&s, &k->blocks[i]);
	refuse_unknown(f, k, &s);
	if (k->copies == COPIES_RESULT)
		demand_told(f, k, &s);
	else
		refuse_told(f, k);
	if (k->copies == COPIES_NOTHING)
		return;
	if (k->copies == COPIES_ORIGINAL && k->signs_n != 2)
		form_fail(f, "signs", "who certifies a copy signs it: must be [\"person\", "
			  "\"agency\"]");
	demand(f, k, &s);
}
