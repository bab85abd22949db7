/* Who read what: written for each call, found by whom it is about. */
#include <assert.h>

#include "base/log.h"
#include "store/embedded.h"
#include "store/readings.h"

#define ADDED_MAX 1024			/* records in one frame */

/* One call of embedded_note_reads(). */
struct noting { struct embedded *s; struct readings rows; uint32_t added; };

/* Once more a record, in this frame or the next. */
static enum status add(struct noting *n, enum stored_type type, const struct writer *w,
		       struct error *e)
{
	struct slice payload = writer_slice(w);
	enum status st = ST_OK;

	if (n->added == ADDED_MAX) {
		n->added = 0;
		st = embedded_commit(n->s, e);
	}
	if (st == ST_OK && n->added++ == 0)
		st = embedded_room(n->s, ADDED_MAX, e);
	return st == ST_OK ? embedded_add(n->s, type, &payload, 1, NULL, e) : st;
}

static_assert(ADDED_MAX * INDEX_ROWS_RECORD <= INDEX_ROWS_MAX && ADDED_MAX <= INDEX_RESULTS_MAX &&
	      ADDED_MAX * INDEX_COUNTERS_RECORD <= INDEX_COUNTERS_MAX,
	      "a frame's records fit the index's memory");

/* Holders who were added later. */
static enum status links_add(struct noting *n, uint32_t note, uint32_t name, uint64_t sequence)
{
	struct store_reader *r = n->s->self;
	struct row_hit hits[LINKS_TOLD_MAX];
	uint32_t hits_n = 0;
	enum status st = index_find(r->index, ROW_EVENT, row_key_event(sequence, ABOUT_HOLDERS), 0,
				    LINKS_TOLD_MAX, hits, &hits_n);

	for (uint32_t i = 0; i < hits_n && st == ST_OK; i++) {
		struct frame_record rec;
		struct holding_link l;

		st = logreader_get(&r->log, hits[i].position, 0, &r->other, &rec);
		if (st != ST_OK || rec.type != STORED_LINK)
			continue;
		st = stored_link_decode(&l, rec.payload);
		if (st == ST_OK && l.sequence == sequence)
			st = readings_add(&n->rows, note, name, l.key);
	}
	return st;
}

/* Once for each (result, reader, case). */
static enum status reuse_add(struct noting *n, const struct read_note *note,
			     const struct result_view *v, struct error *e)
{
	struct writer w = writer_of(n->s->record, STORED_RESULT_BYTES_MAX);
	uint8_t detail[REUSE_DETAIL_BYTES], key[16];
	struct result_event ev = reading_event(note, v, detail);
	struct row_hit hit;
	uint32_t found = 0;
	enum status st;

	if (!locator_reused(key, &ev))
		return error_set(e, ST_INVALID, "reader or case too long");
	st = index_find(n->s->self->index, ROW_LOCATOR, row_key_bytes(key), 0, 1, &hit, &found);
	if (st != ST_OK || found > 0)
		return st;
	st = stored_event_encode(&ev, &w);
	return st == ST_OK ? add(n, STORED_EVENT, &w, e) : st;
}

/* What a note's results are about; *v of each is told before the next is read. */
static enum status note_walk(struct noting *n, const struct read_note *notes, uint32_t i,
			     struct error *e)
{
	const struct read_note *note = &notes[i];
	enum status st = ST_OK;
	bool reuses = false;

	if (note->holder != NULL)
		st = readings_add(&n->rows, i, READING_NO_NAME, note->holder);
	for (uint32_t k = 0; k < note->names_n && st == ST_OK; k++) {
		const struct result_name *name = &note->names[k];

		st = reader_result(n->s->self, name->lane, name->sequence);
		if (st == ST_NOT_FOUND) {
			st = ST_OK;
			continue;
		}
		if (st == ST_OK)
			st = readings_result(&n->rows, i, k, &n->s->self->result);
		if (st == ST_OK && note_reuses(note, k)) {
			st = reuse_add(n, note, &n->s->self->result.view, e);
			reuses = true;
		}
		if (st == ST_OK)
			st = links_add(n, i, k, name->sequence);
	}
	/* The next one may be of the same reader, in the same case. */
	if (st == ST_OK && reuses && n->added > 0) {
		n->added = 0;
		st = embedded_commit(n->s, e);
	}
	return st;
}

static enum status rows_write(struct noting *n, const struct read_note *notes, struct error *e)
{
	struct reading_row row;
	uint32_t at = 0;
	enum status st;

	readings_sort(&n->rows);
	while ((st = readings_next(&n->rows, &at, &row)) == ST_OK) {
		struct writer w = writer_of(n->s->record, STORED_RESULT_BYTES_MAX);

		st = stored_reading_encode(row.key, &notes[row.note], row.which, row.n, &w);
		if (st == ST_OK)
			st = add(n, STORED_READ, &w, e);
		if (st != ST_OK)
			return st;
	}
	if (st != ST_NOT_FOUND)
		return st;
	return n->added > 0 ? embedded_commit(n->s, e) : ST_OK;
}

static_assert(BATCH_GET_MAX * READING_NAME_BYTES + 4096 <= STORED_RESULT_BYTES_MAX,
	      "the reads of one call fit the scratch");

enum status embedded_note_reads(struct store *store, const struct read_note *notes, uint32_t n,
				struct error *e)
{
	struct embedded *s = (struct embedded *)store;
	struct noting all = { .s = s };
	enum status st = ST_OK;

	pthread_mutex_lock(&s->writer);
	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		st = note_walk(&all, notes, i, e);
	if (st == ST_OK)
		st = rows_write(&all, notes, e);
	if (st != ST_OK)
		embedded_drop(s);
	pthread_mutex_unlock(&s->writer);
	readings_free(&all.rows);
	if (st != ST_OK && e->status != st)
		error_set(e, st, "who reads cannot be noted: %s", status_name(st));
	return st;
}

/* ---- readers ---- */

enum status embedded_readings(struct store_reader *r, const uint8_t holder_key[16],
			      uint64_t before, uint32_t max,
			      void (*one)(void *ctx, const struct reading_view *v), void *ctx,
			      uint64_t *last)
{
	uint32_t n = 0;
	enum status st;

	*last = 0;
	if (!reader_hits_room(r, max))
		return ST_NOMEM;
	st = index_find(r->index, ROW_READING, row_key_bytes(holder_key), before, max, r->hits, &n);
	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		struct frame_record rec;
		struct reading_view v;

		st = logreader_get(&r->log, r->hits[i].position, 0, &r->other, &rec);
		if (st == ST_OK)
			st = rec.type == STORED_READ ? stored_reading_decode(&v, rec.payload) :
						       ST_CORRUPT;
		if (st == ST_OK && v.stamp == r->hits[i].sequence &&
		    memcmp(v.holder, holder_key, sizeof(v.holder)) == 0) {
			one(ctx, &v);
		} else if (st == ST_OK || status_class(st) == CLASS_REJECT) {
			/* One damaged record does not hide the others. */
			log_error("store", "damaged: record at %llu of who read; run fsck",
				  (unsigned long long)r->hits[i].position);
			st = ST_OK;
		}
	}
	if (n == max && n > 0)
		*last = r->hits[n - 1].sequence;
	return st;
}
