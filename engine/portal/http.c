#include "portal/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "portal/exchange.h"
#include "portal/reading.h"
#include "portal/route.h"

#define LISTEN_BACKLOG 1024
#define FORWARDED_BYTES_MAX 1024

static int64_t clock_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- what a handler asks of its request ---- */

const char *request_header(const struct request *q, const char *name)
{
	return MHD_lookup_connection_value(q->connection, MHD_HEADER_KIND, name);
}

bool request_cookie(const struct request *q, const char *name, char *out, size_t size)
{
	const char *p = request_header(q, "Cookie");
	size_t n = strlen(name);

	while (p != NULL) {
		p += strspn(p, " ;");
		if (strncmp(p, name, n) == 0 && p[n] == '=') {
			size_t len = strcspn(p + n + 1, ";");

			if (len >= size)
				return false;
			memcpy(out, p + n + 1, len);
			out[len] = '\0';
			return true;
		}
		p = strchr(p, ';');
	}
	return false;
}

struct slice request_asker(const struct request *q, uint8_t person[16])
{
	if (!q->signed_in || q->session.holder.number[0] == '\0')
		return address_asker(&q->address);
	person_key_of(&q->session.holder, person);
	return slice_of(person, 16);
}

/* ---- a request begins ---- */

/*
 * Each proxy adds at the end, so where it is too much the end is kept: what it began with is said
 * by no proxy of ours.
 */
static enum MHD_Result forwarded_add(void *ctx, enum MHD_ValueKind kind, const char *key,
				     const char *value)
{
	char *all = ctx;
	size_t n = strlen(all), k = value != NULL ? strlen(value) : 0, room, off;

	if (strcasecmp(key, "X-Forwarded-For") != 0 || k == 0)
		return MHD_YES;
	off = k < FORWARDED_BYTES_MAX - 1 ? 0 : k - (FORWARDED_BYTES_MAX - 2);
	room = FORWARDED_BYTES_MAX - 2 - (k - off);	/* for what came before */
	if (n > room) {
		memmove(all, all + n - room, room);
		n = room;
	}
	all[n++] = ',';
	memcpy(all + n, value + off, k - off + 1);
	return MHD_YES;
}

static void identify(struct exchange *x)
{
	struct request *q = &x->q;
	const struct portal *p = x->http->portal;
	char forwarded[FORWARDED_BYTES_MAX] = "", cookie[SESSION_COOKIE_BYTES + 1], code[3];
	enum language chosen = LANGUAGES;

	if (x->conn != NULL)
		q->address = *conn_address(x->conn);
	if (proxies_have(&p->proxies, &q->address))
		MHD_get_connection_values(x->connection, MHD_HEADER_KIND, forwarded_add,
					  forwarded);
	q->address = proxies_client(&p->proxies, &q->address, forwarded);
	q->now_ms = clock_ms(CLOCK_REALTIME);
	if (request_cookie(q, "language", code, sizeof(code)))
		chosen = language_of(code);
	q->language = chosen != LANGUAGES ? chosen : language_of(p->config->portal.language);
	q->signed_in = request_cookie(q, portal_session_cookie(p), cookie, sizeof(cookie)) &&
		       session_find(p->sessions, cookie, q->now_ms, &q->session);
}

/* Then it is answered. */
static bool too_often(struct exchange *x, enum limit_class of)
{
	struct request *q = &x->q;
	uint8_t person[16];
	struct slice asker = request_asker(q, person);
	uint32_t retry_ms;

	if (q->signed_in && q->session.holder.number[0] == '\0')
		asker = slice_of(q->session.key, sizeof(q->session.key));
	if (limit_take(x->http->portal->limits, of, asker, limit_clock_ms(), &retry_ms))
		return false;
	answer_later(q, retry_ms, NULL);
	return true;
}

static enum method method_of(const char *text)
{
	if (strcmp(text, "GET") == 0 || strcmp(text, "HEAD") == 0)
		return METHOD_GET;
	return strcmp(text, "POST") == 0 ? METHOD_POST : METHOD_NONE;
}

static size_t body_most(const struct exchange *x)
{
	const struct route *r = x->q.route;

	if (r == NULL || r->method != METHOD_POST)
		return 0;
	return (r->flags & ROUTE_FILE) != 0 ?
	       (size_t)x->http->portal->config->portal.upload_mb_max << 20 : PORTAL_FORM_BYTES_MAX;
}

static void allow_header(struct request *q, unsigned int allowed)
{
	bool get = (allowed >> METHOD_GET & 1) != 0, post = (allowed >> METHOD_POST & 1) != 0;

	answer_header(q, "Allow", get && post ? "GET, HEAD, POST" : get ? "GET, HEAD" : "POST");
}

/* The status that refuses it without a look at the rest; 0: it may come. */
static unsigned int look(struct exchange *x, const char *method)
{
	struct request *q = &x->q;
	const char *length = request_header(q, "Content-Length");
	const char *coding = request_header(q, "Transfer-Encoding");
	char *query = strchr(x->target, '?'), *end;
	unsigned int allowed;

	identify(x);
	if (query != NULL)
		*query++ = '\0';
	q->path = x->target;
	q->asked = query;
	q->method = method_of(method);
	x->pieces = strdup(x->target);
	if (x->pieces == NULL)
		return 503;
	q->route = route_find(route_groups, q->method, x->pieces, q->args, &allowed);
	if (too_often(x, q->route != NULL ? q->route->limit : LIMIT_PAGE))
		return 429;
	if (q->route == NULL && allowed != 0) {
		allow_header(q, allowed);
		return 405;
	}
	if (q->route == NULL)
		return 404;
	if (form_read(&q->query, slice_str(query != NULL ? query : "")) != ST_OK)
		return 400;
	/* Two ways to say how long it is, or none: proxies may not agree with us on its end. */
	if (coding != NULL && (length != NULL || strcasecmp(coding, "chunked") != 0))
		return 400;
	x->body_max = body_most(x);
	if (length != NULL) {
		unsigned long long n = strtoull(length, &end, 10);

		if (n > x->body_max)
			return 413;
		conn_within(x->http->conns, x->conn,
			    PORTAL_BODY_MS_MIN + (int64_t)(n / (PORTAL_BYTES_PER_S_MIN / 1000)));
	} else {
		conn_within(x->http->conns, x->conn, PORTAL_BODY_MS_MIN);
	}
	return 0;
}

static enum MHD_Result begin(struct exchange *x, const char *method)
{
	unsigned int refused;

	x->begun = true;
	refused = strlen(x->target) > PORTAL_TARGET_BYTES_MAX ? 414 : look(x, method);
	if (refused == 0)
		return MHD_YES;
	if (x->q.path == NULL)
		x->q.path = "/";
	if (refused != 429)
		answer_error(&x->q, refused == 414 ? 400 : refused);
	x->answered = true;
	return exchange_send(x);
}

/* ---- its body ---- */

static void body_drop(struct exchange *x, unsigned int status)
{
	x->http->bodies_bytes -= x->body_room;
	free(x->body);
	x->body = NULL;
	x->body_room = 0;
	x->refused = status;
}

/* False: there has been enough of what is refused. */
static bool body_take(struct exchange *x, const char *p, size_t n)
{
	size_t room = x->body_room > 0 ? x->body_room : 4096;
	uint8_t *more;

	x->body_n += n;
	if (x->refused != 0)
		return x->body_n < 2 * x->body_max + PORTAL_FORM_BYTES_MAX;
	if (x->body_n > x->body_max) {
		body_drop(x, 413);
		return true;
	}
	while (room < x->body_n)
		room *= 2;
	if (room != x->body_room) {
		if (x->http->bodies_bytes + room - x->body_room > PORTAL_BODIES_BYTES_MAX ||
		    (more = realloc(x->body, room)) == NULL) {
			body_drop(x, 503);
			return true;
		}
		x->http->bodies_bytes += room - x->body_room;
		x->body = more;
		x->body_room = room;
	}
	memcpy(x->body + x->body_n - n, p, n);
	return true;
}

/* ---- on a worker ---- */

static enum status form_of_body(struct request *q)
{
	const char *type = request_header(q, "Content-Type");

	if (type == NULL || q->body.n == 0)
		return ST_OK;
	if (strncasecmp(type, "application/x-www-form-urlencoded", 33) == 0)
		return form_read(&q->form, q->body);
	if (strncasecmp(type, "multipart/form-data", 19) == 0)
		return form_read_parts(&q->form, type, q->body);
	return ST_OK;
}

static void handle(struct job *j, struct worker *w)
{
	struct exchange *x = (struct exchange *)j;
	struct request *q = &x->q;

	q->worker = w;
	library_latest(q->portal->library, &w->edition);
	q->body = slice_of(x->body, x->body != NULL ? x->body_n : 0);
	if (x->refused != 0)
		answer_error(q, x->refused);
	else if (form_of_body(q) != ST_OK)
		answer_error(q, 400);
	else if (request_allowed(q))
		q->route->handle(q);
	if (x->a.status == 0)
		answer_error(q, 500);
	x->answered = true;
	MHD_resume_connection(x->connection);
}

static enum MHD_Result submit(struct exchange *x)
{
	x->job = (struct job){ .run = handle, .slow = (x->q.route->flags & ROUTE_SLOW) != 0,
			       .file = (x->q.route->flags & ROUTE_FILE) != 0 };
	conn_within(x->http->conns, x->conn, 0);
	MHD_suspend_connection(x->connection);
	if (workers_push(x->http->portal->workers, &x->job) != ST_OK) {
		answer_header(&x->q, "Retry-After", "5");
		answer_error(&x->q, 503);
		x->answered = true;
		MHD_resume_connection(x->connection);
	}
	return MHD_YES;
}

/* ---- libmicrohttpd's calls ---- */

static enum MHD_Result on_accept(void *ctx, const struct sockaddr *peer, socklen_t n)
{
	struct http *h = ctx;
	struct address a = address_of(peer);

	return conns_room(h->conns, &a) ? MHD_YES : MHD_NO;
}

static void on_connection(void *ctx, struct MHD_Connection *connection, void **socket_ctx,
			  enum MHD_ConnectionNotificationCode what)
{
	struct http *h = ctx;
	const union MHD_ConnectionInfo *peer, *fd;
	struct address a;

	if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
		conn_ended(h->conns, *socket_ctx);
		return;
	}
	peer = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
	a = address_of(peer->client_addr);
	*socket_ctx = conn_begun(h->conns, &a, fd->connect_fd);
	conn_within(h->conns, *socket_ctx, PORTAL_IDLE_MS_MAX);
}

static void *on_uri(void *ctx, const char *uri, struct MHD_Connection *connection)
{
	struct http *h = ctx;
	struct exchange *x = calloc(1, sizeof(*x));
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	if (x == NULL)
		return NULL;
	x->http = h;
	x->connection = connection;
	x->conn = info != NULL ? info->socket_context : NULL;
	x->target = strdup(uri);
	x->q.portal = h->portal;
	x->q.connection = connection;
	x->q.answer = &x->a;
	conn_within(h->conns, x->conn, PORTAL_HEAD_MS_MAX);
	return x;
}

static enum MHD_Result on_request(void *ctx, struct MHD_Connection *connection, const char *url,
				  const char *method, const char *version, const char *data,
				  size_t *data_n, void **request_ctx)
{
	struct exchange *x = *request_ctx;

	if (x == NULL || x->target == NULL)
		return MHD_NO;
	if (!x->begun)
		return begin(x, method);
	if (*data_n > 0) {
		bool more = body_take(x, data, *data_n);

		*data_n = 0;
		return more ? MHD_YES : MHD_NO;
	}
	return x->answered ? exchange_send(x) : submit(x);
}

static void on_completed(void *ctx, struct MHD_Connection *connection, void **request_ctx,
			 enum MHD_RequestTerminationCode how)
{
	struct http *h = ctx;
	struct exchange *x = *request_ctx;

	if (x == NULL)
		return;
	conn_within(h->conns, x->conn, PORTAL_IDLE_MS_MAX);
	h->bodies_bytes -= x->body_room;
	form_free(&x->q.query);
	form_free(&x->q.form);
	answer_free(&x->a);
	free(x->body);
	free(x->pieces);
	free(x->target);
	free(x);
	*request_ctx = NULL;
}

/* Ours reads the raw target itself. */
static size_t leave_escaped(void *ctx, struct MHD_Connection *connection, char *s)
{
	return strlen(s);
}

enum status http_listen(const char *setting, const char *where, int *fd, char at[64],
			bool *loopback, struct error *e)
{
	struct sockaddr_storage s;
	socklen_t n = 0;
	enum status st = listen_read(where, &s, &n, e);
	struct address a = address_of((struct sockaddr *)&s);
	char host[ADDRESS_TEXT_BYTES];
	int on = 1;

	if (st != ST_OK)
		return st;
	*fd = socket(s.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (*fd < 0 || setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(*fd, (struct sockaddr *)&s, n) != 0 || listen(*fd, LISTEN_BACKLOG) != 0 ||
	    getsockname(*fd, (struct sockaddr *)&s, &n) != 0) {
		st = error_set(e, ST_UNAVAILABLE, "%s = %s: %s", setting, where, strerror(errno));
		if (*fd >= 0)
			close(*fd);
		return st;
	}
	/* The port is at the same place in both kinds of address. */
	address_text(&a, host);
	snprintf(at, 64, s.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
		 (unsigned int)((const uint8_t *)&s)[2] << 8 | ((const uint8_t *)&s)[3]);
	*loopback = address_is_loopback(&a);
	return ST_OK;
}

enum status http_start(struct http **out, struct portal *p, int fd, struct error *e)
{
	struct http *h = calloc(1, sizeof(*h));
	const struct config_portal *c = &p->config->portal;
	enum status st = h == NULL ? ST_NOMEM :
		conns_new(&h->conns, c->address_connections, &p->proxies, e);

	*out = h;
	if (st != ST_OK) {
		free(h);
		*out = NULL;
		return st;
	}
	h->portal = p;
	h->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC, 0,
		on_accept, h, on_request, h, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_LIMIT, c->connections,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)PORTAL_CONNECTION_BYTES,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned int)(PORTAL_IDLE_MS_MAX / 1000),
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, h,
		MHD_OPTION_URI_LOG_CALLBACK, on_uri, h,
		MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL, MHD_OPTION_END);
	if (h->daemon != NULL)
		return ST_OK;
	conns_free(h->conns);
	free(h);
	*out = NULL;
	return error_set(e, ST_UNAVAILABLE, "the portal cannot serve its port");
}

void http_quiesce(struct http *h)
{
	MHD_socket fd = MHD_quiesce_daemon(h->daemon);

	if (fd != MHD_INVALID_SOCKET)
		close(fd);
}

void http_stop(struct http *h)
{
	if (h == NULL)
		return;
	MHD_stop_daemon(h->daemon);
	conns_free(h->conns);
	free(h);
}
