#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "devkeys.h"
#include "signer/vault.h"

static struct signer_config config_of(const struct devkeys *d, const char *passphrase_file)
{
	return (struct signer_config){ d->keys, d->certs, passphrase_file, 1, -1, NULL,
					false };
}

static void finds_and_judges(void **state)
{
	struct devkeys d;
	struct vault *v;
	struct signer_config cfg;
	static const char *const kinds[] = { "k1", "k2" };
	struct devca_key k = { .id = "b", .unit = "u", .algorithm = ALG_P256, .name = "b",
		.kinds = kinds, .kinds_n = 2, .from = 20000101, .to = 20991231,
		.valid_from_days = -1, .valid_to_days = 10 };
	int64_t day = 86400000;

	assert_int_equal(devkeys_open(&d, ALG_P256, NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "c", "u", "s"), 0);
	assert_int_equal(devca_add(d.ca, &k, &d.e), ST_OK);
	assert_int_equal(devkeys_add(&d, ALG_P256, "a", "u", "t"), 0);
	assert_int_equal(devca_publish(d.ca, &d.e), ST_OK);
	cfg = config_of(&d, NULL);
	assert_int_equal(vault_open(&v, &cfg, &d.e), ST_OK);
	assert_int_equal(vault_keys(v), 3);
	assert_int_equal(vault_find(v, slice_str("c")), 0);
	assert_int_equal(vault_find(v, slice_str("b")), 1);
	assert_int_equal(vault_find(v, slice_str("a")), 2);
	assert_int_equal(vault_find(v, slice_str("ab")), -1);
	assert_int_equal(vault_find(v, slice_str("")), -1);
	assert_int_equal(vault_judge(v, 1, slice_str("u"), slice_str("k2"), d.now_ms),
			 ANSWER_SIGNED);
	assert_int_equal(vault_judge(v, 1, slice_str("u"), slice_str("k3"), d.now_ms),
			 ANSWER_POLICY);
	assert_int_equal(vault_judge(v, 1, slice_str("U"), slice_str("k2"), d.now_ms),
			 ANSWER_POLICY);
	assert_int_equal(vault_judge(v, 1, slice_str("u"), slice_str("k1"), d.now_ms + 11 * day),
			 ANSWER_NOT_VALID_NOW);
	assert_int_equal(vault_judge(v, 1, slice_str("u"), slice_str("k1"), d.now_ms - 2 * day),
			 ANSWER_NOT_VALID_NOW);
	vault_close(v);
	devkeys_close(&d);
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void opens_encrypted_keys(void **state)
{
	struct devkeys d;
	struct vault *v;
	struct vault_hand *h;
	struct signer_config cfg;
	char file[400];
	uint8_t digest[32] = { 1 }, out[SIGNATURE_BYTES_MAX];
	uint16_t n;

	assert_int_equal(devkeys_open(&d, ALG_P256, "mật khẩu"), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "a", "u", NULL), 0);
	assert_int_equal(devca_publish(d.ca, &d.e), ST_OK);
	snprintf(file, sizeof(file), "%s/pass", d.dir.path);
	cfg = config_of(&d, NULL);
	assert_int_equal(vault_open(&v, &cfg, &d.e), ST_INVALID);
	assert_non_null(strstr(d.e.text, "passphrase_file"));
	cfg = config_of(&d, file);
	assert_int_equal(vault_open(&v, &cfg, &d.e), ST_NOT_FOUND);
	write_file(d.dir.path, "pass", "wrong\n");
	assert_int_equal(vault_open(&v, &cfg, &d.e), ST_INVALID);
	assert_non_null(strstr(d.e.text, "passphrase does not open"));
	write_file(d.dir.path, "pass", "mật khẩu\n");
	assert_int_equal(vault_open(&v, &cfg, &d.e), ST_OK);
	assert_int_equal(vault_hand_new(&h, v, VAULT_FILES), ST_OK);
	assert_int_equal(vault_sign(h, 0, digest, out, &n), ST_OK);
	vault_hand_free(h);
	vault_close(v);
	devkeys_close(&d);
}

static void refuses_what_others_can_read(void **state)
{
	struct devkeys d;
	struct vault *v;
	struct signer_config cfg;
	char path[400];

	assert_int_equal(devkeys_open(&d, ALG_P256, NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "a", "u", NULL), 0);
	assert_int_equal(devca_publish(d.ca, &d.e), ST_OK);
	snprintf(path, sizeof(path), "%s/a.pem", d.keys);
	assert_int_equal(chmod(path, 0640), 0);
	cfg = config_of(&d, NULL);
	assert_int_equal(vault_open(&v, &cfg, &d.e), ST_DENIED);
	assert_non_null(strstr(d.e.text, "chmod 600"));
	devkeys_close(&d);
}

static void refuses_another_algorithm_than_stated(void **state)
{
	struct devkeys d;
	struct vault *v;
	struct signer_config cfg;

	assert_int_equal(devkeys_open(&d, ALG_P256, NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_RSA2048, "a", "u", NULL), 0);
	assert_int_equal(devca_publish(d.ca, &d.e), ST_OK);
	write_file(d.certs, "keys.json",
		   "{\"version\":1,\"keys\":[{\"id\":\"a\",\"role\":\"agency\",\"unit\":"
		   "\"u\",\"algorithm\":\"rsa3072\",\"key\":\"a.pem\",\"certificate\":\"a.pem\","
		   "\"chain\":"
		   "[\"issuing.pem\",\"root.pem\"]}]}");
	cfg = config_of(&d, NULL);
	assert_int_equal(vault_open(&v, &cfg, &d.e), ST_INVALID);
	assert_non_null(strstr(d.e.text, "not for rsa3072"));
	write_file(d.keys, "a.pem", "no key at all\n");
	assert_int_equal(vault_open(&v, &cfg, &d.e), ST_INVALID);
	assert_non_null(strstr(d.e.text, "no PEM private key"));
	devkeys_close(&d);
}

/* 40,000 signatures see the usual lengths; each has to be one that a skeleton exists for. */
static void ecdsa_lengths_stay_in_bounds(void **state)
{
	struct devkeys d;
	struct vault *v;
	struct vault_hand *h;
	struct signer_config cfg;
	uint32_t seen[73] = { 0 };

	assert_int_equal(devkeys_open(&d, ALG_P256, NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "a", "u", NULL), 0);
	assert_int_equal(devca_publish(d.ca, &d.e), ST_OK);
	cfg = config_of(&d, NULL);
	assert_int_equal(vault_open(&v, &cfg, &d.e), ST_OK);
	assert_int_equal(vault_hand_new(&h, v, VAULT_FILES), ST_OK);
	for (uint32_t i = 0; i < 40000; i++) {
		uint8_t digest[32] = { 0 }, out[SIGNATURE_BYTES_MAX];
		uint16_t n;

		memcpy(digest, &i, sizeof(i));
		assert_int_equal(vault_sign(h, 0, digest, out, &n), ST_OK);
		assert_in_range(n, 66, 72);
		seen[n]++;
	}
	assert_true(seen[70] > 0 && seen[71] > seen[70] / 2 && seen[72] > 0);
	vault_hand_free(h);
	vault_close(v);
	devkeys_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_and_judges),
		cmocka_unit_test(opens_encrypted_keys),
		cmocka_unit_test(refuses_what_others_can_read),
		cmocka_unit_test(refuses_another_algorithm_than_stated),
		cmocka_unit_test(ecdsa_lengths_stay_in_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
