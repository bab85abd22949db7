#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/embedded.h"
#include "store/evidenceset.h"

#define LINE_BYTES 512

struct check {
	struct embedded home;		/* its layers, as found; what the reader looks at */
	struct store_reader reader;
	struct opened file;
	struct store_layers known;	/* as the index says */
	struct marks marks;
	struct store_index *index;	/* NULL: there is none to compare with */
	struct index_reader *look;
	uint64_t watermark;
	uint64_t rows[ROW_TABLES];	/* expected below the watermark */
	struct tally counted;		/* expected likewise, of all engines together */
	void (*report)(void *ctx, const char *line);
	void *ctx;
	uint64_t results, findings;
};

static void found(struct check *c, const char *fmt, ...) printf_like(2, 3);

static void found(struct check *c, const char *fmt, ...)
{
	char line[LINE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	c->report(c->ctx, line);
	c->findings++;
}

static unsigned long long at(const struct frame_record *rec)
{
	return (unsigned long long)rec->position;
}

/* ---- records ---- */

static const uint8_t nothing[SHA256_BYTES];

/* What an evidence set names stands before it. */
static void set_check(struct check *c, struct slice set, const struct frame_record *rec)
{
	uint8_t sha256[SHA256_BYTES];
	size_t next = 0;

	while (evidence_next(set, &next, sha256))
		if (layers_find(&c->home.layers, sha256) == 0)
			found(c, "store: evidence at %llu names what is missing", at(rec));
}

static enum status layer_check(struct check *c, const struct frame_record *rec)
{
	struct stored_layer l;
	uint8_t digest[SHA256_BYTES];

	if (stored_layer_decode(&l, rec->payload) != ST_OK) {
		found(c, "store: layer at %llu is malformed", at(rec));
		return ST_OK;
	}
	sha256_once(l.bytes.p, l.bytes.n, digest);
	if (memcmp(digest, l.sha256, sizeof(digest)) != 0)
		found(c, "store: layer %u at %llu does not match its digest", l.id, at(rec));
	if (evidence_is_set(l.bytes))
		set_check(c, l.bytes, rec);
	/* Behind damage some ids are missing: they stay without a place. */
	while (c->home.layers.n + 1 < l.id)
		if (layers_add(&c->home.layers, nothing, 0, 0) == 0)
			return ST_NOMEM;
	if (l.id <= c->home.layers.n) {
		found(c, "store: layer %u at %llu was there before", l.id, at(rec));
		return ST_OK;
	}
	return layers_add(&c->home.layers, l.sha256, (uint32_t)l.bytes.n, rec->position) != 0 ?
	       ST_OK : ST_NOMEM;
}

static void evidence_check(struct check *c, const struct signature_view *s,
			   const struct frame_record *rec)
{
	if (memcmp(s->evidence_sha256, nothing, SHA256_BYTES) != 0 &&
	    (layers_find(&c->home.layers, s->evidence_sha256) == 0 ||
	     layers_find(&c->home.layers, s->cert_sha256) == 0))
		found(c, "store: the result at %llu names evidence that is missing", at(rec));
}

static enum status result_check(struct check *c, const struct frame_record *rec)
{
	struct stored_result *r = &c->reader.result;
	uint8_t digest[SHA256_BYTES];
	enum status st;

	c->results++;
	if (stored_result_decode(r, rec->version, rec->payload) != ST_OK) {
		found(c, "store: result at %llu is malformed", at(rec));
		return ST_OK;
	}
	if (case_digest(r->view.case_bytes, digest) != ST_OK ||
	    memcmp(digest, r->view.case_digest, sizeof(digest)) != 0)
		found(c, "store: case of the result at %llu does not match its digest", at(rec));
	for (uint8_t i = 0; i < r->view.signatures_n; i++)
		evidence_check(c, &r->view.signatures[i], rec);
	st = reader_file(&c->reader, &c->file, true);
	if (st == ST_NOMEM || st == ST_IO)
		return st;
	if (st != ST_OK)
		found(c, "store: file of the result at %llu does not match its digest%s", at(rec),
		      r->section.runs_n > 0 ? ", or its original is missing" : "");
	return ST_OK;
}

static enum status count_check(struct check *c, struct record_rows *rows,
			       const struct frame_record *rec)
{
	const struct result_event *ev = &rows->event;
	bool fits = true;
	enum status st;

	if (ev->kind != 0) {
		st = reader_result(&c->reader, ev->lane, ev->sequence);
		if (st == ST_NOT_FOUND || st == ST_CORRUPT)
			found(c, "store: the event at %llu is about no result that can be read",
			      at(rec));
		else if (st != ST_OK)
			return st;
		else
			rows->counted_n = counted_event(rows->counted, ev,
							&c->reader.result.view);
	}
	for (uint32_t i = 0; i < rows->counted_n && fits; i++) {
		rows->counted[i].engine = 0;
		fits = counted_add(&c->counted, &rows->counted[i]);
	}
	return fits ? ST_OK : ST_NOMEM;
}

static enum status index_check(struct check *c, const struct frame_record *rec)
{
	struct record_rows rows;
	enum status st = rows_of(&rows, rec, &c->marks);

	if (st == ST_NOMEM)
		return st;
	if (st != ST_OK) {
		found(c, "store: record at %llu is malformed", at(rec));
		return ST_OK;
	}
	if (c->look == NULL || rec->position >= c->watermark)
		return ST_OK;
	for (uint32_t i = 0; i < rows.n; i++) {
		enum row_table t = rows.of[i].table;
		struct row_hit hits[64];
		uint32_t n = 0;
		bool there = false;

		c->rows[t]++;
		st = index_find(c->look, t, rows.of[i].key, rows.sequence + 1, ARRAY_LEN(hits),
				hits, &n);
		for (uint32_t k = 0; k < n && !there; k++)
			there = hits[k].position == rec->position;
		/* A result that many have read: the newest hide the others, which are counted. */
		there |= n == ARRAY_LEN(hits);
		if (!there)
			found(c, "store: the index lacks a row of the record at %llu%s", at(rec),
			      st == ST_OK ? "" : " or is damaged");
	}
	return count_check(c, &rows, rec);
}

static enum status frame_records(struct check *c, const struct frame_view *v)
{
	struct frame_record rec;
	uint32_t offset = 0;
	enum status st = ST_OK;

	while (st == ST_OK && v->records > 0 && frame_next(v, &offset, &rec)) {
		uint64_t sequence;
		struct slice bytes;

		switch (rec.type) {
		case STORED_LAYER:
			st = layer_check(c, &rec);
			break;
		case STORED_BODY:
			if (stored_body_decode(&sequence, &bytes, rec.payload) != ST_OK)
				found(c, "store: body at %llu is malformed", at(&rec));
			break;
		case STORED_RESULT:
			st = result_check(c, &rec);
			if (st == ST_OK)
				st = index_check(c, &rec);
			break;
		default:
			st = index_check(c, &rec);
		}
	}
	return st;
}

/* ---- the whole ---- */

static void index_totals(struct check *c)
{
	static const char *const names[ROW_TABLES] = { "result", "holding", "locator",
						       "number_register", "event", "reading" };
	uint64_t n = 0;

	for (int t = 0; t < ROW_TABLES; t++) {
		if (index_rows(c->look, (enum row_table)t, &n) != ST_OK)
			found(c, "store: index table %s is damaged", names[t]);
		else if (n != c->rows[t])
			found(c, "store: index table %s has %llu rows, %llu belong there", names[t],
			      (unsigned long long)n, (unsigned long long)c->rows[t]);
	}
	for (uint32_t i = 0; i < c->known.n; i++) {
		struct layer_entry l;

		if (!layers_get(&c->home.layers, i + 1, &l) ||
		    l.position != c->known.of[i].position)
			found(c, "store: the index has another place for layer %u", i + 1);
	}
}

static void counts_compare(struct check *c, const struct tally_row *told,
			   const struct tally_row *there)
{
	static const struct tally_row nothing_at_all;
	const struct tally_row *key = told != NULL ? told : there;

	told = told != NULL ? told : &nothing_at_all;
	there = there != NULL ? there : &nothing_at_all;
	for (int i = 0; i < COUNTS; i++)
		if (told->by.of[i] != there->by.of[i])
			found(c, "store: the counters say %llu %s of %s %s on %u, %llu are there",
			      (unsigned long long)told->by.of[i], counts_names[i], key->unit,
			      key->kind, key->day, (unsigned long long)there->by.of[i]);
}

/* Both in one order: agency, kind and day by agency, kind and day. */
static enum status count_totals(struct check *c)
{
	const struct counts_question all = { .period = COUNTS_DAY, .by = COUNTS_BY_ALL };
	struct tally told;
	uint32_t i = 0, k = 0;
	enum status st = tally_init(&told, 1024, UINT32_MAX);

	if (st != ST_OK)
		return st;
	st = index_counts(c->look, &all, &told);
	if (st != ST_OK) {
		tally_free(&told);
		found(c, "store: the counters cannot be read: %s", status_name(st));
		return ST_OK;
	}
	tally_sort(&told);
	tally_sort(&c->counted);
	while (i < told.n || k < c->counted.n) {
		int order = i == told.n ? 1 : k == c->counted.n ? -1 :
			    tally_order(&told.rows[i], &c->counted.rows[k]);

		counts_compare(c, order <= 0 ? &told.rows[i] : NULL,
			       order >= 0 ? &c->counted.rows[k] : NULL);
		i += order <= 0;
		k += order >= 0;
	}
	tally_free(&told);
	return ST_OK;
}

static enum status walk_all(struct check *c, struct framewalk *w, struct error *e)
{
	struct framewalk_place place;
	struct frame_view v;
	enum status st;

	for (;;) {
		st = framewalk_next(w, &v, e);
		if (st == ST_OK)
			st = frame_records(c, &v);
		else if (st == ST_DAMAGED)
			st = (found(c, "%s", e->text), framewalk_skip(w)) ? ST_OK : ST_NOT_FOUND;
		if (st != ST_OK)
			break;
	}
	if (st != ST_NOT_FOUND)
		return st;
	framewalk_at(w, &place);
	if (c->watermark > place.end)
		found(c, "store: the segments end at %llu, the index knows results up to %llu",
		      (unsigned long long)place.end, (unsigned long long)c->watermark);
	return ST_OK;
}

static enum status index_open(struct check *c, const char *dir, struct error *e)
{
	enum status st = store_index_look(&c->index, dir, &c->marks, &c->known, e);

	if (st == ST_OK)
		st = index_reader_open(&c->look, c->index, e);
	if (st == ST_OK) {
		c->reader.index = c->look;
		c->watermark = store_index_place(c->index).watermark;
		return ST_OK;
	}
	/* Without an index nothing is wrong: it is made at the next start. */
	if (st == ST_CORRUPT || st == ST_UNSUPPORTED)
		found(c, "store: the index cannot be used: %s", e->text);
	return st == ST_NOMEM || st == ST_IO ? st : ST_OK;
}

/* Without a depot every copy's original is missing. */
static enum status objects_find(struct check *c, const char *dir, struct error *e)
{
	char path[PATH_MAX + sizeof(OBJECTS_FOLDER) + 1];
	enum status st;

	snprintf(path, sizeof(path), "%s/%s", dir, OBJECTS_FOLDER);
	st = objects_look(&c->home.objects, path, e);
	return st == ST_NOT_FOUND ? ST_OK : st;
}

static enum status prepare(struct check *c, const char *dir, struct framewalk *w, struct error *e)
{
	struct framewalk_place place;
	enum status st = layers_init(&c->home.layers);

	framewalk_at(w, &place);
	c->reader.home = &c->home;
	logreader_init(&c->reader.log, dir, place.segment_bytes);
	c->reader.hash = sha256_new();
	c->reader.piece = malloc(OBJECT_PIECE_BYTES);
	if (c->reader.hash == NULL || c->reader.piece == NULL)
		st = ST_NOMEM;
	if (st == ST_OK)
		st = objects_find(c, dir, e);
	if (st == ST_OK)
		st = layers_init(&c->known);
	if (st == ST_OK)
		st = tally_init(&c->counted, 1024, UINT32_MAX);
	if (st == ST_OK)
		st = marks_init(&c->marks);
	return st == ST_OK ? index_open(c, dir, e) : st;
}

static void finish(struct check *c)
{
	index_reader_close(c->look);
	store_index_close(c->index);
	logreader_close(&c->reader.log);
	sha256_free(c->reader.hash);
	tally_free(&c->counted);
	free(c->reader.record.p);
	free(c->reader.other.p);
	free(c->reader.body.p);
	spliced_free(&c->file.file);
	object_close(&c->file.object);
	free(c->reader.piece);
	objects_close(c->home.objects);
	layers_free(&c->home.layers);
	layers_free(&c->known);
	marks_free(&c->marks);
}

enum status store_embedded_check(const char *dir, void (*report)(void *ctx, const char *line),
				 void *ctx, uint64_t *results, struct error *e)
{
	struct check *c = calloc(1, sizeof(*c));
	struct framewalk *w = NULL;
	enum status st;

	*results = 0;
	if (c == NULL)
		return ST_NOMEM;
	c->report = report;
	c->ctx = ctx;
	c->marks.fd = -1;
	c->file.object.fd = -1;
	pthread_mutex_init(&c->home.checked.lock, NULL);
	st = framewalk_open(&w, dir, FRAME_STORE, e);
	if (st == ST_DAMAGED)
		found(c, "%s", e->text);
	if (st == ST_OK)
		st = prepare(c, dir, w, e);
	if (st == ST_OK)
		st = walk_all(c, w, e);
	if (st == ST_OK && c->look != NULL) {
		index_totals(c);
		st = count_totals(c);
	}
	*results = c->results;
	if (st == ST_OK && c->findings > 0)
		st = error_set(e, ST_CORRUPT, "%s: %llu findings", dir,
			       (unsigned long long)c->findings);
	framewalk_close(w);
	finish(c);
	free(c);
	return st;
}
