#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "catalogue/runs.h"

static const struct field_def fields[] = {
	{ .name = "ten", .type = FIELD_TEXT }, { .name = "sinh", .type = FIELD_DATE },
	{ .name = "so", .type = FIELD_NUMBER }, { .name = "co", .type = FIELD_FLAG },
	{ .name = "bang", .type = FIELD_TABLE },
};

/* The runs as text: [literal], <field index or _builtin:format>, with B and I in front. */
static const char *show(const char *text, char *out, size_t size)
{
	struct pool pool = { 0 };
	struct runs runs;
	char why[200] = "";
	size_t n = 0;

	if (runs_parse(&runs, text, fields, ARRAY_LEN(fields), &pool, why, sizeof(why)) != ST_OK) {
		snprintf(out, size, "! %s", why);
		pool_free(&pool);
		return out;
	}
	out[0] = '\0';
	for (uint16_t i = 0; i < runs.n; i++) {
		const struct run *r = &runs.run[i];

		n += (size_t)snprintf(out + n, size - n, "%s%s", r->bold ? "B" : "",
				      r->italic ? "I" : "");
		if (r->literal != NULL)
			n += (size_t)snprintf(out + n, size - n, "[%s]", r->literal);
		else
			n += (size_t)snprintf(out + n, size - n, "<%d.%d:%d>", r->field,
					      r->builtin, r->format);
	}
	pool_free(&pool);
	return out;
}

static void parses(void **state)
{
	static const struct { const char *text, *want; } rows[] = {
		{ "", "" },
		{ "a", "[a]" },
		{ "Ông {ten}.", "[Ông ]<0.0:0>[.]" },
		{ "{sinh|date_words}{so|money}{ten|upper}", "<1.0:2><2.0:4><0.0:6>" },
		{ "{_number} {_title}", "<-1.1:0>[ ]<-1.7:0>" },
		{ "a **b {ten}** c", "[a ]B[b ]B<0.0:0>[ c]" },
		{ "__i **bi** i__", "I[i ]BI[bi]I[ i]" },
		{ "a\nb", "[a\nb]" },
		{ "\\{\\}\\*\\*\\_\\_\\\\", "[{}**__\\]" },
		{ "a * b_c", "[a * b_c]" },
		{ "****", "" },
		{ "{co}", "<3.0:0>" },
	};
	char out[400];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_string_equal(show(rows[i].text, out, sizeof(out)), rows[i].want);
}

static void refuses(void **state)
{
	static const struct { const char *text, *why; } rows[] = {
		{ "{", "! \"{\" without \"}\"" },
		{ "{ten", "! \"{\" without \"}\"" },
		{ "}", "! \"}\" without \"{\"" },
		{ "{}", "! \"{}\" is not a field's name" },
		{ "{|date}", "! \"{}\" is not a field's name" },
		{ "{tenn}", "! {tenn} is no field of this kind; did you mean {ten}?" },
		{ "{_numbr}", "! {_numbr} is no field of this kind; did you mean {_number}?" },
		{ "{zzzzzzzz}", "! {zzzzzzzz} is no field of this kind" },
		{ "{sinh|upper}", "! {sinh|upper}: this format does not suit the field's type" },
		{ "{_date|date}", "! {_date|date}: this format does not suit the field's type" },
		{ "{so|moneyy}", "! format \"moneyy\" is unknown" },
		{ "{so|a_format_longer_than_any_there_is}", "! \"{so}\" is not a field's name" },
		{ "{bang}", "! {bang} is a table" },
		{ "**a", "! ** is opened and not closed" },
		{ "__a", "! __ is opened and not closed" },
		{ "\\", "! \"\\\" must stand before one of" },
		{ "\\a", "! \"\\\" must stand before one of" },
	};
	char out[400];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		show(rows[i].text, out, sizeof(out));
		if (strncmp(out, rows[i].why, strlen(rows[i].why)) != 0)
			fail_msg("%s: %s\nwanted %s", rows[i].text, out, rows[i].why);
	}
}

static void counts_are_bounded(void **state)
{
	char text[(RUNS_MAX + 1) * 5 + 1], out[8 * RUNS_MAX + 100];

	for (int i = 0; i <= RUNS_MAX; i++)
		memcpy(text + 5 * i, "{ten}", 6);
	show(text, out, sizeof(out));
	assert_int_equal(strncmp(out, "! more than 256 pieces", 22), 0);
	text[RUNS_MAX * 5] = '\0';
	show(text, out, sizeof(out));
	assert_int_equal(out[0], '<');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parses),
		cmocka_unit_test(refuses),
		cmocka_unit_test(counts_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
