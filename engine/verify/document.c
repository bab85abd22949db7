#include <stdlib.h>

#include "verify/inside.h"
#include "verify/known.h"
#include "verify/said.h"
#include "verify/seen.h"
#include "verify/signature.h"

struct verifier {
	const struct roots *roots;
	struct known *known;		/* NULL: nothing is remembered */
	struct seen *seen;		/* NULL likewise */
	struct sha256 *run, *range;
};

/* A file on its way. */
struct passage {
	struct verifier *v;
	struct slice file;
	struct pdf pdf;
	struct found_signature found[REVISIONS_MAX];
	uint8_t digests[REVISIONS_MAX][SHA256_BYTES];
	uint8_t signatures_n;
};

enum status verifier_new(struct verifier **out, const struct roots *roots, struct known *known)
{
	struct verifier *v = calloc(1, sizeof(*v));
	enum status st = v != NULL ? seen_new(&v->seen) : ST_NOMEM;

	if (st == ST_OK) {
		v->roots = roots;
		v->known = known;
		v->run = sha256_new();
		v->range = sha256_new();
		st = v->run != NULL && v->range != NULL ? ST_OK : ST_NOMEM;
	}
	if (st != ST_OK) {
		verifier_free(v);
		return st;
	}
	*out = v;
	return ST_OK;
}

void verifier_free(struct verifier *v)
{
	if (v == NULL)
		return;
	seen_free(v->seen);
	sha256_free(v->run);
	sha256_free(v->range);
	free(v);
}

/*
 * One pass over the file: its own hash goes on from hole to hole, each signature's takes a fork of
 * it. What a known beginning adds is there already.
 */
static void hash_all(struct passage *p, uint8_t file_sha256[SHA256_BYTES])
{
	struct sha256 *run = p->v->run, *range = p->v->range;
	uint64_t at = 0;

	if (p->pdf.prefix != NULL) {
		sha256_fork(run, p->pdf.prefix->state);
		at = p->pdf.prefix->n;
	} else {
		sha256_start(run);
	}
	for (uint8_t i = 0; i < p->signatures_n; i++) {
		const uint64_t *r = p->found[i].range;

		/* Each hole lies in its own revision, behind the one before. */
		sha256_add(run, p->file.p + at, r[1] - at);
		at = r[1];
		sha256_fork(range, run);
		sha256_add(range, p->file.p + r[2], r[3]);
		sha256_end(range, p->digests[i]);
	}
	sha256_add(run, p->file.p + at, p->file.n - at);
	sha256_end(run, file_sha256);
}

static void check_one(struct passage *p, uint8_t i, struct signature_report *out)
{
	const struct found_signature *s = &p->found[i];
	struct slice hole = slice_of(s->contents.p - 1, s->contents.n + 2);
	struct proven proven = { .cert = NULL };
	struct seen *seen = p->v->seen;

	*out = (struct signature_report){ .signed_ms = s->signed_ms, .certifies = s->docmdp != 0 };
	memcpy(out->range, s->range, sizeof(out->range));
	if (seen != NULL && seen_passes(seen, hole, p->digests[i], out))
		return;
	proof_own(p->v->roots, hole, p->digests[i], out, seen != NULL ? &proven : NULL);
	if (seen != NULL)
		seen_keep(seen, &proven, out);
}

static enum status check(struct passage *p, struct report *out)
{
	enum status st;

	*out = (struct report){ .file_bytes = p->file.n };
	report_find_id(p->file, out);
	st = pdf_open(&p->pdf, p->file,
		      p->v->known != NULL ? known_find(p->v->known, p->file) : NULL,
		      &out->finding);
	if (st == ST_OK)
		st = signatures_find(&p->pdf, p->found, &out->finding);
	p->signatures_n = st == ST_OK ? p->pdf.revisions_n : 0;
	hash_all(p, out->file_sha256);
	for (uint8_t i = 0; i < p->signatures_n; i++) {
		struct signature_report *s = &out->signatures[out->signatures_n++];

		check_one(p, i, s);
		finding_merge(&out->finding, &s->finding);
	}
	out->own = st == ST_OK && said_read(&p->pdf, &out->said);
	if (out->own)
		report_check_agency(out);
	if (p->v->known != NULL && st == ST_OK && out->finding.verdict == VERDICT_PASSED)
		known_learn_file(p->v->known, &p->pdf);
	return st == ST_NOMEM ? ST_NOMEM : ST_OK;
}

enum status verifier_judge(struct verifier *v, struct slice file, struct report *out)
{
	struct passage p = { .v = v, .file = file };
	enum status st = check(&p, out);
	const struct prefix *prefix = p.pdf.prefix;

	pdf_close(&p.pdf);
	if (v->known != NULL)
		known_release(v->known, prefix);
	return st;
}

enum status verify_document(const struct roots *roots, struct slice file, struct report *out)
{
	struct verifier v = { .roots = roots, .run = sha256_new(), .range = sha256_new() };
	enum status st = v.run != NULL && v.range != NULL ? verifier_judge(&v, file, out) :
			 ST_NOMEM;

	sha256_free(v.run);
	sha256_free(v.range);
	return st;
}
