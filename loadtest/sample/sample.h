/*
 * sample.h - invented cases as JSON Lines: one trien.v1.Case in proto3 JSON a line.
 *
 * The same options give the same bytes, on any machine and any day. Case `serial` of a seed is the
 * same however many are made, so that runs with other counts share their cases. All people, places,
 * papers and numbers are invented; people.h says in which ranges the numbers lie.
 */
#ifndef SAMPLE_SAMPLE_H
#define SAMPLE_SAMPLE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

/* A mix of its own: certified copies. Such a case goes out with an original (CertifyCopies). */
#define SAMPLE_COPY_KIND "ban-sao-chung-thuc-dien-tu"

struct sample_options {
	uint64_t seed;
	uint64_t first;			/* serial of the first case; 0 is 1 */
	uint64_t cases;			/* how many; 0: until results are reached */
	uint64_t results;		/* how many in all; the last case is cut to fit. 0: any */
	const char *mix;		/* "one-stop", "edge", "linked" (births: three results
					 * of three agencies each), or the code of a kind */
	int priority;			/* enum priority for every case; -1: as the mix has it */
};

struct sample_counts { uint64_t cases, results; };

/*
 * Writes to f. ST_INVALID: the mix is unknown, or neither cases nor results are given (edge needs
 * neither: without them it writes each of its cases once). ST_NOMEM, ST_IO.
 */
enum status sample_write(const struct sample_options *o, FILE *f, struct sample_counts *counts,
			 struct error *e) must_use;

#endif
