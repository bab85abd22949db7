#include <stdio.h>

#include "sample/kinds.h"

#define REGULARS 120u			/* people who come again and again */
#define REGULAR_STREAM (1ull << 62)
#define ADULT_AGE 18

void subject_adult(struct build *b)
{
	struct random *r = &b->random;

	if (random_chance(r, 15)) {
		person_foreign(&b->who, r, b->office);
	} else if (random_chance(r, 150)) {
		struct random own = random_of(REGULAR_STREAM + (uint64_t)(b->office - offices),
					      random_below(r, REGULARS));

		person_make(&b->who, &own, b->office, SEX_ANY, 20, 70);
	} else {
		person_make(&b->who, r, b->office, SEX_ANY, ADULT_AGE + 1, 88);
	}
}

static void minor(struct build *b, uint32_t age_max)
{
	struct random *r = &b->random;

	person_make(&b->kin, r, b->office, SEX_FEMALE, 36, 48);
	b->fatherless = random_chance(r, 80);
	if (!b->fatherless)
		person_make(&b->father, r, b->office, SEX_MALE, 37, 55);
	person_child(&b->who, r, b->office, &b->kin, b->fatherless ? NULL : &b->father,
		     age_max);
	/* Seventeen years ago to the day is certainly before the 18th birthday. */
	if (SAMPLE_YEAR - b->who.birth.year > 17)
		b->who.birth.year = SAMPLE_YEAR - 17;
	b->child = true;
}

void subject_minor(struct build *b)
{
	minor(b, 17);
}

void subject_newborn(struct build *b)
{
	minor(b, 0);
}

/* The parents of a grown-up, as their register has them: the family's name, the commune of old. */
static void older_parents(struct build *b)
{
	struct random *r = &b->random;
	size_t family = strcspn(b->who.name, " '");

	person_make(&b->kin, r, b->office, SEX_FEMALE, 60, 90);
	person_make(&b->father, r, b->office, SEX_MALE, 60, 92);
	/* H'Bia has no family's name to share. */
	if (b->who.name[family] == ' ') {
		char given[100];

		snprintf(given, sizeof(given), "%.99s",
			 b->father.name + strcspn(b->father.name, " "));
		snprintf(b->father.name, sizeof(b->father.name), "%.*s%s",
			 (int)(family < 60 ? family : 60), b->who.name, given);
	}
	b->father.ethnicity = b->who.ethnicity;
	b->kin.birth = (struct partial_date){
		(uint16_t)(b->who.birth.year - random_between(r, 19, 38)), 0, 0 };
	b->father.birth = (struct partial_date){
		(uint16_t)(b->who.birth.year - random_between(r, 20, 45)), 0, 0 };
	place_former(b->kin.home, r, b->office);
	place_former(b->father.home, r, b->office);
}

void subject_anyone(struct build *b)
{
	if (random_chance(&b->random, 550)) {
		subject_minor(b);
		return;
	}
	do
		subject_adult(b);
	while (b->who.ethnicity == NULL);
	older_parents(b);
}

void subject_couple(struct build *b)
{
	struct random *r = &b->random;

	person_make(&b->who, r, b->office, SEX_FEMALE, 20, 62);
	if (!random_chance(r, 60)) {
		person_make(&b->kin, r, b->office, SEX_MALE, 22, 66);
		return;
	}
	do
		person_foreign(&b->kin, r, b->office);
	while (b->kin.female);
}

void subject_deceased(struct build *b)
{
	person_make(&b->who, &b->random, b->office, SEX_ANY, 58, 99);
	person_make(&b->kin, &b->random, b->office, SEX_ANY, 25, 60);
}

void subject_needy(struct build *b)
{
	if (random_chance(&b->random, 850))
		person_make(&b->who, &b->random, b->office, SEX_ANY, 75, 101);
	else
		person_make(&b->who, &b->random, b->office, SEX_ANY, 20, 70);
}

void subject_holders(struct build *b)
{
	if (b->c.holders_n > 0)
		return;
	build_person(b, b->child ? HOLDER_CHILD : HOLDER_OWNER, &b->who);
	if (!b->child)
		return;
	build_person(b, HOLDER_GUARDIAN, &b->kin);
	if (!b->fatherless)
		build_person(b, HOLDER_GUARDIAN, &b->father);
}
