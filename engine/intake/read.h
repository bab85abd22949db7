/*
 * read.h - what the answers from the store share. Reader threads.
 */
#ifndef TRIEN_INTAKE_READ_H
#define TRIEN_INTAKE_READ_H

#include <protobuf-c/protobuf-c.h>

#include "intake/methods.h"
#include "states.h"
#include "trien/v1/repository.pb-c.h"

/*
 * The request as an object of protobuf-c, allocated from r->scratch (never freed by itself). NULL:
 * the call is answered. Texts are NUL-terminated and may be no UTF-8.
 */
void *read_request(struct call *c, struct read_thread *r, const ProtobufCMessageDescriptor *d);

/* Is the unit, or one that succeeds it, one of the caller's? */
bool read_unit(const struct call *c, struct slice unit);
/* May the caller see a result of this unit, for itself or its holder? */
bool read_allowed(const struct call *c, struct slice unit);
/* Restricted by decision, and not for the caller. */
bool read_restricted(const struct call *c, const struct result_view *v);
struct sight;
/*
 * A result by its id's text, if the caller may see it; else NOT_FOUND, with nothing to tell why. s:
 * whose eyes they are (noted.h); NULL: the caller's own. ST_AGAIN: as engine_ops.get.
 */
enum status read_result(struct call *c, struct read_thread *r, const struct sight *s,
			const char *id, struct result_view *out);
/* What a caller is told of a status of the store, and the call's answer with it. */
void read_fault(struct fault *f, enum status st);
/* The same of the result of that id: another engine's is told with where that is. */
void read_result_fault(struct call *c, struct read_thread *r, struct fault *f, const char *id,
		       enum status st);
void read_refuse(struct call *c, enum status st);
/*
 * After NOT_FOUND: refused with who knows more, where another engine issues for that agency. False:
 * nothing was answered.
 */
bool read_elsewhere(struct call *c, struct read_thread *r, struct slice unit);
#define WHOLE_CASE_MAX (2 * CASE_RESULTS_MAX)	/* a case, with some that were replaced */
/* Are all results of the case among these? Else another engine may have more of it. */
bool case_all_told(const struct case_view *about, const struct state_change *of, uint32_t n);
/*
 * Is it another engine's, and the store lacks some of its results still? Of what was found then: n
 * of them, or none. True: the call is answered.
 */
bool case_elsewhere(struct call *c, struct read_thread *r, struct slice unit,
		    const struct state_change *found, uint32_t n);
/* RESULT_NOT_STORED: where a result in this state is, and whether it will ever be stored. */
void read_not_stored(struct fault *f, enum state state);
/* As read_result(), for one whose bytes are wanted. False: it is not stored, or answered. */
bool read_stored(struct call *c, struct read_thread *r, const struct sight *s, const char *id,
		 struct result_view *out);

/* One reply, which may be large: from the heap, so that no thread keeps one. */
struct reply { uint8_t *buf; struct writer w; };
#define REPLY_BYTES_MAX (3 * 1024 * 1024 + 512 * 1024)	/* a BatchGet of the largest stays below */
/* False: the call is answered. */
bool reply_open(struct call *c, struct reply *p, size_t size);
/* The message; false: too large, the call is answered. Either way the buffer is gone. */
bool reply_close(struct call *c, struct reply *p, grpc_slice *out);
/* Ends the call with the message, or for a status of the store. The buffer is gone. */
void reply_end(struct call *c, struct reply *p, enum status st);
/* trien.v1.Holding as field 1. ST_CORRUPT. */
enum status put_holding(struct writer *w, const struct holding_view *h,
			struct arena *scratch) must_use;

/* Page tokens: 16 hex digits of a position, 8 of what the list is of. False: not a token of it. */
bool page_read(const char *token, uint32_t list, uint64_t *position);
#define PAGE_TOKEN_BYTES 24
void page_write(char out[PAGE_TOKEN_BYTES + 1], uint32_t list, uint64_t position);
uint32_t page_size(uint32_t wanted);

#endif
