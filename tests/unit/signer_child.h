/*
 * signer_child.h - the signer as the engine sees it: a child process behind a socket pair.
 */
#ifndef TESTS_SIGNER_CHILD_H
#define TESTS_SIGNER_CHILD_H

#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devkeys.h"
#include "signer/signer.h"

struct child { int fd; pid_t pid; };

static inline struct child child_start(struct signer_config cfg)
{
	int pair[2];
	struct child c;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	c.pid = fork();
	assert_true(c.pid >= 0);
	if (c.pid == 0) {
		close(pair[0]);
		cfg.socket = pair[1];
		_exit(signer_run(&cfg));
	}
	close(pair[1]);
	c.fd = pair[0];
	return c;
}

static inline int stop(struct child *c)
{
	int status;

	close(c->fd);
	assert_int_equal(waitpid(c->pid, &status, 0), c->pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static inline void get(int fd, void *buf, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t got = recv(fd, (uint8_t *)buf + done, n - done, 0);

		assert_true(got > 0);
		done += (size_t)got;
	}
}

/* The next message, be it an answer or not. */
static inline struct signer_reply reply(int fd, uint8_t *buf)
{
	struct signer_reply r;
	uint32_t n;

	get(fd, &n, 4);
	assert_true(n <= SIGNER_REPLY_BYTES_MAX);
	get(fd, buf, n);
	assert_int_equal(signer_reply_open(&r, slice_of(buf, n)), ST_OK);
	return r;
}

static inline void expect_ready(int fd, enum sign_answer want, const char *says)
{
	static uint8_t buf[SIGNER_REPLY_BYTES_MAX];
	struct signer_reply r = reply(fd, buf);
	enum sign_answer a;
	struct slice text;
	char s[SIGNATURE_BYTES_MAX + 1] = "";

	assert_int_equal(r.tag, 0);
	assert_int_equal(r.total, 1);
	assert_int_equal(signer_reply_next(&r, &a, &text), ST_OK);
	memcpy(s, text.p, text.n);
	if (a != want || strstr(s, says) == NULL)
		fail_msg("answer %d with '%s'", a, s);
}

static inline void ask(int fd, uint64_t tag, const struct sign_group *g, uint16_t n)
{
	static uint8_t buf[SIGNER_REQUEST_BYTES_MAX + 4];
	struct writer w = writer_of(buf, sizeof(buf));

	assert_int_equal(signer_encode(&w, tag, g, n), ST_OK);
	assert_int_equal(send(fd, buf, writer_size(&w), MSG_NOSIGNAL), writer_size(&w));
}

#endif
