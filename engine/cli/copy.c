#include <stdio.h>

#include "cli/cli.h"
#include "cli/copying.h"
#include "cli/options.h"

static const char usage[] =
	"trien copy RESULT_ID --case CASE.json [--validate-only] [--wait] [--wait-seconds N]\n"
	"           [--json] [--retry-seconds 60]\n"
	"\n"
	"Issues a copy from the register (bản sao từ sổ gốc) of a stored result, for the case in\n"
	"CASE.json (trien.v1.Case with one result, of a kind that copies from the register). Safe\n"
	"to run again: a repetition is answered with the same receipt. --wait: until it is stored\n"
	"or held. Exit: 0 done, 1 it was refused, 3 not stored.\n"
	CLIENT_OPTIONS_USAGE;

static void issue(struct copying *c, char *id, Trien__V1__Case *of)
{
	Trien__V1__IssueCopyRequest q = TRIEN__V1__ISSUE_COPY_REQUEST__INIT;
	int64_t start_ms = progress_now_ms();
	Trien__V1__IssueCopyResponse *a;
	struct failure f = { 0 };
	uint32_t tries = 0;

	q.case_ = of;
	q.result_id = id;
	q.validate_only = c->validate_only;
	do
		a = (void *)client_call(c->client, ISSUANCE "IssueCopy", &q.base,
					&trien__v1__issue_copy_response__descriptor, &f);
	while (a == NULL && copying_again(c, &f, tries++, start_ms));
	if (a == NULL) {
		copying_refusal(c, "copy", 0, id, &f);
		return;
	}
	copying_receipt(c, 0, id, a->receipt);
	trien__v1__issue_copy_response__free_unpacked(a, NULL);
}

int cli_copy(int argc, char **argv)
{
	struct copying c = COPYING_DEFAULTS;
	const char *case_file = NULL;
	const struct option_row rows[] = {
		{ "case", OPTION_TEXT, &case_file, 0, 0 },
		COPYING_OPTION_ROWS(c),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	Trien__V1__Case *of = NULL;
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (argc != 2 || case_file == NULL)
		return options_wrong(usage, "a result id and --case are needed");
	code = options_id("copy", argv[1]);
	if (code != 0)
		return code;
	if (copying_case(&of, case_file, &e) != ST_OK ||
	    client_open(&c.client, &c.engine, &e) != ST_OK) {
		code = error_exit("copy", &e);
	} else {
		issue(&c, argv[1], of);
		code = copying_end(&c, "copy");
	}
	if (of != NULL)
		trien__v1__case__free_unpacked(of, NULL);
	return code;
}
