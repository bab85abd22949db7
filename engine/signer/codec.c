#include "signer/signer.h"

static void write_name(struct writer *w, struct slice s)
{
	if (s.n > UINT8_MAX)
		w->bad = true;
	write_u8(w, (uint8_t)s.n);
	write_bytes(w, s.p, s.n);
}

enum status signer_encode(struct writer *w, uint64_t tag, const struct sign_group *groups,
			  uint16_t groups_n)
{
	size_t at = writer_size(w), size, digests = 0;
	struct writer length;

	write_u32(w, 0);
	write_u64(w, tag);
	write_u16(w, groups_n);
	for (uint16_t i = 0; i < groups_n; i++) {
		const struct sign_group *g = &groups[i];

		write_name(w, g->key);
		write_name(w, g->unit);
		write_name(w, g->kind);
		write_u8(w, g->urgency);
		write_u16(w, g->count);
		write_bytes(w, g->digests, (size_t)g->count * 32);
		digests += g->count;
	}
	size = writer_size(w) - at - 4;
	if (w->bad || digests > SIGNER_DIGESTS_MAX || size > SIGNER_REQUEST_BYTES_MAX)
		return ST_TOO_LARGE;
	length = writer_of(w->start + at, 4);
	write_u32(&length, (uint32_t)size);
	return ST_OK;
}

enum status signer_reply_open(struct signer_reply *out, struct slice message)
{
	out->r = reader_of(message);
	out->tag = read_u64(&out->r);
	out->total = read_u16(&out->r);
	if (out->r.bad || out->total > SIGNER_DIGESTS_MAX)
		return ST_CORRUPT;
	return ST_OK;
}

enum status signer_reply_next(struct signer_reply *r, enum sign_answer *answer,
			      struct slice *signature)
{
	uint8_t status = read_u8(&r->r);

	*signature = read_bytes(&r->r, read_u16(&r->r));
	if (r->r.bad || status >= ANSWERS || signature->n > SIGNATURE_BYTES_MAX)
		return ST_CORRUPT;
	*answer = (enum sign_answer)status;
	return ST_OK;
}
