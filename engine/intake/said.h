/*
 * said.h - what requests of several services say in one form. Any thread.
 */
#ifndef TRIEN_INTAKE_SAID_H
#define TRIEN_INTAKE_SAID_H

#include "base/arena.h"
#include "intake/server.h"
#include "trien/v1/case.pb-c.h"

/*
 * A whole date, as yyyymmdd; 0: none is said. False: the call is answered; field: where it stands.
 */
bool said_day(struct call *c, const Trien__V1__Date *d, const char *field, uint32_t *day);
/*
 * One line of printable text, composed (NFC), of at most bytes_max then; *out borrows from text or
 * from a, which has room for four times as much. False: it is none.
 */
bool said_line(const char *text, size_t bytes_max, struct arena *a, struct slice *out) must_use;

#endif
