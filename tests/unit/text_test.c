#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#include "press_rig.h"
#include "render/compose.h"

#define FRAME(width, align) { 0, (width), 0, 130, (align) }

static uint32_t wrap(struct press *p, const char *text, const struct frame *f)
{
	press_clear(p);
	text_begin(p);
	text_plain(p, slice_str(text), FACE_REGULAR, false);
	return text_wrap(p, f);
}

static void line_text(const struct press *p, const struct line *l, char *out)
{
	for (uint32_t i = l->frag; i < l->frag + l->frags_n; i++) {
		const struct frag *f = &p->frags[i];

		for (uint32_t k = 0; k < f->n; k += f->wide ? 2 : 1)
			out += utf8_put((uint8_t *)out, p->encoding->cp[f->wide ?
				f->p[k] * 256u + f->p[k + 1] : f->p[k]]);
	}
	*out = '\0';
}

/* In cpt, without word spacing. */
static int32_t line_width(const struct press *p, const struct line *l)
{
	int64_t em = 0;

	for (uint32_t i = l->frag; i < l->frag + l->frags_n; i++) {
		const struct frag *f = &p->frags[i];

		for (uint32_t k = 0; k < f->n; k += f->wide ? 2 : 1)
			em += p->encoding->width[f->face][f->wide ? f->p[k] * 256u + f->p[k + 1] :
							  f->p[k]];
	}
	return (int32_t)(em * l->size_dpt / 100);
}

static void check_line(const struct press *p, uint32_t i, const char *expected)
{
	char text[2048];

	line_text(p, &p->lines[i], text);
	assert_string_equal(text, expected);
}

static void one_line_stays_one(void **state)
{
	struct bench *b = *state;
	struct frame f = FRAME(40000, 'l');

	assert_int_equal(wrap(b->press, "Ủy ban nhân dân", &f), 1);
	check_line(b->press, 0, "Ủy ban nhân dân");
	assert_int_equal(b->press->lines[0].x, 0);
	assert_int_equal(wrap(b->press, "", &f), 0);
}

static void it_breaks_between_words(void **state)
{
	struct bench *b = *state;
	struct frame f = FRAME(9000, 'l');

	assert_int_equal(wrap(b->press, "Trần Nguyễn Hoàng Phương Thảo", &f), 3);
	check_line(b->press, 0, "Trần Nguyễn");
	check_line(b->press, 1, "Hoàng Phương");
	check_line(b->press, 2, "Thảo");
}

/* A name without a space is shown whole all the same. */
static void a_long_word_is_cut_last_of_all(void **state)
{
	struct bench *b = *state;
	struct frame f = FRAME(6000, 'l');
	char all[512] = "";
	uint32_t n = wrap(b->press, "ab WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW cd", &f);

	assert_true(n > 4);
	check_line(b->press, 0, "ab");
	for (uint32_t i = 1; i < n; i++) {
		line_text(b->press, &b->press->lines[i], all + strlen(all));
	}
	assert_string_equal(all, "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWcd");
}

static void forced_breaks_hold(void **state)
{
	struct bench *b = *state;
	struct frame f = FRAME(40000, 'j');

	assert_int_equal(wrap(b->press, "một\n\nba bốn", &f), 3);
	check_line(b->press, 0, "một");
	check_line(b->press, 1, "");
	check_line(b->press, 2, "ba bốn");
	assert_int_equal(b->press->lines[0].word_space, 0);
}

static void alignment(void **state)
{
	struct bench *b = *state;
	struct frame c = FRAME(40000, 'c'), r = FRAME(40000, 'r');
	struct line *l = b->press->lines;
	int32_t width;

	wrap(b->press, "Số: 07/XN", &c);
	width = line_width(b->press, l);
	assert_in_range(l->x * 2 + width, 39998, 40002);
	wrap(b->press, "Số: 07/XN", &r);
	assert_in_range(l->x + width, 39999, 40001);
}

/* Every line but a paragraph's last reaches the right edge. */
static void justified_lines_are_full(void **state)
{
	static const char text[] = "Căn cứ Luật Tổ chức chính quyền địa phương và đề nghị của ông, "
				   "bà "
				   "có tên dưới đây, Ủy ban nhân dân phường xác nhận các nội dung "
				   "mà công dân đã kê khai.";
	struct bench *b = *state;
	struct frame f = { 500, 30000, 3600, 130, 'j' };
	uint32_t n = wrap(b->press, text, &f);

	assert_true(n >= 3);
	for (uint32_t i = 0; i < n; i++) {
		const struct line *l = &b->press->lines[i];
		char shown[512];
		int32_t spaces = 0;

		line_text(b->press, l, shown);
		for (const char *c = shown; *c != '\0'; c++)
			spaces += *c == ' ';
		assert_int_equal(l->x, i == 0 ? 4100 : 500);
		if (i + 1 < n)
			assert_in_range(l->x + line_width(b->press, l) + spaces * l->word_space,
					30500 - spaces - 1, 30501);
		else
			assert_int_equal(l->word_space, 0);
	}
}

static const char *const parts[] = { "Nguyễn", "ở", "a", "  ", " ", "Ñ", "Łódź", "(", "%PDF",
	"WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW", "đ", " – ", "x", "Bé", " ", "Ƀhăm" };

/* Any text at any width: nothing is lost but the space at a break, and no line is too wide. */
static void nothing_is_lost(void **state)
{
	struct bench *b = *state;
	uint32_t seed = 1;

	for (int round = 0; round < 400; round++) {
		struct frame f = FRAME(1500 + round * 50, 'l');
		char text[4096], shown[1024], *at = text;
		struct writer w = writer_of(text, sizeof(text));
		uint32_t n;

		for (int i = 0; i < 60; i++) {
			seed = seed * 1664525 + 1013904223;
			write_str(&w, parts[seed >> 16 & 15]);
		}
		write_u8(&w, 0);
		n = wrap(b->press, text, &f);
		assert_false(b->press->full || b->press->well.foreign);
		for (uint32_t i = 0; i < n; i++) {
			const struct line *l = &b->press->lines[i];
			size_t length;

			line_text(b->press, l, shown);
			length = strlen(shown);
			while (*at == ' ' && shown[0] != ' ')
				at++;
			assert_memory_equal(at, shown, length);
			at += length;
			while (length > 0 && shown[length - 1] == ' ')
				length--;
			if (length > 3 && i + 1 < n)
				assert_true(line_width(b->press, l) <= f.width + 5);
		}
		at += strspn(at, " ");
		assert_string_equal(at, "");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_line_stays_one),
		cmocka_unit_test(it_breaks_between_words),
		cmocka_unit_test(a_long_word_is_cut_last_of_all),
		cmocka_unit_test(forced_breaks_hold),
		cmocka_unit_test(alignment),
		cmocka_unit_test(justified_lines_are_full),
		cmocka_unit_test(nothing_is_lost),
	};

	return cmocka_run_group_tests(tests, bench_open, bench_close);
}
