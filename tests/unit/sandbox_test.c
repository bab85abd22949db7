#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "signer/sandbox.h"

static const struct sandbox_needs nothing;

/* In a child: code 0 = all as expected, else the number of the step that was not. */
static int in_child(int (*body)(void))
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(body());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int refused(long rc)
{
	return rc < 0 && errno == EPERM;
}

static int inside(void)
{
	int pair[2];
	char c = 'x';
	void *page;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || sandbox_prepare(NULL) != ST_OK)
		return 1;
	if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
		return 2;
	if (sandbox_enter(&nothing, NULL) != ST_OK)
		return 3;
	if (!refused(open("/etc/passwd", O_RDONLY)))
		return 4;
	if (!refused(socket(AF_INET, SOCK_STREAM, 0)))
		return 5;
	if (!refused(fork()))
		return 6;
	if (!refused(execl("/bin/true", "true", NULL)))
		return 7;
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return 8;
	if (!refused(mprotect(page, 4096, PROT_READ | PROT_EXEC)))
		return 9;
	if (send(pair[0], &c, 1, 0) != 1 || recv(pair[1], &c, 1, 0) != 1)
		return 10;
	if (!refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)))
		return 11;
	return 0;
}

static void nothing_but_the_open_socket_is_left(void **state)
{
	assert_int_equal(in_child(inside), 0);
}

static void *try_open(void *go)
{
	char c;

	if (read(*(int *)go, &c, 1) != 1)
		return (void *)1;
	return (void *)(long)!refused(open("/etc/passwd", O_RDONLY));
}

static int with_a_thread(void)
{
	int go[2];
	pthread_t t;
	void *result;

	if (pipe(go) != 0 || pthread_create(&t, NULL, try_open, &go[0]) != 0)
		return 1;
	if (sandbox_enter(&nothing, NULL) != ST_OK || write(go[1], "x", 1) != 1)
		return 2;
	if (pthread_join(t, &result) != 0)
		return 3;
	return result == NULL ? 0 : 4;
}

static void threads_that_exist_are_shut_in_too(void **state)
{
	assert_int_equal(in_child(with_a_thread), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_but_the_open_socket_is_left),
		cmocka_unit_test(threads_that_exist_are_shut_in_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
