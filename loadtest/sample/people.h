/*
 * people.h - invented people.
 *
 * Their numbers lie where no real one can: personal ids begin with province 099 (real codes end at
 * 096), old identity cards with 99, enterprise and tax codes with 99, passports with X and a digit
 * 0, telephones with 0000; e-mail ends in .example (RFC 2606). Names are put together by chance.
 */
#ifndef SAMPLE_PEOPLE_H
#define SAMPLE_PEOPLE_H

#include "case.h"
#include "sample/places.h"

#define PERSON_NAME_BYTES_MAX 200

struct person {
	char name[PERSON_NAME_BYTES_MAX];
	bool female;
	struct partial_date birth;
	const char *ethnicity;		/* NULL: foreigners */
	const char *nationality;
	enum id_kind id_kind;		/* ID_NONE: a child without a number yet */
	char country[3], number[16];
	char paper[PLACE_BYTES_MAX];	/* "Thẻ căn cước số …, cấp ngày …" */
	char home[PLACE_BYTES_MAX], origin[PLACE_BYTES_MAX];
};

enum person_sex { SEX_ANY, SEX_MALE, SEX_FEMALE };

/* Ages in years on the samples' day (SAMPLE_YEAR). */
void person_make(struct person *p, struct random *r, const struct office *o, enum person_sex sex,
		 uint32_t age_min, uint32_t age_max);
/* A child of both: name, home, ethnicity; its number left out at times. */
void person_child(struct person *p, struct random *r, const struct office *o,
		  const struct person *mother, const struct person *father, uint32_t age_max);
/* From another country, with a passport. */
void person_foreign(struct person *p, struct random *r, const struct office *o);
/* As in title and address: "Nam", "Nữ". */
const char *person_sex_word(const struct person *p);
/* 10 digits. */
void person_enterprise_code(char out[16], struct random *r);
void person_phone(char out[16], struct random *r);

#endif
