/* What a server has once: layers; and what its counters say. */
#include "base/hash.h"
#include "store/evidenceset.h"
#include "store/postgres/deep_inside.h"

#define LAYERS 8		/* at once */

static void hex_name(char out[2 * SHA256_BYTES + 1], struct slice hash)
{
	size_t n = hash.n < SHA256_BYTES ? hash.n : SHA256_BYTES;

	hex_lower(out, hash.p, n);
	out[2 * n] = '\0';
}

/* ---- evidence sets ---- */

static enum status names_ask(struct deep *d, struct slice set_hash, uint32_t n)
{
	bool there[ARRAY_LEN(d->wants.hashes)];
	enum status st = deep_hashes_ask(d, d->wants.hashes, n, there);
	char name[2 * SHA256_BYTES + 1];

	hex_name(name, set_hash);
	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		if (!there[i])
			deep_fault(d, "server %u, layer %s: evidence that it names is missing",
				   d->server + 1u, name);
	return st;
}

static enum status set_check(struct deep *d, struct slice hash, struct slice set)
{
	enum status st = ST_OK;
	uint32_t n = 0;
	size_t next = 0;

	while (st == ST_OK && evidence_next(set, &next, d->wants.hashes[n])) {
		if (++n < ARRAY_LEN(d->wants.hashes))
			continue;
		st = names_ask(d, hash, n);
		n = 0;
	}
	return st == ST_OK && n > 0 ? names_ask(d, hash, n) : st;
}

enum status deep_layers(struct deep *d, struct deep_cursor *at, bool *more)
{
	struct pg_question *q = &d->reader->questions[0];
	PGresult *page = NULL;
	enum status st;

	pg_question(q, PG_WALK_LAYERS);
	pg_bytes(q, slice_of(at->key, at->key_n));
	st = deep_ask(d, q, LAYERS, DEEP_LAYERS, &page, more);
	for (int i = 0; st == ST_OK && i < PQntuples(page); i++) {
		struct slice hash = pg_column(page, i, 0), bytes = pg_column(page, i, 1);
		uint8_t digest[SHA256_BYTES];
		char name[2 * SHA256_BYTES + 1];

		at->key_n = (uint8_t)(hash.n < sizeof(at->key) ? hash.n : sizeof(at->key));
		memcpy(at->key, hash.p, at->key_n);
		sha256_once(bytes.p, bytes.n, digest);
		if (!slice_eq(hash, slice_of(digest, sizeof(digest)))) {
			hex_name(name, hash);
			deep_fault(d, "server %u, layer %s: the bytes have another hash",
				   d->server + 1u, name);
		} else if (evidence_is_set(bytes)) {
			st = set_check(d, hash, bytes);
		}
	}
	return st;
}

/* ---- counters ---- */

static enum status counted(struct deep *d, const uint8_t *lanes, uint32_t n, int64_t *told,
			   int64_t *there)
{
	PGresult *answers[LANES];
	enum status st;

	for (uint32_t i = 0; i < n; i++) {
		pg_question(&d->reader->questions[i], PG_COUNTED);
		pg_int2(&d->reader->questions[i], lanes[i]);
	}
	st = reader_ask_all(d->reader, d->server, d->reader->questions, n, answers);
	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		*told += pg_number(answers[i], 0, 0);
		*there += pg_number(answers[i], 0, 1);
	}
	return st;
}

/*
 * Over all lanes of a server, as of one moment: a delta lies in the lane of one of its results. On
 * Citus it is of one lane, and a transaction, too.
 */
enum status deep_counters(struct deep *d, struct deep_cursor *at, bool *more)
{
	const struct pg_servers *s = &d->reader->home->servers;
	uint8_t lanes[LANES];
	uint32_t n = 0;
	int64_t told = 0, there = 0;
	enum status st = ST_OK;

	*more = false;
	for (uint8_t lane = 0; lane < LANES; lane++)
		if (s->of_lane[lane] == d->server)
			lanes[n++] = lane;
	for (uint32_t i = 0; i < n && s->citus && st == ST_OK; i++)
		st = counted(d, &lanes[i], 1, &told, &there);
	if (!s->citus && n > 0)
		st = counted(d, lanes, n, &told, &there);
	if (st == ST_OK && told != there)
		deep_fault(d, "server %u: the counters say %lld results, %lld are there",
			   d->server + 1u, (long long)told, (long long)there);
	return st;
}
