#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "foreign/foreign.h"
#include "limits.h"

#define PATIENCE_MS 5000	/* beyond a file's time: the process is stuck */

/* Judgements have turns of their own: they are short, and never wait behind a look. */
struct turns { uint32_t working, max, file_ms; pthread_cond_t ended; };

struct foreign {
	pthread_mutex_t lock;
	struct turns looks, judgements;
	int fd, control;		/* fd: -1 while it is away */
	uint32_t patience_ms;		/* 0: a file's time and PATIENCE_MS */
	uint64_t life;			/* how many processes there have been */
};

enum status foreign_new(struct foreign **out, int control, uint32_t patience_ms, struct error *e)
{
	struct foreign *f = calloc(1, sizeof(*f));
	pthread_condattr_t a;

	*out = f;
	if (f == NULL)
		return error_set(e, ST_NOMEM, "the link to the process for foreign documents");
	pthread_condattr_init(&a);
	pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
	pthread_mutex_init(&f->lock, NULL);
	f->looks = (struct turns){ .max = INSPECTIONS_MAX, .file_ms = INSPECTION_MS_MAX };
	f->judgements = (struct turns){ .max = JUDGEMENTS_MAX, .file_ms = JUDGEMENT_MS_MAX };
	pthread_cond_init(&f->looks.ended, &a);
	pthread_cond_init(&f->judgements.ended, &a);
	pthread_condattr_destroy(&a);
	f->fd = -1;
	f->control = control;
	f->patience_ms = patience_ms;
	return ST_OK;
}

void foreign_free(struct foreign *f)
{
	if (f == NULL)
		return;
	if (f->fd >= 0)
		close(f->fd);
	pthread_cond_destroy(&f->looks.ended);
	pthread_cond_destroy(&f->judgements.ended);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

void foreign_set(struct foreign *f, int fd)
{
	pthread_mutex_lock(&f->lock);
	if (f->fd >= 0)
		close(f->fd);
	f->fd = fd;
	f->life++;
	pthread_mutex_unlock(&f->lock);
}

bool foreign_gone(struct foreign *f)
{
	struct pollfd end = { .events = 0 };
	bool gone;

	pthread_mutex_lock(&f->lock);
	end.fd = f->fd;
	gone = f->fd < 0 || (poll(&end, 1, 0) == 1 && (end.revents & (POLLHUP | POLLERR)) != 0);
	pthread_mutex_unlock(&f->lock);
	return gone;
}

/* ---- turns ---- */

/* A descriptor of the caller's own, so that another process may come while it is used. */
static enum status turn_take(struct foreign *f, struct turns *t, int *link, uint64_t *life)
{
	struct timespec until;
	enum status st = ST_OK;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += (t->file_ms + 999) / 1000;
	pthread_mutex_lock(&f->lock);
	while (t->working == t->max && st == ST_OK)
		if (pthread_cond_timedwait(&t->ended, &f->lock, &until) != 0)
			st = ST_UNAVAILABLE;
	*life = f->life;
	*link = st == ST_OK && f->fd >= 0 ? fcntl(f->fd, F_DUPFD_CLOEXEC, 0) : -1;
	if (st == ST_OK && *link < 0)
		st = f->fd < 0 ? ST_UNAVAILABLE : ST_IO;
	if (st == ST_OK)
		t->working++;
	pthread_mutex_unlock(&f->lock);
	return st;
}

static void turn_end(struct foreign *f, struct turns *t, int link)
{
	close(link);
	pthread_mutex_lock(&f->lock);
	t->working--;
	pthread_cond_signal(&t->ended);
	pthread_mutex_unlock(&f->lock);
}

/* Once for each process: whoever of its callers sees it first. */
static void another_ask(struct foreign *f, uint64_t life)
{
	pthread_mutex_lock(&f->lock);
	if (f->life == life && f->fd >= 0) {
		log_error("foreign", "no answer; asking the supervisor for another process");
		close(f->fd);
		f->fd = -1;
		if (f->control >= 0 &&
		    send(f->control, "F", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
			log_error("foreign", "the supervisor cannot be reached: %s",
				  strerror(errno));
	}
	pthread_mutex_unlock(&f->lock);
}

/* ---- one file ---- */

/* Whoever reads it cannot write it. */
static int reading_only(int fd)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* What is asked of which file. roots_fd -1: none. */
struct question { int fd, roots_fd; uint32_t size, roots_size; uint8_t job; };

static enum status ask(int link, const struct question *q, int to)
{
	uint8_t bytes[FOREIGN_REQUEST_BYTES];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct iovec iov = { bytes, sizeof(bytes) };
	union { struct cmsghdr h; char space[CMSG_SPACE(3 * sizeof(int))]; } u = { { 0 } };
	size_t given = (q->roots_fd >= 0 ? 3 : 2) * sizeof(int);
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u,
			    .msg_controllen = CMSG_SPACE(given) };
	int fds[3] = { reading_only(q->fd), to, q->roots_fd };
	ssize_t n;

	if (fds[0] < 0)
		return ST_IO;
	write_u32(&w, q->size);
	write_u8(&w, q->job);
	write_u32(&w, q->roots_size);
	u.h = (struct cmsghdr){ .cmsg_len = CMSG_LEN(given), .cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS };
	memcpy(CMSG_DATA(&u.h), fds, given);
	n = sendmsg(link, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fds[0]);
	return n == sizeof(bytes) ? ST_OK : ST_UNAVAILABLE;
}

/* ST_TIMEOUT: neither an answer nor an end. */
static enum status await(int fd, uint32_t patience_ms, uint8_t *bytes, size_t max, size_t *n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t got;
	int rc;

	do
		rc = poll(&p, 1, (int)patience_ms);
	while (rc < 0 && errno == EINTR);
	if (rc <= 0)
		return rc == 0 ? ST_TIMEOUT : ST_IO;
	got = recv(fd, bytes, max, MSG_DONTWAIT);
	if (got <= 0)
		return ST_UNAVAILABLE;
	*n = (size_t)got;
	return ST_OK;
}

static enum status exchange(struct foreign *f, struct turns *t, const struct question *q,
			    uint8_t *bytes, size_t max, size_t *n)
{
	uint64_t life;
	int pair[2], link;
	enum status st = turn_take(f, t, &link, &life);

	if (st != ST_OK)
		return st;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
		turn_end(f, t, link);
		return ST_IO;
	}
	st = ask(link, q, pair[1]);
	close(pair[1]);
	if (st == ST_OK)
		st = await(pair[0], f->patience_ms != 0 ? f->patience_ms :
			   t->file_ms + PATIENCE_MS, bytes, max, n);
	close(pair[0]);
	if (st == ST_TIMEOUT) {
		another_ask(f, life);
		st = ST_UNAVAILABLE;
	}
	turn_end(f, t, link);
	return st;
}

/* Someone else speaks there: this file made it so, and no other. */
static enum status no_answer(struct foreign_verdict *v)
{
	log_error("foreign", "an answer that is none");
	*v = (struct foreign_verdict){ REASON_ORIGINAL_DAMAGED, "answer" };
	return ST_OK;
}

enum status foreign_inspect(struct foreign *f, const struct foreign_file *file, struct arena *a,
			    struct original *out, struct foreign_verdict *verdict)
{
	const struct question q = { file->fd, -1, file->size, 0,
				    file->own ? FOREIGN_LOOK_OWN : FOREIGN_LOOK };
	size_t before = a->used, n = 0;
	uint8_t *bytes = arena_take(a, FOREIGN_ANSWER_BYTES_MAX);
	enum status st;

	*verdict = (struct foreign_verdict){ REASON_ORIGINAL_READER_AWAY, "" };
	if (bytes == NULL)
		return ST_TOO_LARGE;
	st = exchange(f, &f->looks, &q, bytes, FOREIGN_ANSWER_BYTES_MAX, &n);
	/* The answer stays, as slices lie in it; the rest of its room is given back. */
	a->used = st == ST_OK ? (size_t)(bytes - a->base) + n : before;
	if (st == ST_OK)
		st = foreign_read(slice_of(bytes, n), file, a, out, verdict);
	return st == ST_CORRUPT ? no_answer(verdict) : st;
}

enum status foreign_judge(struct foreign *f, const struct foreign_case *c,
			  uint8_t out[FOREIGN_JUDGEMENT_BYTES_MAX], size_t *n,
			  struct foreign_verdict *v)
{
	const struct question q = { c->fd, c->roots_fd, c->size, c->roots_size, FOREIGN_JUDGE };
	uint8_t bytes[FOREIGN_JUDGEMENT_BYTES_MAX + 1];
	struct slice judgement;
	size_t size = 0;
	enum status st = exchange(f, &f->judgements, &q, bytes, sizeof(bytes), &size);

	*n = 0;
	if (st == ST_OK)
		st = foreign_judgement_read(slice_of(bytes, size), &judgement, v);
	if (st == ST_OK && judgement.n > 0) {
		memcpy(out, judgement.p, judgement.n);
		*n = judgement.n;
	}
	return st == ST_CORRUPT ? no_answer(v) : st;
}
