#include "session/session.h"

#define MAGIC 0x5345534e45495254ULL	/* "TRIENSES", little-endian */
#define VERSION 1
#define CRC_BYTES 4
#define HEAD_BYTES (8 + 4)
#define ITEM_BYTES_MIN (16 + 8 + 1 + 1 + 1 + 2 * SHA256_BYTES + 1 + 1 + 2 + 8 + 8 + 1)
enum flags { CLAIMED = 1, APPROVED = 2 };

static void write_text(struct writer *w, const char *text)
{
	write_u8(w, (uint8_t)strlen(text));
	write_str(w, text);
}

static void encode_item(const struct session_item *item, struct writer *w)
{
	write_bytes(w, item->result_id, sizeof(item->result_id));
	write_u64(w, item->sequence);
	write_u8(w, item->lane);
	write_text(w, item->unit);
	write_text(w, item->kind);
	write_bytes(w, item->case_sha256, SHA256_BYTES);
	write_bytes(w, item->preview_sha256, SHA256_BYTES);
	write_u8(w, (uint8_t)(item->claimed * CLAIMED | item->approved * APPROVED));
	write_u8(w, item->state);
	write_u16(w, item->reason);
	write_u64(w, (uint64_t)item->changed_ms);
	write_u64(w, item->cursor);
	write_text(w, item->number_text);
}

enum status session_encode(const struct session *s, struct writer *w)
{
	write_u64(w, MAGIC);
	write_u32(w, VERSION);
	write_bytes(w, s->id, sizeof(s->id));
	write_u8(w, (uint8_t)s->state);
	write_text(w, s->signer);
	write_text(w, s->principal);
	write_u64(w, (uint64_t)s->opened_ms);
	write_u64(w, (uint64_t)s->expires_ms);
	write_u64(w, (uint64_t)s->confirmed_ms);
	write_u64(w, (uint64_t)s->ended_ms);
	write_u64(w, s->cursor);
	write_u32(w, s->items_n);
	for (uint32_t i = 0; i < s->items_n; i++)
		encode_item(&s->items[i], w);
	write_bytes(w, s->manifest, SHA256_BYTES);
	if (!w->bad)
		write_u32(w, crc32c(0, w->start, writer_size(w)));
	return w->bad ? ST_TOO_LARGE : ST_OK;
}

/* A text without NUL, of at most max bytes. */
static void read_text(struct reader *r, char *out, size_t max)
{
	struct slice s = read_bytes(r, read_u8(r));

	if (r->bad || s.n > max || memchr(s.p, 0, s.n) != NULL) {
		r->bad = true;
		return;
	}
	memcpy(out, s.p, s.n);
	out[s.n] = '\0';
}

static void read_array(struct reader *r, uint8_t *out, size_t n)
{
	struct slice s = read_bytes(r, n);

	if (!r->bad)
		memcpy(out, s.p, n);
}

static void decode_item(struct session_item *item, struct reader *r)
{
	uint8_t flags;

	read_array(r, item->result_id, sizeof(item->result_id));
	item->sequence = read_u64(r);
	item->lane = read_u8(r);
	read_text(r, item->unit, sizeof(item->unit) - 1);
	read_text(r, item->kind, sizeof(item->kind) - 1);
	read_array(r, item->case_sha256, SHA256_BYTES);
	read_array(r, item->preview_sha256, SHA256_BYTES);
	flags = read_u8(r);
	item->claimed = flags & CLAIMED;
	item->approved = flags & APPROVED;
	item->state = read_u8(r);
	item->reason = read_u16(r);
	item->changed_ms = (int64_t)read_u64(r);
	item->cursor = read_u64(r);
	read_text(r, item->number_text, sizeof(item->number_text) - 1);
	if (flags > (CLAIMED | APPROVED) || item->lane >= LANES || item->state > STATE_VOID)
		r->bad = true;
}

/* What no session can be, whatever its checksum says. */
static bool consistent(const struct session *s)
{
	bool begun = s->state == SESSION_CONFIRMING || s->state == SESSION_CONFIRMED ||
		     s->state == SESSION_DONE;

	if (s->state < SESSION_OPEN || s->state > SESSION_EXPIRED ||
	    (s->ended_ms == 0) != (s->state <= SESSION_CONFIRMING))
		return false;
	for (uint32_t i = 0; i < s->items_n; i++) {
		const struct session_item *item = &s->items[i];

		if (item->cursor > s->cursor || (item->cursor != 0 && !begun) ||
		    (item->claimed && s->state != SESSION_CONFIRMING) ||
		    (item->approved && (s->state < SESSION_CONFIRMED || !begun)) ||
		    (session_pending(s, i) && s->state == SESSION_DONE))
			return false;
	}
	return true;
}

static enum status decode_body(struct session *s, struct reader *r)
{
	uint8_t manifest[SHA256_BYTES];
	enum status st;

	for (uint32_t i = 0; i < s->items_n && !r->bad; i++)
		decode_item(&s->items[i], r);
	read_array(r, manifest, SHA256_BYTES);
	if (r->bad || reader_left(r) != 0 || !consistent(s))
		return ST_CORRUPT;
	st = session_seal(s);
	if (st == ST_OK && memcmp(manifest, s->manifest, SHA256_BYTES) != 0)
		st = ST_CORRUPT;
	return st == ST_CONFLICT ? ST_CORRUPT : st;
}

static void decode_head(struct session *s, struct reader *r)
{
	read_array(r, s->id, sizeof(s->id));
	s->state = (enum session_state)read_u8(r);
	read_text(r, s->signer, sizeof(s->signer) - 1);
	read_text(r, s->principal, sizeof(s->principal) - 1);
	s->opened_ms = (int64_t)read_u64(r);
	s->expires_ms = (int64_t)read_u64(r);
	s->confirmed_ms = (int64_t)read_u64(r);
	s->ended_ms = (int64_t)read_u64(r);
	s->cursor = read_u64(r);
	s->items_n = read_u32(r);
}

enum status session_decode(struct session **out, struct slice bytes)
{
	struct reader r, crc;
	struct session head = { 0 }, *s;
	struct session_item *items;
	enum status st;

	*out = NULL;
	if (bytes.n < HEAD_BYTES + CRC_BYTES)
		return ST_CORRUPT;
	r = reader_of(slice_of(bytes.p, bytes.n - CRC_BYTES));
	crc = reader_of(slice_of(bytes.p + bytes.n - CRC_BYTES, CRC_BYTES));
	if (read_u64(&r) != MAGIC || read_u32(&crc) != crc32c(0, bytes.p, bytes.n - CRC_BYTES))
		return ST_CORRUPT;
	if (read_u32(&r) != VERSION)
		return ST_UNSUPPORTED;
	decode_head(&head, &r);
	if (r.bad || reader_left(&r) / ITEM_BYTES_MIN < head.items_n || head.items_n == 0 ||
	    head.items_n > SESSION_ITEMS_MAX)
		return ST_CORRUPT;
	s = session_new(head.items_n);
	if (s == NULL)
		return ST_NOMEM;
	items = s->items;
	*s = head;
	s->items = items;
	st = decode_body(s, &r);
	if (st != ST_OK) {
		session_free(s);
		return st;
	}
	s->asked = s->state == SESSION_CONFIRMING;
	*out = s;
	return ST_OK;
}
