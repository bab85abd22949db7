#include "verify/own.h"

#include <stdlib.h>

/* The longest signature says how large the hole is; a shorter one leaves zeros. */
static enum status build(struct own_form *f, const struct slice *ders, size_t n)
{
	const struct algorithm_info *info = algorithm_info(f->algorithm);
	struct cms_skeleton longest;
	enum status st = cms_skeleton(&longest, f->algorithm, ders, n, info->signature_max, 0);

	if (st != ST_OK)
		return st;
	st = cms_skeleton(&f->skeleton, f->algorithm, ders, n, f->value_bytes,
			  cms_hole_bytes(&longest, info->signature_max));
	cms_free(&longest);
	return st;
}

enum status own_build(struct own_form *f, enum algorithm a, STACK_OF(X509) *chain,
		      uint16_t value_bytes)
{
	const struct algorithm_info *info = algorithm_info(a);
	struct slice ders[KEY_CHAIN_MAX + 1];
	int all = sk_X509_num(chain), n = 0;
	enum status st = ST_OK;

	*f = (struct own_form){ .algorithm = a, .value_bytes = value_bytes };
	/* Without the root. */
	if (all < 2 || all - 1 > KEY_CHAIN_MAX || value_bytes < info->signature_min ||
	    value_bytes > info->signature_max)
		return ST_INVALID;
	while (n < all - 1 && st == ST_OK) {
		unsigned char *der = NULL;
		int size = i2d_X509(sk_X509_value(chain, n), &der);

		if (size > 0)
			ders[n++] = slice_of(der, (size_t)size);
		else
			st = ST_NOMEM;
	}
	if (st == ST_OK)
		st = build(f, ders, (size_t)n);
	while (n > 0)
		OPENSSL_free((void *)ders[--n].p);
	return st;
}

void own_free(struct own_form *f)
{
	cms_free(&f->skeleton);
}

static bool take_layer(struct reader *r, const struct layer *l)
{
	return slice_eq(read_bytes(r, l->size), slice_of(l->bytes, l->size));
}

/* Upper case hex of n bytes, and nothing else. */
static bool take_hex(struct reader *r, uint8_t *out, size_t n)
{
	struct slice s = read_bytes(r, 2 * n);
	char again[2 * SIGNATURE_BYTES_MAX];

	if (!hex_read(out, n, s))
		return false;
	hex_upper(again, out, n);
	return memcmp(again, s.p, s.n) == 0;
}

bool own_matches(const struct own_form *f, struct slice hole, const uint8_t digest[SHA256_BYTES],
		 uint8_t value[SIGNATURE_BYTES_MAX])
{
	struct reader r = reader_of(hole);
	char named[2 * SHA256_BYTES];

	hex_upper(named, digest, SHA256_BYTES);
	return hole.n == cms_hole_bytes(&f->skeleton, f->value_bytes) &&
		take_layer(&r, &f->skeleton.head) &&
		slice_eq(read_bytes(&r, sizeof(named)), slice_of(named, sizeof(named))) &&
		take_layer(&r, &f->skeleton.middle) && take_hex(&r, value, f->value_bytes) &&
		take_layer(&r, &f->skeleton.tail) && r.p == r.end;
}
