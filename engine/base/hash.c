#include "base/hash.h"

/* For SHA256_Init() and its companions, see sha256_once(). */
#define OPENSSL_SUPPRESS_DEPRECATED

#include <assert.h>
#include <nmmintrin.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>

struct sha256 {
	EVP_MD_CTX *ctx;
};

/* Fetched once per process by OpenSSL's own cache; EVP_sha256() is a static descriptor whose
 * first use fetches. sha256_new warms it so that no document pays. */
struct sha256 *sha256_new(void)
{
	struct sha256 *h = malloc(sizeof(*h));

	if (h == NULL)
		return NULL;
	h->ctx = EVP_MD_CTX_new();
	if (h->ctx == NULL || EVP_DigestInit_ex2(h->ctx, EVP_sha256(), NULL) != 1) {
		sha256_free(h);
		return NULL;
	}
	return h;
}

void sha256_free(struct sha256 *h)
{
	if (h == NULL)
		return;
	EVP_MD_CTX_free(h->ctx);
	free(h);
}

void sha256_start(struct sha256 *h)
{
	/* NULL type: same digest again, no fetch. */
	int ok = EVP_DigestInit_ex2(h->ctx, NULL, NULL);

	assert(ok == 1);
}

void sha256_fork(struct sha256 *dst, const struct sha256 *src)
{
	int ok = EVP_MD_CTX_copy_ex(dst->ctx, src->ctx);

	assert(ok == 1);
}

void sha256_add(struct sha256 *h, const void *p, size_t n)
{
	int ok = EVP_DigestUpdate(h->ctx, p, n);

	assert(ok == 1);
}

void sha256_end(struct sha256 *h, uint8_t out[SHA256_BYTES])
{
	unsigned int n = 0;
	int ok = EVP_DigestFinal_ex(h->ctx, out, &n);

	assert(ok == 1 && n == SHA256_BYTES);
}

/*
 * Keys and digests of every case come through here: the state on the stack costs neither the
 * allocation nor the fetch of EVP's one-shot, which are several times the hashing of a key.
 */
void sha256_once(const void *p, size_t n, uint8_t out[SHA256_BYTES])
{
	SHA256_CTX state;

	SHA256_Init(&state);
	SHA256_Update(&state, p, n);
	SHA256_Final(out, &state);
}

/* Three lanes side by side hide the instruction's latency. */
#define LANE_BYTES 256

static uint32_t crc_table[256];
static uint32_t lane_table[4][256];	/* byte k of a CRC, moved over LANE_BYTES zeros */

static uint32_t crc_plain(uint32_t crc, const uint8_t *p, size_t n)
{
	while (n-- > 0)
		crc = crc >> 8 ^ crc_table[(crc ^ *p++) & 0xff];
	return crc;
}

__attribute__((constructor)) static void crc_tables_fill(void)
{
	static const uint8_t zeros[LANE_BYTES];

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c & 1 ? c >> 1 ^ 0x82f63b78u : c >> 1;
		crc_table[i] = c;
	}
	for (uint32_t k = 0; k < 4; k++)
		for (uint32_t i = 0; i < 256; i++)
			lane_table[k][i] = crc_plain(i << 8 * k, zeros, LANE_BYTES);
}

static uint32_t lane_shift(uint32_t c)
{
	return lane_table[0][c & 0xff] ^ lane_table[1][c >> 8 & 0xff] ^
	       lane_table[2][c >> 16 & 0xff] ^ lane_table[3][c >> 24];
}

static uint64_t u64_at(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

__attribute__((target("sse4.2"))) static uint32_t crc_sse(uint32_t crc, const uint8_t *p, size_t n)
{
	uint64_t c = crc;

	for (; n >= 3 * LANE_BYTES; p += 3 * LANE_BYTES, n -= 3 * LANE_BYTES) {
		uint64_t c1 = 0, c2 = 0;

		for (size_t i = 0; i < LANE_BYTES; i += 8) {
			c = _mm_crc32_u64(c, u64_at(p + i));
			c1 = _mm_crc32_u64(c1, u64_at(p + LANE_BYTES + i));
			c2 = _mm_crc32_u64(c2, u64_at(p + 2 * LANE_BYTES + i));
		}
		c = lane_shift(lane_shift((uint32_t)c) ^ (uint32_t)c1) ^ (uint32_t)c2;
	}
	for (; n >= 8; p += 8, n -= 8)
		c = _mm_crc32_u64(c, u64_at(p));
	while (n-- > 0)
		c = _mm_crc32_u8((uint32_t)c, *p++);
	return (uint32_t)c;
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
	crc = ~crc;
	crc = __builtin_cpu_supports("sse4.2") ? crc_sse(crc, p, n) : crc_plain(crc, p, n);
	return ~crc;
}

static void hex_write(char *out, const uint8_t *p, size_t n, const char *digits)
{
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[p[i] >> 4];
		out[2 * i + 1] = digits[p[i] & 15];
	}
}

void hex_lower(char *out, const uint8_t *p, size_t n)
{
	hex_write(out, p, n, "0123456789abcdef");
}

void hex_upper(char *out, const uint8_t *p, size_t n)
{
	hex_write(out, p, n, "0123456789ABCDEF");
}

/* Each digit's value and one, by character; 0: none. */
static const uint8_t hex_values[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8,
	['8'] = 9, ['9'] = 10, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15,
	['F'] = 16, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
};

bool hex_read(uint8_t *out, size_t n, struct slice s)
{
	if (s.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint8_t hi = hex_values[s.p[2 * i]], lo = hex_values[s.p[2 * i + 1]];

		if (hi == 0 || lo == 0)
			return false;
		out[i] = (uint8_t)((hi - 1) << 4 | (lo - 1));
	}
	return true;
}

static const char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void id_text(char out[ID_TEXT_BYTES], const uint8_t id[16])
{
	/* 130 bits for 128: the first character carries only three. */
	unsigned int acc = 0, bits = 2;
	size_t k = 0;

	for (size_t i = 0; i < 16; i++) {
		acc = acc << 8 | id[i];
		bits += 8;
		while (bits >= 5) {
			bits -= 5;
			out[k++] = crockford[acc >> bits & 31];
		}
	}
	assert(k == ID_TEXT_BYTES && bits == 0);
}

static int crockford_digit(uint8_t c)
{
	if (c >= 'a' && c <= 'z')
		c = (uint8_t)(c - 'a' + 'A');
	if (c == 'O')
		return 0;
	if (c == 'I' || c == 'L')
		return 1;
	for (int i = 0; i < 32; i++)
		if (crockford[i] == (char)c)
			return i;
	return -1;
}

bool id_read(uint8_t id[16], struct slice text)
{
	unsigned int acc = 0, bits = 0;
	size_t k = 0;

	if (text.n != ID_TEXT_BYTES)
		return false;
	for (size_t i = 0; i < ID_TEXT_BYTES; i++) {
		int d = crockford_digit(text.p[i]);

		if (d < 0 || (i == 0 && d > 7))
			return false;
		acc = acc << 5 | (unsigned int)d;
		bits += i == 0 ? 3 : 5;
		if (bits >= 8) {
			bits -= 8;
			id[k++] = (uint8_t)(acc >> bits);
		}
	}
	return k == 16;
}

bool id_is_zero(const uint8_t id[16])
{
	static const uint8_t none[16];

	return memcmp(id, none, sizeof(none)) == 0;
}
