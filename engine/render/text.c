#include "render/press.h"

#include "render/words.h"

void text_begin(struct press *p)
{
	p->well.n = 0;
}

void text_plain(struct press *p, struct slice s, enum face face, bool upper)
{
	encode(p->encoding, &p->well, s, face, upper);
}

/* ---- references ---- */

bool value_present(const struct field *f)
{
	if (f == NULL)
		return false;
	switch (f->type) {
	case FIELD_TEXT:
		return f->text.n > 0;
	case FIELD_FLAG:
		return f->flag;
	case FIELD_TABLE:
		return f->table.rows > 0;
	default:
		return true;
	}
}

void text_capital(struct press *p, struct slice s, enum face face)
{
	struct slice rest = s;

	if (s.n == 0)
		return;
	(void)utf8_next(&rest);
	text_plain(p, slice_of(s.p, s.n - rest.n), face, true);
	text_plain(p, rest, face, false);
}

static void shown_text(struct press *p, const struct source *s, struct slice text)
{
	if (s->format == RUN_CAPITAL && !s->upper)
		text_capital(p, text, (enum face)s->face);
	else
		text_plain(p, text, (enum face)s->face, s->upper || s->format == RUN_UPPER);
}

static void field_text(struct press *p, const struct source *s)
{
	const struct field *f = p->values[s->field];
	uint8_t words[WORD_BYTES_MAX];
	struct writer w = writer_of(words, sizeof(words));

	if (f == NULL)
		return;
	switch (f->type) {
	case FIELD_TEXT:
		shown_text(p, s, f->text);
		return;
	case FIELD_NUMBER:
		words_number(&w, f->number.value, f->number.decimals, s->format);
		break;
	case FIELD_DATE:
		words_date(&w, f->date, s->format);
		break;
	case FIELD_FLAG:
		write_str(&w, f->flag ? "Có" : "Không");
		break;
	case FIELD_TABLE:
		return;
	}
	p->well.full |= w.bad;
	text_plain(p, writer_slice(&w), s->face, s->upper);
}

/* The others were encoded with the template. */
static void builtin_text(struct press *p, const struct source *s)
{
	uint8_t words[WORD_BYTES_MAX];
	struct writer w = writer_of(words, sizeof(words));

	write_builtin(p, (enum run_builtin)s->builtin, &w);
	p->well.full |= w.bad;
	shown_text(p, s, writer_slice(&w));
}

void text_runs(struct press *p, const struct text *t)
{
	struct well *w = &p->well;

	for (uint16_t i = 0; i < t->n; i++) {
		const struct source *s = &t->sources[i];

		if (s->spans == NULL) {
			if (s->field >= 0)
				field_text(p, s);
			else
				builtin_text(p, s);
			continue;
		}
		if (s->spans_n > w->max - w->n) {
			w->full = true;
			return;
		}
		for (uint32_t k = 0; k < s->spans_n; k++)
			w->spans[w->n++] = s->spans[k];
	}
}

/* ---- lines ---- */

/* A place in the text: span and byte. */
struct mark { uint32_t span, at; };

struct wrap {
	struct press *p;
	const struct frame *f;
	uint32_t lines_n;
	int32_t room;			/* of the line being filled, 1/1000 em */
	struct mark start;		/* of that line */
	int64_t used;			/* its width up to here, 1/1000 em */
	uint32_t spaces;
	/* the last place where it may break: the end of a word, and the beginning of the next */
	bool may_break;
	struct mark end, next;
	int64_t end_used, next_used;
	uint32_t end_spaces, next_spaces;
};

static int32_t em_of_cpt(int32_t cpt, uint16_t size_dpt)
{
	return cpt * 100 / size_dpt;
}

static int32_t cpt_of_em(int64_t em, uint16_t size_dpt)
{
	return (int32_t)(em * size_dpt / 100);
}

static void frag_add(struct press *p, const struct span *s, uint32_t from, uint32_t to)
{
	if (from == to)
		return;
	if (p->frags_n == FRAGS_MAX) {
		p->full = true;
		return;
	}
	p->frags[p->frags_n++] = (struct frag){ s->p + from, to - from, s->face, s->wide };
}

/* The characters from start to end as fragments. */
static void frags_add(struct press *p, struct mark start, struct mark end)
{
	const struct span *spans = p->well.spans;

	for (uint32_t i = start.span; i < end.span; i++)
		frag_add(p, &spans[i], i == start.span ? start.at : 0, spans[i].n);
	if (end.at > 0)
		frag_add(p, &spans[end.span], end.span == start.span ? start.at : 0, end.at);
}

/* Ends the line at `end`; last: nothing follows in its paragraph, so it is not stretched. */
static void line_end(struct wrap *w, struct mark end, int64_t used, uint32_t spaces, bool last)
{
	struct press *p = w->p;
	const struct frame *f = w->f;
	int32_t indent = w->lines_n == 0 ? f->indent : 0;
	int32_t left = f->width - indent - cpt_of_em(used, f->size_dpt);
	struct line *l = &p->lines[p->lines_n];

	if (p->lines_n == LINES_MAX) {
		p->full = true;
		return;
	}
	*l = (struct line){ .frag = p->frags_n, .x = f->x + indent, .y = line_base(f->size_dpt),
			    .size_dpt = f->size_dpt };
	if (f->align == 'c')
		l->x += left / 2;
	else if (f->align == 'r')
		l->x += left;
	else if (f->align == 'j' && !last && spaces > 0 && left > 0 &&
		 left / (int32_t)spaces <= f->size_dpt * 6)
		l->word_space = left / (int32_t)spaces;
	frags_add(p, w->start, end);
	l->frags_n = p->frags_n - l->frag;
	p->lines_n++;
	w->lines_n++;
	w->room = em_of_cpt(f->width, f->size_dpt);
}

static void line_begin(struct wrap *w, struct mark at)
{
	w->start = at;
	w->used = 0;
	w->spaces = 0;
	w->may_break = false;
}

/* The text ran over its line: break behind the last word, or inside a word as a last resort. */
static void overrun(struct wrap *w, struct mark here, uint32_t width)
{
	if (w->may_break) {
		line_end(w, w->end, w->end_used, w->end_spaces, false);
		w->start = w->next;
		w->used -= w->next_used;
		w->spaces -= w->next_spaces;
		w->may_break = false;
	}
	/* What is left of the word may still be longer than a line. */
	if (w->used > w->room && (w->start.span != here.span || w->start.at != here.at)) {
		line_end(w, here, w->used - width, w->spaces, false);
		line_begin(w, here);
		w->used = width;
	}
}

/* A space at `here`: the line may end before it and go on after it. */
static void may_break(struct wrap *w, struct mark here, uint32_t width, bool again)
{
	if (!again || !w->may_break) {
		w->end = here;
		w->end_used = w->used;
		w->end_spaces = w->spaces;
	}
	w->used += width;
	w->spaces++;
	w->next = (struct mark){ here.span, here.at + 1 };
	w->next_used = w->used;
	w->next_spaces = w->spaces;
	w->may_break = true;
}

static void scan(struct wrap *w, uint32_t index, bool *after_space)
{
	const struct span *s = &w->p->well.spans[index];
	const uint16_t *width = w->p->encoding->width[s->face];
	uint32_t step = s->wide ? 2 : 1;

	for (uint32_t at = 0; at < s->n; at += step) {
		uint32_t code = s->wide ? (uint32_t)s->p[at] << 8 | s->p[at + 1] : s->p[at];
		struct mark here = { index, at };

		if (code == ' ') {
			may_break(w, here, width[code], *after_space);
			*after_space = true;
			continue;
		}
		*after_space = false;
		w->used += width[code];
		if (w->used > w->room)
			overrun(w, here, width[code]);
	}
}

/* Does the text up to its next forced break fit one line? Then no character is looked at. */
static bool fits(struct wrap *w, uint32_t *i)
{
	const struct span *spans = w->p->well.spans;
	uint32_t k = *i, n = w->p->well.n;
	int64_t used = 0;

	for (; k < n; k++) {
		used += spans[k].width;
		if (used > w->room)
			return false;
		if (spans[k].ends)
			break;
	}
	line_end(w, (struct mark){ k < n ? k + 1 : n, 0 }, used, 0, true);
	*i = k < n ? k + 1 : n;
	line_begin(w, (struct mark){ *i, 0 });
	return true;
}

uint32_t text_wrap(struct press *p, const struct frame *f)
{
	struct wrap w = { .p = p, .f = f, .room = em_of_cpt(f->width - f->indent, f->size_dpt) };
	const struct span *spans = p->well.spans;
	uint32_t i = 0, n = p->well.n;

	if (p->well.full) {
		p->full = true;
		return 0;
	}
	while (i < n && !p->full) {
		bool after_space = false, ended = false;

		if (fits(&w, &i))
			continue;
		for (; i < n && !ended; i++) {
			scan(&w, i, &after_space);
			ended = spans[i].ends;
		}
		line_end(&w, (struct mark){ i, 0 }, w.used, w.spaces, true);
		line_begin(&w, (struct mark){ i, 0 });
	}
	return w.lines_n;
}
