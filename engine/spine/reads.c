#include <stdlib.h>

#include "spine/bridging.h"
#include "spine/drafts.h"
#include "spine/etag.h"
#include "spine/noter.h"
#include "spine/numbers.h"
#include "spine/originals.h"
#include "spine/reads.h"
#include "spine/sessionfiles.h"
#include "spine/trusted.h"
#include "spine/units.h"

static enum status submit(void *ctx, struct submission *sub)
{
	return spine_post(ctx, NOTE_SUBMISSION, sub);
}

static enum status act(void *ctx, struct act *a)
{
	return spine_post(ctx, NOTE_ACT, a);
}

static enum status note_read(void *ctx, struct read_noting *n)
{
	return noter_take(((struct spine *)ctx)->noter, n);
}

static struct catalogue *catalogue_now(void *ctx)
{
	return spine_catalogue(ctx);
}

static const struct codeset *coverage(void *ctx)
{
	return render_coverage(((struct spine *)ctx)->render);
}

static int64_t now_ms(void *ctx)
{
	return io_wall_ms();
}

static enum status watch(void *ctx, const struct watch_filter *f, void (*wake)(void *owner),
			 void *owner, struct watch **out)
{
	return notify_watch(((struct spine *)ctx)->notify, f, wake, owner, out);
}

static void reader_close(void *reader)
{
	struct reads *r = reader;

	if (r == NULL)
		return;
	if (r->store != NULL)
		r->spine->store->ops->reader_close(r->store);
	waiting_reader_close(r->rows);
	identity_close(r->identity);
	free(r->record);
	free(r);
}

static enum status reader_open(void *ctx, void **reader, struct error *e)
{
	struct spine *s = ctx;
	struct reads *r = calloc(1, sizeof(*r));
	enum status st = r != NULL ? ST_OK : ST_NOMEM;

	if (st == ST_OK) {
		r->spine = s;
		r->identity = identity_dup(s->identity);
		st = r->identity != NULL ? s->store->ops->reader_open(s->store, &r->store, e) :
					   ST_NOMEM;
		if (st == ST_OK)
			st = waiting_reader_open(&r->rows, s->waiting, e);
	}
	if (st != ST_OK) {
		reader_close(r);
		return st;
	}
	*reader = r;
	return ST_OK;
}

void reads_in_flight(struct reads *r, struct result_view *out, uint8_t lane, uint64_t sequence,
		     int64_t accepted_ms)
{
	const struct state_change *now = &r->now;

	*out = (struct result_view){ .state = now->state, .held = now->held, .lane = lane,
				     .sequence = sequence, .unit = slice_str(now->unit),
				     .kind = slice_str(now->kind),
				     .case_code = slice_str(now->code),
				     .number_text = slice_str(now->number_text),
				     .register_code = slice_str(now->register_code),
				     .register_year = now->register_year,
				     .number = now->number,
				     .ordinal = now->ordinal, .accepted_ms = accepted_ms,
				     .issued_ms = now->issued_ms, .life = LIFE_VALID,
				     .stored_ms = now->state >= STATE_REFUSED ? now->at_ms : 0 };
	memcpy(out->result_id, now->result_id, sizeof(out->result_id));
}

bool reads_anything_waits(const struct reads *r)
{
	return waiting_count(r->spine->waiting, 0) > 0;
}

void reads_waiting(struct reads *r, struct result_view *out)
{
	const struct waiting_row *row = &r->row;

	waiting_change(r->identity, &r->now, row, (enum state)row->state, row->parked_ms);
	reads_in_flight(r, out, row->lane, row->sequence, row->accepted_ms);
}

static bool another_engines(const struct reads *r, uint64_t sequence)
{
	return sequence_engine(sequence) != r->spine->config->engine;
}

/*
 * In flight, then waiting, then stored: inflight.h says why this misses none. Of what another
 * engine accepted we see the last only.
 */
static enum status get(void *reader, const uint8_t result_id[16], struct result_view *out)
{
	struct reads *r = reader;
	uint64_t sequence;
	uint8_t lane;
	int64_t accepted_ms;
	bool flies;
	enum status st = ST_NOT_FOUND;

	/* A foreign id costs the same look-up as one of ours that does not exist. */
	if (!identity_read(r->identity, result_id, &lane, &sequence))
		return r->spine->store->ops->get(r->store, 0, 0, out) == ST_UNAVAILABLE ?
			ST_UNAVAILABLE : ST_NOT_FOUND;
	flies = inflight_get(r->spine->inflight, sequence, &r->now, &lane, &accepted_ms);
	if (flies && r->now.state != STATE_STORED) {
		reads_in_flight(r, out, lane, sequence, accepted_ms);
		return ST_OK;
	}
	if (!flies && reads_anything_waits(r))
		st = waiting_find(r->rows, sequence, &r->row, NULL);
	if (st == ST_OK) {
		reads_waiting(r, out);
		return ST_OK;
	}
	if (st == ST_NOT_FOUND)
		st = r->spine->store->ops->get(r->store, lane, sequence, out);
	if (st == ST_OK && out->state == STATE_STORED)
		etag_write(r->identity, out);
	if (st == ST_NOT_FOUND && another_engines(r, sequence))
		return ST_AGAIN;
	/* A database that is busy just now: to who asks it is away. */
	return st == ST_AGAIN ? ST_UNAVAILABLE : st;
}

static bool id_elsewhere(void *reader, const uint8_t result_id[16], struct error *owner)
{
	struct reads *r = reader;
	char text[OWNER_TEXT_BYTES];
	uint64_t sequence;
	uint8_t lane;

	if (!identity_read(r->identity, result_id, &lane, &sequence) ||
	    !another_engines(r, sequence))
		return false;
	units_engine(r->spine->units, sequence_engine(sequence), text);
	error_set(owner, ST_PRECONDITION, "%s", text);
	return true;
}

static bool unit_elsewhere(void *reader, struct slice unit, struct error *owner)
{
	struct reads *r = reader;
	char text[OWNER_TEXT_BYTES];

	if (!units_elsewhere(r->spine->units, unit, text))
		return false;
	error_set(owner, ST_PRECONDITION, "%s", text);
	return true;
}

static bool read_etag(void *reader, const uint8_t result_id[16], struct slice unit,
		      const char *text, struct etag *out)
{
	struct reads *r = reader;

	return identity_read(r->identity, result_id, &out->lane, &out->sequence) &&
	       etag_read(r->identity, result_id, unit, text, out);
}

static void after_etag(void *reader, const uint8_t result_id[16], struct slice unit,
		       const struct etag *e, char out[ETAG_BYTES + 1])
{
	etag_after(((struct reads *)reader)->identity, result_id, unit, e, out);
}

static enum status history(void *reader, uint8_t lane, uint64_t sequence, uint32_t max,
			   struct result_event *out, uint32_t *n)
{
	struct reads *r = reader;

	return r->spine->store->ops->history(r->store, lane, sequence, max, out, n);
}

static enum status shares(void *reader, uint8_t lane, uint64_t sequence,
			  void (*one)(void *ctx, const struct result_event *v), void *ctx)
{
	struct reads *r = reader;

	return r->spine->store->ops->shares(r->store, lane, sequence, one, ctx);
}

static enum status read_bytes_at(void *reader, const uint8_t result_id[16], uint64_t offset,
				 uint8_t *buf, size_t *n)
{
	struct reads *r = reader;
	uint64_t sequence;
	uint8_t lane;

	if (!identity_read(r->identity, result_id, &lane, &sequence))
		return ST_NOT_FOUND;
	return r->spine->store->ops->read(r->store, lane, sequence, offset, buf, n);
}

static enum status object(void *reader, const uint8_t sha256[SHA256_BYTES], struct slice *out)
{
	struct reads *r = reader;

	return r->spine->store->ops->object(r->store, sha256, out);
}

static enum status counts(void *reader, const struct counts_question *q, struct tally *out)
{
	struct reads *r = reader;

	return r->spine->store->ops->counts(r->store, q, out);
}

static enum status list(void *reader, const uint8_t holder[16], uint64_t before, uint32_t max,
			struct holding_view *out, uint32_t *n)
{
	struct reads *r = reader;

	enum status st = r->spine->store->ops->list(r->store, holder, before, max, out, n);

	for (uint32_t i = 0; i < *n && st == ST_OK; i++)
		etag_write(r->identity, &out[i].result);
	return st;
}

static enum status readings(void *reader, const uint8_t holder[16], uint64_t before, uint32_t max,
			    void (*one)(void *owner, const struct reading_view *v), void *owner,
			    uint64_t *last)
{
	struct reads *r = reader;

	return r->spine->store->ops->readings(r->store, holder, before, max, one, owner, last);
}

static bool listed(const struct state_change *list, uint32_t n, const uint8_t id[16])
{
	for (uint32_t i = 0; i < n; i++)
		if (memcmp(list[i].result_id, id, 16) == 0)
			return true;
	return false;
}

static void change_of(struct state_change *out, const struct result_view *v)
{
	*out = (struct state_change){ .state = v->state, .held = v->held, .ordinal = v->ordinal,
				      .at_ms = v->stored_ms, .issued_ms = v->issued_ms };
	memcpy(out->result_id, v->result_id, sizeof(out->result_id));
	snprintf(out->unit, sizeof(out->unit), "%.*s", (int)v->unit.n, (const char *)v->unit.p);
	snprintf(out->code, sizeof(out->code), "%.*s", (int)v->case_code.n,
		 (const char *)v->case_code.p);
	snprintf(out->kind, sizeof(out->kind), "%.*s", (int)v->kind.n, (const char *)v->kind.p);
	snprintf(out->number_text, sizeof(out->number_text), "%.*s", (int)v->number_text.n,
		 (const char *)v->number_text.p);
}

/* What waits of a case, as far as it is not in the list already. */
static enum status case_waiting(struct reads *r, struct slice unit, struct slice code, uint32_t max,
				struct state_change *out, uint32_t *n)
{
	struct waiting_row *rows;
	uint32_t rows_n = 0;
	enum status st;

	if (!reads_anything_waits(r))
		return ST_OK;
	rows = malloc(CASE_RESULTS_MAX * sizeof(*rows));
	if (rows == NULL)
		return ST_NOMEM;
	st = waiting_case(r->rows, unit, code, rows, CASE_RESULTS_MAX, &rows_n, NULL);
	for (uint32_t i = 0; i < rows_n && *n < max && st == ST_OK; i++) {
		struct state_change *next = &out[*n];

		waiting_change(r->identity, next, &rows[i], (enum state)rows[i].state,
			       rows[i].parked_ms);
		*n += !listed(out, *n, next->result_id);
	}
	free(rows);
	return st;
}

enum status reads_case(void *reader, struct slice unit, struct slice code, uint32_t max,
		       struct state_change *out, uint32_t *n)
{
	struct reads *r = reader;
	uint8_t lanes[CASE_RESULTS_MAX];
	uint64_t sequences[CASE_RESULTS_MAX];
	uint32_t stored = 0;
	enum status st;

	*n = inflight_case(r->spine->inflight, unit, code, out, max);
	st = case_waiting(r, unit, code, max, out, n);
	if (st == ST_OK)
		st = r->spine->store->ops->find_case(r->store, unit, code, CASE_RESULTS_MAX, lanes,
						     sequences, &stored);
	for (uint32_t i = 0; i < stored && *n < max && st == ST_OK; i++) {
		struct result_view v;

		st = r->spine->store->ops->get(r->store, lanes[i], sequences[i], &v);
		if (st == ST_OK && !listed(out, *n, v.result_id))
			change_of(&out[(*n)++], &v);
	}
	if (*n > 0)
		return ST_OK;
	return st == ST_OK ? ST_NOT_FOUND : st;
}

/* ---- the waiting room ---- */

/* It was read before its entry was looked for: both may have gone since, or waits otherwise now. */
static bool is_stale(struct reads *r, const struct waiting_row *row)
{
	enum status st = waiting_find(r->rows, row->sequence, &r->row, NULL);

	return st == ST_NOT_FOUND || (st == ST_OK && r->row.state != row->state);
}

/*
 * Takes those out that are on their way: their rows do not say so. ended: only those that are
 * through, whose row is still to go.
 */
static uint32_t rows_rest(struct reads *r, struct waiting_row *rows, uint32_t n, bool ended)
{
	uint32_t rest = 0;

	for (uint32_t i = 0; i < n; i++) {
		int64_t accepted_ms;
		uint8_t lane;
		bool flies = inflight_get(r->spine->inflight, rows[i].sequence, &r->now, &lane,
					  &accepted_ms);

		if (flies ? !ended || r->now.state >= STATE_STORED : is_stale(r, &rows[i]))
			continue;
		if (rest != i)
			rows[rest] = rows[i];
		rest++;
	}
	return rest;
}

static enum status rows_after(void *reader, enum state state, uint64_t sequence,
			      struct waiting_row *rows, uint32_t max, uint32_t *n, struct error *e)
{
	struct reads *r = reader;
	uint32_t more = max;
	enum status st = ST_OK;

	/* A page is full unless there is nothing behind it. */
	for (*n = 0; *n < max && more > 0 && st == ST_OK;) {
		st = waiting_after(r->rows, state, sequence, rows + *n, max - *n, &more, e);
		if (st != ST_OK || more == 0)
			break;
		sequence = rows[*n + more - 1].sequence;
		*n += rows_rest(r, rows + *n, more, true);
	}
	return st;
}

/* ---- signing ---- */

static enum status list_waiting(void *reader, const struct waiting_filter *f,
				const struct waiting_place *after, struct waiting_row *rows,
				uint32_t max, uint32_t *n)
{
	struct reads *r = reader;
	struct waiting_place place;
	uint32_t more = max;
	enum status st = ST_OK;

	for (*n = 0; *n < max && more > 0 && st == ST_OK; after = &place) {
		const struct waiting_row *last;

		st = waiting_list(r->rows, f, after, rows + *n, max - *n, &more, NULL);
		if (st != ST_OK || more == 0)
			break;
		last = &rows[*n + more - 1];
		place = (struct waiting_place){ last->priority, last->due_ms, last->sequence };
		*n += rows_rest(r, rows + *n, more, false);
	}
	return st;
}

static enum status find_waiting(void *reader, const uint8_t id[16], struct waiting_row *out)
{
	struct reads *r = reader;
	uint64_t sequence;
	uint8_t lane;
	enum status st;

	if (!identity_read(r->identity, id, &lane, &sequence) || sequence > INT64_MAX)
		return ST_NOT_FOUND;
	st = waiting_find(r->rows, sequence, out, NULL);
	return st == ST_OK && rows_rest(r, out, 1, false) == 0 ? ST_NOT_FOUND : st;
}

enum status reads_record_room(struct reads *r)
{
	if (r->record == NULL)
		r->record = malloc(JOURNAL_RECORD_BYTES_MAX);
	return r->record != NULL ? ST_OK : ST_NOMEM;
}

static enum status paper(void *reader, struct catalogue *c, const uint8_t id[16], bool file,
			 struct waiting_paper *out, struct error *e)
{
	struct reads *r = reader;
	enum status st = find_waiting(reader, id, &out->row);
	uint8_t type;
	size_t n;

	out->file = NULL;
	if (st == ST_OK && out->row.state != STATE_AWAITING_APPROVAL)
		st = ST_NOT_FOUND;
	if (st != ST_OK)
		return error_set(e, st, "it does not wait");
	if (reads_record_room(r) != ST_OK)
		return error_set(e, ST_NOMEM, "no memory for a record");
	st = waiting_read(r->rows, out->row.sequence, &type, r->record, JOURNAL_RECORD_BYTES_MAX,
			  &n, e);
	memcpy(out->result_id, id, sizeof(out->result_id));
	/* A disk that gives this one not: whoever waits for it would wait for ever. */
	if (st != ST_OK)
		return st == ST_IO ? ST_CORRUPT : st;
	return drafts_draw(r->spine->drafts, slice_of(r->record, n), c, file, out, e);
}

static enum reason may_sign(void *ctx, const struct waiting_paper *p, int64_t at_ms)
{
	struct keyring *k = spine_keyring(ctx);
	enum reason why = sign_person(k, p->unit, p->kind, slice_str(p->row.signer), at_ms);

	keyring_unref(k);
	return why;
}

static enum status list_awaited(void *reader, const char *signer, const char *key,
				struct waiting_place *at, struct awaited_signature *out,
				uint32_t max, uint32_t *n)
{
	struct reads *r = reader;
	enum status st = reads_record_room(r);

	*n = 0;
	if (st == ST_OK)
		st = bridging_list(r->spine, r->rows, r->record, signer, key, at, out, max, n);
	for (uint32_t i = 0; st == ST_OK && i < *n; i++)
		identity_result_id(r->identity, out[i].result_id, out[i].lane, out[i].sequence);
	return st;
}

static enum status find_awaited(void *reader, const uint8_t id[16], struct awaited_signature *out)
{
	struct reads *r = reader;
	enum status st = reads_record_room(r);
	uint64_t sequence;
	uint8_t lane;

	if (st == ST_OK &&
	    (!identity_read(r->identity, id, &lane, &sequence) || sequence > INT64_MAX))
		st = ST_NOT_FOUND;
	if (st == ST_OK)
		st = bridging_find(r->spine, r->rows, r->record, sequence, out);
	memcpy(out->result_id, id, sizeof(out->result_id));
	return st;
}

static bool check_awaited(void *reader, const struct awaited_signature *a, struct slice value)
{
	return bridging_check(((struct reads *)reader)->spine, a, value);
}

static bool signer_awaited(void *reader, const uint8_t cert_sha256[SHA256_BYTES],
			   char out[CODE_BYTES_MAX + 1])
{
	return bridging_signer(((struct reads *)reader)->spine, cert_sha256, out);
}

static uint64_t news_awaited(void *ctx)
{
	return atomic_load(&((struct spine *)ctx)->counters.unsigned_parked);
}

static void id_of(void *reader, uint8_t lane, uint64_t sequence, uint8_t out[16])
{
	struct reads *r = reader;

	identity_result_id(r->identity, out, lane, sequence);
}

static bool id_place(void *reader, const uint8_t result_id[16], uint8_t *lane, uint64_t *sequence)
{
	struct reads *r = reader;

	return identity_read(r->identity, result_id, lane, sequence) && *sequence <= INT64_MAX;
}

static enum status object_keep(void *reader, uint8_t lane, const uint8_t sha256[SHA256_BYTES],
			       uint64_t size, struct error *e)
{
	struct store *store = ((struct reads *)reader)->spine->store;

	return store->ops->original_keep(store, lane, sha256, size, e);
}

static void object_drop(void *reader, uint8_t lane, const uint8_t sha256[SHA256_BYTES])
{
	originals_drop(((struct reads *)reader)->spine, lane, sha256);
}

static enum status inspect(void *ctx, int fd, uint32_t size, const uint8_t sha256[SHA256_BYTES],
			   bool own, struct arena *a, struct original *out, enum reason *why,
			   char detail[INSPECT_DETAIL_BYTES])
{
	struct foreign_file file = { .fd = fd, .size = size, .own = own };
	struct foreign_verdict verdict = { .why = REASON_NONE };
	enum status st;

	memcpy(file.sha256, sha256, SHA256_BYTES);
	st = foreign_inspect(((struct spine *)ctx)->foreign, &file, a, out, &verdict);
	*why = st == ST_OK ? verdict.why : REASON_ORIGINAL_READER_AWAY;
	snprintf(detail, INSPECT_DETAIL_BYTES, "%s", st == ST_OK ? verdict.detail :
		 status_name(st));
	return st == ST_OK && verdict.why != REASON_NONE ? reason_text(verdict.why)->status : st;
}

static enum status keep_session(void *ctx, const uint8_t id[16], struct slice bytes,
				struct error *e)
{
	return session_file_keep(((struct spine *)ctx)->config->data, id, bytes, e);
}

static enum status forget_session(void *ctx, const uint8_t id[16], struct error *e)
{
	return session_file_forget(((struct spine *)ctx)->config->data, id, e);
}

static enum status each_session(void *ctx, void (*one)(void *owner, struct slice bytes),
				void *owner, struct error *e)
{
	return session_file_each(((struct spine *)ctx)->config->data, one, owner, e);
}

void reads_ops(struct spine *s, struct engine_ops *ops)
{
	*ops = (struct engine_ops){ .ctx = s, .submit = submit, .act = act,
				    .note_read = note_read,
				    .catalogue = catalogue_now, .coverage = coverage,
				    .now_ms = now_ms, .watch = watch, .watch_take = notify_take,
				    .unwatch = notify_unwatch, .reader_open = reader_open,
				    .reader_close = reader_close, .get = get,
				    .id_elsewhere = id_elsewhere, .unit_elsewhere = unit_elsewhere,
				    .read = read_bytes_at, .etag_read = read_etag,
				    .etag_after = after_etag, .history = history, .shares = shares,
				    .object = object, .list = list, .readings = readings,
				    .counts = counts, .pending = reads_pending,
				    .verify = trusted_verify,
				    .find_case = reads_case, .whole_case = reads_whole_case,
				    .waiting_after = rows_after,
				    .waiting_list = list_waiting,
				    .waiting_find = find_waiting, .waiting_paper = paper,
				    .may_sign = may_sign,
				    .awaited_list = list_awaited, .awaited_find = find_awaited,
				    .awaited_check = check_awaited,
				    .awaited_signer = signer_awaited, .awaited_news = news_awaited,
				    .book_open = book_open, .book_next = book_next,
				    .book_close = book_close, .number_stored = numbers_stored,
				    .objects = originals_taken(s), .object_keep = object_keep,
				    .object_drop = object_drop,
				    .inspect = inspect,
				    .original_bytes_max =
					    (uint64_t)s->config->original_mb_max << 20,
				    .result_id = id_of, .id_read = id_place,
				    .case_of = reads_case_of,
				    .session_keep = keep_session,
				    .session_forget = forget_session,
				    .session_each = each_session };
}
