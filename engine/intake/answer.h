/*
 * answer.h - receipts, rejects and results as they go over the wire (trien.v1), written straight
 * into a buffer. A writer that is too small goes bad; the bounds below say what is enough.
 */
#ifndef TRIEN_INTAKE_ANSWER_H
#define TRIEN_INTAKE_ANSWER_H

#include "base/wire.h"
#include "submission.h"

#define RECEIPT_BYTES_MAX 448
#define REJECT_BYTES_MAX 1024
#define REGISTER_BYTES_MAX 2048
#define RESULT_BYTES_MAX(view) (2560 + 2 * (view)->case_bytes.n)

/* trien.v1.Receipt of each result of a case, as repeated field `number`. */
void answer_receipts(struct writer *w, uint32_t number, const struct submitted_case *c);
/* trien.v1.Reject as field `number`. */
void answer_reject(struct writer *w, uint32_t number, const struct submitted_case *c);
/*
 * The fields of trien.v1.Result. whole: facts, approval and fields too, decoded with the help of
 * scratch. ST_CORRUPT: the stored case cannot be read.
 */
enum status answer_result(struct writer *w, const struct result_view *v, bool whole,
			  struct arena *scratch) must_use;
/*
 * The same as somebody sees it by a share of that scope (share.h): no case, no facts, no key to
 * anything else. ST_CORRUPT.
 */
enum status answer_shared(struct writer *w, const struct result_view *v, uint8_t scope,
			  struct arena *scratch) must_use;
/* The fields of trien.v1.Register; all of it as field `number`. */
void answer_register_fields(struct writer *w, const struct register_row *r);
void answer_register(struct writer *w, uint32_t number, const struct register_row *r);
/* trien.v1.Signature of each, as repeated field `number`. */
void answer_signatures(struct writer *w, uint32_t number, const struct result_view *v);
/* A result id as text; zero is nothing. */
void answer_id(struct writer *w, uint32_t number, const uint8_t id[16]);
/* The fields of trien.v1.Date; 0 is nothing. */
void answer_day(struct writer *w, uint32_t number, uint32_t yyyymmdd);

#endif
