/* What a server has once: layers; and what its counters say. */
#include "base/hash.h"
#include "counts.h"
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

/* Columns of PG_COUNTED. `told` and `there` begin with an empty one. */
#define ONE(name, column, sql) + 1
enum { FROM_RESULTS = 0 COUNTS_OF_RESULTS(ONE), SUM = FROM_RESULTS + 1, ACCEPTED, ENDED, OUTSIDE,
       REUSES, HAPPENED = 4, TOLD = REUSES + HAPPENED, THERE_ACCEPTED = TOLD + ACCEPTED,
       THERE_REUSES, THERE_ENDED = THERE_REUSES + HAPPENED, THERE_OUTSIDE, COLUMNS };

#define SUM_MASK 0x3fffffffffffffff	/* its sums are told up to 2^62 */

static void counted(int64_t sums[COLUMNS], const PGresult *answer)
{
	for (int i = 0; i < COLUMNS; i++)
		sums[i] += pg_number(answer, 0, i);
	sums[SUM] &= SUM_MASK;
	sums[TOLD + SUM] &= SUM_MASK;
}

static enum status lanes_counted(struct deep *d, const uint8_t *lanes, uint32_t n,
				 int64_t sums[COLUMNS])
{
	PGresult *answers[LANES];
	enum status st;

	for (uint32_t i = 0; i < n; i++) {
		pg_question(&d->reader->questions[i], PG_COUNTED);
		pg_int2(&d->reader->questions[i], lanes[i]);
	}
	st = reader_ask_all(d->reader, d->server, d->reader->questions, n, answers);
	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		counted(sums, answers[i]);
	return st;
}

static bool same(struct deep *d, const char *what, int64_t told, int64_t there)
{
	if (told != there)
		deep_fault(d, "server %u: the counters say %lld %s, %lld are there",
			   d->server + 1u, (long long)told, what, (long long)there);
	return told == there;
}

/* One line says enough: where results are missing, so are their counts. */
static void sums_compare(struct deep *d, const int64_t sums[COLUMNS])
{
	static const char *const happened[HAPPENED] = { "reuses", "replaced", "corrected",
							"revoked" };
	bool good = true;

	for (int i = 1; i <= FROM_RESULTS && good; i++)
		good = same(d, counts_names[i - 1], sums[i], sums[TOLD + i]);
	if (good && sums[SUM] != sums[TOLD + SUM])
		deep_fault(d, "server %u: the counters count under another agency, kind or day",
			   d->server + 1u);
	good = good && same(d, "ended", sums[ENDED], sums[THERE_ENDED]) &&
	       same(d, "accepted", sums[ACCEPTED], sums[THERE_ACCEPTED] + sums[THERE_ENDED]) &&
	       same(d, "used outside", sums[OUTSIDE], sums[THERE_OUTSIDE]);
	for (int i = 0; i < HAPPENED && good; i++)
		good = same(d, happened[i], sums[REUSES + i], sums[THERE_REUSES + i]);
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
	int64_t sums[COLUMNS] = { 0 };
	enum status st = ST_OK;

	*more = false;
	for (uint8_t lane = 0; lane < LANES; lane++)
		if (s->of_lane[lane] == d->server)
			lanes[n++] = lane;
	for (uint32_t i = 0; i < n && s->citus && st == ST_OK; i++)
		st = lanes_counted(d, &lanes[i], 1, sums);
	if (!s->citus && n > 0)
		st = lanes_counted(d, lanes, n, sums);
	if (st == ST_OK)
		sums_compare(d, sums);
	return st;
}
