#include "base/cpu.h"

#include <linux/sched.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROMPT_SLICE_NS 100000		/* the least that the kernel takes */

/* As the kernel reads it; no library of Debian 12 has it. */
struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

/* slice_ns 0: the kernel's own. */
static void slice_set(uint64_t slice_ns)
{
	struct attributes a = { .size = sizeof(a), .flags = SCHED_FLAG_KEEP_POLICY,
				.nice = getpriority(PRIO_PROCESS, 0), .runtime = slice_ns };

	(void)syscall(SYS_sched_setattr, 0, &a, 0);
}

void cpu_prompt(void)
{
	slice_set(PROMPT_SLICE_NS);
}

void cpu_patient(void)
{
	slice_set(0);
}
