/*
 * keylist.h - who can sign what until when, and what stops on which day: `trien keys list`.
 *
 * Reads certificates, lists, keys.json and, where there is one, the catalogue. Needs neither
 * private keys nor an engine.
 */
#ifndef TRIEN_CLI_KEYLIST_H
#define TRIEN_CLI_KEYLIST_H

#include <stdbool.h>
#include <stdint.h>

struct keylist_options {
	const char *data;
	const char *schemas;		/* NULL: ends of offices and delegations are not known */
	uint32_t crl_hours_max;		/* as the engine's setting; 0: lists are not required */
	bool json;
};

/* Prints to stdout. An exit code. */
int keylist(const struct keylist_options *o);

#endif
