#include "store/opened.h"

#include <stdlib.h>

void opened_free(struct opened_files *files)
{
	for (size_t i = 0; i < OPENED_FILES; i++)
		free(files->of[i].bytes);
}

struct opened *opened_find(struct opened_files *files, uint64_t sequence)
{
	for (size_t i = 0; i < OPENED_FILES; i++)
		if (files->of[i].sequence == sequence && files->of[i].n > 0)
			return &files->of[i];
	return NULL;
}

struct opened *opened_place(struct opened_files *files, uint64_t sequence)
{
	struct opened *f = opened_find(files, sequence);

	if (f == NULL) {
		f = &files->of[0];
		for (size_t i = 1; i < OPENED_FILES; i++)
			if (files->of[i].used < f->used)
				f = &files->of[i];
	}
	f->n = 0;
	return f;
}

bool opened_room(uint8_t **bytes, size_t *room, uint64_t n)
{
	uint8_t *bigger;

	if (*room >= n)
		return true;
	bigger = realloc(*bytes, n);
	if (bigger == NULL)
		return false;
	*bytes = bigger;
	*room = n;
	return true;
}

bool file_is(const struct result_view *v, const uint8_t *bytes, struct sha256 *h)
{
	uint8_t digest[SHA256_BYTES];

	sha256_start(h);
	sha256_add(h, bytes, v->file_size);
	sha256_end(h, digest);
	return memcmp(digest, v->file_sha256, sizeof(digest)) == 0;
}

void opened_keep(struct opened *f, const struct result_view *v)
{
	f->n = (size_t)v->file_size;
	f->sequence = v->sequence;
}

void opened_read(struct opened_files *files, struct opened *f, uint64_t offset, uint8_t *buf,
		 size_t *n)
{
	f->used = ++files->uses;
	if (offset > f->n)
		offset = f->n;
	if (*n > f->n - offset)
		*n = f->n - offset;
	memcpy(buf, f->bytes + offset, *n);
	/* The end was reached: nobody goes on with it. */
	if (offset + *n == f->n)
		f->used = 0;
}
