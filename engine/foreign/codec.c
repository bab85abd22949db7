#include <stdio.h>

#include "foreign/foreign.h"

enum { ANSWER_GOOD = 1, ANSWER_REFUSED, ANSWER_JUDGED };

void foreign_write(struct writer *w, const struct original *o, const struct foreign_verdict *v)
{
	if (v->why == REASON_NONE) {
		write_u8(w, ANSWER_GOOD);
		original_write(o, w);
		return;
	}
	write_u8(w, ANSWER_REFUSED);
	write_u16(w, (uint16_t)v->why);
	write_bytes(w, v->detail, strnlen(v->detail, sizeof(v->detail) - 1));
}

/* The process speaks of a file's bytes and of nothing else. */
static bool is_verdict(unsigned int why)
{
	return why >= REASON_ORIGINAL_EMPTY && why <= REASON_ORIGINAL_TIMEOUT;
}

static enum status read_refusal(struct reader *r, struct foreign_verdict *v)
{
	unsigned int why = read_u16(r);
	size_t n = reader_left(r);

	if (r->bad || !is_verdict(why) || n >= sizeof(v->detail))
		return ST_CORRUPT;
	for (size_t i = 0; i < n; i++)
		if (r->p[i] < ' ' || r->p[i] > '~')
			return ST_CORRUPT;
	*v = (struct foreign_verdict){ .why = (enum reason)why };
	memcpy(v->detail, r->p, n);
	return ST_OK;
}

enum status foreign_read(struct slice message, const struct foreign_file *file, struct arena *a,
			 struct original *out, struct foreign_verdict *v)
{
	struct reader r = reader_of(message);
	uint8_t kind = read_u8(&r);
	enum status st;

	if (kind == ANSWER_REFUSED)
		return read_refusal(&r, v);
	if (kind != ANSWER_GOOD)
		return ST_CORRUPT;
	st = original_read(out, &r, a);
	/* Nor does it know which result of ours it is. */
	if (st == ST_OK && (r.bad || reader_left(&r) > 0 || out->size != file->size ||
			    out->source != NULL ||
			    file->own != (out->wrapped == ORIGINAL_OWN)))
		st = ST_CORRUPT;
	/* Whose hash it is was counted where the bytes came in, not by who read them. */
	memcpy(out->sha256, file->sha256, SHA256_BYTES);
	*v = (struct foreign_verdict){ .why = REASON_NONE };
	return st;
}

void foreign_judgement_write(struct writer *w, struct slice judgement)
{
	write_u8(w, ANSWER_JUDGED);
	write_bytes(w, judgement.p, judgement.n);
}

enum status foreign_judgement_read(struct slice message, struct slice *judgement,
				   struct foreign_verdict *v)
{
	struct reader r = reader_of(message);
	uint8_t kind = read_u8(&r);

	*judgement = slice_of(NULL, 0);
	*v = (struct foreign_verdict){ .why = REASON_NONE };
	if (kind == ANSWER_REFUSED)
		return read_refusal(&r, v);
	if (kind != ANSWER_JUDGED || reader_left(&r) == 0 ||
	    reader_left(&r) > FOREIGN_JUDGEMENT_BYTES_MAX)
		return ST_CORRUPT;
	*judgement = read_bytes(&r, reader_left(&r));
	return ST_OK;
}
