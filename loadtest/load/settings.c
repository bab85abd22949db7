#include "load/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/options.h"
#include "load/rpc.h"
#include "load/stencil.h"

static const char usage[] =
	"trien-load WORKLOAD [options] [-- OPTIONS OF trien serve]\n"
	"\n"
	"Plays a workload (a file, or a name of loadtest/workloads/) against an engine, proves\n"
	"that every accepted case is stored exactly once and that no number is missing, and\n"
	"reports.\n"
	"\n"
	"  --start             start an engine in --data DIR (keys, registers, `trien serve`)\n"
	"  --door unix|clear|mtls   how to talk to an engine that --start starts (unix)\n"
	"  --algorithm rsa2048|rsa3072|p256   of the keys that --start makes (rsa2048)\n"
	"  --trien FILE, --schemas DIR   the program and its schemas, for --start\n"
	"  --engine-pid PID    the supervisor of an engine that runs: its CPU, memory, kills\n"
	"  --process NAME=PID|PIDFILE   one more to watch, with all below it: the database\n"
	"  --cases N, --compress X, --connections N, --seconds S   instead of the file's\n"
	"  --seed S            other cases and other times (1)\n"
	"  --run N             part of every case code; default: from the clock\n"
	"  --verify SHARE      of the files to download and verify: 0 to 1\n"
	"  --trust PATH        roots and revocation lists for that; default DATA/certs\n"
	"  --memory-mb N       fail when the engine's processes take more memory than that (PSS)\n"
	"  --chaos             kill -9 the engine at random times\n"
	"  --kills N           how often (3)\n"
	"  --chaos-database 'STOP' 'START'   command lines: take the database away, and back\n"
	"  --away S            for so long (3)\n"
	"  --drain S           give up when nothing has moved for so long (60)\n"
	"  --json FILE, --html FILE, --hgrm FILE, --svg FILE   reports besides the text\n"
	"  --quiet             no progress bar\n"
	CLIENT_OPTIONS_USAGE
	"Exit: 0 the proof holds and so does what the workload must keep, 1 not so, 69 engine\n"
	"not reached.\n";

static bool read_share(const char *text, double min, double max, double *out)
{
	char *rest;

	if (text == NULL)
		return true;
	*out = strtod(text, &rest);
	return *rest == '\0' && rest != text && *out >= min && *out <= max;
}

/* `--chaos-database STOP START` is the one flag with two values; `--` ends ours. */
static bool take_words(struct settings *s, int *argc, char **argv)
{
	int n = 1;

	for (int i = 1; i < *argc; i++) {
		if (strcmp(argv[i], "--") == 0) {
			s->extra = argv + i + 1;
			s->extra_n = *argc - i - 1;
			break;
		}
		if (strcmp(argv[i], "--chaos-database") == 0) {
			if (i + 2 >= *argc)
				return false;
			s->stop = argv[i + 1];
			s->start_again = argv[i + 2];
			i += 2;
			continue;
		}
		argv[n++] = argv[i];
	}
	*argc = n;
	return true;
}

static bool take_process(struct settings *s)
{
	const char *equals = s->process != NULL ? strchr(s->process, '=') : NULL;

	if (s->process == NULL)
		return true;
	if (equals == NULL || equals == s->process || equals - s->process >= 32)
		return false;
	snprintf(s->process_name, sizeof(s->process_name), "%.*s", (int)(equals - s->process),
		 s->process);
	s->process_at = equals + 1;
	return *s->process_at != '\0';
}

static void keep_command(struct settings *s, int argc, char **argv)
{
	size_t n = 0;

	for (int i = 0; i < argc && n < sizeof(s->command); i++) {
		bool plain = argv[i][0] != '\0' && strpbrk(argv[i], " '\"$;&|<>*") == NULL;

		n += (size_t)snprintf(s->command + n, sizeof(s->command) - n,
				      plain ? "%s%s" : "%s'%s'", i > 0 ? " " : "", argv[i]);
	}
}

/* Beside this program, as the build leaves it. */
static const char *own_trien(void)
{
	static char path[500];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);
	char *slash;

	path[n > 0 ? n : 0] = '\0';
	for (int i = 0; i < 2 && (slash = strrchr(path, '/')) != NULL; i++)
		*slash = '\0';
	slash = path + strlen(path);
	snprintf(slash, sizeof(path) - (size_t)(slash - path), "/engine/trien");
	return path;
}

int settings_read(struct settings *s, int argc, char **argv)
{
	const struct option_row rows[] = {
		{ "start", OPTION_FLAG, &s->start, 0, 0 },
		{ "door", OPTION_TEXT, &s->door, 0, 0 },
		{ "algorithm", OPTION_TEXT, &s->algorithm, 0, 0 },
		{ "trien", OPTION_TEXT, &s->trien, 0, 0 },
		{ "schemas", OPTION_TEXT, &s->schemas, 0, 0 },
		{ "engine-pid", OPTION_COUNT, &s->engine_pid, 1, INT32_MAX },
		{ "process", OPTION_TEXT, &s->process, 0, 0 },
		{ "cases", OPTION_TEXT, &s->cases, 0, 0 },
		{ "compress", OPTION_TEXT, &s->compress, 0, 0 },
		{ "seconds", OPTION_TEXT, &s->seconds, 0, 0 },
		{ "connections", OPTION_COUNT, &s->connections, 1, RPC_CONNECTIONS_MAX },
		{ "seed", OPTION_COUNT, &s->seed, 0, INT64_MAX },
		{ "run", OPTION_COUNT, &s->run, 1, STENCIL_RUN_MAX - 1 },
		{ "verify", OPTION_TEXT, &s->share, 0, 0 },
		{ "trust", OPTION_TEXT, &s->trust, 0, 0 },
		{ "memory-mb", OPTION_COUNT, &s->memory_mb, 1, 1 << 20 },
		{ "chaos", OPTION_FLAG, &s->chaos, 0, 0 },
		{ "kills", OPTION_COUNT, &s->kills, 1, 100000 },
		{ "away", OPTION_COUNT, &s->away_s, 1, 86400 },
		{ "drain", OPTION_COUNT, &s->drain_s, 1, 86400 },
		{ "json", OPTION_TEXT, &s->json, 0, 0 },
		{ "html", OPTION_TEXT, &s->html, 0, 0 },
		{ "hgrm", OPTION_TEXT, &s->hgrm, 0, 0 },
		{ "svg", OPTION_TEXT, &s->svg, 0, 0 },
		{ "quiet", OPTION_FLAG, &s->quiet, 0, 0 },
		CLIENT_OPTION_ROWS(s->engine),
	};
	bool words;
	int code;

	*s = (struct settings){ .engine = client_defaults(), .seed = 1, .kills = 3, .drain_s = 60,
				.away_s = 3, .door = "unix", .schemas = "schemas",
				.algorithm = "rsa2048" };
	keep_command(s, argc, argv);
	words = take_words(s, &argc, argv);
	code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	if (code >= 0)
		return code;
	if (argc != 2 || !words)
		return options_wrong(usage, "one workload is needed; --chaos-database takes two "
				     "command lines");
	s->workload = argv[1];
	if (s->trien == NULL)
		s->trien = own_trien();
	if (!take_process(s))
		return options_wrong(usage, "--process NAME=PID or NAME=FILE");
	if (strcmp(s->door, "unix") != 0 && strcmp(s->door, "clear") != 0 &&
	    strcmp(s->door, "mtls") != 0)
		return options_wrong(usage, "--door: unix, clear or mtls");
	s->as_written = s->cases == NULL && s->compress == NULL && s->seconds == NULL &&
			s->connections == 0 && !s->chaos && s->stop == NULL &&
			strcmp(s->algorithm, "rsa2048") == 0;
	s->door_of = s->door[0] == 'u' ? DOOR_UNIX : s->door[0] == 'c' ? DOOR_CLEAR : DOOR_MTLS;
	if (s->chaos && !s->start && s->engine_pid == 0)
		return options_wrong(usage, "--chaos: which engine? --start or --engine-pid");
	return -1;
}

enum status settings_apply(const struct settings *s, struct workload *w, struct error *e)
{
	struct schedule_options *o = &w->schedule;
	char path[500];
	double cases;
	enum status st;

	snprintf(path, sizeof(path), strchr(s->workload, '/') != NULL ||
		 strstr(s->workload, ".json") != NULL ? "%s" : "loadtest/workloads/%s.json",
		 s->workload);
	st = workload_read(w, path, e);
	if (st != ST_OK)
		return st;
	cases = (double)o->cases;
	if (!read_share(s->cases, 1, STENCIL_SERIALS_MAX, &cases))
		return error_set(e, ST_INVALID, "--cases: a number from 1");
	o->cases = (uint64_t)cases;
	if (!read_share(s->compress, 1, 1e9, &o->compress))
		return error_set(e, ST_INVALID, "--compress: a number from 1");
	if (!read_share(s->seconds, 0.001, 1e9, &o->seconds))
		return error_set(e, ST_INVALID, "--seconds: a number");
	if (!read_share(s->share, 0, 1, &w->verify))
		return error_set(e, ST_INVALID, "--verify: a share from 0 to 1");
	if (s->connections > 0)
		w->connections = (uint32_t)s->connections;
	return ST_OK;
}
