#include <ctype.h>
#include <grpc/status.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "client/client.h"
#include "client/protojson.h"
#include "trien/v1/operations.pb-c.h"
#include "trien/v1/repository.pb-c.h"

#define ID_BYTES 26

static const char usage[] =
	"trien held list [--awaiting] [--unit U] [--json]\n"
	"trien held retry [RESULT|--reason CODE] [--json]\n"
	"trien held retry RESULT --signer CODE --reason TEXT [--json]\n"
	"trien held void RESULT --reason TEXT [--json]\n"
	"\n"
	"Results that have their number and cannot be signed now; --awaiting: those that await\n"
	"a signature from a service or from an officer's device. RESULT: a result id, or a\n"
	"sequence (--json has both). retry: one that is held, or all that are held\n"
	"for this reason, or all but those whose signer refused. --signer: another person of\n"
	"the same agency signs it, under the same number; who, why and when is kept with the\n"
	"result. void: its number is never issued; the reason stands in the register\n"
	"for ever. Both may be done to one that awaits a signature, too: nobody is asked for it\n"
	"any more, and what still comes does not count.\n"
	CLIENT_OPTIONS_USAGE;

struct options {
	struct client_options engine;
	const char *unit, *reason, *signer;
	bool awaiting, json;
};

static int failed(const struct failure *f)
{
	failure_print("held", f);
	return failure_exit(f);
}

/* The sequence itself, or that of the result with this id. */
static bool read_sequence(struct client *c, const char *text, uint64_t *out, struct failure *f)
{
	Trien__V1__GetResultRequest q = TRIEN__V1__GET_RESULT_REQUEST__INIT;
	Trien__V1__Result *r;
	char *end;

	*f = (struct failure){ 0 };
	if (strlen(text) < ID_BYTES) {
		*out = strtoull(text, &end, 10);
		if (isdigit((unsigned char)*text) && *end == '\0' && *out > 0)
			return true;
		f->code = GRPC_STATUS_INVALID_ARGUMENT;
		snprintf(f->en, sizeof(f->en), "'%.30s' is neither a result id nor a sequence",
			 text);
		return false;
	}
	q.result_id = (char *)text;
	r = (void *)client_call(c, REPOSITORY "GetResult", &q.base,
				&trien__v1__result__descriptor, f);
	if (r == NULL)
		return false;
	*out = r->sequence;
	trien__v1__result__free_unpacked(r, NULL);
	return true;
}

static void print_row(const Trien__V1__Held *h)
{
	char since[WHEN_BYTES];

	printf("%-26s  %-23s  %-24s  %-24s  %s\n", h->result_id,
	       when_text(since, h->hold_time), h->unit, h->number_text, h->kind);
	if (h->state == TRIEN__V1__STATE__AWAITING_SIGNATURE)
		printf("    awaits the signature of %s\n", h->signer);
	else
		printf("    %s %s%s%s\n", h->reason, h->message_en,
		       h->detail[0] != '\0' ? ": " : "", h->detail);
}

static int list_all(const struct options *o, struct client *c)
{
	Trien__V1__ListHeldRequest q = TRIEN__V1__LIST_HELD_REQUEST__INIT;
	json_t *rows = json_array();
	char *token = strdup("");
	struct failure f = { 0 };
	uint64_t n = 0;

	q.unit = (char *)(o->unit != NULL ? o->unit : "");
	q.page_size = 200;
	q.awaiting_signature = o->awaiting;
	while (token != NULL) {
		Trien__V1__ListHeldResponse *a;

		q.page_token = token;
		a = (void *)client_call(c, OPERATIONS "ListHeld", &q.base,
					&trien__v1__list_held_response__descriptor, &f);
		if (a == NULL)
			break;
		if (n == 0 && a->n_held > 0 && !o->json)
			list_head("%-26s  %-23s  %-24s  %-24s  %s", "RESULT", "SINCE", "AGENCY",
				  "NUMBER", "KIND");
		n += a->n_held;
		for (size_t i = 0; i < a->n_held; i++) {
			if (o->json)
				json_array_append_new(rows, protojson_write(&a->held[i]->base));
			else
				print_row(a->held[i]);
		}
		free(token);
		token = a->next_page_token[0] != '\0' ? strdup(a->next_page_token) : NULL;
		trien__v1__list_held_response__free_unpacked(a, NULL);
	}
	free(token);
	if (o->json && f.code == 0)
		json_print(json_incref(rows));
	else if (f.code == 0 && n == 0)
		fprintf(stderr, o->awaiting ? "nothing awaits a signature\n" :
					      "nothing is held\n");
	json_decref(rows);
	return f.code == 0 ? 0 : failed(&f);
}

static int retry(const struct options *o, struct client *c, const char *which)
{
	Trien__V1__RetryHeldRequest q = TRIEN__V1__RETRY_HELD_REQUEST__INIT;
	Trien__V1__RetryHeldResponse *a;
	struct failure f;

	if (which != NULL && !read_sequence(c, which, &q.sequence, &f))
		return failed(&f);
	if (o->signer != NULL) {
		q.signer = (char *)o->signer;
		q.reason = (char *)o->reason;
	} else if (o->reason != NULL) {
		q.held_reason = (char *)o->reason;
	}
	a = (void *)client_call(c, OPERATIONS "RetryHeld", &q.base,
				&trien__v1__retry_held_response__descriptor, &f);
	if (a == NULL)
		return failed(&f);
	if (o->json)
		json_print(json_pack("{s:I}", "retried", (json_int_t)a->retried));
	else
		printf("%u on their way again\n", a->retried);
	trien__v1__retry_held_response__free_unpacked(a, NULL);
	return 0;
}

static int void_one(const struct options *o, struct client *c, const char *which)
{
	Trien__V1__VoidHeldRequest q = TRIEN__V1__VOID_HELD_REQUEST__INIT;
	Trien__V1__VoidHeldResponse *a;
	struct failure f;

	if (!read_sequence(c, which, &q.sequence, &f))
		return failed(&f);
	q.reason = (char *)o->reason;
	a = (void *)client_call(c, OPERATIONS "VoidHeld", &q.base,
				&trien__v1__void_held_response__descriptor, &f);
	if (a == NULL)
		return failed(&f);
	if (o->json)
		json_print(protojson_write(&a->base));
	else
		printf("%" PRIu64 " is void\n", a->sequence);
	trien__v1__void_held_response__free_unpacked(a, NULL);
	return 0;
}

int cli_held(int argc, char **argv)
{
	struct options o = { .engine = client_defaults() };
	const struct option_row rows[] = {
		{ "unit", OPTION_TEXT, &o.unit, 0, 0 },
		{ "reason", OPTION_TEXT, &o.reason, 0, 0 },
		{ "signer", OPTION_TEXT, &o.signer, 0, 0 },
		{ "awaiting", OPTION_FLAG, &o.awaiting, 0, 0 },
		{ "json", OPTION_FLAG, &o.json, 0, 0 },
		CLIENT_OPTION_ROWS(o.engine),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	const char *act = argc > 1 ? argv[1] : "";
	bool list = strcmp(act, "list") == 0 && argc == 2;
	bool again = strcmp(act, "retry") == 0 && argc <= 3 &&
		     (o.signer != NULL ? argc == 3 && o.reason != NULL :
					 argc == 2 || o.reason == NULL);
	struct client *c = NULL;
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if ((o.awaiting && !list) ||
	    (!list && !again && (strcmp(act, "void") != 0 || argc != 3 || o.reason == NULL)))
		return options_wrong(usage, "list, retry [RESULT|--reason CODE], retry RESULT "
				     "--signer CODE --reason TEXT, or void RESULT --reason TEXT?");
	if (client_open(&c, &o.engine, &e) != ST_OK)
		return error_exit("held", &e);
	code = list ? list_all(&o, c) : again ? retry(&o, c, argc == 3 ? argv[2] : NULL) :
	       void_one(&o, c, argv[2]);
	client_close(c);
	return code;
}
