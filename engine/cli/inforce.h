/*
 * inforce.h - what the engine says of a file that was verified here: is it the one that was issued,
 * and is it still in force? The file itself is not sent: its id and its SHA-256 are enough.
 */
#ifndef TRIEN_CLI_INFORCE_H
#define TRIEN_CLI_INFORCE_H

#include <jansson.h>

#include "client/client.h"
#include "verify/verify.h"

/*
 * Prints a sentence in both languages, or adds the answer to `row` as "engine". path NULL: the file
 * was named before; else only what is not in force is told, under this name. 0: in force; 1: it is
 * not, or was not issued so; 3: not known now; else the call's failure, told on stderr.
 */
int inforce_ask(struct client *c, const struct report *r, const char *path, json_t *row);

#endif
