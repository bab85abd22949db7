/*
 * reading.h - a worker's own look into the library: results as their holder sees them. The rule who
 * sees what is holding.h's, and what is restricted by decision nobody sees here. Statuses as the
 * store's; ST_UNAVAILABLE: not now (503). What is not theirs is ST_NOT_FOUND.
 */
#ifndef TRIEN_PORTAL_READING_H
#define TRIEN_PORTAL_READING_H

#include "portal/library.h"
#include "portal/request.h"

#define HOLDINGS_WALKED_MAX 2000	/* newest first; a person has some dozens */
#define HISTORY_MAX 256

struct reading {
	struct library *library;
	const struct store_ops *ops;
	struct store_reader *store;
	struct edition *edition;	/* its own reference */
	struct identity *identity;	/* the edition's */
	struct arena scratch;		/* of one request */
};

/* ST_UNAVAILABLE: the store cannot be read now. */
enum status reading_open(struct reading **out, struct library *l, struct error *e) must_use;
void reading_close(struct reading *r);
/* The worker's, opened where it is not yet, its scratch empty. */
enum status reading_of(struct request *q, struct reading **out) must_use;

/* What the id's text means here; false: no id of ours. */
bool reading_id(struct reading *r, const char *text, uint8_t *lane, uint64_t *sequence);
void reading_id_text(struct reading *r, uint8_t lane, uint64_t sequence,
		     char out[ID_TEXT_BYTES + 1]);
/* The key of who is signed in. */
void person_key_of(const struct person *p, uint8_t key[16]);

/*
 * One that this holder sees today, stored. *h: the holding; h->result is what get() gave, borrowed
 * until the next call.
 */
enum status reading_result(struct reading *r, const uint8_t key[16], const char *id,
			   int64_t now_ms, struct holding_view *h) must_use;
/*
 * All of a holder's list today, newest sequence first, each to `one`; at most HOLDINGS_WALKED_MAX.
 * *all: there are no more.
 */
enum status reading_list(struct reading *r, const uint8_t key[16], int64_t now_ms, bool hidden,
			 void (*one)(void *ctx, const struct holding_view *h), void *ctx,
			 bool *all) must_use;
/*
 * Sequences of what was a holder's and is not any more, of those that reading_list() walks;
 * malloc'd.
 */
enum status reading_ended(struct reading *r, const uint8_t key[16], int64_t now_ms,
			  uint64_t **sequences, uint32_t *n) must_use;
/* A whole file, malloc'd, its digest checked. ST_TOO_LARGE beyond max. */
enum status reading_file(struct reading *r, const struct result_view *v, size_t max,
			 uint8_t **bytes) must_use;

/*
 * What a status of reading is for who asked: 404, 503 or 500. Answered.
 */
void reading_refuse(struct request *q, enum status st);

#endif
