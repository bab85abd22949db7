/*
 * share.h - what a holder lets others see of a result, and how often.
 *
 * A LINK opens by a token of 128 bits, a CODE by 8 characters that go with the result's print; only
 * the SHA-256 of either is kept. A share ends when its time is over, when it was used as often as
 * it says, when its holder revokes it, or, a code, when wrong ones were tried too often. While its
 * result is not its holder's, is hidden by them or restricted by decision, it rests.
 *
 * Each change of a share is an event of its result (living.h), whose detail is the share as it is
 * then: the newest says all, and told again it says the same.
 *
 * Pure; any thread.
 */
#ifndef TRIEN_SHARE_H
#define TRIEN_SHARE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"
#include "limits.h"

/* Parts of stored forms, and numbered as in trien.v1.Share. */
enum share_kind { SHARE_LINK = 1, SHARE_CODE };
enum share_scope { SHARE_STATE = 1, SHARE_DATA, SHARE_FILE };
/* OPEN, EXPIRED and USED_UP follow from the rest of a share. */
enum share_state { SHARE_OPEN = 1, SHARE_EXPIRED, SHARE_USED_UP, SHARE_REVOKED, SHARE_TRIED_OUT };

struct share {
	/* Its name among those of its result: when it was made, as a sequence is (identity.h) */
	uint64_t stamp;
	uint8_t holder[16];		/* holder_key() of who made it */
	uint8_t kind, scope;
	uint8_t end;			/* REVOKED, TRIED_OUT; 0: neither */
	uint16_t views_max, views;
	int64_t expire_ms;		/* first moment at which it is over */
	int64_t view_ms;		/* of the last view; 0: none */
};

/* TRIED_OUT, of every code of its result that was made before: it has no holder. */
bool share_is_of_all(const struct share *s);
enum share_state share_state(const struct share *s, int64_t now_ms);

/* An event's detail. */
#define SHARE_BYTES 47
#define SHARE_DETAIL_BYTES_MAX (SHARE_BYTES + SHARE_VIEWER_BYTES_MAX)
void share_write(const struct share *s, struct slice viewer, struct writer *w);
/* viewer borrows; it may be NULL. ST_CORRUPT: none of ours. */
enum status share_read(struct share *s, struct slice *viewer, struct slice detail) must_use;

/* ---- what opens it ---- */

/* Of a share's id: the result's, and 16 hexadecimal digits of its stamp; no NUL. */
#define SHARE_ID_BYTES (ID_TEXT_BYTES + 16)
void share_id_text(char out[SHARE_ID_BYTES], const uint8_t result_id[16], uint64_t stamp);
bool share_id_read(uint8_t result_id[16], uint64_t *stamp, struct slice text);

/* A token: the result's id, and 128 random bits; no NUL. */
#define SHARE_TOKEN_BYTES (2 * ID_TEXT_BYTES)
#define SHARE_SECRET_BYTES 16
void share_token_text(char out[SHARE_TOKEN_BYTES], const uint8_t result_id[16],
		      const uint8_t secret[SHARE_SECRET_BYTES]);
/* hash: SHA-256 of the secret. */
bool share_token_read(uint8_t result_id[16], uint8_t hash[SHA256_BYTES], struct slice text);

/* A code: 40 bits in Crockford's alphabet; no NUL. */
#define SHARE_CODE_BYTES 8
void share_code_text(char out[SHARE_CODE_BYTES], const uint8_t random[5]);
/* As a person may type it: any case, spaces, hyphens, look-alikes. */
bool share_code_read(uint8_t hash[SHA256_BYTES], struct slice text);

/* ---- all shares of a result, from its events in any order ---- */

struct shares { struct share *of; uint32_t n, room; };

/* From zeros. Events of other kinds are passed over. ST_CORRUPT, ST_NOMEM. */
enum status shares_take(struct shares *s, uint8_t event, int64_t at_ms,
			struct slice detail) must_use;
/* All are taken: what one holder made, the newest first. */
void shares_of(struct shares *s, const uint8_t holder[16]);
void shares_free(struct shares *s);

#endif
