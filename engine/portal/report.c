/* The verification report of one of the holder's own results. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "portal/evidence.h"
#include "portal/inside.h"
#include "portal/models.h"
#include "portal/route.h"
#include "portal/show.h"
#include "verify/report.h"

#define REPORT_FILE_BYTES_MAX (48 * 1024 * 1024)	/* looked into whole */

static void asked_fill(struct asked *a, struct reading *r, const struct result_view *v)
{
	uint32_t day = day_vietnam(v->issued_ms);
	const struct kind *k = show_kind(r->library, v->kind, day);
	json_t *unit = show_unit_name(r->library, v->unit, day);

	*a = (struct asked){ .standing = STANDING_ISSUED, .life = v->life,
			     .paper_day = v->living.note.day, .valid_until = v->valid_until };
	reading_id_text(r, v->lane, v->sequence, a->result_id);
	snprintf(a->unit, sizeof(a->unit), "%.*s", (int)v->unit.n, (const char *)v->unit.p);
	snprintf(a->unit_name, sizeof(a->unit_name), "%s", json_string_value(unit));
	snprintf(a->kind_name, sizeof(a->kind_name), "%s", k != NULL ? k->name_vi : "");
	snprintf(a->number, sizeof(a->number), "%.*s", (int)v->number_text.n,
		 (const char *)v->number_text.p);
	if (!id_is_zero(v->replaced_by))
		id_text(a->replaced_by, v->replaced_by);
	snprintf(a->paper_number, sizeof(a->paper_number), "%s", v->living.note.number);
	json_decref(unit);
}

static void verdict_add(json_t *model, const struct request *q, const struct report *report,
			const struct asked *a)
{
	json_t *sentences = json_array();
	char text[REPORT_SENTENCE_BYTES];

	for (uint32_t i = 0; i < REPORT_SENTENCES; i++) {
		report_sentence(text, q->language == LANGUAGE_EN ? REPORT_EN : REPORT_VI, i,
				report, a);
		json_array_append_new(sentences, json_string(text));
	}
	json_object_set_new(model, "sentences", sentences);
	json_object_set_new(model, "verdict", json_string(verdict_name(report->finding.verdict)));
	json_object_set_new(model, "passed",
			    json_boolean(report->finding.verdict == VERDICT_PASSED));
	json_object_set_new(model, "failed",
			    json_boolean(report->finding.verdict == VERDICT_FAILED));
	json_object_set_new(model, "report", report_json(report, a));
}

/* The file is read, looked into, and forgotten. */
static enum status file_verify(struct request *q, struct reading *r, const struct result_view *v,
			       const struct asked *a, json_t *model)
{
	const struct roots *roots = r->library->roots;
	struct report *report = calloc(1, sizeof(*report));
	size_t size = v->file_size;
	uint8_t expected[SHA256_BYTES], *bytes = NULL;
	struct asked said = *a;
	enum status st;

	memcpy(expected, v->file_sha256, SHA256_BYTES);
	st = report == NULL ? ST_NOMEM : reading_file(r, v, REPORT_FILE_BYTES_MAX, &bytes);
	if (st == ST_OK && roots != NULL)
		st = verify_document(roots, slice_of(bytes, size), report);
	else if (st == ST_OK)
		verify_without_roots(slice_of(bytes, size), report);
	if (st == ST_OK) {
		if (memcmp(report->file_sha256, expected, SHA256_BYTES) != 0)
			said.standing = STANDING_DIFFERENT;
		verdict_add(model, q, report, &said);
	} else if (st == ST_TOO_LARGE) {
		json_object_set_new(model, "large", json_true());
		st = ST_OK;
	}
	free(bytes);
	free(report);
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

	asked_fill(&a, r, &v);
	st = file_verify(q, r, &v, &a, model);
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
