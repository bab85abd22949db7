#include <inttypes.h>
#include <stdlib.h>

#include "sign/keyring.h"

/* A head, a line for each member, a verdict. */
#define LINE_BYTES 96
#define SET_BYTES_MAX ((EVIDENCE_MEMBERS_MAX + 2) * LINE_BYTES)

static_assert(EVIDENCE_MEMBERS_MAX >= 2 * KEY_CHAIN_MAX,
	      "each issuer, and the list that it signed");

static void layer_of(struct layer *l, struct slice der)
{
	l->bytes = der.p;
	l->size = (uint32_t)der.n;
	sha256_once(der.p, der.n, l->sha256);
}

enum status evidence_lists(struct layer **out, const STACK_OF(X509_CRL) *crls, struct error *e)
{
	int count = sk_X509_CRL_num(crls);
	struct layer *lists = calloc((size_t)count + 1, sizeof(*lists));

	if (lists == NULL)
		return error_set(e, ST_NOMEM, "revocation lists: out of memory");
	*out = lists;
	for (int i = 0; i < count; i++) {
		unsigned char *der = NULL;
		int n = i2d_X509_CRL(sk_X509_CRL_value(crls, i), &der);

		if (n <= 0)
			return error_set(e, ST_NOMEM, "revocation lists: out of memory");
		layer_of(&lists[i], slice_of(der, (size_t)n));
		if (n > EVIDENCE_BYTES_MAX)
			return error_set(e, ST_TOO_LARGE,
					 "a revocation list of %d bytes; at most %d are kept", n,
					 EVIDENCE_BYTES_MAX);
	}
	return ST_OK;
}

void evidence_lists_free(struct layer *lists)
{
	for (struct layer *l = lists; l != NULL && l->bytes != NULL; l++)
		OPENSSL_free((void *)l->bytes);
	free(lists);
}

static void add_line(struct writer *w, const char *line)
{
	write_bytes(w, line, strlen(line));
	write_u8(w, '\n');
}

static void add_member(struct signing_key *k, struct writer *w, const char *what,
		       const struct layer *l)
{
	char line[LINE_BYTES], hex[2 * SHA256_BYTES + 1] = "none";

	if (l != NULL) {
		hex_lower(hex, l->sha256, SHA256_BYTES);
		k->evidence.members[k->evidence.members_n++] = l;
	}
	snprintf(line, sizeof(line), "%s %s", what, hex);
	add_line(w, line);
}

static void add_verdict(const struct signing_key *k, struct writer *w)
{
	char line[LINE_BYTES];

	if (k->fresh_to_ms == INT64_MAX)
		snprintf(line, sizeof(line), "revocation is not asked for");
	else if (k->fresh_to_ms == INT64_MIN)
		snprintf(line, sizeof(line), "revocation is not known");
	else
		snprintf(line, sizeof(line), "not revoked, known until %" PRId64,
			 k->fresh_to_ms);
	add_line(w, line);
}

enum status evidence_build(struct signing_key *k, const struct layer *lists, struct error *e)
{
	uint8_t *bytes = malloc(SET_BYTES_MAX);
	struct writer w = writer_of(bytes, SET_BYTES_MAX);

	if (bytes == NULL)
		return error_set(e, ST_NOMEM, "keyring: out of memory");
	k->evidence.set.bytes = bytes;
	add_line(&w, EVIDENCE_HEAD);
	layer_of(&k->evidence.certificate, k->ders[0]);
	for (uint8_t i = 0; i + 1 < k->chain_n; i++) {
		layer_of(&k->issuers[i], k->ders[i + 1]);
		add_member(k, &w, "list", k->lists[i] < 0 ? NULL : &lists[k->lists[i]]);
		add_member(k, &w, "certificate", &k->issuers[i]);
	}
	add_verdict(k, &w);
	layer_of(&k->evidence.set, writer_slice(&w));
	return w.bad ? ST_INTERNAL : ST_OK;
}

void evidence_free(struct signing_key *k)
{
	free((void *)k->evidence.set.bytes);
}
