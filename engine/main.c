#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "config.h"
#include "journal/journal.h"
#include "portal/portal.h"
#include "remote/remote.h"
#include "sign/sign.h"
#include "signer/signer.h"
#include "store/postgres/servers.h"
#include "supervisor.h"

static int serve(int argc, char **argv);
static int mirror(int argc, char **argv);
static int takeover(int argc, char **argv);
static int portal(int argc, char **argv);
static int help(int argc, char **argv);

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage, *help;
} commands[] = {
	{ "serve", serve, "[--check-config] [--print-config] [--SETTING VALUE]…",
	  "run the engine until SIGTERM" },
	{ "keys", cli_keys, "dev|list --data DIR …",
	  "throw-away keys; who can sign what until when" },
	{ "schema", cli_schema, "check FILE… | preview FILE CASE.json",
	  "check a kind, an agency or a signer; draw a draft" },
	{ "register", cli_register,
	  "open|close|list|check|open-year|close-year|print", "official registers" },
	{ "submit", cli_submit, "FILE.jsonl|-", "submit cases, one JSON object a line" },
	{ "certify", cli_certify, "FILE --case CASE.json | --list COPIES.jsonl|-",
	  "have originals certified as electronic copies" },
	{ "copy", cli_copy, "RESULT_ID --case CASE.json",
	  "a copy from the register, of a stored result" },
	{ "get", cli_get, "RESULT_ID… [--output FILE] [--evidence DIR]",
	  "show results, download their PDFs" },
	{ "list", cli_list, "--id-kind K --number N", "a holder's results, newest first" },
	{ "case", cli_case, "UNIT CODE", "all results of a case, and which are done" },
	{ "reuse", cli_reuse, "--number N --purpose T --legal-basis T --case C",
	  "a citizen's results for another procedure" },
	{ "reads", cli_reads, "--number N | --result ID", "who read about a holder, or a result" },
	{ "share", cli_share, "create | list | revoke | use …",
	  "links and codes by which a holder lets others see a result" },
	{ "statistics", cli_statistics, "[UNIT …] [--from D] [--to D] [--period P]",
	  "how many results, in time, with reuse, by agency, kind and period" },
	{ "held", cli_held, "list | retry [RESULT_ID] | void RESULT_ID --reason T",
	  "results that could not be signed" },
	{ "withdraw", cli_withdraw, "RESULT_ID --reason T",
	  "take back what waits for a signer" },
	{ "revoke", cli_revoke, "RESULT_ID --number N --date D --ground T --actor A",
	  "revoke a stored result by decision" },
	{ "correct", cli_correct, "RESULT_ID --number N --date D --ground T --actor A [--paper ID]",
	  "link the công văn đính chính to a stored result" },
	{ "hide", cli_hide, "RESULT_ID --holder N | --number N --date D … [--show]",
	  "from its holder's list, or by decision from all" },
	{ "history", cli_history, "RESULT_ID", "what happened to a stored result" },
	{ "sign", cli_sign, "list | show | open | confirm | watch | cancel | refuse",
	  "what waits for a signer; sessions" },
	{ "status", cli_status, "", "how the engine is" },
	{ "verify", cli_verify, "FILE.pdf…", "check signatures, integrity and coverage" },
	{ "inspect", cli_inspect, "FILE…", "can certified copies be made of these, and how" },
	{ "backup", cli_backup, "--data DIR TARGET", "copy a data folder" },
	{ "restore", cli_restore, "SOURCE --data DIR", "put a backup back" },
	{ "fsck", cli_fsck, "--data DIR", "check every byte of a data folder" },
	{ "store", cli_store, "init|check [--deep] [CONNECTION…] [--data DIR]",
	  "a store on PostgreSQL: its tables; whether all in it is whole" },
	{ "audit", cli_audit, "[CONNECTION…] --data DIR [--sample N|N%] [--html FILE] …",
	  "is every stored result what was signed, and are the books whole" },
	{ "mirror", mirror, "--data DIR --listen HOST:PORT [--SETTING VALUE]…",
	  "keep another engine's journal too" },
	{ "takeover", takeover, "--data DIR [--SETTING VALUE]…",
	  "go on from a dead engine's folder, or from its mirror's" },
	{ "portal", portal, "[--check-config] [--print-config] [--SETTING VALUE]…",
	  "web pages for citizens and for whoever verifies a result" },
	{ "help", help, "[COMMAND]", "this text" },
};

static const struct command *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	fprintf(stderr, "trien: no command '%s'; see trien help\n", name);
	return NULL;
}

static int help(int argc, char **argv)
{
	const char *one = argc > 1 ? argv[1] : NULL;

	if (one != NULL && find(one) == NULL)
		return 2;
	if (one == NULL)
		printf("trien COMMAND …\n\n");
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (one == NULL)
			printf("  %-10s %s\n", commands[i].name, commands[i].help);
		else if (strcmp(one, commands[i].name) == 0)
			printf("trien %s %s\n\n%s.\n", one, commands[i].usage, commands[i].help);
	if (one != NULL && (strcmp(one, "serve") == 0 || strcmp(one, "portal") == 0)) {
		printf("\nSettings: as flag --name VALUE (with - or _), in the environment as "
		       "TRIEN_NAME, in\nDATA/trien.conf as name = value.\n");
		config_help(stdout, strcmp(one, "portal") == 0);
	}
	printf("\nExit codes: 0 done · 1 not so (rejects, failed verification) · 2 wrong usage · "
	       "3 undetermined,\nnot all done · 65 data damaged or in the way · 66 a file cannot "
	       "be read · 69 engine not reached ·\n70 internal · 71 operating system · 73 a file "
	       "cannot be made · 74 input/output · 75 try again ·\n77 not allowed · 78 "
	       "configuration\n");
	if (one == NULL)
		printf("`trien help COMMAND` says more; --json everywhere gives machines their "
		       "form.\n");
	return 0;
}

/* --check-config and --print-config are no settings: taken out before the settings are read. */
static bool flag_take(int *argc, char **argv, const char *flag)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], flag) != 0)
			continue;
		memmove(&argv[i], &argv[i + 1], (size_t)(*argc - i) * sizeof(*argv));
		(*argc)--;
		return true;
	}
	return false;
}

/* What only the store can tell of its setting. */
static enum status servers_check(const struct config *c, struct error *e)
{
	struct pg_servers servers;

	if (strcmp(c->store, "postgres") != 0)
		return ST_OK;
	return pg_servers_read(&servers, c->postgres, c->postgres_n,
			       strcmp(c->postgres_distribution, "citus") == 0, c->postgres_reader,
			       e);
}

/* What is there already must go with the settings; a folder to be filled yet says nothing. */
static enum status data_check(const struct config *c, struct error *e)
{
	struct keyring_config kc = { .certs_dir = c->certs, .crl_age_hours_max = c->crl_hours_max,
				     .check_one_in = c->check_one_in,
				     .development = c->development };
	struct keyring *keyring = NULL;
	char path[PATH_MAX];
	enum status st = ST_OK;

	snprintf(path, sizeof(path), "%s/keys.json", c->certs);
	if (access(path, F_OK) == 0)
		st = keyring_load(&keyring, &kc, e);
	keyring_unref(keyring);
	snprintf(path, sizeof(path), "%s/journal", c->data);
	return st == ST_OK ? journal_fits(path, c->journal_segment_mb * 1024 * 1024, e) : st;
}

/* For commands whose flags are settings: -1 to go on, else the exit code. */
static int settings_read(const char *name, struct config *c, int argc, char **argv)
{
	struct error e = { 0 };
	enum status st;

	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return help(2, (char *[]){ "help", (char *)name });
	st = config_load(c, argc, argv, &e);
	if (st == ST_UNSUPPORTED)
		fprintf(stderr, "trien %s: %s; see trien help %s\n", name, e.text, name);
	else if (st != ST_OK)
		fprintf(stderr, "trien %s: %s\n", name, e.text);
	return st == ST_OK ? -1 : st == ST_UNSUPPORTED ? 2 : EX_CONFIG;
}

static int mirror(int argc, char **argv)
{
	static struct config c;		/* to the end of the process, as its strings */
	int code = settings_read("mirror", &c, argc, argv);

	return code >= 0 ? code : mirror_serve(&c);
}

static int takeover(int argc, char **argv)
{
	static struct config c;		/* to the end of the process, as its strings */
	int code = settings_read("takeover", &c, argc, argv);

	return code >= 0 ? code : takeover_run(&c);
}

static int serve(int argc, char **argv)
{
	bool check = flag_take(&argc, argv, "--check-config");
	bool print = flag_take(&argc, argv, "--print-config");
	bool json = flag_take(&argc, argv, "--json");
	static struct config c;		/* to the end of the process, as its strings */
	struct error e = { 0 };
	sigset_t hup;
	int code;

	/* Until the supervisor listens for it, a reload that comes early waits. */
	sigemptyset(&hup);
	sigaddset(&hup, SIGHUP);
	sigprocmask(SIG_BLOCK, &hup, NULL);
	code = settings_read("serve", &c, argc, argv);
	if (code >= 0)
		return code;
	if (servers_check(&c, &e) != ST_OK || (check && data_check(&c, &e) != ST_OK)) {
		fprintf(stderr, "trien serve: %s\n", e.text);
		return EX_CONFIG;
	}
	if (print)
		config_print(&c, stdout, json);
	if (check || print)
		return 0;
	config_log(&c, "supervisor");
	return supervisor_run(&c, argc, argv);
}

static int portal(int argc, char **argv)
{
	bool check = flag_take(&argc, argv, "--check-config");
	bool print = flag_take(&argc, argv, "--print-config");
	bool json = flag_take(&argc, argv, "--json");
	static struct config c;		/* to the end of the process, as its strings */
	struct error e = { 0 };
	int code = settings_read("portal", &c, argc, argv);

	if (code >= 0)
		return code;
	if (servers_check(&c, &e) != ST_OK || portal_check(&c, &e) != ST_OK) {
		fprintf(stderr, "trien portal: %s\n", e.text);
		return EX_CONFIG;
	}
	if (print)
		config_print(&c, stdout, json);
	if (check || print)
		return 0;
	config_log(&c, "portal");
	return portal_run(&c);
}

int signer_main(int argc, char **argv)
{
	static struct config c;		/* to the end of the process, as its strings */
	struct error e = { 0 };
	struct signer_config sc;

	if (config_load(&c, argc, argv, &e) != ST_OK) {
		fprintf(stderr, "trien signer: %s\n", e.text);
		return EX_CONFIG;
	}
	config_log(&c, "signer");
	sc = (struct signer_config){ .keys_dir = c.keys, .certs_dir = c.certs,
				     .passphrase_file = c.passphrase_file[0] != '\0' ?
					c.passphrase_file : NULL,
				     .pin_file = c.pin_file[0] != '\0' ? c.pin_file : NULL,
				     .threads = c.signer_threads, .socket = CHILD_FD,
				     .later = getenv(SIGNER_LATER) != NULL };
	return signer_run(&sc);
}

int remote_main(int argc, char **argv)
{
	static struct config c;		/* to the end of the process, as its strings */
	struct error e = { 0 };
	struct remote_config rc;

	if (config_load(&c, argc, argv, &e) != ST_OK) {
		fprintf(stderr, "trien remote: %s\n", e.text);
		return EX_CONFIG;
	}
	config_log(&c, "remote");
	rc = (struct remote_config){ .certs_dir = c.certs, .secrets_dir = c.remote_secrets,
				     .socket = CHILD_FD };
	return remote_run(&rc);
}

int main(int argc, char **argv)
{
	const struct command *c;

	/* The supervisor starts its children under these names; nobody types them. */
	if (argc > 0 && strcmp(argv[0], "engine") == 0)
		return engine_main(argc, argv);
	if (argc > 0 && strcmp(argv[0], "signer") == 0)
		return signer_main(argc, argv);
	if (argc > 0 && strcmp(argv[0], "remote") == 0)
		return remote_main(argc, argv);
	if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		help(0, argv);
		return argc < 2 ? 2 : 0;
	}
	c = find(argv[1]);
	return c != NULL ? c->run(argc - 1, argv + 1) : 2;
}
