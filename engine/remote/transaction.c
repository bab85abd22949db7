#include "remote/desk_inside.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* ---- answers to the engine ---- */

void desk_tell(struct desk *d, uint64_t tag, enum remote_status s, struct slice bytes)
{
	struct remote_answer a = { tag, s, bytes };

	d->out.answer(d->out.ctx, &a);
}

static void detach(struct job *j)
{
	struct transaction *t = j->in;

	for (uint32_t i = 0; t != NULL && i < t->n; i++)
		if (t->jobs[i] == j) {
			t->jobs[i] = NULL;
			t->live--;
			break;
		}
	j->in = NULL;
}

/* The item's last answer. */
void desk_settle(struct desk *d, struct job *j, enum remote_status s, struct slice bytes)
{
	struct post *p = d->keys[j->key].post;
	uint64_t tag = j->tag;

	detach(j);
	p->items--;
	jobs_remove(d->jobs, j);
	desk_tell(d, tag, s, bytes);
}

void desk_settle_text(struct desk *d, struct job *j, enum remote_status s, const char *text)
{
	desk_settle(d, j, s, slice_str(text));
}

void transaction_settle(struct desk *d, struct transaction *t, enum remote_status s,
			const char *why)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (t->jobs[i] != NULL)
			desk_settle_text(d, t->jobs[i], s, why);
}

/* ---- queues ---- */

void key_waits(struct desk_key *k)
{
	struct post *p = k->post;

	if (k->in_ring)
		return;
	k->in_ring = true;
	k->next_waiting = p->ring == NULL ? k : p->ring->next_waiting;
	if (p->ring != NULL)
		p->ring->next_waiting = k;
	p->ring = k;
}

/* Back to where it waits; at the front, unless it waits alone. */
void desk_wait_again(struct desk *d, struct job *j, int64_t not_before_ms)
{
	struct desk_key *k = &d->keys[j->key];

	detach(j);
	j->not_before_ms = not_before_ms;
	if (j->alone)
		job_append(&k->alone, j);
	else
		job_prepend(&k->waiting, j);
	key_waits(k);
}

void transaction_wait_again(struct desk *d, struct transaction *t, bool alone,
			    int64_t not_before_ms)
{
	for (uint32_t i = t->n; i > 0; i--) {
		struct job *j = t->jobs[i - 1];

		if (j == NULL)
			continue;
		j->alone = j->alone || alone;
		desk_wait_again(d, j, not_before_ms);
	}
}

/* ---- transactions ---- */

struct transaction *transaction_new(struct post *p, struct desk_key *k, enum api_step step,
					   uint32_t n)
{
	struct transaction *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->jobs = calloc(n > 0 ? n : 1, sizeof(*t->jobs));
	if (t->jobs == NULL) {
		free(t);
		return NULL;
	}
	t->post = p;
	t->key = k;
	t->step = step;
	t->n = n;
	t->poll_ms = p->service->poll_ms;
	t->next = p->all;
	p->all = t;
	return t;
}

void sad_forget(struct transaction *t)
{
	if (t->sad != NULL)
		OPENSSL_cleanse(t->sad, strlen(t->sad));
	free(t->sad);
	t->sad = NULL;
}

void transaction_authorized(struct transaction *t)
{
	if (t->key != NULL && t->key->authorizing == t)
		t->key->authorizing = NULL;
}

void transaction_free(struct transaction *t)
{
	struct transaction **at = &t->post->all;

	transaction_authorized(t);
	while (*at != t)
		at = &(*at)->next;
	*at = t->next;
	sad_forget(t);
	free(t->jobs);
	free(t);
}

void transaction_join(struct transaction *t, uint32_t place, struct job *j)
{
	job_unlink(j);
	t->jobs[place] = j;
	t->live++;
	j->in = t;
}

/* Where hashes are sent, only those that still matter go; places in an answer follow. */
void transaction_close_ranks(struct transaction *t)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		if (t->jobs[i] != NULL)
			t->jobs[n++] = t->jobs[i];
	t->n = n;
}

void transaction_tickets(struct desk *d, struct transaction *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct ticket k = { .step = (uint8_t)t->step, .index = (uint16_t)i,
				    .count = (uint16_t)t->n, .id = slice_str(t->id) };
		uint8_t buf[REMOTE_TICKET_BYTES_MAX];
		struct writer w = writer_of(buf, sizeof(buf));

		memcpy(k.mark, t->post->service->mark, sizeof(k.mark));
		if (t->jobs[i] != NULL && ticket_encode(&w, &k) == ST_OK)
			desk_tell(d, t->jobs[i]->tag, REMOTE_LATER, writer_slice(&w));
	}
}
