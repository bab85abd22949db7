/*
 * hostile_test - what a file may cost that nobody signed: all of this is read before any
 * signature is looked at, by whoever sends us a file.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

#include "verify/revision.h"

/* As much as a request may bring; of the processor's time, not of the clock's. */
#define FILE_BYTES REQUEST_BYTES_MAX
#ifndef __SANITIZE_ADDRESS__
#define CPU_SECONDS_MAX 4
#else				/* some twenty times as slow */
#define CPU_SECONDS_MAX 80
#endif

#define OBJECTS 2048
#define PAGES 900
#define REVISIONS 30		/* behind the signed one */
#define ROOM 32			/* for the numbers of a /ByteRange */

/* A PDF on its way: revisions that say what they like, with tables that are right. */
struct draft {
	char *text;
	size_t n, xref, room;
	struct { uint32_t number; size_t at; } objects[OBJECTS];	/* of this revision */
	uint32_t objects_n;
};

static void put(struct draft *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	d->n += (size_t)vsnprintf(d->text + d->n, FILE_BYTES - d->n, fmt, ap);
	va_end(ap);
	assert_true(d->n < FILE_BYTES);
}

static void repeat(struct draft *d, const char *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		put(d, "%s", s);
}

/* By number, from the lowest. */
static void begin(struct draft *d, uint32_t number)
{
	assert_true(d->objects_n < OBJECTS);
	d->objects[d->objects_n].number = number;
	d->objects[d->objects_n++].at = d->n;
	put(d, "%u 0 obj\n", number);
}

static void end(struct draft *d)
{
	put(d, "\nendobj\n");
}

static void object(struct draft *d, uint32_t number, const char *text)
{
	begin(d, number);
	put(d, "%s", text);
	end(d);
}

static void end_revision(struct draft *d)
{
	size_t xref = d->n;

	put(d, "xref\n");
	for (uint32_t i = 0; i < d->objects_n; i++)
		put(d, "%u 1\n%010zu 00000 n \n", d->objects[i].number, d->objects[i].at);
	put(d, "trailer\n<</Size 9999/Root 1 0 R/ID[<00><00>]");
	if (d->xref != 0)
		put(d, "/Prev %zu", d->xref);
	put(d, ">>\nstartxref\n%zu\n%%%%EOF\n", xref);
	d->xref = xref;
	d->objects_n = 0;
}

#define SIGNATURE "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached" \
		  "/M(D:20260701170000+07'00')/ByteRange[0 "
#define STAMP "<</Type/DocTimeStamp/SubFilter/ETSI.RFC3161/ByteRange[0 "

/* Two objects, a field and its signature or time stamp, right in their form alone. */
static void sign(struct draft *d, uint32_t number, const char *head)
{
	begin(d, number);
	put(d, "<</FT/Sig/T(%u)/V %u 0 R>>", number, number + 1);
	end(d);
	begin(d, number + 1);
	put(d, "%s", head);
	d->room = d->n;
	put(d, "%*s]/Contents<00>>>", ROOM, "");
	end(d);
}

/* A revision that sign() was in: now it is known where it ends. */
static void end_signed(struct draft *d)
{
	size_t gap = d->room + ROOM + strlen("]/Contents"), after = gap + strlen("<00>");
	char numbers[ROOM + 1];

	end_revision(d);
	snprintf(numbers, sizeof(numbers), "%*zu %10zu %10zu", ROOM - 22, gap, after, d->n - after);
	memcpy(d->text + d->room, numbers, ROOM);
}

static struct draft draft_new(void)
{
	struct draft d = { .text = malloc(FILE_BYTES) };

	assert_non_null(d.text);
	put(&d, "%%PDF-1.7\n%%\xe2\xe3\xcf\xd3\n");
	return d;
}

/* No signature is any: it fails there at the latest. */
static void judge(struct draft *d, const char *why)
{
	struct itimerval limit = { .it_value = { .tv_sec = CPU_SECONDS_MAX } };
	struct report report;

	setitimer(ITIMER_VIRTUAL, &limit, NULL);
	assert_int_equal(verify_document(NULL, slice_of(d->text, d->n), &report), ST_OK);
	limit.it_value.tv_sec = 0;
	setitimer(ITIMER_VIRTUAL, &limit, NULL);
	if (strstr(report.finding.why, why) == NULL)
		fail_msg("not %s: %s", why, report.finding.why);
	free(d->text);
}

#define CATALOG "<</Type/Catalog/AcroForm<</Fields[3 0 R]>>"
#define DEEP (TOKEN_DEPTH_MAX - 1)

/* A dictionary in a dictionary in a dictionary, which is the same but for one space. */
static void a_deep_catalog_twice(void **state)
{
	struct draft d = draft_new();

	for (int i = 0; i < 2; i++) {
		begin(&d, 1);
		put(&d, CATALOG);
		repeat(&d, "/A<<", DEEP);
		put(&d, "/B(%01000d)%s", 0, i == 0 ? "" : " ");
		repeat(&d, ">>", DEEP);
		put(&d, "%s>>", i == 0 ? "" : "/DSS<<>>");
		end(&d);
		if (i == 0) {
			sign(&d, 3, SIGNATURE);
			end_signed(&d);
		} else {
			end_revision(&d);
		}
	}
	judge(&d, "/Contents is no CMS");
}

/* All keys that a dictionary may have, in another order, and behind them what is large. */
static void a_wide_catalog_twice(void **state)
{
	struct draft d = draft_new();

	for (int i = 0; i < 2; i++) {
		begin(&d, 1);
		put(&d, CATALOG);
		repeat(&d, "/A<<", DEEP);
		put(&d, "/A(%0900000d)", 0);
		for (int k = 0; k < TOKEN_KEYS_MAX - 1; k++)
			put(&d, "/B%d 0", i == 0 ? k : TOKEN_KEYS_MAX - 2 - k);
		repeat(&d, ">>", DEEP);
		put(&d, "%s>>", i == 0 ? "" : "/DSS<<>>");
		end(&d);
		if (i == 0) {
			sign(&d, 3, SIGNATURE);
			end_signed(&d);
		} else {
			end_revision(&d);
		}
	}
	judge(&d, "/Contents is no CMS");
}

/* What is large is read again for each name that refers to it. */
static void one_vri_by_many_names(void **state)
{
	struct draft d = draft_new();

	object(&d, 1, CATALOG ">>");
	sign(&d, 3, SIGNATURE);
	end_signed(&d);
	for (int i = 0; i < REVISIONS; i++) {
		object(&d, 1, i % 2 == 0 ? CATALOG "/DSS<</VRI 10 0 R>>>>" :
					   CATALOG "/DSS<</VRI 10 0 R/OCSPs[]>>>>");
		if (i == 0) {
			begin(&d, 10);
			put(&d, "<<");
			for (int n = 0; n < TOKEN_KEYS_MAX; n++)
				put(&d, "/%040d 11 0 R", n);
			put(&d, ">>");
			end(&d);
			begin(&d, 11);
			put(&d, "<</TU(%01800000d)>>", 0);
			end(&d);
		}
		end_revision(&d);
	}
	judge(&d, "revision 2 refers to more than is looked at");
}

/* Pages that share a list, each with the stamp behind it. */
static void one_list_of_many_pages(void **state)
{
	struct draft d = draft_new();

	for (int i = 0; i < 2; i++) {
		object(&d, 1, i == 0 ? CATALOG ">>" :
				       "<</Type/Catalog/AcroForm<</Fields[3 0 R 6 0 R]>>>>");
		sign(&d, i == 0 ? 3 : 6, i == 0 ? SIGNATURE : STAMP);
		for (uint32_t n = 0; n < PAGES; n++)
			object(&d, 10 + n, "<</Type/Page/Annots 2000 0 R>>");
		begin(&d, 2000);
		repeat(&d, "[", DEEP);
		repeat(&d, "0 ", 400000);
		repeat(&d, "]", DEEP - 1);
		put(&d, "%s]", i == 0 ? "" : " 6 0 R");
		end(&d);
		end_signed(&d);
	}
	judge(&d, "after the last signature, object 11 was changed or added");
}

/* All that was signed is looked through for what it refers to, behind however many revisions. */
static void many_revisions_behind_much(void **state)
{
	struct draft d = draft_new();

	object(&d, 1, CATALOG ">>");
	sign(&d, 3, SIGNATURE);
	begin(&d, 5);
	repeat(&d, "[", DEEP);
	repeat(&d, "1 0 R ", 300000);
	repeat(&d, "]", DEEP);
	end(&d);
	end_signed(&d);
	for (int i = 0; i < REVISIONS; i++) {
		object(&d, 1, i % 2 == 0 ? CATALOG "/DSS<<>>>>" : CATALOG "/DSS<</OCSPs[]>>>>");
		end_revision(&d);
	}
	judge(&d, "/Contents is no CMS");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deep_catalog_twice),
		cmocka_unit_test(a_wide_catalog_twice),
		cmocka_unit_test(one_vri_by_many_names),
		cmocka_unit_test(one_list_of_many_pages),
		cmocka_unit_test(many_revisions_behind_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
