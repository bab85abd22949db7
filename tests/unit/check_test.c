#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <glob.h>

#include "catalogue/catalogue.h"
#include "schemafile.h"

/* `old` replaced by `new` gives `error`: what stands behind the file's name. */
struct broken { const char *old, *new, *error; };

#define F0 "versions[0].fields[0]"

static const struct broken kinds[] = {
	{ "\"1.000001\"", "1.5", ":6: versions[0].procedure: must be a text" },
	{ "\"at_acceptance\"", "\"later\"",
	  ":7: versions[0].numbered: must be one of: at_acceptance, at_approval" },
	{ "\"at_acceptance\"", "\"at_acceptance\",\n\"approval\": { \"expires_days\": 30 }",
	  ":8: versions[0].approval: only with \"numbered\": \"at_approval\"" },
	{ "\"at_acceptance\"", "\"at_approval\",\n\"approval\": { \"expires_days\": 0 }",
	  ":8: versions[0].approval.expires_days: must be a whole number from 1 to 3660" },
	{ "\"at_acceptance\"", "\"at_approval\",\n\"approval\": { \"own_drafts\": true }",
	  ":8: versions[0].approval.own_drafts: unknown key; did you mean \"own_draft\"?" },
	{ "\"at_acceptance\",\n\"number\": {", "\"at_approval\",\n\"number\": { \"given\": true,",
	  ":8: versions[0].number: a number that the case brings is there at_acceptance" },
	{ "\"code\": \"k\"", "\"code\": \"K\"", ":2: code: a code is made of a-z, 0-9 and -" },
	{ "\"code\": \"k\"", "\"code\": \"kk\"",
	  ":2: code: is \"kk\"; it must be the file's name, \"k\"" },
	{ "\"procedure\"", "\"procedur\"",
	  ":6: versions[0].procedur: unknown key; did you mean \"procedure\"?" },
	{ "\"procedure\"", "\"zzzzzzzzz\"",
	  ":6: versions[0].zzzzzzzzz: unknown key; allowed: from, to, name, procedure, numbered, "
	  "approval, number, signs, certify, validity, copy, child_birth, fields, layout" },
	{ "\"procedure\": \"1.000001\"", "\"from\": \"2026-01-01\"",
	  ":6: duplicate object key near" },
	{ "\"procedure\": \"1.000001\",\n", "", ":3: versions[0]: \"procedure\" is missing" },
	{ "\"2026-01-01\"", "\"2026-02-30\"",
	  ":4: versions[0].from: must be a date of the form 2026-07-01" },
	{ "\"from\": \"2026-01-01\",", "\"from\": \"2026-01-02\", \"to\": \"2026-01-01\",",
	  ":4: versions[0].to: is before \"from\"" },
	{ "Giấy", "Gia\xcc\x82\xcc\x81y",
	  ":5: versions[0].name.vi: text is not in the composed form (NFC)" },
	{ "Giấy", "Gi\xe2\x80\xaey", ":5: versions[0].name.vi: character U+202E is refused" },
	{ "Giấy", "Gi\\ny", ":5: versions[0].name.vi: character U+000A is refused: one line only" },
	{ "Giấy", "Gi\xff", ":1: not UTF-8" },
	{ "\"Giấy\"", "\"\"", ":5: versions[0].name.vi: 0 bytes; 1 to 300 are allowed" },
	{ "{n}/K-{unit}", "K-{unit}", ":9: versions[0].number.form: {n} must occur exactly once" },
	{ "{n}/K-{unit}", "{n}/K-{unti}",
	  ":9: versions[0].number.form: in braces only {n}, {yyyy}, {unit}, {v} are allowed" },
	{ "{n}/K-{unit}", "{n}/KKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKKK",
	  ":9: versions[0].number.form: a number of 11 digits would have 45 bytes; "
	  "44 are allowed" },
	{ "[\"person\", \"agency\"]", "[\"agency\", \"person\"]",
	  ":10: versions[0].signs: must be [\"person\", \"agency\"] or [\"agency\"]" },
	{ "[\"person\", \"agency\"]", "[]",
	  ":10: versions[0].signs: 0 elements; 1 to 2 are allowed" },
	{ "\"field\": \"den\"", "\"field\": \"ten\"",
	  ":11: versions[0].validity.field: \"ten\" is a text; a date is needed" },
	{ "\"field\": \"den\"", "\"field\": \"dem\"",
	  ":11: versions[0].validity.field: \"dem\" is no field of this kind; "
	  "did you mean \"den\"?" },
	{ "\"field\": \"den\"", "\"field\": \"den\", \"months\": 6",
	  ":11: versions[0].validity: either \"months\" or \"field\"; leave it out for ever" },
	{ "\"child_birth\": \"sinh\"", "\"child_birth\": \"so\"",
	  ":12: versions[0].child_birth: \"so\" is a number; a date is needed" },
	{ "\"type\": \"text\"", "\"type\": \"txt\"",
	  ":14: " F0 ".type: must be one of: text, number, flag, date, table" },
	{ "\"type\": \"text\"", "\"type\": \"text\", \"min\": 3", ":14: " F0 ".min: unknown key" },
	{ "\"type\": \"text\"", "\"type\": \"text\", \"bytes_max\": 65537",
	  ":14: " F0 ".bytes_max: must be a whole number from 1 to 65536" },
	{ "\"type\": \"text\"", "\"type\": \"text\", \"values\": [\"a\", \"a\"]",
	  ":14: " F0 ".values: \"a\" stands there twice" },
	{ "\"name\": \"ten\"", "\"name\": \"Ten\"",
	  ":14: " F0 ".name: a name is made of a-z, 0-9 and _, and begins with a letter" },
	{ "\"name\": \"so\"", "\"name\": \"ten\"",
	  ":18: versions[0].fields[3].name: fields[0] has this name already" },
	{ "\"max\": 100", "\"min\": 101, \"max\": 100",
	  ":18: versions[0].fields[3].max: is below \"min\"" },
	{ "\"max\": 100", "\"decimals_max\": 7",
	  ":18: versions[0].fields[3].decimals_max: must be a whole number from 0 to 6" },
	{ "\"width_permille\": 600", "\"width_permille\": 601",
	  ":21: versions[0].fields[5].columns: the widths add up to 1001; "
	  "at most 1000 is allowed" },
	{ ", \"width_permille\": 400", "",
	  ":23: versions[0].fields[5].columns[1]: \"width_permille\" is missing" },
	{ "\"name\": \"b\"", "\"name\": \"a\"",
	  ":23: versions[0].fields[5].columns[1].name: columns[0] has this name already" },
	{ "\"type\": \"paragraph\"", "\"type\": \"paragraf\"",
	  ":27: versions[0].layout[1].type: must be one of: national_header" },
	{ "{ten|upper}", "{tem|upper}",
	  ":27: versions[0].layout[1].text: {tem} is no field of this kind; did you mean {ten}?" },
	{ "{ten|upper}", "{ten|date}",
	  ":27: versions[0].layout[1].text: {ten|date}: "
	  "this format does not suit the field's type" },
	{ "{ten|upper}", "{ten|loud}",
	  ":27: versions[0].layout[1].text: format \"loud\" is unknown; allowed: "
	  "date, date_long, date_words, number, money, money_words, upper, capital" },
	{ "{ten|upper}", "{bang}",
	  ":27: versions[0].layout[1].text: {bang} is a table: it is shown by a table block" },
	{ "**{ten", "{ten", ":27: versions[0].layout[1].text: ** is opened and not closed" },
	{ "\"only_if\": \"co\"", "\"only_if\": \"cu\"",
	  ":28: versions[0].layout[2].only_if: \"cu\" is no field of this kind; "
	  "did you mean \"co\"?" },
	{ "{so|money}", "{so|date_words}",
	  ":29: versions[0].layout[2].lines[0].value: {so|date_words}: this format does not suit" },
	{ "\"label\": \"Số\", \"value\": \"{so|money}\"", "\"label\": \"\"",
	  ":29: versions[0].layout[2].lines[0]: \"label\" and \"value\" are both missing" },
	{ "\"field\": \"bang\"", "\"field\": \"ten\"",
	  ":32: versions[0].layout[4].field: \"ten\" is no table" },
	{ "\"type\": \"signature\"", "\"type\": \"signature\", \"size_pt\": 72",
	  ":33: versions[0].layout[5].size_pt: must be a number from 6.0 to 36.0" },
	{ "\"type\": \"signature\"", "\"type\": \"space\"",
	  ":33: versions[0].layout[5]: \"space_pt\" is missing" },
	{ "\"type\": \"signature\"", "\"type\": \"qr\"",
	  ":25: versions[0].layout: 0 signature blocks; exactly 1 is allowed" },
	{ "{ \"type\": \"signature\" }",
	  "{ \"type\": \"signature\" }, { \"type\": \"national_header\" }",
	  ":25: versions[0].layout: at most 1 block each of national_header, number_date and qr" },
	{ "] }] }", "] }", ":35: ']' expected near end of file" },
};

static const struct broken copies[] = {
	{ "\"certified\"", "\"true\"",
	  ":7: versions[0].copy: must be one of: certified, register" },
	{ "\"copy\": \"certified\",", "",
	  ":21: versions[0].layout[3].only_if: \"_wrapped\" is no field of this kind" },
	{ "[\"person\", \"agency\"]", "[\"agency\"]",
	  ":12: versions[0].signs: who certifies a copy signs it" },
	{ "\"volume_numbers\": 200", "\"given\": false",
	  ":11: versions[0].number.book: needs \"volume_numbers\"" },
	{ "{v}/{yyyy}", "{yyyy}", ":11: versions[0].number.book: {v} must occur exactly once" },
	{ "{v}/{yyyy}", "{n}/{v}",
	  ":11: versions[0].number.book: in braces only {v}, {yyyy} and {unit} are allowed" },
	{ "\"{n}\"", "\"{n}/{w}\"",
	  ":10: versions[0].number.form: in braces only {n}, {yyyy}, {unit}, {v} are allowed" },
	{ "{_serial}", "", ":16: versions[0].layout: a copy must always show its number" },
	{ "{_book}", "", ":16: versions[0].layout: a copy must always show its book" },
	{ "{_date|capital}", "x", ":16: versions[0].layout: a copy must always show its date" },
	{ "{_sha256}", "", ":16: versions[0].layout: a copy must always show the original's SHA" },
	{ "{_format}", "", ":16: versions[0].layout: a copy must always show the original's for" },
	{ "{_bytes}", "", ":16: versions[0].layout: a copy must always show the original's len" },
	{ "{_wrapped}", "x", ":16: versions[0].layout: where no page shows the original, a copy "
	  "must say why" },
	{ "\"_wrapped\"", "\"_rebuilt\"", ":16: versions[0].layout: where no page shows" },
	{ "\"type\": \"qr\"", "\"type\": \"qr\", \"only_if\": \"ten\"",
	  ":16: versions[0].layout: a copy must always show its QR code" },
};

/* What is wrong with a copy from the register that only certified copies may be. */
static const struct broken untold[] = {
	{ "\"certified\"", "\"register\"", ":16: versions[0].layout: a copy from the register must "
	  "always show one field with \"original\": \"name\"" },
	{ "\"type\": \"text\",", "\"type\": \"text\", \"original\": \"name\",",
	  ":13: versions[0].fields: \"ten\" tells of an \"original\": only with" },
	{ "\"type\": \"text\",", "\"type\": \"text\", \"original\": \"date\",",
	  ":14: versions[0].fields[0].original: \"date\" is told by a date" },
	{ "\"type\": \"text\",", "\"type\": \"text\", \"original\": \"number\", "
	  "\"required\": false,",
	  ":14: versions[0].fields[0].required: the engine fills it" },
};

/* Of a kind that copies nothing. */
static const struct broken foreign[] = {
	{ "{ten|upper}", "{_sha256}",
	  ":25: versions[0].layout: {_sha256} tells of an original" },
	{ "{ten|upper}", "{_book}", ":25: versions[0].layout: {_book} needs \"book\"" },
	{ "{ten|upper}", "{_volume}",
	  ":25: versions[0].layout: {_volume} needs \"volume_numbers\"" },
	{ "{n}/K-{unit}", "{n}/{v}-{unit}",
	  ":9: versions[0].number.form: {v} needs \"volume_numbers\"" },
	{ "\"only_if\": \"co\"", "\"only_if\": \"_pages\"",
	  ":28: versions[0].layout[2].only_if: \"_pages\" is no field of this kind" },
};

static const struct broken units[] = {
	{ "\"to\": \"2025-06-30\",\n", "",
	  ":9: versions[1].from: versions overlap: versions[0] has no \"to\"" },
	{ "\"2025-07-01\"", "\"2025-06-30\"",
	  ":10: versions[1].from: versions overlap: versions[0] ends 2025-06-30" },
	{ "\"UBND\"", "\"0123456789012345678901234567890\"",
	  ":13: versions[1].notation: 31 bytes; 1 to 30 are allowed" },
	{ "\"seal\"", "\"successor\": \"u\", \"seal\"",
	  ":15: versions[1].successor: an agency cannot succeed itself" },
	{ "\"u.pbm\"", "\"../u.pbm\"",
	  ":15: versions[1].seal.image: must be the name of a file in the same folder" },
	{ ", \"optional\": true", "", ":15: versions[1].seal.image: " },
	{ "\"width_mm\": 36, ", "",
	  ":15: versions[1].seal: \"width_mm\" and \"height_mm\" are required" },
	{ "\"width_mm\": 36", "\"width_mm\": 200",
	  ":16: versions[1].seal.width_mm: must be a number from 1.0 to 100.0" },
	{ "\"versions\": [ {", "\"versions\": [ 5, {", ":3: versions[0]: must be an object { }" },
};

static const struct broken signers[] = {
	{ "\"TM\"", "\"XX\"", ":8: versions[0].authority: must be one of: TM, Q, KT, TL, TUQ" },
	{ "\"TM\"", "\"TUQ\"",
	  ":3: versions[0]: \"delegation\" is missing: \"TUQ\" needs its paper" },
	{ "\"TM\"", "\"TUQ\", \"delegation\": \"12/QĐ\"",
	  ":8: versions[0].authority: \"TUQ\" is limited in time: \"to\", its last day, is "
	  "missing" },
	{ "\"authority_line\": \"TM. ỦY BAN\",\n", "",
	  ":3: versions[0]: \"authority_line\" is missing: it is printed for \"TM\"" },
	{ "\"authority\": \"TM\",\n", "", ":8: versions[0].authority_line: needs \"authority\"" },
	{ "\"k\" ]", "7 ]", ":11: versions[0].kinds[0]: must be a text" },
	{ "\"code\"", "\"kode\"", ":2: kode: unknown key; did you mean \"code\"?" },
};

static void all_of(const char *name, const char *good, const struct broken *list, size_t n)
{
	struct tmpdir t;
	char path[600];

	assert_int_equal(tmpdir_make(&t), 0);
	schema_folder(t.path);
	snprintf(path, sizeof(path), "%s/%s", t.path, name);
	for (size_t i = 0; i < n; i++) {
		struct error e = { 0 };
		enum status st;

		schema_put(t.path, name, good, list[i].old, list[i].new);
		st = catalogue_check_file(path, &e);
		if (st != ST_INVALID || strncmp(e.text, path, strlen(path)) != 0 ||
		    strncmp(e.text + strlen(path), list[i].error, strlen(list[i].error)) != 0)
			fail_msg("%s for %s:\n%s\nwanted %s", list[i].new, list[i].old, e.text,
				 list[i].error);
	}
	tmpdir_remove(&t);
}

static void broken_kinds_are_told(void **state)
{
	all_of("results/k.json", good_kind, kinds, ARRAY_LEN(kinds));
	all_of("results/k.json", good_kind, foreign, ARRAY_LEN(foreign));
}

static void broken_copies_are_told(void **state)
{
	all_of("results/c.json", good_copy, copies, ARRAY_LEN(copies));
	all_of("results/c.json", good_copy, untold, ARRAY_LEN(untold));
}

static void broken_agencies_are_told(void **state)
{
	all_of("agencies/u.json", good_unit, units, ARRAY_LEN(units));
}

static void broken_signers_are_told(void **state)
{
	all_of("signers/s.json", good_signer, signers, ARRAY_LEN(signers));
}

static void good_files_pass_in_any_folder(void **state)
{
	const char *const good[] = { good_kind, good_unit, good_signer, good_copy };
	struct tmpdir t;
	struct error e;
	char path[600];

	assert_int_equal(tmpdir_make(&t), 0);
	snprintf(path, sizeof(path), "%s/anything", t.path);
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		schema_put(t.path, "anything", good[i], NULL, NULL);
		assert_int_equal(catalogue_check_file(path, &e), ST_OK);
	}
	schema_put(t.path, "anything", "{}", NULL, NULL);
	assert_int_equal(catalogue_check_file(path, &e), ST_INVALID);
	assert_non_null(strstr(e.text, ":1: neither a kind nor an agency nor a signer"));
	remove(path);
	assert_int_equal(catalogue_check_file(path, &e), ST_NOT_FOUND);
	tmpdir_remove(&t);
}

static void all_shipped_files_pass(void **state)
{
	glob_t g;

	assert_int_equal(glob(SOURCE_DIR "/schemas/*/*.json", 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= 5);
	for (size_t i = 0; i < g.gl_pathc; i++) {
		struct error e = { 0 };

		if (catalogue_check_file(g.gl_pathv[i], &e) != ST_OK)
			fail_msg("%s", e.text);
	}
	globfree(&g);
}

/* ---- what nobody thought of: mutated files are refused or good, and nothing breaks ---- */

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* Changes a byte, or copies, cuts or repeats a span of text. */
static size_t mutate(char *text, size_t n, size_t max, uint64_t *s)
{
	static const char likely[] = "{}[]\",:\\*_|0189-.tfn \n\xe1\xff";
	size_t at = next_random(s) % n, span = next_random(s) % 24 + 1;

	span = span < n - at ? span : n - at;
	switch (next_random(s) % 4) {
	case 0:
		text[at] = likely[next_random(s) % (sizeof(likely) - 1)];
		return n;
	case 1:
		memmove(text + at, text + at + span, n - at - span);
		return n - span > 0 ? n - span : n;
	case 2:
		if (n + span > max)
			return n;
		memmove(text + at + span, text + at, n - at);
		return n + span;
	default:
		memmove(text + at, text + next_random(s) % (n - span + 1), span);
		return n;
	}
}

static void mutated_files_never_break_it(void **state)
{
	const char *const good[] = { good_kind, good_unit, good_signer, good_copy };
	uint64_t seed = 20261124;
	struct tmpdir t;
	char path[600], text[8192];

	assert_int_equal(tmpdir_make(&t), 0);
	snprintf(path, sizeof(path), "%s/f.json", t.path);
	for (int i = 0; i < 6000; i++) {
		const char *from = good[i % 4];
		size_t n = strlen(from);
		struct error e = { 0 };
		enum status st;
		FILE *f = fopen(path, "w");

		memcpy(text, from, n);
		for (uint64_t m = next_random(&seed) % 4 + 1; m > 0; m--)
			n = mutate(text, n, sizeof(text), &seed);
		fwrite(text, 1, n, f);
		fclose(f);
		st = catalogue_check_file(path, &e);
		assert_true(st == ST_OK || st == ST_INVALID);
		if (st == ST_INVALID)
			assert_int_equal(strncmp(e.text, path, strlen(path)), 0);
	}
	tmpdir_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broken_kinds_are_told),
		cmocka_unit_test(broken_copies_are_told),
		cmocka_unit_test(broken_agencies_are_told),
		cmocka_unit_test(broken_signers_are_told),
		cmocka_unit_test(good_files_pass_in_any_folder),
		cmocka_unit_test(all_shipped_files_pass),
		cmocka_unit_test(mutated_files_never_break_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
