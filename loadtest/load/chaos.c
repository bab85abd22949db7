#include "load/chaos.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static double chance(struct chaos *c)
{
	/* xorshift64 (Marsaglia 2003) */
	c->random ^= c->random << 13;
	c->random ^= c->random >> 7;
	c->random ^= c->random << 17;
	return ((double)(c->random >> 11) + 0.5) / 9007199254740992.0;
}

/* Half to one and a half of the mean: never before the engine stands again. */
static int64_t pause_us(struct chaos *c)
{
	return (int64_t)((0.5 + chance(c)) * c->every_s * 1e6);
}

void chaos_begin(struct chaos *c, int64_t now_us, double run_s)
{
	c->random = c->random * 0x9e3779b97f4a7c15u + 1;
	c->next_kill_us = c->next_stop_us = c->next_start_us = INT64_MAX;
	if (c->every_s > 0)
		c->next_kill_us = now_us + pause_us(c);
	if (c->stop != NULL)
		c->next_stop_us = now_us + (int64_t)(run_s * 1e6 * (0.2 + 0.2 * chance(c)));
}

static void kill_whole(struct chaos *c)
{
	pid_t was = c->server->pid;
	struct error e;

	server_kill(c->server);
	c->kills_whole++;
	if (server_spawn(c->server, &e) == ST_OK)
		process_new_root(c->watch, was, c->server->pid);
	else
		c->failed++;
}

static void kill_one(struct chaos *c, const char *name, uint32_t *count)
{
	pid_t pid = process_find(c->watch, name);

	if (pid > 0 && kill(pid, SIGKILL) == 0)
		(*count)++;
}

static void kill_some(struct chaos *c, int64_t now_us)
{
	double which = chance(c);

	/* What it used up to now, before it is gone. */
	process_look(c->watch, (double)now_us / 1e6, false);
	c->kills++;
	if (c->server->pid > 0 && which < 0.5)
		kill_whole(c);
	else if (which < 0.85)
		kill_one(c, "engine", &c->kills_engine);
	else
		kill_one(c, "signer", &c->kills_signer);
	c->next_kill_us = c->kills == c->kills_max ? INT64_MAX : now_us + pause_us(c);
}

static void run_hook(struct chaos *c, const char *command)
{
	c->shell = run_shell(command);
	if (c->shell < 0)
		c->failed++;
}

static void wait_hook(struct chaos *c, int flags)
{
	int status;

	if (c->shell <= 0 || waitpid(c->shell, &status, flags) != c->shell)
		return;
	c->failed += status != 0;
	c->shell = 0;
}

void chaos_some(struct chaos *c, int64_t now_us)
{
	wait_hook(c, WNOHANG);
	/* A supervisor that has given up is started like one that was killed. */
	if (c->server->pid > 0 && waitpid(c->server->pid, NULL, WNOHANG) == c->server->pid) {
		pid_t was = c->server->pid;
		struct error e;

		if (server_spawn(c->server, &e) == ST_OK)
			process_new_root(c->watch, was, c->server->pid);
		else
			c->failed++;
	}
	if (now_us >= c->next_kill_us)
		kill_some(c, now_us);
	if (c->shell == 0 && now_us >= c->next_stop_us) {
		run_hook(c, c->stop);
		c->outages++;
		c->next_stop_us = INT64_MAX;
		c->next_start_us = now_us + (int64_t)(c->away_s * 1e6);
	}
	if (c->shell == 0 && now_us >= c->next_start_us) {
		run_hook(c, c->start);
		c->next_start_us = INT64_MAX;
	}
}

void chaos_end(struct chaos *c)
{
	c->next_kill_us = c->next_stop_us = INT64_MAX;
	wait_hook(c, 0);
	if (c->next_start_us != INT64_MAX) {
		run_hook(c, c->start);
		c->next_start_us = INT64_MAX;
		wait_hook(c, 0);
	}
}
