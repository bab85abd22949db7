#include "portal/claims.h"

#include <string.h>

#include "case.h"

#define AUDIENCES_MAX 16
#define POINTER_TOKEN_BYTES_MAX 128
#define SECONDS_MAX 9007199254740992.0	/* beyond, a double is no whole number any more */

static enum status no(struct error *e, const char *claim, const char *what)
{
	return error_set(e, ST_UNAUTHENTICATED, "the token's `%s` %s", claim, what);
}

static enum status nobody(struct error *e, const char *claim, const char *what)
{
	return error_set(e, ST_NOT_FOUND, "the token's `%s` %s", claim, what);
}

/* ---- for us, and now ---- */

static bool is_text(const json_t *j, const char *want)
{
	/* jansson refuses NULs inside of text, so lengths agree. */
	return json_is_string(j) && strcmp(json_string_value(j), want) == 0;
}

static bool is_one_of(const json_t *j, const char *const *list, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (is_text(j, list[i]))
			return true;
	return false;
}

static enum status audience_check(const json_t *claims, const struct claims_wanted *w,
				  struct error *e)
{
	const json_t *aud = json_object_get(claims, "aud"), *azp = json_object_get(claims, "azp");
	size_t n = json_array_size(aud);
	bool found = is_text(aud, w->audience);

	if (n > AUDIENCES_MAX)
		return no(e, "aud", "names too many");
	for (size_t i = 0; i < n; i++) {
		if (!json_is_string(json_array_get(aud, i)))
			return no(e, "aud", "is no list of texts");
		found |= is_text(json_array_get(aud, i), w->audience);
	}
	if (!found)
		return no(e, "aud", "is not us");
	if (azp == NULL)
		return n > 1 ? no(e, "azp", "is missing where `aud` has several") : ST_OK;
	if (!is_text(azp, w->audience) && !is_one_of(azp, w->parties, w->parties_n))
		return no(e, "azp", "is none that may use it here");
	return ST_OK;
}

/* false: not there, or no time. */
static bool seconds(const json_t *claims, const char *name, int64_t *out)
{
	const json_t *j = json_object_get(claims, name);
	double v = json_number_value(j);

	if (!json_is_number(j) || !(v >= 0 && v < SECONDS_MAX))
		return false;
	*out = (int64_t)v;
	return true;
}

static enum status times_check(const json_t *claims, const struct claims_wanted *w,
			       struct error *e)
{
	int64_t exp, iat, nbf = 0;

	if (!seconds(claims, "exp", &exp))
		return no(e, "exp", "is missing");
	if (!seconds(claims, "iat", &iat))
		return no(e, "iat", "is missing");
	if (json_object_get(claims, "nbf") != NULL && !seconds(claims, "nbf", &nbf))
		return no(e, "nbf", "is no time");
	if (w->now_s >= exp + CLOCK_SKEW_S)
		return no(e, "exp", "is over");
	if (nbf > w->now_s + CLOCK_SKEW_S)
		return no(e, "nbf", "lies ahead");
	if (iat > w->now_s + CLOCK_SKEW_S)
		return no(e, "iat", "lies ahead");
	if (iat < w->now_s - w->age_s_max - CLOCK_SKEW_S)
		return no(e, "iat", "lies too far back");
	if (exp <= iat || exp - iat > w->life_s_max)
		return no(e, "exp", "is not within what a token may live");
	return ST_OK;
}

enum status claims_check(const json_t *claims, const struct claims_wanted *w, struct error *e)
{
	const json_t *sub = json_object_get(claims, "sub");
	enum status st;

	if (!is_text(json_object_get(claims, "iss"), w->issuer))
		return no(e, "iss", "is not the configured provider");
	st = audience_check(claims, w, e);
	if (st == ST_OK)
		st = times_check(claims, w, e);
	if (st != ST_OK)
		return st;
	if (!json_is_string(sub) || json_string_length(sub) == 0 ||
	    json_string_length(sub) > SUBJECT_BYTES_MAX)
		return no(e, "sub", "is no text of 1 to 255 bytes");
	/* Those of a logout token, which is signed by the same key for the same audience. */
	if (json_object_get(claims, "events") != NULL)
		return no(e, "events", "is none of an ID token");
	if (w->nonce != NULL && !is_text(json_object_get(claims, "nonce"), w->nonce))
		return no(e, "nonce", "is not that of this sign-in");
	if (w->acr_n > 0 && !is_one_of(json_object_get(claims, "acr"), w->acr, w->acr_n))
		return no(e, "acr", "is no level that is asked for");
	return ST_OK;
}

/* ---- who ---- */

static const char *const id_kinds[] = {
	[ID_CITIZEN] = "citizen", [ID_OLD_CITIZEN] = "old_citizen", [ID_PASSPORT] = "passport",
	[ID_ENTERPRISE] = "enterprise", [ID_TAX] = "tax", [ID_OTHER] = "other",
};

uint8_t person_id_kind(const char *name)
{
	for (uint8_t i = ID_CITIZEN; i < ARRAY_LEN(id_kinds); i++)
		if (strcmp(name, id_kinds[i]) == 0)
			return i;
	return ID_NONE;
}

/* One step of a JSON pointer; "~1" is "/", "~0" is "~". */
static const json_t *step(const json_t *j, const char *token, size_t n)
{
	char name[POINTER_TOKEN_BYTES_MAX + 1];
	size_t k = 0;

	if (n > POINTER_TOKEN_BYTES_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		char c = token[i];

		if (c == '~' && i + 1 < n && (token[i + 1] == '0' || token[i + 1] == '1'))
			c = token[++i] == '1' ? '/' : '~';
		name[k++] = c;
	}
	name[k] = '\0';
	return json_object_get(j, name);
}

static const json_t *claim(const json_t *claims, const char *name)
{
	if (name[0] == '\0')
		return NULL;
	if (name[0] != '/')
		return json_object_get(claims, name);
	while (claims != NULL && *name == '/') {
		size_t n = strcspn(++name, "/");

		claims = step(claims, name, n);
		name += n;
	}
	return claims;
}

/* Calls each() for every text of a list or of a text with blanks; false: it has no such form. */
static bool texts(const json_t *j, bool (*each)(void *ctx, const char *p, size_t n), void *ctx)
{
	const char *s = json_string_value(j);

	if (j == NULL)
		return true;
	for (size_t i = 0; i < json_array_size(j); i++) {
		const json_t *one = json_array_get(j, i);

		if (!json_is_string(one) ||
		    !each(ctx, json_string_value(one), json_string_length(one)))
			return false;
	}
	if (s == NULL)
		return json_is_array(j);
	for (size_t n; *(s += strspn(s, " ")) != '\0'; s += n) {
		n = strcspn(s, " ");
		if (!each(ctx, s, n))
			return false;
	}
	return true;
}

struct roles { const char *leader; uint32_t n; bool found; };

static bool role_take(void *ctx, const char *p, size_t n)
{
	struct roles *r = ctx;

	r->found |= n == strlen(r->leader) && memcmp(p, r->leader, n) == 0;
	return ++r->n <= ROLES_MAX;
}

static bool unit_take(void *ctx, const char *p, size_t n)
{
	struct session *out = ctx;

	size_t k = strlen(out->units);

	if (n == 0 || n > CODE_BYTES_MAX || memchr(p, ',', n) != NULL ||
	    k + n + 2 > sizeof(out->units))
		return false;
	if (k > 0)
		out->units[k++] = ',';
	memcpy(out->units + k, p, n);
	out->units[k + n] = '\0';
	return true;
}

static enum status role_read(const json_t *claims, const struct claim_names *names,
			     struct session *out, struct error *e)
{
	struct roles r = { .leader = names->leader };

	if (!texts(claim(claims, names->roles), role_take, &r))
		return nobody(e, names->roles, "is no list of roles");
	if (!r.found || names->leader[0] == '\0')
		return ST_OK;
	out->roles |= ROLE_LEADER;
	if (!texts(claim(claims, names->units), unit_take, out))
		return nobody(e, names->units, "is no list of units");
	return ST_OK;
}

/* A claim's text in a field that has room for it; "" where there is none. */
static bool text_take(char *out, size_t room, const json_t *j)
{
	size_t n = json_string_length(j);

	out[0] = '\0';
	if (j == NULL)
		return true;
	if (!json_is_string(j) || n >= room)
		return false;
	memcpy(out, json_string_value(j), n + 1);
	return true;
}

static enum status number_read(const json_t *claims, const struct claim_names *names,
			       struct session *out, struct error *e)
{
	const json_t *kind = claim(claims, names->id_kind), *country;
	struct person *p = &out->holder;

	if (!text_take(p->number, sizeof(p->number), claim(claims, names->number)))
		return nobody(e, names->number, "is no number of a person");
	if (p->number[0] == '\0')
		return out->roles != 0 ? ST_OK : nobody(e, names->number, "is missing");
	if (names->id_kind[0] == '\0')
		p->id_kind = person_id_kind(names->fixed_id_kind);
	else if (json_is_string(kind))
		p->id_kind = person_id_kind(json_string_value(kind));
	if (p->id_kind == ID_NONE)
		return nobody(e, names->id_kind, "is no kind of number");
	country = claim(claims, names->country);
	if (names->country[0] == '\0')
		memcpy(p->country, "VN", sizeof("VN"));
	else if (!text_take(p->country, sizeof(p->country), country))
		return nobody(e, names->country, "is no country (ISO 3166-1, two letters)");
	if (!holder_country_fits(p->id_kind, slice_str(p->country)))
		return nobody(e, names->country, "gives no such number");
	if (!holder_number_fits(p->id_kind, slice_str(p->number)))
		return nobody(e, names->number, "has not the form of such a number");
	out->roles |= ROLE_CITIZEN;
	return ST_OK;
}

enum status claims_person(const json_t *claims, const struct claim_names *names,
			  struct session *out, struct error *e)
{
	enum status st;

	memset(out, 0, sizeof(*out));
	st = role_read(claims, names, out, e);
	if (st == ST_OK)
		st = number_read(claims, names, out, e);
	/* Only shown: a name that is none is no reason to turn a person away. */
	if (st == ST_OK && !text_take(out->name, sizeof(out->name), claim(claims, names->name)))
		out->name[0] = '\0';
	return st;
}
