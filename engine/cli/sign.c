#include "cli/sign.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "client/protojson.h"
#include "client/wellknown.h"

const char sign_usage[] =
	"trien sign list [FILTER] [--json]\n"
	"trien sign show RESULT_ID [--output FILE]\n"
	"trien sign open RESULT_ID…|--all [FILTER] [--ttl SECONDS] [--json]\n"
	"trien sign confirm RESULT_ID…|--all [FILTER]|--session ID [--sha256 HEX] [--yes]\n"
	"                   [--json]\n"
	"trien sign watch SESSION_ID [--cursor N] [--json]\n"
	"trien sign cancel SESSION_ID\n"
	"trien sign refuse RESULT_ID --reason TEXT\n"
	"\n"
	"What waits for a signer, and a session in which it is confirmed.\n"
	"list: the most urgent first. show: the document as it will look, a PDF, to standard\n"
	"output or FILE. confirm: shows the manifest and its hash, asks, confirms it once, and\n"
	"follows every document until it is stored. --sha256: only if the manifest is that one.\n"
	"FILTER: --signer S --unit U --kind K --due-before TIME --limit N (1000).\n"
	CLIENT_OPTIONS_USAGE;

int sign_failed(const struct failure *f)
{
	failure_print("sign", f);
	return failure_exit(f);
}

/* ---- list ---- */

static const char *priority_text(Trien__V1__Priority p)
{
	return p == TRIEN__V1__PRIORITY__PRIORITY_INTERACTIVE ? "now" :
	       p == TRIEN__V1__PRIORITY__PRIORITY_BULK ? "bulk" : "-";
}

static const char *or_dash(const char *text)
{
	return text[0] != '\0' ? text : "-";
}

/* Columns are counted in characters: names are not ASCII. */
static void print_padded(const char *text, int width)
{
	int n = 0;

	for (const char *p = text; *p != '\0'; p++)
		n += (*p & 0xc0) != 0x80;
	printf("%s%*s  ", text, n < width ? width - n : 0, "");
}

void sign_print(const char *id, const char *kind, const Trien__V1__Waiting *w)
{
	char due[WHEN_BYTES];

	printf("%s  ", id);
	if (w != NULL) {
		print_padded(when_text(due, w->due_time), 23);
		print_padded(priority_text(w->priority), 4);
		print_padded(or_dash(w->holder_name), 28);
		print_padded(or_dash(w->holder_birth), 10);
		print_padded(or_dash(w->holder_number), 12);
	} else {
		printf("waits no more  ");
	}
	printf("%s\n", kind);
}

static bool read_due(const struct sign *s, Google__Protobuf__Timestamp *t)
{
	return timestamp_read(&t->seconds, &t->nanos, s->due_before);
}

int sign_each(struct sign *s, void (*one)(void *owner, const Trien__V1__Waiting *w), void *owner)
{
	Trien__V1__ListWaitingRequest q = TRIEN__V1__LIST_WAITING_REQUEST__INIT;
	Google__Protobuf__Timestamp due = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	struct failure f = { 0 };
	char *token = strdup("");
	uint64_t n = 0;

	q.signer = (char *)s->signer;
	q.unit = (char *)s->unit;
	q.kind = (char *)s->kind;
	if (s->due_before != NULL && read_due(s, &due))
		q.due_before = &due;
	while (token != NULL && n < s->limit) {
		Trien__V1__ListWaitingResponse *a;

		q.page_token = token;
		q.page_size = s->limit - n < 200 ? (uint32_t)(s->limit - n) : 200;
		a = (void *)client_call(s->client, SIGNING "ListWaiting", &q.base,
					&trien__v1__list_waiting_response__descriptor, &f);
		if (a == NULL)
			break;
		for (size_t i = 0; i < a->n_waiting && n < s->limit; i++, n++)
			one(owner, a->waiting[i]);
		free(token);
		token = a->next_page_token[0] != '\0' ? strdup(a->next_page_token) : NULL;
		trien__v1__list_waiting_response__free_unpacked(a, NULL);
	}
	free(token);
	return f.code == 0 ? 0 : sign_failed(&f);
}

struct listing { json_t *rows; uint64_t n; };

static void list_one(void *owner, const Trien__V1__Waiting *w)
{
	struct listing *l = owner;

	if (l->n++ == 0 && l->rows == NULL)
		list_head("%-26s  %-23s  %-4s  %-28s  %-10s  %-12s  %s", "RESULT", "DUE", "WHEN",
			  "HOLDER", "BORN", "ID NUMBER", "KIND");
	if (l->rows != NULL)
		json_array_append_new(l->rows, protojson_write(&w->base));
	else
		sign_print(w->result_id, w->kind, w);
}

static int list(struct sign *s)
{
	struct listing l = { .rows = s->json ? json_array() : NULL };
	int code = sign_each(s, list_one, &l);

	if (code == 0 && s->json)
		json_print(json_incref(l.rows));
	else if (code == 0 && l.n == 0)
		fprintf(stderr, "nothing waits\n");
	json_decref(l.rows);
	return code;
}

/* ---- show ---- */

static int receive(struct sign *s, const char *id, FILE *out)
{
	Trien__V1__PreviewWaitingRequest q = TRIEN__V1__PREVIEW_WAITING_REQUEST__INIT;
	Trien__V1__PreviewWaitingResponse *m;
	uint8_t want[SHA256_BYTES] = { 0 }, is[SHA256_BYTES];
	struct sha256 *hash = sha256_new();
	struct client_stream *in;
	struct failure f = { 0 };
	bool written = hash != NULL;

	q.result_id = (char *)id;
	in = client_stream_open(s->client, SIGNING "PreviewWaiting", &q.base, s->engine.timeout_s);
	if (hash != NULL)
		sha256_start(hash);
	while (written &&
	       (m = (void *)client_stream_read(in, &trien__v1__preview_waiting_response__descriptor,
					       &f)) != NULL) {
		if (m->file_sha256.len == SHA256_BYTES)
			memcpy(want, m->file_sha256.data, SHA256_BYTES);
		written = fwrite(m->chunk.data, 1, m->chunk.len, out) == m->chunk.len;
		sha256_add(hash, m->chunk.data, m->chunk.len);
		trien__v1__preview_waiting_response__free_unpacked(m, NULL);
	}
	client_stream_close(in);
	if (hash != NULL)
		sha256_end(hash, is);
	sha256_free(hash);
	if (f.code != 0)
		return sign_failed(&f);
	if (!written || fflush(out) != 0) {
		fprintf(stderr, "trien sign: the document cannot be written\n");
		return EX_IOERR;
	}
	if (memcmp(is, want, SHA256_BYTES) == 0)
		return 0;
	fprintf(stderr, "trien sign: what came is not what was announced\n");
	return EX_DATAERR;
}

static int show(struct sign *s, const char *id)
{
	FILE *out = stdout;
	int code;

	if (s->output != NULL && strcmp(s->output, "-") != 0) {
		out = fopen(s->output, "we");
		if (out == NULL) {
			perror(s->output);
			return EX_CANTCREAT;
		}
	} else if (isatty(STDOUT_FILENO)) {
		return options_wrong(sign_usage, "a PDF for a terminal? Give --output FILE");
	}
	code = receive(s, id, out);
	if (out != stdout && fclose(out) != 0 && code == 0) {
		perror(s->output);
		code = EX_IOERR;
	}
	return code;
}

/* ---- refuse ---- */

static int refuse_one(struct sign *s, const char *id)
{
	Trien__V1__RefuseWaitingRequest q = TRIEN__V1__REFUSE_WAITING_REQUEST__INIT;
	Trien__V1__RefuseWaitingResponse *a;
	struct failure f;

	q.result_id = (char *)id;
	q.reason = (char *)s->reason;
	a = (void *)client_call(s->client, SIGNING "RefuseWaiting", &q.base,
				&trien__v1__refuse_waiting_response__descriptor, &f);
	if (a == NULL)
		return sign_failed(&f);
	if (s->json)
		json_print(protojson_write(&a->base));
	else
		printf("%s is refused\n", a->result_id);
	trien__v1__refuse_waiting_response__free_unpacked(a, NULL);
	return 0;
}

/* ---- which ---- */

static int run(struct sign *s, int argc, char **argv)
{
	const char *act = argc > 1 ? argv[1] : "";
	char **words = argv + 2;
	int n = argc - 2;

	if (strcmp(act, "list") == 0 && n == 0)
		return list(s);
	if (strcmp(act, "show") == 0 && n == 1)
		return show(s, words[0]);
	if (strcmp(act, "open") == 0 && (n > 0) != s->all)
		return sign_open(s, words, n);
	if (strcmp(act, "confirm") == 0 && (n > 0) + s->all + (s->session != NULL) == 1)
		return sign_confirm(s, words, n);
	if (strcmp(act, "watch") == 0 && n == 1)
		return sign_watch(s, words[0]);
	if (strcmp(act, "cancel") == 0 && n == 1)
		return sign_cancel(s, words[0]);
	if (strcmp(act, "refuse") == 0 && n == 1 && s->reason != NULL)
		return refuse_one(s, words[0]);
	return options_wrong(sign_usage, "list, show, open, confirm, watch, cancel or refuse?");
}

int cli_sign(int argc, char **argv)
{
	struct sign s = { .engine = client_defaults(), .signer = "", .unit = "", .kind = "",
			  .limit = SESSION_ITEMS_MAX };
	const struct option_row rows[] = {
		{ "signer", OPTION_TEXT, &s.signer, 0, 0 },
		{ "unit", OPTION_TEXT, &s.unit, 0, 0 },
		{ "kind", OPTION_TEXT, &s.kind, 0, 0 },
		{ "due-before", OPTION_TEXT, &s.due_before, 0, 0 },
		{ "limit", OPTION_COUNT, &s.limit, 1, 1000000 },
		{ "output", OPTION_TEXT, &s.output, 0, 0 },
		{ "reason", OPTION_TEXT, &s.reason, 0, 0 },
		{ "session", OPTION_TEXT, &s.session, 0, 0 },
		{ "sha256", OPTION_TEXT, &s.sha256, 0, 0 },
		{ "ttl", OPTION_COUNT, &s.ttl_s, SESSION_TTL_S_MIN, SESSION_TTL_S_MAX },
		{ "cursor", OPTION_COUNT, &s.cursor, 0, INT64_MAX },
		{ "all", OPTION_FLAG, &s.all, 0, 0 },
		{ "yes", OPTION_FLAG, &s.yes, 0, 0 },
		{ "json", OPTION_FLAG, &s.json, 0, 0 },
		CLIENT_OPTION_ROWS(s.engine),
	};
	int code = options_read(sign_usage, &argc, argv, rows, ARRAY_LEN(rows));
	Google__Protobuf__Timestamp due;
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (s.due_before != NULL && !read_due(&s, &due))
		return options_wrong(sign_usage, "--due-before %s: as in 2026-12-01T17:00:00+07:00",
				     s.due_before);
	if (client_open(&s.client, &s.engine, &e) != ST_OK)
		return error_exit("sign", &e);
	code = run(&s, argc, argv);
	client_close(s.client);
	return code;
}
