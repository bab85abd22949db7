/*
 * store_bench - what the embedded store takes, against SQLite with the bytes in its tables.
 *
 * The same results, columns, keys and durability: WAL, synchronous = FULL, one transaction a
 * batch of 128. Both in turns, on files that grow; medians over the rounds. Reads are measured on
 * what was stored.
 */
#include <getopt.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "store/framewalk.h"
#include "store/store.h"
#include "storecase.h"
#include "storewait.h"
#include "tmpdir.h"

#define BATCH 128u
#define ROUNDS_MAX 15
#define UNITS 168			/* communes of a city */
#define HOLDERS 2000000
#define BODY_BYTES 6200
#define LAYER_BYTES (200 * 1024)
#define READS 4000

static const char tables[] =
	"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;"
	"CREATE TABLE result (sequence INTEGER PRIMARY KEY, lane INTEGER, id BLOB, unit TEXT,"
	" kind TEXT, code TEXT, ordinal INTEGER, revision INTEGER, register TEXT, year INTEGER,"
	" number INTEGER, number_text TEXT, accepted INTEGER, issued INTEGER, stored INTEGER,"
	" valid_until INTEGER,"
	" file_size INTEGER, file_sha256 BLOB, case_digest BLOB, template BLOB, certs BLOB,"
	" canonical BLOB, body BLOB);"
	"CREATE TABLE holding (holder BLOB, sequence INTEGER, role INTEGER, \"from\" INTEGER,"
	" \"to\" INTEGER, visibility INTEGER, PRIMARY KEY (holder, sequence)) WITHOUT ROWID;"
	"CREATE TABLE locator (key BLOB, sequence INTEGER,"
	" PRIMARY KEY (key, sequence)) WITHOUT ROWID;"
	"CREATE TABLE number_register (register INTEGER, number INTEGER, sequence INTEGER,"
	" PRIMARY KEY (register, number)) WITHOUT ROWID;"
	"CREATE TABLE counter (unit TEXT, kind TEXT, day INTEGER, engine INTEGER,"
	" watermark INTEGER, results INTEGER,"
	" PRIMARY KEY (unit, kind, day, engine, watermark)) WITHOUT ROWID;";

struct plain {
	sqlite3 *db;
	sqlite3_stmt *result, *holding, *locator, *number, *counter;
};

struct cost { double wall, cpu; };	/* seconds */

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "store_bench: %s\n", what);
	exit(1);
}

static struct cost now(void)
{
	struct timespec t;
	struct rusage u;

	clock_gettime(CLOCK_MONOTONIC, &t);
	getrusage(RUSAGE_SELF, &u);
	return (struct cost){ (double)t.tv_sec + (double)t.tv_nsec / 1e9,
			      (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
			      (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6 };
}

static void add_since(struct cost *sum, struct cost from)
{
	struct cost to = now();

	sum->wall += to.wall - from.wall;
	sum->cpu += to.cpu - from.cpu;
}

/* ---- SQLite alone ---- */

static sqlite3_stmt *prepare(struct plain *p, const char *sql)
{
	sqlite3_stmt *s = NULL;

	must(sqlite3_prepare_v2(p->db, sql, -1, &s, NULL) == SQLITE_OK, sqlite3_errmsg(p->db));
	return s;
}

static void plain_open(struct plain *p, const char *path)
{
	must(sqlite3_open(path, &p->db) == SQLITE_OK &&
	     sqlite3_exec(p->db, tables, NULL, NULL, NULL) == SQLITE_OK, "SQLite");
	p->result = prepare(p, "INSERT OR IGNORE INTO result VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,"
			    "?,?,?,?,?,?,?,?,?,?)");
	p->holding = prepare(p, "INSERT OR IGNORE INTO holding VALUES (?,?,?,?,?,?)");
	p->locator = prepare(p, "INSERT OR IGNORE INTO locator VALUES (?,?)");
	p->number = prepare(p, "INSERT OR IGNORE INTO number_register VALUES (?,?,?)");
	p->counter = prepare(p, "INSERT INTO counter VALUES (?,?,?,?,?,?) ON CONFLICT DO UPDATE "
			     "SET results = results + 1");
}

static void plain_close(struct plain *p)
{
	sqlite3_finalize(p->result);
	sqlite3_finalize(p->holding);
	sqlite3_finalize(p->locator);
	sqlite3_finalize(p->number);
	sqlite3_finalize(p->counter);
	sqlite3_close(p->db);
}

static void run(struct plain *p, sqlite3_stmt *s)
{
	must(sqlite3_step(s) == SQLITE_DONE, sqlite3_errmsg(p->db));
	sqlite3_reset(s);
}

static void text(sqlite3_stmt *s, int i, struct slice v)
{
	sqlite3_bind_text(s, i, (const char *)v.p, (int)v.n, SQLITE_STATIC);
}

static void blob(sqlite3_stmt *s, int i, const void *p, size_t n)
{
	sqlite3_bind_blob(s, i, p, (int)n, SQLITE_STATIC);
}

static void plain_result(struct plain *p, const struct item *it, int64_t now_ms)
{
	sqlite3_stmt *s = p->result;

	sqlite3_bind_int64(s, 1, (int64_t)it->sequence);
	sqlite3_bind_int(s, 2, it->lane);
	blob(s, 3, it->result_id, 16);
	text(s, 4, it->result->unit);
	text(s, 5, it->result->kind);
	text(s, 6, it->c.code);
	sqlite3_bind_int(s, 7, it->result->ordinal);
	sqlite3_bind_int(s, 8, it->result->revision);
	text(s, 9, slice_str(it->kind->register_code));
	sqlite3_bind_int64(s, 10, it->register_year);
	sqlite3_bind_int64(s, 11, (int64_t)it->number);
	text(s, 12, slice_str(it->number_text));
	sqlite3_bind_int64(s, 13, it->accepted_ms);
	sqlite3_bind_int64(s, 14, it->issued_ms);
	sqlite3_bind_int64(s, 15, now_ms);
	sqlite3_bind_int64(s, 16, 20270518);
	sqlite3_bind_int64(s, 17, it->doc.file_size);
	blob(s, 18, it->file_sha256, SHA256_BYTES);
	blob(s, 19, it->case_digest, SHA256_BYTES);
	blob(s, 20, it->template_version, SHA256_BYTES);
	blob(s, 21, it->slots[0].plan.cert_sha256, SHA256_BYTES);
	blob(s, 22, it->case_bytes.p, it->case_bytes.n);
	blob(s, 23, it->doc.body, it->doc.body_size);
	run(p, s);
}

static void plain_keys(struct plain *p, const struct item *it)
{
	uint8_t key[16], digest[SHA256_BYTES];

	for (uint8_t i = 0; i < it->c.holders_n; i++) {
		const struct holder *h = &it->c.holders[i];

		holder_key(key, h, it->result->unit, it->c.code, i);
		blob(p->holding, 1, key, sizeof(key));
		sqlite3_bind_int64(p->holding, 2, (int64_t)it->sequence);
		sqlite3_bind_int(p->holding, 3, h->role);
		sqlite3_bind_int64(p->holding, 4, h->from);
		sqlite3_bind_int64(p->holding, 5, h->to);
		sqlite3_bind_int(p->holding, 6, h->visibility);
		run(p, p->holding);
	}
	sha256_once(it->c.code.p, it->c.code.n, digest);
	blob(p->locator, 1, digest, 16);
	sqlite3_bind_int64(p->locator, 2, (int64_t)it->sequence);
	run(p, p->locator);
	sqlite3_bind_int64(p->number, 1, atoi((const char *)it->result->unit.p + 7));
	sqlite3_bind_int64(p->number, 2, (int64_t)it->number);
	sqlite3_bind_int64(p->number, 3, (int64_t)it->sequence);
	run(p, p->number);
}

static void plain_put(struct plain *p, const struct batch *b, int64_t now_ms)
{
	must(sqlite3_exec(p->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK, "BEGIN");
	for (uint32_t i = 0; i < b->items_n; i++) {
		const struct item *it = &b->items[i];

		plain_result(p, it, now_ms);
		plain_keys(p, it);
		text(p->counter, 1, it->result->unit);
		text(p->counter, 2, it->result->kind);
		sqlite3_bind_int(p->counter, 3, 20261124);
		sqlite3_bind_int(p->counter, 4, 3);
		sqlite3_bind_int64(p->counter, 5, (int64_t)b->items[0].sequence);
		sqlite3_bind_int(p->counter, 6, 1);
		run(p, p->counter);
	}
	must(sqlite3_exec(p->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "COMMIT");
}

/* ---- both ---- */

struct bench {
	struct tmpdir tmp;
	struct storecase sc;
	struct store *store;
	struct storewait wait;
	struct plain plain;
	uint32_t rounds, per_round;
	struct cost ours[ROUNDS_MAX], theirs[ROUNDS_MAX];
	double get_us, list_us, file_us;
	double bytes, index_bytes, overhead;
};

static void round_run(struct bench *b, uint32_t round)
{
	uint32_t first = round * b->per_round;

	for (uint32_t k = first; k < first + b->per_round; k += BATCH) {
		int64_t now_ms = STORECASE_BASE_MS + k;
		struct cost from;

		storecase_fill(&b->sc, k, BATCH);
		from = now();
		must(storewait_put(&b->wait, b->store, b->sc.b) == ST_OK, b->wait.error.text);
		add_since(&b->ours[round], from);
		from = now();
		plain_put(&b->plain, b->sc.b, now_ms);
		add_since(&b->theirs[round], from);
	}
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, uint32_t n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static double since_us(struct cost from, uint32_t n)
{
	return (now().wall - from.wall) * 1e6 / n;
}

static void reads(struct bench *b)
{
	uint32_t all = b->rounds * b->per_round, n;
	struct store_reader *r = NULL;
	static struct holding_view rows[20];
	static uint8_t chunk[DOWNLOAD_CHUNK_BYTES];
	struct result_view v;
	struct error e = { 0 };
	struct cost from;
	char number[32];
	uint8_t key[16];

	must(b->store->ops->reader_open(b->store, &r, &e) == ST_OK, e.text);
	from = now();
	for (uint32_t i = 0, k = 0; i < READS; i++, k = (k + 7919) % all)
		must(b->store->ops->get(r, storecase_lane(k), storecase_sequence(k), &v) == ST_OK,
		     "get");
	b->get_us = since_us(from, READS);
	from = now();
	for (uint32_t i = 0, k = 0; i < READS; i++, k = (k + 7919) % all) {
		storecase_holder(&b->sc, k, number);
		holder_key_of_id(key, ID_CITIZEN, slice_str("VN"), slice_str(number));
		must(b->store->ops->list(r, key, 0, 20, rows, &n) == ST_OK && n > 0, "list");
	}
	b->list_us = since_us(from, READS);
	from = now();
	for (uint32_t i = 0, k = 0; i < READS / 20; i++, k = (k + 7919) % all) {
		size_t got = sizeof(chunk);

		must(b->store->ops->read(r, storecase_lane(k), storecase_sequence(k), 0, chunk,
					 &got) == ST_OK, "read");
	}
	b->file_us = since_us(from, READS / 20);
	b->store->ops->reader_close(r);
}

/* Bytes on disk a result: without shared layers; of them the index; beyond body and case. */
static void sizes(struct bench *b, const char *dir)
{
	uint32_t all = b->rounds * b->per_round;
	double payload = 0, layers = STORECASE_LAYERS * (double)LAYER_BYTES;
	struct framewalk *w = NULL;
	struct framewalk_place at;
	struct frame_view v;
	struct stat st;
	struct error e;
	char path[400];

	snprintf(path, sizeof(path), "%s/index.db", dir);
	must(stat(path, &st) == 0, path);
	b->index_bytes = (double)st.st_size / all;
	must(framewalk_open(&w, dir, FRAME_STORE, &e) == ST_OK, e.text);
	while (framewalk_next(w, &v, &e) == ST_OK)
		;
	framewalk_at(w, &at);
	framewalk_close(w);
	b->bytes = ((double)(at.end - at.segment_bytes) - layers) / all + b->index_bytes;
	storecase_fill(&b->sc, 0, BATCH);
	for (uint32_t i = 0; i < BATCH; i++)
		payload += b->sc.b->items[i].doc.body_size +
			   (double)b->sc.b->items[i].case_bytes.n;
	b->overhead = b->bytes - payload / BATCH;
}

static void report(struct bench *b, const char *json)
{
	double wall[ROUNDS_MAX], cpu[ROUNDS_MAX], ours[ROUNDS_MAX], theirs[ROUNDS_MAX];
	double ratio, cpu_ratio, our_us, their_us;
	FILE *f;

	printf("%8s %14s %14s %8s %12s %12s %8s\n", "results", "store /s", "SQLite /s", "ratio",
	       "store us CPU", "SQLite us", "ratio");
	for (uint32_t i = 0; i < b->rounds; i++) {
		double n = b->per_round;

		wall[i] = b->theirs[i].wall / b->ours[i].wall;
		cpu[i] = b->theirs[i].cpu / b->ours[i].cpu;
		ours[i] = b->ours[i].cpu * 1e6 / n;
		theirs[i] = b->theirs[i].cpu * 1e6 / n;
		printf("%8u %14.0f %14.0f %8.2f %12.2f %12.2f %8.2f\n", (i + 1) * b->per_round,
		       n / b->ours[i].wall, n / b->theirs[i].wall, wall[i], ours[i], theirs[i],
			       cpu[i]);
	}
	ratio = median(wall, b->rounds);
	cpu_ratio = median(cpu, b->rounds);
	our_us = median(ours, b->rounds);
	their_us = median(theirs, b->rounds);
	printf("\nresults/s, store / SQLite with blobs   %.2f   (at least 3.5)\n", ratio);
	printf("CPU, SQLite with blobs / store         %.2f   (%.1f and %.1f us a result)\n",
	       cpu_ratio, their_us, our_us);
	printf("bytes a result                         %.0f   of them index %.0f, beyond body and "
	       "case %.0f\n", b->bytes, b->index_bytes, b->overhead);
	printf("reads: get %.1f us, list of 20 %.1f us, whole file checked %.0f us\n", b->get_us,
	       b->list_us, b->file_us);
	if (json == NULL)
		return;
	f = fopen(json, "w");
	must(f != NULL, json);
	fprintf(f, "{\"store.embedded.sqlite_ratio\": %.3f, "
		"\"store.embedded.sqlite_cpu_ratio\": %.3f, \"store.embedded.cpu_us\": %.2f, "
		"\"store.embedded.overhead_bytes\": %.0f, \"store.embedded.get_us\": %.2f, "
		"\"store.embedded.list_us\": %.2f}\n", ratio, cpu_ratio, our_us, b->overhead,
		b->get_us, b->list_us);
	fclose(f);
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "json", required_argument, NULL, 'j' },
						 { "rounds", required_argument, NULL, 'r' },
						 { "results", required_argument, NULL, 'n' },
						 { NULL, 0, NULL, 0 } };
	struct bench b = { .rounds = 5, .per_round = 8192 };
	struct store_config cfg = { 0 };
	char dir[300], witness[300], plain[300];
	const char *json = NULL;
	struct error e = { 0 };
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			json = optarg;
		else if (c == 'r')
			b.rounds = (uint32_t)atoi(optarg);
		else if (c == 'n')
			b.per_round = (uint32_t)atoi(optarg) / BATCH * BATCH;
		else
			return 2;
	}
	if (b.rounds < 3 || b.rounds > ROUNDS_MAX || b.per_round == 0)
		return 2;
	must(tmpdir_make(&b.tmp) == 0, "no folder for temporary files");
	must(storecase_open(&b.sc, UNITS, HOLDERS, BODY_BYTES, LAYER_BYTES) == 0, "no memory");
	snprintf(dir, sizeof(dir), "%s/store", b.tmp.path);
	snprintf(witness, sizeof(witness), "%s/witness", b.tmp.path);
	snprintf(plain, sizeof(plain), "%s/plain.db", b.tmp.path);
	cfg.sink = storewait_sink(&b.wait, STORECASE_BASE_MS);
	cfg.dir = dir;
	cfg.witness = witness;
	must(store_embedded_open(&b.store, &cfg, &e) == ST_OK, e.text);
	plain_open(&b.plain, plain);
	for (uint32_t i = 0; i < b.rounds; i++)
		round_run(&b, i);
	reads(&b);
	b.store->ops->close(b.store);
	plain_close(&b.plain);
	sizes(&b, dir);
	report(&b, json);
	storecase_close(&b.sc);
	tmpdir_remove(&b.tmp);
	return 0;
}
