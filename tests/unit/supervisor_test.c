/*
 * How long the supervisor waits before it starts a child again that keeps crashing, and what it
 * hears of a new one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "greeting.h"
#include "remote/remote.h"
#include "signer/door.h"
#include "supervisor.h"

static void a_pause_grows_and_ends_growing(void **state)
{
	int64_t before = 0;

	assert_int_equal(supervisor_pause_ms(0), 0);
	assert_int_equal(supervisor_pause_ms(1), 200);
	for (uint32_t crashes = 1; crashes <= 200; crashes++) {
		int64_t ms = supervisor_pause_ms(crashes);

		assert_true(ms >= before && ms <= 3200);
		before = ms;
	}
	assert_int_equal(supervisor_pause_ms(UINT32_MAX), 3200);
}

/* What is looked at is still there for whoever gets the socket. */
static void looks(int fd, enum greeter who, enum status st, const char *why)
{
	char text[GREETING_WHY_BYTES] = "";

	for (int i = 0; i < 2; i++)
		assert_int_equal(greeting_look(fd, who, text), st);
	if (why != NULL)
		assert_string_equal(text, why);
}

static void a_greeting_is_looked_at(void **state)
{
	static const struct { bool ready; const char *text; enum status st; } says[] = {
		{ true, "ready", ST_OK }, { false, "k.pem: not a key", ST_PRECONDITION } };
	uint8_t bytes[256];

	for (int who = GREETER_SIGNER; who <= GREETER_REMOTE; who++)
		for (size_t i = 0; i < ARRAY_LEN(says); i++) {
			struct writer w = writer_of(bytes, sizeof(bytes));
			struct remote_answer a = { 0, says[i].ready ? REMOTE_SIGNED :
						   REMOTE_UNAVAILABLE, slice_str(says[i].text) };
			struct door d;
			int pair[2];

			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
			looks(pair[0], (enum greeter)who, ST_AGAIN, NULL);
			door_init(&d, pair[1]);
			if (who == GREETER_SIGNER) {
				door_say(&d, says[i].ready ? ANSWER_SIGNED : ANSWER_FAILED,
					 says[i].text);
			} else {
				assert_int_equal(remote_encode_answer(&w, &a), ST_OK);
				/* In two pieces. */
				assert_int_equal(write(pair[1], bytes, 7), 7);
				looks(pair[0], GREETER_REMOTE, ST_AGAIN, NULL);
				assert_true(write(pair[1], bytes + 7, writer_size(&w) - 7) > 0);
			}
			looks(pair[0], (enum greeter)who, says[i].st, says[i].text);
			door_free(&d);
			close(pair[1]);
			close(pair[0]);
			assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
			close(pair[1]);
			looks(pair[0], (enum greeter)who, ST_PRECONDITION,
			      "it ended without a word");
			close(pair[0]);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pause_grows_and_ends_growing),
		cmocka_unit_test(a_greeting_is_looked_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
