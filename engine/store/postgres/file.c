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
			    uint8_t *to, size_t size)
{
	const struct stored_result *s = &r->result;
	enum status st = body.n == s->body_size ? ST_OK : ST_CORRUPT;
	size_t at = 0;

	for (uint8_t i = 0; i < s->parts_n && st == ST_OK; i++) {
		const struct stored_part *p = &s->parts[i];
		size_t n = p->size;

		if (p->layer > layers.n / SHA256_BYTES)
			st = ST_CORRUPT;
		else if (p->layer != 0)
			st = layer_append(r, s->view.lane,
					  layers.p + (size_t)(p->layer - 1) * SHA256_BYTES, p,
					  to + at, size - at, &n);
		else if (p->offset > body.n || n > body.n - p->offset || n > size - at)
			st = ST_CORRUPT;
		else
			memcpy(to + at, body.p + p->offset, n);
		at += n;
	}
	return st == ST_OK && at != size ? ST_CORRUPT : st;
}

static enum status file_take(struct store_reader *r, struct slice layers, struct slice body,
			     struct pg_opened *f)
{
	const struct result_view *v = &r->result.view;
	uint8_t digest[SHA256_BYTES];
	enum status st;

	if (v->file_size > SIZE_MAX / 2)
		return ST_CORRUPT;
	if (f->room < v->file_size) {
		uint8_t *bigger = realloc(f->bytes, v->file_size);

		if (bigger == NULL)
			return ST_NOMEM;
		f->bytes = bigger;
		f->room = v->file_size;
	}
	st = assemble(r, layers, body, f->bytes, v->file_size);
	if (st != ST_OK)
		return st;
	sha256_start(r->hash);
	sha256_add(r->hash, f->bytes, v->file_size);
	sha256_end(r->hash, digest);
	return memcmp(digest, v->file_sha256, sizeof(digest)) == 0 ? ST_OK : ST_CORRUPT;
}

static struct pg_opened *file_kept(struct store_reader *r, uint64_t sequence)
{
	for (size_t i = 0; i < READER_FILES; i++)
		if (r->files[i].sequence == sequence && r->files[i].n > 0)
			return &r->files[i];
	return NULL;
}

static struct pg_opened *file_oldest(struct store_reader *r)
{
	struct pg_opened *f = &r->files[0];

	for (size_t i = 1; i < READER_FILES; i++)
		if (r->files[i].used < f->used)
			f = &r->files[i];
	return f;
}

static enum status file_open(struct store_reader *r, uint8_t lane, uint64_t sequence,
			     struct pg_opened **out)
{
	struct pg_opened *f = file_kept(r, sequence);
	struct pg_question *q = &r->questions[0];
	PGresult *answer = NULL;
	enum status st;

	if (f == NULL)
		f = file_oldest(r);
	f->n = 0;
	pg_question(q, PG_FILE);
	pg_int2(q, lane);
	pg_int8(q, (int64_t)sequence);
	st = reader_ask(r, r->home->servers.of_lane[lane], q, &answer);
	if (st == ST_OK && PQntuples(answer) == 0)
		st = ST_NOT_FOUND;
	if (st == ST_OK)
		st = reader_row(answer, 0, 0, lane, sequence, &r->result);
	if (st == ST_OK)
		st = file_take(r, pg_column(answer, 0, 0), pg_column(answer, 0, 3), f);
	if (st != ST_OK)
		return st;
	f->n = (size_t)r->result.view.file_size;
	f->sequence = sequence;
	*out = f;
	return ST_OK;
}

enum status pg_read(struct store_reader *r, uint8_t lane, uint64_t sequence, uint64_t offset,
		    uint8_t *buf, size_t *n)
{
	struct pg_opened *f = file_kept(r, sequence);
	enum status st = ST_OK;

	reader_begin(r);
	if (f == NULL || offset == 0)
		st = file_open(r, lane, sequence, &f);
	/* The answer is as large as the file: not kept between calls. */
	reader_begin(r);
	if (st != ST_OK)
		return st;
	f->used = ++r->uses;
	if (offset > f->n)
		offset = f->n;
	if (*n > f->n - offset)
		*n = f->n - offset;
	memcpy(buf, f->bytes + offset, *n);
	/* The end was reached: nobody goes on with it. */
	if (offset + *n == f->n)
		f->used = 0;
	return ST_OK;
}

enum status pg_object(struct store_reader *r, const uint8_t sha256[SHA256_BYTES], struct slice *out)
{
	bool away = false;

	reader_begin(r);
	/* It lies where a result that rests on it does. */
	for (uint8_t i = 0; i < r->home->servers.n; i++) {
		enum status st = layer_fetch(r, i, sha256, out);

		if (st == ST_OK || st == ST_CORRUPT)
			return st;
		away |= st != ST_NOT_FOUND;
	}
	return away ? ST_UNAVAILABLE : ST_NOT_FOUND;
}
