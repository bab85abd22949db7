/*
 * sandbox.h - the portal's process parses what anybody sends: it may read the store, the catalogue
 * and the certificates, write nothing, start nothing and open no other port.
 */
#ifndef TRIEN_PORTAL_SANDBOX_H
#define TRIEN_PORTAL_SANDBOX_H

#include "config.h"

/*
 * Before other threads, after the listening socket and the children: for ever. ST_INVALID: the key
 * folder would be in reach. A kernel without landlock was told so in the log.
 */
enum status portal_sandbox(const struct config *c, struct error *e) must_use;

#endif
