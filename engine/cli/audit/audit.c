#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/calendar.h"
#include "cli/audit/open.h"
#include "cli/cli.h"
#include "client/failure.h"
#include "client/protojson.h"
#include "identity.h"
#include "io/io.h"

#define DAY_MS 86400000
#define UNDETERMINED 3
#define CLOCKS_MS 600000		/* how far ours may be behind an engine's */
#define WAITING_JOBS 4			/* a core, where threads wait for a server, */
#define WAITING_JOBS_MAX 32		/* and what it may be asked to bear by itself */

static const char usage[] =
	"trien audit [CONNECTION…] --data DIR [--from DAY] [--to DAY]\n"
	"            [--sample N|N% [--seed TEXT]] [--state FILE] [--jobs N] [--html FILE]\n"
	"            [--report FILE] [--json] [--trust PATH] [--crl PATH]\n"
	"            [--connect ADDRESS [--tls-ca FILE --tls-cert FILE --tls-key FILE]]\n"
	"            [--SETTING VALUE]…\n"
	"\n"
	"Is every stored result what was signed, and are the books whole? Reads a store, also\n"
	"beside its running engine, and changes nothing in it: the data folder's, or the\n"
	"PostgreSQL servers of its settings or CONNECTIONs (trien store). Each file is hashed and\n"
	"verified; each certificate must have been valid, not revoked and meant for this\n"
	"(keys.json) when it signed, by what the store keeps of it; store and document must say\n"
	"the same; events must follow each other; what was replaced and what stands in its place\n"
	"must know each other; each number stands in its register, which is complete, unique and\n"
	"in order; statistics count what is there.\n"
	"--from, --to: results issued on these days (YYYY-MM-DD, Vietnam) and registers of these\n"
	"years. --sample: so many results, or so many of a hundred; which ones nobody knows\n"
	"before. The report has the --seed by which the same ones are taken again. Registers are\n"
	"looked at whole. --state: what is done is noted there, and the same command goes on with\n"
	"it after a break. --jobs: threads (one a core; where they wait for a server, four).\n"
	"--html: a page to print, which needs nothing else. --report: the JSON that --json\n"
	"prints. --trust, --crl: roots and lists, as trien verify takes them (DIR/certs).\n"
	"--connect: the engine that issues into the store, unix:PATH or HOST:PORT; DIR's, if its\n"
	"socket is there. It is asked (role audit or registry) where each register began and\n"
	"which of its numbers are pending. Of registers that no engine was asked about, pending\n"
	"and lost numbers look alike, and those lost before the lowest one are not seen.\n"
	"Exit: 0 all good, 1 findings, 3 not all done.\n";

/* ---- what was asked ---- */

static int wrong(const char *what)
{
	fprintf(stderr, "trien audit: %s\n\n%s", what, usage);
	return 2;
}

/* Ours go, the rest is as `serve` takes it. -1: a flag without its value, or too many servers. */
static int words_take(struct audit_options *o, int argc, char **argv)
{
	const struct { const char *name, **at; } ours[] = {
		{ "from", &o->from }, { "to", &o->to }, { "sample", &o->sample },
		{ "seed", &o->seed },
		{ "state", &o->state }, { "jobs", &o->jobs }, { "html", &o->html },
		{ "report", &o->report }, { "trust", &o->trust }, { "crl", &o->crl },
		{ "connect", &o->engine.connect }, { "tls-ca", &o->engine.tls_ca },
		{ "tls-cert", &o->engine.tls_cert }, { "tls-key", &o->engine.tls_key },
	};
	int kept = 1;

	for (int i = 1; i < argc; i++) {
		const char *word = argv[i], *value = strchr(word, '=');
		size_t n = value != NULL ? (size_t)(value - word) : strlen(word), k = 0;
		bool flag = strncmp(word, "--", 2) == 0;

		while (flag && k < ARRAY_LEN(ours) &&
		       (strlen(ours[k].name) != n - 2 ||
			strncmp(ours[k].name, word + 2, n - 2) != 0))
			k++;
		if (strcmp(word, "--json") == 0) {
			o->json = true;
		} else if (flag && k < ARRAY_LEN(ours)) {
			*ours[k].at = value != NULL ? value + 1 : argv[++i];
			if (*ours[k].at == NULL)
				return -1;
		} else if (flag) {
			argv[kept++] = argv[i];
			if (value == NULL && i + 1 < argc)
				argv[kept++] = argv[++i];
		} else if (o->connections_n == CONFIG_LIST_MAX) {
			return -1;
		} else {
			o->connections[o->connections_n++] = word;
		}
	}
	return kept;
}

static bool day_read(uint32_t *out, const char *text)
{
	unsigned year, month, day;
	int n = 0;

	*out = 0;
	if (text == NULL)
		return true;
	if (sscanf(text, "%4u-%2u-%2u%n", &year, &month, &day, &n) != 3 || text[n] != '\0' ||
	    year < 2020 || month > 12 || day > 31 ||
	    !date_exists(year, (uint8_t)month, (uint8_t)day))
		return false;
	*out = year * 10000 + month * 100 + day;
	return true;
}

/* Of a hundred: *share of 2^32; or so many: *n. */
static bool sample_read(struct audit_scope *s, uint64_t *n, const char *text)
{
	char *end = NULL;
	double v;

	*n = 0;
	if (text == NULL)
		return true;
	v = strtod(text, &end);
	if (end == text || strlen(text) >= sizeof(s->sample_text) || !(v > 0))
		return false;
	snprintf(s->sample_text, sizeof(s->sample_text), "%s", text);
	if (strcmp(end, "%") == 0) {
		s->sample = v >= 100 ? UINT32_MAX : (uint32_t)(v / 100 * UINT32_MAX);
		return v <= 100;
	}
	*n = (uint64_t)v;
	return *end == '\0' && v == (double)*n && *n <= AUDIT_SAMPLE_MAX;
}

static bool jobs_read(uint32_t *out, const char *text)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	char *end = NULL;
	long n = text != NULL ? strtol(text, &end, 10) : cores < 1 ? 1 : cores;

	if (text != NULL && (*end != '\0' || n < 1 || n > AUDIT_JOBS_MAX))
		return false;
	*out = n > AUDIT_JOBS_MAX ? AUDIT_JOBS_MAX : (uint32_t)n;
	return true;
}

/* Goes with a sample, so that the same one can be taken again. */
static bool seed_read(struct audit_scope *s, const char *text)
{
	if (text == NULL)
		return true;
	for (const char *at = text; *at != '\0'; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	snprintf(s->seed, sizeof(s->seed), "%s", text);
	return text[0] != '\0' && strlen(text) < sizeof(s->seed) && s->sample_text[0] != '\0';
}

/* ---- the order of it all ---- */

static uint64_t expected(const struct audit *a, const json_t *days)
{
	const char *day;
	json_t *row;
	uint64_t n = 0;

	json_object_foreach((json_t *)days, day, row)
		n += (uint64_t)json_integer_value(json_object_get(row, "results"));
	return a->scope.sample_text[0] == '\0' ? n :
	       (uint64_t)((double)n * a->scope.sample / UINT32_MAX);
}

/*
 * The counters first, then how far is looked: whatever they count is looked at, and a day of which
 * more was looked at has other counters in the end.
 */
static enum status begin(struct audit *a, const char *state, uint64_t sample, struct error *e)
{
	struct audit_scope *s = &a->scope;
	int64_t last = s->to_day != 0 ? day_start_ms(s->to_day) + DAY_MS - 1 : INT64_MAX;
	enum status st = audit_state_open(a, state, e);

	if (st != ST_OK || a->counters != NULL)
		return st;
	a->counters = audit_counters(a, e);
	if (a->counters == NULL)
		return e->status;
	s->begun_ms = io_wall_ms();
	if (last > s->begun_ms + CLOCKS_MS)
		last = s->begun_ms + CLOCKS_MS;
	s->upto = sequence_make(last, UINT8_MAX, 0x3fff);
	st = audit_seed(s, e);
	if (st == ST_OK && sample > 0)
		st = audit_sample(a, sample, e);
	return st == ST_OK ? audit_state_begin(a, e) : st;
}

static enum status run(struct audit *a, uint64_t sample, json_t **on_time, struct error *e)
{
	bool all = a->scope.sample_text[0] == '\0';
	enum status st;

	a->expected = sample > 0 ? sample : expected(a, a->counters);
	progress_start(&a->progress, "results audited");
	st = audit_scan(a, e);
	/* Of a part, one of two may be outside. */
	if (st == ST_OK && all && a->scope.from_day == 0 && a->scope.to_day == 0)
		audit_links(a);
	if (st == ST_OK)
		st = audit_books(a, e);
	*on_time = st == ST_OK ? audit_counters(a, e) : NULL;
	if (*on_time != NULL && all)
		audit_counters_compare(a, *on_time);
	if (*on_time == NULL)
		*on_time = json_incref(a->counters);
	return st;
}

/* Told before a night's work, not behind it. */
static bool writable(const char *path)
{
	const char *slash;
	struct stat about;
	char folder[4096];

	if (path == NULL)
		return true;
	slash = strrchr(path, '/');
	snprintf(folder, sizeof(folder), "%.*s", slash == NULL ? 1 : (int)(slash - path + 1),
		 slash == NULL ? "." : path);
	if (stat(path, &about) == 0 ? !S_ISDIR(about.st_mode) && access(path, W_OK) == 0 :
				      access(folder, W_OK | X_OK) == 0)
		return true;
	fprintf(stderr, "trien audit: %s cannot be written\n", path);
	return false;
}

static bool file_write(const char *path, const json_t *report, bool page)
{
	FILE *f = fopen(path, "we");
	bool done = f != NULL && (page ? audit_page_write(f, report) :
				  json_dumpf(report, f, JSON_INDENT(2)) == 0 &&
				  fputc('\n', f) >= 0);

	if (f != NULL && fclose(f) != 0)
		done = false;
	if (!done)
		fprintf(stderr, "trien audit: %s cannot be written\n", path);
	return done;
}

static const char *plural(const char *count)
{
	return strcmp(count, "1") == 0 ? "" : "s";
}

static void print_report(const json_t *report)
{
	const json_t *results = json_object_get(report, "results");
	char looked[COUNT_TEXT_BYTES], good[COUNT_TEXT_BYTES], n[COUNT_TEXT_BYTES];
	size_t registers = json_array_size(json_object_get(report, "registers")), i;
	size_t unasked = json_array_size(json_object_get(json_object_get(report, "ran"),
							 "registersUnasked"));
	json_t *f;

	json_array_foreach(json_object_get(report, "findings"), i, f) {
		const char *id = json_string_value(json_object_get(f, "result"));
		json_int_t sequence = json_integer_value(json_object_get(f, "sequence"));

		printf("%s: ", json_string_value(json_object_get(f, "fault")));
		if (id[0] != '\0')
			printf("%s: ", id);
		else if (sequence != 0)
			printf("sequence %lld: ", (long long)sequence);
		printf("%s. What to do: %s.\n", json_string_value(json_object_get(f, "what")),
		       json_string_value(json_object_get(f, "todo")));
	}
	count_text(looked, (uint64_t)json_integer_value(json_object_get(results, "looked")));
	count_text(good, (uint64_t)json_integer_value(json_object_get(results, "good")));
	count_text(n, (uint64_t)json_integer_value(json_object_get(report, "findingsCount")));
	printf("%s result%s looked at, %s good; %zu register%s; %s finding%s%s\n",
	       looked, plural(looked), good, registers, registers == 1 ? "" : "s", n,
	       plural(n),
	       json_is_true(json_object_get(report, "whole")) ? "" : "; NOT ALL WAS LOOKED AT");
	if (unasked > 0)
		printf("Of %zu register%s no engine was asked: pending and lost numbers look "
		       "alike, and numbers lost before the lowest one are not seen.\n", unasked,
		       unasked == 1 ? "" : "s");
}

static int told(struct audit *a, const struct audit_options *o, const json_t *on_time, bool whole)
{
	json_t *report = audit_report(a, on_time, whole, io_wall_ms());
	json_int_t found = json_integer_value(json_object_get(report, "findingsCount"));
	bool written = report != NULL;

	if (o->report != NULL)
		written &= file_write(o->report, report, false);
	if (o->html != NULL)
		written &= file_write(o->html, report, true);
	if (o->json)
		json_print(json_incref(report));
	else
		print_report(report);
	json_decref(report);
	return !written ? EX_CANTCREAT : found > 0 ? 1 : whole ? 0 : UNDETERMINED;
}

static int failed(enum status st, const struct error *e)
{
	if (st != ST_PRECONDITION && st != ST_UNAVAILABLE && st != ST_TIMEOUT && st != ST_DENIED)
		return error_exit("audit", e);
	fprintf(stderr, "trien audit: %s\n", e->text);
	return st == ST_UNAVAILABLE || st == ST_TIMEOUT ? EX_TEMPFAIL : EX_CONFIG;
}

static int audit_do(struct audit *a, struct audit_options *o, uint64_t sample)
{
	json_t *on_time = NULL;
	struct error e = { 0 };
	enum status st = audit_open(a, o, &e);
	int code;

	if (st == ST_OK)
		st = begin(a, o->state, sample, &e);
	if (st == ST_OK)
		st = run(a, sample, &on_time, &e);
	if (on_time == NULL) {
		code = failed(st, &e);
	} else {
		if (st != ST_OK)
			fprintf(stderr, "trien audit: %s\n", e.text);
		code = told(a, o, on_time, st == ST_OK);
	}
	audit_state_close(a);
	json_decref(on_time);
	audit_close(a);
	return code;
}

int cli_audit(int argc, char **argv)
{
	/* Its strings live as long as the process. */
	static struct audit_options o;
	struct audit a = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct error e = { 0 };
	uint64_t sample;
	int code;

	if (argc > 1 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	argc = words_take(&o, argc, argv);
	if (argc < 0)
		return wrong("a flag without its value, or too many servers");
	if (!day_read(&a.scope.from_day, o.from) || !day_read(&a.scope.to_day, o.to))
		return wrong("--from and --to are days, as in 2026-11-24");
	if (!sample_read(&a.scope, &sample, o.sample))
		return wrong("--sample is a number of results, 1 to 1000000, or a share of them, "
			     "as in 2%, up to 100%");
	if (!seed_read(&a.scope, o.seed))
		return wrong("--seed goes with --sample: 1 to 40 letters, digits and signs");
	if (!jobs_read(&a.jobs, o.jobs))
		return wrong("--jobs is a number of threads");
	if (config_load(&o.config, argc, argv, &e) != ST_OK) {
		fprintf(stderr, "trien audit: %s\n", e.text);
		return EX_CONFIG;
	}
	if (!writable(o.html) || !writable(o.report))
		return EX_CANTCREAT;
	if (o.jobs == NULL && audit_is_postgres(&o))
		a.jobs = a.jobs * WAITING_JOBS < WAITING_JOBS_MAX ? a.jobs * WAITING_JOBS :
								    WAITING_JOBS_MAX;
	a.days = json_object();
	a.findings = json_array();
	a.registers = json_array();
	a.unasked = json_array();
	code = audit_do(&a, &o, sample);
	json_decref(a.days);
	json_decref(a.findings);
	json_decref(a.registers);
	json_decref(a.unasked);
	json_decref(a.counters);
	free(a.done);
	free(a.links);
	return code;
}
