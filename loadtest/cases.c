#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "case.h"
#include "sample/sample.h"

static const char usage[] =
	"trien-cases [--count N] [--results N] [--seed S] [--first-code K]\n"
	"            [--mix one-stop|edge|linked|KIND] [--priority interactive|normal|bulk]\n"
	"            [--output FILE]\n"
	"\n"
	"Invented cases, one a line, as `trien submit` reads them; - or no FILE is stdout. The\n"
	"same options give the same bytes. --results ends when that many results are reached,\n"
	"--count after that many cases. --first-code: serial number of the first case, part of\n"
	"its code.\n";

static const char *const priorities[] = {
	[PRIORITY_INTERACTIVE] = "interactive",
	[PRIORITY_NORMAL] = "normal",
	[PRIORITY_BULK] = "bulk",
};

static bool read_number(uint64_t *out, const char *text)
{
	char *end;

	errno = 0;
	*out = strtoull(text, &end, 10);
	return errno == 0 && text[0] >= '0' && text[0] <= '9' && *end == '\0';
}

static bool read_priority(int *out, const char *text)
{
	for (int i = 0; i < PRIORITY_COUNT; i++) {
		if (strcmp(text, priorities[i]) == 0) {
			*out = i;
			return true;
		}
	}
	return false;
}

static bool read_options(struct sample_options *o, const char **output, int argc, char **argv)
{
	static const struct option names[] = {
		{ "count", required_argument, NULL, 'c' },
		{ "results", required_argument, NULL, 'r' },
		{ "seed", required_argument, NULL, 's' },
		{ "first-code", required_argument, NULL, 'f' },
		{ "mix", required_argument, NULL, 'm' },
		{ "priority", required_argument, NULL, 'p' },
		{ "output", required_argument, NULL, 'o' },
		{ NULL, 0, NULL, 0 }
	};
	bool good = true;
	int c;

	while (good && (c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'c')
			good = read_number(&o->cases, optarg);
		else if (c == 'r')
			good = read_number(&o->results, optarg);
		else if (c == 's')
			good = read_number(&o->seed, optarg);
		else if (c == 'f')
			good = read_number(&o->first, optarg);
		else if (c == 'm')
			o->mix = optarg;
		else if (c == 'p')
			good = read_priority(&o->priority, optarg);
		else if (c == 'o')
			*output = optarg;
		else
			good = false;
	}
	return good && optind == argc;
}

int main(int argc, char **argv)
{
	struct sample_options o = { .seed = 1, .mix = "one-stop", .priority = -1 };
	struct sample_counts counts;
	const char *output = "-";
	struct error e;
	enum status st;
	FILE *f = stdout;

	if (!read_options(&o, &output, argc, argv)) {
		fputs(usage, stderr);
		return EX_USAGE;
	}
	if (strcmp(output, "-") != 0)
		f = fopen(output, "w");
	if (f == NULL) {
		fprintf(stderr, "trien-cases: %s: %s\n", output, strerror(errno));
		return EX_CANTCREAT;
	}
	st = sample_write(&o, f, &counts, &e);
	if (fclose(f) != 0 && st == ST_OK)
		st = error_set(&e, ST_IO, "%s: %s", output, strerror(errno));
	if (st != ST_OK) {
		fprintf(stderr, "trien-cases: %s\n", e.text);
		return st == ST_INVALID ? EX_USAGE : EX_IOERR;
	}
	fprintf(stderr, "%llu cases, %llu results\n", (unsigned long long)counts.cases,
		(unsigned long long)counts.results);
	return EX_OK;
}
