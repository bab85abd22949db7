/* The bytes of a file, put together from the row and the shared layers. */
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
		else
			st = stored_part_copy(p, body, to + at, size - at);
		at += n;
	}
	return st == ST_OK && at != size ? ST_CORRUPT : st;
}

static enum status file_take(struct store_reader *r, struct slice layers, struct slice body,
			     struct opened *f)
{
	const struct result_view *v = &r->result.view;
	enum status st;

	if (v->file_size > SIZE_MAX / 2)
		return ST_CORRUPT;
	if (!opened_room(&f->bytes, &f->room, v->file_size))
		return ST_NOMEM;
	st = assemble(r, layers, body, f->bytes, v->file_size);
	if (st != ST_OK)
		return st;
	if (!file_is(v, f->bytes, r->hash))
		return ST_CORRUPT;
	opened_keep(f, v);
	return ST_OK;
}

enum status reader_file_check(struct store_reader *r, struct slice layers, struct slice body)
{
	struct opened *f = opened_place(&r->files, r->result.view.sequence);

	return file_take(r, layers, body, f);
}

static enum status file_open(struct store_reader *r, uint8_t lane, uint64_t sequence,
			     struct opened *f)
{
	struct pg_question *q = &r->questions[0];
	PGresult *answer = NULL;
	enum status st;

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
	return st;
}

enum status pg_read(struct store_reader *r, uint8_t lane, uint64_t sequence, uint64_t offset,
		    uint8_t *buf, size_t *n)
{
	struct opened *f = opened_find(&r->files, sequence);
	enum status st = ST_OK;

	reader_forget(r, 0);
	if (f == NULL || offset == 0) {
		f = opened_place(&r->files, sequence);
		st = file_open(r, lane, sequence, f);
	}
	/* The answer is as large as the file: not kept between calls. */
	reader_forget(r, 0);
	if (st == ST_OK)
		opened_read(&r->files, f, offset, buf, n);
	return st;
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
