#include "store/opened.h"

#include <stdlib.h>

void opened_init(struct opened_files *files)
{
	for (size_t i = 0; i < OPENED_FILES; i++)
		files->of[i].object.fd = -1;
}

void opened_free(struct opened_files *files)
{
	for (size_t i = 0; i < OPENED_FILES; i++) {
		spliced_free(&files->of[i].file);
		object_close(&files->of[i].object);
		free(files->of[i].chunk);
	}
}

struct opened *opened_find(struct opened_files *files, uint64_t sequence)
{
	for (size_t i = 0; i < OPENED_FILES; i++)
		if (files->of[i].sequence == sequence && files->of[i].file.size > 0)
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
	f->file.size = 0;
	return f;
}

enum status opened_begin(struct opened *f, const struct stored_result *s)
{
	const struct stored_section *section = &s->section;
	uint64_t within = 0, around = s->view.file_size - section->size;

	if (section->size > s->view.file_size)
		return ST_CORRUPT;
	for (uint32_t i = 0; i < section->runs_n; i++) {
		struct section_run run = stored_run(section, i);

		within += run.original ? 0 : run.size;
	}
	if (around > UINT32_MAX || !spliced_room(&f->file, around + within, section->runs_n))
		return around > UINT32_MAX ? ST_CORRUPT : ST_NOMEM;
	f->file.section_at = 0;
	f->file.section_size = section->size;
	f->file.runs_n = section->runs_n;
	f->lane = s->view.lane;
	f->object_size = section->object_size;
	memcpy(f->sha256, section->sha256, SHA256_BYTES);
	object_close(&f->object);
	free(f->chunk);
	f->chunk = NULL;
	f->chunk_n = 0;
	return ST_OK;
}

enum status opened_section(struct opened *f, const struct stored_result *s, struct slice body)
{
	uint64_t at = s->view.file_size - s->section.size;

	for (uint32_t i = 0; i < s->section.runs_n; i++) {
		struct section_run run = stored_run(&s->section, i);

		if (!run.original) {
			if (run.offset > body.n || run.size > body.n - run.offset)
				return ST_CORRUPT;
			memcpy(f->file.bytes + at, body.p + run.offset, run.size);
			run.offset = (uint32_t)at;
			at += run.size;
		}
		f->file.runs[i] = run;
	}
	return ST_OK;
}

enum status opened_check(const struct opened *f, const struct result_view *v, spliced_object *read,
			 void *ctx, struct sha256 *h, uint8_t *piece)
{
	struct spliced whole = f->file;
	uint8_t digest[SHA256_BYTES];
	enum status st;

	whole.size = v->file_size;
	sha256_start(h);
	st = spliced_hash(&whole, read, ctx, piece, h);
	sha256_end(h, digest);
	return st == ST_OK && memcmp(digest, v->file_sha256, sizeof(digest)) != 0 ? ST_CORRUPT : st;
}

void opened_keep(struct opened *f, const struct result_view *v)
{
	f->file.size = v->file_size;
	f->sequence = v->sequence;
}

enum status opened_read(struct opened_files *files, struct opened *f, spliced_object *read,
			void *ctx, uint64_t offset, uint8_t *buf, size_t *n)
{
	f->used = ++files->uses;
	if (offset > f->file.size)
		offset = f->file.size;
	if (*n > f->file.size - offset)
		*n = (size_t)(f->file.size - offset);
	/* The end was reached: nobody goes on with it. */
	if (offset + *n == f->file.size)
		f->used = 0;
	return spliced_read(&f->file, read, ctx, offset, buf, *n);
}

static bool was_checked(struct opened_checked *c, uint64_t sequence)
{
	bool was = false;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < CHECKED_FILES; i++)
		was |= c->of[i] == sequence;
	pthread_mutex_unlock(&c->lock);
	return was;
}

bool opened_must_check(struct opened_checked *c, const struct stored_result *s, uint64_t offset)
{
	return s->section.runs_n == 0 || offset == 0 || !was_checked(c, s->view.sequence);
}

void opened_note_checked(struct opened_checked *c, const struct stored_result *s)
{
	if (s->section.runs_n == 0)
		return;
	pthread_mutex_lock(&c->lock);
	c->of[c->next++ % CHECKED_FILES] = s->view.sequence;
	pthread_mutex_unlock(&c->lock);
}
