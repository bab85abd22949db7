#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "spine/approval.h"
#include "spine/living.h"

static bool own_draft_allowed(struct spine *s, const struct waiting_row *row)
{
	struct catalogue *c = spine_catalogue(s);
	const struct kind *k = catalogue_kind(c, slice_str(row->kind), day_vietnam(io_wall_ms()));
	bool allowed = k != NULL && k->own_draft;

	catalogue_unref(c);
	return allowed;
}

static void item_refuse(struct approval_item *item, enum reason why, const char *detail)
{
	item->refused = why;
	snprintf(item->detail, sizeof(item->detail), "%s", detail);
}

void approval_versions(const struct catalogue *c, struct pins *pins, const struct case_result *r,
		       int64_t at_ms)
{
	const struct unit *u = catalogue_unit(c, r->unit, day_vietnam(at_ms));
	const struct signer *g = catalogue_signer(c, r->signer, day_vietnam(at_ms));

	if (u != NULL)
		memcpy(pins->unit, u->pin, PIN_BYTES);
	if (g != NULL)
		memcpy(pins->signer, g->pin, PIN_BYTES);
}

enum status approval_pin(struct catalogue *c, struct pins *pins, const struct case_result *r,
			 int64_t at_ms, uint32_t year, uint64_t number,
			 char text[NUMBER_TEXT_BYTES_MAX + 1], enum reason *why, struct error *e)
{
	const struct signer *pinned_signer;
	const struct unit *pinned_unit;
	const struct kind *k;
	enum status st;

	approval_versions(c, pins, r, at_ms);
	*why = REASON_RENDER_FAILED;
	st = catalogue_pinned(c, pins, &k, &pinned_unit, &pinned_signer, e);
	if (st != ST_OK)
		return st;
	*why = REASON_FIELD_TOO_LONG;
	st = number_format(text, k, pinned_unit, number, year);
	return st == ST_OK ? ST_OK : error_set(e, st, "number form");
}

/* ---- the janitor ---- */

/* What it looks with. */
struct look {
	struct spine *s;
	struct catalogue *catalogue;
	uint8_t *record;
	struct arena arena;
};

/* The longest number could be printed today: who is confirmed is sure to get one. */
static enum status item_read(struct look *l, struct approval_item *item, struct approval_row *row,
			     struct error *e)
{
	char text[NUMBER_TEXT_BYTES_MAX + 1];
	struct record_numbered rec;
	struct case_view view;
	struct error found = { 0 };
	enum reason why = REASON_RENDER_FAILED;
	uint8_t type, i;
	size_t n;
	enum status st = waiting_read(l->s->rows, row->sequence, &type, l->record,
				      JOURNAL_RECORD_BYTES_MAX, &n, &found);

	if (st == ST_OK)
		st = record_numbered_decode(&rec, slice_of(l->record, n));
	arena_reset(&l->arena);
	if (st == ST_OK)
		st = case_decode(&view, rec.case_bytes, &l->arena);
	i = st == ST_OK ? record_result_index(&rec, row->sequence) : 0;
	if (st == ST_OK && (i == rec.results_n || i >= view.results_n))
		st = ST_CORRUPT;
	if (st == ST_OK && view.results[i].original != NULL &&
	    view.results[i].original->source != NULL)
		copied_of(&row->source, view.results[i].original->source);
	if (st == ST_OK)
		st = approval_pin(l->catalogue, &rec.results[i].pins, &view.results[i],
				  io_wall_ms(), civil_vietnam(io_wall_ms()).year,
				  NUMBER_LATER_MAX, text, &why, &found);
	if (st == ST_NOMEM)
		return error_set(e, st, "no memory for this confirmation");
	if (st != ST_OK) {
		log_error("approval", "a result cannot be confirmed: %s %s",
			  reason_text(why)->name,
			  found.text[0] != '\0' ? found.text : status_name(st));
		item_refuse(item, why, "");
	}
	return ST_OK;
}

/* What stands against one item, as far as its row and its record tell. */
static enum status item_find(struct look *l, const struct act *a, struct approval_item *item,
			     struct approval_row *out, struct error *e)
{
	struct spine *s = l->s;
	struct waiting_row row;
	enum status st = waiting_find(s->rows, item->sequence, &row, e);

	item_refuse(item, REASON_NONE, "");
	if (st == ST_NOT_FOUND || (st == ST_OK && row.state != STATE_AWAITING_APPROVAL)) {
		item_refuse(item, REASON_NOT_WAITING, "");
		return ST_OK;
	}
	if (st != ST_OK)
		return st;
	if (!slice_eq(slice_str(row.signer), a->approval->signer))
		item_refuse(item, REASON_SIGNER_NOT_ALLOWED, row.signer);
	else if (slice_eq(slice_str(row.principal), a->actor) && !own_draft_allowed(s, &row))
		item_refuse(item, REASON_OWN_DRAFT, "");
	out->sequence = row.sequence;
	out->lane = row.lane;
	out->expires_ms = row.expires_ms;
	result_key(out->key, slice_str(row.unit), slice_str(row.case_code), slice_str(row.kind),
		   row.ordinal, row.revision);
	memcpy(out->unit, row.unit, sizeof(out->unit));
	memcpy(out->register_code, row.register_code, sizeof(out->register_code));
	return item->refused == REASON_NONE ? item_read(l, item, out, e) : ST_OK;
}

enum status approve_find(struct spine *s, struct job *j)
{
	struct approval *p = j->act->approval;
	struct look l = { .s = s, .record = malloc(JOURNAL_RECORD_BYTES_MAX) };
	enum status st = l.record != NULL ? arena_init(&l.arena, 4 * CASE_BYTES_MAX) : ST_NOMEM;

	j->approval_rows = calloc(p->items_n, sizeof(*j->approval_rows));
	if (st != ST_OK || j->approval_rows == NULL) {
		if (st == ST_OK)
			arena_free(&l.arena);
		free(l.record);
		return error_set(&j->error, ST_NOMEM, "no memory for this confirmation");
	}
	l.catalogue = spine_catalogue(s);
	for (uint32_t i = 0; i < p->items_n && st == ST_OK; i++)
		st = item_find(&l, j->act, &p->items[i], &j->approval_rows[i], &j->error);
	catalogue_unref(l.catalogue);
	arena_free(&l.arena);
	free(l.record);
	return st;
}

/* ---- the spine ---- */

/* In the catalogue of today, which the paper will show. */
static enum reason parts_missing(const struct catalogue *c, const struct approval_row *row,
				 struct slice signer)
{
	uint32_t day = day_vietnam(io_wall_ms());

	if (catalogue_unit(c, slice_str(row->unit), day) == NULL)
		return REASON_UNIT_UNKNOWN;
	return catalogue_signer(c, signer, day) == NULL ? REASON_SIGNER_UNKNOWN : REASON_NONE;
}

static bool number_left(struct spine *s, const struct approval_row *row)
{
	return register_gives(s->registers, slice_str(row->unit), slice_str(row->register_code),
			      civil_vietnam(io_wall_ms()).year) == ST_OK;
}

/* What stands against it now. Whoever was approved before hears that, and nothing else. */
static void item_judge(struct spine *s, const struct act *a, const struct catalogue *c,
		       struct approval_item *item, const struct approval_row *row)
{
	enum reason missing, outdated;

	if (item->refused == REASON_NOT_WAITING)
		return;
	if (!may_become(s, row->key, STATE_NUMBERED))
		item_refuse(item, REASON_NOT_WAITING, "");
	else if (item->refused != REASON_NONE)
		return;
	else if (item->against != REASON_NONE)
		item_refuse(item, item->against, "");
	else if ((item->timed_out = row->expires_ms != 0 && io_wall_ms() >= row->expires_ms))
		item_refuse(item, REASON_NOT_WAITING, "");	/* it ends so in a moment */
	else if (a->unit_allowed != NULL && !a->unit_allowed(a, slice_str(row->unit)))
		item_refuse(item, REASON_UNIT_DENIED, row->unit);
	else if ((missing = parts_missing(c, row, a->approval->signer)) != REASON_NONE)
		item_refuse(item, missing, row->unit);
	else if ((outdated = living_copied(s, &row->source)) != REASON_NONE)
		item_refuse(item, outdated, "");
	else if (!number_left(s, row))
		item_refuse(item, REASON_REGISTER_NOT_OPEN, row->register_code);
}

void approved_flag(struct spine *s, const struct approved_result *r, uint64_t pos)
{
	struct keyentry k;

	if (!key_known(s, r->key, &k))
		return;
	k.flags |= KEYENTRY_APPROVED;
	if (keyindex_put(s->keys, &k, pos) != ST_OK)
		spine_fail(s, "no memory for the key index");
}

/* false: the journal is full, or cannot take it. */
static bool approved_write(struct spine *s, const struct act *a, struct record_approved *r)
{
	struct writer w = writer_of(s->record, JOURNAL_RECORD_BYTES_MAX);
	uint64_t pos;

	if (record_approved_encode(r, &w) != ST_OK ||
	    !append_record(s, RECORD_APPROVED, writer_slice(&w), &pos))
		return false;
	for (uint32_t i = 0; i < r->results_n; i++)
		approved_flag(s, &r->results[i], pos);
	if (approving_add(s, pos, r) != ST_OK)
		spine_fail(s, "no memory for a confirmation; it stands in the journal");
	log_info("approval", "%u results confirmed for %.*s by %.*s", r->results_n,
		 (int)r->signer.n, (const char *)r->signer.p, (int)a->actor.n,
		 (const char *)a->actor.p);
	return true;
}

static void approve(struct spine *s, struct job *j, struct record_approved *r)
{
	struct act *a = j->act;
	struct approval *p = a->approval;
	struct catalogue *c = spine_catalogue(s);

	memcpy(r->session, p->session, sizeof(r->session));
	memcpy(r->manifest, p->manifest, sizeof(r->manifest));
	r->at_ms = io_wall_ms();
	r->signer = p->signer;
	r->principal = a->actor;
	r->delegation = p->delegation;
	for (uint32_t i = 0; i < p->items_n; i++) {
		const struct approval_row *row = &j->approval_rows[i];
		struct approved_result *to = &r->results[r->results_n];

		item_judge(s, a, c, &p->items[i], row);
		if (p->items[i].refused != REASON_NONE)
			continue;
		to->sequence = row->sequence;
		to->lane = row->lane;
		memcpy(to->key, row->key, sizeof(to->key));
		r->results_n++;
	}
	catalogue_unref(c);
	if (r->results_n > 0 && !approved_write(s, a, r))
		j->status = error_set(&j->error, ST_FULL,
				      "the journal is full just now; call again");
}

void approve_found(struct spine *s, struct job *j)
{
	struct record_approved *r = calloc(1, sizeof(*r));
	struct act *a = j->act;

	if (j->status == ST_OK && r == NULL)
		j->status = error_set(&j->error, ST_NOMEM, "no memory for this confirmation");
	if (j->status == ST_OK)
		approve(s, j, r);
	free(r);
	free(j->approval_rows);
	j->approval_rows = NULL;
	a->status = j->status;
	a->error = j->error;
	/* The answer waits until it is durable; a record already there may still be on its way. */
	j->type = JOB_ANSWER;
	j->after = s->appended;
	job_push(s, j);
}
