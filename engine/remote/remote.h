/*
 * remote.h - the process that asks remote signing services, and its client side.
 *
 * Some keys are not ours to hold: they lie at a signing service, and a person may have to confirm
 * on a device. This child takes digests from the engine, gathers them into hash arrays, asks the
 * services of CERTS/remote.json (keys/README.md) over HTTPS, checks each signature against the
 * certificate that keys.json names, and gives it back. It holds no private key, keeps nothing on
 * disk and sees no document. One end of a SOCK_STREAM socket pair is its only door to the engine;
 * start it as `remote` with the door as descriptor 3 (CHILD_FD), with the flags of `serve`.
 *
 * Wire format, little-endian. Each message is u32 bytes (of what follows), then:
 *	to the child:
 *	  SIGN    u8 1, u64 tag, i64 deadline (Unix ms; 0: none), u8 n, key id[n], u8 n, unit[n],
 *	          u8 n, kind[n], 32-byte digest, u8 n, name[n], u16 n, ticket[n]
 *	  CANCEL  u8 2, u64 tag
 *	to the engine, in any order, one an item:
 *	  u64 tag, u8 status (enum remote_status), u16 n, bytes[n]
 * The first answer has tag 0: REMOTE_SIGNED "ready", or REMOTE_UNAVAILABLE and why it cannot start
 * (the process then ends with EX_CONFIG).
 *
 * `tag` is the caller's, not 0, and names one item until its last answer; a second SIGN under it
 * is a breach of the protocol and ends the process with EX_PROTOCOL, like a malformed message. All
 * statuses but REMOTE_LATER are an item's last answer.
 * `name` is what the service may show the signer on a device ("7/GXN-UBND"): UTF-8, no control
 * characters, never personal data.
 *
 * Tickets. A service that answers later gives a transaction an id. It is handed over as
 * REMOTE_LATER the moment it is known, again when the transaction goes on to its next step: keep
 * the newest, durably. After a restart of either process hand the item in with it, same key and
 * digest, and the child asks for the answer instead of asking the person. Items of one transaction
 * find together again when all of them come within REMOTE_GATHER_MS. A ticket holds no secret and
 * no personal data. While a service that answers at once has not answered there is none: such an
 * item is asked for again.
 *
 * An item stays here over any outage, until its deadline, until it has waited longer than the
 * service's patience without a good answer, or until it was asked for `tries` times without an
 * answer. What the engine gets back as REMOTE_UNAVAILABLE it keeps parked and hands in again later,
 * with its ticket where it has one. REMOTE_NOT_GIVEN is that, too, but some such rounds are enough:
 * behind each call a telephone may ring.
 */
#ifndef TRIEN_REMOTE_H
#define TRIEN_REMOTE_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "signer/signer.h"

#define REMOTE_NAME_BYTES_MAX 128
#define REMOTE_TICKET_BYTES_MAX 600
#define REMOTE_TEXT_BYTES_MAX 600		/* of an answer: a signature, a ticket or a text */
#define REMOTE_MESSAGE_BYTES_MAX 2048		/* without its length */
#define REMOTE_ANSWER_BYTES_MAX (4 + 8 + 1 + 2 + REMOTE_TEXT_BYTES_MAX)
#define REMOTE_GATHER_MS 2000

/* Beside a final status other than REMOTE_SIGNED stands a short text for logs: ours, not theirs. */
enum remote_status {
	REMOTE_SIGNED,		/* the signature, verified: PKCS#1 or PSS value, DER of ECDSA */
	REMOTE_LATER,		/* a ticket; not the last answer */
	REMOTE_REFUSED,		/* the person or the service said no to this item */
	REMOTE_WRONG_ANSWER,	/* signatures came, again and again, and none was this key's */
	REMOTE_UNAVAILABLE,	/* not now: no room, the service is away or does not answer */
	REMOTE_EXPIRED,		/* the deadline passed */
	REMOTE_CANCELLED,	/* as asked; what the service may still answer is dropped */
	REMOTE_TICKET_LOST,	/* service or child do not know it: ask anew without it */
	REMOTE_OTHER_CERTIFICATE, /* the service has no such key, or another certificate for it */
	REMOTE_UNKNOWN_KEY,	/* not of keys.json, or not "remote" there */
	REMOTE_POLICY,		/* the key may not sign this unit or kind */
	REMOTE_NOT_VALID_NOW,	/* key or certificate: before or after their days */
	REMOTE_NOT_GIVEN,	/* a person's key: asked as often as allowed, and silence */
	REMOTE_PIN_REFUSED,	/* the key's PIN is another; this process sends it no more */
	REMOTE_STATUS_COUNT
};

/* ---- client side: pure encode/decode; the caller owns the socket ---- */

enum remote_verb { REMOTE_VERB_SIGN = 1, REMOTE_VERB_CANCEL = 2 };

/* Slices are borrowed. */
struct remote_request {
	enum remote_verb verb;
	uint64_t tag;
	int64_t deadline_ms;
	struct slice key, unit, kind, name, ticket;
	uint8_t digest[32];
};

struct remote_answer { uint64_t tag; enum remote_status status; struct slice bytes; };

/* Appends one message with its length. ST_TOO_LARGE: a member, or no room. */
enum status remote_encode(struct writer *w, const struct remote_request *r) must_use;
enum status remote_encode_answer(struct writer *w, const struct remote_answer *a) must_use;
/* A message whose length was consumed. ST_CORRUPT: malformed. */
enum status remote_decode(struct remote_request *out, struct slice message) must_use;
enum status remote_decode_answer(struct remote_answer *out, struct slice message) must_use;
/* "WRONG_ANSWER"; static storage. */
const char *remote_status_name(enum remote_status s);

/* ---- the process ---- */

struct remote_config {
	const char *certs_dir;		/* certificates, keys.json, remote.json */
	const char *secrets_dir;	/* what remote.json names as secrets; files 0600 */
	int socket;			/* the only door */
};

/* Runs until the socket closes; returns the process's exit code. Calling thread only. */
int remote_run(const struct remote_config *cfg);

#endif
