/*
 * identity.h - sequences and result ids (DESIGN 5).
 *
 * sequence: 63 bits, sorts by time, unique over engines:
 *	bit 22–62  milliseconds since 2020-01-01T00:00Z (41 bits, until 2089)
 *	bit 14–21  engine (0–255)
 *	bit 0–13   counter within the millisecond
 * The millisecond of a sequence is when its result was accepted: also its issue time, unless it
 * waits for an approval, which comes later.
 *
 * result id: one AES-128 block under an instance secret over
 *	u16 instance, u8 lane, u8 version = 1, u64 sequence, u32 check = CRC32C of those 12
 * Unguessable; whoever holds the secrets reads lane and sequence back. Secrets change yearly and
 * all are kept; reading tries the newest first.
 */
#ifndef TRIEN_IDENTITY_H
#define TRIEN_IDENTITY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define SEQUENCE_EPOCH_MS 1577836800000LL	/* 2020-01-01T00:00:00Z */

static inline uint64_t sequence_make(int64_t unix_ms, uint8_t engine, uint16_t counter)
{
	return (uint64_t)(unix_ms - SEQUENCE_EPOCH_MS) << 22 | (uint64_t)engine << 14 |
	       (counter & 0x3fff);
}

static inline int64_t sequence_ms(uint64_t sequence)
{
	return (int64_t)(sequence >> 22) + SEQUENCE_EPOCH_MS;
}

static inline uint8_t sequence_engine(uint64_t sequence)
{
	return (uint8_t)(sequence >> 14);
}

struct identity;	/* instance number and secrets; one per thread (it holds cipher contexts) */

/*
 * dir: DATA/identity/, holding secret-<from, Unix ms>.bin (16 random bytes, mode 0600) and
 * `instance`. A secret serves sequences from its `from` on until the next one's.
 * create: makes what is missing, and a new secret when the newest is older than a year.
 * ST_PRECONDITION without secrets.
 */
enum status identity_open(struct identity **out, const char *dir, int64_t now_ms, bool create,
			  struct error *e) must_use;
/* For another thread: own cipher contexts, same secrets. NULL: memory. */
struct identity *identity_dup(const struct identity *id);
void identity_close(struct identity *id);
uint16_t identity_instance(const struct identity *id);
void identity_result_id(struct identity *id, uint8_t out[16], uint8_t lane, uint64_t sequence);
/*
 * One block under the oldest secret, which never changes: who holds the secrets alone can make it.
 * Not for a block that somebody else chose.
 */
void identity_seal(struct identity *id, const uint8_t block[16], uint8_t out[16]);
/* false: not an id of this instance. */
bool identity_read(struct identity *id, const uint8_t rid[16], uint8_t *lane, uint64_t *sequence);

#endif
