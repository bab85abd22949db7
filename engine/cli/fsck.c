#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/hash.h"
#include "cli/cli.h"
#include "cli/datacopy.h"
#include "cli/options.h"
#include "client/failure.h"
#include "client/protojson.h"
#include "io/file.h"
#include "journal/keyrun.h"
#include "journal/record.h"
#include "journal/snapshot.h"
#include "journal/waitcheck.h"
#include "store/store.h"

static const char usage[] =
	"trien fsck [--data DIR] [--json]\n"
	"\n"
	"Reads every byte of a stopped engine's journal, waiting room, key index, counters and\n"
	"store, and checks it: every frame and record, the digest of every file and case, the\n"
	"index against the segments. Changes nothing. One line a finding; exit code 65 if there\n"
	"are any. DIR: left out, TRIEN_DATA.\n";

struct fsck {
	const char *data;
	json_t *lines;			/* --json */
	struct waitcheck *room;		/* while the waiting room is walked */
	uint64_t findings, results, frames, records, keys, waiting;
};

static void report(void *ctx, const char *line)
{
	struct fsck *f = ctx;

	f->findings++;
	if (f->lines != NULL)
		json_array_append_new(f->lines, json_string(line));
	else
		printf("%s\n", line);
}

/* ---- journal and waiting room ---- */

static void record_check(struct fsck *f, const char *part, const struct frame_record *rec)
{
	struct record_numbered n;
	uint8_t digest[SHA256_BYTES];
	char line[200];

	f->records++;
	if (strcmp(part, "journal") != 0 ||
	    (rec->type != RECORD_NUMBERED && rec->type != RECORD_ACCEPTED))
		return;
	if (record_numbered_decode(&n, rec->payload) == ST_OK &&
	    case_digest(n.case_bytes, digest) == ST_OK)
		return;
	snprintf(line, sizeof(line), "journal: record at %" PRIu64 " is no numbered case",
		 rec->position);
	report(f, line);
}

static enum status log_check(struct fsck *f, const char *part, enum frame_purpose purpose,
			     struct error *e)
{
	struct framewalk *w = NULL;
	struct frame_view v;
	char dir[PATH_MAX];
	enum status st = path_join(dir, f->data, part, e);

	if (st == ST_OK)
		st = framewalk_open(&w, dir, purpose, e);
	while (st == ST_OK) {
		struct frame_record rec;
		uint32_t offset = 0;

		st = framewalk_next(w, &v, e);
		if (st == ST_DAMAGED) {
			report(f, e->text);
			st = framewalk_skip(w) ? ST_OK : ST_NOT_FOUND;
			continue;
		}
		f->frames += st == ST_OK;
		if (st == ST_OK && f->room != NULL)
			st = waitcheck_frame(f->room, &v);
		while (st == ST_OK && v.records > 0 && frame_next(&v, &offset, &rec))
			record_check(f, part, &rec);
	}
	framewalk_close(w);
	if (st == ST_DAMAGED)
		report(f, e->text);
	return st == ST_NOT_FOUND || st == ST_DAMAGED ? ST_OK : st;
}

/* The rows that wait, and whether the index has the same. */
static enum status waiting_check(struct fsck *f, struct error *e)
{
	char dir[PATH_MAX];
	uint64_t before = f->findings;
	enum status st = path_join(dir, f->data, "waiting", e);

	if (st == ST_OK)
		st = waitcheck_new(&f->room, dir);
	if (st == ST_OK)
		st = log_check(f, "waiting", FRAME_WAITING, e);
	/* Where segments are damaged, what the index has more is all that is left to tell. */
	if (st == ST_OK && f->findings == before)
		st = waitcheck_end(f->room, report, f, &f->waiting, e);
	waitcheck_free(f->room);
	f->room = NULL;
	return st;
}

/* ---- key index and counters ---- */

static void run_check(struct fsck *f, const char *path)
{
	struct keyrun *run = NULL;
	struct keyrun_cursor c = { 0 };
	struct error e = { 0 };
	uint64_t n = 0;
	enum status st = keyrun_open(&run, path, &e);

	if (st == ST_OK)
		st = keyrun_cursor_start(&c, run, &e);
	while (st == ST_OK && c.more) {
		n++;
		st = keyrun_cursor_next(&c, &e);
	}
	f->keys += n;
	if (st != ST_OK)
		report(f, e.text);
	else if (n != run->count)
		report(f, path);
	keyrun_cursor_end(&c);
	if (run != NULL)
		keyrun_close(run);
}

static enum status keys_check(struct fsck *f, struct error *e)
{
	char dir[PATH_MAX];
	struct keyindex *k = NULL;
	struct dirent *entry;
	uint64_t from, upto;
	enum status st = path_join(dir, f->data, "keys-index", e);
	DIR *d = st == ST_OK ? opendir(dir) : NULL;

	if (d == NULL)
		return st == ST_OK && errno != ENOENT ?
		       error_set(e, ST_IO, "%s: %s", dir, strerrordesc_np(errno)) : st;
	while (st == ST_OK && (entry = readdir(d)) != NULL) {
		char path[PATH_MAX];

		if (!keyrun_name_read(entry->d_name, &from, &upto))
			continue;
		st = path_join(path, dir, entry->d_name, e);
		if (st == ST_OK)
			run_check(f, path);
	}
	closedir(d);
	/* Do the runs follow each other without a gap? */
	if (st == ST_OK && keyindex_open(&k, dir, e) != ST_OK)
		report(f, e->text);
	keyindex_close(k);
	return st;
}

static enum status counters_check(struct fsck *f, struct error *e)
{
	struct snapshot s;
	uint8_t *buffer = NULL;
	char dir[PATH_MAX];
	enum status st = path_join(dir, f->data, "counters", e);

	if (st != ST_OK)
		return st;
	st = snapshot_load(dir, &s, &buffer, e);
	free(buffer);
	if (st == ST_DAMAGED || st == ST_UNSUPPORTED)
		report(f, e->text);
	return st == ST_OK || st == ST_NOT_FOUND || st == ST_DAMAGED || st == ST_UNSUPPORTED ?
		ST_OK : st;
}

/* ---- all ---- */

static enum status lock_take(const char *data, int *lock, struct error *e)
{
	char journal[PATH_MAX], path[PATH_MAX];
	enum status st = path_join(journal, data, "journal", e);

	if (st == ST_OK && !path_exists(journal))
		return error_set(e, ST_NOT_FOUND, "%s: no data folder (no journal in it)", data);
	if (st == ST_OK)
		st = path_join(path, journal, "lock", e);
	return st == ST_OK ? dir_lock(path, lock, e) : st;
}

static enum status check_all(struct fsck *f, struct error *e)
{
	char store[PATH_MAX];
	enum status st = path_join(store, f->data, "store", e);

	if (st == ST_OK)
		st = log_check(f, "journal", FRAME_JOURNAL, e);
	if (st == ST_OK)
		st = waiting_check(f, e);
	if (st == ST_OK)
		st = keys_check(f, e);
	if (st == ST_OK)
		st = counters_check(f, e);
	if (st == ST_OK)
		st = store_embedded_check(store, report, f, &f->results, e);
	return st == ST_CORRUPT || st == ST_DAMAGED ? ST_OK : st;
}

static void conclude(struct fsck *f)
{
	if (f->lines != NULL) {
		json_print(json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "results",
				     (json_int_t)f->results, "waiting", (json_int_t)f->waiting,
				     "journal_frames", (json_int_t)f->frames, "journal_records",
				     (json_int_t)f->records, "keys", (json_int_t)f->keys,
				     "findings", (json_int_t)f->findings, "lines", f->lines));
		return;
	}
	printf("%" PRIu64 " results, %" PRIu64 " waiting, %" PRIu64 " journal records, %" PRIu64
	       " case keys in runs of the index: %s\n", f->results, f->waiting, f->records, f->keys,
	       f->findings == 0 ? "all as it should be" : "DAMAGED");
}

int cli_fsck(int argc, char **argv)
{
	struct fsck f = { .data = getenv("TRIEN_DATA") };
	bool json = false;
	const struct option_row rows[] = {
		{ "data", OPTION_TEXT, &f.data, 0, 0 },
		{ "json", OPTION_FLAG, &json, 0, 0 },
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows)), lock = -1;
	struct error e = { 0 };
	enum status st;

	if (code >= 0)
		return code;
	if (argc != 1 || f.data == NULL)
		return options_wrong(usage, "--data DIR or TRIEN_DATA, please");
	st = lock_take(f.data, &lock, &e);
	if (st == ST_EXISTS) {
		fprintf(stderr, "trien fsck: %s\n", e.text);
		return EX_TEMPFAIL;
	}
	f.lines = json ? json_array() : NULL;
	if (st == ST_OK)
		st = check_all(&f, &e);
	if (st == ST_OK)
		conclude(&f);
	json_decref(f.lines);
	if (lock >= 0)
		close(lock);
	if (st != ST_OK)
		return error_exit("fsck", &e);
	return f.findings == 0 ? 0 : EX_DATAERR;
}
