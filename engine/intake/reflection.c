#include <stdlib.h>

#include "base/wire.h"
#include "grpc/reflection/v1/reflection.pb-c.h"
#include "intake/methods.h"

/* The descriptor set of all our files and what they import, in order of dependency. */
__asm__(".section .rodata\n"
	".global trien_descriptors\n"
	".global trien_descriptors_end\n"
	".balign 16\n"
	"trien_descriptors:\n"
	".incbin \"" DESCRIPTORS "\"\n"
	"trien_descriptors_end:\n"
	".byte 0\n"
	".previous\n");
extern const uint8_t trien_descriptors[], trien_descriptors_end[];

#define FILES_MAX 32
#define REPLY_BYTES_MAX (256 * 1024)
/* Field numbers of google.protobuf.FileDescriptorProto and below. */
enum { FILE_NAME = 1, FILE_PACKAGE = 2, FILE_DEPENDENCY = 3, FILE_MESSAGE = 4, FILE_ENUM = 5,
       FILE_SERVICE = 6, NAME = 1, MESSAGE_FIELD = 2, MESSAGE_NESTED = 3, MESSAGE_ENUM = 4,
       ENUM_VALUE = 2, SERVICE_METHOD = 2 };

struct reflection {
	uint32_t n;
	struct slice files[FILES_MAX];
};

typedef Grpc__Reflection__V1__ServerReflectionRequest request_t;
#define ASKED(what) GRPC__REFLECTION__V1__SERVER_REFLECTION_REQUEST__MESSAGE_REQUEST_##what

enum status reflection_open(struct reflection **out)
{
	struct reflection *r = calloc(1, sizeof(*r));
	struct wire w = wire_of(slice_of(trien_descriptors,
					 (size_t)(trien_descriptors_end - trien_descriptors)));
	struct wire_field f;

	if (r == NULL)
		return ST_NOMEM;
	while (wire_next(&w, &f) && r->n < FILES_MAX)
		r->files[r->n++] = f.bytes;
	*out = r;
	return ST_OK;
}

void reflection_close(struct reflection *r)
{
	free(r);
}

/* The first occurrence of a text field. */
static struct slice text_of(struct slice message, uint32_t number)
{
	struct wire w = wire_of(message);
	struct wire_field f;

	while (wire_next(&w, &f))
		if (f.number == number && f.type == WIRE_BYTES)
			return f.bytes;
	return slice_of(NULL, 0);
}

/* Takes `part` and a dot from the front of *name, or all of it. */
static bool strip(struct slice *name, struct slice part)
{
	if (part.n == 0 || name->n < part.n || memcmp(name->p, part.p, part.n) != 0)
		return false;
	if (name->n > part.n && name->p[part.n] != '.')
		return false;
	part.n += name->n > part.n;
	*name = slice_of(name->p + part.n, name->n - part.n);
	return true;
}

static bool member(struct slice owner, uint32_t number, struct slice name)
{
	struct wire w = wire_of(owner);
	struct wire_field f;

	while (wire_next(&w, &f))
		if (f.number == number && f.type == WIRE_BYTES &&
		    slice_eq(text_of(f.bytes, NAME), name))
			return true;
	return false;
}

/* Is `name` (without the package) declared in one of owner's fields `number`, or inside of it? */
static bool declared(struct slice owner, uint32_t number, uint32_t members, struct slice name,
		     bool nested)
{
	struct wire w = wire_of(owner);
	struct wire_field f;

	while (wire_next(&w, &f)) {
		struct slice rest = name;

		if (f.number != number || f.type != WIRE_BYTES ||
		    !strip(&rest, text_of(f.bytes, NAME)))
			continue;
		if (rest.n == 0 || member(f.bytes, members, rest))
			return true;
		if (nested && (declared(f.bytes, MESSAGE_NESTED, MESSAGE_FIELD, rest, true) ||
			       declared(f.bytes, MESSAGE_ENUM, ENUM_VALUE, rest, false)))
			return true;
	}
	return false;
}

static int file_of_symbol(const struct reflection *r, struct slice symbol)
{
	for (uint32_t i = 0; i < r->n; i++) {
		struct slice name = symbol;

		if (strip(&name, text_of(r->files[i], FILE_PACKAGE)) && name.n > 0 &&
		    (declared(r->files[i], FILE_MESSAGE, MESSAGE_FIELD, name, true) ||
		     declared(r->files[i], FILE_ENUM, ENUM_VALUE, name, false) ||
		     declared(r->files[i], FILE_SERVICE, SERVICE_METHOD, name, false)))
			return (int)i;
	}
	return -1;
}

static int file_of_name(const struct reflection *r, struct slice name)
{
	for (uint32_t i = 0; i < r->n; i++)
		if (slice_eq(text_of(r->files[i], FILE_NAME), name))
			return (int)i;
	return -1;
}

/* The file and what it imports; a bit per file. */
static uint32_t closure(const struct reflection *r, uint32_t file, uint32_t seen)
{
	struct wire w = wire_of(r->files[file]);
	struct wire_field f;

	seen |= 1u << file;
	while (wire_next(&w, &f)) {
		int dep = f.number == FILE_DEPENDENCY ? file_of_name(r, f.bytes) : -1;

		if (dep >= 0 && !(seen & 1u << dep))
			seen = closure(r, (uint32_t)dep, seen);
	}
	return seen;
}

static void put_error(struct writer *w, uint32_t code, const char *text)
{
	uint8_t *at = put_begin(w, 7);

	put_number(w, 1, code);
	put_text(w, 2, text);
	put_end(w, at);
}

static void put_files(struct writer *w, const struct reflection *r, int file)
{
	uint32_t files;
	uint8_t *at;

	if (file < 0) {
		put_error(w, GRPC_STATUS_NOT_FOUND, "there is no such file or symbol");
		return;
	}
	files = closure(r, (uint32_t)file, 0);
	at = put_begin(w, 4);
	put_slice(w, 1, r->files[file]);
	for (uint32_t i = 0; i < r->n; i++)
		if (i != (uint32_t)file && (files & 1u << i))
			put_slice(w, 1, r->files[i]);
	put_end(w, at);
}

static void put_services(struct writer *w, const struct reflection *r)
{
	uint8_t *list = put_begin(w, 6);

	for (uint32_t i = 0; i < r->n; i++) {
		struct slice package = text_of(r->files[i], FILE_PACKAGE);
		struct wire wire = wire_of(r->files[i]);
		struct wire_field f;

		while (wire_next(&wire, &f)) {
			struct slice name = text_of(f.bytes, NAME);
			uint8_t *at;

			if (f.number != FILE_SERVICE)
				continue;
			at = put_begin(w, 1);
			put_varint(w, 1 << 3 | WIRE_BYTES);
			put_varint(w, package.n + 1 + name.n);
			write_bytes(w, package.p, package.n);
			write_bytes(w, ".", 1);
			write_bytes(w, name.p, name.n);
			put_end(w, at);
		}
	}
	put_end(w, list);
}

static void put_answer(struct writer *w, const struct reflection *r, const request_t *q,
		       struct slice original)
{
	put_text(w, 1, q->host);
	put_slice(w, 2, original);
	switch (q->message_request_case) {
	case ASKED(FILE_BY_FILENAME):
		put_files(w, r, file_of_name(r, slice_str(q->file_by_filename)));
		break;
	case ASKED(FILE_CONTAINING_SYMBOL):
		put_files(w, r, file_of_symbol(r, slice_str(q->file_containing_symbol)));
		break;
	case ASKED(LIST_SERVICES):
		put_services(w, r);
		break;
	case ASKED(_NOT_SET):
		put_error(w, GRPC_STATUS_INVALID_ARGUMENT, "the request asks nothing");
		break;
	default:
		put_error(w, GRPC_STATUS_NOT_FOUND, "there are no extensions");
	}
}

/* One question, one answer, then the next question: nothing overlaps. */
void reflection_begin(struct call *c)
{
	call_receive(c);
}

void reflection_message(struct call *c, bool ok)
{
	struct slice bytes;
	struct writer w;
	request_t *q;
	uint8_t *buf;

	if (!ok) {
		call_drop(c);
		return;
	}
	if (c->request == NULL) {
		call_finish(c, NULL);
		return;
	}
	arena_reset(&c->worker->gather);
	buf = malloc(REPLY_BYTES_MAX);
	q = call_request(c, &c->worker->gather, &bytes) && bytes.n < 64 * 1024 ?
	    grpc__reflection__v1__server_reflection_request__unpack(NULL, bytes.n, bytes.p) : NULL;
	if (q == NULL || buf == NULL) {
		call_refuse(c, FAULT_MALFORMED, "", "not a reflection request");
	} else {
		w = writer_of(buf, REPLY_BYTES_MAX);
		put_answer(&w, c->in->reflection, q, bytes);
		grpc_byte_buffer_destroy(c->request);
		c->request = NULL;
		call_send(c, slice_copied(&w));
	}
	if (q != NULL)
		grpc__reflection__v1__server_reflection_request__free_unpacked(q, NULL);
	free(buf);
}

void reflection_sent(struct call *c, bool ok)
{
	if (!ok)
		call_drop(c);
	else if (atomic_load(&c->in->stopping))
		call_refuse(c, FAULT_STOPPING, "", "%s", "");
	else
		call_receive(c);
}

/* A stream that waits for a question holds nothing; cancelling is thread-safe and wakes it. */
void reflection_stop(struct call *c)
{
	grpc_call_cancel(c->grpc, NULL);
}
