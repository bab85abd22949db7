#include "spine/shares.h"

#include "spine/track.h"
#include "spine/units.h"

/* ---- what the key index knows ---- */

/* Of one result: its changes, and how its codes stand. */
struct known {
	uint32_t changes;
	uint8_t tries;
	uint16_t codes;
	int64_t at_ms;			/* of the newest change */
	int64_t codes_until_ms;
};

/* The bits of an entry's number: of a result, and of a share. */
#define TRIES_AT 32
#define CODES_AT 40
#define VIEWS_MAX_AT 16
#define KIND_AT 32
#define SCOPE_AT 36
#define END_AT 40
#define SHARE_CODES_AT 44

static void key_of(uint8_t key[16], const char *what, uint64_t sequence, struct slice more)
{
	uint8_t text[64], hash[SHA256_BYTES];
	struct writer w = writer_of(text, sizeof(text));

	write_str(&w, what);
	write_u64(&w, sequence);
	write_bytes(&w, more.p, more.n);
	sha256_once(text, writer_size(&w), hash);
	memcpy(key, hash, 16);
}

static void shares_key(uint8_t key[16], uint64_t sequence)
{
	key_of(key, "shares", sequence, slice_str(""));
}

static void share_key(uint8_t key[16], uint64_t sequence, uint64_t stamp)
{
	uint8_t bytes[8];
	struct writer w = writer_of(bytes, sizeof(bytes));

	write_u64(&w, stamp);
	key_of(key, "share", sequence, writer_slice(&w));
}

static void secret_key(uint8_t key[16], uint64_t sequence, const uint8_t secret[SHA256_BYTES])
{
	key_of(key, "opens", sequence, slice_of(secret, SHA256_BYTES));
}

static void known_get(struct spine *s, uint64_t sequence, struct known *out)
{
	struct keyentry k;
	struct reader in = reader_of(slice_of(k.digest, sizeof(k.digest)));

	*out = (struct known){ 0 };
	shares_key(k.key, sequence);
	if (!key_known(s, k.key, &k))
		return;
	out->changes = (uint32_t)k.number;
	out->tries = (uint8_t)(k.number >> TRIES_AT);
	out->codes = (uint16_t)(k.number >> CODES_AT);
	out->at_ms = k.issued_ms;
	out->codes_until_ms = (int64_t)read_u64(&in);
}

static enum status known_put(struct spine *s, const struct record_share *r, uint64_t pos)
{
	struct keyentry k = { .sequence = r->sequence, .lane = r->lane, .issued_ms = r->at_ms,
			      .number = r->changes | (uint64_t)r->tries << TRIES_AT |
					(uint64_t)r->codes << CODES_AT };
	struct writer w = writer_of(k.digest, sizeof(k.digest));

	shares_key(k.key, r->sequence);
	write_u64(&w, (uint64_t)r->codes_until_ms);
	return keyindex_put(s->keys, &k, pos);
}

/* codes: as in record_share, when it was made. */
static bool one_get(struct spine *s, uint64_t sequence, uint64_t stamp, struct share *out,
		    uint16_t *codes)
{
	struct keyentry k;
	struct reader in = reader_of(slice_of(k.digest, sizeof(k.digest)));

	share_key(k.key, sequence, stamp);
	if (!key_known(s, k.key, &k))
		return false;
	*out = (struct share){ .stamp = stamp, .expire_ms = k.issued_ms,
			       .views = (uint16_t)k.number,
			       .views_max = (uint16_t)(k.number >> VIEWS_MAX_AT),
			       .kind = k.number >> KIND_AT & 15, .scope = k.number >> SCOPE_AT & 15,
			       .end = k.number >> END_AT & 15 };
	*codes = (uint16_t)(k.number >> SHARE_CODES_AT);
	memcpy(out->holder, read_bytes(&in, sizeof(out->holder)).p, sizeof(out->holder));
	out->view_ms = (int64_t)read_u64(&in);
	return true;
}

static enum status one_put(struct spine *s, const struct record_share *r, const struct share *one,
			   uint64_t pos)
{
	struct keyentry k = { .sequence = r->sequence, .lane = r->lane,
			      .issued_ms = one->expire_ms,
			      .number = one->views | (uint64_t)one->views_max << VIEWS_MAX_AT |
					(uint64_t)one->kind << KIND_AT |
					(uint64_t)one->scope << SCOPE_AT |
					(uint64_t)one->end << END_AT |
					(uint64_t)r->codes << SHARE_CODES_AT };
	struct writer w = writer_of(k.digest, sizeof(k.digest));

	share_key(k.key, r->sequence, one->stamp);
	write_bytes(&w, one->holder, sizeof(one->holder));
	write_u64(&w, (uint64_t)one->view_ms);
	return keyindex_put(s->keys, &k, pos);
}

static enum status secret_put(struct spine *s, const struct record_share *r, uint64_t stamp,
			      uint64_t pos)
{
	struct keyentry k = { .sequence = r->sequence, .lane = r->lane, .issued_ms = r->at_ms };
	struct writer w = writer_of(k.digest, sizeof(k.digest));

	secret_key(k.key, r->sequence, r->secret);
	write_u64(&w, stamp);
	return keyindex_put(s->keys, &k, pos);
}

static bool secret_get(struct spine *s, uint64_t sequence, const uint8_t secret[SHA256_BYTES],
		       uint64_t *stamp)
{
	struct keyentry k;
	struct reader in = reader_of(slice_of(k.digest, sizeof(k.digest)));

	secret_key(k.key, sequence, secret);
	if (!key_known(s, k.key, &k))
		return false;
	*stamp = read_u64(&in);
	return true;
}

enum status share_remember(struct spine *s, const struct record_share *r, uint64_t pos)
{
	struct share one;
	enum status st = ST_OK;

	if (r->kind != 0)
		st = share_read(&one, NULL, r->detail);
	if (st == ST_OK && r->kind != 0 && !share_is_of_all(&one))
		st = one_put(s, r, &one, pos);
	if (st == ST_OK && r->kind == EVENT_SHARED)
		st = secret_put(s, r, one.stamp, pos);
	return st == ST_OK ? known_put(s, r, pos) : st;
}

/* ---- the spine ---- */

/* A record of what was known, with one more change. */
static struct record_share record_of(const struct act *a, const struct known *known, uint8_t kind)
{
	int64_t now = io_wall_ms();

	/* Changes of one result follow each other in time, too. */
	return (struct record_share){ .sequence = a->sequence, .lane = a->lane, .kind = kind,
				      .at_ms = now > known->at_ms ? now : known->at_ms + 1,
				      .changes = known->changes + 1, .tries = known->tries,
				      .codes = known->codes,
				      .codes_until_ms = known->codes_until_ms, .actor = a->actor };
}

/* Through the journal; the janitor answers. */
static void change(struct spine *s, struct act *a, struct record_share *r, const struct share *one)
{
	uint8_t detail[SHARE_DETAIL_BYTES_MAX];
	uint8_t bytes[SHARE_DETAIL_BYTES_MAX + PRINCIPAL_BYTES_MAX + 128];
	struct writer d = writer_of(detail, sizeof(detail)), w = writer_of(bytes, sizeof(bytes));
	uint64_t pos, track = NO_TRACK;

	if (one != NULL) {
		share_write(one, r->kind == EVENT_SHARE_VIEWED ? a->share->viewer : slice_str(""),
			    &d);
		r->detail = writer_slice(&d);
	}
	if (d.bad || record_share_encode(r, &w) != ST_OK) {
		refuse_act(a, ST_TOO_LARGE, "the share cannot be written");
		return;
	}
	if (!append_record(s, RECORD_STATE_EVENT, writer_slice(&w), &pos)) {
		refuse_act(a, ST_FULL, "the journal is full just now; call again");
		return;
	}
	if (track_open(s->track, pos, &track) != ST_OK)
		spine_fail(s, "no memory for an accepted act; it stands in the journal");
	if (share_remember(s, r, pos) != ST_OK)
		spine_fail(s, "no memory for the key index");
	act_tell(s, a, JOB_STATE_EVENT, writer_slice(&w), track);
}

static void make(struct spine *s, struct act *a)
{
	struct share *one = &a->share->share;
	struct record_share r;
	struct known known;

	if (units_refuse(s, a))
		return;
	known_get(s, a->sequence, &known);
	if (!clerk_stored(s, a->sequence)) {
		refuse_act(a, ST_AGAIN, "the result is not stored yet; call again later");
		return;
	}
	if (known.changes >= SHARE_CHANGES_MAX) {
		refuse_act(a, ST_PRECONDITION, "too many shares were made of this result");
		return;
	}
	r = record_of(a, &known, EVENT_SHARED);
	one->stamp = sequence_make(r.at_ms, (uint8_t)s->config->engine, 0);
	one->expire_ms = r.at_ms + a->share->lasts_ms;
	memcpy(r.secret, a->share->secret, sizeof(r.secret));
	if (one->kind == SHARE_CODE) {
		r.tries = 0;
		if (one->expire_ms > r.codes_until_ms)
			r.codes_until_ms = one->expire_ms;
	}
	change(s, a, &r, one);
}

/* Counted as long as there is a code that it could have been; answered once that is durable. */
static void wrong_code(struct spine *s, struct act *a)
{
	struct share all = { .kind = SHARE_CODE, .end = SHARE_TRIED_OUT };
	struct record_share r;
	struct known known;

	known_get(s, a->sequence, &known);
	r = record_of(a, &known, 0);
	if (r.at_ms >= known.codes_until_ms) {
		refuse_act(a, ST_NOT_FOUND, "");
		return;
	}
	a->share->wrong = true;
	if (++r.tries < SHARE_TRIES_MAX) {
		change(s, a, &r, NULL);
		return;
	}
	r.kind = EVENT_SHARE_ENDED;
	r.codes++;
	r.codes_until_ms = 0;
	all.stamp = sequence_make(r.at_ms, (uint8_t)s->config->engine, 0);
	change(s, a, &r, &all);
}

/* What is found may not be used, or may be. */
static enum share_state state_of(const struct share *one, uint16_t codes, const struct known *known)
{
	enum share_state state = share_state(one, io_wall_ms());

	return state == SHARE_OPEN && one->kind == SHARE_CODE && codes != known->codes ?
	       SHARE_TRIED_OUT : state;
}

/* What opens it is right, and it is open. false: the act is answered. */
static bool opened(struct spine *s, struct act *a, struct known *known)
{
	struct share *one = &a->share->share;
	uint64_t stamp = one->stamp;
	uint16_t codes;

	if (units_refuse(s, a))
		return false;
	known_get(s, a->sequence, known);
	if ((!a->share->named && !secret_get(s, a->sequence, a->share->secret, &stamp)) ||
	    !one_get(s, a->sequence, stamp, one, &codes)) {
		if (a->share->typed)
			wrong_code(s, a);
		else
			refuse_act(a, ST_NOT_FOUND, "");
		return false;
	}
	a->share->state = state_of(one, codes, known);
	if (a->share->state == SHARE_OPEN ||
	    (a->share->named && (a->share->state == SHARE_EXPIRED ||
				 a->share->state == SHARE_USED_UP)))
		return true;
	refuse_act(a, ST_PRECONDITION, "");
	return false;
}

static void find(struct spine *s, struct act *a)
{
	struct known known;

	if (!opened(s, a, &known))
		return;
	a->status = ST_OK;
	a->done(a);
}

static void use(struct spine *s, struct act *a)
{
	struct record_share r;
	struct known known;

	if (!opened(s, a, &known))
		return;
	r = record_of(a, &known, EVENT_SHARE_VIEWED);
	a->share->share.views++;
	a->share->share.view_ms = r.at_ms;
	change(s, a, &r, &a->share->share);
}

static void end(struct spine *s, struct act *a)
{
	struct share *one = &a->share->share;
	struct record_share r;
	struct known known;
	struct share found;
	uint16_t codes;

	if (!one_get(s, a->sequence, one->stamp, &found, &codes) ||
	    memcmp(found.holder, one->holder, sizeof(one->holder)) != 0) {
		if (a->unit.n == 0 || !units_refuse(s, a))
			refuse_act(a, ST_NOT_FOUND, "");
		return;
	}
	known_get(s, a->sequence, &known);
	*one = found;
	a->share->state = state_of(one, codes, &known);
	if (a->share->state != SHARE_OPEN) {
		act_answer(s, a);
		return;
	}
	r = record_of(a, &known, EVENT_SHARE_ENDED);
	one->end = SHARE_REVOKED;
	a->share->state = SHARE_REVOKED;
	change(s, a, &r, one);
}

void share_act(struct spine *s, struct act *a)
{
	a->refused = REASON_NONE;
	a->share->wrong = false;
	switch (a->type) {
	case ACT_SHARE_MAKE:
		make(s, a);
		break;
	case ACT_SHARE_FIND:
		find(s, a);
		break;
	case ACT_SHARE_USE:
		use(s, a);
		break;
	default:
		end(s, a);
	}
}

/* ---- the janitor, and recovery ---- */

enum status share_project(struct spine *s, struct slice payload, struct error *e)
{
	struct record_share r;
	struct result_event v;
	enum status st = record_share_decode(&r, payload);

	if (st != ST_OK)
		return error_set(e, st, "the record of a share cannot be read");
	if (r.kind == 0)
		return ST_OK;
	v = (struct result_event){ .lane = r.lane, .sequence = r.sequence, .kind = r.kind,
				   .at_ms = r.at_ms, .actor = r.actor, .detail = r.detail };
	return s->store->ops->events(s->store, &v, 1, e);
}
