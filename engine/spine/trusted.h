/*
 * trusted.h - the roots that documents in hand are judged by: those in the folder of certificates,
 * at the start and at SIGHUP. Inside spine/ only. Any thread.
 */
#ifndef TRIEN_SPINE_TRUSTED_H
#define TRIEN_SPINE_TRUSTED_H

#include "spine/spine.h"

/* Reads them (again). Where there is none, the log says so and no document is passed. */
void trusted_read(struct spine *s);
/* As engine_ops.verify. */
enum status trusted_verify(void *ctx, struct slice file, struct report *out);

#endif
