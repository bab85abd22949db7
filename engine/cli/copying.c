#include "cli/copying.h"

#include <grpc/status.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/caselines.h"
#include "client/protojson.h"
#include "io/file.h"

#define RETRY_MS_MIN 200
#define RETRY_MS_MAX 5000

enum status copying_case(Trien__V1__Case **out, const char *path, struct error *e)
{
	ProtobufCMessage *m = NULL;
	struct error why = { 0 };
	uint8_t *text;
	size_t n;
	enum status st = file_read(path, CASES_LINE_BYTES_MAX, &text, &n, e);

	if (st != ST_OK)
		return st;
	st = protojson_parse(&m, slice_of(text, n), &trien__v1__case__descriptor, &why);
	free(text);
	*out = (Trien__V1__Case *)m;
	return st == ST_OK ? ST_OK : error_set(e, st, "%s: %s", path, why.text);
}

bool copying_again(const struct copying *c, const struct failure *f, uint32_t tries,
		   int64_t start_ms)
{
	uint32_t ms = (uint32_t)RETRY_MS_MIN << (tries < 5 ? tries : 5);

	if (!failure_passing(f) || progress_now_ms() - start_ms > (int64_t)c->retry_s * 1000)
		return false;
	if (ms > RETRY_MS_MAX)
		ms = RETRY_MS_MAX;
	if (ms < f->retry_ms)
		ms = f->retry_ms;
	usleep(ms * 1000);
	return true;
}

static json_t *told(uint64_t line, const char *of)
{
	json_t *j = json_pack("{s:s}", "of", of);

	if (line > 0)
		json_object_set_new(j, "line", json_integer((json_int_t)line));
	return j;
}

void copying_receipt(struct copying *c, uint64_t line, const char *of,
		     const Trien__V1__Receipt *r)
{
	c->copies++;
	if (r != NULL) {
		c->repeated += r->duplicate != 0;
		awaited_add(&c->awaited, r);
	}
	if (c->json) {
		json_t *j = told(line, of);

		json_object_set_new(j, "receipt", r != NULL ? protojson_write(&r->base) :
							      json_null());
		json_print_line(stdout, j);
	} else if (r == NULL) {
		printf("%s: valid\n", of);
	} else if (c->wait || c->wait_s != 0) {
		awaited_keep(&c->awaited, r, of);
	} else {
		awaited_line(r->result_id, r->state, r->number_text, r->duplicate != 0, of);
	}
}

void copying_refusal(struct copying *c, const char *command, uint64_t line, const char *of,
		     const struct failure *f)
{
	c->refused++;
	if (failure_passing(f) || f->code == GRPC_STATUS_UNAUTHENTICATED)
		c->fatal = *f;
	if (c->json) {
		json_t *j = told(line, of);

		json_object_set_new(j, "reject", json_pack("{s:s,s:s,s:s,s:s}", "field", f->field,
							   "reason", f->reason, "messageVi", f->vi,
							   "messageEn", f->en));
		json_print_line(stdout, j);
		return;
	}
	if (line > 0)
		fprintf(stderr, "line %llu: ", (unsigned long long)line);
	fprintf(stderr, "%s: ", of);
	failure_print(command, f);
}

static void copying_sum(const struct copying *c)
{
	const struct awaited *a = &c->awaited;

	printf("%" PRIu64 " copies, %" PRIu64 " of them issued before; %" PRIu64 " refused",
	       c->copies, c->repeated, c->refused);
	if (c->wait || c->wait_s != 0)
		printf("; %" PRIu64 " stored, %" PRIu64 " held, %" PRIu64 " not yet", a->stored,
		       a->held, a->n);
	putchar('\n');
}

int copying_end(struct copying *c, const char *command)
{
	struct failure f = { 0 };
	int code = 0;

	if ((c->wait || c->wait_s != 0) && c->fatal.code == 0 && !c->validate_only &&
	    !awaited_all(&c->awaited, c->client, c->wait_s, c->json ? stdout : NULL, &f)) {
		code = 3;
		if (f.code != 0 && f.code != GRPC_STATUS_DEADLINE_EXCEEDED)
			failure_print(command, &f);
	}
	awaited_show(&c->awaited);
	if (c->many && !c->json && !c->validate_only)
		copying_sum(c);
	if (code == 0 && c->awaited.held + c->awaited.ended > 0)
		code = 3;
	if (c->fatal.code != 0)
		code = failure_exit(&c->fatal);
	else if (c->refused > 0)
		code = 1;
	awaited_free(&c->awaited);
	client_close(c->client);
	return code;
}
