#include "journal/replay.h"

#define ADVICE "Copy the folder away, check the disk, then restore the newest backup"

struct walk {
	struct segments *s;
	uint64_t from;
	journal_replay_fn replay;	/* NULL: only look */
	void *ctx;
	struct error *e;
	const struct slot *slot;
	uint64_t first;			/* position of the segment */
	uint32_t offset;		/* where the walk stands in it */
	uint32_t prev, epoch;
	uint64_t released;		/* last such record; 0: none seen */
};

static enum status damaged(struct walk *w, uint64_t segno, uint32_t offset, const char *what)
{
	const struct slot *slot = segments_find(w->s, segno);

	return error_set(w->e, ST_DAMAGED, "%s: segment %llu (slot-%04u) at byte %u: %s, though it "
			 "had been acknowledged. Nothing was changed. " ADVICE, w->s->dir,
			 (unsigned long long)segno, slot != NULL ? slot->index : 0, offset, what);
}

enum status journal_frame_load(struct segments *s, const struct slot *slot, uint64_t segno,
			       uint32_t offset, struct frame_view *v, struct error *e)
{
	uint64_t position = segno * s->bytes + offset;
	const uint8_t *p;
	uint32_t n;
	enum status st = segments_load(s, slot, offset, FRAME_BLOCK_BYTES, true, &p, e);

	if (st != ST_OK)
		return st;
	n = frame_length(p, segno, position);
	if (n == 0 || n > s->bytes - offset || n > JOURNAL_BATCH_BYTES_MAX)
		return ST_CORRUPT;
	st = segments_load(s, slot, offset, n, true, &p, e);
	return st == ST_OK ? frame_check(v, slice_of(p, n), segno, position) : st;
}

/* ST_CORRUPT: no valid frame lies here. */
static enum status frame_at(struct walk *w, uint64_t segno, uint32_t offset, struct frame_view *v)
{
	return journal_frame_load(w->s, w->slot, segno, offset, v, w->e);
}

static enum status record_take(struct walk *w, const struct frame_record *r)
{
	enum status st;

	if (r->version != RECORD_VERSION)
		return error_set(w->e, ST_UNSUPPORTED, "%s: record at %llu was written by a later "
				 "version: start that one", w->s->dir,
				 (unsigned long long)r->position);
	if (r->type == RECORD_RELEASED) {
		struct reader in = reader_of(r->payload);

		w->released = read_u64(&in);
		return ST_OK;
	}
	if (w->replay == NULL || r->position < w->from)
		return ST_OK;
	if (w->e != NULL)
		w->e->text[0] = '\0';
	st = w->replay(w->ctx, r->position, r->type, r->payload, w->e);
	if (st != ST_OK && w->e != NULL && w->e->text[0] == '\0')
		error_set(w->e, st, "%s: record of type %u at %llu is not understood (%s)",
			  w->s->dir, r->type, (unsigned long long)r->position, status_name(st));
	return st;
}

/* One segment's frames, as far as they hold. ST_OK: `offset` is where they end. */
static enum status segment_walk(struct walk *w, uint64_t segno)
{
	w->slot = segments_find(w->s, segno);
	w->first = segno * w->s->bytes;
	w->offset = FRAME_BLOCK_BYTES;
	w->prev = w->slot->prev;
	w->epoch = w->slot->epoch;
	while (w->offset < w->s->bytes) {
		struct frame_view v;
		struct frame_record r;
		uint32_t at = 0;
		enum status st = frame_at(w, segno, w->offset, &v);

		if (st == ST_CORRUPT || (st == ST_OK && v.prev != w->prev))
			return ST_OK;
		while (st == ST_OK && frame_next(&v, &at, &r))
			st = record_take(w, &r);
		if (st != ST_OK)
			return st;
		w->prev = v.crc;
		w->epoch = v.epoch;
		w->offset += (uint32_t)frame_padded(v.bytes.n);
	}
	return ST_OK;
}

/* A valid frame at or behind `offset` that says: all before me was durable, and that means here. */
static enum status testimony_seek(struct walk *w, uint64_t segno, uint32_t offset, bool *found)
{
	uint64_t position = segno * w->s->bytes + offset;

	*found = false;
	for (; offset < w->s->bytes && !*found; offset += FRAME_BLOCK_BYTES) {
		struct frame_view v;
		enum status st = frame_at(w, segno, offset, &v);

		if (st != ST_OK && st != ST_CORRUPT)
			return st;
		*found = st == ST_OK && v.durable > position;
	}
	return ST_OK;
}

/*
 * A slot with bytes but without a header: the header of the next segment was torn, which the
 * writer allows for one slot, and before that segment has any frame.
 */
static enum status headers_check(struct walk *w, uint64_t newest)
{
	const struct slot *torn = NULL;

	for (uint32_t i = 0; i < w->s->n; i++) {
		const struct slot *slot = &w->s->slots[i];

		if (slot->segno != 0 && segments_find(w->s, slot->segno) != slot)
			return error_set(w->e, ST_DAMAGED, "%s: slot-%04u and another file both "
					 "hold segment %llu", w->s->dir, i,
					 (unsigned long long)slot->segno);
		if (!slot->unreadable)
			continue;
		if (torn != NULL)
			return error_set(w->e, ST_DAMAGED, "%s: slot-%04u and slot-%04u have no "
					 "valid header at byte 0. " ADVICE, w->s->dir, torn->index,
					 i);
		torn = slot;
	}
	w->slot = torn;
	for (uint32_t at = FRAME_BLOCK_BYTES; torn != NULL && at < w->s->bytes;
	     at += FRAME_BLOCK_BYTES) {
		struct frame_view v;
		enum status st = frame_at(w, newest + 1, at, &v);

		if (st == ST_OK)
			return error_set(w->e, ST_DAMAGED, "%s: the header of segment %llu "
					 "(slot-%04u) at byte 0 is gone, though frames follow it. "
					 ADVICE, w->s->dir, (unsigned long long)newest + 1,
					 torn->index);
		if (st != ST_CORRUPT)
			return st;
	}
	return ST_OK;
}

/* What the newest record says that is needed: each segment begins with one. */
static enum status held_find(struct walk *w, uint64_t newest)
{
	enum status st = segment_walk(w, newest);

	if (st == ST_OK && w->released == 0 && segments_find(w->s, newest - 1) != NULL)
		st = segment_walk(w, newest - 1);
	if (st == ST_OK && w->released == 0 && newest > 1)
		st = damaged(w, newest - 1, FRAME_BLOCK_BYTES, "no frame can be read");
	return st;
}

static enum status segments_walk(struct walk *w, uint64_t oldest, uint64_t newest)
{
	enum status st = ST_OK;
	bool found;

	for (uint64_t segno = oldest; segno <= newest && st == ST_OK; segno++) {
		const struct slot *slot = segments_find(w->s, segno);

		if (slot == NULL)
			return error_set(w->e, ST_DAMAGED, "%s: no slot has the header of segment "
					 "%llu, though segments %llu to %llu are needed. " ADVICE,
					 w->s->dir, (unsigned long long)segno,
					 (unsigned long long)oldest, (unsigned long long)newest);
		if (segno > oldest && slot->prev != w->prev)
			return damaged(w, segno - 1, w->offset, "no valid frame");
		st = segment_walk(w, segno);
	}
	if (st != ST_OK)
		return st;
	st = testimony_seek(w, newest, w->offset, &found);
	return st == ST_OK && found ? damaged(w, newest, w->offset, "no valid frame") : st;
}

/* A follower frees its slots by what it has kept itself. */
static uint64_t oldest_there(struct segments *s, uint64_t newest, uint64_t from)
{
	uint64_t segno = newest;

	while (segno > from / s->bytes && segments_find(s, segno - 1) != NULL)
		segno--;
	return segno;
}

enum status journal_replay(struct segments *s, uint64_t from, bool follow,
			   journal_replay_fn replay, void *ctx, struct journal_end *end,
			   struct error *e)
{
	struct walk w = { .s = s, .from = follow ? 0 : from, .e = e };
	uint64_t newest = segments_newest(s);
	enum status st = headers_check(&w, newest);

	*end = (struct journal_end){ .held = s->bytes };
	if (st != ST_OK || newest == 0)
		return st;
	st = held_find(&w, newest);
	if (st != ST_OK)
		return st;
	if (w.released != 0)
		end->held = w.released;
	if (follow)
		end->held = oldest_there(s, newest, from) * s->bytes;
	w.replay = replay;
	w.ctx = ctx;
	st = segments_walk(&w, end->held / s->bytes, newest);
	end->asked = w.released;
	end->segno = newest;
	end->position = w.first + w.offset;
	end->prev = w.prev;
	end->epoch = w.epoch;
	return st;
}
