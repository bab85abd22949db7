/*
 * A backup is a data folder as a crash at one moment would have left it, which is what the engine's
 * start knows how to go on from. While the engine runs, that moment is put together from parts:
 *
 * - Counters, key index and waiting room are copied first, and must not have changed at the end.
 * - Then the store's end is noted, and after it the journal is copied up to its own end. So every
 *   number in the store is in the journal. What the journal says is stored must be in the store,
 *   too: that holds if it said no such thing since the store's end was noted. Else again.
 * - The store only grows: its copy up to that end can take its time. Its index is made again.
 * - Originals of copies are there before a record names them, and stay: they are copied last; those
 *   that wait before those of stored results, as they only move there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/datacopy.h"
#include "cli/options.h"
#include "client/failure.h"
#include "client/protojson.h"
#include "io/file.h"
#include "journal/record.h"
#include "objects/objects.h"

#define ATTEMPTS 20			/* of the whole moment */
#define MOMENTS 100			/* of the journal saying nothing of the store */
#define PAUSE_MS 100

static const char backup_usage[] =
	"trien backup [--data DIR] TARGET [--with-keys] [--without-store] [--json]\n"
	"\n"
	"Copies a data folder, of a stopped or a running engine, into the new folder TARGET, and\n"
	"lists every file there with its checksum. TARGET appears only when it is complete. The\n"
	"private keys (DIR/keys, DIR/tls) and secrets of remote signing (DIR/remote) stay out\n"
	"unless asked for; the secret behind the result ids and everybody's results are in it:\n"
	"keep it as you keep the data folder.\n"
	"--without-store leaves the results out: that is how a journal's mirror begins.\n"
	"DIR: left out, TRIEN_DATA.\n";

static const char restore_usage[] =
	"trien restore SOURCE [--data DIR] [--json]\n"
	"\n"
	"Puts a backup back as DIR, which must not exist or be empty. Every byte is checked\n"
	"against the backup's list first. The store's index is made again at the next start.\n"
	"Numbers given out after the backup are remembered outside of DIR (witness): the engine\n"
	"then refuses to start until a person decides (--accept-behind).\n"
	"DIR: left out, TRIEN_DATA.\n";

/* What may change without order: copied first, and watched. */
static const char *const watched[] = { "keys-index", "counters", "waiting" };
/* What only grows or is changed by people. */
static const char *const others[] = { "catalogue", "identity", "certs", "principals.json",
				     "trien.conf" };
static const char *const secret[] = { "keys", "tls", "remote" };

struct backup {
	const char *data, *target;
	char tmp[PATH_MAX];
	int lock;			/* held: the engine is stopped; -1: it runs */
	uint64_t store_end;
	bool with_keys, without_store, json;
};

static void pause_ms(long ms)
{
	struct timespec t = { 0, ms * 1000000 };

	nanosleep(&t, NULL);
}

static enum status copy_each(const struct backup *b, const char *const *names, size_t n,
			     struct error *e)
{
	enum status st = ST_OK;

	for (size_t i = 0; i < n && st == ST_OK; i++) {
		char from[PATH_MAX], to[PATH_MAX];

		st = path_join(from, b->data, names[i], e);
		if (st == ST_OK)
			st = path_join(to, b->tmp, names[i], e);
		if (st == ST_OK)
			st = tree_copy(from, to, e);
	}
	return st;
}

static enum status watched_mark(const struct backup *b, uint64_t *mark, struct error *e)
{
	enum status st = ST_OK;

	*mark = 0;
	for (size_t i = 0; i < ARRAY_LEN(watched) && st == ST_OK; i++) {
		char path[PATH_MAX];

		st = path_join(path, b->data, watched[i], e);
		if (st == ST_OK)
			*mark = *mark * 31 + tree_mark(path);
	}
	return st;
}

/* Walks on to the store's end. */
static enum status store_end(struct framewalk *w, uint64_t *end, struct error *e)
{
	struct framewalk_place at;
	struct frame_view v;
	enum status st;

	while ((st = framewalk_next(w, &v, e)) == ST_OK)
		;
	framewalk_at(w, &at);
	*end = at.end;
	return st == ST_NOT_FOUND ? ST_OK : st;
}

/* The store's end, and behind it the journal to its own. ST_AGAIN: it always said "stored". */
static enum status ends_meet(struct backup *b, struct logcopy *journal, struct framewalk *tail,
			     struct error *e)
{
	journal->watched = RECORD_STORED_UP_TO;
	for (int i = 0; i < MOMENTS; i++) {
		enum status st = logcopy_run(journal, UINT64_MAX, e);

		journal->seen = false;
		if (st == ST_OK)
			st = store_end(tail, &b->store_end, e);
		if (st == ST_OK)
			st = logcopy_run(journal, UINT64_MAX, e);
		if (st != ST_OK || !journal->seen)
			return st;
	}
	return error_set(e, ST_AGAIN, "journal and store never met; try again when there is less "
			 "to do, or stop the engine");
}

static enum status moment_once(struct backup *b, struct error *e)
{
	struct logcopy journal = { .fd = -1 };
	struct framewalk *tail = NULL;
	char from[PATH_MAX], to[PATH_MAX], store[PATH_MAX];
	uint64_t before, after;
	enum status st = tree_remove(b->tmp, e);

	if (st == ST_OK)
		st = dir_make(b->tmp, 0700, e);
	if (st == ST_OK)
		st = watched_mark(b, &before, e);
	if (st == ST_OK)
		st = copy_each(b, watched, ARRAY_LEN(watched), e);
	if (st == ST_OK)
		st = path_join(from, b->data, "journal", e);
	if (st == ST_OK)
		st = path_join(to, b->tmp, "journal", e);
	if (st == ST_OK)
		st = path_join(store, b->data, "store", e);
	if (st == ST_OK)
		st = logcopy_open(&journal, from, to, FRAME_JOURNAL, e);
	if (st == ST_OK)
		st = framewalk_open(&tail, store, FRAME_STORE, e);
	if (st == ST_OK) {
		framewalk_last(tail);
		st = ends_meet(b, &journal, tail, e);
	}
	logcopy_close(&journal);
	framewalk_close(tail);
	if (st == ST_OK)
		st = watched_mark(b, &after, e);
	return st == ST_OK && before != after ?
	       error_set(e, ST_AGAIN, "the waiting room or the key index never stood still") : st;
}

static enum status moment(struct backup *b, struct error *e)
{
	enum status st = ST_AGAIN;

	for (int i = 0; i < ATTEMPTS && st != ST_OK; i++) {
		st = moment_once(b, e);
		/*
		 * A slot that was recycled under us looks like damage, a file that went like a
		 * loss.
		 */
		if (st != ST_AGAIN && (b->lock >= 0 || (st != ST_DAMAGED && st != ST_NOT_FOUND)))
			return st;
		if (st != ST_OK)
			pause_ms(PAUSE_MS);
	}
	return st;
}

static enum status store_copy(struct backup *b, struct error *e)
{
	struct logcopy store = { .fd = -1 };
	char from[PATH_MAX], to[PATH_MAX];
	enum status st = path_join(from, b->data, "store", e);

	if (st == ST_OK)
		st = path_join(to, b->tmp, "store", e);
	if (st == ST_OK)
		st = logcopy_open(&store, from, to, FRAME_STORE, e);
	if (st == ST_OK)
		st = logcopy_run(&store, b->store_end, e);
	logcopy_close(&store);
	return st;
}

static enum status objects_copy(const struct backup *b, const char *name, struct error *e)
{
	char below[64], from[PATH_MAX], to[PATH_MAX];
	enum status st;

	snprintf(below, sizeof(below), "store/%s/%s", OBJECTS_FOLDER, name);
	st = path_join(from, b->data, below, e);
	if (st == ST_OK)
		st = path_join(to, b->tmp, below, e);
	return st == ST_OK ? tree_copy(from, to, e) : st;
}

/* Where nothing waits there is no store: the mirror's machine puts its own there. */
static void empty_folders_remove(const struct backup *b)
{
	static const char *const folders[] = { "store/" OBJECTS_FOLDER "/" OBJECTS_WAITING,
					       "store/" OBJECTS_FOLDER, "store" };
	char path[PATH_MAX];
	struct error ignored;

	for (size_t i = 0; i < ARRAY_LEN(folders); i++)
		if (path_join(path, b->tmp, folders[i], &ignored) != ST_OK || rmdir(path) != 0)
			return;
}

static enum status originals_copy(const struct backup *b, struct error *e)
{
	enum status st = objects_copy(b, OBJECTS_WAITING, e);

	for (unsigned int i = 0; i < 256 && st == ST_OK && !b->without_store; i++) {
		char shard[3];

		snprintf(shard, sizeof(shard), "%02x", i & 0xff);
		st = objects_copy(b, shard, e);
	}
	if (b->without_store)
		empty_folders_remove(b);
	return st;
}

static enum status lock_take(struct backup *b, struct error *e)
{
	char journal[PATH_MAX], path[PATH_MAX];
	enum status st = path_join(journal, b->data, "journal", e);

	if (st == ST_OK && !path_exists(journal))
		return error_set(e, ST_NOT_FOUND, "%s: no data folder (no journal in it)", b->data);
	if (st == ST_OK)
		st = path_join(path, journal, "lock", e);
	b->lock = -1;
	if (st == ST_OK)
		st = dir_lock(path, &b->lock, e);
	return st == ST_EXISTS ? ST_OK : st;
}

static enum status parent_sync(const char *path, struct error *e)
{
	char parent[PATH_MAX];
	char *slash;

	if (snprintf(parent, sizeof(parent), "%s", path) >= (int)sizeof(parent))
		return error_set(e, ST_INVALID, "%s: path too long", path);
	slash = strrchr(parent, '/');
	if (slash == NULL)
		return dir_sync(".", e);
	slash[slash == parent] = '\0';
	return dir_sync(parent, e);
}

/* The finished folder under its name. */
static enum status appear(const char *tmp, const char *path, struct error *e)
{
	if (rename(tmp, path) != 0)
		return error_set(e, errno == EEXIST || errno == ENOTEMPTY ? ST_EXISTS : ST_IO,
				 "%s: cannot put it into place: %s", path, strerrordesc_np(errno));
	return parent_sync(path, e);
}

static enum status name_tmp(char tmp[PATH_MAX], const char *path, struct error *e)
{
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	return snprintf(tmp, PATH_MAX, "%.*s.tmp", (int)n, path) < PATH_MAX ? ST_OK :
	       error_set(e, ST_INVALID, "%s: path too long", path);
}

static enum status backup_run(struct backup *b, struct datacopy_total *t, struct error *e)
{
	enum status st = name_tmp(b->tmp, b->target, e);

	if (st == ST_OK && path_exists(b->target))
		return error_set(e, ST_EXISTS, "%s: exists; a backup never overwrites", b->target);
	if (st == ST_OK)
		st = lock_take(b, e);
	if (st != ST_OK)
		return st;
	st = moment(b, e);
	if (st == ST_OK && !b->without_store)
		st = store_copy(b, e);
	if (st == ST_OK)
		st = originals_copy(b, e);
	if (st == ST_OK)
		st = copy_each(b, others, ARRAY_LEN(others), e);
	if (st == ST_OK && b->with_keys)
		st = copy_each(b, secret, ARRAY_LEN(secret), e);
	if (st == ST_OK)
		st = manifest_write(b->tmp, t, e);
	if (st == ST_OK)
		st = appear(b->tmp, b->target, e);
	if (st != ST_OK) {
		struct error ignored;

		if (tree_remove(b->tmp, &ignored) != ST_OK)
			fprintf(stderr, "trien backup: %s\n", ignored.text);
	}
	if (b->lock >= 0)
		close(b->lock);
	return st;
}

static int fail(const char *command, const struct error *e)
{
	if (e->status != ST_EXISTS && e->status != ST_AGAIN && e->status != ST_DAMAGED)
		return error_exit(command, e);
	fprintf(stderr, "trien %s: %s\n", command, e->text);
	return e->status == ST_AGAIN ? EX_TEMPFAIL : EX_DATAERR;
}

static void say(const char *what, const char *path, const struct datacopy_total *t, bool json)
{
	if (json)
		json_print(json_pack("{s:s, s:I, s:I}", "folder", path, "files",
				     (json_int_t)t->files, "bytes", (json_int_t)t->bytes));
	else
		printf("%s: %" PRIu64 " files, %" PRIu64 " bytes %s\n", path, t->files, t->bytes,
		       what);
}

int cli_backup(int argc, char **argv)
{
	struct backup b = { .lock = -1, .data = getenv("TRIEN_DATA") };
	const struct option_row rows[] = {
		{ "data", OPTION_TEXT, &b.data, 0, 0 },
		{ "with-keys", OPTION_FLAG, &b.with_keys, 0, 0 },
		{ "without-store", OPTION_FLAG, &b.without_store, 0, 0 },
		{ "json", OPTION_FLAG, &b.json, 0, 0 },
	};
	int code = options_read(backup_usage, &argc, argv, rows, ARRAY_LEN(rows));
	struct datacopy_total t;
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (argc != 2 || b.data == NULL)
		return options_wrong(backup_usage,
				     "--data DIR or TRIEN_DATA, and one TARGET, please");
	b.target = argv[1];
	if (backup_run(&b, &t, &e) != ST_OK)
		return fail("backup", &e);
	say("backed up", b.target, &t, b.json);
	if (!b.with_keys)
		fprintf(stderr, "private keys are not in it (--with-keys); keep them elsewhere\n");
	return 0;
}

/* ---- restore ---- */

static enum status restore_run(const char *source, const char *data, struct datacopy_total *t,
			       struct error *e)
{
	char tmp[PATH_MAX], manifest[PATH_MAX];
	enum status st = name_tmp(tmp, data, e);

	if (st == ST_OK && !dir_is_empty(data))
		return error_set(e, ST_EXISTS, "%s: is not empty; move it away first", data);
	if (st == ST_OK)
		st = path_join(manifest, source, MANIFEST, e);
	if (st == ST_OK && !path_exists(manifest))
		return error_set(e, ST_NOT_FOUND, "%s: no backup, or an unfinished one (no %s)",
				 source, MANIFEST);
	if (st == ST_OK)
		st = tree_remove(tmp, e);
	if (st == ST_OK)
		st = tree_copy(source, tmp, e);
	/* The copy is checked, not the source: what was verified is what is put into place. */
	if (st == ST_OK)
		st = manifest_check(tmp, t, e);
	if (st == ST_OK)
		st = path_join(manifest, tmp, MANIFEST, e);
	if (st == ST_OK && unlink(manifest) != 0)
		st = error_set(e, ST_IO, "%s: %s", manifest, strerrordesc_np(errno));
	if (st == ST_OK)
		st = tree_sync(tmp, e);
	if (st == ST_OK)
		st = appear(tmp, data, e);
	if (st != ST_OK) {
		struct error ignored;

		if (tree_remove(tmp, &ignored) != ST_OK)
			fprintf(stderr, "trien restore: %s\n", ignored.text);
	}
	return st;
}

int cli_restore(int argc, char **argv)
{
	const char *data = getenv("TRIEN_DATA");
	bool json = false;
	const struct option_row rows[] = {
		{ "data", OPTION_TEXT, &data, 0, 0 },
		{ "json", OPTION_FLAG, &json, 0, 0 },
	};
	int code = options_read(restore_usage, &argc, argv, rows, ARRAY_LEN(rows));
	struct datacopy_total t;
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (argc != 2 || data == NULL)
		return options_wrong(restore_usage,
				     "one SOURCE, and --data DIR or TRIEN_DATA, please");
	if (restore_run(argv[1], data, &t, &e) != ST_OK)
		return fail("restore", &e);
	say("put back", data, &t, json);
	return 0;
}
