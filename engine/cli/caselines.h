/*
 * caselines.h - JSON Lines of cases: one trien.v1.Case in proto3 JSON a line.
 *
 * Empty lines are passed over, a byte order mark too. A line that is no case is reported and does
 * not stop the others. Memory is one line.
 */
#ifndef TRIEN_CLI_CASELINES_H
#define TRIEN_CLI_CASELINES_H

#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/status.h"
#include "trien/v1/case.pb-c.h"

#define CASES_LINE_BYTES_MAX (4 * 1024 * 1024)

struct cases {
	FILE *file;
	char *line;
	uint64_t number;		/* of the line read last, from 1 */
	uint64_t bytes, size;		/* read so far; of the file, 0: not known */
};

/* path "-": standard input. */
enum status cases_open(struct cases *c, const char *path, struct error *e) must_use;
/* The next line that is not empty, until the next call. ST_INVALID: too long; else as below. */
enum status cases_line(struct cases *c, struct slice *text, struct error *e) must_use;
/*
 * The next case, to be freed with trien__v1__case__free_unpacked(). ST_NOT_FOUND: the end;
 * ST_INVALID: line c->number is no case; ST_IO: the file cannot be read on.
 */
enum status cases_next(struct cases *c, Trien__V1__Case **out, struct error *e) must_use;
void cases_close(struct cases *c);

#endif
