/*
 * embedded.h - what the files of the embedded store share. Inside store/ only.
 *
 *	put ──▶ storelog (durable) ──▶ apply: rows, layers, marks, counters ──▶ visible
 *	                                  ▲
 *	open ──▶ framewalk from the index's watermark
 *
 * What a frame's records mean is said once, in apply, for frames just written and for frames read
 * at start.
 */
#ifndef TRIEN_STORE_EMBEDDED_H
#define TRIEN_STORE_EMBEDDED_H

#include <stdatomic.h>

#include "store/batchwriter.h"
#include "store/opened.h"
#include "store/rows.h"
#include "store/storelog.h"

struct embedded {
	struct store store;		/* first */
	struct batchwriter *batches;	/* calls put; NULL: nothing is taken */
	char dir[PATH_MAX];
	pthread_mutex_t writer;		/* put, link, events, void_number, marks */
	struct storelog log;
	struct store_layers layers;
	struct marks marks;
	struct store_index *index;
	/* The writer's own look at what is stored. */
	struct store_reader *self;
	uint64_t newest;		/* highest sequence stored or voided */
	uint32_t layers_durable;
	uint8_t *record;		/* scratch for one encoded RESULT */
	struct objects *objects;	/* originals; NULL: there are none */
	struct opened_checked checked;
	struct look *look;		/* look.c; NULL: it is ours to write */
};

/* look.c: how it looks on. Under the lock: readers share it, who follows has it alone. */
struct look {
	pthread_rwlock_t lock;
	struct framewalk *walk;		/* NULL: to be opened */
	uint64_t generation;		/* of the index file that is open */
	uint32_t damages;		/* in a row: a frame that is just written looks alike */
	_Atomic uint64_t due_ns;	/* not looked for more before; CLOCK_BOOTTIME */
};

/*
 * Who reads all files meets the same layers again and again: checked once, then kept. By where it
 * lies; 0: none.
 */
#define LAYERS_KEPT 16
#define LAYER_KEPT_BYTES (256u * 1024)
struct layer_kept { uint64_t position; uint32_t n; uint8_t *bytes; };

/* What a reading thread has. */
struct store_reader {
	struct embedded *home;
	struct index_reader *index;
	struct logreader log;
	struct logbuffer record;	/* what views borrow from */
	struct logbuffer other;		/* events, replacements, layers */
	struct logbuffer body;
	struct stored_result result;
	uint8_t *text;			/* strings of a list's views */
	uint32_t text_rows;
	struct row_hit *hits;
	uint32_t hits_n;
	struct sha256 *hash;
	uint8_t *piece;			/* of an object */
	struct opened_files files;
	bool unchecked;			/* who reads files compares them */
	struct layer_kept layers[LAYERS_KEPT];	/* only then */
	uint32_t layers_next;
	uint64_t held;			/* whose record is in `record`; 0: to be read */
	uint64_t looked;		/* look.c: which index file its connection is of */
};

/* settling.c: originals of what is stored now. Writer locked. */
enum status embedded_settle_all(struct embedded *s, const struct batch *b,
				struct error *e) must_use;
enum status embedded_original_keep(struct store *store, uint8_t lane,
				   const uint8_t sha256[SHA256_BYTES], uint64_t size,
				   struct error *e);
enum status embedded_original_fetch(struct store *store, uint8_t lane,
				    const uint8_t sha256[SHA256_BYTES], uint64_t size,
				    struct error *e);
enum status embedded_original_drop(struct store *store, uint8_t lane,
				   const uint8_t sha256[SHA256_BYTES], struct error *e);
enum status embedded_originals_sweep(struct store *store,
				    bool (*needed)(void *ctx, uint8_t lane,
						   const uint8_t sha256[SHA256_BYTES]),
				    void *ctx, uint32_t *removed, struct error *e);
enum status embedded_original_settle(struct store *store, const uint8_t sha256[SHA256_BYTES],
				     struct error *e);

/* embedded.c */
/* What a frame's records mean becomes known. There must be room for them. */
enum status embedded_apply(struct embedded *s, const struct frame_view *v,
			   struct error *e) must_use;
/* How many of its records the index knows. */
uint32_t embedded_records(const struct frame_view *v);
/* Writes the open frame and takes its records into index, layers and marks. Writer locked. */
enum status embedded_commit(struct embedded *s, struct error *e) must_use;
/* Adds one record, committing first where the frame is full. */
enum status embedded_add(struct embedded *s, enum stored_type type, const struct slice *parts,
			 size_t parts_n, uint64_t *pos, struct error *e) must_use;
/* Forgets what was added and not committed. */
void embedded_drop(struct embedded *s);
/* Room in memory for that many records; flushes the index if not. */
enum status embedded_room(struct embedded *s, uint32_t records, struct error *e) must_use;

/*
 * results.c: one transaction, durable on return; sets each item's `stored`. ST_IO, ST_DAMAGED: for
 * good; others may be tried again.
 */
enum status embedded_put(struct store *store, struct batch *b, int64_t now_ms, struct error *e);

/* acts.c */
enum status embedded_link(struct store *store, const struct holding_link *l, struct error *e);
enum status embedded_events(struct store *store, const struct result_event *v, uint32_t n,
			    struct error *e);
enum status embedded_void(struct store *store, const struct void_entry *v, struct error *e);

/* reads.c */
enum status embedded_note_reads(struct store *store, const struct read_note *notes, uint32_t n,
				struct error *e);
enum status embedded_readings(struct store_reader *r, const uint8_t holder_key[16],
			      uint64_t before, uint32_t max,
			      void (*one)(void *ctx, const struct reading_view *v), void *ctx,
			      uint64_t *last);

/* owners.c: DATA/store/owners, a line a unit: `<unit> <engine> <address>`. */
enum status embedded_own(struct store *store, const struct unit_owner *units, uint32_t n,
			 struct error *e);
enum status embedded_owners(struct store *store, void (*cb)(void *, const struct unit_owner *),
			    void *ctx, struct error *e);

/* reader.c */
enum status reader_new(struct embedded *s, struct store_reader **r, struct error *e) must_use;
enum status embedded_reader_open(struct store *store, struct store_reader **r, struct error *e);
void embedded_reader_close(struct store_reader *r);
/*
 * What is known of a sequence as it stands, in r->result, without its life: a stored result, or a
 * voided one without file and holdings. ST_NOT_FOUND, ST_CORRUPT.
 */
enum status reader_known(struct store_reader *r, uint8_t lane, uint64_t sequence) must_use;
/* The same; ST_NOT_FOUND for a voided one. */
enum status reader_result(struct store_reader *r, uint8_t lane, uint64_t sequence) must_use;
/* r->hits takes n. False: no memory. */
bool reader_hits_room(struct store_reader *r, uint32_t n);
enum status embedded_get(struct store_reader *r, uint8_t lane, uint64_t sequence,
			 struct result_view *out);
enum status embedded_history(struct store_reader *r, uint8_t lane, uint64_t sequence, uint32_t max,
			     struct result_event *out, uint32_t *n);
enum status embedded_shares(struct store_reader *r, uint8_t lane, uint64_t sequence,
			    void (*one)(void *ctx, const struct result_event *v), void *ctx);
enum status embedded_list(struct store_reader *r, const uint8_t holder_key[16], uint64_t before,
			  uint32_t max, struct holding_view *out, uint32_t *n);
enum status embedded_find_case(struct store_reader *r, struct slice unit, struct slice code,
			       uint32_t max, uint8_t *lanes, uint64_t *sequences, uint32_t *n);
enum status embedded_names(struct store_reader *r, uint8_t lane, uint64_t after, uint64_t upto,
			   uint32_t max, struct result_name *out, uint32_t *n);
void embedded_unchecked(struct store_reader *r);
enum status embedded_book(struct store_reader *r, struct slice unit, struct slice code,
			  uint32_t year, uint64_t after, uint32_t max,
			  bool (*cb)(void *ctx, const struct book_entry *row), void *ctx,
			  uint32_t *n);
enum status embedded_find_number(struct store_reader *r, struct slice unit,
				 struct slice register_code, uint32_t year, uint64_t number,
				 uint8_t *lane, uint64_t *sequence);
enum status embedded_counts(struct store_reader *r, const struct counts_question *q,
			    struct tally *out);

/* file.c */
/* The whole file of r->result, and, if it is to be checked, its digest. ST_CORRUPT. */
enum status reader_file(struct store_reader *r, struct opened *f, bool check) must_use;
enum status embedded_read(struct store_reader *r, uint8_t lane, uint64_t sequence, uint64_t offset,
			  uint8_t *buf, size_t *n);
enum status embedded_object(struct store_reader *r, const uint8_t sha256[SHA256_BYTES],
			    struct slice *out);

#endif
