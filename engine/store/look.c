#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "io/io.h"
#include "store/embedded.h"

#define FRESH_NS 10000000ull		/* how old what is shown may be */
#define AFTER_DAMAGE_NS 1000000000ull
#define TRIES 3
#define OPEN_TRIES 100
#define PAUSE_NS 5000000

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = PAUSE_NS }, NULL);
}

/* ---- following ---- */

/* A reader's connection is to the index file of now. */
static enum status reader_adapt(struct store_reader *r, struct error *e)
{
	struct embedded *s = r->home;
	enum status st;

	if (r->log.segment_bytes != s->log.segment_bytes) {
		logreader_close(&r->log);
		logreader_init(&r->log, s->dir, s->log.segment_bytes);
	}
	if (r->looked == s->look->generation)
		return ST_OK;
	index_reader_close(r->index);
	r->index = NULL;
	st = index_reader_open(&r->index, s->index, e);
	if (st == ST_OK)
		r->looked = s->look->generation;
	return st;
}

static enum status index_open(struct embedded *s, struct error *e)
{
	struct store_index *newer = NULL;
	enum status st = store_index_watch(&newer, s->dir, &s->marks, &s->layers, e);

	if (st != ST_OK)
		return st;
	store_index_close(s->index);
	s->index = newer;
	s->look->generation++;
	return s->self == NULL ? reader_new(s, &s->self, e) : ST_OK;
}

static enum status walk_open(struct embedded *s, struct error *e)
{
	struct index_place known = store_index_place(s->index);
	struct look *l = s->look;
	enum status st;

	if (l->walk != NULL && known.frame != 0 &&
	    framewalk_seek(l->walk, known.frame, known.crc) == ST_OK)
		return ST_OK;
	framewalk_close(l->walk);
	l->walk = NULL;
	st = framewalk_open(&l->walk, s->dir, FRAME_STORE, e);
	if (st == ST_OK && known.frame != 0 &&
	    framewalk_seek(l->walk, known.frame, known.crc) != ST_OK)
		st = error_set(e, ST_AGAIN, "%s: the index belongs to other segments; it is made "
			       "again when the engine starts", s->dir);
	return st;
}

static void objects_find(struct embedded *s)
{
	char path[PATH_MAX + sizeof(OBJECTS_FOLDER) + 1];

	snprintf(path, sizeof(path), "%s/%s", s->dir, OBJECTS_FOLDER);
	if (s->objects == NULL && objects_look(&s->objects, path, NULL) != ST_OK)
		s->objects = NULL;
}

static void segments_sized(struct embedded *s)
{
	struct framewalk_place at;

	framewalk_at(s->look->walk, &at);
	s->log.segment_bytes = at.segment_bytes;
}

/* What the file knows by now, and nothing else. */
static enum status again(struct embedded *s, struct error *e)
{
	enum status st = store_index_again(s->index, e);

	if (st == ST_OK)
		st = walk_open(s, e);
	if (st != ST_OK)
		return st;
	objects_find(s);
	segments_sized(s);
	return reader_adapt(s->self, e);
}

/* A frame that another process is just writing may look like damage, but not for long. */
static enum status damage(struct embedded *s, const struct error *e)
{
	struct look *l = s->look;

	framewalk_close(l->walk);
	l->walk = NULL;
	if (++l->damages < TRIES)
		return ST_AGAIN;
	if (l->damages == TRIES)
		log_error("store", "%s; what follows is not seen; run fsck", e->text);
	atomic_store(&l->due_ns, io_boot_ns() + AFTER_DAMAGE_NS);
	return ST_OK;
}

/* All that was written since. ST_FULL: the writer has taken rows to its file in between. */
static enum status frames_take(struct embedded *s, struct error *e)
{
	struct look *l = s->look;
	struct error why = { 0 };
	struct frame_view v;
	enum status st;

	while ((st = framewalk_next(l->walk, &v, &why)) == ST_OK) {
		segments_sized(s);
		st = reader_adapt(s->self, e);
		if (st == ST_OK && !store_index_room(s->index, embedded_records(&v)))
			st = ST_FULL;
		if (st == ST_OK)
			st = embedded_apply(s, &v, e);
		if (st != ST_OK)
			return st;
	}
	if (st == ST_DAMAGED)
		return damage(s, &why);
	if (st != ST_NOT_FOUND)
		return error_set(e, st, "%s", why.text);
	l->damages = 0;
	/* Torn, and nobody goes on: it is not gone through again each time. */
	if (framewalk_grew(l->walk))
		atomic_store(&l->due_ns, io_boot_ns() + AFTER_DAMAGE_NS / 10);
	return ST_OK;
}

static enum status follow_once(struct embedded *s, struct error *e)
{
	bool moved = false;
	enum status st = ST_OK;

	if (s->index == NULL || store_index_replaced(s->index)) {
		st = index_open(s, e);
		moved = true;
	} else {
		st = store_index_moved(s->index, &moved, e);
	}
	if (st == ST_OK && (moved || s->look->walk == NULL)) {
		st = again(s, e);
		moved = true;
	}
	if (st == ST_OK && (moved || framewalk_grew(s->look->walk)))
		st = frames_take(s, e);
	return st;
}

/* Alone. */
static enum status follow(struct embedded *s, struct error *e)
{
	enum status st = ST_AGAIN;

	atomic_store(&s->look->due_ns, io_boot_ns() + FRESH_NS);
	for (int i = 0; i < TRIES && (st == ST_AGAIN || st == ST_FULL); i++)
		st = follow_once(s, e);
	if (st == ST_OK)
		return ST_OK;
	/* What is known is not all: nobody is to take it for that. */
	atomic_store(&s->look->due_ns, 0);
	return st == ST_FULL ? error_set(e, ST_AGAIN, "%s: the index is being made", s->dir) : st;
}

/* ---- one call ---- */

/* record: the reader's is used again for another's, or is nobody's. */
struct turn { enum status st; uint32_t tries; bool in, once, record; };

static enum status enter(struct embedded *s, struct store_reader *r, bool now)
{
	struct look *l = s->look;
	enum status st = ST_OK;

	if (now || io_boot_ns() >= atomic_load(&l->due_ns)) {
		pthread_rwlock_wrlock(&l->lock);
		if (now || io_boot_ns() >= atomic_load(&l->due_ns))
			st = follow(s, NULL);
		pthread_rwlock_unlock(&l->lock);
	}
	if (st != ST_OK)
		return st;
	pthread_rwlock_rdlock(&l->lock);
	st = reader_adapt(r, NULL);
	if (st != ST_OK)
		pthread_rwlock_unlock(&l->lock);
	return st;
}

/* Whether what came out is to be taken as it is. */
static bool leave(struct embedded *s, struct turn *t)
{
	bool stale = store_index_unguarded(s->index) && store_index_replaced(s->index);

	t->in = false;
	pthread_rwlock_unlock(&s->look->lock);
	if (stale)
		t->st = ST_AGAIN;
	return t->st != ST_AGAIN && t->st != ST_UNAVAILABLE && t->st != ST_CORRUPT;
}

/*
 * while (turn(r, &t)) t.st = the call: once, and again where its writer has changed the file under
 * it. What leads nowhere is looked at again, too: registers may have got other ids.
 */
static bool turn(struct store_reader *r, struct turn *t)
{
	struct embedded *s = r->home;

	if (t->in && leave(s, t))
		return false;
	while (t->tries < (t->once ? 1 : TRIES)) {
		if (t->tries > 0 && t->st == ST_AGAIN)
			pause_briefly();
		t->st = enter(s, r, t->tries++ > 0);
		if (t->st == ST_OK) {
			t->in = true;
			if (t->record)
				r->held = 0;
			return true;
		}
		if (t->st != ST_AGAIN)
			break;
	}
	if (t->st == ST_AGAIN)
		t->st = ST_UNAVAILABLE;
	return false;
}

static enum status look_get(struct store_reader *r, uint8_t lane, uint64_t sequence,
			    struct result_view *out)
{
	struct turn t = { 0 };

	while (turn(r, &t))
		t.st = embedded_get(r, lane, sequence, out);
	return t.st;
}

static enum status look_read(struct store_reader *r, uint8_t lane, uint64_t sequence,
			     uint64_t offset, uint8_t *buf, size_t *n)
{
	struct turn t = { 0 };
	size_t room = *n;

	while (turn(r, &t)) {
		*n = room;
		t.st = embedded_read(r, lane, sequence, offset, buf, n);
	}
	return t.st;
}

static enum status look_object(struct store_reader *r, const uint8_t sha256[SHA256_BYTES],
			       struct slice *out)
{
	struct turn t = { 0 };

	while (turn(r, &t))
		t.st = embedded_object(r, sha256, out);
	return t.st;
}

static enum status look_history(struct store_reader *r, uint8_t lane, uint64_t sequence,
				uint32_t max, struct result_event *out, uint32_t *n)
{
	struct turn t = { 0 };

	while (turn(r, &t))
		t.st = embedded_history(r, lane, sequence, max, out, n);
	return t.st;
}

static enum status look_shares(struct store_reader *r, uint8_t lane, uint64_t sequence,
			       void (*one)(void *ctx, const struct result_event *v), void *ctx)
{
	struct turn t = { .once = true };

	while (turn(r, &t))
		t.st = embedded_shares(r, lane, sequence, one, ctx);
	return t.st;
}

static enum status look_list(struct store_reader *r, const uint8_t holder_key[16],
			     uint64_t before, uint32_t max, struct holding_view *out, uint32_t *n)
{
	struct turn t = { .record = true };

	while (turn(r, &t))
		t.st = embedded_list(r, holder_key, before, max, out, n);
	return t.st;
}

static enum status look_readings(struct store_reader *r, const uint8_t holder_key[16],
				 uint64_t before, uint32_t max,
				 void (*one)(void *ctx, const struct reading_view *v), void *ctx,
				 uint64_t *last)
{
	struct turn t = { .once = true, .record = true };

	while (turn(r, &t))
		t.st = embedded_readings(r, holder_key, before, max, one, ctx, last);
	return t.st;
}

static enum status look_find_case(struct store_reader *r, struct slice unit, struct slice code,
				  uint32_t max, uint8_t *lanes, uint64_t *sequences, uint32_t *n)
{
	struct turn t = { .record = true };

	while (turn(r, &t))
		t.st = embedded_find_case(r, unit, code, max, lanes, sequences, n);
	return t.st;
}

static enum status look_names(struct store_reader *r, uint8_t lane, uint64_t after, uint64_t upto,
			      uint32_t max, struct result_name *out, uint32_t *n)
{
	struct turn t = { .record = true };

	while (turn(r, &t))
		t.st = embedded_names(r, lane, after, upto, max, out, n);
	return t.st;
}

static enum status look_find_number(struct store_reader *r, struct slice unit,
				    struct slice register_code, uint32_t year, uint64_t number,
				    uint8_t *lane, uint64_t *sequence)
{
	struct turn t = { .record = true };

	while (turn(r, &t))
		t.st = embedded_find_number(r, unit, register_code, year, number, lane, sequence);
	return t.st;
}

static enum status look_book(struct store_reader *r, struct slice unit, struct slice code,
			     uint32_t year, uint64_t after, uint32_t max,
			     bool (*cb)(void *ctx, const struct book_entry *row), void *ctx,
			     uint32_t *n)
{
	struct turn t = { .once = true, .record = true };

	while (turn(r, &t))
		t.st = embedded_book(r, unit, code, year, after, max, cb, ctx, n);
	return t.st;
}

static enum status look_counts(struct store_reader *r, const struct counts_question *q,
			       struct tally *out)
{
	struct turn t = { 0 };

	while (turn(r, &t))
		t.st = embedded_counts(r, q, out);
	return t.st;
}

/* ---- opening ---- */

static enum status look_marks(struct store *store, void (*cb)(void *ctx,
			      const struct register_mark *m), void *ctx, struct error *e)
{
	struct embedded *s = (struct embedded *)store;
	enum status st;

	pthread_rwlock_wrlock(&s->look->lock);
	st = follow(s, e);
	for (uint32_t i = 0; st == ST_OK && i < s->marks.n; i++)
		if (s->marks.of[i].about.highest > 0)
			cb(ctx, &s->marks.of[i].about);
	pthread_rwlock_unlock(&s->look->lock);
	return st == ST_AGAIN ? ST_UNAVAILABLE : st;
}

static enum status look_reader_open(struct store *store, struct store_reader **r, struct error *e)
{
	struct embedded *s = (struct embedded *)store;
	enum status st;

	pthread_rwlock_wrlock(&s->look->lock);
	st = reader_new(s, r, e);
	if (st == ST_OK)
		(*r)->looked = s->look->generation;
	pthread_rwlock_unlock(&s->look->lock);
	return st == ST_AGAIN ? ST_UNAVAILABLE : st;
}

static void look_close(struct store *store)
{
	struct embedded *s = (struct embedded *)store;

	embedded_reader_close(s->self);
	framewalk_close(s->look->walk);
	store_index_close(s->index);
	objects_close(s->objects);
	layers_free(&s->layers);
	marks_free(&s->marks);
	pthread_mutex_destroy(&s->checked.lock);
	pthread_mutex_destroy(&s->writer);
	pthread_rwlock_destroy(&s->look->lock);
	free(s->look);
	free(s);
}

static const struct store_ops look_ops = {
	.name = "embedded", .close = look_close, .marks = look_marks,
	.reader_open = look_reader_open, .reader_close = embedded_reader_close,
	.get = look_get, .read = look_read, .object = look_object, .list = look_list,
	.readings = look_readings, .history = look_history, .shares = look_shares,
	.find_case = look_find_case,
	.names = look_names, .unchecked = embedded_unchecked,
	.find_number = look_find_number, .book = look_book, .counts = look_counts,
};

static enum status look_new(struct embedded **out)
{
	pthread_rwlockattr_t fair;
	struct embedded *s = calloc(1, sizeof(*s));
	struct look *l = calloc(1, sizeof(*l));

	if (s == NULL || l == NULL) {
		free(s);
		free(l);
		return ST_NOMEM;
	}
	/* Readers that follow each other closely must not keep all of them from what is new. */
	pthread_rwlockattr_init(&fair);
	pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&l->lock, &fair);
	pthread_rwlockattr_destroy(&fair);
	pthread_mutex_init(&s->writer, NULL);
	pthread_mutex_init(&s->checked.lock, NULL);
	s->store.ops = &look_ops;
	s->look = l;
	s->log.fd = -1;
	s->marks.fd = -1;
	*out = s;
	return ST_OK;
}

enum status store_look_embedded(struct store **out, const struct store_config *cfg,
				struct error *e)
{
	struct embedded *s = NULL;
	enum status st = look_new(&s);

	if (st != ST_OK)
		return st;
	snprintf(s->dir, sizeof(s->dir), "%s", cfg->dir);
	st = layers_init(&s->layers);
	if (st == ST_OK)
		st = marks_init(&s->marks);
	if (st == ST_OK)
		st = follow(s, e);
	for (int i = 0; i < OPEN_TRIES && st == ST_AGAIN; i++) {
		pause_briefly();
		st = follow(s, e);
	}
	if (st != ST_OK) {
		look_close(&s->store);
		if (st == ST_UNSUPPORTED)
			return error_set(e, ST_PRECONDITION, "%s: the index is of another version; "
					 "it is made again when this version's engine starts",
					 cfg->dir);
		return st == ST_AGAIN ? error_set(e, ST_UNAVAILABLE, "%s", e->text) :
		       st == ST_NOT_FOUND ? error_set(e, ST_PRECONDITION,
						      "%s: there is no index yet; it is made when "
						      "the engine starts", cfg->dir) : st;
	}
	*out = &s->store;
	return ST_OK;
}
