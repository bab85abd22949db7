#include "journal/waiting.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"
#include "io/file.h"
#include "journal/waitindex.h"
#include "journal/waitrow.h"

/*
 * One row that waits for years keeps its segment and all behind it. Beyond so many segments, and
 * with three quarters of them dead, the oldest one's rows move to the end.
 */
#define SEGMENTS_TIDY_MIN 4u

static_assert(JOURNAL_RECORD_BYTES_MAX + WAITROW_BYTES_MAX <
		      JOURNAL_BATCH_BYTES_MAX - FRAME_HEADER_BYTES - FRAME_RECORD_BYTES,
	      "a row fits a frame");

struct waiting {
	char *dir;
	struct waitlog *log;
	struct waitindex *index;
	struct waitlog_buffer record;	/* one that moves, or is compared */
	struct error failure;		/* final */
	bool anew;
	bool grouped;			/* between waiting_begin() and waiting_commit() */
	bool changing, dropped;		/* something is not committed yet; a row went */
};

const char *waiting_dir(const struct waiting *w)
{
	return w->dir;
}

/* ---- the log applied to the index ---- */

static enum status row_apply(struct waiting *w, const struct frame_record *rec, struct error *e)
{
	struct reader r = reader_of(rec->payload);
	struct waitspot at = { .position = rec->position, .size = (uint32_t)rec->payload.n };
	struct waiting_row row;

	waitrow_read(&r, rec->version, &row);
	if (r.bad || row.state == 0 || row.state >= WAITINDEX_STATES || row.sequence > INT64_MAX)
		return error_set(e, ST_DAMAGED,
				 "waiting room: the record at %llu is no waiting result",
				 (unsigned long long)rec->position);
	return waitindex_put(w->index, &row, &at, e);
}

static enum status record_apply(void *ctx, const struct frame_record *rec, struct error *e)
{
	struct waiting *w = ctx;
	struct reader r = reader_of(rec->payload);
	uint64_t sequence;

	if (rec->type == WAITLOG_PUT)
		return row_apply(w, rec, e);
	if (rec->type != WAITLOG_GONE)
		return error_set(e, ST_UNSUPPORTED,
				 "waiting room: record type %u is unknown to this "
				 "version; start the version that wrote it",
				 rec->type);
	sequence = read_u64(&r);
	return r.bad ? error_set(e, ST_DAMAGED, "waiting room: a tombstone of %zu bytes",
				 rec->payload.n) :
		       waitindex_drop(w->index, sequence, e);
}

/* ---- segments that are not needed any more ---- */

static enum status place_keep(struct waiting *w, struct error *e)
{
	enum status st = waitindex_begin(w->index, e);

	return st == ST_OK ? waitindex_commit(w->index, waitlog_place(w->log), e) : st;
}

/* Oldest first, so that a tombstone never goes before what it buries. */
static enum status segments_drop(struct waiting *w, struct error *e)
{
	enum status st = ST_OK;

	while (st == ST_OK && waitlog_oldest(w->log) != 0) {
		struct waitspot first;

		st = waitindex_below(w->index,
				     (waitlog_oldest(w->log) + 1) * WAITLOG_SEGMENT_BYTES, &first,
				     e);
		if (st == ST_OK)
			break;
		if (st == ST_NOT_FOUND)
			st = waitlog_drop_oldest(w->log, e);
		/* With the last one the frame goes that the index stands behind. */
		if (st == ST_OK && waitlog_oldest(w->log) == 0)
			st = place_keep(w, e);
	}
	return st;
}

/* To the end, as it stands. */
static enum status row_move(struct waiting *w, const struct waitspot *at, struct error *e)
{
	struct frame_record rec;
	uint64_t position;
	enum status st = waitlog_read(w->dir, at->position, at->size, &w->record, &rec, e);

	if (st == ST_OK)
		st = waitlog_append(w->log, WAITLOG_PUT, rec.version, &rec.payload, 1, &position,
				    e);
	return st == ST_OK ? waitindex_move(w->index, at->sequence, position, e) : st;
}

static enum status segments_tidy(struct waiting *w, struct error *e)
{
	uint64_t oldest = waitlog_oldest(w->log), segments = waitlog_newest(w->log) - oldest + 1;
	enum status st;

	if (oldest == 0 || segments < SEGMENTS_TIDY_MIN ||
	    waitindex_bytes(w->index) > segments * WAITLOG_SEGMENT_BYTES / 4)
		return ST_OK;
	st = waitindex_begin(w->index, e);
	while (st == ST_OK) {
		struct waitspot at;

		st = waitindex_below(w->index, (oldest + 1) * WAITLOG_SEGMENT_BYTES, &at, e);
		if (st == ST_OK)
			st = row_move(w, &at, e);
	}
	if (st == ST_NOT_FOUND)
		st = waitlog_flush(w->log, e);
	if (st == ST_OK)
		st = waitindex_commit(w->index, waitlog_place(w->log), e);
	return st == ST_OK ? segments_drop(w, e) : st;
}

/* ---- opening ---- */

/*
 * Both together: what the index lacks is applied in one step. known: what the index had seen.
 * useless: it failed by the index alone, which may be made again. What the segments say is refused
 * in their own words, with the index as it is: the version that wrote them has a use for it.
 */
static enum status parts_open(struct waiting *w, struct waitlog_place *known, bool *useless,
			      struct error *e)
{
	enum status st = waitindex_open(&w->index, w->dir, e);

	*useless = st == ST_CORRUPT || st == ST_UNSUPPORTED || st == ST_NOT_FOUND;
	if (st != ST_OK)
		return st;
	*known = w->index->place;
	w->anew = known->frame == 0;
	st = waitindex_begin(w->index, e);
	if (st == ST_OK)
		st = waitlog_open(&w->log, w->dir, known, known, record_apply, w, e);
	if (st == ST_OK)
		st = waitindex_commit(w->index, waitlog_place(w->log), e);
	/* A crash may have come between the last tombstone and the deletion. */
	if (st == ST_OK)
		st = segments_drop(w, e);
	*useless = st == ST_CORRUPT || st == ST_CONFLICT;
	return st;
}

static void parts_close(struct waiting *w)
{
	waitlog_close(w->log);
	waitindex_close(w->index);
	w->log = NULL;
	w->index = NULL;
}

static enum status passed_over(void *ctx, const struct frame_record *rec, struct error *e)
{
	(void)ctx;
	(void)rec;
	(void)e;
	return ST_OK;
}

/* An index that tells of rows which are missing is the last to know of them: it stays. */
static enum status index_remake(struct waiting *w, const struct waitlog_place *known,
				struct error *e)
{
	static const struct waitlog_place begin;
	enum status st = waitlog_open(&w->log, w->dir, &begin, known, passed_over, NULL, e);

	waitlog_close(w->log);
	w->log = NULL;
	if (st == ST_OK)
		waitindex_remove(w->dir);
	return st;
}

enum status waiting_open(struct waiting **out, const char *dir, struct error *e)
{
	struct waiting *w = calloc(1, sizeof(*w));
	struct waitlog_place known = { 0 };
	struct error why = { 0 };
	bool useless = false;
	enum status st;

	if (w != NULL)
		w->dir = strdup(dir);
	if (w == NULL || w->dir == NULL) {
		waiting_close(w);
		return error_set(e, ST_NOMEM, "waiting room: no memory");
	}
	st = dir_make(dir, 0700, &why);
	if (st == ST_OK)
		st = parts_open(w, &known, &useless, &why);
	if (useless) {
		log_warn("waiting",
			 "the index cannot be used and is made again from the segments: %s",
			 why.text);
		parts_close(w);
		st = index_remake(w, &known, &why);
		if (st == ST_OK)
			st = parts_open(w, &known, &useless, &why);
	}
	if (st != ST_OK) {
		waiting_close(w);
		if (e != NULL)
			*e = why;
		return st;
	}
	*out = w;
	return ST_OK;
}

void waiting_close(struct waiting *w)
{
	if (w == NULL)
		return;
	parts_close(w);
	free(w->record.p);
	free(w->dir);
	free(w);
}

bool waiting_made_anew(const struct waiting *w)
{
	return w->anew;
}

uint64_t waiting_count(const struct waiting *w, enum state state)
{
	uint64_t n = 0;

	if (state != 0)
		return atomic_load_explicit(&w->index->rows[state], memory_order_relaxed);
	for (int i = 0; i < WAITINDEX_STATES; i++)
		n += atomic_load_explicit(&w->index->rows[i], memory_order_relaxed);
	return n;
}

/* ---- writing ---- */

/* What the index says of a change that is not written is never shown, and not asked again. */
static enum status failed_for_good(struct waiting *w, enum status st, const struct error *why,
				   struct error *e)
{
	w->failure = *why;
	w->failure.status = st;
	if (e != NULL)
		*e = w->failure;
	return st;
}

/*
 * What is in the segments and not in the index is found there by the next start. An index that is
 * broken goes, so that the next start makes another.
 */
static enum status index_failed(struct waiting *w, enum status st, const struct error *why,
				struct error *e)
{
	if (st == ST_CORRUPT)
		waitindex_remove(w->dir);
	return failed_for_good(w, st, why, e);
}

static bool has_failed(const struct waiting *w, struct error *e)
{
	if (w->failure.status != ST_OK && e != NULL)
		*e = w->failure;
	return w->failure.status != ST_OK;
}

/* The row at `old` says what this one does, but for the time since when. */
static bool is_same(struct waiting *w, const struct waitspot *old, struct waiting_row row,
		    struct slice payload)
{
	uint8_t bytes[WAITROW_BYTES_MAX];
	struct writer told = writer_of(bytes, sizeof(bytes));
	struct frame_record rec;
	struct waiting_row there;
	struct slice before;
	struct reader r;

	if (waitlog_read(w->dir, old->position, old->size, &w->record, &rec, NULL) != ST_OK ||
	    rec.version != WAITROW_VERSION)
		return false;
	r = reader_of(rec.payload);
	waitrow_read(&r, rec.version, &there);
	row.parked_ms = there.parked_ms;
	waitrow_write(&told, &row);
	before = slice_of(rec.payload.p, rec.payload.n - reader_left(&r));
	return !r.bad && slice_eq(before, writer_slice(&told)) &&
	       slice_eq(slice_of(r.p, reader_left(&r)), payload);
}

/* As it will be read again, not as it was given. */
static struct slice row_encode(struct waiting_row *row, uint8_t bytes[WAITROW_BYTES_MAX])
{
	struct writer out = writer_of(bytes, WAITROW_BYTES_MAX);
	struct reader r;

	if (row->state == 0)
		row->state = STATE_HELD;
	if (row->record == 0)
		row->record = RECORD_NUMBERED;
	waitrow_write(&out, row);
	assert(!out.bad);
	r = reader_of(writer_slice(&out));
	waitrow_read(&r, WAITROW_VERSION, row);
	assert(!r.bad);
	return writer_slice(&out);
}

/* Of a row or of a group of them. */
static enum status change_begin(struct waiting *w, struct error *e)
{
	enum status st = w->changing ? ST_OK : waitindex_begin(w->index, e);

	w->changing |= st == ST_OK;
	return st;
}

/* Durable first, then shown. */
static enum status changes_commit(struct waiting *w, struct error *e)
{
	struct error why = { 0 };
	enum status st;

	if (!w->changing)
		return ST_OK;
	st = waitlog_flush(w->log, &why);
	if (st != ST_OK)
		return failed_for_good(w, st, &why, e);
	w->changing = false;
	st = waitindex_commit(w->index, waitlog_place(w->log), &why);
	if (st == ST_OK && w->dropped)
		st = segments_drop(w, &why);
	if (st == ST_OK && w->dropped)
		st = segments_tidy(w, &why);
	w->dropped = false;
	return st == ST_OK ? ST_OK : index_failed(w, st, &why, e);
}

enum status waiting_add(struct waiting *w, const struct waiting_row *given, struct slice payload,
			struct error *e)
{
	uint8_t bytes[WAITROW_BYTES_MAX];
	struct waiting_row row = *given;
	struct slice parts[] = { row_encode(&row, bytes), payload };
	struct waitspot at = { .sequence = row.sequence }, old;
	struct error why = { 0 };
	enum status st;

	if (payload.n > JOURNAL_RECORD_BYTES_MAX)
		return error_set(e, ST_TOO_LARGE, "waiting room: a record of %zu bytes", payload.n);
	if (row.sequence > INT64_MAX || row.state >= WAITINDEX_STATES)
		return error_set(e, ST_INVALID, "waiting room: no sequence or no state");
	if (has_failed(w, e))
		return w->failure.status;
	st = waitindex_spot(w->index, row.sequence, &old, &why);
	if (st == ST_OK && is_same(w, &old, row, payload))
		return ST_OK;
	if (st != ST_OK && st != ST_NOT_FOUND)
		return index_failed(w, st, &why, e);
	st = change_begin(w, &why);
	if (st != ST_OK)
		return index_failed(w, st, &why, e);
	st = waitlog_append(w->log, WAITLOG_PUT, WAITROW_VERSION, parts, ARRAY_LEN(parts),
			    &at.position, &why);
	if (st != ST_OK)
		return failed_for_good(w, st, &why, e);
	at.size = (uint32_t)(parts[0].n + parts[1].n);
	st = waitindex_put(w->index, &row, &at, &why);
	if (st != ST_OK)
		return index_failed(w, st, &why, e);
	return w->grouped ? ST_OK : changes_commit(w, e);
}

enum status waiting_remove(struct waiting *w, uint64_t sequence, struct error *e)
{
	uint8_t bytes[8];
	struct writer out = writer_of(bytes, sizeof(bytes));
	struct slice tombstone = slice_of(bytes, sizeof(bytes));
	struct waitspot at;
	struct error why = { 0 };
	uint64_t position;
	enum status st;

	if (has_failed(w, e))
		return w->failure.status;
	st = waitindex_spot(w->index, sequence, &at, &why);
	if (st == ST_NOT_FOUND && e != NULL)
		*e = why;
	if (st == ST_OK)
		st = change_begin(w, &why);
	if (st != ST_OK)
		return st == ST_NOT_FOUND ? st : index_failed(w, st, &why, e);
	write_u64(&out, sequence);
	st = waitlog_append(w->log, WAITLOG_GONE, WAITROW_VERSION, &tombstone, 1, &position, &why);
	if (st != ST_OK)
		return failed_for_good(w, st, &why, e);
	w->dropped = true;
	st = waitindex_drop(w->index, sequence, &why);
	if (st != ST_OK)
		return index_failed(w, st, &why, e);
	return w->grouped ? ST_OK : changes_commit(w, e);
}

void waiting_begin(struct waiting *w)
{
	assert(!w->grouped);
	w->grouped = true;
}

enum status waiting_commit(struct waiting *w, struct error *e)
{
	assert(w->grouped);
	w->grouped = false;
	if (has_failed(w, e))
		return w->failure.status;
	return changes_commit(w, e);
}
