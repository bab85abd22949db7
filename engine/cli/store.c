#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/failure.h"
#include "cli/protojson.h"
#include "config.h"
#include "store/postgres/schema.h"

static const char usage[] =
	"trien store init  [CONNECTION…] [--data DIR] [--SETTING VALUE]… [--json]\n"
	"trien store check [CONNECTION…] [--data DIR] [--SETTING VALUE]… [--json]\n"
	"\n"
	"The tables of a store on PostgreSQL. Servers are those of the setting `postgres`, or the\n"
	"CONNECTIONs, written as there: [lanes=0-31 ]host=/run/postgresql dbname=trien user=…\n"
	"init: makes them, or brings them up to this version; makes the roles trien_writer,\n"
	"trien_reader and trien_auditor, or prints the SQL for somebody who may. Done again it\n"
	"changes nothing.\n"
	"check: are they there, and of this version? 78: no, and what to do.\n";

struct work {
	struct config config;
	const char *words[CONFIG_LIST_MAX];	/* CONNECTIONs */
	uint32_t words_n;
	bool init, json, roles_left;
	json_t *rows;
};

/* What is neither a flag nor its value is a CONNECTION; the rest is as `serve` takes it. */
static int words_take(struct work *w, int argc, char **argv)
{
	int kept = 1;

	for (int i = 1; i < argc; i++) {
		bool flag = strncmp(argv[i], "--", 2) == 0;

		if (strcmp(argv[i], "--json") == 0) {
			w->json = true;
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
							 r->risk != NULL ? r->risk : ""));
		return;
	}
	if (r->from == r->upto)
		printf("server %u: the tables are there, version %u\n", server, r->upto);
	else
		printf("server %u: the tables were brought from version %u to %u\n", server,
		       r->from, r->upto);
	if (r->risk != NULL)
		printf("server %u: %s: when it crashes, results are lost that it had taken\n",
		       server, r->risk);
}

static enum status servers_do(struct work *w, struct error *e)
{
	const struct config *c = &w->config;
	const char *const *texts = w->words_n > 0 ? w->words : c->postgres;
	uint32_t n = w->words_n > 0 ? w->words_n : c->postgres_n;
	struct pg_servers servers;
	enum status st = pg_servers_read(&servers, texts, n,
					 strcmp(c->postgres_distribution, "citus") == 0,
					 c->postgres_reader, e);

	for (uint8_t i = 0; i < servers.n && st == ST_OK; i++) {
		struct pg_schema_report r;

		st = w->init ? pg_schema_init(&servers, i, &r, e) :
			       pg_schema_look(&servers, i, &r, e);
		if (st != ST_OK)
			break;
		told(w, i + 1u, &r);
		w->roles_left |= !r.roles;
	}
	return st;
}

int cli_store(int argc, char **argv)
{
	static struct work w;		/* its strings live as long as the process */
	struct error e = { 0 };
	enum status st;

	if (argc < 2 || strcmp(argv[1], "--help") == 0 ||
	    (strcmp(argv[1], "init") != 0 && strcmp(argv[1], "check") != 0)) {
		fputs(usage, argc < 2 || strcmp(argv[1], "--help") != 0 ? stderr : stdout);
		return argc < 2 || strcmp(argv[1], "--help") != 0 ? 2 : 0;
	}
	w.init = strcmp(argv[1], "init") == 0;
	argc = words_take(&w, argc - 1, argv + 1);
	if (argc < 0 || config_load(&w.config, argc, argv + 1, &e) != ST_OK) {
		fprintf(stderr, "trien store: %s\n", argc < 0 ? "too many servers" : e.text);
		return argc < 0 ? 2 : EX_CONFIG;
	}
	if (w.words_n == 0 && w.config.postgres_n == 0) {
		fprintf(stderr, "trien store: which server? Give a CONNECTION, or --data with a "
			"trien.conf that has postgres = {…}\n\n%s", usage);
		return 2;
	}
	w.rows = w.json ? json_array() : NULL;
	st = servers_do(&w, &e);
	if (w.json)
		json_print(json_pack("{s:o, s:b}", "servers", w.rows, "roles_left",
				     (int)w.roles_left));
	if (st == ST_PRECONDITION || st == ST_INVALID || st == ST_DENIED) {
		fprintf(stderr, "trien store: %s\n", e.text);
		return EX_CONFIG;
	}
	if (st == ST_UNAVAILABLE) {
		fprintf(stderr, "trien store: %s\n", e.text);
		return EX_TEMPFAIL;
	}
	if (st != ST_OK)
		return error_exit("store", &e);
	if (!w.roles_left)
		return 0;
	fprintf(stderr, "trien store: this user may not make the roles; an administrator has to "
		"run, in each database:\n");
	printf("%s", w.json ? "" : pg_schema_roles());
	return 3;
}
