#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "portal/exchange.h"
#include "portal/route.h"

/* Goes with every answer. */
static const char *const headers[][2] = {
	{ "Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; "
	  "img-src 'self' data:; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
	  "base-uri 'none'" },
	{ "Referrer-Policy", "no-referrer" },
	{ "X-Content-Type-Options", "nosniff" },
	{ "X-Frame-Options", "DENY" },
	{ "Cross-Origin-Opener-Policy", "same-origin" },
	{ "Cross-Origin-Resource-Policy", "same-origin" },
	{ "Permissions-Policy", "camera=(self), microphone=(), geolocation=(), payment=()" },
	{ "X-Robots-Tag", "noindex, nofollow" },
};

/* ---- a file, piece by piece ---- */

struct stream {
	struct job job;
	struct http *http;
	struct MHD_Connection *connection;
	enum status (*fill)(void *ctx, struct worker *w, uint64_t offset, uint8_t *buf, size_t *n);
	void (*ended)(void *ctx);
	void *ctx;
	uint64_t at;			/* of the first byte in bytes */
	size_t n;
	bool failed;
	uint8_t bytes[PORTAL_STREAM_BYTES];
};

static void stream_fill(struct job *j, struct worker *w)
{
	struct stream *s = (struct stream *)j;
	enum status st;

	s->n = sizeof(s->bytes);
	st = s->fill(s->ctx, w, s->at, s->bytes, &s->n);
	if (st != ST_OK || s->n == 0) {
		log_error("portal", "a download broke off: %s", status_name(st));
		s->failed = true;
	}
	MHD_resume_connection(s->connection);
}

static ssize_t stream_read(void *ctx, uint64_t at, char *buf, size_t max)
{
	struct stream *s = ctx;
	size_t n;

	if (s->failed)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (at >= s->at && at - s->at < s->n) {
		n = s->n - (size_t)(at - s->at);
		n = n < max ? n : max;
		memcpy(buf, s->bytes + (at - s->at), n);
		return (ssize_t)n;
	}
	s->at = at;
	s->n = 0;
	MHD_suspend_connection(s->connection);
	if (workers_push(s->http->portal->workers, &s->job) != ST_OK) {
		s->failed = true;
		MHD_resume_connection(s->connection);
	}
	return 0;
}

static void stream_free(void *ctx)
{
	struct stream *s = ctx;

	s->ended(s->ctx);
	free(s);
}

static struct MHD_Response *stream_response(struct exchange *x)
{
	struct answer *a = &x->a;
	struct stream *s = calloc(1, sizeof(*s));
	struct MHD_Response *r;

	if (s == NULL)
		return NULL;
	s->job.run = stream_fill;
	s->http = x->http;
	s->connection = x->connection;
	s->fill = a->fill;
	s->ended = a->ended;
	s->ctx = a->ctx;
	r = MHD_create_response_from_callback(a->stream_n, PORTAL_STREAM_BYTES / 4, stream_read, s,
					      stream_free);
	if (r == NULL) {
		free(s);
		return NULL;
	}
	a->ended = NULL;		/* the stream's now */
	a->fill = NULL;
	return r;
}

/* ---- all else ---- */

static struct MHD_Response *response_of(struct exchange *x)
{
	struct answer *a = &x->a;
	struct MHD_Response *r;

	if (a->fill != NULL)
		return stream_response(x);
	r = MHD_create_response_from_buffer(a->n, a->bytes != NULL ? a->bytes : (void *)"",
					    a->bytes == NULL || a->asset ? MHD_RESPMEM_PERSISTENT :
					    MHD_RESPMEM_MUST_FREE);
	if (r != NULL) {
		a->bytes = NULL;
		a->asset = false;
	}
	return r;
}

static void headers_add(const struct exchange *x, struct MHD_Response *r, bool asset)
{
	const struct answer *a = &x->a;

	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		MHD_add_response_header(r, headers[i][0], headers[i][1]);
	MHD_add_response_header(r, "Cache-Control", asset ? "public, max-age=3600" : "no-store");
	if (x->http->portal->https)
		MHD_add_response_header(r, "Strict-Transport-Security", "max-age=31536000");
	if (a->type != NULL)
		MHD_add_response_header(r, "Content-Type", a->type);
	for (uint32_t i = 0; i < a->headers_n; i++)
		MHD_add_response_header(r, a->headers[i].name, a->headers[i].value);
}

enum MHD_Result exchange_send(struct exchange *x)
{
	uint64_t n = x->a.fill != NULL ? x->a.stream_n : x->a.n;
	bool asset = x->a.asset;
	struct MHD_Response *r = response_of(x);
	enum MHD_Result result;

	if (r == NULL)
		return MHD_NO;
	headers_add(x, r, asset);
	conn_within(x->http->conns, x->conn,
		    PORTAL_BODY_MS_MIN + (int64_t)(n / (PORTAL_BYTES_PER_S_MIN / 1000)));
	result = MHD_queue_response(x->connection, x->a.status, r);
	MHD_destroy_response(r);
	return result;
}
