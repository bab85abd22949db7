#include "sample/edge.h"

#include <assert.h>
#include <stdio.h>

#include "sample/kinds.h"

/* Changes the people before the fields follow from them, and the case after. */
struct edge {
	const char *about;
	enum sample_kind_of kind;
	void (*people)(struct build *b);
	void (*after)(struct build *b, struct case_result *r);
};

static void rename_who(struct build *b, const char *name)
{
	snprintf(b->who.name, sizeof(b->who.name), "%s", name);
}

static void born(struct build *b, uint16_t year, uint8_t month, uint8_t day)
{
	b->who.birth = (struct partial_date){ year, month, day };
}

/* ---- names ---- */

static void name_60(struct build *b)
{
	rename_who(b, "Công Tằng Tôn Nữ Hoàng Thị Ngọc Bích Thủy Tiên Phương Thảo Y");
}

static void name_longest(struct build *b)
{
	rename_who(b, "Nguyễn Phúc Khải Minh Tường Lân Thiên Ân Đức Trường Khánh Hoàng Gia Minh "
		      "Triết Trân Quỳnh Công Huyền Tôn Nữ Hương Thảo Diệu Thiện Mỹ");
}

static void name_one_part(struct build *b) { rename_who(b, "Sriyanto"); }
static void name_two_letters(struct build *b) { rename_who(b, "Ô Y"); }
static void name_apostrophe(struct build *b) { rename_who(b, "H'Bia Niê Kđăm"); }
/* Wider than a line, and nowhere to break it. */
static void name_unbroken(struct build *b)
{
	rename_who(b, "Obertannenwalderbergsteinhausenthalermuhlenbachergrabenwiesenfeldner"
		      "hofkirchenstettenauerlindenbrunnersonnenhugelschafer");
}

static void foreign_named(struct build *b, const char *country, const char *nationality,
			  const char *name)
{
	person_foreign(&b->who, &b->random, b->office);
	rename_who(b, name);
	snprintf(b->who.country, sizeof(b->who.country), "%s", country);
	b->who.nationality = nationality;
}

static void foreign_latin(struct build *b)
{
	foreign_named(b, "ES", "Tây Ban Nha", "JOSÉ MARÍA ÑUÑEZ IBÁÑEZ ÇELİK");
}

static void foreign_sharp_s(struct build *b)
{
	foreign_named(b, "DE", "Đức", "Zoë Weiß-Großmann Łukasiewicz");
}

static void foreign_spouse(struct build *b)
{
	do
		person_foreign(&b->kin, &b->random, b->office);
	while (b->kin.female);
}

/* ---- dates ---- */

static void born_year_only(struct build *b) { born(b, 1950, 0, 0); }
static void born_month_and_year(struct build *b) { born(b, 1958, 9, 0); }
static void born_leap_day(struct build *b) { born(b, 1972, 2, 29); }
static void born_century_ago(struct build *b) { born(b, 1921, 1, 1); }

static void died_unknown_day(struct build *b, struct case_result *r)
{
	set_date(b, r, "ngay_sinh", (struct partial_date){ 1901, 0, 0 });
	set_date(b, r, "ngay_chet", (struct partial_date){ 1945, 3, 0 });
	set_text(b, r, "nguyen_nhan", "Không rõ; đăng ký lại theo lời khai của thân nhân");
}

/* ---- children ---- */

static void child_unnumbered(struct build *b)
{
	subject_minor(b);
	b->who.id_kind = ID_NONE;
	b->who.number[0] = b->who.paper[0] = b->who.country[0] = '\0';
	born(b, SAMPLE_YEAR, 11, 2);
}

static void child_one_guardian(struct build *b)
{
	child_unnumbered(b);
	b->fatherless = true;
}

static void child_two_guardians(struct build *b)
{
	child_unnumbered(b);
	person_make(&b->father, &b->random, b->office, SEX_MALE, 37, 50);
	b->fatherless = false;
}

static void child_leap_day(struct build *b)
{
	subject_minor(b);
	born(b, 2024, 2, 29);
}

static void guardian_ends(struct build *b, struct case_result *r)
{
	b->c.holders[1].from = 20250701;
	b->c.holders[1].to = 20281231;
}

static void no_parents(struct build *b, struct case_result *r)
{
	static const char *const parents[] = { "me_", "cha_" };
	uint8_t kept = 0;

	for (uint8_t i = 0; i < r->fields_n; i++) {
		struct slice n = r->fields[i].name;
		bool parent = false;

		for (size_t k = 0; k < ARRAY_LEN(parents); k++)
			parent |= n.n > strlen(parents[k]) &&
				  memcmp(n.p, parents[k], strlen(parents[k])) == 0;
		if (!parent)
			r->fields[kept++] = r->fields[i];
	}
	r->fields_n = kept;
	set_text(b, r, "ghi_chu", "Trẻ em bị bỏ rơi");
}

/* ---- numbers and holders ---- */

static void old_card(struct build *b)
{
	b->who.id_kind = ID_OLD_CITIZEN;
	snprintf(b->who.country, sizeof(b->who.country), "VN");
	snprintf(b->who.number, sizeof(b->who.number), "990123456");
	snprintf(b->who.paper, sizeof(b->who.paper),
		 "Chứng minh nhân dân số 990123456, cấp ngày 05/03/2009");
}

static void old_commune(struct build *b)
{
	place_former(b->who.home, &b->random, b->office);
	place_former(b->who.origin, &b->random, b->office);
}

static void holder_branch(struct build *b, struct case_result *r)
{
	b->c.holders_n = 0;
	build_holder(b, HOLDER_OWNER, ID_ENTERPRISE, "VN", "9900000123-001",
		     "Công ty Cổ phần Thương mại & Dịch vụ \"Mái Đình\" - Chi nhánh Lạc Xuân");
	build_person(b, HOLDER_REPRESENTATIVE, &b->who);
}

static void holders_eight(struct build *b, struct case_result *r)
{
	while (b->c.holders_n < CASE_HOLDERS_MAX) {
		struct person p;

		person_make(&p, &b->random, b->office, SEX_ANY, 20, 80);
		build_person(b, HOLDER_OWNER, &p);
	}
}

static void holder_hidden(struct build *b, struct case_result *r)
{
	b->c.holders[0].visibility = 2;
	b->c.holders[0].from = 20261101;
}

static void given_number(struct build *b, struct case_result *r)
{
	r->given_text = slice_str(build_text(b, "HKD-%llu", (unsigned long long)r->given_number));
}

/* ---- tables and long texts ---- */

static struct field *table_of(struct case_result *r, const char *name)
{
	for (uint8_t i = 0; i < r->fields_n; i++)
		if (slice_eq(r->fields[i].name, slice_str(name)))
			return &r->fields[i];
	return NULL;
}

static void members_300(struct build *b, struct case_result *r)
{
	struct field *table = set_table(b, r, "thanh_vien", 300, 5);

	for (uint32_t i = 0; i < 300; i++) {
		struct person p;

		person_make(&p, &b->random, b->office, SEX_ANY, 1, 90);
		add_row(b, table, (const char *const[]){ p.name, vietnamese_date(b, p.birth),
							 person_sex_word(&p), p.number, "Ở nhờ" });
	}
}

static void cells_empty(struct build *b, struct case_result *r)
{
	struct field *table = table_of(r, "thanh_phan");

	for (uint8_t i = 1; i < table->table.columns; i++)
		table->table.cells[i] = slice_str("");
}

/* The longest that the schema allows, to the byte. */
static void note_longest(struct build *b, struct case_result *r)
{
	static const char sentence[] = "Cải chính theo Trích lục cải chính hộ tịch số 12/TLCCHT; ";
	char note[2001];
	size_t n = sizeof(sentence) - 1, at = 0;

	for (; at + n <= 2000; at += n)
		memcpy(note + at, sentence, n);
	memset(note + at, 'x', 2000 - at);
	note[2000] = '\0';
	set_text(b, r, "ghi_chu", note);
}

static void lines_many(struct build *b, struct case_result *r)
{
	set_text(b, r, "noi_dung_khac",
		 "Quá trình cư trú:\n- Từ năm 1998 đến năm 2010: xã Lạc Hạ, huyện Lạc Giang;\n"
		 "- Từ năm 2010 đến ngày 30/6/2025: thị trấn Lạc Xuân, huyện Lạc Giang;\n"
		 "- Từ ngày 01/7/2025 đến nay: phường Lạc Xuân, tỉnh Sơn Lạc.\n\n"
		 "Thông tin được khai thác từ Cơ sở dữ liệu về cư trú.");
}

static void trades_60(struct build *b, struct case_result *r)
{
	struct field *table = set_table(b, r, "nganh_nghe", 60, 2);

	for (uint32_t i = 0; i < 60; i++)
		add_row(b, table, (const char *const[]){
			build_text(b, "Ngành, nghề thứ %u của hộ kinh doanh", i + 1),
			build_text(b, "%04u", 100 + 37 * i) });
}

static void numbers_extreme(struct build *b, struct case_result *r)
{
	set_number(b, r, "von", 999999999999, 0);
	set_number(b, r, "thay_doi_lan", 999, 0);
	set_day(b, r, "ngay_thay_doi", working_day_ms(0));
}

static void numbers_zero(struct build *b, struct case_result *r)
{
	set_number(b, r, "phi", 0, 0);
	set_number(b, r, "tong_dien_tich", 5, 2);
}

/* ---- texts that must stay texts ---- */

static void text_pdf(struct build *b, struct case_result *r)
{
	set_text(b, r, "huong_dan",
		 ") Tj ET Q\nendstream endobj\n%PDF-1.7 %%EOF\n<< /JS (app.alert\\(1\\)) >>\n"
		 "(\\051\\) \\\\ <FEFF>");
}

static void text_quotes(struct build *b, struct case_result *r)
{
	set_text(b, r, "noi_cu_tru",
		 "số 1, ngõ \"Ba Nhà\" \\ hẻm 'Cụt' / đường <Bờ & Hồ> [A] {B}, phường Lạc Xuân");
}

static void text_layout(struct build *b, struct case_result *r)
{
	set_text(b, r, "muc_dich",
		 "ghi **đúng** __nguyên văn__ {ho_ten} {_number} \\{ \\* \\\\ {khong_co|upper}");
}

static void text_lookalikes(struct build *b, struct case_result *r)
{
	set_text(b, r, "ghi_chu",
		 "hòa/hoà, thủy/thuỷ, qui/quy; Đ (U+0110), Ð (U+00D0), đ, ð; – — … “ ” ‘ ’ • ½ €");
}

/* ---- whole cases ---- */

static void plain_nfd(struct build *b, struct case_result *r)
{
	b->decompose = true;
}

static void results_eight(struct build *b, struct case_result *r)
{
	while (b->c.results_n < CASE_RESULTS_MAX)
		fill_birth(b);
}

static void ordinals_far(struct build *b, struct case_result *r)
{
	fill_birth(b);
	fill_birth(b);
	b->c.results[1].ordinal = 7;
	b->c.results[2].ordinal = 65535;
}

static void linked_birth(struct build *b, struct case_result *r)
{
	fill_residence(b);
	fill_birth(b);
	fill_receipt(b);
}

static void two_agencies(struct build *b, struct case_result *r)
{
	b->office = &offices[OFFICE_SUOI_MAY];
	fill_residence(b);
}

static void list_500(struct build *b, struct case_result *r)
{
	b->c.holders_n = b->c.results_n = 0;
	fill_allowance_list(b, 500);
	b->c.priority = PRIORITY_BULK;
}

static void without_facts(struct build *b, struct case_result *r)
{
	b->facts.given = false;
}

static void facts_full(struct build *b, struct case_result *r)
{
	struct facts *f = &b->facts;

	for (; f->reused_n < FACTS_LIST_MAX; f->reused_n++)
		snprintf(f->reused[f->reused_n], sizeof(f->reused[0]), "KQ.G15.%06u", f->reused_n);
	for (; f->sources_n < FACTS_LIST_MAX; f->sources_n++)
		f->sources[f->sources_n] = f->sources[0];
}

static void at_the_counter(struct build *b, struct case_result *r)
{
	b->c.priority = PRIORITY_INTERACTIVE;
}

static void code_64(struct build *b, struct case_result *r)
{
	build_code(b, "H99.11-261124-%04llu/phu-luc_A.b-0123456789", (unsigned long long)b->serial);
	while (b->c.code.n < CASE_CODE_BYTES_MAX)
		build_code(b, "%.*sz", (int)b->c.code.n, (const char *)b->c.code.p);
}

static const struct edge edges[EDGES] = {
	{ "everything-in-nfd", KIND_MARITAL, NULL, plain_nfd },
	{ "closed-values-in-nfd", KIND_BIRTH, NULL, plain_nfd },
	{ "list-in-nfd", KIND_RESIDENCE, NULL, plain_nfd },
	{ "name-of-60-letters", KIND_MARITAL, name_60, NULL },
	{ "name-of-130-letters", KIND_MARRIAGE, name_longest, NULL },
	{ "name-of-one-part", KIND_MARITAL, name_one_part, NULL },
	{ "name-of-two-letters", KIND_MARITAL, name_two_letters, NULL },
	{ "name-with-apostrophe", KIND_BIRTH, name_apostrophe, NULL },
	{ "name-without-a-space", KIND_RESIDENCE, name_unbroken, NULL },
	{ "foreigner-latin-letters", KIND_MARITAL, foreign_latin, NULL },
	{ "foreigner-sharp-s", KIND_BUSINESS, foreign_sharp_s, NULL },
	{ "foreign-spouse", KIND_MARRIAGE, foreign_spouse, NULL },
	{ "born-year-only", KIND_MARITAL, born_year_only, NULL },
	{ "born-month-and-year", KIND_RESIDENCE, born_month_and_year, NULL },
	{ "born-29-february", KIND_MARITAL, born_leap_day, NULL },
	{ "born-1921", KIND_ALLOWANCE, born_century_ago, NULL },
	{ "died-day-unknown", KIND_DEATH, NULL, died_unknown_day },
	{ "child-unnumbered-one-guardian", KIND_BIRTH, child_one_guardian, NULL },
	{ "child-unnumbered-two-guardians", KIND_BIRTH, child_two_guardians, NULL },
	{ "child-born-29-february", KIND_BIRTH, child_leap_day, NULL },
	{ "guardian-with-dates", KIND_BIRTH, child_two_guardians, guardian_ends },
	{ "parents-unknown", KIND_BIRTH, child_one_guardian, no_parents },
	{ "old-card-of-9-digits", KIND_MARITAL, old_card, NULL },
	{ "old-commune-names", KIND_RESIDENCE, old_commune, NULL },
	{ "enterprise-branch", KIND_PAVEMENT, NULL, holder_branch },
	{ "holders-8", KIND_HOUSE, NULL, holders_eight },
	{ "holder-hidden-from-a-date", KIND_MARITAL, NULL, holder_hidden },
	{ "number-given-as-text", KIND_BUSINESS, NULL, given_number },
	{ "table-of-300-rows", KIND_RESIDENCE, NULL, members_300 },
	{ "table-of-500-rows", KIND_ALLOWANCE, NULL, list_500 },
	{ "table-with-empty-cells", KIND_RECEIPT, NULL, cells_empty },
	{ "text-longest", KIND_BIRTH, NULL, note_longest },
	{ "text-of-many-lines", KIND_RESIDENCE, NULL, lines_many },
	{ "trades-60", KIND_BUSINESS, NULL, trades_60 },
	{ "numbers-extreme", KIND_BUSINESS, NULL, numbers_extreme },
	{ "numbers-zero-and-small", KIND_PAVEMENT, NULL, numbers_zero },
	{ "text-like-pdf", KIND_REFUSAL, NULL, text_pdf },
	{ "text-like-json", KIND_MARITAL, NULL, text_quotes },
	{ "text-like-layout", KIND_MARITAL, NULL, text_layout },
	{ "text-of-lookalikes", KIND_DEATH, NULL, text_lookalikes },
	{ "results-8", KIND_BIRTH, NULL, results_eight },
	{ "ordinals-far-apart", KIND_BIRTH, NULL, ordinals_far },
	{ "linked-birth-4-results", KIND_BIRTH, child_two_guardians, linked_birth },
	{ "two-agencies", KIND_MARITAL, NULL, two_agencies },
	{ "facts-longest-lists", KIND_MARRIAGE, NULL, facts_full },
	{ "facts-missing", KIND_MARITAL, NULL, without_facts },
	{ "interactive", KIND_DEATH, NULL, at_the_counter },
	{ "code-of-64-characters", KIND_MARITAL, NULL, code_64 },
};

static_assert(ARRAY_LEN(edges) == EDGES, "as the header says");

void edge_make(struct build *b, struct arena *a, uint64_t seed, uint64_t which, uint64_t serial)
{
	const struct edge *edge = &edges[which];
	const struct sample_kind *k = &sample_kinds[edge->kind];

	build_start(b, a, &offices[OFFICE_LAC_XUAN]);
	b->random = random_of(seed, serial);
	b->serial = serial;
	k->subject(b);
	if (edge->people != NULL)
		edge->people(b);
	facts_fill(b, &procedures[k->procedure], edge->kind == KIND_RECEIPT);
	k->fill(b);
	if (edge->after != NULL)
		edge->after(b, &b->c.results[0]);
	b->c.request_id = slice_str(build_text(b, "edge-%02llu-%s", (unsigned long long)which + 1,
					       edge->about));
}
