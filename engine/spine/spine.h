/*
 * spine.h - the engine's one thread of decisions: journal, registers, batches, signer's socket.
 *
 * Glue between stages (with pipeline.c the only code that knows several). Everything in struct
 * spine belongs to the spine thread, except where a field says otherwise. Other threads talk to it
 * through `inbox`, whose pointers carry their kind in the low bits; the spine talks to them through
 * the workers', the store's and the janitor's queues.
 *
 *	intake ─submission─▶ inbox ─▶ number ─▶ journal ─▶ answer (durable) ─▶ backlog
 *	backlog ─seal─▶ batch ─▶ workers ─▶ signer ─▶ workers ─▶ store ─▶ done
 */
#ifndef TRIEN_SPINE_SPINE_H
#define TRIEN_SPINE_SPINE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/queue.h"
#include "config.h"
#include "foreign/foreign.h"
#include "identity.h"
#include "io/io.h"
#include "journal/journal.h"
#include "journal/keyindex.h"
#include "journal/snapshot.h"
#include "journal/waiting.h"
#include "judging.h"
#include "notify/notify.h"
#include "objects/objects.h"
#include "pipeline.h"
#include "register/register.h"
#include "render/render.h"
#include "sign/sign.h"
#include "signer/signer.h"
#include "spine/backlog.h"
#include "spine/childlink.h"
#include "spine/inflight.h"
#include "store/store.h"
#include "submission.h"

struct intake;
struct drafts;			/* drafts.h */
struct track;			/* track.h */
struct units;			/* units.h */
struct mirror;			/* mirror.h */
struct elsewhere;		/* elsewhere.h */
struct errand;
struct noter;			/* noter.h */
struct await_page;
struct given_row;		/* bridging.c */

#define NO_TRACK UINT64_MAX

/* What the low bits of an inbox pointer say. */
enum note { NOTE_SUBMISSION, NOTE_ACT, NOTE_PRESSED, NOTE_STORED, NOTE_JOB, NOTE_MASK = 7 };

/*
 * A case on its way from the journal to a batch: results[next_result … end). One that stands for a
 * single result of another (too large to be sealed with others) has that one as `parent`.
 */
struct pending {
	struct pending *next, *parent;
	uint64_t pos;			/* of its NUMBERED record */
	/* its place in the order of the journal: of the NUMBERED or the RESUMED record */
	uint64_t track;
	int64_t sign_ms;		/* 0: the issue time */
	uint8_t *payload;		/* malloc'd record, NULL: read it again from the journal */
	uint32_t size;
	uint64_t lanes;			/* of its rows; 0: it never waited for a server */
	uint32_t tokens;		/* in whose line it stands, or will (backlog.h); 0: main */
	uint8_t digest[SHA256_BYTES];	/* of the canonical case */
	uint8_t priority, next_result, end;
	uint8_t left;			/* results not yet stored, parked or void */
	struct kept_signatures *kept;	/* malloc'd, of its one result; NULL: none */
	uint8_t settled;		/* bit per result: recovery found it stored or parked */
	uint8_t awaiting;		/* bit per result: to the waiting room, unnumbered */
	uint8_t parking;		/* of these: those that the janitor does not have yet */
	struct pending *next_awaiting;	/* awaiting.c's list */
	uint8_t held;			/* enum reason: why it waited before */
	bool large;			/* to be sealed alone */
	bool waiting;			/* from the waiting room */
};

/* Work for the janitor: one blocking act at a time, away from the spine. */
enum job_type { JOB_KEYINDEX, JOB_SNAPSHOT, JOB_PARK, JOB_UNPARK, JOB_FORGET, JOB_VOID,
		JOB_STATE_EVENT, JOB_NUMBERS,
		JOB_HELD_FIND, JOB_HAND_FIND, JOB_HAND, JOB_HAND_TELL,
		JOB_ANSWER, JOB_OWNERS, JOB_APPROVE_FIND, JOB_NUMBER_READ, JOB_END_FIND,
		JOB_EXPIRED_FIND, JOB_AWAIT, JOB_AWAIT_READ, JOB_AWAIT_APPLY, JOB_GIVEN_FIND };
struct job {
	enum job_type type;
	struct keyindex_job *keys;
	struct snapshot snapshot;
	struct waiting_row row;		/* PARK; UNPARK, HELD_FIND: sequence in, row out */
	bool away_only;			/* UNPARK: those held as SIGNER_AWAY */
	/* registers of the snapshot; NUMBERED record to park or unparked; STATE_EVENT, NUMBERS */
	uint8_t *bytes;
	size_t n;
	struct record_result voided;	/* strings borrow from the act or from `bytes` */
	struct owners *owners;		/* OWNERS: as the store has them now */
	struct act *act;		/* answered when done; NULL: nobody waits */
	struct pending *pending;	/* PARK: settled when done; NULL: a mirror's */
	uint64_t record_pos;		/* PARK in a mirror: of `bytes`, if they are not there */
	uint64_t after;			/* starts once the journal is durable up to here */
	uint64_t track;
	uint64_t upto;			/* KEYINDEX, SNAPSHOT: what becomes releasable */
	struct job *then;		/* KEYINDEX: once it is committed; NULL: nothing */
	bool more;			/* UNPARK: there are rows behind this one */
	bool noted;			/* PARK, AWAIT: the journal has its PARKED record */
	uint8_t again;			/* HELD_FIND, HAND_FIND: so often something came between */
	bool numbered;			/* FORGET: its watchers learn of its number then */
	struct approval_row *approval_rows;	/* APPROVE_FIND: one for each item */
	struct number_chunk *chunk;	/* NUMBER_READ */
	struct errand *errand;		/* AWAIT */
	struct await_page *page;	/* AWAIT_READ */
	struct given_row *given;	/* GIVEN_FIND: one for each signature */
	struct waiting_row *expired;	/* EXPIRED_FIND */
	uint32_t expired_n;
	enum status status;
	struct error error;
	struct job *next;
};

#define PARKED_TOGETHER 64		/* PARKED records that wait for company, and */
#define PARKED_MS_MAX 20		/* for so long */
#define LATER_MS 1000			/* until what could not be had is tried again */
#define LATER_TOLD_MS 60000		/* and logged */
#define FIND_AGAIN_MAX 16		/* looks for a row that changes meanwhile */
#define JOBS_MAX 256			/* more acts of the janitor: no new batch is sealed */
#define RESUMED_MAX (2 * BATCH_ITEMS_MAX)	/* so many at a time leave the waiting room, */
#define RESUMED_ASIDE_MAX 4096		/* and so many that wait for a server beside them */

/* The signer's socket. */
struct signer_link {
	struct child_link link;		/* out: one request */
	struct batch *to_send, *waiting;	/* lists by batch.next */
	uint64_t asked_ns;		/* last word of the signer, or the first request since */
	uint64_t linked_ns;		/* since when it may greet, and */
	uint64_t greeting_ns;		/* how long; doubles from one that does not to the next */
};

/* The remote signer's socket (remote/remote.h). */
struct remote_link {
	struct child_link link;		/* out: as many requests as fit */
	bool known;			/* the supervisor has given one: services are configured */
};

/* Only rise; read by the metrics thread without a lock. */
struct counters {
	_Atomic uint64_t accepted, duplicates, refused, stored, held, voided, signatures, batches;
	_Atomic uint64_t store_refused, store_conflicts;	/* of held: why */
	_Atomic uint64_t signatures_wrong;	/* from elsewhere, that were not their key's */
	_Atomic uint64_t unsigned_parked;	/* results that began to wait for a signature */
};

/* As of the last turn; likewise. */
struct gauges {
	_Atomic uint32_t backlog, aside, batches, slots_free;
	atomic_bool signer_up, remote_up, numbering, mirror_up;
};

struct spine {
	const struct config *config;
	char *archive;			/* DATA/catalogue */
	char *counters_dir;		/* DATA/counters */
	struct io *io;
	int data_lock;			/* held until all else is closed; -1: not yet */
	struct journal *journal;
	struct keyindex *keys;
	/* written by the janitor alone once running */
	struct waiting *waiting;
	struct waiting_reader *rows, *spine_rows;	/* the janitor's, the spine's */
	struct registers *registers;
	struct numbering_clock clock;
	struct identity *identity;
	struct objects *objects;
	struct store *store;
	struct notify *notify;
	struct inflight *inflight;
	struct intake *intake;
	struct render *render;
	struct drafts *drafts;		/* readers' */
	struct pipeline *pipeline;
	struct batch_pool *batches;
	struct backlog backlog;
	struct pending *awaiting_first, *awaiting_last;
	struct approving *approving_first, *approving_last;	/* confirmed, in order */
	struct approving *passed_first, *passed_last;	/* what of them could not be numbered */
	bool numbering_approved, expiring;	/* the janitor reads for them */
	uint64_t approving_ns;		/* when numbering them was put off; 0: it was not */
	uint64_t passed_ns;		/* when those passed over were last tried */
	uint64_t expired_ns;		/* when it last looked for what has expired, */
	int64_t expired_ms;		/* and the row up to which it did; 0: all of them */
	uint64_t expired;
	struct track *track;
	struct units *units;
	struct mirror *mirror;		/* NULL: none is configured */
	struct elsewhere *elsewhere;

	struct queue *inbox;
	struct io_op inbox_op, control_op;
	bool inbox_polled;
	struct signer_link signer;
	struct remote_link remote;
	struct foreign *foreign;	/* any thread may ask it */
	/* to the supervisor (supervisor.h); -1: none */
	int control;

	struct submission *number_first, *number_last;	/* waiting for room in the journal */
	struct submission *answer_first, *answer_last;	/* waiting for their durable_at */
	uint32_t number_case;		/* next case of number_first */
	uint8_t *record;		/* scratch for one record */

	struct queue *jobs;		/* to the janitor */
	pthread_t janitor;
	struct noter *noter;
	struct job *job_first, *job_last;	/* not pushed yet: queue full, or not durable yet */
	/* parked; their PARKED records wait for company, or for room in the journal */
	struct job *parked_first;
	uint32_t parked_n;
	uint64_t parked_ns;		/* since when the first of them waits */
	struct job *retry_first;	/* UNPARK with its row, until few enough are on their way */
	/* Some are held as SIGNER_AWAY, of these tokens (a bit each): when they are tried again */
	struct { bool some, looking; uint32_t tokens; uint64_t due_ns, pause_ns; } away;
	uint32_t resumed;		/* results of the waiting room on their way */
	uint32_t jobs_out;		/* with the janitor or in these lists */
	bool recycling;
	/* just behind the newest record: durable when the journal is */
	uint64_t appended;
	uint64_t released, stored_up_to, snapshot_pos;
	uint64_t noted;			/* `appended` just after the last STORED_UP_TO record */

	/* Swapped by a reload, read by intake threads: under `lock`. */
	pthread_mutex_t lock;
	struct catalogue *catalogue;
	struct keyring *keyring;
	pthread_rwlock_t roots_lock;	/* of the next */
	struct trust *trust;		/* NULL: there is no root */

	bool numbering, stopping;
	struct error failure;		/* status not ST_OK: the engine stops */
	struct error store_failure;	/* the store's, valid once store_dead is set */
	atomic_bool store_dead;
	int64_t started_ms;
	uint64_t drain_until_ns;
	struct counters counters;
	struct gauges gauges;
	atomic_bool stop;		/* set by the signal thread */
};

/* recovery.c: everything that lies in DATA, replayed; before any thread starts. */
enum status spine_recover(struct spine *s, struct error *e) must_use;

/* Where catalogue and keyring come from. */
void spine_sources(const struct spine *s, struct catalogue_config *cc, struct keyring_config *kc);

/* loop.c */
enum status spine_new(struct spine **out, const struct config *c, int control_fd,
		      struct error *e) must_use;
void spine_free(struct spine *s);
/* The setting `io`. */
enum io_kind io_kind_of(const char *name);
/* What the store tells the spine, on the store's thread. */
struct store_sink spine_sink(struct spine *s);
/* Threads that the spine feeds: workers, janitor. After recovery. */
enum status spine_start(struct spine *s, struct error *e) must_use;
/*
 * Runs until stop is set and everything accepted is settled or drain_ms passed. ST_OK: a clean end.
 */
enum status spine_run(struct spine *s, struct error *e);
/* Nothing is on its way any more. */
bool spine_settled(const struct spine *s);
/* Any thread; ST_FULL only for submissions and acts. */
enum status spine_post(struct spine *s, enum note kind, void *p);
/* Something durable failed: nothing more is acknowledged, the engine stops. */
void spine_fail(struct spine *s, const char *fmt, ...) printf_like(2, 3);
/* The catalogue in force, referenced. Any thread. */
struct catalogue *spine_catalogue(struct spine *s);
/* The keyring, likewise. */
struct keyring *spine_keyring(struct spine *s);
/*
 * Catalogue, and with certs the keyring, from their folders again; the old ones serve on if one is
 * broken.
 */
enum status spine_reload(struct spine *s, bool certs, struct error *e) must_use;

/* numbering.c */
/* More than any register will give: its text is the longest. */
#define NUMBER_LATER_MAX 99999999999ull
void number_push(struct spine *s, struct submission *sub);
void number_run(struct spine *s);	/* as far as the journal has room */
void answer_run(struct spine *s);	/* those whose records are durable */
/* Appends; false: the journal is full just now. */
bool append_record(struct spine *s, enum record_type type, struct slice payload, uint64_t *pos);
/* The key under which a number given by a case is remembered. */
void given_key(uint8_t key[16], struct slice unit, struct slice code, uint32_t year,
	       uint64_t number);
/* Was the key answered before? A damaged index stops the engine. */
bool key_known(struct spine *s, const uint8_t key[16], struct keyentry *out);
/* What became of it, as far as its key knows: AWAITING_APPROVAL, STORED (numbered), or an end. */
enum state key_state(const struct keyentry *k);
/*
 * The next number of n's register and year; a register that goes on over the year is opened through
 * the journal. ST_FULL: there is no room in it just now.
 */
enum status number_take(struct spine *s, struct slice unit, struct numbered_result *n) must_use;
/* One result's row for watchers and readers. */
void change_fill(struct spine *s, struct state_change *out, const struct numbered_result *n,
		 const struct case_result *r, struct slice case_code, enum state state,
		 int64_t at_ms);
/* It is results[at] of its case: where the others are. */
void change_case(struct state_change *out, const struct numbered_result *results, uint8_t n,
		 uint8_t at);

/* feeding.c: backlog → batches → stages → done */
/* A case that stands in the journal: into the backlog, the waiting room, or both. */
void pending_start(struct spine *s, struct pending *p);
/* Some result of it goes into a batch. */
bool pending_batched(const struct pending *p);
void payload_drop(struct spine *s, struct pending *p);
/* Its record once more, malloc'd: p->size bytes. */
enum status pending_record(struct spine *s, const struct pending *p, uint8_t **out,
			   struct error *e) must_use;
void feed_run(struct spine *s);
/* When a batch is due by its age; UINT64_MAX: none is sealed now, however old the backlog is. */
uint64_t feed_due_ns(const struct spine *s);
void feed_pressed(struct spine *s, struct batch *b);
void feed_signed(struct spine *s, struct batch *b);
void feed_stored(struct spine *s, struct batch *b);
void pending_settled(struct spine *s, struct pending *p);
void pending_free(struct spine *s, struct pending *p);

/* aside.c: without batch and memory of their own cases wait for servers that are away. */
/* Lanes of servers that are away while there are others; and p, which is in no list, waits. */
uint64_t lanes_away(const struct spine *s);
void aside_add(struct spine *s, struct pending *p, uint64_t away);
/* Whose server is back goes on in its place. */
void aside_run(struct spine *s);
/* Cases that wait for a batch, and for what is away. */
uint32_t backlog_count(const struct spine *s);
/* No more leave the waiting room now. */
bool resumed_full(const struct spine *s);

/* signing.c */
/* Buffers, and the first receive on the supervisor's socket. */
enum status signing_start(struct spine *s) must_use;
void signing_stop(struct spine *s);
void signing_ask(struct spine *s, struct batch *b);
void signing_tick(struct spine *s);

/* remotelink.c */
enum status remote_link_start(struct spine *s) must_use;
void remote_link_stop(struct spine *s);
/* The supervisor started another one, or the first. */
void remote_linked(struct spine *s, int fd);
/* Whatever is to be asked for and fits. */
void remote_send(struct spine *s);
/* It answers, or none is configured. */
bool remote_is_well(const struct spine *s);

/* acts.c */
void act_run(struct spine *s, struct act *a);
/* The janitor is through with a job that has an act: freed, or on its way as another job. */
void act_finished(struct spine *s, struct job *j);
/* Closes its track, answers its act with its status, frees it. */
void act_end(struct spine *s, struct job *j);
/*
 * Of an act whose record is appended: the janitor tells the store of it, once that is durable, and
 * then its caller. track: closed then; NO_TRACK: the act was told before.
 */
void act_tell(struct spine *s, struct act *a, enum job_type type, struct slice payload,
	      uint64_t track);
/* Answers it as it is, once all that was appended so far is durable. */
void act_answer(struct spine *s, struct act *a);
/* Answers it at once. */
void refuse_act(struct act *a, enum status st, const char *text);
/* The same, said in Vietnamese, too. */
void refuse_both(struct act *a, enum status st, const char *vi, const char *text);

/*
 * clerk.c: what the spine does with the waiting room. A look into it from here is one look-up by
 * its key in a connection of the spine's own, its pages in the cache: as cheap as the key index.
 */
/* Rows in this state that are not on their way. Any thread. */
uint64_t clerk_count(const struct spine *s, enum state state);
/* Has it a row? What `inflight` says goes before it. A room that cannot be read ends the engine. */
bool clerk_row(struct spine *s, uint64_t sequence, struct waiting_row *row);
/* Waits, and is not on its way: nobody else has taken it in hand. */
bool clerk_waits(struct spine *s, uint64_t sequence, struct waiting_row *row);
/* Neither on its way nor waiting. */
bool clerk_stored(struct spine *s, uint64_t sequence);
/* A row for watchers and readers. Any thread that owns id. */
void waiting_change(struct identity *id, struct state_change *out, const struct waiting_row *row,
		    enum state state, int64_t at_ms);
/* What cannot be signed now goes to the waiting room, with its record. */
void clerk_park(struct spine *s, struct item *it);
void clerk_parked(struct spine *s, struct job *j);
/*
 * The PARKED record of a row that is there, and what a mirror's row needs besides; called until
 * it is true. false: the journal is full just now.
 */
bool clerk_note(struct spine *s, struct job *j);
void clerk_run(struct spine *s);	/* PARKED records that waited for company, or for room */
/* A result of the waiting room is stored: its row goes. */
void clerk_forget(struct spine *s, const struct item *it);
void clerk_forgotten(struct spine *s, struct job *j);
/* Its handovers are told to the store: now its row goes. */
void clerk_told(struct spine *s, struct job *j);
/* Held results back into the pipeline, as it has room. */
void retry_run(struct spine *s);
/* A token that was away has signed: what it held up is tried again at once. */
void away_ends(struct spine *s);
/* Its act is not allowed for the unit of its row. */
bool clerk_denied(const struct job *j);

/* voiding.c: a person ends what a row of the waiting room waits for */
/*
 * HELD_FIND, HAND_FIND: the row is there. May j's act end what it waits for, a signature or an end
 * of what holds it? Else why not: in the act. j->row is as it is now, with the reason that it has
 * been waiting for.
 */
enum status row_may_end(struct spine *s, struct job *j) must_use;
/* Likewise: it is not there. */
void row_missing(struct spine *s, struct job *j);
/*
 * Something came between: j looks for the row again once that is durable. false: as often as that
 * is sensible; the caller may call again.
 */
bool row_find_again(struct spine *s, struct job *j);
/* HELD_FIND: the row to be voided is there. VOID: the janitor is through with it. */
void void_found(struct spine *s, struct job *j);
void void_done(struct spine *s, struct job *j);
/* A VOID record: counted in its register; and, at pos, what a repeated submission is answered. */
void register_void(struct spine *s, const struct record_result *r);
void void_keys(struct spine *s, const struct record_result *r, uint64_t pos);

/* recycle.c: stored-up-to, snapshots, key runs, freed segments; the janitor */
enum status janitor_start(struct spine *s, struct error *e) must_use;
void janitor_stop(struct spine *s);
void job_push(struct spine *s, struct job *j);
void job_finished(struct spine *s, struct job *j);
void recycle_run(struct spine *s);
/* What lies before upto, a segment's begin, is kept otherwise and released. Not while recycling. */
void recycle_start(struct spine *s, uint64_t upto);
/* Hands waiting jobs to the janitor as far as they are durable. */
void jobs_flush(struct spine *s);

/* recycle.c: into the store, idempotent; janitor, and recovery. */
enum status void_project(struct spine *s, const struct record_result *v, struct error *e) must_use;

/* reads.c: engine_ops for intake */
void reads_ops(struct spine *s, struct engine_ops *ops);

#endif
