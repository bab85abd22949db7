#include "spine/recovery.h"

#include <stdlib.h>

#include "base/log.h"
#include "spine/approval.h"
#include "spine/elsewhere.h"
#include "spine/handing.h"
#include "spine/living.h"
#include "spine/numbers.h"
#include "spine/track.h"

/* ---- what is done already ---- */

struct projected { struct spine *s; const struct open_act *act; };

static enum status act_project(void *ctx, struct error *e)
{
	struct projected *p = ctx;
	struct slice payload = slice_of(p->act->bytes, p->act->n);
	struct record_result v;
	enum status st;

	if (p->act->type == RECORD_HANDED)
		return hand_apply(p->s, payload, e);
	if (p->act->type == RECORD_NUMBERS)
		return numbers_project(p->s, payload, e);
	if (p->act->type != RECORD_STATE_EVENT) {
		st = record_result_decode(&v, payload);
		return st == ST_OK ? void_project(p->s, &v, e) : st;
	}
	return state_event_project(p->s, payload, e);
}

enum status acts_project(struct replay *r, struct error *e)
{
	enum status st = ST_OK;

	for (size_t i = 0; i < r->acts_n && st == ST_OK; i++) {
		struct projected p = { r->s, &r->acts[i] };

		st = wait_for_store(act_project, &p, e);
		if (status_class(st) == CLASS_REJECT)
			st = ST_OK;
	}
	return st;
}

struct sought { struct spine *s; struct store_reader *reader; uint8_t lane; uint64_t sequence;
		const uint8_t *digest; bool stored; };

/* In the store, whole, with this content: the place of one that is in dispute is another's. */
static enum status seek(void *ctx, struct error *e)
{
	struct sought *k = ctx;
	const struct store_ops *ops = k->s->store->ops;
	struct result_view view;
	enum status st = ops->get(k->reader, k->lane, k->sequence, &view);

	k->stored = st == ST_OK && (view.state != STATE_STORED ||
				    memcmp(view.case_digest, k->digest, SHA256_BYTES) == 0);
	if (k->stored && view.state == STATE_STORED && ops->whole != NULL)
		st = ops->whole(k->reader, &k->stored);
	return st == ST_UNAVAILABLE || st == ST_TIMEOUT ?
	       error_set(e, st, "the store is away") : ST_OK;
}

static enum status is_stored(struct spine *s, struct store_reader *reader, uint8_t lane,
			     uint64_t sequence, const uint8_t digest[SHA256_BYTES], bool *stored,
			     struct error *e)
{
	struct sought k = { .s = s, .reader = reader, .lane = lane, .sequence = sequence,
			    .digest = digest };
	enum status st = wait_for_store(seek, &k, e);

	*stored = k.stored;
	return st;
}

/* ---- rows of the waiting room that a crash kept from going ---- */

enum status numbered_forget(struct replay *r, struct error *e)
{
	enum status st = ST_OK;

	for (size_t i = 0; i < r->numbered_n && st == ST_OK; i++) {
		struct waiting_row row;

		st = waiting_find(r->s->rows, r->numbered[i], &row, e);
		if (st == ST_OK && row.state == STATE_AWAITING_APPROVAL)
			st = waiting_remove(r->s->waiting, row.sequence, e);
		st = st == ST_NOT_FOUND ? ST_OK : st;
	}
	return st;
}

struct leftover { struct spine *s; struct store_reader *reader; uint8_t *record; };
struct untold { struct spine *s; uint64_t sequence; struct slice record; };

static enum status handovers_tell(void *ctx, struct error *e)
{
	struct untold *u = ctx;

	return hand_tell(u->s, u->sequence, u->record, e);
}

/* It is in the store: the row goes. Else it waits on. */
static enum status row_check(struct leftover *l, const struct waiting_row *row, struct error *e)
{
	struct record_numbered rec;
	uint8_t digest[SHA256_BYTES], type;
	bool stored = false;
	size_t n;
	enum status st = waiting_read(l->s->rows, row->sequence, &type, l->record,
				      JOURNAL_RECORD_BYTES_MAX, &n, e);

	if (st == ST_OK)
		st = record_numbered_decode(&rec, record_numbered_in(type,
							       slice_of(l->record, n)));
	if (st == ST_OK)
		st = case_digest(rec.case_bytes, digest);
	if (st == ST_OK)
		st = is_stored(l->s, l->reader, row->lane, row->sequence, digest, &stored, e);
	if (st == ST_OK && stored && rec.handed_n > 0) {
		struct untold u = { l->s, row->sequence,
				    record_numbered_in(type, slice_of(l->record, n)) };

		st = wait_for_store(handovers_tell, &u, e);
	}
	return st == ST_OK && stored ? waiting_remove(l->s->waiting, row->sequence, e) : st;
}

static enum status rows_check_all(struct leftover *l, struct error *e)
{
	struct waiting_row row = { 0 };
	uint32_t n = 1;
	enum status st = ST_OK;

	while (st == ST_OK && n > 0) {
		st = waiting_after(l->s->rows, 0, row.sequence, &row, 1, &n, e);
		if (st == ST_OK && n > 0)
			st = row_check(l, &row, e);
	}
	return st;
}

enum status rows_check(struct replay *r, struct store_reader *reader, struct error *e)
{
	struct leftover l = { r->s, reader, malloc(JOURNAL_RECORD_BYTES_MAX) };
	bool all = waiting_made_anew(r->s->waiting);
	enum status st = l.record != NULL ? ST_OK : ST_NOMEM;

	if (st == ST_OK && all)
		st = rows_check_all(&l, e);
	for (size_t i = 0; i < r->resumed_n && st == ST_OK && !all; i++) {
		struct waiting_row row;

		st = waiting_find(r->s->rows, r->resumed[i].sequence, &row, e);
		st = st == ST_OK ? row_check(&l, &row, e) : st == ST_NOT_FOUND ? ST_OK : st;
	}
	for (size_t i = 0; i < r->signatures_n && st == ST_OK && !all; i++) {
		struct record_signature sig;
		struct waiting_row row;

		st = record_signature_decode(&sig, slice_of(r->signatures[i].bytes,
							    r->signatures[i].n));
		if (st == ST_OK)
			st = waiting_find(r->s->rows, sig.sequence, &row, e);
		st = st == ST_OK ? row_check(&l, &row, e) : st == ST_NOT_FOUND ? ST_OK : st;
	}
	free(l.record);
	return st;
}

/* ---- signatures from elsewhere ---- */

/* One that was asked for without a row gets one; there it goes on from. */
static enum status signature_row(struct spine *s, struct store_reader *reader,
				 const struct open_result *o, struct slice signature,
				 struct error *e)
{
	bool stored = false;
	uint8_t *record;
	enum status st = is_stored(s, reader, o->lane, o->sequence, o->pending->digest, &stored, e);

	if (st != ST_OK || stored)
		return st;
	st = pending_record(s, o->pending, &record, e);
	if (st != ST_OK)
		return st;
	st = await_add(s, slice_of(record, o->pending->size), signature, e);
	free(record);
	return st;
}

enum status signatures_go_on(struct replay *r, struct store_reader *reader, struct error *e)
{
	struct spine *s = r->s;
	enum status st = ST_OK;

	for (size_t i = 0; i < r->signatures_n && st == ST_OK; i++) {
		struct slice bytes = slice_of(r->signatures[i].bytes, r->signatures[i].n);
		const struct open_result *o;
		struct record_signature sig;
		struct waiting_row row;

		st = record_signature_decode(&sig, bytes);
		if (st == ST_OK)
			st = waiting_find(s->rows, sig.sequence, &row, e);
		if (st == ST_OK) {
			st = await_apply(s, bytes, false, e);
			continue;
		}
		if (st != ST_NOT_FOUND)
			break;
		o = replay_open(r, sig.sequence);
		st = o != NULL && (o->pending->settled >> o->index & 1) == 0 ?
			signature_row(s, reader, o, bytes, e) : ST_OK;
	}
	return st;
}

/* ---- results of the journal ---- */

/*
 * It stands in the waiting room, as the journal says it should: rows that the journal knows better
 * of are gone.
 */
static enum status is_parked(struct spine *s, uint64_t sequence, bool *parked, struct error *e)
{
	struct waiting_row row;
	enum status st;

	*parked = false;
	if (waiting_count(s->waiting, 0) == 0)
		return ST_OK;
	st = waiting_find(s->rows, sequence, &row, e);
	*parked = st == ST_OK;
	return st == ST_NOT_FOUND ? ST_OK : st;
}

/* A later one may repeat what is left of an earlier one: each result is numbered once. */
static enum status approval_goes_on(struct replay *r, const struct open_approval *a)
{
	struct record_approved *rec = r->approved;
	enum status st = record_approved_decode(rec, slice_of(a->bytes, a->n));
	uint32_t all = rec->results_n, left = 0;
	struct keyentry k;

	for (uint32_t i = 0; i < all && st == ST_OK; i++)
		if (!key_known(r->s, rec->results[i].key, &k) || k.number == 0)
			rec->results[left++] = rec->results[i];
	rec->results_n = left;
	if (left == 0 || st != ST_OK)
		return st;
	log_info("recovery", "%u of %u results that were confirmed get their numbers now", left,
		 all);
	return approving_add(r->s, a->pos, rec);
}

/* Confirmations that stand before pos in the journal and are not all numbered. */
static enum status approvals_go_on(struct replay *r, size_t *next, uint64_t pos)
{
	enum status st = ST_OK;

	for (; st == ST_OK && *next < r->approvals_n && r->approvals[*next].pos < pos; ++*next)
		st = approval_goes_on(r, &r->approvals[*next]);
	return st;
}

enum status pendings_go_on(struct replay *r, struct store_reader *reader, struct error *e)
{
	struct spine *s = r->s;
	struct pending *last = NULL;
	uint32_t done = 0, left = 0;
	enum status st = ST_OK;
	size_t approvals = 0;

	for (size_t i = r->open_first; i < r->open_n && st == ST_OK; i++) {
		struct open_result *o = &r->open[i];
		bool finished = (o->pending->settled >> o->index & 1) != 0;

		/* Places in the journal's order. */
		st = approvals_go_on(r, &approvals, o->pending->pos);
		if (st == ST_OK && o->pending != last)
			st = track_open(s->track, o->pending->pos, &o->pending->track);
		last = o->pending;
		if (st == ST_OK && !finished)
			st = is_stored(s, reader, o->lane, o->sequence, o->pending->digest,
				       &finished, e);
		if (st == ST_OK && !finished)
			st = is_parked(s, o->sequence, &finished, e);
		if (st != ST_OK)
			break;
		if (finished) {
			o->pending->settled |= (uint8_t)(1u << o->index);
			done++;
		} else {
			st = inflight_add(s->inflight, o->sequence, o->lane, o->change.at_ms,
					  &o->change);
			left++;
		}
	}
	if (st == ST_OK)
		st = approvals_go_on(r, &approvals, UINT64_MAX);
	/* Only now: settling the last result of a case frees it. */
	for (size_t i = r->open_first; i < r->open_n && st == ST_OK;) {
		struct pending *p = r->open[i].pending;
		uint8_t settled = p->settled, first = p->next_result, end = p->end;

		i += (size_t)(end - first);
		if (p->payload != NULL)
			s->backlog.bytes -= p->size;
		p->awaiting &= (uint8_t)~settled;
		if (p->awaiting != 0 || pending_batched(p))
			pending_start(s, p);
		for (uint8_t k = first; k < end; k++)
			if (settled >> k & 1)
				pending_settled(s, p);
	}
	log_info("recovery", "%llu records replayed; %u results were finished, %u go on",
		 (unsigned long long)r->records, done, left);
	r->open_n = 0;
	return st;
}
