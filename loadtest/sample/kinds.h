/*
 * kinds.h - what fills a result of each kind of schemas/results/, and the people it is about.
 */
#ifndef SAMPLE_KINDS_H
#define SAMPLE_KINDS_H

#include "sample/build.h"

struct sample_kind {
	const char *code;
	enum procedure_of procedure;
	uint32_t weight;		/* of a thousand cases of a one-stop unit */
	/* Fills b->who and those beside. */
	void (*subject)(struct build *b);
	/* Adds one result, and the holders if there are none yet. */
	void (*fill)(struct build *b);
	bool lac_xuan;			/* only there */
};

enum sample_kind_of {
	KIND_RECEIPT, KIND_BIRTH, KIND_MARITAL, KIND_RESIDENCE, KIND_BUSINESS, KIND_MARRIAGE,
	KIND_ALLOWANCE, KIND_DEATH, KIND_REFUSAL, KIND_HOUSE, KIND_PAVEMENT,
	KIND_COPY,
	/* of a linked birth; no one-stop unit hands these out by itself: their weight is 0 */
	KIND_BIRTH_CERTIFICATE, KIND_RESIDENCE_NOTICE, KIND_INSURANCE_CARD, SAMPLE_KINDS
};
extern const struct sample_kind sample_kinds[SAMPLE_KINDS];

/* ---- subject.c ---- */
void subject_adult(struct build *b);
void subject_anyone(struct build *b);
void subject_couple(struct build *b);
void subject_deceased(struct build *b);
void subject_needy(struct build *b);
/* A minor with both parents, or the mother alone. */
void subject_minor(struct build *b);
/* Of this year or the last. */
void subject_newborn(struct build *b);
/* The holders that follow from the subject: owner, or child with guardians. */
void subject_holders(struct build *b);

/* ---- civil.c, linked.c, permits.c, onestop.c ---- */
void fill_birth(struct build *b);
void fill_birth_certificate(struct build *b);
void fill_residence_notice(struct build *b);
void fill_insurance_card(struct build *b);
void fill_death(struct build *b);
void fill_marriage(struct build *b);
void fill_marital(struct build *b);
void fill_residence(struct build *b);
void fill_business(struct build *b);
void fill_house(struct build *b);
void fill_pavement(struct build *b);
void fill_allowance(struct build *b);
/* One decision for a whole list, rows of it. */
void fill_allowance_list(struct build *b, uint16_t rows);
void fill_receipt(struct build *b);
void fill_refusal(struct build *b);
void fill_copy(struct build *b);

/* ---- facts.c ---- */
/*
 * When it came in, how, what it cost, who decided; the case's code follows from it. Before fill(),
 * which shows some of it. today: it has just come in.
 */
void facts_fill(struct build *b, const struct procedure *p, bool today);

#endif
