#include <stdlib.h>

#include "session/session.h"

#define MANIFEST_HEAD "trien manifest 1"

static void put_big(struct writer *w, uint32_t v, size_t width)
{
	for (size_t i = width; i > 0; i--)
		write_u8(w, (uint8_t)(v >> 8 * (i - 1)));
}

static void put_text(struct writer *w, const char *text)
{
	put_big(w, (uint32_t)strlen(text), 2);
	write_str(w, text);
}

void session_manifest(const struct session *s, struct writer *w)
{
	put_text(w, MANIFEST_HEAD);
	write_bytes(w, s->id, sizeof(s->id));
	put_text(w, s->signer);
	put_big(w, s->items_n, 4);
	for (uint32_t i = 0; i < s->items_n; i++) {
		const struct session_item *item = &s->items[i];

		write_bytes(w, item->result_id, sizeof(item->result_id));
		write_bytes(w, item->case_sha256, SHA256_BYTES);
		write_bytes(w, item->preview_sha256, SHA256_BYTES);
		put_text(w, item->unit);
		put_text(w, item->kind);
	}
}

static int by_sequence(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static enum status check_once(const struct session *s)
{
	uint64_t *sequences = malloc(s->items_n * sizeof(*sequences));
	enum status st = ST_OK;

	if (sequences == NULL)
		return ST_NOMEM;
	for (uint32_t i = 0; i < s->items_n; i++)
		sequences[i] = s->items[i].sequence;
	qsort(sequences, s->items_n, sizeof(*sequences), by_sequence);
	for (uint32_t i = 1; i < s->items_n && st == ST_OK; i++)
		if (sequences[i] == sequences[i - 1])
			st = ST_CONFLICT;
	free(sequences);
	return st;
}

enum status session_seal(struct session *s)
{
	size_t room = MANIFEST_BYTES_MAX(s->items_n);
	enum status st = check_once(s);
	struct writer w;
	uint8_t *bytes;

	if (st != ST_OK)
		return st;
	bytes = malloc(room);
	if (bytes == NULL)
		return ST_NOMEM;
	w = writer_of(bytes, room);
	session_manifest(s, &w);
	sha256_once(bytes, writer_size(&w), s->manifest);
	free(bytes);
	return ST_OK;
}
