/*
 * copies.h - what the calls that make copies share: from an original's bytes to a submission.
 *
 *	bytes ─ upload ─▶ inspected ─▶ object kept ─▶ the case, with what was found ─▶ spine
 *	     readers     └─────────────── copiers ──────────────────────────┘
 *
 * The object is durable before the spine sees the case; once the case is decided, it is named by
 * the journal or let go (objects.h). What is wrong with an original refuses its case, unless the
 * same copy was issued before: then its receipt is the answer, whatever is thought of it today.
 */
#ifndef TRIEN_INTAKE_COPIES_H
#define TRIEN_INTAKE_COPIES_H

#include "intake/submit.h"
#include "objects/objects.h"

/* One case and the original that came with it. */
struct brought {
	struct slice wire;		/* trien.v1.Case, encoded */
	uint64_t size;			/* declared, or what came */
	bool hashed;			/* sha256 was declared */
	bool known;			/* original.size and sha256 are those of the bytes */
	bool kept;			/* to be released */
	bool there;			/* brought to the store, too */
	uint8_t lane;			/* of the store; with `there` */
	uint8_t sha256[SHA256_BYTES];
	struct upload upload;
	struct original original;	/* arrays in the slot's arena */
	struct refusal refusal;		/* of the original */
};

/* State of such a call. */
struct copying {
	struct unary unary;		/* first: submit_reply() */
	const char *path;		/* of the case, in the request */
	bool validate_only;
	bool answered;			/* the spine's answer is here */
	atomic_uint *counted;		/* calls of its kind in flight, it among them; or NULL */
	uint32_t n;
	struct brought *of;
};

/* Is it one that copies are made of here at all? Refused: NOT_FOUND and the like, in b->refusal. */
bool brought_fits(const struct call *c, struct brought *b);
/*
 * b->original of bytes that nobody looked into, or that cannot be copied: length and SHA-256, and
 * beside them what can be read again with the case. own: ours.
 */
void brought_name(struct brought *b, const uint8_t sha256[SHA256_BYTES], bool own);
/* The upload failed: b->refusal says why. */
void brought_failed(struct brought *b, enum status st);
/* Copier. The upload is whole: ends it, inspects it, keeps it; or b->refusal. own: ours. */
void brought_look(struct call *c, struct brought *b, bool validate_only, bool own,
		  struct arena *a);

/* gRPC thread. Are copies made by this engine at all? False: the call is answered. */
bool copies_made(struct call *c);
/* gRPC thread. One of at most max such calls at once, and of the principal's. False: *f. */
bool copies_admit(struct call *c, struct copying *k, atomic_uint *calls, uint32_t max,
		  struct fault *f);
/* gRPC thread. A call of one message, of n copies: with its state to the copiers, or answered. */
void copies_begin(struct call *c, uint32_t n, bool single);
/*
 * Copier. A turn of such a call: take() looks at its copies, for which there is room, and
 * copies_submit() follows; or what became of them is answered. take() false: *f, nobody waits.
 */
void copies_turn(struct call *c, struct read_thread *r,
		 bool (*take)(struct call *c, struct read_thread *r, struct copying *k,
			      struct fault *f));
/* Lets go of all that the call holds, k itself excepted. A copier, if that lies on the disk. */
void copies_close(struct call *c, struct copying *k);
/*
 * Copier. All are looked at and unary.slot is taken: hands the cases to the spine, or answers the
 * call.
 */
void copies_submit(struct call *c, struct read_thread *r, struct copying *k);
/* gRPC thread. The spine has decided: the call is answered, here or by a copier (copies_end). */
void copies_decided(struct call *c, struct copying *k);
/* Lets go of the originals, and answers. A copier, with its r, if anything was refused. */
void copies_end(struct call *c, struct read_thread *r, struct copying *k);

#endif
