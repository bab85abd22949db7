#include "intake/waiting.h"

#include <stdio.h>
#include <stdlib.h>

#include "trien/v1/signing.pb-c.h"

const char *waiting_signer(struct call *c, const char *named)
{
	const char *only = principal_signer_only(c->principal);

	if (named[0] == '\0' && only == NULL)
		call_refuse(c, FAULT_ARGUMENT_MISSING, "signer", "the caller may act as several");
	else if (strlen(named) > CODE_BYTES_MAX)
		call_refuse(c, FAULT_ARGUMENT_INVALID, "signer", "at most %d bytes",
			    CODE_BYTES_MAX);
	else if (named[0] != '\0' && !principal_signer(c->principal, slice_str(named)))
		call_refuse(c, FAULT_SIGNER_DENIED, "signer", "%s", "");
	else
		return named[0] != '\0' ? named : only;
	return NULL;
}

bool waiting_mine(struct call *c, struct read_thread *r, const char *result_id, uint8_t id[16],
		  struct waiting_row *row)
{
	enum status st = ST_NOT_FOUND;
	bool mine = false, here = false;
	struct result_view v;

	if (id_read(id, slice_str(result_id)))
		st = c->in->ops.waiting_find(r->store, id, row);
	if (st == ST_OK) {
		mine = principal_signer(c->principal, slice_str(row->signer));
		here = row->state == STATE_AWAITING_APPROVAL;
	}
	if (mine && here)
		return true;
	/* It has gone on, or waits for another thing: told to whom it is no secret. */
	if (mine || (!here && (st == ST_OK || st == ST_NOT_FOUND) &&
		     read_result(c, r, NULL, result_id, &v) == ST_OK))
		call_refuse(c, FAULT_RESULT_NOT_WAITING, "result_id", "%s", "");
	else
		read_refuse(c, st == ST_OK ? ST_NOT_FOUND : st);
	return false;
}

/* "1990-03-05", "1990-03", "1990". */
static void put_birth(struct writer *w, uint32_t number, struct partial_date d)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%04u-%02u-%02u", d.year, d.month, d.day);

	if (d.year != 0)
		put_slice(w, number, slice_of(text, (size_t)(d.month == 0 ? n - 6 :
							     d.day == 0 ? n - 3 : n)));
}

void put_waiting(struct writer *w, uint32_t number, const struct waiting_row *row,
		 const uint8_t id[16])
{
	uint8_t *at = put_begin(w, number);
	char text[ID_TEXT_BYTES];

	id_text(text, id);
	put_slice(w, 1, slice_of(text, sizeof(text)));
	put_text(w, 2, row->unit);
	put_text(w, 3, row->case_code);
	put_text(w, 4, row->kind);
	put_number(w, 5, row->ordinal);
	put_number(w, 6, row->revision);
	put_text(w, 7, row->signer);
	put_number(w, 8, row->priority + 1u);	/* trien.v1.Priority begins with UNSPECIFIED */
	put_time(w, 9, row->due_ms);
	put_time(w, 10, row->accepted_ms);
	put_time(w, 11, row->expires_ms);
	put_text(w, 12, row->holder_name);
	put_text(w, 13, row->holder_number);
	put_birth(w, 14, row->holder_birth);
	put_text(w, 15, row->principal);
	put_number(w, 16, row->sequence);
	put_end(w, at);
}

/* ---- ListWaiting ---- */

/* Page tokens: priority, due time and sequence of the last row, and what the list is of, in hex. */
#define TOKEN_FORM "%02x%016llx%016llx%08x"
#define TOKEN_BYTES (2 + 16 + 16 + 8)

bool waiting_token_read(const char *token, uint32_t list, struct waiting_place *out)
{
	unsigned long long due, sequence;
	unsigned int priority, of;
	char again[TOKEN_BYTES + 1];

	if (strlen(token) != TOKEN_BYTES ||
	    sscanf(token, "%2x%16llx%16llx%8x", &priority, &due, &sequence, &of) != 4)
		return false;
	snprintf(again, sizeof(again), TOKEN_FORM, priority, due, sequence, of);
	*out = (struct waiting_place){ .priority = (uint8_t)priority, .due_ms = (int64_t)due,
				       .sequence = sequence };
	return of == list && strcmp(again, token) == 0 && sequence <= INT64_MAX;
}

void put_waiting_token(struct writer *w, uint32_t number, uint32_t list,
		       const struct waiting_place *last)
{
	char token[TOKEN_BYTES + 1];

	snprintf(token, sizeof(token), TOKEN_FORM, last->priority,
		 (unsigned long long)last->due_ms, (unsigned long long)last->sequence, list);
	put_text(w, number, token);
}

static uint32_t list_of(const struct waiting_filter *f)
{
	uint32_t list = crc32c(0, f->signer, strlen(f->signer) + 1);

	list = crc32c(list, f->unit != NULL ? f->unit : "", f->unit != NULL ? strlen(f->unit) : 0);
	list = crc32c(list, "\n", 1);
	list = crc32c(list, f->kind != NULL ? f->kind : "", f->kind != NULL ? strlen(f->kind) : 0);
	return crc32c(list, &f->due_before_ms, sizeof(f->due_before_ms));
}

static const char *or_any(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

/* False: the call is answered. */
static bool filter_of(struct call *c, const Trien__V1__ListWaitingRequest *q,
		      struct waiting_filter *f)
{
	const char *signer = waiting_signer(c, q->signer);

	if (signer == NULL)
		return false;
	*f = (struct waiting_filter){ .state = STATE_AWAITING_APPROVAL, .signer = signer,
				      .unit = or_any(q->unit), .kind = or_any(q->kind) };
	if (q->due_before == NULL)
		return true;
	if (q->due_before->seconds <= 0 || q->due_before->seconds >= INT64_MAX / 1000 ||
	    q->due_before->nanos < 0 || q->due_before->nanos >= 1000000000) {
		call_refuse(c, FAULT_ARGUMENT_INVALID, "due_before", "a time after 1970");
		return false;
	}
	f->due_before_ms = q->due_before->seconds * 1000 + q->due_before->nanos / 1000000;
	return true;
}

static void reply_page(struct call *c, struct read_thread *r, const struct waiting_row *rows,
		       uint32_t n, bool more, uint32_t list)
{
	uint8_t id[16];
	struct reply p;

	if (!reply_open(c, &p, (size_t)n * WAITING_BYTES_MAX + 256))
		return;
	for (uint32_t i = 0; i < n; i++) {
		c->in->ops.result_id(r->store, rows[i].lane, rows[i].sequence, id);
		put_waiting(&p.w, 1, &rows[i], id);
	}
	if (more)
		put_waiting_token(&p.w, 2, list,
				  &(struct waiting_place){ rows[n - 1].priority, rows[n - 1].due_ms,
							   rows[n - 1].sequence });
	reply_end(c, &p, ST_OK);
}

void waiting_list_work(struct call *c, struct read_thread *r)
{
	const Trien__V1__ListWaitingRequest *q =
		read_request(c, r, &trien__v1__list_waiting_request__descriptor);
	struct waiting_place after;
	struct waiting_filter f;
	struct waiting_row *rows;
	uint32_t max, n = 0;
	enum status st;

	if (q == NULL || !filter_of(c, q, &f))
		return;
	if (q->page_token[0] != '\0' && !waiting_token_read(q->page_token, list_of(&f), &after)) {
		call_refuse(c, FAULT_PAGE_TOKEN_INVALID, "page_token", "%s", "");
		return;
	}
	max = page_size(q->page_size);
	rows = calloc(max, sizeof(*rows));
	if (rows == NULL) {
		call_refuse(c, FAULT_BUSY, "", "no memory");
		return;
	}
	st = c->in->ops.waiting_list(r->store, &f, q->page_token[0] != '\0' ? &after : NULL, rows,
				     max, &n);
	if (st != ST_OK)
		read_refuse(c, st);
	else
		reply_page(c, r, rows, n, n == max, list_of(&f));
	free(rows);
}
