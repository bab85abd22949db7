#include "portal/portal.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "portal/embedded.h"
#include "portal/engineside.h"
#include "portal/figures.h"
#include "portal/http.h"
#include "portal/inside.h"
#include "portal/preview.h"
#include "portal/reading.h"
#include "portal/sandbox.h"
#include "portal/signin.h"
#include "portal/starter.h"
#include "render/qr.h"

static enum status url_check(const char *url, struct error *e)
{
	size_t scheme = strncmp(url, "https://", 8) == 0 ? 8 :
			strncmp(url, "http://", 7) == 0 ? 7 : 0;

	if (url[0] == '\0')
		return ST_OK;
	if (scheme == 0 || url[scheme] == '\0' || strlen(url) >= PORTAL_URL_BYTES ||
	    strcspn(url + scheme, "/?#\"<>\\ ") != strlen(url + scheme))
		return error_set(e, ST_INVALID, "portal_url = %s: https://HOST is needed, without "
				 "a path", url);
	return ST_OK;
}

enum status portal_check(const struct config *c, struct error *e)
{
	struct sockaddr_storage s;
	struct proxies p;
	socklen_t n;
	enum status st = listen_read(c->portal.listen, &s, &n, e);

	if (st == ST_OK)
		st = proxies_read(&p, c->portal.proxies, e);
	if (st == ST_OK)
		st = url_check(c->portal.url, e);
	if (st == ST_OK)
		st = signin_check(c, e);
	if (st == ST_OK && access(c->data, F_OK) != 0)
		st = error_set(e, ST_NOT_FOUND, "data = %s: there is no such folder; name the "
			       "engine's by --data or TRIEN_DATA", c->data);
	return st;
}

const char *portal_session_cookie(const struct portal *p)
{
	return p->https ? "__Host-" SESSION_COOKIE : SESSION_COOKIE;
}

/* "pages/home.html" is the page "home". */
static enum status pages_read(struct portal *p, struct error *e)
{
	static const char folder[] = "pages/", suffix[] = ".html";
	enum status st = pages_new(&p->pages, p->words);
	const struct embedded *f;

	for (uint32_t i = 0; st == ST_OK && (f = embedded_at(i)) != NULL; i++) {
		size_t n = strlen(f->name);
		char name[64];

		if (strncmp(f->name, folder, sizeof(folder) - 1) != 0)
			continue;
		snprintf(name, sizeof(name), "%.*s",
			 (int)(n - (sizeof(folder) - 1) - (sizeof(suffix) - 1)),
			 f->name + sizeof(folder) - 1);
		st = pages_add(p->pages, name, embedded_bytes(f), e);
	}
	return st == ST_OK ? pages_link(p->pages, e) : st;
}

static enum status texts_read(struct portal *p, struct error *e)
{
	struct slice of[LANGUAGES];
	enum status st;

	for (enum language l = 0; l < LANGUAGES; l++) {
		char name[32];
		const struct embedded *f;

		snprintf(name, sizeof(name), "words/%s.json", language_code(l));
		f = embedded_find(name);
		of[l] = f != NULL ? embedded_bytes(f) : slice_of("", 0);
	}
	st = words_new(&p->words, of, e);
	return st == ST_OK ? pages_read(p, e) : st;
}

static void worker_close(struct worker *w)
{
	reading_close(w->reading);
	engine_close(w);
	edition_unref(w->edition);
}

static enum status start(struct portal *p, struct error *e)
{
	char at[64];
	uint8_t secret[16];
	int fd = -1;
	/* First: it is a process of its own, which knows nothing of us. */
	enum status st = starter_new(&p->starter, e);

	if (st == ST_OK)
		st = preview_open(&p->preview, p->starter);
	if (st == ST_OK)
		st = texts_read(p, e);
	if (st == ST_OK)
		st = proxies_read(&p->proxies, p->config->portal.proxies, e);
	if (st == ST_OK && (getrandom(secret, sizeof(secret), 0) != sizeof(secret) ||
			    getrandom(p->secret, sizeof(p->secret), 0) != sizeof(p->secret)))
		st = error_set(e, ST_INTERNAL, "no random bytes at start");
	if (st == ST_OK)
		st = limits_new(&p->limits, secret);
	if (st == ST_OK)
		st = session_table_new(&p->sessions, PORTAL_SESSIONS_MAX);
	if (st == ST_OK)
		st = qr_tables_new(&p->qr);
	if (st == ST_OK)
		st = http_listen("portal_listen", p->config->portal.listen, &fd, at,
				 &p->loopback, e);
	if (st != ST_OK)
		return st;
	if (p->config->portal.url[0] != '\0')
		snprintf(p->url, sizeof(p->url), "%s", p->config->portal.url);
	else
		snprintf(p->url, sizeof(p->url), "http://%s", at);
	p->https = strncmp(p->url, "https:", 6) == 0;
	st = signin_new(&p->signin, p, e);
	if (st == ST_OK)
		st = library_open(&p->library, p->config, p->starter, e);
	if (st == ST_OK)
		st = figures_open(&p->figures);
	if (st == ST_OK)
		st = portal_sandbox(p->config, e);
	if (st == ST_OK)
		st = signin_start(p->signin, p, e);
	if (st == ST_OK)
		st = workers_start(&p->workers, p, p->config->portal.workers, worker_close, e);
	if (st == ST_OK)
		st = http_start(&p->http, p, fd, e);
	if (st == ST_OK)
		log_info("portal", "ready on http://%s, for citizens %s", at, p->url);
	return st;
}

static void stop(struct portal *p)
{
	if (p->http != NULL)
		http_quiesce(p->http);
	workers_stop(p->workers);
	http_stop(p->http);
	signin_free(p->signin);
	figures_close(p->figures);
	library_close(p->library);
	preview_close(p->preview);
	starter_free(p->starter);
	qr_tables_free(p->qr);
	session_table_free(p->sessions);
	limits_free(p->limits);
	pages_free(p->pages);
	words_free(p->words);
}

/* Until it is to end. */
static void watch(struct portal *p, const sigset_t *set)
{
	const struct timespec pause = { .tv_sec = LIBRARY_LOOK_S };
	int got = SIGHUP;

	while (got == SIGHUP || got < 0) {
		got = sigtimedwait(set, NULL, &pause);
		if (got == SIGHUP)
			library_read_again(p->library);
		else if (got < 0 && errno == EAGAIN)
			library_look(p->library);
	}
}

int portal_run(const struct config *c)
{
	static struct portal p;		/* to the end of the process */
	struct error e = { 0 };
	enum status st;
	sigset_t set;

	p.config = c;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	st = start(&p, &e);
	if (st != ST_OK)
		log_error("portal", "%s", e.text[0] != '\0' ? e.text : status_name(st));
	else
		watch(&p, &set);
	stop(&p);
	return st == ST_OK ? 0 : st == ST_INVALID || st == ST_NOT_FOUND ? EX_CONFIG :
	       st == ST_UNAVAILABLE ? EX_TEMPFAIL : EX_SOFTWARE;
}
