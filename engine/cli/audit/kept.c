#include <stdlib.h>
#include <string.h>

#include "cli/audit/audit.h"
#include "document.h"

/* The lists that were kept with some signatures: a key's results have the same ones. */
struct audit_kept {
	const struct audit *a;
	uint8_t sets[SHA256_BYTES];	/* digest of their names */
	struct roots *roots;		/* NULL: none yet */
	bool whole;			/* all that the sets name was read */
};

enum status audit_kept_new(struct audit_kept **out, const struct audit *a)
{
	struct audit_kept *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return ST_NOMEM;
	k->a = a;
	*out = k;
	return ST_OK;
}

void audit_kept_free(struct audit_kept *k)
{
	if (k == NULL)
		return;
	roots_free(k->roots);
	free(k);
}

/* Missing and damaged evidence is told by keys.c; here it only proves nothing. */
static enum status take(struct audit_kept *k, enum status st)
{
	if (st == ST_NOT_FOUND || st == ST_CORRUPT || st == ST_INVALID) {
		k->whole = false;
		return ST_OK;
	}
	return st;
}

static enum status list_take(struct audit_kept *k, struct store_reader *r, const char *hex)
{
	uint8_t sha256[SHA256_BYTES];
	struct slice der;
	enum status st;

	/* "none": the verifier has its word on a certificate without a list. */
	if (!hex_read(sha256, sizeof(sha256), slice_of(hex, strcspn(hex, "\n"))))
		return ST_OK;
	st = k->a->store->ops->object(r, sha256, &der);
	return take(k, st == ST_OK ? roots_add_list(k->roots, der) : st);
}

static enum status set_take(struct audit_kept *k, struct store_reader *r, const uint8_t *sha256)
{
	struct slice bytes;
	enum status st = k->a->store->ops->object(r, sha256, &bytes);
	char *set = NULL;

	if (st != ST_OK)
		return take(k, st);
	set = strndup((const char *)bytes.p, bytes.n);
	if (set == NULL)
		return ST_NOMEM;
	for (const char *line = set; line != NULL && st == ST_OK;
	     line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL)
		if (strncmp(line, "list ", 5) == 0)
			st = list_take(k, r, line + 5);
	free(set);
	return st;
}

static enum status lists_take(struct audit_kept *k, struct store_reader *r,
			      const struct signature_view *s, uint8_t n)
{
	uint8_t sets[SHA256_BYTES], names[DOC_SIGNATURES_MAX][SHA256_BYTES];
	enum status st = ST_OK;

	for (uint8_t i = 0; i < n; i++)
		memcpy(names[i], s[i].evidence_sha256, SHA256_BYTES);
	sha256_once(names, (size_t)n * SHA256_BYTES, sets);
	if (k->roots != NULL && memcmp(sets, k->sets, SHA256_BYTES) == 0)
		return ST_OK;
	roots_free(k->roots);
	k->roots = NULL;
	k->whole = true;
	memcpy(k->sets, sets, SHA256_BYTES);
	st = roots_bare(&k->roots, k->a->roots);
	for (uint8_t i = 0; i < n && st == ST_OK; i++)
		st = set_take(k, r, names[i]);
	if (st != ST_OK) {
		roots_free(k->roots);
		k->roots = NULL;
	}
	return st;
}

enum status audit_kept_judge(struct audit_kept *k, struct store_reader *r, struct slice file,
			     const struct signature_view *s, uint8_t n, bool *passed)
{
	struct report report;
	enum status st = lists_take(k, r, s, n);

	*passed = false;
	if (st != ST_OK || !k->whole)
		return st;
	st = verify_document(k->roots, file, &report);
	*passed = st == ST_OK && report.finding.verdict == VERDICT_PASSED;
	return st;
}
