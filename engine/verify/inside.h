/*
 * inside.h - the parts of a report, for the files of verify/.
 */
#ifndef TRIEN_VERIFY_INSIDE_H
#define TRIEN_VERIFY_INSIDE_H

#include "verify/verify.h"

/* out->named and out->id. */
void report_find_id(struct slice file, struct report *out);
/* out->issued_bytes and issued_sha256: those of the whole file. */
void report_whole(struct report *out);
/* V9 of a report whose data was read: the agency that they name is bound to the certificates. */
void report_check_agency(struct report *r);
/* The worst rules: failed, then undetermined; of equals the first. */
void finding_merge(struct finding *all, const struct finding *one);

#endif
