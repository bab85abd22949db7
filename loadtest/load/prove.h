/*
 * prove.h - does what was found agree with what was promised? Pure functions of the ledger.
 *
 *	loss		an accepted result that is not stored, or not found, or not there at all
 *	duplicate	one result under two ids, two results under one id, a number used twice,
 *			a result that its holder's list shows twice, or shows and no receipt named
 *	gap		a number that the register gave during the run and no result of ours has:
 *			nobody else may number meanwhile. What is not stored is found without its
 *			register: its number is missing here, too
 *	difference	found with another number than its receipt says, or another file
 */
#ifndef LOAD_PROVE_H
#define LOAD_PROVE_H

#include "load/ledger.h"

#define PROVE_EXAMPLES_MAX 10

struct proof {
	uint64_t cases, results;	/* accepted */
	uint64_t undecided;		/* cases without an answer to the end */
	uint64_t stored, void_n, held;
	uint64_t lost, duplicates, gaps, differences;
	uint64_t registers, numbers;	/* looked through */
	/* What fetching found. */
	uint64_t listed, list_missing, list_twice;
	uint64_t files, file_bytes, files_bad;
	uint64_t attached;		/* of the files: copies with the original that was sent */
	uint64_t resent, resent_differ;
	uint32_t examples_n;
	char examples[PROVE_EXAMPLES_MAX][160];	/* of what is wrong; no personal data */
};

void prove_example(struct proof *p, const char *fmt, ...) printf_like(2, 3);
/* Accepted, stored, once, as the receipts say. */
void prove_results(const struct ledger *l, struct proof *p);
/* No number twice; none missing between next_before and next_after. */
void prove_numbers(const struct ledger *l, struct proof *p);
/* Loss, duplicates, gaps, differences, undecided and bad files are all none. */
bool prove_holds(const struct proof *p);

#endif
