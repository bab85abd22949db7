#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/lists.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "client/client.h"
#include "client/protojson.h"
#include "trien/v1/operations.pb-c.h"

#define POLL_MS 100

static const char usage[] =
	"trien status [--wait N] [--json]\n"
	"\n"
	"How the engine is. --wait: up to N seconds until it gives numbers. Exit: 0 all is well,\n"
	"3 it does not number, or a signer or the store does not answer, 69 it is not reached.\n"
	CLIENT_OPTIONS_USAGE;

static Trien__V1__Status *ask(struct client *c, struct failure *f)
{
	Trien__V1__GetStatusRequest q = TRIEN__V1__GET_STATUS_REQUEST__INIT;

	return (void *)client_call(c, OPERATIONS "GetStatus", &q.base,
				   &trien__v1__status__descriptor, f);
}

static bool is_well(const Trien__V1__Status *s)
{
	return s->numbering && s->signer_up && s->store_up && strcmp(s->remote_signer, "away") != 0;
}

/*
 * A connection of its own for each question: one that was made while the engine was starting may
 * answer late.
 */
static enum status ask_until_well(const struct client_options *o, uint64_t seconds,
				  Trien__V1__Status **out, struct failure *f, struct error *e)
{
	int64_t end_ms = progress_now_ms() + (int64_t)seconds * 1000;
	struct client_options hurried = *o;

	if (seconds > 0)
		hurried.timeout_s = 1;
	for (;;) {
		struct client *c = NULL;
		enum status st = client_open(&c, &hurried, e);
		bool again;

		if (st != ST_OK)
			return st;
		*out = ask(c, f);
		client_close(c);
		again = *out == NULL ? failure_passing(f) : !is_well(*out);
		if (!again || progress_now_ms() >= end_ms)
			return ST_OK;
		if (*out != NULL)
			trien__v1__status__free_unpacked(*out, NULL);
		usleep(POLL_MS * 1000);
	}
}

static void row(const char *label, uint64_t n)
{
	char text[COUNT_TEXT_BYTES];

	printf("%-20s %12s\n", label, count_text(text, n));
}

static void show(const Trien__V1__Status *s)
{
	char since[WHEN_BYTES], cases[COUNT_TEXT_BYTES];

	printf("running since        %s, store %s, io %s; you are %s\n",
	       when_text(since, s->start_time), s->store, s->io, s->principal);
	printf("numbering            %s%s%s\n", s->numbering ? "yes" : "NO",
	       s->numbering_reason[0] != '\0' ? ": " : "", s->numbering_reason);
	printf("signer, store        %s, %s\n", s->signer_up ? "up" : "AWAY",
	       s->store_up ? "up" : "AWAY");
	for (size_t i = 0; i < s->n_store_servers_away; i++)
		printf("%s%u", i == 0 ? "servers away         " : ", ", s->store_servers_away[i]);
	if (s->n_store_servers_away > 0)
		printf("; %s cases wait for them\n", count_text(cases, s->waiting_for_servers));
	if (s->remote_signer[0] != '\0')
		printf("remote signer        %s\n",
		       strcmp(s->remote_signer, "up") == 0 ? "up" : "AWAY");
	printf("%-20s %6u of %u free\n", "journal segments", s->journal_slots_free,
	       s->journal_slots);
	printf("now, results\n");
	row("  in flight", s->in_flight);
	row("  held", s->held);
	row("  awaiting approval", s->awaiting_approval);
	row("  awaiting signature", s->awaiting_signature);
	/* A start stores again what it cannot know to be stored. */
	printf("since it started, cases\n");
	row("  accepted", s->accepted);
	row("  repeated", s->duplicates);
	row("  refused", s->refused);
	printf("since it started, results\n");
	row("  stored", s->stored);
	row("  voided", s->voided);
	row("  signatures made", s->signatures);
}

int cli_status(int argc, char **argv)
{
	struct client_options engine = client_defaults();
	uint64_t wait_s = 0;
	bool json = false;
	const struct option_row rows[] = {
		{ "wait", OPTION_COUNT, &wait_s, 0, 3600 },
		{ "json", OPTION_FLAG, &json, 0, 0 },
		CLIENT_OPTION_ROWS(engine),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	struct error e = { 0 };
	Trien__V1__Status *s = NULL;
	struct failure f;

	if (code >= 0)
		return code;
	if (argc != 1)
		return options_wrong(usage, "status takes flags only");
	if (ask_until_well(&engine, wait_s, &s, &f, &e) != ST_OK)
		return error_exit("status", &e);
	if (s == NULL) {
		failure_print("status", &f);
		return failure_exit(&f);
	}
	if (json)
		json_print(protojson_write(&s->base));
	else
		show(s);
	code = is_well(s) ? 0 : 3;
	trien__v1__status__free_unpacked(s, NULL);
	return code;
}
