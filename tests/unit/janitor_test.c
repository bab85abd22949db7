/* The janitor's acts on rows that share a write: what each is told when that write fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <semaphore.h>
#include <unistd.h>

#include "base/queue.h"
#include "spine/spine.h"
#include "tmpdir.h"

/* Linked with --wrap=pwrite: while `held`, a write says so and waits; the next one may fail. */
static _Atomic bool held, fails;
static sem_t writing, go_on;

ssize_t __real_pwrite(int fd, const void *buf, size_t n, off_t offset);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t offset);

ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t offset)
{
	if (held) {
		held = false;
		sem_post(&writing);
		sem_wait(&go_on);
	} else if (fails) {
		errno = EIO;
		return -1;
	}
	return __real_pwrite(fd, buf, n, offset);
}

static uint64_t released;

void __wrap_journal_release(struct journal *j, uint64_t pos);

void __wrap_journal_release(struct journal *j, uint64_t pos)
{
	released = pos;
}

static struct job *job_of(enum job_type type, uint64_t sequence)
{
	struct job *j = calloc(1, sizeof(*j));

	assert_non_null(j);
	j->type = type;
	j->track = NO_TRACK;
	j->row.sequence = sequence;
	return j;
}

static void give(struct spine *s, struct job *j)
{
	assert_int_equal(queue_push(s->jobs, j), ST_OK);
}

static struct job *taken(struct spine *s)
{
	uintptr_t note = (uintptr_t)queue_wait(s->inbox, 20000);

	assert_int_equal(note & NOTE_MASK, NOTE_JOB);
	return (struct job *)(note & ~(uintptr_t)NOTE_MASK);
}

static void add(struct spine *s, uint64_t sequence)
{
	struct waiting_row row = { .sequence = sequence };
	struct error e;

	assert_int_equal(waiting_add(s->waiting, &row, slice_str("a record"), &e), ST_OK);
}

/*
 * Two that take the same row out: the second one finds it gone, but what it finds is not durable.
 * Nor may the journal let go of what they were about, though what follows them succeeds.
 */
static void a_failed_write_fails_them_all(void **state)
{
	static struct spine s;
	struct tmpdir dir;
	struct error e;
	struct job *j;

	assert_int_equal(tmpdir_make(&dir), 0);
	assert_int_equal(sem_init(&writing, 0, 0), 0);
	assert_int_equal(sem_init(&go_on, 0, 0), 0);
	assert_int_equal(queue_new(&s.inbox, 16), ST_OK);
	assert_int_equal(waiting_open(&s.waiting, dir.path, &e), ST_OK);
	for (uint64_t i = 1; i <= 3; i++)
		add(&s, i);
	assert_int_equal(janitor_start(&s, &e), ST_OK);
	held = true;
	give(&s, job_of(JOB_FORGET, 1));
	assert_int_equal(sem_wait(&writing), 0);
	fails = true;
	give(&s, job_of(JOB_FORGET, 2));
	give(&s, job_of(JOB_FORGET, 2));
	give(&s, job_of(JOB_ANSWER, 0));
	assert_int_equal(sem_post(&go_on), 0);
	j = taken(&s);
	assert_int_equal(j->status, ST_OK);
	free(j);
	for (int i = 0; i < 2; i++) {
		j = taken(&s);
		assert_int_equal(j->type, JOB_FORGET);
		assert_int_equal(j->status, ST_IO);
		assert_non_null(strstr(j->error.text, "cannot write"));
		job_finished(&s, j);
		assert_int_equal(s.failure.status, ST_IO);
	}
	j = taken(&s);
	assert_int_equal(j->type, JOB_ANSWER);
	j->type = JOB_SNAPSHOT;
	j->upto = 4096;
	job_finished(&s, j);
	assert_int_equal(released, 0);
	janitor_stop(&s);
	waiting_close(s.waiting);
	fails = false;
	/* The engine starts again: the rows that could not go are there. */
	assert_int_equal(waiting_open(&s.waiting, dir.path, &e), ST_OK);
	assert_int_equal(waiting_count(s.waiting, 0), 2);
	waiting_close(s.waiting);
	queue_free(s.inbox);
	sem_destroy(&writing);
	sem_destroy(&go_on);
	tmpdir_remove(&dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_failed_write_fails_them_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
