/* The engine's end of a child's socket: messages whole, however they come; another child's socket;
 * an end with an operation in flight. Both makers of io. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "spine/childlink.h"

#define MESSAGE_MAX 64
#define IN_BYTES 100

struct end {
	struct io *io;
	struct child_link link;
	int child;
	char got[256];			/* messages, each with a bar behind it */
	char why[96];			/* of the last loss that was one */
	int losses, sends;
};

static enum status message(void *owner, struct slice bytes)
{
	struct end *e = owner;

	size_t n = strlen(e->got);

	snprintf(e->got + n, sizeof(e->got) - n, "%.*s|", (int)bytes.n, (const char *)bytes.p);
	return bytes.n == 1 && bytes.p[0] == '!' ? ST_CORRUPT : ST_OK;
}

static void lost(void *owner, const char *why)
{
	struct end *e = owner;

	if (why == NULL)
		return;
	e->losses++;
	snprintf(e->why, sizeof(e->why), "%s", why);
}

static void sent(void *owner)
{
	((struct end *)owner)->sends++;
}

static const struct child_calls calls = { "the child", message, lost, sent };

static void turn(struct end *e)
{
	for (int i = 0; i < 3; i++)
		io_run(e->io, 20);
}

static void child_new(struct end *e)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	e->child = pair[1];
	child_link_set(&e->link, pair[0]);
}

static void say(struct end *e, const char *bytes, size_t n)
{
	assert_int_equal(write(e->child, bytes, n), n);
	turn(e);
}

static int setup(void **state, enum io_kind kind)
{
	static struct end e;
	struct error why;

	e = (struct end){ .child = -1 };
	*state = &e;
	if (io_new(&e.io, kind, 16, &why) == ST_UNAVAILABLE)
		return io_new(&e.io, IO_POSIX, 16, &why);
	return child_link_open(&e.link, e.io, &calls, &e, 4096, IN_BYTES, MESSAGE_MAX);
}

static int setup_uring(void **state)
{
	return setup(state, IO_URING);
}

static int setup_posix(void **state)
{
	return setup(state, IO_POSIX);
}

static int teardown(void **state)
{
	struct end *e = *state;

	child_link_close(&e->link);
	io_free(e->io);
	if (e->child >= 0)
		close(e->child);
	return 0;
}

static void messages_come_whole(void **state)
{
	struct end *e = *state;

	child_new(e);
	say(e, "\3\0\0", 3);
	say(e, "\0on", 3);
	assert_string_equal(e->got, "");
	say(e, "e\3\0\0\0two\5\0\0", 11);
	assert_string_equal(e->got, "one|two|");
	say(e, "\0three\0\0\0\0", 10);
	assert_string_equal(e->got, "one|two|three||");
	assert_int_equal(e->losses, 0);
}

static void what_is_no_message_loses_the_child(void **state)
{
	struct end *e = *state;

	child_new(e);
	say(e, "\101\0\0\0", 4);	/* 65 bytes are announced */
	assert_int_equal(e->losses, 1);
	assert_string_equal(e->why, "the child answered what was not asked");
	assert_int_equal(e->link.fd, -1);
	close(e->child);
	child_new(e);
	say(e, "\1\0\0\0!\1\0\0\0a", 10);
	assert_int_equal(e->losses, 2);
	assert_string_equal(e->got, "!|");	/* what stands behind it is not trusted */
}

static void another_child_begins_anew(void **state)
{
	struct end *e = *state;
	int first;

	child_new(e);
	say(e, "\3\0\0\0o", 5);
	e->link.ready = true;
	first = e->child;
	child_new(e);
	assert_string_equal(e->why, "replaced by the supervisor");
	assert_false(child_link_can_send(&e->link));
	close(first);
	turn(e);
	say(e, "\3\0\0\0two", 7);
	assert_string_equal(e->got, "two|");
	assert_int_equal(e->losses, 1);
	close(e->child);
	e->child = -1;
	turn(e);
	assert_int_equal(e->losses, 2);
	assert_string_equal(e->why, "the child closed its socket");
}

static void one_send_at_a_time(void **state)
{
	struct end *e = *state;
	char bytes[16];

	child_new(e);
	assert_false(child_link_can_send(&e->link));
	e->link.ready = true;
	assert_true(child_link_can_send(&e->link));
	memcpy(e->link.out, "hello", 5);
	child_link_send(&e->link, 5);
	assert_false(child_link_can_send(&e->link));
	turn(e);
	assert_int_equal(e->sends, 1);
	assert_true(child_link_can_send(&e->link));
	assert_int_equal(read(e->child, bytes, sizeof(bytes)), 5);
	assert_memory_equal(bytes, "hello", 5);
}

/* The buffers are not freed before the kernel is through with them. */
static void an_end_waits_for_what_is_in_flight(void **state)
{
	struct end *e = *state;

	child_new(e);
	io_run(e->io, 0);
	assert_true(e->link.receiving);
	child_link_close(&e->link);
	assert_false(e->link.receiving);
	assert_int_equal(e->losses, 0);
	assert_int_equal(child_link_open(&e->link, e->io, &calls, e, 4096, IN_BYTES, MESSAGE_MAX),
			 ST_OK);
}

#define BOTH(f) cmocka_unit_test_setup_teardown(f, setup_uring, teardown), \
		cmocka_unit_test_setup_teardown(f, setup_posix, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(messages_come_whole), BOTH(what_is_no_message_loses_the_child),
		BOTH(another_child_begins_anew), BOTH(one_send_at_a_time),
		BOTH(an_end_waits_for_what_is_in_flight),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
