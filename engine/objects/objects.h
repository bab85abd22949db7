/*
 * objects.h - bytes that somebody brought, on this machine's disk: uploads, and what became of
 * them, named by their SHA-256. Written once, durable before anything names them.
 *
 *	upload ──keep──▶ DIR/waiting/<64 hex> ──settle──▶ DIR/<2 hex>/<62 hex>	a stored result's
 *	                        │
 *	                        ╰──remove, end, sweep──▶ gone: nothing names it, or a server has it
 *
 * DIR is DATA/store/objects. With the embedded store it is where stored results read from; with
 * PostgreSQL it holds what is on its way, and may lack what the server has (store.h).
 *
 * Any thread, unless said otherwise; no call holds more than a piece of a file in memory.
 */
#ifndef TRIEN_OBJECTS_H
#define TRIEN_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"

#define OBJECTS_FOLDER "objects"	/* below the store's */
#define OBJECTS_WAITING "waiting"
#define OBJECT_PIECE_BYTES (64u * 1024)	/* read at once by those who read all of it */

struct objects;

/* Makes the folders. Nothing else may write to them. */
enum status objects_open(struct objects **o, const char *dir, struct error *e) must_use;
/* For tools, which only read. ST_NOT_FOUND: there is none. */
enum status objects_look(struct objects **o, const char *dir, struct error *e) must_use;
/* No upload may be open. */
void objects_close(struct objects *o);

/* ---- bringing ---- */

/* One thread at a time. Ends with objects_keep() or upload_drop(). */
struct upload {
	struct objects *home;		/* NULL: none is open */
	bool fetch;
	int fd;				/* write only */
	uint32_t name;
	uint64_t size, max;
	struct sha256 *hash;
	uint8_t sha256[SHA256_BYTES];	/* after upload_end() */
};

/* ST_FULL: UPLOADS_MAX are open, or the disk is full; ST_IO. max: bytes that it may have. */
enum status upload_begin(struct objects *o, struct upload *u, uint64_t max,
			 struct error *e) must_use;
/* The same for bytes that a server has: FETCHES_MAX, however many uploads are open. */
enum status fetch_begin(struct objects *o, struct upload *u, uint64_t size,
			struct error *e) must_use;
/* ST_TOO_LARGE beyond max; ST_FULL: the disk is full. Then it can only be dropped. */
enum status upload_add(struct upload *u, struct slice bytes, struct error *e) must_use;
/* All is there: u->sha256 is set, and *fd reads it (O_RDONLY, at 0), the caller's to close. */
enum status upload_end(struct upload *u, int *fd, struct error *e) must_use;
/* Nothing of it stays. Also for one that was kept or never begun. */
void upload_drop(struct upload *u);

/*
 * Durable under its SHA-256 when it returns; the upload is closed, whatever comes back. One that
 * is there already is written anew (bytes of the same name are the same; damaged ones heal).
 * Success must be followed by objects_release(): until then nothing takes it away. ST_AGAIN: what
 * was there of it goes just now.
 */
enum status objects_keep(struct objects *o, struct upload *u, struct error *e) must_use;
/*
 * named: a journal record or a waiting row names it now (objects_name()). Otherwise it goes, unless
 * another one names it, or somebody else keeps the same; before all names are known, unless it was
 * there before.
 */
void objects_release(struct objects *o, const uint8_t sha256[SHA256_BYTES], bool named);
/* The same. Where it goes gone() is called, and nobody can bring it again until that returns. */
typedef void objects_gone_fn(void *ctx, const uint8_t sha256[SHA256_BYTES]);
void objects_let_go(struct objects *o, const uint8_t sha256[SHA256_BYTES], bool named,
		    objects_gone_fn *gone, void *ctx);

/* ---- reading ---- */

/* Open bytes: they stay readable whatever becomes of the file. */
struct object_file { int fd; uint64_t size; };

/* ST_NOT_FOUND: it is not here; ST_CORRUPT: it is not of that size (0: any); ST_AGAIN, ST_IO. */
enum status object_open(const struct objects *o, const uint8_t sha256[SHA256_BYTES],
			uint64_t size, struct object_file *out) must_use;
void object_close(struct object_file *f);
/* Exactly n bytes from offset. ST_CORRUPT: they are not there. */
enum status object_read(const struct object_file *f, uint64_t offset, void *buf, size_t n) must_use;
/* Reads all of it in pieces: are these the bytes of that name? ST_CORRUPT; room: a piece. */
enum status object_check(const struct object_file *f, const uint8_t sha256[SHA256_BYTES],
			 struct sha256 *h, uint8_t *room) must_use;
/* Of these statuses: its bytes are gone, here or wherever was looked; else it may be had later. */
static inline bool object_lost(enum status st)
{
	return st == ST_NOT_FOUND || st == ST_CORRUPT || st == ST_DAMAGED;
}
bool objects_have(const struct objects *o, const uint8_t sha256[SHA256_BYTES], uint64_t size);

/* ---- what becomes of them ---- */

/*
 * It is a stored result's from now on. Durable after objects_sync(). ST_NOT_FOUND: it is not here.
 * One thread at a time settles and syncs.
 */
enum status objects_settle(struct objects *o, const uint8_t sha256[SHA256_BYTES],
			   struct error *e) must_use;
/* What was settled stays so after a crash. */
enum status objects_sync(struct objects *o, struct error *e) must_use;
/*
 * Which results name it that are not stored yet, so that with the last of them it goes, not only at
 * the next start. In memory, some tens of bytes each. Again is fine.
 */
void objects_name(struct objects *o, const uint8_t sha256[SHA256_BYTES], uint64_t sequence);
/* It is stored. */
void objects_unname(struct objects *o, const uint8_t sha256[SHA256_BYTES], uint64_t sequence);
/* It ended, and is not stored: as objects_let_go() of the last who kept it. gone may be NULL. */
void objects_end(struct objects *o, const uint8_t sha256[SHA256_BYTES], uint64_t sequence,
		 objects_gone_fn *gone, void *ctx);
/* After a start: all that name anything are known. */
void objects_counted(struct objects *o);

/* A server has it: nothing here needs it, whoever reads it next fetches it. */
void objects_remove(struct objects *o, const uint8_t sha256[SHA256_BYTES]);

/*
 * At start, before anything is brought: removes uploads that never ended, and of what waits all
 * that `named` does not know. *removed counts the latter.
 */
enum status objects_sweep(struct objects *o,
			  bool (*named)(void *ctx, const uint8_t sha256[SHA256_BYTES]), void *ctx,
			  uint32_t *removed, struct error *e) must_use;
/*
 * Walks all that are settled, or all that wait, in no order. cb false: enough. For tools, which
 * open no depot: dir as for objects_open(); a folder that is not there has none.
 */
enum status objects_walk(const char *dir, bool waiting,
			 bool (*cb)(void *ctx, const uint8_t sha256[SHA256_BYTES], uint64_t size),
			 void *ctx, struct error *e) must_use;

#endif
