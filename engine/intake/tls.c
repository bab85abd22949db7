#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "intake/server.h"

#define PEM_BYTES_MAX (256 * 1024)

/* What gRPC asks for at each handshake. */
struct tls {
	pthread_mutex_t lock;
	char *cert_path, *key_path, *ca_path;
	char *cert, *key, *ca;		/* PEM */
	uint32_t version, given;	/* of the pair above; what gRPC has */
};

static enum status read_pem(const char *path, char **out, struct error *e)
{
	FILE *f = fopen(path, "re");
	size_t n;

	*out = NULL;
	if (f == NULL)
		return error_set(e, ST_INVALID, "%s: %s", path, strerror(errno));
	*out = calloc(1, PEM_BYTES_MAX + 1);
	n = *out != NULL ? fread(*out, 1, PEM_BYTES_MAX + 1, f) : 0;
	fclose(f);
	if (n == 0 || n > PEM_BYTES_MAX) {
		free(*out);
		*out = NULL;
		return error_set(e, ST_INVALID, "%s: empty or over %d bytes", path, PEM_BYTES_MAX);
	}
	return ST_OK;
}

/* A pair that does not fit would fail at each handshake, with nobody to tell: find it now. */
static enum status check_pair(const struct tls *t, const char *cert, const char *key,
			      const char *ca, struct error *e)
{
	BIO *cb = BIO_new_mem_buf(cert, -1), *kb = BIO_new_mem_buf(key, -1),
	    *ab = BIO_new_mem_buf(ca, -1);
	X509 *x = PEM_read_bio_X509(cb, NULL, NULL, NULL);
	X509 *a = PEM_read_bio_X509(ab, NULL, NULL, NULL);
	EVP_PKEY *k = PEM_read_bio_PrivateKey(kb, NULL, NULL, NULL);
	enum status st = ST_OK;

	if (x == NULL)
		st = error_set(e, ST_INVALID, "%s: no PEM certificate", t->cert_path);
	else if (k == NULL)
		st = error_set(e, ST_INVALID, "%s: no PEM private key", t->key_path);
	else if (a == NULL)
		st = error_set(e, ST_INVALID, "%s: no PEM certificate", t->ca_path);
	else if (X509_check_private_key(x, k) != 1)
		st = error_set(e, ST_INVALID, "%s: the key does not match the certificate %s",
			       t->key_path, t->cert_path);
	X509_free(x);
	X509_free(a);
	EVP_PKEY_free(k);
	BIO_free(cb);
	BIO_free(kb);
	BIO_free(ab);
	return st;
}

enum status tls_reload(struct tls *t, struct error *e)
{
	char *cert = NULL, *key = NULL, *ca = NULL;
	enum status st = read_pem(t->cert_path, &cert, e);

	if (st == ST_OK)
		st = read_pem(t->key_path, &key, e);
	if (st == ST_OK)
		st = read_pem(t->ca_path, &ca, e);
	if (st == ST_OK)
		st = check_pair(t, cert, key, ca, e);
	if (st == ST_OK) {
		char *old[] = { t->cert, t->key, t->ca };

		pthread_mutex_lock(&t->lock);
		old[0] = t->cert, old[1] = t->key, old[2] = t->ca;
		t->cert = cert, t->key = key, t->ca = ca;
		t->version++;
		pthread_mutex_unlock(&t->lock);
		cert = old[0], key = old[1], ca = old[2];
	}
	free(cert);
	if (key != NULL)
		OPENSSL_cleanse(key, strlen(key));
	free(key);
	free(ca);
	return st;
}

static grpc_ssl_certificate_config_reload_status
fetch(void *arg, grpc_ssl_server_certificate_config **out)
{
	struct tls *t = arg;
	grpc_ssl_certificate_config_reload_status st = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;

	pthread_mutex_lock(&t->lock);
	if (t->given != t->version) {
		grpc_ssl_pem_key_cert_pair pair = { t->key, t->cert };

		*out = grpc_ssl_server_certificate_config_create(t->ca, &pair, 1);
		t->given = t->version;
		st = GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
	}
	pthread_mutex_unlock(&t->lock);
	return st;
}

enum status tls_open(struct tls **out, const struct intake_config *cfg, struct error *e)
{
	struct tls *t = calloc(1, sizeof(*t));
	enum status st;

	if (t == NULL)
		return error_set(e, ST_NOMEM, "TLS: no memory");
	pthread_mutex_init(&t->lock, NULL);
	t->cert_path = strdup(cfg->tls_cert);
	t->key_path = strdup(cfg->tls_key);
	t->ca_path = strdup(cfg->tls_client_ca);
	st = t->cert_path == NULL || t->key_path == NULL || t->ca_path == NULL ?
	     error_set(e, ST_NOMEM, "TLS: no memory") : tls_reload(t, e);
	if (st != ST_OK) {
		tls_close(t);
		return st;
	}
	*out = t;
	return ST_OK;
}

grpc_server_credentials *tls_credentials(struct tls *t)
{
	return grpc_ssl_server_credentials_create_with_options(
		grpc_ssl_server_credentials_create_options_using_config_fetcher(
			GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY, fetch, t));
}

void tls_close(struct tls *t)
{
	if (t == NULL)
		return;
	if (t->key != NULL)
		OPENSSL_cleanse(t->key, strlen(t->key));
	free(t->cert);
	free(t->key);
	free(t->ca);
	free(t->cert_path);
	free(t->key_path);
	free(t->ca_path);
	pthread_mutex_destroy(&t->lock);
	free(t);
}
