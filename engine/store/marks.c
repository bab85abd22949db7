#include "store/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "io/file.h"

#define SLOT_BYTES 128u
#define SLOT_MAGIC 0x54495754u		/* "TWIT" */
#define SLOT_CRC_AT (SLOT_BYTES - 4)
#define NO_SLOT UINT32_MAX
#define WITNESS_BYTES_MAX (256u * 1024 * 1024)

static uint32_t hash(struct slice unit, struct slice code, uint32_t year)
{
	return crc32c(crc32c(year, unit.p, unit.n), code.p, code.n);
}

static bool is(const struct mark *m, struct slice unit, struct slice code, uint32_t year)
{
	return m->about.year == year && slice_eq(slice_str(m->about.unit), unit) &&
	       slice_eq(slice_str(m->about.code), code);
}

static uint32_t look(const struct marks *m, struct slice unit, struct slice code, uint32_t year)
{
	uint32_t i = m->heads[hash(unit, code, year) & (m->heads_n - 1)];

	while (i != 0 && !is(&m->of[i - 1], unit, code, year))
		i = m->of[i - 1].next;
	return i;
}

static bool grow(struct marks *m)
{
	uint32_t room = m->room == 0 ? 64 : 2 * m->room;
	struct mark *of = realloc(m->of, room * sizeof(*of));
	uint32_t *heads = calloc(2 * (size_t)room, sizeof(*heads));

	if (of != NULL)
		m->of = of;
	if (of == NULL || heads == NULL) {
		free(heads);
		return false;
	}
	free(m->heads);
	m->heads = heads;
	m->heads_n = 2 * room;
	m->room = room;
	for (uint32_t i = 0; i < m->n; i++) {
		const struct register_mark *a = &m->of[i].about;
		uint32_t *head = &heads[hash(slice_str(a->unit), slice_str(a->code), a->year) &
					(m->heads_n - 1)];

		m->of[i].next = *head;
		*head = i + 1;
	}
	return true;
}

static uint32_t add(struct marks *m, struct slice unit, struct slice code, uint32_t year)
{
	struct mark *k;
	uint32_t *head;

	if (unit.n > CODE_BYTES_MAX || code.n > CODE_BYTES_MAX || (m->n == m->room && !grow(m)))
		return 0;
	k = &m->of[m->n++];
	*k = (struct mark){ .slot = NO_SLOT, .about.year = year };
	memcpy(k->about.unit, unit.p, unit.n);
	memcpy(k->about.code, code.p, code.n);
	head = &m->heads[hash(unit, code, year) & (m->heads_n - 1)];
	k->next = *head;
	*head = m->n;
	return m->n;
}

uint32_t marks_find(struct marks *m, struct slice unit, struct slice code, uint32_t year)
{
	uint32_t id;

	pthread_mutex_lock(&m->lock);
	id = look(m, unit, code, year);
	pthread_mutex_unlock(&m->lock);
	return id;
}

uint32_t marks_raise(struct marks *m, struct slice unit, struct slice code, uint32_t year,
		     uint64_t number)
{
	uint32_t id;

	pthread_mutex_lock(&m->lock);
	id = look(m, unit, code, year);
	if (id == 0)
		id = add(m, unit, code, year);
	if (id != 0 && number > m->of[id - 1].about.highest) {
		m->of[id - 1].about.highest = number;
		m->of[id - 1].dirty = true;
	}
	pthread_mutex_unlock(&m->lock);
	return id;
}

enum status marks_init(struct marks *m)
{
	*m = (struct marks){ .fd = -1 };
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->turn, NULL);
	return grow(m) ? ST_OK : ST_NOMEM;
}

void marks_free(struct marks *m)
{
	if (m->started) {
		pthread_mutex_lock(&m->lock);
		m->stop = true;
		pthread_cond_broadcast(&m->turn);
		pthread_mutex_unlock(&m->lock);
		pthread_join(m->thread, NULL);
	}
	if (m->fd >= 0)
		close(m->fd);
	free(m->of);
	free(m->heads);
	pthread_cond_destroy(&m->turn);
	pthread_mutex_destroy(&m->lock);
}

void marks_clear(struct marks *m)
{
	memset(m->heads, 0, m->heads_n * sizeof(*m->heads));
	m->n = 0;
}

/* ---- the witness ---- */

static enum status failed(const struct marks *m, const char *act, struct error *e)
{
	return error_set(e, errno == ENOSPC ? ST_NOSPACE : ST_IO, "%s: cannot %s: %s", m->path, act,
			 strerrordesc_np(errno));
}

static void slot_write(uint8_t slot[SLOT_BYTES], const struct register_mark *a)
{
	struct writer w = writer_of(slot, SLOT_BYTES);

	memset(slot, 0, SLOT_BYTES);
	write_u32(&w, SLOT_MAGIC);
	write_u32(&w, a->year);
	write_u64(&w, a->highest);
	write_bytes(&w, a->unit, sizeof(a->unit));
	write_bytes(&w, a->code, sizeof(a->code));
	w.p = slot + SLOT_CRC_AT;
	write_u32(&w, crc32c(0, slot, SLOT_CRC_AT));
}

static bool slot_read(const uint8_t slot[SLOT_BYTES], struct register_mark *a)
{
	struct reader r = reader_of(slice_of(slot, SLOT_BYTES));
	uint32_t magic = read_u32(&r);
	struct reader crc = reader_of(slice_of(slot + SLOT_CRC_AT, 4));

	if (magic != SLOT_MAGIC || read_u32(&crc) != crc32c(0, slot, SLOT_CRC_AT))
		return false;
	a->year = read_u32(&r);
	a->highest = read_u64(&r);
	memcpy(a->unit, read_bytes(&r, sizeof(a->unit)).p, sizeof(a->unit));
	memcpy(a->code, read_bytes(&r, sizeof(a->code)).p, sizeof(a->code));
	a->unit[CODE_BYTES_MAX] = a->code[CODE_BYTES_MAX] = '\0';
	return true;
}

static enum status slots_take(struct marks *m, const uint8_t *bytes, size_t n)
{
	struct register_mark a;

	m->slots_n = (uint32_t)(n / SLOT_BYTES);
	for (uint32_t i = 0; i < m->slots_n; i++) {
		uint32_t id;

		if (!slot_read(bytes + (size_t)i * SLOT_BYTES, &a)) {
			log_warn("store",
				 "%s: slot %u is damaged; its register is remembered by the "
				 "store alone", m->path, i);
			continue;
		}
		id = marks_raise(m, slice_str(a.unit), slice_str(a.code), a.year, a.highest);
		if (id == 0)
			return ST_NOMEM;
		m->of[id - 1].slot = i;
		m->of[id - 1].dirty = m->of[id - 1].about.highest != a.highest;
	}
	return ST_OK;
}

static void *flusher(void *arg)
{
	struct marks *m = arg;

	pthread_mutex_lock(&m->lock);
	while (!m->stop || m->wanted) {
		int rc;

		if (!m->wanted) {
			pthread_cond_wait(&m->turn, &m->lock);
			continue;
		}
		pthread_mutex_unlock(&m->lock);
		rc = fdatasync(m->fd) == 0 ? 0 : errno;
		pthread_mutex_lock(&m->lock);
		if (m->failure == 0)
			m->failure = rc;
		m->wanted = false;
		pthread_cond_broadcast(&m->turn);
	}
	pthread_mutex_unlock(&m->lock);
	return NULL;
}

enum status marks_witness(struct marks *m, const char *path, struct error *e)
{
	char folder[PATH_MAX];
	uint8_t *bytes = NULL;
	size_t n = 0;
	char *slash;
	enum status st;

	snprintf(m->path, sizeof(m->path), "%s", path);
	snprintf(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (slash != NULL && slash != folder) {
		*slash = '\0';
		st = dir_make(folder, 0700, e);
		if (st != ST_OK)
			return st;
	} else {
		snprintf(folder, sizeof(folder), "%s", slash != NULL ? "/" : ".");
	}
	m->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (m->fd < 0)
		return failed(m, "open", e);
	st = dir_sync(folder, e);
	if (st == ST_OK)
		st = file_read(path, WITNESS_BYTES_MAX, &bytes, &n, e);
	if (st == ST_OK)
		st = slots_take(m, bytes, n);
	free(bytes);
	if (st == ST_OK) {
		m->started = pthread_create(&m->thread, NULL, flusher, m) == 0;
		st = m->started ? marks_write(m, e) : ST_NOMEM;
	}
	return st == ST_OK ? marks_wait(m, e) : st;
}

enum status marks_write(struct marks *m, struct error *e)
{
	bool any = false;

	if (m->fd < 0)
		return ST_OK;
	for (uint32_t i = 0; i < m->n; i++) {
		struct mark *k = &m->of[i];
		uint8_t slot[SLOT_BYTES];

		if (!k->dirty)
			continue;
		if (k->slot == NO_SLOT)
			k->slot = m->slots_n++;
		slot_write(slot, &k->about);
		if (pwrite(m->fd, slot, SLOT_BYTES, (off_t)k->slot * SLOT_BYTES) != SLOT_BYTES)
			return failed(m, "write", e);
		k->dirty = false;
		any = true;
	}
	if (any) {
		pthread_mutex_lock(&m->lock);
		m->wanted = true;
		pthread_cond_broadcast(&m->turn);
		pthread_mutex_unlock(&m->lock);
	}
	return ST_OK;
}

enum status marks_wait(struct marks *m, struct error *e)
{
	pthread_mutex_lock(&m->lock);
	while (m->wanted)
		pthread_cond_wait(&m->turn, &m->lock);
	errno = m->failure;
	pthread_mutex_unlock(&m->lock);
	/*
	 * What a failed flush left behind is unknown, and a second one may lie: final until a
	 * restart.
	 */
	return errno == 0 ? ST_OK : failed(m, "flush", e);
}
