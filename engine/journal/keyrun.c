#include "journal/keyrun.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "identity.h"
#include "io/file.h"

#define MAGIC 0x59454b4e45495254ull	/* "TRIENKEY" */
#define FORMAT_VERSION 2u
#define ENTRY_BYTES 120u
#define ENTRY_BYTES_1 112u		/* of version 1 */
#define BLOCK_BYTES 4096u
#define BLOCK_ENTRIES 34u
#define CRC_AT (BLOCK_BYTES - 4)
#define LINE_BYTES 64u
#define LINE_BITS (8 * LINE_BYTES)
#define KEY_BITS 10u
#define KEY_PROBES 7			/* of 9 bits each: what one u64 holds */
#define CURSOR_BLOCKS 64u		/* read at once */
#define WRITE_BLOCKS 64u

static_assert(CRC_AT / ENTRY_BYTES == BLOCK_ENTRIES && CRC_AT / ENTRY_BYTES_1 == 36,
	      "a block holds its entries");
static_assert(16 + 8 + 8 + SHA256_BYTES + 3 + NUMBER_TEXT_BYTES_MAX < ENTRY_BYTES_1,
	      "an entry fits");

static enum status failed(struct error *e, const char *act, const char *path)
{
	enum status st = errno == ENOSPC || errno == EDQUOT ? ST_NOSPACE :
			 errno == ENOMEM ? ST_NOMEM : ST_IO;

	return error_set(e, st, "%s: cannot %s: %s", path, act, strerrordesc_np(errno));
}

static uint64_t u64_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

static uint32_t u32_at(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return le32toh(v);
}

static void u32_put(uint8_t *p, uint32_t v)
{
	v = htole32(v);
	memcpy(p, &v, sizeof(v));
}

/* Numbers order like keys. */
static uint64_t prefix_of(const uint8_t key[16])
{
	uint64_t v;

	memcpy(&v, key, sizeof(v));
	return be64toh(v);
}

static uint32_t block_crc(const uint8_t *block, uint64_t index)
{
	uint64_t place = htole64(index);

	return crc32c(crc32c(0, &place, sizeof(place)), block, CRC_AT);
}

/* ---- entries ---- */

static void entry_write(uint8_t out[ENTRY_BYTES], const struct keyentry *k)
{
	struct writer w = writer_of(out, ENTRY_BYTES);
	size_t n = strnlen(k->number_text, NUMBER_TEXT_BYTES_MAX);

	memset(out, 0, ENTRY_BYTES);
	write_bytes(&w, k->key, sizeof(k->key));
	write_u64(&w, k->sequence);
	write_u64(&w, k->number);
	write_bytes(&w, k->digest, sizeof(k->digest));
	write_u8(&w, k->lane);
	write_u8(&w, k->flags);
	write_u8(&w, (uint8_t)n);
	write_bytes(&w, k->number_text, n);
	assert(!w.bad && writer_size(&w) <= ENTRY_BYTES_1);
	w = writer_of(out + ENTRY_BYTES_1, ENTRY_BYTES - ENTRY_BYTES_1);
	write_u64(&w, (uint64_t)k->issued_ms);
}

static void entry_read(struct keyentry *k, const struct keyrun *run, const uint8_t *in)
{
	struct reader r = reader_of(slice_of(in, ENTRY_BYTES_1));
	size_t n;

	memcpy(k->key, read_bytes(&r, sizeof(k->key)).p, sizeof(k->key));
	k->sequence = read_u64(&r);
	k->number = read_u64(&r);
	memcpy(k->digest, read_bytes(&r, sizeof(k->digest)).p, sizeof(k->digest));
	k->lane = read_u8(&r);
	k->flags = read_u8(&r);
	n = read_u8(&r);
	if (n > NUMBER_TEXT_BYTES_MAX)
		n = NUMBER_TEXT_BYTES_MAX;
	memset(k->number_text, 0, sizeof(k->number_text));
	memcpy(k->number_text, read_bytes(&r, n).p, n);
	k->issued_ms = run->entry_bytes == ENTRY_BYTES ?
		       (int64_t)u64_at(in + ENTRY_BYTES_1) : sequence_ms(k->sequence);
}

/* ---- the filter ---- */

static uint64_t line_of(const uint8_t key[16], uint64_t lines)
{
	return (u64_at(key + 8) >> 32) * lines >> 32;
}

static void line_set(uint8_t *line, const uint8_t key[16])
{
	uint64_t bits = u64_at(key);

	for (int i = 0; i < KEY_PROBES; i++, bits >>= 9)
		line[bits % LINE_BITS / 8] |= (uint8_t)(1u << bits % 8);
}

const uint8_t *keyrun_line(const struct keyrun *r, const uint8_t key[16])
{
	return r->bloom + line_of(key, r->lines) * LINE_BYTES;
}

bool keyrun_may_have(const uint8_t *line, const uint8_t key[16])
{
	uint64_t bits = u64_at(key);

	for (int i = 0; i < KEY_PROBES; i++, bits >>= 9)
		if ((line[bits % LINE_BITS / 8] >> bits % 8 & 1) == 0)
			return false;
	return true;
}

/* ---- reading ---- */

bool keyrun_name_read(const char *name, uint64_t *from, uint64_t *upto)
{
	unsigned long long a, b;
	int end = 0;

	if (sscanf(name, "keys-%16llx-%16llx.run%n", &a, &b, &end) != 2 || end != 42 ||
	    name[end] != '\0')
		return false;
	*from = a;
	*upto = b;
	return true;
}

static enum status header_check(struct keyrun *r, struct error *e)
{
	struct reader in = reader_of(slice_of(r->map, BLOCK_BYTES));
	uint64_t magic = read_u64(&in), tail;
	uint32_t version = read_u32(&in);

	r->entry_bytes = read_u32(&in);
	r->count = read_u64(&in);
	r->from = read_u64(&in);
	r->upto = read_u64(&in);
	r->lines = read_u64(&in);
	if (magic != MAGIC || u32_at(r->map + CRC_AT) != crc32c(0, r->map, CRC_AT))
		return error_set(e, ST_CORRUPT, "%s: the header is broken", r->path);
	if ((version != FORMAT_VERSION || r->entry_bytes != ENTRY_BYTES) &&
	    (version != 1 || r->entry_bytes != ENTRY_BYTES_1))
		return error_set(e, ST_UNSUPPORTED, "%s: format version %u is unknown to this "
				 "version; start the version that wrote it", r->path, version);
	r->block_entries = CRC_AT / r->entry_bytes;
	r->blocks = (r->count + r->block_entries - 1) / r->block_entries;
	tail = r->blocks * 8 + r->lines * LINE_BYTES;
	if (r->count == 0 || r->lines == 0 || r->count > r->size || r->lines > r->size ||
	    r->size != (1 + r->blocks) * BLOCK_BYTES + tail + 4)
		return error_set(e, ST_CORRUPT, "%s: %zu bytes do not fit %llu entries", r->path,
				 r->size, (unsigned long long)r->count);
	r->fences = r->map + (1 + r->blocks) * BLOCK_BYTES;
	r->bloom = r->fences + r->blocks * 8;
	if (u32_at(r->fences + tail) != crc32c(0, r->fences, tail))
		return error_set(e, ST_CORRUPT, "%s: fences or filter are broken", r->path);
	madvise((void *)r->map, (1 + r->blocks) * BLOCK_BYTES, MADV_RANDOM);
	return ST_OK;
}

enum status keyrun_open(struct keyrun **out, const char *path, struct error *e)
{
	struct keyrun *r = calloc(1, sizeof(*r) + strlen(path) + 1);
	struct stat sb;
	enum status st = ST_OK;

	if (r == NULL)
		return error_set(e, ST_NOMEM, "%s: no memory to open it", path);
	memcpy(r->path, path, strlen(path) + 1);
	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd < 0 || fstat(r->fd, &sb) != 0) {
		st = failed(e, "open", path);
	} else if (sb.st_size < 2 * (off_t)BLOCK_BYTES) {
		st = error_set(e, ST_CORRUPT, "%s: %lld bytes are no run", path,
			       (long long)sb.st_size);
	} else {
		r->size = (size_t)sb.st_size;
		r->map = mmap(NULL, r->size, PROT_READ, MAP_SHARED, r->fd, 0);
		if (r->map == MAP_FAILED) {
			r->map = NULL;
			st = failed(e, "map", path);
		} else {
			st = header_check(r, e);
		}
	}
	if (st != ST_OK) {
		keyrun_close(r);
		return st;
	}
	*out = r;
	return ST_OK;
}

void keyrun_close(struct keyrun *r)
{
	if (r == NULL)
		return;
	if (r->map != NULL)
		munmap((void *)r->map, r->size);
	if (r->fd >= 0)
		close(r->fd);
	free(r);
}

static uint32_t entries_in(const struct keyrun *r, uint64_t block)
{
	uint64_t left = r->count - block * r->block_entries;

	return left < r->block_entries ? (uint32_t)left : r->block_entries;
}

static enum status block_get(const struct keyrun *r, uint64_t index, const uint8_t key[16],
			     struct keyentry *out)
{
	const uint8_t *block = r->map + (1 + index) * BLOCK_BYTES;
	uint32_t low = 0, high = entries_in(r, index);

	if (u32_at(block + CRC_AT) != block_crc(block, index))
		return ST_CORRUPT;
	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = memcmp(block + mid * r->entry_bytes, key, 16);

		if (order == 0) {
			entry_read(out, r, block + mid * r->entry_bytes);
			return ST_OK;
		}
		if (order < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return ST_NOT_FOUND;
}

enum status keyrun_get(const struct keyrun *r, const uint8_t key[16], struct keyentry *out)
{
	uint64_t prefix = prefix_of(key), low = 0, high = r->blocks;

	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (u64_at(r->fences + 8 * mid) < prefix)
			low = mid + 1;
		else
			high = mid;
	}
	/* The key may also stand at the end of the block before, or beyond others of its prefix. */
	for (uint64_t b = low > 0 ? low - 1 : 0;
	     b < r->blocks && u64_at(r->fences + 8 * b) <= prefix; b++) {
		enum status st = block_get(r, b, key, out);

		if (st != ST_NOT_FOUND)
			return st;
	}
	return ST_NOT_FOUND;
}

/* ---- in order ---- */

static enum status cursor_load(struct keyrun_cursor *c, uint64_t block, struct error *e)
{
	const struct keyrun *r = c->run;
	uint64_t n = r->blocks - block < CURSOR_BLOCKS ? r->blocks - block : CURSOR_BLOCKS;
	ssize_t want = (ssize_t)(n * BLOCK_BYTES);

	if (file_read_at(r->fd, c->buf, (size_t)want, (1 + block) * BLOCK_BYTES) != want)
		return failed(e, "read", r->path);
	for (uint64_t i = 0; i < n; i++)
		if (u32_at(c->buf + i * BLOCK_BYTES + CRC_AT) !=
		    block_crc(c->buf + i * BLOCK_BYTES, block + i))
			return error_set(e, ST_DAMAGED,
					 "%s: block %llu fails its checksum; restore "
					 "this file from a backup",
					 r->path, (unsigned long long)(block + i));
	c->loaded = block;
	return ST_OK;
}

enum status keyrun_cursor_next(struct keyrun_cursor *c, struct error *e)
{
	uint64_t block = c->next / c->run->block_entries;

	c->more = false;
	if (c->next == c->run->count)
		return ST_OK;
	if (c->next == 0 || block >= c->loaded + CURSOR_BLOCKS) {
		enum status st = cursor_load(c, block, e);

		if (st != ST_OK)
			return st;
	}
	entry_read(&c->entry, c->run, c->buf + (block - c->loaded) * BLOCK_BYTES +
		   c->next % c->run->block_entries * c->run->entry_bytes);
	c->next++;
	c->more = true;
	return ST_OK;
}

enum status keyrun_cursor_start(struct keyrun_cursor *c, const struct keyrun *r, struct error *e)
{
	*c = (struct keyrun_cursor){ .run = r, .buf = malloc(CURSOR_BLOCKS * BLOCK_BYTES) };
	if (c->buf == NULL)
		return error_set(e, ST_NOMEM, "%s: no memory to read it", r->path);
	return keyrun_cursor_next(c, e);
}

void keyrun_cursor_end(struct keyrun_cursor *c)
{
	free(c->buf);
	c->buf = NULL;
	c->more = false;
}

/* ---- writing ---- */

struct keyrun_writer {
	int fd;
	uint64_t from, upto, count, count_max, blocks, lines;
	uint8_t last[16];
	uint8_t *buf;			/* WRITE_BLOCKS blocks, the last one being filled */
	uint32_t buf_blocks;		/* whole ones in buf */
	uint8_t *tail;			/* fences, then filter */
	size_t fences_max;		/* bytes of the fences at most */
	char *dir, *path, *tmp;
};

static enum status write_all(struct keyrun_writer *w, const void *p, size_t n, struct error *e)
{
	const uint8_t *at = p;

	while (n > 0) {
		ssize_t rc = write(w->fd, at, n);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc <= 0)
			return failed(e, "write", w->tmp);
		at += rc;
		n -= (size_t)rc;
	}
	return ST_OK;
}

static void writer_free(struct keyrun_writer *w)
{
	if (w->fd >= 0)
		close(w->fd);
	free(w->buf);
	free(w->tail);
	free(w->dir);
	free(w->path);
	free(w->tmp);
	free(w);
}

void keyrun_abandon(struct keyrun_writer *w)
{
	if (w->fd >= 0)
		unlink(w->tmp);
	writer_free(w);
}

static bool names_make(struct keyrun_writer *w, const char *dir)
{
	w->dir = strdup(dir);
	if (asprintf(&w->path, "%s/keys-%016llx-%016llx.run", dir, (unsigned long long)w->from,
		     (unsigned long long)w->upto) < 0)
		w->path = NULL;
	if (asprintf(&w->tmp, "%s.tmp", w->path != NULL ? w->path : "") < 0)
		w->tmp = NULL;
	return w->dir != NULL && w->path != NULL && w->tmp != NULL;
}

enum status keyrun_create(struct keyrun_writer **out, const char *dir, uint64_t from, uint64_t upto,
			  uint64_t count_max, struct error *e)
{
	static const uint8_t header[BLOCK_BYTES];
	struct keyrun_writer *w = calloc(1, sizeof(*w));
	enum status st;

	assert(count_max > 0 && from < upto);
	if (w == NULL)
		return error_set(e, ST_NOMEM, "key index: no memory to write a run");
	w->fd = -1;
	w->from = from;
	w->upto = upto;
	w->count_max = count_max;
	w->lines = (count_max * KEY_BITS + LINE_BITS - 1) / LINE_BITS;
	w->fences_max = (count_max + BLOCK_ENTRIES - 1) / BLOCK_ENTRIES * 8;
	w->buf = calloc(WRITE_BLOCKS, BLOCK_BYTES);
	w->tail = calloc(1, w->fences_max + w->lines * LINE_BYTES + 4);
	if (!names_make(w, dir) || w->buf == NULL || w->tail == NULL) {
		writer_free(w);
		return error_set(e, ST_NOMEM, "key index: no memory to write a run");
	}
	w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	st = w->fd < 0 ? failed(e, "create", w->tmp) : write_all(w, header, sizeof(header), e);
	if (st != ST_OK) {
		keyrun_abandon(w);
		return st;
	}
	*out = w;
	return ST_OK;
}

static enum status blocks_flush(struct keyrun_writer *w, struct error *e)
{
	enum status st = write_all(w, w->buf, (size_t)w->buf_blocks * BLOCK_BYTES, e);

	memset(w->buf, 0, (size_t)w->buf_blocks * BLOCK_BYTES);
	w->buf_blocks = 0;
	return st;
}

static void block_end(struct keyrun_writer *w)
{
	uint8_t *block = w->buf + (size_t)w->buf_blocks * BLOCK_BYTES;

	u32_put(block + CRC_AT, block_crc(block, w->blocks));
	w->blocks++;
	w->buf_blocks++;
}

enum status keyrun_add(struct keyrun_writer *w, const struct keyentry *entry, struct error *e)
{
	uint32_t in_block = (uint32_t)(w->count % BLOCK_ENTRIES);
	uint8_t *line = w->tail + w->fences_max + line_of(entry->key, w->lines) * LINE_BYTES;

	assert(w->count < w->count_max);
	assert(w->count == 0 || memcmp(w->last, entry->key, 16) < 0);
	memcpy(w->last, entry->key, 16);
	if (in_block == 0) {
		uint64_t fence = htole64(prefix_of(entry->key));

		memcpy(w->tail + 8 * w->blocks, &fence, sizeof(fence));
	}
	entry_write(w->buf + (size_t)w->buf_blocks * BLOCK_BYTES + in_block * ENTRY_BYTES, entry);
	line_set(line, entry->key);
	w->count++;
	if (in_block == BLOCK_ENTRIES - 1)
		block_end(w);
	return w->buf_blocks == WRITE_BLOCKS ? blocks_flush(w, e) : ST_OK;
}

static enum status tail_write(struct keyrun_writer *w, struct error *e)
{
	size_t fences = w->blocks * 8, filter = w->lines * LINE_BYTES;
	enum status st;

	/* Keys that stood in several runs became one: then there are fewer blocks than foreseen. */
	memmove(w->tail + fences, w->tail + w->fences_max, filter);
	u32_put(w->tail + fences + filter, crc32c(0, w->tail, fences + filter));
	st = blocks_flush(w, e);
	return st == ST_OK ? write_all(w, w->tail, fences + filter + 4, e) : st;
}

static enum status header_write(struct keyrun_writer *w, struct error *e)
{
	uint8_t *block = w->buf;	/* flushed: zeros */
	struct writer out = writer_of(block, CRC_AT);

	write_u64(&out, MAGIC);
	write_u32(&out, FORMAT_VERSION);
	write_u32(&out, ENTRY_BYTES);
	write_u64(&out, w->count);
	write_u64(&out, w->from);
	write_u64(&out, w->upto);
	write_u64(&out, w->lines);
	u32_put(block + CRC_AT, crc32c(0, block, CRC_AT));
	if (lseek(w->fd, 0, SEEK_SET) != 0)
		return failed(e, "seek", w->tmp);
	return write_all(w, block, BLOCK_BYTES, e);
}

enum status keyrun_finish(struct keyrun_writer *w, struct keyrun **out, struct error *e)
{
	enum status st;

	*out = NULL;
	assert(w->count > 0);
	if (w->count % BLOCK_ENTRIES != 0)
		block_end(w);
	st = tail_write(w, e);
	if (st == ST_OK)
		st = header_write(w, e);
	if (st == ST_OK && fsync(w->fd) != 0)
		st = failed(e, "flush", w->tmp);
	if (st == ST_OK && rename(w->tmp, w->path) != 0)
		st = failed(e, "rename", w->tmp);
	if (st != ST_OK) {
		keyrun_abandon(w);
		return st;
	}
	st = dir_sync(w->dir, e);
	if (st == ST_OK)
		st = keyrun_open(out, w->path, e);
	writer_free(w);
	return st;
}
