/*
 * said.h - what a result says of itself: `result.json`, which every result of ours carries as an
 * attached file (schemas/result-data.json). It stands in the first revision, which every signature
 * covers, so it is as good as they are.
 */
#ifndef TRIEN_VERIFY_SAID_H
#define TRIEN_VERIFY_SAID_H

#include "verify/revision.h"

/* false: no such data, or not of the form that this engine writes. */
bool said_read(const struct pdf *pdf, struct said *out);

#endif
