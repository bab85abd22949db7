/*
 * followrow.h - a mirror's own waiting room: what the journal says of a row there is done here too,
 * by the janitor, once the record is durable here. The spine's thread; ST_NOMEM.
 */
#ifndef TRIEN_SPINE_FOLLOWROW_H
#define TRIEN_SPINE_FOLLOWROW_H

#include "spine/replay.h"

/*
 * JOB_PARK: what is parked there is parked here, unless it was ended meanwhile. JOB_FORGET: what
 * leaves the room there leaves it here.
 */
enum status followrow_result(struct replay *r, enum job_type type,
			     const struct record_result *rec) must_use;
/* HANDED: the row gets the other signer, as it does there. Also ST_CORRUPT. */
enum status followrow_handed(struct replay *r, struct slice payload) must_use;
/* SIGNATURE: the row gets it at once. */
enum status followrow_signature(struct replay *r, struct slice payload) must_use;

#endif
