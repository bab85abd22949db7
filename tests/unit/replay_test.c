#include "journal_rig.h"

#include <errno.h>
#include <unistd.h>

#include "base/frame.h"
#include "base/log.h"
#include "journal/replay.h"

/* What lies on the disk does not depend on who wrote it. */
static enum io_kind posix = IO_POSIX;

/* Frames of 3 blocks each, as a crash leaves them: nothing testifies the last. */
static uint8_t *four_frames(struct rig *r)
{
	uint8_t *image;

	rig_open_ok(r);
	for (int i = 0; i < 4; i++)
		rig_add_durable(r, 9000);
	image = rig_image(r);
	rig_close(r);
	return image;
}

static uint32_t last_frame(const struct rig *r)
{
	return (uint32_t)(r->last_pos % RIG_SEGMENT_BYTES) - FRAME_HEADER_BYTES;
}

/* The last record is gone, all others are there, and the journal goes on. */
static void expect_cut(struct rig *r, const uint8_t *image)
{
	uint32_t added = r->added;

	rig_put(r, image);
	rig_open_ok(r);
	assert_int_equal(r->seen_n, added - 1);
	r->added--;
	rig_add_durable(r, 700);
	rig_add_durable(r, 9000);
	rig_close(r);
	rig_open_ok(r);
	assert_int_equal(r->seen_n, added + 1);
	rig_close(r);
	r->added = added;
}

static void torn_tail(void **state)
{
	struct rig *r = *state;
	uint8_t *whole = four_frames(r), *image = malloc(RIG_SLOTS * RIG_SEGMENT_BYTES);
	uint32_t at = last_frame(r), used = FRAME_HEADER_BYTES + FRAME_RECORD_BYTES + 9000;
	static const uint32_t cuts[] = { 0, 1, 4, 8, 12, 16, 24, 32, 40, 44, 60, 63, 64, 68, 70, 72,
					 75, 76, 77, 511, 512, 1024, 4095, 4096, 4097, 8192, 8704,
					 9074, 9075 };

	/* Whole, it is there. */
	rig_put(r, whole);
	rig_open_ok(r);
	assert_int_equal(r->seen_n, 4);
	rig_close(r);
	for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
		memcpy(image, whole, RIG_SLOTS * RIG_SEGMENT_BYTES);
		/* The rest never arrived: what lay there before, zeros or something else. */
		memset(image + at + cuts[i], i % 2 ? 0xa5 : 0, used - cuts[i]);
		if (memcmp(image, whole, RIG_SLOTS * RIG_SEGMENT_BYTES) != 0)
			expect_cut(r, image);
	}
	/* Sectors arrive in any order. */
	for (uint32_t sector = 0; sector < used / 512 + 1; sector++) {
		memcpy(image, whole, RIG_SLOTS * RIG_SEGMENT_BYTES);
		memset(image + at + sector * 512, 0, 512);
		expect_cut(r, image);
	}
	for (uint32_t i = 0; i < used; i += i < 80 ? 3 : 997) {
		memcpy(image, whole, RIG_SLOTS * RIG_SEGMENT_BYTES);
		image[at + i] ^= 1 << i % 8;
		expect_cut(r, image);
	}
	free(image);
	free(whole);
}

static void expect_damage(struct rig *r, const uint8_t *image, uint64_t segno, uint32_t at)
{
	char where[80];

	assert_int_equal(rig_try(r, image), ST_DAMAGED);
	snprintf(where, sizeof(where), "segment %llu (slot-%04llu)", (unsigned long long)segno,
		 (unsigned long long)(segno - 1) % RIG_SLOTS);
	if (strstr(r->e.text, where) == NULL)
		fail_msg("%s: no %s", r->e.text, where);
	snprintf(where, sizeof(where), "at byte %u", at);
	if (strstr(r->e.text, where) == NULL)
		fail_msg("%s: no %s", r->e.text, where);
	assert_non_null(strstr(r->e.text, "restore the newest backup"));
}

static void flipped_in_the_middle(void **state)
{
	struct rig *r = *state;
	uint8_t *image = four_frames(r);
	uint32_t at = last_frame(r) - 12288;	/* the third of four */

	for (uint32_t i = 0; i < FRAME_HEADER_BYTES + FRAME_RECORD_BYTES + 9000;
	     i += i < 80 ? 1 : 331) {
		image[at + i] ^= 1 << i % 8;
		expect_damage(r, image, 1, at);
		image[at + i] ^= 1 << i % 8;
	}
	/* A whole frame that vanished, and one that lies at another's place. */
	memset(image + at, 0, 12288);
	expect_damage(r, image, 1, at);
	memcpy(image + at, image + at - 12288, 12288);
	expect_damage(r, image, 1, at);
	free(image);
}

/* After a clean stop even the last frame is known to have been durable. */
static void flipped_after_clean_stop(void **state)
{
	struct rig *r = *state;
	uint8_t *image;
	uint32_t at;

	free(four_frames(r));
	image = rig_image(r);
	at = last_frame(r);
	image[at + 5000] ^= 4;
	expect_damage(r, image, 1, at);
	free(image);
}

/* Four segments held and three released long ago; the newest one half full. */
static uint8_t *full_turn(struct rig *r)
{
	uint8_t *image;

	rig_open_ok(r);
	while (journal_segment_of(r->j, journal_end(r->j)) < 4)
		rig_add_durable(r, 9000);
	journal_release(r->j, 4 * RIG_SEGMENT_BYTES);
	rig_add_durable(r, 9000);
	while (journal_segment_of(r->j, r->last_pos) < 7)
		rig_add_durable(r, 9000);
	rig_add_durable(r, 9000);
	image = rig_image(r);
	rig_close(r);
	assert_int_equal(rig_try(r, image), ST_OK);
	assert_int_equal(r->seen[0] / RIG_SEGMENT_BYTES, 4);
	return image;
}

static void damage_at_segment_bounds(void **state)
{
	struct rig *r = *state;
	uint8_t *image = full_turn(r);
	uint32_t last = 4096 + 3 * 12288;	/* the last frame of a full segment */

	/* The last frame of an older segment. */
	image[1 * RIG_SEGMENT_BYTES + last + 300] ^= 1;
	expect_damage(r, image, 6, last);
	image[1 * RIG_SEGMENT_BYTES + last + 300] ^= 1;
	/* The first frame of the newest: its own follower testifies. */
	image[2 * RIG_SEGMENT_BYTES + 4096 + 300] ^= 1;
	expect_damage(r, image, 7, 4096);
	image[2 * RIG_SEGMENT_BYTES + 4096 + 300] ^= 1;
	/* The header of the newest, of one in the middle, of the oldest that is needed. */
	image[2 * RIG_SEGMENT_BYTES + 20] ^= 1;
	expect_damage(r, image, 7, 0);
	image[2 * RIG_SEGMENT_BYTES + 20] ^= 1;
	for (uint32_t slot = 0; slot < RIG_SLOTS; slot++) {
		if (slot == 2)
			continue;
		image[slot * RIG_SEGMENT_BYTES + 36] ^= 1;
		assert_int_equal(rig_try(r, image), ST_DAMAGED);
		assert_non_null(strstr(r->e.text, "header of segment"));
		image[slot * RIG_SEGMENT_BYTES + 36] ^= 1;
	}
	/* Two files that say they are the same segment; two without a header. */
	memcpy(image + 1 * RIG_SEGMENT_BYTES, image, RIG_SEGMENT_BYTES);
	assert_int_equal(rig_try(r, image), ST_DAMAGED);
	assert_non_null(strstr(r->e.text, "both hold segment"));
	memset(image, 0xff, 4096);
	memset(image + RIG_SEGMENT_BYTES, 0xff, 4096);
	assert_int_equal(rig_try(r, image), ST_DAMAGED);
	free(image);
}

/* A header that was being written when the lights went out costs nothing. */
static void torn_header(void **state)
{
	struct rig *r = *state;
	uint8_t *image;
	uint32_t added;

	rig_open_ok(r);
	while (journal_segment_of(r->j, journal_end(r->j)) < 5) {
		rig_add_durable(r, 9000);
		if (journal_slots_free(r->j) == 0)
			journal_release(r->j, 3 * RIG_SEGMENT_BYTES);
	}
	image = rig_image(r);
	added = r->added;
	rig_close(r);
	/* Segment 6 would take the slot of segment 2, which is released. */
	memset(image + RIG_SEGMENT_BYTES + 512, 0x5a, 1024);
	rig_put(r, image);
	rig_open_ok(r);
	assert_int_equal(r->seen_first + r->seen_n, added);
	while (journal_segment_of(r->j, r->last_pos) < 6)
		rig_add_durable(r, 9000);
	rig_close(r);
	rig_open_ok(r);
	assert_int_equal(r->seen_first + r->seen_n, r->added);
	free(image);
}

/* The same for the very first header. */
static void torn_first_header(void **state)
{
	struct rig *r = *state;
	uint8_t *image = calloc(RIG_SLOTS, RIG_SEGMENT_BYTES);

	rig_open_ok(r);
	rig_close(r);
	memset(image, 0x5a, 700);
	assert_int_equal(rig_try(r, image), ST_OK);
	assert_int_equal(r->seen_n, 0);
	free(image);
}

/* Again and again the lights go out between a segment's header and its first frame. */
static void header_without_frames(void **state)
{
	struct rig *r = *state;

	for (uint64_t segno = 2; segno < 9; segno++) {
		uint32_t added;
		uint8_t *image;

		rig_open_ok(r);
		assert_int_equal(r->seen_first + r->seen_n, r->added);
		rig_add_durable(r, 20000);
		journal_release(r->j, r->last_pos);
		rig_add_durable(r, 20000);
		added = r->added;
		rig_disk.hold = true;
		assert_int_equal(rig_add(r, 30000), ST_OK);
		assert_int_equal(journal_segment_of(r->j, r->last_pos), segno);
		for (journal_pump(r->j); rig_disk.held[0].offset != 0; journal_pump(r->j))
			rig_answer(0, 1);
		rig_answer(0, 1);
		image = rig_image(r);
		rig_disk.hold = false;
		rig_close(r);
		rig_put(r, image);
		free(image);
		r->added = added;
	}
}

/* B was written, A before it was not: neither may come back, whatever takes A's place. */
static void stale_frames_stay_dead(void **state)
{
	struct rig *r = *state;
	uint8_t *image;

	rig_open_ok(r);
	rig_add_durable(r, 100);
	rig_disk.hold = true;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_add(r, 3000), ST_OK);
		journal_pump(r->j);
	}
	rig_answer(1, 1);
	image = rig_image(r);
	rig_answer(0, -EIO);
	rig_disk.hold = false;
	rig_close(r);
	r->added = 1;

	/* The frame of the start lies exactly where A was to lie; B stands behind it, valid. */
	rig_put(r, image);
	rig_open_ok(r);
	assert_int_equal(r->seen_n, 1);
	free(image);
	image = rig_image(r);
	rig_close(r);
	rig_put(r, image);
	rig_open_ok(r);
	assert_int_equal(r->seen_n, 1);
	rig_add_durable(r, 3000);
	rig_close(r);
	rig_open_ok(r);
	assert_int_equal(r->seen_n, 2);
	free(image);
}

/* Frames of the segment that a recycled slot held before. */
static void recycled_frames_stay_dead(void **state)
{
	struct rig *r = *state;
	uint8_t *image;
	uint32_t added;

	rig_open_ok(r);
	while (journal_segment_of(r->j, r->last_pos) < 6) {
		rig_add_durable(r, 3000);
		journal_release(r->j, r->last_pos);
	}
	image = rig_image(r);
	added = r->added;
	rig_close(r);
	for (int again = 0; again < 3; again++) {
		rig_put(r, image);
		rig_open_ok(r);
		assert_int_equal(r->seen_first + r->seen_n, added);
		rig_close(r);
	}
	free(image);
}

/* A file that is missing or cut short. */
static void files_gone(void **state)
{
	struct rig *r = *state;
	char path[300];

	free(full_turn(r));
	snprintf(path, sizeof(path), "%s/slot-0001", r->dir.path);
	assert_int_equal(truncate(path, 5000), 0);
	assert_int_equal(rig_open(r), ST_DAMAGED);
	assert_non_null(strstr(r->e.text, "slot-0001 is 5000 bytes long"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rig_open(r), ST_DAMAGED);
	assert_non_null(strstr(r->e.text, "header of segment 6"));
}

struct mutation { int fd; off_t at; size_t n; uint8_t was[8]; };

static void mutate(struct mutation *m, const int fds[RIG_SLOTS], unsigned int *seed)
{
	uint8_t now[8];

	m->fd = fds[(uint32_t)rand_r(seed) % RIG_SLOTS];
	m->at = rand_r(seed) % 3 == 0 ? rand_r(seed) % 64 + rand_r(seed) % 5 * 12288 :
					rand_r(seed) % (int)(RIG_SEGMENT_BYTES - 8);
	m->n = (size_t)rand_r(seed) % 8 + 1;
	for (size_t i = 0; i < sizeof(now); i++)
		now[i] = rand_r(seed) % 4 == 0 ? 0 : (uint8_t)rand_r(seed);
	assert_int_equal(pread(m->fd, m->was, m->n, m->at), m->n);
	assert_int_equal(pwrite(m->fd, now, m->n, m->at), m->n);
}

/* Bytes changed at random: an answer, never a crash, and never a record that was not written. */
static void mutations(void **state)
{
	struct rig *r = *state;
	struct segments s;
	struct journal_end end;
	int fds[RIG_SLOTS];
	unsigned int seed = 20261124;
	uint32_t answers[ST_COUNT] = { 0 };

	log_setup(LOG_ERROR, "test");
	rig_disk.no_direct = true;
	free(full_turn(r));
	for (uint32_t i = 0; i < RIG_SLOTS; i++)
		fds[i] = rig_slot(r, i);
	for (int run = 0; run < 10000; run++) {
		struct mutation m[3];
		int n = rand_r(&seed) % 3 + 1;
		enum status st;

		for (int i = 0; i < n; i++)
			mutate(&m[i], fds, &seed);
		st = segments_open(&s, r->dir.path, RIG_SEGMENT_BYTES, RIG_SLOTS, &r->e);
		assert_int_equal(st, ST_OK);
		r->seen_n = 0;
		st = journal_replay(&s, 0, false, rig_seen, r, &end, &r->e);
		answers[st]++;
		assert_int_equal(r->disorder, 0);
		segments_close(&s);
		while (n-- > 0)
			assert_int_equal(pwrite(m[n].fd, m[n].was, m[n].n, m[n].at), m[n].n);
	}
	for (uint32_t i = 0; i < RIG_SLOTS; i++)
		close(fds[i]);
	assert_true(answers[ST_OK] > 100 && answers[ST_DAMAGED] > 1000);
	assert_int_equal(answers[ST_OK] + answers[ST_DAMAGED], 10000);
}

/* ---- golden bytes ---- */

#define GOLDEN SOURCE_DIR "/tests/golden/journal.hex"

/* Lines "slot offset: 32 bytes"; lines of zeros are left out. */
static void image_print(FILE *f, const uint8_t *image, size_t n)
{
	static const uint8_t zero[32];

	for (size_t at = 0; at < n; at += sizeof(zero)) {
		if (memcmp(image + at, zero, sizeof(zero)) == 0)
			continue;
		fprintf(f, "%zu %05zx: ", at / RIG_SEGMENT_BYTES, at % RIG_SEGMENT_BYTES);
		for (size_t i = 0; i < sizeof(zero); i++)
			fprintf(f, "%02x", image[at + i]);
		fprintf(f, "\n");
	}
}

/* The format is for ever: two starts, three records, a release, a second segment. */
static void golden(void **state)
{
	struct rig *r = *state;
	char *text, *want;
	size_t n, size;
	uint8_t *image;
	FILE *f = open_memstream(&text, &n);

	rig_open_ok(r);
	rig_add_durable(r, 4);
	rig_add_durable(r, 100);
	rig_close(r);
	rig_open_ok(r);
	rig_add_durable(r, 50);
	while (journal_segment_of(r->j, r->last_pos) < 2)
		rig_add_durable(r, 40);
	journal_release(r->j, r->last_pos);
	rig_close(r);
	image = rig_image(r);
	image_print(f, image, (size_t)RIG_SLOTS * RIG_SEGMENT_BYTES);
	fclose(f);
	if (getenv("GOLDEN_WRITE") != NULL) {
		f = fopen(GOLDEN, "w");
		assert_non_null(f);
		assert_int_equal(fwrite(text, 1, n, f), n);
		fclose(f);
	}
	f = fopen(GOLDEN, "r");
	assert_non_null(f);
	want = malloc(n + 1);
	size = fread(want, 1, n + 1, f);
	fclose(f);
	assert_int_equal(size, n);
	assert_memory_equal(want, text, n);
	free(want);
	free(text);
	free(image);
}

#define TEST(f) { #f, f, rig_new, rig_free, &posix }

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(torn_tail), TEST(flipped_in_the_middle), TEST(flipped_after_clean_stop),
		TEST(damage_at_segment_bounds), TEST(torn_header), TEST(torn_first_header),
		TEST(header_without_frames),
		TEST(stale_frames_stay_dead), TEST(recycled_frames_stay_dead), TEST(files_gone),
		TEST(mutations), TEST(golden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
