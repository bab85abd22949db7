/*
 * utf8.h - UTF-8 validation, NFC, and sets of code points.
 *
 * Vietnamese arrives as NFC (almost always) or NFD (macOS, iOS). A table lets NFC text pass in one
 * scan; only the rest goes through utf8proc.
 */
#ifndef TRIEN_BASE_UTF8_H
#define TRIEN_BASE_UTF8_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/status.h"

/* Next code point, or -1 for an invalid sequence (overlong, surrogate, > U+10FFFF). Moves *s. */
int32_t utf8_next(struct slice *s);
/* Writes 1–4 bytes, returns the count. */
size_t utf8_put(uint8_t out[4], uint32_t cp);
bool utf8_valid(struct slice s);
/* Valid, and no NUL in it. Short ASCII, the usual case of codes and names of systems, is quick. */
bool utf8_string(struct slice s);

/*
 * NFC of s. *out is s itself when it already is NFC, else a copy in a. ST_INVALID: not UTF-8;
 * ST_TOO_LARGE: arena spent.
 */
enum status utf8_nfc(struct slice s, struct arena *a, struct slice *out) must_use;

/*
 * For searching: small letters without marks, "Trường Đình" as "truong dinh"; malloc'd. NULL: not
 * UTF-8, or memory is spent.
 */
char *utf8_folded(const char *s);

/* Controls (C0, C1, DEL), bidi controls, zero-width, private use, non-characters, tags:
 * never allowed in a document. LF and TAB are judged by the caller. */
bool utf8_refused(uint32_t cp);

struct codeset;
/*
 * true: one line of printable text, valid, NFC, nothing refused, every code point in shown. false
 * only says that a closer look is due. For the hot path: one scan, 16 bytes at a time.
 */
bool utf8_plain(struct slice s, const struct codeset *shown);

/* A set over U+0000–U+2FFFF. */
struct codeset { uint32_t bits[0x30000 / 32]; };
static inline bool codeset_has(const struct codeset *s, uint32_t cp)
{
	return cp < 0x30000 && (s->bits[cp / 32] >> (cp % 32) & 1);
}
static inline void codeset_add(struct codeset *s, uint32_t cp)
{
	if (cp < 0x30000)
		s->bits[cp / 32] |= 1u << (cp % 32);
}

#endif
