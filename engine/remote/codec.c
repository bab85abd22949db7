#include "remote/remote.h"

static void write_name(struct writer *w, struct slice s)
{
	if (s.n > UINT8_MAX)
		w->bad = true;
	write_u8(w, (uint8_t)s.n);
	write_bytes(w, s.p, s.n);
}

static struct slice read_name(struct reader *r)
{
	return read_bytes(r, read_u8(r));
}

static enum status length_put(struct writer *w, uint8_t *at)
{
	struct writer length = writer_of(at, 4);

	if (w->bad)
		return ST_TOO_LARGE;
	write_u32(&length, (uint32_t)(w->p - at - 4));
	return ST_OK;
}

enum status remote_encode(struct writer *w, const struct remote_request *r)
{
	uint8_t *at = w->p;

	if (r->name.n > REMOTE_NAME_BYTES_MAX || r->ticket.n > REMOTE_TICKET_BYTES_MAX)
		return ST_TOO_LARGE;
	write_u32(w, 0);
	write_u8(w, (uint8_t)r->verb);
	write_u64(w, r->tag);
	if (r->verb == REMOTE_VERB_SIGN) {
		write_u64(w, (uint64_t)r->deadline_ms);
		write_name(w, r->key);
		write_name(w, r->unit);
		write_name(w, r->kind);
		write_bytes(w, r->digest, sizeof(r->digest));
		write_name(w, r->name);
		write_u16(w, (uint16_t)r->ticket.n);
		write_bytes(w, r->ticket.p, r->ticket.n);
	}
	return length_put(w, at);
}

enum status remote_decode(struct remote_request *out, struct slice message)
{
	struct reader r = reader_of(message);
	struct slice digest;
	uint8_t verb = read_u8(&r);

	*out = (struct remote_request){ .verb = (enum remote_verb)verb, .tag = read_u64(&r) };
	if (verb == REMOTE_VERB_SIGN) {
		out->deadline_ms = (int64_t)read_u64(&r);
		out->key = read_name(&r);
		out->unit = read_name(&r);
		out->kind = read_name(&r);
		digest = read_bytes(&r, sizeof(out->digest));
		out->name = read_name(&r);
		out->ticket = read_bytes(&r, read_u16(&r));
		if (!r.bad)
			memcpy(out->digest, digest.p, sizeof(out->digest));
	} else if (verb != REMOTE_VERB_CANCEL) {
		return ST_CORRUPT;
	}
	return r.bad || reader_left(&r) != 0 || out->tag == 0 ||
	       out->name.n > REMOTE_NAME_BYTES_MAX || out->ticket.n > REMOTE_TICKET_BYTES_MAX ||
	       out->deadline_ms < 0 ? ST_CORRUPT : ST_OK;
}

enum status remote_encode_answer(struct writer *w, const struct remote_answer *a)
{
	uint8_t *at = w->p;

	if (a->bytes.n > REMOTE_TEXT_BYTES_MAX)
		return ST_TOO_LARGE;
	write_u32(w, 0);
	write_u64(w, a->tag);
	write_u8(w, (uint8_t)a->status);
	write_u16(w, (uint16_t)a->bytes.n);
	write_bytes(w, a->bytes.p, a->bytes.n);
	return length_put(w, at);
}

enum status remote_decode_answer(struct remote_answer *out, struct slice message)
{
	struct reader r = reader_of(message);
	uint8_t status;

	out->tag = read_u64(&r);
	status = read_u8(&r);
	out->bytes = read_bytes(&r, read_u16(&r));
	out->status = (enum remote_status)status;
	return r.bad || reader_left(&r) != 0 || status >= REMOTE_STATUS_COUNT ||
	       out->bytes.n > REMOTE_TEXT_BYTES_MAX ? ST_CORRUPT : ST_OK;
}

const char *remote_status_name(enum remote_status s)
{
	static const char *const names[REMOTE_STATUS_COUNT] = {
		[REMOTE_SIGNED] = "SIGNED", [REMOTE_LATER] = "LATER",
		[REMOTE_REFUSED] = "REFUSED", [REMOTE_WRONG_ANSWER] = "WRONG_ANSWER",
		[REMOTE_UNAVAILABLE] = "UNAVAILABLE", [REMOTE_EXPIRED] = "EXPIRED",
		[REMOTE_CANCELLED] = "CANCELLED", [REMOTE_TICKET_LOST] = "TICKET_LOST",
		[REMOTE_OTHER_CERTIFICATE] = "OTHER_CERTIFICATE",
		[REMOTE_UNKNOWN_KEY] = "UNKNOWN_KEY", [REMOTE_POLICY] = "POLICY",
		[REMOTE_NOT_VALID_NOW] = "NOT_VALID_NOW", [REMOTE_NOT_GIVEN] = "NOT_GIVEN",
		[REMOTE_PIN_REFUSED] = "PIN_REFUSED",
	};

	return (unsigned)s < REMOTE_STATUS_COUNT ? names[s] : "UNKNOWN";
}
