/*
 * submit.h - what `trien submit` is made of: sending in submit.c, waiting for the store in
 * awaited.c.
 */
#ifndef TRIEN_CLI_SUBMIT_H
#define TRIEN_CLI_SUBMIT_H

#include <stdio.h>

#include "cli/client.h"
#include "cli/progress.h"
#include "trien/v1/issuance.pb-c.h"

/* Results that are not at an end yet. */
struct awaited {
	char (*ids)[27];
	uint64_t n, room;
	uint64_t stored, held, ended;	/* ended: void, refused and the like */
};

/* Notes a receipt: it is counted when it is at an end, else kept. */
void awaited_add(struct awaited *a, const Trien__V1__Receipt *r);
/*
 * Until every result is at an end or held, or seconds are over (0: no end). out: where held ones go
 * as JSON lines; NULL: they are told on stderr. False: *f says why; what is still on its way stays
 * in *a.
 */
bool awaited_all(struct awaited *a, struct client *c, uint64_t seconds, FILE *out,
		 struct failure *f);
void awaited_free(struct awaited *a);

#endif
