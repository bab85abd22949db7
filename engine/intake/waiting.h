/*
 * waiting.h - what waits for approval, as signers are told of it. Reader threads.
 */
#ifndef TRIEN_INTAKE_WAITING_H
#define TRIEN_INTAKE_WAITING_H

#include "base/wire.h"
#include "intake/read.h"

/*
 * The row of a result that waits for a signer as whom the caller may act; id gets its bytes. False:
 * the call is answered; another's result is RESULT_NOT_FOUND, like one that does not exist, and one
 * that does not wait for approval (any more) is RESULT_NOT_WAITING for its signer, as long as it
 * waits at all, and for whoever may read it.
 */
bool waiting_mine(struct call *c, struct read_thread *r, const char *result_id, uint8_t id[16],
		  struct waiting_row *row);
/* trien.v1.Waiting as field `number`. At most WAITING_BYTES_MAX. */
#define WAITING_BYTES_MAX (1024 + NAME_BYTES_MAX)
void put_waiting(struct writer *w, uint32_t number, const struct waiting_row *row,
		 const uint8_t id[16]);
/*
 * Page tokens of lists in the order of waiting_list(): where the page ended, and a checksum of what
 * the list is of. False: it is no such token, or another list's.
 */
bool waiting_token_read(const char *token, uint32_t list, struct waiting_place *out);
void put_waiting_token(struct writer *w, uint32_t number, uint32_t list,
		       const struct waiting_place *last);
/*
 * Whom the caller acts as: the one named, or its only one. NULL: the call is answered.
 */
const char *waiting_signer(struct call *c, const char *named);

#endif
