#include "intake/principals.h"

#include <errno.h>
#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "limits.h"

#define PRINCIPAL_UNITS_MAX 4096
#define PRINCIPAL_UIDS_MAX 64
#define PRINCIPAL_SIGNERS_MAX 256

/* Lives as long as any snapshot that names the principal: counts survive a reload. */
struct quota {
	atomic_uint refs;
	pthread_mutex_t lock;
	double tokens;			/* cases */
	uint64_t filled_ms;
	uint32_t inside;		/* submissions at the moment */
};

/* What one list of the file names. */
struct codes {
	bool all;
	uint32_t n;
	char (*list)[CODE_BYTES_MAX + 1];
};

struct principal {
	char name[PRINCIPAL_NAME_BYTES_MAX + 1];
	uint32_t may;
	struct codes units, signers;
	uint32_t uids_n;
	uid_t *uids;
	uint32_t cases_per_s, burst;	/* 0: no bound */
	uint32_t requests_max;		/* 0: no bound of its own */
	struct quota *quota;
};

struct principals {
	atomic_uint refs;
	uint32_t n;
	struct principal *list;
};

static const struct { const char *name; enum may may; } roles[] = {
	{ "submit", MAY_SUBMIT }, { "read", MAY_READ }, { "reuse", MAY_REUSE },
	{ "portal", MAY_PORTAL }, { "audit", MAY_AUDIT }, { "registry", MAY_REGISTRY },
	{ "sign", MAY_SIGN },
};

static struct quota *quota_new(void)
{
	struct quota *q = calloc(1, sizeof(*q));

	if (q == NULL)
		return NULL;
	atomic_init(&q->refs, 1);
	pthread_mutex_init(&q->lock, NULL);
	q->tokens = -1;			/* full at first use */
	return q;
}

static void quota_unref(struct quota *q)
{
	if (q == NULL || atomic_fetch_sub(&q->refs, 1) != 1)
		return;
	pthread_mutex_destroy(&q->lock);
	free(q);
}

struct principals *principals_ref(struct principals *p)
{
	atomic_fetch_add(&p->refs, 1);
	return p;
}

void principals_unref(struct principals *p)
{
	if (p == NULL || atomic_fetch_sub(&p->refs, 1) != 1)
		return;
	for (uint32_t i = 0; i < p->n; i++) {
		free(p->list[i].units.list);
		free(p->list[i].signers.list);
		free(p->list[i].uids);
		quota_unref(p->list[i].quota);
	}
	free(p->list);
	free(p);
}

/* What a parser of one entry says it of. */
struct place { const char *path; size_t entry; struct error *e; };

static enum status wrong(const struct place *at, const char *what)
{
	return error_set(at->e, ST_INVALID, "%s: principals[%zu]: %s", at->path, at->entry, what);
}

static enum status parse_roles(struct principal *pr, const json_t *list, const struct place *at)
{
	size_t i, k;
	json_t *v;

	if (!json_is_array(list))
		return wrong(at, "`roles` must be a list");
	json_array_foreach(list, i, v) {
		const char *name = json_string_value(v);

		for (k = 0; name != NULL && k < ARRAY_LEN(roles); k++)
			if (strcmp(roles[k].name, name) == 0)
				break;
		if (name == NULL || k == ARRAY_LEN(roles))
			return wrong(at, "a role is one of submit, read, reuse, portal, audit, "
					 "registry, sign");
		pr->may |= roles[k].may;
	}
	return ST_OK;
}

static enum status parse_codes(struct codes *out, const json_t *list, size_t max, const char *what,
			       const struct place *at)
{
	size_t i, n = json_array_size(list);
	json_t *v;

	if (list == NULL)
		return ST_OK;
	if (!json_is_array(list) || n > max)
		return wrong(at, what);
	out->list = calloc(n + 1, sizeof(*out->list));
	if (out->list == NULL)
		return ST_NOMEM;
	json_array_foreach(list, i, v) {
		const char *code = json_string_value(v);

		if (code == NULL || code[0] == '\0' || strlen(code) > CODE_BYTES_MAX)
			return wrong(at, what);
		if (strcmp(code, "*") == 0)
			out->all = true;
		else
			memcpy(out->list[out->n++], code, strlen(code) + 1);
	}
	return ST_OK;
}

static enum status parse_units(struct principal *pr, const json_t *list, const struct place *at)
{
	return parse_codes(&pr->units, list, PRINCIPAL_UNITS_MAX,
			   "`units` must be a list of at most 4096 codes of 1 to 40 bytes, or "
			   "[\"*\"]", at);
}

/* Nobody signs by having forgotten to say as whom. */
static enum status parse_signers(struct principal *pr, const json_t *list, const struct place *at)
{
	enum status st = parse_codes(&pr->signers, list, PRINCIPAL_SIGNERS_MAX,
				     "`signers` must be a list of at most 256 codes of 1 to 40 "
				     "bytes, or [\"*\"]", at);

	if (st == ST_OK && ((pr->may & MAY_SIGN) != 0) != (pr->signers.all || pr->signers.n > 0))
		return wrong(at, "the role `sign` and a list `signers` go together");
	return st;
}

static enum status parse_uids(struct principal *pr, const json_t *list, const struct place *at)
{
	size_t i, n = json_array_size(list);
	json_t *v;

	if (list == NULL)
		return ST_OK;
	if (!json_is_array(list) || n > PRINCIPAL_UIDS_MAX)
		return wrong(at, "`uids` must be a list of at most 64 numbers");
	pr->uids = calloc(n + 1, sizeof(*pr->uids));
	if (pr->uids == NULL)
		return ST_NOMEM;
	json_array_foreach(list, i, v) {
		json_int_t uid = json_integer_value(v);

		if (!json_is_integer(v) || uid < 0 || uid > UINT32_MAX - 1)
			return wrong(at, "a uid is a number");
		pr->uids[pr->uids_n++] = (uid_t)uid;
	}
	return ST_OK;
}

static enum status parse_bound(uint32_t *out, const json_t *o, const char *key,
			       const struct place *at)
{
	const json_t *v = json_object_get(o, key);
	json_int_t bound = json_integer_value(v);

	*out = 0;
	if (v == NULL)
		return ST_OK;
	if (!json_is_integer(v) || bound < 1 || bound > 100000000)
		return wrong(at, "cases_per_s, burst and requests_max are numbers from 1 to "
				 "100000000");
	*out = (uint32_t)bound;
	return ST_OK;
}

static bool name_fits(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				"0123456789._-");

	return n > 0 && n <= PRINCIPAL_NAME_BYTES_MAX && name[n] == '\0';
}

static enum status parse_principal(struct principal *pr, json_t *o, const struct place *at)
{
	static const char *const keys[] = { "name", "roles", "units", "signers", "uids",
					    "cases_per_s", "burst", "requests_max" };
	const char *key, *name = json_string_value(json_object_get(o, "name"));
	json_t *v;
	enum status st;

	if (!json_is_object(o) || name == NULL || !name_fits(name))
		return wrong(at, "`name` must be 1 to 64 of A-Z a-z 0-9 . _ -");
	memcpy(pr->name, name, strlen(name) + 1);
	json_object_foreach(o, key, v) {
		size_t k = 0;

		while (k < ARRAY_LEN(keys) && strcmp(keys[k], key) != 0)
			k++;
		if (k == ARRAY_LEN(keys))
			return wrong(at, "unknown key; known are name, roles, units, signers, "
					 "uids, cases_per_s, burst, requests_max");
	}
	st = parse_roles(pr, json_object_get(o, "roles"), at);
	if (st == ST_OK)
		st = parse_units(pr, json_object_get(o, "units"), at);
	if (st == ST_OK)
		st = parse_signers(pr, json_object_get(o, "signers"), at);
	if (st == ST_OK)
		st = parse_uids(pr, json_object_get(o, "uids"), at);
	if (st == ST_OK)
		st = parse_bound(&pr->cases_per_s, o, "cases_per_s", at);
	if (st == ST_OK)
		st = parse_bound(&pr->burst, o, "burst", at);
	if (st == ST_OK)
		st = parse_bound(&pr->requests_max, o, "requests_max", at);
	if (pr->burst == 0)
		pr->burst = pr->cases_per_s;
	return st;
}

/* One name, one uid: one principal. */
static enum status check_unique(const struct principals *p, const struct place *at)
{
	const struct principal *last = &p->list[p->n - 1];

	for (uint32_t i = 0; i + 1 < p->n; i++) {
		if (strcmp(p->list[i].name, last->name) == 0)
			return wrong(at, "the name occurs twice");
		for (uint32_t k = 0; k < p->list[i].uids_n; k++)
			for (uint32_t m = 0; m < last->uids_n; m++)
				if (p->list[i].uids[k] == last->uids[m])
					return wrong(at, "the uid belongs to another principal");
	}
	return ST_OK;
}

static enum status quota_carry(struct principal *pr, const struct principals *before)
{
	struct principal *old = before == NULL ? NULL :
		principals_named((struct principals *)before, slice_str(pr->name));

	pr->quota = old != NULL ? old->quota : quota_new();
	if (old != NULL)
		atomic_fetch_add(&pr->quota->refs, 1);
	return pr->quota != NULL ? ST_OK : ST_NOMEM;
}

static enum status parse_file(struct principals *p, const json_t *root, const char *path,
			      const struct principals *before, struct error *e)
{
	const json_t *list = json_object_get(root, "principals");
	size_t n = json_array_size(list);
	struct place at = { path, 0, e };
	enum status st = ST_OK;

	if (!json_is_array(list) || n > PRINCIPALS_MAX || json_object_size(root) != 1)
		return error_set(e, ST_INVALID, "%s: must be {\"principals\": [ … ]} with at most "
				 "%d entries", path, PRINCIPALS_MAX);
	p->list = calloc(n + 1, sizeof(*p->list));
	if (p->list == NULL)
		return ST_NOMEM;
	for (at.entry = 0; st == ST_OK && at.entry < n; at.entry++) {
		st = parse_principal(&p->list[p->n++], json_array_get(list, at.entry), &at);
		if (st == ST_OK)
			st = check_unique(p, &at);
		if (st == ST_OK)
			st = quota_carry(&p->list[p->n - 1], before);
	}
	return st;
}

static enum status operator_only(struct principals *p, const struct principals *before)
{
	struct principal *pr;

	p->list = calloc(1, sizeof(*p->list));
	if (p->list == NULL)
		return ST_NOMEM;
	pr = &p->list[p->n++];
	snprintf(pr->name, sizeof(pr->name), "operator");
	pr->may = MAY_SUBMIT | MAY_READ | MAY_PORTAL | MAY_AUDIT | MAY_REGISTRY | MAY_SIGN;
	pr->units.all = true;
	pr->signers.all = true;
	pr->uids = calloc(1, sizeof(*pr->uids));
	if (pr->uids == NULL)
		return ST_NOMEM;
	pr->uids[pr->uids_n++] = geteuid();
	return quota_carry(pr, before);
}

enum status principals_load(struct principals **out, const char *path,
			    const struct principals *before, struct error *e)
{
	struct principals *p = calloc(1, sizeof(*p));
	json_error_t je;
	json_t *root = NULL;
	enum status st;

	*out = NULL;
	if (p == NULL)
		return error_set(e, ST_NOMEM, "principals: no memory");
	atomic_init(&p->refs, 1);
	if (path == NULL || (access(path, F_OK) != 0 && errno == ENOENT)) {
		st = operator_only(p, before);
	} else {
		root = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
		st = root == NULL ? error_set(e, ST_INVALID, "%s:%d: %s", path, je.line, je.text) :
		     parse_file(p, root, path, before, e);
		json_decref(root);
	}
	if (st == ST_NOMEM)
		error_set(e, ST_NOMEM, "principals: no memory");
	if (st != ST_OK) {
		principals_unref(p);
		return st;
	}
	*out = p;
	return ST_OK;
}

struct principal *principals_named(struct principals *p, struct slice name)
{
	for (uint32_t i = 0; i < p->n; i++)
		if (slice_eq(slice_str(p->list[i].name), name))
			return &p->list[i];
	return NULL;
}

struct principal *principals_uid(struct principals *p, uid_t uid)
{
	for (uint32_t i = 0; i < p->n; i++)
		for (uint32_t k = 0; k < p->list[i].uids_n; k++)
			if (p->list[i].uids[k] == uid)
				return &p->list[i];
	return NULL;
}

const char *principal_name(const struct principal *pr)
{
	return pr->name;
}

void principal_roles(uint32_t any_of, char out[ROLES_TEXT_BYTES])
{
	int n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		if (any_of & roles[i].may)
			n += snprintf(out + n, ROLES_TEXT_BYTES - (size_t)n, "%s%s",
				      n > 0 ? " or " : "", roles[i].name);
}

bool principal_may(const struct principal *pr, uint32_t any_of)
{
	return any_of == MAY_ANY || (pr->may & any_of) != 0;
}

bool principal_all_units(const struct principal *pr)
{
	return pr->units.all;
}

static bool named(const struct codes *c, struct slice code)
{
	if (c->all)
		return true;
	for (uint32_t i = 0; i < c->n; i++)
		if (slice_eq(slice_str(c->list[i]), code))
			return true;
	return false;
}

bool principal_unit(const struct principal *pr, struct slice unit)
{
	return named(&pr->units, unit);
}

bool principal_signer(const struct principal *pr, struct slice signer)
{
	return named(&pr->signers, signer);
}

const char *principal_signer_only(const struct principal *pr)
{
	return !pr->signers.all && pr->signers.n == 1 ? pr->signers.list[0] : NULL;
}

bool principal_cases(struct principal *pr, uint32_t cases, uint64_t now_ms, uint32_t *wait_ms)
{
	struct quota *q = pr->quota;
	double needed = cases < pr->burst ? cases : pr->burst;
	bool ok;

	if (pr->cases_per_s == 0)
		return true;
	pthread_mutex_lock(&q->lock);
	if (q->tokens < 0 && q->filled_ms == 0)
		q->tokens = pr->burst;
	else if (now_ms > q->filled_ms)
		q->tokens += (double)(now_ms - q->filled_ms) * pr->cases_per_s / 1000;
	q->filled_ms = now_ms;
	if (q->tokens > pr->burst)
		q->tokens = pr->burst;
	ok = q->tokens >= needed;
	*wait_ms = ok ? 0 : (uint32_t)((needed - q->tokens) * 1000 / pr->cases_per_s) + 1;
	if (ok)
		q->tokens -= cases;	/* below zero: a large request is paid for afterwards */
	pthread_mutex_unlock(&q->lock);
	return ok;
}

bool principal_enter(struct principal *pr)
{
	struct quota *q = pr->quota;
	bool ok;

	pthread_mutex_lock(&q->lock);
	ok = pr->requests_max == 0 || q->inside < pr->requests_max;
	q->inside += ok;
	pthread_mutex_unlock(&q->lock);
	return ok;
}

void principal_leave(struct principal *pr)
{
	pthread_mutex_lock(&pr->quota->lock);
	pr->quota->inside--;
	pthread_mutex_unlock(&pr->quota->lock);
}
