#include "verify/verify.h"

#include <string.h>

#include "verify/inside.h"
#include "verify/proof.h"

const char *verdict_name(enum verdict v)
{
	static const char *const names[] = { "TOTAL-PASSED", "TOTAL-FAILED", "INDETERMINATE" };

	return names[v];
}

const char *indication_name(enum indication i)
{
	static const char *const names[IND_COUNT] = { [IND_NONE] = "",
						      [IND_FORMAT_FAILURE] = "FORMAT_FAILURE",
						      [IND_HASH_FAILURE] = "HASH_FAILURE",
						      [IND_SIG_CRYPTO_FAILURE] = "SIG_CRYPTO_"
										 "FAILURE",
						      [IND_REVOKED] = "REVOKED",
						      [IND_NOT_YET_VALID] = "NOT_YET_VALID",
						      [IND_SIG_CONSTRAINTS_FAILURE] = "SIG_"
										      "CONSTRAINTS_"
										      "FAILURE",
						      [IND_CHAIN_CONSTRAINTS_FAILURE] = "CHAIN_"
											"CONSTRAINT"
											"S_FAILURE",
						      [IND_CRYPTO_CONSTRAINTS_FAILURE] = "CRYPTO_"
											 "CONSTRAIN"
											 "TS_"
											 "FAILURE",
						      [IND_NO_SIGNING_CERTIFICATE_FOUND] = "NO_"
											   "SIGNING"
											   "_CERTIF"
											   "ICATE_"
											   "FOUND",
						      [IND_NO_CERTIFICATE_CHAIN_FOUND] = "NO_"
											 "CERTIFICA"
											 "TE_CHAIN_"
											 "FOUND",
						      [IND_OUT_OF_BOUNDS_NO_POE] = "OUT_OF_BOUNDS_"
										   "NO_POE",
						      [IND_REVOKED_NO_POE] = "REVOKED_NO_POE",
						      [IND_TRY_LATER] = "TRY_LATER",
						      [IND_GENERIC] = "GENERIC" };

	return names[i];
}

const char *level_name(enum evidence_level l)
{
	static const char *const names[] = { "B-B", "B-T", "B-LT", "B-LTA" };

	return names[l];
}

void finding_merge(struct finding *all, const struct finding *one)
{
	if (all->verdict == VERDICT_FAILED || one->verdict == VERDICT_PASSED)
		return;
	if (all->verdict == VERDICT_PASSED || one->verdict == VERDICT_FAILED)
		*all = *one;
}

/*
 * V9: the agency bound to the certificate. One that names none is bound by its subject, the
 * agency's own name; an officer's may name neither, beside the agency's.
 */
void report_check_agency(struct report *r)
{
	struct finding wrong = { .verdict = VERDICT_PASSED };
	bool bound = false;

	for (uint8_t i = 0; i < r->signatures_n; i++) {
		const struct signature_report *s = &r->signatures[i];

		if (s->unit[0] != '\0' && strcmp(s->unit, r->said.unit) != 0)
			find_fault(&wrong, VERDICT_INDETERMINATE, IND_SIG_CONSTRAINTS_FAILURE,
				   "the certificate of signature %u is of another agency than the "
				   "document", i + 1u);
		bound |= s->unit[0] != '\0' || strcmp(s->subject, r->said.unit_name) == 0;
	}
	if (!bound)
		find_fault(&wrong, VERDICT_INDETERMINATE, IND_SIG_CONSTRAINTS_FAILURE,
			   "no certificate names the agency that the document names");
	finding_merge(&r->finding, &wrong);
}

/* As the trailers have it: /ID[<32 hex digits>… */
void report_find_id(struct slice file, struct report *out)
{
	static const char head[] = "/ID[<";
	const size_t n = sizeof(head) - 1, hex = 2 * sizeof(out->id);

	for (size_t at = file.n; at >= n + hex + 1 && !out->named; at--) {
		const uint8_t *p = file.p + at - (n + hex + 1);

		out->named = p[n + hex] == '>' && memcmp(p, head, n) == 0 &&
			     hex_read(out->id, sizeof(out->id), slice_of(p + n, hex));
	}
}

void report_whole(struct report *out)
{
	out->issued_bytes = out->file_bytes;
	memcpy(out->issued_sha256, out->file_sha256, SHA256_BYTES);
}

/* Nobody is trusted: what a file of ours is, and whether it was changed, needs no trust. */
static enum status judge_own(struct slice file, struct report *out)
{
	struct roots nobody = { .store = X509_STORE_new(), .others = sk_X509_new_null() };
	enum status st = nobody.store != NULL && nobody.others != NULL ?
			 verify_document(&nobody, file, out) : ST_NOMEM;

	X509_STORE_free(nobody.store);
	sk_X509_free(nobody.others);
	return st;
}

enum status verify_without_roots(struct slice file, struct report *out)
{
	enum status st = judge_own(file, out);

	if (st == ST_OK && !out->own) {
		out->signatures_n = out->stamps_n = 0;
		out->dss = false;
		out->finding = (struct finding){ .verdict = VERDICT_PASSED };
	}
	find_fault(&out->finding, VERDICT_INDETERMINATE, IND_NO_CERTIFICATE_CHAIN_FOUND,
		   "there is no root certificate to trust");
	return st;
}
