/* Pages that need nobody's data: home, help, the choice of language, assets. */
#include <stdio.h>
#include <string.h>

#include "portal/embedded.h"
#include "portal/inside.h"
#include "portal/route.h"

static void home_show(struct request *q)
{
	answer_page(q, 200, "home", json_object());
}

static void help_show(struct request *q)
{
	answer_page(q, 200, "help", json_object());
}

static void health_show(struct request *q)
{
	answer_json(q, 200, json_pack("{s:s}", "status", "SERVING"));
}

static void language_choose(struct request *q)
{
	enum language chosen = language_of(form_value(&q->query, "to"));
	char cookie[80];

	if (chosen == LANGUAGES) {
		answer_error(q, 400);
		return;
	}
	snprintf(cookie, sizeof(cookie), "language=%s; Path=/; Max-Age=31536000; SameSite=Lax%s",
		 language_code(chosen), q->portal->https ? "; Secure" : "");
	answer_redirect(q, own_path(form_value(&q->query, "back")));
	answer_header(q, "Set-Cookie", cookie);
}

static const char *type_of(const char *name)
{
	static const char *const types[][2] = {
		{ ".css", "text/css; charset=utf-8" },
		{ ".js", "text/javascript; charset=utf-8" },
		{ ".svg", "image/svg+xml" },
		{ ".png", "image/png" },
	};
	const char *dot = strrchr(name, '.');

	for (size_t i = 0; dot != NULL && i < ARRAY_LEN(types); i++)
		if (strcmp(dot, types[i][0]) == 0)
			return types[i][1];
	return NULL;
}

static void asset_show(struct request *q)
{
	char name[64];
	const struct embedded *f = NULL;
	const char *type = type_of(q->args[0]);

	if (snprintf(name, sizeof(name), "assets/%s", q->args[0]) < (int)sizeof(name))
		f = embedded_find(name);
	if (f == NULL || type == NULL)
		answer_error(q, 404);
	else
		answer_asset(q, type, embedded_bytes(f));
}

const struct route plain_routes[] = {
	{ METHOD_GET, "/", home_show, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ METHOD_GET, "/help", help_show, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ METHOD_GET, "/language", language_choose, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ METHOD_GET, "/assets/:name", asset_show, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ METHOD_GET, "/health", health_show, WHO_ANYBODY, LIMIT_PAGE, ROUTE_JSON },
	{ 0 }
};
