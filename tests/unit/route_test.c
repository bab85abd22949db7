/* Routes, forms, addresses, rates: what a request is before a handler sees it. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "portal/conns.h"
#include "portal/form.h"
#include "portal/limit.h"
#include "portal/route.h"

static void nothing(struct request *q) { (void)q; }

static const struct route one[] = {
	{ METHOD_GET, "/", nothing, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ METHOD_GET, "/a/:x", nothing, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ METHOD_GET, "/a/:x/b/:y", nothing, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ 0 }
};
static const struct route two[] = {
	{ METHOD_POST, "/a/:x", nothing, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ METHOD_GET, "/long", nothing, WHO_ANYBODY, LIMIT_PAGE, 0 },
	{ 0 }
};
static const struct route *const groups[] = { one, two, NULL };

static const struct route *found(enum method method, const char *path, const char *x,
				 const char *y, unsigned int *allowed)
{
	const char *args[PORTAL_PARTS_MAX] = { NULL };
	char copy[256];
	const struct route *r;

	snprintf(copy, sizeof(copy), "%s", path);
	r = route_find(groups, method, copy, args, allowed);
	if (r != NULL && x != NULL)
		assert_string_equal(args[0], x);
	if (r != NULL && y != NULL)
		assert_string_equal(args[1], y);
	return r;
}

static void routes(void **state)
{
	unsigned int allowed;

	assert_ptr_equal(found(METHOD_GET, "/", NULL, NULL, &allowed), &one[0]);
	assert_ptr_equal(found(METHOD_GET, "/a/k", "k", NULL, &allowed), &one[1]);
	assert_ptr_equal(found(METHOD_POST, "/a/k", "k", NULL, &allowed), &two[0]);
	assert_ptr_equal(found(METHOD_GET, "/a/1/b/2", "1", "2", &allowed), &one[2]);
	assert_ptr_equal(found(METHOD_GET, "/long", NULL, NULL, &allowed), &two[1]);
	/* A slash that is coded is no slash. */
	assert_ptr_equal(found(METHOD_GET, "/a/x%2Fb%2fy", "x/b/y", NULL, &allowed), &one[1]);
	assert_null(found(METHOD_POST, "/long", NULL, NULL, &allowed));
	assert_int_equal(allowed, 1u << METHOD_GET);
	assert_null(found(METHOD_NONE, "/a/k", NULL, NULL, &allowed));
	assert_int_equal(allowed, 1u << METHOD_GET | 1u << METHOD_POST);
}

static void no_routes(void **state)
{
	static const char *const paths[] = { "", "a", "/a", "/a/", "/a/k/", "//a/k", "/a/k/b/",
		"/lon", "/longer", "/LONG", "/a/%00", "/a/%zz", "/a/%4", "/a/%ff", "http://h/",
		"/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8", "/../long", "/a/k?b" };
	unsigned int allowed;

	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		const struct route *r = found(METHOD_GET, paths[i], NULL, NULL, &allowed);

		/* The query is cut off before; here it is a part of the piece. */
		if (strcmp(paths[i], "/a/k?b") == 0)
			assert_ptr_equal(r, &one[1]);
		else if (r != NULL || allowed != 0)
			fail_msg("%s is a route", paths[i]);
	}
}

static void forms(void **state)
{
	struct form f;

	assert_int_equal(form_read(&f, slice_str("a=1&b=x+y%20%C6%A1&c&a=2&=v&&d=")), ST_OK);
	assert_string_equal(form_value(&f, "a"), "1");
	assert_string_equal(form_value(&f, "b"), "x y ơ");
	assert_string_equal(form_value(&f, "c"), "");
	assert_string_equal(form_value(&f, "d"), "");
	assert_null(form_value(&f, "e"));
	form_free(&f);
	assert_int_equal(form_read(&f, slice_str("")), ST_OK);
	assert_null(form_value(&f, ""));
	form_free(&f);
	assert_int_equal(form_read(&f, slice_str("a=%00")), ST_INVALID);
	assert_int_equal(form_read(&f, slice_str("a=%C6")), ST_INVALID);
	assert_int_equal(form_read(&f, slice_str("a=%2")), ST_INVALID);
	assert_int_equal(form_read(&f, slice_str("%=1")), ST_INVALID);
	assert_int_equal(form_read(&f, slice_str("a&b&c&d&e&f&g&h&i&j&k&l&m&n&o&p&q")), ST_INVALID);
}

#define TYPE "multipart/form-data; boundary=xYx"
#define HEAD(n) "--xYx\r\nContent-Disposition: form-data; name=\"" n "\""

static void files(void **state)
{
	static const char body[] = HEAD("csrf") "\r\n\r\ntoken\r\n"
		HEAD("file") "; filename=\"a.pdf\"\r\nContent-Type: application/pdf\r\n\r\n"
		"%PDF\0--xY\r\n-\r\n--xYx--\r\n";
	struct slice whole = slice_of(body, sizeof(body) - 1), file;
	struct form f;

	assert_int_equal(form_read_parts(&f, TYPE, whole), ST_OK);
	assert_string_equal(form_value(&f, "csrf"), "token");
	file = form_file(&f, "file");
	assert_int_equal(file.n, 12);
	assert_memory_equal(file.p, "%PDF\0--xY\r\n-", 12);
	assert_null(form_value(&f, "file"));
	assert_null(form_file(&f, "csrf").p);
	form_free(&f);
	/* Cut anywhere it is none, and nothing is read behind its end. */
	for (size_t n = 0; n < whole.n - 4; n++) {
		uint8_t *cut = malloc(n + 1);

		memcpy(cut, body, n);
		if (form_read_parts(&f, TYPE, slice_of(cut, n)) == ST_OK)
			fail_msg("cut at %zu it is a form", n);
		free(cut);
	}
	assert_int_equal(form_read_parts(&f, "multipart/form-data", whole), ST_INVALID);
	assert_int_equal(form_read_parts(&f, "multipart/form-data; boundary=other", whole),
			 ST_INVALID);
}

/* One part more than a form may have, each as large as one may be: nothing is written behind. */
static void too_many_parts(void **state)
{
	size_t size = (PORTAL_PARTS_MAX + 2) * (PORTAL_FORM_BYTES_MAX + 1200), n = 0;
	char *body = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct form f;

	assert_ptr_not_equal(body, MAP_FAILED);
	for (int i = 0; i <= PORTAL_PARTS_MAX; i++) {
		n += (size_t)snprintf(body + n, size - n,
				      "--xYx\r\n; name=\"%01010d\"\r\n\r\n", i);
		memset(body + n, 'v', PORTAL_FORM_BYTES_MAX);
		n += PORTAL_FORM_BYTES_MAX;
		n += (size_t)snprintf(body + n, size - n, "\r\n");
	}
	n += (size_t)snprintf(body + n, size - n, "--xYx--\r\n");
	/* What the form keeps lies right below it, and what is behind that cannot be written. */
	assert_int_equal(mprotect(body, size, PROT_READ), 0);
	mallopt(M_MMAP_THRESHOLD, 64 * 1024);
	assert_int_equal(form_read_parts(&f, TYPE, slice_of(body, n)), ST_INVALID);
	munmap(body, size);
}

static struct address address(const char *text)
{
	struct address a;

	assert_true(address_read(&a, text, strlen(text)));
	return a;
}

static void clients(void **state)
{
	static const struct { const char *peer, *forwarded, *is; } rows[] = {
		{ "10.0.0.1", "203.0.113.7", "203.0.113.7" },
		/* What a client wrote in front is only its word. */
		{ "10.0.0.1", "198.51.100.9, 203.0.113.7", "203.0.113.7" },
		{ "10.0.0.1", "203.0.113.7, 10.0.0.2", "203.0.113.7" },
		{ "10.0.0.1", "203.0.113.7,rubbish", "10.0.0.1" },
		{ "10.0.0.1", "", "10.0.0.1" },
		{ "10.0.0.1", "10.0.0.2,10.0.0.1", "10.0.0.1" },
		{ "10.0.0.1", "2001:db8::5", "2001:db8::5" },
		/* No proxy of ours: not believed. */
		{ "203.0.113.1", "198.51.100.9", "203.0.113.1" },
		{ "::1", "198.51.100.9", "198.51.100.9" },
	};
	struct proxies p;

	assert_int_equal(proxies_read(&p, "10.0.0.1, 10.0.0.2,::1", NULL), ST_OK);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct address peer = address(rows[i].peer), is = address(rows[i].is);
		struct address got = proxies_client(&p, &peer, rows[i].forwarded);

		if (!address_eq(&got, &is))
			fail_msg("%s through %s", rows[i].forwarded, rows[i].peer);
	}
	assert_int_equal(proxies_read(&p, "localhost", NULL), ST_INVALID);
	assert_int_equal(proxies_read(&p, "10.0.0.1;::1", NULL), ST_INVALID);
}

static void loopback(void **state)
{
	struct address a = address("127.9.9.9"), b = address("::1"), c = address("10.0.0.1");
	struct address d = address("2001:db8::1"), e = address("2001:db8::2");

	assert_true(address_is_loopback(&a) && address_is_loopback(&b));
	assert_false(address_is_loopback(&c) || address_is_loopback(&d));
	/* One household has a whole network of them. */
	assert_true(slice_eq(address_asker(&d), address_asker(&e)));
	assert_false(slice_eq(address_asker(&a), address_asker(&c)));
}

static void rates(void **state)
{
	static const uint8_t secret[16] = { 7 };
	struct slice a = slice_str("a"), b = slice_str("b");
	struct limits *l;
	uint32_t taken = 0, retry = 0;
	int64_t now = 1000000;

	assert_int_equal(limits_new(&l, secret), ST_OK);
	while (taken < 1000 && limit_take(l, LIMIT_LOOKUP, a, now, &retry))
		taken++;
	assert_in_range(taken, 5, 100);
	assert_in_range(retry, 1, 60000);
	/* Others, and other things, have their own. */
	assert_true(limit_take(l, LIMIT_LOOKUP, b, now, &retry));
	assert_true(limit_take(l, LIMIT_PAGE, a, now, &retry));
	assert_false(limit_take(l, LIMIT_LOOKUP, a, now, &retry));
	/* What it says of when is true, and one is one. */
	assert_false(limit_take(l, LIMIT_LOOKUP, a, now + retry - 1, &retry));
	assert_int_equal(retry, 1);
	now += 1 + retry;
	while (!limit_take(l, LIMIT_LOOKUP, a, now, &retry))
		now += retry;
	assert_false(limit_take(l, LIMIT_LOOKUP, a, now, &retry));
	/* After long enough there is the whole burst again, and no more. */
	for (uint32_t i = 0; i < taken; i++)
		assert_true(limit_take(l, LIMIT_LOOKUP, a, now + 3600000, &retry));
	assert_false(limit_take(l, LIMIT_LOOKUP, a, now + 3600000, &retry));
	limits_free(l);
}

/*
 * What may be asked is not taken by asking; wrong digits are fewer by far than pages. Ten who ask
 * together cannot take what a case has.
 */
static void only_what_goes_wrong_counts(void **state)
{
	static const uint8_t secret[16] = { 9 };
	struct slice a = slice_str("a");
	uint32_t taken = 0, retry = 0;
	struct limits *l;

	assert_int_equal(limits_new(&l, secret), ST_OK);
	for (uint32_t i = 0; i < 1000; i++)
		assert_true(limit_may(l, LIMIT_CASE, a, 5000, &retry));
	while (taken < 1000 && limit_take(l, LIMIT_CASE_ASKER, a, 5000, &retry))
		taken++;
	assert_in_range(taken, 4, 9);
	assert_false(limit_may(l, LIMIT_CASE_ASKER, a, 5000, &retry));
	for (uint32_t i = 0; i < 10 * taken; i++)
		assert_true(limit_take(l, LIMIT_CASE, a, 5000, &retry));
	while (limit_take(l, LIMIT_CASE, a, 5000, &retry))
		continue;
	assert_false(limit_may(l, LIMIT_CASE, a, 5000, &retry));
	/* All ten thousand of them take a month and more. */
	assert_true((uint64_t)retry * 10000 > 30ULL * 24 * 3600 * 1000);
	/* Those behind one address of a mobile network, who look at their papers. */
	for (uint32_t i = 0; i < 200; i++)
		assert_true(limit_take(l, LIMIT_SCAN, a, 5000, &retry));
	limits_free(l);
}

/* However many ask, one who asked too much is not forgotten by it. */
static void many_askers(void **state)
{
	static const uint8_t secret[16] = { 8 };
	struct limits *l;
	uint32_t retry;

	assert_int_equal(limits_new(&l, secret), ST_OK);
	while (limit_take(l, LIMIT_LOOKUP, slice_str("greedy"), 5000, &retry))
		continue;
	for (uint32_t i = 0; i < 200000; i++)
		assert_true(limit_take(l, LIMIT_LOOKUP, slice_of(&i, sizeof(i)), 5000, &retry));
	assert_false(limit_take(l, LIMIT_LOOKUP, slice_str("greedy"), 5000, &retry));
	limits_free(l);
}

/* IPv6 is given out as networks of 64 bits; the proxies in one are counted by nobody. */
static void connections(void **state)
{
	static const char *const from[] = { "2001:db8:0:1::1", "2001:db8:0:1::2",
					    "2001:db8:0:1:ffff::3", "2001:db8:0:2::1",
					    "2001:db8:0:1::9", "198.51.100.7", "198.51.100.8" };
	struct address a[ARRAY_LEN(from)];
	struct conn *held[4];
	struct proxies p;
	struct conns *c;
	struct error e;

	assert_int_equal(proxies_read(&p, "2001:db8:0:1::9", &e), ST_OK);
	assert_int_equal(conns_new(&c, 2, &p, &e), ST_OK);
	for (size_t i = 0; i < ARRAY_LEN(from); i++)
		assert_true(address_read(&a[i], from[i], strlen(from[i])));
	/* The proxy's own connection takes nobody's room. */
	held[0] = conn_begun(c, &a[4], -1);
	held[1] = conn_begun(c, &a[0], -1);
	assert_true(conns_room(c, &a[2]));
	held[2] = conn_begun(c, &a[1], -1);
	assert_true(address_eq(conn_address(held[2]), &a[1]));
	assert_false(conns_room(c, &a[0]));
	assert_false(conns_room(c, &a[2]));
	assert_true(conns_room(c, &a[3]));
	assert_true(conns_room(c, &a[4]));
	conn_ended(c, held[1]);
	assert_true(conns_room(c, &a[2]));
	/* An address of four bytes is one. */
	held[1] = conn_begun(c, &a[5], -1);
	held[3] = conn_begun(c, &a[5], -1);
	assert_false(conns_room(c, &a[5]));
	assert_true(conns_room(c, &a[6]));
	for (size_t i = 0; i < ARRAY_LEN(held); i++)
		conn_ended(c, held[i]);
	conns_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes), cmocka_unit_test(no_routes), cmocka_unit_test(forms),
		cmocka_unit_test(files), cmocka_unit_test(too_many_parts),
		cmocka_unit_test(clients), cmocka_unit_test(loopback),
		cmocka_unit_test(rates), cmocka_unit_test(only_what_goes_wrong_counts),
		cmocka_unit_test(many_askers), cmocka_unit_test(connections),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
