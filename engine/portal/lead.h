/*
 * lead.h - between what the leaders' page tells (lead.c) and how it is drawn (leadshow.c).
 */
#ifndef TRIEN_PORTAL_LEAD_H
#define TRIEN_PORTAL_LEAD_H

#include "portal/figures.h"

/* "results" and the like, as members of `numbers` in lead_model()'s answer. */
extern const char *const figure_names[FIGURES];

#endif
