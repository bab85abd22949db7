#include <stdio.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "client/client.h"
#include "client/protojson.h"
#include "trien/v1/issuance.pb-c.h"

static const char usage[] =
	"trien withdraw RESULT_ID --reason TEXT [--json]\n"
	"\n"
	"Takes back a result that waits for its signer: it never gets a number. The reason is\n"
	"kept.\n"
	CLIENT_OPTIONS_USAGE;

int cli_withdraw(int argc, char **argv)
{
	struct client_options engine = client_defaults();
	const char *reason = NULL;
	bool json = false;
	const struct option_row rows[] = {
		{ "reason", OPTION_TEXT, &reason, 0, 0 },
		{ "json", OPTION_FLAG, &json, 0, 0 },
		CLIENT_OPTION_ROWS(engine),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	Trien__V1__WithdrawResultRequest q = TRIEN__V1__WITHDRAW_RESULT_REQUEST__INIT;
	Trien__V1__WithdrawResultResponse *a;
	struct client *c = NULL;
	struct error e = { 0 };
	struct failure f;

	if (code >= 0)
		return code;
	if (argc != 2 || reason == NULL)
		return options_wrong(usage, "a result id and --reason are needed");
	code = options_id("withdraw", argv[1]);
	if (code != 0)
		return code;
	if (client_open(&c, &engine, &e) != ST_OK)
		return error_exit("withdraw", &e);
	q.result_id = argv[1];
	q.reason = (char *)reason;
	a = (void *)client_call(c, ISSUANCE "WithdrawResult", &q.base,
				&trien__v1__withdraw_result_response__descriptor, &f);
	client_close(c);
	if (a == NULL) {
		failure_print("withdraw", &f);
		return failure_exit(&f);
	}
	if (json)
		json_print(protojson_write(&a->base));
	else
		printf("%s is withdrawn\n", a->result_id);
	trien__v1__withdraw_result_response__free_unpacked(a, NULL);
	return 0;
}
