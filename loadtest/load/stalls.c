#include "load/stalls.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SLEEP_US 2000
#define PRIORITY 1			/* the least of real time: above all that is not */
#define STALLS_MAX 65536u		/* of a core: minutes of nothing else */

struct core {
	pthread_t thread;
	uint32_t number;
	struct stall *of;
	_Atomic uint32_t n;
	const atomic_bool *stop;
};

struct stalls {
	struct core *cores;
	uint32_t cores_n, started;
	atomic_bool stop;
};

static int64_t now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void *watch(void *arg)
{
	struct core *c = arg;
	const struct timespec nap = { .tv_nsec = SLEEP_US * 1000 };

	while (!atomic_load_explicit(c->stop, memory_order_relaxed)) {
		int64_t due_us = now_us() + SLEEP_US, late_us;
		uint32_t n = atomic_load_explicit(&c->n, memory_order_relaxed);

		nanosleep(&nap, NULL);
		late_us = now_us() - due_us;
		if (late_us < STALL_US || n == STALLS_MAX)
			continue;
		c->of[n] = (struct stall){ due_us, late_us };
		atomic_store_explicit(&c->n, n + 1, memory_order_release);
	}
	return NULL;
}

static int core_start(struct core *c)
{
	struct sched_param p = { .sched_priority = PRIORITY };
	pthread_attr_t a;
	cpu_set_t set;
	int rc = pthread_attr_init(&a);

	if (rc != 0)
		return rc;
	CPU_ZERO(&set);
	CPU_SET(c->number, &set);
	pthread_attr_setaffinity_np(&a, sizeof(set), &set);
	pthread_attr_setinheritsched(&a, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&a, SCHED_FIFO);
	pthread_attr_setschedparam(&a, &p);
	rc = pthread_create(&c->thread, &a, watch, c);
	pthread_attr_destroy(&a);
	return rc;
}

enum status stalls_start(struct stalls **out, struct error *e)
{
	struct stalls *s = calloc(1, sizeof(*s));
	cpu_set_t set;
	int rc = 0;

	*out = NULL;
	if (s == NULL || sched_getaffinity(0, sizeof(set), &set) != 0 ||
	    (s->cores = calloc((size_t)CPU_COUNT(&set), sizeof(*s->cores))) == NULL) {
		free(s);
		return error_set(e, ST_NOMEM, "no memory to watch the cores");
	}
	for (uint32_t i = 0; i < CPU_SETSIZE && rc == 0; i++) {
		struct core *c = &s->cores[s->cores_n];

		if (!CPU_ISSET(i, &set))
			continue;
		*c = (struct core){ .number = i, .stop = &s->stop,
				    .of = malloc(STALLS_MAX * sizeof(*c->of)) };
		s->cores_n++;
		rc = c->of != NULL ? core_start(c) : ENOMEM;
		s->started += rc == 0;
	}
	if (rc != 0) {
		stalls_stop(s);
		return error_set(e, ST_UNAVAILABLE, "the cores cannot be watched: %s",
				 strerrorname_np(rc));
	}
	*out = s;
	return ST_OK;
}

void stalls_stop(struct stalls *s)
{
	if (s == NULL)
		return;
	atomic_store(&s->stop, true);
	for (uint32_t i = 0; i < s->started; i++)
		pthread_join(s->cores[i].thread, NULL);
	for (uint32_t i = 0; i < s->cores_n; i++)
		free(s->cores[i].of);
	free(s->cores);
	free(s);
}

void stalls_add(struct stall_sum *sum, const struct stall *of, uint32_t n, int64_t from_us,
		int64_t to_us)
{
	for (uint32_t i = 0; i < n; i++) {
		int64_t begin = of[i].at_us > from_us ? of[i].at_us : from_us;
		int64_t end = of[i].at_us + of[i].long_us;

		end = end < to_us ? end : to_us;
		if (end <= begin)
			continue;
		sum->share += (double)(end - begin) / (double)(to_us - from_us);
		sum->longest_ms = fmax(sum->longest_ms, (double)(end - begin) / 1e3);
	}
}

struct stall_sum stalls_between(const struct stalls *s, int64_t from_us, int64_t to_us)
{
	struct stall_sum sum = { .share = NAN, .longest_ms = NAN };

	if (s == NULL || to_us <= from_us)
		return sum;
	sum = (struct stall_sum){ 0 };
	for (uint32_t i = 0; i < s->cores_n; i++)
		stalls_add(&sum, s->cores[i].of,
			   atomic_load_explicit(&s->cores[i].n, memory_order_acquire), from_us,
			   to_us);
	sum.share /= s->cores_n;
	return sum;
}

double stalls_cpu_s(const struct stalls *s)
{
	double sum = 0;

	for (uint32_t i = 0; s != NULL && i < s->started; i++) {
		struct timespec t;
		clockid_t clock;

		if (pthread_getcpuclockid(s->cores[i].thread, &clock) == 0 &&
		    clock_gettime(clock, &t) == 0)
			sum += (double)t.tv_sec + (double)t.tv_nsec / 1e9;
	}
	return sum;
}
