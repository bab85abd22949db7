/* Calls that make copies, without gRPC and without an engine: who is let in, and for how long. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/wire.h"
#include "intake/copies.h"
#include "intake/methods.h"
#include "tmpdir.h"

#define SMALL_BYTES (64 * 1024)

/* What the call was told in the end; NULL: nothing. */
static const char *told;
static uint32_t received, inspected, share, inside, quota_left;
static void (*when_inspected)(struct call *c);
static struct call *inspected_call;
/* The lock of an upload: who looks at the clock without it looks too early. */
static bool lock_counts;
static int locked;
static uint64_t clock_ms;

void __wrap_call_finish(struct call *c, const struct fault *f);
void __wrap_call_refuse(struct call *c, enum fault_kind kind, const char *field, const char *fmt,
			...);
void __wrap_call_receive(struct call *c);
bool __wrap_principal_enter(struct principal *p);
void __wrap_principal_leave(struct principal *p);
bool __wrap_principal_cases(struct principal *p, uint32_t cases, uint64_t now, uint32_t *wait_ms);
bool __wrap_call_late(const struct call *c);
uint64_t __wrap_intake_clock_ms(void);
int __real_pthread_mutex_lock(pthread_mutex_t *m);
int __wrap_pthread_mutex_lock(pthread_mutex_t *m);
int __real_pthread_mutex_unlock(pthread_mutex_t *m);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *m);

void __wrap_call_finish(struct call *c, const struct fault *f)
{
	assert_null(told);
	told = f == NULL ? "OK" : f->reason;
	call_leave(c);
}

void __wrap_call_refuse(struct call *c, enum fault_kind kind, const char *field, const char *fmt,
			...)
{
	struct fault f;

	fault_set(&f, kind, field, "%s", "");
	__wrap_call_finish(c, &f);
}

void __wrap_call_receive(struct call *c)
{
	received++;
}

bool __wrap_principal_enter(struct principal *p)
{
	if (inside == share)
		return false;
	inside++;
	return true;
}

void __wrap_principal_leave(struct principal *p)
{
	assert_true(inside > 0);
	inside--;
}

bool __wrap_principal_cases(struct principal *p, uint32_t cases, uint64_t now, uint32_t *wait_ms)
{
	*wait_ms = 7;
	if (cases > quota_left)
		return false;
	quota_left -= cases;
	return true;
}

static bool late;

bool __wrap_call_late(const struct call *c)
{
	return late;
}

/* Of who did not wait for the lock it is what it was before the other one's message came. */
uint64_t __wrap_intake_clock_ms(void)
{
	return lock_counts && locked == 0 ? clock_ms - 1 : clock_ms;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *m)
{
	locked++;
	return __real_pthread_mutex_lock(m);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *m)
{
	locked--;
	return __real_pthread_mutex_unlock(m);
}

static enum status inspect(void *ctx, int fd, uint32_t size, const uint8_t sha256[SHA256_BYTES],
			   bool own, struct arena *a, struct original *out, enum reason *why,
			   char detail[INSPECT_DETAIL_BYTES])
{
	inspected++;
	if (when_inspected != NULL)
		when_inspected(inspected_call);
	*why = REASON_ORIGINAL_FORMAT;
	return ST_INVALID;
}

/* ---- a call ---- */

struct rig {
	struct tmpdir dir;
	struct intake in;
	struct worker worker;
	struct read_thread reader;
	struct call call;
};

static const struct method certify = { .path = "/CertifyCopies", .run = copies_run,
				       .work = copies_work, .on_disk = copies_on_disk,
				       .free = copies_free };
static const struct method issue = { .path = "/IssueCopy", .run = issuecopy_run,
				     .work = issuecopy_work, .on_disk = copies_on_disk,
				     .free = copies_free };
static const struct method upload = { .path = "/CertifyCopy", .begin = upload_call_begin,
				      .tick = upload_call_tick, .free = upload_call_free };

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct error e = { 0 };

	assert_non_null(rig);
	assert_int_equal(tmpdir_make(&rig->dir), 0);
	assert_int_equal(objects_open(&rig->in.ops.objects, rig->dir.path, &e), ST_OK);
	rig->in.ops.inspect = inspect;
	rig->in.ops.original_bytes_max = SMALL_BYTES;
	assert_int_equal(slots_new(&rig->in.slots), ST_OK);
	assert_int_equal(queue_new(&rig->in.slow_jobs, 16), ST_OK);
	assert_int_equal(arena_init(&rig->worker.gather, SMALL_BYTES), ST_OK);
	assert_int_equal(arena_init(&rig->reader.gather, SMALL_BYTES), ST_OK);
	assert_int_equal(arena_init(&rig->reader.scratch, SMALL_BYTES), ST_OK);
	rig->call = (struct call){ .in = &rig->in, .worker = &rig->worker };
	atomic_init(&rig->call.refs, 1);
	inspected_call = &rig->call;
	told = NULL;
	received = inspected = inside = 0;
	share = quota_left = 100;
	when_inspected = NULL;
	late = lock_counts = false;
	clock_ms = 1000000;
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	if (rig->call.request != NULL)
		grpc_byte_buffer_destroy(rig->call.request);
	objects_close(rig->in.ops.objects);
	slots_free(rig->in.slots);
	while (queue_pop(rig->in.slow_jobs) != NULL)
		;
	queue_free(rig->in.slow_jobs);
	arena_free(&rig->worker.gather);
	arena_free(&rig->reader.gather);
	arena_free(&rig->reader.scratch);
	tmpdir_remove(&rig->dir);
	free(rig);
	return 0;
}

static void run(struct rig *rig, const struct method *m, struct writer *w)
{
	grpc_slice message;

	assert_false(w->bad);
	message = slice_copied(w);
	rig->call.m = m;
	rig->call.request = grpc_raw_byte_buffer_create(&message, 1);
	grpc_slice_unref(message);
	m->run(&rig->call);
}

/* So many copies, each of nine bytes that are no original. */
static void ask(struct rig *rig, const struct method *m, uint32_t copies)
{
	uint8_t bytes[2048];
	struct writer w = writer_of(bytes, sizeof(bytes));

	for (uint32_t i = 0; i < copies; i++) {
		uint8_t *at = put_begin(&w, 1);

		put_text(&w, 1, "case");
		put_text(&w, 2, "not a PDF");
		put_end(&w, at);
	}
	run(rig, m, &w);
}

/* A copier's turn. */
static void turn(struct rig *rig)
{
	assert_ptr_equal(queue_pop(rig->in.slow_jobs), &rig->call);
	rig->call.m->work(&rig->call, &rig->reader);
}

static void end(struct rig *rig)
{
	/* As call_end() does of one that is never answered, too. */
	rig->call.m->free(&rig->call);
	call_leave(&rig->call);
	assert_int_equal(inside, 0);
	assert_int_equal(atomic_load(&rig->in.copy_calls), 0);
	assert_int_equal(atomic_load(&rig->in.uploads), 0);
	assert_int_equal(slots_taken(rig->in.slots), 0);
}

/* ---- who is let in ---- */

static void expect_refused(struct rig *rig, const char *reason)
{
	assert_non_null(told);
	assert_string_equal(told, reason);
	assert_int_equal(queue_count(rig->in.slow_jobs), 0);
	end(rig);
}

static void not_more_than_there_is_room_for(void **state)
{
	struct rig *rig = *state;

	atomic_store(&rig->in.copy_calls, COPY_CALLS_MAX);
	ask(rig, &certify, 1);
	atomic_fetch_sub(&rig->in.copy_calls, COPY_CALLS_MAX);
	expect_refused(rig, "BUSY");
	/* It has not cost the caller anything. */
	assert_int_equal(quota_left, 100);
}

static void not_beyond_the_callers_share(void **state)
{
	share = 0;
	ask(*state, &issue, 0);
	expect_refused(*state, "QUOTA_EXCEEDED");
}

static void not_beyond_the_callers_rate(void **state)
{
	quota_left = 2;
	ask(*state, &certify, 3);
	expect_refused(*state, "QUOTA_EXCEEDED");
	assert_int_equal(quota_left, 2);
}

static void not_too_many_nor_none(void **state)
{
	ask(*state, &certify, 0);
	assert_string_equal(told, "ARGUMENT_MISSING");
}

static void no_copies_are_made_here(void **state)
{
	struct rig *rig = *state;
	struct objects *o = rig->in.ops.objects;

	rig->in.ops.objects = NULL;
	ask(rig, &certify, 1);
	assert_string_equal(told, "COPIES_NOT_MADE");
	rig->in.ops.objects = o;
}

static void a_slot_is_taken_in_its_turn(void **state)
{
	struct rig *rig = *state;

	ask(rig, &issue, 0);
	assert_null(told);
	assert_int_equal(inside, 1);
	assert_int_equal(atomic_load(&rig->in.copy_calls), 1);
	assert_int_equal(quota_left, 99);
	assert_int_equal(slots_taken(rig->in.slots), 0);
	turn(rig);
	assert_int_equal(slots_taken(rig->in.slots), 1);
	/* It names neither a case nor a result. */
	assert_string_equal(told, "ARGUMENT_MISSING");
	end(rig);
}

/* ---- for how long ---- */

static void it_has_waited_too_long(void **state)
{
	struct rig *rig = *state;

	ask(rig, &certify, 3);
	late = true;
	turn(rig);
	assert_int_equal(inspected, 0);
	expect_refused(rig, "DEADLINE_PASSED");
}

static void gone(struct call *c)
{
	atomic_store(&c->cancelled, true);
}

static void stop(struct call *c)
{
	atomic_store(&c->in->stopping, true);
}

static void nobody_waits_for_the_rest_of_a_batch(void **state)
{
	struct rig *rig = *state;

	ask(rig, &certify, 5);
	/* One reference more than the one that it gives up. */
	atomic_store(&rig->call.refs, 3);
	when_inspected = gone;
	turn(rig);
	assert_int_equal(inspected, 1);
	assert_null(told);
	assert_int_equal(atomic_load(&rig->call.refs), 2);
	end(rig);
}

static void the_engines_stop_ends_a_batch(void **state)
{
	struct rig *rig = *state;

	ask(rig, &certify, 5);
	when_inspected = stop;
	turn(rig);
	assert_int_equal(inspected, 1);
	expect_refused(rig, "STOPPING");
}

/* ---- a copy from the register ---- */

static enum status found;

static enum status get(void *reader, const uint8_t result_id[16], struct result_view *out)
{
	return found;
}

static void what_the_store_says_of_it_is_told(void **state)
{
	static const struct { enum status st; const char *reason; } rows[] = {
		{ ST_NOT_FOUND, "RESULT_NOT_FOUND" }, { ST_CORRUPT, "FILE_DAMAGED" },
		{ ST_DAMAGED, "FILE_DAMAGED" }, { ST_UNAVAILABLE, "STORE_AWAY" },
		{ ST_IO, "STORE_AWAY" }, { ST_NOMEM, "INTERNAL" },
	};
	struct rig *rig = *state;

	rig->in.ops.get = get;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint8_t bytes[64];
		struct writer w = writer_of(bytes, sizeof(bytes));

		found = rows[i].st;
		put_text(&w, 1, "case");
		put_text(&w, 2, "00000000000000000000000000");
		told = NULL;
		run(rig, &issue, &w);
		turn(rig);
		expect_refused(rig, rows[i].reason);
		grpc_byte_buffer_destroy(rig->call.request);
		rig->call = (struct call){ .in = &rig->in, .worker = &rig->worker };
		atomic_init(&rig->call.refs, 1);
	}
}

/* ---- an upload ---- */

/* A message comes between another thread's look at the clock and its turn at the lock. */
static void a_healthy_upload_is_not_cut_off(void **state)
{
	struct rig *rig = *state;

	rig->call.m = &upload;
	upload_call_begin(&rig->call);
	assert_int_equal(received, 1);
	lock_counts = true;
	upload_call_tick(&rig->call);
	assert_null(told);
	clock_ms += UPLOAD_IDLE_MS_MAX;
	upload_call_tick(&rig->call);
	assert_null(told);
	clock_ms++;
	upload_call_tick(&rig->call);
	expect_refused(rig, "UPLOAD_TOO_SLOW");
}

static int begin_all(void **state)
{
	grpc_init();
	return 0;
}

static int end_all(void **state)
{
	grpc_shutdown_blocking();
	return 0;
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(not_more_than_there_is_room_for),
		EACH(not_beyond_the_callers_share),
		EACH(not_beyond_the_callers_rate),
		EACH(not_too_many_nor_none),
		EACH(no_copies_are_made_here),
		EACH(a_slot_is_taken_in_its_turn),
		EACH(it_has_waited_too_long),
		EACH(nobody_waits_for_the_rest_of_a_batch),
		EACH(the_engines_stop_ends_a_batch),
		EACH(what_the_store_says_of_it_is_told),
		EACH(a_healthy_upload_is_not_cut_off),
	};

	return cmocka_run_group_tests(tests, begin_all, end_all);
}
