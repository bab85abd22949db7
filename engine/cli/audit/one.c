#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/calendar.h"
#include "case.h"
#include "cli/audit/audit.h"
#include "identity.h"

#define EVENTS_MAX (LIVING_ACTS_MAX + HANDOVERS_MAX + LINKS_TOLD_MAX)
#define FILE_BYTES_FIRST (1024u * 1024)
#define IO_FAILURES_MAX 64		/* in a row: then it is the disk, not a place on it */
#define CLOCKS_MS 600000		/* how far ours may be ahead of an engine's */

/* What is kept of a view, whose texts the reader's next call takes. */
struct seen {
	uint8_t id[16], replaces[16], replaced_by[16];
	char unit[CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1], code[CODE_BYTES_MAX + 1];
	char number_text[NUMBER_TEXT_BYTES_MAX + 1];
	uint32_t year;
	uint64_t sequence, number, file_size;
	uint8_t lane, signatures_n, file_sha256[SHA256_BYTES];
	int64_t issued_ms, stored_ms, replaced_ms;
	struct signature_view signatures[DOC_SIGNATURES_MAX];
};

struct audit_one {
	const struct audit *a;
	struct store_reader *r;
	struct audit_keys *keys;
	struct audit_kept *kept;
	struct verifier *verifier;
	uint32_t io_failures;		/* in a row */
	uint8_t *file;
	size_t room;
	struct seen v;
	struct report report;
	struct result_event events[EVENTS_MAX];
};

static const uint8_t nothing[SHA256_BYTES];

json_t *audit_finding(enum audit_fault f, const uint8_t id[16], uint64_t sequence,
		      const char *fmt, ...)
{
	char what[400], name[ID_TEXT_BYTES + 1] = "";
	json_t *j;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (id != NULL)
		id_text(name, id);
	j = json_pack("{s:s, s:s, s:s}", "fault", audit_kind(f)->name, "result", name, "what",
		      what);
	if (sequence != 0)
		json_object_set_new(j, "sequence", json_integer((json_int_t)sequence));
	return j;
}

static void found(struct audit_page *p, json_t *finding)
{
	json_array_append_new(p->findings, finding);
}

enum status audit_one_new(struct audit_one **out, const struct audit *a, struct store_reader *r)
{
	struct audit_one *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return ST_NOMEM;
	o->a = a;
	o->r = r;
	o->room = FILE_BYTES_FIRST;
	o->file = malloc(o->room);
	if (o->file == NULL || audit_keys_new(&o->keys, a) != ST_OK ||
	    audit_kept_new(&o->kept, a) != ST_OK ||
	    verifier_new(&o->verifier, a->roots, a->known) != ST_OK) {
		audit_one_free(o);
		return ST_NOMEM;
	}
	*out = o;
	return ST_OK;
}

void audit_one_free(struct audit_one *o)
{
	if (o == NULL)
		return;
	audit_keys_free(o->keys);
	audit_kept_free(o->kept);
	verifier_free(o->verifier);
	free(o->file);
	free(o);
}

static void text_keep(char *out, size_t room, struct slice s)
{
	size_t n = s.n < room ? s.n : room - 1;

	memcpy(out, s.p, n);
	out[n] = '\0';
}

static void keep(struct seen *v, const struct result_view *from)
{
	*v = (struct seen){ .sequence = from->sequence, .lane = from->lane,
			    .year = from->register_year, .number = from->number,
			    .file_size = from->file_size, .issued_ms = from->issued_ms,
			    .stored_ms = from->stored_ms, .replaced_ms = from->replaced_ms,
			    .signatures_n = from->signatures_n };
	memcpy(v->id, from->result_id, sizeof(v->id));
	memcpy(v->replaces, from->replaces, sizeof(v->replaces));
	memcpy(v->replaced_by, from->replaced_by, sizeof(v->replaced_by));
	memcpy(v->file_sha256, from->file_sha256, SHA256_BYTES);
	memcpy(v->signatures, from->signatures, sizeof(v->signatures));
	text_keep(v->unit, sizeof(v->unit), from->unit);
	text_keep(v->kind, sizeof(v->kind), from->kind);
	text_keep(v->code, sizeof(v->code), from->register_code);
	text_keep(v->number_text, sizeof(v->number_text), from->number_text);
}

/* ---- its file, and what the verifier says ---- */

static enum status file_read(struct audit_one *o, size_t *n)
{
	const struct store_ops *ops = o->a->store->ops;
	const struct seen *v = &o->v;

	if (v->file_size > VERIFY_FILE_BYTES_MAX)
		return ST_CORRUPT;
	if (v->file_size > o->room) {
		uint8_t *bigger = realloc(o->file, v->file_size);

		if (bigger == NULL)
			return ST_NOMEM;
		o->file = bigger;
		o->room = v->file_size;
	}
	*n = o->room;
	return ops->read(o->r, v->lane, v->sequence, 0, o->file, n);
}

static void says_otherwise(struct audit_one *o, struct audit_page *p, const char *what)
{
	found(p, audit_finding(AUDIT_RECORD, o->v.id, 0, "%s", what));
}

/* What the store says of it and what the document says of itself are the same. */
static void compare(struct audit_one *o, struct audit_page *p)
{
	const struct report *d = &o->report;
	const struct seen *v = &o->v;

	if (!d->named || memcmp(d->id, v->id, sizeof(d->id)) != 0)
		says_otherwise(o, p, "the document bears another id");
	if (d->signatures_n != v->signatures_n)
		says_otherwise(o, p, "the document has another number of signatures");
	for (uint8_t i = 0; i < d->signatures_n && i < v->signatures_n; i++) {
		if (memcmp(d->signatures[i].cert_sha256, v->signatures[i].cert_sha256,
			   SHA256_BYTES) != 0)
			says_otherwise(o, p, "a signature is of another certificate than the "
				       "store says");
		/* Printed in seconds. */
		if (d->signatures[i].signed_ms / 1000 != v->signatures[i].signed_ms / 1000)
			says_otherwise(o, p, "a signature is of another time than the store says");
	}
	if (d->said.read && (strcmp(d->said.unit, v->unit) != 0 ||
			     strcmp(d->said.kind, v->kind) != 0 ||
			     strcmp(d->said.number, v->number_text) != 0))
		says_otherwise(o, p, "the document says another agency, kind or number");
}

/*
 * Of a key that was revoked later a file alone proves nothing; what the store keeps of it since it
 * was signed does, if all is good by that.
 */
static enum status told_verdict(struct audit_one *o, struct audit_page *p, size_t n)
{
	const struct finding *f = &o->report.finding;
	bool passed = f->verdict == VERDICT_PASSED;
	enum status st;

	if (!passed && f->verdict == VERDICT_INDETERMINATE && f->indication == IND_REVOKED_NO_POE) {
		st = audit_kept_judge(o->kept, o->r, slice_of(o->file, n), o->v.signatures,
				      o->v.signatures_n, &passed);
		if (st != ST_OK)
			return st;
		p->sums.revoked_since += passed;
	}
	if (!passed)
		found(p, audit_finding(f->verdict == VERDICT_FAILED ? AUDIT_SIGNATURE :
				       AUDIT_UNDETERMINED, o->v.id, 0, "%s (%s): %s",
				       verdict_name(f->verdict), indication_name(f->indication),
				       f->why));
	return ST_OK;
}

static enum status verified(struct audit_one *o, struct audit_page *p)
{
	const struct seen *v = &o->v;
	size_t n = 0;
	enum status st = file_read(o, &n);

	if (st == ST_CORRUPT || st == ST_NOT_FOUND) {
		found(p, audit_finding(AUDIT_UNREADABLE, v->id, 0,
				       "its file cannot be put together"));
		return ST_OK;
	}
	if (st != ST_OK)
		return st;
	st = verifier_judge(o->verifier, slice_of(o->file, n), &o->report);
	if (st != ST_OK)
		return st;
	p->sums.bytes += n;
	if (n != v->file_size || memcmp(o->report.file_sha256, v->file_sha256, SHA256_BYTES) != 0)
		found(p, audit_finding(AUDIT_FILE, v->id, 0,
				       "its file is not the one that was stored: SHA-256 differs"));
	compare(o, p);
	return told_verdict(o, p, n);
}

/* ---- its life ---- */

static bool may_follow(const struct seen *v, const struct result_event *ev, uint8_t *life,
		       bool *restricted)
{
	bool ended = *life == EVENT_REVOKED ||
		     (v->replaced_ms != 0 && ev->at_ms > v->replaced_ms);

	switch (ev->kind) {
	case EVENT_CORRECTED:
		if (ended)
			return false;
		*life = EVENT_CORRECTED;
		return true;
	case EVENT_REVOKED:
		if (ended)
			return false;
		*life = EVENT_REVOKED;
		return true;
	case EVENT_RESTRICTED:
		*restricted = true;
		return true;
	case EVENT_RELEASED:
		if (!*restricted)
			return false;
		*restricted = false;
		return true;
	default:
		return event_is_kind(ev->kind) || ev->kind == EVENT_LINKED;
	}
}

static enum status lived(struct audit_one *o, struct audit_page *p)
{
	const struct seen *v = &o->v;
	int64_t before = INT64_MIN;
	bool restricted = false;
	uint8_t life = 0;
	uint32_t n = 0;
	enum status st = o->a->store->ops->history(o->r, v->lane, v->sequence, EVENTS_MAX,
						   o->events, &n);

	if (st == ST_CORRUPT) {
		found(p, audit_finding(AUDIT_HISTORY, v->id, 0, "an event cannot be read"));
		return ST_OK;
	}
	for (uint32_t i = 0; st == ST_OK && i < n; i++) {
		const struct result_event *ev = &o->events[i];

		if (ev->at_ms < before)
			found(p, audit_finding(AUDIT_HISTORY, v->id, 0,
					       "event %u is earlier than the one before it",
					       i + 1));
		if (ev->at_ms < v->issued_ms && ev->kind != EVENT_HANDED)
			found(p, audit_finding(AUDIT_HISTORY, v->id, 0,
					       "event %u is earlier than the result", i + 1));
		if (!may_follow(v, ev, &life, &restricted))
			found(p, audit_finding(AUDIT_HISTORY, v->id, 0,
					       "event %u cannot follow what was before it", i + 1));
		before = ev->at_ms;
	}
	return st;
}

/* Of one that came while we looked the other side may have been looked at before. */
static void linked(const struct audit *a, const struct seen *v, struct audit_page *p)
{
	int64_t begun_ms = a->scope.begun_ms - CLOCKS_MS;
	char of[ID_TEXT_BYTES + 1] = "", other[ID_TEXT_BYTES + 1] = "";

	id_text(of, v->id);
	if (memcmp(v->replaces, nothing, sizeof(v->replaces)) != 0) {
		id_text(other, v->replaces);
		json_array_append_new(p->links, json_pack("[ssbb]", of, other, 1,
							  v->stored_ms >= begun_ms));
	}
	if (memcmp(v->replaced_by, nothing, sizeof(v->replaced_by)) != 0) {
		id_text(other, v->replaced_by);
		json_array_append_new(p->links, json_pack("[ssbb]", of, other, 0,
							  v->replaced_ms >= begun_ms));
	}
}

/* ---- its number ---- */

static enum status numbered(struct audit_one *o, struct audit_page *p)
{
	const struct seen *v = &o->v;
	uint64_t sequence = 0;
	uint8_t lane = 0;
	enum status st;

	if (v->number == 0)
		return ST_OK;
	st = o->a->store->ops->find_number(o->r, slice_str(v->unit), slice_str(v->code), v->year,
					   v->number, &lane, &sequence);
	if (st == ST_OK && sequence == v->sequence && lane == v->lane)
		return ST_OK;
	if (st != ST_OK && st != ST_NOT_FOUND && st != ST_CORRUPT)
		return st;
	found(p, audit_finding(AUDIT_NUMBER, v->id, 0, "%s %s %u: number %llu %s", v->unit, v->code,
			       v->year, (unsigned long long)v->number, st == ST_OK ?
			       "stands in the book as another result's" :
			       "does not lead to it"));
	return ST_OK;
}

/* ---- all of it ---- */

static void day_add(struct audit_page *p, int64_t issued_ms)
{
	char day[16];
	json_t *n;

	snprintf(day, sizeof(day), "%u", day_vietnam(issued_ms));
	n = json_object_get(p->days, day);
	json_object_set_new(p->days, day, json_integer(n != NULL ? json_integer_value(n) + 1 : 1));
}

static enum status look(struct audit_one *o, struct audit_page *p)
{
	enum status st = verified(o, p);

	for (uint8_t i = 0; i < o->v.signatures_n && st == ST_OK; i++) {
		p->sums.without_evidence += memcmp(o->v.signatures[i].evidence_sha256, nothing,
						   SHA256_BYTES) == 0;
		st = audit_key(o->keys, o->r, o->v.id, slice_str(o->v.unit), slice_str(o->v.kind),
			       &o->v.signatures[i], p->findings);
	}
	if (st == ST_OK)
		st = lived(o, p);
	if (st == ST_OK)
		st = numbered(o, p);
	linked(o->a, &o->v, p);
	return st;
}

static enum status record_look(struct audit_one *o, struct result_name name, struct audit_page *p)
{
	size_t before = json_array_size(p->findings);
	uint8_t digest[SHA256_BYTES];
	struct result_view view;
	enum status st = name.lane >= LANES ? ST_CORRUPT :
			 o->a->store->ops->get(o->r, name.lane, name.sequence, &view);

	o->v.issued_ms = 0;
	if (st == ST_CORRUPT || st == ST_NOT_FOUND) {
		p->sums.looked++;
		found(p, audit_finding(AUDIT_UNREADABLE, NULL, name.sequence,
				       "its record cannot be read"));
		return ST_OK;
	}
	if (st != ST_OK)
		return st;
	if (!audit_in_period(&o->a->scope, view.issued_ms))
		return ST_OK;
	if (view.state != STATE_STORED) {
		p->sums.ended++;
		return ST_OK;
	}
	p->sums.looked++;
	keep(&o->v, &view);
	if (case_digest(view.case_bytes, digest) != ST_OK ||
	    memcmp(digest, view.case_digest, sizeof(digest)) != 0)
		found(p, audit_finding(AUDIT_CASE, o->v.id, 0,
				       "its case is not the one that was stored"));
	st = look(o, p);
	p->sums.passed += st == ST_OK && json_array_size(p->findings) == before;
	return st;
}

static void shorten(json_t *list, size_t n)
{
	while (json_array_size(list) > n)
		json_array_remove(list, json_array_size(list) - 1);
}

enum status audit_result(struct audit_one *o, struct result_name name, struct audit_page *p)
{
	const struct audit_sums sums = p->sums;
	size_t findings = json_array_size(p->findings), links = json_array_size(p->links);
	enum status st = record_look(o, name, p);

	if (st != ST_OK) {
		p->sums = sums;
		shorten(p->findings, findings);
		shorten(p->links, links);
	}
	if (st == ST_IO && ++o->io_failures < IO_FAILURES_MAX) {
		p->sums.looked++;
		found(p, audit_finding(AUDIT_UNREADABLE, o->v.issued_ms != 0 ? o->v.id : NULL,
				       name.sequence, "the disk cannot give all of it"));
		st = ST_OK;
	} else if (st == ST_OK) {
		o->io_failures = 0;
	}
	/* 0: not read, not of the period, or without a day of issue. */
	if (st == ST_OK && o->v.issued_ms != 0)
		day_add(p, o->v.issued_ms);
	return st;
}
