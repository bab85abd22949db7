/*
 * The process that looks into others' files: a child that crashes, hangs, eats memory or tries to
 * get out costs its file alone. What the children do is said by the file's first byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "foreign/foreign.h"
#include "limits.h"

#define ARENA_BYTES (1024 * 1024)
#define CALLERS 12
#define PATIENCE_MS 10000

/* link: a second descriptor of the process's door, for what the client side never does. */
struct rig { struct foreign *foreign; struct arena arena; pid_t pid; int control[2], link; };

/* ---- what children do ---- */

static bool refused(long rc)
{
	return rc < 0 && errno == EPERM;
}

static unsigned int descriptors(void)
{
	unsigned int n = 0;

	/* Nothing is sent: there is no such message on these sockets. */
	for (int fd = 0; fd < 1024; fd++)
		n += send(fd, "x", 1, MSG_OOB) < 0 && errno != EBADF;
	return n;
}

/* The name of what it could do; "": nothing. */
static const char *escape(const void *file)
{
	const char *no = "";

	if (!refused(open("/etc/passwd", O_RDONLY)) || !refused(open("/tmp/x", O_CREAT, 0600)))
		no = "open";
	if (!refused(socket(AF_INET, SOCK_STREAM, 0)) || !refused(socket(AF_UNIX, SOCK_DGRAM, 0)))
		no = "socket";
	if (!refused(execl("/bin/true", "true", NULL)))
		no = "exec";
	if (!refused(fork()) || !refused(syscall(SYS_vfork)))
		no = "fork";
	if (!refused(kill(getpid(), 0)) || !refused(ptrace(PTRACE_TRACEME, 0, 0, 0)))
		no = "kill";
	if (!refused((long)mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
				0)) || !refused(mprotect((void *)file, 4096, PROT_EXEC)))
		no = "code";
	if (!refused(unlink("/tmp/x")) || !refused(syscall(SYS_memfd_create, "x", 0)))
		no = "file";
	if (!refused(ftruncate(3, 0)))
		no = "truncate";
	return no;
}

static void memory(void)
{
	size_t n = 0;

	for (;; n++) {
		char *p = malloc(1 << 20);

		if (p == NULL)
			return;
		memset(p, 1, 1 << 20);
		if (n > 4096)
			_exit(1);
	}
}

/* On the child's socket for its answer, whichever that is: more than an answer may have. */
static void answer_too_much(const struct original *o)
{
	static uint8_t bytes[FOREIGN_ANSWER_BYTES_MAX + 4096];
	struct foreign_verdict good = { .why = REASON_NONE };
	struct writer w = writer_of(bytes, sizeof(bytes));

	foreign_write(&w, o, &good);
	for (int fd = 0; fd < 1024; fd++)
		if (send(fd, bytes, sizeof(bytes), MSG_NOSIGNAL) == (ssize_t)sizeof(bytes))
			break;
}

/* Its answer's socket takes nothing more, not the smallest answer. */
static void fill(void)
{
	for (int fd = 0; fd < 1024; fd++)
		while (send(fd, "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) == 1)
			;
}

static enum reason act(struct slice file, bool own, struct arena *a, struct original *out,
		       char detail[FOREIGN_DETAIL_BYTES])
{
	static const struct original_source source = { .id = { 7 } };
	static struct original_run run = { 0, 1 };
	static struct original_image m = { .width = 2, .height = 3, .coding = IMAGE_JPEG,
		.components = 1, .bits = 8, .orientation = 1, .page_width = 4, .page_height = 5,
		.shown_width = 4, .shown_height = 5, .runs_n = 1, .runs = &run };

	*out = (struct original){ .format = file.p[0] == 'x' ? 99 : ORIGINAL_JPEG, .pages = 1,
				  .size = (uint32_t)file.n, .images_n = 1, .images = &m };
	if (own)
		*out = (struct original){ .format = ORIGINAL_PDF, .wrapped = ORIGINAL_OWN,
					  .size = (uint32_t)file.n, .pages = 7 };
	if (file.p[0] == 'n')
		out->source = &source;
	switch (file.p[0]) {
	case 'r':
		memcpy(detail, "why", 4);
		return REASON_ORIGINAL_JUNK;
	case 'c':
		*(volatile int *)NULL = 1;
		break;
	case 'a':
		abort();
	case 'h':
		for (;;)
			;
	case 'l':
		answer_too_much(out);
		break;
	case 'q':
		_exit(0);
	case 'b':
		_exit(EX_OSERR);
	case 'f':
		fill();
		_exit(0);
	case 'm':
		memory();
		memcpy(detail, "memory", 7);
		return REASON_ORIGINAL_TOO_LARGE;
	case 'e':
		snprintf(detail, FOREIGN_DETAIL_BYTES, "%s", escape(file.p));
		return REASON_ORIGINAL_JUNK;
	case 'd':
		snprintf(detail, FOREIGN_DETAIL_BYTES, "%u", descriptors());
		return REASON_ORIGINAL_JUNK;
	default:
		break;
	}
	return REASON_NONE;
}

/* What a judge does, by the file's first byte; the roots come back behind it. */
static size_t judge(struct slice file, struct slice roots, uint8_t *out, size_t max)
{
	if (file.p[0] == 'c')
		abort();
	while (file.p[0] == 'h')
		;
	if (file.p[0] == 'm')
		memory();
	if (file.p[0] == 'e')
		return (size_t)snprintf((char *)out, max, "%s.", escape(file.p));
	if (file.p[0] == 'd')
		return (size_t)snprintf((char *)out, max, "%u", descriptors());
	if (file.p[0] != 'g')
		return 0;
	out[0] = 'g';
	memcpy(out + 1, roots.p, roots.n);
	return 1 + roots.n;
}

/* ---- the rig ---- */

static void start(struct rig *r, uint32_t wall_ms)
{
	struct foreign_config c = { .cpu_s = 1, .wall_ms = wall_ms, .work_bytes = 96 << 20,
				    .look = act, .judge = judge };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	r->pid = fork();
	assert_true(r->pid >= 0);
	if (r->pid == 0) {
		close(pair[0]);
		signal(SIGSEGV, SIG_DFL);	/* cmocka's own, before */
		c.socket = pair[1];
		_exit(foreign_run(&c));
	}
	close(pair[1]);
	r->link = fcntl(pair[0], F_DUPFD_CLOEXEC, 0);
	foreign_set(r->foreign, pair[0]);
}

static void stop(struct rig *r)
{
	int status;

	foreign_set(r->foreign, -1);
	close(r->link);
	assert_int_equal(waitpid(r->pid, &status, 0), r->pid);
	assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

static int file_of(const char *text)
{
	int fd = memfd_create("original", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	return fd;
}

static enum status ask(struct rig *r, struct arena *a, const char *text, bool own,
		       struct original *o, struct foreign_verdict *v)
{
	struct foreign_file f = { .fd = file_of(text), .size = (uint32_t)strlen(text),
				  .sha256 = { 1, 2, 3 }, .own = own };
	enum status st;

	arena_reset(a);
	st = foreign_inspect(r->foreign, &f, a, o, v);
	close(f.fd);
	return st;
}

static void gives(struct rig *r, const char *text, enum reason why, const char *detail)
{
	struct foreign_verdict v;
	struct original o;

	assert_int_equal(ask(r, &r->arena, text, false, &o, &v), ST_OK);
	assert_string_equal(reason_text(v.why)->name, reason_text(why)->name);
	if (detail != NULL)
		assert_string_equal(v.detail, detail);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	*state = r;
	if (r == NULL || arena_init(&r->arena, ARENA_BYTES) != ST_OK ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, r->control) != 0 ||
	    foreign_new(&r->foreign, r->control[0], PATIENCE_MS, NULL) != ST_OK)
		return -1;
	start(r, 10000);
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	stop(r);
	foreign_free(r->foreign);
	arena_free(&r->arena);
	close(r->control[0]);
	close(r->control[1]);
	free(r);
	return 0;
}

/* The judgement's bytes as text, "" where there is none; how: what became of the child. */
static enum status judged(struct rig *r, const char *text, char out[64],
			  struct foreign_verdict *how)
{
	struct foreign_case c = { file_of(text), file_of("roots"), (uint32_t)strlen(text), 5 };
	uint8_t bytes[FOREIGN_JUDGEMENT_BYTES_MAX];
	size_t n = 0;
	enum status st = foreign_judge(r->foreign, &c, bytes, &n, how);

	assert_true(n < 64);
	memcpy(out, bytes, n);
	out[n] = '\0';
	close(c.fd);
	close(c.roots_fd);
	return st;
}

/* ---- the tests ---- */

static void judgements(void **state)
{
	struct foreign_verdict v;
	char said[64];

	assert_int_equal(judged(*state, "g", said, &v), ST_OK);
	assert_string_equal(said, "groots");
	/* A file, its roots and where to answer: no more, and nowhere else to go. */
#ifndef __SANITIZE_ADDRESS__
	assert_int_equal(judged(*state, "d", said, &v), ST_OK);
	assert_string_equal(said, "3");
#endif
	assert_int_equal(judged(*state, "e", said, &v), ST_OK);
	assert_string_equal(said, ".");
	/* Each of these costs itself alone. */
	assert_int_equal(judged(*state, "c", said, &v), ST_OK);
	assert_string_equal(said, "");
	assert_int_equal(v.why, REASON_ORIGINAL_DAMAGED);
	assert_int_equal(judged(*state, "h", said, &v), ST_OK);
	assert_int_equal(v.why, REASON_ORIGINAL_TIMEOUT);
	assert_non_null(strstr(v.detail, "time"));
	assert_int_equal(judged(*state, "m", said, &v), ST_OK);
	assert_int_equal(v.why, REASON_ORIGINAL_TIMEOUT);
	assert_int_equal(judged(*state, "g", said, &v), ST_OK);
	assert_string_equal(said, "groots");
	gives(*state, "good", REASON_NONE, NULL);
}

struct judging_caller { struct rig *rig; const char *text; bool good; };

static void *judging_caller(void *arg)
{
	struct judging_caller *c = arg;
	struct foreign_verdict v;
	char said[64];

	/* It may have to wait for its turn beyond patience: then it is told so. */
	c->good = judged(c->rig, c->text, said, &v) == ST_OK &&
		  (c->text[0] == 'g') == (said[0] == 'g');
	return NULL;
}

/* Others' judgements go on beside one that hangs. */
static void judgements_together(void **state)
{
	struct judging_caller callers[JUDGEMENTS_MAX];
	pthread_t threads[JUDGEMENTS_MAX];

	for (size_t i = 0; i < JUDGEMENTS_MAX; i++) {
		callers[i] = (struct judging_caller){ *state, i == 0 ? "h" : i == 1 ? "c" : "g",
						      false };
		assert_int_equal(pthread_create(&threads[i], NULL, judging_caller, &callers[i]), 0);
	}
	for (size_t i = 0; i < JUDGEMENTS_MAX; i++) {
		pthread_join(threads[i], NULL);
		assert_true(callers[i].good);
	}
}

static void answers(void **state)
{
	static const uint8_t sha256[4] = { 1, 2, 3, 0 };
	struct rig *r = *state;
	struct foreign_verdict v;
	struct original o;

	assert_int_equal(ask(r, &r->arena, "good", false, &o, &v), ST_OK);
	assert_int_equal(v.why, REASON_NONE);
	assert_int_equal(o.images_n, 1);
	assert_int_equal(o.images[0].runs[0].size, 1);
	assert_memory_equal(o.sha256, sha256, 4);
	assert_int_equal(ask(r, &r->arena, "own", true, &o, &v), ST_OK);
	assert_int_equal(o.pages, 7);
	/* Which result it is the engine knows, and nobody who read the file tells it. */
	assert_int_equal(ask(r, &r->arena, "named", true, &o, &v), ST_OK);
	assert_int_equal(v.why, REASON_ORIGINAL_DAMAGED);
	gives(r, "r", REASON_ORIGINAL_JUNK, "why");
	/* Not what was asked for: a lie, or of another file. */
	gives(r, "x", REASON_ORIGINAL_DAMAGED, "answer");
	/* One that goes on behind what was asked for. */
	gives(r, "l", REASON_ORIGINAL_DAMAGED, "answer");
	gives(r, "good", REASON_NONE, NULL);
}

static void one_that_fails_costs_its_file_alone(void **state)
{
	struct rig *r = *state;

#ifdef __SANITIZE_ADDRESS__
	gives(r, "c", REASON_ORIGINAL_TIMEOUT, NULL);
#else
	gives(r, "c", REASON_ORIGINAL_DAMAGED, "ended, signal 11");
	gives(r, "a", REASON_ORIGINAL_DAMAGED, NULL);
	gives(r, "m", REASON_ORIGINAL_TOO_LARGE, "memory");
#endif
	gives(r, "q", REASON_ORIGINAL_TIMEOUT, "ended, code 0");
	gives(r, "h", REASON_ORIGINAL_TIMEOUT, "processor time");
	gives(r, "good", REASON_NONE, NULL);
	assert_int_equal(kill(r->pid, 0), 0);
}

/* It could not begin: its file is as good as before. */
static void no_room_for_a_child(void **state)
{
	struct rig *r = *state;
	struct foreign_verdict v;
	struct original o;

	assert_int_equal(ask(r, &r->arena, "b", false, &o, &v), ST_UNAVAILABLE);
	assert_int_equal(v.why, REASON_ORIGINAL_READER_AWAY);
	gives(r, "good", REASON_NONE, NULL);
}

/* Who asked does not read, and there is no room for another answer: nobody else waits for it. */
static void who_does_not_read(void **state)
{
	struct rig *r = *state;
	uint8_t bytes[FOREIGN_REQUEST_BYTES] = { 1 };
	struct iovec iov = { bytes, sizeof(bytes) };
	union { struct cmsghdr h; char space[CMSG_SPACE(2 * sizeof(int))]; } u = { { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u,
			    .msg_controllen = sizeof(u) };
	int pair[2], fds[2] = { file_of("f"), -1 };
	struct pollfd let_go = { .events = 0 };		/* POLLHUP comes unasked */
	char got;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fds[1] = pair[1];
	u.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(fds)), .cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&u.h), fds, sizeof(fds));
	assert_int_equal(sendmsg(r->link, &m, 0), sizeof(bytes));
	close(fds[0]);
	close(pair[1]);
	let_go.fd = pair[0];
	while (recv(pair[0], &got, 1, MSG_PEEK) == 1 && got != 'x')
		;
	for (int i = 0; i < 3; i++)
		gives(r, "good", REASON_NONE, NULL);
	/* The process has let go of it before room is made; then what was sent is read. */
	assert_int_equal(poll(&let_go, 1, PATIENCE_MS), 1);
	while (recv(pair[0], &got, 1, 0) == 1)
		assert_int_equal(got, 'x');
	close(pair[0]);
}

static void nothing_but_the_file_and_the_answer_is_left(void **state)
{
	struct rig *r = *state;

	gives(r, "e", REASON_ORIGINAL_JUNK, "");
#ifndef __SANITIZE_ADDRESS__
	gives(r, "d", REASON_ORIGINAL_JUNK, "2");
#endif
}

struct caller { struct rig *rig; const char *text; enum status st; struct foreign_verdict v; };

static void *call(void *arg)
{
	struct caller *c = arg;
	struct original o;
	struct arena a;

	if (arena_init(&a, ARENA_BYTES) != ST_OK)
		return NULL;
	c->st = ask(c->rig, &a, c->text, false, &o, &c->v);
	arena_free(&a);
	return NULL;
}

/* More callers than turns, and half of their files hang. */
static void many_at_once(void **state)
{
	struct rig *r = *state;
	struct caller c[CALLERS];
	pthread_t t[CALLERS];

	stop(r);
	start(r, 150);
	for (int i = 0; i < CALLERS; i++) {
		c[i] = (struct caller){ r, i % 2 == 0 ? "h" : "good", ST_INTERNAL, { 0 } };
		assert_int_equal(pthread_create(&t[i], NULL, call, &c[i]), 0);
	}
	for (int i = 0; i < CALLERS; i++) {
		assert_int_equal(pthread_join(t[i], NULL), 0);
		assert_int_equal(c[i].st, ST_OK);
		assert_int_equal(c[i].v.why, i % 2 == 0 ? REASON_ORIGINAL_TIMEOUT : REASON_NONE);
	}
	stop(r);
	start(r, 10000);
}

static void a_process_that_is_gone(void **state)
{
	struct rig *r = *state;
	struct foreign_verdict v;
	struct original o;

	kill(r->pid, SIGKILL);
	assert_int_equal(ask(r, &r->arena, "good", false, &o, &v), ST_UNAVAILABLE);
	assert_int_equal(v.why, REASON_ORIGINAL_READER_AWAY);
	stop(r);
	assert_int_equal(ask(r, &r->arena, "good", false, &o, &v), ST_UNAVAILABLE);
	start(r, 10000);
	gives(r, "good", REASON_NONE, NULL);
}

/* It lives, but does nothing: the supervisor is asked for another one, once. */
static void a_process_that_is_stuck(void **state)
{
	struct rig *r = *state;
	struct foreign *of_all = r->foreign;
	struct foreign_verdict v;
	struct original o;
	char letter[2];

	stop(r);
	assert_int_equal(foreign_new(&r->foreign, r->control[0], 50, NULL), ST_OK);
	start(r, 10000);
	kill(r->pid, SIGSTOP);
	assert_int_equal(ask(r, &r->arena, "good", false, &o, &v), ST_UNAVAILABLE);
	assert_int_equal(ask(r, &r->arena, "good", false, &o, &v), ST_UNAVAILABLE);
	assert_int_equal(recv(r->control[1], letter, sizeof(letter), 0), 1);
	assert_int_equal(letter[0], 'F');
	assert_int_equal(recv(r->control[1], letter, sizeof(letter), MSG_DONTWAIT), -1);
	kill(r->pid, SIGKILL);
	stop(r);
	foreign_free(r->foreign);
	r->foreign = of_all;
	start(r, 10000);
	gives(r, "good", REASON_NONE, NULL);
}

static void answers_that_are_none(void **state)
{
	struct rig *r = *state;
	static const uint8_t bad[][4] = { { 0 }, { 3, 1 }, { 2 }, { 2, 0xFF, 0xFF }, { 1, 1 } };
	struct foreign_file f = { .size = 1 };
	struct foreign_verdict v;
	struct original o;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		for (size_t n = 0; n <= sizeof(bad[i]); n++)
			assert_int_not_equal(foreign_read(slice_of(bad[i], n), &f, &r->arena, &o,
							  &v), ST_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(answers),
		cmocka_unit_test(answers_that_are_none),
		cmocka_unit_test(one_that_fails_costs_its_file_alone),
		cmocka_unit_test(no_room_for_a_child),
		cmocka_unit_test(who_does_not_read),
		cmocka_unit_test(nothing_but_the_file_and_the_answer_is_left),
		cmocka_unit_test(many_at_once),
		cmocka_unit_test(judgements),
		cmocka_unit_test(judgements_together),
		cmocka_unit_test(a_process_that_is_gone),
		cmocka_unit_test(a_process_that_is_stuck),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
