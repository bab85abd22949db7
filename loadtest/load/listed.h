/*
 * listed.h - one holder's list against what receipts promised.
 *
 * Every result of the holder's case stands in it once. Another result in it is one that a receipt
 * named for another case of this run (numbers may meet by chance), or one of another run. One of
 * this run that no receipt named was issued twice. A pure function of the pages and the ledger.
 */
#ifndef LOAD_LISTED_H
#define LOAD_LISTED_H

#include "load/prove.h"

struct listed {
	const struct ledger *l;
	const struct stencils *stencils;
	uint64_t reissue_from;		/* place of the first case that replaces; 0: none does */
	const struct load_case *c;	/* the holder's */
	uint32_t seen[8];		/* each of its results */
	uint32_t unpromised;
	char unpromised_id[STENCIL_ID_BYTES];	/* the last of them */
	char token[512];		/* of the next page; "": that was the end */
};

/* A ListResultsResponse. */
void listed_page(struct listed *g, struct slice page);
/* All pages were taken: counts, and examples of what is wrong. */
void listed_end(const struct listed *g, struct proof *p);

#endif
