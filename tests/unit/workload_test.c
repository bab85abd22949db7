#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs the ones above. */
#include <cmocka.h>

#include "load/workload.h"
#include "sample/sample.h"

#define FOLDER SOURCE_DIR "/loadtest/workloads/"

static void every_file_of_the_tree_can_be_played(void **state)
{
	glob_t files;

	assert_int_equal(glob(FOLDER "*.json", 0, NULL, &files), 0);
	assert_true(files.gl_pathc >= 8);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		struct schedule s;
		struct workload w;
		struct error e = { 0 };

		if (workload_read(&w, files.gl_pathv[i], &e) != ST_OK)
			fail_msg("%s", e.text);
		assert_true(w.title[0] != '\0' && w.source[0] != '\0');
		assert_int_equal(schedule_init(&s, &w.schedule, &e), ST_OK);
		assert_true(s.cases > 0);
		schedule_free(&s);
	}
	globfree(&files);
}

/* 25,000 dossiers: 87 % results, 55 % copies; 48 % look for an earlier one. */
static void dossiers_become_cases_and_reads(void **state)
{
	struct workload w;
	struct error e;
	double copies = 0, weights = 0;

	assert_int_equal(workload_read(&w, FOLDER "tay-ninh-city.json", &e), ST_OK);
	assert_string_equal(w.name, "tay-ninh-city");
	assert_int_equal(w.schedule.cases, 21750 + 13750);
	assert_true(fabs(w.lists * (double)w.schedule.cases - 12000) < 1);
	for (uint32_t i = 0; i < w.mixes_n; i++) {
		weights += w.mixes[i].weight;
		copies += strcmp(w.mixes[i].name, SAMPLE_COPY_KIND) == 0 ? w.mixes[i].weight : 0;
	}
	assert_true(fabs(copies / weights - 13750.0 / 35500) < 1e-9);
	assert_true(fabs(w.calls[CALL_BATCH] + w.calls[CALL_STREAM] + w.calls[CALL_CASE] - 1) <
		    1e-9);
}

/* DESIGN's bounds for a load test; others ask for nothing, and 0 is that. */
static void what_a_run_must_keep_is_read(void **state)
{
	struct workload w;
	struct error e;

	assert_int_equal(workload_read(&w, FOLDER "peak.json", &e), ST_OK);
	assert_true(w.must_p99_flushes == 50 && w.must_generator_share == 0.1);
	assert_int_equal(workload_read(&w, FOLDER "small.json", &e), ST_OK);
	assert_true(w.must_p99_flushes == 0 && w.must_generator_share == 0);
}

#define REST "\"schedule\":{\"shape\":\"at-once\"},\"mix\":{\"one-stop\":1},\"calls\":{\"batch\":1}"

static void a_slip_of_the_pen_is_told(void **state)
{
	static const struct { const char *text, *word; } wrong[] = {
		{ "{\"cases\":1,\"connectoins\":2," REST "}", "connectoins" },
		{ "{\"cases\":0," REST "}", "cases" },
		{ "{" REST "}", "dossiers or cases" },
		{ "{\"cases\":1,\"must\":{\"generatorshare\":1}," REST "}", "generatorshare" },
		{ "{\"cases\":1,\"must\":{\"receiptP99Flushes\":0}," REST "}", "P99Flushes" },
		{ "{\"cases\":1,\"dossiers\":1," REST "}", "dossiers or cases" },
		{ "{\"cases\":1,\"verify\":1.5," REST "}", "verify" },
		{ "{\"cases\":1,\"cases\":2," REST "}", "duplicate" },
		{ "{\"cases\":1,\"schedule\":{\"shape\":\"round\"},\"mix\":{\"a\":1},"
		  "\"calls\":{\"batch\":1}}", "shape" },
		{ "{\"cases\":1,\"schedule\":{\"shape\":\"at-once\"},\"mix\":{},"
		  "\"calls\":{\"batch\":1}}", "mix" },
		{ "{\"cases\":1,\"schedule\":{\"shape\":\"at-once\"},\"mix\":{\"a\":1},"
		  "\"calls\":{}}", "calls" },
		{ "[]", "object" },
		{ "{", ":1:" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		char path[] = "/tmp/trien-workload-XXXXXX";
		int fd = mkstemp(path);
		struct workload w;
		struct error e;
		FILE *f = fdopen(fd, "w");

		fputs(wrong[i].text, f);
		fclose(f);
		assert_int_equal(workload_read(&w, path, &e), ST_INVALID);
		unlink(path);
		if (strstr(e.text, wrong[i].word) == NULL)
			fail_msg("%s: %s", wrong[i].text, e.text);
	}
}

static void a_file_that_is_not_there_is_not_found(void **state)
{
	struct workload w;
	struct error e;

	assert_int_equal(workload_read(&w, FOLDER "no.json", &e), ST_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_file_of_the_tree_can_be_played),
		cmocka_unit_test(dossiers_become_cases_and_reads),
		cmocka_unit_test(what_a_run_must_keep_is_read),
		cmocka_unit_test(a_slip_of_the_pen_is_told),
		cmocka_unit_test(a_file_that_is_not_there_is_not_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
