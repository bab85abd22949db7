#include "portal/engineside.h"

#include <string.h>

#include "base/log.h"
#include "portal/inside.h"
#include "portal/route.h"

static enum status connected(struct worker *w, struct error *e)
{
	const struct config *c = w->portal->config;
	struct client_options o = { .data = c->data, .timeout_s = PORTAL_ENGINE_S_MAX };

	if (w->engine != NULL)
		return ST_OK;
	if (c->portal.engine[0] != '\0')
		o.connect = c->portal.engine;
	return client_open(&w->engine, &o, e);
}

ProtobufCMessage *engine_ask(struct worker *w, const char *method, const ProtobufCMessage *request,
			     const ProtobufCMessageDescriptor *answer, struct failure *f)
{
	struct error e = { 0 };

	if (connected(w, &e) == ST_OK)
		return client_call(w->engine, method, request, answer, f);
	*f = (struct failure){ .code = GRPC_STATUS_UNAVAILABLE };
	log_error("portal", "the engine: %s", e.text);
	return NULL;
}

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
	client_close(w->engine);
	w->engine = NULL;
}
