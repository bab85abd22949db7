#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/calendar.h"
#include "cli/book.h"
#include "cli/bookcheck.h"
#include "client/protojson.h"
#include "trien/v1/operations.pb-c.h"

/* The registers of the words, kept: acts on one of them change the list. */
struct names {
	struct one { char unit[64], code[64]; uint32_t year; bool closed, goes_on, totalled; } *of;
	size_t n, room;
};

static bool name_keep(void *ctx, const Trien__V1__Register *r)
{
	struct names *l = ctx;
	struct one *bigger;

	if (l->n == l->room) {
		size_t room = l->room == 0 ? 64 : 2 * l->room;

		bigger = realloc(l->of, room * sizeof(*bigger));
		if (bigger == NULL)
			return false;
		l->of = bigger;
		l->room = room;
	}
	l->of[l->n] = (struct one){ .year = r->year, .closed = r->closed,
				    .goes_on = r->goes_on, .totalled = r->total != NULL };
	snprintf(l->of[l->n].unit, sizeof(l->of->unit), "%s", r->unit);
	snprintf(l->of[l->n].code, sizeof(l->of->code), "%s", r->code);
	l->n++;
	return true;
}

/* The worse of two exit codes: findings over what could not be done. */
static int worse(int a, int b)
{
	return a == 1 || b == 1 ? 1 : a != 0 ? a : b;
}

/* ---- list: number by number ---- */

static const char *const state_words[] = { "?", "issued", "pending", "void", "outside" };

static void list_head(void *ctx, const Trien__V1__Register *r)
{
	json_t *doc = ctx;

	if (doc != NULL)
		json_object_set_new(doc, "register", protojson_write(&r->base));
	else
		printf("%8s  %-24s %-8s %-19s  %-26s  %s\n", "NUMBER", "PRINTED", "STATE",
		       "GIVEN (VIETNAM)", "RESULT", "KIND");
}

static void list_entry(void *ctx, const Trien__V1__RegisterEntry *e)
{
	json_t *doc = ctx;
	struct civil c = civil_vietnam(e->issue_time != NULL ? e->issue_time->seconds * 1000 : 0);
	char day[32] = "-";

	if (doc != NULL) {
		json_array_append_new(json_object_get(doc, "entries"), protojson_write(&e->base));
		return;
	}
	if (e->issue_time != NULL)
		snprintf(day, sizeof(day), "%04u-%02u-%02u %02u:%02u:%02u", c.year, c.month, c.day,
			 c.hour, c.minute, c.second);
	printf("%8" PRIu64 "  %-24s %-8s %-19s  %-26s  %s%s%s\n", e->number, e->number_text,
	       e->state < 5 ? state_words[e->state] : "?", day, e->result_id,
	       e->damaged ? "DAMAGED " : "", e->kind, "");
	for (size_t i = 0; i < e->n_recipients; i++)
		printf("%8s  to %s\n", "", e->recipients[i]);
	if (e->end_reason[0] != '\0')
		printf("%8s  %s: %s\n", "", e->end_actor, e->end_reason);
}

int book_list(const struct register_options *o, struct client *c)
{
	const struct book_name name = { o->unit, o->code, (uint32_t)o->year };
	json_t *doc = o->json ? json_object() : NULL;
	const struct book_reader to = { list_head, list_entry, doc };
	struct failure f;
	bool read;

	if (doc != NULL)
		json_object_set_new(doc, "entries", json_array());
	read = book_read(c, &name, o->recipients, false, o->engine.timeout_s, &to, &f);
	if (!read)
		failure_print("register", &f);
	if (read && doc != NULL)
		json_print(json_incref(doc));
	json_decref(doc);
	return failure_exit(&f);
}

/* ---- check ---- */

struct checking {
	struct bookcheck *check;
	const struct one *name;
	json_t *list;			/* of findings; NULL: to print */
};

static void check_head(void *ctx, const Trien__V1__Register *r)
{
	bookcheck_head(((struct checking *)ctx)->check, r);
}

static void check_entry(void *ctx, const Trien__V1__RegisterEntry *e)
{
	bookcheck_entry(((struct checking *)ctx)->check, e);
}

static void check_found(void *ctx, const struct book_finding *f)
{
	struct checking *c = ctx;

	if (c->list != NULL) {
		json_array_append_new(c->list, json_pack(
			"{s:s, s:s, s:i, s:s, s:I, s:I, s:I, s:s, s:s}", "unit", c->name->unit,
			"code", c->name->code, "year", (int)c->name->year, "fault",
			book_fault_name(f->fault), "number", (json_int_t)f->number, "last",
			(json_int_t)f->last, "other", (json_int_t)f->other, "what", f->what,
			"todo", f->todo));
		return;
	}
	printf("%s %s %u: ", c->name->unit, c->name->code, c->name->year);
	if (f->number != 0)
		printf("number %" PRIu64 " ", f->number);
	printf("%s. %s: %s.\n", f->what, book_fault_name(f->fault), f->todo);
}

static void check_told(const struct one *n, const struct book_sums *s, json_t *books)
{
	char range[48];

	if (books != NULL) {
		json_array_append_new(books, json_pack(
			"{s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "unit", n->unit,
			"code", n->code, "year", (int)n->year, "first", (json_int_t)s->first,
			"last", (json_int_t)s->last, "issued", (json_int_t)s->issued, "pending",
			(json_int_t)s->pending, "voided", (json_int_t)s->voided, "usedOutside",
			(json_int_t)s->outside, "brought", (json_int_t)s->brought, "findings",
			(json_int_t)s->findings));
		return;
	}
	if (s->first == 0)
		snprintf(range, sizeof(range), "no number yet");
	else
		snprintf(range, sizeof(range), "%" PRIu64 " to %" PRIu64, s->first, s->last);
	printf("%s %s %u: %s: %" PRIu64 " issued, %" PRIu64 " pending, %" PRIu64 " void, %" PRIu64
	       " used outside: %s\n", n->unit, n->code, n->year, range, s->issued,
	       s->pending, s->voided, s->outside, s->findings == 0 ? "whole" : "NOT WHOLE");
}

/* One book, from the engine or from o->file. */
static int check_one(const struct register_options *o, struct client *client, const struct one *n,
		     json_t *findings, json_t *books)
{
	struct checking c = { .name = n, .list = findings };
	const struct book_reader to = { check_head, check_entry, &c };
	const struct book_name name = { n->unit, n->code, n->year };
	struct book_sums sums = { 0 };
	struct failure f = { 0 };
	int code = 0;

	if (bookcheck_new(&c.check, check_found, &c) != ST_OK) {
		fprintf(stderr, "trien register: memory is short\n");
		return 3;
	}
	if (client == NULL && !book_read_file(o->file, &to)) {
		code = 65;
	} else if (client != NULL &&
		   !book_read(client, &name, false, false, o->engine.timeout_s, &to,
				      &f)) {
		fprintf(stderr, "%s %s %u: ", n->unit, n->code, n->year);
		failure_print("register", &f);
		code = failure_exit(&f) == 1 ? 3 : failure_exit(&f);
	} else if (bookcheck_end(c.check, &sums) != ST_OK) {
		fprintf(stderr, "trien register: memory is short: not all was compared\n");
		code = 3;
	}
	if (code == 0)
		check_told(n, &sums, books);
	bookcheck_free(c.check);
	return worse(code, sums.findings > 0);
}

static void file_head(void *ctx, const Trien__V1__Register *r)
{
	name_keep(ctx, r);
}

static void file_entry(void *ctx, const Trien__V1__RegisterEntry *e)
{
	(void)ctx;
	(void)e;
}

/* Whose books: of the engine's list, or the one that a file is of. */
static int check_names(const struct register_options *o, struct client *c, struct names *l)
{
	const struct book_reader to = { file_head, file_entry, l };

	if (c != NULL)
		return registers_each(o, c, name_keep, l);
	if (!book_read_file(o->file, &to))
		return 65;
	if (l->n > 0)
		return 0;
	fprintf(stderr, "trien register: %s: no register is named in it\n", o->file);
	return 65;
}

int book_check(const struct register_options *o, struct client *c)
{
	struct names l = { 0 };
	json_t *findings = o->json ? json_array() : NULL, *books = o->json ? json_array() : NULL;
	int code = check_names(o, c, &l);

	if (code == 0 && l.n == 0) {
		fprintf(stderr, "trien register: no such register is open here\n");
		code = 3;
	}
	for (size_t i = 0; i < l.n; i++)
		code = worse(code, check_one(o, c, &l.of[i], findings, books));
	if (o->json)
		json_print(json_pack("{s:o, s:o}", "findings", findings, "registers", books));
	free(l.of);
	return code;
}

/* ---- years ---- */

static bool has(const struct names *l, const struct one *n, uint32_t year)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->of[i].year == year && strcmp(l->of[i].unit, n->unit) == 0 &&
		    strcmp(l->of[i].code, n->code) == 0)
			return true;
	return false;
}

static int call_failed(const struct one *n, uint32_t year, const struct failure *f)
{
	fprintf(stderr, "%s %s %u: ", n->unit, n->code, year);
	failure_print("register", f);
	return failure_exit(f);
}

static int open_one(const struct register_options *o, struct client *c, const struct one *n)
{
	Trien__V1__OpenRegisterRequest q = TRIEN__V1__OPEN_REGISTER_REQUEST__INIT;
	struct failure f = { 0 };
	ProtobufCMessage *m;

	q.unit = (char *)n->unit;
	q.code = (char *)n->code;
	q.year = (uint32_t)o->year;
	q.first = 1;
	q.reason = (char *)o->reason;
	m = client_call(c, OPERATIONS "OpenRegister", &q.base, &trien__v1__register__descriptor,
			&f);
	if (m == NULL)
		return call_failed(n, q.year, &f);
	printf("%s %s %u: opened at 1\n", n->unit, n->code, q.year);
	protobuf_c_message_free_unpacked(m, NULL);
	return 0;
}

int book_open_year(const struct register_options *o, struct client *c)
{
	struct register_options all = *o;
	struct names l = { 0 };
	int code;
	uint32_t before = (uint32_t)o->year - 1;
	bool any = false;

	all.year = 0;
	code = registers_each(&all, c, name_keep, &l);
	for (size_t i = 0; i < l.n && code == 0; i++) {
		const struct one *n = &l.of[i];

		any |= n->year == before;
		if (n->year != before || has(&l, n, (uint32_t)o->year))
			continue;
		/* Ended by a person, whenever it got its total: it does not go on by itself. */
		if (n->closed && !n->goes_on)
			printf("%s %s %u: closed, not opened anew; its series is taken up again "
			       "with: trien register open\n", n->unit, n->code, before);
		else
			code = open_one(o, c, n);
	}
	free(l.of);
	if (code == 0 && !any) {
		fprintf(stderr, "trien register: no such register of %u is known here, and a year "
			"is opened from the one before: first trien register open-year %u, or each "
			"by trien register open\n", before, before);
		code = 3;
	}
	return code;
}

static int close_one(const struct register_options *o, struct client *c, const struct one *n)
{
	Trien__V1__CloseRegisterRequest q = TRIEN__V1__CLOSE_REGISTER_REQUEST__INIT;
	const Trien__V1__RegisterTotal *t;
	struct failure f = { 0 };
	Trien__V1__Register *r;

	q.unit = (char *)n->unit;
	q.code = (char *)n->code;
	q.year = n->year;
	q.reason = (char *)o->reason;
	q.with_total = true;
	r = (void *)client_call(c, OPERATIONS "CloseRegister", &q.base,
				&trien__v1__register__descriptor, &f);
	if (r == NULL)
		return call_failed(n, n->year, &f);
	t = r->total;
	if (o->json)
		json_print_line(stdout, protojson_write(&r->base));
	else
		printf("%s %s %u: closed: %" PRIu64 " given, %" PRIu64 " to %" PRIu64 ": %" PRIu64
		       " issued, %" PRIu64 " void, %" PRIu64 " used outside\n", n->unit, n->code,
		       n->year, t->given, t->first_number, t->last_number, t->issued, t->voided,
		       t->used_outside);
	trien__v1__register__free_unpacked(r, NULL);
	return 0;
}

int book_close_year(const struct register_options *o, struct client *c)
{
	struct names l = { 0 };
	int code;

	if (o->year >= civil_vietnam((int64_t)time(NULL) * 1000).year) {
		fprintf(stderr, "trien register: %u is not over in Vietnam: its numbers are still "
			"given. One series is ended early with: trien register close\n",
			(unsigned)o->year);
		return 2;
	}
	code = registers_each(o, c, name_keep, &l);
	for (size_t i = 0; i < l.n; i++)
		if (!l.of[i].totalled)
			code = worse(code, close_one(o, c, &l.of[i]));
	if (code == 0 && l.n == 0) {
		fprintf(stderr, "trien register: no such register of %u is known here\n",
			(unsigned)o->year);
		code = 3;
	}
	free(l.of);
	return code;
}
