/*
 * told.h - values of answers and stores as pages and JSON tell them. Times stand twice in a model:
 * m[name] for people, in Vietnam, and m["NAME_utc"] as RFC 3339.
 */
#ifndef TRIEN_PORTAL_TOLD_H
#define TRIEN_PORTAL_TOLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "trien/v1/repository.pb-c.h"

/* Nothing for INT64_MIN. */
void told_ms(json_t *m, const char *name, int64_t unix_ms);
/* Nothing for NULL. */
void told_time(json_t *m, const char *name, const Google__Protobuf__Timestamp *t);

/* share.c */
json_t *share_told(const Trien__V1__Share *s);

#endif
