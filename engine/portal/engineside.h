/*
 * engineside.h - what the portal asks the engine for, over its socket: all that is written. A
 * worker has connections of its own, made with its first questions; a call waits for at most
 * PORTAL_ENGINE_S_MAX, so a route that asks has ROUTE_SLOW.
 *
 * Several engines on the same stores (`portal_engine`): each knows its own cases and shares, and
 * names no other's. One that says UNIT_ELSEWHERE, or is away, is no answer while there is another
 * one to ask; who answered is asked first for the like from then on. So of an engine that is away
 * only its own cases and shares are.
 */
#ifndef TRIEN_PORTAL_ENGINESIDE_H
#define TRIEN_PORTAL_ENGINESIDE_H

#include "client/client.h"
#include "portal/request.h"
#include "portal/workers.h"
#include "trien/v1/repository.pb-c.h"

/* What a question is about, as far as it says who is asked first: a number that the like share. */
#define ENGINE_ANY 0			/* any engine can answer */
uint32_t engine_of_unit(const char *unit);
/* id: a result's, or a share's or token, which begin with it. Engines count from 0, as listed. */
uint32_t engine_of_result(struct request *q, const char *id);

/*
 * The answer, for protobuf_c_message_free_unpacked(); NULL: *f says why. Of several that were
 * asked the failure of one that is away, else of the first.
 */
ProtobufCMessage *engine_ask(struct worker *w, uint32_t about, const char *method,
			     const ProtobufCMessage *request,
			     const ProtobufCMessageDescriptor *answer, struct failure *f);
/* Likewise of each one, where all of them know a part: at < engines_n(). */
uint32_t engines_n(const struct worker *w);
ProtobufCMessage *engine_ask_one(struct worker *w, uint32_t at, const char *method,
				 const ProtobufCMessage *request,
				 const ProtobufCMessageDescriptor *answer, struct failure *f);
/* Did it refuse because the agency is another engine's? */
bool engine_elsewhere(const struct failure *f);
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
