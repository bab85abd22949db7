#include <stdlib.h>

#include "verify/inside.h"
#include "verify/known.h"
#include "verify/said.h"
#include "verify/seen.h"
#include "verify/stamp.h"

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
	struct found found;
	struct dss dss;
	uint8_t digests[VERIFY_SIGNATURES_MAX][SHA256_BYTES];
	uint8_t stamp_digests[REVISIONS_MAX][SHA256_BYTES];
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

/* Goes on to the hole, and forks off what the signature covers. */
static uint64_t hash_to(struct passage *p, uint64_t at, const uint64_t r[4],
			uint8_t out[SHA256_BYTES])
{
	/* Each hole lies in its own revision, behind the one before. */
	sha256_add(p->v->run, p->file.p + at, r[1] - at);
	sha256_fork(p->v->range, p->v->run);
	sha256_add(p->v->range, p->file.p + r[2], r[3]);
	sha256_end(p->v->range, out);
	return r[1];
}

/* Likewise to the end of the last signature, which is where the issued file ended. */
static uint64_t hash_issued(struct passage *p, uint64_t at, struct report *out)
{
	const uint64_t *r = p->found.signatures[p->found.signatures_n - 1].range;

	out->issued_bytes = r[2] + r[3];
	sha256_add(p->v->run, p->file.p + at, out->issued_bytes - at);
	sha256_fork(p->v->range, p->v->run);
	sha256_end(p->v->range, out->issued_sha256);
	return out->issued_bytes;
}

/*
 * One pass over the file: its own hash goes on from hole to hole, each signature's takes a fork of
 * it. What a known beginning adds is there already.
 */
static void hash_all(struct passage *p, struct report *out)
{
	uint64_t at = 0;

	if (p->pdf.prefix != NULL) {
		sha256_fork(p->v->run, p->pdf.prefix->state);
		at = p->pdf.prefix->n;
	} else {
		sha256_start(p->v->run);
	}
	for (uint8_t i = 0; i < p->found.signatures_n; i++)
		at = hash_to(p, at, p->found.signatures[i].range, p->digests[i]);
	if (p->found.signatures_n > 0)
		at = hash_issued(p, at, out);
	for (uint8_t i = 0; i < p->found.stamps_n; i++)
		at = hash_to(p, at, p->found.stamps[i].range, p->stamp_digests[i]);
	sha256_add(p->v->run, p->file.p + at, p->file.n - at);
	sha256_end(p->v->run, out->file_sha256);
}

static struct slice hole_of(const struct found_signature *s)
{
	return slice_of(s->contents.p - 1, s->contents.n + 2);
}

static void check_one(struct passage *p, uint8_t i, struct signature_report *out)
{
	const struct found_signature *s = &p->found.signatures[i];
	struct slice hole = hole_of(s);
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

/* The level that stamps and store give to a signature that passed. */
static enum evidence_level level_of(const struct passage *p, uint8_t i, const struct report *out)
{
	const struct found_signature *s = &p->found.signatures[i];
	bool stamped = false, kept = false;

	for (uint8_t k = 0; k < out->stamps_n; k++) {
		stamped |= out->stamps[k].trusted;
		kept |= out->stamps[k].trusted && p->found.stamps[k].revision >= p->dss.revision;
	}
	if (!stamped)
		return LEVEL_B;
	if (p->dss.revision == 0 || !dss_proves(p->v->roots, &p->dss, hole_of(s), s->signed_ms))
		return LEVEL_T;
	return kept ? LEVEL_LTA : LEVEL_LT;
}

/* What was added behind the last signature. */
static void check_added(struct passage *p, struct report *out)
{
	out->dss = p->dss.revision != 0;
	for (uint8_t i = 0; i < p->found.stamps_n; i++) {
		const struct found_signature *s = &p->found.stamps[i];
		struct stamp_report stamp = { .time_ms = INT64_MIN };

		memcpy(stamp.range, s->range, sizeof(stamp.range));
		stamp_check(p->v->roots, hole_of(s), p->stamp_digests[i], &p->dss, &stamp,
			    &out->finding);
		if (out->stamps_n < VERIFY_STAMPS_MAX)
			out->stamps[out->stamps_n++] = stamp;
	}
	for (uint8_t i = 0; i < out->signatures_n && out->finding.verdict == VERDICT_PASSED; i++)
		out->signatures[i].level = level_of(p, i, out);
}

static enum status check(struct passage *p, struct report *out)
{
	enum status st;
	bool opened;

	*out = (struct report){ .file_bytes = p->file.n };
	report_find_id(p->file, out);
	st = pdf_open(&p->pdf, p->file,
		      p->v->known != NULL ? known_find(p->v->known, p->file) : NULL,
		      &out->finding);
	opened = st == ST_OK;
	if (opened)
		st = signatures_find(&p->pdf, &p->found, &p->dss, &out->finding);
	if (st != ST_OK)
		p->found.signatures_n = p->found.stamps_n = 0;
	hash_all(p, out);
	for (uint8_t i = 0; i < p->found.signatures_n; i++) {
		struct signature_report *s = &out->signatures[out->signatures_n++];

		check_one(p, i, s);
		finding_merge(&out->finding, &s->finding);
	}
	/* Whatever was done to it since: of a file with our data nobody else has a say. */
	out->own = opened && said_read(&p->pdf, &out->said);
	if (out->own && st == ST_OK)
		report_check_agency(out);
	check_added(p, out);
	if (!out->own || st != ST_OK || out->finding.verdict == VERDICT_FAILED)
		report_whole(out);
	if (p->v->known != NULL && st == ST_OK && out->finding.verdict == VERDICT_PASSED)
		known_learn_file(p->v->known, &p->pdf);
	dss_free(&p->dss);
	return st == ST_NOMEM ? ST_NOMEM : ST_OK;
}

enum status verifier_judge(struct verifier *v, struct slice file, struct report *out)
{
	struct passage p;
	const struct prefix *prefix;
	enum status st;

	/* All else is filled as it is found: it is large. */
	p.v = v;
	p.file = file;
	p.pdf = (struct pdf){ .file = file };
	p.dss = (struct dss){ .revision = 0 };
	p.found.signatures_n = p.found.stamps_n = 0;
	st = check(&p, out);
	prefix = p.pdf.prefix;
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
