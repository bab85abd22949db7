/*
 * The embedded store looked at by another process: what it answers, that it follows, and that
 * nothing in the folder changes by it, whatever its writer is doing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/landlock.h"
#include "shell.h"
#include "store/embedded.h"
#include "store/index_parts.h"
#include "storesame.h"
#include "tmpdir.h"

#define SEGMENT_BYTES (256u * 1024)

/* ---- the contract: every answer through one who looks ---- */

struct fixture {
	struct storesame same;		/* first */
	struct tmpdir tmp;
	char dir[300];
	struct store *look;
	struct store_ops both;		/* acts go to the writer, questions to who looks */
	uint32_t opened;
};

/* Calls of a store or a reader have no other way to these. */
static struct store *looked_at;
static const struct store_ops *writer_ops;

static struct store_reader *now(struct store_reader *r)
{
	atomic_store(&((struct embedded *)looked_at)->look->due_ns, 0);
	return r;
}

static enum status reader_open(struct store *s, struct store_reader **r, struct error *e)
{
	return looked_at->ops->reader_open(looked_at, r, e);
}

static enum status marks(struct store *s, void (*cb)(void *, const struct register_mark *),
			 void *ctx, struct error *e)
{
	return looked_at->ops->marks(looked_at, cb, ctx, e);
}

static enum status get(struct store_reader *r, uint8_t lane, uint64_t sequence,
		       struct result_view *out)
{
	return looked_at->ops->get(now(r), lane, sequence, out);
}

static enum status read_file(struct store_reader *r, uint8_t lane, uint64_t sequence,
			     uint64_t offset, uint8_t *buf, size_t *n)
{
	return looked_at->ops->read(now(r), lane, sequence, offset, buf, n);
}

static enum status object(struct store_reader *r, const uint8_t sha256[SHA256_BYTES],
			  struct slice *out)
{
	return looked_at->ops->object(now(r), sha256, out);
}

static enum status history(struct store_reader *r, uint8_t lane, uint64_t sequence, uint32_t max,
			   struct result_event *out, uint32_t *n)
{
	return looked_at->ops->history(now(r), lane, sequence, max, out, n);
}

static enum status shares(struct store_reader *r, uint8_t lane, uint64_t sequence,
			  void (*one)(void *, const struct result_event *), void *ctx)
{
	return looked_at->ops->shares(now(r), lane, sequence, one, ctx);
}

static enum status list(struct store_reader *r, const uint8_t key[16], uint64_t before,
			uint32_t max, struct holding_view *out, uint32_t *n)
{
	return looked_at->ops->list(now(r), key, before, max, out, n);
}

static enum status readings(struct store_reader *r, const uint8_t key[16], uint64_t before,
			    uint32_t max, void (*one)(void *, const struct reading_view *),
			    void *ctx, uint64_t *last)
{
	return looked_at->ops->readings(now(r), key, before, max, one, ctx, last);
}

static enum status find_case(struct store_reader *r, struct slice unit, struct slice code,
			     uint32_t max, uint8_t *lanes, uint64_t *sequences, uint32_t *n)
{
	return looked_at->ops->find_case(now(r), unit, code, max, lanes, sequences, n);
}

static enum status find_number(struct store_reader *r, struct slice unit, struct slice code,
			       uint32_t year, uint64_t number, uint8_t *lane, uint64_t *sequence)
{
	return looked_at->ops->find_number(now(r), unit, code, year, number, lane, sequence);
}

static enum status book(struct store_reader *r, struct slice unit, struct slice code,
			uint32_t year, uint64_t after, uint32_t max,
			bool (*cb)(void *, const struct book_entry *), void *ctx, uint32_t *n)
{
	return looked_at->ops->book(now(r), unit, code, year, after, max, cb, ctx, n);
}

static enum status counts(struct store_reader *r, const struct counts_question *q,
			  struct tally *out)
{
	return looked_at->ops->counts(now(r), q, out);
}

static void close_both(struct store *s)
{
	looked_at->ops->close(looked_at);
	writer_ops->close(s);
}

static void both_open(struct fixture *f)
{
	struct store_config cfg = { .sink = storewait_sink(&f->same.wait, SAME_NOW_MS),
				    .dir = f->dir, .segment_bytes = SEGMENT_BYTES,
				    .objects = f->same.objects };
	struct error e = { 0 };

	if (store_embedded_open(&f->same.store, &cfg, &e) != ST_OK ||
	    store_look_embedded(&f->look, &cfg, &e) != ST_OK)
		fail_msg("%s", e.text);
	looked_at = f->look;
	writer_ops = f->same.store->ops;
	f->both = *writer_ops;
	f->both.close = close_both;
	f->both.marks = marks;
	f->both.reader_open = reader_open;
	f->both.get = get;
	f->both.read = read_file;
	f->both.object = object;
	f->both.history = history;
	f->both.shares = shares;
	f->both.list = list;
	f->both.readings = readings;
	f->both.find_case = find_case;
	f->both.find_number = find_number;
	f->both.book = book;
	f->both.counts = counts;
	f->same.store->ops = &f->both;
	same_opened(&f->same);
}

static void reopen(struct storesame *same)
{
	struct fixture *f = (struct fixture *)same;

	same_close(same);
	if (f->opened++ % 2 == 1)
		assert_int_equal(shell("rm %s/index.db*", f->dir), 0);
	both_open(f);
}

static int event_rows(struct storesame *same)
{
	const struct embedded *s = (const struct embedded *)looked_at;
	uint64_t n = 0;

	assert_int_equal(index_rows(s->self->index, ROW_EVENT, &n), ST_OK);
	for (uint32_t i = 0; i < s->index->rows_n; i++)
		n += s->index->rows[i].table == ROW_EVENT;
	return (int)n;
}

static bool spoil_one(void *ctx, const uint8_t sha256[SHA256_BYTES], uint64_t size)
{
	char hex[2 * SHA256_BYTES + 1] = { 0 };

	hex_lower(hex, sha256, SHA256_BYTES);
	assert_int_equal(shell("printf x | dd of=%s/objects/%.2s/%s bs=1 seek=777777 conv=notrunc"
			       " 2>/dev/null", (const char *)ctx, hex, hex + 2), 0);
	return true;
}

static void spoil(struct storesame *same)
{
	struct fixture *f = (struct fixture *)same;
	struct error e = { 0 };
	char path[400];

	snprintf(path, sizeof(path), "%s/objects", f->dir);
	assert_int_equal(objects_walk(path, false, spoil_one, f->dir, &e), ST_OK);
}

static int both_setup(void **state)
{
	char objects[400];
	struct fixture *f = calloc(1, sizeof(*f));

	*state = f;
	if (f == NULL || tmpdir_make(&f->tmp) != 0 ||
	    storecase_open(&f->same.sc, 3, 20, 3000, 900) != 0)
		return -1;
	snprintf(f->dir, sizeof(f->dir), "%s/store", f->tmp.path);
	f->same.reopen = reopen;
	f->same.event_rows = event_rows;
	f->same.spoil = spoil;
	snprintf(objects, sizeof(objects), "%s/objects", f->dir);
	if (objects_open(&f->same.objects, objects, NULL) != ST_OK)
		return -1;
	both_open(f);
	return 0;
}

static int both_teardown(void **state)
{
	struct fixture *f = *state;

	same_close(&f->same);
	objects_close(f->same.objects);
	storecase_close(&f->same.sc);
	tmpdir_remove(&f->tmp);
	free(f);
	return 0;
}

/* ---- two processes ---- */

/*
 * Told by a letter and a number, each answers with one byte: '.' or what went wrong. SQLite's own
 * book of open files is a process's, so whoever looks has never had the store open to write.
 */
struct order { char what; uint32_t n; };

struct pair {
	struct tmpdir tmp;
	char dir[300], before[300], after[300];
	int writer, looker;		/* sockets */
	pid_t pids[2];
};

/* All of it: what stands there, of which bytes, written when. */
static void remember(struct pair *p, const char *to)
{
	assert_int_equal(shell("cd %s && find . -printf '%%p %%s %%m %%T@\n' | sort > %s && "
			       "find . -type f -print0 | sort -z | xargs -0 sha256sum >> %s",
			       p->dir, to, to), 0);
}

static void unchanged(struct pair *p)
{
	remember(p, p->after);
	assert_int_equal(shell("diff %s %s", p->before, p->after), 0);
}

struct worker { struct storesame same; const char *dir; };

static bool write_open(struct worker *w)
{
	struct store_config cfg = { .sink = storewait_sink(&w->same.wait, SAME_NOW_MS),
				    .dir = w->dir, .segment_bytes = SEGMENT_BYTES };

	return store_embedded_open(&w->same.store, &cfg, NULL) == ST_OK &&
	       w->same.store->ops->reader_open(w->same.store, &w->same.reader, NULL) == ST_OK;
}

/* Rows leave memory for the index's file. */
static bool write_flush(struct worker *w)
{
	struct embedded *s = (struct embedded *)w->same.store;
	struct index_place at = { .watermark = s->log.end, .frame = s->log.last,
				  .crc = s->log.prev };

	return store_index_flush(s->index, &at, NULL) == ST_OK;
}

static bool write_do(struct worker *w, struct order o)
{
	switch (o.what) {
	case 'o':
		return write_open(w);
	case 'p':
		storecase_fill(&w->same.sc, o.n, 10);
		return same_put_batch(&w->same) == ST_OK;
	case 'f':
		return write_flush(w);
	case 'c':
		same_close(&w->same);
		return true;
	case 'i':
		store_index_remove(w->dir);
		return true;
	default:
		return false;
	}
}

/* Results 0 … n are all there, and no more. */
static bool look_all(struct worker *w, uint32_t n)
{
	const struct store_ops *ops = w->same.store->ops;
	uint8_t got[16384];
	struct result_view v;

	for (uint32_t k = 0; k < n; k += 10) {
		storecase_fill(&w->same.sc, k, 10);
		for (uint32_t i = 0; i < 10; i++) {
			const struct item *it = &w->same.sc.b->items[i];
			size_t size, room = sizeof(got);
			uint8_t *want = storecase_file(it, &size), lane;
			uint64_t sequence;
			bool same = same_get(&w->same, k + i, &v) == ST_OK &&
				    ops->read(w->same.reader, it->lane, it->sequence, 0, got,
					      &room) == ST_OK &&
				    room == size && memcmp(got, want, size) == 0 &&
				    ops->find_number(w->same.reader, v.unit, v.register_code,
						     v.register_year, v.number, &lane,
						     &sequence) == ST_OK &&
				    sequence == it->sequence;

			free(want);
			if (!same)
				return false;
		}
	}
	return same_get(&w->same, n, &v) == ST_NOT_FOUND;
}

static bool look_do(struct worker *w, struct order o)
{
	struct store_config cfg = { .dir = w->dir };

	switch (o.what) {
	case 'l': {
		const char *ro[] = { w->dir };
		const struct landlock_paths paths = { NULL, 0, ro, 1 };
		enum status st = landlock_exclude_others(&paths, NULL);

		return st == ST_OK || st == ST_UNSUPPORTED;
	}
	case 'o':
		return store_look_embedded(&w->same.store, &cfg, NULL) == ST_OK &&
		       w->same.store->ops->reader_open(w->same.store, &w->same.reader,
						       NULL) == ST_OK;
	case 'r':
		atomic_store(&((struct embedded *)w->same.store)->look->due_ns, 0);
		return look_all(w, o.n);
	case 'c':
		same_close(&w->same);
		return true;
	default:
		return false;
	}
}

static void work(int fd, const char *dir, bool (*act)(struct worker *w, struct order o))
{
	struct worker w = { .dir = dir };
	struct order o;

	if (storecase_open(&w.same.sc, 3, 20, 3000, 900) != 0)
		_exit(1);
	while (read(fd, &o, sizeof(o)) == sizeof(o)) {
		char answer = act(&w, o) ? '.' : o.what;

		if (write(fd, &answer, 1) != 1)
			break;
	}
	_exit(0);
}

static int start(struct pair *p, int i, bool (*act)(struct worker *w, struct order o))
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	p->pids[i] = fork();
	assert_true(p->pids[i] >= 0);
	if (p->pids[i] == 0) {
		close(ends[0]);
		work(ends[1], p->dir, act);
	}
	close(ends[1]);
	return ends[0];
}

static void stop(struct pair *p, int i)
{
	kill(p->pids[i], SIGKILL);
	waitpid(p->pids[i], NULL, 0);
}

static void tell(int fd, char what, uint32_t n)
{
	struct order o = { what, n };
	char answer = 0;

	assert_int_equal(write(fd, &o, sizeof(o)), sizeof(o));
	assert_int_equal(read(fd, &answer, 1), 1);
	assert_int_equal(answer, '.');
}

static int pair_setup(void **state)
{
	struct pair *p = calloc(1, sizeof(*p));

	*state = p;
	if (p == NULL || tmpdir_make(&p->tmp) != 0)
		return -1;
	snprintf(p->dir, sizeof(p->dir), "%s/st%%ore", p->tmp.path);
	snprintf(p->before, sizeof(p->before), "%s/before", p->tmp.path);
	snprintf(p->after, sizeof(p->after), "%s/after", p->tmp.path);
	p->writer = start(p, 0, write_do);
	p->looker = start(p, 1, look_do);
	tell(p->writer, 'o', 0);
	tell(p->writer, 'p', 0);
	tell(p->looker, 'l', 0);
	return 0;
}

static int pair_teardown(void **state)
{
	struct pair *p = *state;

	shell("chmod -R u+w '%s'", p->dir);
	stop(p, 0);
	stop(p, 1);
	close(p->writer);
	close(p->looker);
	tmpdir_remove(&p->tmp);
	free(p);
	return 0;
}

static void test_beside_its_writer(void **state)
{
	struct pair *p = *state;

	tell(p->looker, 'o', 0);
	tell(p->looker, 'r', 10);
	for (uint32_t k = 10; k < 140; k += 10) {
		tell(p->writer, 'p', k);
		if (k % 30 == 0)
			tell(p->writer, 'f', 0);
		remember(p, p->before);
		tell(p->looker, 'r', k + 10);
		unchanged(p);
	}
}

static void test_opened_after_a_flush(void **state)
{
	struct pair *p = *state;

	tell(p->writer, 'f', 0);
	tell(p->writer, 'p', 10);
	remember(p, p->before);
	tell(p->looker, 'o', 0);
	tell(p->looker, 'r', 20);
	tell(p->looker, 'c', 0);
	unchanged(p);
}

/* Its log and what its readers share are left behind, and nobody has put them in order. */
static void test_behind_a_killed_writer(void **state)
{
	struct pair *p = *state;

	tell(p->writer, 'f', 0);
	tell(p->writer, 'p', 10);
	stop(p, 0);
	remember(p, p->before);
	tell(p->looker, 'o', 0);
	tell(p->looker, 'r', 20);
	tell(p->looker, 'c', 0);
	unchanged(p);
	/* The next one goes on, and is seen. */
	tell(p->looker, 'o', 0);
	close(p->writer);
	p->writer = start(p, 0, write_do);
	tell(p->writer, 'o', 0);
	tell(p->writer, 'p', 20);
	tell(p->writer, 'f', 0);
	tell(p->writer, 'p', 30);
	tell(p->looker, 'r', 40);
}

static void test_while_it_is_away(void **state)
{
	struct pair *p = *state;

	tell(p->writer, 'p', 10);
	tell(p->writer, 'c', 0);
	assert_int_equal(shell("chmod -R a-w '%s'", p->dir), 0);
	assert_int_not_equal(shell("ls '%s' | grep -q -e -wal -e -shm", p->dir), 0);
	remember(p, p->before);
	tell(p->looker, 'o', 0);
	tell(p->looker, 'r', 20);
	unchanged(p);
	assert_int_equal(shell("chmod -R u+w '%s'", p->dir), 0);
	/* It comes, and goes again, under one who looks on. */
	tell(p->writer, 'o', 0);
	tell(p->writer, 'p', 20);
	tell(p->looker, 'r', 30);
	tell(p->writer, 'f', 0);
	tell(p->writer, 'c', 0);
	remember(p, p->before);
	tell(p->looker, 'r', 30);
	tell(p->looker, 'c', 0);
	unchanged(p);
	tell(p->looker, 'o', 0);
	tell(p->looker, 'r', 30);
}

/* Made again at its start: another file, whose registers may have other ids. */
static void test_another_index(void **state)
{
	struct pair *p = *state;

	tell(p->writer, 'f', 0);
	tell(p->looker, 'o', 0);
	tell(p->looker, 'r', 10);
	tell(p->writer, 'c', 0);
	tell(p->writer, 'i', 0);
	tell(p->looker, 'r', 10);
	tell(p->writer, 'o', 0);
	tell(p->writer, 'p', 10);
	tell(p->writer, 'f', 0);
	tell(p->looker, 'r', 20);
}

static void test_no_store(void **state)
{
	struct store_config cfg = { .dir = "/nonexistent" };
	struct store *s = NULL;
	struct error e = { 0 };

	assert_int_equal(store_look_embedded(&s, &cfg, &e), ST_PRECONDITION);
	assert_non_null(strstr(e.text, "/nonexistent"));
}

#define PAIR(test) cmocka_unit_test_setup_teardown(test, pair_setup, pair_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PAIR(test_beside_its_writer),
		PAIR(test_opened_after_a_flush),
		PAIR(test_behind_a_killed_writer),
		PAIR(test_while_it_is_away),
		PAIR(test_another_index),
		cmocka_unit_test(test_no_store),
		SAME_TESTS(both_setup, both_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
