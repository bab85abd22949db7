/*
 * audit.h - `trien audit`: is all that is stored what was signed, and are the books whole? What its
 * files share. Inside cli/audit/ only.
 *
 *	audit.c		options, the order of it all
 *	open.c		what is opened for it
 *	scan.c		pages of results over threads
 *	sample.c	which results
 *	one.c		one result
 *	keys.c		was its key valid when it signed?
 *	kept.c		and of one revoked since, by the lists that were kept with it
 *	links.c		replaced, and in place of: each says so of the other
 *	books.c		official registers
 *	holes.c, ask.c	numbers that are not in the store: what the engine has of them
 *	counters.c	statistics
 *	state.c		what is done, so that it can be gone on with
 *	report.c	as JSON
 *	page.c, plot.c	as one HTML page
 *
 * Findings name a result by its id (or, where its record cannot be read, by its sequence), a number
 * by its register; never a person. What is told is the same however many threads looked, and
 * however often it was broken off.
 */
#ifndef TRIEN_CLI_AUDIT_H
#define TRIEN_CLI_AUDIT_H

#include <jansson.h>
#include <pthread.h>

#include "cli/progress.h"
#include "client/client.h"
#include "signer/policy.h"
#include "store/store.h"
#include "verify/verify.h"

#define AUDIT_PAGE 128			/* results that one thread takes at a time */
#define AUDIT_JOBS_MAX 256
#define AUDIT_FINDINGS_MAX 10000	/* told one by one; all are counted */
#define AUDIT_SAMPLE_MAX 1000000

/* What can be amiss. One list; names and advice by audit_kind(). */
enum audit_fault {
	AUDIT_UNREADABLE,	/* the record, or what it leads to, fails its checksum */
	AUDIT_FILE,		/* the file is not the one that was stored */
	AUDIT_CASE,		/* the case is not the one that was stored */
	AUDIT_SIGNATURE,	/* the verifier says no */
	AUDIT_UNDETERMINED,	/* it cannot say */
	AUDIT_RECORD,		/* the store says otherwise than the document */
	AUDIT_CERTIFICATE,	/* not valid when it signed, revoked, or not of this agency */
	AUDIT_EVIDENCE,		/* what the store keeps of it is missing or another's */
	AUDIT_POLICY,		/* keys.json did not let this key sign this */
	AUDIT_HISTORY,		/* events that cannot follow each other */
	AUDIT_LINK,		/* one says that it was replaced, the other does not know */
	AUDIT_NUMBER,		/* the book has not this result at its number */
	AUDIT_BOOK,		/* a register is not complete, unique and in order */
	AUDIT_COUNTERS,		/* statistics count otherwise */
	AUDIT_FAULTS
};

struct audit_kind { const char *name, *vi, *en, *todo; };
const struct audit_kind *audit_kind(enum audit_fault f);
enum audit_fault audit_kind_by_name(const char *name);	/* AUDIT_FAULTS: none */

#define AUDIT_DIGEST_TEXT 33

/* What is looked at; the first line of a state file. */
struct audit_scope {
	uint32_t from_day, to_day;	/* of issue, yyyymmdd as asked; 0: open */
	/*
	 * The last sequence that is looked at. They are made at acceptance, and a case may wait
	 * years for approval: for a period all that came before its end is asked for its day.
	 */
	uint64_t upto;
	uint32_t sample;		/* of 2^32: a result is taken if its mark is no higher */
	char sample_text[24];		/* as asked; "" all */
	char seed[41];			/* of the marks */
	int64_t begun_ms;
	/* Digests of the store's place and of the roots: what was begun with others is not ours. */
	char store[AUDIT_DIGEST_TEXT], roots[AUDIT_DIGEST_TEXT];
};

struct audit_place { uint32_t lane; uint64_t after; };	/* names behind it come next */
struct audit_range { struct audit_place begin, end; };

/* revoked_since: with a key that was revoked later, and good by the lists kept with it. */
struct audit_sums { uint64_t looked, passed, bytes, ended, without_evidence, revoked_since; };

/* One of both says so. forward: `of` replaces `other`. fresh: that came while we looked. */
struct audit_link { uint8_t of[16], other[16]; bool forward, fresh; };

struct audit {
	/* as asked, before threads begin */
	struct store *store;
	struct roots *roots;
	struct known *known;		/* what documents of one template share */
	struct policy *policy;		/* NULL: there is none */
	const char *certs;
	struct audit_scope scope;
	uint32_t jobs;
	const struct client_options *engine;	/* that issues into the store; NULL: not asked */
	json_t *counters;		/* audit_counters() when it began */
	uint64_t expected;		/* results, for the bar; 0: not known */
	/* under the lock */
	pthread_mutex_t lock;
	struct store_reader *walker;
	struct audit_place at;
	struct audit_range *done;	/* by begin; of a state file */
	size_t done_n, done_room;
	struct audit_sums sums;
	json_t *days;			/* yyyymmdd: results looked at */
	json_t *findings;		/* audit_finding() */
	uint64_t by_fault[AUDIT_FAULTS];
	struct audit_link *links;
	size_t links_n, links_room;
	json_t *registers;
	json_t *unasked;		/* registers of which no engine was asked */
	FILE *state;			/* NULL: none is kept */
	struct progress progress;
	enum status st;			/* not OK: threads end */
};

/* ---- what is found ---- */

/* {fault, result, what, todo …}; id NULL: by sequence. Takes nothing. */
json_t *audit_finding(enum audit_fault f, const uint8_t id[16], uint64_t sequence,
		      const char *fmt, ...) printf_like(4, 5);

/* ---- one.c, keys.c: a thread's own ---- */

struct audit_keys;
enum status audit_keys_new(struct audit_keys **k, const struct audit *a);
void audit_keys_free(struct audit_keys *k);
/* One signature of a result. Appends to findings. ST_OK but for what is no fault of the store's. */
enum status audit_key(struct audit_keys *k, struct store_reader *r, const uint8_t id[16],
		      struct slice unit, struct slice kind, const struct signature_view *s,
		      json_t *findings) must_use;

struct audit_kept;
enum status audit_kept_new(struct audit_kept **k, const struct audit *a);
void audit_kept_free(struct audit_kept *k);
/* Does the file pass by the lists that its signatures' evidence names, instead of those of now? */
enum status audit_kept_judge(struct audit_kept *k, struct store_reader *r, struct slice file,
			     const struct signature_view *s, uint8_t n, bool *passed) must_use;

/* A page that is being looked at. */
struct audit_page {
	struct audit_range range;
	uint32_t n;
	struct result_name names[AUDIT_PAGE];
	struct audit_sums sums;
	json_t *days, *findings, *links;
};

struct audit_one;
enum status audit_one_new(struct audit_one **o, const struct audit *a, struct store_reader *r);
void audit_one_free(struct audit_one *o);
/*
 * Adds to the page, or nothing where it fails. A result that the disk cannot give is a finding; one
 * after the other is ST_IO.
 */
enum status audit_result(struct audit_one *o, struct result_name name,
			 struct audit_page *p) must_use;

/* ---- sample.c ---- */

/* Is it in the sample? */
bool audit_takes(const struct audit_scope *s, uint64_t sequence);
bool audit_in_period(const struct audit_scope *s, int64_t issued_ms);
/* A seed that nobody can foretell, unless one was given or all are looked at. */
enum status audit_seed(struct audit_scope *s, struct error *e) must_use;
/* Finds the mark that takes n results. */
enum status audit_sample(struct audit *a, uint64_t n, struct error *e) must_use;

/* ---- scan.c ---- */

/* The next names that are to be looked at; p->n 0: there are no more. With the lock. */
enum status audit_page_take(struct audit *a, struct audit_page *p) must_use;
/* Of a store that is away: waits a moment; false: it never comes, or it is something else. */
bool audit_may_wait(enum status st, uint32_t *tries);
enum status audit_scan(struct audit *a, struct error *e) must_use;
/* Of a page or a line of the state file, whose sums and lists p has. With the lock. */
enum status audit_merge(struct audit *a, const struct audit_page *p) must_use;
void audit_found(struct audit *a, const json_t *findings);

/* ---- the whole, after the scan ---- */

void audit_links(struct audit *a);
enum status audit_books(struct audit *a, struct error *e) must_use;

/* ---- counters.c ---- */

/* By day: {day: {results, early, on_time, late}}. NULL: *e says why. */
json_t *audit_counters(struct audit *a, struct error *e);
/* Days whose counters stood still since a->counters count what was looked at. */
void audit_counters_compare(struct audit *a, const json_t *after);

/* ---- state.c ---- */

/*
 * path NULL: none. One that is there is gone on with: its scope must be the same as asked, and the
 * rest of it and a->counters are as when it began. a->counters NULL: nothing was begun.
 */
enum status audit_state_open(struct audit *a, const char *path, struct error *e) must_use;
/* Its first line. */
enum status audit_state_begin(struct audit *a, struct error *e) must_use;
/* With the lock. */
enum status audit_state_add(struct audit *a, const struct audit_page *p) must_use;
void audit_state_close(struct audit *a);

/* ---- report.c, page.c ---- */

/* The caller's. */
json_t *audit_report(const struct audit *a, const json_t *on_time, bool whole, int64_t ended_ms);
bool audit_page_write(FILE *out, const json_t *report);

#endif
