#include "foreign/fax.h"

#define CODE_BITS_MAX 13
#define CODES (1u << CODE_BITS_MAX)
#define TERMINATING 64			/* runs of 0 to 63; the others are 64 times what follows */
#define MODE_BITS_MAX 7
#define EOFB 0x001001u
#define EOFB_BITS 24
#define ENDS 4				/* of a row's list: the row's own end, again and again */

/* Terminating codes for runs 0 to 63, then make-up codes for 64, 128 … 2560. */
static const char white_codes[] =
	"00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011 "
	"110100 110101 101010 101011 0100111 0001100 0001000 0010111 0000011 0000100 0101000 "
	"0101011 0010011 0100100 0011000 00000010 00000011 00011010 00011011 00010010 00010011 "
	"00010100 00010101 00010110 00010111 00101000 00101001 00101010 00101011 00101100 "
	"00101101 00000100 00000101 00001010 00001011 01010010 01010011 01010100 01010101 "
	"00100100 00100101 01011000 01011001 01011010 01011011 01001010 01001011 00110010 "
	"00110011 00110100 11011 10010 010111 0110111 00110110 00110111 01100100 01100101 "
	"01101000 01100111 011001100 011001101 011010010 011010011 011010100 011010101 "
	"011010110 011010111 011011000 011011001 011011010 011011011 010011000 010011001 "
	"010011010 011000 010011011 00000001000 00000001100 00000001101 000000010010 "
	"000000010011 000000010100 000000010101 000000010110 000000010111 000000011100 "
	"000000011101 000000011110 000000011111";
static const char black_codes[] =
	"0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 "
	"00000100 00000111 000011000 0000010111 0000011000 0000001000 00001100111 00001101000 "
	"00001101100 00000110111 00000101000 00000010111 00000011000 000011001010 000011001011 "
	"000011001100 000011001101 000001101000 000001101001 000001101010 000001101011 "
	"000011010010 000011010011 000011010100 000011010101 000011010110 000011010111 "
	"000001101100 000001101101 000011011010 000011011011 000001010100 000001010101 "
	"000001010110 000001010111 000001100100 000001100101 000001010010 000001010011 "
	"000000100100 000000110111 000000111000 000000100111 000000101000 000001011000 "
	"000001011001 000000101011 000000101100 000001011010 000001100110 000001100111 "
	"0000001111 000011001000 000011001001 000001011011 000000110011 000000110100 "
	"000000110101 0000001101100 0000001101101 0000001001010 0000001001011 0000001001100 "
	"0000001001101 0000001110010 0000001110011 0000001110100 0000001110101 0000001110110 "
	"0000001110111 0000001010010 0000001010011 0000001010100 0000001010101 0000001011010 "
	"0000001011011 0000001100100 0000001100101 00000001000 00000001100 00000001101 "
	"000000010010 000000010011 000000010100 000000010101 000000010110 000000010111 "
	"000000011100 000000011101 000000011110 000000011111";

struct code { uint8_t bits; uint16_t run; };	/* bits 0: no code begins so */

struct fax {
	const uint8_t *p, *end;
	uint64_t held;			/* the next bits, uppermost first; zeros behind the end */
	uint32_t held_n;
	int64_t left;			/* bits of the stream that were not taken; < 0: beyond it */
	uint32_t width;
	struct code *codes[2];		/* white, black */
	uint32_t *above, *row;		/* where the colour changes, in order, then `width` */
	uint32_t row_n;
};

/* ---- bits ---- */

static uint32_t peek(struct fax *f, uint32_t n)
{
	while (f->held_n < n) {
		uint64_t next = f->p < f->end ? *f->p++ : 0;

		f->held |= next << (56 - f->held_n);
		f->held_n += 8;
	}
	return (uint32_t)(f->held >> (64 - n));
}

static void take(struct fax *f, uint32_t n)
{
	f->held <<= n;
	f->held_n -= n;
	f->left -= n;
}

/* ---- runs ---- */

static void codes_make(struct code *table, const char *text)
{
	uint32_t n = 0, value = 0, bits = 0;

	memset(table, 0, CODES * sizeof(*table));
	for (;; text++) {
		if (*text == '0' || *text == '1') {
			value = value << 1 | (uint32_t)(*text - '0');
			bits++;
			continue;
		}
		/* Whatever follows it. */
		for (uint32_t i = 0; i < 1u << (CODE_BITS_MAX - bits); i++)
			table[(value << (CODE_BITS_MAX - bits)) + i] = (struct code){
				(uint8_t)bits, (uint16_t)(n < TERMINATING ? n :
							  (n - TERMINATING + 1) * 64) };
		n++;
		value = bits = 0;
		if (*text == '\0')
			return;
	}
}

/* false: no code, or longer than the row. */
static bool run_take(struct fax *f, int black, uint32_t *run)
{
	struct code c;

	*run = 0;
	do {
		c = f->codes[black][peek(f, CODE_BITS_MAX)];
		if (c.bits == 0)
			return false;
		take(f, c.bits);
		*run += c.run;
	} while (c.run >= TERMINATING && *run <= f->width);
	return *run <= f->width;
}

/* ---- rows ---- */

/* A run of no length is none: the change before it was none either. */
static void change_add(struct fax *f, uint32_t at)
{
	if (f->row_n > 0 && f->row[f->row_n - 1] == at)
		f->row_n--;
	else
		f->row[f->row_n++] = at;
}

enum mode { MODE_PASS, MODE_RUNS, MODE_VERTICAL, MODE_NONE };

/* T.6, table 1; *shift: of MODE_VERTICAL. */
static enum mode mode_take(struct fax *f, int *shift)
{
	static const struct { uint8_t bits, value; enum mode mode; int shift; } modes[] = {
		{ 1, 1, MODE_VERTICAL, 0 }, { 3, 3, MODE_VERTICAL, 1 },
		{ 3, 2, MODE_VERTICAL, -1 }, { 3, 1, MODE_RUNS, 0 }, { 4, 1, MODE_PASS, 0 },
		{ 6, 3, MODE_VERTICAL, 2 }, { 6, 2, MODE_VERTICAL, -2 },
		{ 7, 3, MODE_VERTICAL, 3 }, { 7, 2, MODE_VERTICAL, -3 },
	};
	uint32_t bits = peek(f, MODE_BITS_MAX);

	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		if (bits >> (MODE_BITS_MAX - modes[i].bits) != modes[i].value)
			continue;
		take(f, modes[i].bits);
		*shift = modes[i].shift;
		return modes[i].mode;
	}
	return MODE_NONE;
}

/* b1: the first change above, right of `at`, to the other colour. *i: where the last one was. */
static void find_above(const struct fax *f, int64_t at, int black, uint32_t *i)
{
	while (*i > 0 && (int64_t)f->above[*i - 1] > at)
		--*i;
	while ((int64_t)f->above[*i] <= at && f->above[*i] < f->width)
		++*i;
	/* Changes to black have even places. */
	if ((int)(*i & 1) != black && f->above[*i] < f->width)
		++*i;
}

static bool row_take(struct fax *f)
{
	int64_t at = -1;		/* a0: imaginary, before the first sample */
	uint32_t i = 0, first, second;
	int black = 0, shift;

	f->row_n = 0;
	while (at < (int64_t)f->width && f->left > 0) {
		int64_t from = at < 0 ? 0 : at;

		find_above(f, at, black, &i);
		switch (mode_take(f, &shift)) {
		case MODE_PASS:
			at = f->above[i] < f->width ? f->above[i + 1] : f->width;
			break;
		case MODE_RUNS:
			if (!run_take(f, black, &first) || !run_take(f, !black, &second) ||
			    from + first + second > f->width)
				return false;
			change_add(f, (uint32_t)from + first);
			change_add(f, (uint32_t)from + first + second);
			at = from + first + second;
			break;
		case MODE_VERTICAL:
			from = (int64_t)f->above[i] + shift;
			if (from <= at || from > f->width)
				return false;
			change_add(f, (uint32_t)from);
			black = !black;
			at = from;
			break;
		default:
			return false;
		}
	}
	for (uint32_t n = 0; n < ENDS; n++)
		f->row[f->row_n + n] = f->width;
	return at == f->width;
}

static enum fax_end rows(struct fax *f, uint32_t height)
{
	for (uint32_t y = 0; y < height; y++) {
		uint32_t *above = f->above;

		if (peek(f, EOFB_BITS) == EOFB || f->left <= 0)
			return FAX_SHORT;
		if (!row_take(f) || f->left < 0)
			return f->left <= 0 ? FAX_SHORT : FAX_BROKEN;
		f->above = f->row;
		f->row = above;
	}
	/* The end of the block, bits to the next byte, and a line's end before `endstream`. */
	if (peek(f, EOFB_BITS) == EOFB)
		take(f, EOFB_BITS);
	return f->left < 8 + 16 ? FAX_WHOLE : FAX_LONG;
}

enum status fax_check(struct slice in, uint32_t width, uint32_t height, struct arena *a,
		      enum fax_end *end)
{
	struct fax f = { .p = in.p, .end = in.p + in.n, .left = 8 * (int64_t)in.n, .width = width };
	size_t before = a->used, row_bytes = ((size_t)width + 2 + ENDS) * sizeof(*f.row);

	f.codes[0] = arena_take(a, CODES * sizeof(struct code));
	f.codes[1] = arena_take(a, CODES * sizeof(struct code));
	f.above = arena_take(a, row_bytes);
	f.row = arena_take(a, row_bytes);
	if (f.row == NULL || f.above == NULL || f.codes[0] == NULL || f.codes[1] == NULL) {
		a->used = before;
		return ST_NOMEM;
	}
	codes_make(f.codes[0], white_codes);
	codes_make(f.codes[1], black_codes);
	for (uint32_t n = 0; n < ENDS; n++)
		f.above[n] = width;
	*end = rows(&f, height);
	a->used = before;
	return ST_OK;
}
