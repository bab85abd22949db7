/*
 * judge_rate THREADS TRUST FILE… - how fast the verifier alone is: what audit_bench.py compares
 * with. Files are read before; every thread judges its share of them, ROUNDS times, as one who has
 * many. Prints files a second, by the clock on the wall and a second of CPU.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "verify/verify.h"

#define ROUNDS 3
#define THREADS_MAX 256

struct share {
	pthread_t thread;
	const struct roots *roots;
	struct known *known;
	const struct slice *files;
	int from, step, n;
	bool good;
};

static double now_s(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *judge(void *arg)
{
	struct share *s = arg;
	struct verifier *v = NULL;
	struct report r;

	s->good = verifier_new(&v, s->roots, s->known) == ST_OK;
	for (int round = 0; s->good && round < ROUNDS; round++)
		for (int i = s->from; i < s->n; i += s->step)
			s->good &= verifier_judge(v, s->files[i], &r) == ST_OK &&
				   r.finding.verdict == VERDICT_PASSED;
	verifier_free(v);
	return NULL;
}

static struct slice file_read(const char *path)
{
	FILE *f = fopen(path, "re");
	uint8_t *p = malloc(4u << 20);
	size_t n = f != NULL && p != NULL ? fread(p, 1, 4u << 20, f) : 0;

	if (f != NULL)
		fclose(f);
	p = realloc(p, n + 1);
	return slice_of(p, n);
}

int main(int argc, char **argv)
{
	struct share shares[THREADS_MAX];
	int threads = argc > 3 ? atoi(argv[1]) : 0, n = argc - 3;
	struct slice *files = threads > 0 ? calloc((size_t)n, sizeof(*files)) : NULL;
	struct roots *roots = NULL;
	struct known *known = NULL;
	struct error e = { 0 };
	bool good = true;
	double begin, cpu;

	if (files == NULL || threads > THREADS_MAX ||
	    roots_load(&roots, argv[2], argv[2], &e) != ST_OK || known_new(&known) != ST_OK) {
		fprintf(stderr, "judge_rate THREADS TRUST FILE…: %s\n", e.text);
		return 2;
	}
	for (int i = 0; i < n; i++)
		files[i] = file_read(argv[i + 3]);
	begin = now_s(CLOCK_MONOTONIC);
	cpu = now_s(CLOCK_PROCESS_CPUTIME_ID);
	for (int i = 0; i < threads; i++) {
		shares[i] = (struct share){ .roots = roots, .known = known, .files = files,
					    .from = i, .step = threads, .n = n };
		if (pthread_create(&shares[i].thread, NULL, judge, &shares[i]) != 0)
			return 2;
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(shares[i].thread, NULL);
		good &= shares[i].good;
	}
	printf("%.1f %.1f\n", n * ROUNDS / (now_s(CLOCK_MONOTONIC) - begin),
	       n * ROUNDS / (now_s(CLOCK_PROCESS_CPUTIME_ID) - cpu));
	for (int i = 0; i < n; i++)
		free((void *)files[i].p);
	free(files);
	known_free(known);
	roots_free(roots);
	return good ? 0 : 1;
}
