/* The verification report of one of the holder's own results. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "portal/evidence.h"
#include "portal/inside.h"
#include "portal/models.h"
#include "portal/route.h"
#include "portal/show.h"
#include "portal/verified.h"

#define LARGE_BYTES (48 * 1024 * 1024)	/* beyond: one at a time is in memory */

/* The file is read, looked into, and forgotten. */
static enum status file_verify(struct request *q, struct reading *r, const struct result_view *v,
			       const struct asked *a, json_t *model)
{
	struct report *report = calloc(1, sizeof(*report));
	size_t size = v->file_size;
	uint8_t expected[SHA256_BYTES], *bytes = NULL;
	struct asked said = *a;
	enum status st;

	memcpy(expected, v->file_sha256, SHA256_BYTES);
	st = report == NULL ? ST_NOMEM : reading_file(r, v, VERIFY_FILE_BYTES_MAX, &bytes);
	if (st == ST_OK)
		st = verified_file(q, slice_of(bytes, size), report);
	if (st == ST_OK) {
		if (memcmp(report->file_sha256, expected, SHA256_BYTES) != 0)
			said.standing = STANDING_DIFFERENT;
		verified_told(model, q, report, &said);
	}
	free(bytes);
	free(report);
	return st;
}

static enum status stored_verify(struct request *q, struct reading *r, const struct result_view *v,
				 const struct asked *a, json_t *model)
{
	pthread_mutex_t *lock = &q->portal->library->large;
	bool large = v->file_size > LARGE_BYTES;
	enum status st;

	/* Who waited here would keep others from signing in. */
	if (large && pthread_mutex_trylock(lock) != 0) {
		json_object_set_new(model, "large", json_true());
		return ST_OK;
	}
	st = file_verify(q, r, v, a, model);
	if (large)
		pthread_mutex_unlock(lock);
	return st;
}

static enum status model_fill(struct request *q, struct reading *r, struct holding_view *h,
			      json_t *model)
{
	struct result_view v = h->result;
	struct evidence_list l;
	struct asked a;
	json_t *rows;
	enum status st;

	verified_asked(&a, r, &v);
	st = stored_verify(q, r, &v, &a, model);
	/* Of v only lane and sequence are good now. */
	if (st == ST_OK)
		st = r->ops->get(r->store, v.lane, v.sequence, &v);
	if (st == ST_OK)
		st = evidence_read(r, &v, &l);
	if (st != ST_OK)
		return st;
	rows = evidence_json(r, &l, &st);
	json_object_set_new(model, "evidence", rows);
	return st;
}

enum status report_model(struct request *q, const char *id, json_t **model)
{
	struct holding_view h;
	struct reading *r;
	uint8_t key[16];
	enum status st = reading_of(q, &r);

	*model = NULL;
	person_key_of(&q->session.holder, key);
	if (st == ST_OK)
		st = reading_result(r, key, id, q->now_ms, &h);
	if (st != ST_OK)
		return st;
	*model = show_row(r, &h, q->language);
	st = model_fill(q, r, &h, *model);
	if (st != ST_OK) {
		json_decref(*model);
		*model = NULL;
	}
	return st;
}

static void report_show(struct request *q)
{
	json_t *model;
	enum status st = report_model(q, q->args[0], &model);

	if (st != ST_OK) {
		reading_refuse(q, st);
		return;
	}
	json_object_set_new(model, "checked", moment_json(q->now_ms));
	answer_page(q, 200, "report", model);
}

const struct route report_routes[] = {
	{ METHOD_GET, "/results/:id/report", report_show, WHO_CITIZEN, LIMIT_FILE, ROUTE_SLOW },
	{ 0 }
};
