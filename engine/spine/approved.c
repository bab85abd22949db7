#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "spine/approval.h"
#include "spine/track.h"

/* A confirmation whose results are not all numbered. */
struct approving {
	struct approving *next;
	uint64_t track, pos;
	uint32_t done;
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
	a->done = 0;
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

/* What is left of it stands at the journal's end, too. */
static bool carry(struct spine *s, struct approving *a)
{
	struct record_approved *r = &a->record;
	struct writer w = writer_of(s->record, JOURNAL_RECORD_BYTES_MAX);
	uint64_t pos, track;

	r->results_n -= a->done;
	memmove(r->results, r->results + a->done, r->results_n * sizeof(r->results[0]));
	a->done = 0;
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

/*
 * Numbers wait for room in the journal, and that for what is oldest in it: where this is a
 * confirmation, it and those behind it move on, in their order.
 */
static void make_way(struct spine *s)
{
	uint64_t oldest = track_oldest(s->track, s->appended);

	if (journal_segment_of(s->journal, s->approving_first->pos) !=
		    journal_segment_of(s->journal, oldest) ||
	    journal_segment_of(s->journal, s->appended) ==
		    journal_segment_of(s->journal, oldest))
		return;
	for (struct approving *a = s->approving_first; a != NULL && carry(s, a);)
		a = a->next;
	log_info("approval", "the journal is nearly full: what was confirmed moves on in it");
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
	w->index = 0;
	while (w->index < w->rec.results_n && w->rec.results[w->index].sequence != sequence)
		w->index++;
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

/* Agency and signer are those of the day of issue; who left the catalogue since stays. */
static enum status numbering_pin(struct spine *s, struct numbering *w)
{
	struct catalogue *c = spine_catalogue(s);
	uint32_t day = day_vietnam(w->n->issued_ms);
	const struct unit *u = catalogue_unit(c, w->r->unit, day), *pinned_unit;
	const struct signer *g = catalogue_signer(c, w->r->signer, day), *pinned_signer;
	const struct kind *k;
	struct error e = { 0 };
	enum status st;

	if (u != NULL)
		memcpy(w->n->pins.unit, u->pin, PIN_BYTES);
	if (g != NULL)
		memcpy(w->n->pins.signer, g->pin, PIN_BYTES);
	st = catalogue_pinned(c, &w->n->pins, &k, &pinned_unit, &pinned_signer, &e);
	if (st == ST_OK)
		st = number_format(w->text, k, pinned_unit, w->n->number, w->n->year);
	if (st != ST_OK)
		log_error("approval", "a confirmed result cannot be numbered: %s",
			  e.text[0] != '\0' ? e.text : status_name(st));
	w->n->number_text = slice_str(w->text);
	catalogue_unref(c);
	return st;
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
	struct job *j = calloc(1, sizeof(*j));
	enum status st = j != NULL ? ST_OK : ST_NOMEM;

	k->number = w->n->number;
	k->issued_ms = w->n->issued_ms;
	memcpy(k->number_text, w->text, sizeof(k->number_text));
	if (st == ST_OK)
		st = keyindex_put(s->keys, k, pos);
	change_fill(s, &change, w->n, w->r, w->c.code, STATE_NUMBERED, w->n->issued_ms);
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

/* Appends its NUMBERED record. Not ST_OK: nothing was bound; it is to be tried again. */
static enum status number_bind(struct spine *s, struct numbering *w, struct keyentry *k)
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
	st = numbering_pin(s, w) == ST_OK ? record_numbered_encode(&w->rec, &out) : ST_AGAIN;
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

/* One result of a confirmation. Not ST_OK: later. */
static enum status number_one(struct spine *s, const struct approved_result *r,
			      struct slice record, enum status read)
{
	struct numbering *w;
	struct keyentry k;
	struct arena arena;
	enum status st;

	if (!key_known(s, r->key, &k))
		return s->failure.status != ST_OK ? s->failure.status : ST_NOT_FOUND;
	if (k.number != 0)
		return ST_OK;		/* before a restart */
	if (read != ST_OK)
		return read;
	w = calloc(1, sizeof(*w));
	st = w != NULL ? arena_init(&arena, 4 * CASE_BYTES_MAX) : ST_NOMEM;
	if (st == ST_OK) {
		st = numbering_read(w, record, r->sequence, &arena) ? number_bind(s, w, &k) :
								      ST_CORRUPT;
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

void number_read(struct spine *s, struct job *j)
{
	struct number_chunk *c = j->chunk;
	struct approving *a = s->approving_first;
	enum status st = j->status;

	s->numbering_approved = false;
	for (uint32_t i = 0; i < c->n && st == ST_OK && s->failure.status == ST_OK; i++) {
		st = number_one(s, &a->record.results[a->done],
				slice_of(c->records[i].bytes, c->records[i].n),
				c->records[i].status);
		a->done += st == ST_OK;
	}
	/* What was confirmed must get its number: what is gone from the waiting room is damage. */
	if (st == ST_NOT_FOUND || st == ST_CORRUPT || st == ST_DAMAGED)
		spine_fail(s, "waiting room: a confirmed result cannot be read: %s",
			   status_name(st));
	s->approving_ns = st == ST_OK ? 0 : io_boot_ns();
	if (a->done == a->record.results_n) {
		track_close(s->track, a->track);
		s->approving_first = a->next;
		if (s->approving_first == NULL)
			s->approving_last = NULL;
		free(a);
	}
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

void approving_run(struct spine *s)
{
	struct approving *a = s->approving_first;
	struct job *j;

	if (a == NULL || s->numbering_approved || s->stopping || !s->numbering ||
	    s->failure.status != ST_OK)
		return;
	if (journal_slots_free(s->journal) < JOURNAL_SLOTS_FREE_MIN) {
		make_way(s);
		return;
	}
	if (s->jobs_out >= JOBS_MAX || s->backlog.cases >= RESUMED_MAX ||
	    (s->approving_ns != 0 && io_boot_ns() - s->approving_ns < AGAIN_NS))
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
	while (j->chunk->n < CHUNK_RESULTS && a->done + j->chunk->n < a->record.results_n) {
		j->chunk->sequences[j->chunk->n] =
			a->record.results[a->done + j->chunk->n].sequence;
		j->chunk->n++;
	}
	job_push(s, j);
	s->numbering_approved = true;
}

void approving_free(struct spine *s)
{
	while (s->approving_first != NULL) {
		struct approving *a = s->approving_first;

		s->approving_first = a->next;
		free(a);
	}
}
