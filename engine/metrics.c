#include "metrics.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "intake/intake.h"
#include "spine/mirror.h"
#include "spine/spine.h"

#define PAGE_BYTES 16384
#define CONNECTIONS_MAX 16
#define TIMEOUT_S 5

struct metrics {
	struct MHD_Daemon *daemon;
	struct spine *spine;
};

struct page { char *p, *end; };

static void printf_like(2, 3) put(struct page *page, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(page->p, (size_t)(page->end - page->p), fmt, args);
	va_end(args);
	if (n > 0 && n < page->end - page->p)
		page->p += n;
}

static void row(struct page *page, const char *name, const char *type, const char *help, uint64_t v)
{
	put(page, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, help, name, type, name,
	    (unsigned long long)v);
}

static void servers(struct page *page, const struct store_health *store)
{
	if (store->servers_n > 0)
		put(page, "# HELP trien_store_server_up 1: this PostgreSQL server, by its place in "
		    "the setting, took the last batch.\n# TYPE trien_store_server_up gauge\n");
	for (uint32_t i = 0; i < store->servers_n; i++)
		put(page, "trien_store_server_up{server=\"%u\"} %d\n", i + 1,
		    (store->servers_away >> i & 1) == 0);
}

#define COUNT(name, help, v) row(&page, "trien_" name "_total", "counter", help, v)
#define GAUGE(name, help, v) row(&page, "trien_" name, "gauge", help, v)

static size_t page_fill(struct spine *s, char *buf)
{
	struct page page = { buf, buf + PAGE_BYTES };
	struct counters *c = &s->counters;
	struct gauges *g = &s->gauges;
	struct intake_counters in;
	struct store_health store;

	s->store->ops->health(s->store, &store);
	intake_counters(s->intake, &in);
	COUNT("cases_accepted", "Cases durable in the journal.", c->accepted);
	COUNT("cases_duplicate", "Cases answered with an earlier receipt.", c->duplicates);
	COUNT("cases_refused", "Cases refused.", c->refused);
	COUNT("results_stored", "Results signed and stored.", c->stored);
	COUNT("results_parked", "Results put into the waiting room.", c->held);
	COUNT("results_void", "Numbers that will never be issued.", c->voided);
	COUNT("signatures", "Signatures received from the signer.", c->signatures);
	COUNT("signatures_wrong", "Signatures from elsewhere that were not their key's.",
	      c->signatures_wrong);
	COUNT("batches", "Batches sealed.", c->batches);
	GAUGE("store_up", "1: the store took the last batch.", store.up);
	servers(&page, &store);
	COUNT("store_retries", "Batches that the store was asked to take again.", store.retries);
	COUNT("store_refused", "Results that the store refuses for ever; they are held.",
	      c->store_refused);
	COUNT("store_conflicts", "Results of which the store has another one; they are held.",
	      c->store_conflicts);
	GAUGE("signer_up", "1: the signer process answers.", g->signer_up);
	GAUGE("remote_signer_up", "1: the remote signer answers, or there is none.", g->remote_up);
	GAUGE("numbering", "1: new cases get numbers.", g->numbering);
	GAUGE("results_in_flight", "Results on their way: not yet stored, and not waiting.",
	      inflight_count(s->inflight));
	GAUGE("results_held", "Results that cannot be signed now.", clerk_count(s, STATE_HELD));
	GAUGE("results_awaiting_approval", "Results that wait for a person to approve them.",
	      clerk_count(s, STATE_AWAITING_APPROVAL));
	GAUGE("results_awaiting_signature", "Results that wait for a person's signature.",
	      clerk_count(s, STATE_AWAITING_SIGNATURE));
	GAUGE("backlog_cases", "Cases waiting for a batch.", g->backlog);
	GAUGE("backlog_cases_away", "Of these, cases that wait for a server that is away.",
	      g->aside);
	GAUGE("batches_in_flight", "Batches between seal and store.", g->batches);
	GAUGE("journal_segments_free", "Free journal segments.", g->slots_free);
	GAUGE("mirror_behind_bytes", "Bytes of the journal that its mirror does not have yet.",
	      mirror_behind(s));
	GAUGE("mirror_up", "1: the mirror keeps up, or none is configured.", g->mirror_up);
	GAUGE("journal_segments", "Journal segments.", s->config->journal_slots);
	COUNT("calls", "gRPC calls.", in.calls);
	COUNT("calls_refused", "gRPC calls refused.", in.calls_refused);
	GAUGE("calls_live", "gRPC calls open.", in.calls_live);
	GAUGE("watches", "Watches open.", in.watches);
	COUNT("bridge_signatures_wrong", "Signatures given by bridges that were not the key's.",
	      in.signatures_wrong);
	COUNT("copies_asked", "Copies asked for: certified ones, and from registers.", in.copies);
	COUNT("copy_bytes", "Bytes of originals received.", in.copy_bytes);
	GAUGE("uploads", "Originals being received.", in.uploads);
	COUNT("downloads", "Downloads begun.", in.downloads);
	COUNT("download_bytes", "Bytes of results sent.", in.download_bytes);
	return (size_t)(page.p - buf);
}

static enum MHD_Result answer(void *ctx, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *data,
			      size_t *data_n, void **call)
{
	struct metrics *m = ctx;
	bool known = strcmp(method, "GET") == 0 && strcmp(url, "/metrics") == 0;
	struct MHD_Response *response;
	enum MHD_Result result;
	char *buf = malloc(PAGE_BYTES);

	if (buf == NULL)
		return MHD_NO;
	response = MHD_create_response_from_buffer(known ? page_fill(m->spine, buf) : 0, buf,
						   MHD_RESPMEM_MUST_FREE);
	if (response == NULL) {
		free(buf);
		return MHD_NO;
	}
	MHD_add_response_header(response, "Content-Type", "text/plain; version=0.0.4");
	result = MHD_queue_response(connection, known ? MHD_HTTP_OK : MHD_HTTP_NOT_FOUND, response);
	MHD_destroy_response(response);
	return result;
}

static enum status address_read(const char *text, struct sockaddr_in *out, struct error *e)
{
	char host[64];
	const char *colon = strrchr(text, ':');
	char *end = NULL;
	unsigned long port = colon != NULL ? strtoul(colon + 1, &end, 10) : 65536;

	if (colon == NULL || *end != '\0' || port > 65535 || (size_t)(colon - text) >= sizeof(host))
		return error_set(e, ST_INVALID, "metrics = %s: HOST:PORT is needed", text);
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	*out = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
	if (strcmp(host, "localhost") == 0)
		snprintf(host, sizeof(host), "127.0.0.1");
	if (inet_pton(AF_INET, host, &out->sin_addr) != 1 ||
	    ntohl(out->sin_addr.s_addr) >> 24 != IN_LOOPBACKNET)
		return error_set(e, ST_INVALID, "metrics = %s: only loopback addresses "
				 "(127.0.0.1:PORT); put a proxy in front for others", text);
	return ST_OK;
}

enum status metrics_start(struct metrics **out, const char *address, struct spine *s,
			  struct error *e)
{
	struct metrics *m = calloc(1, sizeof(*m));
	struct sockaddr_in at;
	const union MHD_DaemonInfo *info;
	enum status st = m != NULL ? address_read(address, &at, e) : ST_NOMEM;

	if (st == ST_OK) {
		m->spine = s;
		m->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0,
					     NULL, NULL, answer, m, MHD_OPTION_SOCK_ADDR, &at,
					     MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
					     MHD_OPTION_CONNECTION_TIMEOUT, TIMEOUT_S,
					     MHD_OPTION_END);
		if (m->daemon == NULL)
			st = error_set(e, ST_UNAVAILABLE, "metrics = %s: the port cannot be opened",
				       address);
	}
	if (st != ST_OK) {
		free(m);
		return st;
	}
	info = MHD_get_daemon_info(m->daemon, MHD_DAEMON_INFO_BIND_PORT);
	log_info("metrics", "http://127.0.0.1:%u/metrics", info != NULL ? info->port : 0);
	*out = m;
	return ST_OK;
}

void metrics_stop(struct metrics *m)
{
	if (m == NULL)
		return;
	MHD_stop_daemon(m->daemon);
	free(m);
}
