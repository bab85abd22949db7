#include "journal/handed.h"

#define VERSION 1

static bool handover_fits(const struct handover *h)
{
	return h->from.n <= CODE_BYTES_MAX && h->to.n > 0 && h->to.n <= CODE_BYTES_MAX &&
	       h->actor.n <= PRINCIPAL_BYTES_MAX && h->reason.n <= REASON_TEXT_BYTES_MAX;
}

static void handover_write(const struct handover *h, struct writer *w)
{
	write_u64(w, (uint64_t)h->at_ms);
	write_blob(w, h->from);
	write_blob(w, h->to);
	write_blob(w, h->actor);
	write_blob(w, h->reason);
}

static void handover_read(struct handover *h, struct reader *in)
{
	h->at_ms = (int64_t)read_u64(in);
	h->from = read_blob(in);
	h->to = read_blob(in);
	h->actor = read_blob(in);
	h->reason = read_blob(in);
}

/* ---- at the end of a NUMBERED record ---- */

enum status handovers_write(const struct record_numbered *r, struct writer *w)
{
	write_u8(w, r->handed_n);
	for (uint8_t i = 0; i < r->handed_n; i++) {
		if (!handover_fits(&r->handed[i]) || r->handed[i].result >= r->results_n)
			return ST_TOO_LARGE;
		write_u8(w, r->handed[i].result);
		handover_write(&r->handed[i], w);
	}
	return w->bad ? ST_TOO_LARGE : ST_OK;
}

bool handovers_read(struct record_numbered *r, struct reader *in)
{
	r->handed_n = read_u8(in);
	if (in->bad || r->handed_n == 0 || r->handed_n > HANDOVERS_MAX)
		return false;
	for (uint8_t i = 0; i < r->handed_n; i++) {
		struct handover *h = &r->handed[i];

		h->result = read_u8(in);
		handover_read(h, in);
		if (in->bad || !handover_fits(h) || h->result >= r->results_n)
			return false;
	}
	return true;
}

struct slice record_signer(const struct record_numbered *r, uint8_t i, struct slice named)
{
	for (uint8_t k = 0; k < r->handed_n; k++)
		if (r->handed[k].result == i)
			named = r->handed[k].to;
	return named;
}

/* ---- HANDED ---- */

enum status record_handed_encode(const struct record_handed *r, struct writer *w)
{
	if (r->lane >= LANES || !handover_fits(&r->what))
		return ST_TOO_LARGE;
	write_u8(w, VERSION);
	write_u64(w, r->sequence);
	write_u8(w, r->lane);
	write_bytes(w, r->pin, sizeof(r->pin));
	handover_write(&r->what, w);
	return w->bad ? ST_TOO_LARGE : ST_OK;
}

enum status record_handed_decode(struct record_handed *r, struct slice payload)
{
	struct reader in = reader_of(payload);
	uint8_t version = read_u8(&in);
	struct slice pin;

	*r = (struct record_handed){ 0 };
	if (in.bad || version == 0)
		return ST_CORRUPT;
	if (version > VERSION)
		return ST_UNSUPPORTED;
	r->sequence = read_u64(&in);
	r->lane = read_u8(&in);
	pin = read_bytes(&in, sizeof(r->pin));
	if (pin.p != NULL)
		memcpy(r->pin, pin.p, sizeof(r->pin));
	handover_read(&r->what, &in);
	return in.bad || reader_left(&in) != 0 || r->lane >= LANES || !handover_fits(&r->what) ?
	       ST_CORRUPT : ST_OK;
}

enum status record_hand(const struct record_handed *h, struct slice payload, struct writer *w)
{
	struct record_numbered rec;
	uint8_t i;

	if (record_numbered_decode(&rec, payload) != ST_OK)
		return ST_CORRUPT;
	i = record_result_index(&rec, h->sequence);
	if (i == rec.results_n)
		return ST_NOT_FOUND;
	for (uint8_t k = 0; k < rec.handed_n; k++)
		if (rec.handed[k].result == i && rec.handed[k].at_ms >= h->what.at_ms)
			return ST_EXISTS;
	if (rec.handed_n == HANDOVERS_MAX)
		return ST_PRECONDITION;
	memcpy(rec.results[i].pins.signer, h->pin, PIN_BYTES);
	rec.handed[rec.handed_n] = h->what;
	rec.handed[rec.handed_n++].result = i;
	return record_numbered_encode(&rec, w);
}
