/*
 * inforce.h - what the engine says of a file that was verified here: is it the one that was issued,
 * and is it still in force? The file itself is not sent: its id and its SHA-256 are enough.
 */
#ifndef TRIEN_CLI_INFORCE_H
#define TRIEN_CLI_INFORCE_H

#include <jansson.h>

#include "client/client.h"
#include "verify/report.h"

/*
 * Fills *out; *answer, unless NULL: the engine's whole answer, the caller's. 0: in force; 1: it is
 * not, or was not issued so; 3: not known now; else the call's failure, told on stderr, and *out
 * says that nobody was asked.
 */
int inforce_ask(struct client *c, const struct report *r, struct asked *out, json_t **answer);

#endif
