#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/landlock.h"
#include "tmpdir.h"

#define UNSUPPORTED 77

static int in_child(int (*body)(const char *dir), const char *dir)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body(dir));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int open_at(const char *dir, const char *name, int flags)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static int restricted(const char *dir)
{
	char rw[300], ro[300], from[400], to[400];
	const char *rws[] = { rw }, *ros[] = { ro };
	struct landlock_paths paths = { rws, 1, ros, 1 };
	enum status st;

	snprintf(rw, sizeof(rw), "%s/journal", dir);
	snprintf(ro, sizeof(ro), "%s/certs/keys.json", dir);
	st = landlock_exclude_others(&paths, NULL);
	if (st == ST_UNSUPPORTED)
		return UNSUPPORTED;
	if (st != ST_OK)
		return 1;
	if (open_at(dir, "keys/a.pem", O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (open_at(dir, "keys", O_RDONLY | O_DIRECTORY) >= 0 || errno != EACCES)
		return 3;
	if (open_at(dir, "journal/new", O_RDWR | O_CREAT) < 0)
		return 4;
	if (open_at(dir, "certs/keys.json", O_RDONLY) < 0)
		return 5;
	if (open_at(dir, "certs/keys.json", O_RDWR) >= 0 || errno != EACCES)
		return 6;
	/* Nor can the key be moved to where we may read. */
	snprintf(from, sizeof(from), "%s/keys/a.pem", dir);
	snprintf(to, sizeof(to), "%s/journal/a.pem", dir);
	if (rename(from, to) == 0 || link(from, to) == 0)
		return 7;
	return 0;
}

static int missing(const char *dir)
{
	char rw[300];
	const char *rws[] = { rw };
	struct landlock_paths paths = { rws, 1, NULL, 0 };
	struct error e = { 0 };
	enum status st;

	snprintf(rw, sizeof(rw), "%s/none", dir);
	st = landlock_exclude_others(&paths, &e);
	if (st == ST_UNSUPPORTED)
		return UNSUPPORTED;
	if (st != ST_NOT_FOUND || strstr(e.text, "/none") == NULL)
		return 1;
	/* Nothing was restricted. */
	return open_at(dir, "keys/a.pem", O_RDONLY) >= 0 ? 0 : 2;
}

static int setup(void **state)
{
	static struct tmpdir t;
	static const char *const folders[] = { "keys", "certs", "journal" };
	static const char *const files[] = { "keys/a.pem", "certs/keys.json" };
	char path[400];

	*state = &t;
	if (tmpdir_make(&t) != 0)
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", t.path, folders[i]);
		if (mkdir(path, 0700) != 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		int fd = open_at(t.path, files[i], O_WRONLY | O_CREAT);

		if (fd < 0 || close(fd) != 0)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	tmpdir_remove(*state);
	return 0;
}

static void check(int code)
{
	if (code == UNSUPPORTED)
		skip();		/* this kernel has none; the engine warns and goes on */
	assert_int_equal(code, 0);
}

static void only_the_named_paths_are_left(void **state)
{
	check(in_child(restricted, ((struct tmpdir *)*state)->path));
}

static void a_missing_path_restricts_nothing(void **state)
{
	check(in_child(missing, ((struct tmpdir *)*state)->path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_named_paths_are_left),
		cmocka_unit_test(a_missing_path_restricts_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
