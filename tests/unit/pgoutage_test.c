/*
 * An hour without the server, on a clock of the test's: tries go on and are not too many, nothing
 * is told twice or piles up, and when it is back all batches are stored in their order. Run by
 * with_postgres.py.
 *
 * The server is away when its socket is: the driver looks for it below a folder of the test's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <assert.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <libpq-fe.h>

#include "store/postgres/conn.h"
#include "store/postgres/driver.h"
#include "store/postgres/schema.h"
#include "store/postgres/work.h"
#include "storecase.h"

#define BATCHES BATCHES_IN_FLIGHT_MAX
#define N 60u
#define S_NS 1000000000ull
#define HOUR_S 3600u
#define REAL_S_MAX 60
#define SOCKET ".s.PGSQL.5432"

/* Runs as the system's, and leaps over every wait until a moment. */
struct leaping { _Atomic uint64_t ahead_ns, until_ns; };

struct fixture {
	struct leaping clock;
	struct storecase sc[BATCHES];
	pthread_mutex_t lock;
	struct batch *done[BATCHES];	/* in the order in which they came back */
	uint32_t done_n;
	struct pg_servers servers;
	struct pg_driver *driver;
	char folder[64], link[96], socket[200], log[96];
	int stderr_fd;
};

static uint64_t now(void *ctx)
{
	return io_boot_ns() + atomic_load(&((struct leaping *)ctx)->ahead_ns);
}

static uint32_t wait_ms(void *ctx, uint32_t ms)
{
	struct leaping *l = ctx;

	if (now(l) >= atomic_load(&l->until_ns))
		return ms;
	atomic_fetch_add(&l->ahead_ns, ms * 1000000ull);
	return 0;
}

/* On the driver's thread, from where no assertion of cmocka gets home. */
static void done(void *ctx, struct batch *b)
{
	struct fixture *f = ctx;

	pthread_mutex_lock(&f->lock);
	assert(f->done_n < BATCHES);
	f->done[f->done_n++] = b;
	pthread_mutex_unlock(&f->lock);
}

static void failed(void *ctx, const struct error *e)
{
	fprintf(stderr, "%s\n", e->text);
	abort();
}

static int64_t now_ms(void *ctx)
{
	return STORECASE_BASE_MS;
}

static uint32_t done_n(struct fixture *f)
{
	uint32_t n;

	pthread_mutex_lock(&f->lock);
	n = f->done_n;
	pthread_mutex_unlock(&f->lock);
	return n;
}

/* One number, asked past the driver. */
static long long ask_at(const char *where, const char *sql)
{
	PGconn *c = PQconnectdb(where);
	PGresult *r;
	long long n;

	PQclear(PQexec(c, "SET client_min_messages = warning"));
	r = PQexec(c, sql);
	if (PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_COMMAND_OK)
		fail_msg("%s: %s", sql, PQerrorMessage(c));
	n = PQntuples(r) > 0 ? atoll(PQgetvalue(r, 0, 0)) : 0;
	PQclear(r);
	PQfinish(c);
	return n;
}

static long long ask(const char *sql)
{
	return ask_at(getenv("TRIEN_POSTGRES"), sql);
}

/* ---- the server comes and goes ---- */

static void server_back(struct fixture *f)
{
	assert_int_equal(symlink(f->socket, f->link), 0);
}

static void server_away(struct fixture *f)
{
	assert_int_equal(unlink(f->link), 0);
	ask("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE "
	    "datname = current_database() AND pid <> pg_backend_pid()");
}

/* Lines of the driver's log that have a word. */
static uint32_t told(const struct fixture *f, const char *word)
{
	FILE *in = fopen(f->log, "r");
	char line[2000];
	uint32_t n = 0;

	assert_non_null(in);
	while (fgets(line, sizeof(line), in) != NULL)
		n += strstr(line, word) != NULL;
	fclose(in);
	return n;
}

/* Under a sanitizer always 0: it keeps what was freed, and finds what was not by itself. */
static long resident_kb(void)
{
#ifdef __SANITIZE_ADDRESS__
	return 0;
#else
	FILE *in = fopen("/proc/self/statm", "r");
	long all, resident;

	assert_non_null(in);
	assert_int_equal(fscanf(in, "%ld %ld", &all, &resident), 2);
	fclose(in);
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
#endif
}

/* ---- */

static void tables_make(struct fixture *f)
{
	struct pg_schema_report report;
	struct error e = { 0 };

	ask("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
	if (pg_schema_init(&f->servers, 0, &report, &e) != ST_OK)
		fail_msg("%s", e.text);
}

static void driver_start(struct fixture *f)
{
	struct pg_clock clock = { .ctx = &f->clock, .now_ns = now, .wait_ms = wait_ms };
	struct pg_driver_config cfg = {
		.servers = &f->servers, .connections = 1, .statement_ms = 60000, .clock = &clock,
		.sink = { .ctx = f, .done = done, .failed = failed, .now_ms = now_ms },
	};
	struct error e = { 0 };

	if (pg_driver_new(&f->driver, &cfg, &e) != ST_OK)
		fail_msg("%s", e.text);
}

/* Where the server really is. */
static void socket_find(struct fixture *f)
{
	PGconn *c = PQconnectdb(getenv("TRIEN_POSTGRES"));

	assert_int_equal(PQstatus(c), CONNECTION_OK);
	snprintf(f->socket, sizeof(f->socket), "%s/.s.PGSQL.%s", PQhost(c), PQport(c));
	PQfinish(c);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char conninfo[200];
	const char *text = conninfo;
	struct error e = { 0 };
	int fd;

	*state = f;
	pthread_mutex_init(&f->lock, NULL);
	snprintf(f->folder, sizeof(f->folder), "/tmp/trien-away-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->link, sizeof(f->link), "%s/" SOCKET, f->folder);
	snprintf(f->log, sizeof(f->log), "%s/log", f->folder);
	socket_find(f);
	snprintf(conninfo, sizeof(conninfo), "host=%s dbname=t1 user=trien", f->folder);
	assert_int_equal(pg_servers_read(&f->servers, &text, 1, false, "", &e), ST_OK);
	for (uint32_t i = 0; i < BATCHES; i++) {
		assert_int_equal(storecase_open(&f->sc[i], 1, 20, 2000, 500), 0);
		storecase_fill(&f->sc[i], i * N, N);
	}
	server_back(f);
	tables_make(f);
	fd = open(f->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	f->stderr_fd = dup(STDERR_FILENO);
	assert_true(fd >= 0 && f->stderr_fd >= 0 && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
	close(fd);
	driver_start(f);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pg_driver_free(f->driver);
	dup2(f->stderr_fd, STDERR_FILENO);
	close(f->stderr_fd);
	for (uint32_t i = 0; i < BATCHES; i++)
		storecase_close(&f->sc[i]);
	unlink(f->link);
	unlink(f->log);
	rmdir(f->folder);
	pthread_mutex_destroy(&f->lock);
	free(f);
	return 0;
}

/* Until so many batches came back; time is the system's here. */
static void wait_done(struct fixture *f, uint32_t n)
{
	for (uint32_t i = 0; done_n(f) < n; i++) {
		assert_true(i < REAL_S_MAX * 1000);
		usleep(1000);
	}
}

/* So many seconds pass, in a moment. */
static void let_pass(struct fixture *f, uint32_t s)
{
	atomic_store(&f->clock.until_ns, now(&f->clock) + s * S_NS);
	for (uint32_t i = 0; now(&f->clock) < atomic_load(&f->clock.until_ns); i++) {
		assert_true(i < REAL_S_MAX * 1000);
		usleep(1000);
	}
}

static uint64_t tries(const struct fixture *f)
{
	struct store_health now;

	pg_driver_health(f->driver, &now);
	return now.retries;
}

static bool is_up(const struct fixture *f)
{
	struct store_health now;

	pg_driver_health(f->driver, &now);
	return now.up;
}

static void check_stored(struct fixture *f)
{
	/* One connection: what was taken first comes back first, and was written first. */
	for (uint32_t i = 0; i < BATCHES; i++)
		assert_ptr_equal(f->done[i], f->sc[i].b);
	assert_int_equal(ask("SELECT count(*) FROM result"), BATCHES * N);
	assert_int_equal(ask("SELECT count(*) FROM (SELECT sequence > lag(sequence) OVER "
			     "(ORDER BY xmin::text::int8, sequence) AS later FROM result) AS v "
			     "WHERE NOT later"), 0);
	assert_int_equal(ask("SELECT count(*) FROM number_register"), BATCHES * N);
	assert_int_equal(ask("SELECT sum(results) FROM counter"), BATCHES * N);
	for (uint32_t i = 0; i < BATCHES; i++)
		for (uint32_t k = 0; k < N; k++)
			assert_int_equal(f->sc[i].b->items[k].stored, ST_OK);
}

static void test_an_hour(void **state)
{
	struct fixture *f = *state;
	uint64_t before;
	long kb;

	pg_driver_take(f->driver, f->sc[0].b);
	wait_done(f, 1);
	assert_true(is_up(f));
	server_away(f);
	/* As many as there can be: the rest waits in the journal. */
	for (uint32_t i = 1; i < BATCHES; i++)
		pg_driver_take(f->driver, f->sc[i].b);
	let_pass(f, HOUR_S / 6);
	assert_false(is_up(f));
	before = tries(f);
	kb = resident_kb();
	let_pass(f, HOUR_S - HOUR_S / 6);
	/* One a second: neither fewer, as a pause has a bound, nor many more. */
	assert_in_range(tries(f) - before, 2900, 3001);
	assert_int_equal(done_n(f), 1);
	assert_in_range(told(f, "trying again"), 1, 2);
	assert_in_range(told(f, " error "), 1, 2);
	assert_true(resident_kb() - kb < 1024);
	server_back(f);
	wait_done(f, BATCHES);
	assert_true(is_up(f));
	assert_int_equal(told(f, "takes results again"), 1);
	check_stored(f);
}

/* ---- one of two ---- */

#define WEST 0xffffffff00000000ull	/* lanes of the server that goes */

static uint64_t lanes_away(const struct fixture *f)
{
	struct store_health now;

	pg_driver_health(f->driver, &now);
	assert_int_equal(now.up, now.servers_away == 0);
	assert_int_equal(now.servers_away & ~2u, 0);
	return now.lanes_away;
}

static void wait_lanes(struct fixture *f, uint64_t lanes)
{
	for (uint32_t i = 0; lanes_away(f) != lanes; i++) {
		assert_true(i < REAL_S_MAX * 1000);
		usleep(1000);
	}
}

/* Of those that came back as to be taken again; they are as they were before. */
static uint32_t reset_later(struct fixture *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < BATCHES; i++)
		for (uint32_t k = 0; k < N; k++) {
			struct item *it = &f->sc[i].b->items[k];

			assert_int_equal(it->held, it->later ? REASON_BUSY : REASON_NONE);
			assert_true(!it->later || (it->lanes == pg_lanes_of(it) &&
						   (it->lanes & WEST) != 0));
			assert_true(it->later || it->stored == ST_OK);
			n += it->later;
			it->later = false;
			it->held = REASON_NONE;
		}
	return n;
}

/* A server that is away gives up what it has, so that it comes back and the others' goes on. */
static void test_one_of_two(void **state)
{
	static const char *const all[] = { "SELECT count(*) FROM result",
					   "SELECT count(*) FROM number_register",
					   "SELECT coalesce(sum(results), 0) FROM counter" };
	static const char drop[] = "DROP SCHEMA public CASCADE; CREATE SCHEMA public";
	struct fixture *f = *state;
	char texts[2][300];
	const char *const servers[] = { texts[0], texts[1] }, *east;
	struct pg_schema_report report;
	struct error e = { 0 };
	uint32_t waited;

	pg_driver_free(f->driver);
	/* The last word of a kind counts. */
	snprintf(texts[0], sizeof(texts[0]), "lanes=0-31 %s dbname=t2", getenv("TRIEN_POSTGRES"));
	snprintf(texts[1], sizeof(texts[1]), "lanes=32-63 host=%s dbname=t1 user=trien", f->folder);
	east = strchr(texts[0], ' ');
	assert_int_equal(pg_servers_read(&f->servers, servers, 2, false, "", &e), ST_OK);
	ask_at(east, drop);
	assert_int_equal(pg_schema_init(&f->servers, 0, &report, &e), ST_OK);
	driver_start(f);
	pg_driver_take(f->driver, f->sc[0].b);
	wait_done(f, 1);
	server_away(f);
	for (uint32_t i = 1; i < BATCHES; i++)
		pg_driver_take(f->driver, f->sc[i].b);
	let_pass(f, 2);
	wait_done(f, BATCHES);
	wait_lanes(f, WEST);
	waited = reset_later(f);
	assert_in_range(waited, 1, (BATCHES - 1) * N - 1);
	/* It is up as soon as it can be reached: nothing is there to try it with. */
	server_back(f);
	let_pass(f, 2);
	wait_lanes(f, 0);
	f->done_n = 0;
	for (uint32_t i = 1; i < BATCHES; i++)
		pg_driver_take(f->driver, f->sc[i].b);
	wait_done(f, BATCHES - 1);
	assert_true(is_up(f));
	for (size_t i = 0; i < ARRAY_LEN(all); i++)
		assert_int_equal(ask(all[i]) + ask_at(east, all[i]), BATCHES * N);
}

static void setting(const char *how)
{
	static const char *const names[] = { "fsync", "full_page_writes", "synchronous_commit" };
	char sql[100];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(sql, sizeof(sql), "ALTER SYSTEM %s %s%s", how, names[i],
			 strcmp(how, "SET") == 0 ? " = on" : "");
		ask(sql);
	}
	ask("SELECT pg_reload_conf()");
}

/* The tests' server is a fast one: it could forget what it said is stored. */
static void test_a_server_that_forgets(void **state)
{
	struct fixture *f = *state;
	char conninfo[200];
	const char *text = conninfo;
	struct store_config cfg = { .sink = { .ctx = f, .done = done, .failed = failed,
					      .now_ms = now_ms },
				    .postgres = &text, .postgres_n = 1, .connections = 1,
				    .reader = "", .risks_refused = true };
	struct store *store = NULL;
	struct error e = { 0 };

	snprintf(conninfo, sizeof(conninfo), "host=%s dbname=t1 user=trien", f->folder);
	assert_int_equal(store_postgres_open(&store, &cfg, &e), ST_PRECONDITION);
	assert_non_null(strstr(e.text, "fsync = off, full_page_writes = off, synchronous"));
	pg_driver_free(f->driver);
	f->servers.risks_refused = true;
	driver_start(f);
	pg_driver_take(f->driver, f->sc[0].b);
	/* It tries again and again, and says once why it does not store. */
	for (uint32_t i = 0; tries(f) < 3 || is_up(f); i++) {
		assert_true(i < REAL_S_MAX * 1000);
		usleep(1000);
	}
	assert_int_equal(done_n(f), 0);
	assert_int_equal(told(f, "Nothing is stored there before it is on"), 1);
	assert_int_equal(ask("SELECT count(*) FROM result"), 0);
	setting("SET");
	wait_done(f, 1);
	assert_true(is_up(f));
	assert_int_equal(told(f, "its settings are good again"), 1);
	assert_int_equal(store_postgres_open(&store, &cfg, &e), ST_OK);
	store->ops->close(store);
	setting("RESET");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_an_hour, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_of_two, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_server_that_forgets, setup, teardown),
	};

	if (getenv("TRIEN_POSTGRES") == NULL)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
