#include <errno.h>
#include <fcntl.h>
#include <grpc/grpc_posix.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "intake/server.h"

/*
 * gRPC names a call from a descriptor by its number only, and a number is free again as soon as its
 * connection ends. Numbers are therefore given out in a circle: a call that is still on its way
 * through a completion queue when its connection ends is never taken for the next one's.
 */
#define FD_FIRST 512

struct door {
	struct intake *in;
	pthread_t thread;
	bool started;
	int listen[LISTEN_MAX], wake;
	char path[LISTEN_MAX][sizeof(((struct sockaddr_un *)0)->sun_path)];
	uint32_t listen_n;
	int next;			/* the circle's hand */
	grpc_server_credentials *creds;
	_Atomic int64_t uids[FD_FIRST + DOOR_FDS_MAX];	/* by descriptor; -1: none */
};

enum status door_open(struct door **out, struct intake *in, struct error *e)
{
	struct door *d = calloc(1, sizeof(*d));

	if (d == NULL)
		return error_set(e, ST_NOMEM, "unix socket: no memory");
	d->in = in;
	d->next = FD_FIRST;
	d->wake = eventfd(0, EFD_CLOEXEC);
	for (size_t i = 0; i < ARRAY_LEN(d->uids); i++)
		atomic_init(&d->uids[i], -1);
	d->creds = grpc_insecure_server_credentials_create();
	*out = d;
	return ST_OK;
}

/* Does somebody listen? 1, 0, or -1: no socket can be made. */
static int answered(const struct sockaddr_un *addr)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int rc;

	if (fd < 0)
		return -1;
	rc = connect(fd, (const struct sockaddr *)addr, sizeof(*addr));
	close(fd);
	return rc == 0;
}

/*
 * A socket file that nobody answers on is left over from a crash; one that answers is an engine,
 * but perhaps a killed one that has not quite ended.
 */
static enum status clear_path(const struct sockaddr_un *addr, struct error *e)
{
	const struct timespec pause = { .tv_nsec = ENDING_STEP_MS * 1000000 };
	int rc = answered(addr);
	struct stat st;

	for (uint32_t ms = 0; rc == 1 && ms < ENDING_MS_MAX; ms += ENDING_STEP_MS) {
		nanosleep(&pause, NULL);
		rc = answered(addr);
	}
	if (rc < 0)
		return error_set(e, ST_IO, "unix socket: %s", strerror(errno));
	if (rc == 1)
		return error_set(e, ST_UNAVAILABLE, "unix:%s: another engine listens here; stop it "
				 "first", addr->sun_path);
	if (lstat(addr->sun_path, &st) == 0 && !S_ISSOCK(st.st_mode))
		return error_set(e, ST_INVALID, "unix:%s: there is a file that is no socket; "
				 "remove it or choose another path", addr->sun_path);
	unlink(addr->sun_path);
	return ST_OK;
}

enum status door_bind(int *out, const char *path, struct error *e)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX }, *addr = &name;
	size_t n = strlen(path);
	enum status st;
	int fd;

	if (n == 0 || n >= sizeof(addr->sun_path))
		return error_set(e, ST_INVALID, "unix:%s: the path must have 1 to %zu bytes", path,
				 sizeof(addr->sun_path) - 1);
	memcpy(addr->sun_path, path, n);
	st = clear_path(addr, e);
	if (st != ST_OK)
		return st;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)addr, sizeof(*addr)) != 0 ||
	    listen(fd, 128) != 0) {
		error_set(e, ST_UNAVAILABLE, "unix:%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return ST_UNAVAILABLE;
	}
	/* Who may do what is decided by uid; the folder's mode may narrow it further. */
	chmod(path, 0666);
	*out = fd;
	return ST_OK;
}

void door_listen(struct door *d, const char *path, int fd)
{
	snprintf(d->path[d->listen_n], sizeof(d->path[0]), "%s", path);
	d->listen[d->listen_n++] = fd;
}

static bool uid_known(struct door *d, uid_t uid)
{
	struct intake *in = d->in;
	bool known;

	pthread_mutex_lock(&in->lock);
	known = principals_uid(in->principals, uid) != NULL;
	pthread_mutex_unlock(&in->lock);
	return known;
}

/* The descriptor under its number of the circle, or -1. */
static int move_up(struct door *d, int fd)
{
	int up;

	if (d->next >= FD_FIRST + DOOR_FDS_MAX)
		d->next = FD_FIRST;
	up = fcntl(fd, F_DUPFD_CLOEXEC, d->next);
	if (up >= FD_FIRST + DOOR_FDS_MAX || (up < 0 && errno == EINVAL)) {
		if (up >= 0)
			close(up);
		up = fcntl(fd, F_DUPFD_CLOEXEC, FD_FIRST);
	}
	if (up >= FD_FIRST + DOOR_FDS_MAX) {
		close(up);
		up = -1;
	}
	if (up >= 0)
		d->next = up + 1;
	return up;
}

static void admit(struct door *d, int fd)
{
	struct ucred who;
	socklen_t n = sizeof(who);
	int up = -1;

	/* Unknown uids get no answer at all: they cost nothing further. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 && uid_known(d, who.uid))
		up = move_up(d, fd);
	close(fd);
	if (up < 0) {
		log_warn("intake", "unix socket connection refused uid=%ld", (long)who.uid);
		return;
	}
	atomic_store(&d->uids[up], (int64_t)who.uid);
	grpc_server_add_channel_from_fd(d->in->server, up, d->creds);
}

static void *door_main(void *arg)
{
	struct door *d = arg;
	struct pollfd fds[LISTEN_MAX + 1];

	for (;;) {
		for (uint32_t i = 0; i < d->listen_n; i++)
			fds[i] = (struct pollfd){ .fd = d->listen[i], .events = POLLIN };
		fds[d->listen_n] = (struct pollfd){ .fd = d->wake, .events = POLLIN };
		if (poll(fds, d->listen_n + 1, -1) < 0 && errno != EINTR)
			return NULL;
		if (fds[d->listen_n].revents != 0)
			return NULL;
		for (uint32_t i = 0; i < d->listen_n; i++) {
			int fd = fds[i].revents == 0 ? -1 :
				 accept4(d->listen[i], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

			if (fd >= 0)
				admit(d, fd);
			else if (fds[i].revents != 0 && (errno == EMFILE || errno == ENFILE))
				poll(NULL, 0, 100);	/* no descriptors: do not spin */
		}
	}
}

enum status door_start(struct door *d)
{
	if (pthread_create(&d->thread, NULL, door_main, d) != 0)
		return ST_NOMEM;
	d->started = true;
	return ST_OK;
}

void door_close(struct door *d)
{
	uint64_t one = 1;

	if (d == NULL)
		return;
	if (d->started) {
		if (write(d->wake, &one, sizeof(one)) < 0)
			log_error("intake", "wake: %s", strerror(errno));
		pthread_join(d->thread, NULL);
	}
	for (uint32_t i = 0; i < d->listen_n; i++) {
		close(d->listen[i]);
		/* Fails in a process that may not; the next start clears it away. */
		unlink(d->path[i]);
	}
	close(d->wake);
	grpc_server_credentials_release(d->creds);
	free(d);
}

bool door_uid(const struct door *d, const char *peer, uid_t *uid)
{
	char *end;
	long fd = strtol(peer + 3, &end, 10);
	int64_t found;

	if (*end != '\0' || fd < FD_FIRST || fd >= FD_FIRST + DOOR_FDS_MAX)
		return false;
	found = atomic_load(&((struct door *)d)->uids[fd]);
	*uid = (uid_t)found;
	return found >= 0;
}
