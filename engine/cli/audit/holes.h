/*
 * holes.h - numbers of a register that the store had not when its book was read: pending with the
 * engine and lawful (Decree 30/2020 art. 15 asks that none is lost), stored since, or lost. Inside
 * cli/audit/ only.
 */
#ifndef TRIEN_CLI_AUDIT_HOLES_H
#define TRIEN_CLI_AUDIT_HOLES_H

#include "cli/audit/ask.h"
#include "cli/audit/audit.h"

struct audit_hole { uint64_t from, to; };

struct audit_holes {
	struct audit_engine *engine;	/* read if asked */
	bool asked;			/* false: pending and lost look alike; set so, too, where
					 * the engine stops answering */
	/* A run that neither of both has. */
	void (*lost)(void *ctx, uint64_t from, uint64_t to);
	void *ctx;
	struct audit_hole *of;		/* the caller frees it */
	size_t n, room;
	uint64_t pending;		/* that are, or have been stored since */
};

enum status audit_hole_add(struct audit_holes *h, uint64_t from, uint64_t to) must_use;
/* All that were added, of one register; then there are none. */
enum status audit_holes_settle(struct audit_holes *h, const struct audit *a,
			       const struct register_mark *m) must_use;

#endif
