/* The signer as the engine sees it: a child process behind a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <signal.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "devkeys.h"
#include "signer/certs.h"
#include "signer/signer.h"
#include "signer_child.h"

static struct child start(const struct devkeys *d, const char *passphrase_file)
{
	return child_start((struct signer_config){ d->keys, d->certs, passphrase_file, 2, -1,
						   NULL, false });
}

static void assert_verifies(const struct devkeys *d, const char *file, bool pss,
			    const uint8_t *digest, struct slice signature)
{
	X509 *cert;
	EVP_PKEY_CTX *c;

	assert_int_equal(cert_read(&cert, d->certs, file, NULL), ST_OK);
	c = EVP_PKEY_CTX_new(X509_get0_pubkey(cert), NULL);
	assert_int_equal(EVP_PKEY_verify_init(c), 1);
	if (pss)
		EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING);
	assert_int_equal(EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()), 1);
	if (EVP_PKEY_verify(c, signature.p, signature.n, digest, 32) != 1)
		fail_msg("%s: signature of %zu bytes does not verify", file, signature.n);
	EVP_PKEY_CTX_free(c);
	X509_free(cert);
}

static int keys_setup(void **state)
{
	static struct devkeys d;

	*state = &d;
	return devkeys_open(&d, ALG_P256, NULL) ||
	       devkeys_add(&d, ALG_RSA2048, "rsa", "u1", NULL) ||
	       devkeys_add(&d, ALG_P256, "p256", "u1", "s1") ||
	       devkeys_add(&d, ALG_PSS2048, "pss", "u2", "s2") ||
	       devkeys_add(&d, ALG_RSA3072, "rsa3072", "u2", NULL) ||
	       devca_publish(d.ca, &d.e) != ST_OK;
}

static int keys_teardown(void **state)
{
	devkeys_close(*state);
	return 0;
}

static void signs_groups_of_every_algorithm(void **state)
{
	static const struct { const char *id, *file, *unit; bool pss; } keys[] = {
		{ "rsa", "rsa.pem", "u1", false }, { "p256", "p256.pem", "u1", false },
		{ "pss", "pss.pem", "u2", true }, { "rsa3072", "rsa3072.pem", "u2", false } };
	static uint8_t buf[SIGNER_REPLY_BYTES_MAX];
	static uint8_t digests[4][100][32];
	struct devkeys *d = *state;
	struct child c = start(d, NULL);
	struct sign_group g[4];
	struct signer_reply r;

	expect_ready(c.fd, ANSWER_SIGNED, "ready");
	for (uint32_t k = 0; k < 4; k++) {
		for (uint32_t i = 0; i < 100; i++)
			memset(digests[k][i], (int)(k * 100 + i), 32);
		g[k] = (struct sign_group){ slice_str(keys[k].id), slice_str(keys[k].unit),
					    slice_str("x"), k == 1 ? 100 : 5,
					    (const uint8_t (*)[32])digests[k], 0 };
	}
	ask(c.fd, 9, g, 4);
	r = reply(c.fd, buf);
	assert_int_equal(r.tag, 9);
	assert_int_equal(r.total, 115);
	for (uint32_t k = 0; k < 4; k++) {
		for (uint32_t i = 0; i < g[k].count; i++) {
			enum sign_answer a;
			struct slice s;

			assert_int_equal(signer_reply_next(&r, &a, &s), ST_OK);
			assert_int_equal(a, ANSWER_SIGNED);
			assert_verifies(d, keys[k].file, keys[k].pss, digests[k][i], s);
		}
	}
	assert_int_equal(stop(&c), EX_OK);
}

static void refuses_by_policy_and_signs_the_rest(void **state)
{
	static uint8_t buf[SIGNER_REPLY_BYTES_MAX];
	static uint8_t digest[1][32];
	static const enum sign_answer want[] = { ANSWER_UNKNOWN_KEY, ANSWER_POLICY, ANSWER_SIGNED,
						 ANSWER_UNKNOWN_KEY };
	struct devkeys *d = *state;
	struct child c = start(d, NULL);
	struct sign_group g[4] = { { slice_str("nobody"), slice_str("u1"), slice_str("x"), 1,
				     (const uint8_t (*)[32])digest, 0 },
				   { slice_str("rsa"), slice_str("u2"), slice_str("x"), 1,
				     (const uint8_t (*)[32])digest, 0 },
				   { slice_str("rsa"), slice_str("u1"), slice_str("x"), 1,
				     (const uint8_t (*)[32])digest, 0 },
				   { slice_str(""), slice_str("u1"), slice_str("x"), 1,
				     (const uint8_t (*)[32])digest, 0 } };
	struct signer_reply r;

	expect_ready(c.fd, ANSWER_SIGNED, "ready");
	ask(c.fd, 1, g, 4);
	r = reply(c.fd, buf);
	assert_int_equal(r.total, 4);
	for (uint32_t i = 0; i < 4; i++) {
		enum sign_answer a;
		struct slice s;

		assert_int_equal(signer_reply_next(&r, &a, &s), ST_OK);
		assert_int_equal(a, want[i]);
		assert_true((s.n > 0) == (a == ANSWER_SIGNED));
	}
	assert_int_equal(stop(&c), EX_OK);
}

static void many_requests_are_all_answered_once(void **state)
{
	static uint8_t buf[SIGNER_REPLY_BYTES_MAX];
	static uint8_t digests[20][32];
	struct devkeys *d = *state;
	struct child c = start(d, NULL);
	bool seen[31] = { false };

	expect_ready(c.fd, ANSWER_SIGNED, "ready");
	for (uint64_t tag = 1; tag <= 30; tag++) {
		struct sign_group g = { slice_str("p256"), slice_str("u1"), slice_str("x"),
					(uint16_t)(1 + tag % 20), (const uint8_t (*)[32])digests,
					0 };

		ask(c.fd, tag, &g, 1);
	}
	for (int i = 0; i < 30; i++) {
		struct signer_reply r = reply(c.fd, buf);

		assert_true(r.tag >= 1 && r.tag <= 30 && !seen[r.tag]);
		assert_int_equal(r.total, 1 + r.tag % 20);
		seen[r.tag] = true;
	}
	assert_int_equal(stop(&c), EX_OK);
}

static void a_broken_request_stops_it(void **state)
{
	static const uint8_t huge[4] = { 0xff, 0xff, 0xff, 0x7f };
	static const uint8_t cut[14] = { 10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 5, 0 };
	const struct { const uint8_t *p; size_t n; } bad[] = { { huge, 4 }, { cut, 14 } };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct child c = start(*state, NULL);
		uint8_t byte;

		expect_ready(c.fd, ANSWER_SIGNED, "ready");
		assert_int_equal(send(c.fd, bad[i].p, bad[i].n, MSG_NOSIGNAL), bad[i].n);
		assert_true(recv(c.fd, &byte, 1, 0) <= 0);
		assert_int_equal(stop(&c), EX_PROTOCOL);
	}
}

static void ignores_the_terminals_signals(void **state)
{
	static uint8_t buf[SIGNER_REPLY_BYTES_MAX];
	static uint8_t digest[1][32];
	struct child c = start(*state, NULL);
	struct sign_group g = { slice_str("rsa"), slice_str("u1"), slice_str("x"), 1,
				(const uint8_t (*)[32])digest, 0 };

	expect_ready(c.fd, ANSWER_SIGNED, "ready");
	kill(c.pid, SIGINT);
	kill(c.pid, SIGTERM);
	ask(c.fd, 3, &g, 1);
	assert_int_equal(reply(c.fd, buf).tag, 3);
	assert_int_equal(stop(&c), EX_OK);
}

static void it_runs_shut_in(void **state)
{
	struct child c = start(*state, NULL);
	char path[64], text[8192];
	size_t n;
	FILE *f;

	expect_ready(c.fd, ANSWER_SIGNED, "ready");
	snprintf(path, sizeof(path), "/proc/%d/status", (int)c.pid);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	assert_non_null(strstr(text, "\nNoNewPrivs:\t1\n"));
	assert_non_null(strstr(text, "\nSeccomp:\t2\n"));
	assert_int_equal(stop(&c), EX_OK);
}

static void a_key_of_another_certificate_stops_the_start(void **state)
{
	struct devkeys d;
	struct child c;
	char from[400], to[400];

	assert_int_equal(devkeys_open(&d, ALG_P256, NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "a", "u", NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "b", "u", "s"), 0);
	assert_int_equal(devca_publish(d.ca, &d.e), ST_OK);
	snprintf(from, sizeof(from), "%s/a.pem", d.keys);
	snprintf(to, sizeof(to), "%s/b.pem", d.keys);
	assert_int_equal(rename(from, to), 0);
	c = start(&d, NULL);
	expect_ready(c.fd, ANSWER_FAILED, "a.pem");	/* a's own is gone */
	assert_int_equal(stop(&c), EX_CONFIG);
	assert_int_equal(link(to, from), 0);
	c = start(&d, NULL);
	expect_ready(c.fd, ANSWER_FAILED, "b.pem is not the key of the certificate b.pem");
	assert_int_equal(stop(&c), EX_CONFIG);
	devkeys_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(signs_groups_of_every_algorithm),
		cmocka_unit_test(refuses_by_policy_and_signs_the_rest),
		cmocka_unit_test(many_requests_are_all_answered_once),
		cmocka_unit_test(a_broken_request_stops_it),
		cmocka_unit_test(ignores_the_terminals_signals),
		cmocka_unit_test(it_runs_shut_in),
		cmocka_unit_test(a_key_of_another_certificate_stops_the_start),
	};

	return cmocka_run_group_tests(tests, keys_setup, keys_teardown);
}
