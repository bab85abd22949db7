#include "journal/waiting.h"

#include <assert.h>
#include <stdlib.h>

#include "journal/waitlog.h"

/* Payloads: HELD the row, then the NUMBERED record; GONE a sequence (u64). */
enum waiting_record { WAITING_HELD = 1, WAITING_GONE };

#define ROW_BYTES_MAX 512u
/*
 * One row held for years keeps its segment and all behind it. Beyond so many segments, and with
 * three quarters of them dead, the oldest one's rows move to the end.
 */
#define SEGMENTS_TIDY_MIN 4u

static_assert(sizeof(struct waiting_row) < ROW_BYTES_MAX, "an encoded row fits");
static_assert(JOURNAL_RECORD_BYTES_MAX + ROW_BYTES_MAX <
		      JOURNAL_BATCH_BYTES_MAX - FRAME_HEADER_BYTES - FRAME_RECORD_BYTES,
	      "a row fits a frame");

struct held {
	struct waiting_row row;
	uint64_t pos;
	uint32_t size;			/* payload bytes of its record */
};

struct waiting {
	struct waitlog *log;
	struct held **rows;		/* by sequence */
	uint32_t rows_n, rows_room;
	uint64_t bytes;			/* payloads of all rows */
	uint32_t *live;			/* rows per segment, from `live_first` on */
	uint64_t live_first;
	uint32_t live_n;
};

/* ---- rows as bytes ---- */

static void text_write(struct writer *w, const char *text, size_t size)
{
	size_t n = strnlen(text, size - 1);

	write_u8(w, (uint8_t)n);
	write_bytes(w, text, n);
}

static void text_read(struct reader *r, char *text, size_t size)
{
	struct slice s = read_bytes(r, read_u8(r));

	if (s.n >= size) {
		r->bad = true;
		return;
	}
	if (s.n > 0)
		memcpy(text, s.p, s.n);
	text[s.n] = '\0';
}

static void row_write(struct writer *w, const struct waiting_row *row)
{
	write_u64(w, row->sequence);
	write_u8(w, row->lane);
	write_u8(w, row->reason);
	write_u64(w, (uint64_t)row->parked_ms);
	write_u64(w, row->number);
	write_u32(w, row->year);
	text_write(w, row->unit, sizeof(row->unit));
	text_write(w, row->kind, sizeof(row->kind));
	text_write(w, row->register_code, sizeof(row->register_code));
	text_write(w, row->number_text, sizeof(row->number_text));
	text_write(w, row->detail, sizeof(row->detail));
}

static void row_read(struct reader *r, struct waiting_row *row)
{
	*row = (struct waiting_row){ 0 };
	row->sequence = read_u64(r);
	row->lane = read_u8(r);
	row->reason = read_u8(r);
	row->parked_ms = (int64_t)read_u64(r);
	row->number = read_u64(r);
	row->year = read_u32(r);
	text_read(r, row->unit, sizeof(row->unit));
	text_read(r, row->kind, sizeof(row->kind));
	text_read(r, row->register_code, sizeof(row->register_code));
	text_read(r, row->number_text, sizeof(row->number_text));
	text_read(r, row->detail, sizeof(row->detail));
}

/* ---- rows in memory ---- */

/* Index of the first row not before sequence. */
static uint32_t row_place(const struct waiting *w, uint64_t sequence)
{
	uint32_t low = 0, high = w->rows_n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (w->rows[mid]->row.sequence < sequence)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct held *row_find(const struct waiting *w, uint64_t sequence)
{
	uint32_t at = row_place(w, sequence);

	return at < w->rows_n && w->rows[at]->row.sequence == sequence ? w->rows[at] : NULL;
}

/* Room for one more row, and for a count of the segment of pos. */
static enum status room_make(struct waiting *w, uint64_t segno)
{
	uint64_t needed;

	if (w->rows_n == w->rows_room) {
		uint32_t room = w->rows_room == 0 ? 64 : 2 * w->rows_room;
		struct held **bigger = realloc(w->rows, room * sizeof(*bigger));

		if (bigger == NULL)
			return ST_NOMEM;
		w->rows = bigger;
		w->rows_room = room;
	}
	if (w->live_n == 0)
		w->live_first = segno;
	needed = segno - w->live_first + 1;
	if (needed > w->live_n) {
		uint32_t *bigger = realloc(w->live, needed * sizeof(*bigger));

		if (bigger == NULL)
			return ST_NOMEM;
		memset(bigger + w->live_n, 0, (needed - w->live_n) * sizeof(*bigger));
		w->live = bigger;
		w->live_n = (uint32_t)needed;
	}
	return ST_OK;
}

static uint32_t *live_of(struct waiting *w, uint64_t pos)
{
	return &w->live[waitlog_segment(pos) - w->live_first];
}

/* A sequence that is held already moves: the later record is the right one. */
static enum status row_put(struct waiting *w, const struct held *h)
{
	uint32_t at = row_place(w, h->row.sequence);
	struct held *row;

	if (room_make(w, waitlog_segment(h->pos)) != ST_OK)
		return ST_NOMEM;
	if (at < w->rows_n && w->rows[at]->row.sequence == h->row.sequence) {
		row = w->rows[at];
		w->bytes -= row->size;
		--*live_of(w, row->pos);
	} else {
		row = malloc(sizeof(*row));
		if (row == NULL)
			return ST_NOMEM;
		memmove(w->rows + at + 1, w->rows + at, (w->rows_n - at) * sizeof(*w->rows));
		w->rows[at] = row;
		w->rows_n++;
	}
	*row = *h;
	w->bytes += row->size;
	++*live_of(w, row->pos);
	return ST_OK;
}

static void row_drop(struct waiting *w, uint64_t sequence)
{
	uint32_t at = row_place(w, sequence);
	struct held *row;

	if (at == w->rows_n || w->rows[at]->row.sequence != sequence)
		return;
	row = w->rows[at];
	w->bytes -= row->size;
	--*live_of(w, row->pos);
	free(row);
	w->rows_n--;
	memmove(w->rows + at, w->rows + at + 1, (w->rows_n - at) * sizeof(*w->rows));
}

/* ---- segments that are not needed any more ---- */

/* Oldest first, so that a tombstone never goes before what it buries. */
static enum status segments_drop(struct waiting *w, struct error *e)
{
	while (waitlog_oldest(w->log) != 0) {
		uint64_t oldest = waitlog_oldest(w->log);
		bool counted = w->live_n > 0 && oldest >= w->live_first;
		enum status st;

		if (counted && w->live[0] > 0)
			break;
		st = waitlog_drop_oldest(w->log, e);
		if (st != ST_OK)
			return st;
		if (counted) {
			w->live_n--;
			w->live_first++;
			memmove(w->live, w->live + 1, w->live_n * sizeof(*w->live));
		}
	}
	return ST_OK;
}

static enum status row_move(struct waiting *w, struct held *row, struct error *e)
{
	struct held moved = *row;
	struct slice payload;
	uint8_t *copy;
	enum status st = waitlog_read(w->log, row->pos, row->size, &payload, e);

	if (st != ST_OK)
		return st;
	copy = malloc(payload.n);
	if (copy == NULL)
		return error_set(e, ST_NOMEM, "waiting room: no memory");
	memcpy(copy, payload.p, payload.n);
	payload.p = copy;
	st = waitlog_append(w->log, WAITING_HELD, &payload, 1, &moved.pos, e);
	free(copy);
	return st == ST_OK ? row_put(w, &moved) : st;
}

static enum status segments_tidy(struct waiting *w, struct error *e)
{
	uint64_t oldest = waitlog_oldest(w->log), segments = waitlog_newest(w->log) - oldest + 1;
	enum status st = ST_OK;

	if (oldest == 0 || segments < SEGMENTS_TIDY_MIN ||
	    w->bytes > segments * WAITLOG_SEGMENT_BYTES / 4)
		return ST_OK;
	for (uint32_t i = 0; i < w->rows_n && st == ST_OK; i++)
		if (waitlog_segment(w->rows[i]->pos) == oldest)
			st = row_move(w, w->rows[i], e);
	return st == ST_OK ? segments_drop(w, e) : st;
}

/* ---- the contract ---- */

static enum status record_take(void *ctx, const struct frame_record *rec, struct error *e)
{
	struct waiting *w = ctx;
	struct reader r = reader_of(rec->payload);
	struct held h = { .pos = rec->position, .size = (uint32_t)rec->payload.n };
	enum status st;

	if (rec->type == WAITING_GONE) {
		row_drop(w, read_u64(&r));
		return r.bad ? error_set(e, ST_DAMAGED, "waiting room: a tombstone of %zu bytes",
					 rec->payload.n) : ST_OK;
	}
	if (rec->type != WAITING_HELD)
		return error_set(e, ST_UNSUPPORTED,
				 "waiting room: record type %u is unknown to this "
				 "version; start the version that wrote it",
				 rec->type);
	row_read(&r, &h.row);
	if (r.bad)
		return error_set(e, ST_DAMAGED,
				 "waiting room: the record at %llu is no held result",
				 (unsigned long long)rec->position);
	st = row_put(w, &h);
	return st == ST_OK ? ST_OK : error_set(e, st, "waiting room: no memory");
}

enum status waiting_open(struct waiting **out, const char *dir, struct error *e)
{
	struct waiting *w = calloc(1, sizeof(*w));
	enum status st;

	if (w == NULL)
		return error_set(e, ST_NOMEM, "waiting room: no memory");
	st = waitlog_open(&w->log, dir, record_take, w, e);
	/* A crash may have come between the last tombstone and the deletion. */
	if (st == ST_OK)
		st = segments_drop(w, e);
	if (st != ST_OK) {
		waiting_close(w);
		return st;
	}
	*out = w;
	return ST_OK;
}

void waiting_close(struct waiting *w)
{
	if (w == NULL)
		return;
	waitlog_close(w->log);
	for (uint32_t i = 0; i < w->rows_n; i++)
		free(w->rows[i]);
	free(w->rows);
	free(w->live);
	free(w);
}

enum status waiting_add(struct waiting *w, const struct waiting_row *row, struct slice payload,
			struct error *e)
{
	uint8_t bytes[ROW_BYTES_MAX];
	struct writer head = writer_of(bytes, sizeof(bytes));
	struct slice parts[2];
	struct held h;
	struct reader r;
	enum status st;

	if (payload.n > JOURNAL_RECORD_BYTES_MAX)
		return error_set(e, ST_TOO_LARGE, "waiting room: a record of %zu bytes", payload.n);
	row_write(&head, row);
	assert(!head.bad);
	parts[0] = writer_slice(&head);
	parts[1] = payload;
	h.size = (uint32_t)(parts[0].n + parts[1].n);
	/* As it will be read at the next start, not as it was given. */
	r = reader_of(parts[0]);
	row_read(&r, &h.row);
	assert(!r.bad);
	st = waitlog_append(w->log, WAITING_HELD, parts, 2, &h.pos, e);
	if (st != ST_OK)
		return st;
	st = row_put(w, &h);
	return st == ST_OK ? ST_OK : error_set(e, st, "waiting room: no memory");
}

enum status waiting_remove(struct waiting *w, uint64_t sequence, struct error *e)
{
	uint8_t bytes[8];
	struct writer out = writer_of(bytes, sizeof(bytes));
	struct slice gone = slice_of(bytes, sizeof(bytes));
	uint64_t pos;
	enum status st;

	if (row_find(w, sequence) == NULL)
		return error_set(e, ST_NOT_FOUND, "waiting room: no such result is held");
	write_u64(&out, sequence);
	st = waitlog_append(w->log, WAITING_GONE, &gone, 1, &pos, e);
	if (st != ST_OK)
		return st;
	row_drop(w, sequence);
	st = segments_drop(w, e);
	return st == ST_OK ? segments_tidy(w, e) : st;
}

enum status waiting_read(struct waiting *w, uint64_t sequence, uint8_t *buf, size_t size, size_t *n,
			 struct error *e)
{
	const struct held *h = row_find(w, sequence);
	struct waiting_row row;
	struct slice payload;
	struct reader r;
	enum status st;

	if (h == NULL)
		return error_set(e, ST_NOT_FOUND, "waiting room: no such result is held");
	st = waitlog_read(w->log, h->pos, h->size, &payload, e);
	if (st != ST_OK)
		return st;
	r = reader_of(payload);
	row_read(&r, &row);
	if (r.bad || row.sequence != sequence)
		return error_set(e, ST_CORRUPT, "waiting room: the record is another one's");
	*n = reader_left(&r);
	if (*n > size)
		return error_set(e, ST_TOO_LARGE, "waiting room: a record of %zu bytes", *n);
	memcpy(buf, r.p, *n);
	return ST_OK;
}

bool waiting_at(const struct waiting *w, uint32_t index, struct waiting_row *out)
{
	if (index >= w->rows_n)
		return false;
	*out = w->rows[index]->row;
	return true;
}

bool waiting_find(const struct waiting *w, uint64_t sequence, struct waiting_row *out)
{
	const struct held *h = row_find(w, sequence);

	if (h != NULL)
		*out = h->row;
	return h != NULL;
}

bool waiting_after(const struct waiting *w, uint64_t sequence, struct waiting_row *out)
{
	return waiting_at(w, row_place(w, sequence + 1), out);
}

uint32_t waiting_count(const struct waiting *w)
{
	return w->rows_n;
}
