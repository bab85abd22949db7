/*
 * preview.h - `trien schema preview`: a case's result as a draft, without engine, number or keys.
 */
#ifndef TRIEN_CLI_PREVIEW_H
#define TRIEN_CLI_PREVIEW_H

#include "base/status.h"

struct preview_options {
	const char *kind_file;		/* instead of the schemas folder's kind of this code */
	const char *case_file;		/* proto3 JSON of trien.v1.Case; its first such result */
	const char *schemas;		/* NULL: as configured */
	const char *output;		/* NULL: case_file with .pdf at its end; "-": stdout */
};

/*
 * Drawn on the day of today, or on the first day of the kind's last version where none is in
 * force. On ST_OK path (PATH_MAX) names what was written. ST_INVALID: a file, or the case, is not
 * as it must be; *e tells without personal data (P9).
 */
enum status preview_write(const struct preview_options *o, char *path, struct error *e) must_use;

#endif
