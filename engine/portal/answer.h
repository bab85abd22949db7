/*
 * answer.h - what a handler answered (request.h), until http.c sends it.
 */
#ifndef TRIEN_PORTAL_ANSWER_H
#define TRIEN_PORTAL_ANSWER_H

#include "portal/request.h"

#define ANSWER_HEADERS_MAX 8

struct answer {
	unsigned int status;		/* 0: nothing answered */
	const char *type;		/* Content-Type; static storage */
	void *bytes;			/* malloc'd, or `asset` */
	size_t n;
	bool asset;			/* bytes are not ours */
	uint64_t stream_n;		/* fill is set: of so many bytes */
	enum status (*fill)(void *ctx, struct worker *w, uint64_t offset, uint8_t *buf, size_t *n);
	void (*ended)(void *ctx);
	void *ctx;
	struct { const char *name; char *value; } headers[ANSWER_HEADERS_MAX];
	uint32_t headers_n;
};

void answer_free(struct answer *a);

/*
 * Before any handler: who may, and whether a POST is from our own page. False: it is answered.
 */
bool request_allowed(struct request *q);

#endif
