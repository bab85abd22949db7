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

void subject_minor(struct build *b)
{
	struct random *r = &b->random;

	person_make(&b->kin, r, b->office, SEX_FEMALE, 36, 48);
	b->fatherless = random_chance(r, 80);
	if (!b->fatherless)
		person_make(&b->father, r, b->office, SEX_MALE, 37, 55);
	person_child(&b->who, r, b->office, &b->kin, b->fatherless ? NULL : &b->father, 17);
	/* Seventeen years ago to the day is certainly before the 18th birthday. */
	if (SAMPLE_YEAR - b->who.birth.year > 17)
		b->who.birth.year = SAMPLE_YEAR - 17;
	b->child = true;
}

void subject_anyone(struct build *b)
{
	if (random_chance(&b->random, 550)) {
		subject_minor(b);
		return;
	}
	subject_adult(b);
	person_make(&b->kin, &b->random, b->office, SEX_FEMALE, 60, 90);
	person_make(&b->father, &b->random, b->office, SEX_MALE, 60, 92);
	/* Parents are older than their child. */
	b->kin.birth.year = (uint16_t)(b->who.birth.year - random_between(&b->random, 19, 38));
	b->father.birth.year = (uint16_t)(b->who.birth.year - random_between(&b->random, 20, 45));
	b->kin.birth.month = b->kin.birth.day = 0;
	b->father.birth.month = b->father.birth.day = 0;
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
