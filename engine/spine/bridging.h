/*
 * bridging.h - keys on their officers' devices (keys.json: source "bridge").
 *
 * What needs such a key stands in the waiting room like what waits for a remote service (asking.h),
 * but nobody is asked: bridges come and read what there is, on the readers' threads. Their
 * signatures are acts on the spine.
 */
#ifndef TRIEN_SPINE_BRIDGING_H
#define TRIEN_SPINE_BRIDGING_H

#include "spine/spine.h"

/*
 * Readers: as the companions in engine_ops (submission.h), but for result ids, which stay zero.
 * record: scratch of JOURNAL_RECORD_BYTES_MAX.
 */
enum status bridging_list(struct spine *s, struct waiting_reader *rows, uint8_t *record,
			  const char *signer, const char *only, struct waiting_place *at,
			  struct awaited_signature *out, uint32_t max, uint32_t *n) must_use;
enum status bridging_find(struct spine *s, struct waiting_reader *rows, uint8_t *record,
			  uint64_t sequence, struct awaited_signature *out) must_use;
bool bridging_check(struct spine *s, const struct awaited_signature *a, struct slice value);
bool bridging_signer(struct spine *s, const uint8_t cert_sha256[SHA256_BYTES],
		     char out[CODE_BYTES_MAX + 1]);

/* Janitor, then spine: signatures that were given (ACT_SIGNATURES_GIVE). Takes j over. */
enum status given_find(struct spine *s, struct job *j);
void given_found(struct spine *s, struct job *j);

#endif
