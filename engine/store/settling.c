#include "store/embedded.h"

/* One that is not here is damage that fsck tells of: the others are stored for all that. */
static enum status settle(struct embedded *s, const uint8_t sha256[SHA256_BYTES], struct error *e)
{
	enum status st = objects_settle(s->objects, sha256, e);

	return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status embedded_settle_all(struct embedded *s, const struct batch *b, struct error *e)
{
	enum status st = ST_OK;
	bool any = false;

	for (uint32_t i = 0; i < b->items_n && s->objects != NULL && st == ST_OK; i++) {
		const struct item *it = &b->items[i];

		if (it->held != REASON_NONE || it->stored == ST_CONFLICT || it->doc.section == NULL)
			continue;
		st = settle(s, it->doc.section->sha256, e);
		objects_unname(s->objects, it->doc.section->sha256, it->sequence);
		any = true;
	}
	return st == ST_OK && any ? objects_sync(s->objects, e) : st;
}

/* The depot is all there is. */
enum status embedded_original_keep(struct store *store, uint8_t lane,
				   const uint8_t sha256[SHA256_BYTES], uint64_t size,
				   struct error *e)
{
	return ST_OK;
}

enum status embedded_original_fetch(struct store *store, uint8_t lane,
				    const uint8_t sha256[SHA256_BYTES], uint64_t size,
				    struct error *e)
{
	return error_set(e, ST_NOT_FOUND, "restore it from a backup, or void the result");
}

enum status embedded_original_drop(struct store *store, uint8_t lane,
				   const uint8_t sha256[SHA256_BYTES], struct error *e)
{
	return ST_OK;
}

/* Nor has anybody else any. */
enum status embedded_originals_sweep(struct store *store,
				     bool (*needed)(void *ctx, uint8_t lane,
						    const uint8_t sha256[SHA256_BYTES]),
				     void *ctx, uint32_t *removed, struct error *e)
{
	return ST_OK;
}

enum status embedded_original_settle(struct store *store, const uint8_t sha256[SHA256_BYTES],
				     struct error *e)
{
	struct embedded *s = (struct embedded *)store;
	enum status st;

	if (s->objects == NULL)
		return ST_OK;
	pthread_mutex_lock(&s->writer);
	st = settle(s, sha256, e);
	if (st == ST_OK)
		st = objects_sync(s->objects, e);
	pthread_mutex_unlock(&s->writer);
	return st;
}
