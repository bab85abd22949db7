#include <stdlib.h>

#include "base/log.h"
#include "spine/approval.h"

#define DAY_MS (24 * 3600 * 1000ll)
/* Their records are in memory; what is held must find room beside them. */
#define PARKING_JOBS_MAX (JOBS_MAX / 2)

void awaiting_add(struct spine *s, struct pending *p)
{
	p->parking = p->awaiting;
	p->next_awaiting = NULL;
	if (s->awaiting_last != NULL)
		s->awaiting_last->next_awaiting = p;
	else
		s->awaiting_first = p;
	s->awaiting_last = p;
}

/* By the version of the kind that the case was accepted with. */
static int64_t expires_ms(struct spine *s, const struct record_numbered *rec,
			  const struct numbered_result *n)
{
	struct catalogue *c = spine_catalogue(s);
	const struct kind *k;
	const struct unit *u;
	const struct signer *g;
	struct error e = { 0 };
	int64_t at = 0;

	if (catalogue_pinned(c, &n->pins, &k, &u, &g, &e) != ST_OK)
		log_error("catalogue", "%s; a case waits without an end", e.text);
	else if (k->approval_days != 0)
		at = rec->accepted_ms + k->approval_days * DAY_MS;
	catalogue_unref(c);
	return at;
}

static bool park(struct spine *s, struct pending *p, uint8_t index)
{
	struct job *j = calloc(1, sizeof(*j));
	struct record_numbered rec;
	struct error e = { 0 };
	enum status st = j != NULL ? pending_record(s, p, &j->bytes, &e) : ST_NOMEM;

	if (st == ST_OK)
		st = record_numbered_decode(&rec, slice_of(j->bytes, p->size));
	if (st == ST_OK && index >= rec.results_n)
		st = ST_CORRUPT;
	if (st != ST_OK) {
		spine_fail(s, "a case that awaits approval cannot be parked; it stands in the "
			   "journal: %s", e.text[0] != '\0' ? e.text : status_name(st));
		if (j != NULL)
			free(j->bytes);
		free(j);
		return false;
	}
	j->type = JOB_PARK;
	j->pending = p;
	j->n = p->size;
	j->after = p->pos + 1;
	j->row.sequence = rec.results[index].sequence;
	j->row.lane = rec.results[index].lane;
	j->row.state = STATE_AWAITING_APPROVAL;
	j->row.record = RECORD_ACCEPTED;
	j->row.parked_ms = io_wall_ms();
	j->row.expires_ms = expires_ms(s, &rec, &rec.results[index]);
	job_push(s, j);
	return true;
}

void awaiting_run(struct spine *s)
{
	uint64_t durable = journal_durable(s->journal);
	struct pending *p;

	while ((p = s->awaiting_first) != NULL && p->pos < durable) {
		for (uint8_t i = 0; p->parking != 0; i++) {
			if ((p->parking >> i & 1) == 0)
				continue;
			if (s->jobs_out >= PARKING_JOBS_MAX || !park(s, p, i))
				return;
			p->parking &= (uint8_t)~(1u << i);
		}
		s->awaiting_first = p->next_awaiting;
		if (s->awaiting_first == NULL)
			s->awaiting_last = NULL;
		/* Where a batch gets others of it, the record goes with those. */
		if (!pending_batched(p))
			payload_drop(s, p);
	}
}
