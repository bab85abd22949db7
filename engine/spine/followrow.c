#include "spine/followrow.h"

#include <stdlib.h>

enum status followrow_result(struct replay *r, enum job_type type, const struct record_result *rec)
{
	struct open_result *o = replay_open(r, rec->sequence);
	struct job *j;

	/* It was ended meanwhile. */
	if (type == JOB_PARK && o != NULL && (o->pending->settled >> o->index & 1) != 0)
		return ST_OK;
	j = calloc(1, sizeof(*j));
	if (j == NULL)
		return ST_NOMEM;
	/* Parked again: it stands there already, and now waits for something else. */
	j->type = type == JOB_PARK && (o == NULL || o->handed) ? JOB_AWAIT_APPLY : type;
	j->track = NO_TRACK;
	/* A row that goes before that is durable could be missed by who takes over. */
	j->after = r->s->appended;
	j->row.sequence = rec->sequence;
	j->row.lane = rec->lane;
	j->row.reason = rec->reason;
	j->row.parked_ms = rec->at_ms;
	j->row.state = rec->state;
	j->row.record = rec->state == STATE_AWAITING_APPROVAL ? RECORD_ACCEPTED : RECORD_NUMBERED;
	j->row.expires_ms = rec->expires_ms;
	snprintf(j->row.detail, sizeof(j->row.detail), "%.*s", (int)rec->detail.n,
		 rec->detail.n > 0 ? (const char *)rec->detail.p : "");
	if (j->type == JOB_PARK) {
		j->n = o->pending->size;
		j->record_pos = o->pending->pos;
		if (o->pending->payload != NULL) {
			j->bytes = malloc(j->n);
			if (j->bytes == NULL) {
				free(j);
				return ST_NOMEM;
			}
			memcpy(j->bytes, o->pending->payload, j->n);
		}
	}
	job_push(r->s, j);
	return ST_OK;
}

/* What a record says of a row goes to the janitor behind what was told before. */
static enum status record_push(struct replay *r, enum job_type type, struct slice payload)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j != NULL)
		j->bytes = malloc(payload.n);
	if (j == NULL || j->bytes == NULL) {
		free(j);
		return ST_NOMEM;
	}
	memcpy(j->bytes, payload.p, payload.n);
	j->n = payload.n;
	j->type = type;
	j->track = NO_TRACK;
	j->after = r->s->appended;
	job_push(r->s, j);
	return ST_OK;
}

enum status followrow_handed(struct replay *r, struct slice payload)
{
	struct record_handed h;
	struct open_result *o;
	enum status st = record_handed_decode(&h, payload);

	if (st == ST_OK)
		st = record_push(r, JOB_HAND, payload);
	if (st != ST_OK)
		return st;
	/* Parked again it keeps this row: the NUMBERED record names the signer before. */
	o = replay_open(r, h.sequence);
	if (o != NULL)
		o->handed = true;
	return ST_OK;
}

enum status followrow_signature(struct replay *r, struct slice payload)
{
	return record_push(r, JOB_AWAIT_APPLY, payload);
}
