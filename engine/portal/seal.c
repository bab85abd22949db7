#include "portal/seal.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

#define NONCE_BYTES 12
#define TIME_BYTES 8
#define TAG_BYTES 16
#define HEAD_BYTES (NONCE_BYTES + TIME_BYTES)

enum status seal_new(struct seal *s)
{
	return RAND_bytes(s->key, sizeof(s->key)) == 1 ? ST_OK : ST_INTERNAL;
}

/* nonce, time (authenticated, in the clear), content, tag */
enum status seal_close(const struct seal *s, const void *p, size_t n, int64_t until_ms, char *out)
{
	uint8_t buf[SEAL_BYTES_MAX + SEAL_EXTRA_BYTES];
	struct writer w = writer_of(buf + NONCE_BYTES, TIME_BYTES);
	EVP_CIPHER_CTX *ctx;
	bool ok;
	int k;

	if (n > SEAL_BYTES_MAX)
		return ST_TOO_LARGE;
	write_u64(&w, (uint64_t)until_ms);
	ctx = EVP_CIPHER_CTX_new();
	ok = ctx != NULL && RAND_bytes(buf, NONCE_BYTES) == 1 &&
	     EVP_EncryptInit_ex2(ctx, EVP_aes_256_gcm(), s->key, buf, NULL) == 1 &&
	     EVP_EncryptUpdate(ctx, NULL, &k, buf + NONCE_BYTES, TIME_BYTES) == 1 &&
	     EVP_EncryptUpdate(ctx, buf + HEAD_BYTES, &k, p, (int)n) == 1 &&
	     EVP_EncryptFinal_ex(ctx, buf + HEAD_BYTES + n, &k) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, buf + HEAD_BYTES + n) == 1;
	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		return ST_INTERNAL;
	base64url_write(out, buf, n + SEAL_EXTRA_BYTES);
	return ST_OK;
}

bool seal_open(const struct seal *s, const char *text, int64_t now_ms, void *out, size_t room,
	       size_t *n)
{
	uint8_t buf[SEAL_BYTES_MAX + SEAL_EXTRA_BYTES];
	struct reader r;
	EVP_CIPHER_CTX *ctx;
	int64_t until_ms;
	size_t all;
	bool ok;
	int k;

	if (!base64url_read(buf, sizeof(buf), &all, slice_str(text)) || all < SEAL_EXTRA_BYTES ||
	    all - SEAL_EXTRA_BYTES > room)
		return false;
	*n = all - SEAL_EXTRA_BYTES;
	r = reader_of(slice_of(buf + NONCE_BYTES, TIME_BYTES));
	until_ms = (int64_t)read_u64(&r);
	ctx = EVP_CIPHER_CTX_new();
	ok = ctx != NULL && EVP_DecryptInit_ex2(ctx, EVP_aes_256_gcm(), s->key, buf, NULL) == 1 &&
	     EVP_DecryptUpdate(ctx, NULL, &k, buf + NONCE_BYTES, TIME_BYTES) == 1 &&
	     EVP_DecryptUpdate(ctx, out, &k, buf + HEAD_BYTES, (int)*n) == 1 &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES,
				 buf + HEAD_BYTES + *n) == 1 &&
	     EVP_DecryptFinal_ex(ctx, (uint8_t *)out + *n, &k) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok && now_ms < until_ms;
}
