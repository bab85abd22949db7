#include "foreign/sandbox.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/landlock.h"

#define DESCRIPTORS_MAX 64
#define FILTER_MAX 512			/* instructions */

struct foreign_sandbox {
	uint64_t here_bytes;		/* address space before the first file */
	struct sock_fprog program;
	struct sock_filter filter[FILTER_MAX];
};

static const int of_child[] = {
	SCMP_SYS(sendmsg), SCMP_SYS(sendto), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday),
	SCMP_SYS(restart_syscall), SCMP_SYS(sched_yield), SCMP_SYS(getpid), SCMP_SYS(gettid),
#ifdef __SANITIZE_ADDRESS__
	/* Its runtime names the stack, and says on which line. */
	SCMP_SYS(write), SCMP_SYS(sigaltstack), SCMP_SYS(sched_getaffinity), SCMP_SYS(prlimit64),
#endif
};

static const int of_process[] = {
	SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(clone), SCMP_SYS(wait4), SCMP_SYS(kill),
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(recvmsg),
	SCMP_SYS(close), SCMP_SYS(close_range), SCMP_SYS(dup2), SCMP_SYS(getppid),
	SCMP_SYS(prctl), SCMP_SYS(prlimit64), SCMP_SYS(setrlimit), SCMP_SYS(seccomp),
	SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(nanosleep), SCMP_SYS(fstat),
	SCMP_SYS(newfstatat), SCMP_SYS(clock_nanosleep), SCMP_SYS(set_tid_address),
};

static int allow(scmp_filter_ctx f, const int *calls, size_t n)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, calls[i], 0);
	return rc;
}

static int allow_of_child(scmp_filter_ctx f)
{
	static const int mapping[] = { SCMP_SYS(mmap), SCMP_SYS(mprotect) };
	int rc = allow(f, of_child, ARRAY_LEN(of_child));

	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(mapping); i++)
		rc = seccomp_rule_add(f, SCMP_ACT_ALLOW, mapping[i], 1,
				      SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return rc;
}

static enum status failed(struct error *e, int rc)
{
	return error_set(e, ST_IO, "the system call filter for foreign documents: %s; the kernel "
			 "must offer seccomp", strerror(-rc));
}

/* As a program, so that no child has to make it. */
static enum status child_filter(struct foreign_sandbox *s, struct error *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int fd = memfd_create("filter", MFD_CLOEXEC);
	int rc = f == NULL || fd < 0 ? -ENOMEM : allow_of_child(f);
	ssize_t n = 0;

	if (rc == 0)
		rc = seccomp_export_bpf(f, fd);
	if (rc == 0)
		n = pread(fd, s->filter, sizeof(s->filter), 0);
	if (rc == 0 && (n <= 0 || n == (ssize_t)sizeof(s->filter)))
		rc = -E2BIG;
	s->program = (struct sock_fprog){ (unsigned short)((size_t)n / sizeof(s->filter[0])),
					  s->filter };
	if (fd >= 0)
		close(fd);
	if (f != NULL)
		seccomp_release(f);
	return rc == 0 ? ST_OK : failed(e, rc);
}

static enum status process_filter(struct error *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int rc = f == NULL ? -ENOMEM : allow_of_child(f);

	if (rc == 0)
		rc = allow(f, of_process, ARRAY_LEN(of_process));
	/* glibc falls back to clone. */
	if (rc == 0)
		rc = seccomp_rule_add(f, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (rc == 0)
		rc = seccomp_load(f);
	if (f != NULL)
		seccomp_release(f);
	return rc == 0 ? ST_OK : failed(e, rc);
}

static uint64_t address_space(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu", &pages) != 1)
		pages = 0;
	fclose(f);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static enum status limits(struct error *e)
{
	struct rlimit none = { 0, 0 }, files = { DESCRIPTORS_MAX, DESCRIPTORS_MAX };

	if (setrlimit(RLIMIT_CORE, &none) != 0 || setrlimit(RLIMIT_NOFILE, &files) != 0 ||
	    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
		return error_set(e, ST_IO, "the process for foreign documents cannot be limited: "
				 "%s", strerror(errno));
	return ST_OK;
}

enum status foreign_sandbox_enter(struct foreign_sandbox **child, struct error *e)
{
	struct foreign_sandbox *s = calloc(1, sizeof(*s));
	struct landlock_paths nothing = { .rw_n = 0 };
	enum status st = s == NULL ? ST_NOMEM : ST_OK;

	*child = s;
	if (st == ST_OK) {
		s->here_bytes = address_space();
		st = limits(e);
	}
	if (st == ST_OK)
		st = child_filter(s, e);
	if (st == ST_OK)
		st = landlock_exclude_others(&nothing, e);
	if (st == ST_OK || st == ST_UNSUPPORTED)
		st = process_filter(e);
	return st;
}

enum status foreign_sandbox_child(const struct foreign_sandbox *s, uint32_t cpu_s, uint64_t memory)
{
	struct rlimit none = { 0, 0 }, time = { cpu_s, cpu_s + 1 };

	/* The sanitizer's shadow is larger than any machine. */
#ifndef __SANITIZE_ADDRESS__
	struct rlimit space = { s->here_bytes + memory, s->here_bytes + memory };

	if (s->here_bytes == 0 || setrlimit(RLIMIT_AS, &space) != 0)
		return ST_IO;
#endif
	if (setrlimit(RLIMIT_CPU, &time) != 0 || setrlimit(RLIMIT_FSIZE, &none) != 0 ||
	    setrlimit(RLIMIT_NPROC, &none) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &s->program) != 0)
		return ST_IO;
	return ST_OK;
}

void foreign_sandbox_free(struct foreign_sandbox *s)
{
	free(s);
}
