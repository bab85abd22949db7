#include "store/derive.h"

#include "base/calendar.h"

#define ADULT_YEARS 18

/* ---- dates that follow from the case ---- */

static uint32_t month_days(uint32_t year, uint32_t month)
{
	uint32_t day = 31;

	while (!date_exists(year, (uint8_t)month, (uint8_t)day))
		day--;
	return day;
}

static uint32_t day_of(uint32_t year, uint32_t month, uint32_t day)
{
	uint32_t last = month_days(year, month);

	return year * 10000 + month * 100 + (day < last ? day : last);
}

/* The last day that a partial date can mean; 0: no date. */
static uint32_t latest_day(struct partial_date d)
{
	uint32_t month = d.month != 0 ? d.month : 12;

	if (d.year == 0 || month > 12)
		return 0;
	return day_of(d.year, month, d.month != 0 && d.day != 0 ? d.day : 31);
}

static uint32_t months_later(uint32_t yyyymmdd, uint32_t months)
{
	uint32_t at = yyyymmdd / 10000 * 12 + yyyymmdd / 100 % 100 - 1 + months;

	return day_of(at / 12, at % 12 + 1, yyyymmdd % 100);
}

static uint32_t date_field(const struct item *it, int16_t index)
{
	struct slice name;

	if (index < 0)
		return 0;
	name = slice_str(it->kind->fields[index].name);
	for (uint8_t i = 0; i < it->result->fields_n; i++) {
		const struct field *f = &it->result->fields[i];

		if (f->type == FIELD_DATE && slice_eq(f->name, name))
			return latest_day(f->date);
	}
	return 0;
}

static uint32_t valid_until(const struct item *it)
{
	uint32_t day = date_field(it, it->kind->validity_field);

	if (day == 0 && it->kind->validity_months != 0)
		day = months_later(day_vietnam(it->issued_ms), it->kind->validity_months);
	return day;
}

static void holdings(struct stored_result *r, const struct item *it)
{
	uint32_t birth = date_field(it, it->kind->child_birth_field);

	r->holdings_n = it->c.holders_n;
	for (uint8_t i = 0; i < it->c.holders_n; i++) {
		const struct holder *h = &it->c.holders[i];
		struct stored_holding *out = &r->holdings[i];

		*out = (struct stored_holding){ .role = h->role, .visibility = h->visibility,
						.from = h->from, .to = h->to };
		holder_key(out->key, h, it->result->unit, it->c.code, i);
		/* A guardian sees it until the child is of age. */
		if (h->role == HOLDER_GUARDIAN && h->to == 0 && birth != 0)
			out->to = months_later(birth, ADULT_YEARS * 12);
	}
}

static void view_of(struct result_view *v, const struct item *it, int64_t now_ms)
{
	*v = (struct result_view){
		.sequence = it->sequence, .lane = it->lane,
		.unit = it->result->unit, .kind = it->result->kind, .case_code = it->c.code,
		.register_code = slice_str(it->kind->register_code),
		.number_text = slice_str(it->number_text),
		.ordinal = it->result->ordinal, .revision = it->result->revision,
		.register_year = it->register_year, .number = it->number,
		.accepted_ms = it->accepted_ms, .issued_ms = it->issued_ms, .stored_ms = now_ms,
		.valid_until = valid_until(it), .file_size = it->doc.file_size,
		.pins = it->pins, .signatures_n = it->slots_n, .case_bytes = it->case_bytes,
	};
	memcpy(v->result_id, it->result_id, sizeof(v->result_id));
	if (it->result->replaces.n > 0 && !id_read(v->replaces, it->result->replaces))
		memset(v->replaces, 0, sizeof(v->replaces));
	memcpy(v->file_sha256, it->file_sha256, SHA256_BYTES);
	memcpy(v->case_digest, it->case_digest, SHA256_BYTES);
	memcpy(v->template_version, it->template_version, SHA256_BYTES);
	for (uint8_t i = 0; i < it->slots_n; i++) {
		const struct signature_slot *plan = &it->slots[i].plan;

		v->signatures[i] = (struct signature_view){ .role = (uint8_t)plan->role,
							    .signed_ms = plan->signed_ms,
							    .subject = slice_str(plan->name) };
		memcpy(v->signatures[i].cert_sha256, plan->cert_sha256, SHA256_BYTES);
		if (plan->evidence != NULL)
			memcpy(v->signatures[i].evidence_sha256, plan->evidence->set.sha256,
			       SHA256_BYTES);
	}
}

static void section_of(struct stored_section *s, const struct item *it)
{
	const struct section *from = it->doc.section;

	*s = (struct stored_section){ 0 };
	if (from == NULL)
		return;
	memcpy(s->sha256, from->sha256, SHA256_BYTES);
	s->object_size = it->result->original->size;
	s->size = from->size;
	s->runs_n = from->runs_n;
	s->given = from->runs;
	s->part = it->doc.prefix_parts;
}

void stored_result_of(struct stored_result *r, const struct item *it, int64_t now_ms)
{
	view_of(&r->view, it, now_ms);
	holdings(r, it);
	section_of(&r->section, it);
}
