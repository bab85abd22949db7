/*
 * batch.h - results on their way: one item a result, one batch for a group that is rendered,
 * signed and stored together.
 *
 * Every field has one writer, named beside it; later stages only read it. An item belongs to its
 * batch; a batch belongs to exactly one thread at a time (workers own disjoint ranges). Slices
 * borrow from the batch's arena and die at batch_release(). Nothing of ours allocates per item.
 */
#ifndef TRIEN_BATCH_H
#define TRIEN_BATCH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/hash.h"
#include "case.h"
#include "catalogue/catalogue.h"
#include "document.h"
#include "limits.h"
#include "reason.h"
#include "states.h"

struct signing_key;		/* sign/sign.h */
struct keyring;
struct pending;			/* spine/spine.h */
struct template;		/* render/render.h */

struct signed_slot {
	const struct signing_key *key;	/* sign_plan     NULL with item.held set */
	struct signature_slot plan;	/* sign_plan     what render must know */
	uint8_t to_sign[SHA256_BYTES];	/* sign_prepare  digest of the DER signed attributes */
	/* spine: the answer, or pipeline: what is kept; in the batch's arena */
	const uint8_t *value;
	uint16_t value_size;
	bool checked;			/* sign_bind     verified with the certificate */
};

/*
 * Signatures that are not made again: one that came from elsewhere, and those that stood before it
 * in the document. slots[0 … n); each with the digest that it was made for.
 */
struct kept_signatures {
	uint8_t n;
	uint8_t tries;			/* wrong ones that came for the last one before */
	struct kept_signature {
		char key[KEPT_KEY_BYTES_MAX + 1];
		int64_t sign_ms;
		uint8_t digest[SHA256_BYTES];
		uint16_t value_size;
		uint8_t value[KEPT_VALUE_BYTES_MAX];
	} slots[DOC_SIGNATURES_MAX];
};

struct item {
	/* numbering (spine) */
	uint64_t sequence;
	uint64_t journal_pos;		/* of its NUMBERED record */
	uint8_t result_id[16];
	uint8_t lane;
	uint8_t result_index;		/* which result of the case */
	int64_t accepted_ms, issued_ms;	/* Unix, UTC */
	uint64_t number;
	uint32_t register_year;
	char number_text[NUMBER_TEXT_BYTES_MAX + 1];
	struct pins pins;
	uint8_t case_digest[SHA256_BYTES];
	struct slice record;		/* the NUMBERED record's payload, in the batch's arena */
	struct slice case_bytes;	/* canonical case, inside record */
	int64_t sign_ms;		/* issued_ms, or later through a RESUMED record */
	bool large;			/* did not fit with others: sealed again alone */
	bool later;			/* tried again: its original cannot be had now, or */
	uint64_t lanes;			/* of its rows, a bit each, a server is away */
	bool from_waiting;		/* its row in the waiting room goes once it is stored */
	const struct kept_signatures *kept;	/* in the batch's arena; NULL: none */
	bool left;			/* out of the batch: it is signed elsewhere next */
	struct pending *pending;	/* spine's own; nobody else reads it */

	/* press: decode (pipeline, worker) */
	struct case_view c;		/* arrays live until the batch is released */
	const struct case_result *result;
	const struct kind *kind;
	const struct unit *unit;
	const struct signer *signer;

	/* sign and render (worker) */
	uint8_t slots_n;
	struct signed_slot slots[DOC_SIGNATURES_MAX];
	struct template *template;	/* render   referenced until released */
	uint8_t template_version[SHA256_BYTES];
	struct document doc;
	struct sha256 *mid;		/* pool     hash state carried from slot to slot */
	uint8_t file_sha256[SHA256_BYTES];	/* sign_bind of the last slot */

	/* any stage: the first failure wins, later stages skip the item */
	enum reason held;
	char held_detail[120];

	/* store */
	enum status stored;		/* ST_OK, ST_EXISTS (same digest), ST_CONFLICT */
};

enum batch_stage { BATCH_FREE, BATCH_FILLING, BATCH_PRESS, BATCH_SIGNING, BATCH_BINDING,
		   BATCH_STORING, BATCH_DONE };

/* A range of a batch, worked by one thread: its own items, its own arena. */
struct batch_range {
	struct batch *batch;
	uint32_t first, count;
	struct arena arena;		/* decoded cases, bodies, parts */
};

struct batch {
	enum batch_stage stage;		/* changed only by batch_move() */
	uint32_t number;		/* running number, for logs */
	uint32_t items_n;
	uint8_t slot;			/* which signature round is running */
	uint8_t line;			/* spine: of its backlog, whose batch this is */
	int64_t sealed_ms;
	uint64_t sent_ns;		/* signer asked, or its last word on it; CLOCK_BOOTTIME */
	uint8_t asked_n, asked[BATCH_ITEMS_MAX];	/* items of the request, in its order */
	struct arena arena;		/* spine: records and signature values */
	uint8_t ranges_n;
	struct batch_range ranges[BATCH_RANGES_MAX];
	atomic_uint left;		/* ranges with workers; the last passes it on */
	struct catalogue *catalogue;	/* snapshots in force when it was sealed, referenced */
	struct keyring *keyring;
	struct batch *next;		/* spine's lists */
	struct item items[BATCH_ITEMS_MAX];
};

/* A fixed pool; spine thread. */
struct batch_pool;
enum status batch_pool_new(struct batch_pool **p, uint32_t batches) must_use;
void batch_pool_free(struct batch_pool *p);
/* An empty batch in BATCH_FILLING, or NULL when all are in flight. */
struct batch *batch_take(struct batch_pool *p);
/* From BATCH_DONE; its templates, catalogue and keyring must be released already. */
void batch_release(struct batch_pool *p, struct batch *b);
uint32_t batch_in_flight(const struct batch_pool *p);
/* Divides items over ranges of about BATCH_RANGE_ITEMS; a lone large item gets all the memory. */
void batch_split(struct batch *b);
/* Checks `from` and what each stage must have filled. */
void batch_move(struct batch *b, enum batch_stage from, enum batch_stage to);

#endif
