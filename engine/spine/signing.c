#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/log.h"
#include "signer/policy.h"
#include "spine/spine.h"

#define SIGNER_SILENT_NS (10 * 1000000000ull)
/* Others are answered, one is not: longer than a full queue of the slowest key takes. */
#define REQUEST_SILENT_NS (6 * SIGNER_SILENT_NS)
#define GREETING_NS_MAX (600 * 1000000000ull)

static void send_next(struct spine *s);

static uint64_t tag_of(const struct batch *b)
{
	return (uint64_t)b->number << 8 | b->slot;
}

static void list_append(struct batch **list, struct batch *b)
{
	b->next = NULL;
	while (*list != NULL)
		list = &(*list)->next;
	*list = b;
}

/* Everything unanswered is asked again once a new signer is there. */
static void signer_lost(void *owner, const char *why)
{
	struct signer_link *l = &((struct spine *)owner)->signer;
	struct batch *later = l->to_send;

	if (why != NULL)
		log_warn("signer", "%s; %s", why, l->waiting != NULL ?
			 "unanswered batches are asked again" : "nothing was unanswered");
	l->to_send = l->waiting;
	l->waiting = NULL;
	while (later != NULL) {
		struct batch *b = later;

		later = b->next;
		list_append(&l->to_send, b);
	}
}

/* Orders the live items of b by (key, unit, kind, priority), as the signer wants them. */
static uint16_t groups_make(struct batch *b, struct sign_group *groups,
			    uint8_t (*digests)[SHA256_BYTES])
{
	bool taken[BATCH_ITEMS_MAX] = { false };
	uint16_t groups_n = 0;

	b->asked_n = 0;
	for (uint32_t i = 0; i < b->items_n; i++) {
		const struct item *first = &b->items[i];
		struct sign_group *g = &groups[groups_n];

		if (taken[i] || first->held != REASON_NONE || first->slots_n <= b->slot ||
		    first->slots[b->slot].value != NULL)
			continue;
		*g = (struct sign_group){
			.key = slice_str(signing_key_row(first->slots[b->slot].key)->id),
			.unit = slice_str(first->unit->code),
			.kind = slice_str(first->kind->code),
			.urgency = first->pending->priority,
			.digests = (const uint8_t (*)[32])&digests[b->asked_n],
		};
		for (uint32_t k = i; k < b->items_n; k++) {
			const struct item *it = &b->items[k];

			if (taken[k] || it->held != REASON_NONE || it->slots_n <= b->slot ||
			    it->slots[b->slot].value != NULL ||
			    it->slots[b->slot].key != first->slots[b->slot].key ||
			    it->unit != first->unit || it->kind != first->kind ||
			    it->pending->priority != first->pending->priority)
				continue;
			taken[k] = true;
			memcpy(digests[b->asked_n], it->slots[b->slot].to_sign, SHA256_BYTES);
			b->asked[b->asked_n++] = (uint8_t)k;
			g->count++;
		}
		groups_n++;
	}
	return groups_n;
}

static void send_next(struct spine *s)
{
	struct signer_link *l = &s->signer;
	struct sign_group groups[BATCH_ITEMS_MAX];
	uint8_t digests[BATCH_ITEMS_MAX][SHA256_BYTES];
	struct writer w;
	struct batch *b = l->to_send;

	if (b == NULL || !child_link_can_send(&l->link))
		return;
	l->to_send = b->next;
	w = writer_of(l->link.out, SIGNER_REQUEST_BYTES_MAX);
	if (signer_encode(&w, tag_of(b), groups, groups_make(b, groups, digests)) != ST_OK) {
		spine_fail(s, "signer: a request of %u digests does not fit", b->asked_n);
		return;
	}
	b->sent_ns = io_boot_ns();
	if (l->waiting == NULL)
		l->asked_ns = b->sent_ns;
	list_append(&l->waiting, b);
	child_link_send(&l->link, writer_size(&w));
}

void signing_ask(struct spine *s, struct batch *b)
{
	list_append(&s->signer.to_send, b);
	send_next(s);
}

static enum reason reason_of(enum sign_answer a)
{
	switch (a) {
	case ANSWER_UNKNOWN_KEY:
		return REASON_KEY_MISSING;
	case ANSWER_NOT_VALID_NOW:
		return REASON_CERT_EXPIRED;
	case ANSWER_UNAVAILABLE:
		return REASON_SIGNER_AWAY;
	default:
		return REASON_SIGNER_REFUSED;
	}
}

_Static_assert(TOKENS_MAX <= 32, "a bit for each token");

/* Does its token go, or come back? */
static void token_seen(struct spine *s, const struct signed_slot *slot, enum sign_answer a)
{
	const struct key_policy *policy = signing_key_policy(slot->key);
	uint32_t bit = policy->source == SOURCE_PKCS11 ? 1u << policy->token : 0;

	if (a == ANSWER_UNAVAILABLE) {
		s->away.tokens |= bit;
	} else if (a == ANSWER_SIGNED && (s->away.tokens & bit) != 0) {
		s->away.tokens &= ~bit;
		away_ends(s);
	}
}

static void answer_take(struct spine *s, struct batch *b, struct item *it, enum sign_answer a,
			struct slice value)
{
	struct signed_slot *slot = &it->slots[b->slot];
	struct slice kept;

	token_seen(s, slot, a);
	if (a != ANSWER_SIGNED) {
		it->held = reason_of(a);
		snprintf(it->held_detail, sizeof(it->held_detail), "%.*s", (int)value.n,
			 (const char *)value.p);
		return;
	}
	kept = arena_copy(&b->arena, value);
	if (kept.p == NULL) {
		spine_fail(s, "no room for a signature of %zu bytes", value.n);
		return;
	}
	slot->value = kept.p;
	slot->value_size = (uint16_t)kept.n;
	atomic_fetch_add_explicit(&s->counters.signatures, 1, memory_order_relaxed);
}

/* ST_CORRUPT: not an answer to anything that was asked. */
static enum status reply_take(struct spine *s, struct signer_reply *r)
{
	struct signer_link *l = &s->signer;
	struct batch **at = &l->waiting, *b;
	enum status st = ST_OK;

	while (*at != NULL && tag_of(*at) != r->tag)
		at = &(*at)->next;
	b = *at;
	if (b != NULL && r->total == 0) {
		b->sent_ns = l->asked_ns = io_boot_ns();
		return ST_OK;
	}
	if (b == NULL || r->total != b->asked_n)
		return ST_CORRUPT;
	for (uint8_t i = 0; i < b->asked_n && st == ST_OK; i++) {
		enum sign_answer a;
		struct slice value;

		st = signer_reply_next(r, &a, &value);
		if (st == ST_OK)
			answer_take(s, b, &b->items[b->asked[i]], a, value);
	}
	if (st != ST_OK)
		return st;
	*at = b->next;
	b->next = NULL;
	l->asked_ns = io_boot_ns();
	feed_signed(s, b);
	return ST_OK;
}

static uint64_t greeting_ns(const struct spine *s)
{
	return s->config->signer_start_ms * 1000000ull;
}

static enum status greeting_take(struct spine *s, struct signer_reply *r)
{
	enum sign_answer a;
	struct slice text;
	enum status st = signer_reply_next(r, &a, &text);

	if (st != ST_OK)
		return st;
	if (a == ANSWER_SIGNED) {
		s->signer.link.ready = true;
		s->signer.greeting_ns = greeting_ns(s);
		log_info("signer", "ready");
		send_next(s);
	} else {
		log_error("signer", "refused to start: %.*s", (int)text.n, (const char *)text.p);
	}
	return ST_OK;
}

static enum status message_take(void *owner, struct slice bytes)
{
	struct signer_reply reply;
	enum status st = signer_reply_open(&reply, bytes);

	if (st != ST_OK)
		return st;
	return reply.tag == 0 ? greeting_take(owner, &reply) : reply_take(owner, &reply);
}

static void sent(void *owner)
{
	send_next(owner);
}

/* The supervisor hands over a socket to a (new) child: a letter that says which, a descriptor. */
static int descriptor_receive(int control, char *what)
{
	struct iovec iov = { what, 1 };
	union { struct cmsghdr h; char space[CMSG_SPACE(sizeof(int))]; } u;
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &u,
			    .msg_controllen = sizeof(u) };
	ssize_t n = recvmsg(control, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *h = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
	int fd = -1;

	if (h != NULL && h->cmsg_type == SCM_RIGHTS)
		memcpy(&fd, CMSG_DATA(h), sizeof(fd));
	else if (n == 0)
		fd = -2;
	return fd;
}

static void control_ready(struct io_op *op)
{
	struct spine *s = op->owner;
	char what;
	int fd;

	while ((fd = descriptor_receive(s->control, &what)) >= 0) {
		if (what == 'E') {
			remote_linked(s, fd);
		} else if (what == 'F') {
			foreign_set(s->foreign, fd);
		} else {
			child_link_set(&s->signer.link, fd);
			s->signer.linked_ns = io_boot_ns();
		}
	}
	if (fd == -2) {
		/* Without its supervisor the engine ends in good order. */
		log_error("spine", "the supervisor is gone");
		atomic_store(&s->stop, true);
		return;
	}
	s->control_op = (struct io_op){ .done = control_ready, .owner = s };
	io_poll(s->io, &s->control_op, s->control, POLLIN);
}

enum status signing_start(struct spine *s)
{
	static const struct child_calls calls = { "the signer", message_take, signer_lost, sent };
	enum status st = child_link_open(&s->signer.link, s->io, &calls, s,
					 SIGNER_REQUEST_BYTES_MAX, 4 + SIGNER_REPLY_BYTES_MAX,
					 SIGNER_REPLY_BYTES_MAX);

	s->signer.greeting_ns = greeting_ns(s);
	if (st == ST_OK)
		st = remote_link_start(s);
	if (st != ST_OK)
		return st;
	s->control_op = (struct io_op){ .done = control_ready, .owner = s };
	io_poll(s->io, &s->control_op, s->control, POLLIN);
	return ST_OK;
}

void signing_stop(struct spine *s)
{
	child_link_close(&s->signer.link);
	remote_link_stop(s);
}

static void signer_ask_new(struct spine *s, const char *why, uint64_t after_ns)
{
	log_error("signer", "%s for %llu ms; asking the supervisor for a new one", why,
		  (unsigned long long)(after_ns / 1000000));
	if (send(s->control, "R", 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		log_error("signer", "the supervisor cannot be reached: %s", strerror(errno));
}

void signing_tick(struct spine *s)
{
	struct signer_link *l = &s->signer;
	uint64_t now = io_boot_ns();
	bool silent = false;

	/* A signer with a broken receive in flight is armed again once that has come back. */
	child_link_receive(&l->link);
	/* One that is only slow gets the time it needs in the end. */
	if (l->link.fd >= 0 && !l->link.ready && now - l->linked_ns >= l->greeting_ns) {
		signer_ask_new(s, "not ready", l->greeting_ns);
		l->linked_ns = now;
		l->greeting_ns = l->greeting_ns < GREETING_NS_MAX / 2 ? 2 * l->greeting_ns :
				 GREETING_NS_MAX;
	}
	for (const struct batch *b = l->waiting; b != NULL; b = b->next)
		if (now - b->sent_ns >= REQUEST_SILENT_NS)
			silent = true;
	if (silent || (l->waiting != NULL && now - l->asked_ns >= SIGNER_SILENT_NS)) {
		signer_ask_new(s, "no answer", SIGNER_SILENT_NS);
		l->asked_ns = now;
		for (struct batch *b = l->waiting; b != NULL; b = b->next)
			b->sent_ns = now;
	}
}
