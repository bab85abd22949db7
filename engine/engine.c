/*
 * The engine process: opens what lies in DATA, starts the threads, runs the spine on the main
 * thread; a second thread waits for signals.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/landlock.h"
#include "base/log.h"
#include "intake/intake.h"
#include "io/file.h"
#include "metrics.h"
#include "spine/spine.h"
#include "store/postgres/servers.h"
#include "supervisor.h"

#define PATHS_MAX 96
#define PATHS_OTHERS 32			/* of them, beside what the store's servers need */
#define PATH_BYTES 4096
#define LOCK_TRIES 20		/* × 100 ms: a predecessor that was just killed */

struct engine {
	struct config config;
	int sockets[CONFIG_LIST_MAX];	/* of config.listen */
	struct spine *spine;
	struct intake *intake;
	struct metrics *metrics;
	pthread_t signals;
	sigset_t set;
};

int exit_code_of(enum status st)
{
	switch (st) {
	case ST_OK:
		return 0;
	case ST_INVALID:
	case ST_DENIED:
	case ST_NOT_FOUND:
	case ST_PRECONDITION:
	case ST_UNSUPPORTED:
		return EX_CONFIG;
	case ST_EXISTS:
	case ST_UNAVAILABLE:
		return EX_TEMPFAIL;
	case ST_DAMAGED:
	case ST_CORRUPT:
	case ST_CONFLICT:
		return EX_DATAERR;
	case ST_IO:
	case ST_NOSPACE:
		return EX_IOERR;
	case ST_NOMEM:
		return EX_OSERR;
	default:
		return EX_SOFTWARE;
	}
}

/* ---- folders and what the process may reach of them (P6) ---- */

struct paths {
	char text[PATHS_MAX][PATH_BYTES];
	const char *rw[PATHS_MAX], *ro[PATHS_MAX];
	size_t n, rw_n, ro_n;
};

static void parent_of(char path[PATH_BYTES])
{
	char *slash = strrchr(path, '/');

	if (slash == NULL)
		memcpy(path, ".", 2);
	else
		slash[slash == path] = '\0';
}

static enum status folder_rw(struct paths *p, const char *data, const char *name, struct error *e)
{
	char *text = p->text[p->n++];

	snprintf(text, PATH_BYTES, "%s%s%s", data, name[0] != '\0' ? "/" : "", name);
	p->rw[p->rw_n++] = text;
	return dir_make(text, 0700, e);
}

static bool holds(const char *folder, const char *path)
{
	char a[PATH_MAX], b[PATH_MAX];

	/* A folder that does not exist yet holds nothing; its parent counts. */
	if (realpath(folder, a) == NULL)
		return false;
	if (realpath(path, b) == NULL) {
		char parent[PATH_BYTES];

		snprintf(parent, sizeof(parent), "%s", path);
		parent_of(parent);
		if (realpath(parent, b) == NULL)
			return false;
	}
	return strncmp(a, b, strlen(a)) == 0 &&
	       (strcmp(a, "/") == 0 || b[strlen(a)] == '/' || b[strlen(a)] == '\0');
}

/* A file that may be replaced while we run: its folder, unless keys or secrets lie below that. */
static void file_ro(struct paths *p, const struct config *c, const char *file)
{
	char *text = p->text[p->n];

	if (file[0] == '\0' || access(file, R_OK) != 0)
		return;
	p->n++;
	snprintf(text, PATH_BYTES, "%s", file);
	parent_of(text);
	if (holds(text, c->keys) || holds(text, c->remote_secrets))
		snprintf(text, PATH_BYTES, "%s", file);
	p->ro[p->ro_n++] = text;
}

static void folder_ro(struct paths *p, const char *path)
{
	if (path[0] != '\0' && access(path, R_OK) == 0)
		p->ro[p->ro_n++] = path;
}

static void place_ro(struct paths *p, const struct config *c, const char *path)
{
	struct stat s;

	if (stat(path, &s) == 0 && S_ISDIR(s.st_mode))
		folder_ro(p, path);
	else
		file_ro(p, c, path);
}

/* As it is, not its folder: that may be the user's home. */
static void store_file(void *ctx, const char *file)
{
	struct paths *p = ctx;
	char *text = p->text[p->n];

	if (access(file, R_OK) != 0 || p->n == PATHS_MAX - PATHS_OTHERS)
		return;
	p->n++;
	snprintf(text, PATH_BYTES, "%s", file);
	p->ro[p->ro_n++] = text;
}

static enum status store_files(struct paths *p, const struct config *c, struct error *e)
{
	struct pg_servers servers;
	enum status st;

	if (strcmp(c->store, "postgres") != 0)
		return ST_OK;
	st = pg_servers_read(&servers, c->postgres, c->postgres_n, false, "", e);
	if (st == ST_OK)
		pg_server_files(&servers, store_file, p);
	return st;
}

static enum status folders_make(struct paths *p, const struct config *c, struct error *e)
{
	static const char *const names[] = { "journal", "keys-index", "waiting", "store",
					     "catalogue", "identity", "counters", "sessions" };
	char witness[PATH_BYTES];
	enum status st = dir_make(c->data, 0700, e);

	for (size_t i = 0; i < ARRAY_LEN(names) && st == ST_OK; i++)
		st = folder_rw(p, c->data, names[i], e);
	snprintf(witness, sizeof(witness), "%s", c->witness);
	parent_of(witness);
	if (st == ST_OK)
		st = folder_rw(p, witness, "", e);
	if (st == ST_OK && (holds(witness, c->keys) || holds(witness, c->remote_secrets)))
		st = error_set(e, ST_INVALID, "witness = %s: the key folder or the secrets lie "
			       "below its folder; give it a folder of its own", c->witness);
	return st;
}

static void folders_name(struct paths *p, const struct config *c)
{
	folder_ro(p, c->schemas);
	folder_ro(p, c->certs);
	place_ro(p, c, c->tsa);
	folder_ro(p, "/usr");
	folder_ro(p, "/etc");
	folder_ro(p, "/proc");
	folder_ro(p, "/sys");
	folder_ro(p, "/dev/urandom");
	file_ro(p, c, c->principals);
	file_ro(p, c, c->tls_cert);
	file_ro(p, c, c->tls_key);
	file_ro(p, c, c->tls_client_ca);
	file_ro(p, c, c->mirror_cert);
	file_ro(p, c, c->mirror_key);
	file_ro(p, c, c->mirror_ca);
	file_ro(p, c, c->font_regular);
	file_ro(p, c, c->font_bold);
	file_ro(p, c, c->font_italic);
	file_ro(p, c, c->font_bold_italic);
}

/* Asked of the kernel, not of our list: can the folder be opened from here? */
static enum status out_of_reach(const char *what, const char *setting, const char *folder,
				struct error *e)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		log_info("engine", "as it must be, this process cannot open the %s (%s)", what,
			 strerror(errno));
		return ST_OK;
	}
	close(fd);
	return error_set(e, ST_INVALID,
			 "%s = %s: the engine's process can open the %s; put it beside "
			 "the folders that the engine reads, not into one",
			 setting, folder, what);
}

enum status engine_sandbox(const struct config *c, struct error *e)
{
	struct paths *p = calloc(1, sizeof(*p));
	struct landlock_paths l;
	enum status st;

	if (p == NULL)
		return ST_NOMEM;
	st = folders_make(p, c, e);
	if (st == ST_OK) {
		folders_name(p, c);
		st = store_files(p, c, e);
	}
	if (st == ST_OK) {
		l = (struct landlock_paths){ p->rw, p->rw_n, p->ro, p->ro_n };
		st = landlock_exclude_others(&l, e);
		if (st == ST_OK)
			st = out_of_reach("key folder", "keys", c->keys, e);
		if (st == ST_OK)
			st = out_of_reach("remote secrets", "remote_secrets",
					  c->remote_secrets, e);
	}
	free(p);
	return st == ST_UNSUPPORTED ? ST_OK : st;
}

/* ---- signals ---- */

/* certs: the signers have read theirs (supervisor.h). */
static void reload(struct engine *g, bool certs)
{
	struct error e = { 0 };

	if (intake_reload_principals(g->intake, &e) != ST_OK)
		log_error("reload", "principals stay as they were: %s", e.text);
	if (g->config.tls_cert[0] != '\0' && intake_reload_tls(g->intake, &e) != ST_OK)
		log_error("reload", "TLS stays as it was: %s", e.text);
	/* Last: whoever waits for the log to say so finds all of it in force. */
	if (spine_reload(g->spine, certs, &e) != ST_OK)
		log_error("reload", "catalogue and certificates stay as they were: %s", e.text);
	else if (certs)
		log_info("reload", "catalogue and certificates were read again");
	else
		log_warn("reload", "catalogue was read again, certificates stay, as the keys do");
}

static void *signals_main(void *arg)
{
	struct engine *g = arg;
	siginfo_t info;
	int signo;

	while ((signo = sigwaitinfo(&g->set, &info)) > 0 || errno == EINTR) {
		if (signo == SIGHUP) {
			reload(g, info.si_code != SI_QUEUE ||
			       info.si_value.sival_int != RELOAD_KEEPS_CERTS);
			continue;
		}
		if (signo < 0)
			continue;
		log_info("engine", "draining, at most %u ms", g->config.drain_ms);
		if (!intake_drain(g->intake, g->config.drain_ms))
			log_warn("engine", "some calls had no answer yet");
		atomic_store(&g->spine->stop, true);
		return NULL;
	}
	return NULL;
}

/* ---- start and end ---- */

static enum status listen_up(struct engine *g, struct error *e)
{
	const struct config *c = &g->config;
	struct intake_config ic = { .listen = c->listen, .listen_n = c->listen_n,
				    .sockets = g->sockets, .principals = c->principals,
				    .insecure_loopback = c->insecure_loopback,
				    .tls_cert = c->tls_cert, .tls_key = c->tls_key,
				    .tls_client_ca = c->tls_client_ca,
				    .threads = c->intake_threads, .readers = c->reader_threads,
				    .quota_mb = c->quota_mb };
	struct engine_ops ops;
	enum status st;

	reads_ops(g->spine, &ops);
	st = intake_start(&g->intake, &ic, &ops, e);
	if (st != ST_OK)
		return st;
	g->spine->intake = g->intake;
	for (uint32_t i = 0; i < c->listen_n; i++) {
		if (intake_port(g->intake, i) != 0)
			log_info("engine", "listening on %s (port %u)", c->listen[i],
				 intake_port(g->intake, i));
		else
			log_info("engine", "listening on %s", c->listen[i]);
	}
	if (c->metrics[0] != '\0')
		st = metrics_start(&g->metrics, c->metrics, g->spine, e);
	return st;
}

static enum status recover(struct engine *g, struct error *e)
{
	enum status st = ST_OK;

	for (int i = 0; i < LOCK_TRIES; i++) {
		st = spine_new(&g->spine, &g->config, CHILD_FD, e);
		if (st == ST_OK)
			st = spine_recover(g->spine, e);
		if (st != ST_EXISTS)
			return st;
		spine_free(g->spine);
		g->spine = NULL;
		usleep(100 * 1000);
	}
	return st;
}

static enum status start(struct engine *g, struct error *e)
{
	const struct config *c = &g->config;
	enum status st = dir_make(c->data, 0700, e);

	/* The socket stands beside the key folder, where nothing may be made behind the sandbox. */
	if (st == ST_OK)
		st = intake_bind(g->sockets, c->listen, c->listen_n, e);
	if (st == ST_OK)
		st = engine_sandbox(c, e);
	if (st == ST_OK)
		st = recover(g, e);
	if (st == ST_OK)
		st = spine_start(g->spine, e);
	if (st == ST_OK)
		st = listen_up(g, e);
	if (st == ST_OK && pthread_create(&g->signals, NULL, signals_main, g) != 0)
		st = error_set(e, ST_NOMEM, "no thread for signals");
	if (st == ST_OK)
		intake_set_serving(g->intake, true);
	return st;
}

int engine_main(int argc, char **argv)
{
	static struct engine g;		/* to the end of the process, as its strings */
	struct error e = { 0 };
	enum status st = config_load(&g.config, argc, argv, &e);

	if (st != ST_OK) {
		log_error("config", "%s", e.text);
		return EX_CONFIG;
	}
	config_log(&g.config, "engine");
	if (g.config.workers == 0)
		g.config.workers = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
	if (g.config.workers > WORKERS_MAX)
		g.config.workers = WORKERS_MAX;
	sigemptyset(&g.set);
	sigaddset(&g.set, SIGTERM);
	sigaddset(&g.set, SIGINT);
	sigaddset(&g.set, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &g.set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);	/* a file at its limit is a failed write, told as such */
	st = start(&g, &e);
	if (st == ST_OK) {
		log_info("engine", "ready on %s and %s", io_name(g.spine->io),
			 g.spine->store->ops->name);
		st = spine_run(g.spine, &e);
	}
	if (st != ST_OK)
		log_error("engine", "%s: %s", status_name(st), e.text);
	/* What is not settled stands in the journal; the rest of memory needs no ceremony then. */
	if (st != ST_OK || !spine_settled(g.spine))
		_exit(exit_code_of(st));
	pthread_join(g.signals, NULL);
	metrics_stop(g.metrics);
	intake_stop(g.intake);
	spine_free(g.spine);
	log_info("engine", "stopped");
	return 0;
}
