#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "devkeys.h"
#include "signer/certs.h"

static mode_t mode_of(const struct devkeys *d, const char *name)
{
	char path[400];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", d->dir.path, name);
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

static void private_keys_are_private(void **state)
{
	struct devkeys d;

	assert_int_equal(devkeys_open(&d, ALG_P256, NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "a", "u", NULL), 0);
	assert_int_equal(devca_server(d.ca, &d.e), ST_OK);
	assert_int_equal(devca_client(d.ca, "one-stop", &d.e), ST_OK);
	assert_int_equal(devca_publish(d.ca, &d.e), ST_OK);
	assert_int_equal(mode_of(&d, "keys"), 0700);
	assert_int_equal(mode_of(&d, "tls"), 0700);
	assert_int_equal(mode_of(&d, "keys/a.pem"), 0600);
	assert_int_equal(mode_of(&d, "tls/server.key"), 0600);
	assert_int_equal(mode_of(&d, "tls/client-one-stop.key"), 0600);
	assert_int_equal(mode_of(&d, "certs/keys.json"), 0644);
	devkeys_close(&d);
}

static void keys_are_never_overwritten(void **state)
{
	struct devkeys d;
	struct devca *again;
	struct devca_config cfg = { .algorithm = ALG_P256, .crl_days = 1 };

	assert_int_equal(devkeys_open(&d, ALG_P256, NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "a", "u", NULL), 0);
	assert_int_equal(devca_publish(d.ca, &d.e), ST_OK);
	cfg.data = d.dir.path;
	cfg.now_ms = d.now_ms;
	assert_int_equal(devca_new(&again, &cfg, &d.e), ST_EXISTS);
	assert_non_null(strstr(d.e.text, "never overwritten"));
	devkeys_close(&d);
}

/* Verifiers that are not ours look for both; with neither, some call a good chain unknown. */
static void a_signer_has_a_purpose_and_a_list(void **state)
{
	struct devkeys d;
	CRL_DIST_POINTS *lists;
	X509 *cert;

	assert_int_equal(devkeys_open(&d, ALG_P256, NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "a", "u", NULL), 0);
	assert_int_equal(cert_read(&cert, d.certs, "a.pem", &d.e), ST_OK);
	assert_int_equal(X509_get_extended_key_usage(cert), XKU_SMIME);
	lists = X509_get_ext_d2i(cert, NID_crl_distribution_points, NULL, NULL);
	assert_int_equal(sk_DIST_POINT_num(lists), 1);
	CRL_DIST_POINTS_free(lists);
	X509_free(cert);
	devkeys_close(&d);
}

static void a_client_certificate_names_its_principal(void **state)
{
	struct devkeys d;
	char dir[400];
	X509 *cert, *ca;
	GENERAL_NAMES *names;

	assert_int_equal(devkeys_open(&d, ALG_P256, NULL), 0);
	assert_int_equal(devca_client(d.ca, "one-stop", &d.e), ST_OK);
	assert_int_equal(devca_client(d.ca, "../x", &d.e), ST_INVALID);
	snprintf(dir, sizeof(dir), "%s/tls", d.dir.path);
	assert_int_equal(cert_read(&cert, dir, "client-one-stop.pem", &d.e), ST_OK);
	assert_int_equal(cert_read(&ca, dir, "ca.pem", &d.e), ST_OK);
	assert_int_equal(X509_verify(cert, X509_get0_pubkey(ca)), 1);
	names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	assert_int_equal(sk_GENERAL_NAME_num(names), 1);
	assert_int_equal(sk_GENERAL_NAME_value(names, 0)->type, GEN_URI);
	assert_string_equal(ASN1_STRING_get0_data(
				    sk_GENERAL_NAME_value(names, 0)->d.uniformResourceIdentifier),
			    "trien://principal/one-stop");
	GENERAL_NAMES_free(names);
	X509_free(cert);
	X509_free(ca);
	devkeys_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(private_keys_are_private),
		cmocka_unit_test(keys_are_never_overwritten),
		cmocka_unit_test(a_signer_has_a_purpose_and_a_list),
		cmocka_unit_test(a_client_certificate_names_its_principal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
