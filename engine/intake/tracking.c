/* TrackCase: how far a case is, for who has its receipt. */
#include "facts.h"
#include "intake/answer.h"
#include "intake/read.h"

static bool known_to(const struct case_view *about, const char *digits)
{
	struct holder_ends ends;

	case_ends(&ends, about);
	return holder_ends_have(&ends, digits);
}

static bool is_told(const struct case_result *one, const struct state_change *of, uint32_t n)
{
	uint32_t i = 0;

	while (i < n && (of[i].ordinal != one->ordinal ||
			 !slice_eq(slice_str(of[i].unit), one->unit) ||
			 !slice_eq(slice_str(of[i].kind), one->kind)))
		i++;
	return i < n;
}

bool case_all_told(const struct case_view *about, const struct state_change *of, uint32_t n)
{
	uint8_t told = 0;

	while (told < about->results_n && is_told(&about->results[told], of, n))
		told++;
	return told == about->results_n;
}

/*
 * By whichever of its results says what the case is. ST_NOT_FOUND: none does, or not so. *whole:
 * all of its results are among these.
 */
static enum status case_known(struct call *c, struct read_thread *r, const struct state_change *of,
			      uint32_t n, const char *digits, int64_t *due_ms, bool *whole)
{
	enum status st = ST_NOT_FOUND;

	for (uint32_t i = 0; i < n && st == ST_NOT_FOUND; i++) {
		size_t mark = r->scratch.used;
		struct case_view about;
		struct slice bytes;
		struct facts f;

		st = c->in->ops.case_of(r->store, of[i].result_id, &bytes);
		if (st == ST_OK)
			st = case_decode(&about, bytes, &r->scratch);
		if (st == ST_OK && !known_to(&about, digits))
			st = ST_NOT_FOUND;
		if (st == ST_OK) {
			facts_read(&f, about.facts);
			*due_ms = f.due_ms;
			*whole = case_all_told(&about, of, n);
		} else if (st == ST_NOT_FOUND && holder_ends_have(&of[i].ends, digits)) {
			*due_ms = of[i].due_ms;
			st = ST_OK;
		}
		r->scratch.used = mark;
	}
	return st;
}

static void put_all(struct writer *w, const struct state_change *of, uint32_t n)
{
	uint32_t stored = 0, ended = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint8_t *at = put_begin(w, 1);

		put_text(w, 1, of[i].unit);
		put_text(w, 2, of[i].kind);
		put_number(w, 3, of[i].state);
		put_time(w, 4, of[i].at_ms);
		put_end(w, at);
		stored += of[i].state == STATE_STORED;
		ended += of[i].state >= STATE_REFUSED;
	}
	put_number(w, 2, n);
	put_number(w, 3, stored);
	put_number(w, 4, ended);
}

static bool asked_well(struct call *c, const Trien__V1__TrackCaseRequest *q)
{
	const char *field = q->unit[0] == '\0' || strlen(q->unit) > CODE_BYTES_MAX ? "unit" :
			    q->code[0] == '\0' || strlen(q->code) > CASE_CODE_BYTES_MAX ? "code" :
			    strspn(q->last_digits, "0123456789") != HOLDER_END_DIGITS ||
			    strlen(q->last_digits) != HOLDER_END_DIGITS ? "last_digits" : NULL;

	if (field != NULL)
		call_refuse(c, FAULT_ARGUMENT_INVALID, field, "%s", "");
	return field == NULL;
}

void track_case_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__TrackCaseRequest *q =
		read_request(c, r, &trien__v1__track_case_request__descriptor);
	struct state_change of[WHOLE_CASE_MAX];
	uint8_t bytes[WHOLE_CASE_MAX * 160 + 64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	int64_t due_ms = 0;
	uint32_t n = 0;
	bool whole = true;
	enum status st;

	if (q == NULL || !asked_well(c, q))
		return;
	st = c->in->ops.whole_case(r->store, slice_str(q->unit), slice_str(q->code), WHOLE_CASE_MAX,
				   of, &n);
	if (st == ST_OK)
		st = case_known(c, r, of, n, q->last_digits, &due_ms, &whole);
	/* Wrong digits, too: the answer says of no case whether it is there. */
	if ((st == ST_NOT_FOUND || (st == ST_OK && !whole)) &&
	    read_elsewhere(c, r, slice_str(q->unit)))
		return;
	if (st == ST_NOT_FOUND) {
		call_refuse(c, FAULT_CASE_NOT_FOUND, "code", "%s", "");
		return;
	}
	if (st != ST_OK) {
		read_refuse(c, st);
		return;
	}
	put_all(&w, of, n);
	put_time(&w, 5, due_ms);
	call_reply(c, slice_copied(&w));
}
