#include <stdlib.h>

#include "base/wire.h"
#include "intake/methods.h"

/* Numbers of grpc.health.v1.HealthCheckResponse.ServingStatus. */
enum serving { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

struct watcher {
	pthread_mutex_t lock;
	bool known, sending, ended;
	enum serving sent;
};

static bool service_known(struct slice name)
{
	static const char *const names[] = { "", "trien.v1.Issuance", "trien.v1.Repository",
					     "trien.v1.Operations" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (slice_eq(name, slice_str(names[i])))
			return true;
	return false;
}

static bool asked(struct call *c, bool *known)
{
	struct slice request, name = { NULL, 0 };
	struct wire_field f;
	struct wire w;

	arena_reset(&c->worker->gather);
	if (!call_request(c, &c->worker->gather, &request))
		return false;
	for (w = wire_of(request); wire_next(&w, &f);)
		if (f.number == 1 && f.type == WIRE_BYTES)
			name = f.bytes;
	*known = service_known(name);
	return !w.bad;
}

static enum serving present(struct intake *in, bool known)
{
	return !known ? SERVICE_UNKNOWN : atomic_load(&in->serving) ? SERVING : NOT_SERVING;
}

static grpc_slice encode(enum serving now)
{
	uint8_t bytes[8];
	struct writer w = writer_of(bytes, sizeof(bytes));

	put_number(&w, 1, now);
	return slice_copied(&w);
}

void health_check_run(struct call *c)
{
	bool known;

	if (!asked(c, &known))
		call_refuse(c, FAULT_MALFORMED, "", "%s", "");
	else if (!known)
		call_refuse(c, FAULT_SERVICE_UNKNOWN, "service", "%s", "");
	else
		call_reply(c, encode(present(c->in, true)));
}

/* Sends when the value is new and nothing is on its way; ends once it was told to. */
static void advance(struct call *c)
{
	struct watcher *h = c->state;
	enum serving now = present(c->in, h->known);
	struct fault f;

	pthread_mutex_lock(&h->lock);
	if (!h->sending && !h->ended) {
		if (now != h->sent && !atomic_load(&c->cancelled)) {
			h->sent = now;
			h->sending = true;
			call_send(c, encode(now));
		} else if (atomic_load(&c->cancelled) || atomic_load(&c->in->stopping)) {
			h->ended = true;
			fault_set(&f, FAULT_STOPPING, "", "%s", "");
			call_finish(c, &f);
		}
	}
	pthread_mutex_unlock(&h->lock);
}

void health_watch_run(struct call *c)
{
	struct watcher *h = calloc(1, sizeof(*h));

	if (h == NULL || !asked(c, &h->known)) {
		free(h);
		call_refuse(c, FAULT_MALFORMED, "", "%s", "");
		return;
	}
	pthread_mutex_init(&h->lock, NULL);
	c->state = h;
	advance(c);
}

void health_watch_sent(struct call *c, bool ok)
{
	struct watcher *h = c->state;

	pthread_mutex_lock(&h->lock);
	h->sending = false;
	pthread_mutex_unlock(&h->lock);
	if (!ok)
		atomic_store(&c->cancelled, true);
	advance(c);
}

void health_watch_closed(struct call *c)
{
	if (c->state != NULL)
		advance(c);
}

void health_watch_stop(struct call *c)
{
	if (c->state != NULL)
		advance(c);
}

void health_watch_free(struct call *c)
{
	struct watcher *h = c->state;

	if (h == NULL)
		return;
	pthread_mutex_destroy(&h->lock);
	free(h);
}

void health_changed(struct intake *in)
{
	struct call *some[64];
	uint32_t n, skip = 0;

	do {
		uint32_t i = 0;

		n = 0;
		pthread_mutex_lock(&in->lock);
		for (struct call *c = in->live; c != NULL && n < ARRAY_LEN(some); c = c->next) {
			if (i++ < skip || c->m == NULL || c->m->run != health_watch_run ||
			    c->state == NULL || !call_try_ref(c))
				continue;
			some[n++] = c;
			skip = i;
		}
		pthread_mutex_unlock(&in->lock);
		for (i = 0; i < n; i++) {
			advance(some[i]);
			call_unref(some[i]);
		}
	} while (n == ARRAY_LEN(some));
}
