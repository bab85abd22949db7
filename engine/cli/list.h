/*
 * list.h - how a holder is named on the command line.
 */
#ifndef TRIEN_CLI_LIST_H
#define TRIEN_CLI_LIST_H

#include <stdbool.h>

#include "trien/v1/case.pb-c.h"

/* "old-citizen" is OLD_CITIZEN. */
bool id_kind_read(const char *text, Trien__V1__Holder__IdKind *out);

#endif
