/*
 * ticket.h - what the engine keeps of a transaction at a service. Pure; no secret in it.
 *
 *	u8 1, u8 step, mark[8] of the service, u16 index, u16 count, u16 n, id[n]
 */
#ifndef TRIEN_REMOTE_TICKET_H
#define TRIEN_REMOTE_TICKET_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define TRANSACTION_BYTES_MAX 512

struct ticket {
	uint8_t step;			/* enum api_step, one that asks for an answer */
	uint8_t mark[8];		/* a ticket of another service, or of its old address */
	uint16_t index, count;		/* place among the hashes of the transaction */
	struct slice id;		/* borrowed */
};

enum status ticket_encode(struct writer *w, const struct ticket *t) must_use;
/* ST_CORRUPT: none of ours. */
enum status ticket_decode(struct ticket *out, struct slice bytes) must_use;

#endif
