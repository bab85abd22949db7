#include "render/qr.h"

#include <assert.h>
#include <stdlib.h>

#define DATA_MAX 216			/* codewords of version 10-M */
#define CODEWORDS_MAX 346
#define BLOCKS_MAX 5
#define EC_MAX 26
#define EC_WORDS 4			/* of 8 bytes: holds EC_MAX */
#define FIELD_POLY 0x11d		/* x^8 + x^4 + x^3 + x^2 + 1 */

/* ISO/IEC 18004 table 9, level M: `blocks` of `data` codewords, then `longer` of one more. */
static const struct shape {
	uint8_t blocks, longer, data, ec;
	uint8_t align[3];		/* centres of the alignment patterns (annex E); 0: none */
} shapes[QR_VERSION_MAX + 1] = {
	[1] = { 1, 0, 16, 10, { 0 } },
	[2] = { 1, 0, 28, 16, { 6, 18 } },
	[3] = { 1, 0, 44, 26, { 6, 22 } },
	[4] = { 2, 0, 32, 18, { 6, 26 } },
	[5] = { 2, 0, 43, 24, { 6, 30 } },
	[6] = { 4, 0, 27, 16, { 6, 34 } },
	[7] = { 4, 0, 31, 18, { 6, 22, 38 } },
	[8] = { 2, 2, 38, 22, { 6, 24, 42 } },
	[9] = { 3, 2, 36, 22, { 6, 26, 46 } },
	[10] = { 4, 1, 43, 26, { 6, 28, 50 } },
};

/* One step of the zigzag: one or two neighbouring modules of a row, filled at once. */
struct step {
	uint16_t byte;			/* codeword in which its bits begin */
	uint8_t shift, mask;		/* within the 16 bits from there */
	uint8_t row, column_shift;
};

struct version {
	uint8_t blocks_n, ec_n, side, count_bits;
	uint16_t data_n, codewords_n, steps_n, chars_max;
	/* Rows as the image has them (0 = dark), left aligned: patterns, the mask elsewhere. */
	uint64_t base[QR_SIDE_MAX];
	struct step steps[CODEWORDS_MAX * 8];
};

/* Division by the generator of a degree: what one leading byte adds to the remainder. */
struct division { uint64_t add[256][EC_WORDS]; };

struct qr_tables {
	int8_t value[256];		/* of a character; -1: not alphanumeric */
	uint8_t reversed[256];		/* bit order */
	struct version versions[QR_VERSION_MAX + 1];
	struct division divisions[EC_MAX + 1];
};

/* A symbol while its tables are made. */
struct plane {
	int side;
	bool dark[QR_SIDE_MAX][QR_SIDE_MAX], taken[QR_SIDE_MAX][QR_SIDE_MAX];
};

static void put(struct plane *p, int row, int column, bool dark)
{
	if (row < 0 || row >= p->side || column < 0 || column >= p->side)
		return;
	p->dark[row][column] = dark;
	p->taken[row][column] = true;
}

static void put_finder(struct plane *p, int row, int column)
{
	for (int i = -4; i <= 4; i++) {
		for (int j = -4; j <= 4; j++) {
			int ring = abs(i) > abs(j) ? abs(i) : abs(j);

			put(p, row + i, column + j, ring != 2 && ring != 4);
		}
	}
}

static void put_alignments(struct plane *p, const uint8_t at[3])
{
	int n = at[0] == 0 ? 0 : at[2] == 0 ? 2 : 3;

	for (int a = 0; a < n; a++) {
		for (int b = 0; b < n; b++) {
			bool finder = (a == 0 && b == 0) || (a == 0 && b == n - 1) ||
				      (a == n - 1 && b == 0);

			for (int i = -2; i <= 2 && !finder; i++)
				for (int j = -2; j <= 2; j++)
					put(p, at[a] + i, at[b] + j,
					    abs(i) == 2 || abs(j) == 2 || (i == 0 && j == 0));
		}
	}
}

/* value ‖ remainder of value·x^degree by poly. */
static uint32_t bch(uint32_t value, int value_bits, uint32_t poly, int degree)
{
	uint32_t rest = value << degree;

	for (int i = value_bits - 1; i >= 0; i--)
		if (rest >> (degree + i) & 1)
			rest ^= poly << i;
	return value << degree | rest;
}

/* Level M is 00, so the five bits are the mask's alone. */
static void put_format(struct plane *p)
{
	uint32_t bits = bch(QR_MASK, 5, 0x537, 10) ^ 0x5412;
	int side = p->side;

	for (int i = 0; i < 15; i++) {
		bool dark = bits >> i & 1;
		int along = i < 6 ? i : i < 8 ? i + 1 : side - 15 + i;	/* down column 8 */
		int back = i < 8 ? side - 1 - i : i == 8 ? 7 : 14 - i;	/* back along row 8 */

		put(p, along, 8, dark);
		put(p, 8, back, dark);
	}
	put(p, side - 8, 8, true);
}

static void put_version(struct plane *p, int version)
{
	uint32_t bits = bch((uint32_t)version, 6, 0x1f25, 12);

	for (int i = 0; version >= 7 && i < 18; i++) {
		put(p, p->side - 11 + i % 3, i / 3, bits >> i & 1);
		put(p, i / 3, p->side - 11 + i % 3, bits >> i & 1);
	}
}

static void put_patterns(struct plane *p, int version)
{
	*p = (struct plane){ .side = 17 + 4 * version };
	put_finder(p, 3, 3);
	put_finder(p, 3, p->side - 4);
	put_finder(p, p->side - 4, 3);
	for (int i = 8; i < p->side - 8; i++) {
		put(p, 6, i, i % 2 == 0);
		put(p, i, 6, i % 2 == 0);
	}
	put_alignments(p, shapes[version].align);
	put_format(p);
	put_version(p, version);
}

/*
 * Bits fill two columns at a time, right before left, upwards and downwards in turn, around the
 * patterns. Two bits side by side become one step.
 */
static void make_steps(struct version *v, const struct plane *p)
{
	uint32_t bit = 0, bits = v->codewords_n * 8u;
	bool up = true;

	for (int right = p->side - 1; right > 0; right -= 2, up = !up) {
		if (right == 6)		/* the vertical timing pattern */
			right = 5;
		for (int k = 0; k < p->side && bit < bits; k++) {
			int row = up ? p->side - 1 - k : k;
			bool has_right = !p->taken[row][right];
			bool has_left = !p->taken[row][right - 1];
			uint32_t n = has_right + has_left;

			if (n > bits - bit)	/* remainder bits stay as the mask has them */
				n = bits - bit;
			if (n == 0)
				continue;
			v->steps[v->steps_n++] = (struct step){
				.byte = (uint16_t)(bit / 8), .shift = bit % 8,
				.mask = n == 2 ? 3 : 1, .row = (uint8_t)row,
				.column_shift = (uint8_t)(63 - (has_right ? right : right - 1)),
			};
			bit += n;
		}
	}
	assert(bit == bits);
}

static void make_version(struct version *v, int version)
{
	const struct shape *s = &shapes[version];
	uint32_t payload_bits;
	struct plane p;

	v->blocks_n = s->blocks + s->longer;
	v->ec_n = s->ec;
	v->side = (uint8_t)(17 + 4 * version);
	v->data_n = (uint16_t)(v->blocks_n * s->data + s->longer);
	v->codewords_n = (uint16_t)(v->data_n + v->blocks_n * s->ec);
	v->count_bits = version < 10 ? 9 : 11;
	payload_bits = v->data_n * 8u - 4 - v->count_bits;
	v->chars_max = (uint16_t)(payload_bits / 11 * 2 + (payload_bits % 11 >= 6));
	put_patterns(&p, version);
	for (int row = 0; row < p.side; row++) {
		for (int column = 0; column < p.side; column++) {
			bool dark = p.taken[row][column] ? p.dark[row][column] :
							   (row + column) % 3 == 0;

			if (dark)
				v->base[row] |= 1ull << (63 - column);
		}
		v->base[row] = ~v->base[row];
	}
	make_steps(v, &p);
}

static uint8_t field_product(uint8_t a, uint8_t b)
{
	uint32_t product = 0;

	for (int i = 7; i >= 0; i--) {
		product <<= 1;
		if (product & 0x100)
			product ^= FIELD_POLY;
		if (b >> i & 1)
			product ^= a;
	}
	return (uint8_t)product;
}

static void make_division(struct division *d, int degree)
{
	uint8_t generator[EC_MAX] = { 0 };	/* without its leading 1, highest power first */
	uint8_t root = 1;

	generator[degree - 1] = 1;
	for (int i = 0; i < degree; i++) {
		for (int k = 0; k < degree; k++) {
			generator[k] = field_product(generator[k], root);
			if (k + 1 < degree)
				generator[k] ^= generator[k + 1];
		}
		root = field_product(root, 2);
	}
	for (int lead = 0; lead < 256; lead++)
		for (int k = 0; k < degree; k++)
			d->add[lead][k / 8] |= (uint64_t)field_product(generator[k], (uint8_t)lead)
					       << (k % 8 * 8);
}

enum status qr_tables_new(struct qr_tables **out)
{
	static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
	struct qr_tables *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return ST_NOMEM;
	for (int c = 0; c < 256; c++) {
		t->value[c] = -1;
		for (int i = 0; i < 8; i++)
			t->reversed[c] |= (uint8_t)((c >> i & 1) << (7 - i));
	}
	for (int i = 0; alphabet[i] != '\0'; i++)
		t->value[(uint8_t)alphabet[i]] = (int8_t)i;
	for (int version = 1; version <= QR_VERSION_MAX; version++)
		make_version(&t->versions[version], version);
	for (int version = 1; version <= QR_VERSION_MAX; version++)
		if (t->divisions[shapes[version].ec].add[1][0] == 0)
			make_division(&t->divisions[shapes[version].ec], shapes[version].ec);
	*out = t;
	return ST_OK;
}

void qr_tables_free(struct qr_tables *t)
{
	free(t);
}

struct bits { uint8_t *p; uint64_t pending; uint32_t n; };

static inline void put_bits(struct bits *b, uint32_t value, uint32_t n)
{
	b->pending = b->pending << n | value;
	b->n += n;
	while (b->n >= 8) {
		b->n -= 8;
		*b->p++ = (uint8_t)(b->pending >> b->n);
	}
}

static enum status encode_data(const struct qr_tables *t, const struct version *v,
			       struct slice text, uint8_t *data)
{
	struct bits b = { .p = data };
	uint8_t *end = data + v->data_n;
	int wrong = 0;
	size_t i;

	put_bits(&b, 2, 4);		/* alphanumeric mode */
	put_bits(&b, (uint32_t)text.n, v->count_bits);
	for (i = 0; i + 1 < text.n; i += 2) {
		int high = t->value[text.p[i]], low = t->value[text.p[i + 1]];

		wrong |= high | low;	/* negative once any was */
		put_bits(&b, (uint32_t)(high * 45 + low) & 0x7ff, 11);
	}
	if (i < text.n) {
		wrong |= t->value[text.p[i]];
		put_bits(&b, (uint32_t)t->value[text.p[i]] & 0x3f, 6);
	}
	if (wrong < 0)
		return ST_INVALID;
	/* The terminator of four zeros is shorter where the symbol is full. */
	if (b.p < end)
		put_bits(&b, 0, b.p + 1 < end || b.n <= 4 ? 4 : 8 - b.n);
	if (b.n > 0)
		put_bits(&b, 0, 8 - b.n);
	for (uint8_t pad = 0xec; b.p < end; pad ^= 0xec ^ 0x11)
		*b.p++ = pad;
	return ST_OK;
}

static void divide(const struct division *d, const uint8_t *data, size_t n,
		   uint8_t ec[EC_WORDS * 8])
{
	uint64_t r0 = 0, r1 = 0, r2 = 0, r3 = 0;
	struct writer w = writer_of(ec, EC_WORDS * 8);

	for (size_t i = 0; i < n; i++) {
		const uint64_t *add = d->add[(uint8_t)r0 ^ data[i]];

		r0 = (r0 >> 8 | r1 << 56) ^ add[0];
		r1 = (r1 >> 8 | r2 << 56) ^ add[1];
		r2 = (r2 >> 8 | r3 << 56) ^ add[2];
		r3 = r3 >> 8 ^ add[3];
	}
	write_u64(&w, r0);
	write_u64(&w, r1);
	write_u64(&w, r2);
	write_u64(&w, r3);
}

/* The blocks' codewords in turn, each with its lowest bit first, as the steps read them. */
static void interleave(const struct qr_tables *t, int version, const uint8_t *data, uint8_t *out)
{
	const struct shape *s = &shapes[version];
	const struct version *v = &t->versions[version];
	const uint8_t *block = data;

	for (uint32_t b = 0; b < v->blocks_n; b++) {
		uint32_t n = s->data + (b >= s->blocks);
		uint8_t ec[EC_WORDS * 8];

		divide(&t->divisions[s->ec], block, n, ec);
		for (uint32_t i = 0; i < s->data; i++)
			out[i * v->blocks_n + b] = t->reversed[block[i]];
		if (n > s->data)
			out[s->data * v->blocks_n + b - s->blocks] = t->reversed[block[s->data]];
		for (uint32_t i = 0; i < s->ec; i++)
			out[v->data_n + i * v->blocks_n + b] = t->reversed[ec[i]];
		block += n;
	}
}

enum status qr_encode(const struct qr_tables *t, struct slice text, struct qr *out)
{
	uint8_t data[DATA_MAX + 8], codewords[CODEWORDS_MAX + 1];
	uint64_t rows[QR_SIDE_MAX];
	const struct version *v;
	int version = 1;
	enum status st;

	while (version <= QR_VERSION_MAX && text.n > t->versions[version].chars_max)
		version++;
	if (version > QR_VERSION_MAX)
		return ST_TOO_LARGE;
	v = &t->versions[version];
	st = encode_data(t, v, text, data);
	if (st != ST_OK)
		return st;
	interleave(t, version, data, codewords);
	codewords[v->codewords_n] = 0;	/* the last step's window ends here */
	memcpy(rows, v->base, v->side * sizeof(rows[0]));
	for (uint32_t i = 0; i < v->steps_n; i++) {
		const struct step *s = &v->steps[i];
		uint32_t window = codewords[s->byte] | (uint32_t)codewords[s->byte + 1] << 8;

		rows[s->row] ^= (uint64_t)(window >> s->shift & s->mask) << s->column_shift;
	}
	out->version = (uint8_t)version;
	out->side = v->side;
	out->row_bytes = (uint8_t)((v->side + 7) / 8);
	for (uint32_t r = 0; r < v->side; r++)
		for (uint32_t i = 0; i < out->row_bytes; i++)
			out->rows[r * out->row_bytes + i] = (uint8_t)(rows[r] >> (56 - 8 * i));
	return ST_OK;
}
