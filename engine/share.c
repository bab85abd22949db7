#include "share.h"

#include <stdlib.h>

#include "living.h"

static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

bool share_is_of_all(const struct share *s)
{
	static const uint8_t nobody[16];

	return memcmp(s->holder, nobody, sizeof(nobody)) == 0;
}

enum share_state share_state(const struct share *s, int64_t now_ms)
{
	if (s->end != 0)
		return (enum share_state)s->end;
	if (s->views >= s->views_max)
		return SHARE_USED_UP;
	return now_ms >= s->expire_ms ? SHARE_EXPIRED : SHARE_OPEN;
}

void share_write(const struct share *s, struct slice viewer, struct writer *w)
{
	write_u64(w, s->stamp);
	write_bytes(w, s->holder, sizeof(s->holder));
	write_u8(w, s->kind);
	write_u8(w, s->scope);
	write_u8(w, s->end);
	write_u16(w, s->views_max);
	write_u16(w, s->views);
	write_u64(w, (uint64_t)s->expire_ms);
	write_u64(w, (uint64_t)s->view_ms);
	write_bytes(w, viewer.p, viewer.n);
}

enum status share_read(struct share *s, struct slice *viewer, struct slice detail)
{
	struct reader in = reader_of(detail);
	struct slice holder, rest;

	*s = (struct share){ .stamp = read_u64(&in) };
	holder = read_bytes(&in, sizeof(s->holder));
	s->kind = read_u8(&in);
	s->scope = read_u8(&in);
	s->end = read_u8(&in);
	s->views_max = read_u16(&in);
	s->views = read_u16(&in);
	s->expire_ms = (int64_t)read_u64(&in);
	s->view_ms = (int64_t)read_u64(&in);
	rest = read_bytes(&in, reader_left(&in));
	if (in.bad || s->kind < SHARE_LINK || s->kind > SHARE_CODE || s->scope > SHARE_FILE ||
	    rest.n > SHARE_VIEWER_BYTES_MAX ||
	    (s->end != 0 && s->end != SHARE_REVOKED && s->end != SHARE_TRIED_OUT))
		return ST_CORRUPT;
	memcpy(s->holder, holder.p, holder.n);
	if (viewer != NULL)
		*viewer = rest;
	return ST_OK;
}

/* ---- what opens it ---- */

void share_id_text(char out[SHARE_ID_BYTES], const uint8_t result_id[16], uint64_t stamp)
{
	uint8_t bytes[8];

	id_text(out, result_id);
	/* The most significant byte first: ids sort by time. */
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(stamp >> (8 * (sizeof(bytes) - 1 - i)));
	hex_upper(out + ID_TEXT_BYTES, bytes, sizeof(bytes));
}

bool share_id_read(uint8_t result_id[16], uint64_t *stamp, struct slice text)
{
	uint8_t bytes[8];

	if (text.n != SHARE_ID_BYTES || !id_read(result_id, slice_of(text.p, ID_TEXT_BYTES)) ||
	    !hex_read(bytes, sizeof(bytes), slice_of(text.p + ID_TEXT_BYTES, 16)))
		return false;
	*stamp = 0;
	for (size_t i = 0; i < sizeof(bytes); i++)
		*stamp = *stamp << 8 | bytes[i];
	return true;
}

void share_token_text(char out[SHARE_TOKEN_BYTES], const uint8_t result_id[16],
		      const uint8_t secret[SHARE_SECRET_BYTES])
{
	id_text(out, result_id);
	id_text(out + ID_TEXT_BYTES, secret);
}

bool share_token_read(uint8_t result_id[16], uint8_t hash[SHA256_BYTES], struct slice text)
{
	uint8_t secret[SHARE_SECRET_BYTES];

	if (text.n != SHARE_TOKEN_BYTES || !id_read(result_id, slice_of(text.p, ID_TEXT_BYTES)) ||
	    !id_read(secret, slice_of(text.p + ID_TEXT_BYTES, ID_TEXT_BYTES)))
		return false;
	sha256_once(secret, sizeof(secret), hash);
	return true;
}

void share_code_text(char out[SHARE_CODE_BYTES], const uint8_t random[5])
{
	uint64_t bits = 0;

	for (size_t i = 0; i < 5; i++)
		bits = bits << 8 | random[i];
	for (size_t i = SHARE_CODE_BYTES; i > 0; i--) {
		out[i - 1] = letters[bits & 31];
		bits >>= 5;
	}
}

/* NUL: no letter of a code. */
static char letter_of(uint8_t typed)
{
	char c = (char)(typed >= 'a' && typed <= 'z' ? typed - 'a' + 'A' : typed);

	if (c == 'O')
		c = '0';
	else if (c == 'I' || c == 'L')
		c = '1';
	return c != '\0' && strchr(letters, c) != NULL ? c : '\0';
}

bool share_code_read(uint8_t hash[SHA256_BYTES], struct slice text)
{
	char code[SHARE_CODE_BYTES];
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char c = letter_of(text.p[i]);

		if (text.p[i] == ' ' || text.p[i] == '-')
			continue;
		if (c == '\0' || n == sizeof(code))
			return false;
		code[n++] = c;
	}
	if (n == sizeof(code))
		sha256_once(code, sizeof(code), hash);
	return n == sizeof(code);
}

/* ---- all shares of a result ---- */

static enum status add(struct shares *s, const struct share *one)
{
	if (s->n == s->room) {
		uint32_t room = s->room == 0 ? 16 : 2 * s->room;
		struct share *bigger = realloc(s->of, room * sizeof(*bigger));

		if (bigger == NULL)
			return ST_NOMEM;
		s->of = bigger;
		s->room = room;
	}
	s->of[s->n++] = *one;
	return ST_OK;
}

enum status shares_take(struct shares *s, uint8_t event, int64_t at_ms, struct slice detail)
{
	struct share one;

	if (!event_is_share(event))
		return ST_OK;
	if (share_read(&one, NULL, detail) != ST_OK)
		return ST_CORRUPT;
	/* The end of all codes: kept apart, with when it was, until all are taken. */
	if (share_is_of_all(&one)) {
		one.view_ms = at_ms;
		return add(s, &one);
	}
	for (uint32_t i = 0; i < s->n; i++) {
		struct share *known = &s->of[i];

		if (known->stamp != one.stamp || share_is_of_all(known))
			continue;
		if (one.views > known->views) {
			known->views = one.views;
			known->view_ms = one.view_ms;
		}
		if (known->end == 0)
			known->end = one.end;
		return ST_OK;
	}
	return add(s, &one);
}

static int newest_first(const void *a, const void *b)
{
	const struct share *x = a, *y = b;

	return x->stamp < y->stamp ? 1 : x->stamp > y->stamp ? -1 : 0;
}

/* Those that were still open then. */
static void end_codes(struct shares *s, const struct share *all)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct share *one = &s->of[i];

		if (one->kind == SHARE_CODE && !share_is_of_all(one) && one->stamp <= all->stamp &&
		    share_state(one, all->view_ms) == SHARE_OPEN)
			one->end = SHARE_TRIED_OUT;
	}
}

void shares_of(struct shares *s, const uint8_t holder[16])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n; i++)
		if (share_is_of_all(&s->of[i]))
			end_codes(s, &s->of[i]);
	for (uint32_t i = 0; i < s->n; i++)
		if (memcmp(s->of[i].holder, holder, sizeof(s->of[i].holder)) == 0)
			s->of[n++] = s->of[i];
	s->n = n;
	if (n > 0)
		qsort(s->of, n, sizeof(*s->of), newest_first);
}

void shares_free(struct shares *s)
{
	free(s->of);
	*s = (struct shares){ 0 };
}
