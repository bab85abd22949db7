#include "store/embedded.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "io/file.h"

/* ---- what stands in the log becomes known ---- */

static enum status apply_layer(struct embedded *s, const struct frame_record *rec)
{
	struct stored_layer l;
	enum status st = stored_layer_decode(&l, rec->payload);

	if (st != ST_OK)
		return st;
	if (l.id == s->layers.n + 1 &&
	    layers_add(&s->layers, l.sha256, (uint32_t)l.bytes.n, rec->position) == 0)
		return ST_NOMEM;
	if (l.id > s->layers.n)
		return ST_DAMAGED;
	layers_place(&s->layers, l.id, rec->position);
	s->layers_durable = s->layers.n;
	return ST_OK;
}

/* Whose result it is stands in that result's record, which is there already. */
static enum status count_event(struct embedded *s, const struct result_event *ev)
{
	struct counted c;
	enum status st;

	if (ev->kind == 0)
		return ST_OK;
	st = reader_result(s->self, ev->lane, ev->sequence);
	if (st == ST_OK && counted_event(&c, ev, &s->self->result.view))
		store_index_count(s->index, &c);
	/* One that is about nothing is fsck's to tell. */
	return st == ST_NOT_FOUND || st == ST_CORRUPT ? ST_OK : st;
}

static enum status apply_rows(struct embedded *s, const struct frame_record *rec)
{
	struct record_rows rows;
	enum status st = rows_of(&rows, rec, &s->marks);

	if (st != ST_OK)
		return st;
	for (uint32_t i = 0; i < rows.n; i++)
		store_index_add(s->index, rows.of[i].table, rows.of[i].key, rows.sequence,
				rec->position);
	for (uint32_t i = 0; i < rows.counted_n; i++)
		store_index_count(s->index, &rows.counted[i]);
	if ((rec->type == STORED_RESULT || rec->type == STORED_VOID) && rows.sequence > s->newest)
		s->newest = rows.sequence;
	return count_event(s, &rows.event);
}

enum status embedded_apply(struct embedded *s, const struct frame_view *v, struct error *e)
{
	struct frame_record rec;
	uint32_t offset = 0;
	enum status st = ST_OK;

	while (st == ST_OK && v->records > 0 && frame_next(v, &offset, &rec)) {
		if (rec.type < STORED_LAYER || rec.type >= STORED_TYPES || rec.version == 0 ||
		    rec.version > stored_version(rec.type))
			return error_set(e, ST_UNSUPPORTED,
					 "%s: record of type %u, version %u at %llu is unknown; "
					 "start the version that wrote it", s->dir, rec.type,
					 rec.version, (unsigned long long)rec.position);
		if (rec.type == STORED_LAYER)
			st = apply_layer(s, &rec);
		else if (rec.type != STORED_BODY)
			st = apply_rows(s, &rec);
		if (st != ST_OK && st != ST_NOMEM)
			st = error_set(e, ST_DAMAGED, "%s: record at %llu is malformed", s->dir,
				       (unsigned long long)rec.position);
	}
	return st;
}

/* ---- writing ---- */

static enum status flush(struct embedded *s, struct error *e)
{
	struct index_place at = { .watermark = s->log.end, .frame = s->log.last,
				 .crc = s->log.prev };
	enum status st;

	/* Rows of the last frame may be missing: the index must not claim them. */
	if (s->log.failed)
		return error_set(e, ST_IO, "%s: a write failed before; restart the engine", s->dir);
	st = store_index_flush(s->index, &at, e);
	if (st == ST_CORRUPT) {
		log_error("store",
			  "the index is damaged; it is made again when the engine is restarted");
		store_index_remove(s->dir);
	}
	return st;
}

enum status embedded_room(struct embedded *s, uint32_t records, struct error *e)
{
	return store_index_room(s->index, records) ? ST_OK : flush(s, e);
}

enum status embedded_commit(struct embedded *s, struct error *e)
{
	struct frame_view v;
	enum status st = storelog_commit(&s->log, &v, e);

	if (st != ST_OK)
		return st;
	st = embedded_apply(s, &v, e);
	s->log.failed = st != ST_OK;
	return st;
}

enum status embedded_add(struct embedded *s, enum stored_type type, const struct slice *parts,
			 size_t parts_n, uint64_t *pos, struct error *e)
{
	uint8_t version = stored_version((uint8_t)type);
	enum status st = storelog_add(&s->log, (uint8_t)type, version, parts, parts_n, pos, e);

	if (st != ST_FULL)
		return st;
	st = embedded_commit(s, e);
	if (st == ST_OK)
		st = storelog_add(&s->log, (uint8_t)type, version, parts, parts_n, pos, e);
	return st;
}

void embedded_drop(struct embedded *s)
{
	storelog_drop(&s->log);
	layers_cut(&s->layers, s->layers_durable);
}

/* ---- opening ---- */

uint32_t embedded_records(const struct frame_view *v)
{
	struct frame_record rec;
	uint32_t offset = 0, n = 0;

	while (v->records > 0 && frame_next(v, &offset, &rec))
		n += rec.type > STORED_BODY;
	return n;
}

/* Everything behind the watermark. The log's place is kept for flushes on the way. */
static enum status replay(struct embedded *s, struct framewalk *w, struct error *e)
{
	struct frame_view v;
	struct framewalk_place at;
	uint64_t frames = 0;
	enum status st;

	while ((st = framewalk_next(w, &v, e)) == ST_OK) {
		st = embedded_room(s, embedded_records(&v), e);
		if (st == ST_OK && !store_index_room(s->index, embedded_records(&v)))
			st = error_set(e, ST_DAMAGED, "%s: frame at %llu has too many records",
				       s->dir, (unsigned long long)v.position);
		if (st == ST_OK)
			st = embedded_apply(s, &v, e);
		if (st != ST_OK)
			return st;
		framewalk_at(w, &at);
		s->log.end = at.end;
		s->log.last = at.last;
		s->log.prev = at.prev;
		frames++;
	}
	if (frames > 0 && st == ST_NOT_FOUND)
		log_info("store", "%llu frames were read into the index",
			 (unsigned long long)frames);
	return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status index_again(struct embedded *s, struct error *e)
{
	log_warn("store", "the index belongs to other segments; it is made again");
	store_index_close(s->index);
	s->index = NULL;
	store_index_remove(s->dir);
	layers_cut(&s->layers, 0);
	marks_clear(&s->marks);
	return store_index_open(&s->index, s->dir, &s->marks, &s->layers, e);
}

/* Where the index ends, if that place is in these segments; an index that knows more is a loss. */
static enum status seek(struct embedded *s, struct framewalk *w, struct error *e)
{
	struct index_place known = store_index_place(s->index);
	struct framewalk_place at;
	struct frame_view v;
	enum status st;

	if (known.frame == 0)
		return ST_OK;
	if (framewalk_seek(w, known.frame, known.crc) == ST_OK) {
		s->log.end = known.watermark;
		s->log.last = known.frame;
		s->log.prev = known.crc;
		return ST_OK;
	}
	while ((st = framewalk_next(w, &v, e)) == ST_OK)
		;
	if (st != ST_NOT_FOUND)
		return st;
	framewalk_at(w, &at);
	if (at.end < known.watermark)
		return error_set(e, ST_DAMAGED,
				 "%s: the segments end at %llu, the index knows results up to "
				 "%llu: acknowledged results are missing. Restore a backup; or, to "
				 "go on without them, delete index.db", s->dir,
				 (unsigned long long)at.end, (unsigned long long)known.watermark);
	return ST_NOT_FOUND;
}

static enum status log_open(struct embedded *s, uint32_t segment_bytes, struct error *e)
{
	struct framewalk *w = NULL;
	struct framewalk_place at;
	enum status st = framewalk_open(&w, s->dir, FRAME_STORE, e);

	if (st == ST_OK)
		st = seek(s, w, e);
	if (st == ST_NOT_FOUND) {
		framewalk_close(w);
		w = NULL;
		st = index_again(s, e);
		if (st == ST_OK)
			st = framewalk_open(&w, s->dir, FRAME_STORE, e);
	}
	s->layers_durable = s->layers.n;
	if (st == ST_OK) {
		framewalk_at(w, &at);
		s->log.segment_bytes = at.segment_bytes;
		st = reader_new(s, &s->self, e);
	}
	if (st == ST_OK)
		st = replay(s, w, e);
	if (st == ST_OK) {
		framewalk_at(w, &at);
		st = storelog_open(&s->log, s->dir, segment_bytes, &at, e);
	}
	/* Of an empty log nobody knew the size before. */
	if (st == ST_OK) {
		logreader_close(&s->self->log);
		logreader_init(&s->self->log, s->dir, s->log.segment_bytes);
	}
	framewalk_close(w);
	return st;
}

static enum status newest_load(struct embedded *s, struct error *e)
{
	uint64_t newest = 0;
	enum status st = store_index_newest(s->index, &newest, e);

	if (newest > s->newest)
		s->newest = newest;
	return st;
}

/* ---- the rest of the table ---- */

static enum status embedded_marks(struct store *store, void (*cb)(void *ctx,
				  const struct register_mark *m), void *ctx, struct error *e)
{
	struct embedded *s = (struct embedded *)store;

	pthread_mutex_lock(&s->writer);
	for (uint32_t i = 0; i < s->marks.n; i++)
		if (s->marks.of[i].about.highest > 0)
			cb(ctx, &s->marks.of[i].about);
	pthread_mutex_unlock(&s->writer);
	return ST_OK;
}

static void embedded_take(struct store *store, struct batch *b)
{
	batchwriter_take(((struct embedded *)store)->batches, b);
}

static void embedded_health(const struct store *store, struct store_health *out)
{
	*out = (struct store_health){ 0 };
	out->up = batchwriter_up(((const struct embedded *)store)->batches, &out->retries);
}

static void embedded_close(struct store *store)
{
	struct embedded *s = (struct embedded *)store;
	struct error e = { 0 };

	batchwriter_free(s->batches);
	/* Not needed for safety: it spares the next start the reading. */
	if (s->index != NULL && s->log.dir[0] != '\0' && flush(s, &e) != ST_OK)
		log_warn("store", "%s", e.text);
	embedded_reader_close(s->self);
	storelog_close(&s->log);
	store_index_close(s->index);
	layers_free(&s->layers);
	marks_free(&s->marks);
	pthread_mutex_destroy(&s->writer);
	pthread_mutex_destroy(&s->checked.lock);
	free(s->record);
	free(s);
}

static const struct store_ops ops = {
	.name = "embedded",
	.take = embedded_take, .health = embedded_health,
	.link = embedded_link, .events = embedded_events, .note_reads = embedded_note_reads,
	.void_number = embedded_void,
	.marks = embedded_marks, .own = embedded_own, .owners = embedded_owners,
	.original_keep = embedded_original_keep, .original_fetch = embedded_original_fetch,
	.original_drop = embedded_original_drop, .original_settle = embedded_original_settle,
	.originals_sweep = embedded_originals_sweep,
	.close = embedded_close,
	.reader_open = embedded_reader_open, .reader_close = embedded_reader_close,
	.get = embedded_get, .read = embedded_read,
	.object = embedded_object, .list = embedded_list, .readings = embedded_readings,
	.history = embedded_history, .shares = embedded_shares,
	.find_case = embedded_find_case, .find_number = embedded_find_number,
	.names = embedded_names, .unchecked = embedded_unchecked,
	.book = embedded_book, .counts = embedded_counts,
};

enum status store_embedded_open(struct store **out, const struct store_config *cfg, struct error *e)
{
	struct embedded *s = calloc(1, sizeof(*s));
	enum status st = ST_NOMEM;

	if (s == NULL)
		return ST_NOMEM;
	s->store.ops = &ops;
	s->log.fd = -1;
	s->marks.fd = -1;
	pthread_mutex_init(&s->writer, NULL);
	pthread_mutex_init(&s->checked.lock, NULL);
	snprintf(s->dir, sizeof(s->dir), "%s", cfg->dir);
	s->objects = cfg->objects;
	s->record = malloc(STORED_RESULT_BYTES_MAX);
	if (s->record != NULL)
		st = layers_init(&s->layers);
	if (st == ST_OK)
		st = marks_init(&s->marks);
	if (st == ST_OK)
		st = dir_make(s->dir, 0700, e);
	if (st == ST_OK)
		st = store_index_open(&s->index, s->dir, &s->marks, &s->layers, e);
	if (st == ST_OK)
		st = log_open(s, cfg->segment_bytes, e);
	if (st == ST_OK)
		st = newest_load(s, e);
	if (st == ST_OK && cfg->witness != NULL)
		st = marks_witness(&s->marks, cfg->witness, e);
	if (st == ST_OK && cfg->sink.done != NULL)
		st = batchwriter_new(&s->batches, &s->store, embedded_put, &cfg->sink);
	if (st != ST_OK) {
		embedded_close(&s->store);
		return st == ST_NOMEM ? error_set(e, st, "%s: no memory", cfg->dir) : st;
	}
	*out = &s->store;
	return ST_OK;
}
