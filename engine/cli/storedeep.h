/*
 * storedeep.h - `trien store check --deep`: looks at all that lies on PostgreSQL and tells people
 * or machines what came of it (store/postgres/deep.h).
 */
#ifndef TRIEN_CLI_STOREDEEP_H
#define TRIEN_CLI_STOREDEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

#define STORE_DEEP_LINES 100		/* told; more are counted */

struct store_deep {
	const char *const *servers;	/* as in the setting `postgres` */
	uint32_t servers_n;
	bool citus, json;
	const char *reader;
	uint64_t lines_max;
};

/*
 * *code: 0 whole, 3 nothing is damaged, but numbers are not there or something was not looked at,
 * 65 damaged. Errors as pg_deep_check().
 */
enum status store_deep_run(const struct store_deep *o, int *code, struct error *e) must_use;

#endif
