#include "base/log.h"
#include "remote/remote.h"
#include "spine/elsewhere.h"
#include "spine/spine.h"

#define OUT_BYTES (64 * 1024)			/* many requests */
#define IN_BYTES (64 * 1024)			/* many answers */

static void remote_lost(void *owner, const char *why)
{
	struct spine *s = owner;

	if (why != NULL)
		log_warn("remote", "%s", why);
	elsewhere_lost(s);
}

static void greeting_take(struct spine *s, const struct remote_answer *a)
{
	if (a->status == REMOTE_SIGNED) {
		s->remote.link.ready = true;
		log_info("remote", "ready");
	} else {
		log_error("remote", "refused to start: %.*s", (int)a->bytes.n,
			  (const char *)a->bytes.p);
	}
}

static enum status answer_take(void *owner, struct slice bytes)
{
	struct spine *s = owner;
	struct remote_answer a;
	enum status st = remote_decode_answer(&a, bytes);

	if (st != ST_OK || a.tag != 0)
		return st != ST_OK ? st : elsewhere_answer(s, &a);
	greeting_take(s, &a);
	return ST_OK;
}

static bool request_put(struct writer *w, const struct asked *k)
{
	struct remote_request r = { .verb = asked_given_up(k) ? REMOTE_VERB_CANCEL :
								REMOTE_VERB_SIGN,
				    .tag = k->tag,
				    .deadline_ms = k->until_ms == INT64_MAX ? 0 : k->until_ms,
				    .key = slice_str(k->key), .unit = slice_str(k->unit),
				    .kind = slice_str(k->kind), .name = slice_str(k->name),
				    .ticket = slice_of(k->ticket, k->ticket_n) };
	struct writer before = *w;

	memcpy(r.digest, k->digest, sizeof(r.digest));
	if (remote_encode(w, &r) == ST_OK)
		return true;
	*w = before;
	return false;
}

void remote_send(struct spine *s)
{
	struct child_link *l = &s->remote.link;
	struct asking *a = &s->elsewhere->asking;
	int64_t now_ms = (int64_t)(io_boot_ns() / 1000000);
	struct asked *k;
	struct writer w;

	if (!child_link_can_send(l))
		return;
	w = writer_of(l->out, OUT_BYTES);
	while ((k = asking_next(a, now_ms)) != NULL && request_put(&w, k))
		asking_sent(a, k);
	if (writer_size(&w) > 0)
		child_link_send(l, writer_size(&w));
}

static void sent(void *owner)
{
	remote_send(owner);
}

void remote_linked(struct spine *s, int fd)
{
	s->remote.known = true;
	child_link_set(&s->remote.link, fd);
}

bool remote_is_well(const struct spine *s)
{
	return s->remote.link.ready || !s->remote.known;
}

enum status remote_link_start(struct spine *s)
{
	static const struct child_calls calls = { "the remote signer", answer_take, remote_lost,
						  sent };

	return child_link_open(&s->remote.link, s->io, &calls, s, OUT_BYTES, IN_BYTES,
			       REMOTE_ANSWER_BYTES_MAX);
}

void remote_link_stop(struct spine *s)
{
	child_link_close(&s->remote.link);
}
