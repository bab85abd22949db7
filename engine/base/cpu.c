#include "base/cpu.h"

#include <sched.h>

/* Refused: the thread stays as it is, and answers come later. */
static void policy_set(int policy)
{
	struct sched_param none = { 0 };

	(void)sched_setscheduler(0, policy, &none);
}

/* Not only a small weight, as nice gives: whoever wakes need not wait for the end of a slice. */
void cpu_patient(void)
{
	policy_set(SCHED_IDLE);
}

void cpu_unhurried(void)
{
	policy_set(SCHED_BATCH);
}
