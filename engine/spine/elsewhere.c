#include "spine/elsewhere.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "sign/sign.h"
#include "signer/policy.h"
#include "spine/track.h"

enum status elsewhere_new(struct elsewhere **out)
{
	struct elsewhere *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return ST_NOMEM;
	w->came_end = &w->came_first;
	w->left_behind = true;		/* until a look into the room says otherwise */
	w->ends_ms = INT64_MAX;
	atomic_store(&w->outdated, true);
	*out = w;
	return ST_OK;
}

void errand_free(struct spine *s, struct errand *e)
{
	struct elsewhere *w = s->elsewhere;

	if (e->asked.tag != 0)
		asking_drop(&w->asking, &e->asked);
	free(e->record);
	free(e);
}

/* At an end that was not waited for: it stands in the journal, or in the waiting room. */
static void errand_leave(struct spine *s, struct errand *e)
{
	if (e->pending != NULL && --e->pending->left == 0)
		pending_free(s, e->pending);
	errand_free(s, e);
}

void elsewhere_free(struct spine *s)
{
	struct elsewhere *w = s->elsewhere;

	if (w == NULL)
		return;
	/* Those that nobody was asked for: a device gave it, or a row is begun anew. */
	for (struct errand *e = w->came_first, *next; e != NULL; e = next) {
		next = e->next_came;
		if (e->asked.tag == 0)
			errand_leave(s, e);
	}
	for (size_t i = 0; i < ARRAY_LEN(w->asking.lists); i++)
		while (w->asking.lists[i].first != NULL)
			errand_leave(s, (struct errand *)w->asking.lists[i].first);
	free(w);
}

/* ---- those that the journal holds, oldest first ---- */

static void journal_add(struct elsewhere *w, struct errand *e)
{
	e->older = w->newest;
	if (w->newest != NULL)
		w->newest->newer = e;
	else
		w->oldest = e;
	w->newest = e;
}

void errand_not_oldest(struct elsewhere *w, struct errand *e)
{
	if (e->older == NULL && w->oldest != e)
		return;
	if (e->older != NULL)
		e->older->newer = e->newer;
	else
		w->oldest = e->newer;
	if (e->newer != NULL)
		e->newer->older = e->older;
	else
		w->newest = e->older;
	e->older = e->newer = NULL;
}

/* ---- what came ---- */

void errand_came(struct elsewhere *w, struct errand *e, enum came what)
{
	e->came = what;
	if (e->listed)
		return;
	e->listed = true;
	e->next_came = NULL;
	*w->came_end = e;
	w->came_end = &e->next_came;
}

/* ---- out of the batch ---- */

static void kept_slot(struct kept_signature *to, const struct signed_slot *from)
{
	snprintf(to->key, sizeof(to->key), "%s", signing_key_row(from->key)->id);
	to->sign_ms = from->plan.signed_ms;
	memcpy(to->digest, from->to_sign, SHA256_BYTES);
	to->value_size = from->value_size;
	memcpy(to->value, from->value, from->value_size);
}

static void ask_fill(struct errand *e, const struct item *it, uint8_t slot)
{
	const struct signed_slot *of = &it->slots[slot];
	const struct key_row *key = signing_key_row(of->key);
	const struct key_policy *policy = signing_key_policy(of->key);
	struct asked *k = &e->asked;

	k->sequence = it->sequence;
	k->until_ms = key->not_after_ms < key->to_ms ? key->not_after_ms : key->to_ms;
	if (of->plan.role == ROLE_PERSON && sign_delegated_until_ms(it->signer) < k->until_ms)
		k->until_ms = sign_delegated_until_ms(it->signer);
	memcpy(k->digest, of->to_sign, SHA256_BYTES);
	snprintf(k->service, sizeof(k->service), "%s",
		 policy->source == SOURCE_REMOTE ? policy->service : "");
	snprintf(k->key, sizeof(k->key), "%s", key->id);
	snprintf(e->signer, sizeof(e->signer), "%s", it->signer->code);
	snprintf(k->unit, sizeof(k->unit), "%s", it->unit->code);
	snprintf(k->kind, sizeof(k->kind), "%s", it->kind->code);
	snprintf(k->name, sizeof(k->name), "%s", it->number_text);
	k->bytes = sizeof(*e) + it->record.n;
	e->sign_ms = of->plan.signed_ms;
	for (; e->kept.n < slot; e->kept.n++)
		kept_slot(&e->kept.slots[e->kept.n], &it->slots[e->kept.n]);
}

static struct errand *errand_new(const struct item *it, uint8_t slot)
{
	struct errand *e = calloc(1, sizeof(*e));

	if (e != NULL)
		e->record = malloc(it->record.n);
	if (e == NULL || e->record == NULL) {
		free(e);
		return NULL;
	}
	memcpy(e->record, it->record.p, it->record.n);
	e->record_n = (uint32_t)it->record.n;
	e->lane = it->lane;
	e->result_index = it->result_index;
	e->priority = it->pending->priority;
	e->pos = it->journal_pos;
	e->pending = it->pending;
	e->track = NO_TRACK;
	e->at_ms = it->sign_ms;
	e->since_ms = steady_ms();
	e->in_room = it->from_waiting;
	memcpy(e->case_digest, it->case_digest, SHA256_BYTES);
	ask_fill(e, it, slot);
	return e;
}

static void leave(struct spine *s, struct item *it, uint8_t slot, uint8_t tries)
{
	struct elsewhere *w = s->elsewhere;
	struct errand *e = errand_new(it, slot);
	struct state_change change;

	if (e == NULL) {
		spine_fail(s, "no memory to ask for a signature; the result stands in the journal");
		return;
	}
	e->kept.tries = tries;
	errand_ends(w, e);
	it->left = true;
	it->held = REASON_BUSY;
	it->pending = NULL;
	if (inflight_set(s->inflight, it->sequence, STATE_AWAITING_SIGNATURE, REASON_NONE,
			 io_wall_ms(), &change))
		notify_publish(s->notify, &change, 1);
	if (e->asked.service[0] != '\0' &&
	    asking_has_room(&w->asking, e->asked.service, e->asked.bytes))
		asking_put(&w->asking, &e->asked);
	/* One that has a row already must not be found there as it was before. */
	if (e->asked.tag == 0 || e->in_room)
		errand_park(s, e, STATE_AWAITING_SIGNATURE);
	else
		journal_add(w, e);
}

static bool goes_elsewhere(const struct item *it, uint8_t slot)
{
	enum key_source source;

	if (it->held != REASON_NONE || slot >= it->slots_n || it->slots[slot].value != NULL)
		return false;
	source = signing_key_policy(it->slots[slot].key)->source;
	return source == SOURCE_REMOTE || source == SOURCE_BRIDGE;
}

/* What came and does not verify is asked for again, not for ever. */
static void was_wrong(struct spine *s, struct batch *b, struct item *it, uint8_t slot)
{
	struct kept_signatures *kept;
	uint8_t tries = (uint8_t)(it->kept->tries + 1);

	log_error("remote", "ALARM: key %s: a signature for %s is not that key's",
		  it->kept->slots[slot].key, it->number_text);
	atomic_fetch_add_explicit(&s->counters.signatures_wrong, 1, memory_order_relaxed);
	kept = arena_take(&b->arena, sizeof(*kept));
	if (kept == NULL)
		return;
	*kept = *it->kept;
	kept->n = slot;
	kept->tries = tries;
	it->kept = kept;
	it->slots[slot].value = NULL;
	if (tries < SIGNATURE_TRIES_MAX)
		leave(s, it, slot, tries);
}

void elsewhere_sort(struct spine *s, struct batch *b, int bound)
{
	for (uint32_t i = 0; i < b->items_n; i++) {
		struct item *it = &b->items[i];

		if (it->left)
			continue;
		if (bound >= 0 && it->held == REASON_SIGNATURE_WRONG && it->kept != NULL &&
		    bound < it->kept->n)
			was_wrong(s, b, it, (uint8_t)bound);
		else if (goes_elsewhere(it, b->slot))
			leave(s, it, b->slot, 0);
	}
}

/* ---- answers ---- */

/* Why a signature is not made any more whose time is over. */
static enum reason why_expired(struct spine *s, const struct errand *e)
{
	struct question q = errand_question(e);
	struct keyring *k = spine_keyring(s);
	bool key_signs = key_outlasts(k, &q);

	keyring_unref(k);
	return key_signs ? REASON_DELEGATION_ENDED : REASON_CERT_EXPIRED;
}

enum status elsewhere_answer(struct spine *s, const struct remote_answer *a)
{
	struct elsewhere *w = s->elsewhere;
	struct errand *e = (struct errand *)asking_by_tag(&w->asking, a->tag);
	enum reason why = REASON_NONE;

	if (e == NULL || (e->asked.state != ASKED_SENT && !asked_given_up(&e->asked)))
		return ST_CORRUPT;
	switch (asking_answer(&w->asking, &e->asked, a, steady_ms(), &why)) {
	case ASKED_SIGNED:
		memcpy(e->value, a->bytes.p, a->bytes.n);
		e->value_n = (uint16_t)a->bytes.n;
		e->at_ms = io_wall_ms() > e->sign_ms ? io_wall_ms() : e->sign_ms;
		atomic_fetch_add_explicit(&s->counters.signatures, 1, memory_order_relaxed);
		errand_came(w, e, CAME_SIGNED);
		break;
	case ASKED_TICKET:
		errand_came(w, e, CAME_TICKET);
		break;
	case ASKED_AGAIN:
	case ASKED_UNWANTED:
		break;
	case ASKED_GONE:
		errand_free(s, e);
		break;
	case ASKED_HOLD:
		e->why = a->status == REMOTE_EXPIRED ? why_expired(s, e) : why;
		snprintf(e->detail, sizeof(e->detail), "%s %s", e->asked.key,
			 remote_status_name(a->status));
		if (why == REASON_SIGNATURE_WRONG) {
			log_error("remote", "ALARM: key %s: no answer for %s is that key's",
				  e->asked.key, e->asked.name);
			atomic_fetch_add_explicit(&s->counters.signatures_wrong, 1,
						  memory_order_relaxed);
		}
		errand_came(w, e, CAME_NO);
	}
	return ST_OK;
}

void elsewhere_lost(struct spine *s)
{
	struct asking *a = &s->elsewhere->asking;
	struct asked *k;

	asking_lost(a);
	while ((k = asking_given_up(a)) != NULL)
		errand_free(s, (struct errand *)k);
}

/* Durable before it counts. false: the journal is full just now. */
static bool note(struct spine *s, struct errand *e)
{
	uint8_t bytes[ERRAND_BYTES_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_result fresh = { .sequence = e->asked.sequence, .lane = e->lane,
				       .at_ms = e->at_ms };
	enum record_type type = e->came == CAME_FRESH ? RECORD_RESUMED : RECORD_SIGNATURE;
	uint64_t pos;
	enum status st = type == RECORD_RESUMED ? record_result_encode(&fresh, &w) :
		errand_encode(e, e->came == CAME_SIGNED, false, &w);

	if (st != ST_OK) {
		spine_fail(s, "a signature that came does not fit a record");
		return false;
	}
	if (!append_record(s, type, writer_slice(&w), &pos))
		return false;
	e->durable_at = s->appended;
	if (e->came == CAME_TICKET)
		return true;
	e->noted = true;
	/* Its NUMBERED record may be gone: this one stays until the result is stored. */
	if ((e->in_room || e->parking) && track_open(s->track, pos, &e->track) != ST_OK)
		spine_fail(s, "no memory for a signature that came; it stands in the journal");
	return true;
}

/* Signatures before the one that was asked for, and that one if it came. */
static struct kept_signatures *kept_of(const struct errand *e)
{
	struct kept_signatures *k = calloc(1, sizeof(*k));
	struct kept_signature *last;

	if (k == NULL)
		return NULL;
	*k = e->kept;
	if (e->came != CAME_SIGNED)
		return k;
	last = &k->slots[k->n++];
	memcpy(last->key, e->asked.key, sizeof(last->key));
	last->sign_ms = e->sign_ms;
	memcpy(last->digest, e->asked.digest, SHA256_BYTES);
	last->value_size = e->value_n;
	memcpy(last->value, e->value, e->value_n);
	return k;
}

/* From here on its row is not what counts. */
bool errand_over_row(struct spine *s, const struct errand *e)
{
	struct waiting_row row;
	struct state_change now;
	int64_t accepted_ms;
	uint8_t lane;

	if (inflight_get(s->inflight, e->asked.sequence, &now, &lane, &accepted_ms))
		return true;
	if (!clerk_row(s, e->asked.sequence, &row))
		return false;
	waiting_change(s->identity, &now, &row, STATE_AWAITING_SIGNATURE, row.parked_ms);
	if (inflight_add_over(s->inflight, row.sequence, row.lane, row.accepted_ms, &now,
			      STATE_AWAITING_SIGNATURE) == ST_OK)
		return true;
	spine_fail(s, "no memory for a signature that came; its row stands in the waiting room");
	return false;
}

/* Why it does not wait for a device now. */
static enum status not_given(struct spine *s, uint64_t sequence, enum state state)
{
	for (const struct errand *e = s->elsewhere->came_first; e != NULL; e = e->next_came)
		if (e->asked.sequence == sequence)
			return ST_EXISTS;
	/* It is void, or another one is to sign it. */
	if (state == STATE_VOID || state == STATE_HELD)
		return ST_NOT_FOUND;
	/* Its row is being written just now. */
	return state == STATE_AWAITING_SIGNATURE ? ST_AGAIN : ST_EXISTS;
}

enum status elsewhere_given(struct spine *s, struct errand *e, struct slice value)
{
	uint64_t sequence = e->asked.sequence;
	struct state_change now;
	int64_t accepted_ms;
	uint8_t lane;

	if (inflight_get(s->inflight, sequence, &now, &lane, &accepted_ms))
		return not_given(s, sequence, now.state);
	if (!errand_over_row(s, e))
		return ST_EXISTS;
	memcpy(e->value, value.p, value.n);
	e->value_n = (uint16_t)value.n;
	e->at_ms = io_wall_ms() > e->sign_ms ? io_wall_ms() : e->sign_ms;
	e->came = CAME_SIGNED;
	if (!note(s, e)) {
		inflight_drop(s->inflight, sequence, STATE_AWAITING_SIGNATURE, e->at_ms, &now);
		return ST_FULL;
	}
	atomic_fetch_add_explicit(&s->counters.signatures, 1, memory_order_relaxed);
	errand_came(s->elsewhere, e, CAME_SIGNED);
	return ST_OK;
}

/* Into a batch again, with all that is kept. Frees e. */
static void resume(struct spine *s, struct errand *e)
{
	struct pending *p = calloc(1, sizeof(*p));
	struct state_change change;

	bool keeps = e->came == CAME_SIGNED || e->kept.n > 0;

	if (p != NULL && keeps)
		p->kept = kept_of(e);
	if (p == NULL || (keeps && p->kept == NULL)) {
		spine_fail(s, "no memory for a signature that came; it stands in the journal");
		free(p);
		return;
	}
	errand_not_oldest(s->elsewhere, e);
	p->pos = e->pos;
	p->sign_ms = e->at_ms;
	p->payload = e->record;
	p->size = e->record_n;
	p->priority = e->priority;
	p->next_result = e->result_index;
	p->end = (uint8_t)(e->result_index + 1);
	memcpy(p->digest, e->case_digest, SHA256_BYTES);
	if (e->in_room) {
		p->pos = 0;
		p->waiting = true;
		p->left = 1;
		p->track = e->track;
		s->resumed++;
	} else {
		p->parent = e->pending;
	}
	e->record = NULL;
	if (errand_over_row(s, e) && inflight_set(s->inflight, e->asked.sequence, STATE_NUMBERED,
					   REASON_NONE, e->at_ms, &change))
		notify_publish(s->notify, &change, 1);
	backlog_add(&s->backlog, p, io_boot_ns());
	errand_free(s, e);
}

/* Acts on what came for e. true: it is through, and may be gone. */
static bool came_act(struct spine *s, struct errand *e, bool *full)
{
	if (e->came != CAME_NO && !e->noted && !note(s, e)) {
		*full = true;
		return false;
	}
	switch (e->came) {
	case CAME_TICKET:
		e->listed = false;
		if (e->parking)
			e->stale = true;
		else if (e->in_room)
			errand_park(s, e, STATE_AWAITING_SIGNATURE);
		return true;
	case CAME_NO:
		if (e->parking)
			return false;
		e->listed = false;
		/* Nobody retries it before it is told that it is held. */
		if (e->in_room)
			(void)errand_over_row(s, e);
		errand_park(s, e, STATE_HELD);
		return true;
	default:
		if (e->parking || e->durable_at > journal_durable(s->journal))
			return false;
		e->listed = false;
		resume(s, e);
		return true;
	}
}

static void came_run(struct spine *s)
{
	struct elsewhere *w = s->elsewhere;
	struct errand **link = &w->came_first;
	bool full = false;

	while (*link != NULL && !full && s->failure.status == ST_OK) {
		struct errand *e = *link, *next = e->next_came;

		/* First out of the list: acting on it may free it. */
		if (came_act(s, e, &full))
			*link = next;
		else
			link = &e->next_came;
	}
	while (*link != NULL)
		link = &(*link)->next_came;
	w->came_end = link;
}

/* ---- each turn ---- */

void elsewhere_run(struct spine *s)
{
	came_run(s);
	elsewhere_room_run(s);
	remote_send(s);
}
