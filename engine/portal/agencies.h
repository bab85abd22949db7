/*
 * agencies.h - the agencies of the catalogue, as forms offer them and case codes name them.
 */
#ifndef TRIEN_PORTAL_AGENCIES_H
#define TRIEN_PORTAL_AGENCIES_H

#include <jansson.h>

#include "catalogue/catalogue.h"

/* [{code, name, chosen}], each once, by name as it was last; chosen: the one of that code. */
json_t *agencies_told(const struct catalogue *c, const char *chosen);
/*
 * Whose case is it: "H99.11-261124-0001" begins with a code of its agency, today's or a former one
 * (QĐ 20/2020/QĐ-TTg, QCVN 102:2016). NULL: of none, or of several.
 */
const char *agency_of_case(const struct catalogue *c, const char *case_code);

#endif
