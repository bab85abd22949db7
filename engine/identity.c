#include "identity.h"

#include <assert.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/hash.h"
#include "io/file.h"
#include "limits.h"

#define SECRETS_MAX 128
#define SECRET_BYTES 16
#define ID_VERSION 1
#define SECRET_MS_MAX (365LL * 24 * 3600 * 1000)

struct secret {
	int64_t from_ms;		/* for sequences from this millisecond on */
	uint8_t key[SECRET_BYTES];
	EVP_CIPHER_CTX *encrypt, *decrypt;
};

struct identity {
	uint16_t instance;
	uint32_t secrets_n;
	struct secret secrets[SECRETS_MAX];	/* newest first */
};

static EVP_CIPHER_CTX *cipher_new(const uint8_t key[SECRET_BYTES], int encrypt)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx == NULL ||
	    EVP_CipherInit_ex2(ctx, EVP_aes_128_ecb(), key, NULL, encrypt, NULL) != 1) {
		EVP_CIPHER_CTX_free(ctx);
		return NULL;
	}
	EVP_CIPHER_CTX_set_padding(ctx, 0);
	return ctx;
}

static enum status secret_arm(struct secret *s)
{
	s->encrypt = cipher_new(s->key, 1);
	s->decrypt = cipher_new(s->key, 0);
	return s->encrypt != NULL && s->decrypt != NULL ? ST_OK : ST_NOMEM;
}

static enum status read_small(const char *dir, const char *name, size_t max, uint8_t *out,
			      size_t *n, struct error *e)
{
	char path[4096];
	uint8_t *bytes;
	enum status st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	st = file_read(path, max, &bytes, n, e);
	if (st != ST_OK)
		return st;
	memcpy(out, bytes, *n);
	free(bytes);
	return ST_OK;
}

static enum status secret_load(struct identity *id, const char *dir, const char *name,
			       struct error *e)
{
	struct secret *s;
	long long from_ms;
	uint32_t at;
	size_t n;
	enum status st;
	int end = 0;

	/* One that a crash left half made has another name. */
	if (sscanf(name, "secret-%lld.bin%n", &from_ms, &end) != 1 || end == 0 || name[end] != '\0')
		return ST_OK;
	if (id->secrets_n == SECRETS_MAX)
		return error_set(e, ST_FULL, "%s holds more than %d secrets", dir, SECRETS_MAX);
	for (at = id->secrets_n; at > 0 && id->secrets[at - 1].from_ms < from_ms; at--)
		id->secrets[at] = id->secrets[at - 1];
	s = &id->secrets[at];
	*s = (struct secret){ .from_ms = from_ms };
	id->secrets_n++;
	st = read_small(dir, name, SECRET_BYTES, s->key, &n, e);
	if (st != ST_OK)
		return st;
	if (n != SECRET_BYTES)
		return error_set(e, ST_DAMAGED,
				 "%s/%s: %zu bytes instead of %d; restore it from the backup",
				 dir, name, n, SECRET_BYTES);
	return secret_arm(s);
}

static enum status secrets_load(struct identity *id, const char *dir, struct error *e)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	enum status st = ST_OK;

	if (d == NULL)
		return error_set(e, ST_IO, "%s: cannot be read: %m", dir);
	while (st == ST_OK && (entry = readdir(d)) != NULL)
		st = secret_load(id, dir, entry->d_name, e);
	closedir(d);
	return st;
}

/*
 * The oldest secret serves all before it too; a later one serves from a moment that no sequence can
 * have reached, so that a replay finds the secret under which an id was first made.
 */
static enum status secret_create(struct identity *id, const char *dir, int64_t now_ms,
				 struct error *e)
{
	uint8_t key[SECRET_BYTES];
	char path[4096], name[40];
	int64_t from_ms = id->secrets_n == 0 ? now_ms : now_ms + 2 * CLOCK_STEP_MS_MAX;
	enum status st;

	if (RAND_bytes(key, sizeof(key)) != 1)
		return error_set(e, ST_INTERNAL, "no randomness for %s", dir);
	snprintf(name, sizeof(name), "secret-%lld.bin", (long long)from_ms);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	st = file_replace(path, slice_of(key, sizeof(key)), 0600, e);
	return st == ST_OK ? secret_load(id, dir, name, e) : st;
}

static bool secret_due(const struct identity *id, int64_t now_ms)
{
	return id->secrets_n == 0 || now_ms - id->secrets[0].from_ms > SECRET_MS_MAX;
}

static enum status instance_load(struct identity *id, const char *dir, bool create,
				 struct error *e)
{
	char path[4096], text[16];
	uint8_t raw[16] = { 0 };
	uint8_t random[2];
	size_t n;
	enum status st = read_small(dir, "instance", sizeof(raw) - 1, raw, &n, e);

	if (st == ST_OK) {
		id->instance = (uint16_t)strtoul((const char *)raw, NULL, 10);
		return ST_OK;
	}
	if (st != ST_NOT_FOUND || !create)
		return st;
	if (RAND_bytes(random, sizeof(random)) != 1)
		return error_set(e, ST_INTERNAL, "no randomness for %s", dir);
	id->instance = (uint16_t)(random[0] | random[1] << 8);
	snprintf(text, sizeof(text), "%u\n", id->instance);
	snprintf(path, sizeof(path), "%s/instance", dir);
	return file_replace(path, slice_str(text), 0600, e);
}

enum status identity_open(struct identity **out, const char *dir, int64_t now_ms, bool create,
			  struct error *e)
{
	struct identity *id = calloc(1, sizeof(*id));
	enum status st = ST_OK;

	if (id == NULL)
		return ST_NOMEM;
	if (create)
		st = dir_make(dir, 0700, e);
	if (st == ST_OK)
		st = instance_load(id, dir, create, e);
	if (st == ST_OK)
		st = secrets_load(id, dir, e);
	if (st == ST_OK && create && secret_due(id, now_ms))
		st = secret_create(id, dir, now_ms, e);
	if (st == ST_OK && id->secrets_n == 0)
		st = error_set(e, ST_PRECONDITION, "%s holds no instance secret", dir);
	if (st != ST_OK) {
		identity_close(id);
		return st;
	}
	*out = id;
	return ST_OK;
}

struct identity *identity_dup(const struct identity *from)
{
	struct identity *id = malloc(sizeof(*id));

	if (id == NULL)
		return NULL;
	*id = *from;
	for (uint32_t i = 0; i < id->secrets_n; i++)
		id->secrets[i].encrypt = id->secrets[i].decrypt = NULL;
	for (uint32_t i = 0; i < id->secrets_n; i++) {
		if (secret_arm(&id->secrets[i]) != ST_OK) {
			identity_close(id);
			return NULL;
		}
	}
	return id;
}

void identity_close(struct identity *id)
{
	if (id == NULL)
		return;
	for (uint32_t i = 0; i < id->secrets_n; i++) {
		EVP_CIPHER_CTX_free(id->secrets[i].encrypt);
		EVP_CIPHER_CTX_free(id->secrets[i].decrypt);
	}
	OPENSSL_cleanse(id, sizeof(*id));
	free(id);
}

uint16_t identity_instance(const struct identity *id)
{
	return id->instance;
}

static void block_write(uint8_t block[16], uint16_t instance, uint8_t lane, uint64_t sequence)
{
	struct writer w = writer_of(block, 16);

	write_u16(&w, instance);
	write_u8(&w, lane);
	write_u8(&w, ID_VERSION);
	write_u64(&w, sequence);
	write_u32(&w, crc32c(0, block, 12));
}

void identity_result_id(struct identity *id, uint8_t out[16], uint8_t lane, uint64_t sequence)
{
	const struct secret *s = id->secrets;
	uint8_t block[16];
	int n = 0, ok;

	while (s + 1 < id->secrets + id->secrets_n && s->from_ms > sequence_ms(sequence))
		s++;
	block_write(block, id->instance, lane, sequence);
	ok = EVP_CipherUpdate(s->encrypt, out, &n, block, 16);
	assert(ok == 1 && n == 16);
}

void identity_seal(struct identity *id, const uint8_t block[16], uint8_t out[16])
{
	int n = 0, ok = EVP_CipherUpdate(id->secrets[id->secrets_n - 1].encrypt, out, &n, block,
					 16);

	assert(ok == 1 && n == 16);
}

bool identity_read(struct identity *id, const uint8_t rid[16], uint8_t *lane, uint64_t *sequence)
{
	for (uint32_t i = 0; i < id->secrets_n; i++) {
		uint8_t block[16], expect[16];
		struct reader r;
		int n = 0;

		if (EVP_CipherUpdate(id->secrets[i].decrypt, block, &n, rid, 16) != 1 || n != 16)
			continue;
		r = reader_of(slice_of(block, 16));
		read_u16(&r);
		*lane = read_u8(&r);
		read_u8(&r);
		*sequence = read_u64(&r);
		block_write(expect, id->instance, *lane, *sequence);
		if (memcmp(block, expect, 16) == 0)
			return true;
	}
	return false;
}
