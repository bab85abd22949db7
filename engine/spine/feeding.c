#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "signer/policy.h"
#include "spine/approval.h"
#include "spine/elsewhere.h"
#include "spine/living.h"
#include "spine/spine.h"
#include "spine/track.h"

/* Cases that are looked at for one batch: some only change their line. */
#define LOOKED_AT_MAX (4 * BATCH_ITEMS_MAX)

/*
 * A case that others overtake again and again holds its segment, and all behind it, in the journal:
 * before that makes us refuse the others, every second batch begins with what is oldest.
 */
static bool oldest_first(const struct spine *s)
{
	return journal_slots_free(s->journal) < JOURNAL_SLOTS_FREE_LOW(s->config->journal_slots) &&
	       atomic_load(&s->counters.batches) % 2 == 1;
}

void payload_drop(struct spine *s, struct pending *p)
{
	if (p->payload != NULL)
		s->backlog.bytes -= p->size;
	free(p->payload);
	p->payload = NULL;
}

enum status pending_record(struct spine *s, const struct pending *p, uint8_t **out,
			   struct error *e)
{
	uint8_t *bytes = malloc(p->size), type;
	struct error why = { 0 };
	enum status st = ST_OK;
	size_t n;

	if (bytes == NULL)
		return error_set(e, ST_NOMEM, "no memory for a record of the journal");
	if (p->payload != NULL)
		memcpy(bytes, p->payload, p->size);
	else
		st = journal_read(s->journal, p->pos, &type, bytes, p->size, &n, &why);
	if (st != ST_OK) {
		free(bytes);
		return error_set(e, st, "journal: record at %llu cannot be read again: %s",
				 (unsigned long long)p->pos, why.text);
	}
	*out = bytes;
	return ST_OK;
}

bool pending_batched(const struct pending *p)
{
	uint8_t elsewhere = p->settled | p->awaiting;

	for (uint8_t i = p->next_result; i < p->end; i++)
		if ((elsewhere >> i & 1) == 0)
			return true;
	return false;
}

void pending_start(struct spine *s, struct pending *p)
{
	if (pending_batched(p))
		backlog_add(&s->backlog, p, io_boot_ns());
	else if (p->payload != NULL)
		s->backlog.bytes += p->size;
	if (p->awaiting != 0)
		awaiting_add(s, p);
}

void pending_free(struct spine *s, struct pending *p)
{
	free(p->payload);
	free(p->kept);
	free(p);
}

void pending_settled(struct spine *s, struct pending *p)
{
	assert(p->left > 0 && p->parent == NULL);
	if (--p->left > 0)
		return;
	if (p->track != NO_TRACK)
		track_close(s->track, p->track);
	s->resumed -= p->waiting;
	pending_free(s, p);
}

/* The NUMBERED record in the batch's arena; p == NULL when the arena is spent. */
static struct slice record_load(struct spine *s, struct batch *b, const struct pending *p)
{
	struct error e = { 0 };
	uint8_t *bytes, type;
	size_t n;

	if (p->payload != NULL)
		return arena_copy(&b->arena, slice_of(p->payload, p->size));
	bytes = arena_take(&b->arena, p->size);
	if (bytes == NULL)
		return slice_of(NULL, p->size);
	if (journal_read(s->journal, p->pos, &type, bytes, p->size, &n, &e) != ST_OK) {
		spine_fail(s, "journal: record at %llu cannot be read again: %s",
			   (unsigned long long)p->pos, e.text);
		return slice_of(NULL, p->size);
	}
	return slice_of(bytes, n);
}

static void item_fill(struct spine *s, struct batch *b, struct pending *p,
		      const struct record_numbered *rec, struct slice record, uint8_t index)
{
	const struct numbered_result *n = &rec->results[index];
	struct item *it = &b->items[b->items_n++];

	it->sequence = n->sequence;
	it->journal_pos = p->pos;
	it->lane = n->lane;
	it->result_index = index;
	it->accepted_ms = rec->accepted_ms;
	it->issued_ms = n->issued_ms;
	it->number = n->number;
	it->register_year = n->year;
	it->pins = n->pins;
	it->record = record;
	it->case_bytes = rec->case_bytes;
	it->sign_ms = p->sign_ms != 0 ? p->sign_ms : it->issued_ms;
	it->from_waiting = p->waiting;
	it->pending = p->parent != NULL ? p->parent : p;
	memcpy(it->case_digest, p->digest, SHA256_BYTES);
	memcpy(it->number_text, n->number_text.p, n->number_text.n);
	it->number_text[n->number_text.n] = '\0';
	if (p->kept != NULL)
		it->kept = (const void *)arena_copy(&b->arena, slice_of(p->kept,
						    sizeof(*p->kept))).p;
	identity_result_id(s->identity, it->result_id, it->lane, it->sequence);
}

/* Older than the limit: a new signing time, through the journal (DESIGN 2). false: journal full. */
static bool sign_time_renew(struct spine *s, struct pending *p, const struct record_numbered *rec)
{
	uint8_t bytes[512];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_result r = { .sequence = rec->results[p->next_result].sequence,
				   .lane = rec->results[p->next_result].lane,
				   .at_ms = io_wall_ms() };
	int64_t sign_ms = p->sign_ms != 0 ? p->sign_ms : rec->issued_ms;
	uint64_t pos;

	if (r.at_ms - sign_ms <= SIGN_REPLAY_MS_MAX)
		return true;
	if (record_result_encode(&r, &w) != ST_OK ||
	    !append_record(s, RECORD_RESUMED, writer_slice(&w), &pos))
		return false;
	p->sign_ms = r.at_ms;
	return true;
}

/* What all of its results that go into a batch need; 0: not all the same, or not known. */
static uint32_t tokens_known(const struct spine *s, const struct pending *p,
			     const struct record_numbered *rec)
{
	uint32_t tokens = 0;

	for (uint8_t i = p->next_result; i < p->end; i++) {
		uint32_t one;

		if ((p->settled | p->awaiting) >> i & 1)
			continue;
		one = backlog_known(&s->backlog, &rec->results[i].pins);
		if (one == 0 || (tokens != 0 && one != tokens))
			return 0;
		tokens = one;
	}
	return tokens;
}

/* Of the main line: it is known to be another's. */
static bool change_line(struct spine *s, const struct line *l, struct pending *p, uint8_t priority,
			const struct record_numbered *rec)
{
	uint32_t tokens = l != s->backlog.lines || p->kept != NULL ? 0 : tokens_known(s, p, rec);

	if (tokens == 0 || backlog_line(&s->backlog, tokens) == l)
		return false;
	p->tokens = tokens;
	backlog_move(&s->backlog, priority, io_boot_ns());
	return true;
}

/* Moves results of the line's first pending case into b. false: b takes no more. */
static bool fill_case(struct spine *s, struct batch *b, struct line *l, struct pending *p,
		      uint8_t priority)
{
	struct record_numbered rec;
	size_t mark = b->arena.used;
	struct slice record = record_load(s, b, p);
	bool more;

	if (record.p == NULL)
		return false;
	if (record_numbered_decode(&rec, record) != ST_OK || rec.results_n < p->end) {
		spine_fail(s, "journal: record at %llu is not a numbered case",
			   (unsigned long long)p->pos);
		return false;
	}
	if (change_line(s, l, p, priority, &rec)) {
		b->arena.used = mark;
		return true;
	}
	if (!sign_time_renew(s, p, &rec)) {
		b->arena.used = mark;
		return false;
	}
	/* Settled ones at its end go with the others: settling those frees it. */
	for (; p->next_result < p->end; p->next_result++) {
		if ((p->settled | p->awaiting) >> p->next_result & 1)
			continue;
		if (b->items_n == (p->large ? 1 : BATCH_ITEMS_MAX))
			return false;
		item_fill(s, b, p, &rec, record, p->next_result);
	}
	more = !p->large;
	line_pop(&s->backlog, l, priority, io_boot_ns());
	payload_drop(s, p);
	if (p->parent != NULL)
		pending_free(s, p);
	return more;
}

static void put_aside(struct spine *s, struct line *l, uint8_t priority, uint64_t away)
{
	struct pending *p = l->first[priority];

	line_pop(&s->backlog, l, priority, io_boot_ns());
	if (p->payload != NULL)
		s->backlog.bytes -= p->size;
	aside_add(s, p, away);
}

static void fill(struct spine *s, struct batch *b, struct line *l)
{
	struct pending *p;
	bool oldest = oldest_first(s);
	uint64_t away = lanes_away(s);
	uint32_t looked_at = 0;
	uint8_t priority;

	while (looked_at < LOOKED_AT_MAX && b->items_n < BATCH_ITEMS_MAX &&
	       (p = line_first(l, oldest, &priority)) != NULL) {
		/* It waited for that server before. */
		if ((p->lanes & away) != 0) {
			put_aside(s, l, priority, away);
			continue;
		}
		looked_at++;
		/* Nothing is signed that a crash could take back: the store never knows more. */
		if (p->pos >= journal_durable(s->journal) && !p->waiting)
			return;
		if (p->large && b->items_n > 0)
			return;
		/* Room for the signatures must stay in the arena. */
		if (b->arena.size - b->arena.used <
		    p->size + sizeof(*p->kept) +
			    BATCH_ITEMS_MAX * DOC_SIGNATURES_MAX * (SIGNATURE_BYTES_MAX + 16))
			return;
		if (!fill_case(s, b, l, p, priority))
			return;
	}
}

/* What the janitor has to park is held in memory: it must keep up. */
static bool feed_waits(const struct spine *s)
{
	return s->backlog.cases == 0 || batch_in_flight(s->batches) >= s->config->batches ||
	       s->jobs_out >= JOBS_MAX || s->failure.status != ST_OK;
}

static struct batch_room room_of(const struct spine *s)
{
	return (struct batch_room){ s->config->batches, batch_in_flight(s->batches),
				    s->config->batch_age_ms * 1000000ull };
}

uint64_t feed_due_ns(const struct spine *s)
{
	struct batch_room room = room_of(s);

	return feed_waits(s) ? UINT64_MAX : backlog_due_ns(&s->backlog, &room);
}

/* Their originals could not be had: another try. */
static void later_run(struct spine *s)
{
	struct backlog *b = &s->backlog;

	if (b->later == NULL || io_boot_ns() - b->later_ns < LATER_MS * 1000000ull)
		return;
	while (b->later != NULL) {
		struct pending *p = b->later;

		b->later = p->next;
		backlog_put_back(b, p, io_boot_ns());
	}
	b->later_n = 0;
}

/* Its line's tokens are kept busy by it. */
static void batch_enter(struct spine *s, struct batch *b, struct line *l)
{
	b->line = (uint8_t)(l - s->backlog.lines);
	if (b->line != LINE_MAIN)
		l->batches++;
}

/* false: nothing of this line goes into a batch now. */
static bool seal(struct spine *s, struct line *l)
{
	struct batch *b = batch_take(s->batches);

	if (b == NULL)
		return false;
	fill(s, b, l);
	if (b->items_n == 0) {
		batch_move(b, BATCH_FILLING, BATCH_DONE);
		batch_release(s->batches, b);
		return false;
	}
	batch_enter(s, b, l);
	b->number = (uint32_t)atomic_fetch_add(&s->counters.batches, 1) + 1;
	b->sealed_ms = io_wall_ms();
	pthread_mutex_lock(&s->lock);
	b->catalogue = catalogue_ref(s->catalogue);
	b->keyring = keyring_ref(s->keyring);
	pthread_mutex_unlock(&s->lock);
	batch_split(b);
	batch_move(b, BATCH_FILLING, BATCH_PRESS);
	pipeline_push(s->pipeline, b);
	return true;
}

void feed_run(struct spine *s)
{
	bool passed[LINES_MAX] = { false };

	later_run(s);
	aside_run(s);
	while (!feed_waits(s)) {
		struct batch_room room = room_of(s);
		struct line *l = backlog_due(&s->backlog, &room, passed, io_boot_ns());

		if (l == NULL)
			return;
		passed[l - s->backlog.lines] = !seal(s, l);
	}
}

static void later_add(struct spine *s, struct pending *p, const char *why)
{
	struct backlog *b = &s->backlog;
	uint64_t now = io_boot_ns();

	if (b->later == NULL)
		b->later_ns = now;
	p->next = b->later;
	b->later = p;
	b->later_n++;
	if (b->told_ns != 0 && now - b->told_ns < LATER_TOLD_MS * 1000000ull)
		return;
	b->told_ns = now;
	log_warn("objects", "an original cannot be had now: %s; trying again", why);
}

/* Its record, unless the journal has it and memory has enough, and what is kept of it. */
static bool copies_take(struct spine *s, const struct item *it, struct pending *p)
{
	if (it->from_waiting || it->kept != NULL ||
	    s->backlog.bytes + it->record.n <= BACKLOG_CASE_BYTES_MAX) {
		p->payload = malloc(it->record.n);
		if (p->payload == NULL)
			return false;
		memcpy(p->payload, it->record.p, it->record.n);
	}
	if (it->kept != NULL && p->kept == NULL) {
		p->kept = malloc(sizeof(*p->kept));
		if (p->kept == NULL)
			return false;
		*p->kept = *it->kept;
	}
	return true;
}

/* The last one of its case goes as that, another one as a part of it. NULL: no memory. */
static struct pending *pending_again(const struct item *it)
{
	struct pending *p = it->pending;

	if (p->left == 1) {
		assert(p->next_result == p->end && p->payload == NULL);
		return p;
	}
	p = calloc(1, sizeof(*p));
	if (p != NULL)
		p->parent = it->pending;
	return p;
}

/*
 * Back into the line of these tokens: a result that needs a batch for itself to the head of its
 * priority's queue, one that came from another line to its end; one whose original cannot be had
 * now, after a while; and one whose server is away, beside them.
 */
static void seal_again(struct spine *s, struct item *it, uint32_t tokens)
{
	struct pending *p = pending_again(it);
	uint64_t away = lanes_away(s);

	if (p == NULL || !copies_take(s, it, p)) {
		spine_fail(s, "no memory to seal a case again; it stands in the journal");
		if (p != NULL && p->parent != NULL)
			pending_free(s, p);
		return;
	}
	p->pos = it->journal_pos;
	p->sign_ms = it->sign_ms;
	p->size = (uint32_t)it->record.n;
	p->priority = it->pending->priority;
	p->next_result = it->result_index;
	p->end = (uint8_t)(it->result_index + 1);
	p->large = it->large;
	p->waiting = it->from_waiting;
	memcpy(p->digest, it->case_digest, SHA256_BYTES);
	p->tokens = tokens;
	p->lanes = it->lanes;
	if ((p->lanes & away) != 0)
		aside_add(s, p, away);
	else if (it->later && p->lanes == 0)
		later_add(s, p, it->held_detail);
	else if (it->large || it->later)
		backlog_put_back(&s->backlog, p, io_boot_ns());
	else
		backlog_add(&s->backlog, p, io_boot_ns());
}

/* ---- a token's, apart from the others ---- */

/* What it still has to be signed with, a bit for each token. */
static uint32_t tokens_of(const struct item *it)
{
	uint32_t tokens = 0;

	for (uint8_t i = it->kept != NULL ? it->kept->n : 0; i < it->slots_n; i++) {
		const struct key_policy *policy = signing_key_policy(it->slots[i].key);

		if (policy->source == SOURCE_PKCS11)
			tokens |= 1u << policy->token;
	}
	return tokens;
}

/* Those of a batch of the main line that may go on in it: all a token's, if that has room. */
static uint32_t tokens_that_stay(struct spine *s, struct batch *b, const uint32_t *tokens)
{
	struct batch_room room = room_of(s);
	struct line *l = &s->backlog.lines[b->line];
	uint32_t first = 0;

	if (b->line != LINE_MAIN)
		return l->tokens;
	for (uint32_t i = 0; i < b->items_n; i++) {
		if (b->items[i].held != REASON_NONE)
			continue;
		if (tokens[i] == 0)
			return 0;
		first = first != 0 ? first : tokens[i];
	}
	l = backlog_line(&s->backlog, first);
	if (!line_has_room(&s->backlog, l, &room))
		return 0;
	batch_enter(s, b, l);
	return b->line != LINE_MAIN ? first : 0;
}

/* A pressed batch: what waits for other tokens than its line's leaves it, for a line of its own. */
static void lines_sort(struct spine *s, struct batch *b)
{
	uint32_t tokens[BATCH_ITEMS_MAX] = { 0 }, stay;

	for (uint32_t i = 0; i < b->items_n; i++) {
		struct item *it = &b->items[i];

		if (it->held != REASON_NONE)
			continue;
		tokens[i] = tokens_of(it);
		if (it->kept == NULL)
			backlog_learn(&s->backlog, &it->pins, tokens[i]);
	}
	stay = tokens_that_stay(s, b, tokens);
	for (uint32_t i = 0; i < b->items_n; i++) {
		struct item *it = &b->items[i];
		const struct line *l;

		if (it->held != REASON_NONE || tokens[i] == stay)
			continue;
		l = backlog_line(&s->backlog, tokens[i]);
		if (l->tokens != tokens[i])
			continue;
		seal_again(s, it, tokens[i]);
		it->left = true;
		it->held = REASON_BUSY;
		it->pending = NULL;
	}
}

/* The signer has nothing to do where all signatures of this slot are kept. */
static bool slot_asked(const struct batch *b)
{
	for (uint32_t i = 0; i < b->items_n; i++)
		if (b->items[i].held == REASON_NONE && b->items[i].slots_n > b->slot &&
		    b->items[i].slots[b->slot].value == NULL)
			return true;
	return false;
}

static bool slot_wanted(const struct batch *b)
{
	for (uint32_t i = 0; i < b->items_n; i++)
		if (b->items[i].held == REASON_NONE && b->items[i].slots_n > b->slot)
			return true;
	return false;
}

static bool any_live(const struct batch *b)
{
	for (uint32_t i = 0; i < b->items_n; i++)
		if (b->items[i].held == REASON_NONE)
			return true;
	return false;
}

void feed_signed(struct spine *s, struct batch *b)
{
	batch_move(b, BATCH_SIGNING, BATCH_BINDING);
	pipeline_push(s->pipeline, b);
}

/*
 * A copy from the register that waited for a signature says that its original is in force, and what
 * corrected it. Where that is not so any more, it is not issued: it has its number, so it is held.
 */
static void hold_copies(struct spine *s, struct batch *b)
{
	for (uint32_t i = 0; i < b->items_n; i++) {
		struct item *it = &b->items[i];
		struct copied copied;

		if (it->held != REASON_NONE || it->large || it->later || !it->from_waiting ||
		    it->result->original == NULL || it->result->original->source == NULL)
			continue;
		copied_of(&copied, it->result->original->source);
		it->held = living_copied(s, &copied);
	}
}

void feed_pressed(struct spine *s, struct batch *b)
{
	enum batch_stage from = b->stage;

	if (from == BATCH_BINDING)
		b->slot++;
	else
		hold_copies(s, b);
	elsewhere_sort(s, b, from == BATCH_BINDING ? b->slot - 1 : -1);
	if (from == BATCH_PRESS)
		lines_sort(s, b);
	if (slot_wanted(b)) {
		batch_move(b, from, BATCH_SIGNING);
		if (slot_asked(b))
			signing_ask(s, b);
		else
			feed_signed(s, b);
	} else if (any_live(b)) {
		batch_move(b, from, BATCH_STORING);
		pipeline_push(s->pipeline, b);
	} else {
		batch_move(b, from, BATCH_STORING);
		feed_stored(s, b);
	}
}

static uint32_t settle_items(struct spine *s, struct batch *b, struct state_change *changes)
{
	int64_t now = io_wall_ms();
	uint32_t n = 0;

	for (uint32_t i = 0; i < b->items_n; i++) {
		struct item *it = &b->items[i];

		if (it->left)
			continue;
		if (it->large || it->later) {
			seal_again(s, it, s->backlog.lines[b->line].tokens);
			continue;
		}
		if (it->held == REASON_NONE && it->stored == ST_CONFLICT)
			it->held = REASON_STORE_CONFLICT;
		if (it->held != REASON_NONE) {
			clerk_park(s, it);
			continue;
		}
		if (it->from_waiting) {
			/* Its row says otherwise, until it is gone: so long the entry stays. */
			n += inflight_set(s->inflight, it->sequence, STATE_STORED, REASON_NONE, now,
					  &changes[n]);
			clerk_forget(s, it);
		} else {
			n += inflight_drop(s->inflight, it->sequence, STATE_STORED, now,
					   &changes[n]);
		}
		pending_settled(s, it->pending);
		atomic_fetch_add_explicit(&s->counters.stored, 1, memory_order_relaxed);
	}
	return n;
}

void feed_stored(struct spine *s, struct batch *b)
{
	struct state_change changes[BATCH_ITEMS_MAX];
	uint32_t n = settle_items(s, b, changes);

	if (n > 0)
		notify_publish(s->notify, changes, n);
	for (uint32_t i = 0; i < b->items_n; i++)
		if (b->items[i].template != NULL)
			render_release(s->render, b->items[i].template);
	catalogue_unref(b->catalogue);
	keyring_unref(b->keyring);
	if (b->line != LINE_MAIN)
		s->backlog.lines[b->line].batches--;
	batch_move(b, BATCH_STORING, BATCH_DONE);
	batch_release(s->batches, b);
}
