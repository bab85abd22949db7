#include "spine/living.h"

#include "spine/replacing.h"
#include "spine/shares.h"
#include "spine/track.h"
#include "spine/units.h"

/* The bits of an entry's number: acts so far, and whether one of them revoked it. */
#define KNOWN_ACTS 0xffffffffull
#define KNOWN_REVOKED (1ull << 32)

/* ---- what is known of a result's life without the store ---- */

static void key_of(uint8_t key[16], const char *about, uint64_t sequence)
{
	uint8_t text[32], hash[SHA256_BYTES];
	struct writer w = writer_of(text, sizeof(text));

	write_str(&w, about);
	write_u64(&w, sequence);
	sha256_once(text, writer_size(&w), hash);
	memcpy(key, hash, 16);
}

static void living_key(uint8_t key[16], uint64_t sequence)
{
	key_of(key, "living", sequence);
}

static bool known(struct spine *s, uint64_t sequence, struct keyentry *out)
{
	uint8_t key[16];

	living_key(key, sequence);
	return key_known(s, key, out);
}

static void told_key(uint8_t key[16], uint64_t sequence, const uint8_t digest[SHA256_BYTES])
{
	uint8_t text[64], hash[SHA256_BYTES];
	struct writer w = writer_of(text, sizeof(text));

	write_str(&w, "told");
	write_u64(&w, sequence);
	write_bytes(&w, digest, SHA256_BYTES);
	sha256_once(text, writer_size(&w), hash);
	memcpy(key, hash, 16);
}

static void correction_digest(uint8_t out[SHA256_BYTES], struct slice number, uint32_t day)
{
	uint8_t text[DECISION_NUMBER_BYTES_MAX + 8];
	struct writer w = writer_of(text, sizeof(text));

	write_u32(&w, day);
	if (number.n > 0)
		write_bytes(&w, number.p, number.n);
	sha256_once(text, writer_size(&w), out);
}

/* Its digest is that of the newest corrigendum. */
static void corrected_key(uint8_t key[16], uint64_t sequence)
{
	key_of(key, "corrected", sequence);
}

/* The newest act upon the result that says this; false: there is none. */
static bool told(struct spine *s, const struct act *a, uint8_t kind, struct keyentry *out)
{
	uint8_t key[16], digest[SHA256_BYTES];

	act_digest(digest, kind, a->reason);
	told_key(key, a->sequence, digest);
	return key_known(s, key, out);
}

/* *first: the act that it is, if it was told before. */
static bool told_again(struct spine *s, const struct act *a, struct keyentry *first)
{
	uint8_t undone_by = event_undone_by(a->event);
	struct act_trace t = { .undone = a->undone };
	struct keyentry undone;

	if (!told(s, a, a->event, first))
		return false;
	t.same = (uint32_t)(first->number & KNOWN_ACTS);
	if (undone_by != 0 && told(s, a, undone_by, &undone) && undone.number > t.undone)
		t.undone = (uint32_t)undone.number;
	return act_is_again(&t, a->event, a->acts);
}

static enum status correction_remember(struct spine *s, const struct record_living *r,
				       struct keyentry k, uint64_t pos)
{
	struct decision d;

	if (r->kind != EVENT_CORRECTED || decision_read(&d, r->detail) != ST_OK)
		return ST_OK;
	corrected_key(k.key, r->sequence);
	correction_digest(k.digest, d.number, d.day);
	return keyindex_put(s->keys, &k, pos);
}

enum status living_remember(struct spine *s, const struct record_living *r, uint64_t pos)
{
	struct keyentry k = { .sequence = r->sequence, .issued_ms = r->at_ms, .lane = r->lane,
			      .number = r->acts };
	struct keyentry before;
	enum status st;

	act_digest(k.digest, r->kind, r->detail);
	told_key(k.key, r->sequence, k.digest);
	st = keyindex_put(s->keys, &k, pos);
	if (st == ST_OK)
		st = correction_remember(s, r, k, pos);
	if (st != ST_OK)
		return st;
	living_key(k.key, r->sequence);
	if (r->kind == EVENT_REVOKED ||
	    (key_known(s, k.key, &before) && (before.number & KNOWN_REVOKED) != 0))
		k.number |= KNOWN_REVOKED;
	return keyindex_put(s->keys, &k, pos);
}

/* ---- the spine ---- */

/* Into the journal. false: the act is answered. */
static bool append(struct spine *s, struct act *a, struct slice payload, uint64_t *pos,
		   uint64_t *track)
{
	if (!append_record(s, RECORD_STATE_EVENT, payload, pos)) {
		refuse_act(a, ST_FULL, "the journal is full just now; call again");
		return false;
	}
	if (track_open(s->track, *pos, track) != ST_OK)
		spine_fail(s, "no memory for an accepted act; it stands in the journal");
	return true;
}

void link_act(struct spine *s, struct act *a)
{
	uint8_t bytes[2048];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_link r = { .sequence = a->sequence, .lane = a->lane, .holder = a->holder,
				 .at_ms = io_wall_ms(), .actor = a->actor, .reason = a->reason };
	uint64_t pos, track = NO_TRACK;

	if (units_refuse(s, a))
		return;
	if (!clerk_stored(s, a->sequence)) {
		refuse_act(a, ST_AGAIN, "the result is not stored yet; call again later");
		return;
	}
	holder_key_of_id(r.key, a->holder.id_kind, a->holder.country, a->holder.number);
	if (record_link_encode(&r, &w) != ST_OK)
		refuse_act(a, ST_TOO_LARGE, "the holder is too long");
	else if (append(s, a, writer_slice(&w), &pos, &track))
		act_tell(s, a, JOB_STATE_EVENT, writer_slice(&w), track);
}

/* Was the result replaced since its etag was read? */
static bool replaced_since(struct spine *s, const struct act *a)
{
	uint8_t id[16];

	identity_result_id(s->identity, id, a->lane, a->sequence);
	return !a->replaced && replacing_done(s, id);
}

void copied_of(struct copied *out, const struct original_source *source)
{
	memcpy(out->id, source->id, sizeof(out->id));
	correction_digest(out->correction, source->corrected, source->corrected_day);
}

enum reason living_copied(struct spine *s, const struct copied *c)
{
	uint8_t key[16];
	struct keyentry k;
	uint64_t sequence;
	uint8_t lane;

	if (id_is_zero(c->id) || !identity_read(s->identity, c->id, &lane, &sequence))
		return REASON_NONE;
	if ((known(s, sequence, &k) && (k.number & KNOWN_REVOKED) != 0) ||
	    replacing_done(s, c->id))
		return REASON_COPY_OF_INVALID;
	corrected_key(key, sequence);
	return key_known(s, key, &k) && memcmp(k.digest, c->correction, sizeof(k.digest)) != 0 ?
	       REASON_COPY_OUTDATED : REASON_NONE;
}

/* What stands against it, as the store would say. false: the act is answered. */
static bool judged(struct spine *s, struct act *a, const struct keyentry *k, uint32_t acts)
{
	bool ends = a->event == EVENT_REVOKED || a->event == EVENT_CORRECTED;
	struct decision d;

	if (units_refuse(s, a))
		return false;
	if (!clerk_stored(s, a->sequence))
		refuse_act(a, ST_AGAIN, "the result is not stored yet; call again later");
	else if (a->acts < acts || replaced_since(s, a))
		refuse_act(a, ST_CONFLICT, "");
	else if (ends && (k->number & KNOWN_REVOKED) != 0)
		refuse_act(a, ST_PRECONDITION, "revoked");
	else if (ends && a->replaced)
		refuse_act(a, ST_PRECONDITION, "replaced");
	else if (!living_has_room(a->event, a->acts))
		refuse_act(a, ST_PRECONDITION, "it has had too many acts");
	else if (a->first_day != 0 && decision_read(&d, a->reason) == ST_OK &&
		 d.day < a->first_day)
		refuse_act(a, ST_INVALID, "older than the result itself");
	else
		return true;
	return false;
}

void living_act(struct spine *s, struct act *a)
{
	uint8_t bytes[DECISION_BYTES_MAX + PRINCIPAL_BYTES_MAX + 64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct keyentry k = { 0 }, first = { 0 };
	uint32_t acts = known(s, a->sequence, &k) ? (uint32_t)(k.number & KNOWN_ACTS) : 0;
	bool again = told_again(s, a, &first);
	struct record_living r = { .sequence = a->sequence, .lane = a->lane, .kind = a->event,
				   .acts = (uint32_t)(first.number & KNOWN_ACTS),
				   .at_ms = first.issued_ms, .actor = a->actor,
				   .detail = a->reason };
	uint64_t pos, track = NO_TRACK;

	if (!again) {
		if (!judged(s, a, &k, acts))
			return;
		r.acts = a->acts + 1;
		/* The order of a result's acts is that of their times. */
		r.at_ms = io_wall_ms() > k.issued_ms ? io_wall_ms() : k.issued_ms + 1;
	}
	if (record_living_encode(&r, &w) != ST_OK) {
		refuse_act(a, ST_TOO_LARGE, "the decision is too long");
		return;
	}
	if (!again) {
		if (!append(s, a, writer_slice(&w), &pos, &track))
			return;
		if (living_remember(s, &r, pos) != ST_OK)
			spine_fail(s, "no memory for the key index");
	}
	/* As it is today, also for who tells an older act again. */
	a->acts = !again ? r.acts : acts > a->acts ? acts : a->acts;
	act_tell(s, a, JOB_STATE_EVENT, writer_slice(&w), track);
}

/* ---- the janitor, and recovery ---- */

static enum status link_project(struct spine *s, struct slice payload, struct error *e)
{
	struct record_link r;
	struct holding_link link;
	enum status st = record_link_decode(&r, payload);

	if (st != ST_OK)
		return error_set(e, st, "the record of a holder cannot be read");
	link = (struct holding_link){ .lane = r.lane, .sequence = r.sequence, .holder = r.holder,
				      .at_ms = r.at_ms, .actor = r.actor, .reason = r.reason };
	memcpy(link.key, r.key, sizeof(link.key));
	return s->store->ops->link(s->store, &link, e);
}

enum status state_event_project(struct spine *s, struct slice payload, struct error *e)
{
	struct record_living r;
	struct result_event v;
	enum status st;

	if (record_is_share(payload))
		return share_project(s, payload, e);
	if (!record_is_living(payload))
		return link_project(s, payload, e);
	st = record_living_decode(&r, payload);
	if (st != ST_OK)
		return error_set(e, st, "the record of an act cannot be read");
	v = (struct result_event){ .lane = r.lane, .sequence = r.sequence, .kind = r.kind,
				   .at_ms = r.at_ms, .actor = r.actor, .detail = r.detail };
	return s->store->ops->events(s->store, &v, 1, e);
}

void living_pending(struct job *j)
{
	struct act *a = j->act;

	if ((j->type != JOB_STATE_EVENT && j->type != JOB_NUMBERS) || a == NULL)
		return;
	j->act = NULL;
	a->status = ST_OK;
	a->pending = true;
	a->done(a);
}
