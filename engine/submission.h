/*
 * submission.h - what passes between intake (gRPC threads, readers) and the spine.
 *
 * Intake fills a submission, pushes it through engine_ops.submit, and gets it back decided and
 * durable through intake_answer(): one owner at a time is the synchronisation.
 */
#ifndef TRIEN_SUBMISSION_H
#define TRIEN_SUBMISSION_H

#include "base/arena.h"
#include "counts.h"
#include "journal/record.h"
#include "journal/waiting.h"
#include "notify/notify.h"
#include "objects/objects.h"
#include "reason.h"
#include "register/register.h"
#include "result.h"
#include "section.h"
#include "store/store.h"
#include "verify/verify.h"

struct book;

/* One result's answer. */
struct receipt {
	uint8_t result_id[16];
	enum state state;
	enum reason held;
	uint64_t sequence, number;
	char number_text[NUMBER_TEXT_BYTES_MAX + 1];	/* empty: not bound yet */
	int64_t accepted_ms, issued_ms;
	bool duplicate;			/* the same case was accepted before: same receipt */
};

/* One valid case. Intake has checked everything that needs no durable state. */
struct submitted_result {
	uint8_t key[16];		/* result_key() */
	uint8_t lane;
	const struct kind *kind;	/* borrowed from submission.catalogue */
	const struct unit *unit;
	const struct signer *signer;
	uint64_t given_number;
	struct slice given_text;
	struct slice unit_code, kind_code;	/* borrow from submission.catalogue */
	uint16_t ordinal;
	uint8_t replaces[16];		/* zero: none; set with `replaced` (intake/submit.h) */
	/* spine */
	struct receipt receipt;
};

struct submitted_case {
	uint32_t index;			/* in the request */
	uint8_t priority;
	bool replaces;			/* another result: the readers look at that one first */
	struct slice wire;		/* refused today, issued before? the readers look */
	const struct refusal *unless_before;	/* holds if it was not issued before */
	const struct original *original;	/* that it copies; NULL: none */
	struct slice code;
	struct slice bytes;		/* canonical case, in submission.arena */
	int64_t due_ms;			/* 0: no deadline */
	struct holder_ends ends;
	uint8_t digest[SHA256_BYTES];
	/* intake or spine: reason NONE = accepted */
	struct refusal refusal;
	uint8_t results_n;
	struct submitted_result results[CASE_RESULTS_MAX];	/* beyond results_n: not cleared */
};

struct submission {
	struct arena arena;		/* everything below lives here */
	struct catalogue *catalogue;	/* a reference */
	struct slice principal;
	bool validate_only;		/* spine checks duplicates and registers, binds nothing */
	uint32_t cases_n;
	struct submitted_case *cases;	/* refused ones included, so that order is the request's */
	uint64_t durable_at;		/* spine: answer once the journal passed this position */
	struct submission *next;	/* spine's list */
	void *call;			/* intake's */
};

/* An operator's or registry's act, done on the spine; answered through done(), on the spine or a
 * background thread. Strings live as long as the act. */
enum act_type {
	ACT_REGISTER_OPEN,
	ACT_REGISTER_CLOSE,
	ACT_NUMBERS_USE,		/* act.count from act.first on are used outside */
	ACT_NUMBER_VOID,		/* act.first: the caller saw that it stands nowhere */
	ACT_REGISTER_LIST,
	ACT_REGISTER_FIND,		/* one of a unit, code, year; n 0: it is not open */
	ACT_NUMBER_FIND,		/* likewise, with act.names */
	ACT_HELD_RETRY,
	ACT_HELD_VOID,
	ACT_HAND,			/* a held result gets another signer, act.code */
	ACT_LINK_HOLDER,
	ACT_LIVE,			/* upon the life of a stored result: act.event */
	ACT_STATUS,
	ACT_APPROVE,			/* a session's confirmation: act.approval */
	ACT_SEND_BACK,			/* the signer refuses one waiting result, with a reason */
	ACT_WITHDRAW,			/* the case system takes one back, with a reason */
	ACT_SIGNATURES_GIVE,		/* a bridge brings what its token signed: act.signatures */
	ACT_SHARE_MAKE,			/* act.share, of act.sequence, a result of act.unit */
	ACT_SHARE_FIND,			/* what opens with act.share.secret; is it open? */
	ACT_SHARE_USE,			/* the same, and counts it */
	ACT_SHARE_END			/* act.unit empty: not known */
};

/* refused is NONE: it gets its number and date, whatever crashes. Else it waits as before. */
struct approval_item {
	uint64_t sequence;		/* in */
	enum reason against;		/* in: unless it was approved before, refused for this */
	enum reason refused;		/* out */
	bool timed_out;			/* out: refused as it did not wait any longer */
	char detail[64];		/* out: language-neutral */
};

/*
 * One confirmation. Done is called once the APPROVED record is durable (act.status ST_OK, also
 * when no item is left to approve); numbers and dates follow in the order of the items.
 */
struct approval {
	uint8_t session[16];
	uint8_t manifest[SHA256_BYTES];
	struct slice signer;		/* code; an item of another one is refused */
	struct slice delegation;	/* who stood in for whom, on which paper; may be empty */
	uint32_t items_n;		/* <= APPROVAL_ITEMS_MAX */
	struct approval_item *items;	/* in the manifest's order; each at most once */
};

/* ---- signatures of keys on their officers' devices (keys.json: source "bridge") ---- */

#define AWAITED_MAX 500			/* of one call */
#define KEY_NAME_BYTES_MAX 64		/* keys.json: id */
#define SIGNATURE_VALUE_BYTES_MAX 384

/* One that is waited for. */
struct awaited_signature {
	uint64_t sequence;
	uint8_t lane;
	uint8_t result_id[16];
	uint8_t slot;			/* which of the document's signatures */
	uint8_t form;			/* trien.v1.SignatureAlgorithm */
	uint8_t cert_sha256[SHA256_BYTES];
	uint8_t digest[SHA256_BYTES];	/* of the signed attributes */
	int64_t sign_ms;
	char key[KEY_NAME_BYTES_MAX + 1], signer[CODE_BYTES_MAX + 1];
	char unit[CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1];
	char number_text[NUMBER_TEXT_BYTES_MAX + 1];
};

/*
 * One that was given, checked with its key's certificate before. status: ST_OK: durable, it counts
 * whatever crashes; ST_EXISTS: one was taken before; ST_NOT_FOUND: none is waited for; ST_CONFLICT:
 * another digest or key is; else it is to be given again.
 */
struct given_signature {
	uint64_t sequence;
	uint8_t slot;
	char key[KEY_NAME_BYTES_MAX + 1];
	uint8_t digest[SHA256_BYTES];
	uint16_t value_n;
	uint8_t value[SIGNATURE_VALUE_BYTES_MAX];
	enum status status;		/* out */
};

struct status_view {
	char io[16], store[16];
	int64_t started_ms;
	uint64_t accepted, duplicates, refused, stored, held, voided, in_flight, backlog;
	uint64_t signatures, batches;
	uint32_t journal_slots, journal_slots_free;
	bool numbering;			/* false: stopped; why says the reason */
	char why[160];
	bool signer_up, store_up;
	uint32_t servers_away;		/* PostgreSQL: a bit each, by their place in the setting */
	uint32_t aside;			/* of the backlog: cases that wait for one of them */
	uint64_t awaiting_approval, awaiting_signature;	/* in the waiting room */
	const char *remote;		/* the remote signer: "up", "away"; "": there is none */
};

/*
 * Of SHARE_* (share.h). FIND, USE: ST_NOT_FOUND, or ST_OK with `wrong`: nothing opens with it;
 * ST_PRECONDITION: it is what `state` says. MAKE: ST_PRECONDITION: too many were made. END:
 * ST_NOT_FOUND: there is none, or another's; ST_OK: it has ended, now or before.
 */
struct share_order {
	/* MAKE: holder, kind, scope, views_max; END: stamp, holder; FIND by name: stamp. Out: as
	 * it is now. */
	struct share share;
	int64_t lasts_ms;		/* MAKE */
	uint8_t secret[SHA256_BYTES];	/* MAKE, FIND, USE: hash of what opens it */
	bool typed;			/* FIND, USE: it is a code; wrong ones are counted */
	bool named;			/* FIND: by its name; that it is over or used up is fine */
	struct slice viewer;		/* USE: from where */
	enum share_state state;		/* out: FIND, USE, END */
	bool wrong;			/* out */
};

#define ACT_VI_BYTES 160

struct act {
	enum act_type type;
	struct slice actor;
	/* in */
	/* LIVE: reason is the event's detail (living.h); unit, as of LINK_HOLDER: the result's */
	struct slice unit, code, reason;
	uint32_t year;
	uint64_t first;
	uint32_t count;
	/* CLOSE: with this total, of all numbers below `first`; NULL: none */
	const struct register_total *total;
	/* HELD_*: 0 = all; HAND, LINK_HOLDER, SEND_BACK, WITHDRAW */
	uint64_t sequence;
	/* HELD_RETRY of all: for this reason; NONE: any but a signer's refusal */
	enum reason held_for;
	/* SIGNATURES_GIVE: at most AWAITED_MAX, the caller's */
	struct given_signature *signatures;
	uint32_t signatures_n;
	struct share_order *share;	/* SHARE_*: caller's */
	struct approval *approval;	/* APPROVE: caller's; actor is the principal who confirms */
	uint8_t lane;
	struct holder holder;
	uint8_t event;			/* LIVE: enum event_kind */
	uint32_t acts;			/* LIVE: by its etag; out: with this one */
	bool replaced;			/* LIVE: by its etag */
	uint32_t undone;		/* LIVE: as its act_trace says by the store */
	uint32_t first_day;		/* LIVE: no paper of an earlier one; 0: any */
	/* HELD_*, HAND, APPROVE, SEND_BACK, WITHDRAW: may the caller act for a row's
	 * unit? NULL: any. On the spine. */
	bool (*unit_allowed)(const struct act *a, struct slice unit);
	uint32_t offset, max;		/* lists */
	/* out */
	enum status status;
	struct error error;
	char vi[ACT_VI_BYTES];		/* the error in Vietnamese; "": nobody said it so */
	bool pending;			/* LINK_HOLDER, LIVE, SHARE_*: durable, the store is away */
	/* HAND: why not that signer; LIVE, LINK_HOLDER, SHARE_*: UNIT_ELSEWHERE, error.text is
	 * the owner; NONE: see error */
	enum reason refused;
	struct register_row *registers;	/* caller's array of max; OPEN, CLOSE: the one it left */
	uint32_t n;
	/* NUMBER_FIND: what has number `first` in some register of that year, as far as the key
	 * index has it in memory; the caller's, from malloc */
	struct result_name *names;
	uint32_t names_n;
	struct status_view *view;	/* caller's */
	void (*done)(struct act *a);
	void *owner;
};

/* A result that waits for approval, and what its signer is shown of it. */
struct waiting_paper {
	struct waiting_row row;
	uint8_t result_id[16];
	uint8_t case_sha256[SHA256_BYTES];	/* of the canonical case */
	uint8_t preview_sha256[SHA256_BYTES];	/* of the whole draft, which has file_n bytes */
	/* With which it would be made now: the pinned kind, agency and signer of today. Borrowed
	 * from the catalogue given. */
	const struct kind *kind;
	const struct unit *unit;
	const struct signer *signer;
	struct slice approval;		/* trien.v1.Approval; until the reader's next call */
	struct held_file *file;		/* the caller's, where it was asked for; else NULL */
	uint64_t file_n;
};

/* What an etag says, and of which result. */
struct etag { uint32_t acts; bool replaced; uint8_t lane; uint64_t sequence; };
/*
 * A call's reads, on their way to be noted. What it points to lives until done(), which is called
 * once, on a thread of ours; status not ST_OK: not noted, nothing is to be shown.
 */
struct read_noting {
	struct read_note note;		/* but for the stamp */
	enum status status;
	struct error error;
	void (*done)(struct read_noting *n);
	void *owner;
};

#define INSPECT_DETAIL_BYTES 64

/* What the pipeline offers to intake (and to the portal later). */
struct engine_ops {
	void *ctx;
	/* ST_FULL / ST_UNAVAILABLE: not taken; the caller keeps it. */
	enum status (*submit)(void *ctx, struct submission *s);
	enum status (*act)(void *ctx, struct act *a);
	enum status (*note_read)(void *ctx, struct read_noting *n);
	/* The snapshot in force, referenced; unref when done. */
	struct catalogue *(*catalogue)(void *ctx);
	const struct codeset *(*coverage)(void *ctx);
	int64_t (*now_ms)(void *ctx);

	/* As notify_watch() and its companions (notify/notify.h). */
	enum status (*watch)(void *ctx, const struct watch_filter *f, void (*wake)(void *owner),
			     void *owner, struct watch **out);
	uint32_t (*watch_take)(struct watch *w, struct state_change *out, uint32_t max, bool *cut);
	void (*unwatch)(struct watch *w);

	/* Readers: one per thread. */
	enum status (*reader_open)(void *ctx, void **reader, struct error *e);
	void (*reader_close)(void *reader);
	/*
	 * Answers "in progress" states too; ST_NOT_FOUND for foreign ids, in the same time;
	 * ST_AGAIN, of this alone: another engine gave the id, and only that one knows more, as it
	 * is not stored yet. A stored one has its etag.
	 */
	enum status (*get)(void *reader, const uint8_t result_id[16], struct result_view *out);
	/* Is it another engine's? owner->text says whose, as in UNIT_ELSEWHERE. */
	bool (*id_elsewhere)(void *reader, const uint8_t result_id[16], struct error *owner);
	bool (*unit_elsewhere)(void *reader, struct slice unit, struct error *owner);
	enum status (*read)(void *reader, const uint8_t result_id[16], uint64_t offset,
			    uint8_t *buf, size_t *n);
	/*
	 * What an etag says of this result of that agency, which needs no store; false: not one of
	 * it. And what the etag is after that many acts.
	 */
	bool (*etag_read)(void *reader, const uint8_t result_id[16], struct slice unit,
			  const char *text, struct etag *out);
	void (*etag_after)(void *reader, const uint8_t result_id[16], struct slice unit,
			   const struct etag *e, char out[ETAG_BYTES + 1]);
	/*
	 * Judges a file by the certificates that were there at the start or the last SIGHUP.
	 * Without a root among them it is INDETERMINATE. ST_NOMEM.
	 */
	enum status (*verify)(void *ctx, struct slice file, struct report *out);
	/* As store_ops.history. */
	enum status (*history)(void *reader, uint8_t lane, uint64_t sequence, uint32_t max,
			       struct result_event *out, uint32_t *n);
	/* As store_ops.shares. */
	enum status (*shares)(void *reader, uint8_t lane, uint64_t sequence,
			      void (*one)(void *ctx, const struct result_event *v), void *ctx);
	/* As store_ops.counts. */
	enum status (*counts)(void *reader, const struct counts_question *q, struct tally *out);
	/*
	 * What this engine has accepted and is neither stored nor ended, by agency and kind (day
	 * 0), in place of what was in `out`: RESULTS all of it; by Facts.due_time moved as it was,
	 * LATE what is due before now and ON_TIME what is due later; ACCEPTED what was accepted
	 * before before_ms. Of about one moment: what begins or ends to wait just then may be
	 * missing. ST_TOO_LARGE.
	 */
	enum status (*pending)(void *reader, int64_t before_ms, struct tally *out);
	/* Borrowed until the reader's next call. */
	enum status (*object)(void *reader, const uint8_t sha256[SHA256_BYTES], struct slice *out);
	enum status (*list)(void *reader, const uint8_t holder_key[16], uint64_t before,
			    uint32_t max, struct holding_view *out, uint32_t *n);
	/* As store_ops.readings; the views borrow until one() returns, which may ask result_id. */
	enum status (*readings)(void *reader, const uint8_t holder_key[16], uint64_t before,
				uint32_t max,
				void (*one)(void *owner, const struct reading_view *v),
				void *owner, uint64_t *last);
	/* Current states of a case's results, in flight, waiting or stored. */
	enum status (*find_case)(void *reader, struct slice unit, struct slice code, uint32_t max,
				 struct state_change *out, uint32_t *n);
	/* Likewise, of all agencies that have a result of this case. */
	enum status (*whole_case)(void *reader, struct slice unit, struct slice code, uint32_t max,
				  struct state_change *out, uint32_t *n);

	/*
	 * As waiting_after(), waiting_list() and waiting_find() of journal/waiting.h; the last two
	 * without what is on its way by now.
	 */
	enum status (*waiting_after)(void *reader, enum state state, uint64_t sequence,
				     struct waiting_row *rows, uint32_t max, uint32_t *n,
				     struct error *e);
	enum status (*waiting_list)(void *reader, const struct waiting_filter *f,
				    const struct waiting_place *after, struct waiting_row *rows,
				    uint32_t max, uint32_t *n);
	enum status (*waiting_find)(void *reader, const uint8_t result_id[16],
				    struct waiting_row *out);
	/*
	 * Draws it. file: the bytes, too. ST_NOT_FOUND: it does not wait for approval (any more);
	 * anything else is told in *e.
	 */
	enum status (*waiting_paper)(void *reader, struct catalogue *c,
				     const uint8_t result_id[16], bool file,
				     struct waiting_paper *out, struct error *e);
	/*
	 * A walk over the numbers of a register behind `after` and below `upto`, in order: issued,
	 * void, used outside, and what is still on its way or waits. `upto` is the next number as
	 * an act found it before (ACT_REGISTER_FIND): then each below it is told, or stands
	 * nowhere; one that two results claim is told twice. book_next() goes on, by about max
	 * entries, on any reader; what it tells is the callback's until that returns.
	 */
	enum status (*book_open)(void *reader, struct slice unit, struct slice code, uint32_t year,
				 uint64_t after, uint64_t upto, struct book **out);
	enum status (*book_next)(void *reader, struct book *b, uint32_t max,
				 void (*cb)(void *ctx, const struct book_entry *row),
				 void *ctx, bool *ended);
	void (*book_close)(struct book *b);
	/*
	 * Is a result of this number stored, whatever the book says? Looked for by the keys of all
	 * that was ever numbered: names, as ACT_NUMBER_FIND told them, and those on disk, which may
	 * take minutes.
	 */
	enum status (*number_stored)(void *reader, struct slice unit, struct slice code,
				     uint32_t year, uint64_t number,
				     const struct result_name *names, uint32_t names_n,
				     bool *stored);
	void (*result_id)(void *reader, uint8_t lane, uint64_t sequence, uint8_t out[16]);
	/* The other way round; false: no id of this instance. */
	bool (*id_read)(void *reader, const uint8_t result_id[16], uint8_t *lane,
			uint64_t *sequence);
	/*
	 * The canonical case of a result that is stored or waits. Borrowed until the reader's next
	 * call. ST_NOT_FOUND: others, too.
	 */
	enum status (*case_of)(void *reader, const uint8_t result_id[16], struct slice *out);

	/* Could the paper's signer sign it at that time? REASON_NONE, or as sign_person(). */
	enum reason (*may_sign)(void *ctx, const struct waiting_paper *paper, int64_t at_ms);

	/* Bridges. The most urgent of a signer's, of one key or (NULL) of all, behind *at
	 * (sequence 0: from the first), which is the last one's then; those on their way with their
	 * signature are left out. */
	enum status (*awaited_list)(void *reader, const char *signer, const char *key,
				    struct waiting_place *at, struct awaited_signature *out,
				    uint32_t max, uint32_t *n);
	/* ST_NOT_FOUND: no key on a device is waited for; ST_EXISTS: its signature was given. */
	enum status (*awaited_find)(void *reader, const uint8_t result_id[16],
				    struct awaited_signature *out);
	/* Does the value verify with the certificate of a's key? */
	bool (*awaited_check)(void *reader, const struct awaited_signature *a, struct slice value);
	/* Whose key on a device has this certificate? false: nobody's. */
	bool (*awaited_signer)(void *reader, const uint8_t cert_sha256[SHA256_BYTES],
			       char out[CODE_BYTES_MAX + 1]);
	/* Rises when a signature is waited for that was not before. Any thread. */
	uint64_t (*awaited_news)(void *ctx);
	/* Sessions as files, one each; keep is durable when it returns. What was forgotten may be
	 * there again after a crash. Not the spine. */
	enum status (*session_keep)(void *ctx, const uint8_t id[16], struct slice bytes,
				    struct error *e);
	enum status (*session_forget)(void *ctx, const uint8_t id[16], struct error *e);
	enum status (*session_each)(void *ctx, void (*one)(void *owner, struct slice bytes),
				    void *owner, struct error *e);

	/*
	 * Originals that are copied; objects NULL: no copies are made here (spine/originals.h says
	 * why). objects_release(): named, where the case was taken now, and is no duplicate.
	 */
	struct objects *objects;
	uint64_t original_bytes_max;
	/*
	 * What stands in the file (foreign/): *out, its arrays from a. own: a result of ours.
	 * Anything but ST_OK: refused, *why says why. May take seconds.
	 */
	enum status (*inspect)(void *ctx, int fd, uint32_t size, const uint8_t sha256[SHA256_BYTES],
			       bool own, struct arena *a, struct original *out, enum reason *why,
			       char detail[INSPECT_DETAIL_BYTES]);
	/* As original_keep of the store (store.h). */
	enum status (*object_keep)(void *reader, uint8_t lane, const uint8_t sha256[SHA256_BYTES],
				   uint64_t size, struct error *e);
	/* As its original_drop: of a case that was not taken. */
	void (*object_drop)(void *reader, uint8_t lane, const uint8_t sha256[SHA256_BYTES]);
};

#endif
