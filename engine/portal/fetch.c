#include "portal/fetch.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "io/io.h"
#include "limits.h"
#include "portal/text.h"

struct fetcher {
	char *ca;			/* NULL: the host's */
	pthread_mutex_t lock;
	uint32_t failures;		/* in a row */
	uint64_t alone_until_ns;	/* after FETCH_FAILURES_MAX */
};

bool fetch_url_fits(const char *url)
{
	static const char *const here[] = { "127.0.0.1", "[::1]", "localhost" };
	size_t n = strlen(url);
	const char *host;

	if (n > PROVIDER_URL_BYTES_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		if (url[i] <= ' ' || url[i] > '~' || strchr("\"<>\\^`{|}#", url[i]) != NULL)
			return false;
	host = strncmp(url, "https://", 8) == 0 ? url + 8 :
	       strncmp(url, "http://", 7) == 0 ? url + 7 : "";
	n = strcspn(host, "/?");
	if (n == 0 || memchr(host, '@', n) != NULL)
		return false;
	if (url[4] == 's')
		return true;
	for (size_t i = 0; i < ARRAY_LEN(here); i++) {
		size_t k = strlen(here[i]);

		if (n >= k && memcmp(host, here[i], k) == 0 && (n == k || host[k] == ':') &&
		    strspn(host + k, ":0123456789") == n - k)
			return true;
	}
	return false;
}

enum status fetcher_new(struct fetcher **out, const char *ca, struct error *e)
{
	struct fetcher *f = calloc(1, sizeof(*f));

	if (f != NULL && ca[0] != '\0')
		f->ca = strdup(ca);
	if (f == NULL || (ca[0] != '\0' && f->ca == NULL) ||
	    curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		free(f);
		return error_set(e, ST_NOMEM, "libcurl does not start");
	}
	pthread_mutex_init(&f->lock, NULL);
	*out = f;
	return ST_OK;
}

void fetcher_free(struct fetcher *f)
{
	if (f == NULL)
		return;
	curl_global_cleanup();
	pthread_mutex_destroy(&f->lock);
	free(f->ca);
	free(f);
}

/* ---- a provider that does not answer ---- */

static bool may_try(struct fetcher *f)
{
	uint64_t now = io_boot_ns();
	bool may;

	pthread_mutex_lock(&f->lock);
	may = f->failures < FETCH_FAILURES_MAX || now >= f->alone_until_ns;
	/* Who tries now is the only one for a while. */
	if (may && f->failures >= FETCH_FAILURES_MAX)
		f->alone_until_ns = now + FETCH_PAUSE_MS * 1000000ull;
	pthread_mutex_unlock(&f->lock);
	return may;
}

static void tried(struct fetcher *f, bool answered)
{
	pthread_mutex_lock(&f->lock);
	f->failures = answered ? 0 : f->failures + 1;
	if (f->failures >= FETCH_FAILURES_MAX)
		f->alone_until_ns = io_boot_ns() + FETCH_PAUSE_MS * 1000000ull;
	pthread_mutex_unlock(&f->lock);
}

/* ---- one request ---- */

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
	struct text *body = ctx;

	text_add(body, p, size * n);
	return body->bad ? 0 : size * n;	/* 0 ends the transfer */
}

static struct curl_slist *headers_of(const struct fetch_request *r)
{
	struct curl_slist *all = curl_slist_append(NULL, "Accept: application/json"), *more = all;
	struct text line = text_of(PROVIDER_URL_BYTES_MAX * 4);

	/* Some servers do not know "100-continue" and let us wait. */
	if (more != NULL)
		more = curl_slist_append(all, "Expect:");
	if (more != NULL && r->authorization != NULL) {
		text_str(&line, "Authorization: ");
		text_str(&line, r->authorization);
		text_add(&line, "", 1);
		more = line.bad ? NULL : curl_slist_append(all, line.p);
		if (line.p != NULL)
			explicit_bzero(line.p, line.n);
	}
	text_free(&line);
	if (more == NULL) {
		curl_slist_free_all(all);
		return NULL;
	}
	return all;
}

static void headers_free(struct curl_slist *headers)
{
	for (struct curl_slist *h = headers; h != NULL; h = h->next)
		explicit_bzero(h->data, strlen(h->data));
	curl_slist_free_all(headers);
}

static bool options(CURL *c, struct fetcher *f, const struct fetch_request *r,
		    struct curl_slist *headers, struct text *body)
{
	struct curl_blob ca = { f->ca, f->ca != NULL ? strlen(f->ca) : 0, CURL_BLOB_NOCOPY };

	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(c, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
	curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(c, CURLOPT_PROXY, "");
	curl_easy_setopt(c, CURLOPT_USERAGENT, "trien");
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)PROVIDER_CONNECT_MS_MAX);
	curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)PROVIDER_MS_MAX);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, body);
	if (f->ca != NULL) {
		curl_easy_setopt(c, CURLOPT_CAINFO, NULL);
		curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
		curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca);
	}
	if (r->form != NULL) {
		curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE, (long)strlen(r->form));
		curl_easy_setopt(c, CURLOPT_POSTFIELDS, r->form);
	}
	return curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "https,http") == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
	       curl_easy_setopt(c, CURLOPT_URL, r->url) == CURLE_OK;
}

static enum status failure(CURLcode rc, const struct text *body, const char *host, int host_n,
			   struct error *e)
{
	if (body->bad)
		return error_set(e, ST_TOO_LARGE, "%.*s answers with more than %zu bytes", host_n,
				 host, body->max);
	return error_set(e, rc == CURLE_OPERATION_TIMEDOUT ? ST_TIMEOUT : ST_UNAVAILABLE,
			 "%.*s: %s", host_n, host, curl_easy_strerror(rc));
}

enum status fetch(struct fetcher *f, const struct fetch_request *r, struct fetched *out,
		  struct error *e)
{
	struct text body = text_of(r->bytes_max + 1);
	struct curl_slist *headers;
	const char *host = strstr(r->url, "://");
	CURLcode rc = CURLE_OUT_OF_MEMORY;
	enum status st;
	CURL *c;

	if (!fetch_url_fits(r->url))
		return error_set(e, ST_INVALID, "an address of the provider is neither https nor "
				 "http to this machine");
	host += 3;
	if (!may_try(f))
		return error_set(e, ST_UNAVAILABLE, "%.*s did not answer and is left alone for a "
				 "while", (int)strcspn(host, "/?"), host);
	headers = headers_of(r);
	c = headers != NULL ? curl_easy_init() : NULL;
	if (c != NULL && options(c, f, r, headers, &body))
		rc = curl_easy_perform(c);
	if (rc == CURLE_OK)
		curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &out->status);
	curl_easy_cleanup(c);
	headers_free(headers);
	tried(f, rc == CURLE_OK || body.bad);
	out->n = body.n;
	text_add(&body, "", 1);
	if (rc == CURLE_OK && !body.bad) {
		out->bytes = (uint8_t *)body.p;
		return ST_OK;
	}
	st = failure(rc, &body, host, (int)strcspn(host, "/?"), e);
	text_free(&body);
	return st;
}
