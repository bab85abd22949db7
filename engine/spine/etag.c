#include "spine/etag.h"

#define HEAD_BYTES 3
#define SEAL_BYTES (ETAG_BYTES / 2 - HEAD_BYTES)

static void seal(struct identity *id, const uint8_t result_id[16], struct slice unit,
		 const uint8_t head[HEAD_BYTES], uint8_t out[16])
{
	uint8_t text[64 + CODE_BYTES_MAX], hash[SHA256_BYTES];
	struct writer w = writer_of(text, sizeof(text));

	write_str(&w, "etag");
	write_bytes(&w, head, HEAD_BYTES);
	write_bytes(&w, result_id, 16);
	write_bytes(&w, unit.p, unit.n);
	sha256_once(text, writer_size(&w), hash);
	identity_seal(id, hash, out);
}

void etag_after(struct identity *id, const uint8_t result_id[16], struct slice unit,
		const struct etag *e, char out[ETAG_BYTES + 1])
{
	uint8_t bytes[HEAD_BYTES + 16];
	struct writer w = writer_of(bytes, HEAD_BYTES);

	write_u16(&w, (uint16_t)e->acts);
	write_u8(&w, e->replaced);
	seal(id, result_id, unit, bytes, bytes + HEAD_BYTES);
	hex_lower(out, bytes, HEAD_BYTES + SEAL_BYTES);
	out[ETAG_BYTES] = '\0';
}

void etag_write(struct identity *id, struct result_view *v)
{
	struct etag e = { .acts = v->living.acts, .replaced = !id_is_zero(v->replaced_by) };

	etag_after(id, v->result_id, v->unit, &e, v->etag);
}

bool etag_read(struct identity *id, const uint8_t result_id[16], struct slice unit,
	       const char *text, struct etag *out)
{
	uint8_t bytes[ETAG_BYTES / 2], expect[16];
	struct reader r = reader_of(slice_of(bytes, sizeof(bytes)));

	if (unit.n > CODE_BYTES_MAX || !hex_read(bytes, sizeof(bytes), slice_str(text)))
		return false;
	out->acts = read_u16(&r);
	out->replaced = read_u8(&r) != 0;
	seal(id, result_id, unit, bytes, expect);
	return memcmp(bytes + HEAD_BYTES, expect, SEAL_BYTES) == 0;
}
