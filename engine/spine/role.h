/*
 * role.h - what a data folder is to others: DATA/journal/role, one word and an epoch.
 *
 *	(no file)	an engine's, as it was made
 *	mirror		filled by an engine elsewhere; nobody numbers here
 *	primary EPOCH	taken over with that epoch; an engine's from then on
 *	fenced EPOCH	an engine elsewhere took over: nobody numbers here any more
 *
 * A mirror process that finds its folder `primary` lets go of it, and tells older engines so.
 */
#ifndef TRIEN_SPINE_ROLE_H
#define TRIEN_SPINE_ROLE_H

#include <stdint.h>

#include "base/status.h"

/* primary: as long as the take-over is not done; no engine goes on here, and no mirror. */
#define ROLE_UNFINISHED UINT32_MAX

enum role { ROLE_ENGINE, ROLE_MIRROR, ROLE_PRIMARY, ROLE_FENCED };

/* data: the data folder. ST_CORRUPT: the file says something else. */
enum status role_read(const char *data, enum role *role, uint32_t *epoch, struct error *e) must_use;
/* Durable on return; DATA/journal must exist. */
enum status role_write(const char *data, enum role role, uint32_t epoch, struct error *e) must_use;
/* ST_PRECONDITION: no engine may go on here; *e says why. */
enum status role_serves(const char *data, struct error *e) must_use;

#endif
