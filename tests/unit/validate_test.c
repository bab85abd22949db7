#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "intake/validate.h"
#include "rawcase.h"
#include "tmpdir.h"

#define SCRATCH_BYTES (8u << 20)
#define ARENA_BYTES (1u << 20)

static struct tmpdir dir;
static struct catalogue *catalogue;
static struct codeset coverage;
static struct arena scratch, arena;
static struct rawcase c;
static struct submitted_case out;

static int set_up(void **state)
{
	if (tmpdir_make(&dir) != 0 || arena_init(&scratch, SCRATCH_BYTES) != ST_OK ||
	    arena_init(&arena, ARENA_BYTES) != ST_OK)
		return -1;
	catalogue = rawcase_catalogue(dir.path);
	rawcase_coverage(&coverage);
	return 0;
}

static int tear_down(void **state)
{
	catalogue_unref(catalogue);
	arena_free(&scratch);
	arena_free(&arena);
	tmpdir_remove(&dir);
	return 0;
}

static enum status validate_raw(const struct raw_case *raw)
{
	const struct validate_env env = { .catalogue = catalogue, .coverage = &coverage,
					  .day = RAWCASE_DAY, .scratch = &scratch };

	arena_reset(&scratch);
	out = (struct submitted_case){ 0 };
	return validate_case(&out, raw, &env, &arena);
}

static enum status validate(void)
{
	return validate_raw(&c.raw);
}

static void text(const char *field, const char *value)
{
	struct raw_field *f = rawcase_field(&c, field);

	f->type = FIELD_TEXT;
	f->text = slice_str(value);
}

static void date(uint32_t y, uint32_t m, uint32_t d)
{
	rawcase_field(&c, "ngay_sinh")->date = (struct raw_date){ true, y, m, d };
}

static void until(uint32_t y, uint32_t m, uint32_t d)
{
	rawcase_field(&c, "den_ngay")->date = (struct raw_date){ true, y, m, d };
}

static void amount(int64_t value, uint32_t decimals)
{
	struct raw_field *f = rawcase_field(&c, "so_tien");

	f->number.value = value;
	f->number.decimals = decimals;
}

/* ---- every reason ---- */

static char long_text[70000];

static void code(const char *value) { c.raw.code = slice_str(value); }
static void code_empty(void) { code(""); }
static void code_foreign(void) { code("có-dấu"); }
static void code_space(void) { code("H99 1"); }
static void code_long(void) { c.raw.code = slice_of(long_text, CASE_CODE_BYTES_MAX + 1); }
static void unit_unknown(void) { c.results[0].unit = slice_str("khong-co"); }
static void unit_garbage(void) { c.results[0].unit = slice_str("Nguyễn Văn A"); }
static void kind_unknown(void) { c.results[0].kind = slice_str("khong-co"); }
static void kind_over(void) { c.results[0].kind = slice_str("het-han"); }
static void signer_unknown(void) { c.results[0].signer = slice_str("x"); }
static void signer_missing(void) { c.results[0].signer = slice_str(""); }
static void signer_of_kind(void) { c.results[0].signer = slice_str("t"); }
static void signer_of_unit(void) { c.results[0].signer = slice_str("w"); }
static void missing(void) { rawcase_drop(&c, "ho_ten"); }
static void empty(void) { text("ho_ten", ""); }
static void blank(void) { text("ho_ten", "   "); }
static void unknown(void) { text("khong_co", "x"); }
static void unknown_garbage(void) { text("Nguyễn Văn A", "x"); }
static void twice(void)
{
	c.fields[0][c.results[0].fields_n++] = *rawcase_field(&c, "gioi_tinh");
}
static void no_value(void) { rawcase_field(&c, "ho_ten")->type = 0; }
static void wrong_type(void) { text("so_tien", "123"); }
static void too_long(void) { rawcase_field(&c, "ho_ten")->text = slice_of(long_text, 401); }
static void too_many_rows(void)
{
	static struct raw_row rows[4];

	for (int i = 0; i < 4; i++)
		rows[i] = c.rows[0];
	rawcase_field(&c, "bang")->table.rows = rows;
	rawcase_field(&c, "bang")->table.rows_n = 4;
}
static void cell_missing(void) { c.rows[1].cells_n = 1; }
static void cell_too_long(void) { c.cells[1][1] = slice_of(long_text, 21); }
static void cell_broken(void) { c.cells[0][1] = slice_str("a\nb"); }
static void not_in_list(void) { text("gioi_tinh", "Khác"); }
static void too_small(void) { amount(-1, 2); }
static void too_big(void) { amount(100001, 2); }
static void huge(void) { amount(INT64_MAX, 0); }
static void too_precise(void) { amount(1, 3); }
static void year_zero(void) { date(0, 1, 1); }
static void year_five_digits(void) { date(10000, 1, 1); }
static void month_13(void) { date(2000, 13, 1); }
static void day_32(void) { date(2000, 1, 32); }
static void day_without_month(void) { date(2000, 0, 5); }
static void february_30(void) { date(2000, 2, 30); }
static void no_leap(void) { date(1900, 2, 29); }
static void month_only(void) { until(2027, 2, 0); }
static void year_only(void) { until(2027, 0, 0); }
static void not_utf8(void) { text("ho_ten", "Tr\xe1\xba"); }
static void surrogate(void) { text("ho_ten", "a\xed\xa0\x80z"); }
static void overlong(void) { text("ho_ten", "a\xc0\xaf"); }
static void bell(void) { text("ho_ten", "Tên\x07"); }
static void nul(void) { rawcase_field(&c, "ho_ten")->text = slice_of("a\0b", 3); }
static void bidi(void) { text("ho_ten", "An \xe2\x80\xae" "nA"); }
static void tab(void) { text("ghi_chu", "a\tb"); }
static void carriage_return(void) { text("ghi_chu", "a\r\nb"); }
static void line_break(void) { text("ho_ten", "a\nb"); }
static void soft_hyphen(void) { text("ho_ten", "a\xc2\xad" "b"); }
static void zero_width(void) { text("ho_ten", "a\xe2\x80\x8b" "b"); }
static void private_use(void) { text("ho_ten", "a\xee\x80\x80"); }
static void emoji(void) { text("ho_ten", "Tên \xf0\x9f\x98\x80"); }
static void ideograph(void) { text("ho_ten", "漢"); }
static void lone_mark(void) { text("ho_ten", "\xcc\x81" "a"); }
static void holder_none(void) { c.raw.holders_n = 0; }
static void holder_kind(void) { c.holders[0].id_kind = 7; }
static void holder_number_missing(void) { c.holders[0].number = slice_str(""); }
static void holder_kind_missing(void) { c.holders[0].id_kind = ID_NONE; }
static void holder_short(void) { c.holders[0].number = slice_str("00109900000"); }
static void holder_letters(void) { c.holders[0].number = slice_str("00109900000x"); }
static void holder_small_letters(void)
{
	c.holders[0].id_kind = ID_PASSPORT;
	c.holders[0].number = slice_str("b1234567");
}
static void holder_tax(void)
{
	c.holders[0].id_kind = ID_TAX;
	c.holders[0].number = slice_str("0100100100-1");
}
static void holder_long(void)
{
	c.holders[0].id_kind = ID_OTHER;
	c.holders[0].number = slice_str("12345678901234567890123456789012345678901");
}
static void holder_country(void) { c.holders[0].country = slice_str("vn"); }
static void holder_country_foreign(void) { c.holders[0].country = slice_str("DE"); }
static void holder_nameless(void) { c.holders[0].name = slice_str(" "); }
static void holder_name_long(void) { c.holders[0].name = slice_of(long_text, NAME_BYTES_MAX + 1); }
static void holder_name_glyph(void) { c.holders[0].name = slice_str("李"); }
static void holder_role(void) { c.holders[0].role = 7; }
static void holder_first(void) { c.holders[0].role = HOLDER_GUARDIAN; }
static void holder_visibility(void) { c.holders[0].visibility = 3; }
static void holder_from(void) { c.holders[0].from = (struct raw_date){ true, 2026, 2, 30 }; }
static void holder_partial(void) { c.holders[0].to = (struct raw_date){ true, 2026, 2, 0 }; }
static void holder_order(void)
{
	c.holders[0].from = (struct raw_date){ true, 2026, 2, 2 };
	c.holders[0].to = (struct raw_date){ true, 2026, 2, 1 };
}
static void holder_twice(void) { rawcase_holder(&c)->number = c.holders[0].number; }
static void result_none(void) { c.raw.results_n = 0; }
static void result_twice(void) { rawcase_result(&c); }
static void ordinal(void) { c.results[0].ordinal = 65536; }
static void revision(void) { c.results[0].revision = 65536; }
static void revision_alone(void) { c.results[0].revision = 1; }
static void replaces_garbage(void) { c.results[0].replaces = slice_str("07/XNTTHN"); }
static void given_refused(void) { c.results[0].given_number = 7; }
static void given_text_refused(void) { c.results[0].given_text = slice_str("07"); }
static void given_missing(void) { c.results[0].kind = slice_str("so-cho-san"); }
static void given_text_long(void)
{
	given_missing();
	c.results[0].given_number = 7;
	c.results[0].given_text = slice_of(long_text, NUMBER_TEXT_BYTES_MAX + 1);
}
static void given_text_broken(void)
{
	given_missing();
	c.results[0].given_number = 7;
	c.results[0].given_text = slice_str("07\n08");
}
static void priority(void) { c.raw.priority = 4; }
static void request_id_long(void) { c.raw.request_id = slice_of(long_text, 65); }
static void request_id_control(void) { c.raw.request_id = slice_str("a\nb"); }
static void request_id_utf8(void) { c.raw.request_id = slice_str("a\xff"); }

#define FIELD0 "results[0].fields."

static const struct wrong {
	void (*make)(void);
	enum reason reason;
	const char *field, *detail;	/* detail NULL: whatever */
} wrongs[] = {
	{ code_empty, REASON_CASE_CODE_INVALID, "code", NULL },
	{ code_foreign, REASON_CASE_CODE_INVALID, "code", NULL },
	{ code_space, REASON_CASE_CODE_INVALID, "code", NULL },
	{ code_long, REASON_CASE_CODE_INVALID, "code", NULL },
	{ unit_unknown, REASON_UNIT_UNKNOWN, "results[0].unit", "khong-co" },
	{ unit_garbage, REASON_UNIT_UNKNOWN, "results[0].unit", "" },
	{ kind_unknown, REASON_KIND_UNKNOWN, "results[0].kind", "khong-co" },
	{ kind_over, REASON_KIND_NOT_EFFECTIVE, "results[0].kind", "het-han" },
	{ signer_unknown, REASON_SIGNER_UNKNOWN, "results[0].signer", "x" },
	{ signer_missing, REASON_SIGNER_UNKNOWN, "results[0].signer", "" },
	{ signer_of_kind, REASON_SIGNER_NOT_ALLOWED, "results[0].signer", "t" },
	{ signer_of_unit, REASON_SIGNER_NOT_ALLOWED, "results[0].signer", "w" },
	{ missing, REASON_FIELD_MISSING, FIELD0 "ho_ten", "" },
	{ empty, REASON_FIELD_MISSING, FIELD0 "ho_ten", "" },
	{ blank, REASON_FIELD_VALUE, FIELD0 "ho_ten", "blank" },
	{ unknown, REASON_FIELD_UNKNOWN, FIELD0 "khong_co", "fields[8]" },
	{ unknown_garbage, REASON_FIELD_UNKNOWN, FIELD0, "fields[8]" },
	{ twice, REASON_FIELD_DUPLICATE, FIELD0 "gioi_tinh", "fields[8]" },
	{ no_value, REASON_FIELD_TYPE, FIELD0 "ho_ten", "no value; the schema has text" },
	{ wrong_type, REASON_FIELD_TYPE, FIELD0 "so_tien", "text; the schema has number" },
	{ too_long, REASON_FIELD_TOO_LONG, FIELD0 "ho_ten", "401 bytes; at most 400" },
	{ too_many_rows, REASON_FIELD_TOO_LONG, FIELD0 "bang", "4 rows; at most 3" },
	{ cell_missing, REASON_FIELD_VALUE, FIELD0 "bang.rows[1]", NULL },
	{ cell_too_long, REASON_FIELD_TOO_LONG, FIELD0 "bang.rows[1].cells[1]", NULL },
	{ cell_broken, REASON_CHARACTER_REFUSED, FIELD0 "bang.rows[0].cells[1]", "U+000A" },
	{ not_in_list, REASON_FIELD_VALUE, FIELD0 "gioi_tinh", NULL },
	{ too_small, REASON_FIELD_VALUE, FIELD0 "so_tien", "at least 0" },
	{ too_big, REASON_FIELD_VALUE, FIELD0 "so_tien", "at most 1000" },
	{ huge, REASON_FIELD_VALUE, FIELD0 "so_tien", "at most 1000" },
	{ too_precise, REASON_FIELD_VALUE, FIELD0 "so_tien", "at most 2 decimals" },
	{ year_zero, REASON_DATE_INVALID, FIELD0 "ngay_sinh", "year" },
	{ year_five_digits, REASON_DATE_INVALID, FIELD0 "ngay_sinh", "year" },
	{ month_13, REASON_DATE_INVALID, FIELD0 "ngay_sinh", "month" },
	{ day_32, REASON_DATE_INVALID, FIELD0 "ngay_sinh", "day" },
	{ day_without_month, REASON_DATE_INVALID, FIELD0 "ngay_sinh", "day" },
	{ february_30, REASON_DATE_INVALID, FIELD0 "ngay_sinh", "there is no such day" },
	{ no_leap, REASON_DATE_INVALID, FIELD0 "ngay_sinh", "there is no such day" },
	{ month_only, REASON_DATE_INVALID, FIELD0 "den_ngay", "a whole date is needed" },
	{ year_only, REASON_DATE_INVALID, FIELD0 "den_ngay", "a whole date is needed" },
	{ not_utf8, REASON_UTF8_INVALID, FIELD0 "ho_ten", "" },
	{ surrogate, REASON_UTF8_INVALID, FIELD0 "ho_ten", "" },
	{ overlong, REASON_UTF8_INVALID, FIELD0 "ho_ten", "" },
	{ bell, REASON_CHARACTER_REFUSED, FIELD0 "ho_ten", "U+0007" },
	{ nul, REASON_CHARACTER_REFUSED, FIELD0 "ho_ten", "U+0000" },
	{ bidi, REASON_CHARACTER_REFUSED, FIELD0 "ho_ten", "U+202E" },
	{ tab, REASON_CHARACTER_REFUSED, FIELD0 "ghi_chu", "U+0009" },
	{ carriage_return, REASON_CHARACTER_REFUSED, FIELD0 "ghi_chu", "U+000D" },
	{ line_break, REASON_CHARACTER_REFUSED, FIELD0 "ho_ten", "U+000A" },
	{ soft_hyphen, REASON_CHARACTER_REFUSED, FIELD0 "ho_ten", "U+00AD" },
	{ zero_width, REASON_CHARACTER_REFUSED, FIELD0 "ho_ten", "U+200B" },
	{ private_use, REASON_CHARACTER_REFUSED, FIELD0 "ho_ten", "U+E000" },
	{ emoji, REASON_GLYPH_MISSING, FIELD0 "ho_ten", "U+1F600" },
	{ ideograph, REASON_GLYPH_MISSING, FIELD0 "ho_ten", "U+6F22" },
	{ lone_mark, REASON_GLYPH_MISSING, FIELD0 "ho_ten", "U+0301" },
	{ holder_none, REASON_HOLDER_MISSING, "holders", "" },
	{ holder_kind, REASON_HOLDER_INVALID, "holders[0].id_kind", NULL },
	{ holder_number_missing, REASON_HOLDER_INVALID, "holders[0].number", NULL },
	{ holder_kind_missing, REASON_HOLDER_INVALID, "holders[0].number", NULL },
	{ holder_short, REASON_HOLDER_INVALID, "holders[0].number", NULL },
	{ holder_letters, REASON_HOLDER_INVALID, "holders[0].number", NULL },
	{ holder_small_letters, REASON_HOLDER_INVALID, "holders[0].number", NULL },
	{ holder_tax, REASON_HOLDER_INVALID, "holders[0].number", NULL },
	{ holder_long, REASON_HOLDER_INVALID, "holders[0].number", NULL },
	{ holder_country, REASON_HOLDER_INVALID, "holders[0].country", NULL },
	{ holder_country_foreign, REASON_HOLDER_INVALID, "holders[0].country", NULL },
	{ holder_nameless, REASON_HOLDER_INVALID, "holders[0].name", NULL },
	{ holder_name_long, REASON_FIELD_TOO_LONG, "holders[0].name", NULL },
	{ holder_name_glyph, REASON_GLYPH_MISSING, "holders[0].name", "U+674E" },
	{ holder_role, REASON_HOLDER_INVALID, "holders[0].role", NULL },
	{ holder_first, REASON_HOLDER_INVALID, "holders[0].role", NULL },
	{ holder_visibility, REASON_HOLDER_INVALID, "holders[0].visibility", NULL },
	{ holder_from, REASON_DATE_INVALID, "holders[0].from", NULL },
	{ holder_partial, REASON_DATE_INVALID, "holders[0].to", NULL },
	{ holder_order, REASON_HOLDER_INVALID, "holders[0].to", NULL },
	{ holder_twice, REASON_HOLDER_INVALID, "holders[1].number", "the same as holders[0]" },
	{ result_none, REASON_RESULT_MISSING, "results", "" },
	{ result_twice, REASON_RESULT_DUPLICATE, "results[1]", "the same as results[0]" },
	{ ordinal, REASON_FIELD_VALUE, "results[0].ordinal", NULL },
	{ revision, REASON_FIELD_VALUE, "results[0].revision", NULL },
	{ revision_alone, REASON_FIELD_VALUE, "results[0].revision", NULL },
	{ replaces_garbage, REASON_REPLACES_UNKNOWN, "results[0].replaces", NULL },
	{ given_refused, REASON_NUMBER_GIVEN_REFUSED, "results[0].given_number", NULL },
	{ given_text_refused, REASON_NUMBER_GIVEN_REFUSED, "results[0].given_number", NULL },
	{ given_missing, REASON_NUMBER_GIVEN_MISSING, "results[0].given_number", NULL },
	{ given_text_long, REASON_FIELD_TOO_LONG, "results[0].given_text", NULL },
	{ given_text_broken, REASON_CHARACTER_REFUSED, "results[0].given_text", "U+000A" },
	{ priority, REASON_FIELD_VALUE, "priority", NULL },
	{ request_id_long, REASON_FIELD_TOO_LONG, "request_id", NULL },
	{ request_id_control, REASON_CHARACTER_REFUSED, "request_id", "U+000A" },
	{ request_id_utf8, REASON_UTF8_INVALID, "request_id", NULL },
};

static void each_reason(void **state)
{
	memset(long_text, 'x', sizeof(long_text));
	for (size_t i = 0; i < ARRAY_LEN(wrongs); i++) {
		const struct wrong *w = &wrongs[i];
		size_t used = arena.used;
		enum status st;

		rawcase_good(&c);
		w->make();
		st = validate();
		if (out.refusal.reason != w->reason || strcmp(out.refusal.field, w->field) != 0 ||
		    (w->detail != NULL && strcmp(out.refusal.detail, w->detail) != 0))
			fail_msg("%zu: %s at %s: %s", i, reason_text(out.refusal.reason)->name,
				 out.refusal.field, out.refusal.detail);
		assert_int_equal(st, reason_text(w->reason)->status);
		assert_int_equal(arena.used, used);
	}
}

/* ---- what comes out ---- */

static struct case_view decoded(void)
{
	struct case_view v;

	assert_int_equal(case_decode(&v, out.bytes, &scratch), ST_OK);
	return v;
}

static void assert_text(struct slice s, const char *value)
{
	assert_int_equal(s.n, strlen(value));
	assert_memory_equal(s.p, value, s.n);
}

static const struct field *field_named(const struct case_view *v, const char *name)
{
	for (uint8_t i = 0; i < v->results[0].fields_n; i++)
		if (slice_eq(v->results[0].fields[i].name, slice_str(name)))
			return &v->results[0].fields[i];
	fail_msg("there is no field %s", name);
	return NULL;
}

static void good_case(void **state)
{
	uint8_t key[16], digest[SHA256_BYTES];
	struct case_view v;

	rawcase_good(&c);
	assert_int_equal(validate(), ST_OK);
	assert_int_equal(out.refusal.reason, REASON_NONE);
	v = decoded();
	assert_text(out.code, "H99.11-261124-0001");
	assert_in_range((uintptr_t)out.code.p, (uintptr_t)out.bytes.p,
			(uintptr_t)out.bytes.p + out.bytes.n);
	assert_text(v.code, "H99.11-261124-0001");
	assert_int_equal(out.priority, PRIORITY_BULK);
	assert_int_equal(v.priority, PRIORITY_BULK);
	assert_text(v.request_id, "req-1");
	assert_int_equal(case_digest(out.bytes, digest), ST_OK);
	assert_memory_equal(out.digest, digest, SHA256_BYTES);

	assert_int_equal(v.holders_n, 1);
	assert_int_equal(v.holders[0].role, HOLDER_OWNER);
	assert_int_equal(v.holders[0].visibility, 1);
	assert_text(v.holders[0].country, "VN");
	assert_int_equal(v.holders[0].from, 0);

	assert_int_equal(out.results_n, 1);
	assert_string_equal(out.results[0].kind->code, "mau");
	assert_string_equal(out.results[0].unit->code, "u");
	assert_string_equal(out.results[0].signer->code, "s");
	assert_text(out.results[0].unit_code, "u");
	assert_text(out.results[0].kind_code, "mau");
	result_key(key, slice_str("u"), v.code, slice_str("mau"), 0, 0);
	assert_memory_equal(out.results[0].key, key, 16);
	holder_key_of_id(key, ID_CITIZEN, slice_str("VN"), slice_str("001099000001"));
	assert_int_equal(out.results[0].lane, lane_of_key(key));
}

static void fields_by_name(void **state)
{
	static const char *const order[] = { "bang", "co_con", "den_ngay", "ghi_chu",
					     "gioi_tinh", "ho_ten", "ngay_sinh", "so_tien" };
	struct case_view v;

	rawcase_good(&c);
	for (size_t i = 0; i < 4; i++) {
		struct raw_field f = c.fields[0][i];

		c.fields[0][i] = c.fields[0][7 - i];
		c.fields[0][7 - i] = f;
	}
	assert_int_equal(validate(), ST_OK);
	v = decoded();
	assert_int_equal(v.results[0].fields_n, 8);
	for (size_t i = 0; i < 8; i++)
		assert_text(v.results[0].fields[i].name, order[i]);
	assert_text(field_named(&v, "ghi_chu")->text, "dòng một\ndòng hai");
	assert_int_equal(field_named(&v, "ngay_sinh")->date.year, 1950);
	assert_int_equal(field_named(&v, "ngay_sinh")->date.month, 0);
	assert_int_equal(field_named(&v, "so_tien")->number.value, 12345);
	assert_int_equal(field_named(&v, "so_tien")->number.decimals, 2);
	assert_true(field_named(&v, "co_con")->flag);
	assert_int_equal(field_named(&v, "bang")->table.rows, 2);
	assert_text(field_named(&v, "bang")->table.cells[2], "Lê Thị Bé");
	assert_text(field_named(&v, "bang")->table.cells[1], "");
}

static void nfd_comes_out_composed(void **state)
{
	static const char nfd[] = "Tra\xcc\x82\xcc\x80n Thi\xcc\xa3 Bi\xcc\x81"
				  "ch Ngo\xcc\xa3" "c";
	uint8_t digest[SHA256_BYTES];
	struct case_view v;

	rawcase_good(&c);
	assert_int_equal(validate(), ST_OK);
	memcpy(digest, out.digest, sizeof(digest));
	text("ho_ten", nfd);
	c.holders[0].name = slice_str(nfd);
	text("gioi_tinh", "Nu\xcc\x9b\xcc\x83");
	c.cells[1][0] = slice_str("Le\xcc\x82 Thi\xcc\xa3 Be\xcc\x81");
	assert_int_equal(validate(), ST_OK);
	v = decoded();
	assert_text(field_named(&v, "ho_ten")->text, "Trần Thị Bích Ngọc");
	assert_text(v.holders[0].name, "Trần Thị Bích Ngọc");
	assert_text(field_named(&v, "gioi_tinh")->text, "Nữ");
	assert_memory_equal(out.digest, digest, sizeof(digest));
}

/* Bounds count what is stored: 40 bytes as NFC pass although they came as more. */
static void bounds_count_nfc(void **state)
{
	char nfd[100] = "";

	rawcase_good(&c);
	for (int i = 0; i < 20; i++)
		memcpy(nfd + 3 * i, "a\xcc\x81", 3);	/* composed: 2 bytes */
	text("ghi_chu", nfd);
	assert_int_equal(validate(), ST_OK);
	nfd[60] = 'b';
	text("ghi_chu", nfd);
	assert_int_equal(validate(), ST_INVALID);
	assert_string_equal(out.refusal.detail, "41 bytes; at most 40");
}

static void same_content_same_digest(void **state)
{
	uint8_t digest[SHA256_BYTES];
	struct raw_field f;

	rawcase_good(&c);
	assert_int_equal(validate(), ST_OK);
	memcpy(digest, out.digest, sizeof(digest));

	f = c.fields[0][0];
	c.fields[0][0] = c.fields[0][5];
	c.fields[0][5] = f;
	c.raw.priority = 1;
	c.raw.request_id = slice_str("another");
	c.raw.facts = slice_str("\x0a\x01x");
	c.raw.approval = slice_str("\x0a\x01y");
	c.holders[0].role = HOLDER_OWNER;
	c.holders[0].visibility = 1;
	c.holders[0].country = slice_str("VN");
	assert_int_equal(validate(), ST_OK);
	assert_memory_equal(out.digest, digest, sizeof(digest));
	assert_int_equal(out.priority, PRIORITY_INTERACTIVE);

	/* An optional text that is empty is one that was left out. */
	text("ghi_chu", "");
	assert_int_equal(validate(), ST_OK);
	assert_memory_not_equal(out.digest, digest, sizeof(digest));
	memcpy(digest, out.digest, sizeof(digest));
	rawcase_drop(&c, "ghi_chu");
	assert_int_equal(validate(), ST_OK);
	assert_memory_equal(out.digest, digest, sizeof(digest));
}

static void other_content_other_digest(void **state)
{
	uint8_t digest[SHA256_BYTES];

	rawcase_good(&c);
	assert_int_equal(validate(), ST_OK);
	memcpy(digest, out.digest, sizeof(digest));
	text("ho_ten", "Trần Thị Bích Ngoc");
	assert_int_equal(validate(), ST_OK);
	assert_memory_not_equal(out.digest, digest, sizeof(digest));
	rawcase_good(&c);
	amount(123450, 2);
	assert_int_equal(validate(), ST_INVALID);
	amount(1234, 1);
	assert_int_equal(validate(), ST_OK);
	assert_memory_not_equal(out.digest, digest, sizeof(digest));
	rawcase_good(&c);
	c.holders[0].visibility = 2;
	assert_int_equal(validate(), ST_OK);
	assert_memory_not_equal(out.digest, digest, sizeof(digest));
}

static void optional_fields_left_out(void **state)
{
	struct case_view v;

	rawcase_good(&c);
	rawcase_drop(&c, "ghi_chu");
	rawcase_drop(&c, "den_ngay");
	rawcase_field(&c, "bang")->table.rows_n = 0;
	assert_int_equal(validate(), ST_OK);
	v = decoded();
	assert_int_equal(v.results[0].fields_n, 5);
	assert_text(v.results[0].fields[0].name, "co_con");
}

/* ---- several results, several holders ---- */

static void several_results(void **state)
{
	rawcase_good(&c);
	rawcase_result(&c)->ordinal = 1;
	rawcase_result(&c)->unit = slice_str("v");
	c.results[2].signer = slice_str("w");
	assert_int_equal(validate(), ST_OK);
	assert_int_equal(out.results_n, 3);
	assert_memory_not_equal(out.results[0].key, out.results[1].key, 16);
	assert_memory_not_equal(out.results[0].key, out.results[2].key, 16);
	assert_int_equal(out.results[1].ordinal, 1);
	assert_text(out.results[2].unit_code, "v");
	/* One holder with a number: one lane. */
	assert_int_equal(out.results[0].lane, out.results[2].lane);
}

static void taken_or_refused_whole(void **state)
{
	size_t used;

	rawcase_good(&c);
	rawcase_result(&c)->ordinal = 1;
	c.fields[1][0].text = slice_str("\x07");
	used = arena.used;
	assert_int_equal(validate(), ST_INVALID);
	assert_string_equal(out.refusal.field, "results[1].fields.ho_ten");
	assert_int_equal(arena.used, used);
}

static void holders_without_a_number(void **state)
{
	struct case_view v;
	uint8_t key[16];

	rawcase_good(&c);
	c.holders[0] = (struct raw_holder){ .name = slice_str("Bé Gái"), .role = HOLDER_CHILD };
	*rawcase_holder(&c) = (struct raw_holder){
		.id_kind = ID_PASSPORT, .country = slice_str("DE"),
		.number = slice_str("C01X00T47"), .name = slice_str("Jürgen Müller"),
		.role = HOLDER_GUARDIAN, .from = { true, 2026, 11, 24 },
		.to = { true, 2044, 11, 23 } };
	*rawcase_holder(&c) = (struct raw_holder){ .name = slice_str("Bé Trai"),
						   .role = HOLDER_CHILD };
	assert_int_equal(validate(), ST_OK);
	v = decoded();
	assert_int_equal(v.holders_n, 3);
	assert_int_equal(v.holders[1].from, 20261124);
	assert_int_equal(v.holders[1].to, 20441123);
	assert_text(v.holders[1].country, "DE");
	holder_key(key, &v.holders[0], slice_str("u"), v.code, 0);
	assert_int_equal(out.results[0].lane, lane_of_key(key));
}

static void numbers_of_holders(void **state)
{
	static const struct { uint32_t kind; const char *number; } good[] = {
		{ ID_OLD_CITIZEN, "012345678" }, { ID_ENTERPRISE, "0100100100" },
		{ ID_ENTERPRISE, "0100100100-001" }, { ID_TAX, "8000000001" },
		{ ID_TAX, "001099000001" }, { ID_PASSPORT, "B1234567" }, { ID_OTHER, "AB-12" },
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		rawcase_good(&c);
		c.holders[0].id_kind = good[i].kind;
		c.holders[0].number = slice_str(good[i].number);
		assert_int_equal(validate(), ST_OK);
	}
}

/* ---- replaced results, given numbers ---- */

static void replaces(void **state)
{
	struct case_view v;

	rawcase_good(&c);
	/* Look-alikes and small letters are read as what they stand for. */
	c.results[0].replaces = slice_str("o1234567il0123456789abcdef");
	c.results[0].revision = 1;
	assert_int_equal(validate(), ST_OK);
	v = decoded();
	assert_text(v.results[0].replaces, "0123456711" "0123456789ABCDEF");
	assert_int_equal(v.results[0].revision, 1);
	/* A predecessor's result, or one of another case: its successor is a first issue here. */
	c.results[0].revision = 0;
	assert_int_equal(validate(), ST_OK);
}

static void given_numbers(void **state)
{
	struct case_view v;

	rawcase_good(&c);
	c.results[0].kind = slice_str("so-cho-san");
	c.results[0].signer = slice_str("t");
	c.results[0].given_number = 7;
	assert_int_equal(validate(), ST_OK);
	assert_int_equal(out.results[0].given_number, 7);
	assert_int_equal(out.results[0].given_text.n, 0);
	c.results[0].given_text = slice_str("07/SỔ-UBND");
	assert_int_equal(validate(), ST_OK);
	assert_text(out.results[0].given_text, "07/SỔ-UBND");
	/* Ours to keep: the request is gone when the spine reads it. */
	assert_in_range((uintptr_t)out.results[0].given_text.p, (uintptr_t)arena.base,
			(uintptr_t)arena.base + arena.used);
	v = decoded();
	assert_int_equal(v.results[0].given_number, 7);
	assert_text(v.results[0].given_text, "07/SỔ-UBND");
}

static void priorities(void **state)
{
	static const uint8_t want[] = { PRIORITY_NORMAL, PRIORITY_INTERACTIVE, PRIORITY_NORMAL,
					PRIORITY_BULK };

	for (uint32_t i = 0; i < ARRAY_LEN(want); i++) {
		rawcase_good(&c);
		c.raw.priority = i;
		assert_int_equal(validate(), ST_OK);
		assert_int_equal(out.priority, want[i]);
	}
}

/* ---- copies ---- */

static enum status validate_copy(const struct original *original, bool draft)
{
	const struct validate_env env = { .catalogue = catalogue, .coverage = &coverage,
					  .day = RAWCASE_DAY, .scratch = &scratch,
					  .original = original, .draft = draft };

	arena_reset(&scratch);
	out = (struct submitted_case){ 0 };
	return validate_case(&out, &c.raw, &env, &arena);
}

static void a_copy_needs_its_original(void **state)
{
	struct original original = { .format = ORIGINAL_PDF, .wrapped = ORIGINAL_SIGNED,
				     .size = 10, .pages = 1 };
	struct case_view view;

	rawcase_good(&c);
	assert_int_equal(validate_copy(&original, false), ST_INVALID);
	assert_int_equal(out.refusal.reason, REASON_KIND_COPIES_OTHER);
	assert_string_equal(out.refusal.field, "results[0].kind");
	c.results[0].kind = slice_str("c");
	c.results[0].fields_n = 1;
	c.fields[0][0] = (struct raw_field){ .name = slice_str("ten"), .type = FIELD_TEXT,
					     .text = slice_str("Bằng") };
	assert_int_equal(validate_copy(NULL, false), ST_INVALID);
	assert_int_equal(out.refusal.reason, REASON_ORIGINAL_MISSING);
	assert_string_equal(out.refusal.field, "results[0].kind");
	assert_int_equal(validate_copy(NULL, true), ST_OK);
	assert_int_equal(validate_copy(&original, false), ST_OK);
	arena_reset(&scratch);
	assert_int_equal(case_decode(&view, out.bytes, &scratch), ST_OK);
	assert_int_equal(view.results[0].original->wrapped, ORIGINAL_SIGNED);
	original.wrapped = ORIGINAL_OWN;
	assert_int_equal(validate_copy(&original, false), ST_INVALID);
	assert_int_equal(out.refusal.reason, REASON_KIND_COPIES_OTHER);
}

/* ---- bounds ---- */

static void too_large(void **state)
{
	const struct validate_env env = { .catalogue = catalogue, .coverage = &coverage,
					  .day = RAWCASE_DAY, .scratch = &scratch };
	static uint8_t block[64];
	struct arena small;

	rawcase_good(&c);
	memset(long_text, 'x', sizeof(long_text));
	c.raw.facts = slice_of(long_text, sizeof(long_text));
	c.raw.approval = slice_of(long_text, sizeof(long_text));
	assert_int_equal(validate(), ST_OK);
	/* An arena that is nearly spent. */
	arena_wrap(&small, block, sizeof(block));
	arena_reset(&scratch);
	out = (struct submitted_case){ 0 };
	assert_int_equal(validate_case(&out, &c.raw, &env, &small), ST_TOO_LARGE);
	assert_int_equal(out.refusal.reason, REASON_TOO_LARGE);
	assert_int_equal(small.used, 0);
}

/* ---- a holder by itself ---- */

static void holder_alone(void **state)
{
	struct raw_holder raw = { .id_kind = ID_CITIZEN, .number = slice_str("001099000001"),
				  .name = slice_str("Tra\xcc\x82\xcc\x80n"), .role = HOLDER_CHILD };
	struct refusal why = { 0 };
	struct holder h;

	arena_reset(&arena);
	assert_int_equal(validate_holder(&h, &raw, &coverage, &arena, &why), ST_OK);
	assert_text(h.name, "Trần");
	assert_text(h.country, "VN");
	assert_int_equal(h.role, HOLDER_CHILD);
	assert_in_range((uintptr_t)h.number.p, (uintptr_t)arena.base,
			(uintptr_t)arena.base + arena.used);
	raw.number = slice_str("");
	assert_int_equal(validate_holder(&h, &raw, &coverage, &arena, &why), ST_INVALID);
	assert_string_equal(why.field, "number");
	raw.number = slice_str("x");
	assert_int_equal(validate_holder(&h, &raw, &coverage, &arena, &why), ST_INVALID);
	assert_string_equal(why.field, "number");
}

/* ---- fuzz ---- */

static uint32_t next_random(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*seed >> 33);
}

static void mutate(uint8_t *bytes, size_t n, uint64_t *seed)
{
	for (uint32_t k = 1 + next_random(seed) % 4; k > 0; k--) {
		size_t at = next_random(seed) % n;

		switch (next_random(seed) % 4) {
		case 0:
			bytes[at] ^= (uint8_t)(1u << next_random(seed) % 8);
			break;
		case 1:
			bytes[at] = (uint8_t)next_random(seed);
			break;
		case 2:
			bytes[at] = 0xff;
			break;
		default:
			memmove(bytes + at, bytes + next_random(seed) % (at + 1), n - at);
		}
	}
}

/* Whatever is taken is sound: text without refused characters, NFC, and its digest its own. */
static void assert_sound(void)
{
	struct case_view v = decoded();

	assert_true(v.holders_n > 0 && v.results_n == out.results_n && v.code.n > 0);
	for (uint8_t i = 0; i < v.results[0].fields_n; i++) {
		struct slice rest = v.results[0].fields[i].text, nfc;

		if (v.results[0].fields[i].type != FIELD_TEXT)
			continue;
		assert_int_equal(utf8_nfc(rest, &scratch, &nfc), ST_OK);
		assert_true(slice_eq(rest, nfc));
		while (rest.n > 0) {
			uint32_t cp = (uint32_t)utf8_next(&rest);

			assert_true(cp == '\n' || codeset_has(&coverage, cp));
			assert_true(cp == '\n' || !utf8_refused(cp));
		}
	}
}

static void mutations(void **state)
{
	static uint8_t good[4096], bytes[4096];
	struct writer w = writer_of(good, sizeof(good));
	uint64_t seed = 20261124;
	uint32_t taken = 0, refused = 0, malformed = 0;
	size_t n;

	rawcase_good(&c);
	rawcase_holder(&c);
	rawcase_result(&c)->ordinal = 1;
	rawcase_write(&w, &c.raw);
	n = writer_size(&w);
	for (int round = 0; round < 30000; round++) {
		struct raw_case raw;
		struct refusal why = { 0 };

		memcpy(bytes, good, n);
		mutate(bytes, n, &seed);
		arena_reset(&arena);
		arena_reset(&scratch);
		if (raw_read(&raw, slice_of(bytes, n), &scratch, &why) != ST_OK) {
			assert_int_not_equal(why.reason, REASON_NONE);
			malformed++;
			continue;
		}
		/* The arrays stand in the scratch that validation goes on to use. */
		const struct validate_env env = { .catalogue = catalogue, .coverage = &coverage,
						  .day = RAWCASE_DAY, .scratch = &scratch };

		out = (struct submitted_case){ 0 };
		if (validate_case(&out, &raw, &env, &arena) == ST_OK) {
			assert_sound();
			taken++;
		} else {
			assert_int_not_equal(out.refusal.reason, REASON_NONE);
			assert_int_equal(arena.used, 0);
			refused++;
		}
	}
	assert_true(taken > 100 && refused > 100 && malformed > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reason), cmocka_unit_test(good_case),
		cmocka_unit_test(fields_by_name), cmocka_unit_test(nfd_comes_out_composed),
		cmocka_unit_test(bounds_count_nfc), cmocka_unit_test(same_content_same_digest),
		cmocka_unit_test(other_content_other_digest),
		cmocka_unit_test(optional_fields_left_out), cmocka_unit_test(several_results),
		cmocka_unit_test(taken_or_refused_whole),
		cmocka_unit_test(holders_without_a_number),
		cmocka_unit_test(numbers_of_holders), cmocka_unit_test(replaces),
		cmocka_unit_test(given_numbers), cmocka_unit_test(priorities),
		cmocka_unit_test(a_copy_needs_its_original),
		cmocka_unit_test(too_large), cmocka_unit_test(holder_alone),
		cmocka_unit_test(mutations),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
