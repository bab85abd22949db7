#include <stdio.h>

#include "sample/kinds.h"

static const struct { const char *name, *code; } trades[] = {
	{ "Bán lẻ lương thực, thực phẩm, đồ uống, thuốc lá, thuốc lào chiếm tỷ trọng lớn trong các "
	  "cửa hàng kinh doanh tổng hợp",
	  "4711" },
	{ "Dịch vụ ăn uống phục vụ lưu động", "5610" },
	{ "Dịch vụ phục vụ đồ uống", "5630" },
	{ "Cắt tóc, làm đầu, gội đầu", "9631" },
	{ "May trang phục (trừ trang phục từ da lông thú)", "1410" },
	{ "Bán lẻ hàng may mặc, giày dép, hàng da và giả da trong các cửa hàng chuyên doanh",
	  "4771" },
	{ "Sửa chữa máy vi tính và thiết bị ngoại vi", "9511" },
	{ "Bán lẻ thuốc, dụng cụ y tế, mỹ phẩm và vật phẩm vệ sinh", "4772" },
	{ "Dịch vụ lưu trú ngắn ngày", "5510" },
	{ "Gia công cơ khí; xử lý và tráng phủ kim loại", "2592" },
	{ "Bảo dưỡng, sửa chữa ô tô và xe có động cơ khác", "4520" },
	{ "Trồng hoa, cây cảnh", "0118" },
	{ "Sản xuất các loại bánh từ bột", "1071" },
	{ "Photo, chuẩn bị tài liệu", "8219" },
};

static const char *const shops[] = {
	"Tạp hóa", "Quán phở", "Cà phê", "Tiệm tóc", "May đo", "Nhà thuốc",
	"Nhà nghỉ", "Vật liệu xây dựng", "Sửa xe", "Hoa tươi", "Bánh mì", "Văn phòng phẩm",
};

static void add_trades(struct build *b, struct case_result *r, uint16_t rows)
{
	struct field *table = set_table(b, r, "nganh_nghe", rows, 2);
	uint32_t first = random_below(&b->random, ARRAY_LEN(trades));

	for (uint16_t i = 0; i < rows; i++) {
		uint32_t at = (first + i) % ARRAY_LEN(trades);

		add_row(b, table, (const char *const[]){ trades[at].name, trades[at].code });
	}
}

static void set_owner(struct build *b, struct case_result *r)
{
	set_text(b, r, "chu_ho_ten", b->who.name);
	set_date(b, r, "chu_ho_ngay_sinh", b->who.birth);
	set_text(b, r, "chu_ho_gioi_tinh", person_sex_word(&b->who));
	set_text(b, r, "chu_ho_dan_toc", b->who.ethnicity);
	set_text(b, r, "chu_ho_quoc_tich", b->who.nationality);
	set_text(b, r, "chu_ho_giay_to", b->who.paper);
	set_text(b, r, "chu_ho_dia_chi", b->who.home);
}

static void add_family(struct build *b, struct case_result *r)
{
	uint16_t rows = (uint16_t)random_between(&b->random, 1, 4);
	struct field *table = set_table(b, r, "thanh_vien", rows, 4);

	for (uint16_t i = 0; i < rows; i++) {
		struct person p;

		person_make(&p, &b->random, b->office, SEX_ANY, 19, 70);
		add_row(b, table, (const char *const[]){ p.name, vietnamese_date(b, p.birth),
							 person_sex_word(&p), p.number });
	}
}

/* The given number is the household's code; no two cases share it. */
void fill_business(struct build *b)
{
	struct case_result *r = build_result(b, "giay-chung-nhan-dang-ky-ho-kinh-doanh",
					     b->office->signer);
	char phone[16], number[16];
	const char *name = build_text(b, "Hộ kinh doanh %s %s", RANDOM_PICK(&b->random, shops),
				      strrchr(b->who.name, ' ') != NULL ?
				      strrchr(b->who.name, ' ') + 1 : b->who.name);

	r->given_number = 9900000000u + b->serial % 100000000u;
	snprintf(number, sizeof(number), "%llu", (unsigned long long)r->given_number);
	if (b->c.holders_n == 0) {
		build_holder(b, HOLDER_OWNER, ID_TAX, "VN", number, name);
		build_person(b, HOLDER_REPRESENTATIVE, &b->who);
	}
	set_text(b, r, "ten_ho_kinh_doanh", name);
	if (random_chance(&b->random, 750)) {
		set_day(b, r, "dang_ky_lan_dau", working_day_ms(0));
	} else {
		set_date(b, r, "dang_ky_lan_dau",
			 (struct partial_date){ (uint16_t)random_between(&b->random, 2008, 2024), 4,
						(uint8_t)random_between(&b->random, 1, 28) });
		set_number(b, r, "thay_doi_lan", random_between(&b->random, 1, 6), 0);
		set_day(b, r, "ngay_thay_doi", working_day_ms(0));
	}
	set_text(b, r, "tru_so", b->who.home);
	person_phone(phone, &b->random);
	set_text(b, r, "dien_thoai", phone);
	if (random_chance(&b->random, 400))
		set_text(b, r, "thu_dien_tu", build_text(b, "cuahang%u@lacxuan.example",
							 random_between(&b->random, 1, 999)));
	add_trades(b, r,
		   (uint16_t)(random_chance(&b->random, 40) ? random_between(&b->random, 20, 48)
							    : random_between(&b->random, 1, 6)));
	set_number(b, r, "von", (int64_t)random_between(&b->random, 2, 200) * 5000000, 0);
	set_owner(b, r);
	if (random_chance(&b->random, 200))
		add_family(b, r);
}

static void set_plot(struct build *b, struct case_result *r)
{
	const char *street = place_street(&b->random, b->office);

	set_text(b, r, "thua_dat",
		 build_text(b, "thửa đất số %u, tờ bản đồ số %u",
			    random_between(&b->random, 1, 900),
			    random_between(&b->random, 1, 120)));
	if (b->office->town)
		set_text(b, r, "dia_diem", build_text(b, "đường %s, %s, tỉnh Sơn Lạc", street,
						      b->office->commune));
	else
		set_text(b, r, "dia_diem", build_text(b, "thôn %s, %s, tỉnh Sơn Lạc", street,
						      b->office->commune));
	set_text(b, r, "cot_nen", build_text(b, "+0,%02u m so với vỉa hè hiện trạng",
					     random_between(&b->random, 15, 45)));
	set_text(b, r, "chi_gioi_duong_do",
		 build_text(b, "cách tim đường %s %u,%02u m", street,
			    random_between(&b->random, 3, 12), random_below(&b->random, 4) * 25));
	set_text(b, r, "chi_gioi_xay_dung", random_chance(&b->random, 600) ?
		 "trùng với chỉ giới đường đỏ" : "lùi 2,40 m so với chỉ giới đường đỏ");
	if (random_chance(&b->random, 300))
		set_text(b, r, "khoang_lui", "phía sau lùi 1,00 m so với ranh đất");
	set_text(b, r, "giay_to_dat",
		 build_text(b,
			    "Giấy chứng nhận quyền sử dụng đất, quyền sở hữu tài sản gắn liền với "
			    "đất số AX 99%04u do Văn phòng Đăng ký đất đai tỉnh Sơn Lạc cấp",
			    random_below(&b->random, 10000)));
}

static void add_storeys(struct build *b, struct case_result *r, uint32_t storeys, int64_t area)
{
	static const char *const uses[] = { "Để xe, phòng khách, bếp",
					    "Phòng ngủ, phòng sinh hoạt chung", "Phòng ngủ",
					    "Phòng thờ, sân phơi" };
	static const char *const floors[] = { "Tầng một", "Tầng hai", "Tầng ba", "Tầng bốn",
					      "Tầng năm", "Tầng sáu" };
	struct field *table = set_table(b, r, "cac_tang", (uint16_t)(storeys + 1), 5);
	int64_t level = 30;		/* centimetres */

	for (uint32_t i = 0; i < storeys; i++) {
		int64_t height = i == 0 ? 390 : 330;

		add_row(b, table, (const char *const[]){
			floors[i],
			build_text(b, "+%s", vietnamese_number(b, level, 2)),
			vietnamese_number(b, height, 2), vietnamese_number(b, area, 2),
			i + 1 == storeys && i > 0 ? uses[3] : uses[i < 3 ? i : 2] });
		level += height;
	}
	add_row(b, table, (const char *const[]){
		"Mái", build_text(b, "+%s", vietnamese_number(b, level, 2)), "", "",
		"Mái bê tông cốt thép" });
	set_number(b, r, "chieu_cao", level, 2);
	set_number(b, r, "tong_dien_tich_san", area * storeys, 2);
	set_text(b, r, "so_tang", build_text(b, "%02u tầng", storeys));
}

static void add_drawings(struct build *b, struct case_result *r)
{
	static const char *const drawings[] = {
		"Mặt bằng tổng thể, sơ đồ vị trí công trình",
		"Mặt bằng tầng một",
		"Mặt bằng các tầng",
		"Mặt đứng chính",
		"Mặt cắt A-A",
		"Mặt bằng móng và chi tiết móng",
		"Sơ đồ hệ thống cấp, thoát nước",
		"Sơ đồ hệ thống cấp điện, chống sét",
	};
	struct field *table = set_table(b, r, "ban_ve", ARRAY_LEN(drawings), 3);

	for (uint32_t i = 0; i < ARRAY_LEN(drawings); i++)
		add_row(b, table, (const char *const[]){
			build_text(b, "%s-%02u", i < 5 ? "KT" : "KC", i + 1), drawings[i],
			build_text(b, "%02u", random_between(&b->random, 1, 3)) });
}

void fill_house(struct build *b)
{
	struct case_result *r =
		build_result(b, "giay-phep-xay-dung-nha-o-rieng-le", b->office->signer);
	int64_t plot = random_between(&b->random, 4000, 26000);	/* 1/100 m² */
	int64_t coverage = random_between(&b->random, 5500, 9500);
	int64_t area = plot * coverage / 10000;
	uint32_t storeys = random_between(&b->random, 1, b->office->town ? 6 : 3);

	subject_holders(b);
	set_text(b, r, "chu_dau_tu", b->who.name);
	set_text(b, r, "giay_to", b->who.paper);
	set_text(b, r, "dia_chi", b->who.home);
	set_text(b, r, "cong_trinh", "Nhà ở riêng lẻ");
	set_text(b, r, "cap_cong_trinh", storeys > 3 ? "Cấp III" : "Cấp IV");
	set_text(b, r, "thiet_ke", build_text(b, "bản vẽ thi công ký hiệu NO-%03u",
					      random_between(&b->random, 1, 400)));
	set_text(b, r, "don_vi_thiet_ke", "Công ty TNHH Tư vấn Kiến trúc Mái Đình Sơn Lạc");
	set_plot(b, r);
	set_number(b, r, "dien_tich_dat", plot, 2);
	set_number(b, r, "mat_do", coverage, 2);
	set_number(b, r, "he_so", area * storeys * 100 / plot, 2);
	set_number(b, r, "dien_tich_tang_mot", area, 2);
	if (random_chance(&b->random, 400))
		set_text(b, r, "mau_sac", "màu sáng, không sử dụng vật liệu phản quang");
	add_storeys(b, r, storeys, area);
	if (storeys > 1)
		add_drawings(b, r);
}

static void add_sections(struct build *b, struct case_result *r, uint16_t rows, uint32_t days)
{
	struct field *table = set_table(b, r, "vi_tri", rows, 5);
	int64_t sum = 0;

	for (uint16_t i = 0; i < rows; i++) {
		uint32_t first = random_between(&b->random, 1, 300);
		int64_t length = random_between(&b->random, 20, 180);	/* 1/10 m */
		int64_t width = random_between(&b->random, 10, 30);

		add_row(b, table, (const char *const[]){
			build_text(b, "Đường %s", place_street(&b->random, b->office)),
			build_text(b, "từ trước nhà số %u đến trước nhà số %u", first, first + 4),
			vietnamese_number(b, length, 1), vietnamese_number(b, width, 1),
			vietnamese_number(b, length * width, 2) });
		sum += length * width;
	}
	set_number(b, r, "tong_dien_tich", sum, 2);
	set_number(b, r, "phi", (sum + 99) / 100 * 20000 * ((days + 29) / 30), 0);
}

void fill_pavement(struct build *b)
{
	static const char *const purposes[] = {
		"điểm tổ chức kinh doanh dịch vụ, mua, bán hàng hóa",
		"điểm trông, giữ xe có thu tiền dịch vụ",
		"tập kết vật liệu xây dựng phục vụ thi công công trình",
		"tổ chức đám cưới",
		"bố trí công trình, biển báo tạm phục vụ sự kiện văn hóa",
	};
	struct case_result *r =
		build_result(b, "giay-phep-su-dung-tam-thoi-via-he", b->office->signer);
	uint32_t days = random_between(&b->random, 2, 300);
	char phone[16], number[16];

	if (b->c.holders_n == 0 && random_chance(&b->random, 350)) {
		const char *name = build_text(b, "Công ty TNHH Dịch vụ %s %s",
					      RANDOM_PICK(&b->random, shops), b->who.name);

		person_enterprise_code(number, &b->random);
		build_holder(b, HOLDER_OWNER, ID_ENTERPRISE, "VN", number, name);
		build_person(b, HOLDER_REPRESENTATIVE, &b->who);
		set_text(b, r, "nguoi_duoc_cap", name);
		set_text(b, r, "giay_to", build_text(b, "Mã số doanh nghiệp %s", number));
	} else {
		subject_holders(b);
		set_text(b, r, "nguoi_duoc_cap", b->who.name);
		set_text(b, r, "giay_to", b->who.paper);
	}
	set_text(b, r, "dia_chi", b->who.home);
	person_phone(phone, &b->random);
	set_text(b, r, "dien_thoai", phone);
	set_day(b, r, "ngay_don", working_day_ms(-5));
	set_text(b, r, "muc_dich", RANDOM_PICK(&b->random, purposes));
	set_day(b, r, "tu_ngay", working_day_ms(3));
	set_day(b, r, "den_ngay", working_day_ms(3) + (int64_t)days * SAMPLE_DAY_MS);
	if (random_chance(&b->random, 500))
		set_text(b, r, "khung_gio", "từ 06 giờ 00 đến 22 giờ 00");
	add_sections(b, r, (uint16_t)(random_chance(&b->random, 60) ? 24 :
				      random_between(&b->random, 1, 3)), days);
}
