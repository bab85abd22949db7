#include "journal/journal.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "io/file.h"
#include "journal/inside.h"
#include "journal/replay.h"

#define HUGE_BYTES (2u * 1024 * 1024)
#define RELEASED_BYTES (FRAME_RECORD_BYTES + 8)
/* What a frame can take of a record: it may also have to begin a segment. */
#define OVERHEAD_BYTES (FRAME_HEADER_BYTES + RELEASED_BYTES + FRAME_RECORD_BYTES)

/* ---- failing ---- */

static void fail(struct journal *j, uint64_t segno, uint64_t offset, int64_t result)
{
	const char *why = result < 0 ? strerrordesc_np((int)-result) : "short write";
	const struct slot *slot = segments_find(&j->segments, segno);

	if (j->failure.status != ST_OK)
		return;
	error_set(&j->failure, result == -ENOSPC || result == -EDQUOT ? ST_NOSPACE : ST_IO,
		  "%s: writing segment %llu (slot-%04u) at byte %llu failed: %s. Nothing more is "
		  "acknowledged; what was acknowledged stands in the journal. See to the disk, "
		  "then start again", j->segments.dir, (unsigned long long)segno,
		  slot != NULL ? slot->index : 0, (unsigned long long)offset,
		  why != NULL ? why : "unknown error");
}

bool journal_failed(const struct journal *j, struct error *e)
{
	if (j->failure.status != ST_OK && e != NULL)
		*e = j->failure;
	return j->failure.status != ST_OK;
}

/* ---- filling ---- */

/* The frame that still takes records, or NULL. */
static struct write *filling(struct journal *j)
{
	return j->unsent != j->end ? write_at(j, j->end - 1) : NULL;
}

static uint64_t segment_end(const struct journal *j)
{
	return (j->segno + 1) * j->segments.bytes;
}

static enum status frame_append(struct journal *j, struct write *w, uint8_t type,
				struct slice payload, uint64_t *pos)
{
	enum status st = frame_add(&w->frame, type, RECORD_VERSION, payload, pos);

	if (st == ST_OK)
		j->position = w->frame.position + frame_padded(w->frame.used);
	return st;
}

static enum status released_append(struct journal *j, struct write *w)
{
	uint8_t bytes[8];
	struct writer out = writer_of(bytes, sizeof(bytes));
	uint64_t pos;
	enum status st;

	write_u64(&out, j->held);
	st = frame_append(j, w, RECORD_RELEASED, writer_slice(&out), &pos);
	if (st == ST_OK) {
		j->noted = j->held;
		j->noted_pos = pos;
	}
	return st;
}

static void frame_open(struct journal *j, uint64_t position, uint64_t limit)
{
	struct write *w = write_at(j, j->end++);
	uint64_t size = limit - position;

	assert(w->state == WRITE_FREE);
	w->state = WRITE_FILLING;
	w->segno = j->segno;
	frame_begin(&w->frame, w->buf,
		    (uint32_t)(size < JOURNAL_BATCH_BYTES_MAX ? size : JOURNAL_BATCH_BYTES_MAX),
		    position);
	j->position = position + FRAME_BLOCK_BYTES;
}

/* A new frame with room for `bytes` of records. ST_FULL: no buffer, or no segment to begin. */
static enum status frame_start(struct journal *j, uint64_t bytes)
{
	uint64_t limit = segment_end(j) - FRAME_BLOCK_BYTES;
	enum status st;

	if (j->end - j->first == j->writes_n)
		return ST_FULL;
	if (j->segno == 0 || j->position + frame_padded(FRAME_HEADER_BYTES + bytes) > limit) {
		struct slot *slot = segments_free(&j->segments, j->freed / j->segments.bytes);

		if (slot == NULL)
			return ST_FULL;
		slot->segno = ++j->segno;
		j->position = j->segno * j->segments.bytes + FRAME_BLOCK_BYTES;
		limit = segment_end(j) - FRAME_BLOCK_BYTES;
	}
	frame_open(j, j->position, limit);
	/* A start may also find a header without any frame: it is the frame that counts. */
	if (filling(j)->frame.position % j->segments.bytes == FRAME_BLOCK_BYTES) {
		st = released_append(j, filling(j));
		assert(st == ST_OK);
	}
	return ST_OK;
}

enum status journal_append(struct journal *j, uint8_t type, struct slice payload, uint64_t *pos)
{
	struct write *w = filling(j);
	enum status st;

	assert(type != RECORD_RELEASED && !j->follow);
	if (j->failure.status != ST_OK)
		return ST_IO;
	if (payload.n > j->record_bytes_max)
		return ST_TOO_LARGE;
	if (w != NULL && frame_append(j, w, type, payload, pos) == ST_OK)
		return ST_OK;
	st = frame_start(j, FRAME_RECORD_BYTES + payload.n);
	if (st != ST_OK)
		return st;
	st = frame_append(j, filling(j), type, payload, pos);
	assert(st == ST_OK);
	return ST_OK;
}

/* ---- writing ---- */

static void acknowledge(struct journal *j)
{
	while (j->first != j->unsent && write_at(j, j->first)->state == WRITE_DONE) {
		struct write *w = write_at(j, j->first++);

		w->state = WRITE_FREE;
		j->durable = w->frame.position + w->padded;
		j->durable_crc = w->frame.crc;
	}
	if (j->noted_pos < j->durable)
		j->freed = j->noted;
}

static void write_done(struct io_op *op)
{
	struct journal *j = op->owner;
	struct write *w = (struct write *)op;	/* its first member */

	j->in_flight--;
	if (op->result != (int64_t)w->padded)
		fail(j, w->segno, offset_of(j, w->frame.position), op->result);
	if (j->failure.status != ST_OK)
		return;
	w->state = WRITE_DONE;
	acknowledge(j);
}

static void header_done(struct io_op *op)
{
	struct journal *j = op->owner;

	j->in_flight--;
	if (op->result != FRAME_BLOCK_BYTES)
		fail(j, j->begun + 1, 0, op->result);
	else
		j->begun++;
}

/* Before the first frame of its segment. */
static void header_send(struct journal *j, const struct write *w)
{
	struct slot *slot = segments_find(&j->segments, w->segno);
	struct segment_header h = { .purpose = FRAME_JOURNAL, .segment_bytes = j->segments.bytes,
				    .segno = w->segno, .first = w->segno * j->segments.bytes,
				    .epoch = j->follow ? w->epoch : j->epoch, .prev = j->prev };

	segment_header_write(j->header, &h);
	slot->unreadable = false;
	slot->prev = j->prev;
	slot->epoch = h.epoch;
	j->header_op = (struct io_op){ .done = header_done, .owner = j };
	j->in_flight++;
	io_write_durable(j->io, &j->header_op, slot->fd, j->header, FRAME_BLOCK_BYTES, 0);
}

static void frame_send(struct journal *j, struct write *w)
{
	int fd = segments_find(&j->segments, w->segno)->fd;

	if (j->follow)
		j->epoch = w->epoch;
	else
		w->padded = frame_finish(&w->frame, w->segno, j->epoch, j->prev, j->durable);
	w->state = WRITE_SENT;
	w->op = (struct io_op){ .done = write_done, .owner = j };
	j->prev = w->frame.crc;
	j->unsent++;
	j->in_flight++;
	io_write_durable(j->io, &w->op, fd, w->buf, w->padded, offset_of(j, w->frame.position));
}

/* A release rides in the frame being filled, or begins one; in a full pool it takes the reserve. */
static void release_note(struct journal *j)
{
	struct write *w = filling(j);
	enum status st;

	if (w != NULL && released_append(j, w) == ST_OK)
		return;
	st = frame_start(j, RELEASED_BYTES);
	if (st == ST_FULL && j->end - j->first < j->writes_n &&
	    j->position + FRAME_BLOCK_BYTES <= segment_end(j)) {
		frame_open(j, j->position, segment_end(j));
		st = ST_OK;
	}
	/* A new segment has it already; without a buffer the next pump tries again. */
	if (st == ST_OK && j->noted != j->held) {
		st = released_append(j, filling(j));
		assert(st == ST_OK);
	}
}

void journal_pump(struct journal *j)
{
	if (j->failure.status != ST_OK)
		return;
	if (j->noted != j->held)
		release_note(j);
	while (j->unsent != j->end && j->in_flight < j->depth) {
		struct write *w = write_at(j, j->unsent);

		if (w->segno != j->begun) {
			/* All of the segment before is durable first. */
			if (j->in_flight == 0)
				header_send(j, w);
			return;
		}
		frame_send(j, w);
	}
}

/* Until all that was appended is durable, or writing failed. */
static void drain(struct journal *j)
{
	journal_pump(j);
	while (j->in_flight > 0) {
		io_run(j->io, 1000);
		journal_pump(j);
	}
}

/* A frame without records: all before it is durable. */
static void testify(struct journal *j)
{
	drain(j);
	if (!j->follow && j->failure.status == ST_OK && frame_start(j, 0) == ST_OK)
		drain(j);
}

/* ---- positions, segments ---- */

uint64_t journal_durable(const struct journal *j)
{
	return j->durable < j->limit ? j->durable : j->limit;
}

void journal_limit(struct journal *j, uint64_t pos)
{
	j->limit = pos;
}

uint32_t journal_epoch(const struct journal *j)
{
	return j->epoch;
}

uint64_t journal_end(const struct journal *j)
{
	const struct write *w = filling((struct journal *)j);

	return w != NULL ? w->frame.position + w->frame.used : j->position + FRAME_HEADER_BYTES;
}

uint64_t journal_segment_of(const struct journal *j, uint64_t pos)
{
	return pos / j->segments.bytes;
}

void journal_release(struct journal *j, uint64_t pos)
{
	uint64_t segno = journal_segment_of(j, pos);

	if (segno > j->segno)
		segno = j->segno;
	if (segno * j->segments.bytes > j->held)
		j->held = segno * j->segments.bytes;
	/* What the frames say of it is the sender's. */
	if (j->follow)
		j->noted = j->freed = j->held;
}

uint32_t journal_slots_free(const struct journal *j)
{
	uint64_t used = j->segno == 0 ? 0 : j->segno - j->held / j->segments.bytes + 1;

	return j->segments.n - (uint32_t)used;
}

/* ---- reading again ---- */

static enum status bytes_find(struct journal *j, uint64_t pos, bool ahead, struct slice *out,
			      struct error *e)
{
	struct slot *slot = segments_find(&j->segments, journal_segment_of(j, pos));
	uint32_t offset = offset_of(j, pos);
	const uint8_t *p;
	uint64_t n;
	enum status st;

	for (uint32_t i = j->first; i != j->end; i++) {
		const struct frame *f = &write_at(j, i)->frame;

		if (pos < f->position || pos >= f->position + f->used)
			continue;
		*out = slice_of(f->buf + (pos - f->position), f->used - (pos - f->position));
		return ST_OK;
	}
	*out = slice_of(NULL, 0);
	if (slot == NULL || offset + FRAME_RECORD_BYTES > j->segments.bytes)
		return ST_OK;
	st = segments_load(&j->segments, slot, offset, FRAME_RECORD_BYTES, ahead, &p, e);
	if (st != ST_OK)
		return st;
	n = frame_record_size(p);
	if (n > FRAME_RECORD_BYTES + JOURNAL_RECORD_BYTES_MAX || offset + n > j->segments.bytes)
		return ST_OK;
	st = segments_load(&j->segments, slot, offset, (uint32_t)n, ahead, &p, e);
	*out = slice_of(p, n);
	return st;
}

enum status journal_read(struct journal *j, uint64_t pos, uint8_t *type, uint8_t *buf, size_t size,
			 size_t *n, struct error *e)
{
	struct frame_record r = { 0 };
	struct slice bytes;
	bool ahead = true;
	enum status st;

	if (pos < j->held || pos >= j->position)
		return error_set(e, ST_NOT_FOUND, "%s: nothing is held at %llu", j->segments.dir,
				 (unsigned long long)pos);
	/* A backlog is read in order, so from what was read ahead; what that lacks came later. */
	for (;; ahead = false) {
		st = bytes_find(j, pos, ahead, &bytes, e);
		if (st != ST_OK)
			return st;
		st = frame_record_read(&r, bytes, pos);
		if (st == ST_OK || !ahead)
			break;
	}
	if (st != ST_OK || r.version != RECORD_VERSION)
		return error_set(e, ST_CORRUPT, "%s: segment %llu at byte %u: no valid record",
				 j->segments.dir, (unsigned long long)journal_segment_of(j, pos),
				 offset_of(j, pos));
	if (r.payload.n > size)
		return error_set(e, ST_TOO_LARGE, "%s: record at %llu has %zu bytes, %zu fit",
				 j->segments.dir, (unsigned long long)pos, r.payload.n, size);
	if (r.payload.n > 0)
		memcpy(buf, r.payload.p, r.payload.n);
	*n = r.payload.n;
	*type = r.type;
	return ST_OK;
}

/* ---- opening and closing ---- */

/* In huge pages, where there are some: a write of a megabyte then pins one page and not 256. */
static uint8_t *huge_new(size_t n)
{
	uint8_t *p;

	n = (n + HUGE_BYTES - 1) / HUGE_BYTES * HUGE_BYTES;
	p = aligned_alloc(HUGE_BYTES, n);
	if (p != NULL) {
		madvise(p, n, MADV_HUGEPAGE);
		memset(p, 0, n);
	}
	return p;
}

static enum status buffers_new(struct journal *j, const struct journal_config *cfg, struct error *e)
{
	uint64_t room = cfg->segment_bytes - 2 * FRAME_BLOCK_BYTES - OVERHEAD_BYTES;

	j->depth = cfg->depth;
	j->writes_n = 2 * cfg->depth;
	j->record_bytes_max = room < JOURNAL_RECORD_BYTES_MAX ? (uint32_t)room :
							       JOURNAL_RECORD_BYTES_MAX;
	j->header = aligned_new(FRAME_BLOCK_BYTES);
	j->buffers = huge_new((size_t)j->writes_n * JOURNAL_BATCH_BYTES_MAX);
	if (j->header == NULL || j->buffers == NULL)
		return error_set(e, ST_NOMEM, "no memory for the journal's buffers");
	for (uint32_t i = 0; i < j->writes_n; i++)
		j->writes[i].buf = j->buffers + (size_t)i * JOURNAL_BATCH_BYTES_MAX;
	return ST_OK;
}

enum status journal_lock(const char *dir, int *lock, struct error *e)
{
	char path[PATH_MAX];
	enum status st = dir_make(dir, 0700, e);

	if (st != ST_OK)
		return st;
	if (snprintf(path, sizeof(path), "%s/lock", dir) >= (int)sizeof(path) - 16)
		return error_set(e, ST_INVALID, "%s: path too long", dir);
	return dir_lock(path, lock, e);
}

static void resume(struct journal *j, const struct journal_config *cfg,
		   const struct journal_end *end)
{
	j->segno = j->begun = end->segno;
	j->position = j->durable = end->position;
	j->held = j->noted = j->freed = end->held;
	j->asked = end->asked;
	j->prev = j->durable_crc = end->prev;
	j->epoch = cfg->follow ? end->epoch : end->epoch + 1;
	if (cfg->new_term)
		j->epoch = journal_next_term(end->epoch);
}

static void journal_free(struct journal *j)
{
	segments_close(&j->segments);
	free(j->buffers);
	free(j->header);
	if (j->lock >= 0)
		close(j->lock);
	free(j);
}

enum status journal_open(struct journal **out, struct io *io, const struct journal_config *cfg,
			 uint64_t from, journal_replay_fn replay, void *ctx, struct error *e)
{
	struct journal *j = calloc(1, sizeof(*j));
	struct journal_end end;
	enum status st;

	assert(cfg->depth >= 1 && cfg->depth <= JOURNAL_DEPTH_MAX);
	if (j == NULL)
		return error_set(e, ST_NOMEM, "no memory for the journal");
	j->io = io;
	j->lock = -1;
	j->follow = cfg->follow;
	j->limit = UINT64_MAX;
	st = buffers_new(j, cfg, e);
	if (st == ST_OK && !cfg->locked)
		st = journal_lock(cfg->dir, &j->lock, e);
	if (st == ST_OK)
		st = segments_open(&j->segments, cfg->dir, cfg->segment_bytes, cfg->slots, e);
	if (st == ST_OK)
		st = journal_replay(&j->segments, from, cfg->follow, replay, ctx, &end, e);
	if (st == ST_OK)
		st = segments_allocate(&j->segments, e);
	if (st == ST_OK)
		st = segments_flush(&j->segments, e);
	if (st == ST_OK) {
		resume(j, cfg, &end);
		testify(j);
		if (journal_failed(j, e))
			st = j->failure.status;
	}
	if (st != ST_OK) {
		journal_free(j);
		return st;
	}
	*out = j;
	return ST_OK;
}

void journal_close(struct journal *j)
{
	if (j == NULL)
		return;
	testify(j);
	while (j->in_flight > 0)
		io_run(j->io, 1000);
	journal_free(j);
}
