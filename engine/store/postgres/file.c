/* The bytes of a file, put together from the row and the shared layers. */
#include <stdlib.h>

#include "store/postgres/layers.h"
#include "store/postgres/reader.h"

/* From a server into the cache, if it has them and they are what their name says. */
static enum status layer_fetch(struct store_reader *r, uint8_t server, const uint8_t *sha256,
			       struct slice *bytes)
{
	struct pg_question *q = &r->questions[0];
	uint8_t digest[SHA256_BYTES];
	PGresult *answer = NULL;
	enum status st;

	pg_question(q, PG_LAYER);
	pg_bytes(q, slice_of(sha256, SHA256_BYTES));
	st = reader_ask(r, server, q, &answer);
	if (st != ST_OK)
		return st;
	if (PQntuples(answer) == 0)
		return ST_NOT_FOUND;
	*bytes = pg_column(answer, 0, 0);
	sha256_once(bytes->p, bytes->n, digest);
	if (memcmp(digest, sha256, SHA256_BYTES) != 0)
		return ST_CORRUPT;
	pg_layers_keep(r->home->layers, sha256, *bytes);
	return ST_OK;
}

static enum status layer_append(struct store_reader *r, uint8_t lane, const uint8_t *sha256,
				const struct stored_part *p, uint8_t *to, size_t room, size_t *n)
{
	struct slice bytes;
	enum status st = pg_layers_copy(r->home->layers, sha256, p->offset, to, room, n);

	if (st != ST_NOT_FOUND)
		return st;
	st = layer_fetch(r, r->home->servers.of_lane[lane], sha256, &bytes);
	/* Layers are stored before what rests on them. */
	if (st != ST_OK)
		return st == ST_NOT_FOUND ? ST_CORRUPT : st;
	if (*n == 0 && p->offset <= bytes.n)
		*n = bytes.n - p->offset;
	if (p->offset > bytes.n || *n > bytes.n - p->offset || *n > room)
		return ST_CORRUPT;
	memcpy(to, bytes.p + p->offset, *n);
	return ST_OK;
}

static enum status assemble(struct store_reader *r, struct slice layers, struct slice body,
			    struct opened *f)
{
	const struct stored_result *s = &r->result;
	size_t at = 0, size = s->view.file_size - s->section.size;
	enum status st = body.n == s->body_size ? ST_OK : ST_CORRUPT;
	uint8_t *to = f->file.bytes;

	for (uint8_t i = 0; i < s->parts_n && st == ST_OK; i++) {
		const struct stored_part *p = &s->parts[i];
		size_t n = p->size;

		if (i == s->section.part)
			f->file.section_at = at;
		if (p->layer > layers.n / SHA256_BYTES)
			st = ST_CORRUPT;
		else if (p->layer != 0)
			st = layer_append(r, s->view.lane,
					  layers.p + (size_t)(p->layer - 1) * SHA256_BYTES, p,
					  to + at, size - at, &n);
		else
			st = stored_part_copy(p, body, to + at, size - at);
		at += n;
	}
	if (st == ST_OK && at != size)
		return ST_CORRUPT;
	return st == ST_OK ? opened_section(f, s, body) : st;
}

/* ---- the original of a copy: one piece at a time ---- */

struct pieces { struct store_reader *r; struct opened *f; };

static enum status piece_load(struct store_reader *r, struct opened *f, uint32_t n)
{
	uint32_t kept = r->kept_n;
	struct pg_question q;
	PGresult *answer = NULL;
	struct slice bytes;
	enum status st;

	if (f->chunk == NULL)
		f->chunk = malloc(OBJECT_CHUNK_BYTES);
	if (f->chunk == NULL)
		return ST_NOMEM;
	f->chunk_n = 0;
	pg_question(&q, PG_OBJECT);
	pg_int2(&q, f->lane);
	pg_bytes(&q, slice_of(f->sha256, SHA256_BYTES));
	pg_int4(&q, (int32_t)n);
	st = reader_ask(r, r->home->servers.of_lane[f->lane], &q, &answer);
	if (st != ST_OK)
		return st;
	/* Pieces are stored before what names them. */
	st = PQntuples(answer) == 1 ? ST_OK : ST_CORRUPT;
	if (st == ST_OK) {
		bytes = pg_column(answer, 0, 0);
		if (bytes.n == pg_piece_bytes(f->object_size, n)) {
			memcpy(f->chunk, bytes.p, bytes.n);
			f->chunk_n = n + 1;
		} else {
			st = ST_CORRUPT;
		}
	}
	reader_forget(r, kept);
	return st;
}

static enum status piece_read(void *ctx, uint64_t offset, void *buf, size_t n)
{
	struct pieces *p = ctx;
	uint8_t *to = buf;

	while (n > 0) {
		uint32_t piece = (uint32_t)(offset / OBJECT_CHUNK_BYTES);
		size_t at = offset % OBJECT_CHUNK_BYTES;
		size_t take = OBJECT_CHUNK_BYTES - at < n ? OBJECT_CHUNK_BYTES - at : n;
		enum status st = ST_OK;

		if (p->f->chunk_n != piece + 1)
			st = piece_load(p->r, p->f, piece);
		if (st != ST_OK)
			return st;
		memcpy(to, p->f->chunk + at, take);
		to += take;
		offset += take;
		n -= take;
	}
	return ST_OK;
}

/* ---- the whole ---- */

static enum status file_take(struct store_reader *r, struct slice layers, struct slice body,
			     struct opened *f, bool check)
{
	struct pieces p = { r, f };
	enum status st = opened_begin(f, &r->result);

	if (st == ST_OK)
		st = assemble(r, layers, body, f);
	if (st == ST_OK && check)
		st = opened_check(f, &r->result.view, piece_read, &p, r->hash, r->piece);
	if (st == ST_OK)
		opened_keep(f, &r->result.view);
	return st;
}

enum status reader_file_check(struct store_reader *r, struct slice layers, struct slice body)
{
	struct opened *f = opened_place(&r->files, r->result.view.sequence);

	return file_take(r, layers, body, f, true);
}

static enum status file_open(struct store_reader *r, uint8_t lane, uint64_t sequence,
			     uint64_t offset, struct opened *f)
{
	struct opened_checked *checked = &r->home->checked;
	struct pg_question *q = &r->questions[0];
	PGresult *answer = NULL;
	bool check;
	enum status st;

	pg_question(q, PG_FILE);
	pg_int2(q, lane);
	pg_int8(q, (int64_t)sequence);
	st = reader_ask(r, r->home->servers.of_lane[lane], q, &answer);
	if (st == ST_OK && PQntuples(answer) == 0)
		st = ST_NOT_FOUND;
	if (st == ST_OK)
		st = reader_row(answer, 0, 0, lane, sequence, &r->result);
	if (st != ST_OK)
		return st;
	check = !r->unchecked && opened_must_check(checked, &r->result, offset);
	st = file_take(r, pg_column(answer, 0, 0), pg_column(answer, 0, 3), f, check);
	if (st == ST_OK && check)
		opened_note_checked(checked, &r->result);
	return st;
}

enum status pg_read(struct store_reader *r, uint8_t lane, uint64_t sequence, uint64_t offset,
		    uint8_t *buf, size_t *n)
{
	struct pieces p = { r, opened_find(&r->files, sequence) };
	enum status st = ST_OK;

	reader_forget(r, 0);
	if (p.f == NULL || offset == 0) {
		p.f = opened_place(&r->files, sequence);
		st = file_open(r, lane, sequence, offset, p.f);
	}
	/* The answer is as large as the file: not kept between calls. */
	reader_forget(r, 0);
	return st == ST_OK ? opened_read(&r->files, p.f, piece_read, &p, offset, buf, n) : st;
}

enum status pg_object(struct store_reader *r, const uint8_t sha256[SHA256_BYTES], struct slice *out)
{
	bool away = false;

	reader_forget(r, 0);
	/* It lies where a result that rests on it does. */
	for (uint8_t i = 0; i < r->home->servers.n; i++) {
		enum status st = layer_fetch(r, i, sha256, out);

		if (st == ST_OK || st == ST_CORRUPT)
			return st;
		away |= st != ST_NOT_FOUND;
	}
	return away ? ST_UNAVAILABLE : ST_NOT_FOUND;
}
