#include "remote/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/landlock.h"

#define DESCRIPTORS_MAX 8192			/* calls of all services, at most */

enum status remote_sandbox_prepare(struct error *e)
{
	struct rlimit none = { 0, 0 }, files;

	if (getrlimit(RLIMIT_NOFILE, &files) != 0)
		return error_set(e, ST_IO, "the remote signer's limits: %s", strerror(errno));
	if (files.rlim_max > DESCRIPTORS_MAX)
		files.rlim_max = DESCRIPTORS_MAX;
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_CORE, &none) != 0 || setrlimit(RLIMIT_NOFILE, &files) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return error_set(e, ST_IO, "the remote signer cannot protect its memory: %s",
				 strerror(errno));
	return ST_OK;
}

/* The resolver's files, and the libraries that it loads when it is first asked. */
static const char *const resolver[] = { "/etc/resolv.conf", "/etc/hosts", "/etc/host.conf",
	"/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services", "/etc/ld.so.cache", "/lib",
	"/lib64", "/usr/lib", "/run/systemd/resolve", "/dev/urandom", "/dev/null" };

static enum status files_shut(struct error *e)
{
	const char *there[ARRAY_LEN(resolver)];
	struct landlock_paths paths = { .ro = there };
	enum status st;

	for (size_t i = 0; i < ARRAY_LEN(resolver); i++)
		if (access(resolver[i], R_OK) == 0)
			there[paths.ro_n++] = resolver[i];
	st = landlock_exclude_others(&paths, e);
	return st == ST_UNSUPPORTED ? ST_OK : st;
}

static const int forbidden[] = {
	SCMP_SYS(execve), SCMP_SYS(execveat), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(ptrace),
	SCMP_SYS(process_vm_readv), SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd),
	SCMP_SYS(bpf), SCMP_SYS(userfaultfd), SCMP_SYS(perf_event_open), SCMP_SYS(keyctl),
	SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(mount), SCMP_SYS(umount2),
	SCMP_SYS(setns), SCMP_SYS(unshare), SCMP_SYS(chroot), SCMP_SYS(pivot_root),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(kexec_load), SCMP_SYS(reboot),
	SCMP_SYS(swapon), SCMP_SYS(swapoff), SCMP_SYS(settimeofday), SCMP_SYS(clock_settime),
};

enum status remote_sandbox_enter(struct error *e)
{
	scmp_filter_ctx f;
	enum status st = files_shut(e);
	int rc;

	if (st != ST_OK)
		return st;
	f = seccomp_init(SCMP_ACT_ALLOW);
	rc = f == NULL ? -ENOMEM : 0;
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(forbidden); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(EPERM), forbidden[i], 0);
	if (rc == 0)
		rc = seccomp_load(f);
	if (f != NULL)
		seccomp_release(f);
	return rc == 0 ? ST_OK : error_set(e, ST_IO, "the remote signer's system call filter: %s; "
					   "the kernel must offer seccomp", strerror(-rc));
}
