#include "base/cpu.h"

#include <sched.h>

void cpu_patient(void)
{
	struct sched_param none = { 0 };

	/*
	 * Not only a small weight, as nice gives: whoever wakes takes the core from such a thread
	 * at once, not after its slice. Refused: it stays as it is, and answers come later.
	 */
	(void)sched_setscheduler(0, SCHED_IDLE, &none);
}
