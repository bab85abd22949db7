#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "catalogue/catalogue.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/preview.h"
#include "client/failure.h"
#include "client/protojson.h"

static const char usage[] =
	"trien schema check FILE… [--json]\n"
	"trien schema preview FILE CASE.json [--schemas DIR] [--output OUT.pdf] [--json]\n"
	"\n"
	"check: a kind, an agency or a signer by itself; a failure names file, line, place and\n"
	"what is allowed.\n"
	"preview: the result of that kind in a case (proto3 JSON of trien.v1.Case) as a draft,\n"
	"marked so, without number and signature, with the agencies and signers of DIR\n"
	"(default: as configured).\n"
	"OUT.pdf is the case file's name with .pdf unless given; - is standard output.\n"
	"Exit 0: done; 1: a file, or the case, is not as it must be.\n";

static json_t *check_json(const char *path, enum status st, const struct error *e)
{
	const char *reason = e->text;
	unsigned int line = 0;
	int used = 0;

	/* "file:line: reason" in its parts. */
	if (strncmp(reason, path, strlen(path)) == 0 &&
	    sscanf(reason + strlen(path), ":%u: %n", &line, &used) == 1 && used > 0)
		reason += strlen(path) + (size_t)used;
	if (st == ST_OK)
		return json_pack("{s:s, s:b}", "file", path, "valid", true);
	if (used == 0)
		return json_pack("{s:s, s:b, s:s}", "file", path, "valid", false, "reason", reason);
	return json_pack("{s:s, s:b, s:i, s:s}", "file", path, "valid", false, "line", (int)line,
			 "reason", reason);
}

static int check(int argc, char **argv, bool json)
{
	json_t *rows = json_array();
	int code = 0;

	for (int i = 0; i < argc; i++) {
		struct error e = { 0 };
		enum status st = catalogue_check_file(argv[i], &e);

		if (st != ST_OK) {
			fprintf(stderr, "%s\n", e.text);
			code = status_class(st) == CLASS_FATAL ? EX_IOERR : code == 0 ? 1 : code;
		} else if (!json) {
			printf("%s: good\n", argv[i]);
		}
		json_array_append_new(rows, check_json(argv[i], st, &e));
	}
	if (json)
		json_print(rows);
	else
		json_decref(rows);
	return code;
}

static int preview(const struct preview_options *o, bool json)
{
	char path[PATH_MAX];
	struct error e = { 0 };
	enum status st = preview_write(o, path, &e);
	bool streamed = st == ST_OK && strcmp(path, "-") == 0;

	if (st == ST_INVALID)
		fprintf(stderr, "trien schema: %s\n", e.text);
	if (st != ST_OK)
		return st == ST_INVALID ? 1 : error_exit("schema", &e);
	if (json && !streamed)
		json_print(json_pack("{s:s}", "pdf", path));
	else if (!streamed)
		printf("%s\n", path);
	return 0;
}

int cli_schema(int argc, char **argv)
{
	struct preview_options o = { 0 };
	bool json = false;
	const struct option_row rows[] = {
		{ "schemas", OPTION_TEXT, &o.schemas, 0, 0 },
		{ "output", OPTION_TEXT, &o.output, 0, 0 },
		{ "json", OPTION_FLAG, &json, 0, 0 },
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));

	if (code >= 0)
		return code;
	if (argc > 2 && strcmp(argv[1], "check") == 0)
		return check(argc - 2, argv + 2, json);
	if (argc == 4 && strcmp(argv[1], "preview") == 0) {
		o.kind_file = argv[2];
		o.case_file = argv[3];
		return preview(&o, json);
	}
	return options_wrong(usage, "check FILE… or preview FILE CASE.json is needed");
}
