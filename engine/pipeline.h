/*
 * pipeline.h - the stage table and the threads that run it.
 *
 *	stage   runs on       what
 *	press   workers       decode, plan keys, render, hash: one digest an item
 *	sign    signer        (spine sends and receives)
 *	bind    workers       splice, check, next digest or the file's hash
 *	store   the store's   handed over here; it comes back through the store's sink (store.h)
 *
 * A worker has two threads: a patient one, and one that helps when ranges queue up (base/cpu.h).
 *
 * A batch goes in through pipeline_push() and comes back through `done`, on the worker that
 * finished it; back edges do not exist.
 */
#ifndef TRIEN_PIPELINE_H
#define TRIEN_PIPELINE_H

#include "batch.h"
#include "objects/objects.h"
#include "render/render.h"
#include "sign/sign.h"
#include "store/store.h"

struct pipeline;

struct pipeline_config {
	uint32_t workers;
	struct render *render;
	struct store *store;
	struct objects *objects;	/* originals of copies; NULL: there are none */
	/*
	 * Worker: an object is not here; brings it, if it can be had from elsewhere, and keeps it
	 * until objects_release(). Statuses as the store's original_fetch(). NULL: never.
	 */
	enum status (*fetch)(void *ctx, uint8_t lane, const uint8_t sha256[SHA256_BYTES],
			     uint64_t size);
	/* Worker: the batch is the caller's again. */
	void (*done)(void *ctx, struct batch *b);
	void *ctx;
};

enum status pipeline_new(struct pipeline **p, const struct pipeline_config *cfg,
			 struct error *e) must_use;
/* Stops and joins the threads; nothing may be in flight. */
void pipeline_free(struct pipeline *p);
/* b->stage says which: BATCH_PRESS, BATCH_BINDING or BATCH_STORING. */
void pipeline_push(struct pipeline *p, struct batch *b);

#endif
