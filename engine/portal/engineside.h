/*
 * engineside.h - what the portal asks the engine for, over its socket: all that is written. A
 * worker has a connection of its own, made with its first question; a call waits for at most
 * PORTAL_ENGINE_S_MAX, so a route that asks has ROUTE_SLOW.
 */
#ifndef TRIEN_PORTAL_ENGINESIDE_H
#define TRIEN_PORTAL_ENGINESIDE_H

#include "client/client.h"
#include "portal/request.h"
#include "portal/workers.h"
#include "trien/v1/repository.pb-c.h"

/* The answer, for protobuf_c_message_free_unpacked(); NULL: *f says why. */
ProtobufCMessage *engine_ask(struct worker *w, const char *method, const ProtobufCMessage *request,
			     const ProtobufCMessageDescriptor *answer, struct failure *f);
/*
 * What a failed call is to who asked: 503 the engine or its store is away, 404, 400, 409, 429; else
 * 500, with the engine's words in the log, which hold nothing of a person.
 */
void engine_failed(struct request *q, const struct failure *f);
/* The citizen who is signed in; strings are the session's. */
Trien__V1__Person engine_person(const struct session *s);
/* Nothing is asked any more by this thread. */
void engine_close(struct worker *w);

#endif
