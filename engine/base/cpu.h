/*
 * cpu.h - who runs first while there is not CPU enough for all.
 *
 * Rendering and signing fill every core for seconds, and whoever submits waits for a receipt that
 * takes a few wakes of microseconds: each of them would wait until a calculating thread has used up
 * its slice. Shares stay what they are. Where the kernel does not know slices (before Linux 6.12),
 * the work is the same and answers come later.
 */
#ifndef TRIEN_BASE_CPU_H
#define TRIEN_BASE_CPU_H

/* The calling thread, and all that it starts from now on: short turns, soon (sched(7)). */
void cpu_prompt(void);
/* The calling thread, and all that it starts from now on: turns as the kernel deals them. */
void cpu_patient(void);

#endif
