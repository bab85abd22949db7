#include "intake/turn.h"

enum { NONE, QUEUED, RUNNING, AGAIN };

bool turn_ask(struct turn *t)
{
	int now = NONE;

	/* While it runs, it is only noted: the thread that runs it looks afterwards. */
	while (!atomic_compare_exchange_weak(&t->now, &now, now == NONE ? QUEUED : AGAIN))
		if (now == QUEUED || now == AGAIN)
			return false;
	return now == NONE;
}

void turn_begin(struct turn *t)
{
	atomic_store(&t->now, RUNNING);
}

bool turn_end(struct turn *t)
{
	int now = RUNNING;

	if (atomic_compare_exchange_strong(&t->now, &now, NONE))
		return false;
	atomic_store(&t->now, QUEUED);
	return true;
}
