#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "objects/inside.h"

/* So much goes to the disk by itself, so that the flush at the end is short. */
#define WRITE_BEHIND_BYTES (4u * 1024 * 1024)

/* ---- coming in ---- */

static enum status part_create(struct objects *o, struct upload *u, struct error *e)
{
	char name[NAME_BYTES];

	do {
		u->name = atomic_fetch_add(&o->names, 1);
		part_name(name, u->name);
		u->fd = openat(o->waiting, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	} while (u->fd < 0 && errno == EEXIST);
	return u->fd >= 0 ? ST_OK : objects_failed(o, "take an upload", e);
}

static atomic_uint *taken(struct objects *o, bool fetch)
{
	return fetch ? &o->fetching : &o->open;
}

static enum status begin(struct objects *o, struct upload *u, uint64_t max, bool fetch,
			 struct error *e)
{
	unsigned int most = fetch ? FETCHES_MAX : UPLOADS_MAX;
	enum status st;

	*u = (struct upload){ .fd = -1, .max = max, .fetch = fetch };
	if (atomic_fetch_add(taken(o, fetch), 1) >= most) {
		atomic_fetch_sub(taken(o, fetch), 1);
		return error_set(e, ST_FULL, "%s: %u %s are open", o->dir, most,
				 fetch ? "fetches" : "uploads");
	}
	u->home = o;
	u->hash = sha256_new();
	st = u->hash != NULL ? part_create(o, u, e) : ST_NOMEM;
	if (st != ST_OK) {
		upload_drop(u);
		return st;
	}
	sha256_start(u->hash);
	return ST_OK;
}

enum status upload_begin(struct objects *o, struct upload *u, uint64_t max, struct error *e)
{
	return begin(o, u, max, false, e);
}

enum status fetch_begin(struct objects *o, struct upload *u, uint64_t size, struct error *e)
{
	return begin(o, u, size, true, e);
}

enum status upload_add(struct upload *u, struct slice bytes, struct error *e)
{
	uint64_t before = u->size;

	if (bytes.n > u->max - u->size)
		return error_set(e, ST_TOO_LARGE, "%s: an upload of more than %llu bytes",
				 u->home->dir, (unsigned long long)u->max);
	sha256_add(u->hash, bytes.p, bytes.n);
	while (bytes.n > 0) {
		ssize_t rc = write(u->fd, bytes.p, bytes.n);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return objects_failed(u->home, "write an upload", e);
		u->size += (uint64_t)rc;
		bytes.p += rc;
		bytes.n -= (size_t)rc;
	}
	if (before / WRITE_BEHIND_BYTES != u->size / WRITE_BEHIND_BYTES)
		(void)sync_file_range(u->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return ST_OK;
}

enum status upload_end(struct upload *u, int *fd, struct error *e)
{
	char name[NAME_BYTES];

	sha256_end(u->hash, u->sha256);
	part_name(name, u->name);
	*fd = openat(u->home->waiting, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return *fd >= 0 ? ST_OK : objects_failed(u->home, "read an upload", e);
}

/* Its file has gone, or has another name. */
static void upload_close(struct upload *u)
{
	if (u->fd >= 0)
		close(u->fd);
	sha256_free(u->hash);
	atomic_fetch_sub(taken(u->home, u->fetch), 1);
	u->home = NULL;
	u->hash = NULL;
	u->fd = -1;
}

void upload_drop(struct upload *u)
{
	char name[NAME_BYTES];

	if (u->home == NULL)
		return;
	part_name(name, u->name);
	if (u->fd >= 0)
		unlinkat(u->home->waiting, name, 0);
	upload_close(u);
}

/* ---- kept ---- */

/* The lock is held. NULL: nobody keeps it. */
static struct keeping *keeping_of(struct objects *o, const uint8_t sha256[SHA256_BYTES])
{
	for (size_t i = 0; i < ARRAY_LEN(o->keepings); i++)
		if (o->keepings[i].n > 0 &&
		    memcmp(o->keepings[i].sha256, sha256, SHA256_BYTES) == 0)
			return &o->keepings[i];
	return NULL;
}

/* The lock is held. A fetch begins with its own, at the end. NULL: all are taken by others. */
static struct keeping *keeping_new(struct objects *o, const uint8_t sha256[SHA256_BYTES],
				   bool fetch)
{
	for (size_t i = fetch ? ARRAY_LEN(o->keepings) : UPLOADS_MAX; i-- > 0;)
		if (o->keepings[i].n == 0) {
			memcpy(o->keepings[i].sha256, sha256, SHA256_BYTES);
			return &o->keepings[i];
		}
	return NULL;
}

enum status keeping_begin(struct objects *o, const uint8_t sha256[SHA256_BYTES], bool fetch)
{
	char name[NAME_BYTES];
	struct keeping *k;
	enum status st;

	waiting_name(name, sha256);
	pthread_mutex_lock(&o->lock);
	k = keeping_of(o, sha256);
	if (k == NULL)
		k = keeping_new(o, sha256, fetch);
	st = k == NULL ? ST_FULL : k->going ? ST_AGAIN : ST_OK;
	if (st == ST_OK && k->n++ == 0)
		k->named = faccessat(o->waiting, name, F_OK, 0) == 0;
	pthread_mutex_unlock(&o->lock);
	return st;
}

void objects_let_go(struct objects *o, const uint8_t sha256[SHA256_BYTES], bool named,
		    objects_gone_fn *gone, void *ctx)
{
	char name[NAME_BYTES];
	struct keeping *k;

	waiting_name(name, sha256);
	pthread_mutex_lock(&o->lock);
	k = keeping_of(o, sha256);
	if (k != NULL)
		k->named |= named;
	/* Before all names are known, that it was there is one. */
	if (k != NULL && k->n == 1 && !name_any(o, sha256, k->named)) {
		unlinkat(o->waiting, name, 0);
		if (gone != NULL) {
			k->going = true;
			pthread_mutex_unlock(&o->lock);
			gone(ctx, sha256);
			pthread_mutex_lock(&o->lock);
			k->going = false;
		}
	}
	if (k != NULL)
		k->n--;
	pthread_mutex_unlock(&o->lock);
}

void objects_release(struct objects *o, const uint8_t sha256[SHA256_BYTES], bool named)
{
	objects_let_go(o, sha256, named, NULL, NULL);
}

enum status objects_keep(struct objects *o, struct upload *u, struct error *e)
{
	char part[NAME_BYTES], name[NAME_BYTES];
	enum status st = ST_OK;

	if (fdatasync(u->fd) != 0)
		st = objects_failed(o, "flush an upload", e);
	if (st == ST_OK)
		st = keeping_begin(o, u->sha256, u->fetch);
	if (st != ST_OK) {
		upload_drop(u);
		return st;
	}
	part_name(part, u->name);
	waiting_name(name, u->sha256);
	if (renameat(o->waiting, part, o->waiting, name) != 0) {
		st = objects_failed(o, "name an upload", e);
		objects_release(o, u->sha256, false);
		upload_drop(u);
		return st;
	}
	if (fsync(o->waiting) != 0) {
		st = objects_failed(o, "flush the folder", e);
		objects_release(o, u->sha256, false);
	}
	upload_close(u);
	return st;
}
