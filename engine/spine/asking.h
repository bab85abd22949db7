/*
 * asking.h - which signatures the remote signer is asked for, in which order, and what its answers
 * mean. Pure: times are given, so a test needs no clock; nothing here sends. One thread.
 *
 *	put ─▶ to send ─▶ sent ─▶ answered: over, or once more after a pause
 *	          ▲─────────┤── the remote signer has gone
 *	                    └─▶ to cancel ─▶ cancelled ─▶ answered, in whatever way: gone
 *
 * What is given up while it is asked for stays until its last answer, so that one that crosses the
 * cancelling finds whom it is for. Its sequence may be asked for anew meanwhile, by another key.
 * Bounded as a whole and for each service, so that one that never answers leaves the others room.
 */
#ifndef TRIEN_SPINE_ASKING_H
#define TRIEN_SPINE_ASKING_H

#include "batch.h"
#include "remote/remote.h"

#define ASKED_BUCKETS 8192u

/* Part of what its owner keeps of the result; the memory is the owner's. */
struct asked {
	/* owner, before asking_put() */
	uint64_t sequence;
	char service[SERVICE_NAME_BYTES_MAX + 1];
	char key[KEPT_KEY_BYTES_MAX + 1], unit[CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1];
	char name[NUMBER_TEXT_BYTES_MAX + 1];
	uint8_t digest[SHA256_BYTES];
	int64_t until_ms;		/* Unix; 0: no limit */
	uint16_t ticket_n;
	uint8_t ticket[TICKET_BYTES_MAX];
	size_t bytes;			/* what it costs, of ASKED_BYTES_MAX */
	/* asking.c */
	uint64_t tag;			/* 0: not here */
	enum asked_state { ASKED_LATER, ASKED_TO_SEND, ASKED_SENT, ASKED_OVER,
			   ASKED_TO_CANCEL, ASKED_CANCELLED } state;
	uint8_t fails;			/* in a row, for the pause */
	uint8_t rounds;			/* in which the person gave no answer */
	uint8_t lost;			/* tickets that the service did not know any more */
	int64_t due_ms;			/* ASKED_LATER */
	struct asked *next, *prev;	/* of its state's list */
	struct asked *of_tag, *of_sequence;
};

struct asked_list { struct asked *first, *last; };

/* Zeroed to begin. */
struct asking {
	uint32_t n;
	size_t bytes;
	uint64_t tags;
	int64_t due_ms;			/* of the first that is asked later, or before */
	struct asked_list lists[ASKED_CANCELLED + 1];
	struct asked *by_tag[ASKED_BUCKETS], *by_sequence[ASKED_BUCKETS];
	struct asked_service {
		char name[SERVICE_NAME_BYTES_MAX + 1];
		uint32_t n;
		size_t bytes;
	} services[64];
};

bool asking_has_room(const struct asking *a, const char *service, size_t bytes);
/* It is asked for next. There is room, and its sequence is not here. */
void asking_put(struct asking *a, struct asked *k);
/* Its owner has it again. */
void asking_drop(struct asking *a, struct asked *k);
struct asked *asking_by_tag(const struct asking *a, uint64_t tag);
struct asked *asking_by_sequence(const struct asking *a, uint64_t sequence);
/*
 * Nobody wants its signature any more. true: its owner has it again. false: the remote signer is
 * asked for it just now; its owner has it once asking_answer() says ASKED_GONE, or after
 * asking_lost() by asking_given_up().
 */
bool asking_give_up(struct asking *a, struct asked *k) must_use;
/* Was it? */
static inline bool asked_given_up(const struct asked *k)
{
	return k->state >= ASKED_TO_CANCEL;
}
/* One of those given up, or NULL: to be dropped where nobody is there to answer. */
struct asked *asking_given_up(const struct asking *a);
/*
 * The next to be sent, or to be cancelled, or NULL; the same one until asking_sent(). now_ms: of
 * any steady clock.
 */
struct asked *asking_next(struct asking *a, int64_t now_ms);
void asking_sent(struct asking *a, struct asked *k);
/* Whatever was sent is sent again, with its ticket. */
void asking_lost(struct asking *a);

enum asked_verdict {
	ASKED_SIGNED,			/* over: the signature is there */
	ASKED_TICKET,			/* k->ticket is new: to be kept durably */
	ASKED_AGAIN,			/* once more after a pause; the ticket may be gone */
	ASKED_HOLD,			/* over: *why says why */
	ASKED_UNWANTED,			/* it was given up: nothing, another answer follows */
	ASKED_GONE			/* it was given up, and this was the last: to be dropped */
};
/* An answer to one that was sent. */
enum asked_verdict asking_answer(struct asking *a, struct asked *k, const struct remote_answer *r,
				 int64_t now_ms, enum reason *why);
/* Held for that, it is not asked for again before a person says so. */
bool asking_needs_a_person(enum reason why);

#endif
