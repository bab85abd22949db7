#include "portal/evidence.h"

#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "portal/show.h"

static void item_add(struct evidence_list *l, struct evidence_item item)
{
	if (l->n < EVIDENCE_ITEMS_MAX)
		l->of[l->n++] = item;
}

/* The lines of a set that name something. */
static void set_read(struct evidence_list *l, struct slice set, uint8_t signature)
{
	static const char certificate[] = "certificate ", list[] = "list ";

	while (set.n > 0) {
		const uint8_t *end = memchr(set.p, '\n', set.n);
		size_t n = end != NULL ? (size_t)(end - set.p) : set.n;
		struct evidence_item item = { .signature = signature };
		size_t head = n > sizeof(list) && memcmp(set.p, list, sizeof(list) - 1) == 0 ?
				sizeof(list) - 1 :
			      n > sizeof(certificate) &&
			      memcmp(set.p, certificate, sizeof(certificate) - 1) == 0 ?
				sizeof(certificate) - 1 : 0;

		item.list = head == sizeof(list) - 1;
		if (head > 0 && hex_read(item.sha256, SHA256_BYTES,
					 slice_of(set.p + head, n - head)))
			item_add(l, item);
		set = slice_of(set.p + n, set.n - n);
		if (set.n > 0)
			set = slice_of(set.p + 1, set.n - 1);
	}
}

enum status evidence_read(struct reading *r, const struct result_view *v,
			  struct evidence_list *out)
{
	struct signature_view of[DOC_SIGNATURES_MAX];
	uint8_t n = v->signatures_n;
	enum status st = ST_OK;

	*out = (struct evidence_list){ .n = 0 };
	memcpy(of, v->signatures, sizeof(of));
	for (uint8_t i = 0; st == ST_OK && i < n; i++) {
		struct evidence_item signer = { .signature = i, .signer = true };
		struct slice set;

		memcpy(signer.sha256, of[i].cert_sha256, SHA256_BYTES);
		item_add(out, signer);
		if (memcmp(of[i].evidence_sha256, (uint8_t[SHA256_BYTES]){ 0 },
			   SHA256_BYTES) == 0)
			continue;
		st = r->ops->object(r->store, of[i].evidence_sha256, &set);
		if (st == ST_OK)
			set_read(out, set, i);
	}
	return st;
}

const struct evidence_item *evidence_find(const struct evidence_list *l,
					  const uint8_t sha256[SHA256_BYTES])
{
	for (uint32_t i = 0; i < l->n; i++)
		if (memcmp(l->of[i].sha256, sha256, SHA256_BYTES) == 0)
			return &l->of[i];
	return NULL;
}

/* The common name, else the last part of it. */
static json_t *name_json(const X509_NAME *name)
{
	char text[256] = "";
	X509_NAME_ENTRY *one;
	unsigned char *utf8 = NULL;
	int at = X509_NAME_get_index_by_NID((X509_NAME *)name, NID_commonName, -1);
	int n;

	if (at < 0)
		at = X509_NAME_entry_count(name) - 1;
	one = at >= 0 ? X509_NAME_get_entry(name, at) : NULL;
	n = one != NULL ? ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(one)) : -1;
	if (n > 0)
		snprintf(text, sizeof(text), "%.*s", n < 255 ? n : 255, (const char *)utf8);
	OPENSSL_free(utf8);
	return slice_json(slice_str(text));
}

static json_t *time_json(const ASN1_TIME *at)
{
	struct tm t;

	if (at == NULL || ASN1_TIME_to_tm(at, &t) != 1)
		return json_string("");
	return moment_json((int64_t)timegm(&t) * 1000);
}

static void certificate_add(json_t *row, struct slice der)
{
	const unsigned char *p = der.p;
	X509 *x = d2i_X509(NULL, &p, (long)der.n);

	if (x == NULL)
		return;
	json_object_set_new(row, "subject", name_json(X509_get_subject_name(x)));
	json_object_set_new(row, "issuer", name_json(X509_get_issuer_name(x)));
	json_object_set_new(row, "from", time_json(X509_get0_notBefore(x)));
	json_object_set_new(row, "to", time_json(X509_get0_notAfter(x)));
	X509_free(x);
}

static void list_add(json_t *row, struct slice der)
{
	const unsigned char *p = der.p;
	X509_CRL *x = d2i_X509_CRL(NULL, &p, (long)der.n);

	if (x == NULL)
		return;
	json_object_set_new(row, "issuer", name_json(X509_CRL_get_issuer(x)));
	json_object_set_new(row, "from", time_json(X509_CRL_get0_lastUpdate(x)));
	json_object_set_new(row, "to", time_json(X509_CRL_get0_nextUpdate(x)));
	X509_CRL_free(x);
}

json_t *evidence_json(struct reading *r, const struct evidence_list *l, enum status *st)
{
	json_t *rows = json_array();

	*st = ST_OK;
	for (uint32_t i = 0; *st == ST_OK && i < l->n; i++) {
		char hex[2 * SHA256_BYTES + 1] = "";
		struct slice der;
		json_t *row;

		/* What two signatures rest on is shown once. */
		if (evidence_find(l, l->of[i].sha256) != &l->of[i])
			continue;
		hex_lower(hex, l->of[i].sha256, SHA256_BYTES);
		row = json_pack("{s:s, s:b, s:b, s:i}", "sha256", hex, "list", l->of[i].list,
				"signer", l->of[i].signer, "signature", l->of[i].signature + 1);
		json_array_append_new(rows, row);
		*st = r->ops->object(r->store, l->of[i].sha256, &der);
		if (*st == ST_OK && l->of[i].list)
			list_add(row, der);
		else if (*st == ST_OK)
			certificate_add(row, der);
	}
	return rows;
}
