/*
 * base64url.h - base64url without padding (RFC 4648 5, as RFC 7515 2 uses it).
 *
 * Strict: one text for one value. Padding, white space, a letter of plain base64, a length that no
 * value has and bits set beyond the value are all refused.
 */
#ifndef TRIEN_BASE_BASE64URL_H
#define TRIEN_BASE_BASE64URL_H

#include <stdbool.h>

#include "base/bytes.h"

/* Characters of n bytes, and the most bytes of n characters. */
#define BASE64URL_CHARS(n) (((n) * 4 + 2) / 3)
#define BASE64URL_BYTES(n) ((n) / 4 * 3 + (n) % 4 * 3 / 4)

/* Writes BASE64URL_CHARS(n) characters and a NUL. */
void base64url_write(char *out, const uint8_t *p, size_t n);
/* false: not base64url, or more than `room` bytes; *n is then 0. */
bool base64url_read(uint8_t *out, size_t room, size_t *n, struct slice text);

#endif
