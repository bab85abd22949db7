#include "cli/inforce.h"

#include <stdio.h>

#include "client/protojson.h"
#include "identity.h"
#include "trien/v1/audit.pb-c.h"

#define STANDING(name) TRIEN__V1__VERIFY_DOCUMENT_RESPONSE__STANDING__##name
#define DAY_BYTES 40

static bool is_good(const Trien__V1__VerifyDocumentResponse *a)
{
	return a->standing == STANDING(ISSUED) && a->issued != NULL &&
	       (a->issued->life == TRIEN__V1__LIFE__VALID ||
		a->issued->life == TRIEN__V1__LIFE__CORRECTED);
}

/* As Vietnam writes it, and as machines do. */
static void day_text(char vi[DAY_BYTES], char en[DAY_BYTES], const Trien__V1__Date *d)
{
	snprintf(vi, DAY_BYTES, "%02u/%02u/%04u", d != NULL ? d->day : 0, d != NULL ? d->month : 0,
		 d != NULL ? d->year : 0);
	snprintf(en, DAY_BYTES, "%04u-%02u-%02u", d != NULL ? d->year : 0,
		 d != NULL ? d->month : 0, d != NULL ? d->day : 0);
}

static void say_life(const Trien__V1__IssuedDocument *d)
{
	char vi[DAY_BYTES], en[DAY_BYTES];

	day_text(vi, en, d->life == TRIEN__V1__LIFE__EXPIRED ? d->valid_until : d->paper_date);
	switch (d->life) {
	case TRIEN__V1__LIFE__VALID:
		printf("  Còn hiệu lực.\n  Still in force.\n");
		break;
	case TRIEN__V1__LIFE__CORRECTED:
		printf("  Còn hiệu lực, đã đính chính theo công văn số %s ngày %s: %s\n"
		       "  Still in force, corrected by %s of %s: %s\n", d->paper_number, vi,
		       d->ground, d->paper_number, en, d->ground);
		break;
	case TRIEN__V1__LIFE__REPLACED:
		printf("  Đã được thay thế bởi kết quả %s.\n  Replaced by result %s.\n",
		       d->replaced_by, d->replaced_by);
		break;
	case TRIEN__V1__LIFE__REVOKED:
		printf("  Đã bị thu hồi theo quyết định số %s ngày %s: %s\n"
		       "  Revoked by decision %s of %s: %s\n", d->paper_number, vi, d->ground,
		       d->paper_number, en, d->ground);
		if (d->replaced_by[0] != '\0')
			printf("  Kết quả thay thế là %s.\n  Result %s stands in its place.\n",
			       d->replaced_by, d->replaced_by);
		break;
	default:
		printf("  Đã hết hiệu lực; ngày cuối cùng là %s.\n"
		       "  Expired; its last day was %s.\n", vi, en);
	}
}

static void say(const char *path, const Trien__V1__VerifyDocumentResponse *a)
{
	const Trien__V1__IssuedDocument *d = a->issued;

	if (path != NULL)
		printf("%s:\n", path);
	if (a->standing == STANDING(ISSUED) && d != NULL) {
		printf("  issued as %s, %s, by %s\n", d->number_text, d->kind_name[0] != '\0' ?
		       d->kind_name : d->kind, d->unit_name[0] != '\0' ? d->unit_name : d->unit);
		say_life(d);
	} else if (a->standing == STANDING(DIFFERENT)) {
		printf("  KHÔNG phải tệp đã được cấp là %s: tệp đã bị sửa hoặc làm giả.\n"
		       "  NOT the file that was issued as %s: it was changed, or made up.\n",
		       a->result_id, a->result_id);
	} else if (a->standing == STANDING(PENDING)) {
		printf("  Kho dữ liệu tạm thời không truy cập được, chưa biết còn hiệu lực hay "
		       "không; hãy hỏi lại.\n"
		       "  The store is away: whether it is in force is not known now; ask "
		       "again.\n");
	} else {
		printf("  Hệ thống không có kết quả này.\n"
		       "  The engine knows of no such result.\n");
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
	q.file_sha256.data = (uint8_t *)r->file_sha256;
	q.file_sha256.len = SHA256_BYTES;
	return (void *)client_call(c, AUDIT "VerifyDocument", &q.base,
				   &trien__v1__verify_document_response__descriptor, f);
}

int inforce_ask(struct client *c, const struct report *r, const char *path, json_t *row)
{
	struct failure f = { 0 };
	Trien__V1__VerifyDocumentResponse *a = ask(c, r, &f);
	int code;

	if (a == NULL) {
		failure_print("verify", &f);
		return failure_exit(&f);
	}
	code = is_good(a) ? 0 : a->standing == STANDING(PENDING) ? 3 : 1;
	if (row != NULL)
		json_object_set_new(row, "engine", protojson_write(&a->base));
	else if (path == NULL || code != 0)
		say(path, a);
	trien__v1__verify_document_response__free_unpacked(a, NULL);
	return code;
}
