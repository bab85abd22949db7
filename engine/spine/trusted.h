/*
 * trusted.h - the roots that documents in hand are judged by: those in the folder of certificates
 * and of the setting `tsa`, at the start and at SIGHUP. Inside spine/ only. Any thread.
 */
#ifndef TRIEN_SPINE_TRUSTED_H
#define TRIEN_SPINE_TRUSTED_H

#include "spine/spine.h"

/*
 * Reads them (again), one call at a time. Where there is none, the log says so, and those of before
 * go on; without any no document is passed.
 */
void trusted_read(struct spine *s);
/* As engine_ops.verify. */
enum status trusted_verify(void *ctx, struct slice file, struct report *out);

#endif
