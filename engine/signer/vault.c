#include "signer/vault.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "signer/certs.h"
#include "signer/pkcs11.h"

#define PASSPHRASE_BYTES_MAX 1024
/* A short ECDSA signature is one in 10^9: two in a row mean a broken library. */
#define SIGN_TRIES 4

struct vault_key {
	const struct key_policy *policy;
	EVP_PKEY *key;			/* NULL: in a token */
	uint32_t source, in_token;	/* in_token: the token's index of it */
	int64_t not_before_ms, not_after_ms;
};

struct vault {
	struct policy *policy;
	uint32_t keys_n;
	struct vault_key *keys;
	uint32_t *by_id;		/* indices sorted by id */
	struct pkcs11_modules *modules;	/* NULL: no token */
	struct pkcs11 *tokens[TOKENS_MAX];	/* source - 1; as in the policy */
	uint32_t tokens_n;
};

struct vault_hand {
	const struct vault *vault;
	uint32_t source;
	EVP_PKEY_CTX **contexts;	/* VAULT_FILES: one a key, NULL for those in tokens */
	struct pkcs11_hand *token;	/* else */
};

struct passphrase { char text[PASSPHRASE_BYTES_MAX + 1]; size_t n; bool asked; };

static enum status read_passphrase(struct passphrase *p, const char *file, struct error *e)
{
	ssize_t n;
	int fd;

	*p = (struct passphrase){ 0 };
	if (file == NULL || file[0] == '\0')
		return ST_OK;
	fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO,
				 "passphrase file %s: %s", file, strerror(errno));
	n = read(fd, p->text, PASSPHRASE_BYTES_MAX);
	close(fd);
	if (n <= 0)
		return error_set(e, ST_INVALID, "passphrase file %s is empty or unreadable", file);
	p->n = strcspn(p->text, "\r\n");
	return ST_OK;
}

static int give_passphrase(char *buf, int size, int writing, void *ctx)
{
	struct passphrase *p = ctx;

	p->asked = true;
	if (p->n == 0 || p->n > (size_t)size)
		return -1;
	memcpy(buf, p->text, p->n);
	return (int)p->n;
}

static enum status read_key_file(EVP_PKEY **out, const char *path, struct passphrase *p,
				 struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	FILE *f;

	if (fd < 0)
		return error_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", path,
				 strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) != 0) {
		close(fd);
		return error_set(e, ST_DENIED, "%s: others could read this key; run: chmod 600 %s",
				 path, path);
	}
	f = fdopen(fd, "r");
	if (f == NULL) {
		close(fd);
		return error_set(e, ST_IO, "%s: %s", path, strerror(errno));
	}
	p->asked = false;
	*out = PEM_read_PrivateKey(f, NULL, give_passphrase, p);
	fclose(f);
	if (*out != NULL)
		return ST_OK;
	if (p->asked)
		return error_set(e, ST_INVALID, "%s: %s", path, p->n == 0 ?
				 "the key is encrypted; set passphrase_file" :
				 "the passphrase does not open this key");
	return error_set(e, ST_INVALID, "%s: no PEM private key: %s", path, openssl_reason());
}

static enum status sign_once(EVP_PKEY_CTX *c, const struct algorithm_info *info,
			     const uint8_t digest[32], uint8_t *out, uint16_t *size)
{
	for (int i = 0; i < SIGN_TRIES; i++) {
		size_t n = SIGNATURE_BYTES_MAX;

		if (EVP_PKEY_sign(c, out, &n, digest, 32) != 1)
			return ST_INTERNAL;
		if (n >= info->signature_min && n <= info->signature_max) {
			*size = (uint16_t)n;
			return ST_OK;
		}
	}
	return ST_INTERNAL;
}

/* A key that cannot make a signature its certificate accepts must not be found out per document. */
static enum status probe(EVP_PKEY *key, X509 *cert, const struct key_policy *k, struct error *e)
{
	const struct algorithm_info *info = algorithm_info(k->algorithm);
	EVP_PKEY_CTX *s = algorithm_context(info, key, true);
	EVP_PKEY_CTX *v = algorithm_context(info, X509_get0_pubkey(cert), false);
	uint8_t digest[32] = "probe of a key before its use", out[SIGNATURE_BYTES_MAX];
	enum status st = ST_INTERNAL;
	uint16_t n = 0;

	if (s != NULL && v != NULL && sign_once(s, info, digest, out, &n) == ST_OK &&
	    EVP_PKEY_verify(v, out, n, digest, sizeof(digest)) == 1)
		st = ST_OK;
	EVP_PKEY_CTX_free(s);
	EVP_PKEY_CTX_free(v);
	if (st != ST_OK)
		return error_set(e, ST_INVALID,
				 "key '%s': a trial signature does not verify with the "
				 "certificate: %s",
				 k->id, openssl_reason());
	return ST_OK;
}

static enum status check_pair(struct vault *v, struct vault_key *k, const char *certs_dir,
			      struct error *e)
{
	const struct key_policy *p = k->policy;
	X509 *cert = NULL;
	enum status st = cert_read(&cert, certs_dir, p->cert_file, e);

	if (st != ST_OK)
		return st;
	k->not_before_ms = cert_time_ms(X509_get0_notBefore(cert));
	k->not_after_ms = cert_time_ms(X509_get0_notAfter(cert));
	if (!cert_has_algorithm(cert, p->algorithm))
		st = error_set(e, ST_INVALID, "key '%s': the certificate %s is not for %s", p->id,
			       p->cert_file, algorithm_info(p->algorithm)->name);
	else if (p->source == SOURCE_PKCS11)
		st = pkcs11_add(v->tokens[p->token], p, cert, &k->in_token);
	else if (X509_check_private_key(cert, k->key) != 1)
		st = error_set(e, ST_INVALID, "key '%s': %s is not the key of the certificate %s",
			       p->id, p->key_file, p->cert_file);
	else
		st = probe(k->key, cert, p, e);
	openssl_reason();
	X509_free(cert);
	return st;
}

static int by_id(const void *a, const void *b, void *ctx)
{
	const struct vault *v = ctx;

	return strcmp(v->keys[*(const uint32_t *)a].policy->id,
		      v->keys[*(const uint32_t *)b].policy->id);
}

static enum status read_key(struct vault_key *k, const struct signer_config *cfg,
			    struct passphrase *p, struct error *e)
{
	char path[4096];

	k->source = VAULT_FILES;
	if (k->policy->source == SOURCE_PKCS11) {
		k->source = 1 + k->policy->token;
		return ST_OK;
	}
	if (snprintf(path, sizeof(path), "%s/%s", cfg->keys_dir, k->policy->key_file) >=
	    (int)sizeof(path))
		return error_set(e, ST_INVALID, "the path of the key folder is too long");
	return read_key_file(&k->key, path, p, e);
}

static enum status load(struct vault *v, const struct signer_config *cfg, struct passphrase *p,
			struct error *e)
{
	uint32_t n = policy_count(v->policy);

	v->keys = calloc(n, sizeof(*v->keys));
	v->by_id = calloc(n, sizeof(*v->by_id));
	if (v->keys == NULL || v->by_id == NULL)
		return error_set(e, ST_NOMEM, "keys: out of memory");
	for (uint32_t i = 0; i < n; i++) {
		struct vault_key *k = &v->keys[v->keys_n];
		enum status st;

		k->policy = policy_key(v->policy, i);
		/* Not ours: asked for it, we say ANSWER_UNKNOWN_KEY. */
		if (k->policy->source == SOURCE_REMOTE || k->policy->source == SOURCE_BRIDGE)
			continue;
		st = read_key(k, cfg, p, e);
		if (st == ST_OK)
			st = check_pair(v, k, cfg->certs_dir, e);
		if (st != ST_OK) {
			EVP_PKEY_free(k->key);
			return st;
		}
		v->by_id[v->keys_n] = v->keys_n;
		v->keys_n++;
	}
	qsort_r(v->by_id, v->keys_n, sizeof(*v->by_id), by_id, v);
	return ST_OK;
}

static enum status open_token(struct vault *v, const struct token_policy *t,
			      const struct signer_config *cfg, struct error *e)
{
	const char *file = t->pin_file != NULL ? t->pin_file : cfg->pin_file;
	struct pin pin = { .n = 0 };
	enum status st;

	if (file == NULL)
		return error_set(e, ST_NOT_FOUND, "token '%s': its PIN is needed; set pin_file",
				 t->name);
	st = pin_read(&pin, file, e);
	if (st == ST_OK)
		st = pkcs11_open(&v->tokens[v->tokens_n], v->modules, t, &pin, e);
	if (st == ST_OK)
		v->tokens_n++;
	pin_wipe(&pin);
	return st;
}

static enum status open_tokens(struct vault *v, const struct signer_config *cfg, struct error *e)
{
	enum status st = ST_OK;

	if (policy_tokens(v->policy) == 0)
		return ST_OK;
	if (pkcs11_modules_new(&v->modules) != ST_OK)
		return error_set(e, ST_NOMEM, "tokens: out of memory");
	for (uint32_t i = 0; st == ST_OK && i < policy_tokens(v->policy); i++)
		st = open_token(v, policy_token(v->policy, i), cfg, e);
	return st;
}

enum status vault_open(struct vault **out, const struct signer_config *cfg, struct error *e)
{
	struct vault *v = calloc(1, sizeof(*v));
	struct passphrase p;
	enum status st;

	if (v == NULL)
		return error_set(e, ST_NOMEM, "keys: out of memory");
	st = policy_load(&v->policy, cfg->certs_dir, e);
	if (st == ST_OK)
		st = open_tokens(v, cfg, e);
	if (st == ST_OK)
		st = read_passphrase(&p, cfg->passphrase_file, e);
	if (st == ST_OK)
		st = load(v, cfg, &p, e);
	OPENSSL_cleanse(&p, sizeof(p));
	if (st != ST_OK) {
		vault_close(v);
		return st;
	}
	*out = v;
	return ST_OK;
}

enum status vault_connect(struct vault *v, struct error *e)
{
	for (uint32_t i = 0; i < v->tokens_n; i++) {
		struct error why = { 0 };
		enum status st = pkcs11_connect(v->tokens[i], &why);

		if (st == ST_UNAVAILABLE || st == ST_DENIED) {
			log_error("signer", "%s; its keys cannot sign", why.text);
			continue;
		}
		if (st != ST_OK)
			return error_set(e, st, "%s", why.text);
	}
	return ST_OK;
}

void vault_expect(struct vault *v, uint32_t source)
{
	pkcs11_expect(v->tokens[source - 1]);
}

void vault_connect_late(struct vault *v, uint32_t source)
{
	pkcs11_connect_late(v->tokens[source - 1]);
}

void vault_close(struct vault *v)
{
	if (v == NULL)
		return;
	for (uint32_t i = 0; i < v->keys_n; i++)
		EVP_PKEY_free(v->keys[i].key);
	for (uint32_t i = 0; i < v->tokens_n; i++)
		pkcs11_close(v->tokens[i]);
	pkcs11_modules_free(v->modules);
	free(v->keys);
	free(v->by_id);
	policy_free(v->policy);
	free(v);
}

uint32_t vault_keys(const struct vault *v)
{
	return v->keys_n;
}

const struct key_policy *vault_policy(const struct vault *v, uint32_t key)
{
	return v->keys[key].policy;
}

static int compare(struct slice id, const char *s)
{
	size_t n = strlen(s);
	int c = memcmp(id.p, s, id.n < n ? id.n : n);

	return c != 0 ? c : (id.n > n) - (id.n < n);
}

int32_t vault_find(const struct vault *v, struct slice id)
{
	uint32_t low = 0, high = v->keys_n;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int c = id.n == 0 ? -1 : compare(id, v->keys[v->by_id[mid]].policy->id);

		if (c == 0)
			return (int32_t)v->by_id[mid];
		if (c < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -1;
}

enum sign_answer vault_judge(const struct vault *v, uint32_t key, struct slice unit,
			     struct slice kind, int64_t now_ms)
{
	const struct vault_key *k = &v->keys[key];

	if (!slice_eq(unit, slice_str(k->policy->unit)) || !policy_covers(k->policy, kind))
		return ANSWER_POLICY;
	if (now_ms < k->policy->from_ms || now_ms >= k->policy->to_ms ||
	    now_ms < k->not_before_ms || now_ms > k->not_after_ms)
		return ANSWER_NOT_VALID_NOW;
	return ANSWER_SIGNED;
}

uint32_t vault_sources(const struct vault *v)
{
	return 1 + v->tokens_n;
}

uint32_t vault_source(const struct vault *v, uint32_t key)
{
	return v->keys[key].source;
}

const struct token_policy *vault_token(const struct vault *v, uint32_t source)
{
	return source == VAULT_FILES ? NULL : policy_token(v->policy, source - 1);
}

uint32_t vault_source_threads(const struct vault *v, uint32_t source)
{
	return source == VAULT_FILES ? 0 : pkcs11_sessions(v->tokens[source - 1]);
}

static enum status make_contexts(struct vault_hand *h)
{
	const struct vault *v = h->vault;

	h->contexts = calloc(v->keys_n, sizeof(*h->contexts));
	if (h->contexts == NULL)
		return ST_NOMEM;
	for (uint32_t i = 0; i < v->keys_n; i++) {
		const struct algorithm_info *info = algorithm_info(v->keys[i].policy->algorithm);
		EVP_PKEY *own;

		if (v->keys[i].source != VAULT_FILES)
			continue;
		own = EVP_PKEY_dup(v->keys[i].key);
		if (own != NULL)
			h->contexts[i] = algorithm_context(info, own, true);
		EVP_PKEY_free(own);
		if (h->contexts[i] == NULL)
			return ST_NOMEM;
	}
	return ST_OK;
}

enum status vault_hand_new(struct vault_hand **out, const struct vault *v, uint32_t source)
{
	struct vault_hand *h = calloc(1, sizeof(*h));
	enum status st;

	if (h == NULL)
		return ST_NOMEM;
	h->vault = v;
	h->source = source;
	st = source == VAULT_FILES ? make_contexts(h) :
		pkcs11_hand_new(&h->token, v->tokens[source - 1]);
	if (st != ST_OK) {
		vault_hand_free(h);
		return st;
	}
	*out = h;
	return ST_OK;
}

void vault_hand_free(struct vault_hand *h)
{
	if (h == NULL)
		return;
	for (uint32_t i = 0; h->contexts != NULL && i < h->vault->keys_n; i++)
		EVP_PKEY_CTX_free(h->contexts[i]);
	free(h->contexts);
	pkcs11_hand_free(h->token);
	free(h);
}

enum status vault_sign(struct vault_hand *h, uint32_t key, const uint8_t digest[32],
		       uint8_t out[SIGNATURE_BYTES_MAX], uint16_t *size)
{
	const struct vault_key *k = &h->vault->keys[key];

	assert(key < h->vault->keys_n && k->source == h->source);
	if (h->source != VAULT_FILES)
		return pkcs11_sign(h->token, k->in_token, digest, out, size);
	return sign_once(h->contexts[key], algorithm_info(k->policy->algorithm), digest, out, size);
}

const char *vault_why(const struct vault_hand *h)
{
	return h->source != VAULT_FILES ? pkcs11_why(h->token) : "the library failed";
}
