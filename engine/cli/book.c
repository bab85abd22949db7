#include "cli/book.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/protojson.h"
#include "io/file.h"
#include "trien/v1/operations.pb-c.h"

#define LISTING_BYTES_MAX (1024u * 1024 * 1024)

static void tell(const Trien__V1__ListRegisterResponse *m, const struct book_reader *to)
{
	if (m->register_ != NULL)
		to->head(to->ctx, m->register_);
	for (size_t i = 0; i < m->n_entries; i++)
		to->entry(to->ctx, m->entries[i]);
}

bool book_read(struct client *c, const struct book_name *name, bool recipients, bool lives,
	       uint64_t timeout_s, const struct book_reader *to, struct failure *f)
{
	Trien__V1__ListRegisterRequest q = TRIEN__V1__LIST_REGISTER_REQUEST__INIT;
	Trien__V1__ListRegisterResponse *m;
	struct client_stream *s;

	*f = (struct failure){ 0 };
	q.unit = (char *)name->unit;
	q.code = (char *)name->code;
	q.year = name->year;
	q.recipients = recipients;
	q.lives = lives;
	s = client_stream_open(c, AUDIT "ListRegister", &q.base, timeout_s);
	while ((m = (void *)client_stream_read(
			s, &trien__v1__list_register_response__descriptor, f)) != NULL) {
		tell(m, to);
		trien__v1__list_register_response__free_unpacked(m, NULL);
	}
	client_stream_close(s);
	return f->code == 0;
}

bool book_read_file(const char *path, const struct book_reader *to)
{
	struct error e = { 0 };
	ProtobufCMessage *m = NULL;
	uint8_t *text = NULL;
	size_t n = 0;
	enum status st = file_read(path, LISTING_BYTES_MAX, &text, &n, &e);

	if (st == ST_OK)
		st = protojson_parse(&m, slice_of(text, n),
				     &trien__v1__list_register_response__descriptor, &e);
	free(text);
	if (st != ST_OK) {
		fprintf(stderr, "trien register: %s: %s\n", path, e.text);
		return false;
	}
	tell((const Trien__V1__ListRegisterResponse *)m, to);
	protobuf_c_message_free_unpacked(m, NULL);
	return true;
}

static bool wanted(const struct register_options *o, const Trien__V1__Register *r)
{
	return (o->code == NULL || strcmp(o->code, r->code) == 0) &&
	       (o->year == 0 || o->year == r->year);
}

int registers_each(const struct register_options *o, struct client *c,
		   bool (*one)(void *ctx, const Trien__V1__Register *r), void *ctx)
{
	Trien__V1__ListRegistersRequest q = TRIEN__V1__LIST_REGISTERS_REQUEST__INIT;
	char *token = strdup("");
	struct failure f = { 0 };
	bool on = true;

	q.unit = (char *)(o->unit != NULL ? o->unit : "");
	q.page_size = 200;
	while (token != NULL && on) {
		Trien__V1__ListRegistersResponse *a;

		q.page_token = token;
		a = (void *)client_call(c, OPERATIONS "ListRegisters", &q.base,
					&trien__v1__list_registers_response__descriptor, &f);
		if (a == NULL)
			break;
		for (size_t i = 0; i < a->n_registers && on; i++)
			if (wanted(o, a->registers[i]))
				on = one(ctx, a->registers[i]);
		free(token);
		token = a->next_page_token[0] != '\0' ? strdup(a->next_page_token) : NULL;
		trien__v1__list_registers_response__free_unpacked(a, NULL);
	}
	free(token);
	if (f.code != 0)
		failure_print("register", &f);
	return failure_exit(&f);
}
