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
#include "judging.h"

static const char usage[] =
	"trien verify FILE.pdf… [--engine] [--trust PATH|--data DIR] [--crl PATH]\n"
	"             [--tsa PATH] [--lang vi|en] [--quiet] [--json]\n"
	"\n"
	"Checks each signature, its chain, and that every byte of the file is covered; of PDFs\n"
	"that others made likewise, within 2 s each. Needs no engine. Says in three sentences\n"
	"whether it is unchanged, who issued and who signed it, and whether it is still in force,\n"
	"in Vietnamese or English (--lang; default vi), then the facts; --json: as\n"
	"schemas/verification-report.json says. --engine: asks one, too, whether it is the file\n"
	"that was issued and still in force; it is told the file's id and SHA-256. --trust: a\n"
	"PEM file with the root, or a folder of *.pem and *.crl (--data DIR: DIR/certs). --crl: a\n"
	"file or folder of revocation lists. --tsa: a PEM file or folder with the roots of\n"
	"time-stamp authorities: time stamps raise a signature's level (B-T, B-LT, B-LTA) and\n"
	"never change the verdict. --quiet: only files that do not pass or are not in force, and\n"
	"the sum. Exit: 0 all passed, 1 one failed or is not in force, 3 one is undetermined, 66\n"
	"one cannot be read.\n"
	CLIENT_OPTIONS_USAGE;

struct options {
	struct client_options engine;
	const char *trust, *crl, *tsa;
	struct verifier *verifier;
	bool ask, quiet, json;
	enum report_language language;
	struct judging *judging;
	struct client *client;		/* ask: the engine's */
};

/* By enum verdict; life: of what inforce_ask() gave, the worst. */
struct sums { uint64_t n[3], unreadable; int life; };

static void time_of(char out[TIMESTAMP_TEXT_BYTES], int64_t ms)
{
	if (ms == INT64_MIN)
		snprintf(out, TIMESTAMP_TEXT_BYTES, "unknown time");
	else
		timestamp_write(out, ms / 1000, (int32_t)(ms % 1000) * 1000000);
}

static void print_finding(const struct finding *f)
{
	printf("%s", verdict_name(f->verdict));
	if (f->indication != IND_NONE)
		printf(" (%s)", indication_name(f->indication));
	printf("%s%s\n", f->why[0] != '\0' ? ": " : "", f->why);
}

static void print_report(const struct options *o, const char *path, const struct report *r,
			 const struct asked *a)
{
	char bytes[COUNT_TEXT_BYTES], when[TIMESTAMP_TEXT_BYTES], sentence[REPORT_SENTENCE_BYTES];

	printf("%s: ", path);
	print_finding(&r->finding);
	for (uint32_t i = 0; i < REPORT_SENTENCES; i++) {
		report_sentence(sentence, o->language, i, r, a);
		printf("  %s\n", sentence);
	}
	for (uint8_t i = 0; i < r->signatures_n; i++) {
		const struct signature_report *s = &r->signatures[i];
		uint64_t covered = s->range[2] + s->range[3];

		time_of(when, s->signed_ms);
		printf("  %u  %s%s%s%s, %s\n", i + 1u, s->subject, s->unit[0] != '\0' ? " (" : "",
		       s->unit, s->unit[0] != '\0' ? ")" : "", s->algorithm);
		printf("     signed %s, covers the %s %s bytes%s, level %s\n     ", when,
		       covered == r->file_bytes ? "whole file," : "first",
		       count_text(bytes, covered), s->certifies ? ", certifies the document" : "",
		       level_name(s->level));
		print_finding(&s->finding);
	}
	for (uint8_t i = 0; i < r->stamps_n; i++) {
		const struct stamp_report *s = &r->stamps[i];

		time_of(when, s->time_ms);
		printf("  time stamp %s, %s%s%s\n", when, s->subject,
		       s->trusted ? "" : ": not trusted, so no level rests on it: ", s->why);
	}
}

/* What the engine says; 1 says more than a call that failed, and that more than 3. */
static json_t *life_ask(const struct options *o, const struct report *r, struct asked *a,
			struct sums *sums)
{
	json_t *answer = NULL;
	int code = inforce_ask(o->client, r, a, o->json ? &answer : NULL);

	if (code == 1 || sums->life == 0 || (sums->life == 3 && code != 0))
		sums->life = code;
	return answer;
}

static json_t *row_json(const char *path, const struct report *r, const struct asked *a,
			json_t *answer)
{
	json_t *row = report_json(r, a);

	json_object_set_new(row, "file", json_string(path));
	if (answer != NULL)
		json_object_set_new(row, "engine", answer);
	return row;
}

static enum status verify_one(const struct options *o, const char *path, struct sums *sums,
			      json_t *list, struct error *e)
{
	struct asked a = { .standing = STANDING_NOT_ASKED };
	struct slice file = { NULL, 0 };
	json_t *answer = NULL;
	struct report r;
	int fd;
	enum status st = judging_read(path, &file, &fd, e);
	bool good;

	if (st != ST_OK)
		return st;
	st = judging_file(o->judging, o->verifier, file, fd, &r);
	judging_forget(file, fd);
	if (st != ST_OK)
		return error_set(e, st, "%s: %s", path, status_name(st));
	sums->n[r.finding.verdict]++;
	if (o->ask)
		answer = life_ask(o, &r, &a, sums);
	good = r.finding.verdict == VERDICT_PASSED && (!o->ask || asked_good(&a));
	if (o->json)
		json_array_append_new(list, row_json(path, &r, &a, answer));
	else if (!o->quiet || !good)
		print_report(o, path, &r, &a);
	return ST_OK;
}

static int verify_all(const struct options *o, int argc, char **argv)
{
	json_t *list = json_array();
	struct sums sums = { 0 };

	for (int i = 1; i < argc; i++) {
		struct error e = { 0 };

		if (verify_one(o, argv[i], &sums, list, &e) == ST_OK)
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
	if (sums.n[VERDICT_FAILED] > 0 || sums.life == 1)
		return 1;
	if (sums.unreadable > 0)
		return EX_NOINPUT;
	if (sums.life != 0)
		return sums.life;
	return sums.n[VERDICT_INDETERMINATE] > 0 ? 3 : 0;
}

/* All files with one verifier: those of one template are read once. */
static int verify_files(struct options *o, const struct roots *roots, int argc, char **argv)
{
	struct known *known = NULL;
	int code;

	if (known_new(&known) != ST_OK || verifier_new(&o->verifier, roots, known) != ST_OK) {
		known_free(known);
		fprintf(stderr, "trien verify: out of memory\n");
		return EX_OSERR;
	}
	code = verify_all(o, argc, argv);
	verifier_free(o->verifier);
	known_free(known);
	return code;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int cli_verify(int argc, char **argv)
{
	struct options o = { .engine = client_defaults() };
	const char *language = "vi";
	const struct option_row rows[] = {
		CLIENT_OPTION_ROWS(o.engine),
		{ "engine", OPTION_FLAG, &o.ask, 0, 0 },
		{ "trust", OPTION_TEXT, &o.trust, 0, 0 },
		{ "crl", OPTION_TEXT, &o.crl, 0, 0 },
		{ "tsa", OPTION_TEXT, &o.tsa, 0, 0 },
		{ "lang", OPTION_TEXT, &language, 0, 0 },
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
	if (strcmp(language, "vi") != 0 && strcmp(language, "en") != 0)
		return options_wrong(usage, "--lang is vi or en");
	o.language = language[0] == 'e' ? REPORT_EN : REPORT_VI;
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
	if (o.tsa != NULL && roots_add_tsa(roots, o.tsa, &e) != ST_OK) {
		roots_free(roots);
		return error_exit("verify", &e);
	}
	if (judging_open(&o.judging, roots, &e) != ST_OK ||
	    (o.ask && client_open(&o.client, &o.engine, &e) != ST_OK))
		code = error_exit("verify", &e);
	else
		code = verify_files(&o, roots, argc, argv);
	client_close(o.client);
	judging_close(o.judging);
	return code;
}
