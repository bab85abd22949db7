/*
 * devkey.h - the key of the built-in provider: made at start, never written, gone with the process.
 */
#ifndef TRIEN_PORTAL_DEVKEY_H
#define TRIEN_PORTAL_DEVKEY_H

#include <jansson.h>
#include <openssl/evp.h>

#include "base/status.h"

struct devkey { EVP_PKEY *key; };

/* P-256. ST_INTERNAL. */
enum status devkey_make(struct devkey *k) must_use;
void devkey_free(struct devkey *k);
/* {"keys": […]}; json_decref() when done. NULL: out of memory. */
json_t *devkey_set(const struct devkey *k);
/* Malloc'd: the claims as an ES256 token; NULL: out of memory. */
char *devkey_sign(const struct devkey *k, const json_t *claims);

#endif
