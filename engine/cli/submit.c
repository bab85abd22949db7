#include "cli/submit.h"

#include <errno.h>
#include <grpc/status.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/caselines.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "client/protojson.h"
#include "limits.h"

#define BATCH_BYTES_MAX (1024 * 1024)	/* of a request, beyond its first case */
#define IN_FLIGHT_MAX 64
#define SHOWN_MAX 100			/* results one by one; of more, --receipts */
#define RETRY_MS_MIN 200
#define RETRY_MS_MAX 5000

static const char usage[] =
	"trien submit FILE.jsonl|- [--validate-only] [--wait] [--wait-seconds N] [--json]\n"
	"             [--receipts FILE] [--batch 100] [--in-flight 4] [--from-line N]\n"
	"             [--retry-seconds 60]\n"
	"\n"
	"Submits cases, one JSON object (trien.v1.Case) a line. Safe to run again: a repetition\n"
	"is answered with the same receipts. A bad line or a rejected case is reported with its\n"
	"line; the others go on. --wait: until every result is stored or held; up to 100 are\n"
	"then shown with id, state and number. --json: a line a receipt or reject, then a\n"
	"summary; --receipts: the same into FILE instead. --in-flight 1 keeps the file's order.\n"
	"Exit: 0 done, 1 something was rejected, 3 not all stored.\n"
	CLIENT_OPTIONS_USAGE;

/* Cases that travel together, first or again. */
struct batch {
	struct batch *next;
	Trien__V1__Case **cases;
	uint64_t *lines;
	size_t n, bytes;
	uint32_t tries;
	int64_t due_ms;			/* not before */
};

struct submit {
	struct client_options engine;
	uint64_t batch_n, in_flight_n, from_line, retry_s, wait_s;
	bool wait, json, validate_only;
	const char *receipts;		/* a file for the JSON lines */
	FILE *lines;			/* where they go; NULL: nowhere */

	struct client *client;
	struct cases cases;
	Trien__V1__Case *carried;	/* read, but too much for the batch before */
	uint64_t carried_line;
	bool at_end;
	struct batch *waiting;		/* to be sent again */
	uint64_t in_flight;

	struct awaited awaited;
	uint64_t read, bad, accepted, rejected, results, repeated;
	int64_t moved_ms;		/* when a case was decided last */
	struct progress progress;
	struct failure fatal;		/* code 0: none */
};

/* ---- what is told ---- */

static void tell_reject(struct submit *s, uint64_t line, const Trien__V1__Reject *r)
{
	if (s->lines != NULL)
		json_print_line(s->lines, json_pack("{s:I, s:o}", "line", (json_int_t)line,
						    "reject", protojson_write(&r->base)));
	if (s->json)
		return;
	progress_clear(&s->progress);
	fprintf(stderr, "line %" PRIu64 ": %s%s%s%s%s%s%s%s\n", line,
		r->case_code[0] != '\0' ? "case " : "", r->case_code,
		r->case_code[0] != '\0' ? ": " : "", r->field, r->field[0] != '\0' ? ": " : "",
		r->reason, r->detail[0] != '\0' ? ": " : "", r->detail);
	fprintf(stderr, "  %s\n  %s\n", r->message_vi, r->message_en);
}

/* A line that never left: told in the form of a reject. */
static void tell_bad_line(struct submit *s, const struct error *e)
{
	Trien__V1__Reject r = TRIEN__V1__REJECT__INIT;

	s->bad++;
	r.reason = (char *)"LINE_INVALID";
	r.message_vi = (char *)"Dòng này không phải là một hồ sơ hợp lệ";
	r.message_en = (char *)"The line is no case";
	r.detail = (char *)e->text;
	tell_reject(s, s->cases.number, &r);
}

static void tell_receipt(struct submit *s, uint64_t line, const Trien__V1__Receipt *r)
{
	s->results++;
	s->repeated += r->duplicate != 0;
	if (s->wait)
		awaited_add(&s->awaited, r);
	if (s->wait && s->lines == NULL && s->results <= SHOWN_MAX) {
		char of[32];

		snprintf(of, sizeof(of), "line %" PRIu64, line);
		awaited_keep(&s->awaited, r, of);
	}
	if (s->lines != NULL)
		json_print_line(s->lines, json_pack("{s:I, s:o}", "line", (json_int_t)line,
						    "receipt", protojson_write(&r->base)));
}

/* ---- batches ---- */

static struct batch *batch_new(size_t room)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (b == NULL || (b->cases = calloc(room, sizeof(*b->cases))) == NULL ||
	    (b->lines = calloc(room, sizeof(*b->lines))) == NULL)
		abort();
	return b;
}

static void batch_add(struct batch *b, Trien__V1__Case *c, uint64_t line, size_t bytes)
{
	b->cases[b->n] = c;
	b->lines[b->n++] = line;
	b->bytes += bytes;
}

static void batch_free(struct batch *b)
{
	for (size_t i = 0; i < b->n; i++)
		if (b->cases[i] != NULL)
			trien__v1__case__free_unpacked(b->cases[i], NULL);
	free(b->cases);
	free(b->lines);
	free(b);
}

/* The next case of the file, or false at its end. */
static bool next_case(struct submit *s, Trien__V1__Case **out, uint64_t *line)
{
	struct error e = { 0 };

	if (s->carried != NULL) {
		*out = s->carried;
		*line = s->carried_line;
		s->carried = NULL;
		return true;
	}
	while (!s->at_end) {
		enum status st = cases_next(&s->cases, out, &e);

		*line = s->cases.number;
		if (st == ST_OK && trien__v1__case__get_packed_size(*out) > BATCH_BYTES_MAX) {
			trien__v1__case__free_unpacked(*out, NULL);
			st = error_set(&e, ST_INVALID, "a case larger than %d bytes",
				       CASE_BYTES_MAX);
		}
		if (st == ST_OK && *line >= s->from_line) {
			s->read++;
			return true;
		}
		if (st == ST_OK) {
			trien__v1__case__free_unpacked(*out, NULL);
		} else if (st == ST_INVALID) {
			if (*line >= s->from_line)
				tell_bad_line(s, &e);
		} else {
			s->at_end = true;
			if (st != ST_NOT_FOUND) {
				s->fatal.code = GRPC_STATUS_DATA_LOSS;
				snprintf(s->fatal.en, sizeof(s->fatal.en), "%s", e.text);
			}
		}
	}
	return false;
}

static struct batch *read_batch(struct submit *s)
{
	struct batch *b = batch_new(s->batch_n);
	Trien__V1__Case *c;
	uint64_t line;

	while (b->n < s->batch_n && next_case(s, &c, &line)) {
		size_t bytes = trien__v1__case__get_packed_size(c) + 8;

		if (b->n > 0 && b->bytes + bytes > BATCH_BYTES_MAX) {
			s->carried = c;
			s->carried_line = line;
			break;
		}
		batch_add(b, c, line, bytes);
	}
	if (b->n > 0)
		return b;
	batch_free(b);
	return NULL;
}

static void send_batch(struct submit *s, struct batch *b)
{
	Trien__V1__SubmitBatchRequest q = TRIEN__V1__SUBMIT_BATCH_REQUEST__INIT;

	q.n_cases = b->n;
	q.cases = b->cases;
	q.validate_only = s->validate_only;
	client_start(s->client, ISSUANCE "SubmitBatch", &q.base,
		     &trien__v1__submit_batch_response__descriptor, b);
	s->in_flight++;
}

/* ---- answers ---- */

/* Sent again after a pause that doubles, or as long as the engine asks for. */
static void send_later(struct submit *s, struct batch *b, uint32_t asked_ms)
{
	uint32_t shift = b->tries < 5 ? b->tries : 5, ms = (uint32_t)RETRY_MS_MIN << shift;

	if (ms > RETRY_MS_MAX)
		ms = RETRY_MS_MAX;
	if (ms < asked_ms)
		ms = asked_ms;
	b->tries++;
	/* Not all at once, when many clients wait. */
	b->due_ms = progress_now_ms() + ms + rand() % (ms / 4 + 1);
	b->next = s->waiting;
	s->waiting = b;
}

/*
 * Receipts stand in the request's order, one a result of each case taken; so do the rejects. A case
 * that may be sent again goes into a batch of its own.
 */
static void take_answer(struct submit *s, struct batch *b, const Trien__V1__SubmitBatchResponse *a)
{
	struct batch *again = NULL;
	size_t receipt = 0, reject = 0;

	for (size_t i = 0; i < b->n; i++) {
		const Trien__V1__Reject *r = reject < a->n_rejects ? a->rejects[reject] : NULL;

		if (r == NULL || r->index != i) {
			s->accepted++;
			for (size_t k = 0; k < b->cases[i]->n_results && receipt < a->n_receipts;
			     k++)
				tell_receipt(s, b->lines[i], a->receipts[receipt++]);
			continue;
		}
		reject++;
		if (!r->retryable) {
			s->rejected++;
			tell_reject(s, b->lines[i], r);
			continue;
		}
		if (again == NULL) {
			again = batch_new(b->n);
			again->tries = b->tries;
		}
		batch_add(again, b->cases[i], b->lines[i], 0);
		b->cases[i] = NULL;
	}
	if (again == NULL || again->n < b->n)
		s->moved_ms = progress_now_ms();
	if (again != NULL)
		send_later(s, again, 0);
	batch_free(b);
}

static void take_failure(struct submit *s, struct batch *b, const struct failure *f)
{
	bool given_up = progress_now_ms() - s->moved_ms > (int64_t)s->retry_s * 1000;

	if (failure_passing(f) && !given_up && s->fatal.code == 0) {
		send_later(s, b, f->retry_ms);
		return;
	}
	if (s->fatal.code == 0)
		s->fatal = *f;
	progress_clear(&s->progress);
	fprintf(stderr, "lines %" PRIu64 " to %" PRIu64 ": not decided\n", b->lines[0],
		b->lines[b->n - 1]);
	batch_free(b);
}

/* A batch whose pause is over, or the time until then in *wait_ms. */
static struct batch *take_due(struct submit *s, uint32_t *wait_ms)
{
	int64_t now = progress_now_ms(), soonest = INT64_MAX;

	for (struct batch **at = &s->waiting; *at != NULL; at = &(*at)->next) {
		struct batch *b = *at;

		if (b->due_ms <= now) {
			*at = b->next;
			return b;
		}
		if (b->due_ms < soonest)
			soonest = b->due_ms;
	}
	*wait_ms = soonest == INT64_MAX ? 1000 : (uint32_t)(soonest - now);
	return NULL;
}

static void submit_all(struct submit *s)
{
	s->moved_ms = progress_now_ms();
	progress_start(&s->progress, "cases");
	for (;;) {
		uint32_t wait_ms = 1000;
		ProtobufCMessage *answer;
		struct failure f;
		struct batch *b;

		while (s->in_flight < s->in_flight_n && s->fatal.code == 0) {
			b = take_due(s, &wait_ms);
			/* While some have to wait nothing new is read: the engine is behind. */
			if (b == NULL && s->waiting == NULL)
				b = read_batch(s);
			if (b == NULL)
				break;
			send_batch(s, b);
		}
		if (s->in_flight == 0 && (s->waiting == NULL || s->fatal.code != 0))
			break;
		b = client_next(s->client, wait_ms, &answer, &f);
		if (b == NULL) {
			if (s->in_flight == 0)
				usleep(wait_ms * 1000);
			continue;
		}
		s->in_flight--;
		if (answer != NULL) {
			take_answer(s, b, (Trien__V1__SubmitBatchResponse *)answer);
			protobuf_c_message_free_unpacked(answer, NULL);
		} else {
			take_failure(s, b, &f);
		}
		progress_show(&s->progress, s->accepted + s->rejected, s->cases.bytes,
			      s->cases.size);
	}
	progress_clear(&s->progress);
}

/* ---- the whole ---- */

static void summary(const struct submit *s, double seconds)
{
	char a[COUNT_TEXT_BYTES], b[COUNT_TEXT_BYTES], c[COUNT_TEXT_BYTES];
	uint64_t rate = seconds > 0 ? (uint64_t)((double)s->results / seconds) : 0;
	uint64_t undecided = s->read - s->accepted - s->rejected;

	if (s->lines != NULL)
		json_print_line(s->lines, json_pack("{s:{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f}}",
			"summary", "cases", (json_int_t)s->accepted,
			"results", (json_int_t)s->results,
			"duplicates", (json_int_t)s->repeated, "rejects", (json_int_t)s->rejected,
			"badLines", (json_int_t)s->bad, "undecided", (json_int_t)undecided,
			"stored", (json_int_t)s->awaited.stored,
			"held", (json_int_t)s->awaited.held,
			"notStored", (json_int_t)s->awaited.n, "seconds", seconds));
	if (s->json)
		return;
	if (s->results <= SHOWN_MAX)
		awaited_show(&s->awaited);
	printf("%-14s %10s", s->validate_only ? "valid cases" : "cases",
	       count_text(a, s->accepted));
	if (s->rejected + s->bad + undecided > 0)
		printf("   rejected %s, bad lines %s, undecided %s", count_text(a, s->rejected),
		       count_text(b, s->bad), count_text(c, undecided));
	putchar('\n');
	if (s->validate_only)
		return;
	printf("%-14s %10s   repeated %s\n", "results", count_text(a, s->results),
	       count_text(b, s->repeated));
	if (s->wait)
		printf("%-14s %10s   held %s, not yet %s\n", "stored",
		       count_text(a, s->awaited.stored), count_text(b, s->awaited.held),
		       count_text(c, s->awaited.n));
	printf("%-14s %10.1f   %s results/s\n", "seconds", seconds, count_text(a, rate));
}

static int run(struct submit *s)
{
	int64_t start_ms = progress_now_ms();
	struct failure f = { 0 };
	int code = 0;

	submit_all(s);
	if (s->wait && s->fatal.code == 0 && !s->validate_only &&
	    !awaited_all(&s->awaited, s->client, s->wait_s, s->lines, &f))
		code = 3;
	summary(s, (double)(progress_now_ms() - start_ms) / 1000);
	if (code == 3 && f.code != 0 && f.code != GRPC_STATUS_DEADLINE_EXCEEDED)
		failure_print("submit", &f);
	if (s->fatal.code != 0) {
		failure_print("submit", &s->fatal);
		fprintf(stderr, "trien submit: run it again to go on; what was decided stays\n");
		return failure_exit(&s->fatal);
	}
	if (s->read + s->bad == 0 && s->from_line == 0)
		fprintf(stderr, "trien submit: no case came: a line each is needed\n");
	if (code == 0 && s->awaited.held + s->awaited.ended > 0)
		code = 3;
	return s->rejected + s->bad > 0 ? 1 : code;
}

int cli_submit(int argc, char **argv)
{
	struct submit s = { .engine = client_defaults(), .batch_n = 100, .in_flight_n = 4,
			    .retry_s = 60 };
	const struct option_row rows[] = {
		{ "batch", OPTION_COUNT, &s.batch_n, 1, BATCH_CASES_MAX },
		{ "in-flight", OPTION_COUNT, &s.in_flight_n, 1, IN_FLIGHT_MAX },
		{ "from-line", OPTION_COUNT, &s.from_line, 1, INT64_MAX },
		{ "retry-seconds", OPTION_COUNT, &s.retry_s, 0, 86400 },
		{ "wait", OPTION_FLAG, &s.wait, 0, 0 },
		{ "wait-seconds", OPTION_COUNT, &s.wait_s, 0, 86400 },
		{ "validate-only", OPTION_FLAG, &s.validate_only, 0, 0 },
		{ "json", OPTION_FLAG, &s.json, 0, 0 },
		{ "receipts", OPTION_TEXT, &s.receipts, 0, 0 },
		CLIENT_OPTION_ROWS(s.engine),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));
	struct error e = { 0 };
	enum status st;

	if (code >= 0)
		return code;
	if (argc != 2)
		return options_wrong(usage, "one file is needed, or - for standard input");
	if (s.json && s.receipts != NULL)
		return options_wrong(usage, "--json and --receipts exclude each other: both write "
				     "the same lines");
	s.wait |= s.wait_s != 0;
	srand((unsigned int)getpid());
	st = cases_open(&s.cases, argv[1], &e);
	s.lines = s.json ? stdout : s.receipts != NULL ? fopen(s.receipts, "we") : NULL;
	if (st == ST_OK && s.receipts != NULL && s.lines == NULL)
		st = error_set(&e, ST_IO, "%s: %s", s.receipts, strerror(errno));
	if (st == ST_OK)
		st = client_open(&s.client, &s.engine, &e);
	code = st == ST_OK ? run(&s) : error_exit("submit", &e);
	client_close(s.client);
	while (s.waiting != NULL) {
		struct batch *b = s.waiting;

		s.waiting = b->next;
		batch_free(b);
	}
	if (s.carried != NULL)
		trien__v1__case__free_unpacked(s.carried, NULL);
	awaited_free(&s.awaited);
	cases_close(&s.cases);
	if (s.lines != NULL && s.lines != stdout && fclose(s.lines) != 0 && code == 0)
		code = EX_IOERR;
	return code;
}
