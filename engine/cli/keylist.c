#include "cli/keylist.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/calendar.h"
#include "catalogue/catalogue.h"
#include "sign/sign.h"
#include "signer/policy.h"

#define DAY_MS (24 * 3600 * 1000ll)
/* Keys named in a line of what stops; all are in the JSON. */
#define NAMED_MAX 4
#define SIGNER_WIDTH 40

/* What ends a key's signing, each by itself. OFFICE is the person's; DELEGATION, if by a paper. */
enum end { END_CERTIFICATE, END_POLICY, END_OFFICE, END_DELEGATION, END_LIST, ENDS };

static const char *const end_names[ENDS] = { "certificate", "policy", "office", "delegation",
					     "revocation-list" };

struct line {
	struct key_row row;
	const struct key_policy *policy;
	enum reason state;		/* today; NONE: signs */
	int64_t ends_ms[ENDS];		/* last moment; INT64_MAX: none, INT64_MIN: missing */
	const struct signer *signer;	/* the person's last version; NULL: unknown, or a seal */
};

struct stop { int64_t day_ms; enum end what; const char *key; const struct line *line; };

struct list {
	const struct keylist_options *options;
	struct policy *policy;
	struct keyring *ring;
	struct catalogue *catalogue;	/* NULL: not asked */
	uint32_t n, stops_n;
	struct line *lines;
	struct stop *stops;
};

/* The last day of the last version; open while any version is. */
static int64_t office_ends(const struct catalogue *c, const char *code, bool *delegated,
			   const struct signer **out)
{
	const struct signer *s, *last = NULL;

	for (uint32_t i = 0; (s = catalogue_signer_at(c, i)) != NULL; i++)
		if (strcmp(s->code, code) == 0 &&
		    (last == NULL || s->to == 0 || (last->to != 0 && s->to > last->to)))
			last = s;
	*out = last;
	*delegated = last != NULL && last->delegation != NULL;
	return last == NULL ? INT64_MIN : last->to == 0 ? INT64_MAX :
		day_start_ms(last->to) + DAY_MS - 1;
}

static void fill_line(const struct list *l, struct line *out, uint32_t i, int64_t now)
{
	const struct key_row *r = &out->row;
	bool delegated = false;
	int64_t office = INT64_MAX;

	out->policy = policy_key(l->policy, i);
	out->state = keyring_judge(l->ring, i, now);
	if (l->catalogue != NULL && r->role == ROLE_PERSON) {
		office = office_ends(l->catalogue, r->signer, &delegated, &out->signer);
		if (out->state == REASON_NONE && catalogue_signer(l->catalogue,
				slice_str(r->signer), day_vietnam(now)) == NULL)
			out->state = REASON_SIGNER_UNKNOWN;
	}
	out->ends_ms[END_CERTIFICATE] = r->not_after_ms;
	out->ends_ms[END_POLICY] = r->to_ms == INT64_MAX ? INT64_MAX : r->to_ms - 1;
	out->ends_ms[END_OFFICE] = delegated ? INT64_MAX : office;
	out->ends_ms[END_DELEGATION] = delegated ? office : INT64_MAX;
	out->ends_ms[END_LIST] = r->fresh_to_ms;
}

/* A list is renewed every few days and in the ordinary course: it does not count for "until". */
static int64_t until(const struct line *l)
{
	int64_t t = INT64_MAX;

	for (int e = 0; e < END_LIST; e++)
		if (l->ends_ms[e] < t)
			t = l->ends_ms[e];
	return t;
}

/* The first moment at which policy and certificate both allow. */
static int64_t since(const struct line *l)
{
	return l->row.not_before_ms > l->row.from_ms ? l->row.not_before_ms : l->row.from_ms;
}

static const char *day_text(char out[16], int64_t ms, const char *open)
{
	uint32_t day;

	if (ms == INT64_MIN || ms == INT64_MAX)
		return open;
	day = day_vietnam(ms);
	snprintf(out, 16, "%04u-%02u-%02u", day / 10000 % 10000, day / 100 % 100, day % 100);
	return out;
}

static const char *state_text(const struct line *l)
{
	return l->state == REASON_NONE ? "OK" : reason_text(l->state)->name;
}

/* ---- what stops on which day ---- */

static int by_day(const void *a, const void *b)
{
	const struct stop *x = a, *y = b;

	if (x->day_ms != y->day_ms)
		return x->day_ms < y->day_ms ? -1 : 1;
	if (x->what != y->what)
		return x->what < y->what ? -1 : 1;
	return strcmp(x->key, y->key);
}

static void collect_stops(struct list *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		for (int e = 0; e < ENDS; e++) {
			int64_t ms = l->lines[i].ends_ms[e];

			if (ms != INT64_MAX)
				l->stops[l->stops_n++] = (struct stop){ ms == INT64_MIN ? ms :
					day_start_ms(day_vietnam(ms)), (enum end)e,
					l->lines[i].row.id, &l->lines[i] };
		}
	}
	qsort(l->stops, l->stops_n, sizeof(*l->stops), by_day);
}

/* How many from i on stop on the same day for the same reason. */
static uint32_t together(const struct list *l, uint32_t i)
{
	uint32_t n = 1;

	while (i + n < l->stops_n && l->stops[i + n].day_ms == l->stops[i].day_ms &&
	       l->stops[i + n].what == l->stops[i].what)
		n++;
	return n;
}

static bool signs_kind(const struct line *l, const char *kind)
{
	for (uint32_t i = 0; i < l->policy->kinds_n; i++)
		if (strcmp(l->policy->kinds[i], kind) == 0)
			return true;
	return l->policy->kinds_n == 0;
}

static bool signs_all_of(const struct line *by, const struct line *of)
{
	for (uint32_t i = 0; i < of->policy->kinds_n; i++)
		if (!signs_kind(by, of->policy->kinds[i]))
			return false;
	return of->policy->kinds_n > 0 || by->policy->kinds_n == 0;
}

/*
 * Another key of the same agency or person that signs all of it from the day at the latest on which
 * this one ends, and the longest. NULL: there is none, it stops.
 */
static const struct line *goes_on(const struct list *l, const struct line *of)
{
	const struct line *found = NULL;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct line *x = &l->lines[i];

		if (x != of && strcmp(x->row.unit, of->row.unit) == 0 &&
		    strcmp(x->row.signer, of->row.signer) == 0 && signs_all_of(x, of) &&
		    x->state != REASON_CERT_REVOKED && since(x) <= until(of) + 1000 &&
		    until(x) > until(of) && (found == NULL || until(x) > until(found)))
			found = x;
	}
	return found;
}

static void print_kinds(const struct line *l)
{
	for (uint32_t i = 0; i < l->policy->kinds_n; i++)
		printf("%s%s", i > 0 ? "," : "", l->policy->kinds[i]);
	printf("%s\n", l->policy->kinds_n == 0 ? "all" : "");
}

/* Whose work stops; lists are renewed, and stop nothing by themselves. */
static void print_stopping(const struct list *l)
{
	char day[16];

	printf("%-10s %-40s %-24s %-40s %s\n", "LAST DAY", "KEY", "UNIT", "GOES ON WITH", "KINDS");
	for (uint32_t i = 0; i < l->stops_n; i++) {
		const struct stop *s = &l->stops[i];
		const struct line *next = goes_on(l, s->line);

		/* A key ends once: by what comes first. */
		if (s->what == END_LIST || s->line->ends_ms[s->what] != until(s->line))
			continue;
		printf("%-10s %-40s %-24s %-40s ", day_text(day, s->day_ms, "missing"), s->key,
		       s->line->row.unit, next != NULL ? next->row.id : "-");
		print_kinds(s->line);
	}
}

static void print_stops(const struct list *l)
{
	char day[16];

	printf("\n%-10s %-15s %5s\n", "LAST DAY", "OF", "KEYS");
	for (uint32_t i = 0, n; i < l->stops_n; i += n) {
		n = together(l, i);
		printf("%-10s %-15s %5u ", day_text(day, l->stops[i].day_ms, "missing"),
		       end_names[l->stops[i].what], n);
		for (uint32_t k = 0; k < n && k < NAMED_MAX; k++)
			printf("%s%s", k > 0 ? ", " : "", l->stops[i + k].key);
		printf("%s\n", n > NAMED_MAX ? ", …" : "");
	}
}

/* ---- rows ---- */

static json_t *line_json(const struct line *l)
{
	char from[16], to[16], day[16], hash[2 * SHA256_BYTES + 1] = "";
	const struct key_row *r = &l->row;
	json_t *kinds = json_array(), *ends = json_object(), *o;

	for (uint32_t i = 0; i < l->policy->kinds_n; i++)
		json_array_append_new(kinds, json_string(l->policy->kinds[i]));
	for (int e = 0; e < ENDS; e++)
		if (l->ends_ms[e] != INT64_MAX)
			json_object_set_new(ends, end_names[e],
					    json_string(day_text(day, l->ends_ms[e], "")));
	hex_lower(hash, r->cert_sha256, SHA256_BYTES);
	o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:o, s:s}", "id", r->id,
		      "role", r->role == ROLE_PERSON ? "person" : "agency", "unit", r->unit,
		      "signer", r->signer, "algorithm", r->algorithm, "source",
		      key_source_name(l->policy->source), "kinds", kinds,
		      "from", day_text(from, since(l), ""), "until", day_text(to, until(l), ""),
		      "state", state_text(l), "last_days", ends, "certificate_sha256", hash);
	return o;
}

/* In a column of characters: names are not ASCII. */
static void print_signer(const struct line *l)
{
	const struct signer *s = l->signer;
	int width = 0;

	if (s != NULL)
		width = printf("%s, %s", s->name, s->title);
	else
		width = printf("%s", l->row.role == ROLE_PERSON ? l->row.signer : "-");
	for (const char *p = s != NULL ? s->name : ""; *p != '\0'; p++)
		width -= (*p & 0xc0) == 0x80;
	for (const char *p = s != NULL ? s->title : ""; *p != '\0'; p++)
		width -= (*p & 0xc0) == 0x80;
	printf("%*s ", width < SIGNER_WIDTH ? SIGNER_WIDTH - width : 0, "");
}

static void print_line(const struct line *l)
{
	char from[16], to[16];
	const struct key_row *r = &l->row;

	printf("%-40s %-7s %-24s %-8s %-6s %-10s %-10s %-18s ", r->id,
	       r->role == ROLE_PERSON ? "person" : "agency", r->unit, r->algorithm,
	       key_source_name(l->policy->source),
	       day_text(from, since(l), "-"), day_text(to, until(l), "-"), state_text(l));
	print_signer(l);
	print_kinds(l);
}

static void print(const struct list *l)
{
	json_t *rows;

	if (!l->options->json) {
		printf("%-40s %-7s %-24s %-8s %-6s %-10s %-10s %-18s %-*s %s\n", "KEY", "ROLE",
		       "UNIT", "ALGORITHM", "SOURCE", "FROM", "UNTIL", "TODAY", SIGNER_WIDTH,
		       "SIGNER", "KINDS");
		for (uint32_t i = 0; i < l->n; i++)
			print_line(&l->lines[i]);
		print_stops(l);
		print_stopping(l);
		return;
	}
	rows = json_array();
	for (uint32_t i = 0; i < l->n; i++)
		json_array_append_new(rows, line_json(&l->lines[i]));
	json_dumpf(rows, stdout, JSON_INDENT(1));
	putchar('\n');
	json_decref(rows);
}

/* ---- all of it ---- */

static enum status load(struct list *l, struct error *e)
{
	char certs[4096];
	struct keyring_config cfg = { .certs_dir = certs, .check_one_in = 1,
				      .development = true,
				      .crl_age_hours_max = l->options->crl_hours_max };
	struct catalogue_config schemas = { .schemas = l->options->schemas };
	enum status st = ST_OK;

	snprintf(certs, sizeof(certs), "%s/certs", l->options->data);
	if (l->options->schemas != NULL)
		st = catalogue_load(&l->catalogue, &schemas, e);
	if (st == ST_OK)
		st = policy_load(&l->policy, certs, e);
	if (st == ST_OK)
		st = keyring_load(&l->ring, &cfg, e);
	if (st != ST_OK)
		return st;
	l->lines = calloc(policy_count(l->policy), sizeof(*l->lines));
	l->stops = calloc((size_t)policy_count(l->policy) * ENDS, sizeof(*l->stops));
	return l->lines != NULL && l->stops != NULL ? ST_OK :
		error_set(e, ST_NOMEM, "out of memory");
}

int keylist(const struct keylist_options *o)
{
	struct list l = { .options = o };
	struct error e = { 0 };
	int64_t now = (int64_t)time(NULL) * 1000;
	enum status st = load(&l, &e);

	for (; st == ST_OK && keyring_row(l.ring, l.n, &l.lines[l.n].row); l.n++)
		fill_line(&l, &l.lines[l.n], l.n, now);
	if (st == ST_OK) {
		collect_stops(&l);
		print(&l);
	} else {
		fprintf(stderr, "trien keys: %s\n", e.text);
	}
	keyring_unref(l.ring);
	policy_free(l.policy);
	catalogue_unref(l.catalogue);
	free(l.lines);
	free(l.stops);
	return st == ST_OK ? EX_OK :
		status_class(st) == CLASS_REJECT ? EX_DATAERR : EX_IOERR;
}
