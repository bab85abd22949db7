#include "portal/engineside.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "portal/inside.h"
#include "portal/reading.h"
#include "portal/route.h"

#define LATE_MAX 2			/* engines that one question waits for in vain */

/* ---- one of them ---- */

uint32_t engines_n(const struct worker *w)
{
	uint32_t n = w->portal->config->portal.engines_n;

	return n > 0 ? n : 1;
}

static enum status connected(struct worker *w, uint32_t at, struct error *e)
{
	const struct config *c = w->portal->config;
	struct client_options o = { .data = c->data, .timeout_s = PORTAL_ENGINE_S_MAX };

	if (w->engines[at] != NULL)
		return ST_OK;
	if (at < c->portal.engines_n && c->portal.engines[at][0] != '\0')
		o.connect = c->portal.engines[at];
	return client_open(&w->engines[at], &o, e);
}

ProtobufCMessage *engine_ask_one(struct worker *w, uint32_t at, const char *method,
				 const ProtobufCMessage *request,
				 const ProtobufCMessageDescriptor *answer, struct failure *f)
{
	struct error e = { 0 };

	if (connected(w, at, &e) == ST_OK)
		return client_call(w->engines[at], method, request, answer, f);
	*f = (struct failure){ .code = GRPC_STATUS_UNAVAILABLE };
	log_error("portal", "the engine: %s", e.text);
	return NULL;
}

/* ---- whichever knows ---- */

uint32_t engine_of_unit(const char *unit)
{
	uint32_t h = 2166136261u;

	for (; *unit != '\0'; unit++)
		h = (h ^ (uint8_t)*unit) * 16777619u;
	return h;
}

uint32_t engine_of_result(struct request *q, const char *id)
{
	char text[ID_TEXT_BYTES + 1];
	struct reading *r;
	uint64_t sequence;
	uint8_t lane;

	snprintf(text, sizeof(text), "%s", id);
	if (engines_n(q->worker) > 1 && reading_of(q, &r) == ST_OK &&
	    reading_id(r, text, &lane, &sequence))
		return sequence_engine(sequence);
	return ENGINE_ANY;
}

bool engine_elsewhere(const struct failure *f)
{
	return strcmp(f->reason, "UNIT_ELSEWHERE") == 0;
}

ProtobufCMessage *engine_ask(struct worker *w, uint32_t about, const char *method,
			     const ProtobufCMessage *request,
			     const ProtobufCMessageDescriptor *answer, struct failure *f)
{
	uint8_t *known = &w->answered[about % ARRAY_LEN(w->answered)];
	uint32_t n = engines_n(w), first = *known > 0 ? *known - 1u : about % n, late = 0;

	for (uint32_t i = 0; i < n && late < LATE_MAX; i++) {
		uint32_t at = (first + i) % n;
		struct failure why = { 0 };
		ProtobufCMessage *m = engine_ask_one(w, at, method, request, answer, &why);
		bool elsewhere = engine_elsewhere(&why);

		if (m != NULL) {
			*known = (uint8_t)(at + 1);
			return m;
		}
		if (i == 0 || !elsewhere)
			*f = why;
		late += why.code == GRPC_STATUS_DEADLINE_EXCEEDED;
		if (!elsewhere && why.code != GRPC_STATUS_UNAVAILABLE &&
		    why.code != GRPC_STATUS_DEADLINE_EXCEEDED)
			return NULL;
	}
	return NULL;
}

/* ---- what it says ---- */

static unsigned int http_status(int code)
{
	switch (code) {
	case GRPC_STATUS_INVALID_ARGUMENT:
	case GRPC_STATUS_OUT_OF_RANGE:
		return 400;
	case GRPC_STATUS_NOT_FOUND:
		return 404;
	case GRPC_STATUS_FAILED_PRECONDITION:
	case GRPC_STATUS_ABORTED:
		return 409;
	case GRPC_STATUS_RESOURCE_EXHAUSTED:
	case GRPC_STATUS_UNAVAILABLE:
	case GRPC_STATUS_DEADLINE_EXCEEDED:
		return 503;
	default:
		return 500;
	}
}

void engine_failed(struct request *q, const struct failure *f)
{
	unsigned int status = http_status(f->code);

	if (status >= 500)
		log_warn("portal", "%s: the engine answers %d %s %s", q->route->pattern, f->code,
			 f->reason, f->en);
	answer_error(q, status);
}

Trien__V1__Person engine_person(const struct session *s)
{
	Trien__V1__Person p = TRIEN__V1__PERSON__INIT;

	p.id_kind = (Trien__V1__Holder__IdKind)s->holder.id_kind;
	p.country = (char *)s->holder.country;
	p.number = (char *)s->holder.number;
	return p;
}

void engine_close(struct worker *w)
{
	for (uint32_t i = 0; i < engines_n(w); i++) {
		client_close(w->engines[i]);
		w->engines[i] = NULL;
	}
}
