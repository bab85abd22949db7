#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "facts.h"
#include "spine/approval.h"
#include "spine/track.h"

/*
 * A confirmation whose results are not all numbered. Of record.results those before `left` were
 * passed over, those from `done` on are to be numbered.
 */
struct approving {
	struct approving *next;
	uint64_t track, pos;
	uint32_t left, done;
	bool passed;			/* its others are numbered */
	struct record_approved record;	/* its texts lie in `texts` */
	char texts[CODE_BYTES_MAX + PRINCIPAL_BYTES_MAX + DELEGATION_BYTES_MAX];
};

static struct slice text_keep(char **at, struct slice s)
{
	char *to = *at;

	if (s.n > 0)
		memcpy(to, s.p, s.n);
	*at += s.n;
	return slice_of(to, s.n);
}

enum status approving_add(struct spine *s, uint64_t pos, const struct record_approved *r)
{
	struct approving *a = malloc(sizeof(*a));
	enum status st = a != NULL ? track_open(s->track, pos, &a->track) : ST_NOMEM;
	char *at;

	if (st != ST_OK) {
		free(a);
		return st;
	}
	at = a->texts;
	a->next = NULL;
	a->pos = pos;
	a->left = a->done = 0;
	a->passed = false;
	a->record = *r;
	a->record.signer = text_keep(&at, r->signer);
	a->record.principal = text_keep(&at, r->principal);
	a->record.delegation = text_keep(&at, r->delegation);
	if (s->approving_last != NULL)
		s->approving_last->next = a;
	else
		s->approving_first = a;
	s->approving_last = a;
	return ST_OK;
}

/* ---- a journal that is nearly full ---- */

/* Those that have their number go. */
static void close_up(struct approving *a)
{
	struct record_approved *r = &a->record;
	uint32_t gap = a->done - a->left;

	memmove(r->results + a->left, r->results + a->done,
		(r->results_n - a->done) * sizeof(r->results[0]));
	r->results_n -= gap;
	a->done = a->left;
}

/* What is left of it stands at the journal's end, too. */
static bool carry(struct spine *s, struct approving *a)
{
	struct record_approved *r = &a->record;
	struct writer w = writer_of(s->record, JOURNAL_RECORD_BYTES_MAX);
	uint64_t pos, track;

	close_up(a);
	if (record_approved_encode(r, &w) != ST_OK ||
	    !append_record(s, RECORD_APPROVED, writer_slice(&w), &pos))
		return false;
	if (track_open(s->track, pos, &track) != ST_OK) {
		spine_fail(s, "no memory for a confirmation; it stands in the journal");
		return false;
	}
	track_close(s->track, a->track);
	a->track = track;
	a->pos = pos;
	return true;
}

/* What is oldest in the journal is of its segment, and that is not the one being written. */
static bool stands_in_way(const struct spine *s, const struct approving *a)
{
	uint64_t oldest = journal_segment_of(s->journal, track_oldest(s->track, s->appended));

	return journal_segment_of(s->journal, a->pos) == oldest &&
	       journal_segment_of(s->journal, s->appended) != oldest;
}

/*
 * Numbers wait for room in the journal, and that for what is oldest in it: where this is a
 * confirmation, it and those behind it move on, in their order.
 */
static void make_way(struct spine *s)
{
	struct approving *a = s->approving_first;

	if (!stands_in_way(s, a) || !carry(s, a))
		return;
	log_info("approval", "the journal is nearly full: what was confirmed moves on in it");
	do
		a = a->next;
	while (a != NULL && carry(s, a));
}

/* Nobody waits for what was passed over: it goes early, and one in its turn. */
static void passed_make_way(struct spine *s)
{
	for (struct approving *a = s->passed_first; a != NULL; a = a->next)
		if (stands_in_way(s, a) && !carry(s, a))
			return;
}

/* ---- numbers, in the order of confirmation ---- */

enum status chunk_read(struct spine *s, struct job *j)
{
	struct number_chunk *c = j->chunk;
	uint8_t *buf = malloc(JOURNAL_RECORD_BYTES_MAX), type;

	if (buf == NULL)
		return error_set(&j->error, ST_NOMEM, "no memory to read what was confirmed");
	for (uint32_t i = 0; i < c->n; i++) {
		size_t *n = &c->records[i].n;
		enum status st = waiting_read(s->rows, c->sequences[i], &type, buf,
					      JOURNAL_RECORD_BYTES_MAX, n, &j->error);

		if (st == ST_OK) {
			c->records[i].bytes = malloc(*n);
			if (c->records[i].bytes == NULL)
				st = ST_NOMEM;
			else
				memcpy(c->records[i].bytes, buf, *n);
		}
		c->records[i].status = st;
	}
	free(buf);
	return ST_OK;
}

struct numbering {
	struct record_numbered rec;
	struct case_view c;
	struct numbered_result *n;	/* the one to be bound, in rec */
	const struct case_result *r;
	int64_t confirmed_ms;		/* it is printed as it was shown then */
	uint8_t index;
	char text[NUMBER_TEXT_BYTES_MAX + 1];
};

static bool numbering_read(struct numbering *w, struct slice record, uint64_t sequence,
			   struct arena *arena)
{
	if (record_numbered_decode(&w->rec, record) != ST_OK ||
	    case_decode(&w->c, w->rec.case_bytes, arena) != ST_OK ||
	    w->c.results_n != w->rec.results_n)
		return false;
	w->index = record_result_index(&w->rec, sequence);
	if (w->index == w->rec.results_n)
		return false;
	/* It says nothing of the case's other results. */
	for (uint8_t i = 0; i < w->rec.results_n; i++) {
		w->rec.results[i].number = 0;
		w->rec.results[i].issued_ms = 0;
	}
	w->n = &w->rec.results[w->index];
	w->r = &w->c.results[w->index];
	return true;
}

/* ST_PRECONDITION: not with what the archive has now. */
static enum status numbering_encode(struct spine *s, struct numbering *w, struct writer *out,
				    struct error *e)
{
	struct catalogue *c = spine_catalogue(s);
	struct error found = { 0 };
	enum reason why;
	enum status st = approval_pin(c, &w->n->pins, w->r, w->confirmed_ms, w->n->year,
				      w->n->number, w->text, &why, &found);

	catalogue_unref(c);
	w->n->number_text = slice_str(w->text);
	if (st == ST_OK) {
		why = REASON_TOO_LARGE;
		st = record_numbered_encode(&w->rec, out);
	}
	if (st == ST_OK || st == ST_NOMEM)
		return st == ST_OK ? ST_OK : ST_AGAIN;
	return error_set(e, ST_PRECONDITION, "%.*s: %s %s", (int)w->c.code.n,
			 (const char *)w->c.code.p, reason_text(why)->name, found.text);
}

static enum status numbering_start(struct spine *s, const struct numbering *w, uint64_t pos,
				   struct slice record)
{
	struct pending *p = calloc(1, sizeof(*p));
	enum status st = p != NULL ? case_digest(w->rec.case_bytes, p->digest) : ST_NOMEM;

	if (st == ST_OK)
		st = track_open(s->track, pos, &p->track);
	if (st != ST_OK) {
		free(p);
		return st;
	}
	p->pos = pos;
	p->priority = w->c.priority < PRIORITY_COUNT ? w->c.priority : PRIORITY_NORMAL;
	p->next_result = w->index;
	p->end = (uint8_t)(w->index + 1);
	p->left = 1;
	p->size = (uint32_t)record.n;
	if (s->backlog.bytes + record.n <= BACKLOG_CASE_BYTES_MAX)
		p->payload = malloc(record.n);
	if (p->payload != NULL)
		memcpy(p->payload, record.p, record.n);
	pending_start(s, p);
	return ST_OK;
}

/* What it is now, for repeated submissions, readers, batches, and the waiting room. */
static void numbering_keep(struct spine *s, const struct numbering *w, struct keyentry *k,
			   uint64_t pos, struct slice record)
{
	struct state_change change;
	struct facts facts;
	struct job *j = calloc(1, sizeof(*j));
	enum status st = j != NULL ? ST_OK : ST_NOMEM;

	k->number = w->n->number;
	k->issued_ms = w->n->issued_ms;
	memcpy(k->number_text, w->text, sizeof(k->number_text));
	if (st == ST_OK)
		st = keyindex_put(s->keys, k, pos);
	change_fill(s, &change, w->n, w->r, w->c.code, STATE_NUMBERED, w->n->issued_ms);
	facts_read(&facts, w->c.facts);
	change.due_ms = facts.due_ms;
	if (st == ST_OK)
		st = inflight_add_over(s->inflight, w->n->sequence, w->n->lane,
				       w->rec.accepted_ms, &change, STATE_AWAITING_APPROVAL);
	if (st == ST_OK)
		st = numbering_start(s, w, pos, record);
	if (st != ST_OK) {
		spine_fail(s, "no memory for a numbered case; it stands in the journal");
		free(j);
		return;
	}
	/* Before the journal can forget the record: both pass through the janitor in this order. */
	j->type = JOB_FORGET;
	j->track = NO_TRACK;
	j->numbered = true;
	j->row.sequence = w->n->sequence;
	j->after = s->appended;
	job_push(s, j);
}

/*
 * Appends its NUMBERED record. Not ST_OK: nothing was bound; it is to be tried again, with
 * ST_PRECONDITION (*e says why) behind others.
 */
static enum status number_bind(struct spine *s, struct numbering *w, struct keyentry *k,
			       struct error *e)
{
	struct writer out = writer_of(s->record, JOURNAL_RECORD_BYTES_MAX);
	uint64_t ignored, pos;
	enum status st = numbering_tick(&s->clock, io_wall_ms(), (uint8_t)s->config->engine,
					&ignored, &w->n->issued_ms);

	if (st != ST_OK)
		return st;
	/* That it was issued later than accepted tells a replay what it is. */
	if (w->n->issued_ms <= sequence_ms(w->n->sequence))
		return ST_AGAIN;
	w->n->year = civil_vietnam(w->n->issued_ms).year;
	st = number_take(s, w->r->unit, w->n);
	if (st != ST_OK) {
		log_warn("approval", "%.*s %u gives no number to what was confirmed: %s",
			 (int)w->n->register_code.n, (const char *)w->n->register_code.p,
			 w->n->year, status_name(st));
		return ST_AGAIN;
	}
	w->rec.issued_ms = w->n->issued_ms;
	st = numbering_encode(s, w, &out, e);
	if (st == ST_OK && !append_record(s, RECORD_NUMBERED, writer_slice(&out), &pos))
		st = ST_FULL;
	if (st != ST_OK) {
		register_untake(s->registers, w->r->unit, w->n->register_code, w->n->year,
				w->n->number);
		return st;
	}
	numbering_keep(s, w, k, pos, writer_slice(&out));
	return ST_OK;
}

static bool is_unreadable(enum status st)
{
	return st == ST_NOT_FOUND || st == ST_CORRUPT || st == ST_DAMAGED || st == ST_IO;
}

/* Damage to one row of the waiting room stops no other. */
static enum status cannot_be_read(struct spine *s, uint64_t sequence, enum status why,
				  struct error *e)
{
	struct waiting_row row;
	bool found = clerk_row(s, sequence, &row);

	return error_set(e, ST_PRECONDITION, "%s %s: its row %llu cannot be read: %s; trien fsck "
			 "says what is damaged, bring it back from a copy",
			 found ? row.unit : "", found ? row.case_code : "",
			 (unsigned long long)sequence, status_name(why));
}

/* One result of the confirmation a. Not ST_OK: later, with ST_PRECONDITION behind others. */
static enum status number_one(struct spine *s, const struct record_approved *a,
			      const struct approved_result *r, struct slice record,
			      enum status read, struct error *e)
{
	struct numbering *w;
	struct keyentry k;
	struct arena arena;
	enum status st;

	if (!key_known(s, r->key, &k))
		return s->failure.status != ST_OK ? s->failure.status : ST_NOT_FOUND;
	if (k.number != 0)
		return ST_OK;		/* before a restart */
	if (is_unreadable(read))
		return cannot_be_read(s, r->sequence, read, e);
	if (read != ST_OK)
		return read;
	w = calloc(1, sizeof(*w));
	st = w != NULL ? arena_init(&arena, 4 * CASE_BYTES_MAX) : ST_NOMEM;
	if (st == ST_OK) {
		w->confirmed_ms = a->at_ms;
		st = numbering_read(w, record, r->sequence, &arena) ?
			number_bind(s, w, &k, e) :
			cannot_be_read(s, r->sequence, ST_CORRUPT, e);
		arena_free(&arena);
	}
	free(w);
	return st;
}

static void chunk_free(struct number_chunk *c)
{
	for (uint32_t i = 0; i < c->n; i++)
		free(c->records[i].bytes);
	free(c);
}

/* A start may find it in the journal twice. */
static bool is_passed(const struct spine *s, uint64_t sequence)
{
	for (const struct approving *a = s->passed_first; a != NULL; a = a->next)
		for (uint32_t i = 0; i < a->record.results_n; i++)
			if (a->record.results[i].sequence == sequence)
				return true;
	return false;
}

/* The next of a's results is numbered, passed over, or (not ST_OK) waits. */
static enum status number_next(struct spine *s, struct approving *a, struct slice record,
			       enum status read)
{
	struct approved_result *results = a->record.results;
	struct error e = { 0 };
	enum status st = number_one(s, &a->record, &results[a->done], record, read, &e);

	if (st == ST_PRECONDITION) {
		st = ST_OK;
		if (a->passed || !is_passed(s, results[a->done].sequence)) {
			if (!a->passed)
				log_error("approval", "ALARM: confirmed, and cannot be numbered; "
					  "others go before it: %s", e.text);
			results[a->left++] = results[a->done];
		}
	}
	a->done += st == ST_OK;
	return st;
}

static void out_of(struct approving **first, struct approving **last)
{
	*first = (*first)->next;
	if (*first == NULL)
		*last = NULL;
}

/* All of it was looked at: it is through, or goes behind what others wait for. */
static void looked_at(struct spine *s, struct approving *a)
{
	if (a->passed)
		out_of(&s->passed_first, &s->passed_last);
	else
		out_of(&s->approving_first, &s->approving_last);
	close_up(a);
	if (a->left == 0) {
		track_close(s->track, a->track);
		free(a);
		return;
	}
	/* Not at once if the journal is full: it makes way later. */
	if (!a->passed)
		(void)carry(s, a);
	a->passed = true;
	a->left = a->done = 0;
	a->next = NULL;
	if (s->passed_last != NULL)
		s->passed_last->next = a;
	else
		s->passed_first = a;
	s->passed_last = a;
}

void number_read(struct spine *s, struct job *j)
{
	struct number_chunk *c = j->chunk;
	struct approving *a = c->of;
	enum status st = j->status;

	s->numbering_approved = false;
	for (uint32_t i = 0; i < c->n && st == ST_OK && s->failure.status == ST_OK; i++)
		st = number_next(s, a, slice_of(c->records[i].bytes, c->records[i].n),
				 c->records[i].status);
	/* What was confirmed must get its number; its row was not what failed. */
	if (st == ST_NOT_FOUND || st == ST_CORRUPT || st == ST_DAMAGED)
		spine_fail(s, "a confirmed result cannot be numbered: %s", status_name(st));
	s->approving_ns = st == ST_OK ? 0 : io_boot_ns();
	if (a->done == a->record.results_n)
		looked_at(s, a);
	chunk_free(c);
	free(j);
}

void number_told(struct spine *s, const struct job *j)
{
	struct state_change change;
	int64_t accepted_ms;
	uint8_t lane;

	/* Its row has gone: from here on its entry is an accepted result's like any other. */
	inflight_bare(s->inflight, j->row.sequence);
	if (inflight_get(s->inflight, j->row.sequence, &change, &lane, &accepted_ms) &&
	    change.state == STATE_NUMBERED)
		notify_publish(s->notify, &change, 1);
}

#define AGAIN_NS (200 * 1000000ull)	/* a full journal, a clock that stepped back */

#define PASSED_NS (5 * 1000000000ull)	/* a catalogue that was mended */

/* Whose turn it is; those passed over only now and then. */
static struct approving *whose_turn(struct spine *s)
{
	struct approving *a = s->passed_first;

	/* One that was begun goes on. */
	if (a != NULL && (a->done > 0 || io_boot_ns() - s->passed_ns >= PASSED_NS)) {
		s->passed_ns = io_boot_ns();
		return a;
	}
	return s->approving_first;
}

/* false: the journal has no room for numbers now. */
static bool journal_has_room(struct spine *s)
{
	uint32_t free_slots = journal_slots_free(s->journal);

	if (free_slots < JOURNAL_SLOTS_FREE_LOW(s->config->journal_slots))
		passed_make_way(s);
	if (free_slots >= JOURNAL_SLOTS_FREE_MIN)
		return true;
	if (s->approving_first != NULL)
		make_way(s);
	return false;
}

void approving_run(struct spine *s)
{
	struct approving *a;
	struct job *j;

	if ((s->approving_first == NULL && s->passed_first == NULL) || s->numbering_approved ||
	    s->stopping || !s->numbering || s->failure.status != ST_OK || !journal_has_room(s))
		return;
	if (s->jobs_out >= JOBS_MAX || s->backlog.cases >= RESUMED_MAX ||
	    (s->approving_ns != 0 && io_boot_ns() - s->approving_ns < AGAIN_NS))
		return;
	a = whose_turn(s);
	if (a == NULL)
		return;
	j = calloc(1, sizeof(*j));
	if (j != NULL)
		j->chunk = calloc(1, sizeof(*j->chunk));
	if (j == NULL || j->chunk == NULL) {
		free(j);
		return;
	}
	j->type = JOB_NUMBER_READ;
	j->track = NO_TRACK;
	j->chunk->of = a;
	while (j->chunk->n < CHUNK_RESULTS && a->done + j->chunk->n < a->record.results_n) {
		j->chunk->sequences[j->chunk->n] =
			a->record.results[a->done + j->chunk->n].sequence;
		j->chunk->n++;
	}
	job_push(s, j);
	s->numbering_approved = true;
}

bool approving_needs(struct spine *s, struct slice unit, struct slice register_code)
{
	struct waiting_row row;

	if (s->approving_first != NULL)
		return true;
	for (const struct approving *a = s->passed_first; a != NULL; a = a->next)
		for (uint32_t i = 0; i < a->record.results_n; i++)
			if (clerk_row(s, a->record.results[i].sequence, &row) &&
			    slice_eq(slice_str(row.unit), unit) &&
			    slice_eq(slice_str(row.register_code), register_code))
				return true;
	return false;
}

void approving_free(struct spine *s)
{
	struct approving **lists[] = { &s->approving_first, &s->passed_first };

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		while (*lists[i] != NULL) {
			struct approving *a = *lists[i];

			*lists[i] = a->next;
			free(a);
		}
}
