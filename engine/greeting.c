#include "greeting.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>

#include "remote/remote.h"
#include "signer/signer.h"

/* Both are one message with its length, tag 0. */
static bool signer_ready(struct slice message, struct slice *text)
{
	struct signer_reply reply;
	enum sign_answer a = ANSWER_FAILED;

	return signer_reply_open(&reply, message) == ST_OK && reply.tag == 0 &&
	       signer_reply_next(&reply, &a, text) == ST_OK && a == ANSWER_SIGNED;
}

static bool remote_ready(struct slice message, struct slice *text)
{
	struct remote_answer a;

	if (remote_decode_answer(&a, message) != ST_OK || a.tag != 0)
		return false;
	*text = a.bytes;
	return a.status == REMOTE_SIGNED;
}

enum status greeting_look(int fd, enum greeter who, char why[GREETING_WHY_BYTES])
{
	uint8_t bytes[2 * GREETING_WHY_BYTES];
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_PEEK | MSG_DONTWAIT);
	struct slice text = slice_str("it ended without a word"), message;
	bool ready = false;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return ST_AGAIN;
	if (n > 0) {
		struct reader r = reader_of(slice_of(bytes, (size_t)n));

		message = read_bytes(&r, read_u32(&r));
		if (r.bad)
			return ST_AGAIN;
		text = slice_str("its answer is none");
		ready = who == GREETER_SIGNER ? signer_ready(message, &text) :
						remote_ready(message, &text);
	}
	snprintf(why, GREETING_WHY_BYTES, "%.*s", (int)text.n, (const char *)text.p);
	return ready ? ST_OK : ST_PRECONDITION;
}
