/*
 * procedures.h - the administrative procedures of the samples: code, name, term, papers.
 */
#ifndef SAMPLE_PROCEDURES_H
#define SAMPLE_PROCEDURES_H

#include <stdint.h>

#define PAPERS_MAX 6

struct procedure {
	const char *code, *name;
	uint32_t days;			/* working days; 0: the same day */
	uint32_t fee;			/* VND; 0: free */
	const char *databases[3];	/* where data is taken from; NULL ends */
	const char *papers[PAPERS_MAX];	/* what is handed in; NULL ends */
};

enum procedure_of {
	PROCEDURE_MARITAL, PROCEDURE_EXTRACT, PROCEDURE_DEATH, PROCEDURE_BUSINESS, PROCEDURE_HOUSE,
	PROCEDURE_PAVEMENT, PROCEDURE_RESIDENCE, PROCEDURE_ALLOWANCE,
	PROCEDURES_OPEN,		/* of these receipts and refusals tell */
	PROCEDURE_COPY = PROCEDURES_OPEN, PROCEDURE_LINKED_BIRTH, PROCEDURES
};
extern const struct procedure procedures[PROCEDURES];

#endif
