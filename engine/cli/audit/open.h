/*
 * open.h - what `trien audit` was asked, and what it opens for it: store, roots, key policy and
 * engine. Inside cli/audit/ only.
 */
#ifndef TRIEN_CLI_AUDIT_OPEN_H
#define TRIEN_CLI_AUDIT_OPEN_H

#include "cli/audit/audit.h"
#include "config.h"

struct audit_options {
	struct config config;
	const char *connections[CONFIG_LIST_MAX];
	uint32_t connections_n;
	const char *from, *to, *sample, *seed, *state, *jobs, *html, *report, *trust, *crl;
	struct client_options engine;
	bool json;
};

bool audit_is_postgres(const struct audit_options *o);
/* With what audit_scope says of both. *a has what audit_close() ends, also after a failure. */
enum status audit_open(struct audit *a, struct audit_options *o, struct error *e) must_use;
void audit_close(struct audit *a);

#endif
