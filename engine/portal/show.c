#include "portal/show.h"

#include <stdio.h>
#include <string.h>

#include "base/calendar.h"
#include "portal/request.h"

void day_text(char out[DAY_TEXT_BYTES], uint32_t d)
{
	out[0] = '\0';
	if (d != 0)
		snprintf(out, DAY_TEXT_BYTES, "%02u/%02u/%04u", d % 100, d / 100 % 100,
			 d / 10000 % 10000);
}

void moment_text(char out[MOMENT_TEXT_BYTES], int64_t unix_ms)
{
	struct civil c = civil_vietnam(unix_ms);

	snprintf(out, MOMENT_TEXT_BYTES, "%02u/%02u/%04u %02u:%02u", c.day, c.month,
		 c.year % 10000, c.hour, c.minute);
}

json_t *day_json(uint32_t yyyymmdd)
{
	char text[DAY_TEXT_BYTES];

	day_text(text, yyyymmdd);
	return json_string(text);
}

json_t *moment_json(int64_t unix_ms)
{
	char text[MOMENT_TEXT_BYTES];

	moment_text(text, unix_ms);
	return json_string(text);
}

json_t *slice_json(struct slice s)
{
	json_t *j = json_stringn((const char *)s.p, s.n);

	return j != NULL ? j : json_string("");
}

static json_t *id_json(const uint8_t id[16])
{
	char text[ID_TEXT_BYTES];

	if (id_is_zero(id))
		return json_null();
	id_text(text, id);
	return json_stringn(text, ID_TEXT_BYTES);
}

const struct kind *show_kind(const struct catalogue *c, struct slice code, uint32_t day)
{
	const struct kind *k = catalogue_kind(c, code, day);

	for (uint32_t i = 0; k == NULL; i++) {
		const struct kind *any = catalogue_kind_at(c, i);

		if (any == NULL)
			break;
		if (slice_eq(slice_str(any->code), code))
			k = any;
	}
	return k;
}

json_t *show_unit_name(const struct catalogue *c, struct slice unit, uint32_t day)
{
	const struct unit *u = catalogue_unit(c, unit, day);

	for (uint32_t i = 0; u == NULL; i++) {
		const struct unit *any = catalogue_unit_at(c, i);

		if (any == NULL)
			break;
		if (slice_eq(slice_str(any->code), unit))
			u = any;
	}
	return u != NULL ? json_string(u->name) : slice_json(unit);
}

static const char *const lives[] = { [LIFE_VALID] = "valid", [LIFE_CORRECTED] = "corrected",
	[LIFE_REPLACED] = "replaced", [LIFE_REVOKED] = "revoked", [LIFE_EXPIRED] = "expired" };

const char *show_life(enum life life)
{
	return (size_t)life < ARRAY_LEN(lives) && lives[life] != NULL ? lives[life] : "valid";
}

const char *show_badge(enum life life)
{
	return life == LIFE_VALID ? "good" : life == LIFE_REVOKED ? "bad" : "warn";
}

static const char *role_name(uint8_t role)
{
	static const char *const roles[] = { [HOLDER_OWNER] = "owner", [HOLDER_SPOUSE] = "spouse",
		[HOLDER_CHILD] = "child", [HOLDER_GUARDIAN] = "guardian",
		[HOLDER_REPRESENTATIVE] = "representative", [HOLDER_OTHER] = "other" };

	return role < ARRAY_LEN(roles) && roles[role] != NULL ? roles[role] : "other";
}

json_t *show_row(struct reading *r, const struct holding_view *h, enum language in)
{
	const struct result_view *v = &h->result;
	uint32_t day = day_vietnam(v->issued_ms);
	const struct kind *k = show_kind(r->edition->catalogue, v->kind, day);
	char id[ID_TEXT_BYTES + 1];
	json_t *row = json_object();

	reading_id_text(r, v->lane, v->sequence, id);
	json_object_set_new(row, "id", json_string(id));
	json_object_set_new(row, "kind_code", slice_json(v->kind));
	json_object_set_new(row, "kind", k == NULL ? slice_json(v->kind) :
			    json_string(in == LANGUAGE_EN ? k->name_en : k->name_vi));
	json_object_set_new(row, "number", slice_json(v->number_text));
	json_object_set_new(row, "unit_code", slice_json(v->unit));
	json_object_set_new(row, "unit", show_unit_name(r->edition->catalogue, v->unit, day));
	json_object_set_new(row, "issued", day_json(day));
	json_object_set_new(row, "year", json_integer(day / 10000));
	json_object_set_new(row, "life", json_string(show_life(v->life)));
	json_object_set_new(row, "badge", json_string(show_badge(v->life)));
	json_object_set_new(row, "copy", json_boolean(k != NULL &&
						      k->copies != COPIES_NOTHING));
	json_object_set_new(row, "role", json_string(role_name(h->role)));
	json_object_set_new(row, "own", json_boolean(h->role == HOLDER_OWNER));
	json_object_set_new(row, "until", day_json(h->to));
	json_object_set_new(row, "hidden", json_boolean(h->visibility == VISIBILITY_HIDDEN));
	json_object_set_new(row, "replaced_by", id_json(v->replaced_by));
	json_object_set_new(row, "replaces", id_json(v->replaces));
	json_object_set_new(row, "valid_until", day_json(v->valid_until));
	return row;
}

void show_named(json_t *row, struct reading *r, const struct request *q, const char *id)
{
	struct holding_view h;
	const struct kind *k;
	uint8_t key[16];

	person_key_of(&q->session.holder, key);
	if (reading_result(r, key, id, q->now_ms, &h) != ST_OK)
		return;
	k = show_kind(r->edition->catalogue, h.result.kind, day_vietnam(h.result.issued_ms));
	json_object_set_new(row, "kind_name", k == NULL ? slice_json(h.result.kind) :
			    json_string(q->language == LANGUAGE_EN ? k->name_en : k->name_vi));
	json_object_set_new(row, "number_text", slice_json(h.result.number_text));
}

/* ---- what it says ---- */

static json_t *number_json(int64_t value, uint8_t decimals)
{
	uint64_t scale = 1, whole = value < 0 ? -(uint64_t)value : (uint64_t)value;
	char text[64];

	decimals = decimals < 18 ? decimals : 18;
	for (uint8_t i = 0; i < decimals; i++)
		scale *= 10;
	if (decimals == 0)
		snprintf(text, sizeof(text), "%s%llu", value < 0 ? "-" : "",
			 (unsigned long long)whole);
	else
		snprintf(text, sizeof(text), "%s%llu,%0*llu", value < 0 ? "-" : "",
			 (unsigned long long)(whole / scale), decimals,
			 (unsigned long long)(whole % scale));
	return json_string(text);
}

static json_t *partial_json(struct partial_date d)
{
	char text[DAY_TEXT_BYTES];

	if (d.day != 0)
		snprintf(text, sizeof(text), "%02u/%02u/%04u", d.day, d.month, d.year % 10000u);
	else if (d.month != 0)
		snprintf(text, sizeof(text), "%02u/%04u", d.month, d.year % 10000u);
	else
		snprintf(text, sizeof(text), "%04u", d.year % 10000u);
	return json_string(text);
}

static json_t *table_json(const struct field *f, const struct field_def *def)
{
	json_t *columns = json_array(), *rows = json_array();

	for (uint8_t i = 0; i < f->table.columns; i++)
		json_array_append_new(columns, json_string(def != NULL && i < def->columns_n ?
							   def->columns[i].label : ""));
	for (uint16_t i = 0; i < f->table.rows; i++) {
		json_t *cells = json_array();

		for (uint8_t k = 0; k < f->table.columns; k++)
			json_array_append_new(cells, slice_json(
				f->table.cells[(size_t)i * f->table.columns + k]));
		json_array_append_new(rows, json_pack("{s:o}", "cells", cells));
	}
	return json_pack("{s:o, s:o}", "columns", columns, "rows", rows);
}

static json_t *field_json(const struct field *f, const struct field_def *def, enum language in)
{
	json_t *j = json_object();

	json_object_set_new(j, "name", slice_json(f->name));
	json_object_set_new(j, "label", def == NULL ? slice_json(f->name) :
			    json_string(in == LANGUAGE_EN && def->label_en != NULL ?
					def->label_en : def->label_vi));
	switch (f->type) {
	case FIELD_TEXT:
		json_object_set_new(j, "value", slice_json(f->text));
		break;
	case FIELD_NUMBER:
		json_object_set_new(j, "value", number_json(f->number.value, f->number.decimals));
		break;
	case FIELD_FLAG:
		json_object_set_new(j, f->flag ? "yes" : "no", json_true());
		break;
	case FIELD_DATE:
		json_object_set_new(j, "value", partial_json(f->date));
		break;
	case FIELD_TABLE:
		json_object_set_new(j, "table", table_json(f, def));
		break;
	}
	return j;
}

static const struct case_result *of_case(const struct case_view *c, const struct result_view *v)
{
	for (uint8_t i = 0; i < c->results_n; i++) {
		const struct case_result *one = &c->results[i];

		if (slice_eq(one->unit, v->unit) && slice_eq(one->kind, v->kind) &&
		    one->ordinal == v->ordinal && one->revision == v->revision)
			return one;
	}
	return NULL;
}

/* ---- its fields, as the paper has them ---- */

struct order { uint8_t n; bool seen[UINT8_MAX + 1]; uint8_t at[UINT8_MAX + 1]; };

static void order_add(struct order *o, const struct kind *k, int16_t field)
{
	if (field < 0 || field >= k->fields_n || o->seen[field])
		return;
	o->seen[field] = true;
	o->at[o->n++] = (uint8_t)field;
}

static void order_runs(struct order *o, const struct kind *k, const struct runs *runs)
{
	for (uint16_t i = 0; i < runs->n; i++)
		if (runs->run[i].literal == NULL)
			order_add(o, k, runs->run[i].field);
}

/* The kind has them by name; what no page of it prints stands last. */
static void order_read(struct order *o, const struct kind *k)
{
	*o = (struct order){ .n = 0 };
	for (uint8_t i = 0; i < k->blocks_n; i++) {
		const struct block *b = &k->blocks[i];

		order_runs(o, k, &b->text);
		order_runs(o, k, &b->subtitle);
		for (uint16_t n = 0; n < b->lines_n; n++) {
			order_runs(o, k, &b->lines[n].label);
			order_runs(o, k, &b->lines[n].value);
		}
		if (b->type == BLOCK_TABLE)
			order_add(o, k, b->table_field);
	}
	for (int16_t i = 0; i < k->fields_n; i++)
		order_add(o, k, i);
}

static const struct field *field_named(const struct case_result *one, const char *name)
{
	for (uint8_t i = 0; i < one->fields_n; i++)
		if (slice_eq(one->fields[i].name, slice_str(name)))
			return &one->fields[i];
	return NULL;
}

static void fields_add(json_t *list, const struct case_result *one, const struct kind *k,
		       enum language in)
{
	struct order o;

	order_read(&o, k);
	for (uint8_t i = 0; i < o.n; i++) {
		const struct field_def *def = &k->fields[o.at[i]];
		const struct field *f = field_named(one, def->name);

		/* What the page of the paper does not show is the agency's. */
		if (f != NULL && def->public)
			json_array_append_new(list, field_json(f, def, in));
	}
}

json_t *show_fields(struct reading *r, const struct result_view *v, enum language in)
{
	const struct kind *k = show_kind(r->edition->catalogue, v->kind, day_vietnam(v->issued_ms));
	json_t *fields = json_array();
	const struct case_result *one;
	struct case_view c;

	if (case_decode(&c, v->case_bytes, &r->scratch) != ST_OK)
		return fields;
	one = of_case(&c, v);
	if (one != NULL && k != NULL)
		fields_add(fields, one, k, in);
	for (uint8_t i = 0; one != NULL && i < one->fields_n; i++)
		if (k == NULL || kind_field(k, one->fields[i].name) < 0)
			json_array_append_new(fields, field_json(&one->fields[i], NULL, in));
	return fields;
}

/* ---- what became of it ---- */

static void moment_add(json_t *list, int64_t at_ms, const char *what, const char *who)
{
	if (at_ms > 0)
		json_array_append_new(list, json_pack("{s:o, s:s, s:s?}", "when",
						      moment_json(at_ms), "what", what, "who",
						      who));
}

static const char *event_name(uint8_t kind)
{
	switch (kind) {
	case EVENT_CORRECTED:
		return "corrected";
	case EVENT_REPLACED:
		return "replaced";
	case EVENT_REVOKED:
		return "revoked";
	case EVENT_HIDDEN:
		return "hidden";
	case EVENT_SHOWN:
		return "shown";
	case EVENT_RESTRICTED:
		return "restricted";
	case EVENT_RELEASED:
		return "released";
	case EVENT_LINKED:
		return "linked";
	default:
		return NULL;	/* who read it stands elsewhere */
	}
}

static void decision_add(json_t *row, const struct result_event *ev)
{
	struct decision d;

	if (ev->kind == EVENT_LINKED || decision_read(&d, ev->detail) != ST_OK)
		return;
	json_object_set_new(row, "paper", slice_json(d.number));
	json_object_set_new(row, "paper_day", day_json(d.day));
	json_object_set_new(row, "ground", slice_json(d.ground));
	json_object_set_new(row, "other", id_json(d.paper));
}

static void event_add(json_t *list, const struct result_event *ev, const uint8_t key[16])
{
	const char *what = event_name(ev->kind);
	bool listed = ev->kind == EVENT_HIDDEN || ev->kind == EVENT_SHOWN, hidden;
	int64_t at = 0;
	json_t *row;

	if (what == NULL || (listed && !living_shown(ev->kind, ev->at_ms, ev->detail, key,
						     &hidden, &at)))
		return;
	row = json_pack("{s:o, s:s}", "when", moment_json(ev->at_ms), "what", what);
	if (!listed && ev->kind != EVENT_REPLACED)
		decision_add(row, ev);
	json_array_append_new(list, row);
}

json_t *show_history(struct reading *r, const struct result_view *v, const uint8_t key[16],
		     enum status *st)
{
	struct result_event *events = arena_take(&r->scratch, HISTORY_MAX * sizeof(*events));
	json_t *list = json_array();
	uint32_t n = 0;

	moment_add(list, v->accepted_ms, "accepted", NULL);
	moment_add(list, v->issued_ms, "issued", NULL);
	for (uint8_t i = 0; i < v->signatures_n; i++) {
		char who[NAME_BYTES_MAX + 1];

		snprintf(who, sizeof(who), "%.*s", (int)v->signatures[i].subject.n,
			 (const char *)v->signatures[i].subject.p);
		moment_add(list, v->signatures[i].signed_ms, "signed", who);
	}
	moment_add(list, v->stored_ms, "stored", NULL);
	*st = events == NULL ? ST_NOMEM :
	      r->ops->history(r->store, v->lane, v->sequence, HISTORY_MAX, events, &n);
	for (uint32_t i = 0; *st == ST_OK && i < n; i++)
		event_add(list, &events[i], key);
	return list;
}
