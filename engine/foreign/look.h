/*
 * look.h - what the parsers of originals share: how they say that a file is refused.
 *
 * All of them run in the limited child of process.c; none keeps state, opens files or trusts a
 * number of the file. They answer a reason: REASON_NONE, the file is whole and of a form that may
 * be copied; else ORIGINAL_…, and `detail` says where in technical words of ours: never the file's.
 */
#ifndef TRIEN_FOREIGN_LOOK_H
#define TRIEN_FOREIGN_LOOK_H

#include "base/arena.h"
#include "original.h"
#include "reason.h"

#define LOOK_DETAIL_BYTES 64

struct detail { char text[LOOK_DETAIL_BYTES]; };

/* Fills *d and returns why. */
enum reason look_refuse(struct detail *d, enum reason why, const char *fmt, ...) printf_like(3, 4);

/* Samples in an inch × 100; 0: not said. */
struct density { uint32_t x, y; };

/* REASON_NONE, or ORIGINAL_TOO_LARGE: an image that nothing would show. Sides are not 0. */
enum reason look_sides(uint32_t width, uint32_t height, struct detail *d);

/*
 * The whole file: format, wrapped, pages and images of *out, with memory of a and slices of file.
 * own: a result of ours; not taken apart. `size` and `sha256` are the caller's.
 */
enum reason look_at(struct slice file, bool own, struct arena *a, struct original *out,
		    struct detail *d);

#endif
