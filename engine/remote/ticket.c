#include "remote/ticket.h"

#include <assert.h>

#include "remote/remote.h"
#include "remote/services.h"

#define VERSION 1

static_assert(16 + TRANSACTION_BYTES_MAX <= REMOTE_TICKET_BYTES_MAX, "a ticket fits its message");

enum status ticket_encode(struct writer *w, const struct ticket *t)
{
	write_u8(w, VERSION);
	write_u8(w, t->step);
	write_bytes(w, t->mark, sizeof(t->mark));
	write_u16(w, t->index);
	write_u16(w, t->count);
	write_u16(w, (uint16_t)t->id.n);
	write_bytes(w, t->id.p, t->id.n);
	return w->bad || t->id.n > TRANSACTION_BYTES_MAX ? ST_TOO_LARGE : ST_OK;
}

enum status ticket_decode(struct ticket *out, struct slice bytes)
{
	struct reader r = reader_of(bytes);
	uint8_t version = read_u8(&r);
	struct slice mark;

	out->step = read_u8(&r);
	mark = read_bytes(&r, sizeof(out->mark));
	out->index = read_u16(&r);
	out->count = read_u16(&r);
	out->id = read_bytes(&r, read_u16(&r));
	if (r.bad || reader_left(&r) != 0 || version != VERSION || out->id.n == 0 ||
	    out->id.n > TRANSACTION_BYTES_MAX || memchr(out->id.p, '\0', out->id.n) != NULL ||
	    out->index >= out->count || out->count > SERVICE_HASHES_MAX)
		return ST_CORRUPT;
	memcpy(out->mark, mark.p, sizeof(out->mark));
	return ST_OK;
}
