/*
 * door.h - the signer process's end of its socket: messages in, replies out, in the wire format of
 * signer.h. Inside signer/ only.
 */
#ifndef TRIEN_SIGNER_DOOR_H
#define TRIEN_SIGNER_DOOR_H

#include <pthread.h>

#include "signer/signer.h"

/* Of a reply, before the first answer: its length, tag and total. */
#define DOOR_HEAD_BYTES 14u

struct door {
	int socket;			/* the caller's; blocking or not */
	pthread_mutex_t sending;
};

void door_init(struct door *d, int socket);
void door_free(struct door *d);

/*
 * The next message without its length, into buf; waits for it. One thread. ST_NOT_FOUND: the other
 * end closed between messages. ST_CORRUPT: within one, or it is longer than buf; ST_IO. Nothing
 * after those can be trusted.
 */
enum status door_receive(struct door *d, uint8_t *buf, size_t size, size_t *n) must_use;

/* Begins a reply in buf: then come its answers and door_send(). Total 0: it is worked on still. */
void door_reply(struct writer *w, void *buf, size_t n, uint64_t tag, uint32_t total);
/*
 * Any thread; replies go whole, one after the other. Waits while the other end is slow; one that is
 * gone is not told of here: door_receive() finds it.
 */
void door_send(struct door *d, struct writer *w);
/* The reply of tag 0: how the start went. Text beyond SIGNATURE_BYTES_MAX is cut. */
void door_say(struct door *d, enum sign_answer answer, const char *text);

#endif
