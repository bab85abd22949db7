/*
 * rawcase.h - a good case of a small catalogue of its own, for a test to change, and its wire form.
 */
#ifndef TESTS_RAWCASE_H
#define TESTS_RAWCASE_H

#include "base/utf8.h"
#include "catalogue/catalogue.h"
#include "intake/raw.h"

#define RAWCASE_DAY 20261124

/* Everything of raw_case, writable. */
struct rawcase {
	struct raw_case raw;
	struct raw_holder holders[CASE_HOLDERS_MAX + 1];
	struct raw_result results[CASE_RESULTS_MAX + 1];
	struct raw_field fields[CASE_RESULTS_MAX + 1][FIELDS_MAX];
	struct raw_row rows[2];
	struct slice cells[2][3];
};

/*
 * One holder, one result of kind "mau" with every type of field:
 * ho_ten text · gioi_tinh text of Nam, Nữ · ghi_chu multiline text of 40 bytes, optional ·
 * ngay_sinh partial date · den_ngay whole date, optional · so_tien number 0 to 1000, 2 decimals ·
 * co_con flag · bang table of 2 columns and 3 rows, cells of 20 bytes, optional.
 */
void rawcase_good(struct rawcase *c);
/* The field of that name of the first result; made as the last one when there is none. */
struct raw_field *rawcase_field(struct rawcase *c, const char *name);
void rawcase_drop(struct rawcase *c, const char *name);
/* One more result, a copy of the first one. */
struct raw_result *rawcase_result(struct rawcase *c);
/* One more holder, a copy of the first one with another number. */
struct raw_holder *rawcase_holder(struct rawcase *c);
/* As trien.v1.Case. */
void rawcase_write(struct writer *w, const struct raw_case *c);

/*
 * Kinds mau, so-cho-san (given numbers), cho-duyet (at approval), het-han (until 2026-06-30), c
 * (good_copy of schemafile.h), units u and v, signers s (u, all kinds), t (u, only so-cho-san), w
 * (v). Folder: an empty one.
 */
struct catalogue *rawcase_catalogue(const char *folder);
/* ASCII, Latin letters, Vietnamese, some punctuation. */
void rawcase_coverage(struct codeset *set);

#endif
