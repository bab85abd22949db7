#include <assert.h>

#include "journal/inside.h"
#include "journal/replay.h"

void journal_tail(const struct journal *j, struct journal_cursor *at)
{
	*at = (struct journal_cursor){ j->segno == 0 ? 0 : j->durable, j->durable_crc };
}

uint64_t journal_asked(const struct journal *j)
{
	return j->asked;
}

/* ---- giving ---- */

/* Its buffer is not used again yet: so it mostly is when a mirror keeps up. */
static const struct write *in_memory(struct journal *j, uint64_t position)
{
	for (uint32_t i = 0; i < j->writes_n; i++) {
		const struct write *w = &j->writes[i];

		if (w->frame.position == position &&
		    (w->state == WRITE_FREE || w->state == WRITE_DONE))
			return w;
	}
	return NULL;
}

static enum status another_log(const struct journal *j, uint64_t position, struct error *e)
{
	return error_set(e, ST_CONFLICT, "%s: what follows at %llu is not what the mirror has",
			 j->segments.dir, (unsigned long long)position);
}

static enum status give(struct journal *j, struct journal_cursor *at, uint64_t position,
			struct slice bytes, uint32_t prev, uint32_t crc, struct slice *frame,
			struct error *e)
{
	if (prev != at->prev)
		return another_log(j, position, e);
	*frame = bytes;
	at->position = position + frame_padded(bytes.n);
	at->prev = crc;
	return ST_OK;
}

static enum status give_at(struct journal *j, struct journal_cursor *at, uint64_t position,
			   struct slice *frame, struct error *e)
{
	const struct write *w = in_memory(j, position);
	const struct slot *slot = segments_find(&j->segments, journal_segment_of(j, position));
	struct frame_view v;
	enum status st;

	if (w != NULL) {
		struct reader r = reader_of(slice_of(w->buf, FRAME_HEADER_BYTES));

		read_bytes(&r, 40);
		return give(j, at, position, slice_of(w->buf, w->frame.used), read_u32(&r),
			    w->frame.crc, frame, e);
	}
	if (slot == NULL)
		return ST_CORRUPT;
	st = journal_frame_load(&j->segments, slot, slot->segno, offset_of(j, position), &v, e);
	return st == ST_OK ? give(j, at, position, v.bytes, v.prev, v.crc, frame, e) : st;
}

enum status journal_frame(struct journal *j, struct journal_cursor *at, struct slice *frame,
			  struct error *e)
{
	uint64_t position = at->position, segment;
	enum status st = ST_CORRUPT;

	if (position == 0) {
		const struct slot *first = segments_find(&j->segments,
							 journal_segment_of(j, j->held));

		/* Who begins with nothing needs the log from its very begin. */
		position = j->segments.bytes + FRAME_BLOCK_BYTES;
		at->prev = first != NULL ? first->prev : 0;
	}
	if (position == j->durable)
		return at->prev == j->durable_crc ? ST_AGAIN : another_log(j, position, e);
	if (position > j->durable)
		return another_log(j, position, e);
	if (position < j->held)
		return error_set(e, ST_NOT_FOUND, "%s: %llu is released", j->segments.dir,
				 (unsigned long long)position);
	segment = journal_segment_of(j, position);
	/* Behind a segment's last frame an older one may have been left: it does not follow. */
	if (offset_of(j, position) != 0)
		st = give_at(j, at, position, frame, e);
	else
		segment--;
	if ((st != ST_CORRUPT && st != ST_CONFLICT) || segment == journal_segment_of(j, j->durable))
		return st;
	position = (segment + 1) * j->segments.bytes + FRAME_BLOCK_BYTES;
	if (position >= j->durable)
		return ST_AGAIN;
	return give_at(j, at, position, frame, e);
}

/* ---- taking ---- */

static uint32_t newest_crc(struct journal *j)
{
	return j->unsent != j->end ? write_at(j, j->end - 1)->frame.crc : j->prev;
}

static uint32_t newest_epoch(struct journal *j)
{
	return j->unsent != j->end ? write_at(j, j->end - 1)->epoch : j->epoch;
}

/* Is it the next one? *begins: of a new segment. */
static enum status follows(struct journal *j, const struct frame_view *v, bool *begins,
			   struct error *e)
{
	bool first = offset_of(j, v->position) == FRAME_BLOCK_BYTES;

	if (v->epoch < newest_epoch(j))
		return error_set(e, ST_PRECONDITION, "%s: a frame of epoch %u after one of %u",
				 j->segments.dir, v->epoch, newest_epoch(j));
	*begins = j->segno == 0 || v->segno == j->segno + 1;
	if (j->segno == 0 ? first :
	    v->prev == newest_crc(j) && (*begins ? first : v->position == j->position))
		return ST_OK;
	return error_set(e, ST_CONFLICT, "%s: the frame at %llu does not follow that before %llu",
			 j->segments.dir, (unsigned long long)v->position,
			 (unsigned long long)j->position);
}

static enum status segment_begin(struct journal *j, const struct frame_view *v)
{
	struct slot *slot;

	if (j->segno == 0) {
		j->begun = v->segno - 1;
		j->prev = v->prev;
		j->held = j->noted = j->freed = v->segno * j->segments.bytes;
	}
	slot = segments_free(&j->segments, j->freed / j->segments.bytes);
	if (slot == NULL)
		return ST_FULL;
	slot->segno = j->segno = v->segno;
	return ST_OK;
}

static void take(struct journal *j, const struct frame_view *v)
{
	struct write *w = write_at(j, j->end++);
	struct frame_record r;
	uint32_t at = 0;

	assert(w->state == WRITE_FREE);
	w->state = WRITE_FILLING;
	w->segno = v->segno;
	w->epoch = v->epoch;
	w->padded = (uint32_t)frame_padded(v->bytes.n);
	w->frame = (struct frame){ .buf = w->buf, .size = JOURNAL_BATCH_BYTES_MAX,
				   .used = (uint32_t)v->bytes.n, .records = v->records,
				   .crc = v->crc, .position = v->position };
	memcpy(w->buf, v->bytes.p, v->bytes.n);
	memset(w->buf + v->bytes.n, 0, w->padded - v->bytes.n);
	j->position = v->position + w->padded;
	while (frame_next(v, &at, &r)) {
		struct reader in = reader_of(r.payload);

		if (r.type == RECORD_RELEASED)
			j->asked = read_u64(&in);
	}
}

enum status journal_accept(struct journal *j, struct slice bytes, struct frame_view *v,
			   struct error *e)
{
	struct reader r = reader_of(bytes);
	uint64_t segno, position;
	bool begins = false;
	enum status st;

	assert(j->follow);
	if (j->failure.status != ST_OK)
		return ST_IO;
	read_bytes(&r, 16);
	segno = read_u64(&r);
	position = read_u64(&r);
	if (r.bad || frame_padded(bytes.n) > JOURNAL_BATCH_BYTES_MAX ||
	    segno != journal_segment_of(j, position) ||
	    frame_padded(bytes.n) > j->segments.bytes - offset_of(j, position) ||
	    frame_check(v, bytes, segno, position) != ST_OK)
		return error_set(e, ST_CORRUPT, "%s: what came is no frame", j->segments.dir);
	st = follows(j, v, &begins, e);
	if (st == ST_OK && j->end - j->first == j->writes_n)
		st = ST_FULL;
	if (st == ST_OK && begins)
		st = segment_begin(j, v);
	if (st == ST_OK)
		take(j, v);
	return st;
}
