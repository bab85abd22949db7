/*
 * bytes.h - slices and bounds-checked cursors: the only code that does pointer arithmetic on
 * input. All integers on disk and between our processes are little-endian.
 *
 * A cursor never moves past its end. The first failed read or write sets `bad`; later calls do
 * nothing and return zero, so a parser checks `bad` once, at its end.
 */
#ifndef TRIEN_BASE_BYTES_H
#define TRIEN_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const uint8_t *p;	/* borrowed; the owner is said where the slice is handed out */
	size_t n;
};

static inline struct slice slice_of(const void *p, size_t n)
{
	return (struct slice){ (const uint8_t *)p, n };
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){ (const uint8_t *)s, strlen(s) };
}

static inline bool slice_eq(struct slice a, struct slice b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

struct reader {
	const uint8_t *p, *end;
	bool bad;
};

static inline struct reader reader_of(struct slice s)
{
	return (struct reader){ s.p, s.p + s.n, false };
}

static inline size_t reader_left(const struct reader *r)
{
	return (size_t)(r->end - r->p);
}

static inline struct slice read_bytes(struct reader *r, size_t n)
{
	struct slice s = { r->p, n };

	if (r->bad || n > reader_left(r)) {
		r->bad = true;
		return (struct slice){ NULL, 0 };
	}
	r->p += n;
	return s;
}

static inline uint64_t read_uint(struct reader *r, size_t width)
{
	struct slice s = read_bytes(r, width);
	uint64_t v = 0;

	for (size_t i = s.n; i > 0; i--)
		v = v << 8 | s.p[i - 1];
	return v;
}

static inline uint8_t read_u8(struct reader *r) { return (uint8_t)read_uint(r, 1); }
static inline uint16_t read_u16(struct reader *r) { return (uint16_t)read_uint(r, 2); }
static inline uint32_t read_u32(struct reader *r) { return (uint32_t)read_uint(r, 4); }
static inline uint64_t read_u64(struct reader *r) { return read_uint(r, 8); }

/* A u32 length, then that many bytes. */
static inline struct slice read_blob(struct reader *r)
{
	return read_bytes(r, read_u32(r));
}

struct writer {
	uint8_t *start, *p, *end;
	bool bad;
};

static inline struct writer writer_of(void *buf, size_t n)
{
	return (struct writer){ (uint8_t *)buf, (uint8_t *)buf, (uint8_t *)buf + n, false };
}

static inline size_t writer_size(const struct writer *w)
{
	return (size_t)(w->p - w->start);
}

static inline struct slice writer_slice(const struct writer *w)
{
	return slice_of(w->start, writer_size(w));
}

static inline void write_bytes(struct writer *w, const void *p, size_t n)
{
	if (w->bad || n > (size_t)(w->end - w->p)) {
		w->bad = true;
		return;
	}
	if (n > 0)
		memcpy(w->p, p, n);
	w->p += n;
}

static inline void write_uint(struct writer *w, uint64_t v, size_t width)
{
	uint8_t b[8];

	for (size_t i = 0; i < width; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	write_bytes(w, b, width);
}

static inline void write_u8(struct writer *w, uint8_t v) { write_uint(w, v, 1); }
static inline void write_u16(struct writer *w, uint16_t v) { write_uint(w, v, 2); }
static inline void write_u32(struct writer *w, uint32_t v) { write_uint(w, v, 4); }
static inline void write_u64(struct writer *w, uint64_t v) { write_uint(w, v, 8); }

static inline void write_str(struct writer *w, const char *s)
{
	write_bytes(w, s, strlen(s));
}

static inline void write_blob(struct writer *w, struct slice s)
{
	write_u32(w, (uint32_t)s.n);
	write_bytes(w, s.p, s.n);
}

#endif
