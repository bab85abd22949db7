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
	uint32_t tokens_n;
	struct token_policy tokens[TOKENS_MAX];
};

const struct algorithm_info *algorithm_info(enum algorithm a)
{
	return &algorithms[a];
}

const char *key_source_name(enum key_source s)
{
	static const char *const names[] = { [SOURCE_FILE] = "file", [SOURCE_PKCS11] = "pkcs11",
		[SOURCE_REMOTE] = "remote", [SOURCE_BRIDGE] = "bridge" };

	return names[s];
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
struct place { const char *list; uint32_t index; struct error *e; };

static enum status bad(const struct place *at, const char *member, const char *what)
{
	return error_set(at->e, ST_INVALID, "keys.json: %s[%u].%s: %s", at->list, at->index,
			 member, what);
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

static enum status check_members(const struct place *at, json_t *o, const char *const *known,
				 size_t n)
{
	const char *name;
	json_t *v;

	if (!json_is_object(o))
		return bad(at, "", "an object is required");
	json_object_foreach(o, name, v) {
		bool found = false;

		for (size_t i = 0; i < n; i++)
			found = found || strcmp(name, known[i]) == 0;
		if (!found)
			return bad(at, name, "unknown member");
	}
	return ST_OK;
}

/* Role and evidence: closed sets that today have few members. */
static enum status closed_sets(const struct place *at, json_t *o, struct key_policy *k)
{
	const char *role = json_string_value(json_object_get(o, "role"));
	json_t *evidence = json_object_get(o, "evidence");
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
	return ST_OK;
}

/* ---- where the private key is ---- */

/* Free text of others' naming: labels and paths. */
static enum status name_of_others(const struct place *at, json_t *o, const char *member, size_t max,
				  const char **out)
{
	json_t *v = json_object_get(o, member);

	*out = NULL;
	if (v == NULL)
		return ST_OK;
	*out = json_string_value(v);
	if (*out == NULL || (*out)[0] == '\0' || strlen(*out) != json_string_length(v) ||
	    strlen(*out) > max)
		return bad(at, member, "a text is required, neither empty nor too long");
	return ST_OK;
}

static int nibble(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum status object_id(const struct place *at, json_t *o, struct key_policy *k)
{
	const char *hex;
	enum status st = name_of_others(at, o, "object", 2 * OBJECT_ID_BYTES_MAX, &hex);
	size_t n = hex != NULL ? strlen(hex) : 0;

	for (size_t i = 0; st == ST_OK && i < n; i++) {
		if (n % 2 != 0 || nibble(hex[i]) < 0)
			return bad(at, "object", "bytes are required, as in \"01a0\"");
		k->object_id[i / 2] = (uint8_t)(k->object_id[i / 2] << 4 | nibble(hex[i]));
	}
	k->object_id_n = (uint8_t)(n / 2);
	return st;
}

static enum status in_token(const struct policy *p, const struct place *at, json_t *o,
			    struct key_policy *k)
{
	const char *name;
	enum status st = text(at, o, "token", &name, NULL);

	if (st == ST_OK)
		st = name_of_others(at, o, "label", 255, &k->label);
	if (st == ST_OK)
		st = object_id(at, o, k);
	if (st == ST_OK && k->label == NULL && k->object_id_n == 0)
		st = bad(at, "label", "label, object or both say which key of the token it is");
	if (st == ST_OK && json_object_get(o, "key") != NULL)
		st = bad(at, "key", "a file, which a key in a token has not");
	if (st != ST_OK)
		return st;
	for (k->token = 0; k->token < p->tokens_n; k->token++)
		if (strcmp(p->tokens[k->token].name, name) == 0)
			return ST_OK;
	return bad(at, "token", "no token of \"tokens\" has this name");
}

/* Not one of our codes: the service chose it. */
static enum status name_at_service(const struct place *at, json_t *o, const char *member,
				   const char **out)
{
	enum status st = name_of_others(at, o, member, CREDENTIAL_BYTES_MAX, out);

	for (const char *s = *out; st == ST_OK && s != NULL && *s != '\0'; s++)
		if (*s <= ' ' || *s >= 0x7f)
			st = bad(at, member, "only printable ASCII, without blanks");
	return st;
}

static enum status at_service(const struct place *at, json_t *o, struct key_policy *k)
{
	enum status st = text(at, o, "service", &k->service, NULL);

	if (st == ST_OK && json_object_get(o, "key") != NULL)
		st = bad(at, "key", "a file, which a key at a service has not");
	if (st == ST_OK)
		st = name_at_service(at, o, "credential", &k->credential);
	return st == ST_OK ? name_at_service(at, o, "user_id", &k->user_id) : st;
}

/* Its officer's own device: all that stands here is whose it is. */
static enum status with_bridge(const struct place *at, json_t *o, const struct key_policy *k)
{
	if (json_object_get(o, "key") != NULL)
		return bad(at, "key", "a file, which a key on its officer's device has not");
	return k->signer != NULL ? ST_OK :
		bad(at, "signer", "required: only a person's key is reached by a bridge");
}

/* Members that only one source has. */
static enum status only_of(const struct place *at, json_t *o, enum key_source s)
{
	static const struct { const char *member; enum key_source of; } only[] = {
		{ "token", SOURCE_PKCS11 }, { "label", SOURCE_PKCS11 }, { "object", SOURCE_PKCS11 },
		{ "service", SOURCE_REMOTE }, { "credential", SOURCE_REMOTE },
		{ "user_id", SOURCE_REMOTE } };

	for (size_t i = 0; i < ARRAY_LEN(only); i++)
		if (only[i].of != s && json_object_get(o, only[i].member) != NULL)
			return bad(at, only[i].member, only[i].of == SOURCE_PKCS11 ?
				   "only a key of source \"pkcs11\" has one" :
				   "only a key of source \"remote\" has one");
	return ST_OK;
}

static enum status where(const struct policy *p, const struct place *at, json_t *o,
			 struct key_policy *k)
{
	json_t *source = json_object_get(o, "source");
	const char *name = source == NULL ? "file" : json_string_value(source);
	enum status st;

	if (name != NULL && strcmp(name, "pkcs11") == 0)
		k->source = SOURCE_PKCS11;
	else if (name != NULL && strcmp(name, "remote") == 0)
		k->source = SOURCE_REMOTE;
	else if (name != NULL && strcmp(name, "bridge") == 0)
		k->source = SOURCE_BRIDGE;
	else if (name == NULL || strcmp(name, "file") != 0)
		return bad(at, "source",
			   "\"file\", \"pkcs11\", \"remote\" or \"bridge\" is required");
	st = only_of(at, o, k->source);
	if (st != ST_OK)
		return st;
	return k->source == SOURCE_PKCS11 ? in_token(p, at, o, k) :
	       k->source == SOURCE_REMOTE ? at_service(at, o, k) :
	       k->source == SOURCE_BRIDGE ? with_bridge(at, o, k) :
	       text(at, o, "key", &k->key_file, NULL);
}

static enum status read_key(const struct policy *p, const struct place *at, json_t *o,
			    struct key_policy *k)
{
	static const char *const known[] = { "id", "role", "unit", "signer", "algorithm", "kinds",
		"from", "to", "key", "certificate", "chain", "evidence", "source", "token", "label",
		"object", "service", "credential", "user_id" };
	static const char *const none = NULL;
	uint32_t chain_n = 0;
	size_t kinds = json_array_size(json_object_get(o, "kinds"));
	enum status st;

	st = check_members(at, o, known, ARRAY_LEN(known));
	if (st == ST_OK)
		st = text(at, o, "id", &k->id, NULL);
	if (st == ST_OK)
		st = text(at, o, "unit", &k->unit, NULL);
	if (st == ST_OK)
		st = text(at, o, "signer", &k->signer, &none);
	if (st == ST_OK)
		st = where(p, at, o, k);
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

/* ---- tokens ---- */

static enum status whole(const struct place *at, json_t *o, const char *member, int64_t max,
			 int64_t absent, int64_t *out)
{
	json_t *v = json_object_get(o, member);

	*out = v == NULL ? absent : json_integer_value(v);
	if (v != NULL && (!json_is_integer(v) || *out < 0 || *out > max))
		return bad(at, member, "a number is required, and not that large");
	return ST_OK;
}

static enum status token_paths(const struct place *at, json_t *o, struct token_policy *t)
{
	json_t *v = json_object_get(o, "paths");

	if (v != NULL && (!json_is_array(v) || json_array_size(v) > TOKEN_PATHS_MAX))
		return bad(at, "paths", "a list is required, not too long");
	for (size_t i = 0; i < json_array_size(v); i++) {
		t->paths[i] = json_string_value(json_array_get(v, i));
		if (t->paths[i] == NULL || t->paths[i][0] != '/')
			return bad(at, "paths", "absolute paths are required");
		t->paths_n++;
	}
	return ST_OK;
}

static enum status read_token(const struct place *at, json_t *o, struct token_policy *t)
{
	static const char *const known[] = { "name", "module", "token", "slot", "pin_file",
		"sessions", "network", "paths" };
	json_t *network = json_object_get(o, "network");
	int64_t sessions = 0;
	enum status st = check_members(at, o, known, ARRAY_LEN(known));

	if (st == ST_OK)
		st = text(at, o, "name", &t->name, NULL);
	if (st == ST_OK)
		st = name_of_others(at, o, "module", 4095, &t->module);
	/* By a bare name the loader would search: what runs beside the keys is named in full. */
	if (st == ST_OK && (t->module == NULL || t->module[0] != '/'))
		st = bad(at, "module", "the absolute path of a PKCS#11 library is required");
	if (st == ST_OK)
		st = name_of_others(at, o, "token", 32, &t->label);
	if (st == ST_OK)
		st = whole(at, o, "slot", INT64_MAX, -1, &t->slot);
	if (st == ST_OK && (t->label == NULL) == (t->slot < 0))
		st = bad(at, "token", "either its label or \"slot\" is required");
	if (st == ST_OK)
		st = name_of_others(at, o, "pin_file", 4095, &t->pin_file);
	if (st == ST_OK)
		st = whole(at, o, "sessions", TOKEN_SESSIONS_MAX, 0, &sessions);
	t->sessions = (uint32_t)sessions;
	if (st == ST_OK && network != NULL && !json_is_boolean(network))
		st = bad(at, "network", "true or false is required");
	t->network = json_is_true(network);
	return st == ST_OK ? token_paths(at, o, t) : st;
}

static enum status read_tokens(struct policy *p, struct error *e)
{
	json_t *tokens = json_object_get(p->root, "tokens");
	size_t n = json_array_size(tokens);
	enum status st = ST_OK;

	if (tokens != NULL && (!json_is_array(tokens) || n > TOKENS_MAX))
		return error_set(e, ST_INVALID, "keys.json: tokens: a list of at most %d is "
				 "required", TOKENS_MAX);
	for (; p->tokens_n < n && st == ST_OK; p->tokens_n++) {
		struct place at = { "tokens", p->tokens_n, e };
		struct token_policy *t = &p->tokens[p->tokens_n];

		st = read_token(&at, json_array_get(tokens, p->tokens_n), t);
		for (uint32_t i = 0; st == ST_OK && i < p->tokens_n; i++)
			if (strcmp(p->tokens[i].name, t->name) == 0)
				st = bad(&at, "name", "another token has it");
	}
	return st;
}

static enum status read_keys(struct policy *p, struct error *e)
{
	json_t *keys = json_object_get(p->root, "keys");
	size_t n = json_array_size(keys);
	enum status st = ST_OK;

	if (json_integer_value(json_object_get(p->root, "version")) != 1)
		return error_set(e, ST_UNSUPPORTED, "keys.json: version: 1 is required");
	if (!json_is_array(keys) || n == 0 || n > KEYS_MAX || json_object_size(p->root) !=
	    2u + (json_object_get(p->root, "tokens") != NULL))
		return error_set(e, ST_INVALID,
				 "keys.json: exactly \"version\" and a list \"keys\" of 1 to %d "
				 "keys are required, and \"tokens\" where some are in one",
				 KEYS_MAX);
	st = read_tokens(p, e);
	if (st != ST_OK)
		return st;
	p->keys = calloc(n, sizeof(*p->keys));
	if (p->keys == NULL)
		return ST_NOMEM;
	for (; p->keys_n < n && st == ST_OK; p->keys_n++) {
		struct place at = { "keys", p->keys_n, e };

		st = read_key(p, &at, json_array_get(keys, p->keys_n), &p->keys[p->keys_n]);
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

uint32_t policy_tokens(const struct policy *p)
{
	return p->tokens_n;
}

const struct token_policy *policy_token(const struct policy *p, uint32_t index)
{
	return &p->tokens[index];
}

bool policy_covers(const struct key_policy *k, struct slice kind)
{
	for (uint32_t i = 0; i < k->kinds_n; i++)
		if (slice_eq(kind, slice_str(k->kinds[i])))
			return true;
	return k->kinds_n == 0;
}
