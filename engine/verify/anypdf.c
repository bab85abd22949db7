#include "verify/anypdf.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "verify/anysign.h"
#include "verify/inside.h"

/* Every byte but those of DSS and time-stamps: the changes after it were looked at. */
static void check_whole(const struct any *a, const struct any_signatures *s, struct finding *f)
{
	bool any = false;

	for (uint8_t i = 0; i < s->n; i++)
		any |= !s->list[i].timestamp;
	if (!any)
		find_fault(f, VERDICT_INDETERMINATE, IND_GENERIC,
			   "PDF: there is no signature in the file, only time-stamps");
	/* The first certifies, or none does. */
	for (uint8_t i = 1; i < s->n; i++)
		if (s->list[i].docmdp != 0)
			find_fault(f, VERDICT_FAILED, IND_FORMAT_FAILURE,
				   "PDF: only the first signature may certify the document");
}

enum status any_document(const struct roots *roots, struct slice file, struct report *out)
{
	struct any_signatures found = { .n = 0 };
	struct finding changed = { .verdict = VERDICT_PASSED };
	struct any a;
	enum status st;

	out->finding = (struct finding){ .verdict = VERDICT_PASSED };
	out->signatures_n = 0;
	out->stamps_n = 0;
	st = any_open(&a, file, &out->finding);
	if (st == ST_OK)
		st = any_signatures_read(&a, &found, &out->finding);
	if (st == ST_OK) {
		check_whole(&a, &found, &changed);
		if (any_changes_check(&a, &found, &changed) == ST_NOMEM)
			st = ST_NOMEM;
		finding_merge(&out->finding, &changed);
	}
	for (uint8_t i = 0; st == ST_OK && i < found.n; i++) {
		struct signature_report *s = &out->signatures[out->signatures_n];

		if (found.list[i].timestamp) {
			any_stamp_check(roots, file, &found.list[i], out);
			continue;
		}
		out->signatures_n++;
		st = any_proof_check(roots, file, &found.list[i], s);
		finding_merge(&out->finding, &s->finding);
	}
	any_close(&a);
	return st == ST_NOMEM ? ST_NOMEM : ST_OK;
}

void any_prepare(void)
{
	static const char *const digests[] = { "SHA256", "SHA384", "SHA512" };
	static const char *const keys[] = { "RSA", "EC", "RSA-PSS" };
	static const char *const signatures[] = { "RSA", "ECDSA" };

	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_CRYPTO_STRINGS |
			    OPENSSL_INIT_ADD_ALL_DIGESTS | OPENSSL_INIT_ADD_ALL_CIPHERS, NULL);
	for (size_t i = 0; i < ARRAY_LEN(digests); i++)
		EVP_MD_free(EVP_MD_fetch(NULL, digests[i], NULL));
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		EVP_KEYMGMT_free(EVP_KEYMGMT_fetch(NULL, keys[i], NULL));
	for (size_t i = 0; i < ARRAY_LEN(signatures); i++)
		EVP_SIGNATURE_free(EVP_SIGNATURE_fetch(NULL, signatures[i], NULL));
}
