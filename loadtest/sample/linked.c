/* What other agencies of Lạc Xuân add to a birth: one submission, three results (NĐ 63/2024). */
#include "sample/kinds.h"

#define INSURER "bhxh-lac-xuan"
#define POLICE "cong-an-lac-xuan"

void fill_residence_notice(struct build *b)
{
	struct case_result *r = build_result(b, "thong-bao-dang-ky-cu-tru",
					     "cong-an-lac-xuan-luong-duc-manh");

	r->unit = slice_str(POLICE);
	subject_holders(b);
	set_text(b, r, "nguoi_yeu_cau", b->kin.name);
	set_text(b, r, "ho_ten", b->who.name);
	set_date(b, r, "ngay_sinh", b->who.birth);
	set_text(b, r, "gioi_tinh", person_sex_word(&b->who));
	set_text(b, r, "so_dinh_danh", b->who.number);
	set_text(b, r, "noi_dung", "Đăng ký thường trú");
	set_text(b, r, "dia_chi", b->who.home);
	set_day(b, r, "ngay_dang_ky", working_day_ms(0));
	set_text(b, r, "chu_ho", b->kin.name);
	set_text(b, r, "quan_he_chu_ho", "Con");
	set_text(b, r, "chu_ho_dinh_danh", b->kin.number);
}

void fill_insurance_card(struct build *b)
{
	static const char *const stations[][2] = {
		{ "Trạm Y tế phường Lạc Xuân", "99011" },
		{ "Bệnh viện đa khoa khu vực Lạc Giang", "99003" },
	};
	struct case_result *r = build_result(b, "the-bao-hiem-y-te",
					     "bhxh-lac-xuan-tran-quoc-bao");
	uint32_t at = random_below(&b->random, ARRAY_LEN(stations));
	struct partial_date from = b->who.birth;

	/* Of a child under six: from its birth to the end of September before it goes to school. */
	if (from.day == 0)
		from = (struct partial_date){ from.year, 9, 2 };
	r->unit = slice_str(INSURER);
	subject_holders(b);
	set_text(b, r, "ma_so", build_text(b, "99%08u", random_below(&b->random, 100000000)));
	set_text(b, r, "muc_huong", "1");
	set_text(b, r, "ho_ten", b->who.name);
	set_date(b, r, "ngay_sinh", b->who.birth);
	set_text(b, r, "gioi_tinh", person_sex_word(&b->who));
	set_text(b, r, "dia_chi", b->who.home);
	set_text(b, r, "noi_kham", stations[at][0]);
	set_text(b, r, "ma_noi_kham", stations[at][1]);
	set_date(b, r, "gia_tri_tu", from);
	set_date(b, r, "gia_tri_den",
		 (struct partial_date){ (uint16_t)(from.year + 6), 9, 30 });
}
