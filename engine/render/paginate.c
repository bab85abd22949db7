#include "render/press.h"

/* Where a page that would begin with strip `at` should begin: before what must stay with it. */
static uint32_t page_break(const struct press *p, uint32_t page_first, uint32_t at)
{
	uint32_t first = at;

	while (first > page_first && p->strips[first - 1].keep)
		first--;
	/* A chain as long as the page has to be cut somewhere. */
	return first == page_first ? at : first;
}

/* Height that the repeated heading takes at the top of a page that begins with this strip. */
static int32_t heading_above(const struct press *p, const struct strip *s)
{
	return s->table == 0 || s->heading ? 0 : p->tables[s->table - 1].heading_height;
}

enum status paginate(struct press *p)
{
	uint32_t page = 0, first = 0;
	int32_t y = 0;

	for (uint32_t i = 0; i < p->strips_n;) {
		struct strip *s = &p->strips[i];
		int32_t space = i == first ? 0 : s->space;

		if (i > first && y + space + s->height > FRAME_HEIGHT) {
			first = i = page_break(p, first, i);
			if (++page == DOC_PAGES_MAX)
				return ST_TOO_LARGE;
			y = heading_above(p, &p->strips[first]);
			continue;
		}
		s->page = (uint16_t)page;
		s->top = y + space;
		y = s->top + s->height;
		i++;
	}
	p->pages = page + 1;
	return ST_OK;
}
