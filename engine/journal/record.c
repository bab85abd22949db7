#include "journal/record.h"

#include "batch.h"
#include "identity.h"
#include "journal/handed.h"
#include "reason.h"

/* First byte of every payload; a record of another form gets another version or type. */
#define VERSION 1
#define NUMBERED_VERSION 3		/* 1 and 2 are read, and written where they say all */
#define LIVING_VERSION 2		/* of STATE_EVENT; version 1 is a LinkHolder, */
#define SHARE_VERSION 3			/* this a share's */
#define REGISTER_VERSION 2		/* with a total; 1 is read, and written without one */
#define RESULT_VERSION 3		/* of struct record_result; 1 and 2 are read, too */

static bool code_fits(struct slice s)
{
	return s.n <= CODE_BYTES_MAX;
}

static enum status written(const struct writer *w)
{
	return w->bad ? ST_TOO_LARGE : ST_OK;
}

/* A newer form is no damage: an older program must say so. */
static enum status begun_in(struct reader *r, uint8_t newest, uint8_t *version)
{
	*version = read_u8(r);
	if (r->bad || *version == 0)
		return ST_CORRUPT;
	return *version <= newest ? ST_OK : ST_UNSUPPORTED;
}

static enum status begun(struct reader *r)
{
	uint8_t version;

	return begun_in(r, VERSION, &version);
}

static enum status ended(const struct reader *r, bool valid)
{
	return r->bad || reader_left(r) != 0 || !valid ? ST_CORRUPT : ST_OK;
}

static void read_array(struct reader *r, uint8_t *out, size_t n)
{
	struct slice s = read_bytes(r, n);

	if (s.p != NULL)
		memcpy(out, s.p, n);
	else
		memset(out, 0, n);
}

/* ---- ACCEPTED, NUMBERED ---- */

static bool numbered_valid(const struct record_numbered *r)
{
	if (r->results_n == 0 || r->results_n > CASE_RESULTS_MAX)
		return false;
	for (uint8_t i = 0; i < r->results_n; i++) {
		const struct numbered_result *n = &r->results[i];

		if (n->lane >= LANES || !code_fits(n->register_code) ||
		    n->number_text.n > NUMBER_TEXT_BYTES_MAX)
			return false;
	}
	return r->case_bytes.n <= CASE_BYTES_MAX && r->handed_n <= HANDOVERS_MAX;
}

/* Each was issued when its sequence was made. */
static bool numbered_plain(const struct record_numbered *r)
{
	for (uint8_t i = 0; i < r->results_n; i++)
		if (r->results[i].issued_ms != sequence_ms(r->results[i].sequence))
			return false;
	return true;
}

enum status record_numbered_encode(const struct record_numbered *r, struct writer *w)
{
	bool plain;

	if (!numbered_valid(r))
		return ST_TOO_LARGE;
	plain = r->handed_n == 0 && numbered_plain(r);
	write_u8(w, plain ? VERSION : r->handed_n == 0 ? 2 : NUMBERED_VERSION);
	write_u64(w, (uint64_t)r->accepted_ms);
	write_u64(w, (uint64_t)r->issued_ms);
	write_u8(w, r->results_n);
	for (uint8_t i = 0; i < r->results_n; i++) {
		const struct numbered_result *n = &r->results[i];

		write_u64(w, n->sequence);
		write_u8(w, n->lane);
		write_u64(w, n->number);
		if (!plain)
			write_u64(w, (uint64_t)n->issued_ms);
		write_u32(w, n->year);
		write_blob(w, n->register_code);
		write_blob(w, n->number_text);
		write_bytes(w, n->pins.kind, PIN_BYTES);
		write_bytes(w, n->pins.unit, PIN_BYTES);
		write_bytes(w, n->pins.signer, PIN_BYTES);
	}
	write_blob(w, r->principal);
	write_blob(w, r->case_bytes);
	return r->handed_n > 0 ? handovers_write(r, w) : written(w);
}

enum status record_numbered_decode(struct record_numbered *r, struct slice payload)
{
	struct reader in = reader_of(payload);
	uint8_t version;
	enum status st = begun_in(&in, NUMBERED_VERSION, &version);

	*r = (struct record_numbered){ 0 };
	if (st != ST_OK)
		return st;
	r->accepted_ms = (int64_t)read_u64(&in);
	r->issued_ms = (int64_t)read_u64(&in);
	r->results_n = read_u8(&in);
	for (uint8_t i = 0; i < r->results_n && i < CASE_RESULTS_MAX; i++) {
		struct numbered_result *n = &r->results[i];

		n->sequence = read_u64(&in);
		n->lane = read_u8(&in);
		n->number = read_u64(&in);
		n->issued_ms = version == 1 ? sequence_ms(n->sequence) : (int64_t)read_u64(&in);
		n->year = read_u32(&in);
		n->register_code = read_blob(&in);
		n->number_text = read_blob(&in);
		read_array(&in, n->pins.kind, PIN_BYTES);
		read_array(&in, n->pins.unit, PIN_BYTES);
		read_array(&in, n->pins.signer, PIN_BYTES);
	}
	r->principal = read_blob(&in);
	r->case_bytes = read_blob(&in);
	if (version > 2 && !handovers_read(r, &in))
		return ST_CORRUPT;
	return ended(&in, numbered_valid(r));
}

uint8_t record_result_index(const struct record_numbered *r, uint64_t sequence)
{
	uint8_t i = 0;

	while (i < r->results_n && r->results[i].sequence != sequence)
		i++;
	return i;
}

/* ---- APPROVED ---- */

static bool approved_valid(const struct record_approved *r)
{
	if (r->results_n == 0 || r->results_n > APPROVAL_ITEMS_MAX)
		return false;
	for (uint32_t i = 0; i < r->results_n; i++)
		if (r->results[i].lane >= LANES)
			return false;
	return code_fits(r->signer) && r->principal.n <= PRINCIPAL_BYTES_MAX &&
	       r->delegation.n <= DELEGATION_BYTES_MAX;
}

enum status record_approved_encode(const struct record_approved *r, struct writer *w)
{
	if (!approved_valid(r))
		return ST_TOO_LARGE;
	write_u8(w, VERSION);
	write_bytes(w, r->session, sizeof(r->session));
	write_bytes(w, r->manifest, sizeof(r->manifest));
	write_u64(w, (uint64_t)r->at_ms);
	write_blob(w, r->signer);
	write_blob(w, r->principal);
	write_blob(w, r->delegation);
	write_u32(w, r->results_n);
	for (uint32_t i = 0; i < r->results_n; i++) {
		write_u64(w, r->results[i].sequence);
		write_u8(w, r->results[i].lane);
		write_bytes(w, r->results[i].key, sizeof(r->results[i].key));
	}
	return written(w);
}

enum status record_approved_decode(struct record_approved *r, struct slice payload)
{
	struct reader in = reader_of(payload);
	enum status st = begun(&in);

	r->results_n = 0;
	if (st != ST_OK)
		return st;
	read_array(&in, r->session, sizeof(r->session));
	read_array(&in, r->manifest, sizeof(r->manifest));
	r->at_ms = (int64_t)read_u64(&in);
	r->signer = read_blob(&in);
	r->principal = read_blob(&in);
	r->delegation = read_blob(&in);
	r->results_n = read_u32(&in);
	for (uint32_t i = 0; i < r->results_n && i < APPROVAL_ITEMS_MAX; i++) {
		r->results[i].sequence = read_u64(&in);
		r->results[i].lane = read_u8(&in);
		read_array(&in, r->results[i].key, sizeof(r->results[i].key));
	}
	return ended(&in, approved_valid(r));
}

/* ---- PARKED, RESUMED, and the ends: VOID, REFUSED, WITHDRAWN, TIMED_OUT ---- */

static bool result_valid(const struct record_result *r)
{
	return r->lane < LANES && r->reason < REASON_COUNT && r->state <= STATE_VOID &&
	       code_fits(r->unit) &&
	       code_fits(r->register_code) && code_fits(r->kind) &&
	       r->case_code.n <= CASE_CODE_BYTES_MAX &&
	       r->number_text.n <= NUMBER_TEXT_BYTES_MAX;
}

enum status record_result_encode(const struct record_result *r, struct writer *w)
{
	if (!result_valid(r))
		return ST_TOO_LARGE;
	write_u8(w, RESULT_VERSION);
	write_u64(w, r->sequence);
	write_u8(w, r->lane);
	write_bytes(w, r->key, sizeof(r->key));
	write_u8(w, r->reason);
	write_u64(w, (uint64_t)r->at_ms);
	write_blob(w, r->actor);
	write_blob(w, r->detail);
	write_blob(w, r->unit);
	write_blob(w, r->register_code);
	write_u32(w, r->year);
	write_u64(w, r->number);
	write_bytes(w, r->result_id, sizeof(r->result_id));
	write_blob(w, r->kind);
	write_blob(w, r->case_code);
	write_blob(w, r->number_text);
	write_u16(w, r->ordinal);
	write_u16(w, r->revision);
	write_u64(w, (uint64_t)r->accepted_ms);
	write_u8(w, r->state);
	write_u64(w, (uint64_t)r->issued_ms);
	write_u64(w, (uint64_t)r->expires_ms);
	return written(w);
}

enum status record_result_decode(struct record_result *r, struct slice payload)
{
	struct reader in = reader_of(payload);
	uint8_t version;
	enum status st = begun_in(&in, RESULT_VERSION, &version);

	*r = (struct record_result){ 0 };
	if (st != ST_OK)
		return st;
	r->sequence = read_u64(&in);
	r->lane = read_u8(&in);
	read_array(&in, r->key, sizeof(r->key));
	r->reason = read_u8(&in);
	r->at_ms = (int64_t)read_u64(&in);
	r->actor = read_blob(&in);
	r->detail = read_blob(&in);
	r->unit = read_blob(&in);
	r->register_code = read_blob(&in);
	r->year = read_u32(&in);
	r->number = read_u64(&in);
	r->state = STATE_HELD;
	r->issued_ms = sequence_ms(r->sequence);
	if (version == 1)
		return ended(&in, result_valid(r));
	read_array(&in, r->result_id, sizeof(r->result_id));
	r->kind = read_blob(&in);
	r->case_code = read_blob(&in);
	r->number_text = read_blob(&in);
	r->ordinal = read_u16(&in);
	r->revision = read_u16(&in);
	r->accepted_ms = (int64_t)read_u64(&in);
	if (version == 2)
		return ended(&in, result_valid(r));
	r->state = read_u8(&in);
	r->issued_ms = (int64_t)read_u64(&in);
	r->expires_ms = (int64_t)read_u64(&in);
	return ended(&in, result_valid(r));
}

/* ---- SIGNATURE ---- */

static bool signature_valid(const struct record_signature *r)
{
	if (r->lane >= LANES || r->slots_n == 0 || r->slots_n > DOC_SIGNATURES_MAX)
		return false;
	for (uint8_t i = 0; i < r->slots_n; i++)
		if (r->slots[i].key.n == 0 || r->slots[i].key.n > KEPT_KEY_BYTES_MAX ||
		    r->slots[i].value.n > KEPT_VALUE_BYTES_MAX ||
		    (i + 1 < r->slots_n && r->slots[i].value.n == 0))
			return false;
	return r->service.n <= SERVICE_NAME_BYTES_MAX && r->ticket.n <= TICKET_BYTES_MAX;
}

enum status record_signature_encode(const struct record_signature *r, struct writer *w)
{
	if (!signature_valid(r))
		return ST_TOO_LARGE;
	write_u8(w, VERSION);
	write_u64(w, r->sequence);
	write_u8(w, r->lane);
	write_u64(w, (uint64_t)r->at_ms);
	write_u8(w, r->tries);
	write_u8(w, r->slots_n);
	for (uint8_t i = 0; i < r->slots_n; i++) {
		write_blob(w, r->slots[i].key);
		write_u64(w, (uint64_t)r->slots[i].sign_ms);
		write_bytes(w, r->slots[i].digest, SHA256_BYTES);
		write_blob(w, r->slots[i].value);
	}
	write_blob(w, r->service);
	write_blob(w, r->ticket);
	write_u64(w, (uint64_t)r->until_ms);
	write_blob(w, r->numbered);
	return written(w);
}

enum status record_signature_decode(struct record_signature *r, struct slice payload)
{
	struct reader in = reader_of(payload);
	enum status st = begun(&in);

	*r = (struct record_signature){ 0 };
	if (st != ST_OK)
		return st;
	r->sequence = read_u64(&in);
	r->lane = read_u8(&in);
	r->at_ms = (int64_t)read_u64(&in);
	r->tries = read_u8(&in);
	r->slots_n = read_u8(&in);
	for (uint8_t i = 0; i < r->slots_n && i < DOC_SIGNATURES_MAX; i++) {
		r->slots[i].key = read_blob(&in);
		r->slots[i].sign_ms = (int64_t)read_u64(&in);
		read_array(&in, r->slots[i].digest, SHA256_BYTES);
		r->slots[i].value = read_blob(&in);
	}
	r->service = read_blob(&in);
	r->ticket = read_blob(&in);
	r->until_ms = (int64_t)read_u64(&in);
	r->numbered = read_blob(&in);
	return ended(&in, signature_valid(r));
}

struct slice record_numbered_in(uint8_t type, struct slice payload)
{
	struct record_signature r;

	if (type != RECORD_SIGNATURE)
		return payload;
	if (record_signature_decode(&r, payload) != ST_OK || r.numbered.n == 0)
		return (struct slice){ NULL, 0 };
	return r.numbered;
}

/* ---- REGISTER_OPENED, REGISTER_CLOSED ---- */

static bool register_valid(const struct record_register *r)
{
	return code_fits(r->unit) && code_fits(r->code);
}

enum status record_register_encode(const struct record_register *r, struct writer *w)
{
	if (!register_valid(r))
		return ST_TOO_LARGE;
	write_u8(w, r->totalled ? REGISTER_VERSION : VERSION);
	write_blob(w, r->unit);
	write_blob(w, r->code);
	write_u32(w, r->year);
	write_u64(w, r->first);
	write_u64(w, (uint64_t)r->at_ms);
	write_blob(w, r->reason);
	write_blob(w, r->actor);
	if (r->totalled) {
		write_u64(w, r->issued);
		write_u64(w, r->voided);
		write_u64(w, r->outside);
	}
	return written(w);
}

enum status record_register_decode(struct record_register *r, struct slice payload)
{
	struct reader in = reader_of(payload);
	uint8_t version;
	enum status st = begun_in(&in, REGISTER_VERSION, &version);

	*r = (struct record_register){ 0 };
	if (st != ST_OK)
		return st;
	r->unit = read_blob(&in);
	r->code = read_blob(&in);
	r->year = read_u32(&in);
	r->first = read_u64(&in);
	r->at_ms = (int64_t)read_u64(&in);
	r->reason = read_blob(&in);
	r->actor = read_blob(&in);
	r->totalled = version > 1;
	if (r->totalled) {
		r->issued = read_u64(&in);
		r->voided = read_u64(&in);
		r->outside = read_u64(&in);
	}
	return ended(&in, register_valid(r));
}

/* ---- NUMBERS ---- */

static bool numbers_valid(const struct record_numbers *r)
{
	return code_fits(r->unit) && code_fits(r->code) && r->count > 0 &&
	       r->count <= NUMBERS_TOGETHER_MAX && r->first > 0 &&
	       r->first < UINT64_MAX - r->count;
}

enum status record_numbers_encode(const struct record_numbers *r, struct writer *w)
{
	if (!numbers_valid(r))
		return ST_TOO_LARGE;
	write_u8(w, VERSION);
	write_blob(w, r->unit);
	write_blob(w, r->code);
	write_u32(w, r->year);
	write_u64(w, r->first);
	write_u32(w, r->count);
	write_u8(w, r->outside);
	write_u64(w, (uint64_t)r->at_ms);
	write_blob(w, r->reason);
	write_blob(w, r->actor);
	return written(w);
}

enum status record_numbers_decode(struct record_numbers *r, struct slice payload)
{
	struct reader in = reader_of(payload);
	enum status st = begun(&in);

	*r = (struct record_numbers){ 0 };
	if (st != ST_OK)
		return st;
	r->unit = read_blob(&in);
	r->code = read_blob(&in);
	r->year = read_u32(&in);
	r->first = read_u64(&in);
	r->count = read_u32(&in);
	r->outside = read_u8(&in) != 0;
	r->at_ms = (int64_t)read_u64(&in);
	r->reason = read_blob(&in);
	r->actor = read_blob(&in);
	return ended(&in, numbers_valid(r));
}

/* ---- STATE_EVENT: LinkHolder ---- */

static bool link_valid(const struct record_link *r)
{
	return r->lane < LANES && code_fits(r->holder.country) && code_fits(r->holder.number) &&
	       r->holder.name.n <= NAME_BYTES_MAX;
}

enum status record_link_encode(const struct record_link *r, struct writer *w)
{
	const struct holder *h = &r->holder;

	if (!link_valid(r))
		return ST_TOO_LARGE;
	write_u8(w, VERSION);
	write_u64(w, r->sequence);
	write_u8(w, r->lane);
	write_u8(w, h->id_kind);
	write_u8(w, h->role);
	write_u8(w, h->visibility);
	write_blob(w, h->country);
	write_blob(w, h->number);
	write_blob(w, h->name);
	write_u32(w, h->from);
	write_u32(w, h->to);
	write_bytes(w, r->key, sizeof(r->key));
	write_u64(w, (uint64_t)r->at_ms);
	write_blob(w, r->actor);
	write_blob(w, r->reason);
	return written(w);
}

enum status record_link_decode(struct record_link *r, struct slice payload)
{
	struct reader in = reader_of(payload);
	struct holder *h = &r->holder;
	enum status st = begun(&in);

	*r = (struct record_link){ 0 };
	if (st != ST_OK)
		return st;
	r->sequence = read_u64(&in);
	r->lane = read_u8(&in);
	h->id_kind = read_u8(&in);
	h->role = read_u8(&in);
	h->visibility = read_u8(&in);
	h->country = read_blob(&in);
	h->number = read_blob(&in);
	h->name = read_blob(&in);
	h->from = read_u32(&in);
	h->to = read_u32(&in);
	read_array(&in, r->key, sizeof(r->key));
	r->at_ms = (int64_t)read_u64(&in);
	r->actor = read_blob(&in);
	r->reason = read_blob(&in);
	return ended(&in, link_valid(r));
}

/* ---- STATE_EVENT: an act upon a stored result ---- */

bool record_is_living(struct slice payload)
{
	return payload.n > 0 && payload.p[0] == LIVING_VERSION;
}

static bool living_valid(const struct record_living *r)
{
	return r->lane < LANES && event_is_act(r->kind) && r->actor.n <= PRINCIPAL_BYTES_MAX &&
	       r->detail.n <= DECISION_BYTES_MAX;
}

enum status record_living_encode(const struct record_living *r, struct writer *w)
{
	if (!living_valid(r))
		return ST_TOO_LARGE;
	write_u8(w, LIVING_VERSION);
	write_u64(w, r->sequence);
	write_u8(w, r->lane);
	write_u8(w, r->kind);
	write_u32(w, r->acts);
	write_u64(w, (uint64_t)r->at_ms);
	write_blob(w, r->actor);
	write_blob(w, r->detail);
	return written(w);
}

enum status record_living_decode(struct record_living *r, struct slice payload)
{
	struct reader in = reader_of(payload);
	uint8_t version;
	enum status st = begun_in(&in, LIVING_VERSION, &version);

	*r = (struct record_living){ 0 };
	if (st != ST_OK)
		return st;
	if (version != LIVING_VERSION)
		return ST_CORRUPT;
	r->sequence = read_u64(&in);
	r->lane = read_u8(&in);
	r->kind = read_u8(&in);
	r->acts = read_u32(&in);
	r->at_ms = (int64_t)read_u64(&in);
	r->actor = read_blob(&in);
	r->detail = read_blob(&in);
	return ended(&in, living_valid(r));
}

/* ---- STATE_EVENT: a change of a share ---- */

bool record_is_share(struct slice payload)
{
	return payload.n > 0 && payload.p[0] >= SHARE_VERSION;
}

static bool share_valid(const struct record_share *r)
{
	struct share s;

	return r->lane < LANES && r->actor.n <= PRINCIPAL_BYTES_MAX &&
	       (r->kind == 0 ? r->detail.n == 0 :
			       event_is_share(r->kind) && share_read(&s, NULL, r->detail) == ST_OK);
}

enum status record_share_encode(const struct record_share *r, struct writer *w)
{
	if (!share_valid(r))
		return ST_TOO_LARGE;
	write_u8(w, SHARE_VERSION);
	write_u64(w, r->sequence);
	write_u8(w, r->lane);
	write_u8(w, r->kind);
	write_u64(w, (uint64_t)r->at_ms);
	write_u32(w, r->changes);
	write_u8(w, r->tries);
	write_u16(w, r->codes);
	write_u64(w, (uint64_t)r->codes_until_ms);
	write_bytes(w, r->secret, sizeof(r->secret));
	write_blob(w, r->actor);
	write_blob(w, r->detail);
	return written(w);
}

enum status record_share_decode(struct record_share *r, struct slice payload)
{
	struct reader in = reader_of(payload);
	uint8_t version;
	enum status st = begun_in(&in, SHARE_VERSION, &version);

	*r = (struct record_share){ 0 };
	if (st != ST_OK)
		return st;
	if (version != SHARE_VERSION)
		return ST_CORRUPT;
	r->sequence = read_u64(&in);
	r->lane = read_u8(&in);
	r->kind = read_u8(&in);
	r->at_ms = (int64_t)read_u64(&in);
	r->changes = read_u32(&in);
	r->tries = read_u8(&in);
	r->codes = read_u16(&in);
	r->codes_until_ms = (int64_t)read_u64(&in);
	read_array(&in, r->secret, sizeof(r->secret));
	r->actor = read_blob(&in);
	r->detail = read_blob(&in);
	return ended(&in, share_valid(r));
}
