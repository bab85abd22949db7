#include "leaf.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "catalogue/runs.h"

struct leaf_field { const char *name, *label; enum field_type type; const char *text; };

/* Fifteen fields, as a marital status certificate has them. */
static const struct leaf_field fields[] = {
	{ "nguoi_yeu_cau", "Người yêu cầu", FIELD_TEXT, "Lò Thị Mỷ" },
	{ "ho_ten", "Họ, chữ đệm, tên", FIELD_TEXT, "Lò Thị Mỷ" },
	{ "ngay_sinh", "Ngày, tháng, năm sinh", FIELD_DATE, NULL },
	{ "gioi_tinh", "Giới tính", FIELD_TEXT, "Nữ" },
	{ "dan_toc", "Dân tộc", FIELD_TEXT, "Thái" },
	{ "quoc_tich", "Quốc tịch", FIELD_TEXT, "Việt Nam" },
	{ "giay_to", "Giấy tờ tùy thân", FIELD_TEXT,
	  "Căn cước số 000199000123, cấp ngày 05/03/2023" },
	{ "noi_cu_tru", "Nơi cư trú", FIELD_TEXT,
	  "Số 12, ngõ 5, tổ dân phố Bản Mới, phường Lạc Xuân, tỉnh Thử Nghiệm (địa chỉ cũ: thôn "
	  "Bản Mới, xã "
	  "Lạc Xuân, huyện Thử, tỉnh Nghiệm)" },
	{ "cu_tru_tu", "Cư trú từ ngày", FIELD_DATE, NULL },
	{ "cu_tru_den", "Cư trú đến ngày", FIELD_DATE, NULL },
	{ "tinh_trang", "Tình trạng hôn nhân", FIELD_TEXT, "Hiện tại chưa đăng ký kết hôn với ai" },
	{ "muc_dich", "Mục đích", FIELD_TEXT, "làm thủ tục đăng ký kết hôn tại Việt Nam" },
	{ "le_phi", "Lệ phí", FIELD_NUMBER, NULL },
	{ "tu_khai", "Công dân tự khai", FIELD_FLAG, NULL },
	{ "ghi_chu", "Ghi chú", FIELD_TEXT, "Không" },
};

/* ---- a kind ---- */

static struct runs parse(struct leaf *l, const char *text)
{
	struct runs r = { 0 };
	char why[200];

	assert(text == NULL || runs_parse(&r, text, l->defs, l->kind.fields_n, &l->pool, why,
					  sizeof(why)) == ST_OK);
	return r;
}

struct block *leaf_block(struct leaf *l, enum block_type type, const char *text)
{
	struct block *b = &l->blocks[l->kind.blocks_n++];

	assert(l->kind.blocks_n <= LEAF_BLOCKS);
	*b = (struct block){ .type = type, .text = parse(l, text), .align = 'j', .indent = true,
			     .only_if = -1, .table_field = -1, .lines = &l->lines[l->lines_n] };
	return b;
}

void leaf_line(struct leaf *l, struct block *b, const char *label, const char *value, bool half)
{
	assert(l->lines_n < LEAF_LINES);
	l->lines[l->lines_n++] = (struct field_line){
		.label = parse(l, label), .value = parse(l, value), .half = half, .only_if = -1
	};
	b->lines_n++;
}

static void blocks(struct leaf *l)
{
	struct block *b;

	leaf_block(l, BLOCK_NATIONAL_HEADER, NULL);
	leaf_block(l, BLOCK_NUMBER_DATE, NULL);
	leaf_block(l, BLOCK_TITLE, "Giấy xác nhận thử nghiệm");
	leaf_block(l, BLOCK_PARAGRAPH,
		   "Xét đề nghị của ông/bà **{nguoi_yeu_cau}**, về việc cấp Giấy xác nhận thử "
		   "nghiệm,");
	b = leaf_block(l, BLOCK_PARAGRAPH, "**XÁC NHẬN:**");
	b->align = 'c';
	b->indent = false;
	b = leaf_block(l, BLOCK_FIELDS, NULL);
	leaf_line(l, b, "Họ, chữ đệm, tên", "**{ho_ten|upper}**", false);
	leaf_line(l, b, "Ngày, tháng, năm sinh", "{ngay_sinh|date}", false);
	leaf_line(l, b, "Giới tính", "{gioi_tinh}", true);
	leaf_line(l, b, "Dân tộc", "{dan_toc}", true);
	leaf_line(l, b, "Quốc tịch", "{quoc_tich}", false);
	leaf_line(l, b, "Giấy tờ tùy thân", "{giay_to}", false);
	leaf_line(l, b, "Nơi cư trú", "{noi_cu_tru}", false);
	leaf_line(l, b, "Thời gian cư trú", "từ {cu_tru_tu|date_long} đến {cu_tru_den|date_long}",
		  false);
	leaf_line(l, b, "Tình trạng hôn nhân", "**{tinh_trang}**", false);
	leaf_line(l, b, "Lệ phí", "{le_phi|money}", true);
	leaf_line(l, b, "Công dân tự khai", "{tu_khai}", true);
	leaf_line(l, b, "Ghi chú", "{ghi_chu}", false);
	leaf_block(l, BLOCK_PARAGRAPH, "Giấy này được cấp để: {muc_dich}.");
	b = leaf_block(l, BLOCK_PARAGRAPH,
		       "Giấy này có giá trị sử dụng trong thời hạn 6 tháng, kể từ ngày cấp.");
	b->italic = true;
	b = leaf_block(l, BLOCK_SIGNATURE, NULL);
	leaf_line(l, b, NULL, "- Như trên;", false);
	leaf_line(l, b, NULL, "- Lưu: VT.", false);
	leaf_block(l, BLOCK_QR, "Quét mã để tra cứu kết quả.");
}

static void defs(struct leaf *l)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		l->defs[i] = (struct field_def){ .name = fields[i].name,
						 .label_vi = fields[i].label,
						 .label_en = fields[i].label,
						 .type = fields[i].type,
						 .public = true,
						 .bytes_max = 65536 };
	l->kind.fields = l->defs;
	l->kind.fields_n = ARRAY_LEN(fields);
}

/* ---- a result ---- */

static void values(struct leaf *l)
{
	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		struct field *f = &l->fields[i];

		f->name = slice_str(fields[i].name);
		f->type = fields[i].type;
		if (f->type == FIELD_TEXT)
			f->text = slice_str(fields[i].text);
	}
	leaf_field(l, "ngay_sinh")->date = (struct partial_date){ 1999, 3, 5 };
	leaf_field(l, "cu_tru_tu")->date = (struct partial_date){ 2017, 3, 0 };
	leaf_field(l, "cu_tru_den")->date = (struct partial_date){ 2026, 11, 24 };
	leaf_field(l, "le_phi")->number.value = 15000;
	leaf_field(l, "tu_khai")->flag = true;
	l->result = (struct case_result){ .fields_n = l->kind.fields_n, .fields = l->fields };
}

struct field *leaf_field(struct leaf *l, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(l->fields); i++)
		if (l->fields[i].name.n > 0 && slice_eq(l->fields[i].name, slice_str(name)))
			return &l->fields[i];
	return NULL;
}

void leaf_set(struct leaf *l, const char *name, struct slice text)
{
	leaf_field(l, name)->text = text;
}

/* ---- images: two rings, and waves ---- */

static void dot(uint8_t *bits, uint32_t width, uint32_t x, uint32_t y)
{
	bits[y * ((width + 7) / 8) + x / 8] |= (uint8_t)(0x80 >> x % 8);
}

static void images(struct leaf *l)
{
	for (int y = 0; y < 850; y++)
		for (int x = 0; x < 850; x++) {
			int r2 = (x - 425) * (x - 425) + (y - 425) * (y - 425);

			if ((r2 > 390 * 390 && r2 < 415 * 415) ||
			    (r2 > 270 * 270 && r2 < 280 * 280) ||
			    (r2 < 100 * 100 && (x + y) % 40 < 20))
				dot(l->seal, 850, (uint32_t)x, (uint32_t)y);
		}
	for (int x = 30; x < 870; x++) {
		int phase = x % 160 - 80, height = 80 - abs(phase);

		for (int k = 0; k < 9; k++)
			dot(l->hand, 900, (uint32_t)x,
			    (uint32_t)(250 - height * height * (900 - x) / 28000 - k));
	}
	l->unit.seal = (struct image){
		.width = 850, .height = 850, .bits = l->seal, .width_mm10 = 360, .height_mm10 = 360
	};
	l->signer.hand = (struct image){
		.width = 900, .height = 300, .bits = l->hand, .width_mm10 = 450, .height_mm10 = 150
	};
}

void leaf_open(struct leaf *l, uint8_t signs_n)
{
	memset(l, 0, sizeof(*l));
	l->kind = (struct kind){ .pin = { 1 },
				 .code = "giay-xac-nhan-thu",
				 .name_vi = "Giấy xác nhận thử nghiệm",
				 .name_en = "Test certificate",
				 .signs_n = signs_n,
				 .certify = true,
				 .validity_field = -1,
				 .child_birth_field = -1,
				 .blocks = l->blocks,
				 .signs = { signs_n == 2 ? ROLE_PERSON : ROLE_AGENCY,
					    ROLE_AGENCY } };
	l->unit = (struct unit){ .pin = { 2 },
				 .code = "u",
				 .name = "Ủy ban nhân dân phường Lạc Xuân",
				 .header = "Ủy ban nhân dân\nphường Lạc Xuân",
				 .notation = "UBND",
				 .place = "Lạc Xuân",
				 .org_code = "H99.11" };
	l->signer = (struct signer){ .pin = { 3 },
				     .code = "s",
				     .name = "Nguyễn Thị Hoài Thư",
				     .unit = "u",
				     .title = "PHÓ CHỦ TỊCH",
				     .authority = "KT",
				     .authority_line = "TM. ỦY BAN NHÂN DÂN\nKT. CHỦ TỊCH" };
	defs(l);
	blocks(l);
	values(l);
	images(l);
	l->item = (struct item){ .kind = &l->kind,
				 .unit = &l->unit,
				 .signer = &l->signer,
				 .result = &l->result,
				 .issued_ms = 1795500000000,
				 .sign_ms = 1795500000000,
				 .number_text = "07/XNTN-UBND",
				 .result_id = { 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
						0x0f, 0xed, 0xcb, 0xa9, 0x87, 0x65, 0x43, 0x21 } };
}

void leaf_close(struct leaf *l)
{
	pool_free(&l->pool);
}

/* ---- pressing ---- */

struct render *leaf_render(bool development)
{
	struct render_config cfg = { .verify_host = LEAF_HOST,
				     .development = development,
				     .templates_max = 8 };
	struct render *r = NULL;
	struct error e = { 0 };

	if (render_open(&r, &cfg, &e) != ST_OK)
		fprintf(stderr, "%s\n", e.text);
	return r;
}

void leaf_plan(struct leaf *l, uint32_t hole_bytes)
{
	l->item.slots_n = l->kind.signs_n;
	for (uint8_t i = 0; i < l->kind.signs_n; i++) {
		struct signature_slot *s = &l->item.slots[i].plan;

		*s = (struct signature_slot){ .role = l->kind.signs[i], .hole_bytes = hole_bytes,
			.body_bytes = 2 * (SHA256_BYTES + 256), .signed_ms = l->item.sign_ms };
		snprintf(s->name, sizeof(s->name), "%s",
			 s->role == ROLE_PERSON ? l->signer.name : l->unit.name);
	}
}

enum status leaf_press(struct leaf *l, struct render *r, struct press *p, struct arena *a)
{
	struct error e = { 0 };
	enum status st = render_template(r, &l->kind, &l->unit, &l->signer, &l->item.template, &e);

	if (st != ST_OK) {
		fprintf(stderr, "%s\n", e.text);
		return st;
	}
	st = render_item(p, &l->item, a);
	render_release(r, l->item.template);
	return st;
}

uint8_t *leaf_file(const struct leaf *l, size_t *size)
{
	const struct document *d = &l->item.doc;
	uint8_t *file = malloc(d->file_size), *at = file;

	for (uint8_t i = 0; file != NULL && i < d->parts_n; i++) {
		const struct part *p = &d->parts[i];
		bool hole = false;

		for (uint8_t k = 0; k < d->holes_n; k++)
			hole = hole || (d->holes[k].part == i && p->layer == NULL);
		if (hole && l->item.file_sha256[0] == 0) {
			memset(at, '0', p->size);
			at[0] = '<';
			at[p->size - 1] = '>';
		} else {
			memcpy(at, part_bytes(d, p), p->size);
		}
		at += p->size;
	}
	*size = (size_t)(at - file);
	return file;
}
