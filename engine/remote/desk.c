#include "remote/desk_inside.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"

#define SWEEP_MS 250			/* between looks at deadlines */

/* ---- calls ---- */

static void ask_of(struct desk *d, const struct transaction *t, struct api_ask *ask)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct job *j = t->jobs[i];

		d->items[i] = (struct api_item){ NULL, { NULL, 0 } };
		if (j != NULL)
			d->items[i] = (struct api_item){ j->digest,
							 slice_of(j->name, j->name_n) };
	}
	*ask = (struct api_ask){ .step = t->step, .service = t->post->service,
				 .key = t->key != NULL ? &t->key->remote : NULL,
				 .credential = t->key != NULL ? t->key->credential : "",
				 .sign_algo = t->key != NULL && t->key->sign_algo != NULL ?
					t->key->sign_algo : "",
				 .id = t->id, .sad = t->sad != NULL ? t->sad : "",
				 .items = d->items, .n = t->n };
}

static void call(struct desk *d, struct transaction *t)
{
	struct post *p = t->post;
	struct api_request r;
	struct api_ask ask;
	enum status st;

	if (t->step == STEP_AUTHORIZE || t->step == STEP_SIGN)
		transaction_close_ranks(t);
	ask_of(d, t, &ask);
	st = api_build(&r, &ask);
	if (st == ST_OK)
		st = d->out.send(d->out.ctx, t, p->service, &r,
				 t->key != NULL ? p->token : NULL);
	api_request_free(&r);
	if (st != ST_OK) {
		post_failed(d, p, 0, "cannot be called: no memory or an address too long");
		transaction_again(d, t);
		return;
	}
	t->calling = true;
	t->started_ms = d->now.mono_ms;
	p->calls++;
	if (t->key != NULL)
		t->key->calls++;
}

void desk_take(struct desk *d, void *of, const struct web_result *r, struct moment now)
{
	struct transaction *t = of;
	struct api_ask ask;

	d->now = now;
	t->calling = false;
	t->post->calls--;
	if (t->key != NULL)
		t->key->calls--;
	if (t->live == 0 && t->n > 0) {
		transaction_free(t);		/* all of it was cancelled or ran out of time */
		return;
	}
	if (r->state == WEB_NOT_SENT) {
		post_failed(d, t->post, 0, "is not reached");
		transaction_again(d, t);
		return;
	}
	if (r->state != WEB_ANSWERED) {
		transaction_no_answer(d, t, r->state == WEB_SILENT, "does not answer");
		return;
	}
	ask_of(d, t, &ask);
	api_read(&d->answer, &ask, r->status, r->body);
	transaction_verdict(d, t, r);
	api_answer_free(&d->answer);
}

/* ---- what is due ---- */

/*
 * Has it all the calls that one key may have? The last place is for the keys of others, who would
 * wait for its signer's time-out; whoever does not answer has one.
 */
static bool has_its_share(const struct desk_key *k)
{
	uint32_t n = k->post->service->calls_max;

	if (k->row > 0)
		n = 1;
	else if (k->post->keys_n > 1 && n > 1)
		n--;
	return k->calls >= n;
}

/* Confirmed before a restart; what its credential is called is not known yet. */
static bool needs_inquiry(const struct transaction *t)
{
	return t->step == STEP_SIGN && t->post->service->api == API_CSC &&
	       t->key->fit != FIT_YES;
}

/* Nothing to ask for it until another call has ended, or at all. */
static bool is_idle(const struct transaction *t)
{
	return t->calling || (t->n > 0 && t->live == 0) ||
	       (t->key != NULL && has_its_share(t->key)) ||
	       (needs_inquiry(t) && t->key->fit == FIT_ASKING);
}

static struct transaction *due(struct post *p, int64_t now)
{
	struct transaction *best = NULL;

	for (struct transaction *t = p->all; t != NULL; t = t->next)
		if (!is_idle(t) && t->wake_ms <= now &&
		    (best == NULL || t->wake_ms < best->wake_ms))
			best = t;
	return best;
}

static struct job *alone_due(const struct desk_key *k, int64_t now)
{
	struct job *j = k->alone.first;

	while (j != NULL && j->not_before_ms > now)
		j = j->next;
	return j;
}

static uint32_t group_max(const struct desk_key *k)
{
	uint32_t n = k->post->service->hashes_max;

	return k->post->service->api == API_CSC && k->multisign < n ? k->multisign : n;
}

/* When the key's group is ripe; INT64_MAX: nothing waits, or the end of a call wakes us. */
static int64_t ripe_ms(const struct desk_key *k)
{
	const struct service *s = k->post->service;
	int64_t at = INT64_MAX;

	if (k->authorizing != NULL || has_its_share(k))
		return INT64_MAX;
	if (k->waiting.n > 0)
		at = k->waiting.n >= group_max(k) ? 0 : k->waiting.first->queued_ms + s->age_ms;
	for (struct job *j = k->alone.first; j != NULL; j = j->next)
		if (j->not_before_ms < at)
			at = j->not_before_ms;
	return at > k->until_ms ? at : k->until_ms;
}

static struct transaction *inquire(struct desk_key *k)
{
	bool named = k->remote.policy->credential != NULL;
	struct transaction *t = transaction_new(k->post, k, named ? STEP_INFO : STEP_LIST, 0);

	k->candidates_n = k->candidate = 0;
	if (named)
		snprintf(k->credential, sizeof(k->credential), "%s",
			 k->remote.policy->credential);
	if (t != NULL)
		k->fit = FIT_ASKING;
	return t;
}

/* NULL: it cannot go on. */
static struct transaction *inquire_for(struct desk *d, struct transaction *t)
{
	if (t->key->fit != FIT_NO || d->now.mono_ms >= t->key->fit_until_ms)
		return inquire(t->key);
	transaction_settle(d, t, REMOTE_OTHER_CERTIFICATE, "the service has no such credential");
	transaction_free(t);
	return NULL;
}

static struct transaction *group(struct desk *d, struct desk_key *k)
{
	struct job *one = alone_due(k, d->now.mono_ms);
	uint32_t n = one != NULL ? 1 : k->waiting.n < group_max(k) ? k->waiting.n : group_max(k);
	enum api_step step = k->post->service->api == API_CSC ? STEP_AUTHORIZE : STEP_SIGN;
	struct transaction *t = n == 0 ? NULL : transaction_new(k->post, k, step, n);

	for (uint32_t i = 0; t != NULL && i < n; i++)
		transaction_join(t, i, one != NULL ? one : k->waiting.first);
	if (step == STEP_AUTHORIZE)
		k->authorizing = t;
	return t;
}

static void turn_away(struct desk *d, struct desk_key *k, enum remote_status s, const char *why)
{
	struct job_list *both[] = { &k->waiting, &k->alone };

	for (size_t i = 0; i < ARRAY_LEN(both); i++)
		while (both[i]->first != NULL)
			desk_settle_text(d, both[i]->first, s, why);
}

/* What a key whose turn it is wants to ask; NULL: nothing now. */
static struct transaction *wanted(struct desk *d, struct desk_key *k)
{
	if (ripe_ms(k) > d->now.mono_ms)
		return NULL;
	if (k->pin_refused) {
		turn_away(d, k, REMOTE_PIN_REFUSED, "the PIN was refused");
		return NULL;
	}
	if (k->fit == FIT_NO && d->now.mono_ms < k->fit_until_ms) {
		turn_away(d, k, REMOTE_OTHER_CERTIFICATE, "the service has no such credential");
		return NULL;
	}
	if (k->fit == FIT_NO || k->fit == FIT_UNKNOWN)
		return inquire(k);
	return k->fit == FIT_YES ? group(d, k) : NULL;
}

/* Goes once round; keys with nothing waiting leave the ring. */
static struct transaction *next_in_turn(struct desk *d, struct post *p)
{
	struct desk_key *last = p->ring, *before = p->ring, *k;

	while (before != NULL) {
		struct transaction *t;
		bool end;

		k = before->next_waiting;
		end = k == last;
		t = wanted(d, k);
		if (k->waiting.n == 0 && k->alone.n == 0) {
			k->in_ring = false;
			before->next_waiting = k->next_waiting;
			if (k == p->ring)
				p->ring = before == k ? NULL : before;
			k = before;
		}
		if (t != NULL) {
			p->ring = p->ring != NULL ? k : NULL;
			return t;
		}
		if (end)
			break;
		before = k;
	}
	return NULL;
}

static bool token_due(const struct post *p, int64_t now)
{
	return p->service->token_url != NULL && (p->token == NULL || now >= p->token_until_ms);
}

static bool token_asked(const struct post *p)
{
	for (struct transaction *t = p->all; t != NULL; t = t->next)
		if (t->step == STEP_TOKEN)
			return true;
	return false;
}

static void post_run(struct desk *d, struct post *p)
{
	int64_t now = d->now.mono_ms;

	while (now >= p->until_ms && p->calls < (p->row > 0 ? 1 : p->service->calls_max)) {
		struct transaction *t;

		if (p->items == 0)
			return;
		if (token_due(p, now)) {
			t = token_asked(p) ? NULL : transaction_new(p, NULL, STEP_TOKEN, 0);
		} else {
			t = due(p, now);
			if (t == NULL)
				t = next_in_turn(d, p);
			else if (needs_inquiry(t))
				t = inquire_for(d, t);
		}
		if (t == NULL)
			return;
		call(d, t);
	}
}

/* ---- time ---- */

static void look_at(void *ctx, struct job *j)
{
	struct desk *d = ctx;
	const struct service *s = d->keys[j->key].post->service;

	if (j->deadline_ms != 0 && d->now.unix_ms >= j->deadline_ms)
		desk_settle_text(d, j, REMOTE_EXPIRED, "the deadline passed");
	else if (d->now.mono_ms - j->since_ms > s->patience_ms)
		desk_settle_text(d, j, REMOTE_UNAVAILABLE, "no good answer for too long");
}

static void sweep(struct desk *d)
{
	if (d->now.mono_ms < d->sweep_ms)
		return;
	d->sweep_ms = d->now.mono_ms + SWEEP_MS;
	jobs_each(d->jobs, look_at, d);
	for (uint32_t i = 0; i < services_count(d->services); i++)
		for (struct transaction *t = d->posts[i].all, *next; t != NULL; t = next) {
			next = t->next;
			if (!t->calling && t->n > 0 && t->live == 0)
				transaction_free(t);
		}
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t post_wake(const struct post *p, int64_t now)
{
	struct desk_key *k = p->ring;
	int64_t at = INT64_MAX;

	/* Without a free place the end of a call wakes us. */
	if (p->items == 0 || p->calls >= (p->row > 0 ? 1 : p->service->calls_max) ||
	    (token_due(p, now) && token_asked(p)))
		return at;
	for (struct transaction *t = p->all; t != NULL; t = t->next)
		if (!is_idle(t))
			at = earlier(at, t->wake_ms);
	do {
		if (k != NULL && k->fit != FIT_ASKING)
			at = earlier(at, ripe_ms(k));
		k = k != NULL ? k->next_waiting : NULL;
	} while (k != p->ring);
	return at == INT64_MAX || at > p->until_ms ? at : p->until_ms;
}

int64_t desk_run(struct desk *d, struct moment now)
{
	int64_t wake;

	d->now = now;
	sweep(d);
	wake = jobs_count(d->jobs) > 0 ? d->sweep_ms : INT64_MAX;
	for (uint32_t i = 0; i < services_count(d->services); i++) {
		post_run(d, &d->posts[i]);
		wake = earlier(wake, post_wake(&d->posts[i], now.mono_ms));
	}
	return wake;
}

/* ---- items come and go ---- */

static int compare_id(const void *id, const void *entry)
{
	const struct slice *a = id;
	const char *b = (*(struct desk_key *const *)entry)->remote.policy->id;
	size_t n = strlen(b);
	int c = memcmp(a->p, b, a->n < n ? a->n : n);

	return c != 0 ? c : (a->n > n) - (a->n < n);
}

static struct desk_key *key_find(struct desk *d, struct slice id)
{
	struct desk_key **at = NULL;

	if (id.n > 0 && d->keys_n > 0)
		at = bsearch(&id, d->by_id, d->keys_n, sizeof(*d->by_id), compare_id);
	return at != NULL ? *at : NULL;
}

/* Into the transaction of its ticket, which begins with the first that comes. */
static bool resume(struct desk *d, struct desk_key *k, struct job *j, struct slice bytes)
{
	struct transaction *t;
	struct ticket k0;
	char id[TRANSACTION_BYTES_MAX + 1];

	if (ticket_decode(&k0, bytes) != ST_OK ||
	    memcmp(k0.mark, k->post->service->mark, sizeof(k0.mark)) != 0 ||
	    (k0.step != STEP_CHECK && k0.step != STEP_POLL) ||
	    (k0.step == STEP_CHECK && k->post->service->api != API_CSC) ||
	    (k0.step == STEP_POLL && k->post->service->api == API_HASH_ARRAY &&
	     k->post->service->form.poll_url == NULL))
		return false;
	memcpy(id, k0.id.p, k0.id.n);
	id[k0.id.n] = '\0';
	for (t = k->post->all; t != NULL; t = t->next)
		if (t->key == k && t->step == k0.step && t->n == k0.count &&
		    strcmp(t->id, id) == 0)
			break;
	if (t == NULL) {
		t = transaction_new(k->post, k, (enum api_step)k0.step, k0.count);
		if (t == NULL)
			return false;
		memcpy(t->id, id, k0.id.n + 1);
		t->wake_ms = d->now.mono_ms + REMOTE_GATHER_MS;
	}
	if (t->jobs[k0.index] != NULL || t->calling)
		return false;
	transaction_join(t, k0.index, j);
	if (t->live == t->n && t->row == 0 && t->wake_ms > d->now.mono_ms)
		t->wake_ms = d->now.mono_ms;
	return true;
}

static void accept(struct desk *d, struct desk_key *k, struct job *j,
		   const struct remote_request *r)
{
	j->key = (uint32_t)(k - d->keys);
	memcpy(j->digest, r->digest, sizeof(j->digest));
	if (r->name.n > 0)
		memcpy(j->name, r->name.p, r->name.n);
	j->name_n = (uint8_t)r->name.n;
	j->deadline_ms = r->deadline_ms;
	j->since_ms = j->queued_ms = d->now.mono_ms;
	k->post->items++;
	if (r->ticket.n == 0) {
		job_append(&k->waiting, j);
		key_waits(k);
	} else if (!resume(d, k, j, r->ticket)) {
		desk_settle_text(d, j, REMOTE_TICKET_LOST, "not a ticket that can be used here");
	}
}

static bool name_good(struct slice name)
{
	while (name.n > 0) {
		int32_t c = utf8_next(&name);

		if (c < 0 || utf8_refused((uint32_t)c))
			return false;
	}
	return true;
}

enum status desk_submit(struct desk *d, const struct remote_request *r, struct moment now)
{
	struct desk_key *k = key_find(d, r->key);
	enum remote_status s;
	struct job *j;
	enum status st;

	d->now = now;
	if (r->tag == 0 || !name_good(r->name) || jobs_find(d->jobs, r->tag) != NULL)
		return ST_CORRUPT;
	s = k == NULL ? REMOTE_UNKNOWN_KEY :
		remote_key_judge(&k->remote, r->unit, r->kind, now.unix_ms);
	if (s != REMOTE_SIGNED) {
		desk_tell(d, r->tag, s, slice_str("by keys.json and the certificate"));
		return ST_OK;
	}
	if (r->deadline_ms != 0 && now.unix_ms >= r->deadline_ms) {
		desk_tell(d, r->tag, REMOTE_EXPIRED, slice_str("the deadline passed"));
		return ST_OK;
	}
	if (k->post->items >= k->post->service->queue_max) {
		desk_tell(d, r->tag, REMOTE_UNAVAILABLE, slice_str("the service's queue is full"));
		return ST_OK;
	}
	st = jobs_add(d->jobs, r->tag, &j);
	if (st != ST_OK) {
		desk_tell(d, r->tag, REMOTE_UNAVAILABLE, slice_str("no memory"));
		return ST_OK;
	}
	accept(d, k, j, r);
	return ST_OK;
}

void desk_cancel(struct desk *d, uint64_t tag)
{
	struct job *j = jobs_find(d->jobs, tag);

	if (j != NULL)
		desk_settle_text(d, j, REMOTE_CANCELLED, "");
}

/* ---- start and end ---- */

static int by_id(const void *a, const void *b)
{
	return strcmp((*(struct desk_key *const *)a)->remote.policy->id,
		      (*(struct desk_key *const *)b)->remote.policy->id);
}

static enum status keys_open(struct desk *d, const char *certs_dir, struct error *e)
{
	uint32_t n = policy_count(d->policy);
	enum status st = ST_OK;

	d->keys = calloc(n, sizeof(*d->keys));
	d->by_id = calloc(n, sizeof(*d->by_id));
	if (d->keys == NULL || d->by_id == NULL)
		return error_set(e, ST_NOMEM, "remote keys: out of memory");
	for (uint32_t i = 0; i < n && st == ST_OK; i++) {
		const struct key_policy *p = policy_key(d->policy, i);
		struct desk_key *k = &d->keys[d->keys_n];
		int32_t at = p->source == SOURCE_REMOTE ? services_find(d->services, p->service) :
			-1;

		if (p->source != SOURCE_REMOTE)
			continue;
		if (at < 0)
			return error_set(e, ST_INVALID, "keys.json: key '%s': remote.json has no "
					 "service '%s'", p->id, p->service);
		k->post = &d->posts[at];
		k->post->keys_n++;
		k->multisign = SERVICE_HASHES_MAX;
		k->fit = k->post->service->api == API_CSC ? FIT_UNKNOWN : FIT_YES;
		if (p->credential != NULL)
			snprintf(k->credential, sizeof(k->credential), "%s", p->credential);
		d->by_id[d->keys_n++] = k;
		st = remote_key_open(&k->remote, p, certs_dir, e);
	}
	qsort(d->by_id, d->keys_n, sizeof(*d->by_id), by_id);
	return st;
}

/* A key that is misspelt there would be given the PIN of another. */
static enum status auth_data_fits(struct desk *d, const struct post *p, struct error *e)
{
	json_t *of = (json_t *)p->service->auth_data_of, *one;
	const char *id;

	json_object_foreach(of, id, one) {
		const struct desk_key *k = key_find(d, slice_str(id));

		if (k == NULL || k->post != p)
			return error_set(e, ST_INVALID, "remote.json: %s: auth_data_of: '%.64s' is "
					 "no key of this service in keys.json", p->service->name,
					 id);
	}
	return ST_OK;
}

enum status desk_new(struct desk **out, const struct services *services, const char *certs_dir,
		     const struct desk_outlets *outlets, uint32_t seed, struct error *e)
{
	struct desk *d = calloc(1, sizeof(*d));
	enum status st;

	if (d == NULL)
		return error_set(e, ST_NOMEM, "remote keys: out of memory");
	d->services = services;
	d->out = *outlets;
	d->random = seed | 1;
	d->jobs = jobs_new();
	for (uint32_t i = 0; i < services_count(services); i++)
		d->posts[i].service = services_at(services, i);
	st = d->jobs == NULL ? error_set(e, ST_NOMEM, "remote keys: out of memory") :
		policy_load(&d->policy, certs_dir, e);
	if (st == ST_OK)
		st = keys_open(d, certs_dir, e);
	for (uint32_t i = 0; st == ST_OK && i < services_count(services); i++)
		st = auth_data_fits(d, &d->posts[i], e);
	if (st != ST_OK) {
		desk_free(d);
		return st;
	}
	*out = d;
	return ST_OK;
}

void desk_free(struct desk *d)
{
	if (d == NULL)
		return;
	for (uint32_t i = 0; i < services_count(d->services); i++) {
		struct post *p = &d->posts[i];

		while (p->all != NULL)
			transaction_free(p->all);
		if (p->token != NULL)
			OPENSSL_cleanse(p->token, strlen(p->token));
		free(p->token);
	}
	for (uint32_t i = 0; i < d->keys_n; i++) {
		remote_key_close(&d->keys[i].remote);
		free(d->keys[i].candidates);
	}
	jobs_free(d->jobs);
	free(d->keys);
	free(d->by_id);
	policy_free(d->policy);
	free(d);
}

uint32_t desk_keys(const struct desk *d)
{
	return d->keys_n;
}

uint32_t desk_items(const struct desk *d)
{
	return jobs_count(d->jobs);
}
