/*
 * places.h - the two communes of the samples and what lies around them. The province, its old
 * districts, its communes and streets are invented; names of other provinces are real, their
 * communes are not.
 */
#ifndef SAMPLE_PLACES_H
#define SAMPLE_PLACES_H

#include "sample/random.h"

#define PLACE_BYTES_MAX 400

/* An agency of schemas/agencies/ with those who work in it. */
struct office {
	const char *unit, *org_code;
	const char *signer, *receiver;	/* codes of schemas/signers/ */
	const char *account, *approver_title;
	const char *agency, *commune;	/* "Ủy ban nhân dân phường Lạc Xuân", "phường Lạc Xuân" */
	const char *contact;
	bool town;			/* a ward, with streets; else a commune with hamlets */
	const char *const *streets;	/* or hamlets */
	const char *const *former;	/* communes until 30 June 2025, with their district */
	uint32_t streets_n, former_n;
};

enum { OFFICE_LAC_XUAN, OFFICE_SUOI_MAY, OFFICES };
extern const struct office offices[OFFICES];

/* "số 12, đường Hoa Ban, tổ dân phố 5, phường Lạc Xuân, tỉnh Sơn Lạc" */
void place_home(char out[PLACE_BYTES_MAX], struct random *r, const struct office *o);
/* A commune by itself, as places of origin are written: here, elsewhere, or by its old name. */
void place_origin(char out[PLACE_BYTES_MAX], struct random *r, const struct office *o);
/* "xã Lạc Hạ, huyện Lạc Giang, tỉnh Sơn Lạc (nay là phường Lạc Xuân, tỉnh Sơn Lạc)" */
void place_former(char out[PLACE_BYTES_MAX], struct random *r, const struct office *o);
/* The agency that kept a register in that year: its name then. */
void place_registry(char out[PLACE_BYTES_MAX], struct random *r, const struct office *o,
		    uint32_t year);
/* A hospital, or a home. */
void place_event(char out[PLACE_BYTES_MAX], struct random *r, const struct office *o);
const char *place_street(struct random *r, const struct office *o);

#endif
