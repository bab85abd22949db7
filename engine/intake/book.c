#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "intake/answer.h"
#include "intake/operation.h"
#include "trien/v1/audit.pb-c.h"

#define BOOK_PAGE 200			/* entries a message, */
#define BOOK_ENTRIES_MAX (BOOK_PAGE + 4)	/* and those that claim the last one's number */
/* Texts of an entry: codes, three names of the catalogue, reason or the papers, holders. */
#define CORRECTIONS_TOLD 4
#define EVENTS_MAX (LIVING_ACTS_MAX + HANDOVERS_MAX + LINKS_TOLD_MAX)
#define BOOK_ENTRY_BYTES_MAX (4096 + CASE_HOLDERS_MAX * (NAME_BYTES_MAX + 8) + \
			      CORRECTIONS_TOLD * (DECISION_NUMBER_BYTES_MAX + 24))
#define BOOK_MESSAGE_BYTES (BOOK_ENTRIES_MAX * BOOK_ENTRY_BYTES_MAX)

_Static_assert(BOOK_MESSAGE_BYTES < 4 * 1024 * 1024, "what any client takes in one message");

/* A call of ListRegister: first the spine says how far the register has come, then page by page. */
struct listing {
	struct book *book;
	uint64_t after;
	bool recipients, lives, begun, ended;
};

/* An entry that is written, but for its result's life: the store tells one thing at a time. */
struct kept { size_t end; bool lives; uint8_t result_id[16]; };

/* One message while it is written. */
struct message {
	struct reply reply;
	struct writer w;		/* of entries, in the second half of the reply's room */
	struct arena *scratch;
	struct catalogue *catalogue;
	const struct listing *l;
	uint32_t n;
	struct kept entries[BOOK_ENTRIES_MAX];
};

void book_free(struct call *c)
{
	struct operation *o = c->state;
	struct listing *l = o != NULL ? o->rows : NULL;

	if (l != NULL)
		c->in->ops.book_close(l->book);
	operate_free(c);
}

static void begin(struct call *c, struct operation *o, struct read_thread *r)
{
	const Trien__V1__ListRegisterRequest *q =
		read_request(c, r, &trien__v1__list_register_request__descriptor);
	struct listing *l;

	if (q == NULL ||
	    !operation_keep(c, &o->act.unit, o->unit, CODE_BYTES_MAX, q->unit, "unit", true) ||
	    !operation_keep(c, &o->act.code, o->code, CODE_BYTES_MAX, q->code, "code", true) ||
	    !operation_unit(c, o->act.unit))
		return;
	if (q->recipients && !principal_may(c->principal, MAY_REGISTRY)) {
		access_role(c, MAY_REGISTRY, "recipients");
		return;
	}
	l = o->rows = calloc(1, sizeof(*l));
	if (l == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return;
	}
	l->after = q->after_number;
	l->recipients = q->recipients;
	l->lives = q->lives;
	o->act.year = q->year;
	o->act.registers = &o->row;
	operation_ask(c, o);
}

/* ---- one entry ---- */

static void put_result_id(struct writer *w, const struct book_entry *b)
{
	char id[ID_TEXT_BYTES];

	if (b->damaged || b->sequence == 0)
		return;
	id_text(id, b->result.result_id);
	put_slice(w, 4, slice_of(id, sizeof(id)));
}

/*
 * Kind and signer as they are pinned in a stored result, or as they are called on that day. Does
 * the kind certify copies?
 */
static bool put_names(struct message *m, const struct book_entry *b)
{
	const struct result_view *v = &b->result;
	uint32_t day = day_vietnam(v->issued_ms);
	const struct kind *k = catalogue_kind(m->catalogue, v->kind, day);
	const struct signer *g = catalogue_signer(m->catalogue, b->signer, day);
	const struct unit *u = catalogue_unit(m->catalogue, v->unit, day);
	char book[NUMBER_TEXT_BYTES_MAX + 1];
	struct error e = { 0 };

	if (b->state == BOOK_ISSUED &&
	    catalogue_pinned(m->catalogue, &v->pins, &k, &u, &g, &e) != ST_OK)
		g = NULL;
	put_slice(&m->w, 5, v->kind);
	if (k != NULL)
		put_text(&m->w, 6, k->name_vi);
	if (k != NULL && u != NULL && k->book_form != NULL) {
		number_book(book, k, u, b->number, v->register_year);
		put_text(&m->w, 30, book);
	}
	if (g != NULL) {
		put_text(&m->w, 12, g->code);
		put_text(&m->w, 13, g->name);
		put_text(&m->w, 14, g->title);
	} else {
		put_slice(&m->w, 12, b->signer);
	}
	return k != NULL && k->copies == COPIES_ORIGINAL;
}

/* Of the result's own fields; NULL: none of that name and type. */
static const struct field *field_of(const struct case_view *c, const struct result_view *v,
				    const char *name, enum field_type type)
{
	for (uint8_t i = 0; i < c->results_n; i++) {
		const struct case_result *r = &c->results[i];

		if (!slice_eq(r->unit, v->unit) || !slice_eq(r->kind, v->kind) ||
		    r->ordinal != v->ordinal)
			continue;
		for (uint8_t k = 0; k < r->fields_n; k++)
			if (r->fields[k].type == type &&
			    slice_eq(r->fields[k].name, slice_str(name)))
				return &r->fields[k];
	}
	return NULL;
}

/* None: empty. */
static struct slice text_of(const struct case_view *c, const struct result_view *v,
			    const char *name)
{
	const struct field *f = field_of(c, v, name, FIELD_TEXT);

	return f != NULL ? f->text : (struct slice){ NULL, 0 };
}

/* In whole đồng; 0: none, or the case does not say. */
static uint64_t fee_of(const struct case_view *c, const struct result_view *v)
{
	const struct field *f = field_of(c, v, "le_phi", FIELD_NUMBER);

	return f != NULL && f->number.decimals == 0 && f->number.value > 0 ?
	       (uint64_t)f->number.value : 0;
}

/* false: its case cannot be read. That is no failure of the list: the entry is damaged. */
static bool put_recipients(struct message *m, const struct result_view *v, bool certifies)
{
	size_t mark = m->scratch->used;
	struct case_view view;
	bool read = case_decode(&view, v->case_bytes, m->scratch) == ST_OK;
	struct slice requester = { NULL, 0 };

	if (read && certifies) {
		put_slice(&m->w, 20, text_of(&view, v, "ten_ban_chinh"));
		requester = text_of(&view, v, "nguoi_yeu_cau");
		put_slice(&m->w, 18, requester);
		put_number(&m->w, 33, fee_of(&view, v));
	}
	for (uint8_t i = 0; read && requester.n == 0 && i < view.holders_n; i++)
		put_slice(&m->w, 18, view.holders[i].name);
	m->scratch->used = mark;
	return read;
}

static void put_end_of(struct writer *w, const struct book_entry *b)
{
	put_time(w, 8, b->result.stored_ms);
	put_slice(w, 9, b->result.void_reason);
	if (b->result.held != REASON_NONE)
		put_text(w, 10, reason_text(b->result.held)->name);
	put_slice(w, 11, b->actor);
}

static void put_entry(void *ctx, const struct book_entry *b)
{
	static const uint8_t states[] = {
		[BOOK_PENDING] = TRIEN__V1__REGISTER_ENTRY__STATE__PENDING,
		[BOOK_ISSUED] = TRIEN__V1__REGISTER_ENTRY__STATE__ISSUED,
		[BOOK_VOID] = TRIEN__V1__REGISTER_ENTRY__STATE__VOIDED,
		[BOOK_OUTSIDE] = TRIEN__V1__REGISTER_ENTRY__STATE__USED_OUTSIDE,
	};
	struct message *m = ctx;
	struct writer *w = &m->w;
	struct kept *kept = &m->entries[m->n];
	bool damaged = b->damaged, certifies;

	w->bad |= m->n == BOOK_ENTRIES_MAX;
	if (w->bad)
		return;
	m->n++;
	put_number(w, 1, b->number);
	put_number(w, 3, states[b->state]);
	if (!damaged) {
		put_slice(w, 2, b->result.number_text);
		put_result_id(w, b);
		certifies = put_names(m, b);
		put_number(w, 19, certifies);
		put_time(w, 7, b->result.issued_ms);
		if (b->state == BOOK_VOID || b->state == BOOK_OUTSIDE)
			put_end_of(w, b);
		if (b->state == BOOK_PENDING)
			put_number(w, 15, b->result.state);
		put_slice(w, 17, b->result.case_code);
		if (m->l->recipients && b->state == BOOK_ISSUED)
			damaged = !put_recipients(m, &b->result, certifies);
	}
	put_number(w, 16, damaged);
	kept->end = writer_size(w);
	kept->lives = m->l->lives && b->state == BOOK_ISSUED && !damaged;
	memcpy(kept->result_id, b->result.result_id, sizeof(kept->result_id));
}

/* ---- lives ---- */

/* Another result that the book names: its id, number and time. */
static enum status put_other(struct call *c, struct read_thread *r, struct writer *w,
			     uint32_t field, const uint8_t id[16])
{
	static const uint8_t none[16];
	struct result_view v;
	enum status st;

	if (memcmp(id, none, sizeof(none)) == 0)
		return ST_OK;
	answer_id(w, field, id);
	st = c->in->ops.get(r->store, id, &v);
	if (st == ST_OK) {
		put_slice(w, field + 1, v.number_text);
		put_time(w, field + 2, v.issued_ms);
	}
	return st;
}

static void put_correction(struct writer *w, struct slice detail)
{
	struct decision d;
	uint8_t *at = put_begin(w, 31);

	if (decision_read(&d, detail) == ST_OK) {
		put_slice(w, 1, d.number);
		answer_day(w, 2, d.day);
	}
	put_end(w, at);
}

/* rows: room for EVENTS_MAX. */
static enum status put_corrections(struct call *c, struct read_thread *r, struct writer *w,
				   uint8_t lane, uint64_t sequence, struct result_event *rows)
{
	uint32_t n = 0, corrections = 0, before;
	enum status st = c->in->ops.history(r->store, lane, sequence, EVENTS_MAX, rows, &n);

	for (uint32_t i = 0; st == ST_OK && i < n; i++)
		if (rows[i].kind == EVENT_CORRECTED)
			rows[corrections++] = rows[i];
	before = corrections > CORRECTIONS_TOLD ? corrections - CORRECTIONS_TOLD : 0;
	for (uint32_t i = before; i < corrections; i++)
		put_correction(w, rows[i].detail);
	put_number(w, 32, before);
	return st;
}

/* What it says is written before the store is asked for another one. */
static enum status put_life(struct call *c, struct read_thread *r, struct writer *w,
			    const uint8_t id[16], struct result_event *rows)
{
	uint8_t replaced_by[16], replaces[16];
	struct result_view v;
	enum status st = c->in->ops.get(r->store, id, &v);

	if (st != ST_OK)
		return st;
	put_number(w, 21, v.life);
	if (v.living.note.kind != 0) {
		put_text(w, 28, v.living.note.number);
		answer_day(w, 29, v.living.note.day);
	}
	memcpy(replaced_by, v.replaced_by, sizeof(replaced_by));
	memcpy(replaces, v.replaces, sizeof(replaces));
	if (v.living.note.kind != 0)
		st = put_corrections(c, r, w, v.lane, v.sequence, rows);
	if (st == ST_OK)
		st = put_other(c, r, w, 22, replaced_by);
	return st == ST_OK ? put_other(c, r, w, 25, replaces) : st;
}

/* The entries of m, each with its life. One that cannot be read is damaged; the list goes on. */
static enum status put_entries(struct call *c, struct read_thread *r, struct message *m)
{
	struct slice all = writer_slice(&m->w);
	struct writer *w = &m->reply.w;
	struct result_event *rows = arena_take(m->scratch, EVENTS_MAX * sizeof(*rows));
	size_t from = 0;

	if (rows == NULL)
		return ST_NOMEM;
	if (m->w.bad) {
		w->bad = true;
		return ST_OK;
	}
	for (uint32_t i = 0; i < m->n; i++) {
		const struct kept *kept = &m->entries[i];
		uint8_t *at = put_begin(w, 2);
		enum status st = ST_OK;

		write_bytes(w, all.p + from, kept->end - from);
		if (kept->lives)
			st = put_life(c, r, w, kept->result_id, rows);
		if (st != ST_OK && status_class(st) != CLASS_REJECT)
			return st;
		if (st != ST_OK)
			put_number(w, 16, true);
		put_end(w, at);
		from = kept->end;
	}
	return ST_OK;
}

/* ---- the stream ---- */

/* Names of a whole book are in no holder's log (audit.proto): the act is in the engine's. */
static void tell_names(const struct call *c, const struct operation *o)
{
	log_info("audit", "register %s %s %u is listed with its recipients: %s", o->unit, o->code,
		 o->act.year, principal_name(c->principal));
}

static void send_page(struct call *c, struct read_thread *r, const struct operation *o)
{
	struct listing *l = o->rows;
	struct message m = { .scratch = &r->scratch, .l = l };
	grpc_slice out;
	enum status st;

	if (!reply_open(c, &m.reply, 2 * BOOK_MESSAGE_BYTES))
		return;
	m.reply.w = writer_of(m.reply.buf, BOOK_MESSAGE_BYTES);
	m.w = writer_of(m.reply.buf + BOOK_MESSAGE_BYTES, BOOK_MESSAGE_BYTES);
	if (!l->begun && o->act.n > 0)
		answer_register(&m.reply.w, 1, &o->row);
	m.catalogue = c->in->ops.catalogue(c->in->ops.ctx);
	st = c->in->ops.book_next(r->store, l->book, BOOK_PAGE, put_entry, &m, &l->ended);
	catalogue_unref(m.catalogue);
	if (st == ST_OK)
		st = put_entries(c, r, &m);
	if (st == ST_OK && (l->begun || o->act.n > 0 || m.n > 0)) {
		if (!l->begun && l->recipients)
			tell_names(c, o);
		l->begun = true;
		if (reply_close(c, &m.reply, &out))
			call_send(c, out);
		return;
	}
	free(m.reply.buf);
	if (st != ST_OK)
		read_refuse(c, st);
	else
		call_refuse(c, FAULT_REGISTER_NOT_FOUND, "code", "%s", o->code);
}

void book_work(struct call *c, struct read_thread *r)
{
	struct operation *o = operation_of(c, ACT_REGISTER_FIND);
	struct listing *l;
	enum status st = ST_OK;

	if (o == NULL)
		return;
	l = o->rows;
	if (!atomic_load(&o->decided)) {
		begin(c, o, r);
		return;
	}
	if (atomic_load(&c->cancelled)) {
		call_drop(c);
		return;
	}
	if (l->book == NULL) {
		if (!operation_succeeded(c, o))
			return;
		st = c->in->ops.book_open(r->store, o->act.unit, o->act.code, o->act.year,
					  l->after, o->act.n > 0 ? o->row.next : UINT64_MAX,
					  &l->book);
	}
	if (st != ST_OK)
		read_refuse(c, st);
	else if (l->ended)
		call_finish(c, NULL);
	else
		send_page(c, r, o);
}
