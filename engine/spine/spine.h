/*
 * spine.h - the engine's one thread of decisions: journal, registers, batches, signer's socket.
 *
 * Glue between stages (with pipeline.c the only code that knows several). Everything in struct
 * spine belongs to the spine thread, except where a field says otherwise. Other threads talk to it
 * through `inbox`, whose pointers carry their kind in the low bits; the spine talks to them through
 * the workers', the store thread's and the janitor's queues.
 *
 *	intake ─submission─▶ inbox ─▶ number ─▶ journal ─▶ answer (durable) ─▶ backlog
 *	backlog ─seal─▶ batch ─▶ workers ─▶ signer ─▶ workers ─▶ store thread ─▶ done
 */
#ifndef TRIEN_SPINE_SPINE_H
#define TRIEN_SPINE_SPINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "config.h"
#include "identity.h"
#include "io/io.h"
#include "journal/journal.h"
#include "journal/keyindex.h"
#include "journal/snapshot.h"
#include "journal/waiting.h"
#include "notify/notify.h"
#include "pipeline.h"
#include "register/register.h"
#include "render/render.h"
#include "sign/sign.h"
#include "signer/signer.h"
#include "spine/inflight.h"
#include "store/store.h"
#include "submission.h"

struct intake;
struct track;			/* track.h */

/* What the low bits of an inbox pointer say. */
enum note { NOTE_SUBMISSION, NOTE_ACT, NOTE_PRESSED, NOTE_STORED, NOTE_JOB, NOTE_MASK = 7 };

/* A case on its way from the journal to a batch. */
struct pending {
	struct pending *next;
	uint64_t pos;			/* of its NUMBERED record */
	uint64_t track;			/* its place in the order of the journal; NO_TRACK: from the waiting room */
	int64_t sign_ms;		/* 0: the issue time */
	uint8_t *payload;		/* malloc'd record, NULL: read it again from the journal */
	uint32_t size;
	uint8_t priority, results_n, next_result;
	uint8_t left;			/* results not yet stored, parked or void */
	bool large;			/* to be sealed alone */
	bool waiting;			/* from the waiting room: its result's index is next_result */
};

struct backlog {
	struct pending *first[PRIORITY_COUNT], *last[PRIORITY_COUNT];
	uint32_t cases;
	size_t bytes;			/* of payloads kept in memory */
	uint64_t oldest_ns;		/* when the first of the present ones came */
};

/* Work for the janitor: one blocking act at a time, away from the spine. */
enum job_type { JOB_KEYINDEX, JOB_SNAPSHOT, JOB_PARK, JOB_UNPARK, JOB_VOID, JOB_LINK };
struct job {
	enum job_type type;
	struct keyindex_job *keys;
	uint8_t *bytes;			/* snapshot registers; NUMBERED record to park */
	size_t n;
	struct snapshot snapshot;
	struct waiting_row row;
	struct record_result voided;
	struct record_link link;
	struct act *act;		/* answered when done */
	uint64_t upto;			/* journal position this job makes releasable */
	enum status status;
	struct error error;
	struct job *next;
};

#define SIGN_REQUESTS_MAX BATCHES_IN_FLIGHT_MAX

/* The signer's socket. */
struct signer_link {
	int fd;				/* -1: away */
	bool ready, sending, receiving;
	struct io_op send_op, recv_op;
	uint8_t *out, *in;		/* one request; replies as they come */
	size_t in_used;
	struct batch *to_send, *waiting;	/* lists by batch.next */
	uint64_t asked_ns;		/* of the oldest unanswered request */
};

/* Only rise; read by the metrics thread without a lock. */
struct counters {
	_Atomic uint64_t accepted, duplicates, refused, stored, held, voided, signatures, batches;
	_Atomic uint64_t signature_failures, store_retries;
};

struct spine {
	const struct config *config;
	struct io *io;
	struct journal *journal;
	struct keyindex *keys;
	struct waiting *waiting;	/* touched by the janitor alone once running; rows are in `inflight` */
	struct registers *registers;
	struct numbering_clock clock;
	struct identity *identity;
	struct store *store;
	struct notify *notify;
	struct inflight *inflight;
	struct intake *intake;
	struct pipeline *pipeline;
	struct batch_pool *batches;
	struct backlog backlog;
	struct track *track;

	struct queue *inbox;
	struct io_op inbox_op, timer_op, control_op;
	bool inbox_polled, timer_set;
	struct signer_link signer;
	int control;			/* to the supervisor: 'S' + descriptor in, 'R' out; -1: none */

	struct submission *number_first, *number_last;	/* waiting for room in the journal */
	struct submission *answer_first, *answer_last;	/* waiting for their durable_at */
	struct act *act_first, *act_last;		/* likewise */
	uint32_t number_case;		/* next case of number_first */
	uint8_t *record;		/* scratch for one record */

	struct queue *jobs;		/* to the janitor */
	pthread_t janitor;
	struct job *job_first;		/* not pushed yet: the queue was full */
	bool recycling;
	uint64_t released, stored_up_to, snapshot_pos;

	/* Swapped by a reload, read by intake threads: under `lock`. */
	pthread_mutex_t lock;
	struct catalogue *catalogue;
	struct keyring *keyring;

	bool numbering, stopping, failed;
	char why[160];
	int64_t started_ms;
	uint64_t drain_until_ns;
	struct counters counters;
	atomic_bool reload, stop;	/* set by the signal thread */
};

#define NO_TRACK UINT64_MAX

/* recovery.c: everything that lies in DATA, replayed; before any thread starts. */
enum status spine_recover(struct spine *s, struct error *e) must_use;

/* loop.c */
enum status spine_new(struct spine **out, const struct config *c, int signer_fd, int control_fd,
		      struct error *e) must_use;
void spine_free(struct spine *s);
/* Runs until stop is set and everything accepted is settled or drain_ms passed; 0 or an exit code. */
int spine_run(struct spine *s);
void spine_wake(struct spine *s);
void spine_post(struct spine *s, enum note kind, void *p);
int64_t spine_now(const struct spine *s);

/* numbering.c */
void number_push(struct spine *s, struct submission *sub);
void number_run(struct spine *s);	/* as far as the journal has room */
void answer_run(struct spine *s);	/* those whose records are durable */
/* Appends; false: the journal is full just now. */
bool append_record(struct spine *s, enum record_type type, struct slice payload, uint64_t *pos);

/* feeding.c: backlog → batches → stages → done */
void backlog_add(struct spine *s, struct pending *p);
void feed_run(struct spine *s);
void feed_pressed(struct spine *s, struct batch *b);
void feed_signed(struct spine *s, struct batch *b);
void feed_stored(struct spine *s, struct batch *b);
void item_settled(struct spine *s, struct pending *p);

/* signing.c */
void signing_start(struct spine *s, int fd);
void signing_ask(struct spine *s, struct batch *b);
void signing_tick(struct spine *s);
void signing_control(struct spine *s);	/* arms the supervisor's socket */

/* acts.c */
void act_run(struct spine *s, struct act *a);
void act_done(struct spine *s, struct act *a, enum status st, const char *text);

/* recycle.c: stored-up-to, snapshots, key runs, freed segments; the janitor */
enum status janitor_start(struct spine *s, struct error *e) must_use;
void janitor_stop(struct spine *s);
void job_push(struct spine *s, struct job *j);
void job_finished(struct spine *s, struct job *j);
void recycle_run(struct spine *s);

/* reads.c: engine_ops for intake */
void reads_ops(struct spine *s, struct engine_ops *ops);

#endif
