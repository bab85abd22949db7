#include "store/postgres/folding.h"

#include <assert.h>

#include "limits.h"

#define DAY_MS (24 * 3600 * 1000LL)
/* It turns at 19:00 UTC, two in the morning in Vietnam. */
#define NIGHT_MS (5 * 3600 * 1000LL)
/* Writers wait for a lane that is being folded on Citus: they get on in between. */
#define PAUSE_NS 100000000ull

int pg_folding_next(struct pg_folding *f, int64_t wall_ms, uint64_t boot_ns)
{
	int64_t night = (wall_ms + NIGHT_MS) / DAY_MS;

	if (f->out || boot_ns < f->due_ns)
		return -1;
	if (night != f->night) {
		f->night = night;
		f->lane = 0;
		f->fewer = 0;
	}
	if (f->lane == LANES)
		return -1;
	f->out = true;
	return f->lane++;
}

bool pg_folding_answered(struct pg_folding *f, uint64_t fewer, bool wrong, uint64_t boot_ns)
{
	assert(f->out);
	f->out = false;
	f->fewer += fewer;
	f->due_ns = boot_ns + PAUSE_NS;
	if (wrong)
		f->lane = LANES;
	return f->lane == LANES;
}
