#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "cli/audit/audit.h"
#include "cli/audit/holes.h"
#include "cli/bookcheck.h"

#define PAGE 256
#define SCRATCH_BYTES (4u * 1024 * 1024)

/* ---- which registers there are ---- */

struct books { struct register_mark *of; size_t n, room; bool short_of_memory; };

static void book_add(void *ctx, const struct register_mark *m)
{
	struct books *b = ctx;

	if (b->n == b->room) {
		size_t room = b->room == 0 ? 64 : 2 * b->room;
		void *bigger = realloc(b->of, room * sizeof(*b->of));

		b->short_of_memory |= bigger == NULL;
		if (bigger == NULL)
			return;
		b->of = bigger;
		b->room = room;
	}
	b->of[b->n++] = *m;
}

static int by_name(const void *a, const void *b)
{
	const struct register_mark *x = a, *y = b;
	int order = strcmp(x->unit, y->unit);

	if (order == 0)
		order = strcmp(x->code, y->code);
	return order != 0 ? order : (x->year > y->year) - (x->year < y->year);
}

/* ---- one of them ---- */

struct reading {
	struct audit *a;
	const struct register_mark *of;
	struct bookcheck *check;
	struct arena scratch;
	uint64_t last, first, upto;	/* first: that no case brought */
	bool looking;			/* for the first one */
	bool ended;
	uint64_t found;
	struct audit_holes holes;
	enum status st;
	json_t *findings;
};

/* Did its case bring the number? Then the register has whatever numbers cases bring. */
static bool given(struct reading *b, const struct book_entry *row)
{
	const struct result_view *v = &row->result;
	struct case_view c;

	arena_reset(&b->scratch);
	if (row->state != BOOK_ISSUED || row->damaged ||
	    case_decode(&c, v->case_bytes, &b->scratch) != ST_OK)
		return false;
	for (uint8_t i = 0; i < c.results_n; i++)
		if (c.results[i].given_number == v->number && v->number != 0 &&
		    c.results[i].ordinal == v->ordinal && slice_eq(c.results[i].kind, v->kind))
			return true;
	return false;
}

static void entry_check(struct reading *b, const struct book_entry *row)
{
	static const Trien__V1__RegisterEntry__State states[] = {
		[BOOK_PENDING] = TRIEN__V1__REGISTER_ENTRY__STATE__PENDING,
		[BOOK_ISSUED] = TRIEN__V1__REGISTER_ENTRY__STATE__ISSUED,
		[BOOK_VOID] = TRIEN__V1__REGISTER_ENTRY__STATE__VOIDED,
		[BOOK_OUTSIDE] = TRIEN__V1__REGISTER_ENTRY__STATE__USED_OUTSIDE,
	};
	Trien__V1__RegisterEntry e = TRIEN__V1__REGISTER_ENTRY__INIT;
	Google__Protobuf__Timestamp issued = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	char id[ID_TEXT_BYTES + 1] = "", reason[2] = "";

	e.number = row->number;
	e.state = states[row->state];
	e.damaged = row->damaged;
	if (!row->damaged && row->sequence != 0) {
		id_text(id, row->result.result_id);
		e.result_id = id;
	}
	if (!row->damaged && row->result.issued_ms != 0) {
		issued.seconds = row->result.issued_ms / 1000;
		issued.nanos = (int32_t)(row->result.issued_ms % 1000) * 1000000;
		e.issue_time = &issued;
	}
	/* That there is one is what is asked: it may name a person. */
	if (!row->damaged && row->state != BOOK_ISSUED && row->result.void_reason.n > 0)
		reason[0] = '.';
	e.end_reason = reason;
	bookcheck_entry(b->check, &e);
}

/* A result whose life cannot be read is known by its number. */
static void name_unreadable(struct audit *a, const struct book_entry *row)
{
	char id[ID_TEXT_BYTES + 1] = "";
	json_t *f;
	size_t i;

	if (a->by_fault[AUDIT_UNREADABLE] == 0 || row->damaged || row->sequence == 0)
		return;
	id_text(id, row->result.result_id);
	json_array_foreach(a->findings, i, f)
		if ((uint64_t)json_integer_value(json_object_get(f, "sequence")) == row->sequence)
			json_object_set_new(f, "result", json_string(id));
}

static bool row_take(void *ctx, const struct book_entry *row)
{
	struct reading *b = ctx;

	b->last = row->number;
	/* What was given since belongs to the next audit. */
	b->ended = row->number > b->upto;
	if (b->ended)
		return false;
	if (!b->looking) {
		entry_check(b, row);
		name_unreadable(b->a, row);
		return true;
	}
	if (given(b, row))
		return true;
	b->first = row->number;
	b->ended = true;
	return false;
}

static enum status walk(struct reading *b)
{
	const struct register_mark *m = b->of;
	uint32_t n = PAGE;
	enum status st = ST_OK;

	b->last = 0;
	b->ended = false;
	while (st == ST_OK && n == PAGE && !b->ended)
		st = b->a->store->ops->book(b->a->walker, slice_str(m->unit), slice_str(m->code),
					    m->year, b->last, PAGE, row_take, b, &n);
	return st;
}

static void told_of(struct reading *b, uint64_t number, const char *todo, json_t *finding)
{
	json_object_set_new(finding, "number", json_integer((json_int_t)number));
	json_object_set_new(finding, "todo", json_string(todo));
	json_array_append_new(b->findings, finding);
	b->found++;
}

static void found(void *ctx, const struct book_finding *f)
{
	struct reading *b = ctx;

	if (f->fault == BOOK_TOTALS)
		return;
	if (f->fault == BOOK_MISSING) {
		if (b->st == ST_OK)
			b->st = audit_hole_add(&b->holes, f->number, f->last);
		return;
	}
	told_of(b, f->number, f->todo, audit_finding(
		AUDIT_BOOK, NULL, 0, "%s %s %u: number %llu %s (%s)", b->of->unit, b->of->code,
		b->of->year, (unsigned long long)f->number, f->what, book_fault_name(f->fault)));
}

static void lost(void *ctx, uint64_t from, uint64_t to)
{
	struct reading *b = ctx;
	char numbers[64];

	snprintf(numbers, sizeof(numbers), from == to ? "number %llu" : "numbers %llu to %llu",
		 (unsigned long long)from, (unsigned long long)to);
	told_of(b, from, b->holes.asked ?
		"look for it in the paper book and in the newest backup; trien fsck, or trien "
		"store check --deep; if it is lost for good: trien register void" :
		"audit again beside the engine that issues for the agency, or with --connect: what "
		"it has pending is no fault",
		audit_finding(AUDIT_BOOK, NULL, 0, "%s %s %u: %s: %s (%s)", b->of->unit,
			      b->of->code, b->of->year, numbers, b->holes.asked ?
			      "neither in the store nor pending with the engine" :
			      "not in the store; whether pending or lost, only the engine can "
			      "tell, which was not asked", book_fault_name(BOOK_MISSING)));
}

static void told(struct reading *b, const struct book_sums *s)
{
	const struct register_mark *m = b->of;

	json_array_append_new(b->a->registers, json_pack(
		"{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "unit", m->unit, "code",
		m->code, "year", (int)m->year, "first", (json_int_t)s->first, "last",
		(json_int_t)s->last, "issued", (json_int_t)s->issued, "pending",
		(json_int_t)b->holes.pending, "void", (json_int_t)s->voided, "outside",
		(json_int_t)s->outside, "brought", (json_int_t)s->brought, "findings",
		(json_int_t)b->found));
	/* Where cases bring all numbers, an engine has nothing to say. */
	if (!b->holes.asked && b->first != 0)
		json_array_append_new(b->a->unasked, json_sprintf("%s %s %u", m->unit, m->code,
								  m->year));
}

/* Where it begins, and how far it has come: the engine's word, else as far as the store goes. */
static enum status head_find(struct reading *b, Trien__V1__Register *head)
{
	const struct audit_head *h = audit_engine_head(b->holes.engine, b->of);
	enum status st;

	head->year = b->of->year;
	b->holes.asked = h != NULL;
	b->upto = b->of->highest;
	if (h != NULL) {
		head->first = h->first;
		head->next = h->next;
		if (h->next > b->upto)
			b->upto = h->next - 1;
		return ST_OK;
	}
	b->first = 0;
	b->looking = true;
	st = walk(b);
	b->looking = false;
	head->first = b->first;
	head->next = b->of->highest + 1;
	return st;
}

static enum status book_check(struct reading *b)
{
	Trien__V1__Register head = TRIEN__V1__REGISTER__INIT;
	struct book_sums sums = { 0 };
	enum status st = head_find(b, &head);

	b->found = 0;
	b->st = ST_OK;
	if (st == ST_OK)
		st = bookcheck_new(&b->check, found, b);
	if (st != ST_OK)
		return st;
	if (head.first != 0)
		bookcheck_head(b->check, &head);
	st = walk(b);
	if (st == ST_OK)
		st = bookcheck_end(b->check, &sums);
	if (st == ST_OK)
		st = b->st;
	if (st == ST_OK)
		st = audit_holes_settle(&b->holes, b->a, b->of);
	if (st == ST_OK)
		told(b, &sums);
	bookcheck_free(b->check);
	b->check = NULL;
	return st;
}

static bool asked(const struct audit_scope *s, const struct register_mark *m)
{
	return (s->from_day == 0 || m->year >= s->from_day / 10000) &&
	       (s->to_day == 0 || m->year <= s->to_day / 10000);
}

/* Marks first, then the engine's heads: a number of a mark was given before. */
static enum status list_all(struct audit *a, struct books *list, struct audit_engine **engine,
			    struct error *e)
{
	const struct audit_head *heads;
	struct error why = { 0 };
	enum status st = a->store->ops->marks(a->store, book_add, list, e);
	size_t n, known = list->n;

	if (st == ST_OK && a->engine != NULL &&
	    audit_engine_open(engine, a->engine, &why) != ST_OK)
		fprintf(stderr, "trien audit: the engine is not asked about the registers: %s\n",
			why.text);
	qsort(list->of, known, sizeof(*list->of), by_name);
	/* Of which the store has nothing yet, or any more. */
	heads = audit_engine_heads(*engine, &n);
	for (size_t i = 0; i < n && st == ST_OK; i++) {
		struct register_mark m = { .year = heads[i].year };

		memcpy(m.unit, heads[i].unit, sizeof(m.unit));
		memcpy(m.code, heads[i].code, sizeof(m.code));
		if (heads[i].next > heads[i].first &&
		    (known == 0 || bsearch(&m, list->of, known, sizeof(m), by_name) == NULL))
			book_add(list, &m);
	}
	qsort(list->of, list->n, sizeof(*list->of), by_name);
	return st == ST_OK && list->short_of_memory ? ST_NOMEM : st;
}

enum status audit_books(struct audit *a, struct error *e)
{
	struct reading b = { .a = a, .findings = json_array(), .holes = { .lost = lost } };
	struct books list = { 0 };
	enum status st = arena_init(&b.scratch, SCRATCH_BYTES);

	b.holes.ctx = &b;
	if (st == ST_OK)
		st = list_all(a, &list, &b.holes.engine, e);
	for (size_t i = 0; i < list.n && st == ST_OK; i++) {
		b.of = &list.of[i];
		if (asked(&a->scope, b.of))
			st = book_check(&b);
	}
	audit_found(a, b.findings);
	json_decref(b.findings);
	audit_engine_close(b.holes.engine);
	free(b.holes.of);
	arena_free(&b.scratch);
	free(list.of);
	return st == ST_OK ? ST_OK : error_set(e, st, "the registers could not be read to their "
					       "end: %s", status_name(st));
}
