#include "portal/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 16			/* of values, and of parts in parts */
#define KEY_BYTES_MAX 96
#define NUMBER_BYTES 32

enum node_type { NODE_TEXT, NODE_VALUE, NODE_URL, NODE_WORD, NODE_SOME, NODE_NONE, NODE_END,
		 NODE_PART };

struct node {
	enum node_type type;
	struct slice s;			/* text, name, key */
	uint32_t line;
	uint32_t end;			/* SOME, NONE: where its END is */
	const struct page *part;
};

struct page {
	struct page *next;
	char *name;
	struct node *nodes;
	uint32_t n, room;
};

struct pages {
	const struct words *words;
	struct page *first;
};

/* ---- templates ---- */

enum status pages_new(struct pages **out, const struct words *words)
{
	*out = calloc(1, sizeof(**out));
	if (*out == NULL)
		return ST_NOMEM;
	(*out)->words = words;
	return ST_OK;
}

static void page_free(struct page *p)
{
	free(p->name);
	free(p->nodes);
	free(p);
}

void pages_free(struct pages *p)
{
	struct page *next;

	if (p == NULL)
		return;
	for (struct page *one = p->first; one != NULL; one = next) {
		next = one->next;
		page_free(one);
	}
	free(p);
}

static const struct page *page_find(const struct pages *p, struct slice name)
{
	const struct page *one = p->first;

	while (one != NULL && !slice_eq(slice_str(one->name), name))
		one = one->next;
	return one;
}

static enum status node_add(struct page *p, struct node node)
{
	if (p->n == p->room) {
		uint32_t room = p->room > 0 ? p->room * 2 : 32;
		struct node *more = realloc(p->nodes, room * sizeof(*more));

		if (more == NULL)
			return ST_NOMEM;
		p->nodes = more;
		p->room = room;
	}
	p->nodes[p->n++] = node;
	return ST_OK;
}

/* How far a page has been read. */
struct source {
	const char *p, *end;
	uint32_t line;
};

static const char *seek(const char *p, const char *end, const char *what)
{
	return p < end ? memmem(p, (size_t)(end - p), what, strlen(what)) : NULL;
}

static struct slice trimmed(const char *p, const char *end)
{
	while (p < end && *p == ' ')
		p++;
	while (end > p && end[-1] == ' ')
		end--;
	return slice_of(p, (size_t)(end - p));
}

static struct node node_of(const char *p, const char *end, uint32_t line)
{
	struct node n = { .type = NODE_VALUE, .line = line };

	switch (p < end ? *p : '\0') {
	case '#':
		n.type = NODE_SOME;
		p++;
		break;
	case '^':
		n.type = NODE_NONE;
		p++;
		break;
	case '/':
		n.type = NODE_END;
		p++;
		break;
	case '>':
		n.type = NODE_PART;
		p++;
		break;
	case '!':
		n.type = NODE_TEXT;
		return n;
	default:
		if (end - p >= 2 && p[1] == ' ' && (*p == 't' || *p == 'u')) {
			n.type = *p == 't' ? NODE_WORD : NODE_URL;
			p += 2;
		}
		break;
	}
	n.s = trimmed(p, end);
	return n;
}

static bool shapes(const struct node *n)
{
	return n->type == NODE_SOME || n->type == NODE_NONE || n->type == NODE_END ||
	       n->type == NODE_PART || (n->type == NODE_TEXT && n->s.n == 0);
}

/* Where the line's end is if nothing but this tag stands in it; NULL: more does. */
static const char *alone(const char *start, const char *open, const char *close, const char *end)
{
	while (open > start && (open[-1] == '\t' || open[-1] == ' '))
		open--;
	if (open > start && open[-1] != '\n')
		return NULL;
	return close == end ? end : *close == '\n' ? close + 1 : NULL;
}

/* The end of the tag that is open at p; NULL: it has none. A key's own {…} may stand at it. */
static const char *tag_end(const char *p, const char *end)
{
	const char *close = seek(p, end, "}}");

	while (close != NULL && close + 2 < end && close[2] == '}')
		close++;
	return close;
}

/* The text before a tag, and the tag; moves behind it. */
static enum status read_tag(struct page *p, struct source *in, const char *start,
			    const char *open, const char *close)
{
	struct node text = { NODE_TEXT, slice_of(in->p, (size_t)(open - in->p)),
			     .line = in->line };
	struct node tag = node_of(open + 2, close, in->line);
	const char *rest = close + 2;
	const char *next = shapes(&tag) ? alone(start, open, rest, in->end) : NULL;
	enum status st;

	while (next != NULL && text.s.n > 0 && (text.s.p[text.s.n - 1] == '\t' ||
						text.s.p[text.s.n - 1] == ' '))
		text.s.n--;
	in->line += next != NULL && next > rest;
	in->p = next != NULL ? next : rest;
	st = node_add(p, text);
	return st == ST_OK && !(tag.type == NODE_TEXT && tag.s.n == 0) ? node_add(p, tag) : st;
}

static enum status read_nodes(struct page *p, struct slice source, struct error *e)
{
	const char *start = (const char *)source.p;
	struct source in = { start, start + source.n, 1 };
	enum status st = ST_OK;

	while (st == ST_OK && in.p < in.end) {
		const char *open = seek(in.p, in.end, "{{"), *close;

		if (open == NULL)
			return node_add(p, (struct node){ NODE_TEXT, slice_of(
				in.p, (size_t)(in.end - in.p)), .line = in.line });
		for (const char *c = in.p; c < open; c++)
			in.line += *c == '\n';
		close = tag_end(open, in.end);
		if (close == NULL)
			return error_set(e, ST_INVALID, "%s: line %u: {{ without }}", p->name,
					 in.line);
		st = read_tag(p, &in, start, open, close);
	}
	return st;
}

/* Each section has its end, and each end its section. */
static enum status pair(struct page *p, struct error *e)
{
	uint32_t open[DEPTH_MAX], n = 0;

	for (uint32_t i = 0; i < p->n; i++) {
		struct node *node = &p->nodes[i];

		if (node->type != NODE_TEXT && node->s.n == 0)
			return error_set(e, ST_INVALID, "%s: line %u: a name is needed", p->name,
					 node->line);
		if (node->type == NODE_SOME || node->type == NODE_NONE) {
			if (n == DEPTH_MAX)
				return error_set(e, ST_INVALID, "%s: line %u: too deep", p->name,
						 node->line);
			open[n++] = i;
		}
		if (node->type != NODE_END)
			continue;
		if (n == 0 || !slice_eq(p->nodes[open[n - 1]].s, node->s))
			return error_set(e, ST_INVALID, "%s: line %u: {{/%.*s}} ends no section",
					 p->name, node->line, (int)node->s.n,
					 (const char *)node->s.p);
		p->nodes[open[--n]].end = i;
	}
	return n == 0 ? ST_OK : error_set(e, ST_INVALID, "%s: line %u: a section without end",
					  p->name, p->nodes[open[n - 1]].line);
}

enum status pages_add(struct pages *p, const char *name, struct slice source, struct error *e)
{
	struct page *one = calloc(1, sizeof(*one));
	enum status st = one == NULL ? ST_NOMEM : ST_OK;

	if (st != ST_OK)
		return st;
	one->name = strdup(name);
	st = one->name == NULL ? ST_NOMEM : read_nodes(one, source, e);
	if (st == ST_OK)
		st = pair(one, e);
	if (st != ST_OK) {
		page_free(one);
		return st;
	}
	one->next = p->first;
	p->first = one;
	return ST_OK;
}

static bool deeper_than(const struct page *p, uint32_t depth)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (p->nodes[i].part != NULL &&
		    (depth == 0 || deeper_than(p->nodes[i].part, depth - 1)))
			return true;
	return false;
}

enum status pages_link(struct pages *p, struct error *e)
{
	for (struct page *one = p->first; one != NULL; one = one->next)
		for (uint32_t i = 0; i < one->n; i++) {
			struct node *node = &one->nodes[i];

			if (node->type != NODE_PART)
				continue;
			node->part = page_find(p, node->s);
			if (node->part == NULL)
				return error_set(e, ST_INVALID, "%s: line %u: no part %.*s",
						 one->name, node->line, (int)node->s.n,
						 (const char *)node->s.p);
		}
	for (const struct page *one = p->first; one != NULL; one = one->next)
		if (deeper_than(one, DEPTH_MAX / 4))
			return error_set(e, ST_INVALID, "%s: its parts hold each other, or are too "
					 "many in one another", one->name);
	return ST_OK;
}

/* ---- values ---- */

struct writing {
	const struct pages *pages;
	const struct page *page;
	enum language language;
	const json_t *values[DEPTH_MAX * 2];
	uint32_t n;
	struct text *out;
	struct error *e;
};

static const json_t *member(const json_t *of, struct slice name)
{
	char key[KEY_BYTES_MAX + 1];

	if (name.n > KEY_BYTES_MAX)
		return NULL;
	memcpy(key, name.p, name.n);
	key[name.n] = '\0';
	return json_object_get(of, key);
}

static const json_t *lookup(const struct writing *w, struct slice name)
{
	const uint8_t *dot = memchr(name.p, '.', name.n);
	struct slice head = { name.p, dot != NULL ? (size_t)(dot - name.p) : name.n };
	const json_t *v = NULL;

	if (name.n == 1 && dot != NULL)
		return w->values[w->n - 1];
	for (uint32_t i = w->n; v == NULL && i > 0; i--)
		v = member(w->values[i - 1], head);
	while (v != NULL && dot != NULL) {
		struct slice rest = slice_of(dot + 1, (size_t)(name.p + name.n - dot - 1));

		dot = memchr(rest.p, '.', rest.n);
		head = slice_of(rest.p, dot != NULL ? (size_t)(dot - rest.p) : rest.n);
		v = member(v, head);
	}
	return v;
}

/* Of what has one; buf holds a number's. */
static struct slice text_form(const json_t *v, char buf[NUMBER_BYTES])
{
	if (json_is_string(v))
		return slice_of(json_string_value(v), json_string_length(v));
	if (json_is_integer(v))
		return slice_of(buf, (size_t)snprintf(buf, NUMBER_BYTES, "%lld",
						      (long long)json_integer_value(v)));
	if (json_is_real(v))
		return slice_of(buf, (size_t)snprintf(buf, NUMBER_BYTES, "%.10g",
						      json_real_value(v)));
	return slice_of("", 0);
}

static bool is_some(const json_t *v)
{
	switch (v != NULL ? json_typeof(v) : JSON_NULL) {
	case JSON_NULL:
	case JSON_FALSE:
		return false;
	case JSON_STRING:
		return json_string_length(v) > 0;
	case JSON_INTEGER:
		return json_integer_value(v) != 0;
	case JSON_ARRAY:
		return json_array_size(v) > 0;
	default:
		return true;
	}
}

/* ---- writing ---- */

static enum status write_nodes(struct writing *w, uint32_t from, uint32_t to);

/* s with each {name} replaced by its value: raw, as the key of a word; or escaped, as HTML. */
static void fill(struct writing *w, struct slice s, struct text *out, bool html)
{
	while (s.n > 0) {
		const uint8_t *open = memchr(s.p, '{', s.n);
		const uint8_t *close = open != NULL ?
			memchr(open, '}', (size_t)(s.p + s.n - open)) : NULL;
		struct slice before = { s.p, close != NULL ? (size_t)(open - s.p) : s.n };
		char buf[NUMBER_BYTES];

		if (html)
			text_html(out, before);
		else
			text_add(out, before.p, before.n);
		if (close == NULL)
			return;
		before = text_form(lookup(w, slice_of(open + 1, (size_t)(close - open - 1))), buf);
		if (html)
			text_html(out, before);
		else
			text_add(out, before.p, before.n);
		s = slice_of(close + 1, (size_t)(s.p + s.n - close - 1));
	}
}

static enum status write_word(struct writing *w, const struct node *node)
{
	struct text key = text_of(KEY_BYTES_MAX);
	const char *text = NULL;
	enum status st = ST_OK;

	fill(w, node->s, &key, false);
	text_add(&key, "", 1);
	if (!key.bad)
		text = words_get(w->pages->words, w->language, key.p);
	/* What a model put into the key is not told: it may be anything. */
	if (text == NULL)
		st = error_set(w->e, ST_NOT_FOUND, "%s: line %u: no word %.*s", w->page->name,
			       node->line, (int)node->s.n, (const char *)node->s.p);
	else
		fill(w, slice_str(text), w->out, true);
	text_free(&key);
	return st;
}

static enum status write_inside(struct writing *w, uint32_t from, uint32_t to, const json_t *v)
{
	enum status st;

	if (w->n == ARRAY_LEN(w->values))
		return error_set(w->e, ST_TOO_LARGE, "%s: too deep", w->page->name);
	w->values[w->n++] = v;
	st = write_nodes(w, from, to);
	w->n--;
	return st;
}

static enum status write_section(struct writing *w, uint32_t at)
{
	const struct node *node = &w->page->nodes[at];
	const json_t *v = lookup(w, node->s);
	enum status st = ST_OK;

	if (node->type == NODE_NONE)
		return is_some(v) ? ST_OK : write_nodes(w, at + 1, node->end);
	if (!is_some(v))
		return ST_OK;
	if (!json_is_array(v))
		return write_inside(w, at + 1, node->end, v);
	for (size_t i = 0; st == ST_OK && i < json_array_size(v); i++)
		st = write_inside(w, at + 1, node->end, json_array_get(v, i));
	return st;
}

static enum status write_part(struct writing *w, const struct page *part)
{
	const struct page *before = w->page;
	enum status st;

	w->page = part;
	st = write_nodes(w, 0, part->n);
	w->page = before;
	return st;
}

static enum status write_nodes(struct writing *w, uint32_t from, uint32_t to)
{
	enum status st = ST_OK;
	char buf[NUMBER_BYTES];

	for (uint32_t i = from; st == ST_OK && i < to; i++) {
		const struct node *node = &w->page->nodes[i];

		switch (node->type) {
		case NODE_TEXT:
			text_add(w->out, node->s.p, node->s.n);
			break;
		case NODE_VALUE:
			text_html(w->out, text_form(lookup(w, node->s), buf));
			break;
		case NODE_URL:
			text_url(w->out, text_form(lookup(w, node->s), buf));
			break;
		case NODE_WORD:
			st = write_word(w, node);
			break;
		case NODE_SOME:
		case NODE_NONE:
			st = write_section(w, i);
			i = node->end;
			break;
		case NODE_PART:
			st = write_part(w, node->part);
			break;
		case NODE_END:
			break;
		}
	}
	return st;
}

enum status page_render(const struct pages *p, const char *name, enum language language,
		       const json_t *model, struct text *out, struct error *e)
{
	struct writing w = { .pages = p, .page = page_find(p, slice_str(name)),
			     .language = language, .values = { model }, .n = 1, .out = out,
			     .e = e };
	enum status st;

	if (w.page == NULL)
		return error_set(e, ST_NOT_FOUND, "no page %s", name);
	st = write_nodes(&w, 0, w.page->n);
	if (st == ST_OK && out->bad)
		st = error_set(e, ST_TOO_LARGE, "%s: a page of more than %zu bytes", name,
			       out->max);
	return st;
}
