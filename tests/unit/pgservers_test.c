/* Which texts say how lanes lie on servers, and which are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "store/postgres/servers.h"

static struct pg_servers s;
static struct error e;

static enum status read_all(const char *const *texts, uint32_t n)
{
	e = (struct error){ 0 };
	return pg_servers_read(&s, texts, n, false, "", &e);
}

static enum status read_one(const char *text)
{
	return read_all(&text, 1);
}

/* What names a store in a file has no password in it, whoever asks. */
static void test_place(void **state)
{
	char place[200];

	assert_int_equal(read_one("lanes=0-63 host=/run/postgresql dbname=trien user=u "
				  "password=hidden"), ST_OK);
	pg_server_place(&s, 0, place, sizeof(place));
	assert_string_equal(place, "host=/run/postgresql dbname=trien ");
	pg_server_place(&s, 0, place, 8);
	assert_string_equal(place, "host=/r");
}

static void test_one_holds_all(void **state)
{
	assert_int_equal(read_one("host=/run/postgresql dbname=trien"), ST_OK);
	assert_int_equal(s.n, 1);
	for (uint32_t lane = 0; lane < LANES; lane++)
		assert_int_equal(s.of_lane[lane], 0);
	assert_string_equal(s.conninfo[0], "host=/run/postgresql dbname=trien");
	assert_int_equal(read_one("lanes=0-63 host=/run/postgresql"), ST_OK);
	assert_int_equal(read_one("postgresql://trien@/trien?host=/run/postgresql"), ST_OK);
	assert_int_equal(read_one("hostaddr=192.0.2.1 host=db.example"), ST_OK);
	assert_int_equal(s.hosts[0], 1);
	assert_false(s.chosen[0]);
	assert_int_equal(read_one("host=/a target_session_attrs=any"), ST_OK);
	assert_false(s.chosen[0]);
	assert_int_equal(read_one("host=/a target_session_attrs=read-write"), ST_OK);
	assert_true(s.chosen[0]);
}

/* ---- a primary and its standbys ---- */

static void option_is(PGconn *c, const char *word, const char *value)
{
	PQconninfoOption *all = PQconninfo(c), *o = all;

	while (o->keyword != NULL && strcmp(o->keyword, word) != 0)
		o++;
	assert_non_null(o->keyword);
	assert_string_equal(o->val != NULL ? o->val : "", value);
	PQconninfoFree(all);
}

/* Nothing is there to connect to: only what would be said. */
static PGconn *begun(bool reads, uint32_t first)
{
	PGconn *c = pg_server_start(&s, 0, reads, "-c jit=off", first);

	assert_non_null(c);
	option_is(c, "options", "-c jit=off");
	return c;
}

static void test_hosts_take_turns(void **state)
{
	static const char *const orders[] = { "/no/a,/no/b,/no/c", "/no/b,/no/c,/no/a",
					      "/no/c,/no/a,/no/b" };
	PGconn *c;

	assert_int_equal(read_one("host=/no/a,/no/b,/no/c port=5432"), ST_OK);
	assert_int_equal(s.hosts[0], 3);
	assert_true(s.chosen[0]);
	for (uint32_t first = 0; first < 6; first++) {
		c = begun(false, first);
		option_is(c, "host", orders[first % 3]);
		option_is(c, "port", "5432");
		PQfinish(c);
	}
	/* Of each list the same place; an address may be missing where the host is a folder. */
	assert_int_equal(read_one("postgresql://trien@/trien?host=/no/a,db,/no/c&port=1,2,3"
				  "&hostaddr=,127.0.0.1,"), ST_OK);
	c = begun(false, 1);
	option_is(c, "host", "db,/no/c,/no/a");
	option_is(c, "hostaddr", "127.0.0.1,,");
	option_is(c, "port", "2,3,1");
	option_is(c, "dbname", "trien");
	PQfinish(c);
}

/* Its readers say that they only read: such a session is no sign of a standby. */
static void test_only_the_primary_will_do(void **state)
{
	static const struct { const char *text, *writes, *reads; } of[] = {
		{ "host=/no/a", "any", "any" },
		{ "host=/no/a target_session_attrs=any", "any", "any" },
		{ "host=/no/a,/no/b", "read-write", "primary" },
		{ "host=/no/a,/no/b target_session_attrs=primary", "primary", "primary" },
		{ "host=/no/a target_session_attrs=read-write", "read-write", "primary" },
	};

	for (size_t i = 0; i < ARRAY_LEN(of); i++) {
		assert_int_equal(read_one(of[i].text), ST_OK);
		for (int reads = 0; reads < 2; reads++) {
			PGconn *c = begun(reads != 0, 0);

			option_is(c, "target_session_attrs",
				  reads != 0 ? of[i].reads : of[i].writes);
			PQfinish(c);
		}
	}
}

/* A peer that is gone is noticed; what the text says of it counts more. */
static void test_silence_has_an_end(void **state)
{
	PGconn *c;

	assert_int_equal(read_one("host=/no/a"), ST_OK);
	c = begun(false, 0);
	option_is(c, "tcp_user_timeout", "20000");
	option_is(c, "keepalives_idle", "10");
	PQfinish(c);
	assert_int_equal(read_one("host=/no/a tcp_user_timeout=5000 keepalives_idle=3"), ST_OK);
	c = begun(true, 0);
	option_is(c, "tcp_user_timeout", "5000");
	option_is(c, "keepalives_idle", "3");
	PQfinish(c);
}

/* Citus plans with the values or not at all. */
static void test_plans_are_made_once_but_on_citus(void **state)
{
	const char *const one = "host=/a";

	assert_int_equal(pg_servers_read(&s, &one, 1, false, "", &e), ST_OK);
	assert_non_null(strstr(pg_plan_once(&s), "force_generic_plan"));
	assert_int_equal(pg_servers_read(&s, &one, 1, true, "", &e), ST_OK);
	assert_null(strstr(pg_plan_once(&s), "plan"));
}

static void test_lanes_are_spread(void **state)
{
	const char *const two[] = { "lanes=0-15,32,40-63 host=/a", "lanes=16-31,33-39 host=/b" };

	assert_int_equal(read_all(two, 2), ST_OK);
	assert_int_equal(s.of_lane[15], 0);
	assert_int_equal(s.of_lane[16], 1);
	assert_int_equal(s.of_lane[32], 0);
	assert_int_equal(s.of_lane[39], 1);
	assert_int_equal(s.of_lane[63], 0);
	assert_string_equal(s.conninfo[1], "host=/b");
}

/* What a server is told to keep, and what is told of it. */
static void test_lanes_as_they_are_given(void **state)
{
	const char *const two[] = { "lanes=0-15,32,40-63 host=/a", "lanes=16-31,33-39 host=/b" };
	char text[PG_LANES_BYTES];

	assert_int_equal(read_all(two, 2), ST_OK);
	pg_lanes_text(pg_server_lanes(&s, 0), text);
	assert_string_equal(text, "0-15,32,40-63");
	pg_lanes_text(pg_server_lanes(&s, 1), text);
	assert_string_equal(text, "16-31,33-39");
	assert_true((pg_server_lanes(&s, 0) ^ pg_server_lanes(&s, 1)) == UINT64_MAX);
	/* As long as it can get. */
	pg_lanes_text(0x6db6db6db6db6db6, text);
	assert_string_equal(text + strlen(text) - 12, ",58-59,61-62");
}

static void test_each_lane_once(void **state)
{
	const char *const missing[] = { "lanes=0-30 host=/a", "lanes=32-63 host=/b" };
	const char *const twice[] = { "lanes=0-32 host=/a", "lanes=32-63 host=/b" };
	const char *const silent[] = { "host=/a", "host=/b" };

	assert_int_equal(read_all(missing, 2), ST_INVALID);
	assert_non_null(strstr(e.text, "lane 31"));
	assert_int_equal(read_all(twice, 2), ST_INVALID);
	assert_non_null(strstr(e.text, "lane 32 is at servers 1 and 2"));
	assert_int_equal(read_all(silent, 2), ST_INVALID);
	assert_int_equal(read_all(NULL, 0), ST_INVALID);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"lanes=0-64 host=/a", "lanes= host=/a", "lanes=5-3 host=/a", "lanes=0-63",
		"lanes=0-63x host=/a", "lanes=0-63, host=/a", "lanes=-1 host=/a", "hast=/a",
		"host=db.example", "host=/a options=-cfsync=off", "lanes=0-63 host='/a",
		"host=/a,db.example", "host=/a,db hostaddr=192.0.2.1,", "host=/a,/b port=1,2,3",
		"host=/a,/b hostaddr=192.0.2.1", "host=/1,/2,/3,/4,/5,/6,/7,/8,/9",
		"host=/a,/b target_session_attrs=any", "host=/a target_session_attrs=standby",
		"host=/a,/b target_session_attrs=prefer-standby",
		"host=/a target_session_attrs=read-only",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(read_one(bad[i]), ST_INVALID);
		assert_true(e.text[0] != '\0');
	}
}

struct files { uint32_t n; char path[16][200]; };

static void file_seen(void *ctx, const char *path)
{
	struct files *f = ctx;

	assert_true(f->n < ARRAY_LEN(f->path));
	snprintf(f->path[f->n++], sizeof(f->path[0]), "%s", path);
}

/* What the sandbox must leave open. */
static void test_files(void **state)
{
	static const char *const two[] = { "lanes=0-31 host=/a passfile=/etc/trien/pgpass",
					   "lanes=32-63 hostaddr=192.0.2.1 host=db"
					   " sslrootcert=/etc/trien/ca.pem sslkey=/etc/trien/key" };
	struct files f = { 0 };

	unsetenv("PGPASSFILE");
	setenv("HOME", "/home/trien", 1);
	assert_int_equal(read_all(two, 2), ST_OK);
	pg_server_files(&s, file_seen, &f);
	assert_int_equal(f.n, 5);
	assert_string_equal(f.path[0], "/etc/trien/pgpass");
	assert_string_equal(f.path[3], "/home/trien/.pgpass");
	assert_string_equal(f.path[4], "/home/trien/.postgresql");
	setenv("PGPASSFILE", "/etc/other", 1);
	f.n = 0;
	pg_server_files(&s, file_seen, &f);
	assert_int_equal(f.n, 6);
	assert_string_equal(f.path[3], "/etc/other");
}

static void test_no_password_in_errors(void **state)
{
	assert_int_equal(read_one("password=geheim host=db.example"), ST_INVALID);
	assert_null(strstr(e.text, "geheim"));
	assert_int_equal(read_one("password='geheim host=/a"), ST_INVALID);
	assert_null(strstr(e.text, "geheim"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_one_holds_all),
		cmocka_unit_test(test_plans_are_made_once_but_on_citus),
		cmocka_unit_test(test_hosts_take_turns),
		cmocka_unit_test(test_only_the_primary_will_do),
		cmocka_unit_test(test_silence_has_an_end),
		cmocka_unit_test(test_lanes_are_spread),
		cmocka_unit_test(test_lanes_as_they_are_given),
		cmocka_unit_test(test_each_lane_once),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_no_password_in_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
