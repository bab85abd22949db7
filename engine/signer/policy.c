#include "signer/policy.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "limits.h"

#define DAY_MS (24LL * 3600 * 1000)

static const struct algorithm_info algorithms[ALG_COUNT] = {
	[ALG_RSA2048] = { "rsa2048", true, false, 2048, 256, 256 },
	[ALG_RSA3072] = { "rsa3072", true, false, 3072, 384, 384 },
	[ALG_PSS2048] = { "pss2048", true, true, 2048, 256, 256 },
	/* Shorter than 66 bytes is one signature in 10^9; the signer makes those again. */
	[ALG_P256] = { "p256", false, false, 256, 66, 72 },
};

struct policy {
	json_t *root;
	uint32_t keys_n;
	struct key_policy *keys;
};

const struct algorithm_info *algorithm_info(enum algorithm a)
{
	return &algorithms[a];
}

bool algorithm_by_name(enum algorithm *out, struct slice name)
{
	for (int a = 0; a < ALG_COUNT; a++) {
		if (slice_eq(name, slice_str(algorithms[a].name))) {
			*out = (enum algorithm)a;
			return true;
		}
	}
	return false;
}

/* Where in the file we are, for the error text. */
struct place { uint32_t key; struct error *e; };

static enum status bad(const struct place *at, const char *member, const char *what)
{
	return error_set(at->e, ST_INVALID, "keys.json: keys[%u].%s: %s", at->key, member, what);
}

static bool is_code(const char *s, size_t max)
{
	size_t n = strlen(s);

	return n > 0 && n <= max && s[0] != '.' &&
		strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789.-_") == n;
}

/* A string member; absent is allowed where `fallback` is given (it may point to NULL). */
static enum status text(const struct place *at, json_t *o, const char *member, const char **out,
			const char *const *fallback)
{
	json_t *v = json_object_get(o, member);

	if (v == NULL && fallback != NULL) {
		*out = *fallback;
		return ST_OK;
	}
	if (!json_is_string(v))
		return bad(at, member, "a text is required");
	*out = json_string_value(v);
	if (strlen(*out) != json_string_length(v) || !is_code(*out, KEY_ID_BYTES_MAX))
		return bad(at, member,
			   "only a-z, 0-9, '.', '-', '_' are allowed, at most 64 characters");
	return ST_OK;
}

static enum status day(const struct place *at, json_t *o, const char *member, int64_t add_ms,
		       int64_t open, int64_t *out)
{
	json_t *v = json_object_get(o, member);
	unsigned int y, m, d;
	int used = 0;

	*out = open;
	if (v == NULL)
		return ST_OK;
	if (!json_is_string(v) || json_string_length(v) != 10 ||
	    sscanf(json_string_value(v), "%4u-%2u-%2u%n", &y, &m, &d, &used) != 3 || used != 10 ||
	    m > 12 || d > 31 || !date_exists(y, (uint8_t)m, (uint8_t)d))
		return bad(at, member, "a date like \"2026-07-01\" is required");
	*out = day_start_ms(y * 10000 + m * 100 + d) + add_ms;
	return ST_OK;
}

static enum status list(const struct place *at, json_t *o, const char *member, size_t max,
			const char **out, uint32_t *n)
{
	json_t *v = json_object_get(o, member);

	*n = 0;
	if (v == NULL)
		return ST_OK;
	if (!json_is_array(v) || json_array_size(v) == 0 || json_array_size(v) > max)
		return bad(at, member, "a list of texts is required, not empty and not too long");
	for (size_t i = 0; i < json_array_size(v); i++) {
		const char *s = json_string_value(json_array_get(v, i));

		if (s == NULL || !is_code(s, KEY_ID_BYTES_MAX))
			return bad(at, member, "a name is missing or malformed");
		out[(*n)++] = s;
	}
	return ST_OK;
}

static enum status check_members(const struct place *at, json_t *o)
{
	static const char *const known[] = { "id", "role", "unit", "signer", "algorithm", "kinds",
		"from", "to", "key", "certificate", "chain", "evidence", "source" };
	const char *name;
	json_t *v;

	json_object_foreach(o, name, v) {
		bool found = false;

		for (size_t i = 0; i < ARRAY_LEN(known); i++)
			found = found || strcmp(name, known[i]) == 0;
		if (!found)
			return bad(at, name, "unknown member");
	}
	return ST_OK;
}

/* Role, evidence and source: closed sets that today have few members. */
static enum status closed_sets(const struct place *at, json_t *o, struct key_policy *k)
{
	const char *role = json_string_value(json_object_get(o, "role"));
	json_t *evidence = json_object_get(o, "evidence");
	json_t *source = json_object_get(o, "source");
	const char *alg = json_string_value(json_object_get(o, "algorithm"));
	bool person = role != NULL && strcmp(role, "person") == 0;

	if (!person && (role == NULL || strcmp(role, "agency") != 0))
		return bad(at, "role", "\"person\" or \"agency\" is required");
	if (person != (k->signer != NULL))
		return bad(at, "signer", "required for a person, not allowed for an agency");
	if (alg == NULL || !algorithm_by_name(&k->algorithm, slice_str(alg)))
		return bad(at, "algorithm", "one of rsa2048, rsa3072, pss2048, p256 is required");
	k->evidence = evidence == NULL ? "B-B" : json_string_value(evidence);
	if (k->evidence == NULL || strcmp(k->evidence, "B-B") != 0)
		return bad(at, "evidence", "only \"B-B\" is known");
	if (source != NULL &&
	    (!json_is_string(source) || strcmp(json_string_value(source), "file") != 0))
		return bad(at, "source", "only \"file\" is known");
	return ST_OK;
}

static enum status read_key(const struct place *at, json_t *o, struct key_policy *k)
{
	static const char *const none = NULL;
	uint32_t chain_n = 0;
	size_t kinds = json_array_size(json_object_get(o, "kinds"));
	enum status st;

	if (!json_is_object(o))
		return bad(at, "", "an object is required");
	st = check_members(at, o);
	if (st == ST_OK)
		st = text(at, o, "id", &k->id, NULL);
	if (st == ST_OK)
		st = text(at, o, "unit", &k->unit, NULL);
	if (st == ST_OK)
		st = text(at, o, "signer", &k->signer, &none);
	if (st == ST_OK)
		st = text(at, o, "key", &k->key_file, NULL);
	if (st == ST_OK)
		st = text(at, o, "certificate", &k->cert_file, NULL);
	if (st == ST_OK)
		st = closed_sets(at, o, k);
	if (st == ST_OK)
		st = day(at, o, "from", 0, INT64_MIN, &k->from_ms);
	if (st == ST_OK)
		st = day(at, o, "to", DAY_MS, INT64_MAX, &k->to_ms);
	if (st == ST_OK)
		st = list(at, o, "chain", KEY_CHAIN_MAX, k->chain, &chain_n);
	if (st == ST_OK && chain_n == 0)
		st = bad(at, "chain", "required: issuer first, root last");
	k->chain_n = (uint8_t)chain_n;
	if (st == ST_OK && kinds > 0) {
		k->kinds = calloc(kinds, sizeof(*k->kinds));
		st = k->kinds == NULL ? ST_NOMEM : ST_OK;
	}
	if (st == ST_OK)
		st = list(at, o, "kinds", kinds, k->kinds, &k->kinds_n);
	return st;
}

static int by_id(const void *a, const void *b)
{
	return strcmp((*(const struct key_policy *const *)a)->id,
		      (*(const struct key_policy *const *)b)->id);
}

static enum status check_unique(const struct policy *p, struct error *e)
{
	const struct key_policy **sorted = calloc(p->keys_n, sizeof(*sorted));
	enum status st = ST_OK;

	if (sorted == NULL)
		return ST_NOMEM;
	for (uint32_t i = 0; i < p->keys_n; i++)
		sorted[i] = &p->keys[i];
	qsort(sorted, p->keys_n, sizeof(*sorted), by_id);
	for (uint32_t i = 1; i < p->keys_n && st == ST_OK; i++)
		if (strcmp(sorted[i - 1]->id, sorted[i]->id) == 0)
			st = error_set(e, ST_INVALID,
				       "keys.json: key '%s' stands twice; ids are unique",
				       sorted[i]->id);
	free(sorted);
	return st;
}

static enum status read_keys(struct policy *p, struct error *e)
{
	json_t *keys = json_object_get(p->root, "keys");
	size_t n = json_array_size(keys);
	enum status st = ST_OK;

	if (json_integer_value(json_object_get(p->root, "version")) != 1)
		return error_set(e, ST_UNSUPPORTED, "keys.json: version: 1 is required");
	if (!json_is_array(keys) || n == 0 || n > KEYS_MAX || json_object_size(p->root) != 2)
		return error_set(e, ST_INVALID,
				 "keys.json: exactly \"version\" and a list \"keys\" of 1 to %d "
				 "keys are required",
				 KEYS_MAX);
	p->keys = calloc(n, sizeof(*p->keys));
	if (p->keys == NULL)
		return ST_NOMEM;
	for (; p->keys_n < n && st == ST_OK; p->keys_n++) {
		struct place at = { p->keys_n, e };

		st = read_key(&at, json_array_get(keys, p->keys_n), &p->keys[p->keys_n]);
	}
	return st == ST_OK ? check_unique(p, e) : st;
}

enum status policy_load(struct policy **out, const char *certs_dir, struct error *e)
{
	struct policy *p = calloc(1, sizeof(*p));
	json_error_t je;
	char path[4096];
	enum status st;

	if (p == NULL)
		return error_set(e, ST_NOMEM, "keys.json: out of memory");
	if (snprintf(path, sizeof(path), "%s/keys.json", certs_dir) >= (int)sizeof(path)) {
		free(p);
		return error_set(e, ST_INVALID, "the path of keys.json is too long");
	}
	p->root = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
	if (p->root == NULL)
		st = error_set(e, je.line < 0 ? ST_NOT_FOUND : ST_INVALID, "%s:%d: %s", path,
			       je.line, je.text);
	else
		st = read_keys(p, e);
	if (st == ST_NOMEM)
		error_set(e, st, "keys.json: out of memory");
	if (st != ST_OK) {
		policy_free(p);
		return st;
	}
	*out = p;
	return ST_OK;
}

void policy_free(struct policy *p)
{
	if (p == NULL)
		return;
	for (uint32_t i = 0; i < p->keys_n; i++)
		free(p->keys[i].kinds);
	free(p->keys);
	json_decref(p->root);
	free(p);
}

uint32_t policy_count(const struct policy *p)
{
	return p->keys_n;
}

const struct key_policy *policy_key(const struct policy *p, uint32_t index)
{
	return &p->keys[index];
}

bool policy_covers(const struct key_policy *k, struct slice kind)
{
	for (uint32_t i = 0; i < k->kinds_n; i++)
		if (slice_eq(kind, slice_str(k->kinds[i])))
			return true;
	return k->kinds_n == 0;
}
