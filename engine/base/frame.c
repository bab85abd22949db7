#include "base/frame.h"

#include <assert.h>

#include "base/hash.h"

#define SEGMENT_MAGIC 0x4745534e45495254ull	/* "TRIENSEG" */
#define FRAME_MAGIC 0x4d524654u			/* "TFRM" */
#define FORMAT_VERSION 1u

#define SEGMENT_CRC_AT (FRAME_BLOCK_BYTES - 4)
#define FRAME_CRC_AT (FRAME_HEADER_BYTES - 4)
#define RECORD_CRC_AT (FRAME_RECORD_BYTES - 4)

static uint32_t u32_at(const uint8_t *p)
{
	struct reader r = reader_of(slice_of(p, 4));

	return read_u32(&r);
}

static void u32_put(uint8_t *p, uint32_t v)
{
	struct writer w = writer_of(p, 4);

	write_u32(&w, v);
}

void segment_header_write(uint8_t block[FRAME_BLOCK_BYTES], const struct segment_header *h)
{
	struct writer w = writer_of(block, FRAME_BLOCK_BYTES);

	memset(block, 0, FRAME_BLOCK_BYTES);
	write_u64(&w, SEGMENT_MAGIC);
	write_u32(&w, FORMAT_VERSION);
	write_u32(&w, h->purpose);
	write_u64(&w, h->segno);
	write_u64(&w, h->first);
	write_u32(&w, h->epoch);
	write_u32(&w, h->prev);
	write_u32(&w, h->segment_bytes);
	assert(!w.bad);
	u32_put(block + SEGMENT_CRC_AT, crc32c(0, block, SEGMENT_CRC_AT));
}

enum status segment_header_read(struct segment_header *h, const uint8_t block[FRAME_BLOCK_BYTES],
				enum frame_purpose purpose)
{
	struct reader r = reader_of(slice_of(block, FRAME_BLOCK_BYTES));
	uint64_t magic = read_u64(&r);
	uint32_t version = read_u32(&r);

	h->purpose = read_u32(&r);
	h->segno = read_u64(&r);
	h->first = read_u64(&r);
	h->epoch = read_u32(&r);
	h->prev = read_u32(&r);
	h->segment_bytes = read_u32(&r);
	if (magic != SEGMENT_MAGIC ||
	    u32_at(block + SEGMENT_CRC_AT) != crc32c(0, block, SEGMENT_CRC_AT))
		return ST_CORRUPT;
	if (version != FORMAT_VERSION)
		return ST_UNSUPPORTED;
	if (h->purpose != (uint32_t)purpose || h->segno == 0 ||
	    h->first != h->segno * h->segment_bytes)
		return ST_CORRUPT;
	return ST_OK;
}

void frame_begin(struct frame *f, void *buf, uint32_t size, uint64_t position)
{
	assert(size % FRAME_BLOCK_BYTES == 0 && position % FRAME_BLOCK_BYTES == 0);
	assert(size >= FRAME_BLOCK_BYTES);
	*f = (struct frame){ .buf = buf, .size = size, .used = FRAME_HEADER_BYTES,
			     .position = position };
}

static uint32_t record_crc(uint64_t position, const uint8_t *header)
{
	uint8_t place[8];
	struct writer w = writer_of(place, sizeof(place));

	write_u64(&w, position);
	return crc32c(crc32c(0, place, sizeof(place)), header, RECORD_CRC_AT);
}

enum status frame_addv(struct frame *f, uint8_t type, uint8_t version, const struct slice *parts,
		       size_t parts_n, uint64_t *pos)
{
	uint64_t n = 0, position = f->position + f->used;
	uint8_t *header = f->buf + f->used;
	struct writer w = writer_of(header, f->size - f->used);
	uint32_t crc;

	for (size_t i = 0; i < parts_n; i++)
		n += parts[i].n;
	if (n > UINT32_MAX || FRAME_RECORD_BYTES + n > f->size - f->used)
		return ST_FULL;
	write_u32(&w, (uint32_t)n);
	write_u8(&w, type);
	write_u8(&w, version);
	write_u16(&w, 0);
	write_u32(&w, 0);
	for (size_t i = 0; i < parts_n; i++)
		write_bytes(&w, parts[i].p, parts[i].n);
	assert(!w.bad && writer_size(&w) == FRAME_RECORD_BYTES + n);
	/* Over our copy, not the caller's bytes: what is summed is what is written. */
	crc = crc32c(record_crc(position, header), header + FRAME_RECORD_BYTES, n);
	u32_put(header + RECORD_CRC_AT, crc);
	f->used += FRAME_RECORD_BYTES + (uint32_t)n;
	f->records++;
	if (pos != NULL)
		*pos = position;
	return ST_OK;
}

enum status frame_add(struct frame *f, uint8_t type, uint8_t version, struct slice payload,
		      uint64_t *pos)
{
	return frame_addv(f, type, version, &payload, 1, pos);
}

/* Of the header up to its own CRC, and of all record headers; false if lengths disagree. */
static bool headers_crc(struct slice bytes, uint32_t records, uint32_t *crc)
{
	uint64_t at = FRAME_HEADER_BYTES;
	uint32_t c = crc32c(0, bytes.p, FRAME_CRC_AT);

	for (uint32_t i = 0; i < records; i++) {
		if (at + FRAME_RECORD_BYTES > bytes.n)
			return false;
		c = crc32c(c, bytes.p + at, FRAME_RECORD_BYTES);
		at += frame_record_size(bytes.p + at);
	}
	*crc = c;
	return at == bytes.n;
}

uint32_t frame_finish(struct frame *f, uint64_t segno, uint32_t epoch, uint32_t prev,
		      uint64_t durable)
{
	struct writer w = writer_of(f->buf, FRAME_HEADER_BYTES);
	uint32_t padded = (uint32_t)frame_padded(f->used);
	bool fits;

	memset(f->buf, 0, FRAME_HEADER_BYTES);
	write_u32(&w, FRAME_MAGIC);
	write_u32(&w, f->used);
	write_u32(&w, f->records);
	write_u32(&w, epoch);
	write_u64(&w, segno);
	write_u64(&w, f->position);
	write_u64(&w, durable);
	write_u32(&w, prev);
	fits = headers_crc(slice_of(f->buf, f->used), f->records, &f->crc);
	assert(fits && !w.bad && padded <= f->size);
	u32_put(f->buf + FRAME_CRC_AT, f->crc);
	memset(f->buf + f->used, 0, padded - f->used);
	return padded;
}

static void header_read(struct frame_view *v, uint32_t *magic, uint32_t *length,
			const uint8_t header[FRAME_HEADER_BYTES])
{
	struct reader r = reader_of(slice_of(header, FRAME_HEADER_BYTES));

	*magic = read_u32(&r);
	*length = read_u32(&r);
	v->records = read_u32(&r);
	v->epoch = read_u32(&r);
	v->segno = read_u64(&r);
	v->position = read_u64(&r);
	v->durable = read_u64(&r);
	v->prev = read_u32(&r);
	v->crc = u32_at(header + FRAME_CRC_AT);
}

uint32_t frame_length(const uint8_t header[FRAME_HEADER_BYTES], uint64_t segno, uint64_t position)
{
	struct frame_view v;
	uint32_t magic, length;

	header_read(&v, &magic, &length, header);
	if (magic != FRAME_MAGIC || v.segno != segno || v.position != position ||
	    length < FRAME_HEADER_BYTES)
		return 0;
	return length;
}

enum status frame_check(struct frame_view *v, struct slice bytes, uint64_t segno,
			uint64_t position)
{
	uint32_t length, magic, crc, offset = 0;
	struct frame_record rec;
	uint32_t walked = 0;

	if (bytes.n < FRAME_HEADER_BYTES)
		return ST_CORRUPT;
	length = frame_length(bytes.p, segno, position);
	if (length == 0 || length > bytes.n)
		return ST_CORRUPT;
	header_read(v, &magic, &length, bytes.p);
	v->bytes = slice_of(bytes.p, length);
	if (!headers_crc(v->bytes, v->records, &crc) || crc != v->crc)
		return ST_CORRUPT;
	while (frame_next(v, &offset, &rec)) {
		struct slice alone = { rec.payload.p - FRAME_RECORD_BYTES,
				       rec.payload.n + FRAME_RECORD_BYTES };

		if (frame_record_read(&rec, alone, rec.position) != ST_OK)
			return ST_CORRUPT;
		walked++;
	}
	return walked == v->records ? ST_OK : ST_CORRUPT;
}

static void record_parse(struct frame_record *out, const uint8_t *header, uint64_t position)
{
	out->payload = slice_of(header + FRAME_RECORD_BYTES, u32_at(header));
	out->type = header[4];
	out->version = header[5];
	out->position = position;
}

bool frame_next(const struct frame_view *v, uint32_t *offset, struct frame_record *out)
{
	uint32_t at = *offset == 0 ? FRAME_HEADER_BYTES : *offset;

	if (at >= v->bytes.n)
		return false;
	record_parse(out, v->bytes.p + at, v->position + at);
	*offset = at + (uint32_t)frame_record_size(v->bytes.p + at);
	return true;
}

uint64_t frame_record_size(const uint8_t header[FRAME_RECORD_BYTES])
{
	return FRAME_RECORD_BYTES + (uint64_t)u32_at(header);
}

enum status frame_record_read(struct frame_record *out, struct slice bytes, uint64_t position)
{
	uint32_t crc;

	if (bytes.n < FRAME_RECORD_BYTES || frame_record_size(bytes.p) > bytes.n)
		return ST_CORRUPT;
	record_parse(out, bytes.p, position);
	crc = crc32c(record_crc(position, bytes.p), out->payload.p, out->payload.n);
	return crc == u32_at(bytes.p + RECORD_CRC_AT) ? ST_OK : ST_CORRUPT;
}
