/*
 * anysign.h - the signatures of any PDF (V1-V4), what was changed after each (V6), and what each is
 * worth (V9). Inside verify/ only.
 */
#ifndef TRIEN_VERIFY_ANYSIGN_H
#define TRIEN_VERIFY_ANYSIGN_H

#include "verify/anyfile.h"
#include "verify/proof.h"

#define ANY_FIELDS_MAX 4096		/* of a form, of any type */

struct any_field {
	uint32_t number;
	uint32_t value;			/* number of its signature, 0: empty */
	bool visible;			/* shown on a page, or may be */
	bool parted;			/* its widgets are objects of their own */
	bool locks;			/* /Lock: signed, it takes no other change */
};

/* The signature fields of a form, whatever its tree. */
struct any_form { uint32_t n, seen; struct any_field fields[VERIFY_SIGNATURES_MAX * 4]; };

struct any_signature {
	uint32_t object, field;
	uint8_t revision;
	bool timestamp;			/* a document time-stamp (RFC 3161) */
	bool pades;			/* /SubFilter ETSI.CAdES.detached */
	struct value dict;
	uint64_t range[4];
	struct slice contents;		/* hex digits between < and > */
	int64_t signed_ms;		/* INT64_MIN: not said */
	uint32_t docmdp;		/* P of a certification; 0: none */
	bool locks_all, locks_some;	/* /FieldMDP, or its field's /Lock */
};

struct any_signatures { uint8_t n; struct any_signature list[VERIFY_SIGNATURES_MAX]; };

/* The form as revision `upto` shows it. As any_open(). */
enum status any_form_read(const struct any *a, uint8_t upto, struct any_form *out,
			  struct finding *f) must_use;

/* All of them, in the order of their revisions, each whole (V1-V4). As any_open(). */
enum status any_signatures_read(const struct any *a, struct any_signatures *out, struct finding *f)
	must_use;

/*
 * V6: what each revision after the first signed one changed. Filling or adding a signature field
 * where earlier signatures let it, DSS, document time-stamps; nothing else. As any_open().
 */
enum status any_changes_check(const struct any *a, const struct any_signatures *s,
			      struct finding *f) must_use;

/*
 * One more of out->stamps; what is wrong with it is set in out->finding. Its level of evidence is
 * not raised here: whose stamp it is is told.
 */
void any_stamp_check(const struct roots *roots, struct slice file, const struct any_signature *s,
		     struct report *out);
/* V9; fills *out. ST_NOMEM. */
enum status any_proof_check(const struct roots *roots, struct slice file,
			    const struct any_signature *s, struct signature_report *out) must_use;

#endif
