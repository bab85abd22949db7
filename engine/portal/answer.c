#include "portal/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/hash.h"
#include "base/log.h"
#include "portal/inside.h"
#include "portal/route.h"
#include "portal/text.h"

#define REFERENCE_BYTES 8
#define ASKED_AGAIN_BYTES_MAX 512
#define SECONDS_TOLD_MAX 100		/* longer is told in minutes */

static void content_free(struct answer *a)
{
	if (!a->asset)
		free(a->bytes);
	if (a->ended != NULL)
		a->ended(a->ctx);
	a->bytes = NULL;
	a->n = 0;
	a->asset = false;
	a->fill = NULL;
	a->ended = NULL;
}

void answer_free(struct answer *a)
{
	content_free(a);
	for (uint32_t i = 0; i < a->headers_n; i++)
		free(a->headers[i].value);
	*a = (struct answer){ 0 };
}

void answer_header(struct request *q, const char *name, const char *value)
{
	struct answer *a = q->answer;

	if (strpbrk(value, "\r\n") != NULL || a->headers_n == ANSWER_HEADERS_MAX) {
		log_error("portal", "a header %s that cannot be sent", name);
		return;
	}
	a->headers[a->headers_n].name = name;
	a->headers[a->headers_n].value = strdup(value);
	a->headers_n += a->headers[a->headers_n].value != NULL;
}

static void content(struct request *q, unsigned int status, const char *type, void *bytes, size_t n)
{
	struct answer *a = q->answer;

	content_free(a);
	a->status = status;
	a->type = type;
	a->bytes = bytes;
	a->n = n;
}

/* Nothing else can be said. */
static void bare(struct request *q)
{
	content(q, 500, "text/plain; charset=utf-8", strdup("Lỗi hệ thống. System error.\n"), 0);
	if (q->answer->bytes != NULL)
		q->answer->n = strlen(q->answer->bytes);
}

static void flag(json_t *model, const char *name, bool value)
{
	json_object_set_new(model, name, json_boolean(value));
}

static bool can_be_got(const char *path)
{
	char *pieces = strdup(path);
	const char *args[PORTAL_PARTS_MAX];
	unsigned int allowed;
	bool can = pieces != NULL &&
		   route_find(route_groups, METHOD_GET, pieces, args, &allowed) != NULL;

	free(pieces);
	return can;
}

/*
 * Where the page is found again in another language: with what was asked, and of an answer to a
 * form where that stood. What a provider sent back is good for once only.
 */
static json_t *page_again(const struct request *q)
{
	bool with = q->method == METHOD_GET && q->asked != NULL &&
		    strlen(q->asked) <= ASKED_AGAIN_BYTES_MAX && q->route != NULL &&
		    q->route->limit != LIMIT_SIGN_IN;
	char *path = strdup(q->path), *last;
	json_t *again;

	while (path != NULL && q->method != METHOD_GET && !can_be_got(path) &&
	       (last = strrchr(path, '/')) != NULL)
		last[last == path && path[1] != '\0'] = '\0';
	again = path == NULL || path[0] == '\0' ? json_string("/") :
		with ? json_sprintf("%s?%s", path, q->asked) : json_string(path);
	free(path);
	return again != NULL ? again : json_string("/");
}

/* What every page's model has; what the handler said itself stays. */
static void model_complete(const struct request *q, const char *name, json_t *model)
{
	json_t *common = json_object();

	json_object_set_new(common, "page", json_string(name));
	json_object_set_new(common, "language", json_string(language_code(q->language)));
	flag(common, "english", q->language == LANGUAGE_EN);
	flag(common, "vietnamese", q->language == LANGUAGE_VI);
	json_object_set_new(common, "path", page_again(q));
	json_object_set_new(common, "hotline", json_string(q->portal->config->portal.hotline));
	flag(common, "development", q->portal->config->development);
	flag(common, "signed_in", q->signed_in);
	if (q->signed_in) {
		json_object_set_new(common, "name", json_string(q->session.name));
		json_object_set_new(common, "csrf", json_string(q->session.csrf));
		flag(common, "citizen", q->session.holder.number[0] != '\0');
		flag(common, "leader", (q->session.roles & ROLE_LEADER) != 0);
	}
	json_object_update_missing(model, common);
	json_decref(common);
}

void answer_page(struct request *q, unsigned int status, const char *name, json_t *model)
{
	struct text out = text_of(PORTAL_PAGE_BYTES_MAX);
	struct error e = { 0 };

	model_complete(q, name, model);
	if (page_render(q->portal->pages, name, q->language, model, &out, &e) == ST_OK) {
		content(q, status, "text/html; charset=utf-8", out.p, out.n);
	} else {
		log_error("portal", "%s", e.text);
		text_free(&out);
		bare(q);
	}
	json_decref(model);
}

void answer_json(struct request *q, unsigned int status, json_t *model)
{
	char *text = json_dumps(model, JSON_COMPACT);

	if (text != NULL)
		content(q, status, "application/json", text, strlen(text));
	else
		bare(q);
	json_decref(model);
}

/* "//host" leads elsewhere, and browsers read "\\" as "/" and leave tabs and line ends out. */
const char *own_path(const char *path)
{
	if (path == NULL || path[0] != '/' || path[1] == '/')
		return "/";
	for (const char *c = path; *c != '\0'; c++)
		if (*c <= ' ' || *c > '~' || *c == '\\')
			return "/";
	return path;
}

void answer_redirect(struct request *q, const char *to)
{
	content(q, 303, NULL, NULL, 0);
	answer_header(q, "Location", to);
}

/* The name is one of ours: letters, digits, dots and dashes. */
static void named(struct request *q, const char *download)
{
	char value[128];

	if (download == NULL)
		return;
	snprintf(value, sizeof(value), "attachment; filename=\"%s\"", download);
	answer_header(q, "Content-Disposition", value);
}

void answer_bytes(struct request *q, unsigned int status, const char *type, void *bytes, size_t n,
		  const char *download)
{
	content(q, status, type, bytes, n);
	named(q, download);
}

void answer_asset(struct request *q, const char *type, struct slice bytes)
{
	content(q, 200, type, (void *)bytes.p, bytes.n);
	q->answer->asset = true;
}

void answer_stream(struct request *q, const char *type, uint64_t size, const char *download,
		   enum status (*fill)(void *ctx, struct worker *w, uint64_t offset, uint8_t *buf,
				       size_t *n),
		   void (*ended)(void *ctx), void *ctx)
{
	content(q, 200, type, NULL, 0);
	q->answer->stream_n = size;
	q->answer->fill = fill;
	q->answer->ended = ended;
	q->answer->ctx = ctx;
	named(q, download);
}

/* ---- errors ---- */

/* Said to the citizen and written into the log, so that one who asks can be helped. */
static void reference(char out[REFERENCE_BYTES + 1])
{
	uint8_t random[16] = { 0 };
	char text[ID_TEXT_BYTES];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		memset(random, 0, sizeof(random));
	id_text(text, random);
	memcpy(out, text + ID_TEXT_BYTES - REFERENCE_BYTES, REFERENCE_BYTES);
	out[REFERENCE_BYTES] = '\0';
}

static const char *error_name(unsigned int status)
{
	switch (status) {
	case 400:
		return "INVALID_ARGUMENT";
	case 401:
		return "UNAUTHENTICATED";
	case 403:
		return "PERMISSION_DENIED";
	case 404:
		return "NOT_FOUND";
	case 405:
		return "METHOD_NOT_ALLOWED";
	case 409:
		return "FAILED_PRECONDITION";
	case 413:
		return "TOO_LARGE";
	case 429:
		return "RESOURCE_EXHAUSTED";
	case 503:
		return "UNAVAILABLE";
	default:
		return "INTERNAL";
	}
}

bool request_json(const struct request *q)
{
	return q->route != NULL ? (q->route->flags & ROUTE_JSON) != 0 :
				  strncmp(q->path, "/api/", 5) == 0;
}

/* Not before retry_s; 0: it does not depend on the time. */
static void wrong(struct request *q, unsigned int status, const char *key, uint32_t retry_s)
{
	json_t *model;
	char heading[32], text[32], number[REFERENCE_BYTES + 1] = "";

	if (status >= 500) {
		reference(number);
		log_warn("portal", "%s: %u, reference %s",
			 q->route != NULL ? q->route->pattern : "-", status, number);
	}
	if (request_json(q)) {
		model = json_pack("{s:{s:i, s:s, s:s?, s:s?}}", "error", "status", (int)status,
				  "code", error_name(status), "reason", key, "reference",
				  number[0] != '\0' ? number : NULL);
		answer_json(q, status, model);
		return;
	}
	snprintf(heading, sizeof(heading), "error.%u.heading", status);
	snprintf(text, sizeof(text), "error.%u.text", status);
	model = json_pack("{s:i, s:s, s:s, s:s, s:s?}", "status", (int)status, "heading", heading,
			  "text", text, "reference", number, "wrong", key);
	if (retry_s > 0 && retry_s < SECONDS_TOLD_MAX)
		json_object_set_new(model, "seconds", json_integer(retry_s));
	else if (retry_s > 0)
		json_object_set_new(model, "minutes", json_integer((retry_s + 59) / 60));
	answer_page(q, status, "error", model);
}

void answer_wrong(struct request *q, unsigned int status, const char *key)
{
	wrong(q, status, key, 0);
}

void answer_later(struct request *q, uint32_t retry_ms, const char *key)
{
	uint32_t retry_s = retry_ms / 1000 + 1;
	char after[16];

	snprintf(after, sizeof(after), "%u", retry_s);
	wrong(q, 429, key, retry_s);
	answer_header(q, "Retry-After", after);
}

void answer_error(struct request *q, unsigned int status)
{
	answer_wrong(q, status, NULL);
}
