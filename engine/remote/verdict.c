#include "remote/desk_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define UNFIT_MS 60000			/* a credential that does not fit is left alone */
#define TOKEN_SPARE_S 30
#define ROW_MAX 20			/* of failures: beyond, back-off does not grow */

/* ---- failure ---- */

static int64_t back_off(struct desk *d, const struct service *s, uint32_t row)
{
	int64_t ms = s->back_off_ms;

	for (uint32_t i = 1; i < row && i < ROW_MAX && ms < s->back_off_max_ms; i++)
		ms *= 2;
	if (ms > s->back_off_max_ms)
		ms = s->back_off_max_ms;
	/* xorshift: so that those who failed together do not come again together */
	d->random ^= d->random << 13;
	d->random ^= d->random >> 17;
	d->random ^= d->random << 5;
	return ms / 2 + (int64_t)(d->random % (uint32_t)(ms / 2 + 1));
}

/* The service, not this item, is in trouble. */
void post_failed(struct desk *d, struct post *p, int64_t wish_ms, const char *why)
{
	int64_t wait;

	if (p->row < UINT32_MAX)
		p->row++;
	wait = back_off(d, p->service, p->row);
	if (wish_ms > wait)
		wait = wish_ms < p->service->back_off_max_ms ? wish_ms :
			p->service->back_off_max_ms;
	p->until_ms = d->now.mono_ms + wait;
	if (p->row == 1 || p->row % 16 == 0)
		log_warn("remote", "service=%s %s; failures=%u waiting=%u, again in %lld ms",
			 p->service->name, why, p->row, p->items, (long long)wait);
}

static void post_good(struct desk *d, struct post *p)
{
	if (p->row > 0)
		log_info("remote", "service=%s answers again after failures=%u", p->service->name,
			 p->row);
	p->row = 0;
	p->until_ms = 0;
}

/* One item was asked for and not answered, perhaps for the last time. */
static void asked_in_vain(struct desk *d, struct job *j, bool silent)
{
	const struct desk_key *k = &d->keys[j->key];
	bool person = silent && k->remote.policy->signer != NULL;

	if (++j->tries >= k->post->service->tries)
		desk_settle_text(d, j, person ? REMOTE_NOT_GIVEN : REMOTE_UNAVAILABLE,
				 "asked for as often as allowed, in vain");
}

/*
 * What was not answered: asked again, now or later. A transaction that the service has begun, or
 * that a person has confirmed, goes on as it is.
 */
void transaction_again(struct desk *d, struct transaction *t)
{
	int64_t later = d->now.mono_ms + back_off(d, t->post->service, ++t->row);

	if (t->key != NULL && t->key->fit == FIT_ASKING && t->n == 0)
		t->key->fit = FIT_UNKNOWN;
	if (t->id[0] != '\0' && t->live > 0) {
		t->wake_ms = later;
		return;
	}
	transaction_wait_again(d, t, false, 0);
	transaction_free(t);
}

/* Does it wait for a person, or a machine, that stands behind this call? */
static bool asks_the_signer(const struct transaction *t)
{
	return t->step == STEP_SIGN || t->step == STEP_AUTHORIZE;
}

/*
 * Where others were answered meanwhile, it is this key's signer who is slow; and where nobody else
 * was asked in vain: an officer who is in a meeting does not close the service to his colleagues.
 */
static bool signer_is_slow(const struct transaction *t)
{
	struct post *p = t->post;

	if (t->key == NULL)
		return false;
	if (p->good_ms >= t->started_ms && p->good_ms != 0)
		return true;
	if (p->keys_n == 1 || !asks_the_signer(t) || (p->slow != NULL && p->slow != t->key))
		return false;
	p->slow = t->key;
	return true;
}

void transaction_no_answer(struct desk *d, struct transaction *t, bool silent, const char *why)
{
	struct post *p = t->post;

	for (uint32_t i = 0; asks_the_signer(t) && i < t->n; i++)
		if (t->jobs[i] != NULL)
			asked_in_vain(d, t->jobs[i], silent);
	if (signer_is_slow(t)) {
		t->key->row++;
		t->key->until_ms = d->now.mono_ms + back_off(d, p->service, t->key->row);
		log_warn("remote", "service=%s key=%s %s", p->service->name,
			 t->key->remote.policy->id, why);
	} else {
		post_failed(d, p, 0, why);
	}
	transaction_again(d, t);
}

/* The request is refused as such: for the one, or for all because of one. */
static void refused_request(struct desk *d, struct transaction *t, long status, const char *code)
{
	struct post *p = t->post;
	char text[96];

	log_warn("remote", "service=%s key=%s step=%d refuses a request of %u: HTTP %ld %s",
		 p->service->name, t->key->remote.policy->id, (int)t->step, t->live, status, code);
	snprintf(text, sizeof(text), "the service refuses the request: HTTP %ld", status);
	if (t->id[0] != '\0') {
		transaction_settle(d, t, REMOTE_TICKET_LOST, text);
	} else if (t->live > 1) {
		transaction_wait_again(d, t, true, 0);
	} else {
		for (uint32_t i = 0; i < t->n; i++) {
			struct job *j = t->jobs[i];

			if (j == NULL)
				continue;
			j->alone = true;
			if (++j->wrong >= p->service->wrong_tries)
				desk_settle_text(d, j, REMOTE_REFUSED, text);
			else
				desk_wait_again(d, j, d->now.mono_ms +
					   back_off(d, p->service, j->wrong));
		}
	}
	transaction_free(t);
}

/* ---- what an answer says ---- */

static void signed_take(struct desk *d, struct transaction *t)
{
	const struct service *s = t->post->service;
	struct desk_key *k = t->key;
	uint32_t wrong = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		const struct api_signature *a = &d->answer.signatures[i];
		uint8_t out[SIGNATURE_BYTES_MAX];
		struct job *j = t->jobs[i];
		uint16_t n;

		if (j == NULL)
			continue;
		if (remote_key_check(&k->remote, j->digest, slice_of(a->bytes, a->n), s->raw, out,
				     &n)) {
			desk_settle(d, j, REMOTE_SIGNED, slice_of(out, n));
			continue;
		}
		wrong++;
		j->alone = true;
		if (++j->wrong >= s->wrong_tries)
			desk_settle_text(d, j, REMOTE_WRONG_ANSWER,
				    "no signature of this key came, as often as it was asked for");
		else
			desk_wait_again(d, j, d->now.mono_ms + back_off(d, s, j->wrong));
	}
	if (wrong > 0) {
		log_error("remote", "ALARM service=%s key=%s gave signatures=%u that are wrong or "
			  "missing, of %u", s->name, k->remote.policy->id, wrong, t->n);
		/* Its certificate may have been replaced. */
		if (s->api == API_CSC)
			k->fit = FIT_UNKNOWN;
	}
	transaction_free(t);
}

static void pending_take(struct desk *d, struct transaction *t)
{
	const struct service *s = t->post->service;
	bool fresh = t->step != d->answer.next || strcmp(t->id, d->answer.id) != 0;

	t->step = d->answer.next;
	memcpy(t->id, d->answer.id, sizeof(t->id));
	t->row = 0;
	for (uint32_t i = 0; i < t->n; i++)
		if (t->jobs[i] != NULL)
			t->jobs[i]->since_ms = d->now.mono_ms;
	if (fresh) {
		sad_forget(t);
		t->poll_ms = s->poll_ms;
		transaction_tickets(d, t);
	}
	t->wake_ms = d->now.mono_ms + t->poll_ms;
	t->poll_ms += t->poll_ms / 2 + 1;
	if (t->poll_ms > s->poll_max_ms)
		t->poll_ms = s->poll_max_ms;
}

static void authorized_take(struct desk *d, struct transaction *t)
{
	transaction_authorized(t);
	sad_forget(t);
	t->sad = strdup(d->answer.text);
	t->step = STEP_SIGN;
	t->wake_ms = d->now.mono_ms;
}

static void unfit(struct desk *d, struct desk_key *k)
{
	k->fit = FIT_NO;
	k->fit_until_ms = d->now.mono_ms + UNFIT_MS;
	log_error("remote", "ALARM service=%s key=%s: no credential there has the certificate of "
		  "keys.json, is enabled and can be used from here", k->post->service->name,
		  k->remote.policy->id);
}

/* The next credential of the list, or none is left. */
static void candidate_next(struct desk *d, struct transaction *t)
{
	struct desk_key *k = t->key;

	if (k->candidate < k->candidates_n) {
		memcpy(k->credential, k->candidates[k->candidate++], sizeof(k->credential));
		t->step = STEP_INFO;
		t->wake_ms = d->now.mono_ms;
		return;
	}
	unfit(d, k);
	transaction_free(t);
}

static void listed_take(struct desk *d, struct transaction *t)
{
	struct desk_key *k = t->key;

	free(k->candidates);
	k->candidate = 0;
	k->candidates_n = d->answer.credentials_n;
	k->candidates = calloc(k->candidates_n > 0 ? k->candidates_n : 1, sizeof(*k->candidates));
	if (k->candidates == NULL)
		k->candidates_n = 0;
	else
		memcpy(k->candidates, d->answer.credentials,
		       k->candidates_n * sizeof(*k->candidates));
	candidate_next(d, t);
}

static void token_take(struct desk *d, struct transaction *t)
{
	struct post *p = t->post;
	uint32_t s = d->answer.seconds > 0 ? d->answer.seconds : 300;
	uint32_t spare = s / 2 < TOKEN_SPARE_S ? s / 2 : TOKEN_SPARE_S;

	free(p->token);
	p->token = strdup(d->answer.text);
	p->token_until_ms = d->now.mono_ms + (int64_t)(s - spare) * 1000;
	transaction_free(t);
}

static void denied_take(struct desk *d, struct transaction *t)
{
	struct post *p = t->post;

	p->token_until_ms = 0;
	if (t->key == NULL || p->service->token_url == NULL || ++p->denied > 1)
		post_failed(d, p, 0, "denies us access (HTTP 401)");
	transaction_again(d, t);
	/* With a fresh token it may go on at once. */
}

static void fits_take(struct desk *d, struct transaction *t)
{
	t->key->fit = FIT_YES;
	t->key->sign_algo = d->answer.sign_algo;
	t->key->multisign = d->answer.multisign;
	transaction_free(t);
}

static void refused_take(struct desk *d, struct transaction *t)
{
	transaction_settle(d, t, REMOTE_REFUSED, "refused at the service");
	if (t->n == 0 && t->key != NULL)
		unfit(d, t->key);
	transaction_free(t);
}

/* Those that wait are given back in the key's next turn. */
static void pin_refused_take(struct desk *d, struct transaction *t)
{
	t->key->pin_refused = true;
	log_error("remote", "ALARM service=%s key=%s: its PIN in auth_data is refused (%s), and is "
		  "not sent again before SIGHUP", t->post->service->name,
		  t->key->remote.policy->id, d->answer.error);
	transaction_settle(d, t, REMOTE_PIN_REFUSED, "the PIN is refused");
	transaction_free(t);
}

static void bad_take(struct desk *d, struct transaction *t, long status)
{
	if (t->step == STEP_INFO || t->step == STEP_LIST) {
		candidate_next(d, t);
	} else if (t->key == NULL) {
		post_failed(d, t->post, 0, "gives no access token");
		transaction_free(t);
	} else {
		refused_request(d, t, status, d->answer.error);
	}
}

void transaction_verdict(struct desk *d, struct transaction *t, const struct web_result *r)
{
	struct api_answer *a = &d->answer;
	struct post *p = t->post;
	char why[64];

	if (a->verdict <= VERDICT_LOST && a->verdict != VERDICT_TOKEN)
		p->denied = 0;
	if (a->verdict <= VERDICT_LOST || a->verdict == VERDICT_BAD) {
		p->good_ms = d->now.mono_ms;
		p->slow = NULL;
	}
	/* What only prepares a signature does not show that the service can make one. */
	if (a->verdict >= VERDICT_PENDING && a->verdict <= VERDICT_LOST)
		post_good(d, p);
	if (a->verdict <= VERDICT_LOST && t->key != NULL)
		t->key->row = 0;
	snprintf(why, sizeof(why), "is not well (HTTP %ld)", r->status);
	switch (a->verdict) {
	case VERDICT_TOKEN:
		token_take(d, t);
		break;
	case VERDICT_LISTED:
		listed_take(d, t);
		break;
	case VERDICT_FITS:
		fits_take(d, t);
		break;
	case VERDICT_OTHER:
		candidate_next(d, t);
		break;
	case VERDICT_AUTHORIZED:
		authorized_take(d, t);
		break;
	case VERDICT_PIN_REFUSED:
		pin_refused_take(d, t);
		break;
	case VERDICT_PENDING:
		pending_take(d, t);
		break;
	case VERDICT_SIGNED:
		signed_take(d, t);
		break;
	case VERDICT_REFUSED:
		refused_take(d, t);
		break;
	case VERDICT_LOST:
		transaction_settle(d, t, REMOTE_TICKET_LOST, "the service does not know it");
		transaction_free(t);
		break;
	case VERDICT_DENIED:
		denied_take(d, t);
		break;
	case VERDICT_BAD:
		bad_take(d, t, r->status);
		break;
	case VERDICT_AGAIN:
		post_failed(d, p, r->retry_after_ms, why);
		transaction_again(d, t);
		break;
	case VERDICT_UNREADABLE:
		transaction_no_answer(d, t, false, "gives an answer that cannot be read");
		break;
	}
}
