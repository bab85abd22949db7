/*
 * What `trien audit` finds amiss of one result, of a store whose answers the test makes: things
 * that no engine writes and no file of a store can be made to say by a flipped bit alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/calendar.h"
#include "cli/audit/audit.h"
#include "signedleaf.h"

#define OBJECTS_MAX 16
#define SIGNED_AGO_MS 300000		/* before the authority's lists of now */

/* One result, and all that the store says of it. */
struct rig {
	struct bench *bench;
	struct desk desk;
	struct roots *roots;
	leaf_values values;
	uint8_t *file;
	size_t file_n;
	uint8_t case_bytes[4];
	struct result_view view;
	const struct layer *objects[OBJECTS_MAX];
	uint32_t objects_n;
	struct result_event events[4];
	uint32_t events_n;
	uint64_t number_of;		/* whose sequence its number leads to; 0: nobody's */
	enum status file_is, number_is;	/* not OK: what the store answers instead */
	struct audit audit;
	struct audit_one *one;
	struct audit_page page;
};

/* The store's calls have no other way to it. */
static struct rig *rig;

static enum status get(struct store_reader *r, uint8_t lane, uint64_t sequence,
		       struct result_view *out)
{
	*out = rig->view;
	return ST_OK;
}

static enum status read_file(struct store_reader *r, uint8_t lane, uint64_t sequence,
			     uint64_t offset, uint8_t *buf, size_t *n)
{
	assert_int_equal(offset, 0);
	if (rig->file_is != ST_OK)
		return rig->file_is;
	*n = *n < rig->file_n ? *n : rig->file_n;
	memcpy(buf, rig->file, *n);
	return ST_OK;
}

static enum status object(struct store_reader *r, const uint8_t sha256[SHA256_BYTES],
			  struct slice *out)
{
	for (uint32_t i = 0; i < rig->objects_n; i++) {
		const struct layer *l = rig->objects[i];

		if (l == NULL || memcmp(l->sha256, sha256, SHA256_BYTES) != 0)
			continue;
		*out = slice_of(l->bytes, l->size);
		return ST_OK;
	}
	return ST_NOT_FOUND;
}

static enum status history(struct store_reader *r, uint8_t lane, uint64_t sequence, uint32_t max,
			   struct result_event *out, uint32_t *n)
{
	memcpy(out, rig->events, rig->events_n * sizeof(*out));
	*n = rig->events_n;
	return ST_OK;
}

static enum status find_number(struct store_reader *r, struct slice unit, struct slice code,
			       uint32_t year, uint64_t number, uint8_t *lane, uint64_t *sequence)
{
	*lane = rig->view.lane;
	*sequence = rig->number_of;
	if (rig->number_is != ST_OK)
		return rig->number_is;
	return rig->number_of != 0 ? ST_OK : ST_NOT_FOUND;
}

static enum status names(struct store_reader *r, uint8_t lane, uint64_t after, uint64_t upto,
			 uint32_t max, struct result_name *out, uint32_t *n)
{
	*n = lane == 3 && after < rig->view.sequence && upto >= rig->view.sequence;
	if (*n == 1)
		out[0] = (struct result_name){ 3, rig->view.sequence };
	return ST_OK;
}

static enum status reader_open(struct store *s, struct store_reader **r, struct error *e)
{
	*r = NULL;
	return ST_OK;
}

static void unchecked(struct store_reader *r)
{
}

static const struct store_ops ops = { .name = "made up", .get = get, .read = read_file,
				      .object = object, .history = history,
				      .find_number = find_number, .names = names,
				      .reader_open = reader_open, .unchecked = unchecked };
static struct store store = { &ops };

static void view_of(struct rig *g)
{
	const struct item *it = &g->bench->leaf.item;
	struct result_view *v = &g->view;

	*v = (struct result_view){
		.state = STATE_STORED, .life = LIFE_VALID, .sequence = 77, .lane = 3,
		.unit = slice_str(it->unit->code), .kind = slice_str(it->kind->code),
		.case_code = slice_str("H1"),
		.register_code = slice_str("XN"), .number_text = slice_str(it->number_text),
		.register_year = 2026, .number = 5, .issued_ms = it->issued_ms,
		.file_size = g->file_n, .signatures_n = it->slots_n,
		.case_bytes = slice_of(g->case_bytes, 0) };
	memcpy(v->result_id, it->result_id, sizeof(v->result_id));
	sha256_once(g->file, g->file_n, v->file_sha256);
	for (uint8_t i = 0; i < it->slots_n; i++) {
		const struct signature_slot *plan = &it->slots[i].plan;

		v->signatures[i] = (struct signature_view){ .signed_ms = plan->signed_ms };
		memcpy(v->signatures[i].cert_sha256, plan->cert_sha256, SHA256_BYTES);
		assert_non_null(plan->evidence);
		memcpy(v->signatures[i].evidence_sha256, plan->evidence->set.sha256, SHA256_BYTES);
		g->objects[g->objects_n++] = &plan->evidence->certificate;
		g->objects[g->objects_n++] = &plan->evidence->set;
		for (uint8_t k = 0; k < plan->evidence->members_n; k++)
			g->objects[g->objects_n++] = plan->evidence->members[k];
	}
}

static int setup(void **state)
{
	struct rig *g = calloc(1, sizeof(*g));

	*state = rig = g;
	if (g == NULL || desk_open(&g->desk, ALG_RSA2048) != 0 ||
	    bench_open((void **)&g->bench) != 0 ||
	    roots_load(&g->roots, g->desk.keys.certs, g->desk.keys.certs, NULL) != ST_OK ||
	    policy_load(&g->audit.policy, g->desk.keys.certs, NULL) != ST_OK)
		return -1;
	leaf_open(&g->bench->leaf, 2);
	g->desk.keys.now_ms -= SIGNED_AGO_MS;
	if (leaf_sign(g->bench, &g->desk, g->values) != 0)
		return -1;
	g->file = leaf_file(&g->bench->leaf, &g->file_n);
	view_of(g);
	g->number_of = g->view.sequence;
	g->audit.store = &store;
	g->audit.roots = g->roots;
	g->audit.certs = g->desk.keys.certs;
	return audit_one_new(&g->one, &g->audit, NULL) == ST_OK ? 0 : -1;
}

static int teardown(void **state)
{
	struct rig *g = *state;

	audit_one_free(g->one);
	free(g->file);
	leaf_close(&g->bench->leaf);
	bench_close((void **)&g->bench);
	policy_free(g->audit.policy);
	roots_free(g->roots);
	desk_close(&g->desk);
	free(g);
	return 0;
}

static void page_open(struct audit_page *p)
{
	*p = (struct audit_page){ .days = json_object(), .findings = json_array(),
				  .links = json_array() };
}

static void page_close(struct audit_page *p)
{
	json_decref(p->days);
	json_decref(p->findings);
	json_decref(p->links);
}

/* The names of what is found but for the case, which the rig has none of. */
static const char *found(struct rig *g)
{
	static char names[400];
	struct audit_page *p = &g->page;
	json_t *f;
	size_t i;

	page_open(p);
	assert_int_equal(audit_result(g->one, (struct result_name){ 3, 77 }, p), ST_OK);
	names[0] = '\0';
	json_array_foreach(p->findings, i, f) {
		const char *name = json_string_value(json_object_get(f, "fault"));

		if (strcmp(name, "CASE") != 0)
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s ", name);
	}
	page_close(p);
	return names;
}

static void happened(struct rig *g, uint8_t kind, int64_t after_ms)
{
	g->events[g->events_n++] = (struct result_event){ .kind = kind,
							  .at_ms = g->view.issued_ms + after_ms };
}

static void test_good(void **state)
{
	struct rig *g = *state;

	assert_string_equal(found(g), "");
	assert_int_equal(g->page.sums.looked, 1);
	happened(g, EVENT_HANDED, -500);
	happened(g, EVENT_CORRECTED, 1000);
	happened(g, EVENT_RESTRICTED, 1000);
	happened(g, EVENT_REVOKED, 2000);
	assert_string_equal(found(g), "");
}

static void test_events(void **state)
{
	struct rig *g = *state;

	happened(g, EVENT_RESTRICTED, 2000);
	happened(g, EVENT_RELEASED, 1000);
	assert_string_equal(found(g), "HISTORY ");
	g->events_n = 0;
	happened(g, EVENT_CORRECTED, -1000);
	assert_string_equal(found(g), "HISTORY ");
	g->events_n = 0;
	happened(g, EVENT_REVOKED, 1000);
	happened(g, EVENT_CORRECTED, 2000);
	assert_string_equal(found(g), "HISTORY ");
	g->events_n = 0;
	happened(g, EVENT_RELEASED, 1000);
	assert_string_equal(found(g), "HISTORY ");
	g->events_n = 0;
	happened(g, EVENT_CORRECTED, 2000);
	g->view.replaced_ms = g->view.issued_ms + 1000;
	assert_string_equal(found(g), "HISTORY ");
	g->events_n = 0;
	happened(g, 99, 500);
	assert_string_equal(found(g), "HISTORY ");
}

static void test_times_of_keys(void **state)
{
	struct rig *g = *state;
	const int64_t year_ms = 365 * 86400000LL;

	g->view.signatures[1].signed_ms += 20 * year_ms;
	assert_non_null(strstr(found(g), "CERTIFICATE"));
	assert_non_null(strstr(found(g), "RECORD"));
	/* In the certificate's time, when nobody could know any more that it was not revoked. */
	g->view.signatures[1].signed_ms -= 20 * year_ms - 40 * 86400000LL;
	assert_non_null(strstr(found(g), "EVIDENCE"));
	/* And before the list was made. */
	g->view.signatures[1].signed_ms -= 40 * 86400000LL + 2 * 86400000LL;
	assert_non_null(strstr(found(g), "EVIDENCE") != NULL ? strstr(found(g), "EVIDENCE") :
			strstr(found(g), "CERTIFICATE"));
}

static void test_swapped(void **state)
{
	struct rig *g = *state;
	struct signature_view *s = g->view.signatures, kept = s[0];

	memcpy(s[0].cert_sha256, s[1].cert_sha256, SHA256_BYTES);
	assert_non_null(strstr(found(g), "RECORD"));
	s[0] = kept;
	/* A certificate where its evidence should be. */
	memcpy(s[0].evidence_sha256, s[1].cert_sha256, SHA256_BYTES);
	assert_string_equal(found(g), "EVIDENCE ");
	s[0] = kept;
	assert_string_equal(found(g), "");
}

/* Whichever of them it is: certificate, set, list, issuer. */
static void test_missing_evidence(void **state)
{
	struct rig *g = *state;
	const struct layer *all[OBJECTS_MAX];
	uint32_t n = g->objects_n;

	memcpy(all, g->objects, sizeof(all));
	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; k < n; k++)
			g->objects[k] = memcmp(all[k]->sha256, all[i]->sha256, SHA256_BYTES) != 0 ?
					all[k] : NULL;
		/* What was read before is remembered. */
		audit_one_free(g->one);
		assert_int_equal(audit_one_new(&g->one, &g->audit, NULL), ST_OK);
		assert_non_null(strstr(found(g), "EVIDENCE"));
	}
}

static void test_numbers(void **state)
{
	struct rig *g = *state;

	g->number_of = 78;
	assert_string_equal(found(g), "NUMBER ");
	g->number_of = 0;
	assert_string_equal(found(g), "NUMBER ");
	g->view.number = 0;
	assert_string_equal(found(g), "");
}

static void test_bytes(void **state)
{
	struct rig *g = *state;

	g->file[g->file_n / 2] ^= 1;
	assert_non_null(strstr(found(g), "FILE SIGNATURE"));
	g->file[g->file_n / 2] ^= 1;
	/* The document of another result in its place, with the digest that belongs to it. */
	g->view.result_id[3] ^= 1;
	assert_string_equal(found(g), "RECORD ");
	g->view.result_id[3] ^= 1;
	g->view.kind = slice_str("khac");
	assert_non_null(strstr(found(g), "RECORD"));
}

static void test_policy(void **state)
{
	struct rig *g = *state;

	g->view.unit = slice_str("v");
	assert_non_null(strstr(found(g), "POLICY"));
}

/* What was added before the store went away is not added again. */
static void test_tried_again(void **state)
{
	struct rig *g = *state;
	struct audit_page *p = &g->page;
	const struct result_name name = { 3, 77 };
	const char *day;
	json_t *n;

	page_open(p);
	g->number_is = ST_UNAVAILABLE;
	g->view.replaces[0] = 1;
	assert_int_equal(audit_result(g->one, name, p), ST_UNAVAILABLE);
	g->number_is = ST_OK;
	assert_int_equal(audit_result(g->one, name, p), ST_OK);
	assert_int_equal(p->sums.looked, 1);
	assert_int_equal(p->sums.bytes, g->file_n);
	assert_int_equal(json_array_size(p->links), 1);
	/* Of the case, of which it has none. */
	assert_int_equal(json_array_size(p->findings), 1);
	json_object_foreach(p->days, day, n)
		assert_int_equal(json_integer_value(n), 1);
	page_close(p);
}

/* A bad place on a disk is one finding; a bad disk ends it. */
static void test_disk(void **state)
{
	struct rig *g = *state;

	g->file_is = ST_IO;
	for (int i = 1; i < 64; i++)
		assert_string_equal(found(g), "UNREADABLE ");
	assert_int_equal(g->page.sums.looked, 1);
	page_open(&g->page);
	assert_int_equal(audit_result(g->one, (struct result_name){ 3, 77 }, &g->page), ST_IO);
	assert_int_equal(json_array_size(g->page.findings), 0);
	page_close(&g->page);
	g->file_is = ST_OK;
	assert_string_equal(found(g), "");
	g->file_is = ST_IO;
	assert_string_equal(found(g), "UNREADABLE ");
}

static bool link_is_fresh(struct rig *g)
{
	bool fresh;

	page_open(&g->page);
	assert_int_equal(audit_result(g->one, (struct result_name){ 3, 77 }, &g->page), ST_OK);
	fresh = json_is_true(json_array_get(json_array_get(g->page.links, 0), 3));
	page_close(&g->page);
	return fresh;
}

static void test_link_since(void **state)
{
	struct rig *g = *state;

	g->audit.scope.begun_ms = g->view.issued_ms + 3600000;
	g->view.replaces[0] = 1;
	g->view.stored_ms = g->view.issued_ms;
	assert_false(link_is_fresh(g));
	g->view.stored_ms = g->audit.scope.begun_ms + 1;
	assert_true(link_is_fresh(g));
	g->view.replaces[0] = 0;
	g->view.replaced_by[0] = 1;
	assert_false(link_is_fresh(g));
	g->view.replaced_ms = g->audit.scope.begun_ms + 1;
	assert_true(link_is_fresh(g));
}

static void revoke(struct rig *g)
{
	struct devkeys *d = &g->desk.keys;

	assert_int_equal(devca_revoke(d->ca, signing_key_row(g->bench->leaf.item.slots[0].key)->id,
				      &d->e), ST_OK);
	assert_int_equal(devca_publish(d->ca, &d->e), ST_OK);
	audit_one_free(g->one);
	roots_free(g->roots);
	assert_int_equal(roots_load(&g->roots, d->certs, d->certs, &d->e), ST_OK);
	g->audit.roots = g->roots;
	assert_int_equal(audit_one_new(&g->one, &g->audit, NULL), ST_OK);
}

/* By the lists of now nothing proves that it is older; those that were kept with it do. */
static void test_revoked_since(void **state)
{
	struct rig *g = *state;
	const struct layer *kept;

	revoke(g);
	assert_string_equal(found(g), "");
	assert_int_equal(g->page.sums.revoked_since, 1);
	/* Without them it stays open. */
	memset(g->view.signatures[0].evidence_sha256, 0, SHA256_BYTES);
	memset(g->view.signatures[1].evidence_sha256, 0, SHA256_BYTES);
	assert_string_equal(found(g), "UNDETERMINED ");
	assert_int_equal(g->page.sums.revoked_since, 0);
	kept = g->objects[1];
	memcpy(g->view.signatures[0].evidence_sha256, kept->sha256, SHA256_BYTES);
	memcpy(g->view.signatures[1].evidence_sha256, kept->sha256, SHA256_BYTES);
	g->file[g->file_n / 2] ^= 1;
	assert_non_null(strstr(found(g), "SIGNATURE"));
	assert_int_equal(g->page.sums.revoked_since, 0);
}

/* How many the whole walk looks at. */
static uint64_t walked(struct rig *g, uint32_t from_day, uint32_t to_day)
{
	struct audit *a = &g->audit;
	struct error e = { 0 };

	a->scope = (struct audit_scope){ .from_day = from_day, .to_day = to_day,
					 .upto = INT64_MAX };
	a->sums = (struct audit_sums){ 0 };
	a->days = json_object();
	a->findings = json_array();
	a->jobs = 1;
	progress_start(&a->progress, "results audited");
	assert_int_equal(audit_scan(a, &e), ST_OK);
	json_decref(a->days);
	json_decref(a->findings);
	return a->sums.looked;
}

/* A period is of days of issue: its sequence is of the day when it was accepted, long before. */
static void test_period(void **state)
{
	struct rig *g = *state;
	uint32_t day = day_vietnam(g->view.issued_ms);

	assert_int_equal(walked(g, 0, 0), 1);
	assert_int_equal(walked(g, day, day), 1);
	assert_int_equal(walked(g, day + 1, 0), 0);
	assert_int_equal(walked(g, 0, day - 1), 0);
	assert_int_equal(walked(g, 20200101, 20200101), 0);
}

static uint64_t counters_found(const char *before, const char *looked, const char *after)
{
	struct audit a = { .counters = json_loads(before, 0, NULL), .findings = json_array(),
			   .days = json_loads(looked, 0, NULL) };
	json_t *now = json_loads(after, 0, NULL);

	audit_counters_compare(&a, now);
	json_decref(a.counters);
	json_decref(a.findings);
	json_decref(a.days);
	json_decref(now);
	return a.by_fault[AUDIT_COUNTERS];
}

static void test_counters(void **state)
{
	static const char two[] = "{\"20260101\": {\"results\": 2}}";

	assert_int_equal(counters_found(two, "{\"20260101\": 2}", two), 0);
	assert_int_equal(counters_found(two, "{\"20260101\": 1}", two), 1);
	assert_int_equal(counters_found(two, "{}", two), 1);
	/* Nobody counted them. */
	assert_int_equal(counters_found("{}", "{\"20260101\": 1}", "{}"), 1);
	/* It did not stand still. */
	assert_int_equal(counters_found(two, "{\"20260101\": 1}", "{}"), 0);
	assert_int_equal(counters_found("{}", "{\"20260101\": 1}", two), 0);
}

static uint32_t links_found(struct audit *a, const struct audit_link *links, size_t n)
{
	struct audit_link copy[8];

	memcpy(copy, links, n * sizeof(*links));
	a->links = copy;
	a->links_n = n;
	a->findings = json_array();
	memset(a->by_fault, 0, sizeof(a->by_fault));
	audit_links(a);
	json_decref(a->findings);
	return (uint32_t)a->by_fault[AUDIT_LINK];
}

static void test_links(void **state)
{
	const struct audit_link links[] = {
		{ { 2 }, { 1 }, true, false }, { { 1 }, { 2 }, false, false },
		{ { 4 }, { 3 }, true, false }, { { 3 }, { 4 }, false, false },
	};
	const struct audit_link fresh = { { 2 }, { 1 }, true, true };
	struct audit a = { 0 };

	assert_int_equal(links_found(&a, links, 4), 0);
	assert_int_equal(links_found(&a, links, 3), 1);
	assert_int_equal(links_found(&a, links + 1, 2), 2);
	assert_int_equal(links_found(&a, links + 1, 3), 1);
	/* Its other side was looked at before it came. */
	assert_int_equal(links_found(&a, &fresh, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_good, setup, teardown),
		cmocka_unit_test_setup_teardown(test_events, setup, teardown),
		cmocka_unit_test_setup_teardown(test_times_of_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_swapped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_missing_evidence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_policy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tried_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(test_link_since, setup, teardown),
		cmocka_unit_test_setup_teardown(test_revoked_since, setup, teardown),
		cmocka_unit_test_setup_teardown(test_period, setup, teardown),
		cmocka_unit_test(test_counters),
		cmocka_unit_test(test_links),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
