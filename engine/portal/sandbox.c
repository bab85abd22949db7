#include "portal/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/landlock.h"
#include "base/log.h"
#include "store/postgres/servers.h"

#define PATHS_MAX 64
#define PATH_BYTES 4096
#define DESCRIPTORS_OTHERS 256		/* beside connections */

struct paths {
	char text[PATHS_MAX][PATH_BYTES];
	const char *ro[PATHS_MAX];
	size_t n;
};

static void path_add(void *ctx, const char *path)
{
	struct paths *p = ctx;

	if (p->n == PATHS_MAX || path[0] == '\0' || access(path, R_OK) != 0)
		return;
	snprintf(p->text[p->n], PATH_BYTES, "%s", path);
	p->ro[p->n] = p->text[p->n];
	p->n++;
}

/* What is made after this stays out of reach: where it will be missed, that is said. */
static void below_data(struct paths *p, const struct config *c, const char *name, bool missed)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/%s", c->data, name);
	if (missed && access(path, F_OK) != 0)
		log_warn("portal", "%s is not there: start the portal again once the engine has "
			 "made it", path);
	path_add(p, path);
}

static enum status paths_name(struct paths *p, const struct config *c, struct error *e)
{
	/* Libraries that are loaded late, the resolver's files, the list of CAs. */
	static const char *const system[] = { "/usr", "/lib", "/lib64", "/etc", "/proc/self",
		"/proc/sys", "/proc/cpuinfo", "/proc/stat", "/sys/devices/system/cpu",
		"/run/systemd/resolve", "/dev/urandom", "/dev/null" };
	struct pg_servers servers;
	enum status st = ST_OK;

	below_data(p, c, "store", strcmp(c->store, "embedded") == 0);
	below_data(p, c, "identity", true);
	below_data(p, c, "catalogue", false);
	path_add(p, c->schemas);
	path_add(p, c->certs);
	path_add(p, c->tsa);
	for (size_t i = 0; i < ARRAY_LEN(system); i++)
		path_add(p, system[i]);
	if (strcmp(c->store, "postgres") == 0) {
		st = pg_servers_read(&servers, c->postgres, c->postgres_n, false, "", e);
		if (st == ST_OK)
			pg_server_files(&servers, path_add, p);
	}
	return st;
}

/* Asked of the kernel, not of our list. */
static enum status out_of_reach(const char *folder, struct error *e)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return ST_OK;
	close(fd);
	return error_set(e, ST_INVALID, "keys = %s: the portal's process can open the key folder; "
			 "put it beside the folders that the portal reads, not into one", folder);
}

static enum status files_shut(const struct config *c, struct error *e)
{
	struct paths *p = calloc(1, sizeof(*p));
	struct landlock_paths l = { .rw_n = 0 };
	enum status st = p == NULL ? ST_NOMEM : paths_name(p, c, e);

	if (st == ST_OK) {
		l.ro = p->ro;
		l.ro_n = p->n;
		st = landlock_exclude_others(&l, e);
	}
	if (st == ST_OK)
		st = out_of_reach(c->keys, e);
	free(p);
	return st == ST_UNSUPPORTED ? ST_OK : st;
}

static enum status limits(const struct config *c, struct error *e)
{
	struct rlimit none = { 0, 0 }, files;
	rlim_t want = c->portal.connections + DESCRIPTORS_OTHERS;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return error_set(e, ST_IO, "the portal's limits: %s", strerror(errno));
	if (files.rlim_max < want) {
		log_warn("portal", "only %llu files may be open at once: with fewer connections "
			 "than portal_connections = %u some will wait",
			 (unsigned long long)files.rlim_max, c->portal.connections);
		want = files.rlim_max;
	}
	files.rlim_cur = want;
	if (setrlimit(RLIMIT_CORE, &none) != 0 || setrlimit(RLIMIT_NOFILE, &files) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return error_set(e, ST_IO, "the portal cannot protect its memory: %s",
				 strerror(errno));
	return ST_OK;
}

static const int forbidden[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(listen),
	SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev),
	SCMP_SYS(pidfd_getfd), SCMP_SYS(bpf), SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open),
	SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(mount),
	SCMP_SYS(umount2), SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(chroot),
	SCMP_SYS(pivot_root), SCMP_SYS(init_module), SCMP_SYS(finit_module),
	SCMP_SYS(kexec_load), SCMP_SYS(reboot), SCMP_SYS(swapon), SCMP_SYS(swapoff),
	SCMP_SYS(settimeofday), SCMP_SYS(clock_settime), SCMP_SYS(io_uring_setup),
};

static enum status calls_shut(struct error *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ALLOW);
	int rc = f == NULL ? -ENOMEM : 0;

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(forbidden); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
	if (rc == 0)
		rc = seccomp_load(f);
	if (f != NULL)
		seccomp_release(f);
	return rc == 0 ? ST_OK : error_set(e, ST_IO, "the portal's system call filter: %s; the "
					   "kernel must offer seccomp", strerror(-rc));
}

enum status portal_sandbox(const struct config *c, struct error *e)
{
	enum status st = limits(c, e);

	if (st == ST_OK)
		st = files_shut(c, e);
	return st == ST_OK ? calls_shut(e) : st;
}
