/*
 * postgres_bench - what the PostgreSQL store takes, against COPY BINARY of the result rows alone
 * into a table without any index, on one private server; groups of batches in turns.
 *
 * Ours: result with counter, holding, locator, register row; one thread, two connections. Theirs:
 * one blocking connection, a COPY a batch, its bytes prepared beforehand. It fails where ours is
 * less than --least of COPY's results a second, takes more than --share of the server's CPU, or
 * writes more than --wal times the results' bytes. With --preloaded N the same on an empty database
 * and on one with N results of the last twelve months, instead; with --most RATIO it fails where a
 * result costs more than so many times as much there. Exit 77: no server is installed.
 */
#include <getopt.h>
#include <libpq-fe.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "pgcluster.h"
#include "store/postgres/schema.h"
#include "store/postgres/work.h"
#include "storecase.h"
#include "storewait.h"

#define BATCH 128u
#define GROUP 8u			/* batches on their way at once */
#define ROUNDS_MAX 15
#define UNITS 168			/* communes of a city */
#define HOLDERS 2000000
#define BODY_BYTES 6200
#define LAYER_BYTES (20 * 1024)

struct cost { double wall, ours, server, wal; };	/* seconds; bytes */

struct target {
	char conninfo[200];
	const char *texts[1];
	struct storewait wait;
	struct store *store;
	PGconn *control;
	uint32_t next;			/* running number of its next result */
};

/* What has to be kept: 0 and INFINITY are kept by anything. */
struct bounds { double least, share, wal, most; };

struct bench {
	struct bounds bounds;
	struct pgcluster cluster;
	struct storecase cases[GROUP];
	struct pg_servers servers;
	struct pg_work work;
	uint8_t *copy[GROUP];
	size_t copy_n[GROUP];
	PGconn *plain;
	uint32_t rounds, groups;
	uint64_t preloaded;
	double payload;			/* bytes of a round's results */
};

static struct bench *bench_now;		/* for must() alone */

static void must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "postgres_bench: %s\n", what);
	pgcluster_stop(&bench_now->cluster);
	exit(1);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double own_cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static double sql(PGconn *c, const char *text)
{
	PGresult *r = PQexec(c, text);
	double v = 0;

	must(PQresultStatus(r) == PGRES_COMMAND_OK || PQresultStatus(r) == PGRES_TUPLES_OK,
	     PQerrorMessage(c));
	if (PQntuples(r) > 0)
		v = atof(PQgetvalue(r, 0, 0));
	PQclear(r);
	return v;
}

static double wal_bytes(PGconn *c)
{
	return sql(c, "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn");
}

/* ---- what is stored ---- */

static PGconn *connect_to(const char *conninfo)
{
	PGconn *c = PQconnectdb(conninfo);

	must(PQstatus(c) == CONNECTION_OK, PQerrorMessage(c));
	sql(c, "SET client_min_messages = warning");
	return c;
}

static void target_open(struct bench *b, struct target *t, const char *database)
{
	struct store_config cfg = { .sink = storewait_sink(&t->wait, STORECASE_BASE_MS),
				    .connections = 2, .reader = "" };
	struct pg_schema_report report;
	struct pg_servers servers;
	struct error e = { 0 };
	char text[200];
	PGconn *c;

	pgcluster_conninfo(&b->cluster, "postgres", text, sizeof(text));
	c = connect_to(text);
	snprintf(text, sizeof(text), "CREATE DATABASE %s", database);
	sql(c, text);
	PQfinish(c);
	pgcluster_conninfo(&b->cluster, database, t->conninfo, sizeof(t->conninfo));
	t->texts[0] = t->conninfo;
	must(pg_servers_read(&servers, t->texts, 1, false, "", &e) == ST_OK, e.text);
	must(pg_schema_init(&servers, 0, &report, &e) == ST_OK, e.text);
	b->servers = servers;
	t->control = connect_to(t->conninfo);
	sql(t->control, "SELECT trien_months('2025-12-01', 13)");
	cfg.postgres = t->texts;
	cfg.postgres_n = 1;
	must(store_postgres_open(&t->store, &cfg, &e) == ST_OK, e.text);
}

static void target_close(struct target *t)
{
	t->store->ops->close(t->store);
	PQfinish(t->control);
}

static void fill(struct bench *b, uint32_t first)
{
	for (uint32_t i = 0; i < GROUP; i++)
		storecase_fill(&b->cases[i], first + i * BATCH, BATCH);
}

static void store_group(struct bench *b, struct target *t, struct cost *sum)
{
	double wal = wal_bytes(t->control);
	uint64_t server = pgcluster_cpu_ns(&b->cluster);
	double ours = own_cpu_s(), wall = now_s();

	for (uint32_t i = 0; i < GROUP; i++)
		storewait_take(&t->wait, t->store, b->cases[i].b);
	must(storewait_all(&t->wait) == ST_OK, t->wait.error.text);
	sum->wall += now_s() - wall;
	sum->ours += own_cpu_s() - ours;
	sum->server += (double)(pgcluster_cpu_ns(&b->cluster) - server) / 1e9;
	sum->wal += wal_bytes(t->control) - wal;
	for (uint32_t i = 0; i < GROUP; i++)
		for (uint32_t k = 0; k < BATCH; k++)
			must(b->cases[i].b->items[k].held == REASON_NONE &&
			     b->cases[i].b->items[k].stored == ST_OK, "a result was not stored");
}

/* ---- COPY BINARY ---- */

#define COPY_COLUMNS 13
#define COPY_BYTES 21			/* before and behind the rows */
#define COPY_ROW_BYTES (2 + COPY_COLUMNS * 4)

static void put(uint8_t **p, uint64_t v, size_t width)
{
	for (size_t i = 0; i < width; i++)
		*(*p)++ = (uint8_t)(v >> 8 * (width - 1 - i));
}

static void number(uint8_t **p, uint64_t v, size_t width)
{
	put(p, width, 4);
	put(p, v, width);
}

static void bytes(uint8_t **p, struct slice s)
{
	put(p, s.n, 4);
	memcpy(*p, s.p, s.n);
	*p += s.n;
}

/* The rows as the store encodes them; their values, without lengths, are the payload. */
static void copy_encode(struct bench *b, uint32_t i)
{
	static const char head[] = "PGCOPY\n\377\r\n";
	uint8_t *p = b->copy[i];

	memcpy(p, head, 11);
	p += 11;
	put(&p, 0, 8);
	must(pg_work_begin(&b->work, b->cases[i].b, STORECASE_BASE_MS) == ST_OK, "no memory");
	for (uint32_t k = 0; k < b->work.rows_n; k++) {
		const struct pg_row *row = &b->work.rows[k];
		const struct item *it = row->it;

		put(&p, COPY_COLUMNS, 2);
		number(&p, it->lane, 2);
		number(&p, it->sequence, 8);
		bytes(&p, it->result->unit);
		bytes(&p, it->result->kind);
		number(&p, (uint64_t)pg_time(it->issued_ms), 8);
		bytes(&p, slice_of(it->case_digest, SHA256_BYTES));
		number(&p, (uint32_t)row->crc, 4);
		bytes(&p, row->layers);
		bytes(&p, row->record);
		bytes(&p, slice_of(it->doc.body, it->doc.body_size));
		number(&p, (uint64_t)row->says.facts, 8);
		number(&p, (uint32_t)row->says.papers, 4);
		bytes(&p, slice_of(row->says.parts, row->says.parts_n));
	}
	b->work.b = NULL;
	put(&p, 0xffff, 2);
	b->copy_n[i] = (size_t)(p - b->copy[i]);
	b->payload += (double)(b->copy_n[i] - COPY_BYTES - b->work.rows_n * COPY_ROW_BYTES);
}

static void copy_one(struct bench *b, uint32_t i)
{
	PGresult *r = PQexec(b->plain, "COPY plain FROM STDIN (FORMAT binary)");

	must(PQresultStatus(r) == PGRES_COPY_IN, PQerrorMessage(b->plain));
	PQclear(r);
	must(PQputCopyData(b->plain, (const char *)b->copy[i], (int)b->copy_n[i]) == 1 &&
	     PQputCopyEnd(b->plain, NULL) == 1, PQerrorMessage(b->plain));
	while ((r = PQgetResult(b->plain)) != NULL) {
		must(PQresultStatus(r) == PGRES_COMMAND_OK, PQerrorMessage(b->plain));
		PQclear(r);
	}
}

static void copy_group(struct bench *b, struct cost *sum)
{
	uint64_t server;
	double wall;

	for (uint32_t i = 0; i < GROUP; i++)
		copy_encode(b, i);
	server = pgcluster_cpu_ns(&b->cluster);
	wall = now_s();
	for (uint32_t i = 0; i < GROUP; i++)
		copy_one(b, i);
	sum->wall += now_s() - wall;
	sum->server += (double)(pgcluster_cpu_ns(&b->cluster) - server) / 1e9;
}

/* ---- an archive ---- */

/* Twelve months up to the bench's own, the same density; tails cut to 100 bytes. */
static void preload(struct bench *b, struct target *t)
{
	static const char *const into[] = {
		"INSERT INTO result SELECT (h & 63)::smallint, s, u, 'xac-nhan', now(),"
		" decode(md5(s::text) || md5(u), 'hex'), 0,"
		" decode(md5(s::text), 'hex'), decode(repeat(md5(s::text), 3), 'hex'),"
		" decode(repeat(md5(s::text), 6), 'hex') FROM old ON CONFLICT DO NOTHING",
		"INSERT INTO holding SELECT (h & 63)::smallint, decode(md5(h::text), 'hex'), s,"
		" (h & 63)::smallint, 1, 0, 0, 0 FROM old ON CONFLICT DO NOTHING",
		"INSERT INTO locator SELECT (h >> 8 & 63)::smallint, decode(md5(s::text), 'hex'),"
		" s, (h & 63)::smallint FROM old ON CONFLICT DO NOTHING",
		"INSERT INTO number_register SELECT (hashtext(u) & 63)::smallint, u, 'XN', 2025,"
		" n, s, (h & 63)::smallint, 1, now() FROM old ON CONFLICT DO NOTHING",
	};
	char text[600];

	snprintf(text, sizeof(text), "CREATE UNLOGGED TABLE old AS SELECT n,"
		 " ((1764600000000 + n * 30300000000 / %llu - 1577836800000) << 22) + (n %% 8192)"
		 " AS s, 'don-vi-' || n %% %d AS u, (hashtext(n::text) & 2147483647) %% %d AS h"
		 " FROM generate_series(1, %llu) AS n", (unsigned long long)b->preloaded, UNITS,
		 HOLDERS, (unsigned long long)b->preloaded);
	sql(t->control, text);
	for (size_t i = 0; i < ARRAY_LEN(into); i++)
		sql(t->control, into[i]);
	sql(t->control, "DROP TABLE old");
	sql(t->control, "VACUUM ANALYZE");
}

/* ---- the two benches ---- */

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

static void write_json(const char *path, const char *fmt, double x, double y, double z)
{
	FILE *f;

	if (path == NULL)
		return;
	f = fopen(path, "w");
	must(f != NULL, path);
	fprintf(f, fmt, x, y, z);
	fclose(f);
}

/* The row of a median, with what it must be. True: kept. */
static bool row(const char *what, double v, const char *must, bool kept)
{
	printf("%-38s %.3f  (%s)%s\n", what, v, must, kept ? "" : ": NOT KEPT");
	return kept;
}

/* True: the bounds are kept. */
static bool against_copy(struct bench *b, const char *json)
{
	const struct bounds *o = &b->bounds;
	bool kept;

	double speed[ROUNDS_MAX], share[ROUNDS_MAX], wal[ROUNDS_MAX], n = b->groups * GROUP * BATCH;
	static struct target t;

	target_open(b, &t, "bench");
	b->plain = connect_to(t.conninfo);
	sql(b->plain, "CREATE TABLE plain (LIKE result INCLUDING STORAGE)"
	    " WITH (toast_tuple_target = 4080)");
	fill(b, t.next);
	store_group(b, &t, &(struct cost){ 0 });
	t.next += GROUP * BATCH;
	sql(t.control, "CHECKPOINT");
	printf("%10s %10s %8s %10s %10s %10s %10s %8s\n", "store /s", "COPY /s", "ratio",
	       "our us", "server us", "COPY us", "share", "WAL");
	for (uint32_t i = 0; i < b->rounds; i++) {
		struct cost ours = { 0 }, theirs = { 0 };

		b->payload = 0;
		for (uint32_t g = 0; g < b->groups; g++, t.next += GROUP * BATCH) {
			fill(b, t.next);
			store_group(b, &t, &ours);
			copy_group(b, &theirs);
		}
		speed[i] = theirs.wall / ours.wall;
		share[i] = ours.ours / ours.server;
		wal[i] = ours.wal / b->payload;
		printf("%10.0f %10.0f %8.2f %10.1f %10.1f %10.1f %10.3f %8.3f\n", n / ours.wall,
		       n / theirs.wall, speed[i], ours.ours / n * 1e6, ours.server / n * 1e6,
		       theirs.server / n * 1e6, share[i], wal[i]);
	}
	printf("\n");
	kept = row("results/s, store / COPY without index", median(speed, b->rounds),
		   "at least 0.6", speed[b->rounds / 2] >= o->least);
	kept &= row("our CPU / the server's", median(share, b->rounds), "at most 0.15",
		    share[b->rounds / 2] <= o->share);
	kept &= row("WAL / bytes of the results", median(wal, b->rounds), "at most 1.25",
		    wal[b->rounds / 2] <= o->wal);
	write_json(json, "{\"store.postgres.copy_ratio\": %.3f, "
		   "\"store.postgres.cpu_share\": %.4f, \"store.postgres.wal_ratio\": %.3f}\n",
		   speed[b->rounds / 2], share[b->rounds / 2], wal[b->rounds / 2]);
	PQfinish(b->plain);
	target_close(&t);
	return kept;
}

/* True: the bound is kept. */
static bool against_empty(struct bench *b, const char *json)
{
	double growth[ROUNDS_MAX], n = b->groups * GROUP * BATCH, ratio;
	static struct target empty, full;
	bool kept;

	target_open(b, &empty, "empty");
	target_open(b, &full, "archive");
	printf("loading %llu results\n", (unsigned long long)b->preloaded);
	preload(b, &full);
	sql(full.control, "CHECKPOINT");
	printf("%14s %14s %8s\n", "empty us", "archive us", "ratio");
	for (uint32_t i = 0; i < b->rounds; i++) {
		struct cost a = { 0 }, z = { 0 };

		for (uint32_t g = 0; g < b->groups; g++) {
			fill(b, empty.next);
			store_group(b, &empty, &a);
			fill(b, empty.next);
			store_group(b, &full, &z);
			empty.next += GROUP * BATCH;
		}
		growth[i] = (z.server + z.ours) / (a.server + a.ours);
		printf("%14.1f %14.1f %8.2f\n", (a.server + a.ours) / n * 1e6,
		       (z.server + z.ours) / n * 1e6, growth[i]);
	}
	ratio = median(growth, b->rounds);
	printf("\n");
	kept = row("cost a result, archive / empty", ratio, "at most 1.4", ratio <= b->bounds.most);
	write_json(json, "{\"store.postgres.growth\": %.3f}\n", ratio, 0, 0);
	target_close(&empty);
	target_close(&full);
	return kept;
}

static bool bound(double *out)
{
	*out = atof(optarg);
	return *out > 0;
}

static bool read_options(struct bench *b, const char **json, int argc, char **argv)
{
	static const struct option options[] = { { "json", required_argument, NULL, 'j' },
						 { "rounds", required_argument, NULL, 'r' },
						 { "groups", required_argument, NULL, 'g' },
						 { "preloaded", required_argument, NULL, 'p' },
						 { "least", required_argument, NULL, 'l' },
						 { "share", required_argument, NULL, 's' },
						 { "wal", required_argument, NULL, 'w' },
						 { "most", required_argument, NULL, 'm' },
						 { NULL, 0, NULL, 0 } };
	struct bounds *o = &b->bounds;
	bool good = true;
	int c;

	while (good && (c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'j')
			*json = optarg;
		else if (c == 'r')
			b->rounds = (uint32_t)atoi(optarg);
		else if (c == 'g')
			b->groups = (uint32_t)atoi(optarg);
		else if (c == 'p')
			b->preloaded = strtoull(optarg, NULL, 10);
		else
			good = c == 'l' ? bound(&o->least) : c == 's' ? bound(&o->share) :
			       c == 'w' ? bound(&o->wal) : c == 'm' && bound(&o->most);
	}
	/* A bound of the measurement that is not made would be kept by nothing. */
	return good && b->rounds >= 3 && b->rounds <= ROUNDS_MAX && b->groups > 0 &&
	       (b->preloaded > 0 ? o->least == 0 && isinf(o->share) && isinf(o->wal) :
		isinf(o->most));
}

int main(int argc, char **argv)
{
	static struct bench b = { .rounds = 5, .groups = 16,
				  .bounds = { 0, INFINITY, INFINITY, INFINITY } };
	const char *json = NULL, *why;
	bool kept;

	bench_now = &b;
	if (!read_options(&b, &json, argc, argv))
		return 2;
	why = pgcluster_start(&b.cluster);
	if (why != NULL && b.cluster.bin[0] == '\0') {
		printf("postgres_bench: skipped: %s\n", why);
		return 77;
	}
	must(why == NULL, why);
	for (uint32_t i = 0; i < GROUP; i++) {
		must(storecase_open(&b.cases[i], UNITS, HOLDERS, BODY_BYTES, LAYER_BYTES) == 0,
		     "no memory");
		b.copy[i] = malloc(BATCH * (BODY_BYTES * 2 + 8192));
		must(b.copy[i] != NULL, "no memory");
	}
	kept = b.preloaded > 0 ? against_empty(&b, json) : against_copy(&b, json);
	for (uint32_t i = 0; i < GROUP; i++) {
		storecase_close(&b.cases[i]);
		free(b.copy[i]);
	}
	free(b.work.bytes);
	pgcluster_stop(&b.cluster);
	return kept ? 0 : 1;
}
