#include <stdio.h>

#include "sample/kinds.h"

static void set_subject(struct build *b, struct case_result *r)
{
	set_text(b, r, "ho_ten", b->who.name);
	set_date(b, r, "ngay_sinh", b->who.birth);
	set_text(b, r, "gioi_tinh", person_sex_word(&b->who));
	set_text(b, r, "dan_toc", b->who.ethnicity);
	set_text(b, r, "quoc_tich", b->who.nationality);
	set_text(b, r, "giay_to", b->who.paper);
	set_text(b, r, "noi_cu_tru", b->who.home);
}

static void set_parent(struct build *b, struct case_result *r, const char *const names[5],
		       const struct person *p)
{
	set_text(b, r, names[0], p->name);
	set_date(b, r, names[1], (struct partial_date){ p->birth.year, 0, 0 });
	set_text(b, r, names[2], p->ethnicity);
	set_text(b, r, names[3], p->nationality);
	set_text(b, r, names[4], p->home);
}

/* Nothing is registered before it happened: in the month after, or still in the year's last. */
static void not_before(struct partial_date *day, struct partial_date happened)
{
	if (day->year > happened.year || day->month > happened.month ||
	    (day->month == happened.month && day->day >= happened.day))
		return;
	if (happened.month < 11) {
		day->month = happened.month + 1;
	} else {
		day->month = happened.month;
		day->day = day->day > happened.day ? day->day : happened.day;
	}
}

/* Where, under which number and when a register took it: "87/2019, quyển số 01/2019". */
static void set_registration(struct build *b, struct case_result *r, uint32_t year_from,
			     uint32_t year_to, struct partial_date happened)
{
	char registry[PLACE_BYTES_MAX];
	uint32_t year = random_between(&b->random, year_from, year_to);
	struct partial_date day = { .year = (uint16_t)year };

	day.month = (uint8_t)random_between(&b->random, 1, year == SAMPLE_YEAR ? 11 : 12);
	place_registry(registry, &b->random, b->office, year);
	set_text(b, r, "noi_dang_ky", registry);
	set_text(b, r, "so_dang_ky",
		 build_text(b, "%02u/%u", random_between(&b->random, 1, 400), year));
	day.day = (uint8_t)random_between(&b->random, 1, 20);
	not_before(&day, happened);
	set_date(b, r, "ngay_dang_ky", day);
}

/* What a birth's entry says of the child and its parents. */
static void set_birth(struct build *b, struct case_result *r)
{
	static const char *const mother[] = { "me_ho_ten", "me_nam_sinh", "me_dan_toc",
					      "me_quoc_tich", "me_noi_cu_tru" };
	static const char *const father[] = { "cha_ho_ten", "cha_nam_sinh", "cha_dan_toc",
					      "cha_quoc_tich", "cha_noi_cu_tru" };
	char place[PLACE_BYTES_MAX];

	subject_holders(b);
	set_text(b, r, "ho_ten", b->who.name);
	set_date(b, r, "ngay_sinh", b->who.birth);
	set_text(b, r, "gioi_tinh", person_sex_word(&b->who));
	set_text(b, r, "dan_toc", b->who.ethnicity);
	set_text(b, r, "quoc_tich", b->who.nationality);
	place_event(place, &b->random, b->office);
	set_text(b, r, "noi_sinh", place);
	set_text(b, r, "que_quan", b->who.origin);
	if (b->who.id_kind == ID_CITIZEN)
		set_text(b, r, "so_dinh_danh", b->who.number);
	set_parent(b, r, mother, &b->kin);
	if (!b->fatherless)
		set_parent(b, r, father, &b->father);
}

void fill_birth(struct build *b)
{
	struct case_result *r = build_result(b, "trich-luc-khai-sinh", b->office->signer);
	uint32_t born = b->who.birth.year;
	/* Of one born this year the register is this year's. */
	uint32_t latest = born + 1 < SAMPLE_YEAR ? born + 1 : SAMPLE_YEAR;

	set_birth(b, r);
	set_registration(b, r, born < SAMPLE_YEAR ? latest : SAMPLE_YEAR, latest,
			 b->who.birth);
	if (random_chance(&b->random, 30))
		set_text(b, r, "ghi_chu",
			 "Cải chính năm sinh của người mẹ theo Trích lục cải chính hộ tịch số "
			 "12/TLCCHT.");
}

void fill_birth_certificate(struct build *b)
{
	struct case_result *r = build_result(b, "giay-khai-sinh", b->office->signer);

	set_birth(b, r);
	set_text(b, r, "noi_dang_ky", b->office->agency);
	set_text(b, r, "nguoi_khai", b->kin.name);
	set_text(b, r, "nguoi_khai_giay_to", b->kin.paper);
}

void fill_death(struct build *b)
{
	static const char *const causes[] = {
		"Bệnh già", "Tuổi cao, sức yếu", "Nhồi máu cơ tim", "Đột quỵ não", "Ung thư gan",
		"Tai nạn giao thông", "Suy hô hấp",
	};
	struct case_result *r = build_result(b, "trich-luc-khai-tu", b->office->signer);
	int64_t died = working_day_ms(-(int32_t)random_between(&b->random, 0, 12));
	struct civil day = civil_vietnam(died);
	char place[PLACE_BYTES_MAX], registry[PLACE_BYTES_MAX];

	if (b->c.holders_n == 0) {
		build_person(b, HOLDER_OWNER, &b->who);
		build_person(b, HOLDER_OTHER, &b->kin);
	}
	set_subject(b, r);
	set_text(b, r, "gio_chet",
		 build_text(b, "%02u giờ %02u phút", random_between(&b->random, 0, 23),
			    random_between(&b->random, 0, 59)));
	set_day(b, r, "ngay_chet", died);
	place_event(place, &b->random, b->office);
	set_text(b, r, "noi_chet", place);
	set_text(b, r, "nguyen_nhan", RANDOM_PICK(&b->random, causes));
	if (random_chance(&b->random, 600))
		set_text(b, r, "giay_bao_tu",
			 build_text(b, "Giấy báo tử số %02u/GBT, cấp ngày %02u/%02u/%u",
				    random_between(&b->random, 1, 90), day.day, day.month,
				    day.year));
	place_registry(registry, &b->random, b->office, SAMPLE_YEAR);
	set_text(b, r, "noi_dang_ky", registry);
	set_text(b, r, "so_dang_ky", build_text(b, "%02u/%u", random_between(&b->random, 1, 90),
						SAMPLE_YEAR));
	set_day(b, r, "ngay_dang_ky", working_day_ms(0));
}

static void set_spouse(struct build *b, struct case_result *r, const char *const names[6],
		       const struct person *p)
{
	set_text(b, r, names[0], p->name);
	set_date(b, r, names[1], p->birth);
	set_text(b, r, names[2], p->ethnicity);
	set_text(b, r, names[3], p->nationality);
	set_text(b, r, names[4], p->home);
	set_text(b, r, names[5], p->paper);
}

void fill_marriage(struct build *b)
{
	static const char *const wife[] = { "vo_ho_ten", "vo_ngay_sinh", "vo_dan_toc",
					    "vo_quoc_tich", "vo_noi_cu_tru", "vo_giay_to" };
	static const char *const husband[] = { "chong_ho_ten", "chong_ngay_sinh",
					       "chong_dan_toc",	   "chong_quoc_tich",
					       "chong_noi_cu_tru", "chong_giay_to" };
	struct case_result *r = build_result(b, "trich-luc-ket-hon", b->office->signer);
	uint32_t younger = b->who.birth.year > b->kin.birth.year ? b->who.birth.year
								 : b->kin.birth.year;
	/* Both are of age; the registers of the office go back to 1991. */
	uint32_t first = younger + 20 > 1991 ? younger + 20 : 1991;

	if (b->c.holders_n == 0) {
		build_person(b, HOLDER_SPOUSE, &b->who);
		build_person(b, HOLDER_SPOUSE, &b->kin);
	}
	set_spouse(b, r, wife, &b->who);
	set_spouse(b, r, husband, &b->kin);
	set_registration(b, r, first < SAMPLE_YEAR ? first : SAMPLE_YEAR, SAMPLE_YEAR,
			 (struct partial_date){ 0 });
}

void fill_marital(struct build *b)
{
	static const char *const states[] = {
		"Hiện tại chưa đăng ký kết hôn với ai",
		"Hiện tại chưa đăng ký kết hôn với ai",
		"Hiện tại chưa đăng ký kết hôn với ai",
		"Đã đăng ký kết hôn, nhưng đã ly hôn theo Quyết định công nhận thuận tình ly hôn "
		"số 15/2023/QĐST-HNGĐ ngày 08 tháng 5 năm 2023; hiện tại chưa đăng ký kết hôn với "
		"ai",
		"Đã đăng ký kết hôn, nhưng người đó đã chết; hiện tại chưa đăng ký kết hôn với ai",
	};
	static const char *const purposes[] = {
		"làm thủ tục đăng ký kết hôn", "bổ sung hồ sơ vay vốn ngân hàng",
		"làm thủ tục chuyển nhượng quyền sử dụng đất", "bổ sung hồ sơ xuất khẩu lao động",
		"làm thủ tục mua nhà ở xã hội",
	};
	struct case_result *r = build_result(b, "xac-nhan-tinh-trang-hon-nhan", b->office->signer);

	subject_holders(b);
	set_text(b, r, "nguoi_yeu_cau", b->who.name);
	set_subject(b, r);
	if (random_chance(&b->random, 300)) {
		uint16_t from = (uint16_t)random_between(&b->random, 2012, 2020);

		set_date(b, r, "cu_tru_tu", (struct partial_date){ from, 3, 15 });
		set_date(b, r, "cu_tru_den",
			 (struct partial_date){ (uint16_t)(from + 4), 11, 30 });
	}
	set_text(b, r, "tinh_trang", RANDOM_PICK(&b->random, states));
	set_text(b, r, "muc_dich", RANDOM_PICK(&b->random, purposes));
}

static const char *relation_of(const struct person *p, const struct person *head)
{
	int older = head->birth.year - p->birth.year;

	if (older >= 18)
		return p->female ? "Mẹ đẻ" : "Cha đẻ";
	if (older <= -18)
		return "Con";
	return older > 0 ? p->female ? "Chị gái" : "Anh trai" : p->female ? "Em gái" : "Em trai";
}

static void add_members(struct build *b, struct case_result *r, const struct person *head,
			uint16_t members)
{
	struct field *table = set_table(b, r, "thanh_vien", members, 5);

	for (uint16_t i = 0; i < members; i++) {
		struct person p;

		person_make(&p, &b->random, b->office, SEX_ANY, 1, 80);
		add_row(b, table, (const char *const[]){
			p.name, vietnamese_date(b, p.birth), person_sex_word(&p), p.number,
			members > 10 ? "Ở nhờ" : relation_of(&p, head) });
	}
}

void fill_residence(struct build *b)
{
	struct case_result *r = build_result(b, "xac-nhan-thong-tin-ve-cu-tru", b->office->signer);
	bool head = !b->child && random_chance(&b->random, 500);
	const struct person *of;
	struct person other;

	subject_holders(b);
	person_make(&other, &b->random, b->office, SEX_ANY, 35, 75);
	of = b->child ? &b->kin : head ? &b->who : &other;
	set_text(b, r, "nguoi_yeu_cau", b->child ? b->kin.name : b->who.name);
	set_text(b, r, "ho_ten", b->who.name);
	set_date(b, r, "ngay_sinh", b->who.birth);
	set_text(b, r, "gioi_tinh", person_sex_word(&b->who));
	set_text(b, r, "dan_toc", b->who.ethnicity);
	set_text(b, r, "ton_giao", random_chance(&b->random, 850) ? "Không" : "Phật giáo");
	set_text(b, r, "quoc_tich", b->who.nationality);
	set_text(b, r, "giay_to", b->who.paper);
	set_text(b, r, "que_quan", b->who.origin);
	if (b->who.id_kind != ID_PASSPORT)
		set_text(b, r, "thuong_tru", b->who.home);
	else
		set_text(b, r, "tam_tru", b->who.home);
	set_text(b, r, "noi_o_hien_tai", b->who.home);
	set_text(b, r, "chu_ho", of->name);
	set_text(b, r, "quan_he_chu_ho",
		 b->child ? "Con" : head ? "Chủ hộ" : relation_of(&b->who, of));
	set_text(b, r, "chu_ho_dinh_danh", of->number);
	if (random_chance(&b->random, 8))
		/* A dormitory or a convent is one household. */
		add_members(b, r, of, (uint16_t)random_between(&b->random, 60, 140));
	else if (random_chance(&b->random, 800))
		add_members(b, r, of, (uint16_t)random_between(&b->random, 1, 6));
}
