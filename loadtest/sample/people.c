#include "sample/people.h"

#include <stdio.h>

#include "sample/calendar.h"

struct tribe {
	const char *ethnicity;
	const char *const *family, *const *male_middle, *const *female_middle, *const *male,
		*const *female;
	uint8_t family_n, male_middle_n, female_middle_n, male_n, female_n;
};

#define LIST(name, list) .name = list, .name##_n = ARRAY_LEN(list)
#define TRIBE(word, prefix) { \
	.ethnicity = word, LIST(family, prefix##_family), LIST(male_middle, prefix##_male_middle), \
	LIST(female_middle, prefix##_female_middle), LIST(male, prefix##_male), \
	LIST(female, prefix##_female) }

/* Repeated as often as they are met. */
static const char *const kinh_family[] = {
	"Nguyễn", "Nguyễn", "Nguyễn", "Nguyễn", "Nguyễn", "Nguyễn", "Nguyễn", "Trần", "Trần",
	"Lê", "Lê", "Phạm", "Phạm", "Hoàng", "Huỳnh", "Phan", "Vũ", "Võ",
	"Đặng", "Bùi", "Đỗ", "Hồ", "Ngô", "Dương", "Lý", "Đào", "Đoàn",
	"Trịnh", "Mai", "Đinh", "Tô", "Cao", "Lương", "Tạ", "Châu", "Quách",
};
static const char *const kinh_male_middle[] = {
	"Văn", "Văn", "Văn", "Đức", "Hữu", "Quốc", "Minh", "Xuân", "Ngọc", "Thanh", "Công", "Đình",
	"Quang", "Hoàng", "Gia", "Bá", "Tiến", "Anh", "Phúc Gia", "Trọng", "Nhật", "Thế",
};
static const char *const kinh_female_middle[] = {
	"Thị", "Thị", "Thị", "Thị", "Thị Thu", "Thị Ngọc", "Thị Kim",
	"Ngọc", "Thanh", "Thùy", "Phương", "Thị Bích", "Thị Hồng", "Khánh",
	"Minh", "Quỳnh", "Bảo", "Hoài", "Như", "Diễm", "Thị Mỹ",
};
static const char *const kinh_male[] = {
	"Anh", "Bình", "Cường", "Dũng", "Đạt", "Hải", "Hiếu", "Hùng", "Huy",
	"Khánh", "Khoa", "Lâm", "Long", "Nam", "Nghĩa", "Phong", "Phúc", "Quân",
	"Sơn", "Thắng", "Thịnh", "Toàn", "Trung", "Tuấn", "Việt", "Vinh", "Kiệt",
	"Thiện", "Hòa", "Quý", "Tường", "Bách", "Khôi", "Đăng", "Ước",
};
static const char *const kinh_female[] = {
	"An", "Chi", "Duyên", "Giang", "Hà", "Hạnh", "Hằng", "Hiền", "Hoa",
	"Hồng", "Hương", "Lan", "Linh", "Loan", "Mai", "My", "Nga", "Ngân",
	"Nhung", "Oanh", "Phượng", "Quyên", "Tâm", "Thảo", "Thúy", "Trang", "Trinh",
	"Tuyết", "Vân", "Yến", "Xuyến", "Uyên", "Khuê", "Ngọc", "Thủy",
};

static const char *const mong_family[] = {
	"Giàng", "Thào", "Vàng", "Sùng", "Lý", "Hạng", "Mùa", "Cứ", "Lầu",
};
static const char *const mong_male_middle[] = { "A", "A", "A", "Seo", "Mí" };
static const char *const mong_female_middle[] = { "Thị", "Thị", "Seo" };
static const char *const mong_male[] = { "Páo", "Chu", "Dê", "Sính", "Tủa", "Lử", "Vảng", "Cháng" };
static const char *const mong_female[] = { "Mỷ", "Dợ", "Pằng", "Chía", "Sua", "Dính", "Xò", "Ca" };

static const char *const tay_family[] = { "Nông", "Hoàng", "Ma", "Lục", "Bế", "Lường", "Vi", "Lò" };
static const char *const tay_male_middle[] = { "Văn", "Đình", "Ích", "Quang" };
static const char *const tay_female_middle[] = { "Thị", "Thị", "Thúy" };
static const char *const tay_male[] = { "Thuận", "Hướng", "Chấn", "Bảo", "Quyết", "Luyện", "Pản" };
static const char *const tay_female[] = { "Niềm", "Thắm", "Nhình", "Mẩy", "Lả", "Ọi", "Hoan" };

static const char *const dao_family[] = { "Bàn", "Triệu", "Đặng", "Phùng", "Chảo", "Tẩn" };
static const char *const dao_male_middle[] = { "Tòn", "Phụ", "Láo", "Văn" };
static const char *const dao_female_middle[] = { "Mùi", "Thị", "Tả" };
static const char *const dao_male[] = { "Chòi", "Sinh", "Pu", "Tả", "Lở", "Sì" };
static const char *const dao_female[] = { "Mui", "Chiệp", "Mẩy", "Pham", "Nái", "Ghến" };

static const char *const khmer_family[] = { "Thạch", "Kim", "Sơn", "Danh", "Kiên", "Lâm" };
static const char *const khmer_male_middle[] = { "Sà", "Ngọc", "Sô", "Hoàng" };
static const char *const khmer_female_middle[] = { "Thị", "Sa", "Thị Sa" };
static const char *const khmer_male[] = { "Rinh", "Phia", "Rết", "Khone", "Vuthy" };
static const char *const khmer_female[] = { "Rây", "Quên", "Thone", "Phal", "Riêng" };

static const char *const ede_family[] = { "" };
static const char *const ede_male_middle[] = { "Y" };
static const char *const ede_female_middle[] = { "H'" };
static const char *const ede_male[] = { "Thinh Mlô", "Blơm Niê Kđăm", "Wăn Ayũn", "Dhăm Êban" };
static const char *const ede_female[] = { "Bia Niê Kđăm", "Wel Byă", "Ngăm Êban", "Duôl Mlô" };

static const struct tribe tribes[] = {
	TRIBE("Kinh", kinh), TRIBE("Mông", mong), TRIBE("Tày", tay), TRIBE("Dao", dao),
	TRIBE("Khmer", khmer), TRIBE("Ê Đê", ede),
};

/* Of sixty characters and more; the register has them. */
static const char *const long_female[] = {
	"Công Tằng Tôn Nữ Hoàng Thị Ngọc Bích Thủy Tiên Phương Thảo Nguyên Hương",
	"Nguyễn Phúc Công Huyền Tôn Nữ Bảo Trân Khánh Quỳnh Hoàng Thiên Hương",
};
static const char *const long_male[] = {
	"Nguyễn Phúc Khải Long Thiên Ân Đức Trường Khánh Hoàng Gia Minh Triết",
	"Tôn Thất Khải Phước Hoàng Quốc Khánh Thiên Trường Đại Nghĩa Minh Quân",
};

static const struct { const char *country, *nationality, *name; bool female; } foreigners[] = {
	{ "ES", "Tây Ban Nha", "JOSÉ MARÍA ÑUÑEZ IBÁÑEZ", false },
	{ "DE", "Đức", "JÜRGEN GÖTZ MÜLLER-LÜDENSCHEID", false },
	{ "FR", "Pháp", "FRANÇOISE HÉLÈNE LEFÈVRE", true },
	{ "KR", "Hàn Quốc", "KIM SEO YEON", true },
	{ "JP", "Nhật Bản", "TANAKA HARUTO", false },
	{ "BR", "Bra-xin", "JOÃO GONÇALVES DA CONCEIÇÃO", false },
	{ "NO", "Na Uy", "ØYVIND ÅSE BJØRNSTAD", false },
	{ "PL", "Ba Lan", "ŁUCJA ŻÓŁTOWSKA", true },
	{ "TW", "Trung Quốc (Đài Loan)", "CHEN YU-TING", true },
	{ "US", "Hoa Kỳ", "MARY-ANN O'DONOVAN", true },
	{ "CZ", "Séc", "JIŘÍ DVOŘÁČEK", false },
	{ "IS", "Ai-xơ-len", "ÞÓRDÍS ÆGISDÓTTIR", true },
	{ "ID", "In-đô-nê-xi-a", "SRIYANTO", false },
};

const char *person_sex_word(const struct person *p)
{
	return p->female ? "Nữ" : "Nam";
}

void person_enterprise_code(char out[16], struct random *r)
{
	snprintf(out, 16, "99%08u", random_below(r, 100000000));
}

void person_phone(char out[16], struct random *r)
{
	snprintf(out, 16, "0000 %03u %03u", random_below(r, 1000), random_below(r, 1000));
}

static const struct tribe *pick_tribe(struct random *r, const struct office *o)
{
	if (!random_chance(r, o->town ? 80 : 620))
		return &tribes[0];
	return &tribes[random_chance(r, 900) ? random_between(r, 1, 3) : random_between(r, 4, 5)];
}

static void make_name(struct person *p, struct random *r, const struct tribe *t,
		      const char *family)
{
	const char *middle = p->female ? t->female_middle[random_below(r, t->female_middle_n)]
				       : t->male_middle[random_below(r, t->male_middle_n)];
	const char *given = p->female ? t->female[random_below(r, t->female_n)]
				      : t->male[random_below(r, t->male_n)];

	/* H'Bia, but Y Thinh: the prefix is written together with the name. */
	if (family[0] == '\0')
		snprintf(p->name, sizeof(p->name), "%s%s%s", middle, p->female ? "" : " ", given);
	else
		snprintf(p->name, sizeof(p->name), "%s %s %s", family, middle, given);
}

static void make_birth(struct person *p, struct random *r, uint32_t age_min, uint32_t age_max)
{
	p->birth.year = (uint16_t)(SAMPLE_YEAR - random_between(r, age_min, age_max));
	p->birth.month = (uint8_t)random_between(r, 1, 12);
	p->birth.day = (uint8_t)random_between(r, 1, days_in_month(p->birth.year, p->birth.month));
	if (p->birth.year < 1965 && random_chance(r, 250))
		p->birth.month = p->birth.day = 0;
	/* Nobody of the samples is born after its day. */
	if (p->birth.year == SAMPLE_YEAR) {
		p->birth.month = (uint8_t)random_between(r, 1, 10);
		p->birth.day = (uint8_t)random_between(r, 1, 28);
	}
}

static void make_number(struct person *p, struct random *r)
{
	uint32_t century = p->birth.year >= 2000 ? 2 : 0;
	uint32_t issued = random_between(r, 2021, SAMPLE_YEAR - 1);

	snprintf(p->country, sizeof(p->country), "VN");
	if (p->birth.year < 1975 && random_chance(r, 20)) {
		p->id_kind = ID_OLD_CITIZEN;
		snprintf(p->number, sizeof(p->number), "99%07u", random_below(r, 10000000));
		snprintf(p->paper, sizeof(p->paper), "Chứng minh nhân dân số %s", p->number);
		return;
	}
	p->id_kind = ID_CITIZEN;
	snprintf(p->number, sizeof(p->number), "099%u%02u%06u", century + p->female,
		 p->birth.year % 100u, random_below(r, 1000000));
	snprintf(p->paper, sizeof(p->paper), "%s số %s, cấp ngày %02u/%02u/%u",
		 issued >= 2024 && random_chance(r, 700) ? "Thẻ căn cước" : "Thẻ căn cước công dân",
		 p->number, random_between(r, 1, 28), random_between(r, 1, 12), issued);
}

void person_make(struct person *p, struct random *r, const struct office *o, enum person_sex sex,
		 uint32_t age_min, uint32_t age_max)
{
	const struct tribe *t = pick_tribe(r, o);

	p->female = sex == SEX_ANY ? random_chance(r, 510) : sex == SEX_FEMALE;
	make_name(p, r, t, t->family[random_below(r, t->family_n)]);
	p->ethnicity = t->ethnicity;
	p->nationality = "Việt Nam";
	if (random_chance(r, 6)) {
		snprintf(p->name, sizeof(p->name), "%s",
			 p->female ? RANDOM_PICK(r, long_female) : RANDOM_PICK(r, long_male));
		p->ethnicity = "Kinh";
	}
	make_birth(p, r, age_min, age_max);
	make_number(p, r);
	place_home(p->home, r, o);
	place_origin(p->origin, r, o);
}

void person_child(struct person *p, struct random *r, const struct office *o,
		  const struct person *mother, const struct person *father, uint32_t age_max)
{
	const struct person *named = father != NULL ? father : mother;
	char family[PERSON_NAME_BYTES_MAX];
	const struct tribe *t = &tribes[0];

	for (size_t i = 0; i < ARRAY_LEN(tribes); i++)
		if (named->ethnicity != NULL && strcmp(tribes[i].ethnicity, named->ethnicity) == 0)
			t = &tribes[i];
	p->female = random_chance(r, 490);
	snprintf(family, sizeof(family), "%.*s", (int)strcspn(named->name, " '"), named->name);
	make_name(p, r, t, t->family[0][0] == '\0' || named->ethnicity == NULL ?
			   t->family[random_below(r, t->family_n)] : family);
	p->ethnicity = t->ethnicity;
	p->nationality = "Việt Nam";
	make_birth(p, r, 0, age_max);
	make_number(p, r);
	if (SAMPLE_YEAR - p->birth.year < 2 && random_chance(r, 600)) {
		p->id_kind = ID_NONE;
		p->number[0] = p->paper[0] = p->country[0] = '\0';
	}
	snprintf(p->home, sizeof(p->home), "%s", mother->home);
	snprintf(p->origin, sizeof(p->origin), "%s", named->origin);
}

void person_foreign(struct person *p, struct random *r, const struct office *o)
{
	uint32_t i = random_below(r, ARRAY_LEN(foreigners));

	*p = (struct person){ .female = foreigners[i].female, .id_kind = ID_PASSPORT,
			      .nationality = foreigners[i].nationality };
	snprintf(p->name, sizeof(p->name), "%s", foreigners[i].name);
	snprintf(p->country, sizeof(p->country), "%s", foreigners[i].country);
	snprintf(p->number, sizeof(p->number), "X0%07u", random_below(r, 10000000));
	snprintf(p->paper, sizeof(p->paper),
		 "Hộ chiếu số %s, quốc gia cấp: %s, cấp ngày %02u/%02u/%u", p->number,
		 p->nationality, random_between(r, 1, 28), random_between(r, 1, 12),
		 random_between(r, 2018, SAMPLE_YEAR - 1));
	make_birth(p, r, 22, 60);
	if (p->birth.month == 0)
		p->birth = (struct partial_date){ p->birth.year, 7, 14 };
	place_home(p->home, r, o);
	snprintf(p->origin, sizeof(p->origin), "%s", p->nationality);
}
