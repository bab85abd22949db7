#include "portal/verified.h"

#include <stdio.h>

#include "base/calendar.h"
#include "portal/inside.h"
#include "portal/show.h"

enum status verified_file(struct request *q, struct slice file, struct report *out)
{
	const struct trust *trust = q->worker->edition->trust;

	if (trust != NULL)
		return judging_document(trust, library_judge(q->portal->library), file, -1, out);
	return verify_without_roots(file, out);
}

void verified_asked(struct asked *a, struct reading *r, const struct result_view *v)
{
	uint32_t day = day_vietnam(v->issued_ms);
	const struct kind *k = show_kind(r->edition->catalogue, v->kind, day);
	json_t *unit = show_unit_name(r->edition->catalogue, v->unit, day);

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

void verified_told(json_t *m, const struct request *q, const struct report *report,
		   const struct asked *a)
{
	json_t *sentences = json_array();
	char text[REPORT_SENTENCE_BYTES];

	for (uint32_t i = 0; i < REPORT_SENTENCES; i++) {
		report_sentence(text, q->language == LANGUAGE_EN ? REPORT_EN : REPORT_VI, i,
				report, a);
		json_array_append_new(sentences, json_string(text));
	}
	json_object_set_new(m, "sentences", sentences);
	json_object_set_new(m, "verdict", json_string(verdict_name(report->finding.verdict)));
	json_object_set_new(m, "passed",
			    json_boolean(report->finding.verdict == VERDICT_PASSED));
	json_object_set_new(m, "failed",
			    json_boolean(report->finding.verdict == VERDICT_FAILED));
	json_object_set_new(m, "report", report_json(report, a));
}
