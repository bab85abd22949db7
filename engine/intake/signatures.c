#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "intake/waiting.h"
#include "trien/v1/signing.pb-c.h"

#define ANSWER_BYTES_MAX 512
#define NOT_ASKED UINT32_MAX

enum outcome {
	OUTCOME_TAKEN = TRIEN__V1__SIGNATURE_OUTCOME__SIGNATURE_TAKEN,
	OUTCOME_GIVEN_BEFORE = TRIEN__V1__SIGNATURE_OUTCOME__SIGNATURE_GIVEN_BEFORE,
	OUTCOME_NOT_WAITED_FOR = TRIEN__V1__SIGNATURE_OUTCOME__SIGNATURE_NOT_WAITED_FOR,
	OUTCOME_OTHER_DIGEST = TRIEN__V1__SIGNATURE_OUTCOME__SIGNATURE_OTHER_DIGEST,
	OUTCOME_WRONG = TRIEN__V1__SIGNATURE_OUTCOME__SIGNATURE_WRONG,
	OUTCOME_NOT_NOW = TRIEN__V1__SIGNATURE_OUTCOME__SIGNATURE_NOT_NOW
};

static const struct { const char *vi, *en; } messages[] = {
	[OUTCOME_TAKEN] = { "", "" },
	[OUTCOME_GIVEN_BEFORE] = { "Chữ ký của kết quả này đã được nhận trước đó",
				   "a signature for it was taken before" },
	[OUTCOME_NOT_WAITED_FOR] = { "Kết quả không chờ chữ ký này",
				     "the result waits for no such signature of the caller's" },
	[OUTCOME_OTHER_DIGEST] = { "Giá trị băm đã thay đổi, hãy lấy lại",
				   "another digest is to be signed; take it again" },
	[OUTCOME_WRONG] = { "Chữ ký không đúng với chứng thư số của người ký",
			    "the signature does not verify with the key's certificate" },
	[OUTCOME_NOT_NOW] = { "Chưa ghi nhận được, hãy gửi lại",
			      "it cannot be made durable now; give it again" },
};

/* One of the request: copied, since the request does not outlive a turn. */
struct given {
	char id[ID_TEXT_BYTES + 1];
	uint32_t slot, asked;		/* asked: index in the act, or NOT_ASKED */
	enum outcome outcome;
};

struct giving {
	struct act act;
	atomic_bool decided;
	uint32_t n, asked_n;
	struct given *given;
	struct given_signature *asked;
};

void signatures_give_free(struct call *c)
{
	struct giving *g = c->state;

	if (g == NULL)
		return;
	free(g->given);
	free(g->asked);
	free(g);
}

static void decided(struct act *a)
{
	struct call *c = a->owner;
	struct giving *g = c->state;

	atomic_store(&g->decided, true);
	call_queue(c);
	call_unref(c);
}

static void reply(struct call *c, const struct giving *g)
{
	struct reply p;

	if (!reply_open(c, &p, (size_t)g->n * ANSWER_BYTES_MAX))
		return;
	for (uint32_t i = 0; i < g->n; i++) {
		const struct given *one = &g->given[i];
		uint8_t *at = put_begin(&p.w, 1);

		put_text(&p.w, 1, one->id);
		put_number(&p.w, 2, one->slot);
		put_number(&p.w, 3, one->outcome);
		put_text(&p.w, 4, messages[one->outcome].vi);
		put_text(&p.w, 5, messages[one->outcome].en);
		put_end(&p.w, at);
	}
	reply_end(c, &p, ST_OK);
}

/*
 * What does not wait any more. That it was signed is told to whom its key belongs; to others it is
 * like one that does not exist.
 */
static enum outcome gone(struct call *c, struct read_thread *r, const uint8_t id[16], uint32_t slot)
{
	const struct engine_ops *ops = &c->in->ops;
	char signer[CODE_BYTES_MAX + 1];
	struct result_view v;
	enum status st = ops->get(r->store, id, &v);

	if (st != ST_OK && st != ST_NOT_FOUND)
		return OUTCOME_NOT_NOW;
	return st == ST_OK && v.state == STATE_STORED && slot < v.signatures_n &&
	       ops->awaited_signer(r->store, v.signatures[slot].cert_sha256, signer) &&
	       principal_signer(c->principal, slice_str(signer)) ?
	       OUTCOME_GIVEN_BEFORE : OUTCOME_NOT_WAITED_FOR;
}

/* Before it is asked for: taken only if it verifies. */
static enum outcome judge(struct call *c, struct read_thread *r, const Trien__V1__GivenSignature *q,
			  struct awaited_signature *a)
{
	const struct engine_ops *ops = &c->in->ops;
	enum status st;
	uint8_t id[16];

	if (!id_read(id, slice_str(q->result_id)))
		return OUTCOME_NOT_WAITED_FOR;
	st = ops->awaited_find(r->store, id, a);
	if (st == ST_NOT_FOUND)
		return gone(c, r, id, q->slot);
	if (st != ST_OK && st != ST_EXISTS)
		return OUTCOME_NOT_NOW;
	if (!principal_signer(c->principal, slice_str(a->signer)) || q->slot != a->slot)
		return OUTCOME_NOT_WAITED_FOR;
	if (st == ST_EXISTS)
		return OUTCOME_GIVEN_BEFORE;
	if (!slice_eq(slice_of(q->digest.data, q->digest.len), slice_of(a->digest, SHA256_BYTES)))
		return OUTCOME_OTHER_DIGEST;
	return q->signature.len <= SIGNATURE_VALUE_BYTES_MAX &&
	       ops->awaited_check(r->store, a, slice_of(q->signature.data, q->signature.len)) ?
	       OUTCOME_TAKEN : OUTCOME_WRONG;
}

/* One line a call: whoever sends wrong ones does not fill the log with them. */
static void alarm_wrong(struct call *c, uint32_t wrong, uint32_t of, const char *key)
{
	if (wrong == 0)
		return;
	atomic_fetch_add_explicit(&c->in->signatures_wrong, wrong, memory_order_relaxed);
	log_error("bridge", "ALARM principal=%s key=%s gave signatures=%u of %u that are not this "
		  "key's; their documents go on waiting", principal_name(c->principal), key, wrong,
		  of);
}

static void judge_all(struct call *c, struct read_thread *r, struct giving *g,
		      Trien__V1__GivenSignature *const *given)
{
	char wrong_key[KEY_NAME_BYTES_MAX + 1] = "";
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < g->n; i++) {
		struct given *one = &g->given[i];
		struct given_signature *ask = &g->asked[g->asked_n];
		struct awaited_signature a;

		snprintf(one->id, sizeof(one->id), "%s", given[i]->result_id);
		one->slot = given[i]->slot;
		one->asked = NOT_ASKED;
		one->outcome = judge(c, r, given[i], &a);
		if (one->outcome == OUTCOME_WRONG && wrong++ == 0)
			memcpy(wrong_key, a.key, sizeof(wrong_key));
		if (one->outcome != OUTCOME_TAKEN)
			continue;
		*ask = (struct given_signature){ .sequence = a.sequence, .slot = a.slot,
						 .value_n = (uint16_t)given[i]->signature.len };
		memcpy(ask->key, a.key, sizeof(ask->key));
		memcpy(ask->digest, a.digest, SHA256_BYTES);
		memcpy(ask->value, given[i]->signature.data, ask->value_n);
		one->asked = g->asked_n++;
	}
	alarm_wrong(c, wrong, g->n, wrong_key);
}

/* False: the call is answered. */
static bool begin(struct call *c, struct read_thread *r, struct giving *g)
{
	const Trien__V1__GiveSignaturesRequest *q =
		read_request(c, r, &trien__v1__give_signatures_request__descriptor);

	if (q == NULL)
		return false;
	if (q->n_given == 0 || q->n_given > AWAITED_MAX) {
		call_refuse(c, q->n_given == 0 ? FAULT_ARGUMENT_MISSING : FAULT_TOO_MANY, "given",
			    "1 to %d", AWAITED_MAX);
		return false;
	}
	g->n = (uint32_t)q->n_given;
	g->given = calloc(g->n, sizeof(*g->given));
	g->asked = calloc(g->n, sizeof(*g->asked));
	if (g->given == NULL || g->asked == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return false;
	}
	judge_all(c, r, g, q->given);
	return true;
}

static void ask(struct call *c, struct giving *g)
{
	enum status st;

	g->act = (struct act){ .type = ACT_SIGNATURES_GIVE, .signatures = g->asked,
			       .signatures_n = g->asked_n, .done = decided, .owner = c,
			       .actor = slice_str(principal_name(c->principal)) };
	call_ref(c);
	st = c->in->ops.act(c->in->ops.ctx, &g->act);
	if (st == ST_OK)
		return;
	call_refuse(c, st == ST_FULL ? FAULT_BUSY : FAULT_STOPPING, "", "%s", "");
	call_unref(c);
}

static void settle(struct giving *g)
{
	for (uint32_t i = 0; i < g->n; i++) {
		struct given *one = &g->given[i];
		enum status st = one->asked == NOT_ASKED ? ST_OK :
				 g->act.status != ST_OK ? g->act.status :
				 g->asked[one->asked].status;

		if (st != ST_OK)
			one->outcome = st == ST_EXISTS ? OUTCOME_GIVEN_BEFORE :
				       st == ST_NOT_FOUND ? OUTCOME_NOT_WAITED_FOR :
				       st == ST_CONFLICT ? OUTCOME_OTHER_DIGEST : OUTCOME_NOT_NOW;
	}
}

void signatures_give_work(struct call *c, struct read_thread *r)
{
	struct giving *g = c->state;

	if (g == NULL) {
		g = calloc(1, sizeof(*g));
		c->state = g;
		if (g == NULL)
			call_refuse(c, FAULT_BUSY, "", "no memory");
		else if (begin(c, r, g))
			g->asked_n > 0 ? ask(c, g) : reply(c, g);
	} else if (atomic_load(&g->decided)) {
		settle(g);
		reply(c, g);
	}
}
