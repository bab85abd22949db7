/* share: what a holder lets others see; for operators and tests, portals have pages. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/list.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "client/client.h"
#include "client/failure.h"
#include "client/protojson.h"
#include "trien/v1/repository.pb-c.h"

static const char share_usage[] =
	"trien share create RESULT_ID --holder N|- [--kind link|code] [--scope state|data|file]\n"
	"                   [--seconds 180] [--views 1] [--json]\n"
	"trien share list --holder N|- [--result RESULT_ID] [--json]\n"
	"trien share revoke SHARE_ID --holder N|- [--json]\n"
	"trien share use TOKEN | RESULT_ID CODE [--viewer TEXT] [--file] [--look] [--json]\n"
	"\n"
	"A holder lets others see a stored result: by a link, or by a code that goes with its\n"
	"print. create tells token or code, once, then the share's id. A portal shows a link's\n"
	"token at /s/TOKEN; a code is typed at /V/RESULT_ID. use counts and is noted where the\n"
	"holder sees it (trien reads); --look: only whether it is open. --file: the file is\n"
	"wanted, too.\n"
	"--holder -, TOKEN -, CODE -: from standard input, so that it stands in no list of\n"
	"processes. With --holder: --id-kind citizen and --country VN.\n"
	CLIENT_OPTIONS_USAGE;

struct sharing {
	struct client_options engine;
	const char *holder, *id_kind, *country, *kind, *scope, *result, *viewer;
	uint64_t seconds, views;
	bool file, look, json;
	char typed[128];
	Trien__V1__Person who;
};

/* A word, or what stands on standard input; NULL: nothing does. */
static char *typed(struct sharing *s, char *word)
{
	if (strcmp(word, "-") != 0)
		return word;
	if (fgets(s->typed, sizeof(s->typed), stdin) == NULL)
		return NULL;
	s->typed[strcspn(s->typed, " \t\r\n")] = '\0';
	return s->typed;
}

/* -1: go on. */
static int holder_read(struct sharing *s)
{
	s->who = (Trien__V1__Person)TRIEN__V1__PERSON__INIT;
	if (s->holder == NULL)
		return options_wrong(share_usage, "a --holder is needed");
	if (!id_kind_read(s->id_kind, &s->who.id_kind))
		return options_wrong(share_usage, "--id-kind %s is not one of them", s->id_kind);
	s->who.country = (char *)s->country;
	s->who.number = typed(s, (char *)s->holder);
	if (s->who.number == NULL)
		return options_wrong(share_usage, "no number on standard input");
	return -1;
}

/* Its place in a list of words, counted from 1; 0: none of them. */
static int word_at(const char *word, const char *const *of, int n)
{
	for (int i = 0; i < n; i++)
		if (strcmp(word, of[i]) == 0)
			return i + 1;
	return 0;
}

static const char *state_name(const Trien__V1__Share *s)
{
	const ProtobufCEnumValue *v = protobuf_c_enum_descriptor_get_value(
		&trien__v1__share__state__descriptor, (int)s->state);

	return v != NULL ? v->name : "?";
}

static void share_line(const Trien__V1__Share *s)
{
	char until[WHEN_BYTES], last[WHEN_BYTES];

	printf("%-42s  %-4s  %-5s  %4u/%-4u  %-9s  %-23s  %s\n", s->share_id,
	       s->kind == TRIEN__V1__SHARE__KIND__CODE ? "CODE" : "LINK",
	       s->scope == TRIEN__V1__SHARE__SCOPE__FILE ? "FILE" :
	       s->scope == TRIEN__V1__SHARE__SCOPE__DATA ? "DATA" : "STATE", s->views,
	       s->views_max, state_name(s), when_text(until, s->expire_time),
	       when_text(last, s->last_view_time));
}

static void head(void)
{
	list_head("%-42s  %-4s  %-5s  %9s  %-9s  %-23s  %s", "SHARE", "KIND", "SCOPE", "VIEWS",
		  "STATE", "UNTIL", "LAST VIEW");
}

/* One call. NULL: what is wrong is said, *code is the exit code. */
static void *ask(struct sharing *s, const char *method, const ProtobufCMessage *q,
		 const ProtobufCMessageDescriptor *answer, int *code)
{
	struct failure f = { 0 };
	struct error e = { 0 };
	struct client *c = NULL;
	void *a;

	if (client_open(&c, &s->engine, &e) != ST_OK) {
		*code = error_exit("share", &e);
		return NULL;
	}
	a = client_call(c, method, q, answer, &f);
	client_close(c);
	*code = 0;
	if (a == NULL) {
		failure_print("share", &f);
		*code = failure_exit(&f);
	}
	return a;
}

static int create(struct sharing *s, int argc, char **argv)
{
	static const char *const kinds[] = { "link", "code" };
	static const char *const scopes[] = { "state", "data", "file" };
	Trien__V1__CreateShareRequest q = TRIEN__V1__CREATE_SHARE_REQUEST__INIT;
	Trien__V1__CreateShareResponse *a;
	int code = holder_read(s);

	if (code >= 0)
		return code;
	if (argc != 3)
		return options_wrong(share_usage, "a result id is needed");
	q.kind = (Trien__V1__Share__Kind)word_at(s->kind, kinds, ARRAY_LEN(kinds));
	q.scope = (Trien__V1__Share__Scope)word_at(s->scope, scopes, ARRAY_LEN(scopes));
	if (q.kind == 0 || q.scope == 0)
		return options_wrong(share_usage, q.kind == 0 ? "--kind is link or code" :
				     "--scope is state, data or file");
	q.result_id = argv[2];
	q.as_holder = &s->who;
	q.ttl_seconds = (uint32_t)s->seconds;
	q.views_max = (uint32_t)s->views;
	a = ask(s, REPOSITORY "CreateShare", &q.base,
		&trien__v1__create_share_response__descriptor, &code);
	if (a == NULL)
		return code;
	if (s->json)
		json_print(protojson_write(&a->base));
	else
		printf("%s%s\n%s\n", a->token, a->code, a->share->share_id);
	trien__v1__create_share_response__free_unpacked(a, NULL);
	return 0;
}

static int list(struct sharing *s, int argc, char **argv)
{
	Trien__V1__ListSharesRequest q = TRIEN__V1__LIST_SHARES_REQUEST__INIT;
	char token[64] = "";
	json_t *rows;
	int code = holder_read(s);

	if (code >= 0)
		return code;
	if (argc != 2)
		return options_wrong(share_usage, "%s is too much", argv[2]);
	q.as_holder = &s->who;
	q.result_id = (char *)(s->result != NULL ? s->result : "");
	q.page_size = 200;
	q.page_token = token;
	rows = json_array();
	if (!s->json)
		head();
	do {
		Trien__V1__ListSharesResponse *a =
			ask(s, REPOSITORY "ListShares", &q.base,
			    &trien__v1__list_shares_response__descriptor, &code);

		if (a == NULL)
			break;
		for (size_t i = 0; i < a->n_shares; i++)
			if (s->json)
				json_array_append_new(rows, protojson_write(&a->shares[i]->base));
			else
				share_line(a->shares[i]);
		snprintf(token, sizeof(token), "%s", a->next_page_token);
		trien__v1__list_shares_response__free_unpacked(a, NULL);
	} while (token[0] != '\0');
	if (s->json && code == 0)
		json_print(json_incref(rows));
	json_decref(rows);
	return code;
}

static int revoke(struct sharing *s, int argc, char **argv)
{
	Trien__V1__RevokeShareRequest q = TRIEN__V1__REVOKE_SHARE_REQUEST__INIT;
	Trien__V1__RevokeShareResponse *a;
	int code = holder_read(s);

	if (code >= 0)
		return code;
	if (argc != 3)
		return options_wrong(share_usage, "a share's id is needed");
	q.share_id = argv[2];
	q.as_holder = &s->who;
	a = ask(s, REPOSITORY "RevokeShare", &q.base,
		&trien__v1__revoke_share_response__descriptor, &code);
	if (a == NULL)
		return code;
	if (s->json)
		json_print(protojson_write(&a->base));
	else
		printf("%s: ended%s\n", a->share_id,
		       a->pending ? "; lists show it when the store is back" : "");
	trien__v1__revoke_share_response__free_unpacked(a, NULL);
	return 0;
}

static int use(struct sharing *s, int argc, char **argv)
{
	Trien__V1__UseShareRequest q = TRIEN__V1__USE_SHARE_REQUEST__INIT;
	Trien__V1__UseShareResponse *a;
	char *opens;
	int code;

	if (argc != 3 && argc != 4)
		return options_wrong(share_usage, "a token, or a result id and a code, are needed");
	opens = typed(s, argv[argc - 1]);
	if (opens == NULL)
		return options_wrong(share_usage, "nothing on standard input");
	if (argc == 3) {
		q.token = opens;
	} else {
		q.result_id = argv[2];
		q.code = opens;
	}
	q.viewer = (char *)s->viewer;
	q.file = s->file;
	q.validate_only = s->look;
	a = ask(s, REPOSITORY "UseShare", &q.base, &trien__v1__use_share_response__descriptor,
		&code);
	if (a == NULL)
		return code;
	if (s->json) {
		json_print(protojson_write(&a->base));
	} else {
		if (a->result != NULL)
			printf("%s  %s  %s  %s\n", a->result->result_id, a->result->number_text,
			       a->result->unit, a->result->kind);
		head();
		share_line(a->share);
	}
	trien__v1__use_share_response__free_unpacked(a, NULL);
	return 0;
}

int cli_share(int argc, char **argv)
{
	static const struct { const char *word; int (*run)(struct sharing *s, int argc,
							   char **argv); } acts[] = {
		{ "create", create }, { "list", list }, { "revoke", revoke }, { "use", use },
	};
	struct sharing s = { .engine = client_defaults(), .id_kind = "citizen", .country = "",
			     .kind = "link", .scope = "data", .viewer = "" };
	const struct option_row options[] = {
		{ "holder", OPTION_TEXT, &s.holder, 0, 0 },
		{ "id-kind", OPTION_TEXT, &s.id_kind, 0, 0 },
		{ "country", OPTION_TEXT, &s.country, 0, 0 },
		{ "kind", OPTION_TEXT, &s.kind, 0, 0 },
		{ "scope", OPTION_TEXT, &s.scope, 0, 0 },
		{ "result", OPTION_TEXT, &s.result, 0, 0 },
		{ "viewer", OPTION_TEXT, &s.viewer, 0, 0 },
		{ "seconds", OPTION_COUNT, &s.seconds, 1, SHARE_SECONDS_MAX },
		{ "views", OPTION_COUNT, &s.views, 1, SHARE_VIEWS_MAX },
		{ "file", OPTION_FLAG, &s.file, 0, 0 },
		{ "look", OPTION_FLAG, &s.look, 0, 0 },
		{ "json", OPTION_FLAG, &s.json, 0, 0 },
		CLIENT_OPTION_ROWS(s.engine),
	};
	int code = options_read(share_usage, &argc, argv, options, ARRAY_LEN(options));

	if (code >= 0)
		return code;
	for (size_t i = 0; i < ARRAY_LEN(acts) && argc > 1; i++)
		if (strcmp(argv[1], acts[i].word) == 0)
			return acts[i].run(&s, argc, argv);
	return options_wrong(share_usage, "create, list, revoke or use?");
}
