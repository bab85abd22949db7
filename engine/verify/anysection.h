/*
 * anysection.h - the cross-reference sections of any PDF (ISO 32000-1, 7.5.4, 7.5.8, annex F).
 * Inside verify/ only.
 */
#ifndef TRIEN_VERIFY_ANYSECTION_H
#define TRIEN_VERIFY_ANYSECTION_H

#include "verify/anyfile.h"

/*
 * Fills the revisions, oldest first: where each ends, its trailer and what it says of which object,
 * unsorted. As any_open().
 */
enum status any_sections(struct any *a, struct finding *f) must_use;

#endif
