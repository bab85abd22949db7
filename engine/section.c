#include "section.h"

#include <stdlib.h>

enum status section_reader_init(struct section_reader *r)
{
	r->check = sha256_new();
	r->piece = malloc(OBJECT_PIECE_BYTES);
	if (r->check != NULL && r->piece != NULL)
		return ST_OK;
	section_reader_free(r);
	return ST_NOMEM;
}

void section_reader_free(struct section_reader *r)
{
	sha256_free(r->check);
	free(r->piece);
	*r = (struct section_reader){ 0 };
}

/* also: NULL, or what gets the same bytes. */
static enum status object_run(struct section_reader *r, const struct object_file *f,
			      const struct section_run *run, struct sha256 *h, struct sha256 *also)
{
	enum status st = ST_OK;

	for (uint32_t done = 0; done < run->size && st == ST_OK;) {
		uint32_t left = run->size - done;
		uint32_t n = left < OBJECT_PIECE_BYTES ? left : OBJECT_PIECE_BYTES;

		st = object_read(f, (uint64_t)run->offset + done, r->piece, n);
		if (st != ST_OK)
			break;
		sha256_add(h, r->piece, n);
		if (also != NULL)
			sha256_add(also, r->piece, n);
		done += n;
	}
	return st;
}

static bool body_holds(const struct document *d, const struct section_run *run)
{
	return run->offset <= d->body_size && run->size <= d->body_size - run->offset;
}

/* A run that is the whole object, the attached original, is what it is checked with. */
static enum status runs_hash(struct section_reader *r, const struct document *d,
			     const struct object_file *f, struct sha256 *h)
{
	const struct section *s = d->section;
	bool checked = false;
	enum status st = ST_OK;

	for (uint32_t i = 0; i < s->runs_n && st == ST_OK; i++) {
		const struct section_run *run = &s->runs[i];
		bool whole = run->original && !checked && run->offset == 0 &&
			     run->size == f->size;
		uint8_t digest[SHA256_BYTES];

		if (!run->original) {
			st = body_holds(d, run) ? ST_OK : ST_CORRUPT;
			if (st == ST_OK)
				sha256_add(h, d->body + run->offset, run->size);
			continue;
		}
		if (whole)
			sha256_start(r->check);
		st = object_run(r, f, run, h, whole ? r->check : NULL);
		if (!whole)
			continue;
		sha256_end(r->check, digest);
		checked = true;
		if (st == ST_OK && memcmp(digest, s->sha256, SHA256_BYTES) != 0)
			st = ST_CORRUPT;
	}
	return st == ST_OK && !checked ? object_check(f, s->sha256, r->check, r->piece) : st;
}

enum status section_hash(struct section_reader *r, const struct document *d,
			 const struct objects *o, uint64_t object_size, struct sha256 *h)
{
	struct object_file f;
	enum status st;

	if (d->section == NULL)
		return ST_OK;
	if (o == NULL)
		return ST_NOT_FOUND;
	st = object_open(o, d->section->sha256, object_size, &f);
	if (st != ST_OK)
		return st;
	st = runs_hash(r, d, &f, h);
	object_close(&f);
	return st;
}

/* ---- whole files ---- */

bool spliced_room(struct spliced *f, uint64_t bytes, uint32_t runs)
{
	if (bytes > SIZE_MAX / 2)
		return false;
	if (bytes > f->room) {
		uint8_t *bigger = realloc(f->bytes, bytes);

		if (bigger == NULL)
			return false;
		f->bytes = bigger;
		f->room = bytes;
	}
	if (runs > f->runs_room) {
		struct section_run *more = realloc(f->runs, runs * sizeof(*more));

		if (more == NULL)
			return false;
		f->runs = more;
		f->runs_room = runs;
	}
	return true;
}

void spliced_free(struct spliced *f)
{
	free(f->bytes);
	free(f->runs);
	*f = (struct spliced){ 0 };
}

static enum status section_bytes(const struct spliced *f, spliced_object *read, void *ctx,
				 uint64_t offset, uint8_t *buf, size_t n)
{
	enum status st = ST_OK;

	for (uint32_t i = 0; i < f->runs_n && n > 0 && st == ST_OK; i++) {
		const struct section_run *run = &f->runs[i];
		size_t take;

		if (offset >= run->size) {
			offset -= run->size;
			continue;
		}
		take = run->size - offset < n ? (size_t)(run->size - offset) : n;
		if (run->original)
			st = read(ctx, run->offset + offset, buf, take);
		else
			memcpy(buf, f->bytes + run->offset + offset, take);
		buf += take;
		n -= take;
		offset = 0;
	}
	return st == ST_OK && n > 0 ? ST_CORRUPT : st;
}

enum status spliced_read(const struct spliced *f, spliced_object *read, void *ctx, uint64_t offset,
			 uint8_t *buf, size_t n)
{
	uint64_t behind = f->section_at + f->section_size;
	enum status st = ST_OK;

	if (offset > f->size || n > f->size - offset)
		return ST_CORRUPT;
	if (offset < f->section_at) {
		size_t take = f->section_at - offset < n ? (size_t)(f->section_at - offset) : n;

		memcpy(buf, f->bytes + offset, take);
		buf += take;
		offset += take;
		n -= take;
	}
	if (n > 0 && offset < behind) {
		size_t take = behind - offset < n ? (size_t)(behind - offset) : n;

		st = section_bytes(f, read, ctx, offset - f->section_at, buf, take);
		buf += take;
		offset += take;
		n -= take;
	}
	if (n > 0 && st == ST_OK)
		memcpy(buf, f->bytes + offset - f->section_size, n);
	return st;
}

enum status spliced_hash(const struct spliced *f, spliced_object *read, void *ctx, uint8_t *piece,
			 struct sha256 *h)
{
	enum status st = ST_OK;

	sha256_add(h, f->bytes, f->section_at);
	for (uint64_t at = 0; at < f->section_size && st == ST_OK; at += OBJECT_PIECE_BYTES) {
		size_t n = f->section_size - at < OBJECT_PIECE_BYTES ?
			   (size_t)(f->section_size - at) : OBJECT_PIECE_BYTES;

		st = section_bytes(f, read, ctx, at, piece, n);
		if (st == ST_OK)
			sha256_add(h, piece, n);
	}
	if (st == ST_OK)
		sha256_add(h, f->bytes + f->section_at, f->size - f->section_size - f->section_at);
	return st;
}

enum status spliced_from_file(void *ctx, uint64_t offset, void *buf, size_t n)
{
	return object_read(ctx, offset, buf, n);
}

/* ---- one that is held ---- */

/* The section's own bytes stand behind those of all parts. */
static enum status own_runs(struct spliced *f, const struct document *d, uint32_t at)
{
	for (uint32_t i = 0; i < d->section->runs_n; i++) {
		struct section_run run = d->section->runs[i];

		if (!run.original && !body_holds(d, &run))
			return ST_CORRUPT;
		if (!run.original) {
			memcpy(f->bytes + at, d->body + run.offset, run.size);
			run.offset = at;
			at += run.size;
		}
		f->runs[f->runs_n++] = run;
	}
	return ST_OK;
}

static enum status hold(struct held_file *h, const struct document *d)
{
	const struct section *s = d->section;
	uint64_t around = 0, within = 0;
	uint8_t *at;

	for (uint8_t i = 0; i < d->parts_n; i++)
		around += d->parts[i].size;
	for (uint32_t i = 0; s != NULL && i < s->runs_n; i++)
		within += s->runs[i].original ? 0 : s->runs[i].size;
	if (!spliced_room(&h->file, around + within, s != NULL ? s->runs_n : 0))
		return ST_NOMEM;
	at = h->file.bytes;
	for (uint8_t i = 0; i < d->parts_n; i++) {
		if (i == d->prefix_parts)
			h->file.section_at = (uint64_t)(at - h->file.bytes);
		memcpy(at, part_bytes(d, &d->parts[i]), d->parts[i].size);
		at += d->parts[i].size;
	}
	h->file.section_size = section_size(d);
	h->file.size = around + h->file.section_size;
	return s != NULL ? own_runs(&h->file, d, (uint32_t)around) : ST_OK;
}

enum status held_file_of(struct held_file **out, const struct document *d,
			 const struct objects *o, uint64_t object_size)
{
	struct held_file *h = calloc(1, sizeof(*h));
	enum status st = ST_OK;

	if (h == NULL)
		return ST_NOMEM;
	h->object.fd = -1;
	if (d->section != NULL)
		st = o == NULL ? ST_NOT_FOUND :
		     object_open(o, d->section->sha256, object_size, &h->object);
	if (st == ST_OK)
		st = hold(h, d);
	if (st != ST_OK) {
		held_file_free(h);
		return st;
	}
	*out = h;
	return ST_OK;
}

void held_file_free(struct held_file *f)
{
	if (f == NULL)
		return;
	spliced_free(&f->file);
	object_close(&f->object);
	free(f);
}

enum status held_file_read(struct held_file *f, uint64_t offset, uint8_t *buf, size_t n)
{
	return spliced_read(&f->file, spliced_from_file, &f->object, offset, buf, n);
}
