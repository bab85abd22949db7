#include "render/press.h"
#include "render/words.h"

#define SIZE 130			/* dpt: the body's (ND 30/2020 PL I) */
#define SPACE 600			/* cpt */

static void say(struct press *p, struct slice s)
{
	text_plain(p, s, FACE_ITALIC, false);
}

void layout_replaced(struct press *p)
{
	const struct case_result *r = p->item->result;
	struct frame f = { 0, FRAME_WIDTH, 0, SIZE, 'c' };
	uint8_t words[64];
	struct writer day = writer_of(words, sizeof(words));
	uint32_t first = p->lines_n;

	text_begin(p);
	say(p, slice_str("(Thay thế "));
	if (r->replaced.number.n > 0) {
		words_day(&day, r->replaced.day);
		say(p, slice_str("văn bản số "));
		say(p, r->replaced.number);
		say(p, slice_str(" "));
		say(p, writer_slice(&day));
	}
	if (r->replaced.agency.n > 0) {
		say(p, slice_str(" của "));
		say(p, r->replaced.agency);
	}
	say(p, slice_str(r->replaced.number.n > 0 ? ", mã kết quả " : "kết quả mã "));
	say(p, r->replaces);
	say(p, slice_str(")"));
	strips_of_lines(p, first, text_wrap(p, &f), SIZE, SPACE);
}

uint8_t replaced_behind(const struct kind *k)
{
	uint8_t behind = 0;

	for (uint8_t i = 0; i < k->blocks_n; i++) {
		if (k->blocks[i].type == BLOCK_TITLE && k->blocks[i].only_if < 0)
			return i;
		if (k->blocks[i].type == BLOCK_NUMBER_DATE)
			behind = i;
	}
	return behind;
}
