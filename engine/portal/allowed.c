#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/answer.h"
#include "portal/inside.h"
#include "portal/route.h"
#include "portal/text.h"

/*
 * From a page of ours? Browsers say so themselves. With our Referrer-Policy they send `Origin:
 * null`, which says nothing; what is no browser sends neither.
 */
static bool from_us(const struct request *q)
{
	const char *site = request_header(q, "Sec-Fetch-Site");
	const char *origin = request_header(q, "Origin");

	if (site != NULL)
		return strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0;
	return origin == NULL || strcmp(origin, "null") == 0 ||
	       strcmp(origin, q->portal->url) == 0;
}

/* In a time that does not depend on where they differ. */
static bool same_text(const char *a, const char *b)
{
	size_t n = strlen(a);
	uint8_t differs = strlen(b) != n;

	for (size_t i = 0; !differs && i < n; i++)
		differs |= (uint8_t)(a[i] ^ b[i]);
	return differs == 0;
}

static bool token_fits(const struct request *q)
{
	const char *token = form_value(&q->form, "csrf");

	return !q->signed_in || (token != NULL && same_text(q->session.csrf, token));
}

/*
 * Where they wanted to go, behind the sign-in. A form cannot be sent on: `form-action` keeps
 * browsers from following it to the provider, and what it says would be lost on the way.
 */
static void send_to_sign_in(struct request *q)
{
	struct text to = text_of(PORTAL_TARGET_BYTES_MAX * 3);

	if (q->method == METHOD_POST) {
		answer_wrong(q, 403, "wrong.signed_out");
		return;
	}
	text_str(&to, "/sign-in?back=");
	text_url(&to, slice_str(q->path));
	text_add(&to, "", 1);
	if (to.bad)
		answer_error(q, 400);
	else
		answer_redirect(q, to.p);
	text_free(&to);
}

bool request_allowed(struct request *q)
{
	bool json = (q->route->flags & ROUTE_JSON) != 0;
	/* No page of others can make a browser send that header. */
	bool bearer = json && request_header(q, "Authorization") != NULL;

	if (q->method == METHOD_POST && !bearer &&
	    (!from_us(q) || (!json && !token_fits(q)))) {
		answer_wrong(q, 403, "wrong.csrf");
		return false;
	}
	if (json || q->route->who == WHO_ANYBODY)
		return true;
	if (!q->signed_in) {
		send_to_sign_in(q);
		return false;
	}
	if (q->route->who == WHO_CITIZEN ? q->session.holder.number[0] == '\0' :
	    (q->session.roles & ROLE_LEADER) == 0) {
		answer_wrong(q, 403, "wrong.who");
		return false;
	}
	return true;
}
