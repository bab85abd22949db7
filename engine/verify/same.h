/*
 * same.h - do two PDF values mean the same? Another writer puts spaces, escapes and the order of
 * keys as it likes.
 */
#ifndef TRIEN_VERIFY_SAME_H
#define TRIEN_VERIFY_SAME_H

#include "verify/token.h"

#define SAME_DEPTH_MAX TOKEN_DEPTH_MAX

/* Two VALUE_BAD, which are not there, are the same, too. Numbers: only as they are written. */
bool value_same(struct value a, struct value b);
/* Are the entries of two dictionaries the same, but for these keys? */
bool dict_same(struct value a, struct value b, const char *const *except, size_t n);
/* Does `b` begin with the elements of `a`? *more: how many follow, *last: the last of them. */
bool array_continues(struct value a, struct value b, size_t *more, struct value *last);

#endif
