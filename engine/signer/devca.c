#include "signer/devca.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "signer/certs.h"
#include "signer/p11make.h"

#define DAY_SECONDS 86400L
/* Certificates name where their list is published; this one nobody fetches: RFC 2606, 2. */
#define LISTS "URI:http://trien.example/"

struct authority { EVP_PKEY *key; X509 *cert; };

struct issued { char id[KEY_ID_BYTES_MAX + 1]; X509 *cert; bool revoked; };

struct devca {
	struct devca_config cfg;
	char data[3072];
	struct authority root, issuing, tls;
	struct p11_maker *maker;	/* NULL: no token */
	struct issued *issued;
	uint32_t issued_n;
	json_t *keys;
};

/* What distinguishes one certificate from another. */
struct profile {
	const char *name, *organisation;
	/* OpenSSL's extension syntax; NULL: none */
	const char *key_usage, *basic, *extended, *alt_name, *list;
	int64_t from_s, to_s;
};

static enum status failed(struct error *e, const char *what)
{
	return error_set(e, ST_INTERNAL, "%s: %s", what, openssl_reason());
}

/* ---- files ---- */

static enum status make_folder(const char *path, mode_t mode, struct error *e)
{
	if (mkdir(path, mode) != 0 && errno != EEXIST)
		return error_set(e, ST_IO, "%s: %s", path, strerror(errno));
	if (mode == 0700 && chmod(path, mode) != 0)
		return error_set(e, ST_IO, "%s: %s", path, strerror(errno));
	return ST_OK;
}

static FILE *create(const struct devca *ca, const char *folder, const char *name, const char *end,
		    mode_t mode, struct error *e)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s%s", ca->data, folder, name, end);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0) {
		error_set(e, ST_IO, "%s: %s", path, strerror(errno));
		return NULL;
	}
	return fdopen(fd, "w");
}

static enum status finish_file(FILE *f, int ok, const char *name, struct error *e)
{
	int bad = fflush(f) != 0 || fsync(fileno(f)) != 0;

	if (fclose(f) != 0 || bad || !ok)
		return error_set(e, ST_IO, "%s could not be written: %s", name,
				 ok ? strerror(errno) : openssl_reason());
	return ST_OK;
}

static enum status write_cert(const struct devca *ca, const char *folder, const char *name,
			      X509 *cert, X509 *issuer, struct error *e)
{
	FILE *f = create(ca, folder, name, ".pem", 0644, e);
	int ok;

	if (f == NULL)
		return ST_IO;
	ok = PEM_write_X509(f, cert);
	if (ok && issuer != NULL)
		ok = PEM_write_X509(f, issuer);
	return finish_file(f, ok, name, e);
}

static enum status write_key(const struct devca *ca, const char *folder, const char *name,
			     const char *end, EVP_PKEY *key, const char *passphrase,
			     struct error *e)
{
	FILE *f = create(ca, folder, name, end, 0600, e);
	const EVP_CIPHER *cipher = passphrase != NULL ? EVP_aes_256_cbc() : NULL;

	if (f == NULL)
		return ST_IO;
	return finish_file(f,
			   PEM_write_PKCS8PrivateKey(f, key, cipher, passphrase,
						     passphrase != NULL ? (int)strlen(passphrase) :
									  0,
						     NULL, NULL),
			   name, e);
}

/* ---- certificates ---- */

static EVP_PKEY *make_key(enum algorithm a)
{
	const struct algorithm_info *info = algorithm_info(a);

	return info->rsa ? EVP_RSA_gen(info->bits) : EVP_EC_gen("P-256");
}

static bool put_name(X509_NAME *n, const char *field, const char *value)
{
	return value == NULL || X509_NAME_add_entry_by_txt(n, field, MBSTRING_UTF8,
			(const unsigned char *)value, -1, -1, 0) == 1;
}

static bool put_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;
	int ok;

	if (value == NULL)
		return true;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;
	X509_EXTENSION_free(ext);
	return ok;
}

static bool put_serial(X509 *cert)
{
	uint64_t serial = 0;

	if (RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1)
		return false;
	/* Positive and of constant length, so that sizes do not vary from run to run. */
	serial = (serial & (UINT64_MAX >> 2)) | UINT64_C(1) << 62;
	return ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), serial) == 1;
}

static X509 *make_cert(const struct profile *p, EVP_PKEY *key, const struct authority *by)
{
	X509 *cert = X509_new();
	X509 *issuer = by != NULL ? by->cert : cert;
	X509_NAME *name = X509_NAME_new();
	bool ok = cert != NULL && name != NULL && X509_set_version(cert, X509_VERSION_3) == 1 &&
		  put_serial(cert) && put_name(name, "C", "VN") &&
		  put_name(name, "O", p->organisation) && put_name(name, "CN", p->name) &&
		  X509_set_subject_name(cert, name) == 1 &&
		  X509_set_issuer_name(cert, by != NULL ? X509_get_subject_name(by->cert) : name) ==
			  1 &&
		  ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)p->from_s) != NULL &&
		  ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)p->to_s) != NULL &&
		  X509_set_pubkey(cert, key) == 1 &&
		  put_extension(cert, issuer, NID_basic_constraints, p->basic) &&
		  put_extension(cert, issuer, NID_key_usage, p->key_usage) &&
		  put_extension(cert, issuer, NID_ext_key_usage, p->extended) &&
		  put_extension(cert, issuer, NID_subject_key_identifier, "hash") &&
		  put_extension(cert, issuer, NID_authority_key_identifier,
				by != NULL ? "keyid" : NULL) &&
		  put_extension(cert, issuer, NID_subject_alt_name, p->alt_name) &&
		  put_extension(cert, issuer, NID_crl_distribution_points, p->list) &&
		  X509_sign(cert, by != NULL ? by->key : key, EVP_sha256()) > 0;

	X509_NAME_free(name);
	if (ok)
		return cert;
	X509_free(cert);
	return NULL;
}

static enum status make_authority(struct devca *ca, struct authority *a, const struct authority *by,
				  enum algorithm alg, const char *name, const char *basic,
				  struct error *e)
{
	int64_t now = ca->cfg.now_ms / 1000;
	struct profile p = { .name = name, .organisation = DEVELOPMENT_CA, .basic = basic,
		.key_usage = "critical,keyCertSign,cRLSign",
		.list = by != NULL ? LISTS "root.crl" : NULL,
		/* A test may place a certificate years back or ahead; its issuers must span it. */
		.from_s = now - 20 * 365 * DAY_SECONDS, .to_s = now + 20 * 365 * DAY_SECONDS };

	a->key = make_key(alg);
	if (a->key != NULL)
		a->cert = make_cert(&p, a->key, by);
	return a->cert != NULL ? ST_OK : failed(e, name);
}

static enum status make_folders(struct devca *ca, struct error *e)
{
	static const struct { const char *name; mode_t mode; } folders[] = {
		{ "keys", 0700 }, { "certs", 0755 }, { "tls", 0700 } };
	char path[4096];
	enum status st = make_folder(ca->data, 0755, e);

	snprintf(path, sizeof(path), "%s/certs/keys.json", ca->data);
	if (st == ST_OK && access(path, F_OK) == 0)
		return error_set(e, ST_EXISTS,
				 "%s exists: keys are never overwritten; choose another data "
				 "folder or remove keys, certs and tls of this one",
				 path);
	for (size_t i = 0; st == ST_OK && i < ARRAY_LEN(folders); i++) {
		snprintf(path, sizeof(path), "%s/%s", ca->data, folders[i].name);
		st = make_folder(path, folders[i].mode, e);
	}
	return st;
}

enum status devca_new(struct devca **out, const struct devca_config *cfg, struct error *e)
{
	struct devca *ca = calloc(1, sizeof(*ca));
	enum status st;

	if (ca == NULL)
		return error_set(e, ST_NOMEM, "out of memory");
	ca->cfg = *cfg;
	ca->keys = json_array();
	st = snprintf(ca->data, sizeof(ca->data), "%s", cfg->data) < (int)sizeof(ca->data) ? ST_OK :
		error_set(e, ST_INVALID, "the path of the data folder is too long");
	if (st == ST_OK)
		st = make_folders(ca, e);
	if (st == ST_OK && cfg->token != NULL)
		st = p11_maker_open(&ca->maker, cfg->token, cfg->pin_file, e);
	if (st == ST_OK)
		st = make_authority(ca, &ca->root, NULL, cfg->algorithm, "Trien development root",
				    "critical,CA:TRUE", e);
	if (st == ST_OK)
		st = make_authority(ca, &ca->issuing, &ca->root, cfg->algorithm,
				    "Trien development CA", "critical,CA:TRUE,pathlen:0", e);
	if (st == ST_OK)
		st = make_authority(ca, &ca->tls, NULL, ALG_P256, "Trien development TLS",
				    "critical,CA:TRUE,pathlen:0", e);
	if (st == ST_OK)
		st = write_cert(ca, "certs", "root", ca->root.cert, NULL, e);
	if (st == ST_OK)
		st = write_cert(ca, "certs", "issuing", ca->issuing.cert, NULL, e);
	if (st == ST_OK)
		st = write_cert(ca, "tls", "ca", ca->tls.cert, NULL, e);
	if (st != ST_OK) {
		devca_free(ca);
		return st;
	}
	*out = ca;
	return ST_OK;
}

static void authority_free(struct authority *a)
{
	EVP_PKEY_free(a->key);
	X509_free(a->cert);
}

void devca_free(struct devca *ca)
{
	if (ca == NULL)
		return;
	authority_free(&ca->root);
	authority_free(&ca->issuing);
	authority_free(&ca->tls);
	for (uint32_t i = 0; i < ca->issued_n; i++)
		X509_free(ca->issued[i].cert);
	free(ca->issued);
	p11_maker_close(ca->maker);
	json_decref(ca->keys);
	free(ca);
}

/* ---- signing keys ---- */

static void put_day(json_t *o, const char *member, uint32_t day)
{
	char text[16];

	if (day == 0)
		return;
	snprintf(text, sizeof(text), "%04u-%02u-%02u", day / 10000 % 10000, day / 100 % 100,
		 day % 100);
	json_object_set_new(o, member, json_string(text));
}

static void add_policy(struct devca *ca, const struct devca_key *k)
{
	char file[KEY_ID_BYTES_MAX + 8];
	json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "id", k->id, "role",
			      k->signer != NULL ? "person" : "agency", "unit", k->unit, "algorithm",
			      algorithm_info(k->algorithm)->name);

	snprintf(file, sizeof(file), "%s.pem", k->id);
	if (k->signer != NULL)
		json_object_set_new(o, "signer", json_string(k->signer));
	if (k->kinds_n > 0) {
		json_t *kinds = json_array();

		for (uint32_t i = 0; i < k->kinds_n; i++)
			json_array_append_new(kinds, json_string(k->kinds[i]));
		json_object_set_new(o, "kinds", kinds);
	}
	put_day(o, "from", k->from);
	put_day(o, "to", k->to);
	json_object_set_new(o, "source", json_string(k->in_token ? "pkcs11" : "file"));
	if (k->in_token) {
		json_object_set_new(o, "token", json_string(ca->cfg.token->name));
		json_object_set_new(o, "label", json_string(k->id));
	} else {
		json_object_set_new(o, "key", json_string(file));
	}
	json_object_set_new(o, "certificate", json_string(file));
	json_object_set_new(o, "chain", json_pack("[s, s]", "issuing.pem", "root.pem"));
	json_object_set_new(o, "evidence", json_string("B-B"));
	json_array_append_new(ca->keys, o);
}

static enum status remember(struct devca *ca, const char *id, X509 *cert, struct error *e)
{
	struct issued *more = realloc(ca->issued, (ca->issued_n + 1) * sizeof(*more));

	if (more == NULL)
		return error_set(e, ST_NOMEM, "out of memory");
	ca->issued = more;
	more[ca->issued_n] = (struct issued){ .cert = cert };
	snprintf(more[ca->issued_n].id, sizeof(more->id), "%s", id);
	X509_up_ref(cert);
	ca->issued_n++;
	return ST_OK;
}

/* The pair, or its public half where the token keeps the other. */
static enum status signing_key(struct devca *ca, const struct devca_key *k, EVP_PKEY **out,
			       struct error *e)
{
	if (k->in_token)
		return p11_maker_pair(ca->maker, k->algorithm, k->id, out, e);
	*out = make_key(k->algorithm);
	return *out != NULL ? ST_OK : failed(e, k->id);
}

enum status devca_add(struct devca *ca, const struct devca_key *k, struct error *e)
{
	int64_t now = ca->cfg.now_ms / 1000;
	char alt[256];
	struct profile p = { .name = k->name, .organisation = k->organisation, .alt_name = alt,
		.key_usage = "critical,digitalSignature,nonRepudiation",
		.extended = "emailProtection", .list = LISTS "issuing.crl",
		.from_s = now + k->valid_from_days * DAY_SECONDS,
		.to_s = now + k->valid_to_days * DAY_SECONDS };
	EVP_PKEY *key = NULL;
	X509 *cert = NULL;
	enum status st;

	if (strlen(k->id) > KEY_ID_BYTES_MAX)
		return error_set(e, ST_INVALID, "key id '%s' is longer than %d", k->id,
				 KEY_ID_BYTES_MAX);
	snprintf(alt, sizeof(alt), "URI:trien://unit/%s", k->unit);
	st = signing_key(ca, k, &key, e);
	if (st != ST_OK)
		return st;
	cert = make_cert(&p, key, &ca->issuing);
	st = cert != NULL ? ST_OK : failed(e, k->id);
	if (st == ST_OK && !k->in_token)
		st = write_key(ca, "keys", k->id, ".pem", key, ca->cfg.passphrase, e);
	if (st == ST_OK)
		st = write_cert(ca, "certs", k->id, cert, NULL, e);
	if (st == ST_OK)
		st = remember(ca, k->id, cert, e);
	if (st == ST_OK)
		add_policy(ca, k);
	X509_free(cert);
	EVP_PKEY_free(key);
	return st;
}

enum status devca_revoke(struct devca *ca, const char *id, struct error *e)
{
	for (uint32_t i = 0; i < ca->issued_n; i++) {
		if (strcmp(ca->issued[i].id, id) == 0) {
			ca->issued[i].revoked = true;
			return ST_OK;
		}
	}
	return error_set(e, ST_NOT_FOUND, "there is no key '%s' to revoke", id);
}

/* ---- revocation lists and policy ---- */

static bool put_revoked(X509_CRL *crl, X509 *cert, const ASN1_TIME *at)
{
	X509_REVOKED *r = X509_REVOKED_new();

	if (r != NULL && X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(cert)) == 1 &&
	    X509_REVOKED_set_revocationDate(r, (ASN1_TIME *)at) == 1 &&
	    X509_CRL_add0_revoked(crl, r) == 1)
		return true;
	X509_REVOKED_free(r);
	return false;
}

static enum status write_list(struct devca *ca, const struct authority *by, const char *name,
			      bool of_keys, struct error *e)
{
	time_t now = (time_t)(ca->cfg.now_ms / 1000);
	ASN1_TIME *at = ASN1_TIME_set(NULL, now);
	ASN1_TIME *next = ASN1_TIME_set(NULL, now + ca->cfg.crl_days * DAY_SECONDS);
	X509_CRL *crl = X509_CRL_new();
	bool ok = crl != NULL && at != NULL && next != NULL && X509_CRL_set_version(crl, 1) == 1 &&
		X509_CRL_set_issuer_name(crl, X509_get_subject_name(by->cert)) == 1 &&
		X509_CRL_set1_lastUpdate(crl, at) == 1 && X509_CRL_set1_nextUpdate(crl, next) == 1;
	FILE *f = NULL;
	enum status st;

	for (uint32_t i = 0; ok && of_keys && i < ca->issued_n; i++)
		if (ca->issued[i].revoked)
			ok = put_revoked(crl, ca->issued[i].cert, at);
	ok = ok && X509_CRL_sort(crl) == 1 && X509_CRL_sign(crl, by->key, EVP_sha256()) > 0;
	st = ok ? ST_OK : failed(e, name);
	if (ok)
		f = create(ca, "certs", name, ".crl", 0644, e);
	if (ok)
		st = f == NULL ? ST_IO : finish_file(f, PEM_write_X509_CRL(f, crl), name, e);
	X509_CRL_free(crl);
	ASN1_TIME_free(at);
	ASN1_TIME_free(next);
	return st;
}

static json_t *token_json(const struct devca_config *cfg)
{
	const struct token_policy *t = cfg->token;
	json_t *paths = json_array();
	json_t *o = json_pack("{s:s, s:s, s:s*, s:s*, s:b}", "name", t->name, "module", t->module,
			      "token", t->label, "pin_file", t->pin_file, "network", t->network);

	for (uint32_t i = 0; i < t->paths_n; i++)
		json_array_append_new(paths, json_string(t->paths[i]));
	json_object_set_new(o, "paths", paths);
	if (t->label == NULL)
		json_object_set_new(o, "slot", json_integer(t->slot));
	if (t->sessions != 0)
		json_object_set_new(o, "sessions", json_integer(t->sessions));
	return o;
}

enum status devca_publish(struct devca *ca, struct error *e)
{
	enum status st = write_list(ca, &ca->root, "root", false, e);
	json_t *all;
	FILE *f;

	if (st == ST_OK)
		st = write_list(ca, &ca->issuing, "issuing", true, e);
	if (st != ST_OK)
		return st;
	f = create(ca, "certs", "keys", ".json", 0644, e);
	if (f == NULL)
		return ST_IO;
	all = json_pack("{s:i, s:O}", "version", 1, "keys", ca->keys);
	if (ca->maker != NULL)
		json_object_set_new(all, "tokens", json_pack("[o]", token_json(&ca->cfg)));
	st = finish_file(f, json_dumpf(all, f, JSON_INDENT(1)) == 0 && fputc('\n', f) != EOF,
			 "keys.json", e);
	json_decref(all);
	return st;
}

/* ---- TLS ---- */

static enum status add_tls(struct devca *ca, const char *file, const struct profile *p,
			   struct error *e)
{
	EVP_PKEY *key = make_key(ALG_P256);
	X509 *cert = key != NULL ? make_cert(p, key, &ca->tls) : NULL;
	enum status st = cert != NULL ? ST_OK : failed(e, file);

	if (st == ST_OK)
		st = write_key(ca, "tls", file, ".key", key, NULL, e);
	if (st == ST_OK)
		st = write_cert(ca, "tls", file, cert, NULL, e);
	X509_free(cert);
	EVP_PKEY_free(key);
	return st;
}

enum status devca_server(struct devca *ca, struct error *e)
{
	int64_t now = ca->cfg.now_ms / 1000;
	struct profile p = { .name = "localhost", .key_usage = "critical,digitalSignature",
		.extended = "serverAuth", .alt_name = "DNS:localhost,IP:127.0.0.1,IP:::1",
		.from_s = now - DAY_SECONDS, .to_s = now + 365 * DAY_SECONDS };

	return add_tls(ca, "server", &p, e);
}

enum status devca_client(struct devca *ca, const char *name, struct error *e)
{
	int64_t now = ca->cfg.now_ms / 1000;
	char file[KEY_ID_BYTES_MAX + 16], alt[KEY_ID_BYTES_MAX + 40];
	struct profile p = { .name = name, .key_usage = "critical,digitalSignature",
		.extended = "clientAuth", .alt_name = alt,
		.from_s = now - DAY_SECONDS, .to_s = now + 365 * DAY_SECONDS };

	if (strlen(name) > KEY_ID_BYTES_MAX ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != strlen(name) ||
	    name[0] == '.')
		return error_set(e, ST_INVALID, "principal '%s': only a-z, 0-9, '.', '-', '_'",
				 name);
	snprintf(file, sizeof(file), "client-%s", name);
	snprintf(alt, sizeof(alt), "URI:trien://principal/%s", name);
	return add_tls(ca, file, &p, e);
}
