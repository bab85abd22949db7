/*
 * verify.h - strict verifier for one document of this engine (ETSI EN 319 102-1 verdicts).
 *
 * It accepts only what an issued file can be and repairs nothing, so that no attacker's second
 * reading of a file exists:
 *	V1	/ByteRange is exactly [0 a b c], direct integers, inside the file
 *	V2	the gap is exactly this signature's /Contents: `<` hex `>`, one DER CMS, then zeros
 *	V3	it ends where its revision ends; the last one ends where the file ends
 *	V4	signatures nest: one a revision, in order
 *	V5	every byte of every revision is header, object, cross-reference or trailer; classic
 *		cross-reference tables only; nothing twice in a revision; header at 0
 *	V6	a later revision may fill one empty signature field and nothing else; all fields
 *		are signed; behind the last signature only evidence is added (later.h)
 *	V9	one SignerInfo, signed attributes, ESS signing-certificate-v2, allowed algorithms,
 *		chain to a configured root at the signing time, revocation lists; a certificate
 *		names the agency that the attached data names, and none names another one
 *
 * The signing time is the signer's claim (/M): level B-B proves no time. Any thread.
 */
#ifndef TRIEN_VERIFY_H
#define TRIEN_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"
#include "limits.h"

/* A copy holds its original twice: as pages and attached. */
#define VERIFY_FILE_BYTES_MAX (2 * ORIGINAL_BYTES_MAX + 16u * 1024 * 1024)
#define VERIFY_SIGNATURES_MAX 8
#define VERIFY_STAMPS_MAX 8

enum verdict { VERDICT_PASSED, VERDICT_FAILED, VERDICT_INDETERMINATE };

/* Sub-indications of EN 319 102-1 table 5; names by indication_name(). */
enum indication {
	IND_NONE, IND_FORMAT_FAILURE, IND_HASH_FAILURE, IND_SIG_CRYPTO_FAILURE, IND_REVOKED,
	IND_NOT_YET_VALID, IND_SIG_CONSTRAINTS_FAILURE, IND_CHAIN_CONSTRAINTS_FAILURE,
	IND_CRYPTO_CONSTRAINTS_FAILURE, IND_NO_SIGNING_CERTIFICATE_FOUND,
	IND_NO_CERTIFICATE_CHAIN_FOUND, IND_OUT_OF_BOUNDS_NO_POE, IND_REVOKED_NO_POE, IND_TRY_LATER,
	IND_GENERIC, IND_COUNT
};

const char *verdict_name(enum verdict v);
const char *indication_name(enum indication i);

struct finding {
	enum verdict verdict;
	enum indication indication;
	char why[200];			/* English, no personal data; "" when passed */
};

/* EN 319 142-1: B-B, B-T, B-LT, B-LTA. It says how long a signature can be proved, no more. */
enum evidence_level { LEVEL_B, LEVEL_T, LEVEL_LT, LEVEL_LTA };

const char *level_name(enum evidence_level l);

/* A document time stamp, right in itself. */
struct stamp_report {
	int64_t time_ms;
	uint64_t range[4];
	bool trusted;
	char subject[256];		/* CN of the authority's certificate */
	char why[160];			/* not trusted: English, no personal data */
};

struct signature_report {
	enum evidence_level level;	/* of one that passed; else LEVEL_B */
	struct finding finding;
	char subject[256];		/* CN of the certificate; as the document shows it */
	char unit[65];			/* agency that the certificate names, "" = none */
	char algorithm[24];
	int64_t signed_ms;		/* /M: claimed; INT64_MIN when unreadable */
	uint64_t range[4];
	bool certifies;			/* carries DocMDP */
	uint8_t cert_sha256[SHA256_BYTES];
};

/* What a result of ours says of itself, in the data attached to it (schemas/result-data.json). */
struct said {
	bool read;
	char unit[CODE_BYTES_MAX + 1], kind[CODE_BYTES_MAX + 1];
	char unit_name[NAME_BYTES_MAX + 1], kind_name[NAME_BYTES_MAX + 1];	/* Vietnamese */
	char number[NUMBER_TEXT_BYTES_MAX + 1];		/* as printed */
};

struct report {
	struct finding finding;		/* the worst of all */
	/*
	 * Of the form that this engine issues: every byte where it puts it, and its data attached.
	 * Then the verdict is final.
	 */
	bool own;
	struct said said;
	uint8_t signatures_n;
	struct signature_report signatures[VERIFY_SIGNATURES_MAX];
	/* What was added behind the last signature: nothing of it changes the verdict. */
	uint8_t stamps_n;		/* the first VERIFY_STAMPS_MAX of them */
	struct stamp_report stamps[VERIFY_STAMPS_MAX];
	bool dss;			/* a document security store */
	uint64_t file_bytes;
	uint8_t file_sha256[SHA256_BYTES];
	/*
	 * Up to the end of its last signature, where nothing but evidence was added behind it and
	 * the verdict is not FAILED: what a store has of it. Else the whole file.
	 */
	uint64_t issued_bytes;
	uint8_t issued_sha256[SHA256_BYTES];
	/*
	 * What the file's /ID says to be, if it has one of our form: looked for from its end, so
	 * that it is found in a broken file, too. No verdict rests on it.
	 */
	bool named;
	uint8_t id[16];
};

/* trusted roots, known intermediates, revocation lists; immutable */
struct roots;

/*
 * trust: a folder with *.pem, or one PEM file. Self-signed CA certificates are roots, the others
 * help to build chains. crls: a folder with *.crl, or one file; NULL: none. ST_NOT_FOUND: no root
 * in it.
 */
enum status roots_load(struct roots **out, const char *trust, const char *crls,
		       struct error *e) must_use;
/*
 * Roots of time-stamp authorities, from a folder with *.pem or one PEM file: without any, no time
 * stamp raises a signature's level. Before the roots are used. ST_NOT_FOUND: no root in it.
 */
enum status roots_add_tsa(struct roots *r, const char *path, struct error *e) must_use;
void roots_free(struct roots *r);
/* The same roots and intermediates, and no list and no time-stamp authority. */
enum status roots_bare(struct roots **out, const struct roots *of) must_use;
/* Before it is used. ST_INVALID: not a revocation list in DER. */
enum status roots_add_list(struct roots *r, struct slice der) must_use;
/* The same for the same roots, in whatever order they were read. */
void roots_digest(const struct roots *r, uint8_t out[SHA256_BYTES]);

/* Fills *out for any bytes whatever; ST_NOMEM only. */
enum status verify_document(const struct roots *roots, struct slice file,
			    struct report *out) must_use;

/*
 * For many files: what was read once is compared from then on, with the same report for every file
 * as verify_document() gives. An own file of a known template is one linear pass.
 *
 * known: the beginnings that documents of one template share; for any number of threads.
 * verifier: one thread's; it also remembers certificates, chains and revocation for `roots`. Both
 * are bounded.
 */
struct known;
struct verifier;

enum status known_new(struct known **out) must_use;
void known_free(struct known *k);
/*
 * The layers that a template's documents begin with, in their order (document.h). Files that pass
 * teach theirs themselves. ST_NOMEM; bytes of no use are passed over.
 */
enum status known_learn(struct known *k, const struct slice *layers, size_t n) must_use;

/* roots and known must outlive it. known: may be NULL. */
enum status verifier_new(struct verifier **out, const struct roots *roots,
			 struct known *known) must_use;
void verifier_free(struct verifier *v);
/* As verify_document(). */
enum status verifier_judge(struct verifier *v, struct slice file, struct report *out) must_use;

/*
 * What can be said where there is nothing to trust, never TOTAL-PASSED: of a file of our own form
 * all but who signed it, also that it was changed; of any other its digest and its /ID. ST_NOMEM.
 */
enum status verify_without_roots(struct slice file, struct report *out) must_use;

#endif
