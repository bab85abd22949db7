#include "portal/preview.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "limits.h"

#define PICTURES_MAX 512
#define WAIT_S 2			/* for whoever has it drawn now */

struct picture { uint8_t lane; uint64_t sequence; void *png; size_t n; };

struct preview {
	struct starter *starter;
	pthread_mutex_t drawing;	/* one at a time; socket's, too */
	int socket;			/* to the process that draws; -1: there is none */
	pthread_mutex_t lock;		/* of the pictures */
	struct picture pictures[PICTURES_MAX];
	uint32_t next;			/* the oldest, or a free place */
	size_t bytes;
};

enum status preview_open(struct preview **out, struct starter *starter)
{
	struct preview *p;

	*out = NULL;
	if (access(PREVIEW_PROGRAM, X_OK) != 0) {
		log_info("preview", "no pictures of results: %s is not there (poppler-utils)",
			 PREVIEW_PROGRAM);
		return ST_OK;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return ST_NOMEM;
	p->starter = starter;
	/* Where it cannot be started now, the first picture asks again. */
	if (starter_helper(starter, HELPER_PICTURES, &p->socket) != ST_OK)
		log_warn("preview", "no pictures of results now");
	pthread_mutex_init(&p->drawing, NULL);
	pthread_mutex_init(&p->lock, NULL);
	*out = p;
	return ST_OK;
}

static void hang_up(struct preview *p)
{
	if (p->socket >= 0)
		close(p->socket);
	p->socket = -1;
}

void preview_close(struct preview *p)
{
	if (p == NULL)
		return;
	hang_up(p);
	for (uint32_t i = 0; i < PICTURES_MAX; i++)
		free(p->pictures[i].png);
	pthread_mutex_destroy(&p->drawing);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

static void *copied(const void *bytes, size_t n)
{
	void *copy = malloc(n);

	if (copy != NULL)
		memcpy(copy, bytes, n);
	return copy;
}

void *preview_kept(struct preview *p, uint8_t lane, uint64_t sequence, size_t *n)
{
	void *copy = NULL;

	*n = 0;
	pthread_mutex_lock(&p->lock);
	for (uint32_t i = 0; copy == NULL && i < PICTURES_MAX; i++) {
		const struct picture *one = &p->pictures[i];

		if (one->png == NULL || one->lane != lane || one->sequence != sequence)
			continue;
		copy = copied(one->png, one->n);
		*n = copy != NULL ? one->n : 0;
	}
	pthread_mutex_unlock(&p->lock);
	return copy;
}

static void forget(struct preview *p, uint32_t at)
{
	struct picture *one = &p->pictures[at];

	p->bytes -= one->n;
	free(one->png);
	*one = (struct picture){ .png = NULL };
}

static void keep(struct preview *p, uint8_t lane, uint64_t sequence, const void *png, size_t n)
{
	void *copy = copied(png, n);

	if (copy == NULL)
		return;
	pthread_mutex_lock(&p->lock);
	forget(p, p->next);
	for (uint32_t i = 1; p->bytes + n > PREVIEW_KEPT_BYTES_MAX && i < PICTURES_MAX; i++)
		forget(p, (p->next + i) % PICTURES_MAX);
	p->pictures[p->next] = (struct picture){ lane, sequence, copy, n };
	p->bytes += n;
	p->next = (p->next + 1) % PICTURES_MAX;
	pthread_mutex_unlock(&p->lock);
}

static enum status helper_have(struct preview *p)
{
	if (!starter_gone(p->socket))
		return ST_OK;
	hang_up(p);
	return starter_helper(p->starter, HELPER_PICTURES, &p->socket);
}

/* Both descriptors, and its word. */
static enum status ask(struct preview *p, int pdf, int png)
{
	char word = 'P', control[CMSG_SPACE(2 * sizeof(int))] = { 0 };
	struct iovec io = { &word, 1 };
	struct msghdr m = { .msg_iov = &io, .msg_iovlen = 1, .msg_control = control,
			    .msg_controllen = sizeof(control) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	struct pollfd wait = { .fd = p->socket, .events = POLLIN };
	int both[2] = { pdf, png };

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(both));
	memcpy(CMSG_DATA(c), both, sizeof(both));
	if (sendmsg(p->socket, &m, MSG_NOSIGNAL) != 1 ||
	    poll(&wait, 1, 2 * PREVIEW_MS) != 1 || recv(p->socket, &word, 1, 0) != 1) {
		/* Its word for this one must not be taken for the next one's. */
		hang_up(p);
		return ST_UNAVAILABLE;
	}
	return word == 'Y' ? ST_OK : ST_UNSUPPORTED;
}

static int written(struct slice bytes)
{
	int fd = memfd_create("pdf", MFD_CLOEXEC);
	size_t done = 0;

	while (fd >= 0 && done < bytes.n) {
		ssize_t n = write(fd, bytes.p + done, bytes.n - done);

		if (n <= 0) {
			close(fd);
			return -1;
		}
		done += (size_t)n;
	}
	if (fd >= 0)
		lseek(fd, 0, SEEK_SET);
	return fd;
}

static enum status picture_read(int fd, void **png, size_t *n)
{
	static const uint8_t head[] = { 0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n' };
	struct stat st;

	if (fstat(fd, &st) != 0 || st.st_size < (off_t)sizeof(head) ||
	    st.st_size > PREVIEW_BYTES_MAX)
		return ST_UNSUPPORTED;
	*n = (size_t)st.st_size;
	*png = malloc(*n);
	if (*png == NULL)
		return ST_NOMEM;
	if (pread(fd, *png, *n, 0) == (ssize_t)*n && memcmp(*png, head, sizeof(head)) == 0)
		return ST_OK;
	free(*png);
	*png = NULL;
	return ST_UNSUPPORTED;
}

enum status preview_draw(struct preview *p, uint8_t lane, uint64_t sequence, struct slice pdf,
			 void **png, size_t *n)
{
	struct timespec until;
	enum status st = ST_NOMEM;
	int in, out;

	*png = NULL;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	if (pthread_mutex_timedlock(&p->drawing, &until) != 0)
		return ST_AGAIN;
	in = written(pdf);
	out = memfd_create("png", MFD_CLOEXEC);
	if (in >= 0 && out >= 0)
		st = helper_have(p);
	if (st == ST_OK)
		st = ask(p, in, out);
	pthread_mutex_unlock(&p->drawing);
	if (st == ST_OK)
		st = picture_read(out, png, n);
	if (st == ST_OK)
		keep(p, lane, sequence, *png, *n);
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	return st;
}
