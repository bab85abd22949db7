/*
 * ask.h - what only the engine knows of the books: where each began, how far it has come, and which
 * of its numbers are on their way, held or awaited, so that no store has them yet. Inside
 * cli/audit/ only. One thread.
 */
#ifndef TRIEN_CLI_AUDIT_ASK_H
#define TRIEN_CLI_AUDIT_ASK_H

#include "client/client.h"
#include "store/store.h"

struct audit_head {
	char unit[CODE_BYTES_MAX + 1], code[CODE_BYTES_MAX + 1];
	uint32_t year;
	uint64_t first, next;		/* its opening number, and the one that is given next */
};

struct audit_engine;

/* Asks for all heads. ST_UNAVAILABLE: it does not answer, or not to us; *e has its words. */
enum status audit_engine_open(struct audit_engine **out, const struct client_options *o,
			      struct error *e) must_use;
/* NULL is allowed, here and below. */
void audit_engine_close(struct audit_engine *g);
/* By name; borrowed. */
const struct audit_head *audit_engine_heads(const struct audit_engine *g, size_t *n);
/* NULL: this engine has not that register; another one may. */
const struct audit_head *audit_engine_head(const struct audit_engine *g,
					   const struct register_mark *m);
/* Numbers from … to that are pending now, in their order. false: it did not answer to the end. */
bool audit_engine_pending(struct audit_engine *g, const struct register_mark *m, uint64_t from,
			  uint64_t to, void (*one)(void *ctx, uint64_t number), void *ctx);

#endif
