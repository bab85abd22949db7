/*
 * channel.h - messages between an engine and its mirror, over one TCP connection through the ring.
 *
 *	u32	length of type and payload, little-endian
 *	u8	type (enum message)
 *		payload
 *
 *	engine                                       mirror
 *	HELLO  u32 version, u32 engine, u32 segment bytes, u32 epoch, u8 policy
 *	                          ◀── WELCOME  u32 epoch, u64 position, u32 CRC of the frame before
 *	                          ◀── FENCED   u32 epoch
 *	                          ◀── REFUSED  text
 *	FILE   blob path, bytes: of DATA/identity and DATA/catalogue, before the frames that need it
 *	FRAME  exactly as it stands in the journal
 *	                          ◀── ACK      u64 position: durable before it
 *
 * Spine thread, or the mirror's. A channel is closed first and freed when it is idle: the ring may
 * still hold its operations.
 */
#ifndef TRIEN_MIRROR_CHANNEL_H
#define TRIEN_MIRROR_CHANNEL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/bytes.h"
#include "base/status.h"
#include "limits.h"
#include "mirror/secure.h"

#define CHANNEL_VERSION 1u
#define CHANNEL_MESSAGE_BYTES_MAX (JOURNAL_BATCH_BYTES_MAX + 1)

enum message {
	MESSAGE_HELLO = 1, MESSAGE_WELCOME, MESSAGE_FENCED, MESSAGE_REFUSED, MESSAGE_FILE,
	MESSAGE_FRAME, MESSAGE_ACK
};

struct channel;
struct io;

/* fd: a connected socket, now the channel's. secure NULL: in the clear, loopback only. */
enum status channel_new(struct channel **out, struct io *io, int fd,
			struct secure *secure) must_use;
void channel_close(struct channel *c);
bool channel_idle(const struct channel *c);
/* Closed and idle, or NULL. */
void channel_free(struct channel *c);

/* ST_OK: messages can be put; ST_AGAIN: the handshake goes on; else *e says why it is broken. */
enum status channel_state(struct channel *c, struct error *e) must_use;
/* One message, from parts; copied. ST_FULL: too much is on its way, nothing was taken. */
enum status channel_put(struct channel *c, enum message type, const struct slice *parts,
			size_t parts_n) must_use;
/* The oldest whole message, borrowed until the ring runs again; false: none yet. */
bool channel_first(struct channel *c, uint8_t *type, struct slice *payload);
/* It is done with. */
void channel_taken(struct channel *c);

/*
 * "HOST:PORT", numeric or localhost, as a socket address. ST_INVALID. host: the HOST, at most 64
 * bytes with its end.
 */
enum status channel_address(const char *text, struct sockaddr_storage *out, socklen_t *n,
			    char host[64], bool *loopback, struct error *e) must_use;

#endif
