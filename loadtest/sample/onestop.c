#include <stdio.h>

#include "sample/kinds.h"
#include "sample/sample.h"

#define STANDARD_ALLOWANCE 500000	/* VND a month; from it the coefficients give the amounts */

static const struct { const char *who; uint32_t tenths; } grounds[] = {
	{ "người từ đủ 75 tuổi trở lên không hưởng lương hưu hàng tháng", 10 },
	{ "người cao tuổi thuộc hộ nghèo, không có người có nghĩa vụ và quyền phụng dưỡng", 20 },
	{ "người khuyết tật nặng", 15 },
	{ "người khuyết tật đặc biệt nặng", 20 },
	{ "người đơn thân nghèo đang nuôi con", 10 },
};

void fill_allowance(struct build *b)
{
	struct case_result *r =
		build_result(b, "quyet-dinh-huong-tro-cap-xa-hoi", b->office->signer);
	bool old = b->who.birth.year + 75u <= SAMPLE_YEAR;
	uint32_t i = old ? random_below(&b->random, 2) : random_between(&b->random, 2, 4);

	subject_holders(b);
	set_text(b, r, "ho_ten", b->who.name);
	set_date(b, r, "ngay_sinh", b->who.birth);
	set_text(b, r, "giay_to", b->who.paper);
	set_text(b, r, "noi_cu_tru", b->who.home);
	set_text(b, r, "doi_tuong", grounds[i].who);
	set_number(b, r, "he_so", grounds[i].tenths, 1);
	set_number(b, r, "muc_huong", (int64_t)grounds[i].tenths * STANDARD_ALLOWANCE / 10, 0);
	set_date(b, r, "tu_thang", (struct partial_date){ SAMPLE_YEAR, 12, 0 });
	set_text(b, r, "chi_tra",
		 random_chance(&b->random, 700) ? "qua tài khoản ngân hàng"
						: "chi trả trực tiếp qua bưu điện");
}

void fill_allowance_list(struct build *b, uint16_t rows)
{
	struct case_result *r =
		build_result(b, "quyet-dinh-huong-tro-cap-xa-hoi", b->office->signer);
	struct field *table = set_table(b, r, "danh_sach", rows, 6);
	int64_t sum = 0;

	if (b->c.holders_n == 0)
		build_holder(b, HOLDER_OWNER, ID_OTHER, "VN",
			     build_text(b, "VHXH-H99-%s", b->office->org_code + strlen("H99.")),
			     build_text(b, "Phòng Văn hóa - Xã hội %s", b->office->commune));
	for (uint16_t i = 0; i < rows; i++) {
		struct person p;
		uint32_t tenths = RANDOM_PICK(&b->random, grounds).tenths;

		person_make(&p, &b->random, b->office, SEX_ANY, 30, 99);
		add_row(b, table, (const char *const[]){
			p.name, vietnamese_date(b, p.birth), p.number,
			place_street(&b->random, b->office), vietnamese_number(b, tenths, 1),
			vietnamese_number(b, (int64_t)tenths * STANDARD_ALLOWANCE / 10, 0) });
		sum += (int64_t)tenths * STANDARD_ALLOWANCE / 10;
	}
	set_text(b, r, "doi_tuong", "bảo trợ xã hội quy định tại Nghị định số 20/2021/NĐ-CP");
	set_number(b, r, "so_nguoi", rows, 0);
	set_number(b, r, "tong_muc", sum, 0);
	set_date(b, r, "tu_thang", (struct partial_date){ SAMPLE_YEAR, 12, 0 });
	set_text(b, r, "chi_tra", "qua tài khoản ngân hàng hoặc chi trả trực tiếp qua bưu điện");
}

static void add_papers(struct build *b, struct case_result *r, const struct procedure *p)
{
	struct field *table = set_table(b, r, "thanh_phan", PAPERS_MAX + 1, 4);
	static const char *const forms[] = { "Bản điện tử", "Bản chính",
					     "Bản sao điện tử chứng thực" };

	for (uint32_t i = 0; i < PAPERS_MAX && p->papers[i] != NULL; i++)
		add_row(b, table,
			(const char *const[]){ p->papers[i],
					       i == 0 ? forms[0] : RANDOM_PICK(&b->random, forms),
					       "01", "" });
	if (random_chance(&b->random, 480))
		add_row(b, table, (const char *const[]){
			"Giấy tờ trong Kho dữ liệu điện tử của tổ chức, cá nhân", forms[0], "01",
			"Tái sử dụng" });
}

static const char *clock_words(struct build *b, int64_t ms)
{
	struct civil c = civil_vietnam(ms);

	return build_text(b, "%02u giờ %02u phút", c.hour, c.minute);
}

static const char *code_of(struct build *b)
{
	return build_text(b, "%.*s", (int)b->c.code.n, (const char *)b->c.code.p);
}

void fill_receipt(struct build *b)
{
	struct case_result *r = build_result(b, "giay-tiep-nhan-ho-so", b->office->receiver);
	const struct procedure *p = b->facts.procedure;
	char phone[16];

	subject_holders(b);
	set_text(b, r, "ma_ho_so", code_of(b));
	set_text(b, r, "nguoi_nop", b->who.name);
	set_text(b, r, "giay_to", b->who.paper);
	set_text(b, r, "dia_chi", b->who.home);
	person_phone(phone, &b->random);
	set_text(b, r, "dien_thoai", phone);
	if (random_chance(&b->random, 250))
		set_text(b, r, "thu_dien_tu", build_text(b, "congdan%u@thu.example",
							 random_between(&b->random, 1, 9999)));
	set_text(b, r, "noi_dung", p->name);
	add_papers(b, r, p);
	set_number(b, r, "so_bo", 1, 0);
	set_text(b, r, "thoi_han", p->days == 0 ? "trong ngày làm việc" :
		 build_text(b, "%02u ngày làm việc", p->days));
	set_text(b, r, "gio_nhan", clock_words(b, b->facts.received_ms));
	set_day(b, r, "ngay_nhan", b->facts.received_ms);
	set_text(b, r, "gio_tra", clock_words(b, b->facts.due_ms));
	set_day(b, r, "ngay_tra", b->facts.due_ms);
	set_text(b, r, "noi_nhan_ket_qua", random_chance(&b->random, 850) ?
		 "Kho dữ liệu điện tử của tổ chức, cá nhân trên Cổng Dịch vụ công quốc gia" :
		 b->office->contact);
	if (p->fee > 0)
		set_number(b, r, "le_phi", p->fee, 0);
}

struct ground_of_refusal { int procedure; const char *cells[2]; };	/* procedure -1: any */

static const struct ground_of_refusal refusals[] = {
	{ -1, { "Thành phần hồ sơ không đầy đủ; người nộp hồ sơ không bổ sung trong thời hạn đã "
		"thông báo.", "Điều 17 Nghị định số 118/2025/NĐ-CP" } },
	{ -1, { "Thông tin kê khai không thống nhất với Cơ sở dữ liệu quốc gia về dân cư.",
		"Điều 9 Nghị định số 45/2020/NĐ-CP" } },
	{ PROCEDURE_ALLOWANCE, { "Người đề nghị đang hưởng lương hưu hàng tháng, không thuộc đối "
				 "tượng bảo trợ xã hội.", "Điều 5 Nghị định số 20/2021/NĐ-CP" } },
	{ PROCEDURE_HOUSE, { "Thửa đất không đủ điều kiện cấp giấy phép xây dựng do vi phạm chỉ "
			     "giới đường đỏ đã được phê duyệt.", "Điều 93 Luật Xây dựng" } },
	{ PROCEDURE_PAVEMENT, { "Vị trí đề nghị sử dụng không bảo đảm chiều rộng tối thiểu 1,5 m "
				"dành cho người đi bộ.", "Điều 77 Luật Đường bộ" } },
	{ PROCEDURE_BUSINESS, { "Tên hộ kinh doanh trùng với tên hộ kinh doanh đã đăng ký trên địa "
				"bàn.", "Điều 86 Nghị định số 168/2025/NĐ-CP" } },
};

void fill_refusal(struct build *b)
{
	struct case_result *r = build_result(b, "thong-bao-tu-choi", b->office->signer);
	struct field *table = set_table(b, r, "ly_do", ARRAY_LEN(refusals), 2);
	uint32_t general = random_below(&b->random, 2);

	subject_holders(b);
	set_text(b, r, "ma_ho_so", code_of(b));
	set_text(b, r, "nguoi_nop", b->who.name);
	set_text(b, r, "dia_chi", b->who.home);
	set_day(b, r, "ngay_nhan", b->facts.received_ms);
	set_text(b, r, "thu_tuc", b->facts.procedure->name);
	for (uint32_t i = 0; i < ARRAY_LEN(refusals); i++)
		if (refusals[i].procedure < 0 ? i == general :
		    b->facts.procedure == &procedures[refusals[i].procedure])
			add_row(b, table, refusals[i].cells);
	if (random_chance(&b->random, 500))
		set_text(b, r, "huong_dan",
			 "Ông/bà có thể nộp lại hồ sơ sau khi bổ sung đầy đủ các giấy tờ nêu "
			 "trên tại bất kỳ Trung tâm Phục vụ hành chính công nào trong tỉnh hoặc "
			 "trực tuyến trên "
			 "Cổng Dịch vụ công quốc gia.");
	set_text(b, r, "lien_he", b->office->contact);
}

struct paper { const char *name, *number, *issuer; };	/* number: what stands before it */

static const struct paper papers[] = {
	{ "Bằng tốt nghiệp trung học phổ thông", "B 02", "Sở Giáo dục và Đào tạo tỉnh Sơn Lạc" },
	{ "Bằng tốt nghiệp cao đẳng", "CĐ 1", "Trường Cao đẳng Sơn Lạc" },
	{ "Giấy chứng nhận quyền sử dụng đất, quyền sở hữu tài sản gắn liền với đất", "CS 7",
	  "Văn phòng Đăng ký đất đai tỉnh Sơn Lạc" },
	{ "Giấy phép lái xe", "9900000", "Sở Xây dựng tỉnh Sơn Lạc" },
	{ "Hợp đồng lao động", "HĐLĐ-", NULL },
	{ "Bảng điểm học tập", NULL, "Trường Trung học phổ thông Lạc Xuân" },
};

static const char *const purposes[] = {
	"Làm hồ sơ xin việc", "Làm hồ sơ nhập học", "Vay vốn ngân hàng", "Nộp hồ sơ đấu thầu",
};

/* Of an original that whoever sends the case has. */
void fill_copy(struct build *b)
{
	struct case_result *r = build_result(b, SAMPLE_COPY_KIND, b->office->signer);
	struct random *x = &b->random;
	const struct paper *p = &RANDOM_PICK(x, papers);
	uint32_t year = random_between(x, 1995, SAMPLE_YEAR - 1);

	subject_holders(b);
	set_text(b, r, "ten_ban_chinh", p->name);
	if (p->number != NULL)
		set_text(b, r, "so_ban_chinh",
			 build_text(b, "%s%05u", p->number, random_below(x, 100000)));
	set_date(b, r, "ngay_cap", (struct partial_date){
		(uint16_t)year, (uint8_t)random_between(x, 1, 12),
		(uint8_t)random_between(x, 1, 28) });
	if (p->issuer != NULL)
		set_text(b, r, "co_quan_cap", p->issuer);
	set_text(b, r, "nguoi_duoc_cap", b->who.name);
	set_text(b, r, "nguoi_yeu_cau", b->who.name);
	if (random_chance(x, 700))
		set_text(b, r, "muc_dich", RANDOM_PICK(x, purposes));
}
