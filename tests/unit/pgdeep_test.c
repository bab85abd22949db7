/*
 * `trien store check --deep` finds what is damaged, missing or leads nowhere, names it, and finds
 * nothing in a store that is whole: on one server, on four, on Citus. Run by with_postgres.py.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pgrig.h"
#include "store/postgres/deep.h"

#define RESULTS 60u
#define VOIDED 66u		/* result that was voided, of the first unit, as its next number */
#define READ 77u		/* when result 3 was read */
#define LINES_MAX 64

struct seen {
	struct pg_deep_report report;
	uint32_t lines_n, pages, spare;
	const char *meanwhile;		/* SQL that is run once, in the last lane */
	bool always;			/* or after each page */
	char lines[LINES_MAX][240];
};

static void told(void *ctx, const char *line, enum pg_deep_line kind)
{
	struct seen *s = ctx;

	s->spare += kind == DEEP_SPARE;
	if (s->lines_n < LINES_MAX)
		snprintf(s->lines[s->lines_n++], sizeof(s->lines[0]), "%s", line);
}

static void progress(void *ctx, const struct pg_deep_report *r)
{
	struct seen *s = ctx;

	assert_true(r->lanes <= LANES);
	s->pages++;
	if (s->meanwhile == NULL || (!s->always && r->lanes < LANES - 1))
		return;
	pgrig_sql(0, s->meanwhile);
	s->meanwhile = s->always ? s->meanwhile : NULL;
}

static enum status check(const struct pgrig *f, const char *reader, struct seen *s)
{
	const char *texts[PGRIG_SERVERS];
	struct pg_deep_config cfg = { .postgres = texts, .postgres_n = f->servers,
				      .citus = f->citus, .reader = reader, .settle_ms = 1,
				      .told = told, .progress = progress, .ctx = s };
	struct error e = { 0 };

	*s = (struct seen){ .meanwhile = s->meanwhile, .always = s->always };
	for (uint32_t i = 0; i < f->servers; i++)
		texts[i] = f->texts[i];
	return pg_deep_check(&cfg, &s->report, &e);
}

/* So many faults and missing numbers; every line of a fault has one of the texts, `|` between. */
static void finds(const struct pgrig *f, const char *texts, uint64_t faults, uint64_t open)
{
	static struct seen s;
	assert_int_equal(check(f, "", &s), ST_OK);
	if (s.report.faults != faults || s.report.open != open) {
		for (uint32_t i = 0; i < s.lines_n; i++)
			print_error("%s\n", s.lines[i]);
		fail_msg("%llu faults, %llu open; %llu, %llu expected",
			 (unsigned long long)s.report.faults, (unsigned long long)s.report.open,
			 (unsigned long long)faults, (unsigned long long)open);
	}
	while (*texts != '\0') {
		size_t n = strcspn(texts, "|");
		bool found = false;

		for (uint32_t i = 0; i < s.lines_n; i++)
			found |= memmem(s.lines[i], strlen(s.lines[i]), texts, n) != NULL;
		if (!found)
			fail_msg("nothing says: %s", texts);
		texts += texts[n] == '|' ? n + 1 : n;
	}
}

/* ---- a store with all that there can be in one ---- */

static void acts(struct pgrig *f)
{
	struct store *store = f->same.store;
	struct result_event ev = { .lane = storecase_lane(4), .sequence = storecase_sequence(4),
				   .kind = EVENT_REVOKED, .at_ms = SAME_NOW_MS,
				   .actor = slice_str("ai"), .detail = slice_str("ly do") };
	struct holding_link l = { .lane = storecase_lane(7), .sequence = storecase_sequence(7),
				  .at_ms = SAME_NOW_MS, .actor = slice_str("ai"),
				  .holder = { .id_kind = ID_CITIZEN, .role = HOLDER_CHILD,
					      .country = slice_str("VN"),
					      .number = slice_str("079000000001") } };
	const struct result_name name = { storecase_lane(3), storecase_sequence(3) };
	const struct read_note seen = { .stamp = storecase_sequence(READ), .call = READ_GET,
					.actor = slice_str("mot-cua"), .names = &name,
					.names_n = 1 };
	struct void_entry gone = { .unit = slice_str("don-vi-0"), .register_code = slice_str("XN"),
				   .year = 2026, .number = RESULTS / 3 + 1, .lane = 9,
				   .sequence = storecase_sequence(VOIDED), .at_ms = SAME_NOW_MS,
				   .held = REASON_KEY_MISSING, .kind = slice_str("xac-nhan"),
				   .case_code = slice_str("H29.15-261124-000900"),
				   .reason = slice_str("hỏng"), .actor = slice_str("ai") };
	struct error e = { 0 };

	assert_int_equal(store->ops->events(store, &ev, 1, &e), ST_OK);
	ev.kind = EVENT_READ;
	assert_int_equal(store->ops->events(store, &ev, 1, &e), ST_OK);
	holder_key_of_id(l.key, ID_CITIZEN, slice_str("VN"), l.holder.number);
	assert_int_equal(store->ops->link(store, &l, &e), ST_OK);
	assert_int_equal(store->ops->note_reads(store, &seen, 1, &e), ST_OK);
	assert_int_equal(store->ops->void_number(store, &gone, &e), ST_OK);
	gone.number++;
	gone.sequence = 0;
	gone.used_outside = true;
	assert_int_equal(store->ops->void_number(store, &gone, &e), ST_OK);
}

static void fill(struct pgrig *f)
{
	static const char replaced[] = "0000000000000000000000000G";
	struct proof p;
	struct item *it;

	for (uint32_t k = 0; k < RESULTS - 2; k += 29)
		same_put(&f->same, k, 29);
	/* One that replaces another, one whose key is proved. */
	storecase_fill(&f->same.sc, RESULTS - 2, 1);
	it = &f->same.sc.b->items[0];
	((struct case_result *)it->result)->replaces = slice_str(replaced);
	storecase_encode(&f->same.sc, it);
	assert_int_equal(same_put_batch(&f->same), ST_OK);
	same_proof(&p, "a list");
	same_put_with(&f->same, RESULTS - 1, &p);
	acts(f);
}

/* A copy that is stored, one that is on its way, and what is left of nothing. */
static void test_originals(void **state)
{
	struct pgrig *f = *state;
	static struct seen s;
	static uint8_t bytes[3][40000];

	for (uint8_t i = 0; i < 3; i++) {
		memset(bytes[i], 'a' + i, sizeof(bytes[i]));
		same_bring(&f->same, storecase_lane(0), slice_of(bytes[i], sizeof(bytes[i])));
	}
	storecase_fill(&f->same.sc, 0, 6);
	storecase_copy(&f->same.sc, &f->same.sc.b->items[0], slice_of(bytes[0], sizeof(bytes[0])));
	assert_int_equal(same_put_batch(&f->same), ST_OK);
	assert_int_equal(check(f, "", &s), ST_OK);
	assert_int_equal(s.report.rows[DEEP_ORIGINALS], 3);
	assert_int_equal(s.report.claimed, 2);
	assert_int_equal(s.lines_n + s.spare + s.report.spare + s.report.faults, 0);
	assert_int_equal(pgrig_all(f, "DELETE FROM claim WHERE hash = sha256(convert_to("
					   "repeat('b', 40000), 'UTF8'))"), 1);
	assert_int_equal(check(f, "", &s), ST_OK);
	assert_int_equal(s.report.claimed, 1);
	assert_int_equal(s.report.spare, 1);
	assert_int_equal(s.report.faults, 0);
	assert_true(s.spare == 1 && s.lines_n == 1);
	assert_non_null(strstr(s.lines[0], "no result rests on it"));
	/* One that cannot be read may rest on it. */
	pgrig_all(f, "UPDATE result SET crc = crc + 1");
	assert_int_equal(check(f, "", &s), ST_OK);
	assert_int_equal(s.report.spare, 0);
	assert_int_equal(s.report.faults, 6);
}

static void test_whole(void **state)
{
	struct pgrig *f = *state;
	static struct seen s;

	finds(f, "", 0, 0);
	fill(f);
	finds(f, "", 0, 0);
	assert_int_equal(check(f, "", &s), ST_OK);
	assert_int_equal(s.report.rows[DEEP_RESULTS], RESULTS);
	assert_int_equal(s.report.rows[DEEP_HOLDINGS], RESULTS + 1);
	assert_int_equal(s.report.rows[DEEP_LOCATORS], RESULTS + 2);
	assert_int_equal(s.report.rows[DEEP_NUMBERS], RESULTS + 2);
	assert_int_equal(s.report.rows[DEEP_VOIDED], 1);
	assert_int_equal(s.report.rows[DEEP_EVENTS], 3);
	assert_int_equal(s.report.rows[DEEP_READINGS], 1);
	assert_true(s.report.rows[DEEP_LAYERS] >= STORECASE_LAYERS + 3);
	assert_true(s.report.file_bytes > RESULTS * 3000);
	assert_int_equal(s.report.lanes, LANES);
	assert_true(s.report.files && s.report.counters);
	assert_true(s.pages >= 6 * LANES);
}

/* ---- what is found ---- */

/* {n}: sequence of result n. The repair is the same again where there is none. */
struct damage { const char *sql, *repair, *texts; uint64_t faults, open; };

#define FLIP(table, column, n) \
	"UPDATE " table " SET " column " = set_byte(" column ", 20, " \
	"get_byte(" column ", 20) # 1) WHERE sequence = {" n "}"
#define TAKE(table, where) \
	"CREATE TABLE saved AS SELECT * FROM " table " WHERE " where "; DELETE FROM " table \
	" WHERE " where
#define GIVE(table) "INSERT INTO " table " SELECT * FROM saved; DROP TABLE saved"

static const struct damage damages[] = {
	{ FLIP("result", "body", "5"), NULL, "{5}: the file does not match its digest", 1, 0 },
	{ FLIP("result", "record", "5"), NULL, "{5}: the record does not match its", 1, 0 },
	{ FLIP("result", "layers", "5"), NULL, "{5}: the record does not match its", 1, 0 },
	{ FLIP("result", "case_digest", "5"), NULL, "{5}: columns say otherwise", 1, 0 },
	{ "UPDATE result SET body = substr(body, 1, 100) WHERE sequence = {5}", "",
	  "{5}: the file does not match its digest", 1, 0 },
	{ TAKE("locator", "sequence = {5}"), GIVE("locator"), "{5}: a locator is missing", 1, 0 },
	{ TAKE("locator", "sequence = {58} AND lane = (SELECT max(lane) FROM locator WHERE "
	  "sequence = {58})"), GIVE("locator"), "{58}: a locator is missing", 1, 0 },
	{ TAKE("holding", "sequence = {5}"), GIVE("holding"), "{5}: the row of a holder is missing",
	  1, 0 },
	{ TAKE("holding", "sequence = {7} AND role = 3"), GIVE("holding"),
	  "{7}: the row of a holder who was added is missing", 1, 0 },
	{ TAKE("event", "sequence = {7}"), GIVE("event"),
	  "says of result {7} what neither its record nor an event says", 1, 0 },
	{ "UPDATE holding SET role = 9 WHERE sequence = {5}",
	  "UPDATE holding SET role = 1 WHERE sequence = {5}",
	  "{5}: the row of a holder says otherwise|says of result {5} what neither", 2, 0 },
	{ "INSERT INTO holding VALUES (1, '\\x01000000000000000000000000000000', {99}, 2, 1, 0, 0,"
	  " 0)",
	  "DELETE FROM holding WHERE sequence = {99}", "holder leads to result {99}, which is not",
	  1, 0 },
	{ "INSERT INTO locator VALUES (1, '\\x01000000000000000000000000000000', {99}, 2)",
	  "DELETE FROM locator WHERE sequence = {99}",
	  "a locator leads to result {99}, which is not", 1, 0 },
	{ "INSERT INTO locator SELECT 1, '\\x01000000000000000000000000000000', {5}, lane "
	  "FROM result WHERE sequence = {5}", "DELETE FROM locator WHERE sequence = {5} AND "
	  "key = '\\x01000000000000000000000000000000'",
	  "a locator leads to result {5}, which is of another case", 1, 0 },
	/* Numbers 2 and 3 of the third unit, of results 5 and 8. */
	{ TAKE("number_register", "sequence = {5}"), GIVE("number_register"),
	  "{5}: its number, 2 of don-vi-2 XN 2026, is not in the register|"
	  "don-vi-2 XN 2026: number 2 is not there", 1, 1 },
	{ "INSERT INTO number_register SELECT (lane + 1) % 64, unit, register, year, number, "
	  "sequence, result_lane, state, at FROM number_register WHERE sequence = {5}",
	  "DELETE FROM number_register a USING number_register b WHERE a.sequence = {5} AND "
	  "b.sequence = {5} AND a.lane = (b.lane + 1) % 64",
	  "number 2 of don-vi-2 XN 2026 belongs into another lane", 1, 0 },
	{ "UPDATE number_register SET (sequence, result_lane) = (SELECT sequence, lane FROM result "
	  "WHERE sequence = {8}) WHERE sequence = {5}",
	  "UPDATE number_register SET (sequence, result_lane) = (SELECT sequence, lane FROM result "
	  "WHERE sequence = {5}) WHERE sequence = {8} AND number = 2",
	  "{5}: its number, 2 of don-vi-2 XN 2026, is another's|"
	  "number 2 of don-vi-2 XN 2026 leads to result {8}", 2, 0 },
	{ TAKE("result", "sequence = {5}"), GIVE("result"),
	  "holder leads to result {5}|locator leads to result {5}|"
	  "number 2 of don-vi-2 XN 2026 leads to result {5}|the counters say 60 results, 59 are", 4,
	  0 },
	{ TAKE("voided", "sequence = {66}"), GIVE("voided"),
	  "leads to voided result {66}|locator leads to result {66}|"
	  "the counters say 1 ended, 0 are there", 3, 0 },
	{ FLIP("voided", "record", "66"), NULL, "voided {66}: the record does not match", 1, 0 },
	{ "UPDATE number_register SET state = 1 WHERE sequence = {66}",
	  "UPDATE number_register SET state = 2 WHERE sequence = {66}",
	  "leads to result {66}|voided {66}: its number", 2, 0 },
	{ "UPDATE event SET record = set_byte(record, 20, get_byte(record, 20) # 1) "
	  "WHERE kind = 4", NULL, "of result {4}: the record does not match its checksum", 1, 0 },
	{ "UPDATE event SET kind = 3 WHERE kind = 4", "UPDATE event SET kind = 4 WHERE kind = 3",
	  "of result {4}: the record does not match its checksum|"
	  "the counters say 1 revoked, 0 are there", 2, 0 },
	{ "UPDATE counter SET replaced = 1 WHERE watermark = (SELECT max(watermark) "
	  "FROM counter)", "UPDATE counter SET replaced = NULL",
	  "the counters say 1 replaced, 0 are there", 1, 0 },
	{ "UPDATE reading SET record = set_byte(record, 20, get_byte(record, 20) # 1)", NULL,
	  "read {77}: the record does not match its checksum", 1, 0 },
	{ "UPDATE reading SET lane = (lane + 1) % 64", "UPDATE reading SET lane = (lane + 63) % 64",
	  "read {77}: the record does not match its checksum", 1, 0 },
	{ TAKE("result", "sequence = {3}"), GIVE("result"),
	  "read {77}: it names result {3}, which is not there|holder leads to result {3}", 5, 0 },
	{ "UPDATE counter SET results = results + 1 WHERE (lane, watermark) = "
	  "(SELECT lane, watermark FROM counter ORDER BY watermark DESC LIMIT 1)",
	  "UPDATE counter SET results = results - 1 WHERE (lane, watermark) = "
	  "(SELECT lane, watermark FROM counter ORDER BY watermark DESC LIMIT 1)",
	  "the counters say 61 results, 60 are there", 1, 0 },
	{ "UPDATE counter SET on_time = 1 WHERE watermark = (SELECT max(watermark) "
	  "FROM counter)", "UPDATE counter SET on_time = NULL",
	  "the counters say 1 on_time, 0 are there", 1, 0 },
	{ "UPDATE counter SET day = day + 10000 WHERE (lane, watermark) = (SELECT lane, watermark "
	  "FROM counter WHERE results > 0 LIMIT 1)",
	  "UPDATE counter SET day = day - 10000 WHERE day > 20270000",
	  "the counters count under another agency, kind or day", 1, 0 },
	{ "UPDATE result SET facts = 9 WHERE sequence = {5}",
	  "UPDATE result SET facts = 1 WHERE sequence = {5}",
	  "result {5}: columns say otherwise than the record|the counters say 0 on_time, 1 are", 2,
	  0 },
	{ TAKE("layer", "bytes = 'a list'::bytea"), GIVE("layer"),
	  "evidence that it names is missing", 1, 0 },
	{ TAKE("layer", "bytes = 'a certificate'::bytea"), GIVE("layer"),
	  "{59}: evidence that it names is missing", 1, 0 },
	{ "UPDATE layer SET bytes = 'another list' WHERE bytes = 'a list'::bytea",
	  "UPDATE layer SET bytes = 'a list' WHERE bytes = 'another list'::bytea",
	  "the bytes have another hash", 1, 0 },
};

static void written_out(char *out, size_t size, const char *text)
{
	size_t n = 0;

	while (*text != '\0' && n + 24 < size) {
		char *end = NULL;
		unsigned long k = *text == '{' ? strtoul(text + 1, &end, 10) : 0;

		if (end == NULL || *end != '}') {
			out[n++] = *text++;
			continue;
		}
		n += (size_t)snprintf(out + n, size - n, "%llu",
				      (unsigned long long)storecase_sequence((uint32_t)k));
		text = end + 1;
	}
	out[n] = '\0';
}

static void test_damage_is_found(void **state)
{
	struct pgrig *f = *state;
	char sql[800], repair[800], texts[800];

	fill(f);
	pgrig_sql(0, "CREATE TABLE bodies AS SELECT sequence, body FROM result");
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		const struct damage *d = &damages[i];

		written_out(sql, sizeof(sql), d->sql);
		written_out(repair, sizeof(repair), d->repair == NULL ? d->sql : d->repair);
		written_out(texts, sizeof(texts), d->texts);
		pgrig_sql(0, sql);
		finds(f, texts, d->faults, d->open);
		pgrig_sql(0, repair[0] != '\0' ? repair : "UPDATE result r SET body = b.body "
			  "FROM bodies b WHERE r.sequence = b.sequence");
	}
	finds(f, "", 0, 0);
	pgrig_sql(0, "DROP TABLE bodies");
}

/* Everything rests on it. */
static void test_a_damaged_layer_is_every_files(void **state)
{
	struct pgrig *f = *state;

	fill(f);
	pgrig_sql(0, "UPDATE layer SET bytes = set_byte(bytes, 50, get_byte(bytes, 50) # 1) "
		     "WHERE length(bytes) > 500");
	finds(f, "the bytes have another hash|the file does not match its digest",
	      RESULTS + STORECASE_LAYERS, 0);
}

/* ---- pages, gaps ---- */

/* All in one lane; twenty holders. */
static void put_lane(struct pgrig *f, uint32_t first, uint32_t n)
{
	storecase_fill(&f->same.sc, first, n);
	for (uint32_t i = 0; i < n; i++)
		f->same.sc.b->items[i].lane = 7;
	assert_int_equal(same_put_batch(&f->same), ST_OK);
}

static void test_pages(void **state)
{
	struct pgrig *f = *state;
	static struct seen s;

	for (uint32_t k = 0; k < 3000; k += 120)
		put_lane(f, k, 120);
	finds(f, "", 0, 0);
	assert_int_equal(check(f, "", &s), ST_OK);
	assert_int_equal(s.report.rows[DEEP_RESULTS], 3000);
	assert_int_equal(s.report.rows[DEEP_HOLDINGS], 3000);
	assert_int_equal(s.report.rows[DEEP_NUMBERS], 3000);
	assert_true(s.pages > 6 * LANES + 3000 / 128 + 3000 / 128);
	/* Over the end of a page; the last ones of a register are missed by their results. */
	pgrig_sql(0, "DELETE FROM number_register WHERE unit = 'don-vi-1' AND "
		     "(number BETWEEN 120 AND 140 OR number > 990)");
	finds(f, "don-vi-1 XN 2026: numbers 120 to 140 are not there|number, 1000 of don-vi-1",
	      21 + 10, 21);
	pgrig_sql(0, "DELETE FROM holding WHERE sequence = (SELECT max(sequence) FROM holding)");
	finds(f, "the row of a holder is missing", 32, 21);
}

/* Cases bring numbers as they like: what is between them is not missed. */
static void test_given_numbers(void **state)
{
	struct pgrig *f = *state;

	storecase_fill(&f->same.sc, 0, 9);
	for (uint32_t i = 0; i < 9; i++) {
		struct item *it = &f->same.sc.b->items[i];
		struct case_result *r = it->c.results;

		it->number = 10 * i + 1;
		if (i % 3 == 0)
			continue;
		r->given_number = it->number;
		storecase_encode(&f->same.sc, it);
	}
	assert_int_equal(same_put_batch(&f->same), ST_OK);
	finds(f, "don-vi-0 XN 2026: numbers 2 to 30 are not there", 0, 58);
}

/* ---- meanwhile ---- */

/* Rows that came between the first look and the second one were on their way. */
static void test_what_was_on_its_way(void **state)
{
	struct pgrig *f = *state;
	static struct seen s;
	char sql[800];

	fill(f);
	written_out(sql, sizeof(sql), TAKE("holding", "sequence = {5}"));
	pgrig_sql(0, sql);
	s.meanwhile = GIVE("holding");
	assert_int_equal(check(f, "", &s), ST_OK);
	assert_null(s.meanwhile);
	assert_int_equal(s.lines_n, 0);
	assert_int_equal(s.report.faults, 0);
	assert_int_equal(s.report.rows[DEEP_RESULTS], RESULTS);
}

static void test_connections_are_lost(void **state)
{
	struct pgrig *f = *state;
	static struct seen s;

	fill(f);
	s.meanwhile = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
		      "datname = current_database() AND pid <> pg_backend_pid() AND "
		      "random() < 0.3";
	s.always = true;
	assert_int_equal(check(f, "", &s), ST_OK);
	assert_int_equal(s.report.faults, 0);
	assert_int_equal(s.report.rows[DEEP_RESULTS], RESULTS);
	assert_int_equal(s.report.rows[DEEP_HOLDINGS], RESULTS + 1);
}

/* ---- who looks ---- */

static void test_an_auditor_sees_the_books(void **state)
{
	struct pgrig *f = *state;
	static struct seen s;

	fill(f);
	pgrig_sql(0, "DROP ROLE IF EXISTS auditor1, reader1, nobody1; "
		     "CREATE ROLE auditor1 LOGIN IN ROLE trien_auditor;"
		     "CREATE ROLE reader1 LOGIN IN ROLE trien_reader; CREATE ROLE nobody1 LOGIN");
	assert_int_equal(check(f, "auditor1", &s), ST_OK);
	assert_true(!s.report.files && s.report.counters);
	assert_int_equal(s.report.faults, 0);
	assert_int_equal(s.report.rows[DEEP_NUMBERS], RESULTS + 2);
	assert_int_equal(s.report.rows[DEEP_HOLDINGS], 0);
	assert_int_equal(check(f, "reader1", &s), ST_OK);
	assert_true(s.report.files && s.report.counters);
	assert_int_equal(s.report.faults, 0);
	assert_int_equal(check(f, "nobody1", &s), ST_DENIED);
	pgrig_sql(0, "DELETE FROM result WHERE sequence = (SELECT max(sequence) FROM result)");
	assert_int_equal(check(f, "auditor1", &s), ST_OK);
	assert_int_equal(s.report.faults, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_whole, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_originals, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_originals, pgrig_four, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_originals, pgrig_citus, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_whole, pgrig_four, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_whole, pgrig_citus, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_damage_is_found, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_a_damaged_layer_is_every_files, pgrig_one,
						pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_pages, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_given_numbers, pgrig_one, pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_what_was_on_its_way, pgrig_one,
						pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_connections_are_lost, pgrig_one,
						pgrig_teardown),
		cmocka_unit_test_setup_teardown(test_an_auditor_sees_the_books, pgrig_one,
						pgrig_teardown),
	};

	if (getenv("TRIEN_POSTGRES") == NULL)
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
