#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

int options_wrong(const char *usage, const char *fmt, ...)
{
	va_list ap;

	/* The error last, where it is seen. */
	fprintf(stderr, "%s\n", usage);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	return 2;
}

/* The row of `--name` or `--name=…`. */
static const struct option_row *row_of(const char *word, const struct option_row *rows, uint32_t n)
{
	size_t len = strcspn(word + 2, "=");

	for (uint32_t i = 0; i < n; i++)
		if (strlen(rows[i].name) == len && strncmp(word + 2, rows[i].name, len) == 0)
			return &rows[i];
	return NULL;
}

static bool read_count(const struct option_row *row, const char *text)
{
	unsigned long long v;
	char *end;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0 || v < row->min ||
	    v > row->max)
		return false;
	*(uint64_t *)row->at = v;
	return true;
}

/* Takes the flag at argv[*i], and its value behind it. */
static int take(const char *usage, int argc, char **argv, int *i, const struct option_row *rows,
		uint32_t n)
{
	const char *word = argv[*i], *value = strchr(word, '=');
	const struct option_row *row = row_of(word, rows, n);

	if (row == NULL)
		return options_wrong(usage, "unknown flag %s", word);
	if (row->type == OPTION_FLAG) {
		if (value != NULL)
			return options_wrong(usage, "--%s takes no value", row->name);
		*(bool *)row->at = true;
		return -1;
	}
	if (value == NULL && *i + 1 == argc)
		return options_wrong(usage, "--%s needs a value", row->name);
	value = value != NULL ? value + 1 : argv[++*i];
	if (row->type == OPTION_TEXT)
		*(const char **)row->at = value;
	else if (!read_count(row, value))
		return options_wrong(usage, "--%s: a whole number from %" PRIu64 " to %" PRIu64
				     " is needed", row->name, row->min, row->max);
	return -1;
}

int options_read(const char *usage, int *argc, char **argv, const struct option_row *rows,
		 uint32_t n)
{
	bool words_only = false;
	int kept = 1;

	for (int i = 1; i < *argc; i++) {
		int code;

		if (words_only || strncmp(argv[i], "-", 1) != 0 || strcmp(argv[i], "-") == 0) {
			argv[kept++] = argv[i];
			continue;
		}
		if (strcmp(argv[i], "--") == 0) {
			words_only = true;
			continue;
		}
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(usage, stdout);
			return 0;
		}
		if (strncmp(argv[i], "--", 2) != 0)
			return options_wrong(usage, "unknown flag %s", argv[i]);
		code = take(usage, *argc, argv, &i, rows, n);
		if (code >= 0)
			return code;
	}
	*argc = kept;
	return -1;
}

int options_id(const char *command, const char *id)
{
	if (strlen(id) == ID_TEXT_BYTES &&
	    strspn(id, "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
		       "abcdefghjkmnpqrstvwxyz") == ID_TEXT_BYTES)
		return 0;
	fprintf(stderr, "trien %s: '%.40s' is no result id (26 characters)\n", command, id);
	return 2;
}
