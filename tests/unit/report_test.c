/* What people are told of a verified file, in both languages, and what machines are. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "verify/report.h"

static struct report good(void)
{
	struct report r = { .own = true, .signatures_n = 2, .file_bytes = 9000,
			    .issued_bytes = 9000,
			    .said = { .read = true, .unit = "H56.1", .kind = "k",
				      .unit_name = "UBND phường X", .kind_name = "Giấy xác nhận",
				      .number = "07/GXN-UBND" } };

	snprintf(r.signatures[0].subject, sizeof(r.signatures[0].subject), "Nguyễn Văn A");
	snprintf(r.signatures[1].subject, sizeof(r.signatures[1].subject), "UBND phường X");
	r.signatures[0].signed_ms = 1782900000000;	/* 1 July 2026, 17:00 in Vietnam */
	r.signatures[1].signed_ms = INT64_MIN;
	return r;
}

static struct asked issued(enum life life)
{
	return (struct asked){ .standing = STANDING_ISSUED, .life = life, .unit_name = "Phường X",
			       .result_id = "0123456789ABCDEFGHJKMNPQRS", .kind_name = "Giấy",
			       .number = "07/G", .paper_number = "45/QĐ", .ground = "Sai",
			       .paper_day = 20260705, .valid_until = 20261231 };
}

static void says(uint32_t which, const struct report *r, const struct asked *a, const char *vi,
		 const char *en)
{
	char text[REPORT_SENTENCE_BYTES];

	report_sentence(text, REPORT_VI, which, r, a);
	assert_string_equal(text, vi);
	report_sentence(text, REPORT_EN, which, r, a);
	assert_string_equal(text, en);
}

static void test_unchanged(void **state)
{
	struct report r = good();
	struct asked a = issued(LIFE_VALID), other = { .standing = STANDING_DIFFERENT,
						       .result_id = "ID" };

	says(0, &r, NULL, "Tệp không bị thay đổi kể từ khi ký.",
	     "The file has not been changed since it was signed.");
	says(0, &r, &a, "Tệp không bị thay đổi kể từ khi ký, và đúng từng byte là tệp đã được cấp.",
	     "The file has not been changed since it was signed, and is bit for bit the file that "
	     "was issued.");
	r.issued_bytes = 8000;
	says(0, &r, NULL, "Tệp không bị thay đổi kể từ khi ký (phía sau chỉ có bằng chứng được bổ "
	     "sung).", "The file has not been changed since it was signed (with nothing but "
	     "evidence added behind it).");
	says(0, &r, &a, "Tệp không bị thay đổi kể từ khi ký, và đúng từng byte là tệp đã được cấp "
	     "(phía sau chỉ có bằng chứng được bổ sung).",
	     "The file has not been changed since it was signed, and is bit for bit the file that "
	     "was issued (with nothing but evidence added behind it).");
	r.issued_bytes = r.file_bytes;
	/* Whatever its signatures are worth. */
	says(0, &r, &other, "Đây KHÔNG phải tệp đã được cấp là ID: tệp đã bị sửa hoặc làm giả.",
	     "This is NOT the file that was issued as ID: it was changed, or made up.");
	r.finding = (struct finding){ VERDICT_FAILED, IND_HASH_FAILURE, "x" };
	says(0, &r, NULL, "Tệp KHÔNG được coi là nguyên vẹn: nội dung không còn là nội dung đã "
	     "được ký.", "The file does NOT count as unchanged: its content is not what was "
	     "signed.");
	r.finding = (struct finding){ VERDICT_INDETERMINATE, IND_TRY_LATER, "x" };
	says(0, &r, NULL, "Chưa kết luận được tệp có nguyên vẹn hay không: thiếu thông tin thu hồi "
	     "chứng thư số còn mới.", "Whether the file is unchanged is undetermined: there is no "
	     "recent word on whether a certificate was revoked.");
}

static void test_by_whom(void **state)
{
	struct report r = good();
	struct asked a = issued(LIFE_VALID), other = { .standing = STANDING_DIFFERENT };

	says(1, &r, NULL, "Giấy xác nhận số 07/GXN-UBND, do UBND phường X cấp; ký bởi Nguyễn Văn A "
	     "lúc 17:00 ngày 01/07/2026 và UBND phường X.",
	     "Giấy xác nhận no. 07/GXN-UBND, issued by "
	     "UBND phường X; signed by Nguyễn Văn A at 17:00 2026-07-01 and UBND phường X.");
	/* The record's names before the file's. */
	a.number[0] = '\0';
	r.signatures_n = 0;
	says(1, &r, &a, "Giấy, do Phường X cấp.", "Giấy, issued by Phường X.");
	r.signatures_n = 1;
	says(1, &r, &other, "Không xác nhận được ai đã cấp và ai đã ký; tệp mang chữ ký đứng tên "
	     "Nguyễn Văn A lúc 17:00 ngày 01/07/2026.",
	     "Who issued and who signed it is not confirmed; "
	     "it has signatures in the name of Nguyễn Văn A at 17:00 2026-07-01.");
	r.said.read = false;
	says(1, &r, NULL, "Tệp không do hệ thống này lập nên không rõ cơ quan cấp; ký bởi Nguyễn "
	     "Văn A lúc 17:00 ngày 01/07/2026.",
	     "The file was not made by this system: its issuer is "
	     "not known here; signed by Nguyễn Văn A at 17:00 2026-07-01.");
	r.finding = (struct finding){ VERDICT_FAILED, IND_FORMAT_FAILURE, "x" };
	r.signatures_n = 0;
	says(1, &r, NULL, "Không tìm thấy chữ ký số nào đọc được trong tệp.",
	     "No signature that can be read was found in it.");
}

static void test_in_force(void **state)
{
	static const struct { enum life life; const char *vi, *en; } rows[] = {
		{ LIFE_VALID, "Còn hiệu lực.", "Still in force." },
		{ LIFE_CORRECTED, "Còn hiệu lực, đã đính chính theo công văn số 45/QĐ ngày "
		  "05/07/2026: Sai.", "Still in force, corrected by 45/QĐ of 2026-07-05: Sai." },
		{ LIFE_REPLACED, "Đã được thay thế bởi kết quả NEW.", "Replaced by result NEW." },
		{ LIFE_REVOKED, "Đã bị thu hồi theo quyết định số 45/QĐ ngày 05/07/2026: Sai. Kết "
		  "quả thay thế là NEW.", "Revoked by decision 45/QĐ of 2026-07-05: Sai. Result "
		  "NEW stands in its place." },
		{ LIFE_EXPIRED, "Đã hết hiệu lực; ngày cuối cùng là 31/12/2026.",
		  "Expired; its last day was 2026-12-31." },
	};
	struct report r = good();
	struct asked silent = issued(LIFE_REVOKED);

	/* A public page does not tell why. */
	silent.ground[0] = '\0';
	says(2, &r, &silent, "Đã bị thu hồi theo quyết định số 45/QĐ ngày 05/07/2026.",
	     "Revoked by decision 45/QĐ of 2026-07-05.");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct asked a = issued(rows[i].life);

		memcpy(a.replaced_by, "NEW", 4);
		says(2, &r, &a, rows[i].vi, rows[i].en);
		assert_int_equal(asked_good(&a), rows[i].life <= LIFE_CORRECTED);
	}
	says(2, &r, NULL, "Chưa hỏi kết quả này còn hiệu lực hay không.",
	     "Whether it is still in force was not asked.");
	for (enum standing s = STANDING_DIFFERENT; s <= STANDING_PENDING; s++) {
		struct asked a = { .standing = s };
		char vi[REPORT_SENTENCE_BYTES], en[REPORT_SENTENCE_BYTES];

		report_sentence(vi, REPORT_VI, 2, &r, &a);
		report_sentence(en, REPORT_EN, 2, &r, &a);
		assert_true(vi[0] != '\0' && en[0] != '\0' && strcmp(vi, en) != 0);
		assert_null(strstr(vi, "Còn hiệu lực."));
		assert_false(asked_good(&a));
	}
}

/* Every sub-indication has words of its own, in both languages. */
static void test_each_indication(void **state)
{
	char before[REPORT_LANGUAGES][REPORT_SENTENCE_BYTES] = { "", "" };
	struct report r = good();

	for (enum indication i = IND_FORMAT_FAILURE; i < IND_COUNT; i++)
		for (enum report_language in = REPORT_VI; in < REPORT_LANGUAGES; in++) {
			char text[REPORT_SENTENCE_BYTES];

			r.finding = (struct finding){ VERDICT_INDETERMINATE, i, "x" };
			report_sentence(text, in, 0, &r, NULL);
			assert_string_not_equal(text, before[in]);
			assert_null(strstr(text, "null"));
			memcpy(before[in], text, sizeof(text));
		}
}

/* Names as long as they may be: cut at a letter, never beyond. */
static void test_long_names(void **state)
{
	struct report r = good();
	char text[REPORT_SENTENCE_BYTES];
	json_t *j;
	size_t n;

	r.signatures_n = VERIFY_SIGNATURES_MAX;
	for (uint8_t i = 0; i < r.signatures_n; i++) {
		char *p = r.signatures[i].subject;

		for (n = 0; n + 3 < sizeof(r.signatures[i].subject); n += 3)
			memcpy(p + n, "\xE1\xBB\x87", 3);
		p[n] = '\0';
		r.signatures[i].signed_ms = 0;
	}
	for (n = 0; n + 3 < sizeof(r.said.unit_name); n += 3)
		memcpy(r.said.unit_name + n, "\xE1\xBB\x87", 3);
	memcpy(r.said.kind_name, r.said.unit_name, sizeof(r.said.kind_name));
	report_sentence(text, REPORT_VI, 1, &r, NULL);
	assert_true(strlen(text) < sizeof(text));
	j = json_string(text);		/* takes whole letters only */
	assert_non_null(j);
	json_decref(j);
}

static void test_json(void **state)
{
	struct report r = good();
	struct asked a = issued(LIFE_REVOKED);
	json_t *j = report_json(&r, &a), *s = json_object_get(j, "signatures");

	assert_string_equal(json_string_value(json_object_get(j, "schema")), REPORT_SCHEMA);
	assert_string_equal(json_string_value(json_object_get(j, "verdict")), "TOTAL-PASSED");
	assert_string_equal(json_string_value(json_object_get(j, "standing")), "ISSUED");
	assert_string_equal(json_string_value(json_object_get(json_object_get(j, "issued"),
							      "paperDate")), "2026-07-05");
	assert_string_equal(json_string_value(json_object_get(json_array_get(s, 0), "signTime")),
			    "2026-07-01T10:00:00Z");
	assert_true(json_is_null(json_object_get(json_array_get(s, 1), "signTime")));
	s = json_object_get(json_object_get(j, "sentences"), "vi");
	assert_int_equal(json_array_size(s), REPORT_SENTENCES);
	json_decref(j);
	j = report_json(&r, NULL);
	assert_string_equal(json_string_value(json_object_get(j, "standing")), "NOT_ASKED");
	assert_null(json_object_get(j, "issued"));
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unchanged), cmocka_unit_test(test_by_whom),
		cmocka_unit_test(test_in_force), cmocka_unit_test(test_each_indication),
		cmocka_unit_test(test_long_names), cmocka_unit_test(test_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
