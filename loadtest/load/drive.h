/*
 * drive.h - the generator: cases become due by a schedule and go out, whatever is answered.
 *
 * One thread and one loop. Two latencies are kept of each receipt and read: from the time it was
 * due (corrected: an engine that stands still is seen by all that had to wait) and from the time it
 * was sent (raw). For cases that are spread over the run by their number there is a third: until
 * the result is in the citizen's list (visible).
 * A refusal is honoured: its cases go again when the engine asked for, and still count from when
 * they were due.
 */
#ifndef LOAD_DRIVE_H
#define LOAD_DRIVE_H

#include "load/histogram.h"
#include "load/ledger.h"
#include "load/rpc.h"
#include "load/workload.h"

#define DRIVE_PHASES_MAX 2
#define DRIVE_CASES_MAX 500		/* of one request */
#define DRIVE_AHEAD_MAX 64

/* One schedule from its first case until all of its results are stored. */
struct phase {
	const char *name;
	struct schedule schedule;
	int64_t begin_us, sent_us, answered_us, stored_us;	/* of the run; 0: not yet */
	uint64_t first, cases, results;	/* of the ledger */
	double failed_rate;		/* RAMP: cases a second when it failed; 0: it did not */
	struct histogram *corrected, *raw;
	struct histogram *visible;	/* of the probes */
	struct histogram *stored;	/* of every result; filled by the proof */
};

/* Counters of the whole run. */
struct tally {
	uint64_t requests[CALL_KINDS], cases[CALL_KINDS];
	uint64_t refused_calls, refused_cases;	/* to be sent again, by the engine's word */
	uint64_t honoured_ms;			/* pauses it asked for, together */
	uint64_t broken_calls;			/* connection gone, time over */
	uint64_t lists, lists_failed, downloads, downloads_early, downloads_failed,
		 downloads_bad, download_bytes;
	uint64_t reads_left_out, probes, probes_lost;
	struct histogram *list, *list_raw, *download, *download_raw;
	uint64_t check_us;			/* CPU of checking downloaded files */
};

/* A moment of the run. */
struct moment {
	double at_s;
	uint64_t due, accepted, refused;	/* cases so far */
	uint64_t results;		/* of those accepted */
	uint64_t backlog;			/* results accepted and not stored; by the engine */
	bool up;
};

struct request;
struct read;

/* Times of the cases that are due next, from the beginning of the phase: a ring. */
struct ahead { int64_t due_us[DRIVE_AHEAD_MAX]; uint32_t head, n; };

/* Cases of one kind of call that are due and wait for company. */
struct waiting { uint32_t *places; uint64_t head, n, max; };

struct stream;

struct drive {
	const struct workload *w;
	const struct stencils *stencils;
	struct rpc *rpc;
	struct ledger ledger;
	struct tally tally;
	struct phase phases[DRIVE_PHASES_MAX];
	uint32_t phases_n;
	int64_t begin_us, wall_ms;	/* monotonic, and Unix, at 0 of the run */
	uint64_t reissue_from;		/* place of the first case that replaces; 0: none does */
	uint64_t random;
	struct failure fatal;		/* code 0: none */

	/* submitting */
	struct ahead ahead;
	struct waiting waiting[CALL_KINDS];
	struct request *again;		/* refused or broken, by the time they may go */
	uint32_t requests_out, out[CALL_KINDS], connection;
	int64_t quiet_us;		/* the engine asked not to be called before */
	char first_reject[64];		/* reason of the first case refused for good */
	struct stream *streams;		/* one a connection */
	uint64_t open_cases;		/* due and not decided */

	/* reading */
	double lists_due, downloads_due;
	uint32_t reads_out, probes_out;
	struct read *later;		/* probes that an engine's death broke off */
	bool ending;			/* no new tries */

	/* the engine, as it says */
	bool status_out, up;
	int64_t status_next_us, status_asked_us;
	int64_t status_us;		/* of the last answer; 0: none yet */
	uint64_t backlog;
	uint64_t results;		/* accepted so far */

	struct moment *moments;
	uint32_t moments_n;
	double moment_s;		/* between two */
	struct histogram *second;	/* corrected, of this second: for a ramp */
	int64_t second_us;
	uint32_t bad_seconds;

	/* Called a few times a second; now_us of the run. */
	void (*tick)(void *owner, struct drive *d, int64_t now_us);
	void *tick_owner;
	volatile const int *stop;	/* set by a signal: no more cases, then the proof */
};

enum status drive_init(struct drive *d, const struct workload *w, const struct stencils *s,
		       struct rpc *rpc, uint64_t seed, struct error *e) must_use;
void drive_free(struct drive *d);
/* Microseconds of the run. */
int64_t drive_now(const struct drive *d);

/*
 * Plays one schedule, then waits until every case is decided and every result stored, at most
 * drain_s after the last change. False: not all (or d->fatal).
 */
bool drive_phase(struct drive *d, const char *name, const struct schedule_options *o,
		 uint32_t drain_s);

/* One turn of the loop while something else goes on. */
void drive_turn(struct drive *d, uint32_t wait_us);

/* ---- submit.c, answers.c ---- */

bool submit_init(struct drive *d) must_use;
/* A case is due. */
void submit_due(struct drive *d, uint32_t place);
/* Sends what may go now; returns when it has to be called again. */
int64_t submit_some(struct drive *d, int64_t now_us);
/* Nothing of that kind waits: the first one that comes decides when its request goes. */
bool submit_none_waits(const struct drive *d, enum call_kind kind);
/* Would a request go out at once if, at that time, so many more cases of that kind were due? */
bool submit_fills(const struct drive *d, enum call_kind kind, uint32_t more, int64_t at_us);
/* No case of it is under way or waits. */
bool submit_idle(const struct drive *d);
/* No more cases: the streams may end. */
void submit_finish(struct drive *d);
/* After rpc_close(). */
void submit_free(struct drive *d);

/* ---- encode.c ---- */

/* Is it a certified copy, to be sent with its original? */
bool submit_copies(const struct drive *d, uint32_t place);
/* Of the case in the schedule's first part: what the stencils know it by. */
uint32_t submit_serial(const struct drive *d, uint32_t place);
/*
 * Bytes of a case as it is sent, with what it replaces: a trien.v1.Case, or of a copy a
 * trien.v1.OriginalToCopy.
 */
size_t submit_size(const struct drive *d, uint32_t place);
void submit_write(const struct drive *d, uint32_t place, uint8_t *to);
/* A request's bytes without what stands around the cases, and its cases, at most. */
size_t submit_room(enum call_kind kind);
uint32_t submit_cases_max(enum call_kind kind);

/* ---- reads.c ---- */

/* Lists and downloads that go with one more case. */
void reads_due(struct drive *d, int64_t due_us);
/* A case was taken: if its number says so, its way into the citizen's list is watched. */
void reads_probe(struct drive *d, uint32_t place);
/* Probes that wait to be tried again. */
void reads_again(struct drive *d, int64_t now_us);
void reads_free(struct drive *d);
/* Asks the engine how far it is, when it is time. */
void reads_status(struct drive *d, int64_t now_us);
/* A ListResultsRequest for that citizen. */
struct rpc_buffer reads_list_request(const char *citizen, const char *page_token);

#endif
