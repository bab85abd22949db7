/*
 * wire.h - the protobuf wire format as a cursor over bytes: what the hot path reads and writes
 * without building objects. Everything else uses protobuf-c.
 *
 * Reading never leaves the bytes; the first malformed field sets `bad` and ends the walk. Groups
 * are malformed: proto3 has none.
 */
#ifndef TRIEN_BASE_WIRE_H
#define TRIEN_BASE_WIRE_H

#include "base/bytes.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire { const uint8_t *p, *end; bool bad; };

/* Number and type apart: side by side they are compared as one word, through memory. */
struct wire_field {
	uint32_t number;
	uint64_t value;			/* of VARINT and FIXED only */
	struct slice bytes;		/* of BYTES only: borrowed */
	uint8_t type;
};

static inline struct wire wire_of(struct slice s)
{
	return (struct wire){ s.p, s.p + s.n, false };
}

static inline __attribute__((always_inline)) uint64_t wire_varint(struct wire *w)
{
	uint64_t v = 0;

	if (w->p < w->end && *w->p < 0x80)
		return *w->p++;
	for (unsigned int shift = 0; shift < 64 && w->p < w->end; shift += 7) {
		uint8_t b = *w->p++;

		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return v;
	}
	w->bad = true;
	return 0;
}

static inline uint64_t wire_fixed(struct wire *w, size_t n)
{
	uint64_t v = 0;

	if ((size_t)(w->end - w->p) < n) {
		w->bad = true;
		return 0;
	}
	memcpy(&v, w->p, n);
	w->p += n;
	return v;
}

/*
 * The next field; false at the end or when bad. Always inline, so that cursor and field stay in
 * registers: stored in parts and read back whole, they cost more than the rest of the walk.
 */
static inline __attribute__((always_inline)) bool wire_next(struct wire *w, struct wire_field *f)
{
	struct wire at = *w;
	uint64_t tag, value = 0;

	if (at.p == at.end)
		return false;
	tag = wire_varint(&at);
	f->number = (uint32_t)(tag >> 3);
	f->type = tag & 7;
	if (f->type == WIRE_VARINT || f->type == WIRE_BYTES)
		value = wire_varint(&at);
	else if (f->type == WIRE_FIXED64 || f->type == WIRE_FIXED32)
		value = wire_fixed(&at, f->type == WIRE_FIXED64 ? 8 : 4);
	else
		at.bad = true;
	f->value = value;
	f->bytes = slice_of(at.p, 0);
	if (f->type == WIRE_BYTES && value <= (uint64_t)(at.end - at.p)) {
		f->bytes.n = (size_t)value;
		at.p += value;
	} else if (f->type == WIRE_BYTES) {
		at.bad = true;
	}
	if (tag > UINT32_MAX || f->number == 0)
		at.bad = true;
	if (at.bad)
		at.p = at.end;		/* nothing is read behind it */
	*w = at;
	return !at.bad;
}

static inline int64_t wire_zigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline void put_varint(struct writer *w, uint64_t v)
{
	uint8_t b[10];
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		b[n++] = (uint8_t)(v | 0x80);
	b[n++] = (uint8_t)v;
	write_bytes(w, b, n);
}

/* A number; zero is left out, as proto3 does. */
static inline void put_number(struct writer *w, uint32_t number, uint64_t v)
{
	if (v == 0)
		return;
	put_varint(w, number << 3 | WIRE_VARINT);
	put_varint(w, v);
}

/* Text or bytes; empty is left out. */
static inline void put_slice(struct writer *w, uint32_t number, struct slice s)
{
	if (s.n == 0)
		return;
	put_varint(w, number << 3 | WIRE_BYTES);
	put_varint(w, s.n);
	write_bytes(w, s.p, s.n);
}

static inline void put_text(struct writer *w, uint32_t number, const char *s)
{
	put_slice(w, number, slice_str(s));
}

/* A message whose length is not known yet: three bytes are kept for it (up to 2 MiB - 1; a longer
 * varint than needed is valid). put_end() closes it. */
static inline uint8_t *put_begin(struct writer *w, uint32_t number)
{
	uint8_t *at;

	put_varint(w, number << 3 | WIRE_BYTES);
	at = w->p;
	write_bytes(w, "\0\0\0", 3);
	return at;
}

static inline void put_end(struct writer *w, uint8_t *at)
{
	size_t n;

	if (w->bad)
		return;
	n = (size_t)(w->p - at) - 3;
	if (n >= 1u << 21) {
		w->bad = true;
		return;
	}
	at[0] = (uint8_t)(n | 0x80);
	at[1] = (uint8_t)(n >> 7 | 0x80);
	at[2] = (uint8_t)(n >> 14);
}

/* google.protobuf.Timestamp of Unix milliseconds; 0 is left out. */
static inline void put_time(struct writer *w, uint32_t number, int64_t ms)
{
	uint8_t *at;

	if (ms == 0)
		return;
	at = put_begin(w, number);
	put_number(w, 1, (uint64_t)(ms / 1000));
	put_number(w, 2, (uint64_t)(ms % 1000) * 1000000);
	put_end(w, at);
}

#endif
