/*
 * judge.h - may this signer approve this result, today? Asked of each document at the moment of
 * confirmation, with the catalogue of that moment. Pure.
 */
#ifndef TRIEN_INTAKE_JUDGE_H
#define TRIEN_INTAKE_JUDGE_H

#include "submission.h"

struct judged {
	const struct catalogue *catalogue;	/* in force */
	uint32_t day;				/* today, yyyymmdd in Vietnam time */
	struct slice signer;			/* code */
	struct slice principal;			/* who confirms; empty: nobody does */
};

/*
 * REASON_NONE, or why not:
 *	SIGNER_NOT_ALLOWED	another's, of another agency, or not for this kind
 *	SIGNER_UNKNOWN		the signer is not in office today
 *	DELEGATION_ENDED	nor may they stand in for another (KT, TL, TUQ) any more, or yet
 *	UNIT_UNKNOWN, KIND_NOT_EFFECTIVE	agency or kind is not in force
 *	OWN_DRAFT		whoever submitted or drafted it would approve it, and the kind
 *				forbids that
 */
enum reason judge(const struct judged *j, const struct waiting_paper *paper);
/*
 * May j->signer sign in the stead of the paper's one what has its number already? Of the paper row,
 * kind, unit and approval. SIGNER_NOT_ALLOWED, SIGNER_UNKNOWN, DELEGATION_ENDED, UNIT_UNKNOWN and
 * OWN_DRAFT as above.
 */
enum reason judge_successor(const struct judged *j, const struct waiting_paper *paper);
/*
 * "TUQ · 2026-01-01 – 2026-12-31 · 12/QĐ-UBND": in whose stead the signer acts today, from when to
 * when ("…": no end) and by which paper, where one is named. Empty: in their own right, or not in
 * office.
 */
void judge_delegation(const struct judged *j, char out[DELEGATION_BYTES_MAX + 1]);

#endif
