#include "client/failure.h"

#include <grpc/support/alloc.h>
#include <stdio.h>
#include <sysexits.h>

#include "google/protobuf/duration.pb-c.h"
#include "google/rpc/error_details.pb-c.h"
#include "google/rpc/status.pb-c.h"

#define RETRY_MS_MAX 60000

static const char *code_name(int code)
{
	static const char *const names[] = {
		"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
		"ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
		"ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return code >= 0 && code < (int)ARRAY_LEN(names) ? names[code] : "UNKNOWN";
}

/* The message inside when it is of this type; the caller frees it. */
static ProtobufCMessage *unpack(const Google__Protobuf__Any *any,
				const ProtobufCMessageDescriptor *type)
{
	const char *slash = strrchr(any->type_url, '/');

	if (slash == NULL || strcmp(slash + 1, type->name) != 0)
		return NULL;
	return protobuf_c_message_unpack(type, NULL, any->value.len, any->value.data);
}

static uint32_t retry_ms(const Google__Rpc__RetryInfo *r)
{
	const Google__Protobuf__Duration *d = r->retry_delay;

	if (d == NULL || d->seconds < 0 || d->nanos < 0)
		return 0;
	if (d->seconds >= RETRY_MS_MAX / 1000)
		return RETRY_MS_MAX;
	return (uint32_t)d->seconds * 1000 + (uint32_t)d->nanos / 1000000;
}

static void take_detail(struct failure *f, const Google__Protobuf__Any *any)
{
	Google__Rpc__ErrorInfo *info;
	Google__Rpc__BadRequest *bad;
	Google__Rpc__LocalizedMessage *text;
	Google__Rpc__RetryInfo *retry;

	if ((info = (void *)unpack(any, &google__rpc__error_info__descriptor)) != NULL) {
		snprintf(f->reason, sizeof(f->reason), "%s", info->reason);
		protobuf_c_message_free_unpacked(&info->base, NULL);
	} else if ((bad = (void *)unpack(any, &google__rpc__bad_request__descriptor)) != NULL) {
		if (bad->n_field_violations > 0)
			snprintf(f->field, sizeof(f->field), "%s", bad->field_violations[0]->field);
		protobuf_c_message_free_unpacked(&bad->base, NULL);
	} else if ((text = (void *)unpack(any, &google__rpc__localized_message__descriptor)) !=
		   NULL) {
		if (strcmp(text->locale, "vi") == 0)
			snprintf(f->vi, sizeof(f->vi), "%s", text->message);
		protobuf_c_message_free_unpacked(&text->base, NULL);
	} else if ((retry = (void *)unpack(any, &google__rpc__retry_info__descriptor)) != NULL) {
		f->retry_ms = retry_ms(retry);
		protobuf_c_message_free_unpacked(&retry->base, NULL);
	}
}

void failure_decode(struct failure *f, int code, const char *message, struct slice details)
{
	Google__Rpc__Status *status;

	*f = (struct failure){ .code = code };
	snprintf(f->en, sizeof(f->en), "%s", message);
	if (details.n == 0)
		return;
	status = google__rpc__status__unpack(NULL, details.n, details.p);
	if (status == NULL)
		return;
	for (size_t i = 0; i < status->n_details; i++)
		take_detail(f, status->details[i]);
	google__rpc__status__free_unpacked(status, NULL);
}

void failure_read(struct failure *f, int code, grpc_slice message,
		  const grpc_metadata_array *trailing)
{
	struct slice details = { NULL, 0 };
	char *text = grpc_slice_to_c_string(message);

	for (size_t i = 0; i < trailing->count; i++) {
		const grpc_metadata *m = &trailing->metadata[i];

		if (grpc_slice_str_cmp(m->key, "grpc-status-details-bin") == 0)
			details = slice_of(GRPC_SLICE_START_PTR(m->value),
					   GRPC_SLICE_LENGTH(m->value));
	}
	failure_decode(f, code, text, details);
	gpr_free(text);
}

bool failure_passing(const struct failure *f)
{
	/* What gRPC itself says of a connection that broke off; the engine's own have a reason. */
	if (f->code == GRPC_STATUS_UNKNOWN || f->code == GRPC_STATUS_INTERNAL)
		return f->reason[0] == '\0';
	return f->code == GRPC_STATUS_UNAVAILABLE || f->code == GRPC_STATUS_RESOURCE_EXHAUSTED ||
	       f->code == GRPC_STATUS_DEADLINE_EXCEEDED || f->code == GRPC_STATUS_ABORTED ||
	       f->code == GRPC_STATUS_CANCELLED;
}

int failure_exit(const struct failure *f)
{
	switch (f->code) {
	case GRPC_STATUS_OK:
		return EX_OK;
	case GRPC_STATUS_UNAVAILABLE:
		return f->reason[0] != '\0' ? EX_TEMPFAIL : EX_UNAVAILABLE;
	case GRPC_STATUS_RESOURCE_EXHAUSTED:
	case GRPC_STATUS_DEADLINE_EXCEEDED:
	case GRPC_STATUS_ABORTED:
	case GRPC_STATUS_CANCELLED:
		return EX_TEMPFAIL;
	case GRPC_STATUS_PERMISSION_DENIED:
	case GRPC_STATUS_UNAUTHENTICATED:
		return EX_NOPERM;
	case GRPC_STATUS_DATA_LOSS:
		return EX_DATAERR;
	case GRPC_STATUS_UNIMPLEMENTED:
	case GRPC_STATUS_INTERNAL:
	case GRPC_STATUS_UNKNOWN:
		return EX_SOFTWARE;
	default:
		return 1;
	}
}

void failure_print(const char *command, const struct failure *f)
{
	fprintf(stderr, "trien %s: %s%s%s [%s]\n", command, f->field,
		f->field[0] != '\0' ? ": " : "", f->en,
		f->reason[0] != '\0' ? f->reason : code_name(f->code));
	if (f->vi[0] != '\0')
		fprintf(stderr, "  %s\n", f->vi);
}

int error_exit(const char *command, const struct error *e)
{
	fprintf(stderr, "trien %s: %s\n", command, e->text);
	switch (e->status) {
	case ST_INVALID:
		return 2;
	case ST_NOT_FOUND:
		return EX_NOINPUT;
	case ST_CORRUPT:
		return EX_DATAERR;
	case ST_NOMEM:
		return EX_OSERR;
	default:
		return EX_IOERR;
	}
}
