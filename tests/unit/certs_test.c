#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devkeys.h"
#include "signer/certs.h"

static void reads_names_times_and_agency(void **state)
{
	struct devkeys d;
	X509 *cert;
	char name[64], cut[5], unit[64];

	assert_int_equal(devkeys_open(&d, ALG_P256, NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "a", "u-7", "s"), 0);
	assert_int_equal(cert_read(&cert, d.certs, "a.pem", &d.e), ST_OK);
	cert_common_name(cert, name, sizeof(name));
	assert_string_equal(name, "Trần Văn Thử");
	cert_common_name(cert, cut, sizeof(cut));
	assert_string_equal(cut, "Tr");		/* "ầ" takes three bytes and would not fit whole */
	assert_true(cert_unit(cert, unit, sizeof(unit)));
	assert_string_equal(unit, "u-7");
	assert_false(cert_unit(cert, unit, 3));
	assert_true(cert_time_ms(X509_get0_notBefore(cert)) == d.now_ms - 86400000);
	assert_true(cert_has_algorithm(cert, ALG_P256));
	assert_false(cert_has_algorithm(cert, ALG_RSA2048));
	X509_free(cert);
	assert_int_equal(cert_read(&cert, d.certs, "root.pem", &d.e), ST_OK);
	assert_false(cert_unit(cert, unit, sizeof(unit)));
	X509_free(cert);
	assert_int_equal(cert_read(&cert, d.certs, "none.pem", &d.e), ST_NOT_FOUND);
	devkeys_close(&d);
}

static void revocation_needs_the_issuers_own_list(void **state)
{
	struct devkeys d;
	STACK_OF(X509_CRL) *crls;
	X509 *a, *b, *issuing, *root;
	struct revocation r;

	assert_int_equal(devkeys_open(&d, ALG_P256, NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "a", "u", NULL), 0);
	assert_int_equal(devkeys_add(&d, ALG_P256, "b", "u", "s"), 0);
	assert_int_equal(devca_revoke(d.ca, "b", &d.e), ST_OK);
	assert_int_equal(devca_revoke(d.ca, "c", &d.e), ST_NOT_FOUND);
	assert_int_equal(devca_publish(d.ca, &d.e), ST_OK);
	assert_int_equal(crls_read_all(&crls, d.certs, &d.e), ST_OK);
	assert_int_equal(sk_X509_CRL_num(crls), 2);
	assert_int_equal(cert_read(&a, d.certs, "a.pem", &d.e), ST_OK);
	assert_int_equal(cert_read(&b, d.certs, "b.pem", &d.e), ST_OK);
	assert_int_equal(cert_read(&issuing, d.certs, "issuing.pem", &d.e), ST_OK);
	assert_int_equal(cert_read(&root, d.certs, "root.pem", &d.e), ST_OK);
	r = crl_look_up(crls, a, issuing);
	assert_int_equal(r.state, REVOCATION_GOOD);
	assert_true(r.this_ms == d.now_ms && r.next_ms == d.now_ms + 30 * 86400000LL);
	r = crl_look_up(crls, b, issuing);
	assert_int_equal(r.state, REVOCATION_REVOKED);
	assert_true(r.revoked_ms == d.now_ms);
	assert_int_equal(crl_look_up(crls, issuing, root).state, REVOCATION_GOOD);
	assert_int_equal(crl_look_up(crls, a, b).state, REVOCATION_UNKNOWN);
	assert_int_equal(crl_look_up(NULL, a, issuing).state, REVOCATION_UNKNOWN);
	X509_free(a);
	X509_free(b);
	X509_free(issuing);
	X509_free(root);
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	devkeys_close(&d);
}

static void a_broken_list_is_named(void **state)
{
	struct tmpdir t;
	STACK_OF(X509_CRL) *crls;
	struct error e;
	char path[300];
	FILE *f;

	assert_int_equal(tmpdir_make(&t), 0);
	snprintf(path, sizeof(path), "%s/x.crl", t.path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs("nonsense", f);
	fclose(f);
	assert_int_equal(crls_read_all(&crls, t.path, &e), ST_INVALID);
	assert_non_null(strstr(e.text, "x.crl"));
	tmpdir_remove(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_names_times_and_agency),
		cmocka_unit_test(revocation_needs_the_issuers_own_list),
		cmocka_unit_test(a_broken_list_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
