/* May this signer approve this result, today? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/wire.h"
#include "intake/judge.h"
#include "tmpdir.h"

#define LATER 20261201

struct rig {
	struct tmpdir dir;
	struct catalogue *c;
	struct kind kind;
	struct waiting_paper paper;
	struct judged judged;
};

static void put(struct rig *r, const char *name, const char *text)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", r->dir.path, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

#define SIGNER(code, version) "{\"code\": \"" code "\", \"versions\": [" version "]}"
#define PERSON(from_to, more) "{" from_to ", \"name\": \"A\", \"unit\": \"u\", " \
	"\"title\": \"T\"" more "}"
#define FOREVER "\"from\": \"2026-01-01\""
#define ENDED "\"from\": \"2026-01-01\", \"to\": \"2026-11-30\""
#define BY_ORDER ", \"authority\": \"TUQ\", \"authority_line\": \"TUQ. CHỦ TỊCH\", " \
	"\"delegation\": \"12/QĐ-UBND\""

#define STANDS_IN(authority, line) ", \"authority\": \"" authority "\", " \
	"\"authority_line\": \"" line "\""
#define SOON "\"from\": \"2026-12-02\", \"to\": \"2026-12-31\""

#define FIELDS "\"fields\": [{\"name\": \"a\", \"type\": \"text\", " \
	"\"label\": {\"vi\": \"A\", \"en\": \"A\"}}]"

static int open_rig(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));
	struct catalogue_config cfg = { .schemas = r->dir.path };
	struct error e = { 0 };
	char path[400];

	assert_int_equal(tmpdir_make(&r->dir), 0);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = { "results", "agencies", "signers" };

		snprintf(path, sizeof(path), "%s/%s", r->dir.path, names[i]);
		assert_int_equal(mkdir(path, 0700), 0);
	}
	put(r, "agencies/u.json", "{\"code\": \"u\", \"versions\": [{\"from\": \"2026-01-01\", "
	    "\"name\": \"U\", \"notation\": \"UBND\", \"place\": \"P\"}]}");
	put(r, "results/k.json", "{\"code\": \"k\", \"versions\": [{\"from\": \"2026-01-01\", "
	    "\"name\": {\"vi\": \"K\", \"en\": \"K\"}, \"procedure\": \"1\", "
	    "\"numbered\": \"at_approval\", "
	    "\"number\": {\"register\": \"R\", \"form\": \"{n}/R\"}, "
	    "\"signs\": [\"person\", \"agency\"], " FIELDS ", "
	    "\"layout\": [{\"type\": \"signature\", \"recipients\": []}]}]}");
	put(r, "signers/own.json", SIGNER("own", PERSON(FOREVER, "")));
	put(r, "signers/ended.json", SIGNER("ended", PERSON(ENDED, "")));
	put(r, "signers/order.json", SIGNER("order", PERSON(ENDED, BY_ORDER)));
	put(r, "signers/deputy.json",
	    SIGNER("deputy", PERSON(ENDED, STANDS_IN("KT", "KT. CHỦ TỊCH"))));
	put(r, "signers/clerk.json",
	    SIGNER("clerk", PERSON(ENDED, STANDS_IN("TL", "TL. CHỦ TỊCH") ", "
				     "\"delegation\": \"8/QĐ-UBND\"")));
	put(r, "signers/head.json",
	    SIGNER("head", PERSON(ENDED, STANDS_IN("TM", "TM. ỦY BAN NHÂN DÂN"))));
	put(r, "signers/soon.json", SIGNER("soon", PERSON(SOON, BY_ORDER)));
	put(r, "signers/renamed.json",
	    SIGNER("renamed", PERSON(ENDED, "") ", {\"from\": \"2026-12-01\", \"name\": \"A\", "
		   "\"unit\": \"u\", \"title\": \"ANOTHER\"}"));
	put(r, "signers/renewed.json", SIGNER("renewed", PERSON(ENDED, "") ", "
					      PERSON("\"from\": \"2026-12-01\"", "")));
	put(r, "signers/none.json", SIGNER("none", PERSON(FOREVER, ", \"kinds\": [\"k2\"]")));
	put(r, "results/k2.json", "{\"code\": \"k2\", \"versions\": [{\"from\": \"2026-01-01\", "
	    "\"to\": \"2026-11-30\", \"name\": {\"vi\": \"K\", \"en\": \"K\"}, "
	    "\"procedure\": \"1\", \"numbered\": \"at_approval\", "
	    "\"number\": {\"register\": \"R\", \"form\": \"{n}/R\"}, "
	    "\"signs\": [\"person\", \"agency\"], " FIELDS ", "
	    "\"layout\": [{\"type\": \"signature\", \"recipients\": []}]}]}");
	if (catalogue_load(&r->c, &cfg, &e) != ST_OK)
		fail_msg("%s", e.text);
	*state = r;
	return 0;
}

static int close_rig(void **state)
{
	struct rig *r = *state;

	catalogue_unref(r->c);
	tmpdir_remove(&r->dir);
	free(r);
	return 0;
}

static enum reason ask(struct rig *r, const char *signer, const char *kind, uint32_t day)
{
	r->kind = *catalogue_kind(r->c, slice_str(kind), 20261130);
	r->paper = (struct waiting_paper){ .kind = &r->kind,
		.unit = catalogue_unit(r->c, slice_str("u"), 20261130),
		.signer = catalogue_signer(r->c, slice_str(signer), 20261130) };
	snprintf(r->paper.row.principal, sizeof(r->paper.row.principal), "one-stop");
	r->judged = (struct judged){ .catalogue = r->c, .day = day, .signer = slice_str(signer),
				     .principal = slice_str("officer") };
	return judge(&r->judged, &r->paper);
}

static void test_in_office(void **state)
{
	struct rig *r = *state;

	assert_int_equal(ask(r, "own", "k", LATER), REASON_NONE);
	assert_int_equal(ask(r, "ended", "k", 20261130), REASON_NONE);
	assert_int_equal(ask(r, "ended", "k", LATER), REASON_SIGNER_UNKNOWN);
	assert_int_equal(ask(r, "own", "k", 20251231), REASON_SIGNER_UNKNOWN);
	r->judged.signer = slice_str("order");
	r->judged.day = LATER;
	assert_int_equal(judge(&r->judged, &r->paper), REASON_SIGNER_NOT_ALLOWED);
}

static void test_delegation(void **state)
{
	struct rig *r = *state;
	char text[DELEGATION_BYTES_MAX + 1];

	assert_int_equal(ask(r, "order", "k", 20261130), REASON_NONE);
	judge_delegation(&r->judged, text);
	assert_string_equal(text, "TUQ · 2026-01-01 – 2026-11-30 · 12/QĐ-UBND");
	assert_int_equal(ask(r, "order", "k", LATER), REASON_DELEGATION_ENDED);
	judge_delegation(&r->judged, text);
	assert_string_equal(text, "");
	assert_int_equal(ask(r, "own", "k", LATER), REASON_NONE);
	judge_delegation(&r->judged, text);
	assert_string_equal(text, "");
}

/* Deputies (KT, without a paper) and heads of departments (TL) stand in, too; TM is not. */
static void test_whoever_stands_in(void **state)
{
#define ENDS " · 2026-01-01 – 2026-11-30"
	static const struct { const char *signer, *text; enum reason later; } cases[] = {
		{ "deputy", "KT" ENDS, REASON_DELEGATION_ENDED },
		{ "clerk", "TL" ENDS " · 8/QĐ-UBND", REASON_DELEGATION_ENDED },
		{ "head", "", REASON_SIGNER_UNKNOWN },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[DELEGATION_BYTES_MAX + 1];

		assert_int_equal(ask(r, cases[i].signer, "k", 20261130), REASON_NONE);
		judge_delegation(&r->judged, text);
		assert_string_equal(text, cases[i].text);
		assert_int_equal(ask(r, cases[i].signer, "k", LATER), cases[i].later);
		judge_delegation(&r->judged, text);
		assert_string_equal(text, "");
	}
}

/* Not a day too early. */
static void test_a_delegation_that_has_not_begun(void **state)
{
	struct rig *r = *state;
	char text[DELEGATION_BYTES_MAX + 1];

	ask(r, "own", "k", LATER);
	r->judged.signer = slice_str("soon");
	r->paper.signer = catalogue_signer(r->c, r->judged.signer, 20261202);
	assert_int_equal(judge(&r->judged, &r->paper), REASON_DELEGATION_ENDED);
	assert_int_equal(judge_successor(&r->judged, &r->paper), REASON_DELEGATION_ENDED);
	judge_delegation(&r->judged, text);
	assert_string_equal(text, "");
	r->judged.day = 20261202;
	assert_int_equal(judge(&r->judged, &r->paper), REASON_NONE);
	assert_int_equal(judge_successor(&r->judged, &r->paper), REASON_NONE);
	judge_delegation(&r->judged, text);
	assert_string_equal(text, "TUQ · 2026-12-02 – 2026-12-31 · 12/QĐ-UBND");
}

/* Another title is the same signer: the draft shows it. */
static void test_who_has_another_title_is_the_same(void **state)
{
	struct rig *r = *state;

	assert_int_equal(ask(r, "renewed", "k", LATER), REASON_NONE);
	assert_int_equal(ask(r, "renamed", "k", 20261130), REASON_NONE);
	assert_int_equal(ask(r, "renamed", "k", LATER), REASON_NONE);
}

static void test_kind(void **state)
{
	struct rig *r = *state;

	assert_int_equal(ask(r, "none", "k", LATER), REASON_SIGNER_NOT_ALLOWED);
	assert_int_equal(ask(r, "none", "k2", 20261130), REASON_NONE);
	assert_int_equal(ask(r, "none", "k2", LATER), REASON_KIND_NOT_EFFECTIVE);
}

static struct slice approval_by(uint8_t buf[80], const char *drafter)
{
	struct writer w = writer_of(buf, 80);

	put_text(&w, 1, drafter);
	put_text(&w, 2, "somebody");
	return writer_slice(&w);
}

static void test_own_draft(void **state)
{
	struct rig *r = *state;
	uint8_t buf[80];

	assert_int_equal(ask(r, "own", "k", LATER), REASON_NONE);
	r->paper.approval = approval_by(buf, "someone-else");
	assert_int_equal(judge(&r->judged, &r->paper), REASON_NONE);
	r->paper.approval = approval_by(buf, "officer");
	assert_int_equal(judge(&r->judged, &r->paper), REASON_OWN_DRAFT);
	r->paper.approval = approval_by(buf, "own");
	assert_int_equal(judge(&r->judged, &r->paper), REASON_OWN_DRAFT);
	r->kind.own_draft = true;
	assert_int_equal(judge(&r->judged, &r->paper), REASON_NONE);
	r->kind.own_draft = false;
	r->paper.approval.n = 0;
	r->judged.principal = slice_str("one-stop");
	assert_int_equal(judge(&r->judged, &r->paper), REASON_OWN_DRAFT);
}

/* Of an approval that is cut off the drafter counts once the whole name is there, and nothing is
 * read behind the cut. */
static void test_a_draft_that_is_cut_off(void **state)
{
	struct rig *r = *state;
	uint8_t buf[80];
	struct slice whole = approval_by(buf, "officer");
	size_t named = 2 + strlen("officer");

	assert_int_equal(ask(r, "own", "k", LATER), REASON_NONE);
	for (size_t n = 0; n <= whole.n; n++) {
		uint8_t *cut = malloc(n + 1);		/* the one is no part of it */

		assert_non_null(cut);
		memcpy(cut + 1, whole.p, n);
		r->paper.approval = slice_of(cut + 1, n);
		r->judged.principal = slice_str("officer");
		assert_int_equal(judge(&r->judged, &r->paper),
				 n < named ? REASON_NONE : REASON_OWN_DRAFT);
		r->judged.principal = slice_str("off");
		assert_int_equal(judge(&r->judged, &r->paper), REASON_NONE);
		free(cut);
	}
}

/* Another one signs what has its number: in office today, of the agency, for the kind. */
static void test_successor(void **state)
{
	struct rig *r = *state;
	uint8_t buf[80];

	ask(r, "ended", "k", LATER);
	r->judged.principal.n = 0;
	r->judged.signer = slice_str("own");
	assert_int_equal(judge_successor(&r->judged, &r->paper), REASON_NONE);
	r->judged.signer = slice_str("order");
	assert_int_equal(judge_successor(&r->judged, &r->paper), REASON_DELEGATION_ENDED);
	r->judged.day = 20261130;
	assert_int_equal(judge_successor(&r->judged, &r->paper), REASON_NONE);
	r->judged.day = LATER;
	r->judged.signer = slice_str("none");
	assert_int_equal(judge_successor(&r->judged, &r->paper), REASON_SIGNER_NOT_ALLOWED);
	r->judged.signer = slice_str("nobody");
	assert_int_equal(judge_successor(&r->judged, &r->paper), REASON_SIGNER_UNKNOWN);
	r->judged.signer = slice_str("own");
	r->paper.approval = approval_by(buf, "own");
	assert_int_equal(judge_successor(&r->judged, &r->paper), REASON_OWN_DRAFT);
	r->kind.numbered = NUMBERED_AT_ACCEPTANCE;
	assert_int_equal(judge_successor(&r->judged, &r->paper), REASON_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_office),
		cmocka_unit_test(test_delegation),
		cmocka_unit_test(test_whoever_stands_in),
		cmocka_unit_test(test_a_delegation_that_has_not_begun),
		cmocka_unit_test(test_who_has_another_title_is_the_same),
		cmocka_unit_test(test_kind),
		cmocka_unit_test(test_own_draft),
		cmocka_unit_test(test_a_draft_that_is_cut_off),
		cmocka_unit_test(test_successor),
	};

	return cmocka_run_group_tests(tests, open_rig, close_rig);
}
