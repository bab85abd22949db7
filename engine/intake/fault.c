#include "intake/fault.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/wire.h"

#define RETRY_MS 500
#define TYPE_URL "type.googleapis.com/google.rpc."
#define DOMAIN "trien.v1"

static const struct { grpc_status_code code; const char *reason, *vi, *en; } faults[] = {
#define FAULT_ROW(name, code, vi, en) { GRPC_STATUS_##code, #name, vi, en },
	FAULTS(FAULT_ROW)
#undef FAULT_ROW
};

grpc_status_code fault_code(enum status st)
{
	static const grpc_status_code codes[ST_COUNT] = {
		[ST_OK] = GRPC_STATUS_OK, [ST_AGAIN] = GRPC_STATUS_UNAVAILABLE,
		[ST_FULL] = GRPC_STATUS_RESOURCE_EXHAUSTED,
		[ST_UNAVAILABLE] = GRPC_STATUS_UNAVAILABLE,
		[ST_TIMEOUT] = GRPC_STATUS_DEADLINE_EXCEEDED,
		[ST_INVALID] = GRPC_STATUS_INVALID_ARGUMENT,
		[ST_NOT_FOUND] = GRPC_STATUS_NOT_FOUND, [ST_EXISTS] = GRPC_STATUS_ALREADY_EXISTS,
		[ST_CONFLICT] = GRPC_STATUS_ALREADY_EXISTS,
		[ST_DENIED] = GRPC_STATUS_PERMISSION_DENIED,
		[ST_UNAUTHENTICATED] = GRPC_STATUS_UNAUTHENTICATED,
		[ST_PRECONDITION] = GRPC_STATUS_FAILED_PRECONDITION,
		[ST_TOO_LARGE] = GRPC_STATUS_INVALID_ARGUMENT,
		[ST_UNSUPPORTED] = GRPC_STATUS_UNIMPLEMENTED, [ST_CORRUPT] = GRPC_STATUS_DATA_LOSS,
		[ST_IO] = GRPC_STATUS_UNAVAILABLE, [ST_NOSPACE] = GRPC_STATUS_RESOURCE_EXHAUSTED,
		[ST_NOMEM] = GRPC_STATUS_RESOURCE_EXHAUSTED, [ST_DAMAGED] = GRPC_STATUS_DATA_LOSS,
		[ST_INTERNAL] = GRPC_STATUS_INTERNAL,
	};

	return (unsigned int)st < ST_COUNT ? codes[st] : GRPC_STATUS_INTERNAL;
}

void fault_set(struct fault *f, enum fault_kind kind, const char *field, const char *fmt, ...)
{
	va_list ap;

	*f = (struct fault){ .code = faults[kind].code, .reason = faults[kind].reason,
			     .vi = faults[kind].vi, .en = faults[kind].en };
	snprintf(f->field, sizeof(f->field), "%s", field);
	va_start(ap, fmt);
	vsnprintf(f->detail, sizeof(f->detail), fmt, ap);
	va_end(ap);
	if (kind == FAULT_BUSY || kind == FAULT_STOPPING || kind == FAULT_STORE_AWAY ||
	    kind == FAULT_SESSION_CONFIRMING)
		f->retry_ms = RETRY_MS;
}

void fault_refusal(struct fault *f, const struct refusal *r, const char *prefix)
{
	const struct reason_text *t = reason_text(r->reason);

	*f = (struct fault){ .code = fault_code(t->status), .reason = t->name, .vi = t->vi,
			     .en = t->en };
	snprintf(f->field, sizeof(f->field), "%s%s%s", prefix,
		 prefix[0] != '\0' && r->field[0] != '\0' ? "." : "",
		 r->field);
	snprintf(f->detail, sizeof(f->detail), "%s", r->detail);
	if (status_class(t->status) == CLASS_RETRY)
		f->retry_ms = RETRY_MS;
	f->owner = r->reason == REASON_UNIT_ELSEWHERE;
	f->digests = r->reason == REASON_CASE_CONTENT_CONFLICT;
	memcpy(f->digest_stored, r->digest_stored, SHA256_BYTES);
	memcpy(f->digest_given, r->digest_given, SHA256_BYTES);
}

void fault_status(struct fault *f, enum status st, const char *vi, const char *text)
{
	*f = (struct fault){ .code = fault_code(st), .reason = status_name(st),
			     .vi = vi[0] != '\0' ? vi : "Thao tác không thực hiện được",
			     .en = "the act was refused" };
	snprintf(f->detail, sizeof(f->detail), "%s", text);
	if (status_class(st) == CLASS_RETRY)
		f->retry_ms = RETRY_MS;
}

void fault_message(const struct fault *f, char *out, size_t size)
{
	snprintf(out, size, "%s%s%s", f->en, f->detail[0] != '\0' ? ": " : "", f->detail);
}

static uint8_t *detail_begin(struct writer *w, const char *type, uint8_t **value)
{
	uint8_t *any = put_begin(w, 3);
	char url[96];

	snprintf(url, sizeof(url), TYPE_URL "%s", type);
	put_text(w, 1, url);
	*value = put_begin(w, 2);
	return any;
}

static void detail_end(struct writer *w, uint8_t *any, uint8_t *value)
{
	put_end(w, value);
	put_end(w, any);
}

static void put_metadata(struct writer *w, const char *key, struct slice value)
{
	uint8_t *entry = put_begin(w, 3);

	put_text(w, 1, key);
	put_slice(w, 2, value);
	put_end(w, entry);
}

static void put_digest(struct writer *w, const char *key, const uint8_t digest[SHA256_BYTES])
{
	char hex[2 * SHA256_BYTES];

	hex_lower(hex, digest, SHA256_BYTES);
	put_metadata(w, key, slice_of(hex, sizeof(hex)));
}

static void encode_details(const struct fault *f, const char *message, struct writer *w)
{
	uint8_t *value, *any = detail_begin(w, "ErrorInfo", &value), *inner;

	put_text(w, 1, f->reason);
	put_text(w, 2, DOMAIN);
	if (f->digests) {
		put_digest(w, "stored_sha256", f->digest_stored);
		put_digest(w, "given_sha256", f->digest_given);
	}
	if (f->owner)
		put_metadata(w, "owner", slice_str(f->detail));
	detail_end(w, any, value);
	if (f->field[0] != '\0') {
		any = detail_begin(w, "BadRequest", &value);
		inner = put_begin(w, 1);
		put_text(w, 1, f->field);
		put_text(w, 2, message);
		put_end(w, inner);
		detail_end(w, any, value);
	}
	any = detail_begin(w, "LocalizedMessage", &value);
	put_text(w, 1, "vi");
	put_text(w, 2, f->vi);
	detail_end(w, any, value);
	if (f->retry_ms != 0) {
		any = detail_begin(w, "RetryInfo", &value);
		inner = put_begin(w, 1);
		put_number(w, 1, f->retry_ms / 1000);
		put_number(w, 2, (uint64_t)(f->retry_ms % 1000) * 1000000);
		put_end(w, inner);
		detail_end(w, any, value);
	}
}

size_t fault_encode(const struct fault *f, uint8_t out[FAULT_BYTES_MAX])
{
	struct writer w = writer_of(out, FAULT_BYTES_MAX);
	char message[512];

	fault_message(f, message, sizeof(message));
	put_number(&w, 1, f->code);
	put_text(&w, 2, message);
	encode_details(f, message, &w);
	return w.bad ? 0 : writer_size(&w);
}
