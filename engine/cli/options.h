/*
 * options.h - the flags of a subcommand, from one table: `--name VALUE` or `--name=VALUE`,
 * anywhere.
 */
#ifndef TRIEN_CLI_OPTIONS_H
#define TRIEN_CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum option_type {
	OPTION_TEXT,		/* at: const char * */
	OPTION_COUNT,		/* at: uint64_t, from min to max */
	OPTION_FLAG,		/* at: bool */
};

struct option_row {
	const char *name;
	enum option_type type;
	void *at;		/* unchanged where the flag is not given */
	uint64_t min, max;
};

/*
 * Takes the flags out of argv and leaves the other words at argv[1] to argv[*argc - 1]; after `--`
 * every word is one of them. Strings are argv's own. Returns -1 to go on, else the exit code: 0
 * after --help (usage on stdout), 2 after a wrong flag (what is wrong and usage on stderr).
 */
int options_read(const char *usage, int *argc, char **argv, const struct option_row *rows,
		 uint32_t n);

/* For what options_read() cannot know: says what is wrong, then the usage; returns 2. */
int options_wrong(const char *usage, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The same, shortly, for a word that is to be a result id. Returns 0 if it can be one, else 2. */
int options_id(const char *command, const char *id);

/* For a struct client_options (client/client.h). */
#define CLIENT_OPTION_ROWS(o) \
	{ "data", OPTION_TEXT, &(o).data, 0, 0 }, \
	{ "connect", OPTION_TEXT, &(o).connect, 0, 0 }, \
	{ "tls-ca", OPTION_TEXT, &(o).tls_ca, 0, 0 }, \
	{ "tls-cert", OPTION_TEXT, &(o).tls_cert, 0, 0 }, \
	{ "tls-key", OPTION_TEXT, &(o).tls_key, 0, 0 }, \
	{ "timeout", OPTION_COUNT, &(o).timeout_s, 1, 3600 }
#define CLIENT_OPTIONS_USAGE \
	"\n" \
	"The engine: --data DIR (TRIEN_DATA, else data) for its socket, or --connect\n" \
	"unix:PATH | HOST:PORT (TRIEN_CONNECT); beyond loopback with --tls-ca, --tls-cert and\n" \
	"--tls-key FILE. --timeout SECONDS: of one call (60).\n"

#endif
