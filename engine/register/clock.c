#include "identity.h"
#include "limits.h"
#include "register/register.h"

#define COUNTER_MAX 0x3fff		/* 14 bits */
#define TIME_MS_MAX (SEQUENCE_EPOCH_MS + (1LL << 41) - 1)

enum status numbering_tick(struct numbering_clock *c, int64_t wall_ms, uint8_t engine,
			   uint64_t *sequence, int64_t *issued_ms)
{
	int64_t now = wall_ms > c->last_ms ? wall_ms : c->last_ms;
	uint16_t counter = 0;

	if (wall_ms < SEQUENCE_EPOCH_MS || c->last_ms - wall_ms > CLOCK_STEP_MS_MAX)
		return ST_UNAVAILABLE;
	if (now == c->last_ms && c->counter < COUNTER_MAX)
		counter = c->counter + 1;
	else if (now == c->last_ms)
		now++;		/* the millisecond is used up: time runs ahead, within the limit */
	if (now > TIME_MS_MAX || now - wall_ms > CLOCK_STEP_MS_MAX)
		return ST_UNAVAILABLE;
	c->last_ms = now;
	c->counter = counter;
	*sequence = sequence_make(now, engine, counter);
	*issued_ms = now;
	return ST_OK;
}
