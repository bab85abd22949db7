#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "press_rig.h"
#include "render/compose.h"

static int setup(void **state)
{
	struct bench *b = *state;
	static uint8_t pin;

	leaf_open(&b->leaf, 2);
	leaf_plan(&b->leaf, 4000);
	/* A test may change the kind, so each has a version of its own. */
	b->leaf.kind.pin[1] = ++pin;
	arena_reset(&b->arena);
	return 0;
}

static int teardown(void **state)
{
	leaf_close(&((struct bench *)*state)->leaf);
	return 0;
}

static enum status press(struct bench *b)
{
	return leaf_press(&b->leaf, b->render, b->press, &b->arena);
}

/* Only the number of a page sets its font before it moves. */
static bool is_page_number(const uint8_t *string)
{
	static const char start[] = "BT\n/F1 13 Tf ";

	return memmem(string - 40, 40, start, strlen(start)) != NULL;
}

/* What a reader finds on the pages: strings decoded, white space and page numbers left out. */
static char *text_of(const struct bench *b)
{
	const struct document *d = &b->leaf.item.doc;
	const uint16_t *cps = b->press->encoding->cp;
	const uint8_t *p = d->body, *end = d->body + d->body_size;
	uint8_t *text = malloc(3 * d->body_size + 1), *out = text;

	for (p += 40; p + 2 < end; p++) {
		const uint8_t *close = NULL;

		if (*p == '(' && !is_page_number(p)) {
			for (p++; p < end && *p != ')'; p++)
				if (cps[*p] != ' ')
					out += utf8_put(out, cps[*p]);
		} else if (*p == '<' && p[1] != '<' && p[-1] != '<') {
			close = memchr(p, '>', (size_t)(end - p));
			if (close == NULL || memcmp(close, ">Tj", 3) != 0)
				continue;
			for (p++; p < close; p += 4) {
				uint8_t b2[2];

				assert_true(hex_read(b2, 2, slice_of(p, 4)));
				out += utf8_put(out, cps[b2[0] * 256u + b2[1]]);
			}
		}
	}
	*out = '\0';
	return (char *)text;
}

static void squeeze(char *s)
{
	char *to = s;

	for (; *s != '\0'; s++)
		if (*s != ' ' && *s != '\n')
			*to++ = *s;
	*to = '\0';
}

static void assert_shows(const struct bench *b, const char *text)
{
	char *all = text_of(b), *part = strdup(text);

	squeeze(part);
	if (strstr(all, part) == NULL)
		fail_msg("not on the page: %.200s", text);
	free(all);
	free(part);
}

static char *repeat(const char *text, size_t n)
{
	size_t size = strlen(text);
	char *all = malloc(size * n + 1);

	for (size_t i = 0; i < n; i++)
		memcpy(all + i * size, text, size);
	all[size * n] = '\0';
	return all;
}

/* ---- tests ---- */

static void all_values_are_on_the_page(void **state)
{
	struct bench *b = *state;

	assert_int_equal(press(b), ST_OK);
	assert_int_equal(b->press->pages, 1);
	assert_shows(b, "Số: 07/XNTN-UBND");
	assert_shows(b, "Lạc Xuân, ngày 24 tháng 11 năm 2026");
	assert_shows(b, "GIẤY XÁC NHẬN THỬ NGHIỆM");
	assert_shows(b, "Họ, chữ đệm, tên: LÒ THỊ MỶ");
	assert_shows(b, "Ngày, tháng, năm sinh: 05/03/1999");
	assert_shows(b, "Thời gian cư trú: từ tháng 3 năm 2017 đến ngày 24 tháng 11 năm 2026");
	assert_shows(b, "Lệ phí: 15.000 đồng");
	assert_shows(b, "Công dân tự khai: Có");
	assert_shows(b, "Nơi nhận: - Như trên; - Lưu: VT.");
	assert_shows(b, "HTTPS://TRIEN.EXAMPLE/V/");
}

static void halves_share_a_line(void **state)
{
	struct bench *b = *state;
	uint32_t shared = 0;

	assert_int_equal(press(b), ST_OK);
	for (uint32_t i = 0; i < b->press->strips_n; i++)
		shared += b->press->strips[i].type == STRIP_TEXT &&
			  b->press->strips[i].lines_n == 2;
	/* number and date, sex and ethnicity, fee and flag */
	assert_int_equal(shared, 3);
}

/* Who copies the text, or has it read aloud, gets one value whole and then the other. */
static void halves_that_wrap_stay_whole(void **state)
{
	static const char left[] = "Một giá trị dài hơn một nửa dòng in, nên sang dòng thứ hai";
	static const char right[] = "Giá trị bên cạnh còn dài hơn nữa: nó sang dòng thứ hai, và có "
				    "khi cả dòng thứ ba của nửa bên phải";
	struct bench *b = *state;

	leaf_set(&b->leaf, "gioi_tinh", slice_str(left));
	leaf_set(&b->leaf, "dan_toc", slice_str(right));
	assert_int_equal(press(b), ST_OK);
	assert_shows(b, left);
	assert_shows(b, right);
}

static void hostile_values_are_text(void **state)
{
	static const char *const values[] = { ") Tj", "endstream\nendobj", "%PDF-1.7 %%EOF",
		"1 0 obj<</Type/Sig>>", "\\)\\(((", "'\"<>[]{}//", "BT ET Q q Do", "startxref 0" };
	struct bench *b = *state;

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		arena_reset(&b->arena);
		leaf_set(&b->leaf, "ghi_chu", slice_str(values[i]));
		assert_int_equal(press(b), ST_OK);
		assert_shows(b, values[i]);
	}
}

static void a_long_value_flows_over_pages(void **state)
{
	struct bench *b = *state;
	char *text = repeat("Nguyễn Văn A ở số 12, phố Bản Mới; ", 1350);
	uint32_t pages;

	assert_in_range(strlen(text), 60000, FIELD_TEXT_BYTES_MAX);
	leaf_set(&b->leaf, "ghi_chu", slice_str(text));
	assert_int_equal(press(b), ST_OK);
	pages = b->press->pages;
	assert_in_range(pages, 8, 30);
	assert_int_equal(b->leaf.item.doc.pages, pages);
	assert_shows(b, text);
	for (uint32_t i = 0; i < b->press->strips_n; i++)
		assert_true(b->press->strips[i].top + b->press->strips[i].height <= FRAME_HEIGHT);
	free(text);
}

static void signature_stays_with_text(void **state)
{
	struct bench *b = *state;

	for (size_t n = 1; n < 60; n++) {
		char *text = repeat("Một dòng ghi chú dài vừa đủ để sang dòng, ", n);
		const struct press *p = b->press;

		arena_reset(&b->arena);
		leaf_set(&b->leaf, "ghi_chu", slice_str(text));
		assert_int_equal(press(b), ST_OK);
		for (uint32_t i = 0; i < p->strips_n; i++)
			if (p->strips[i].type == STRIP_SIGNATURE) {
				assert_int_equal(p->strips[i].page, p->strips[i - 1].page);
				assert_int_equal(p->strips[i].page, p->strips[i - 2].page);
			}
		free(text);
	}
}

static void too_many_pages_are_refused(void **state)
{
	struct bench *b = *state;
	char *text = repeat("a\n", 20000);

	leaf_set(&b->leaf, "ghi_chu", slice_str(text));
	assert_int_equal(press(b), ST_TOO_LARGE);
	free(text);
}

static void a_spent_arena_is_told(void **state)
{
	struct bench *b = *state;
	uint8_t little[3000];
	struct arena a;

	arena_wrap(&a, little, sizeof(little));
	assert_int_equal(leaf_press(&b->leaf, b->render, b->press, &a), ST_TOO_LARGE);
	assert_int_equal(press(b), ST_OK);
}

/* ---- tables ---- */

static void add_table(struct bench *b, uint16_t rows, struct slice *cells)
{
	static const struct column_def columns[] = { { "ten", "Tên giấy tờ", 700, false },
						     { "so", "Số lượng", 300, true } };
	uint8_t i = b->leaf.kind.fields_n++;
	struct block table, *signature = &b->leaf.blocks[b->leaf.kind.blocks_n - 2];

	b->leaf.defs[i] = (struct field_def){ .name = "bang", .type = FIELD_TABLE, .public = true,
					      .columns_n = 2, .columns = columns };
	b->leaf.fields[i] = (struct field){ .name = slice_str("bang"), .type = FIELD_TABLE,
					    .table = { rows, 2, cells } };
	b->leaf.result.fields_n++;
	table = *leaf_block(&b->leaf, BLOCK_TABLE, NULL);
	table.table_field = i;
	table.row_numbers = true;
	/* In front of the signature and the code. */
	memmove(signature + 1, signature, 2 * sizeof(table));
	*signature = table;
}

static void a_table_repeats_its_heading(void **state)
{
	struct bench *b = *state;
	struct slice cells[400];
	const char *at;
	uint32_t headings = 0;
	char *text;

	for (int i = 0; i < 200; i++) {
		cells[2 * i] = slice_str("Bản sao có chứng thực");
		cells[2 * i + 1] = slice_str("1.000");
	}
	add_table(b, 200, cells);
	assert_int_equal(press(b), ST_OK);
	assert_true(b->press->pages > 3);
	text = text_of(b);
	for (at = text; (at = strstr(at, "STTTêngiấytờ")) != NULL; at++)
		headings++;
	assert_in_range(headings, b->press->pages - 1, b->press->pages);
	free(text);
	assert_shows(b, "199 Bản sao có chứng thực 1.000 200 Bản sao có chứng thực 1.000");
}

static void cells_that_wrap_stay_whole(void **state)
{
	static const char name[] = "Bản sao có chứng thực từ bản chính của một giấy tờ có tên gọi "
				   "dài đến mức phải sang dòng thứ hai, rồi dòng thứ ba của ô";
	static const char number[] = "một nghìn hai trăm ba mươi tư bản, ghi bằng chữ";
	struct bench *b = *state;
	struct slice cells[80];

	for (int i = 0; i < 40; i++) {
		cells[2 * i] = slice_str(name);
		cells[2 * i + 1] = slice_str(number);
	}
	add_table(b, 40, cells);
	assert_int_equal(press(b), ST_OK);
	assert_true(b->press->pages > 1);
	assert_shows(b, name);
	assert_shows(b, number);
}

static void a_row_goes_over_pages(void **state)
{
	struct bench *b = *state;
	char *text = repeat("Nguyễn Văn A, phố Bản Mới; ", 900);
	struct slice cells[2] = { slice_str(text), slice_str("1") };

	add_table(b, 1, cells);
	assert_int_equal(press(b), ST_OK);
	assert_true(b->press->pages > 3);
	for (uint32_t i = 0; i < b->press->strips_n; i++)
		assert_true(b->press->strips[i].top + b->press->strips[i].height <= FRAME_HEIGHT);
	free(text);
}

/* ---- blocks that may be missing ---- */

static void only_if_hides(void **state)
{
	struct bench *b = *state;
	char *text;

	b->leaf.blocks[3].only_if = 13;	/* tu_khai */
	leaf_field(&b->leaf, "tu_khai")->flag = false;
	assert_int_equal(press(b), ST_OK);
	text = text_of(b);
	assert_null(strstr(text, "Xétđềnghị"));
	free(text);
}

static void without_signature_block(void **state)
{
	struct bench *b = *state;
	struct places places;

	b->leaf.kind.blocks_n -= 2;
	assert_int_equal(press(b), ST_OK);
	places = widget_places(b->press);
	for (int i = 0; i < 4; i++)
		assert_int_equal(places.rect[ROLE_AGENCY][i], 0);
}

/* The seal lies over the left third of the handwriting (ND 30/2020). */
static void seal_over_handwriting(void **state)
{
	struct bench *b = *state;
	struct places p;
	int32_t third;

	assert_int_equal(press(b), ST_OK);
	p = widget_places(b->press);
	third = (p.rect[ROLE_PERSON][2] - p.rect[ROLE_PERSON][0]) / 3;
	assert_int_equal(p.rect[ROLE_AGENCY][2], p.rect[ROLE_PERSON][0] + third);
	assert_true(p.rect[ROLE_AGENCY][3] <= PAGE_HEIGHT && p.rect[ROLE_AGENCY][1] >= 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(all_values_are_on_the_page), TEST(halves_share_a_line),
		TEST(halves_that_wrap_stay_whole),
		TEST(hostile_values_are_text), TEST(a_long_value_flows_over_pages),
		TEST(signature_stays_with_text), TEST(too_many_pages_are_refused),
		TEST(a_spent_arena_is_told), TEST(a_table_repeats_its_heading),
		TEST(cells_that_wrap_stay_whole), TEST(a_row_goes_over_pages), TEST(only_if_hides),
		TEST(without_signature_block), TEST(seal_over_handwriting),
	};

	return cmocka_run_group_tests(tests, bench_open, bench_close);
}
