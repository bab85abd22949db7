/*
 * Objects on disk: what is kept is there after any kill, what nobody names goes, what is damaged
 * is seen, a full disk refuses, and memory stays small.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "limits.h"
#include "objects/objects.h"
#include "tmpdir.h"

#define BIG (200u * 1024)

/* The act with this number kills, or fails with EXDEV; 0: none. */
static int dies_at, crosses_at, acts;
/* Folders flushed since the last file got its name, and how many they were when one went. */
static int flushed, flushed_before_unlink;
/* What was flushed (f) and renamed (r), in its order: a kill cannot tell, it keeps the cache. */
static struct { char what; ino_t of; } order[16];
static size_t ordered;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_renameat(int a, const char *from, int b, const char *to);
int __wrap_renameat(int a, const char *from, int b, const char *to);
int __real_unlinkat(int fd, const char *name, int flags);
int __wrap_unlinkat(int fd, const char *name, int flags);

static void act(void)
{
	if (++acts == dies_at)
		_exit(9);
}

static void note(char what, ino_t of)
{
	if (ordered < ARRAY_LEN(order)) {
		order[ordered].what = what;
		order[ordered++].of = of;
	}
}

int __wrap_fdatasync(int fd)
{
	struct stat sb;

	act();
	if (fstat(fd, &sb) == 0)
		note('f', sb.st_ino);
	return __real_fdatasync(fd);
}

int __wrap_fsync(int fd)
{
	struct stat sb;

	act();
	if (fstat(fd, &sb) == 0)
		note('f', sb.st_ino);
	flushed += fstat(fd, &sb) == 0 && S_ISDIR(sb.st_mode);
	return __real_fsync(fd);
}

int __wrap_renameat(int a, const char *from, int b, const char *to)
{
	struct stat sb;

	act();
	if (a != b && crosses_at > 0) {
		errno = EXDEV;
		return -1;
	}
	flushed = 0;
	if (fstatat(a, from, &sb, 0) == 0)
		note('r', sb.st_ino);
	return __real_renameat(a, from, b, to);
}

int __wrap_unlinkat(int fd, const char *name, int flags)
{
	flushed_before_unlink = flushed;
	return __real_unlinkat(fd, name, flags);
}

struct rig {
	struct tmpdir tmp;
	struct objects *o;
	uint8_t bytes[BIG];
	uint8_t sha256[SHA256_BYTES];
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	if (r == NULL || tmpdir_make(&r->tmp) != 0 ||
	    objects_open(&r->o, r->tmp.path, NULL) != ST_OK)
		return -1;
	for (uint32_t i = 0; i < BIG; i++)
		r->bytes[i] = (uint8_t)(i * 7 + i / 251);
	sha256_once(r->bytes, BIG, r->sha256);
	dies_at = crosses_at = acts = 0;
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	objects_close(r->o);
	tmpdir_remove(&r->tmp);
	free(r);
	return 0;
}

static void path_of(const struct rig *r, char path[512], bool settled)
{
	char hex[2 * SHA256_BYTES + 1] = { 0 };

	hex_lower(hex, r->sha256, SHA256_BYTES);
	if (settled)
		snprintf(path, 512, "%s/%.2s/%s", r->tmp.path, hex, hex + 2);
	else
		snprintf(path, 512, "%s/waiting/%s", r->tmp.path, hex);
}

static bool there(const struct rig *r, bool settled)
{
	char path[512];

	path_of(r, path, settled);
	return access(path, F_OK) == 0;
}

static void upload(struct rig *r, struct upload *u)
{
	int fd;

	assert_int_equal(upload_begin(r->o, u, BIG, NULL), ST_OK);
	for (uint32_t at = 0; at < BIG; at += 50 * 1024)
		assert_int_equal(upload_add(u, slice_of(r->bytes + at, 50 * 1024), NULL), ST_OK);
	assert_int_equal(upload_end(u, &fd, NULL), ST_OK);
	assert_memory_equal(u->sha256, r->sha256, SHA256_BYTES);
	assert_int_equal(lseek(fd, 0, SEEK_END), BIG);
	assert_int_equal(write(fd, "x", 1), -1);
	close(fd);
}

static void keep(struct rig *r)
{
	struct upload u;

	upload(r, &u);
	assert_int_equal(objects_keep(r->o, &u, NULL), ST_OK);
}

static enum status check(const struct rig *r)
{
	struct sha256 *h = sha256_new();
	uint8_t room[OBJECT_PIECE_BYTES];
	struct object_file f;
	enum status st = object_open(r->o, r->sha256, BIG, &f);

	if (st == ST_OK) {
		st = object_check(&f, r->sha256, h, room);
		object_close(&f);
	}
	sha256_free(h);
	return st;
}

static bool none(void *ctx, const uint8_t sha256[SHA256_BYTES])
{
	return false;
}

static bool all(void *ctx, const uint8_t sha256[SHA256_BYTES])
{
	return true;
}

/* ---- the way of one ---- */

static void kept_settled_and_read(void **state)
{
	struct rig *r = *state;
	struct object_file f;
	uint8_t got[100];
	uint32_t removed;

	assert_int_equal(check(r), ST_NOT_FOUND);
	assert_int_equal(objects_settle(r->o, r->sha256, NULL), ST_NOT_FOUND);
	keep(r);
	objects_release(r->o, r->sha256, true);
	assert_true(there(r, false));
	assert_int_equal(check(r), ST_OK);
	assert_int_equal(object_open(r->o, r->sha256, 0, &f), ST_OK);
	assert_int_equal(objects_settle(r->o, r->sha256, NULL), ST_OK);
	assert_int_equal(objects_settle(r->o, r->sha256, NULL), ST_OK);
	assert_int_equal(objects_sync(r->o, NULL), ST_OK);
	assert_true(there(r, true) && !there(r, false));
	/* Opened before it moved. */
	assert_int_equal(object_read(&f, 70000, got, sizeof(got)), ST_OK);
	assert_memory_equal(got, r->bytes + 70000, sizeof(got));
	assert_int_equal(object_read(&f, BIG - 50, got, 50), ST_OK);
	assert_int_equal(object_read(&f, BIG - 50, got, 51), ST_CORRUPT);
	assert_int_equal(object_read(&f, BIG + 1, got, 0), ST_CORRUPT);
	object_close(&f);
	assert_int_equal(check(r), ST_OK);
	/* Only what waits is swept or removed. */
	objects_remove(r->o, r->sha256);
	assert_int_equal(objects_sweep(r->o, none, NULL, &removed, NULL), ST_OK);
	assert_int_equal(removed, 0);
	assert_int_equal(check(r), ST_OK);
}

static void moves_by_copy_where_it_must(void **state)
{
	struct rig *r = *state;

	keep(r);
	objects_release(r->o, r->sha256, true);
	crosses_at = 1;
	assert_int_equal(objects_settle(r->o, r->sha256, NULL), ST_OK);
	assert_true(there(r, true) && !there(r, false));
	assert_int_equal(check(r), ST_OK);
	/* The shard, and the folder in which it was made. */
	assert_int_equal(flushed_before_unlink, 2);
	assert_int_equal(objects_sync(r->o, NULL), ST_OK);
	keep(r);
	objects_release(r->o, r->sha256, true);
	assert_int_equal(objects_settle(r->o, r->sha256, NULL), ST_OK);
	assert_int_equal(flushed_before_unlink, 1);
}

static void who_names_nothing_leaves_nothing(void **state)
{
	struct rig *r = *state;

	keep(r);
	objects_release(r->o, r->sha256, false);
	assert_false(there(r, false));
	/* Two at once: one refusal does not take the other's. */
	keep(r);
	keep(r);
	objects_remove(r->o, r->sha256);
	objects_release(r->o, r->sha256, true);
	objects_release(r->o, r->sha256, false);
	assert_int_equal(check(r), ST_OK);
	/* Nor does a later one what was there before. */
	keep(r);
	objects_release(r->o, r->sha256, false);
	assert_int_equal(check(r), ST_OK);
	objects_remove(r->o, r->sha256);
	assert_int_equal(check(r), ST_NOT_FOUND);
}

struct going { struct rig *r; int calls; };

/* Meanwhile nobody brings it. */
static void going(void *ctx, const uint8_t sha256[SHA256_BYTES])
{
	struct going *g = ctx;
	struct upload u;

	g->calls++;
	assert_memory_equal(sha256, g->r->sha256, SHA256_BYTES);
	assert_false(there(g->r, false));
	upload(g->r, &u);
	assert_int_equal(objects_keep(g->r->o, &u, NULL), ST_AGAIN);
}

static void goes_with_the_last_that_names_it(void **state)
{
	struct rig *r = *state;
	struct going g = { .r = r };

	for (uint64_t sequence = 1; sequence <= 3; sequence++) {
		keep(r);
		objects_name(r->o, r->sha256, sequence);
		objects_name(r->o, r->sha256, sequence);
		objects_release(r->o, r->sha256, true);
	}
	/* Something that was there before may name it, too. */
	objects_end(r->o, r->sha256, 1, going, &g);
	objects_unname(r->o, r->sha256, 2);
	objects_counted(r->o);
	objects_end(r->o, r->sha256, 1, going, &g);
	assert_int_equal(check(r), ST_OK);
	/* One who keeps it may be about to name it. */
	keep(r);
	objects_end(r->o, r->sha256, 3, going, &g);
	assert_int_equal(check(r), ST_OK);
	objects_name(r->o, r->sha256, 4);
	objects_release(r->o, r->sha256, true);
	assert_int_equal(g.calls, 0);
	objects_end(r->o, r->sha256, 4, going, &g);
	assert_int_equal(g.calls, 1);
	assert_int_equal(check(r), ST_NOT_FOUND);
	keep(r);
	objects_let_go(r->o, r->sha256, false, going, &g);
	assert_int_equal(g.calls, 2);
	objects_end(r->o, r->sha256, 5, NULL, NULL);
}

static bool count(void *ctx, const uint8_t sha256[SHA256_BYTES], uint64_t size)
{
	*(uint32_t *)ctx += size == BIG;
	return true;
}

static void sweep_removes_the_unnamed(void **state)
{
	struct rig *r = *state;
	struct upload u;
	uint32_t removed, n = 0;

	keep(r);
	objects_release(r->o, r->sha256, true);
	upload(r, &u);		/* as if killed: it never ends */
	assert_int_equal(objects_walk(r->tmp.path, true, count, &n, NULL), ST_OK);
	assert_int_equal(n, 1);
	assert_int_equal(objects_sweep(r->o, all, NULL, &removed, NULL), ST_OK);
	assert_int_equal(removed, 0);
	assert_int_equal(check(r), ST_OK);
	assert_int_equal(objects_sweep(r->o, none, NULL, &removed, NULL), ST_OK);
	assert_int_equal(removed, 1);
	assert_int_equal(check(r), ST_NOT_FOUND);
	upload_drop(&u);
	keep(r);
	objects_release(r->o, r->sha256, true);
	assert_int_equal(objects_settle(r->o, r->sha256, NULL), ST_OK);
	n = 0;
	assert_int_equal(objects_walk(r->tmp.path, false, count, &n, NULL), ST_OK);
	assert_int_equal(n, 1);
}

/* A power cut after objects_keep() finds the bytes, and the name by which the journal has them. */
static void what_is_kept_was_flushed_in_its_order(void **state)
{
	struct rig *r = *state;
	char path[512];
	struct stat file, folder;

	ordered = 0;
	keep(r);
	path_of(r, path, false);
	assert_int_equal(stat(path, &file), 0);
	snprintf(path, sizeof(path), "%s/waiting", r->tmp.path);
	assert_int_equal(stat(path, &folder), 0);
	assert_int_equal(ordered, 3);
	assert_true(order[0].what == 'f' && order[0].of == file.st_ino);
	assert_true(order[1].what == 'r' && order[1].of == file.st_ino);
	assert_true(order[2].what == 'f' && order[2].of == folder.st_ino);
	objects_release(r->o, r->sha256, true);
	/* Where it is settled, too: before the batch that names it passes "stored up to". */
	ordered = 0;
	assert_int_equal(objects_settle(r->o, r->sha256, NULL), ST_OK);
	assert_int_equal(objects_sync(r->o, NULL), ST_OK);
	path_of(r, path, true);
	*strrchr(path, '/') = '\0';
	assert_int_equal(stat(path, &folder), 0);
	assert_true(ordered >= 3 && order[ordered - 3].what == 'r' &&
		    order[ordered - 3].of == file.st_ino);
	assert_true(order[ordered - 2].what == 'f' && order[ordered - 2].of == folder.st_ino);
	assert_int_equal(stat(r->tmp.path, &folder), 0);
	assert_true(order[ordered - 1].what == 'f' && order[ordered - 1].of == folder.st_ino);
}

/* ---- what goes wrong ---- */

static void damage_is_seen_and_heals(void **state)
{
	struct rig *r = *state;
	char path[512];
	int fd;

	keep(r);
	objects_release(r->o, r->sha256, true);
	path_of(r, path, false);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "\xff\xff", 2, 100000), 2);
	assert_int_equal(check(r), ST_CORRUPT);
	assert_int_equal(ftruncate(fd, BIG - 1), 0);
	close(fd);
	assert_int_equal(check(r), ST_CORRUPT);
	assert_false(objects_have(r->o, r->sha256, BIG));
	keep(r);
	objects_release(r->o, r->sha256, false);
	assert_int_equal(check(r), ST_OK);
}

static void bounds_refuse(void **state)
{
	struct rig *r = *state;
	struct upload *u = calloc(UPLOADS_MAX + 1, sizeof(*u));

	for (uint32_t i = 0; i < UPLOADS_MAX; i++)
		assert_int_equal(upload_begin(r->o, &u[i], 10, NULL), ST_OK);
	assert_int_equal(upload_begin(r->o, &u[UPLOADS_MAX], 10, NULL), ST_FULL);
	upload_drop(&u[UPLOADS_MAX]);
	assert_int_equal(upload_add(&u[0], slice_of(r->bytes, 10), NULL), ST_OK);
	assert_int_equal(upload_add(&u[0], slice_of(r->bytes, 1), NULL), ST_TOO_LARGE);
	for (uint32_t i = 0; i < UPLOADS_MAX; i++)
		upload_drop(&u[i]);
	assert_int_equal(upload_begin(r->o, &u[0], 10, NULL), ST_OK);
	upload_drop(&u[0]);
	upload_drop(&u[0]);
	free(u);
}

/* What comes from a server has places of its own, and nobody takes it from who reads it. */
static void fetches_stand_beside_uploads(void **state)
{
	struct rig *r = *state;
	struct upload *u = calloc(UPLOADS_MAX + FETCHES_MAX, sizeof(*u)), one_more;
	uint8_t sha256[SHA256_BYTES];
	uint32_t n;
	int fd;

	assert_non_null(u);
	/* So many are kept, all of them others', and as many more are coming. */
	for (n = 0; n < UPLOADS_MAX; n++) {
		assert_int_equal(upload_begin(r->o, &u[0], sizeof(n), NULL), ST_OK);
		assert_int_equal(upload_add(&u[0], slice_of(&n, sizeof(n)), NULL), ST_OK);
		assert_int_equal(upload_end(&u[0], &fd, NULL), ST_OK);
		close(fd);
		assert_int_equal(objects_keep(r->o, &u[0], NULL), ST_OK);
	}
	upload(r, &u[0]);
	assert_int_equal(objects_keep(r->o, &u[0], NULL), ST_FULL);
	for (n = 0; n < UPLOADS_MAX; n++)
		assert_int_equal(upload_begin(r->o, &u[n], BIG, NULL), ST_OK);
	for (; n < UPLOADS_MAX + FETCHES_MAX; n++)
		assert_int_equal(fetch_begin(r->o, &u[n], BIG, NULL), ST_OK);
	n--;
	assert_int_equal(upload_add(&u[n], slice_of(r->bytes, BIG), NULL), ST_OK);
	assert_int_equal(upload_end(&u[n], &fd, NULL), ST_OK);
	close(fd);
	assert_int_equal(objects_keep(r->o, &u[n], NULL), ST_OK);
	objects_remove(r->o, r->sha256);
	assert_int_equal(check(r), ST_OK);
	objects_release(r->o, r->sha256, true);
	assert_int_equal(check(r), ST_OK);
	objects_remove(r->o, r->sha256);
	assert_int_equal(check(r), ST_NOT_FOUND);
	assert_int_equal(fetch_begin(r->o, &u[n], BIG, NULL), ST_OK);
	assert_int_equal(fetch_begin(r->o, &one_more, BIG, NULL), ST_FULL);
	for (n = 0; n < UPLOADS_MAX + FETCHES_MAX; n++)
		upload_drop(&u[n]);
	for (n = 0; n < UPLOADS_MAX; n++) {
		sha256_once(&n, sizeof(n), sha256);
		objects_release(r->o, sha256, false);
	}
	free(u);
}

static void a_full_disk_refuses_the_upload(void **state)
{
	struct rlimit before, small = { 100 * 1024, 100 * 1024 };
	struct rig *r = *state;
	struct upload u;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(upload_begin(r->o, &u, BIG, NULL), ST_OK);
	assert_int_equal(upload_add(&u, slice_of(r->bytes, BIG), NULL), ST_FULL);
	upload_drop(&u);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	keep(r);
	objects_release(r->o, r->sha256, false);
}

/* Keeps, settles and syncs until the act that kills; says how far it came. */
static int killed_at(struct rig *r, int at)
{
	int told[2], status;
	char c, last = 0;
	pid_t pid;

	assert_int_equal(pipe(told), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		acts = 0;
		dies_at = at;
		keep(r);
		if (write(told[1], "k", 1) != 1 ||
		    objects_settle(r->o, r->sha256, NULL) != ST_OK ||
		    objects_sync(r->o, NULL) != ST_OK || write(told[1], "s", 1) != 1)
			_exit(1);
		_exit(0);
	}
	close(told[1]);
	while (read(told[0], &c, 1) == 1)
		last = c;
	close(told[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) != 1);
	return WEXITSTATUS(status) == 0 ? 0 : last == 0 ? 1 : last;
}

static void a_kill_anywhere_leaves_all_or_nothing(void **state)
{
	struct rig *r = *state;
	uint32_t removed;
	int how = -1;

	for (int at = 1; how != 0; at++) {
		char path[512];

		how = killed_at(r, at);
		assert_true(at < 12);
		/* What was kept is there, whole; what was not, is whole or not there. */
		assert_int_equal(objects_sweep(r->o, how == 1 ? none : all, NULL, &removed, NULL),
				 ST_OK);
		assert_int_equal(check(r), how == 1 ? ST_NOT_FOUND : ST_OK);
		assert_true(how != 0 || there(r, true));
		path_of(r, path, true);
		unlink(path);
		objects_remove(r->o, r->sha256);
	}
}

/* ---- memory ---- */

static long rss_kb(void)
{
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%*d %ld", &pages), 1);
	fclose(f);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void two_hundred_uploads_need_little_memory(void **state)
{
	struct rig *r = *state;
	struct upload *u = calloc(200, sizeof(*u));
	long before = rss_kb();

	for (uint32_t i = 0; i < 200; i++)
		assert_int_equal(upload_begin(r->o, &u[i], BIG, NULL), ST_OK);
	for (uint32_t at = 0; at < BIG; at += 50 * 1024)
		for (uint32_t i = 0; i < 200; i++)
			assert_int_equal(upload_add(&u[i], slice_of(r->bytes + at, 50 * 1024),
						    NULL), ST_OK);
	assert_true(rss_kb() - before < 8 * 1024);
	for (uint32_t i = 0; i < 200; i++)
		upload_drop(&u[i]);
	free(u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(kept_settled_and_read, setup, teardown),
		cmocka_unit_test_setup_teardown(moves_by_copy_where_it_must, setup, teardown),
		cmocka_unit_test_setup_teardown(who_names_nothing_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(goes_with_the_last_that_names_it, setup, teardown),
		cmocka_unit_test_setup_teardown(sweep_removes_the_unnamed, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_kept_was_flushed_in_its_order, setup,
						teardown),
		cmocka_unit_test_setup_teardown(damage_is_seen_and_heals, setup, teardown),
		cmocka_unit_test_setup_teardown(bounds_refuse, setup, teardown),
		cmocka_unit_test_setup_teardown(fetches_stand_beside_uploads, setup, teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_refuses_the_upload, setup, teardown),
		cmocka_unit_test_setup_teardown(a_kill_anywhere_leaves_all_or_nothing, setup,
						teardown),
		cmocka_unit_test_setup_teardown(two_hundred_uploads_need_little_memory, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
