#include "cli/inforce.h"

#include <stdio.h>

#include "client/protojson.h"
#include "identity.h"
#include "trien/v1/audit.pb-c.h"

#define STANDING(name) TRIEN__V1__VERIFY_DOCUMENT_RESPONSE__STANDING__##name
static_assert((int)STANDING(ISSUED) == STANDING_ISSUED &&
	      (int)STANDING(PENDING) == STANDING_PENDING, "standings have one numbering");
static_assert((int)TRIEN__V1__LIFE__VALID == LIFE_VALID &&
	      (int)TRIEN__V1__LIFE__EXPIRED == LIFE_EXPIRED, "lives have one numbering");

static uint32_t day_of(const Trien__V1__Date *d)
{
	return d != NULL ? d->year * 10000 + d->month * 100 + d->day : 0;
}

static void text_of(char *out, size_t max, const char *text, const char *else_text)
{
	snprintf(out, max, "%s", text[0] != '\0' ? text : else_text);
}

static void fill_issued(struct asked *out, const Trien__V1__IssuedDocument *d)
{
	out->life = (enum life)d->life;
	text_of(out->result_id, sizeof(out->result_id), d->result_id, "");
	text_of(out->unit, sizeof(out->unit), d->unit, "");
	text_of(out->unit_name, sizeof(out->unit_name), d->unit_name, d->unit);
	text_of(out->kind_name, sizeof(out->kind_name), d->kind_name, d->kind);
	text_of(out->number, sizeof(out->number), d->number_text, "");
	text_of(out->replaced_by, sizeof(out->replaced_by), d->replaced_by, "");
	text_of(out->paper_number, sizeof(out->paper_number), d->paper_number, "");
	text_of(out->ground, sizeof(out->ground), d->ground, "");
	out->paper_day = day_of(d->paper_date);
	out->valid_until = day_of(d->valid_until);
}

/* A newer engine may say what this program does not know: then it knows of no such result. */
static void fill(struct asked *out, const Trien__V1__VerifyDocumentResponse *a)
{
	const Trien__V1__IssuedDocument *d = a->issued;
	bool lives = d != NULL && d->life >= TRIEN__V1__LIFE__VALID &&
		     d->life <= TRIEN__V1__LIFE__EXPIRED;

	*out = (struct asked){ .standing = STANDING_UNKNOWN };
	if (a->standing == STANDING(ISSUED) && lives) {
		out->standing = STANDING_ISSUED;
		fill_issued(out, d);
	} else if (a->standing == STANDING(DIFFERENT) || a->standing == STANDING(PENDING)) {
		out->standing = (enum standing)a->standing;
		text_of(out->result_id, sizeof(out->result_id), a->result_id, "");
	}
}

/* A file that names no result is asked about under an id that is none. */
static Trien__V1__VerifyDocumentResponse *ask(struct client *c, const struct report *r,
					      struct failure *f)
{
	Trien__V1__VerifyDocumentRequest q = TRIEN__V1__VERIFY_DOCUMENT_REQUEST__INIT;
	char id[ID_TEXT_BYTES + 1];

	if (r->named)
		id_text(id, r->id);
	else
		memset(id, '0', ID_TEXT_BYTES);
	id[ID_TEXT_BYTES] = '\0';
	q.result_id = id;
	q.file_sha256.data = (uint8_t *)r->issued_sha256;
	q.file_sha256.len = SHA256_BYTES;
	return (void *)client_call(c, AUDIT "VerifyDocument", &q.base,
				   &trien__v1__verify_document_response__descriptor, f);
}

int inforce_ask(struct client *c, const struct report *r, struct asked *out, json_t **answer)
{
	struct failure f = { 0 };
	Trien__V1__VerifyDocumentResponse *a = ask(c, r, &f);

	*out = (struct asked){ .standing = STANDING_NOT_ASKED };
	if (a == NULL) {
		failure_print("verify", &f);
		return failure_exit(&f);
	}
	fill(out, a);
	if (answer != NULL)
		*answer = protojson_write(&a->base);
	trien__v1__verify_document_response__free_unpacked(a, NULL);
	return asked_good(out) ? 0 : out->standing == STANDING_PENDING ? 3 : 1;
}
