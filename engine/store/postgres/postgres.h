/*
 * postgres.h - what the files of the PostgreSQL store share. Inside store/postgres only.
 *
 *	take ──▶ inbox ──▶ driver thread: parts over N connections a server ──▶ done, failed
 *	reader threads ──▶ connections of their own, blocking
 *	janitor ──▶ link, events, void, marks: one connection a server, blocking, under a lock
 *	who notes reads ──▶ likewise, so that none of both waits for the other
 *
 * The driver has an io of its own (io_uring or posix) and polls its sockets there with one-shot
 * polls. Not the spine's: encoding two megabytes of arrays must not hold up a journal write.
 * Text of server errors may repeat a row's values: logs get the SQLSTATE and the statement's
 * name, never more (P9).
 */
#ifndef TRIEN_STORE_POSTGRES_POSTGRES_H
#define TRIEN_STORE_POSTGRES_POSTGRES_H

#include "store/postgres/servers.h"
#include "store/opened.h"
#include "store/stored.h"

struct pg_driver;		/* driver.h: what take() feeds */
struct pg_acts;			/* acts_inside.h */
struct pg_originals;		/* originals.c */
struct pg_layers;		/* layers.c: shared bytes by hash, for readers */

struct postgres {
	struct store store;	/* first */
	struct pg_servers servers;
	struct pg_driver *driver;	/* NULL: nothing is taken */
	struct pg_acts *acts;
	struct store_reader *noter;	/* reads.c: what reads are noted with */
	struct pg_layers *layers;
	struct pg_originals *originals;
	struct opened_checked checked;
	struct objects *objects;	/* originals on their way; NULL: there are none */
	uint8_t engine;			/* who claims them */
};

/* ---- keys.c: what writing and reading must agree on ---- */

/* Lanes of rows that belong to no holder: SHA-256 of ('R', unit, register), of ('U', unit). */
uint8_t pg_lane_register(struct slice unit, struct slice code);
uint8_t pg_lane_unit(struct slice unit);
/* The column `crc` of result, voided and event (layers empty for these two). */
int32_t pg_crc(uint8_t lane, uint64_t sequence, struct slice layers, struct slice record);
/* The column `kind` of an event that says that a holder was added. */
#define PG_EVENT_LINKED 0
/* timestamptz in binary: microseconds since 2000-01-01. */
static inline int64_t pg_time(int64_t unix_ms) { return (unix_ms - 946684800000LL) * 1000; }
static inline int64_t pg_unix_ms(int64_t time) { return time / 1000 + 946684800000LL; }

/* The class of an error decides what is done about it. */
enum pg_failure {
	PG_RETRY,		/* the server's state; or the connection was lost */
	PG_PARTITION,		/* 23514: the month of a row is missing */
	PG_ROW			/* of a row or of our making: asking again would not help */
};
enum pg_failure pg_failure_of(const char *sqlstate);	/* NULL, "": a lost connection's */

/* ---- schema.c ---- */

/*
 * Is the server's schema the one that this program knows? Connects, blocking. ST_UNAVAILABLE: the
 * server is away; ST_PRECONDITION: none, an older or a newer one, not distributed as the setting
 * says, of other lanes than the list gives it, or not to be written to, as it has risks that are
 * refused; the error says what to do.
 * reads: as the readers' user, read-only.
 */
enum status pg_schema_check(const struct pg_servers *s, uint8_t server, bool reads,
			    struct error *e) must_use;
/* Once all of them were checked: a server that does not know its lanes notes those of the list. */
enum status pg_schema_note(const struct pg_servers *s, uint8_t server, struct error *e) must_use;

/* ---- acts.c, numbers.c: under one lock; ST_UNAVAILABLE: a server is away, ask again ---- */

/* reads: only pg_marks() and pg_owners() are called, as the readers' user. */
enum status pg_acts_open(struct postgres *p, bool reads, struct error *e) must_use;
void pg_acts_close(struct postgres *p);	/* pg_acts_open() failed or was not called: nothing */
/*
 * The acts' connection to a server, and nobody else has it until it is given back: what tells that
 * a server is away tells it once.
 */
struct pg_asking;
struct pg_asking *pg_acts_lend(struct postgres *p, uint8_t server);
void pg_acts_give_back(struct postgres *p);
enum status pg_link(struct store *store, const struct holding_link *l, struct error *e);
enum status pg_events(struct store *store, const struct result_event *v, uint32_t n,
		      struct error *e);
enum status pg_void(struct store *store, const struct void_entry *v, struct error *e);
enum status pg_marks(struct store *store, void (*cb)(void *ctx, const struct register_mark *m),
		     void *ctx, struct error *e);

/* ---- reads.c ---- */

enum status pg_note_reads(struct store *store, const struct read_note *notes, uint32_t n,
			  struct error *e);
enum status pg_readings(struct store_reader *r, const uint8_t holder_key[16], uint64_t before,
			uint32_t max, void (*one)(void *ctx, const struct reading_view *v),
			void *ctx, uint64_t *last);

/* ---- ownership.c: as acts ---- */

enum status pg_own(struct store *store, const struct unit_owner *units, uint32_t n,
		   struct error *e);
enum status pg_owners(struct store *store, void (*cb)(void *ctx, const struct unit_owner *o),
		      void *ctx, struct error *e);

/* ---- originals.c: any thread ---- */

enum status pg_originals_open(struct postgres *p, struct error *e) must_use;
void pg_originals_close(struct postgres *p);	/* likewise */
/* How many bytes piece n of so many has; 0: there is none. */
uint32_t pg_piece_bytes(uint64_t size, uint32_t n);
/* A batch is stored: what its copies were made from is not needed here any more. */
void pg_originals_stored(struct objects *o, const struct batch *b);

enum status pg_original_keep(struct store *store, uint8_t lane,
			     const uint8_t sha256[SHA256_BYTES], uint64_t size, struct error *e);
enum status pg_original_fetch(struct store *store, uint8_t lane,
			      const uint8_t sha256[SHA256_BYTES], uint64_t size, struct error *e);
enum status pg_original_drop(struct store *store, uint8_t lane,
			     const uint8_t sha256[SHA256_BYTES], struct error *e);
enum status pg_original_settle(struct store *store, const uint8_t sha256[SHA256_BYTES],
			       struct error *e);
enum status pg_originals_sweep(struct store *store,
			       bool (*needed)(void *ctx, uint8_t lane,
					      const uint8_t sha256[SHA256_BYTES]),
			       void *ctx, uint32_t *removed, struct error *e);

/* ---- reader.c, whole.c, book.c, layers.c ---- */

enum status pg_layers_open(struct postgres *p, struct error *e) must_use;
void pg_layers_close(struct postgres *p);	/* likewise */
enum status pg_reader_open(struct store *store, struct store_reader **r, struct error *e);
void pg_reader_close(struct store_reader *r);
enum status pg_get(struct store_reader *r, uint8_t lane, uint64_t sequence,
		   struct result_view *out);
enum status pg_whole(struct store_reader *r, bool *whole);
enum status pg_read(struct store_reader *r, uint8_t lane, uint64_t sequence, uint64_t offset,
		    uint8_t *buf, size_t *n);
enum status pg_object(struct store_reader *r, const uint8_t sha256[SHA256_BYTES],
		      struct slice *out);
enum status pg_history(struct store_reader *r, uint8_t lane, uint64_t sequence, uint32_t max,
		       struct result_event *out, uint32_t *n);
enum status pg_shares(struct store_reader *r, uint8_t lane, uint64_t sequence,
		      void (*one)(void *ctx, const struct result_event *v), void *ctx);
enum status pg_list(struct store_reader *r, const uint8_t holder_key[16], uint64_t before,
		    uint32_t max, struct holding_view *out, uint32_t *n);
enum status pg_find_case(struct store_reader *r, struct slice unit, struct slice code,
			 uint32_t max, uint8_t *lanes, uint64_t *sequences, uint32_t *n);
enum status pg_book(struct store_reader *r, struct slice unit, struct slice register_code,
		    uint32_t year, uint64_t after, uint32_t max,
		    bool (*cb)(void *ctx, const struct book_entry *row), void *ctx, uint32_t *n);
enum status pg_names(struct store_reader *r, uint8_t lane, uint64_t after, uint64_t upto,
		     uint32_t max, struct result_name *out, uint32_t *n);
void pg_unchecked(struct store_reader *r);
enum status pg_find_number(struct store_reader *r, struct slice unit, struct slice register_code,
			   uint32_t year, uint64_t number, uint8_t *lane, uint64_t *sequence);

#endif
