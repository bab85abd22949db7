/*
 * desk_rig.h - an engine of the test's own behind the desk of signing sessions: papers 0 to 7 that
 * wait for signer "s", files of sessions, a clock, a disk that may be full.
 *
 * Linked with --wrap=catalogue_signer,--wrap=catalogue_unit,--wrap=catalogue_kind,
 * --wrap=catalogue_unref.
 */
#ifndef TESTS_DESK_RIG_H
#define TESTS_DESK_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "intake/desk.h"

#define NOW 1780000000000LL		/* 2026-05-28 */
#define PAPERS 8
#define FILES 16

struct kept { uint8_t id[16]; uint8_t *bytes; size_t n; };

/* It survives its desks. */
struct engine {
	pthread_mutex_t lock;
	int64_t now_ms;
	struct kept files[FILES];
	uint32_t files_n;
	uint32_t writes_left;		/* then they fail: the disk is full */
	enum state state[PAPERS];	/* where each result is */
	uint8_t draft[PAPERS];		/* its drawing's digest */
	enum status paper_status;	/* not ST_OK: nothing can be read */
	enum status act_status;		/* of the next approvals */
	const uint8_t *act_fails;	/* a session whose approvals get ST_FULL */
	int64_t act_ms;			/* so long an approval takes, by its clock */
	bool lose_answer;		/* approve, and answer ST_UNAVAILABLE */
	bool slow;			/* what is approved is not numbered yet */
	bool decided[PAPERS];
	uint32_t acts, approved[64], approved_n;
};

extern struct engine engine;
extern struct signer signer;		/* the catalogue's only one */
extern struct intake in;

/* Empty disk, all papers waiting. A cmocka setup. */
int reset(void **state);
struct desk *open_desk(void);
/* Papers first, first + 1 …, of principal "p". */
void open_session(struct desk *d, uint8_t id[16], uint32_t first, uint32_t n);
/* Waits until it is decided. */
enum status confirm(struct desk *d, const uint8_t id[16]);
void fill_disk(bool full);
void advance(int64_t ms);
/* 0: unknown. */
enum session_state state_of(struct desk *d, const uint8_t id[16]);
/* As its file says; 0: there is none. */
enum session_state state_on_disk(const uint8_t id[16]);
void wait_state(struct desk *d, const uint8_t id[16], enum session_state want);
struct session_item item_of(struct desk *d, const uint8_t id[16], uint32_t i);

struct waiter { struct confirmation c; atomic_bool done; };
void told(struct confirmation *c);

#endif
