#include "cli/caselines.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/protojson.h"

enum status cases_open(struct cases *c, const char *path, struct error *e)
{
	bool input = strcmp(path, "-") == 0;
	struct stat st;

	*c = (struct cases){ .file = input ? stdin : fopen(path, "re") };
	if (c->file == NULL)
		return error_set(e, ST_NOT_FOUND, "%s: %s", path, strerror(errno));
	c->line = malloc(CASES_LINE_BYTES_MAX);
	if (c->line == NULL)
		return error_set(e, ST_NOMEM, "out of memory");
	if (fstat(fileno(c->file), &st) == 0 && S_ISREG(st.st_mode))
		c->size = (uint64_t)st.st_size;
	return ST_OK;
}

/* Its bytes without the end; *n beyond the bound when it was too long. EOF: no line any more. */
static int read_line(struct cases *c, size_t *n)
{
	int ch;

	*n = 0;
	while ((ch = getc_unlocked(c->file)) != EOF && ch != '\n') {
		if (*n < CASES_LINE_BYTES_MAX)
			c->line[*n] = (char)ch;
		(*n)++;
	}
	c->bytes += *n + (ch == '\n');
	return ch == EOF && *n == 0 ? EOF : 0;
}

static struct slice trimmed(const char *p, size_t n)
{
	if (n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
		p += 3;
		n -= 3;
	}
	while (n > 0 && strchr(" \t\r", p[n - 1]) != NULL && p[n - 1] != '\0')
		n--;
	return slice_of(p, n);
}

enum status cases_line(struct cases *c, struct slice *text, struct error *e)
{
	size_t n;

	do {
		if (read_line(c, &n) == EOF)
			return ferror(c->file) ? error_set(e, ST_IO, "line %llu: %s",
							   (unsigned long long)c->number + 1,
							   strerror(errno)) : ST_NOT_FOUND;
		c->number++;
		if (n > CASES_LINE_BYTES_MAX)
			return error_set(e, ST_INVALID, "longer than %d bytes",
					 CASES_LINE_BYTES_MAX);
		*text = trimmed(c->line, n);
	} while (text->n == 0);
	return ST_OK;
}

enum status cases_next(struct cases *c, Trien__V1__Case **out, struct error *e)
{
	ProtobufCMessage *m = NULL;
	struct slice text;
	enum status st = cases_line(c, &text, e);
	char *column;

	if (st != ST_OK)
		return st;
	st = protojson_parse(&m, text, &trien__v1__case__descriptor, e);
	*out = (Trien__V1__Case *)m;
	/* Its one line is the file's line, which the caller names. */
	column = st == ST_INVALID && e != NULL ? strstr(e->text, "column ") : NULL;
	if (column != NULL && strncmp(e->text, "line 1, ", 8) == 0)
		memmove(e->text, column, strlen(column) + 1);
	return st;
}

void cases_close(struct cases *c)
{
	if (c->file != NULL && c->file != stdin)
		fclose(c->file);
	free(c->line);
	*c = (struct cases){ 0 };
}
