/*
 * submit.h - what `trien submit` is made of: sending in submit.c, waiting for the store in
 * awaited.c.
 */
#ifndef TRIEN_CLI_SUBMIT_H
#define TRIEN_CLI_SUBMIT_H

#include <stdio.h>

#include "cli/progress.h"
#include "client/client.h"
#include "trien/v1/issuance.pb-c.h"

/* One that is shown at the end, as it is then. */
struct awaited_row {
	char id[27];
	char *number, *of;
	Trien__V1__State state;
	bool duplicate;
};

/* Results that are not at an end yet. */
struct awaited {
	char (*ids)[27];
	uint64_t n, room;
	uint64_t stored, held, ended;	/* ended: void, refused and the like */
	struct awaited_row *rows;
	uint64_t rows_n;
};

/* Notes a receipt: it is counted when it is at an end, else kept. */
void awaited_add(struct awaited *a, const Trien__V1__Receipt *r);
/* of: what it is for, copied: the receipt's result will be shown. Each is found by going through
 * all: for as many as people read. */
void awaited_keep(struct awaited *a, const Trien__V1__Receipt *r, const char *of);
/* A line a result that was kept: id, state, number, what it is for. */
void awaited_show(const struct awaited *a);
/* The same of one. */
void awaited_line(const char *id, Trien__V1__State state, const char *number, bool duplicate,
		  const char *of);
/*
 * Until every result is at an end or held, or seconds are over (0: no end). out: where held ones go
 * as JSON lines; NULL: they are told on stderr. False: *f says why; what is still on its way stays
 * in *a.
 */
bool awaited_all(struct awaited *a, struct client *c, uint64_t seconds, FILE *out,
		 struct failure *f);
void awaited_free(struct awaited *a);

#endif
