#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "render/words.h"

static uint8_t buf[512];

static void expect(const struct writer *w, const char *text)
{
	uint8_t copy[sizeof(buf) + 1] = { 0 };

	assert_false(w->bad);
	memcpy(copy, w->start, writer_size(w));
	assert_string_equal((const char *)copy, text);
}

static void numbers_in_words(void **state)
{
	static const struct { int64_t value; const char *words; } cases[] = {
		{ 0, "Không" }, { 1, "Một" }, { 4, "Bốn" }, { 5, "Năm" }, { 10, "Mười" },
		{ 11, "Mười một" }, { 14, "Mười bốn" }, { 15, "Mười lăm" }, { 20, "Hai mươi" },
		{ 21, "Hai mươi mốt" }, { 24, "Hai mươi tư" }, { 25, "Hai mươi lăm" },
		{ 31, "Ba mươi mốt" }, { 44, "Bốn mươi tư" }, { 55, "Năm mươi lăm" },
		{ 91, "Chín mươi mốt" }, { 100, "Một trăm" }, { 101, "Một trăm linh một" },
		{ 104, "Một trăm linh bốn" }, { 105, "Một trăm linh năm" },
		{ 110, "Một trăm mười" },
		{ 111, "Một trăm mười một" }, { 115, "Một trăm mười lăm" },
		{ 121, "Một trăm hai mươi mốt" }, { 555, "Năm trăm năm mươi lăm" },
		{ 999, "Chín trăm chín mươi chín" }, { 1000, "Một nghìn" },
		{ 1001, "Một nghìn không trăm linh một" }, { 1010, "Một nghìn không trăm mười" },
		{ 1024, "Một nghìn không trăm hai mươi tư" }, { 1100, "Một nghìn một trăm" },
		{ 2000, "Hai nghìn" }, { 15000, "Mười lăm nghìn" }, { 21000, "Hai mươi mốt nghìn" },
		{ 100000, "Một trăm nghìn" }, { 500000, "Năm trăm nghìn" },
		{ 101001, "Một trăm linh một nghìn không trăm linh một" },
		{ 1000000, "Một triệu" }, { 1000005, "Một triệu không trăm linh năm" },
		{ 1005000, "Một triệu không trăm linh năm nghìn" },
		{ 1234000, "Một triệu hai trăm ba mươi tư nghìn" },
		{ 1000000000, "Một tỷ" }, { 1000000001, "Một tỷ không trăm linh một" },
		{ 2050000000, "Hai tỷ không trăm năm mươi triệu" },
		{ 1000000000000, "Một nghìn tỷ" },
		{ 1015000000000, "Một nghìn không trăm mười lăm tỷ" },
		{ 1000000000000000000, "Một tỷ tỷ" },
		{ -21, "Âm hai mươi mốt" },
		{ INT64_MAX, "Chín tỷ hai trăm hai mươi ba triệu ba trăm bảy mươi hai nghìn "
			     "không trăm ba mươi sáu tỷ tám trăm năm mươi tư triệu "
			     "bảy trăm bảy mươi lăm nghìn tám trăm linh bảy" },
		{ INT64_MIN, "Âm chín tỷ hai trăm hai mươi ba triệu ba trăm bảy mươi hai nghìn "
			     "không trăm ba mươi sáu tỷ tám trăm năm mươi tư triệu "
			     "bảy trăm bảy mươi lăm nghìn tám trăm linh tám" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct writer w = writer_of(buf, sizeof(buf));
		char with_unit[400];

		words_number(&w, cases[i].value, 0, RUN_MONEY_WORDS);
		snprintf(with_unit, sizeof(with_unit), "%s đồng", cases[i].words);
		expect(&w, with_unit);
	}
}

static void numbers_in_digits(void **state)
{
	static const struct {
		int64_t value;
		uint8_t decimals;
		enum run_format format;
		const char *text;
	} cases[] = {
		{ 12345, 1, RUN_PLAIN, "1234,5" },
		{ 12345, 1, RUN_NUMBER, "1.234,5" },
		{ 1234000, 0, RUN_MONEY, "1.234.000 đồng" },
		{ 0, 0, RUN_PLAIN, "0" },
		{ 0, 2, RUN_NUMBER, "0,00" },
		{ 5, 2, RUN_NUMBER, "0,05" },
		{ -5, 2, RUN_PLAIN, "-0,05" },
		{ -123456, 0, RUN_NUMBER, "-123.456" },
		{ 999, 0, RUN_NUMBER, "999" },
		{ 1000, 0, RUN_NUMBER, "1.000" },
		{ INT64_MIN, 0, RUN_NUMBER, "-9.223.372.036.854.775.808" },
		{ INT64_MAX, 18, RUN_NUMBER, "9,223372036854775807" },
		{ 12345, 1, RUN_MONEY_WORDS, "Một nghìn hai trăm ba mươi tư phẩy năm đồng" },
		{ 1005, 2, RUN_MONEY_WORDS, "Mười phẩy không năm đồng" },
		{ 1050, 2, RUN_MONEY_WORDS, "Mười phẩy năm đồng" },
		{ 1000, 2, RUN_MONEY_WORDS, "Mười đồng" },
		{ -1, 1, RUN_MONEY_WORDS, "Âm không phẩy một đồng" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct writer w = writer_of(buf, sizeof(buf));

		words_number(&w, cases[i].value, cases[i].decimals, cases[i].format);
		expect(&w, cases[i].text);
	}
}

static void dates(void **state)
{
	static const struct {
		struct partial_date date;
		enum run_format format;
		const char *text;
	} cases[] = {
		{ { 1990, 3, 5 }, RUN_DATE, "05/03/1990" },
		{ { 1990, 3, 5 }, RUN_PLAIN, "05/03/1990" },
		{ { 1990, 3, 0 }, RUN_DATE, "03/1990" },
		{ { 1990, 0, 0 }, RUN_DATE, "1990" },
		{ { 1990, 3, 5 }, RUN_DATE_LONG, "ngày 05 tháng 3 năm 1990" },
		{ { 2026, 1, 31 }, RUN_DATE_LONG, "ngày 31 tháng 01 năm 2026" },
		{ { 2026, 2, 9 }, RUN_DATE_LONG, "ngày 09 tháng 02 năm 2026" },
		{ { 1990, 3, 0 }, RUN_DATE_LONG, "tháng 3 năm 1990" },
		{ { 1990, 0, 0 }, RUN_DATE_LONG, "năm 1990" },
		{ { 1990, 3, 5 }, RUN_DATE_WORDS,
		  "Ngày năm, tháng ba, năm một nghìn chín trăm chín mươi" },
		{ { 2005, 4, 4 }, RUN_DATE_WORDS,
		  "Ngày bốn, tháng tư, năm hai nghìn không trăm linh năm" },
		{ { 2024, 12, 24 }, RUN_DATE_WORDS,
		  "Ngày hai mươi tư, tháng mười hai, năm hai nghìn không trăm hai mươi tư" },
		{ { 1945, 1, 31 }, RUN_DATE_WORDS,
		  "Ngày ba mươi mốt, tháng một, năm một nghìn chín trăm bốn mươi lăm" },
		{ { 1990, 3, 0 }, RUN_DATE_WORDS, "Tháng ba, năm một nghìn chín trăm chín mươi" },
		{ { 2000, 0, 0 }, RUN_DATE_WORDS, "Năm hai nghìn" },
		{ { 0, 0, 0 }, RUN_DATE_WORDS, "" },
		{ { 0, 0, 0 }, RUN_DATE_LONG, "" },
		{ { 0, 0, 0 }, RUN_DATE, "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct writer w = writer_of(buf, sizeof(buf));

		words_date(&w, cases[i].date, cases[i].format);
		expect(&w, cases[i].text);
	}
}

static void date_line(void **state)
{
	struct writer w = writer_of(buf, sizeof(buf));

	words_day(&w, 20261124);
	expect(&w, "ngày 24 tháng 11 năm 2026");
	w = writer_of(buf, sizeof(buf));
	words_day(&w, 20270203);
	expect(&w, "ngày 03 tháng 02 năm 2027");
}

static void capitals(void **state)
{
	static const char low[] = "aàáảãạăằắẳẵặâầấẩẫậbcdđeèéẻẽẹêềếểễệ giìíỉĩịoòóỏõọôồốổỗộơờớởỡợ"
				  "uùúủũụưừứửữựyỳýỷỹỵ 09.ƀ";
	static const char high[] = "AÀÁẢÃẠĂẰẮẲẴẶÂẦẤẨẪẬBCDĐEÈÉẺẼẸÊỀẾỂỄỆ GIÌÍỈĨỊOÒÓỎÕỌÔỒỐỔỖỘƠỜỚỞỠỢ"
				   "UÙÚỦŨỤƯỪỨỬỮỰYỲÝỶỸỴ 09.Ƀ";
	struct writer w = writer_of(buf, sizeof(buf));

	words_upper(&w, slice_str(low));
	expect(&w, high);
	w = writer_of(buf, sizeof(buf));
	words_upper(&w, slice_str(high));
	expect(&w, high);
	w = writer_of(buf, sizeof(buf));
	words_upper(&w, slice_str("a\xff"));
	assert_true(w.bad);
}

/* Whatever the room, the writer goes bad and never beyond its end. */
static void small_writers_go_bad(void **state)
{
	for (size_t room = 0; room < 40; room++) {
		struct writer w = writer_of(buf, room);

		buf[room] = 0x5a;
		words_number(&w, 1234567, 2, RUN_MONEY_WORDS);
		words_date(&w, (struct partial_date){ 1990, 3, 5 }, RUN_DATE_WORDS);
		assert_true(w.bad);
		assert_true(writer_size(&w) <= room);
		assert_int_equal(buf[room], 0x5a);
	}
}

/* The two writers follow what stands before them, and capitals fall on their own first letter. */
static void appends(void **state)
{
	struct writer w = writer_of(buf, sizeof(buf));

	write_str(&w, "là ");
	words_number(&w, 21, 0, RUN_MONEY_WORDS);
	write_str(&w, "; ");
	words_date(&w, (struct partial_date){ 1990, 3, 0 }, RUN_DATE_WORDS);
	expect(&w, "là Hai mươi mốt đồng; Tháng ba, năm một nghìn chín trăm chín mươi");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_in_words), cmocka_unit_test(numbers_in_digits),
		cmocka_unit_test(dates), cmocka_unit_test(date_line), cmocka_unit_test(capitals),
		cmocka_unit_test(small_writers_go_bad), cmocka_unit_test(appends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
