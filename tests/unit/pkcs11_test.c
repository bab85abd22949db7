/* A token that loses sessions, goes away, comes back, makes rubbish or refuses its PIN. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <dlfcn.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "devkeys.h"
#include "fake_p11.h"
#include "signer/certs.h"
#include "signer/pkcs11.h"

static const struct { const char *id; enum algorithm algorithm; } kinds[] = {
	{ "rsa", ALG_RSA2048 }, { "pss", ALG_PSS2048 }, { "p256", ALG_P256 } };

struct rig {
	struct devkeys d;
	struct fake_p11 fake;
	struct key_policy policies[ARRAY_LEN(kinds)];
	X509 *certs[ARRAY_LEN(kinds)];
	struct token_policy token;
	struct pkcs11_modules *modules;
	struct pkcs11 *t;
	struct pkcs11_hand *hand;
};

static int make(void **state)
{
	static struct rig r;
	void *library = dlopen(FAKE_P11, RTLD_NOW | RTLD_LOCAL);
	void *symbol = library != NULL ? dlsym(library, "fake_p11_use") : NULL;
	fake_p11_use_fn *use;

	assert_non_null(symbol);
	memcpy(&use, &symbol, sizeof(use));
	use(&r.fake);
	assert_int_equal(devkeys_open(&r.d, ALG_P256, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		char file[40];

		assert_int_equal(devkeys_add(&r.d, kinds[i].algorithm, kinds[i].id, "u", NULL), 0);
		snprintf(file, sizeof(file), "%s.pem", kinds[i].id);
		assert_int_equal(cert_read(&r.certs[i], r.d.certs, file, NULL), ST_OK);
		r.policies[i] = (struct key_policy){ .id = kinds[i].id, .label = kinds[i].id,
			.algorithm = kinds[i].algorithm, .source = SOURCE_PKCS11 };
		r.fake.labels[i] = kinds[i].id;
		r.fake.keys[i] = devkeys_private(&r.d, kinds[i].id);
		assert_non_null(r.fake.keys[i]);
	}
	r.fake.keys_n = ARRAY_LEN(kinds);
	*state = &r;
	return 0;
}

static int unmake(void **state)
{
	struct rig *r = *state;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		X509_free(r->certs[i]);
		EVP_PKEY_free(r->fake.keys[i]);
	}
	devkeys_close(&r->d);
	return 0;
}

/* A token in good order, with nothing asked of it yet. */
static int setup(void **state)
{
	struct rig *r = *state;
	struct fake_p11 *f = &r->fake;

	f->sessions_stated = CK_EFFECTIVELY_INFINITE;
	f->sessions_real = 0;
	f->sign_fails = CKR_OK;
	f->removed = f->garbage = f->closed = f->pin_low = false;
	f->initialized = f->logins = f->finds = f->signs = f->sessions_most = f->order_n = 0;
	r->token = (struct token_policy){ .name = "hsm", .module = FAKE_P11, .label = "fake",
					  .slot = -1 };
	r->t = NULL;
	r->hand = NULL;
	return 0;
}

static void open_token(struct rig *r, const char *pin_text)
{
	struct pin pin = { .n = (uint8_t)strlen(pin_text) };
	uint32_t key;

	memcpy(pin.bytes, pin_text, pin.n);
	assert_int_equal(pkcs11_modules_new(&r->modules), ST_OK);
	assert_int_equal(pkcs11_open(&r->t, r->modules, &r->token, &pin, &r->d.e), ST_OK);
	for (uint32_t i = 0; i < ARRAY_LEN(kinds); i++) {
		assert_int_equal(pkcs11_add(r->t, &r->policies[i], r->certs[i], &key), ST_OK);
		assert_int_equal(key, i);
	}
	assert_int_equal(pkcs11_hand_new(&r->hand, r->t), ST_OK);
}

static void close_token(struct rig *r)
{
	pkcs11_hand_free(r->hand);
	pkcs11_close(r->t);
	pkcs11_modules_free(r->modules);
	r->t = NULL;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	if (r->t != NULL)
		close_token(r);
	return 0;
}

static void connect_token(struct rig *r)
{
	open_token(r, FAKE_PIN);
	assert_int_equal(pkcs11_connect(r->t, &r->d.e), ST_OK);
}

static bool is_signature(const struct rig *r, uint32_t key, const uint8_t digest[32],
			 const uint8_t *value, uint16_t size)
{
	EVP_PKEY_CTX *c = algorithm_context(algorithm_info(kinds[key].algorithm),
					    X509_get0_pubkey(r->certs[key]), false);
	bool good = EVP_PKEY_verify(c, value, size, digest, 32) == 1;

	EVP_PKEY_CTX_free(c);
	openssl_reason();
	return good;
}

/* A signature that verifies, or why there is none. */
static enum status sign(struct rig *r, struct pkcs11_hand *h, uint32_t key, uint8_t seed)
{
	uint8_t digest[32], value[SIGNATURE_BYTES_MAX];
	uint16_t size;
	enum status st;

	memset(digest, seed, sizeof(digest));
	st = pkcs11_sign(h, key, digest, value, &size);
	if (st == ST_OK)
		assert_true(is_signature(r, key, digest, value, size));
	return st;
}

static void signs_in_every_algorithm(void **state)
{
	struct rig *r = *state;

	connect_token(r);
	assert_int_equal(r->fake.signs, ARRAY_LEN(kinds));	/* each key has proved itself */
	for (uint32_t i = 0; i < 60; i++)
		assert_int_equal(sign(r, r->hand, i % ARRAY_LEN(kinds), (uint8_t)i), ST_OK);
	assert_int_equal(r->fake.initialized, 1);
	assert_int_equal(r->fake.logins, 1);
	assert_int_equal(r->fake.finds, ARRAY_LEN(kinds));
	assert_int_equal(r->fake.sessions_most, 1);
}

static void a_lost_session_is_started_over(void **state)
{
	static const CK_RV lost[] = { CKR_SESSION_HANDLE_INVALID, CKR_DEVICE_REMOVED,
		CKR_DEVICE_ERROR, CKR_TOKEN_NOT_PRESENT, CKR_GENERAL_ERROR, CKR_USER_NOT_LOGGED_IN,
		CKR_KEY_HANDLE_INVALID, CKR_OPERATION_ACTIVE, CKR_VENDOR_DEFINED | 7 };
	struct rig *r = *state;

	connect_token(r);
	for (uint32_t i = 0; i < ARRAY_LEN(lost); i++) {
		unsigned int signs = r->fake.signs;

		r->fake.sign_fails = lost[i];
		assert_int_equal(sign(r, r->hand, 0, (uint8_t)i), ST_OK);
		assert_int_equal(r->fake.initialized, 2 + i);
		assert_int_equal(r->fake.logins, 2 + i);
		/* A trial signature before the one that was asked for. */
		assert_int_equal(r->fake.signs, signs + 2);
	}
}

static void what_cannot_be_mended_is_not_tried_again(void **state)
{
	struct rig *r = *state;

	connect_token(r);
	r->fake.sign_fails = CKR_MECHANISM_INVALID;
	assert_int_equal(sign(r, r->hand, 0, 1), ST_INTERNAL);
	assert_non_null(strstr(pkcs11_why(r->hand), "CKR_MECHANISM_INVALID"));
	assert_int_equal(r->fake.initialized, 1);
}

static void a_removed_token_is_down_and_comes_back(void **state)
{
	struct rig *r = *state;
	unsigned int tried;
	enum status st = ST_UNAVAILABLE;

	connect_token(r);
	r->fake.removed = true;
	assert_int_equal(sign(r, r->hand, 0, 1), ST_UNAVAILABLE);
	assert_non_null(strstr(pkcs11_why(r->hand), "hsm"));
	tried = r->fake.initialized;
	assert_in_range(tried, 2, 5);
	/* Down: answered without asking it. */
	for (uint8_t i = 0; i < 100; i++)
		assert_int_equal(sign(r, r->hand, 1, i), ST_UNAVAILABLE);
	assert_in_range(r->fake.initialized, tried, tried + 2);
	r->fake.removed = false;
	for (int i = 0; i < 1000 && st == ST_UNAVAILABLE; i++) {
		st = sign(r, r->hand, 2, 3);
		if (st != ST_OK)
			nanosleep(&(struct timespec){ 0, 10000000 }, NULL);
	}
	assert_int_equal(st, ST_OK);
	assert_int_equal(sign(r, r->hand, 0, 4), ST_OK);
}

static void a_token_that_is_away_at_the_start_may_come(void **state)
{
	struct rig *r = *state;

	r->fake.removed = true;
	open_token(r, FAKE_PIN);
	assert_int_equal(pkcs11_connect(r->t, &r->d.e), ST_UNAVAILABLE);
	r->fake.removed = false;
	assert_int_equal(sign(r, r->hand, 0, 1), ST_OK);
}

static void rubbish_is_found_out_before_it_is_used(void **state)
{
	struct rig *r = *state;
	uint8_t digest[32] = { 1 }, value[SIGNATURE_BYTES_MAX];
	uint16_t size;

	r->fake.garbage = true;
	open_token(r, FAKE_PIN);
	assert_int_equal(pkcs11_connect(r->t, &r->d.e), ST_INVALID);
	assert_non_null(strstr(r->d.e.text, "'rsa'"));
	close_token(r);
	/* A token that is another one after it was away. */
	r->fake.garbage = false;
	connect_token(r);
	r->fake.garbage = true;
	r->fake.sign_fails = CKR_SESSION_HANDLE_INVALID;
	assert_int_equal(pkcs11_sign(r->hand, 0, digest, value, &size), ST_UNAVAILABLE);
	assert_non_null(strstr(pkcs11_why(r->hand), "does not verify"));
	r->fake.garbage = false;
	/* Only that key waits. */
	assert_int_equal(sign(r, r->hand, 1, 1), ST_OK);
}

static void a_wrong_pin_is_sent_once(void **state)
{
	struct rig *r = *state;

	open_token(r, "0815");
	assert_int_equal(pkcs11_connect(r->t, &r->d.e), ST_DENIED);
	assert_null(strstr(r->d.e.text, "0815"));
	for (uint8_t i = 0; i < 10; i++)
		assert_int_equal(sign(r, r->hand, i % 3, i), ST_DENIED);
	assert_int_equal(r->fake.logins, 1);
	close_token(r);
	/* The next process neither, be its PIN the right one: the token remembers. */
	open_token(r, FAKE_PIN);
	assert_int_equal(pkcs11_connect(r->t, &r->d.e), ST_DENIED);
	assert_int_equal(r->fake.logins, 1);
	close_token(r);
	r->fake.pin_low = false;
	connect_token(r);
	assert_int_equal(r->fake.logins, 2);
}

static void a_key_that_it_has_not_is_wrong(void **state)
{
	struct rig *r = *state;

	r->fake.keys_n = 2;
	open_token(r, FAKE_PIN);
	assert_int_equal(pkcs11_connect(r->t, &r->d.e), ST_NOT_FOUND);
	r->fake.keys_n = ARRAY_LEN(kinds);
	assert_non_null(strstr(r->d.e.text, "'p256'"));
}

struct signer { struct rig *r; uint8_t seed; };

static void *sign_many(void *arg)
{
	struct signer *s = arg;
	struct pkcs11_hand *h;
	uintptr_t failed = 0;

	if (pkcs11_hand_new(&h, s->r->t) != ST_OK)
		return (void *)1;
	for (uint8_t i = 0; i < 50; i++)
		failed += sign(s->r, h, i % 3, (uint8_t)(s->seed + i)) != ST_OK;
	pkcs11_hand_free(h);
	return (void *)failed;
}

/* Eight threads; all get their signatures. */
static void crowd(struct rig *r)
{
	struct signer s[8];
	pthread_t threads[ARRAY_LEN(s)];

	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		s[i] = (struct signer){ r, (uint8_t)i };
		assert_int_equal(pthread_create(&threads[i], NULL, sign_many, &s[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(s); i++) {
		void *failed;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static void no_more_sessions_than_it_states(void **state)
{
	struct rig *r = *state;

	r->fake.sessions_stated = 2;
	r->token.sessions = 6;
	connect_token(r);
	assert_int_equal(pkcs11_sessions(r->t), 2);
	crowd(r);
	assert_in_range(r->fake.sessions_most, 1, 2);
}

static void nor_than_it_has(void **state)
{
	struct rig *r = *state;

	r->fake.sessions_real = 1;
	r->token.sessions = 6;
	connect_token(r);
	crowd(r);
	assert_int_equal(r->fake.sessions_most, 1);
	assert_int_equal(r->fake.initialized, 1);
}

static void threads_start_over_together(void **state)
{
	struct rig *r = *state;

	connect_token(r);
	r->fake.sign_fails = CKR_DEVICE_ERROR;
	crowd(r);
	/* Once, however many threads saw it fail. */
	assert_int_equal(r->fake.initialized, 2);
	assert_int_equal(r->fake.logins, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(signs_in_every_algorithm),
		TEST(a_lost_session_is_started_over),
		TEST(what_cannot_be_mended_is_not_tried_again),
		TEST(a_removed_token_is_down_and_comes_back),
		TEST(a_token_that_is_away_at_the_start_may_come),
		TEST(rubbish_is_found_out_before_it_is_used),
		TEST(a_wrong_pin_is_sent_once),
		TEST(a_key_that_it_has_not_is_wrong),
		TEST(no_more_sessions_than_it_states),
		TEST(nor_than_it_has),
		TEST(threads_start_over_together),
	};

	return cmocka_run_group_tests(tests, make, unmake);
}
