/*
 * cpu.h - who runs first while there is not CPU enough for all.
 *
 * Rendering and signing can fill every core, and whoever submits waits for a receipt that takes a
 * few wakes of microseconds: each of them (and of the kernel's own threads that end the journal's
 * writes) would wait until a calculating thread has used up its slice. So each core has two
 * threads for such work: a patient one that does it while others have nothing to do, and one with
 * an ordinary share that helps only while more is queued than is on its way anyway, so that no
 * client can starve the work that empties the journal.
 */
#ifndef TRIEN_BASE_CPU_H
#define TRIEN_BASE_CPU_H

/* The calling thread, from now on: behind others (sched(7): SCHED_IDLE). */
void cpu_patient(void);
/*
 * The calling thread, from now on: comes when whoever woke it sleeps, not at once (sched(7):
 * SCHED_BATCH). For one that only hands work on: the core that it took away in the midst of that
 * could go to the patient thread next.
 */
void cpu_unhurried(void);

#endif
