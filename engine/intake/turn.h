/*
 * turn.h - whose turn it is: what many threads ask for runs on one thread at a time, and at least
 * once after the last one asked. An atomic word, no lock, nobody waits.
 */
#ifndef TRIEN_INTAKE_TURN_H
#define TRIEN_INTAKE_TURN_H

#include <stdatomic.h>
#include <stdbool.h>

struct turn { atomic_int now; };	/* zero: nobody asked */

/* Any thread. True: hand the work to a thread; false: a thread that has it will see to it. */
bool turn_ask(struct turn *t);
/* The thread that it was handed to: around the work. */
void turn_begin(struct turn *t);
/* True: it was asked for meanwhile, hand it on once more. */
bool turn_end(struct turn *t);

#endif
