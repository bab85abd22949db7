#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "cli/cli.h"
#include "cli/inforce.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "client/client.h"
#include "client/protojson.h"
#include "client/wellknown.h"
#include "verify/verify.h"

static const char usage[] =
	"trien verify FILE.pdf… [--engine] [--trust PATH|--data DIR] [--crl PATH] [--quiet]\n"
	"             [--json]\n"
	"\n"
	"Checks each signature, its chain, and that every byte of the file is covered. Needs no\n"
	"engine. --engine: asks one, too, whether it is the file that was issued and still in\n"
	"force; it is told the file's id and SHA-256. --trust: a PEM file with the root, or a\n"
	"folder of *.pem and *.crl (--data DIR: DIR/certs). --crl: a file or folder of revocation\n"
	"lists. --quiet: only files that do not pass, and the sum. Exit: 0 all passed, 1 one\n"
	"failed or is not in force, 3 one is undetermined, 66 one cannot be read.\n"
	CLIENT_OPTIONS_USAGE;

struct options {
	struct client_options engine;
	const char *trust, *crl;
	bool ask, quiet, json;
	struct client *client;		/* ask: the engine's */
};

/* By enum verdict; life: of what inforce_ask() gave, the worst. */
struct sums { uint64_t n[3], unreadable; int life; };

/* *out is the caller's. */
static enum status read_file(struct slice *out, const char *path, struct error *e)
{
	FILE *f = fopen(path, "re");
	uint8_t *p = NULL;
	struct stat st;
	size_t n = 0;

	if (f == NULL)
		return error_set(e, ST_NOT_FOUND, "%s: %s", path, strerror(errno));
	if (fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode) &&
	    st.st_size <= VERIFY_FILE_BYTES_MAX) {
		p = malloc((size_t)st.st_size + 1);
		n = p != NULL ? fread(p, 1, (size_t)st.st_size + 1, f) : 0;
	}
	fclose(f);
	if (p == NULL || n != (size_t)st.st_size) {
		free(p);
		return error_set(e, ST_INVALID, "%s: no file of at most %u bytes", path,
				 VERIFY_FILE_BYTES_MAX);
	}
	*out = slice_of(p, n);
	return ST_OK;
}

static void time_of(char out[TIMESTAMP_TEXT_BYTES], int64_t ms)
{
	if (ms == INT64_MIN)
		snprintf(out, TIMESTAMP_TEXT_BYTES, "unknown time");
	else
		timestamp_write(out, ms / 1000, (int32_t)(ms % 1000) * 1000000);
}

static json_t *finding_json(const struct finding *f)
{
	return json_pack("{s:s, s:s, s:s}", "verdict", verdict_name(f->verdict), "indication",
			 f->indication != IND_NONE ? indication_name(f->indication) : "", "why",
			 f->why);
}

static json_t *signature_json(const struct signature_report *s)
{
	char hash[2 * SHA256_BYTES + 1] = "", when[TIMESTAMP_TEXT_BYTES];
	json_t *j = finding_json(&s->finding);

	hex_lower(hash, s->cert_sha256, SHA256_BYTES);
	time_of(when, s->signed_ms);
	json_object_set_new(j, "subject", json_string(s->subject));
	json_object_set_new(j, "unit", json_string(s->unit));
	json_object_set_new(j, "algorithm", json_string(s->algorithm));
	json_object_set_new(j, "signTime",
			    s->signed_ms != INT64_MIN ? json_string(when) : json_null());
	json_object_set_new(j, "certifies", json_boolean(s->certifies));
	json_object_set_new(j, "certificateSha256", json_string(hash));
	json_object_set_new(j, "coveredBytes",
			    json_integer((json_int_t)(s->range[2] + s->range[3])));
	return j;
}

static json_t *report_json(const char *path, const struct report *r)
{
	char hash[2 * SHA256_BYTES + 1] = "";
	json_t *j = finding_json(&r->finding), *list = json_array();

	hex_lower(hash, r->file_sha256, SHA256_BYTES);
	json_object_set_new(j, "file", json_string(path));
	json_object_set_new(j, "fileBytes", json_integer((json_int_t)r->file_bytes));
	json_object_set_new(j, "fileSha256", json_string(hash));
	for (uint8_t i = 0; i < r->signatures_n; i++)
		json_array_append_new(list, signature_json(&r->signatures[i]));
	json_object_set_new(j, "signatures", list);
	return j;
}

static void print_finding(const struct finding *f)
{
	printf("%s", verdict_name(f->verdict));
	if (f->indication != IND_NONE)
		printf(" (%s)", indication_name(f->indication));
	printf("%s%s\n", f->why[0] != '\0' ? ": " : "", f->why);
}

static void print_report(const char *path, const struct report *r)
{
	char bytes[COUNT_TEXT_BYTES], when[TIMESTAMP_TEXT_BYTES];

	printf("%s: ", path);
	print_finding(&r->finding);
	for (uint8_t i = 0; i < r->signatures_n; i++) {
		const struct signature_report *s = &r->signatures[i];
		uint64_t covered = s->range[2] + s->range[3];

		time_of(when, s->signed_ms);
		printf("  %u  %s%s%s%s, %s\n", i + 1u, s->subject, s->unit[0] != '\0' ? " (" : "",
		       s->unit, s->unit[0] != '\0' ? ")" : "", s->algorithm);
		printf("     signed %s, covers the %s %s bytes%s\n     ", when,
		       covered == r->file_bytes ? "whole file," : "first",
		       count_text(bytes, covered), s->certifies ? ", certifies the document" : "");
		print_finding(&s->finding);
	}
}

/* 1 says more than a call that failed, and that more than 3. */
static void life_ask(const struct options *o, const char *path, const struct report *r,
		     struct sums *sums, json_t *row)
{
	bool shown = !o->quiet || r->finding.verdict != VERDICT_PASSED;
	int code = inforce_ask(o->client, r, shown ? NULL : path, row);

	if (code == 1 || sums->life == 0 || (sums->life == 3 && code != 0))
		sums->life = code;
}

static enum status verify_one(const struct options *o, const struct roots *roots, const char *path,
			      struct sums *sums, json_t *list, struct error *e)
{
	struct slice file = { NULL, 0 };
	enum status st = read_file(&file, path, e);
	json_t *row = NULL;
	struct report r;

	if (st != ST_OK)
		return st;
	st = verify_document(roots, file, &r);
	free((void *)file.p);
	if (st != ST_OK)
		return error_set(e, st, "%s: %s", path, status_name(st));
	sums->n[r.finding.verdict]++;
	if (o->json)
		row = report_json(path, &r);
	else if (!o->quiet || r.finding.verdict != VERDICT_PASSED)
		print_report(path, &r);
	if (o->ask)
		life_ask(o, path, &r, sums, row);
	if (row != NULL)
		json_array_append_new(list, row);
	return ST_OK;
}

static int verify_all(const struct options *o, const struct roots *roots, int argc, char **argv)
{
	json_t *list = json_array();
	struct sums sums = { 0 };

	for (int i = 1; i < argc; i++) {
		struct error e = { 0 };

		if (verify_one(o, roots, argv[i], &sums, list, &e) == ST_OK)
			continue;
		fprintf(stderr, "trien verify: %s\n", e.text);
		sums.unreadable++;
	}
	if (o->json)
		json_print(json_incref(list));
	else if (o->quiet || argc > 2)
		printf("%" PRIu64 " passed, %" PRIu64 " failed, %" PRIu64 " undetermined\n",
		       sums.n[VERDICT_PASSED], sums.n[VERDICT_FAILED],
		       sums.n[VERDICT_INDETERMINATE]);
	json_decref(list);
	if (!o->ask && !o->json && !o->quiet)
		printf("Whether it is still in force was not asked: --engine.\n");
	if (sums.n[VERDICT_FAILED] > 0 || sums.life == 1)
		return 1;
	if (sums.unreadable > 0)
		return EX_NOINPUT;
	if (sums.life != 0)
		return sums.life;
	return sums.n[VERDICT_INDETERMINATE] > 0 ? 3 : 0;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int cli_verify(int argc, char **argv)
{
	struct options o = { .engine = client_defaults() };
	const struct option_row rows[] = {
		CLIENT_OPTION_ROWS(o.engine),
		{ "engine", OPTION_FLAG, &o.ask, 0, 0 },
		{ "trust", OPTION_TEXT, &o.trust, 0, 0 },
		{ "crl", OPTION_TEXT, &o.crl, 0, 0 },
		{ "quiet", OPTION_FLAG, &o.quiet, 0, 0 },
		{ "json", OPTION_FLAG, &o.json, 0, 0 },
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	struct roots *roots = NULL;
	struct error e = { 0 };
	char certs[4096];

	if (code >= 0)
		return code;
	if (argc < 2)
		return options_wrong(usage, "at least one file is needed");
	if (o.trust == NULL) {
		snprintf(certs, sizeof(certs), "%s/certs", o.engine.data);
		o.trust = certs;
	}
	if (o.crl == NULL && is_folder(o.trust))
		o.crl = o.trust;
	if (roots_load(&roots, o.trust, o.crl, &e) != ST_OK) {
		if (o.trust == certs && e.status == ST_NOT_FOUND)
			error_set(&e, ST_NOT_FOUND, "%s: there is no root to trust: give --trust "
				  "FILE|FOLDER, or --data DIR of an engine", certs);
		return error_exit("verify", &e);
	}
	if (o.ask && client_open(&o.client, &o.engine, &e) != ST_OK)
		code = error_exit("verify", &e);
	else
		code = verify_all(&o, roots, argc, argv);
	client_close(o.client);
	roots_free(roots);
	return code;
}
