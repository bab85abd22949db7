/*
 * derive.h - what a store keeps of an item, apart from where its bytes lie. Inside store/ only.
 */
#ifndef TRIEN_STORE_DERIVE_H
#define TRIEN_STORE_DERIVE_H

#include "store/stored.h"

/*
 * View and holdings: until when it is valid, who sees it from when to when. Slices borrow from the
 * item. The caller sets body and parts.
 */
void stored_result_of(struct stored_result *r, const struct item *it, int64_t now_ms);

#endif
