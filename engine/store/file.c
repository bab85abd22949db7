/* A result's file, put together from layers, body and an original's bytes. */
#include <stdlib.h>

#include "store/embedded.h"

static bool layer_kept(const struct store_reader *r, uint64_t position, struct slice *out)
{
	for (size_t i = 0; r->unchecked && i < LAYERS_KEPT; i++)
		if (r->layers[i].position == position) {
			*out = slice_of(r->layers[i].bytes, r->layers[i].n);
			return true;
		}
	return false;
}

static void layer_keep(struct store_reader *r, uint64_t position, struct slice bytes)
{
	struct layer_kept *at = &r->layers[r->layers_next % LAYERS_KEPT];
	uint8_t *copy = r->unchecked && bytes.n <= LAYER_KEPT_BYTES ? malloc(bytes.n + 1) : NULL;

	if (copy == NULL)
		return;
	memcpy(copy, bytes.p, bytes.n);
	free(at->bytes);
	*at = (struct layer_kept){ position, (uint32_t)bytes.n, copy };
	r->layers_next++;
}

static enum status layer_read(struct store_reader *r, uint32_t id, struct slice *out)
{
	struct layer_entry known;
	struct stored_layer l;
	struct frame_record rec;
	enum status st;

	if (!layers_get(&r->home->layers, id, &known))
		return ST_CORRUPT;
	if (layer_kept(r, known.position, out))
		return ST_OK;
	st = logreader_get(&r->log, known.position, known.size + FRAME_RECORD_BYTES + 36ull,
			   &r->other, &rec);
	if (st != ST_OK)
		return st;
	if (rec.type != STORED_LAYER || stored_layer_decode(&l, rec.payload) != ST_OK ||
	    l.id != id)
		return ST_CORRUPT;
	*out = l.bytes;
	layer_keep(r, known.position, l.bytes);
	return ST_OK;
}

static enum status layer_append(struct store_reader *r, const struct stored_part *p, uint8_t *to,
				size_t room, size_t *n)
{
	struct slice bytes = { NULL, 0 };
	enum status st = layer_read(r, p->layer, &bytes);

	if (st != ST_OK)
		return st;
	*n = p->size != 0 ? p->size : bytes.n;
	if (p->offset > bytes.n || *n > bytes.n - p->offset || *n > room)
		return ST_CORRUPT;
	memcpy(to, bytes.p + p->offset, *n);
	return ST_OK;
}

enum status embedded_object(struct store_reader *r, const uint8_t sha256[SHA256_BYTES],
			    struct slice *out)
{
	struct layer_entry known;
	struct stored_layer l;
	struct frame_record rec;
	uint8_t digest[SHA256_BYTES];
	enum status st;

	if (!layers_get(&r->home->layers, layers_find(&r->home->layers, sha256), &known))
		return ST_NOT_FOUND;
	st = logreader_get(&r->log, known.position, known.size + FRAME_RECORD_BYTES + 36ull,
			   &r->other, &rec);
	if (st != ST_OK)
		return st;
	if (rec.type != STORED_LAYER || stored_layer_decode(&l, rec.payload) != ST_OK)
		return ST_CORRUPT;
	sha256_once(l.bytes.p, l.bytes.n, digest);
	*out = l.bytes;
	return memcmp(digest, sha256, sizeof(digest)) == 0 ? ST_OK : ST_CORRUPT;
}

static enum status body_read(struct store_reader *r, struct slice *body)
{
	const struct stored_result *s = &r->result;
	struct frame_record rec;
	uint64_t sequence;
	enum status st = logreader_get(&r->log, s->body_position,
				       s->body_size + FRAME_RECORD_BYTES + 8ull, &r->body, &rec);

	if (st != ST_OK)
		return st;
	if (rec.type != STORED_BODY || stored_body_decode(&sequence, body, rec.payload) != ST_OK ||
	    sequence != s->view.sequence || body->n != s->body_size)
		return ST_CORRUPT;
	return ST_OK;
}

static enum status assemble(struct store_reader *r, struct opened *f)
{
	const struct stored_result *s = &r->result;
	size_t at = 0, size = s->view.file_size - s->section.size;
	uint8_t *to = f->file.bytes;
	struct slice body;
	enum status st = body_read(r, &body);

	for (uint8_t i = 0; i < s->parts_n && st == ST_OK; i++) {
		const struct stored_part *p = &s->parts[i];
		size_t n = p->size;

		if (i == s->section.part)
			f->file.section_at = at;
		if (p->layer != 0)
			st = layer_append(r, p, to + at, size - at, &n);
		else
			st = stored_part_copy(p, body, to + at, size - at);
		at += n;
	}
	if (st == ST_OK && at != size)
		return ST_CORRUPT;
	return st == ST_OK ? opened_section(f, s, body) : st;
}

static enum status object_find(struct store_reader *r, struct opened *f)
{
	const struct stored_section *section = &r->result.section;
	enum status st;

	if (section->runs_n == 0)
		return ST_OK;
	if (r->home->objects == NULL)
		return ST_CORRUPT;
	st = object_open(r->home->objects, section->sha256, section->object_size, &f->object);
	/* What a result names is there, or lost. */
	return st == ST_NOT_FOUND ? ST_CORRUPT : st;
}

enum status reader_file(struct store_reader *r, struct opened *f, bool check)
{
	const struct result_view *v = &r->result.view;
	enum status st = opened_begin(f, &r->result);

	if (st == ST_OK)
		st = object_find(r, f);
	if (st == ST_OK)
		st = assemble(r, f);
	if (st == ST_OK && check)
		st = opened_check(f, v, spliced_from_file, &f->object, r->hash, r->piece);
	return st;
}

static enum status file_open(struct store_reader *r, uint8_t lane, uint64_t sequence,
			     uint64_t offset, struct opened **out)
{
	struct opened_checked *checked = &r->home->checked;
	enum status st = reader_result(r, lane, sequence);
	bool check;

	if (st != ST_OK)
		return st;
	check = !r->unchecked && opened_must_check(checked, &r->result, offset);
	*out = opened_place(&r->files, sequence);
	st = reader_file(r, *out, check);
	if (st != ST_OK)
		return st;
	opened_keep(*out, &r->result.view);
	if (check)
		opened_note_checked(checked, &r->result);
	return ST_OK;
}

enum status embedded_read(struct store_reader *r, uint8_t lane, uint64_t sequence, uint64_t offset,
			  uint8_t *buf, size_t *n)
{
	struct opened *f = opened_find(&r->files, sequence);
	enum status st = ST_OK;

	if (f == NULL || offset == 0)
		st = file_open(r, lane, sequence, offset, &f);
	return st == ST_OK ? opened_read(&r->files, f, spliced_from_file, &f->object, offset, buf,
					 n) : st;
}
