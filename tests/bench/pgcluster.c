#include "pgcluster.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tmpdir.h"

static const char settings[] =
	"listen_addresses = ''\nshared_buffers = '512MB'\nmax_wal_size = '16GB'\n"
	"checkpoint_timeout = '1h'\nautovacuum = off\nmax_connections = 40\ntimezone = 'UTC'\n";

/* The newest server's folder of programs. */
static bool programs(struct pgcluster *c)
{
	glob_t found;
	int version = 0;

	if (glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found) != 0)
		return false;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		const char *path = found.gl_pathv[i];
		int v = atoi(path + strlen("/usr/lib/postgresql/"));

		if (v > version)
			snprintf(c->bin, sizeof(c->bin), "%.*s",
				 (int)(strlen(path) - strlen("/initdb")), path);
		version = v > version ? v : version;
	}
	globfree(&found);
	return version > 0;
}

static bool run(const struct pgcluster *c, const char *program, const char *const *args)
{
	char path[300];
	const char *argv[16] = { path };
	int status, fd;
	pid_t pid;

	snprintf(path, sizeof(path), "%s/%s", c->bin, program);
	for (int i = 0; args[i] != NULL; i++)
		argv[i + 1] = args[i];
	pid = fork();
	if (pid == 0) {
		if (getuid() == 0 && (setgroups(0, NULL) != 0 || setgid(c->gid) != 0 ||
				      setuid(c->uid) != 0))
			_exit(126);
		fd = open("/dev/null", O_RDWR);
		dup2(fd, 0);
		dup2(fd, 1);
		if (chdir(c->folder) == 0)
			execv(path, (char *const *)argv);
		_exit(127);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool configure(struct pgcluster *c)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/postgresql.conf", c->data);
	f = fopen(path, "a");
	if (f == NULL)
		return false;
	fprintf(f, "%sunix_socket_directories = '%s'\n", settings, c->folder);
	return fclose(f) == 0;
}

static pid_t postmaster(const struct pgcluster *c)
{
	char path[128];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/postmaster.pid", c->data);
	f = fopen(path, "r");
	if (f == NULL || fscanf(f, "%d", &pid) != 1)
		pid = 0;
	if (f != NULL)
		fclose(f);
	return pid;
}

const char *pgcluster_start(struct pgcluster *c)
{
	const char *const init[] = { "-D", c->data, "-U", "trien", "-A", "trust", "-E", "UTF8",
				     "--locale=C.UTF-8", "-k", "-N", NULL };
	char log[90];
	const char *const start[] = { "-D", c->data, "-l", log, "-w", "-t", "60", "start", NULL };
	struct passwd *who = getpwnam("postgres");

	*c = (struct pgcluster){ .uid = getuid(), .gid = getgid() };
	if (!programs(c))
		return "no PostgreSQL server is installed";
	if (getuid() == 0 && who == NULL && (who = getpwnam("nobody")) == NULL)
		return "no unprivileged user to run PostgreSQL as";
	if (getuid() == 0) {
		c->uid = who->pw_uid;
		c->gid = who->pw_gid;
	}
	/* Short: a socket's path has a bound. */
	snprintf(c->folder, sizeof(c->folder), "/tmp/trien-pg-XXXXXX");
	if (mkdtemp(c->folder) == NULL || chmod(c->folder, 0711) != 0 ||
	    chown(c->folder, c->uid, c->gid) != 0)
		return "no folder for a PostgreSQL of our own";
	snprintf(c->data, sizeof(c->data), "%s/data", c->folder);
	snprintf(log, sizeof(log), "%s/log", c->folder);
	if (!run(c, "initdb", init) || !configure(c) || !run(c, "pg_ctl", start))
		return "a PostgreSQL of our own does not start";
	c->postmaster = postmaster(c);
	return NULL;
}

void pgcluster_stop(struct pgcluster *c)
{
	const char *const stop[] = { "-D", c->data, "-m", "immediate", "-w", "stop", NULL };
	struct tmpdir t;

	if (c->postmaster > 0)
		(void)run(c, "pg_ctl", stop);
	snprintf(t.path, sizeof(t.path), "%s", c->folder);
	tmpdir_remove(&t);
}

void pgcluster_conninfo(const struct pgcluster *c, const char *database, char *out, size_t room)
{
	snprintf(out, room, "host=%s dbname=%s user=trien", c->folder, database);
}

static uint64_t process_ns(const char *pid, pid_t parent)
{
	char path[300], line[400], *p;
	unsigned long long ns = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stat", pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	p = fgets(line, sizeof(line), f);
	fclose(f);
	if (p == NULL || (p = strrchr(line, ')')) == NULL ||
	    (atoi(pid) != parent && atoi(p + 4) != parent))
		return 0;
	snprintf(path, sizeof(path), "/proc/%s/schedstat", pid);
	f = fopen(path, "r");
	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu", &ns) != 1)
		ns = 0;
	fclose(f);
	return ns;
}

uint64_t pgcluster_cpu_ns(const struct pgcluster *c)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	uint64_t ns = 0;

	while (dir != NULL && (d = readdir(dir)) != NULL)
		if (isdigit((unsigned char)d->d_name[0]))
			ns += process_ns(d->d_name, c->postmaster);
	if (dir != NULL)
		closedir(dir);
	return ns;
}
