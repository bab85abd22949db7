#include "remote/web.h"

#include <curl/curl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_MS_MAX 20000
#define BLOCK 16384

struct web {
	CURLM *multi;
	void (*done)(void *ctx, void *call, const struct web_result *r);
	void *ctx;
	struct exchange *all;
};

struct exchange {
	struct exchange *next, *prev;
	void *call;
	CURL *easy;
	struct curl_slist *headers;
	char *body;
	uint8_t *answer;
	size_t n, room;
};

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
	struct exchange *x = ctx;
	size_t bytes = size * n;

	if (bytes > SERVICE_ANSWER_BYTES_MAX - x->n)
		return 0;		/* ends the transfer */
	if (x->n + bytes > x->room) {
		size_t room = x->room * 2 > x->n + bytes ? x->room * 2 : x->n + bytes + BLOCK;
		uint8_t *larger = realloc(x->answer, room);

		if (larger == NULL)
			return 0;
		x->answer = larger;
		x->room = room;
	}
	memcpy(x->answer + x->n, p, bytes);
	x->n += bytes;
	return bytes;
}

static void exchange_free(struct web *w, struct exchange *x)
{
	if (x->prev != NULL)
		x->prev->next = x->next;
	else if (w->all == x)
		w->all = x->next;
	if (x->next != NULL)
		x->next->prev = x->prev;
	if (x->easy != NULL) {
		curl_multi_remove_handle(w->multi, x->easy);
		curl_easy_cleanup(x->easy);
	}
	for (struct curl_slist *h = x->headers; h != NULL; h = h->next)
		OPENSSL_cleanse(h->data, strlen(h->data));
	curl_slist_free_all(x->headers);
	if (x->body != NULL)
		OPENSSL_cleanse(x->body, strlen(x->body));
	if (x->answer != NULL)
		OPENSSL_cleanse(x->answer, x->n);
	free(x->body);
	free(x->answer);
	free(x);
}

static bool header(struct exchange *x, const char *name, const char *scheme, const char *value)
{
	size_t n = strlen(name) + strlen(scheme) + strlen(value) + 4;
	char *line = malloc(n);
	struct curl_slist *longer = NULL;

	if (line != NULL) {
		snprintf(line, n, "%s: %s%s", name, scheme, value);
		longer = curl_slist_append(x->headers, line);
		OPENSSL_cleanse(line, n);
	}
	free(line);
	if (longer != NULL)
		x->headers = longer;
	return longer != NULL;
}

static bool headers(struct exchange *x, const struct service *s, const struct api_request *r,
		    const char *bearer)
{
	/* "Expect:" because some services do not know "100-continue" and let us wait. */
	bool ok = header(x, "Accept", "", "application/json") &&
		  curl_slist_append(x->headers, "Expect:") != NULL;

	if (r->body != NULL)
		ok = ok && header(x, "Content-Type", "", r->form ?
				  "application/x-www-form-urlencoded" :
				  "application/json; charset=utf-8");
	if (bearer != NULL)
		ok = ok && header(x, "Authorization", "Bearer ", bearer);
	for (uint32_t i = 0; i < s->headers_n; i++)
		ok = ok && header(x, s->headers[i].name, "", s->headers[i].value);
	return ok;
}

static void blob(CURL *c, CURLoption option, struct slice s)
{
	struct curl_blob b = { (void *)s.p, s.n, CURL_BLOB_NOCOPY };

	if (s.n > 0)
		curl_easy_setopt(c, option, &b);
}

static bool options(struct exchange *x, const struct service *s, const struct api_request *r)
{
	CURL *c = x->easy;
	long timeout = (long)s->timeout_ms;
	bool ok;

	curl_easy_setopt(c, CURLOPT_PRIVATE, x);
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_USERAGENT, "trien");
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, timeout);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS,
			 timeout < CONNECT_MS_MAX ? timeout : CONNECT_MS_MAX);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, x->headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
	/* From memory: this process cannot open files any more. */
	curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
	blob(c, CURLOPT_CAINFO_BLOB, s->ca);
	blob(c, CURLOPT_SSLCERT_BLOB, s->client_certificate);
	blob(c, CURLOPT_SSLKEY_BLOB, s->client_key);
	ok = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
	     curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
	     curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
	     curl_easy_setopt(c, CURLOPT_URL, r->url) == CURLE_OK;
	if (x->body != NULL) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)strlen(x->body));
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, x->body);
	}
	return ok;
}

enum status web_send(struct web *w, void *call, const struct service *s,
		     const struct api_request *r, const char *bearer)
{
	struct exchange *x = calloc(1, sizeof(*x));
	bool ok;

	if (x == NULL)
		return ST_NOMEM;
	x->call = call;
	x->next = w->all;
	if (w->all != NULL)
		w->all->prev = x;
	w->all = x;
	x->easy = curl_easy_init();
	x->body = r->body != NULL ? strdup(r->body) : NULL;
	ok = x->easy != NULL && (r->body == NULL || x->body != NULL) &&
	     headers(x, s, r, bearer) && options(x, s, r) &&
	     curl_multi_add_handle(w->multi, x->easy) == CURLM_OK;
	if (ok)
		return ST_OK;
	exchange_free(w, x);
	return ST_NOMEM;
}

/* Nothing of ours has reached a service before the TLS session stands. */
static enum web_state state_of(CURL *c, CURLcode rc)
{
	curl_off_t ready = 0;

	if (rc == CURLE_OK)
		return WEB_ANSWERED;
	curl_easy_getinfo(c, CURLINFO_PRETRANSFER_TIME_T, &ready);
	if (ready <= 0)
		return WEB_NOT_SENT;
	return rc == CURLE_OPERATION_TIMEDOUT ? WEB_SILENT : WEB_NO_ANSWER;
}

static void finish(struct web *w, struct exchange *x, CURLcode rc)
{
	curl_off_t retry_s = 0;
	struct web_result r = { .state = state_of(x->easy, rc) };
	void *call = x->call;

	curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &r.status);
	curl_easy_getinfo(x->easy, CURLINFO_RETRY_AFTER, &retry_s);
	r.retry_after_ms = retry_s > 0 && retry_s < 86400 ? (int64_t)retry_s * 1000 : 0;
	r.body = slice_of(x->answer, x->n);
	w->done(w->ctx, call, &r);
	exchange_free(w, x);
}

enum status web_wait(struct web *w, int fd, int timeout_ms)
{
	struct curl_waitfd extra = { .fd = fd, .events = CURL_WAIT_POLLIN };
	int running, left;
	CURLMsg *m;

	if (curl_multi_poll(w->multi, &extra, 1, timeout_ms, NULL) != CURLM_OK ||
	    curl_multi_perform(w->multi, &running) != CURLM_OK)
		return ST_INTERNAL;
	while ((m = curl_multi_info_read(w->multi, &left)) != NULL) {
		struct exchange *x = NULL;
		CURLcode rc = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&x);
		finish(w, x, rc);
	}
	return ST_OK;
}

enum status web_new(struct web **out, void (*done)(void *ctx, void *call,
						   const struct web_result *r),
		    void *ctx, struct error *e)
{
	struct web *w = calloc(1, sizeof(*w));

	if (w != NULL && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {
		w->multi = curl_multi_init();
		w->done = done;
		w->ctx = ctx;
	}
	if (w == NULL || w->multi == NULL) {
		free(w);
		return error_set(e, ST_NOMEM, "libcurl does not start");
	}
	*out = w;
	return ST_OK;
}

void web_free(struct web *w)
{
	if (w == NULL)
		return;
	while (w->all != NULL)
		exchange_free(w, w->all);
	curl_multi_cleanup(w->multi);
	curl_global_cleanup();
	free(w);
}
