/* The signer process with keys in files and in a token: who waits for whom. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <time.h>

#include "fake_p11.h"
#include "signer_child.h"

/* In the token a.seal, b.seal and a.late; in a file f.seal. */
static const char *const ids[] = { "a.seal", "b.seal", "a.late", "f.seal" };
static const char *const units[] = { "a", "b", "a", "f" };
enum { A, B, A_LATE, F };
#define IN_TOKEN 3

struct rig {
	struct devkeys d;
	struct fake_p11 *fake;
	char pin_file[320];
	fake_p11_use_fn *use;
};

static void write_policy(const struct devkeys *d)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/keys.json", d->certs);
	f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "{\"version\":1,\"tokens\":[{\"name\":\"hsm\",\"module\":\"%s\",\"token\":"
		"\"fake\",\"sessions\":1}],\"keys\":[", FAKE_P11);
	for (int i = 0; i <= F; i++)
		fprintf(f, "%s{\"id\":\"%s\",\"role\":\"agency\",\"unit\":\"%s\",\"algorithm\":"
			"\"p256\",%s%s%s,\"certificate\":\"%s.pem\",\"chain\":[\"issuing.pem\","
			"\"root.pem\"]}", i > 0 ? "," : "", ids[i], units[i], i < IN_TOKEN ?
			"\"source\":\"pkcs11\",\"token\":\"hsm\",\"label\":\"" : "\"key\":\"",
			ids[i], i < IN_TOKEN ? "\"" : ".pem\"", ids[i]);
	fputs("]}", f);
	assert_int_equal(fclose(f), 0);
}

static int make(void **state)
{
	static struct rig r;
	void *library = dlopen(FAKE_P11, RTLD_NOW | RTLD_LOCAL);
	void *symbol = library != NULL ? dlsym(library, "fake_p11_use") : NULL;
	FILE *f;

	assert_non_null(symbol);
	memcpy(&r.use, &symbol, sizeof(r.use));
	r.fake = mmap(NULL, sizeof(*r.fake), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	assert_true(r.fake != MAP_FAILED);
	r.use(r.fake);
	assert_int_equal(devkeys_open(&r.d, ALG_P256, NULL), 0);
	for (int i = 0; i <= F; i++)
		assert_int_equal(devkeys_add(&r.d, ALG_P256, ids[i], units[i], NULL), 0);
	assert_int_equal(devca_publish(r.d.ca, &r.d.e), ST_OK);
	write_policy(&r.d);
	for (int i = 0; i < IN_TOKEN; i++) {
		r.fake->labels[i] = ids[i];
		r.fake->keys[i] = devkeys_private(&r.d, ids[i]);
		assert_non_null(r.fake->keys[i]);
	}
	r.fake->keys_n = IN_TOKEN;
	snprintf(r.pin_file, sizeof(r.pin_file), "%s/pin", r.d.dir.path);
	f = fopen(r.pin_file, "w");
	assert_non_null(f);
	fputs(FAKE_PIN "\n", f);
	fclose(f);
	*state = &r;
	return chmod(r.pin_file, 0600);
}

static int unmake(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < IN_TOKEN; i++)
		EVP_PKEY_free(r->fake->keys[i]);
	munmap(r->fake, sizeof(*r->fake));
	devkeys_close(&r->d);
	return 0;
}

static struct child start_as_it_is(struct rig *r, bool later)
{
	return child_start((struct signer_config){ r->d.keys, r->d.certs, NULL, 1, -1,
						   r->pin_file, later });
}

static struct child start(struct rig *r)
{
	r->fake->removed = r->fake->closed = false;
	r->fake->order_n = 0;
	return start_as_it_is(r, false);
}

static struct sign_group group(int key, uint16_t count, uint8_t urgency)
{
	static const uint8_t digests[SIGNER_DIGESTS_MAX][32];

	return (struct sign_group){ slice_str(ids[key]), slice_str(units[key]), slice_str("x"),
				    count, digests, urgency };
}

static void ask_for(int fd, uint64_t tag, int key, uint16_t count, uint8_t urgency)
{
	struct sign_group g = group(key, count, urgency);

	ask(fd, tag, &g, 1);
}

/* The next answer; what only says that the signer is still at it is counted. */
static uint64_t answered(int fd, enum sign_answer want, uint32_t *still)
{
	static uint8_t buf[SIGNER_REPLY_BYTES_MAX];
	struct signer_reply r = reply(fd, buf);

	for (; r.total == 0; r = reply(fd, buf))
		*still += 1;
	for (uint16_t i = 0; i < r.total; i++) {
		enum sign_answer a;
		struct slice s;

		assert_int_equal(signer_reply_next(&r, &a, &s), ST_OK);
		assert_int_equal(a, want);
		assert_true(s.n > 0);
	}
	return r.tag;
}

static void a_token_that_stands_holds_no_file_key_up(void **state)
{
	struct rig *r = *state;
	struct child c = start(r);
	uint32_t still = 0;

	expect_ready(c.fd, ANSWER_SIGNED, "ready");
	r->fake->closed = true;
	ask_for(c.fd, 1, A, 10, 1);
	for (uint64_t tag = 2; tag < 20; tag++) {
		ask_for(c.fd, tag, F, 20, 1);
		assert_int_equal(answered(c.fd, ANSWER_SIGNED, &still), tag);
	}
	assert_int_equal(still, 0);
	r->fake->closed = false;
	assert_int_equal(answered(c.fd, ANSWER_SIGNED, &still), 1);
	/* The first signature after a long while is told of. */
	assert_true(still > 0);
	assert_int_equal(stop(&c), EX_OK);
}

/* What the token signed from `from` on, by a letter a key. */
static void order_of(const struct rig *r, char *out, uint32_t from)
{
	uint32_t n = r->fake->order_n;

	for (uint32_t i = from; i < n; i++)
		*out++ = "abA"[r->fake->order[i]];
	*out = '\0';
}

static void urgent_first_then_agencies_in_turn(void **state)
{
	struct rig *r = *state;
	struct child c = start(r);
	char order[FAKE_ORDER_MAX + 1];
	uint32_t still = 0, before, arrived;

	expect_ready(c.fd, ANSWER_SIGNED, "ready");
	before = r->fake->order_n;
	arrived = r->fake->arrived;
	r->fake->closed = true;
	ask_for(c.fd, 1, A, 6, 2);
	/* The thread has the first of them in hand before the others are asked for. */
	for (int i = 0; i < 20000 && r->fake->arrived == arrived; i++)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	assert_int_equal(r->fake->arrived, arrived + 1);
	ask_for(c.fd, 3, B, 3, 2);
	ask_for(c.fd, 4, A_LATE, 2, 0);
	ask_for(c.fd, 5, B, 1, 0);
	ask_for(c.fd, 6, F, 1, 0);
	assert_int_equal(answered(c.fd, ANSWER_SIGNED, &still), 6);
	r->fake->closed = false;
	for (int i = 0; i < 4; i++)
		answered(c.fd, ANSWER_SIGNED, &still);
	order_of(r, order, before);
	/* Urgent: b, which had nothing, then the other key of a. Then b until it has as much. */
	assert_string_equal(order, "abAAbbabaaaa");
	assert_int_equal(stop(&c), EX_OK);
}

/* Asked until it is signed. */
static void signs_in_the_end(int fd, int key)
{
	static uint8_t buf[SIGNER_REPLY_BYTES_MAX];
	struct signer_reply got;
	enum sign_answer a;
	struct slice s;

	for (uint64_t tag = 100;; tag++) {
		ask_for(fd, tag, key, 1, 1);
		do
			got = reply(fd, buf);
		while (got.total == 0);
		assert_int_equal(signer_reply_next(&got, &a, &s), ST_OK);
		if (a == ANSWER_SIGNED)
			return;
		assert_int_equal(a, ANSWER_UNAVAILABLE);
		assert_true(tag < 1000);
		nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	}
}

static void a_token_that_is_gone_is_told_and_the_rest_goes_on(void **state)
{
	struct rig *r = *state;
	struct child c = start(r);
	uint32_t still = 0;

	expect_ready(c.fd, ANSWER_SIGNED, "ready");
	r->fake->removed = true;
	ask_for(c.fd, 1, A, 20, 1);
	ask_for(c.fd, 2, F, 20, 1);
	assert_int_equal(answered(c.fd, ANSWER_SIGNED, &still), 2);
	assert_int_equal(answered(c.fd, ANSWER_UNAVAILABLE, &still), 1);
	r->fake->removed = false;
	signs_in_the_end(c.fd, A);
	assert_int_equal(stop(&c), EX_OK);
}

static void later_a_token_that_does_not_answer_is_not_waited_for(void **state)
{
	struct rig *r = *state;
	struct child c;
	uint32_t still = 0;

	r->fake->closed = true;
	c = start_as_it_is(r, true);
	expect_ready(c.fd, ANSWER_SIGNED, "ready");
	ask_for(c.fd, 1, F, 5, 1);
	assert_int_equal(answered(c.fd, ANSWER_SIGNED, &still), 1);
	ask_for(c.fd, 2, A, 5, 1);
	assert_int_equal(answered(c.fd, ANSWER_UNAVAILABLE, &still), 2);
	r->fake->closed = false;
	signs_in_the_end(c.fd, A);
	assert_int_equal(stop(&c), EX_OK);
}

static void later_a_key_that_the_token_has_not_stops_only_itself(void **state)
{
	struct rig *r = *state;
	struct child c;
	uint32_t still = 0;

	r->fake->keys_n = IN_TOKEN - 1;
	c = start_as_it_is(r, false);
	expect_ready(c.fd, ANSWER_FAILED, "'a.late'");
	assert_int_equal(stop(&c), EX_CONFIG);
	c = start_as_it_is(r, true);
	expect_ready(c.fd, ANSWER_SIGNED, "ready");
	for (int key = A; key <= F; key++) {
		ask_for(c.fd, 1, key, 2, 1);
		answered(c.fd, key == A_LATE ? ANSWER_UNAVAILABLE : ANSWER_SIGNED, &still);
	}
	r->fake->keys_n = IN_TOKEN;
	assert_int_equal(stop(&c), EX_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_that_stands_holds_no_file_key_up),
		cmocka_unit_test(urgent_first_then_agencies_in_turn),
		cmocka_unit_test(a_token_that_is_gone_is_told_and_the_rest_goes_on),
		cmocka_unit_test(later_a_token_that_does_not_answer_is_not_waited_for),
		cmocka_unit_test(later_a_key_that_the_token_has_not_stops_only_itself),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
