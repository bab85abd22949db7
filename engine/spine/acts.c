#include <stdlib.h>

#include "base/calendar.h"
#include "base/log.h"
#include "spine/approval.h"
#include "spine/elsewhere.h"
#include "spine/handing.h"
#include "spine/living.h"
#include "spine/mirror.h"
#include "spine/numbers.h"
#include "spine/replay.h"
#include "spine/shares.h"
#include "spine/spine.h"
#include "spine/track.h"
#include "spine/units.h"

/*
 * Every answer goes out through the janitor's list, so that it waits for what is durable before it.
 */
static struct job *job_for(struct spine *s, struct act *a, enum job_type type)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		a->status = error_set(&a->error, ST_NOMEM, "no memory for this call");
		a->done(a);
		return NULL;
	}
	j->type = type;
	j->act = a;
	j->track = NO_TRACK;
	return j;
}

void refuse_both(struct act *a, enum status st, const char *vi, const char *text)
{
	snprintf(a->vi, sizeof(a->vi), "%s", vi);
	refuse_act(a, st, text);
}

void refuse_act(struct act *a, enum status st, const char *text)
{
	a->status = error_set(&a->error, st, "%s", text);
	a->done(a);
}

void act_tell(struct spine *s, struct act *a, enum job_type type, struct slice payload,
	      uint64_t track)
{
	struct job *j = calloc(1, sizeof(*j));

	if (j != NULL)
		j->bytes = malloc(payload.n);
	if (j == NULL || j->bytes == NULL) {
		free(j);
		/* Whoever it was told to would wait for ever, and the store never learn of it. */
		spine_fail(s, "no memory for an accepted act; it stands in the journal");
		refuse_act(a, ST_NOMEM, "no memory for this call");
		return;
	}
	memcpy(j->bytes, payload.p, payload.n);
	j->n = payload.n;
	j->type = type;
	j->act = a;
	j->track = track;
	j->after = s->appended;
	job_push(s, j);
}

void act_answer(struct spine *s, struct act *a)
{
	struct job *j = job_for(s, a, JOB_ANSWER);

	if (j == NULL)
		return;
	j->after = s->appended;
	job_push(s, j);
}

static void register_record(struct spine *s, struct act *a, enum record_type type, uint64_t number)
{
	bool closes = type == RECORD_REGISTER_CLOSED;
	uint8_t bytes[1024];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct record_register r = { .unit = a->unit, .code = a->code, .year = a->year,
				     .first = number, .at_ms = io_wall_ms(), .reason = a->reason,
				     .actor = a->actor };
	uint64_t pos;

	if (closes && a->total != NULL) {
		r.totalled = true;
		r.issued = a->total->issued;
		r.voided = a->total->voided;
		r.outside = a->total->outside;
	}
	if (record_register_encode(&r, &w) != ST_OK) {
		refuse_both(a, ST_TOO_LARGE, "Lý do quá dài", "the reason is too long");
		return;
	}
	if (!append_record(s, type, writer_slice(&w), &pos)) {
		refuse_both(a, ST_FULL, "Nhật ký đang đầy; hãy gọi lại",
			    "the journal is full just now; call again");
		return;
	}
	a->status = closes ? register_closed(s->registers, &r) : register_opened(s->registers, &r);
	if (a->registers != NULL)
		register_find(s->registers, a->unit, a->code, a->year, a->registers);
	log_info("register", "%.*s %.*s %u %s at %llu by %.*s", (int)a->unit.n,
		 (const char *)a->unit.p, (int)a->code.n, (const char *)a->code.p, a->year,
		 closes ? "closed" : "opened", (unsigned long long)number, (int)a->actor.n,
		 (const char *)a->actor.p);
	act_answer(s, a);
}

static bool refuse_elsewhere(struct spine *s, struct act *a)
{
	char owner[OWNER_TEXT_BYTES], text[OWNER_TEXT_BYTES + 64];

	if (units_mine(s->units, a->unit, owner))
		return false;
	snprintf(text, sizeof(text), "another engine issues for this agency: %s", owner);
	refuse_both(a, ST_PRECONDITION, "Cơ quan này thuộc một máy chủ ban hành khác", text);
	return true;
}

static bool kind_uses(const struct catalogue *c, struct slice code)
{
	const struct kind *k;

	for (uint32_t i = 0; (k = catalogue_kind_at(c, i)) != NULL; i++)
		if (slice_eq(slice_str(k->register_code), code))
			return true;
	return false;
}

/* Who closed it, and when, is kept with it. */
static void refuse_closed(struct act *a, const struct register_row *row)
{
	struct civil on = civil_vietnam(row->last.at_ms);
	char vi[ACT_VI_BYTES], text[200], who[CODE_BYTES_MAX + 32] = "";

	if (row->last.at_ms != 0)
		snprintf(who, sizeof(who), " on %04u-%02u-%02u by %.*s", on.year, on.month, on.day,
			 CODE_BYTES_MAX, row->last.actor);
	snprintf(vi, sizeof(vi), "Sổ năm %u đã khóa, không mở lại; số đi tiếp ở sổ năm sau",
		 row->year);
	snprintf(text, sizeof(text), "the register of %u was closed%s; it is not opened again: "
		 "numbers go on in the register of %u, once that is open", row->year, who,
		 row->year + 1);
	refuse_both(a, ST_PRECONDITION, vi, text);
}

static void refuse_stands(struct act *a, const struct register_row *row)
{
	if (row->closed)
		refuse_closed(a, row);
	else
		refuse_both(a, ST_EXISTS, "Sổ đang mở cho năm này rồi",
			    "the register is already open for this year");
}

static void register_act_open(struct spine *s, struct act *a)
{
	uint32_t day = day_vietnam(io_wall_ms());
	struct register_row row;
	struct catalogue *c;
	bool unit_known, code_known;

	if (refuse_elsewhere(s, a))
		return;
	c = spine_catalogue(s);
	unit_known = catalogue_unit(c, a->unit, day) != NULL;
	code_known = kind_uses(c, a->code);
	catalogue_unref(c);
	if (a->year == 0)
		a->year = day / 10000;
	if (!unit_known)
		refuse_both(a, ST_NOT_FOUND, "Hôm nay danh mục không có cơ quan này",
			    "the agency is not in the catalogue today");
	else if (!code_known)
		refuse_both(a, ST_NOT_FOUND, "Không loại kết quả nào dùng mã sổ này",
			    "no document kind uses this register code");
	else if (a->year > day / 10000 + 1)
		refuse_both(a, ST_INVALID, "Chỉ mở sổ cho năm nay hoặc năm sau",
			    "a register is opened for this year or the next one");
	else if (a->first == 0)
		refuse_both(a, ST_INVALID, "Số tiếp theo phải từ 1 trở lên",
			    "the next number must be at least 1");
	else if (a->reason.n == 0)
		refuse_both(a, ST_INVALID, "Phải nêu lý do: lý do được lưu cùng sổ",
			    "a reason is needed: it is kept with the register");
	else if (register_find(s->registers, a->unit, a->code, a->year, &row))
		refuse_stands(a, &row);
	else
		register_record(s, a, RECORD_REGISTER_OPENED, a->first);
}

/* Of all numbers, none given or voided since it was added up. */
static bool total_fits(const struct register_row *row, const struct act *a)
{
	const struct register_total *t = a->total;

	return a->first == row->next && t->voided == row->voided &&
	       t->issued + t->voided + t->outside == row->given;
}

static void register_act_close(struct spine *s, struct act *a)
{
	struct register_row row;

	if (refuse_elsewhere(s, a))
		return;
	if (a->year == 0)
		a->year = civil_vietnam(io_wall_ms()).year;
	if (!register_find(s->registers, a->unit, a->code, a->year, &row))
		refuse_both(a, ST_NOT_FOUND, "Sổ chưa được mở cho năm này",
			    "the register is not open for this year");
	else if (a->total == NULL ? row.closed : row.totalled)
		refuse_both(a, ST_EXISTS, "Sổ đã khóa rồi", "the register is already closed");
	else if (a->total != NULL && (!total_fits(&row, a)))
		refuse_both(a, ST_AGAIN, "Sổ có thêm số trong khi cộng; hãy gọi lại",
			    "the register went on while it was added up; call again");
	else if (approving_needs(s, a->unit, a->code))
		refuse_both(a, ST_AGAIN, "Kết quả đã duyệt đang được cấp số; hãy gọi lại",
			    "what was confirmed gets its numbers first; call again");
	else
		register_record(s, a, RECORD_REGISTER_CLOSED, row.next - 1);
}

static void register_act_list(struct spine *s, struct act *a)
{
	struct register_row row;

	for (uint32_t i = a->offset; a->n < a->max && register_at(s->registers, i, &row); i++)
		a->registers[a->n++] = row;
	a->status = ST_OK;
	a->done(a);
}

/* Once all numbers that it gave are durable: what a list says of them then stands. */
static void register_act_find(struct spine *s, struct act *a)
{
	if (refuse_elsewhere(s, a))
		return;
	if (a->year == 0)
		a->year = civil_vietnam(io_wall_ms()).year;
	a->n = register_find(s->registers, a->unit, a->code, a->year, a->registers);
	if (a->type == ACT_NUMBER_FIND && !numbers_find(s, a))
		return;
	act_answer(s, a);
}

static void status_act(struct spine *s, struct act *a)
{
	struct status_view *v = a->view;
	struct store_health store;

	*v = (struct status_view){ .started_ms = s->started_ms };
	snprintf(v->io, sizeof(v->io), "%s", io_name(s->io));
	snprintf(v->store, sizeof(v->store), "%s", s->store->ops->name);
	v->accepted = atomic_load(&s->counters.accepted);
	v->duplicates = atomic_load(&s->counters.duplicates);
	v->refused = atomic_load(&s->counters.refused);
	v->stored = atomic_load(&s->counters.stored);
	v->voided = atomic_load(&s->counters.voided);
	v->signatures = atomic_load(&s->counters.signatures);
	v->batches = atomic_load(&s->counters.batches);
	v->held = clerk_count(s, STATE_HELD);
	v->in_flight = inflight_count(s->inflight);
	v->backlog = backlog_count(s);
	v->aside = s->backlog.aside.n;
	v->journal_slots = s->config->journal_slots;
	v->journal_slots_free = journal_slots_free(s->journal);
	v->numbering = s->numbering && !s->stopping && !mirror_refuses(s);
	snprintf(v->why, sizeof(v->why), "%s", s->stopping ? "stopping" : "");
	if (!s->stopping && mirror_why(s)[0] != '\0')
		snprintf(v->why, sizeof(v->why), "mirror %s: %s", s->config->mirror,
			 mirror_why(s));
	v->signer_up = s->signer.link.ready;
	v->awaiting_approval = clerk_count(s, STATE_AWAITING_APPROVAL);
	v->awaiting_signature = clerk_count(s, STATE_AWAITING_SIGNATURE);
	v->remote = !s->remote.known ? "" : s->remote.link.ready ? "up" : "away";
	s->store->ops->health(s->store, &store);
	v->store_up = store.up;
	v->servers_away = store.servers_away;
	a->status = ST_OK;
	a->done(a);
}

static void job_act(struct spine *s, struct act *a, enum job_type type)
{
	struct job *j = job_for(s, a, type);

	if (j == NULL)
		return;
	j->row.sequence = a->sequence;
	job_push(s, j);
}

static void approve_act(struct spine *s, struct act *a)
{
	const struct approval *p = a->approval;

	if (p->items_n == 0 || p->items_n > APPROVAL_ITEMS_MAX ||
	    p->delegation.n > DELEGATION_BYTES_MAX || a->actor.n > PRINCIPAL_BYTES_MAX)
		refuse_act(a, ST_INVALID, "a confirmation has 1 to 1000 results");
	else if (!s->numbering)
		refuse_act(a, ST_UNAVAILABLE, "the engine does not number just now");
	else if (journal_slots_free(s->journal) < JOURNAL_SLOTS_FREE_MIN)
		refuse_both(a, ST_FULL, "Nhật ký đang đầy; hãy gọi lại",
			    "the journal is full just now; call again");
	else
		job_act(s, a, JOB_APPROVE_FIND);
}

/* Kept with the result for ever. */
static void end_act(struct spine *s, struct act *a)
{
	if (a->reason.n == 0 || a->reason.n > REASON_TEXT_BYTES_MAX)
		refuse_act(a, ST_INVALID, "a reason is needed, of at most 400 bytes: it is kept "
			   "with the result");
	else if (journal_slots_free(s->journal) < JOURNAL_SLOTS_FREE_MIN)
		refuse_both(a, ST_FULL, "Nhật ký đang đầy; hãy gọi lại",
			    "the journal is full just now; call again");
	else
		job_act(s, a, JOB_END_FIND);
}

/* Through the journal. */
static bool writes(enum act_type type)
{
	return type == ACT_REGISTER_OPEN || type == ACT_REGISTER_CLOSE ||
	       type == ACT_NUMBERS_USE || type == ACT_NUMBER_VOID ||
	       type == ACT_LINK_HOLDER || type == ACT_LIVE || type == ACT_HELD_RETRY ||
	       type == ACT_HELD_VOID ||
	       type == ACT_HAND || type == ACT_APPROVE || type == ACT_SEND_BACK ||
	       type == ACT_WITHDRAW || type == ACT_SIGNATURES_GIVE ||
	       (type >= ACT_SHARE_MAKE && type <= ACT_SHARE_END);
}

void act_run(struct spine *s, struct act *a)
{
	a->n = 0;
	if (s->stopping && a->type != ACT_STATUS && a->type != ACT_REGISTER_LIST) {
		refuse_act(a, ST_UNAVAILABLE, "the engine is stopping; call again later");
		return;
	}
	if (mirror_refuses(s) && writes(a->type)) {
		refuse_act(a, ST_UNAVAILABLE, "the journal's mirror does not answer; call again "
			   "later");
		return;
	}
	switch (a->type) {
	case ACT_REGISTER_OPEN:
		register_act_open(s, a);
		break;
	case ACT_REGISTER_CLOSE:
		register_act_close(s, a);
		break;
	case ACT_NUMBERS_USE:
	case ACT_NUMBER_VOID:
		if (!refuse_elsewhere(s, a))
			numbers_act(s, a);
		break;
	case ACT_REGISTER_LIST:
		register_act_list(s, a);
		break;
	case ACT_REGISTER_FIND:
	case ACT_NUMBER_FIND:
		register_act_find(s, a);
		break;
	case ACT_LINK_HOLDER:
		link_act(s, a);
		break;
	case ACT_LIVE:
		living_act(s, a);
		break;
	case ACT_STATUS:
		status_act(s, a);
		break;
	case ACT_HELD_RETRY:
		job_act(s, a, JOB_UNPARK);
		break;
	case ACT_HELD_VOID:
		elsewhere_row_wanted(s, a->sequence);
		job_act(s, a, JOB_HELD_FIND);
		break;
	case ACT_HAND:
		elsewhere_row_wanted(s, a->sequence);
		job_act(s, a, JOB_HAND_FIND);
		break;
	case ACT_APPROVE:
		approve_act(s, a);
		break;
	case ACT_SEND_BACK:
	case ACT_WITHDRAW:
		end_act(s, a);
		break;
	case ACT_SIGNATURES_GIVE:
		job_act(s, a, JOB_GIVEN_FIND);
		break;
	case ACT_SHARE_MAKE:
	case ACT_SHARE_FIND:
	case ACT_SHARE_USE:
	case ACT_SHARE_END:
		share_act(s, a);
		break;
	}
}

/* Done, or refused for ever; what a stop broke off is done at the next start. */
static bool is_final(enum status st)
{
	return st == ST_OK || status_class(st) == CLASS_REJECT;
}

void act_end(struct spine *s, struct job *j)
{
	struct act *a = j->act;

	if (j->type == JOB_VOID)
		void_done(s, j);
	if (j->track != NO_TRACK && is_final(j->status))
		track_close(s->track, j->track);
	if (a != NULL) {
		if (j->type != JOB_ANSWER) {
			a->status = j->status;
			a->error = j->error;
		}
		a->done(a);
	}
	free(j->bytes);
	free(j);
}

void act_finished(struct spine *s, struct job *j)
{
	if (j->type == JOB_UNPARK) {
		j->next = s->retry_first;
		s->retry_first = j;
		s->jobs_out++;
	} else if (j->status != ST_OK && (j->type == JOB_HELD_FIND || j->type == JOB_HAND_FIND)) {
		row_missing(s, j);
		if (j->status != ST_AGAIN || !row_find_again(s, j))
			act_end(s, j);
	} else if (j->type == JOB_HELD_FIND) {
		void_found(s, j);
	} else if (j->type == JOB_HAND_FIND) {
		hand_found(s, j);
	} else if (j->type == JOB_HAND) {
		hand_done(s, j);
	} else if (j->type == JOB_HAND_TELL) {
		clerk_told(s, j);
	} else {
		act_end(s, j);
	}
}
