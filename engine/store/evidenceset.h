/*
 * evidenceset.h - which shared bytes are an evidence set, and what it names (document.h). Inside
 * store/ only.
 */
#ifndef TRIEN_STORE_EVIDENCESET_H
#define TRIEN_STORE_EVIDENCESET_H

#include "base/hash.h"

bool evidence_is_set(struct slice bytes);
/* The next one it names: every word of 64 hex digits. *at begins with 0. false: no more. */
bool evidence_next(struct slice set, size_t *at, uint8_t sha256[SHA256_BYTES]);

#endif
