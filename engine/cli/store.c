#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/storedeep.h"
#include "client/failure.h"
#include "client/protojson.h"
#include "config.h"
#include "store/postgres/schema.h"

static const char usage[] =
	"trien store init  [CONNECTION…] [--data DIR] [--SETTING VALUE]… [--json]\n"
	"trien store check [CONNECTION…] [--data DIR] [--SETTING VALUE]… [--json]\n"
	"                  [--deep [--lines 100]]\n"
	"\n"
	"The tables of a store on PostgreSQL. Servers are those of the setting `postgres`, or the\n"
	"CONNECTIONs, written as there: [lanes=0-31 ]host=/run/postgresql dbname=trien user=…\n"
	"init: makes them, or brings them up to this version; makes the roles trien_writer,\n"
	"trien_reader and trien_auditor, or prints the SQL for somebody who may. Done again it\n"
	"changes nothing.\n"
	"check: are they there, of this version, and of the lanes that the list gives them?\n"
	"78: no, and what to do.\n"
	"check --deep: is all whole that lies there? Reads every row and file, while engines\n"
	"go on: checksums and digests; holders, locators, number and evidence of each result;\n"
	"that nothing leads nowhere; registers without a gap; counters; and which originals\n"
	"nobody needs. It changes nothing. For a member of trien_reader; trien_auditor sees\n"
	"books and counters only. A line for each of the first faults (--lines), then counts.\n"
	"65: damaged; 3: numbers are not there, which an engine may have pending, or something\n"
	"could not be looked at.\n";

struct work {
	struct config config;
	const char *words[CONFIG_LIST_MAX];	/* CONNECTIONs */
	uint32_t words_n;
	bool init, json, deep, roles_left;
	uint64_t lines_max;
	json_t *rows;
};

/* --lines N; false: no number. */
static bool lines_take(struct work *w, const char *text)
{
	char *end = NULL;

	if (text == NULL || *text < '0' || *text > '9')
		return false;
	w->lines_max = strtoull(text, &end, 10);
	return *end == '\0';
}

/* What is neither a flag nor its value is a CONNECTION; the rest is as `serve` takes it. */
static int words_take(struct work *w, int argc, char **argv)
{
	int kept = 1;

	for (int i = 1; i < argc; i++) {
		bool flag = strncmp(argv[i], "--", 2) == 0;

		if (strcmp(argv[i], "--json") == 0) {
			w->json = true;
		} else if (strcmp(argv[i], "--deep") == 0) {
			w->deep = true;
		} else if (strcmp(argv[i], "--lines") == 0) {
			if (!lines_take(w, argv[++i]))
				return -1;
		} else if (flag) {
			argv[kept++] = argv[i];
			if (strchr(argv[i], '=') == NULL && i + 1 < argc)
				argv[kept++] = argv[++i];
		} else if (w->words_n == CONFIG_LIST_MAX) {
			return -1;
		} else {
			w->words[w->words_n++] = argv[i];
		}
	}
	return kept;
}

static void told(struct work *w, uint32_t server, const struct pg_schema_report *r)
{
	if (w->json) {
		json_array_append_new(w->rows, json_pack("{s:i, s:i, s:i, s:b, s:s}", "server",
							 (int)server, "from", (int)r->from,
							 "version", (int)r->upto, "roles",
							 (int)r->roles, "risk",
							 r->risk));
		return;
	}
	if (r->from == r->upto)
		printf("server %u: the tables are there, version %u\n", server, r->upto);
	else
		printf("server %u: the tables were brought from version %u to %u\n", server,
		       r->from, r->upto);
	if (r->risk[0] != '\0')
		printf("server %u: %s: when it crashes, results are lost that it had taken\n",
		       server, r->risk);
}

static const char *const *servers_of(const struct work *w, uint32_t *n)
{
	*n = w->words_n > 0 ? w->words_n : w->config.postgres_n;
	return w->words_n > 0 ? w->words : w->config.postgres;
}

static bool is_citus(const struct work *w)
{
	return strcmp(w->config.postgres_distribution, "citus") == 0;
}

static enum status servers_do(struct work *w, int *code, struct error *e)
{
	struct pg_servers servers;
	uint32_t n;
	const char *const *texts = servers_of(w, &n);
	enum status st = pg_servers_read(&servers, texts, n, is_citus(w),
					 w->config.postgres_reader, e);

	w->rows = w->json ? json_array() : NULL;
	for (uint8_t i = 0; i < servers.n && st == ST_OK; i++) {
		struct pg_schema_report r;

		st = w->init ? pg_schema_init(&servers, i, &r, e) :
			       pg_schema_look(&servers, i, &r, e);
		if (st != ST_OK)
			break;
		told(w, i + 1u, &r);
		w->roles_left |= !r.roles;
	}
	if (w->json)
		json_print(json_pack("{s:o, s:b}", "servers", w->rows, "roles_left",
				     (int)w->roles_left));
	if (st != ST_OK || !w->roles_left)
		return st;
	fprintf(stderr, "trien store: this user may not make the roles; an administrator has to "
		"run, in each database:\n");
	printf("%s", w->json ? "" : pg_schema_roles());
	*code = 3;
	return ST_OK;
}

static enum status deep_do(const struct work *w, int *code, struct error *e)
{
	struct store_deep o = { .citus = is_citus(w), .json = w->json,
				.reader = w->config.postgres_reader, .lines_max = w->lines_max };

	o.servers = servers_of(w, &o.servers_n);
	return store_deep_run(&o, code, e);
}

static int failed(enum status st, const struct error *e)
{
	bool away = st == ST_UNAVAILABLE || st == ST_TIMEOUT;

	if (!away && st != ST_PRECONDITION && st != ST_INVALID && st != ST_DENIED)
		return error_exit("store", e);
	fprintf(stderr, "trien store: %s\n", e->text);
	return away ? EX_TEMPFAIL : EX_CONFIG;
}

static int wrong(const char *what)
{
	fprintf(stderr, "trien store: %s\n\n%s", what, usage);
	return 2;
}

int cli_store(int argc, char **argv)
{
	/* Its strings live as long as the process. */
	static struct work w = { .lines_max = STORE_DEEP_LINES };
	struct error e = { 0 };
	enum status st;
	int code = 0;

	if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
	    (strcmp(argv[1], "init") != 0 && strcmp(argv[1], "check") != 0)) {
		fputs(usage, argc < 2 || strcmp(argv[1], "--help") != 0 ? stderr : stdout);
		return argc < 2 || strcmp(argv[1], "--help") != 0 ? 2 : 0;
	}
	w.init = strcmp(argv[1], "init") == 0;
	argc = words_take(&w, argc - 1, argv + 1);
	if (argc < 0)
		return wrong("too many servers, or --lines without a number");
	if (w.init && w.deep)
		return wrong("--deep is for check");
	if (config_load(&w.config, argc, argv + 1, &e) != ST_OK) {
		fprintf(stderr, "trien store: %s\n", e.text);
		return EX_CONFIG;
	}
	if (w.words_n == 0 && w.config.postgres_n == 0)
		return wrong("which server? Give a CONNECTION, or --data with a trien.conf that "
			     "has postgres = {…}");
	st = w.deep ? deep_do(&w, &code, &e) : servers_do(&w, &code, &e);
	return st == ST_OK ? code : failed(st, &e);
}
