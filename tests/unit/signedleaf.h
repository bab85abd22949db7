/*
 * signedleaf.h - a leaf with a desk's signatures, as the pipeline makes it: plan, render, and for
 * each slot prepare, sign, bind.
 */
#ifndef TESTS_SIGNEDLEAF_H
#define TESTS_SIGNEDLEAF_H

#include <assert.h>

#include "paper.h"
#include "press_rig.h"

typedef uint8_t leaf_values[DOC_SIGNATURES_MAX][SIGNATURE_BYTES_MAX];

/* 0, or -1. The item keeps what it borrows of values until it is closed. */
static int leaf_sign(struct bench *b, struct desk *d, leaf_values values)
{
	struct item *it = &b->leaf.item;
	bool ok;

	it->issued_ms = it->sign_ms = d->keys.now_ms;
	sign_plan(it, d->ring, it->sign_ms);
	ok = it->held == REASON_NONE &&
		leaf_press(&b->leaf, b->render, b->press, &b->arena) == ST_OK;
	it->mid = sha256_new();
	if (ok)
		sha256_fork(it->mid, template_view(it->template)->prefix_state);
	for (uint8_t i = 0; ok && i < it->slots_n; i++) {
		struct signed_slot *s = &it->slots[i];
		int32_t key = vault_find(d->vault, slice_str(signing_key_row(s->key)->id));

		ok = sign_prepare(d->worker, it, i) == ST_OK &&
			vault_sign(d->hand, (uint32_t)key, s->to_sign, values[i],
				   &s->value_size) == ST_OK;
		s->value = values[i];
		ok = ok && sign_bind(d->worker, it, i) == ST_OK;
	}
	sha256_free(it->mid);
	it->mid = NULL;
	return ok ? 0 : -1;
}

#endif
