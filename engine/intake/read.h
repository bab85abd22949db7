/*
 * read.h - what the answers from the store share. Reader threads.
 */
#ifndef TRIEN_INTAKE_READ_H
#define TRIEN_INTAKE_READ_H

#include <protobuf-c/protobuf-c.h>

#include "intake/methods.h"
#include "trien/v1/repository.pb-c.h"

/*
 * The request as an object of protobuf-c, allocated from r->scratch (never freed by itself). NULL:
 * the call is answered. Texts are NUL-terminated and may be no UTF-8.
 */
void *read_request(struct call *c, struct read_thread *r, const ProtobufCMessageDescriptor *d);

/* May the caller see a result of this unit, for itself or its holder? */
bool read_allowed(const struct call *c, struct slice unit);
/*
 * reuse.c: a reader with role `reuse` gets others' stored results after its purpose is noted with
 * each, where the holder sees it. False: the call waits for it (work() runs again) or is answered.
 */
bool reuse_noted(struct call *c, struct read_thread *r, const Trien__V1__Purpose *purpose,
		 char *const *ids, size_t ids_n);
/* A result by its id's text, if the caller may see it; else NOT_FOUND, with nothing to tell why. */
enum status read_result(struct call *c, struct read_thread *r, const char *id,
			struct result_view *out);
/* Answers the call for a status of the store. */
void read_refuse(struct call *c, enum status st);
/* Likewise, for one whose bytes are wanted. False: not stored, or not for the caller; answered. */
bool read_stored(struct call *c, struct read_thread *r, const char *id, struct result_view *out);

/* Page tokens: 16 hex digits of a position, 8 of what the list is of. False: not a token of it. */
bool page_read(const char *token, uint32_t list, uint64_t *position);
#define PAGE_TOKEN_BYTES 24
void page_write(char out[PAGE_TOKEN_BYTES + 1], uint32_t list, uint64_t position);
uint32_t page_size(uint32_t wanted);

#endif
