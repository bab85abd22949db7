#include <stdlib.h>

#include "base/hash.h"
#include "intake/bell.h"
#include "intake/waiting.h"
#include "trien/v1/signing.pb-c.h"

#define DIGESTS_DEFAULT 100
#define WAIT_S_MAX 30
#define AWAITED_BYTES_MAX 512

/* Looks, waits for the bell when there is nothing, and looks again. */
struct taking {
	struct ringing ringing;
	bool begun, answered;
	char signer[CODE_BYTES_MAX + 1], key[KEY_NAME_BYTES_MAX + 1];
	uint32_t max, list;
	struct waiting_place after;	/* sequence 0: from the first */
	uint64_t until_ms;
};

void digests_take_run(struct call *c)
{
	struct taking *t = calloc(1, sizeof(*t));

	if (t == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return;
	}
	c->state = t;
	call_queue(c);
}

void digests_take_free(struct call *c)
{
	free(c->state);
}

/* Its line broke, or the engine stops: it looks, and ends. */
void digests_take_closed(struct call *c)
{
	if (c->state != NULL)
		call_queue(c);
}

static bool begin(struct call *c, struct read_thread *r, struct taking *t)
{
	const Trien__V1__TakeDigestsRequest *q =
		read_request(c, r, &trien__v1__take_digests_request__descriptor);
	const char *signer = q != NULL ? waiting_signer(c, q->signer) : NULL;

	if (signer == NULL)
		return false;
	if (q->max_digests > AWAITED_MAX || q->wait_seconds > WAIT_S_MAX) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, q->max_digests > AWAITED_MAX ?
			    "max_digests" : "wait_seconds", "at most %d",
			    q->max_digests > AWAITED_MAX ? AWAITED_MAX : WAIT_S_MAX);
		return false;
	}
	if (strlen(q->key_id) > KEY_NAME_BYTES_MAX) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "key_id", "at most %d bytes",
			    KEY_NAME_BYTES_MAX);
		return false;
	}
	memcpy(t->signer, signer, strlen(signer) + 1);
	memcpy(t->key, q->key_id, strlen(q->key_id) + 1);
	t->list = crc32c(crc32c(0, t->signer, strlen(t->signer) + 1), t->key, strlen(t->key));
	if (q->page_token[0] != '\0' &&
	    !waiting_token_read(q->page_token, t->list, &t->after)) {
		call_refuse(c, FAULT_PAGE_TOKEN_INVALID, "page_token", "%s", "");
		return false;
	}
	t->max = q->max_digests != 0 ? q->max_digests : DIGESTS_DEFAULT;
	t->until_ms = intake_clock_ms() + q->wait_seconds * 1000ull;
	t->begun = true;
	return true;
}

static void put_awaited(struct writer *w, const struct awaited_signature *a)
{
	uint8_t *at = put_begin(w, 1);
	char text[ID_TEXT_BYTES];

	id_text(text, a->result_id);
	put_slice(w, 1, slice_of(text, sizeof(text)));
	put_number(w, 2, a->slot);
	put_text(w, 3, a->key);
	put_slice(w, 4, slice_of(a->cert_sha256, SHA256_BYTES));
	put_number(w, 5, a->form);
	put_slice(w, 6, slice_of(a->digest, SHA256_BYTES));
	put_text(w, 7, a->unit);
	put_text(w, 8, a->kind);
	put_text(w, 9, a->number_text);
	put_time(w, 10, a->sign_ms);
	put_end(w, at);
}

/* at: of the last one, where there may be more. */
static void reply(struct call *c, const struct taking *t, const struct awaited_signature *list,
		  uint32_t n, const struct waiting_place *at)
{
	struct reply p;

	if (!reply_open(c, &p, (size_t)n * AWAITED_BYTES_MAX + 128))
		return;
	for (uint32_t i = 0; i < n; i++)
		put_awaited(&p.w, &list[i]);
	if (n == t->max)
		put_waiting_token(&p.w, 2, t->list, at);
	reply_end(c, &p, ST_OK);
}

/* False: it waits. */
static bool look(struct call *c, struct read_thread *r, struct taking *t)
{
	const struct engine_ops *ops = &c->in->ops;
	uint64_t seen = ops->awaited_news(ops->ctx);
	struct awaited_signature *list = calloc(t->max, sizeof(*list));
	struct waiting_place at = t->after;
	bool waits = false;
	enum status st;
	uint32_t n = 0;

	if (list == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return true;
	}
	st = ops->awaited_list(r->store, t->signer, t->key[0] != '\0' ? t->key : NULL, &at,
			       list, t->max, &n);
	if (st != ST_OK) {
		read_refuse(c, st);
	} else if (n > 0 || t->after.sequence != 0 || intake_clock_ms() >= t->until_ms) {
		reply(c, t, list, n, &at);
	} else {
		waits = bell_wait(c->in->bell, &t->ringing, c, seen, t->until_ms);
		if (!waits)
			call_refuse(c, FAULT_BUSY, "", "too many calls wait");
	}
	free(list);
	return !waits;
}

void digests_take_work(struct call *c, struct read_thread *r)
{
	struct taking *t = c->state;

	/* There may be a turn that was asked for before the answer. */
	if (t->answered)
		return;
	bell_leave(c->in->bell, &t->ringing);
	if (atomic_load(&c->cancelled)) {
		t->answered = true;
		call_drop(c);
	} else if (atomic_load(&c->in->stopping)) {
		t->answered = true;
		call_refuse(c, FAULT_STOPPING, "", "%s", "");
	} else if (!t->begun && !begin(c, r, t)) {
		t->answered = true;
	} else {
		t->answered = look(c, r, t);
	}
}
