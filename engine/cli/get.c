#include <errno.h>
#include <grpc/status.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/hash.h"
#include "cli/cli.h"
#include "cli/evidence.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "client/client.h"
#include "client/protojson.h"
#include "trien/v1/repository.pb-c.h"

#define TRIES_MAX 5

static const char usage[] =
	"trien get RESULT_ID…|- [--output FILE|DIR] [--evidence DIR] [--json]\n"
	"          [--purpose TEXT --legal-basis TEXT --case CODE [--requester TEXT]]\n"
	"          [--as-holder NUMBER]\n"
	"\n"
	"Shows results; with --output downloads their PDFs, exactly the signed bytes, each\n"
	"checked against its SHA-256: one to FILE (- is standard output), several to\n"
	"DIR/RESULT_ID.pdf.\n"
	"--evidence: why each signature was trusted, into DIR/RESULT_ID: person.pem, agency.pem\n"
	"(certificate, then issuers up to the root), .crl.pem (revocation lists), .txt (which).\n"
	"RESULT_ID -: ids from standard input, one a line. Who reads another agency's result says\n"
	"why: --purpose and so on. --as-holder: a portal, for that citizen, who leaves no trace.\n"
	CLIENT_OPTIONS_USAGE;

struct get {
	struct client_options engine;
	const char *output, *evidence, *purpose, *legal_basis, *case_code, *requester, *as_holder;
	Trien__V1__Person holder;	/* as_holder: a citizen's number */
	bool json;
	struct client *client;
	bool to_folder;
	uint64_t files, bytes;
	json_t *list;			/* --json: what was shown or downloaded */
	struct progress progress;
	int code;			/* worst so far */
};

static void note(struct get *g, int code)
{
	if (code != 0 && (g->code == 0 || g->code == 1))
		g->code = code;
}

/* ---- showing ---- */

static void time_line(const char *label, const Google__Protobuf__Timestamp *t)
{
	char when[WHEN_BYTES];

	if (t != NULL)
		printf("  %-12s %s\n", label, when_text(when, t));
}

/* The newest; what else was decided is in its history. */
static void paper_line(const Trien__V1__Result *r)
{
	const Trien__V1__Date *d = r->paper_date;

	printf("  %-12s %s", "by paper", r->paper_number);
	if (d != NULL)
		printf(" of %04u-%02u-%02u", d->year, d->month, d->day);
	printf("; all: trien history\n");
}

static void show(const Trien__V1__Result *r)
{
	const ProtobufCEnumValue *state =
		protobuf_c_enum_descriptor_get_value(&trien__v1__state__descriptor, r->state);
	const ProtobufCEnumValue *life =
		protobuf_c_enum_descriptor_get_value(&trien__v1__life__descriptor, r->life);
	char size[COUNT_TEXT_BYTES], hash[2 * SHA256_BYTES + 1] = "";

	printf("%s\n", r->result_id);
	printf("  %-12s %s%s%s\n", "state", state != NULL ? state->name : "?",
	       r->held_reason[0] != '\0' ? " " : "", r->held_reason);
	if (r->life != TRIEN__V1__LIFE__LIFE_UNSPECIFIED && life != NULL)
		printf("  %-12s %s%s\n", "life", life->name, r->restricted ? ", restricted" : "");
	if (r->paper_number[0] != '\0')
		paper_line(r);
	printf("  %-12s %s, %s, case %s\n", "what", r->unit, r->kind, r->case_code);
	if (r->number_text[0] != '\0')
		printf("  %-12s %s\n", "number", r->number_text);
	time_line("accepted", r->accept_time);
	time_line("issued", r->issue_time);
	time_line("stored", r->store_time);
	time_line(r->state == TRIEN__V1__STATE__VOID ? "voided" : "ended", r->void_time);
	if (r->void_reason[0] != '\0')
		printf("  %-12s %s\n", "because", r->void_reason);
	if (r->replaces[0] != '\0')
		printf("  %-12s %s\n", "replaces", r->replaces);
	if (r->replaced_by[0] != '\0')
		printf("  %-12s %s\n", "replaced by", r->replaced_by);
	for (size_t i = 0; i < r->n_signatures; i++)
		printf("  %-12s %s\n", "signed by", r->signatures[i]->subject);
	if (r->original != NULL && r->original->sha256.len == SHA256_BYTES) {
		hex_lower(hash, r->original->sha256.data, SHA256_BYTES);
		printf("  %-12s %s bytes, SHA-256 %s\n", "copy of",
		       count_text(size, r->original->size), hash);
	}
	if (r->file_sha256.len == SHA256_BYTES) {
		hex_lower(hash, r->file_sha256.data, SHA256_BYTES);
		printf("  %-12s %s bytes, SHA-256 %s\n", "file", count_text(size, r->file_size),
		       hash);
	}
}

static void set_purpose(const struct get *g, Trien__V1__Purpose *p)
{
	p->purpose = (char *)(g->purpose != NULL ? g->purpose : "");
	p->legal_basis = (char *)(g->legal_basis != NULL ? g->legal_basis : "");
	p->case_code = (char *)(g->case_code != NULL ? g->case_code : "");
	p->requester = (char *)(g->requester != NULL ? g->requester : "");
}

static void get_one(struct get *g, const char *id)
{
	Trien__V1__GetResultRequest q = TRIEN__V1__GET_RESULT_REQUEST__INIT;
	Trien__V1__Purpose why = TRIEN__V1__PURPOSE__INIT;
	struct failure f;
	Trien__V1__Result *r;

	q.result_id = (char *)id;
	set_purpose(g, &why);
	q.purpose = g->purpose != NULL ? &why : NULL;
	q.as_holder = g->as_holder != NULL ? &g->holder : NULL;
	r = (void *)client_call(g->client, REPOSITORY "GetResult", &q.base,
				&trien__v1__result__descriptor, &f);
	if (r == NULL) {
		fprintf(stderr, "%s: ", id);
		failure_print("get", &f);
		note(g, failure_exit(&f));
		return;
	}
	if (g->evidence != NULL)
		note(g, evidence_save(g->client, g->engine.timeout_s, r, g->evidence));
	if (g->output == NULL && g->json)
		json_array_append_new(g->list, protojson_write(&r->base));
	else if (g->output == NULL)
		show(r);
	trien__v1__result__free_unpacked(r, NULL);
}

/* ---- downloading ---- */

struct download {
	FILE *out;
	struct sha256 *hash;
	uint64_t done, size;		/* bytes */
	uint8_t sha256[SHA256_BYTES];	/* as the engine says */
	bool known;			/* size and sha256 are there */
	bool written;
};

/* Goes on where the one before broke off. */
static bool receive(struct get *g, const char *id, struct download *d, struct failure *f)
{
	Trien__V1__DownloadResultRequest q = TRIEN__V1__DOWNLOAD_RESULT_REQUEST__INIT;
	Trien__V1__Purpose why = TRIEN__V1__PURPOSE__INIT;
	Trien__V1__DownloadResultResponse *m;
	struct client_stream *s;

	q.result_id = (char *)id;
	q.offset = d->done;
	set_purpose(g, &why);
	q.purpose = g->purpose != NULL ? &why : NULL;
	q.as_holder = g->as_holder != NULL ? &g->holder : NULL;
	s = client_stream_open(g->client, REPOSITORY "DownloadResult", &q.base,
			       g->engine.timeout_s);
	while ((m = (void *)client_stream_read(s, &trien__v1__download_result_response__descriptor,
					       f)) != NULL) {
		if (!d->known && m->file_sha256.len == SHA256_BYTES) {
			d->known = true;
			d->size = m->file_size;
			memcpy(d->sha256, m->file_sha256.data, SHA256_BYTES);
		}
		d->written &= fwrite(m->chunk.data, 1, m->chunk.len, d->out) == m->chunk.len;
		sha256_add(d->hash, m->chunk.data, m->chunk.len);
		d->done += m->chunk.len;
		trien__v1__download_result_response__free_unpacked(m, NULL);
	}
	client_stream_close(s);
	return f->code == GRPC_STATUS_OK;
}

static int receive_all(struct get *g, const char *id, struct download *d)
{
	uint8_t is[SHA256_BYTES];
	struct failure f = { 0 };
	uint32_t tries = 1;

	sha256_start(d->hash);
	while (!receive(g, id, d, &f)) {
		if (!failure_passing(&f) || tries++ == TRIES_MAX) {
			progress_clear(&g->progress);
			fprintf(stderr, "%s: ", id);
			failure_print("get", &f);
			return failure_exit(&f);
		}
		usleep((f.retry_ms > 0 ? f.retry_ms : 200) * 1000);
	}
	sha256_end(d->hash, is);
	if (d->known && d->size == d->done && memcmp(is, d->sha256, SHA256_BYTES) == 0)
		return 0;
	progress_clear(&g->progress);
	fprintf(stderr, "trien get: %s: what came is not what was announced; nothing is kept\n",
		id);
	return EX_DATAERR;
}

/* A file stands under its name only when it is whole. */
static int download_file(struct get *g, const char *id, struct download *d, const char *path)
{
	char part[4200];
	int code;

	snprintf(part, sizeof(part), "%s.part", path);
	d->out = fopen(part, "we");
	if (d->out == NULL) {
		fprintf(stderr, "trien get: %s: %s\n", part, strerror(errno));
		return EX_CANTCREAT;
	}
	code = receive_all(g, id, d);
	if (fclose(d->out) != 0 || !d->written || (code == 0 && rename(part, path) != 0)) {
		fprintf(stderr, "trien get: %s: %s\n", path, strerror(errno));
		code = EX_IOERR;
	}
	if (code != 0)
		unlink(part);
	return code;
}

static void download_one(struct get *g, const char *id)
{
	struct download d = { .written = true, .hash = sha256_new() };
	char path[4096];
	int code;

	if (d.hash == NULL)
		abort();
	if (g->to_folder)
		snprintf(path, sizeof(path), "%s/%s.pdf", g->output, id);
	else
		snprintf(path, sizeof(path), "%s", g->output);
	if (strcmp(g->output, "-") == 0) {
		d.out = stdout;
		code = receive_all(g, id, &d);
		if (code == 0 && (!d.written || fflush(stdout) != 0))
			code = EX_IOERR;
	} else {
		code = download_file(g, id, &d, path);
	}
	sha256_free(d.hash);
	note(g, code);
	if (code != 0)
		return;
	g->files++;
	g->bytes += d.done;
	if (g->json)
		json_array_append_new(g->list, json_pack("{s:s, s:s, s:I}", "resultId", id, "file",
							 path, "bytes", (json_int_t)d.done));
	progress_show(&g->progress, g->files, 0, 0);
}

/* ---- which ---- */

static void one(struct get *g, const char *id)
{
	/* It becomes part of a file's name. */
	if (options_id("get", id) != 0) {
		note(g, 2);
	} else {
		if (g->output == NULL || g->evidence != NULL)
			get_one(g, id);
		if (g->output != NULL)
			download_one(g, id);
	}
}

static void each(struct get *g, int argc, char **argv)
{
	char line[80];

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "-") != 0) {
			one(g, argv[i]);
			continue;
		}
		while (fgets(line, sizeof(line), stdin) != NULL) {
			line[strcspn(line, " \t\r\n")] = '\0';
			if (line[0] != '\0')
				one(g, line);
		}
	}
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* Several files need a folder; it is made when it is missing. */
static bool choose_folder(struct get *g, bool several)
{
	size_t n = g->output != NULL ? strlen(g->output) : 0;

	if (n == 0 || strcmp(g->output, "-") == 0)
		return n == 0 || !several;
	g->to_folder = several || g->output[n - 1] == '/' || is_folder(g->output);
	return !g->to_folder || is_folder(g->output) || mkdir(g->output, 0777) == 0;
}

int cli_get(int argc, char **argv)
{
	struct get g = { .engine = client_defaults(), .progress = { .what = "files" },
			 .holder = TRIEN__V1__PERSON__INIT };
	const struct option_row rows[] = {
		{ "output", OPTION_TEXT, &g.output, 0, 0 },
		{ "evidence", OPTION_TEXT, &g.evidence, 0, 0 },
		{ "purpose", OPTION_TEXT, &g.purpose, 0, 0 },
		{ "legal-basis", OPTION_TEXT, &g.legal_basis, 0, 0 },
		{ "case", OPTION_TEXT, &g.case_code, 0, 0 },
		{ "requester", OPTION_TEXT, &g.requester, 0, 0 },
		{ "as-holder", OPTION_TEXT, &g.as_holder, 0, 0 },
		{ "json", OPTION_FLAG, &g.json, 0, 0 },
		CLIENT_OPTION_ROWS(g.engine),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	char files[COUNT_TEXT_BYTES], bytes[COUNT_TEXT_BYTES];
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (argc < 2)
		return options_wrong(usage, "at least one result id is needed");
	if (!choose_folder(&g, argc > 2 || strcmp(argv[1], "-") == 0))
		return options_wrong(usage, "--output %s: no folder, and none can be made there",
				     g.output);
	g.holder.id_kind = TRIEN__V1__HOLDER__ID_KIND__CITIZEN;
	g.holder.number = (char *)g.as_holder;
	if (client_open(&g.client, &g.engine, &e) != ST_OK)
		return error_exit("get", &e);
	g.list = json_array();
	progress_start(&g.progress, "files");
	each(&g, argc, argv);
	progress_clear(&g.progress);
	if (g.json && (g.output == NULL || strcmp(g.output, "-") != 0))
		json_print(json_incref(g.list));
	else if (g.output != NULL && strcmp(g.output, "-") != 0 && g.files > 0)
		printf("%s file%s, %s bytes%s: %s\n", count_text(files, g.files),
		       g.files == 1 ? "" : "s", count_text(bytes, g.bytes / g.files),
		       g.files == 1 ? "" : " each on average", g.output);
	json_decref(g.list);
	client_close(g.client);
	return g.code;
}
