/*
 * recount.h - results that were stored before counters counted more than them (004.sql): what their
 * records say is counted. Part of that migration, in its transaction. Inside store/postgres only.
 */
#ifndef TRIEN_STORE_POSTGRES_RECOUNT_H
#define TRIEN_STORE_POSTGRES_RECOUNT_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "base/status.h"

/*
 * Fills result.facts and adds to the counters what follows from it. A record that is damaged stays
 * as it is, counted as a result and nothing more. false: the server refused, *why is its answer,
 * the caller's to clear (NULL: no memory).
 */
bool pg_recount(PGconn *c, PGresult **why);

#endif
