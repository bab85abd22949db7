#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/list.h"
#include "cli/options.h"
#include "client/client.h"
#include "client/protojson.h"
#include "trien/v1/issuance.pb-c.h"
#include "trien/v1/repository.pb-c.h"

#define DECISION_USAGE \
	"--number, --date YYYY-MM-DD: of the paper. --ground: one line. --actor: account of\n" \
	"who decided. --unit: the agency that decided, where it is not the one that issued\n" \
	"the result but one that succeeds it. --etag: the result as it was read; without, as\n" \
	"it is now.\n"

static const char revoke_usage[] =
	"trien revoke RESULT_ID --number N --date D --ground TEXT --actor A [--unit U]\n"
	"             [--etag E] [--json]\n"
	"\n"
	"Revokes a stored result by decision. Its file stays; a right one may replace it.\n"
	DECISION_USAGE CLIENT_OPTIONS_USAGE;

static const char correct_usage[] =
	"trien correct RESULT_ID --number N --date D --ground TEXT --actor A [--paper RESULT_ID]\n"
	"              [--unit U] [--etag E] [--json]\n"
	"\n"
	"Links the công văn đính chính that puts an error of form right; the result stays in\n"
	"force. --paper: the corrigendum's own result id, if the engine issued it.\n"
	DECISION_USAGE CLIENT_OPTIONS_USAGE;

static const char hide_usage[] =
	"trien hide RESULT_ID --holder N|- [--id-kind citizen] [--country VN] [--show]\n"
	"trien hide RESULT_ID --number N --date D --ground TEXT --actor A [--unit U] [--show]\n"
	"           [--etag E] [--json]\n"
	"\n"
	"From one holder's own list; or by decision from all but registry and auditors of its\n"
	"unit. --show: no longer. --holder -: from standard input.\n"
	DECISION_USAGE CLIENT_OPTIONS_USAGE;

struct options {
	struct client_options engine;
	const char *number, *date, *ground, *actor, *unit, *etag, *paper;
	const char *holder, *id_kind, *country;
	bool show, json;
	Trien__V1__Decision decision;
	Trien__V1__Date day;
};

/* The three answers have one form. */
#define ANSWER Trien__V1__RevokeResultResponse

/* One of the three acts. */
struct living {
	const char *name, *method, *usage;
	const ProtobufCMessageDescriptor *answer;
	/* The request, whose etag is given; -1: what is wrong is said. */
	int (*fill)(struct options *o, const struct living *l, char *id, char *etag,
		    ProtobufCMessage **out);
};

static int read_options(struct options *o, const char *usage, int *argc, char **argv)
{
	const struct option_row rows[] = {
		{ "number", OPTION_TEXT, &o->number, 0, 0 },
		{ "date", OPTION_TEXT, &o->date, 0, 0 },
		{ "ground", OPTION_TEXT, &o->ground, 0, 0 },
		{ "actor", OPTION_TEXT, &o->actor, 0, 0 },
		{ "unit", OPTION_TEXT, &o->unit, 0, 0 },
		{ "etag", OPTION_TEXT, &o->etag, 0, 0 },
		{ "paper", OPTION_TEXT, &o->paper, 0, 0 },
		{ "holder", OPTION_TEXT, &o->holder, 0, 0 },
		{ "id-kind", OPTION_TEXT, &o->id_kind, 0, 0 },
		{ "country", OPTION_TEXT, &o->country, 0, 0 },
		{ "show", OPTION_FLAG, &o->show, 0, 0 },
		{ "json", OPTION_FLAG, &o->json, 0, 0 },
		CLIENT_OPTION_ROWS(o->engine),
	};

	*o = (struct options){ .engine = client_defaults(), .number = "", .ground = "",
			       .actor = "", .unit = "", .paper = "", .id_kind = "citizen",
			       .country = "" };
	return options_read(usage, argc, argv, rows, ARRAY_LEN(rows));
}

static int fill_hide(struct options *o, const struct living *l, char *id, char *etag,
		     ProtobufCMessage **out);

/* NULL: what is wrong is said. */
static Trien__V1__Decision *decision_of(struct options *o, const struct living *l)
{
	char behind;

	o->decision = (Trien__V1__Decision)TRIEN__V1__DECISION__INIT;
	o->day = (Trien__V1__Date)TRIEN__V1__DATE__INIT;
	if (o->date == NULL) {
		options_wrong(l->usage, "--date YYYY-MM-DD is needed%s", l->fill == fill_hide ?
			      ", with the rest of a decision; or --holder N" : "");
		return NULL;
	}
	if (sscanf(o->date, "%4u-%2u-%2u%c", &o->day.year, &o->day.month, &o->day.day,
		   &behind) != 3) {
		options_wrong(l->usage, "--date %s: it is written YYYY-MM-DD", o->date);
		return NULL;
	}
	o->decision.number = (char *)o->number;
	o->decision.date = &o->day;
	o->decision.ground = (char *)o->ground;
	o->decision.actor = (char *)o->actor;
	o->decision.unit = (char *)o->unit;
	return &o->decision;
}

static int fill_revoke(struct options *o, const struct living *l, char *id, char *etag,
		       ProtobufCMessage **out)
{
	static Trien__V1__RevokeResultRequest q = TRIEN__V1__REVOKE_RESULT_REQUEST__INIT;

	q.result_id = id;
	q.etag = etag;
	q.decision = decision_of(o, l);
	*out = &q.base;
	return q.decision == NULL ? -1 : 0;
}

static int fill_correct(struct options *o, const struct living *l, char *id, char *etag,
			ProtobufCMessage **out)
{
	static Trien__V1__CorrectResultRequest q = TRIEN__V1__CORRECT_RESULT_REQUEST__INIT;

	q.result_id = id;
	q.etag = etag;
	q.paper = decision_of(o, l);
	q.paper_result_id = (char *)o->paper;
	*out = &q.base;
	return q.paper == NULL ? -1 : 0;
}

static int fill_hide(struct options *o, const struct living *l, char *id, char *etag,
		     ProtobufCMessage **out)
{
	static Trien__V1__SetVisibilityRequest q = TRIEN__V1__SET_VISIBILITY_REQUEST__INIT;
	static Trien__V1__Holder holder = TRIEN__V1__HOLDER__INIT;
	static char typed[128];

	q.result_id = id;
	q.etag = etag;
	*out = &q.base;
	q.visibility = o->show ? TRIEN__V1__SET_VISIBILITY_REQUEST__VISIBILITY__SHOWN :
		       o->holder != NULL ?
			       TRIEN__V1__SET_VISIBILITY_REQUEST__VISIBILITY__HIDDEN :
			       TRIEN__V1__SET_VISIBILITY_REQUEST__VISIBILITY__RESTRICTED;
	if (o->holder == NULL) {
		q.decision = decision_of(o, l);
		return q.decision == NULL ? -1 : 0;
	}
	if (!id_kind_read(o->id_kind, &holder.id_kind)) {
		options_wrong(l->usage, "--id-kind %s is not one of them", o->id_kind);
		return -1;
	}
	if (strcmp(o->holder, "-") == 0) {
		if (fgets(typed, sizeof(typed), stdin) == NULL)
			typed[0] = '\0';
		typed[strcspn(typed, " \t\r\n")] = '\0';
		o->holder = typed;
	}
	holder.country = (char *)o->country;
	holder.number = (char *)o->holder;
	q.holder = &holder;
	return 0;
}

/* The result's etag of now. false: what is wrong is said in f. */
static bool read_etag(struct client *c, const char *id, char *out, size_t size, struct failure *f)
{
	Trien__V1__GetResultRequest q = TRIEN__V1__GET_RESULT_REQUEST__INIT;
	Trien__V1__Result *r;

	q.result_id = (char *)id;
	r = (void *)client_call(c, REPOSITORY "GetResult", &q.base,
				&trien__v1__result__descriptor, f);
	if (r == NULL)
		return false;
	snprintf(out, size, "%s", r->etag);
	trien__v1__result__free_unpacked(r, NULL);
	return true;
}

static int act(const struct living *l, int argc, char **argv)
{
	struct options o;
	int code = read_options(&o, l->usage, &argc, argv);
	char etag[64] = "";
	struct client *c = NULL;
	struct error e = { 0 };
	struct failure f = { 0 };
	ProtobufCMessage *q;
	ANSWER *a = NULL;

	if (code >= 0)
		return code;
	if (argc != 2)
		return options_wrong(l->usage, "a result id is needed");
	code = options_id(l->name, argv[1]);
	if (code != 0)
		return code;
	if (l->fill(&o, l, argv[1], etag, &q) != 0)
		return 2;
	if (client_open(&c, &o.engine, &e) != ST_OK)
		return error_exit(l->name, &e);
	if (o.etag != NULL)
		snprintf(etag, sizeof(etag), "%s", o.etag);
	if (o.etag != NULL || read_etag(c, argv[1], etag, sizeof(etag), &f))
		a = (void *)client_call(c, l->method, q, l->answer, &f);
	client_close(c);
	if (a == NULL) {
		failure_print(l->name, &f);
		return failure_exit(&f);
	}
	if (o.json)
		json_print(protojson_write(&a->base));
	else
		printf("%s: done%s\n", a->result_id,
		       a->pending ? "; it shows when the store is back" : "");
	protobuf_c_message_free_unpacked(&a->base, NULL);
	return 0;
}

int cli_revoke(int argc, char **argv)
{
	static const struct living l = { "revoke", ISSUANCE "RevokeResult", revoke_usage,
					 &trien__v1__revoke_result_response__descriptor,
					 fill_revoke };

	return act(&l, argc, argv);
}

int cli_correct(int argc, char **argv)
{
	static const struct living l = { "correct", ISSUANCE "CorrectResult", correct_usage,
					 &trien__v1__correct_result_response__descriptor,
					 fill_correct };

	return act(&l, argc, argv);
}

int cli_hide(int argc, char **argv)
{
	static const struct living l = { "hide", ISSUANCE "SetVisibility", hide_usage,
					 &trien__v1__set_visibility_response__descriptor,
					 fill_hide };

	return act(&l, argc, argv);
}
