#include "journal_rig.h"

#include <string.h>

#include "base/frame.h"

static enum io_kind uring = IO_URING, posix = IO_POSIX;

/* The rig's journal gives; another one, in a folder below, follows. */
struct follower {
	struct journal *j;
	struct journal_config cfg;
	struct journal_cursor at;
	char dir[300];
	uint32_t frames;
};

static enum status ignored(void *ctx, uint64_t pos, uint8_t type, struct slice payload,
			   struct error *e)
{
	(*(uint32_t *)ctx)++;
	return ST_OK;
}

static uint32_t follower_open(struct rig *r, struct follower *f, uint64_t from)
{
	uint32_t records = 0;

	f->cfg = r->cfg;
	snprintf(f->dir, sizeof(f->dir), "%s/follower", r->dir.path);
	f->cfg.dir = f->dir;
	f->cfg.follow = true;
	assert_int_equal(journal_open(&f->j, r->io, &f->cfg, from, ignored, &records, &r->e),
			 ST_OK);
	journal_tail(f->j, &f->at);
	return records;
}

/* All up to where the frames end that were given is durable, however slow the disk is. */
static void settle(struct rig *r, struct journal *j, uint64_t position)
{
	struct journal_cursor tail = { 0 };

	for (int i = 0; tail.position < position; i++) {
		assert_true(i < 30000);
		journal_pump(j);
		io_run(r->io, 1);
		journal_tail(j, &tail);
	}
	journal_pump(j);
}

/* All that is durable here goes there. What the last call said. */
static enum status carry(struct rig *r, struct follower *f)
{
	struct slice frame;
	enum status st;

	while ((st = journal_frame(r->j, &f->at, &frame, &r->e)) == ST_OK) {
		struct frame_view v;
		uint8_t *copy = malloc(frame.n);

		assert_non_null(copy);
		memcpy(copy, frame.p, frame.n);
		while ((st = journal_accept(f->j, slice_of(copy, frame.n), &v, &r->e)) == ST_FULL) {
			journal_pump(f->j);
			io_run(r->io, 1);
			journal_release(f->j, journal_asked(f->j));
		}
		free(copy);
		if (st != ST_OK)
			return st;
		f->frames++;
		journal_pump(f->j);
	}
	settle(r, f->j, f->at.position);
	return st;
}

static void both_end_alike(struct rig *r, struct follower *f)
{
	struct journal_cursor here, there;

	journal_tail(r->j, &here);
	journal_tail(f->j, &there);
	assert_int_equal(here.position, there.position);
	assert_int_equal(here.prev, there.prev);
	assert_int_equal(journal_epoch(r->j), journal_epoch(f->j));
}

/* Many segments, recycled on both sides, both restarted now and then. */
static void follows(void **state)
{
	struct rig *r = *state;
	struct follower f = { 0 };

	rig_open_ok(r);
	follower_open(r, &f, 0);
	assert_int_equal(f.at.position, 0);
	for (uint32_t i = 0; i < 120; i++) {
		rig_add_durable(r, 4 + i * 977 % 9000);
		if (i % 3 == 0)
			assert_int_equal(carry(r, &f), ST_AGAIN);
		if (i % 3 == 0) {
			both_end_alike(r, &f);
			journal_release(r->j, r->last_pos);
		}
		if (i == 40 || i == 41 || i == 100) {
			journal_close(f.j);
			follower_open(r, &f, 0);
		}
		if (i == 60 || i == 102) {
			rig_close(r);
			r->added = 0;
			rig_open_ok(r);
			r->added = i + 1;
		}
	}
	assert_int_equal(carry(r, &f), ST_AGAIN);
	both_end_alike(r, &f);
	assert_true(journal_segment_of(r->j, r->last_pos) > 2 * RIG_SLOTS);
	journal_close(f.j);
}

/* The mirror was away: what it lacks comes from the disk, and what is released cannot. */
static void catches_up(void **state)
{
	struct rig *r = *state;
	struct follower f = { 0 };
	struct slice frame;

	rig_open_ok(r);
	follower_open(r, &f, 0);
	for (uint32_t i = 0; i < 20; i++)
		rig_add_durable(r, 5000);
	assert_int_equal(journal_segment_of(r->j, r->last_pos), 3);
	assert_int_equal(carry(r, &f), ST_AGAIN);
	both_end_alike(r, &f);
	assert_true(f.frames >= 20);
	for (uint32_t i = 0; i < 30; i++) {
		rig_add_durable(r, 5000);
		journal_release(r->j, r->last_pos);
	}
	assert_int_equal(journal_frame(r->j, &f.at, &frame, &r->e), ST_NOT_FOUND);
	f.at = (struct journal_cursor){ 0 };
	assert_int_equal(journal_frame(r->j, &f.at, &frame, &r->e), ST_NOT_FOUND);
	journal_close(f.j);
}

/* Held back by what is not durable there; frames are given only when they are durable here. */
static void limit(void **state)
{
	struct rig *r = *state;
	struct journal_cursor at;
	struct slice frame;
	uint64_t before;

	rig_open_ok(r);
	rig_add_durable(r, 100);
	journal_tail(r->j, &at);
	before = journal_durable(r->j);
	journal_limit(r->j, before);
	rig_disk.hold = true;
	assert_int_equal(rig_add(r, 100), ST_OK);
	journal_pump(r->j);
	assert_int_equal(journal_frame(r->j, &at, &frame, &r->e), ST_AGAIN);
	rig_answer(0, 1);
	rig_disk.hold = false;
	assert_int_equal(journal_durable(r->j), before);
	assert_int_equal(journal_frame(r->j, &at, &frame, &r->e), ST_OK);
	journal_limit(r->j, at.position);
	assert_true(journal_durable(r->j) > r->last_pos);
}

/* Another log, an older epoch, bytes that are none: nothing of it is taken. */
static void refuses(void **state)
{
	struct rig *r = *state;
	struct follower f = { 0 };
	struct journal_cursor wrong;
	struct slice frame;
	struct frame_view v;
	uint8_t *old, *second;
	size_t old_n, second_n;

	rig_open_ok(r);
	follower_open(r, &f, 0);
	rig_add_durable(r, 100);
	assert_int_equal(journal_frame(r->j, &f.at, &frame, &r->e), ST_OK);
	old = malloc(frame.n);
	memcpy(old, frame.p, old_n = frame.n);
	assert_int_equal(journal_frame(r->j, &f.at, &frame, &r->e), ST_OK);
	second = malloc(frame.n);
	memcpy(second, frame.p, second_n = frame.n);
	assert_int_equal(journal_accept(f.j, slice_of(second, second_n), &v, &r->e), ST_CONFLICT);
	assert_int_equal(journal_accept(f.j, slice_of(old, old_n), &v, &r->e), ST_OK);
	assert_int_equal(journal_accept(f.j, slice_of(old, old_n), &v, &r->e), ST_CONFLICT);
	for (size_t i = 0; i < second_n; i += 7) {
		second[i] ^= 0x10;
		assert_int_not_equal(journal_accept(f.j, slice_of(second, second_n), &v, &r->e),
				     ST_OK);
		second[i] ^= 0x10;
	}
	assert_int_equal(journal_accept(f.j, slice_of(second, 63), &v, &r->e), ST_CORRUPT);
	assert_int_equal(journal_accept(f.j, slice_of(second, second_n), &v, &r->e), ST_OK);
	journal_tail(r->j, &wrong);
	settle(r, f.j, wrong.position);
	/* The engine's side: the mirror has something else there, or more. */
	journal_tail(f.j, &wrong);
	wrong.prev ^= 1;
	assert_int_equal(journal_frame(r->j, &wrong, &frame, &r->e), ST_CONFLICT);
	rig_add_durable(r, 100);
	assert_int_equal(journal_frame(r->j, &wrong, &frame, &r->e), ST_CONFLICT);
	journal_tail(r->j, &wrong);
	wrong.position += FRAME_BLOCK_BYTES;
	assert_int_equal(journal_frame(r->j, &wrong, &frame, &r->e), ST_CONFLICT);
	journal_close(f.j);
	free(old);
	free(second);
}

/* A take-over begins a term; what the old engine writes later is of an older one. */
static void terms(void **state)
{
	struct rig *r = *state;
	struct follower f = { 0 };
	struct slice frame;
	struct frame_view v;

	rig_open_ok(r);
	follower_open(r, &f, 0);
	rig_add_durable(r, 100);
	assert_int_equal(carry(r, &f), ST_AGAIN);
	assert_int_equal(journal_term(journal_epoch(r->j)), 0);
	journal_close(f.j);
	f.cfg.follow = false;
	f.cfg.new_term = true;
	assert_int_equal(journal_open(&f.j, r->io, &f.cfg, 0, ignored, &f.frames, &r->e), ST_OK);
	assert_int_equal(journal_epoch(f.j), 1u << 16);
	journal_close(f.j);
	follower_open(r, &f, 0);
	journal_tail(r->j, &f.at);
	rig_add_durable(r, 100);
	assert_int_equal(journal_frame(r->j, &f.at, &frame, &r->e), ST_OK);
	assert_int_equal(journal_accept(f.j, frame, &v, &r->e), ST_PRECONDITION);
	journal_close(f.j);
}

/* It keeps what it has not kept otherwise, though the frames say that it is released. */
static void keeps(void **state)
{
	struct rig *r = *state;
	struct follower f = { 0 };
	uint64_t newest;
	uint32_t all;

	rig_open_ok(r);
	follower_open(r, &f, 0);
	for (uint32_t i = 0; i < 8; i++) {
		rig_add_durable(r, 5000);
		assert_int_equal(carry(r, &f), ST_AGAIN);
		journal_release(r->j, r->last_pos);
		rig_settle(r);
		assert_int_equal(carry(r, &f), ST_AGAIN);
	}
	newest = journal_segment_of(r->j, r->last_pos);
	assert_in_range(newest, 2, RIG_SLOTS);
	assert_int_equal(journal_asked(f.j), newest * RIG_SEGMENT_BYTES);
	journal_close(f.j);
	all = follower_open(r, &f, 0);
	assert_int_equal(all, 8);
	assert_int_equal(journal_asked(f.j), newest * RIG_SEGMENT_BYTES);
	journal_close(f.j);
	all = follower_open(r, &f, newest * RIG_SEGMENT_BYTES);
	assert_in_range(all, 1, 7);
	journal_close(f.j);
}

int main(void)
{
#define BOTH(f) \
	{ #f " uring", f, rig_new, rig_free, &uring }, { #f " posix", f, rig_new, rig_free, &posix }
	const struct CMUnitTest tests[] = {
		BOTH(follows), BOTH(catches_up), BOTH(limit), BOTH(refuses), BOTH(terms),
		BOTH(keeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
