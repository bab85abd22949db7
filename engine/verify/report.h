/*
 * report.h - what is said of a verified file: three sentences for people, in Vietnamese or English,
 * and the same as JSON (schemas/verification-report.json). One wording for the command line, the
 * API's users and the portal. Pure: nothing is looked up.
 *
 *	1	unchanged?		the verdict; and whether it is bit for bit the file that was
 *					issued, or that file and evidence behind it, where a store
 *					was asked (V10)
 *	2	issued and signed by whom
 *	3	still in force?		the store's word; that it was not asked, where it was not
 *
 * Facts stand apart from the verdict (EN 319 102-1 clause 5.1.3): a result that was revoked is as
 * unchanged as it was.
 */
#ifndef TRIEN_VERIFY_REPORT_H
#define TRIEN_VERIFY_REPORT_H

#include <jansson.h>

#include "result.h"
#include "verify/verify.h"

#define REPORT_SCHEMA "trien-verification/1"
#define REPORT_SENTENCES 3
#define REPORT_SENTENCE_BYTES 2048

enum report_language { REPORT_VI, REPORT_EN, REPORT_LANGUAGES };

/* The file beside the store's record of it; numbers as VerifyDocumentResponse.Standing. */
enum standing {
	STANDING_NOT_ASKED,
	STANDING_ISSUED,	/* its issued_sha256 is that of the issued file */
	STANDING_DIFFERENT,	/* it names a result whose file is another one */
	STANDING_UNKNOWN,
	STANDING_PENDING	/* the store is away */
};

/* What a store said; texts are "" and days 0 where it said nothing. Days are yyyymmdd. */
struct asked {
	enum standing standing;
	char result_id[ID_TEXT_BYTES + 1];	/* issued as, or pretended to be */
	enum life life;				/* and these: only of STANDING_ISSUED */
	char unit[CODE_BYTES_MAX + 1], unit_name[NAME_BYTES_MAX + 1];
	char kind_name[NAME_BYTES_MAX + 1], number[NUMBER_TEXT_BYTES_MAX + 1];
	char replaced_by[ID_TEXT_BYTES + 1];
	char paper_number[DECISION_NUMBER_BYTES_MAX + 1], ground[DECISION_GROUND_BYTES_MAX + 1];
	uint32_t paper_day, valid_until;
};

/* The file is the issued one, and in force: VALID or CORRECTED. */
bool asked_good(const struct asked *a);

/* which: 0 … REPORT_SENTENCES - 1. asked NULL: STANDING_NOT_ASKED. Cut where it does not fit. */
void report_sentence(char out[REPORT_SENTENCE_BYTES], enum report_language in, uint32_t which,
		     const struct report *r, const struct asked *asked);
/* An object that is the caller's. */
json_t *report_json(const struct report *r, const struct asked *asked);
const char *standing_name(enum standing s);
const char *life_name(enum life l);

#endif
