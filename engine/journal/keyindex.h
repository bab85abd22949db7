/*
 * keyindex.h - result key → what was answered, for ever (P2).
 *
 * Keys of live segments stand in a hash table in memory; each recycled segment leaves one
 * immutable sorted run in DATA/keys-index/ (format: keyrun.h), merged in the background. Runs
 * follow each other without a gap: a missing one, like a broken one, stops the start.
 */
#ifndef TRIEN_JOURNAL_KEYINDEX_H
#define TRIEN_JOURNAL_KEYINDEX_H

#include "base/hash.h"
#include "base/status.h"
#include "limits.h"

/* Ends: its number will never be issued; without a number it will never have one. */
#define KEYENTRY_VOIDED 0x01
#define KEYENTRY_REFUSED 0x02
#define KEYENTRY_WITHDRAWN 0x04
#define KEYENTRY_TIMED_OUT 0x08
#define KEYENTRY_ENDED 0x0f
#define KEYENTRY_APPROVED 0x10		/* confirmed; its number follows, if it is not there */

struct keyentry {
	uint8_t key[16];		/* result_key(), or a given number's key */
	uint64_t sequence;
	uint64_t number;		/* 0: not bound, it awaits approval */
	int64_t issued_ms;		/* 0: likewise */
	uint8_t digest[SHA256_BYTES];	/* of the canonical case */
	uint8_t lane, flags;
	char number_text[NUMBER_TEXT_BYTES_MAX + 1];
};

struct keyindex;
struct keyindex_job;		/* a run to write, or several to merge, in the background */

enum status keyindex_open(struct keyindex **k, const char *dir, struct error *e) must_use;
void keyindex_close(struct keyindex *k);
/* Everything below this position is in runs: replay needs to put only later records. */
uint64_t keyindex_covered(const struct keyindex *k);

/* Spine. ST_NOT_FOUND; ST_CORRUPT: the place where it would stand fails its checksum. */
enum status keyindex_get(struct keyindex *k, const uint8_t key[16], struct keyentry *out) must_use;
/* Spine: replaces what the key meant before. Positions never fall. */
enum status keyindex_put(struct keyindex *k, const struct keyentry *entry, uint64_t pos) must_use;

/*
 * Each entry with this number, of any register: what the index looks like from the other side, for
 * an audit. Spine: those in memory. ST_NOMEM.
 */
enum status keyindex_numbered(const struct keyindex *k, uint64_t number,
			      void (*one)(void *ctx, const struct keyentry *e), void *ctx) must_use;
/*
 * Any thread: those in the runs of the index's folder, also while runs are written and merged; one
 * may be told twice. Reads them all. What is in memory when this begins may be missing.
 */
enum status keyruns_numbered(const char *dir, uint64_t number,
			     void (*one)(void *ctx, const struct keyentry *e), void *ctx,
			     struct error *e) must_use;

/*
 * Spine: entries with pos < upto become a job (NULL: nothing to do). They stay findable. The next
 * seal comes after this one's commit.
 */
struct keyindex_job *keyindex_seal(struct keyindex *k, uint64_t upto);
/* Spine: a merge job when there are enough runs, else NULL; also while one is under way. */
struct keyindex_job *keyindex_merge(struct keyindex *k);
/* Background thread: writes the run durably (tmp, fsync, rename, fsync of the folder). */
enum status keyindex_job_run(struct keyindex_job *job, struct error *e) must_use;
/* Spine: takes the finished run into use, drops what it replaces, ends the job. */
enum status keyindex_commit(struct keyindex *k, struct keyindex_job *job, struct error *e) must_use;

#endif
