/*
 * signer.h - the process that holds the private keys (P6), and its client side.
 *
 * The signer sees digests, never documents. It is started by the supervisor with one end of a
 * SOCK_STREAM socket pair as its only door; it reads keys and policy at start, locks its memory,
 * makes itself undumpable, drops the network and file system (seccomp, landlock; but for what
 * keys.json gives to the module of a token), then answers.
 *
 * Wire format, little-endian, both directions:
 *	request: u32 bytes (of what follows), u64 tag, u16 groups, each group:
 *	         u8 n, key id[n], u8 n, unit[n], u8 n, kind[n], u8 urgency, u16 count,
 *	         count × 32-byte digest
 *	reply:   u32 bytes, u64 tag, u16 total, each in request order:
 *	         u8 status (enum sign_answer), u16 size, signature[size]
 * Requests are answered whole, in any order; the tag is the caller's. A reply of total 0 is no
 * answer: it says that the request of that tag waits for a token that goes on signing, and comes
 * about every 2 s. Without a signature its place may hold a text that says why.
 *
 * Keys in files are signed with in the order of requests. Each token has threads and a queue of its
 * own, in which lower urgency goes first, then the agency that had least, then its key that had.
 */
#ifndef TRIEN_SIGNER_H
#define TRIEN_SIGNER_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define SIGNER_DIGESTS_MAX 512			/* in one request */
#define SIGNATURE_BYTES_MAX 512
#define SIGNER_REQUEST_BYTES_MAX (64 * 1024)
#define SIGNER_REPLY_BYTES_MAX (16 + SIGNER_DIGESTS_MAX * (3 + SIGNATURE_BYTES_MAX))

/* UNAVAILABLE: the key's token does not answer, or refuses its PIN; the key may sign later. */
enum sign_answer { ANSWER_SIGNED, ANSWER_UNKNOWN_KEY, ANSWER_POLICY, ANSWER_NOT_VALID_NOW,
		   ANSWER_FAILED, ANSWER_UNAVAILABLE, ANSWERS };

/* ---- client side: pure encode/decode; the caller owns the socket ---- */

struct sign_group { struct slice key, unit, kind; uint16_t count; const uint8_t (*digests)[32];
		    uint8_t urgency; };		/* 0 first; enum priority */

enum status signer_encode(struct writer *w, uint64_t tag, const struct sign_group *groups,
			  uint16_t groups_n) must_use;
/* Reads one reply whose length prefix was already consumed; answers in order through next(). */
struct signer_reply { uint64_t tag; uint16_t total; struct reader r; };
enum status signer_reply_open(struct signer_reply *out, struct slice message) must_use;
enum status signer_reply_next(struct signer_reply *r, enum sign_answer *answer,
			      struct slice *signature) must_use;

/* ---- the process ---- */

struct signer_config {
	const char *keys_dir;		/* private keys, PEM; readable by this process alone */
	const char *certs_dir;		/* certificates, chains, keys.json (policy) */
	const char *passphrase_file;	/* for encrypted PEM; NULL: none */
	uint32_t threads;		/* for keys in files, and helpers; 0: one a core */
	int socket;			/* the only door */
	const char *pin_file;		/* of tokens that name none of their own; NULL: none */
	/*
	 * Keys were in order at the first start: a key that a token has not any more stops only
	 * itself, and a token that does not answer is not waited for.
	 */
	bool later;
};

/* Runs until the socket closes; returns the process's exit code. Reports "ready" or the reason of
 * refusal (a key that does not match its certificate, a bad passphrase) as the first reply with
 * tag 0: total 1, status ANSWER_SIGNED or ANSWER_FAILED with the text as `signature`. */
int signer_run(const struct signer_config *cfg);

#endif
