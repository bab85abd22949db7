/*
 * store.h - citizen data stores: one small table of functions, two makers (embedded here,
 * PostgreSQL in its own folder).
 *
 * Batches are handed over with take() and come back through the sink, from a thread of the
 * store's own; link, events, void_number, marks, own and owners are called by another one,
 * note_reads by a third: the maker serialises them; readers are opened per reading thread.
 * Idempotent: the first stored wins; a second result with the same (lane, sequence) is compared by
 * case digest.
 * Only what came back through done() is ever shown (P4).
 */
#ifndef TRIEN_STORE_H
#define TRIEN_STORE_H

#include "io/io.h"
#include "objects/objects.h"
#include "result.h"

struct store;
struct store_reader;

/* Whom the store tells. On the store's own thread, one call at a time. */
struct store_sink {
	void *ctx;
	/* b is the caller's again: every live item stands durable, each `stored` is set. */
	void (*done)(void *ctx, struct batch *b);
	/* It failed for good; no batch comes back any more, those taken stay taken. */
	void (*failed)(void *ctx, const struct error *e);
	int64_t (*now_ms)(void *ctx);	/* Unix, UTC: when a result is stored */
};

struct store_config {
	struct store_sink sink;		/* done NULL: nothing will be taken */
	const char *dir;		/* embedded: DATA/store */
	/*
	 * Originals of certified copies: embedded: those that its results are read from, settled
	 * once they are stored; PostgreSQL: removed then. NULL: there are none. It outlives us.
	 */
	struct objects *objects;
	uint32_t segment_bytes;		/* embedded: of a new store; 0: the default */
	const char *witness;		/* a small file outside DATA/store and DATA/journal that
					 * remembers the highest number per register, so that a
					 * restored snapshot is noticed; NULL: none */
	/* PostgreSQL: servers as the setting `postgres` names them (postgres/servers.h) */
	const char *const *postgres;
	uint32_t postgres_n;
	uint32_t connections;		/* that write, a server */
	uint32_t statement_ms;		/* longest that a server may take for a statement that
					 * writes; 0: a minute */
	uint8_t engine;			/* ours: whose counters are folded, whose originals kept */
	enum io_kind io;		/* of the thread that drives them */
	bool citus;			/* no transaction over several lanes */
	bool risks_refused;		/* a server whose crash loses what it confirmed counts as
					 * away (PG_RISKS in postgres/servers.h) */
	const char *reader;		/* user of connections that only read; "": the same */
};

/* A holding. result.case_bytes is empty: get() has it. */
struct holding_view { struct result_view result; uint8_t role, visibility; uint32_t from, to; };

/* A LinkHolder act: one more holding for a stored result. */
struct holding_link { uint8_t lane; uint64_t sequence; struct holder holder; uint8_t key[16];
		      int64_t at_ms; struct slice actor, reason; };

/*
 * An event of a stored result (living.h), append-only. Told again it is the same one; but every
 * read is one of its own.
 */
struct result_event { uint8_t lane; uint64_t sequence; uint8_t kind; int64_t at_ms;
		      struct slice actor, detail; };

struct result_name { uint8_t lane; uint64_t sequence; };

/* Part of the stored form, and numbered as in trien.v1.Read.Call. */
enum read_call { READ_GET = 1, READ_BATCH_GET, READ_DOWNLOAD, READ_OBJECT, READ_LIST, READ_FIND,
		 READ_VERIFY, READ_COPY, READ_SHARE, READ_LOOK_UP, READ_LOOK_UP_NUMBER,
		 READ_LOOK_UP_FILE, READ_CALLS };

/*
 * One call by another than the holder, of what it got. stamp: made as a sequence is, of one's own
 * engine, no two alike: the reader's time and the row's place. holder: whose list was looked
 * through, found or not; NULL: the results alone say whom it is about. Of a share's use, case_code
 * is its id and purpose the digit of its scope; of that and of public look-ups, requester is from
 * where.
 */
struct read_note {
	uint64_t stamp;
	uint8_t call;			/* enum read_call */
	bool reuse;			/* by role `reuse`, for a case of another procedure: what
					 * is not own */
	struct slice actor, purpose, legal_basis, requester, case_code;
	const uint8_t *holder;
	const struct result_name *names;
	const bool *own;		/* of each: the reader may read it anyway; NULL: none */
	uint32_t names_n;		/* at most BATCH_GET_MAX */
};

/* What one holder sees of it: `names` are that holder's results, by reading_name(). */
struct reading_view {
	uint8_t holder[16];
	uint64_t stamp;
	uint8_t call;
	bool reuse;
	struct slice actor, purpose, legal_basis, requester, case_code;
	uint16_t names_n;
	struct slice names;
};
#define READING_NAME_BYTES 9
static inline struct result_name reading_name(const struct reading_view *v, uint32_t i)
{
	struct reader in = reader_of(slice_of(v->names.p + (size_t)i * READING_NAME_BYTES,
					      READING_NAME_BYTES));
	struct result_name name = { .sequence = read_u64(&in) };

	name.lane = read_u8(&in);
	return name;
}

/*
 * A number that will never be issued here. sequence 0: it never had a result (used outside);
 * otherwise get() and find_case() answer for that result with STATE_VOID. held: enum reason, why it
 * could not be signed. With REASON_STORE_CONFLICT its number or its sequence may be another's, who
 * keeps it: what is left to be told is told, and number 0 is no entry in the register.
 *
 * state 0: STATE_VOID. REFUSED, WITHDRAWN, TIMED_OUT: a result that ended before it had a number
 * (0), and answers with that state.
 */
struct void_entry { struct slice unit, register_code; uint32_t year; uint64_t number, sequence;
		    int64_t at_ms; struct slice reason, actor; bool used_outside;
		    uint8_t lane, held, state, result_id[16]; uint16_t ordinal, revision;
		    struct slice kind, case_code, number_text; int64_t accepted_ms, issued_ms; };

/*
 * What the official book says of a number. From the store: ISSUED, VOID, OUTSIDE, as the column
 * `state` of 001.sql has them. Slices as those of a result_view.
 */
enum book_state { BOOK_PENDING, BOOK_ISSUED, BOOK_VOID, BOOK_OUTSIDE };
struct book_entry {
	uint64_t number, sequence;	/* sequence 0: it never had a result */
	enum book_state state;
	bool damaged;			/* what the entry leads to is missing or says otherwise;
					 * result and actor are not to be read then */
	/* VOID, OUTSIDE: what is known; void_reason, stored_ms: why, when. life is not read. */
	struct result_view result;
	struct slice actor;		/* VOID, OUTSIDE: by whom */
	struct slice signer;		/* PENDING: code, where it is known; else see the pins */
};

/* What the store remembers of a register, for the comparison at start. */
struct register_mark { char unit[CODE_BYTES_MAX + 1], code[CODE_BYTES_MAX + 1];
		       uint32_t year; uint64_t highest; };

/*
 * Which engine issues for a unit, and where it answers. unit "*": for all. folder: a random word of
 * its data folder, which goes with a backup, a mirror and a take-over: another one under the same
 * number is another engine. "": not known (embedded: the store is the folder's own).
 */
#define OWNER_ALL "*"
#define OWNER_FOLDER_BYTES 32
#define OWNER_ADDRESS_BYTES_MAX 80
struct unit_owner { char unit[CODE_BYTES_MAX + 1], address[OWNER_ADDRESS_BYTES_MAX + 1];
		    char folder[OWNER_FOLDER_BYTES + 1]; uint32_t engine; };

struct tally;			/* counts.h */
struct counts_question;

/* How it is; servers by their place in the setting, bit 0 is the first. */
struct store_health {
	bool up;			/* it answers, all of it */
	uint64_t retries;		/* how often it had to be asked again */
	uint32_t servers_n;		/* 0: it is one folder */
	uint32_t servers_away;
	/*
	 * Lanes of servers that are away while there are others: who has rows there waits outside,
	 * so that it keeps no place from those that have not.
	 */
	uint64_t lanes_away;
};

struct store_ops {
	const char *name;
	/*
	 * Takes items[0 … items_n) of b whose held == REASON_NONE to be stored, in batches' order:
	 * layers first, then results, holdings, locators, register rows, counters. Never blocks;
	 * at most BATCHES_IN_FLIGHT_MAX are out. A store that is away or full keeps them and asks
	 * again; what it refuses for ever of one item is that item's `held` (P8). An item with rows
	 * in `lanes_away` comes back with its `lanes`, as `later` and held: some of its rows may be
	 * stored, and are the same when it is taken again. Any one thread.
	 */
	void (*take)(struct store *s, struct batch *b);
	/* Any thread. */
	void (*health)(const struct store *s, struct store_health *out);
	/*
	 * Lanes of all rows of an item that is decoded, a bit each. NULL: its `lanes_away` is 0 at
	 * all times. Any thread.
	 */
	uint64_t (*lanes)(const struct item *it);
	enum status (*link)(struct store *s, const struct holding_link *l, struct error *e);
	/*
	 * n events, at most BATCH_GET_MAX, durable with one write. ST_NOT_FOUND: one of the results
	 * is not stored; then none of them is told.
	 */
	enum status (*events)(struct store *s, const struct result_event *v, uint32_t n,
			      struct error *e);
	/*
	 * Who read what, for every holder of each of the results and with one write for all n
	 * calls: durable on return, or not known of. Together at most BATCH_GET_MAX names, or one
	 * note. What is not stored is passed over. A thread of its own, one call at a time.
	 */
	enum status (*note_reads)(struct store *s, const struct read_note *notes, uint32_t n,
				  struct error *e);
	enum status (*void_number)(struct store *s, const struct void_entry *v, struct error *e);
	/* Highest number per register ever stored; walks with cb. Any time after open. */
	enum status (*marks)(struct store *s, void (*cb)(void *ctx, const struct register_mark *m),
			     void *ctx, struct error *e);
	/*
	 * Publishes the n units of one engine in place of what it published before.
	 * ST_CONFLICT: another engine has one of them, or this one's number; *e names it.
	 */
	enum status (*own)(struct store *s, const struct unit_owner *units, uint32_t n,
			   struct error *e);
	/* All units of all engines; walks with cb. */
	enum status (*owners)(struct store *s, void (*cb)(void *ctx, const struct unit_owner *o),
			      void *ctx, struct error *e);
	/*
	 * An original that the depot has (objects/objects.h), before a record names it: durable in
	 * the store, too, if that is elsewhere, and there until originals_sweep(), or for ever once
	 * a result that rests on it is stored. Again is fine. ST_UNAVAILABLE, ST_TIMEOUT: ask
	 * again. ST_CORRUPT: it stands there, damaged. ST_NOT_FOUND: the depot lacks it; what is
	 * there already stays as said. Any thread.
	 */
	enum status (*original_keep)(struct store *s, uint8_t lane,
				     const uint8_t sha256[SHA256_BYTES], uint64_t size,
				     struct error *e);
	/*
	 * Into the depot, where it is missing or damaged, and kept there until objects_release().
	 * ST_NOT_FOUND: the store has none; ST_CORRUPT: what it has is damaged. Whatever else: not
	 * now.
	 */
	enum status (*original_fetch)(struct store *s, uint8_t lane,
				      const uint8_t sha256[SHA256_BYTES], uint64_t size,
				      struct error *e);
	/*
	 * No result of this engine that is not stored names it any more, and nobody brings it just
	 * now: it goes from the store, unless another engine needs it or a result rests on it. What
	 * stays after a failure goes at the next start. Any thread.
	 */
	enum status (*original_drop)(struct store *s, uint8_t lane,
				     const uint8_t sha256[SHA256_BYTES], struct error *e);
	/* A stored result's, from now on; take() does that of its items. Before any is taken. */
	enum status (*original_settle)(struct store *s, const uint8_t sha256[SHA256_BYTES],
				       struct error *e);
	/*
	 * What original_keep() brought for this engine and no stored result rests on, at a start
	 * before anything else is brought: each to `needed`. False: nothing of this engine names
	 * it, and it goes from the store unless another engine needs it. *removed counts up.
	 */
	enum status (*originals_sweep)(struct store *s,
				       bool (*needed)(void *ctx, uint8_t lane,
						      const uint8_t sha256[SHA256_BYTES]),
				       void *ctx, uint32_t *removed, struct error *e);
	/* Nothing may be out that somebody still waits for. */
	void (*close)(struct store *s);

	enum status (*reader_open)(struct store *s, struct store_reader **r, struct error *e);
	void (*reader_close)(struct store_reader *r);
	/*
	 * STATE_STORED, or an end with what its void_entry says. ST_NOT_FOUND; ST_CORRUPT:
	 * bytes do not match their checksum, never served.
	 */
	enum status (*get)(struct store_reader *r, uint8_t lane, uint64_t sequence,
			   struct result_view *out);
	/*
	 * Of the stored result that get() gave just now: do all of its rows stand? Where lanes lie
	 * apart it may be there alone, if take() was broken off: then it is to be taken again.
	 * NULL: they come together.
	 */
	enum status (*whole)(struct store_reader *r, bool *whole);
	/*
	 * The file's bytes [offset, offset + *n) into buf; the whole file's digest is checked on
	 * the first call of a download (offset 0). Short only at the end.
	 */
	enum status (*read)(struct store_reader *r, uint8_t lane, uint64_t sequence,
			    uint64_t offset, uint8_t *buf, size_t *n);
	/*
	 * Shared bytes by their SHA-256, checked: a signature's certificate, its evidence set and
	 * what that names (document.h). Kept once, with the first result that rests on them.
	 * Borrowed until the reader's next call. ST_NOT_FOUND, ST_CORRUPT.
	 */
	enum status (*object)(struct store_reader *r, const uint8_t sha256[SHA256_BYTES],
			      struct slice *out);
	/*
	 * Events of a result that is stored and the holders that were added to it (LINKED), oldest
	 * first, but who read it and its shares: at most max. Borrowed until the reader's next
	 * call. ST_NOT_FOUND.
	 */
	enum status (*history)(struct store_reader *r, uint8_t lane, uint64_t sequence,
			       uint32_t max, struct result_event *out, uint32_t *n);
	/*
	 * Events of a stored result's shares (share.h), one by one in any order; some may come
	 * twice. ST_NOT_FOUND.
	 */
	enum status (*shares)(struct store_reader *r, uint8_t lane, uint64_t sequence,
			      void (*one)(void *ctx, const struct result_event *v), void *ctx);
	/* Highest sequence first, at most max, with sequence < before (0: from the highest). */
	enum status (*list)(struct store_reader *r, const uint8_t holder_key[16], uint64_t before,
			    uint32_t max, struct holding_view *out, uint32_t *n);
	/*
	 * Who read about a holder, newest first: those with stamp < before (0: from the newest),
	 * at most max, one by one; *last is the oldest looked at, 0: there are no more.
	 */
	enum status (*readings)(struct store_reader *r, const uint8_t holder_key[16],
				uint64_t before, uint32_t max,
				void (*one)(void *ctx, const struct reading_view *v), void *ctx,
				uint64_t *last);
	/*
	 * By case code: sequences and lanes of its results, voided ones too (for WatchResults after
	 * the fact).
	 */
	enum status (*find_case)(struct store_reader *r, struct slice unit, struct slice code,
				 uint32_t max, uint8_t *lanes, uint64_t *sequences, uint32_t *n);
	/*
	 * For who looks at all of them: names of what is stored (and maybe has ended), after <
	 * sequence <= upto, by sequence, at most max; of one lane, but a store without lanes has
	 * all as of lane 0. One whose record cannot be read is told with lane LANES.
	 */
	enum status (*names)(struct store_reader *r, uint8_t lane, uint64_t after, uint64_t upto,
			     uint32_t max, struct result_name *out, uint32_t *n);
	/* From now on read() does not compare files with their digest: the caller does. */
	void (*unchecked)(struct store_reader *r);
	/* By number. ST_NOT_FOUND: void, too. */
	enum status (*find_number)(struct store_reader *r, struct slice unit,
				   struct slice register_code, uint32_t year, uint64_t number,
				   uint8_t *lane, uint64_t *sequence);
	/*
	 * The book's entries with number > after, by number, at most max: each to cb, until it
	 * gives false. One that is damaged is told so and hides no other. *n: how many were told.
	 */
	enum status (*book)(struct store_reader *r, struct slice unit, struct slice register_code,
			    uint32_t year, uint64_t after, uint32_t max,
			    bool (*cb)(void *ctx, const struct book_entry *row), void *ctx,
			    uint32_t *n);
	/*
	 * What the counters say, of all engines together, into `out` in place of what was there;
	 * its days are the question's periods, its parts those that the question tells apart. Exact
	 * against what is stored, also while batches are being stored: each is counted whole or not
	 * at all. ST_TOO_LARGE: more than out takes.
	 */
	enum status (*counts)(struct store_reader *r, const struct counts_question *q,
			      struct tally *out);
};

struct store { const struct store_ops *ops; };	/* first member of each maker's struct */

/* ST_CONFLICT if one engine's units stand against what others own; for makers. */
enum status owners_conflict(const struct unit_owner *others, uint32_t others_n,
			    const struct unit_owner *units, uint32_t n, struct error *e) must_use;

enum status store_embedded_open(struct store **s, const struct store_config *cfg,
				struct error *e) must_use;
/*
 * ST_UNAVAILABLE: a server is away, nothing is known of what it holds; ST_PRECONDITION: its schema
 * is not this program's, or risks_refused.
 */
enum status store_postgres_open(struct store **s, const struct store_config *cfg,
				struct error *e) must_use;

/*
 * A store as another process looks at it, while its engine runs, comes, goes, or is away: the
 * reading half of store_ops (marks, reader_open to counts, close), the rest is NULL. Nothing is
 * written, locked against the engine, made or recovered, and the process needs no right to:
 * embedded, it reads DIR (its `objects`, too); PostgreSQL, it has read-only sessions of the user
 * `reader`. What was stored a moment ago (embedded: 10 ms) is seen. A reader's callback calls
 * nothing of the store. Of cfg: dir, or postgres, citus, reader.
 *
 * ST_UNAVAILABLE, also of every call: not just now, ask again. ST_PRECONDITION: the embedded
 * store's engine never ran; as store_postgres_open().
 */
enum status store_look_embedded(struct store **s, const struct store_config *cfg,
				struct error *e) must_use;
enum status store_look_postgres(struct store **s, const struct store_config *cfg,
				struct error *e) must_use;
/* PostgreSQL if it names a server. */
enum status store_look_open(struct store **s, const struct store_config *cfg,
			    struct error *e) must_use;

/* Offline tools on an embedded store's folder (engine stopped). report: one line per finding. */
enum status store_embedded_check(const char *dir, void (*report)(void *ctx, const char *line),
				 void *ctx, uint64_t *results, struct error *e) must_use;

#endif
