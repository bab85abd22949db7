#include "mirror/secure.h"

#include <arpa/inet.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

struct secure_context {
	SSL_CTX *ctx;
	bool server;
};

struct secure {
	SSL *ssl;
	BIO *in, *out;			/* the SSL's */
};

static enum status told(enum status st, const char *what, struct error *e)
{
	unsigned long code = ERR_get_error();
	const char *why = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return error_set(e, st, "%s: %s", what, why != NULL ? why : "no reason given");
}

enum status secure_context_new(struct secure_context **out, const struct secure_files *files,
			       bool server, struct error *e)
{
	struct secure_context *c = calloc(1, sizeof(*c));
	enum status st = ST_OK;

	if (c == NULL)
		return ST_NOMEM;
	c->server = server;
	c->ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
	if (c->ctx == NULL)
		st = told(ST_NOMEM, "TLS", e);
	else if (SSL_CTX_set_min_proto_version(c->ctx, TLS1_3_VERSION) != 1)
		st = told(ST_UNSUPPORTED, "TLS 1.3", e);
	else if (SSL_CTX_use_certificate_chain_file(c->ctx, files->cert) != 1)
		st = told(ST_INVALID, files->cert, e);
	else if (SSL_CTX_use_PrivateKey_file(c->ctx, files->key, SSL_FILETYPE_PEM) != 1 ||
		 SSL_CTX_check_private_key(c->ctx) != 1)
		st = told(ST_INVALID, files->key, e);
	else if (SSL_CTX_load_verify_file(c->ctx, files->ca) != 1)
		st = told(ST_INVALID, files->ca, e);
	if (st != ST_OK) {
		secure_context_free(c);
		return st;
	}
	SSL_CTX_set_verify(c->ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	/* One connection for weeks: nothing to resume. */
	SSL_CTX_set_num_tickets(c->ctx, 0);
	SSL_CTX_set_session_cache_mode(c->ctx, SSL_SESS_CACHE_OFF);
	*out = c;
	return ST_OK;
}

void secure_context_free(struct secure_context *c)
{
	if (c == NULL)
		return;
	SSL_CTX_free(c->ctx);
	free(c);
}

static bool expects(SSL *ssl, const char *host)
{
	struct in6_addr a;

	if (inet_pton(AF_INET, host, &a) == 1 || inet_pton(AF_INET6, host, &a) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set1_host(ssl, host) == 1;
}

enum status secure_new(struct secure **out, struct secure_context *c, const char *host)
{
	struct secure *s = calloc(1, sizeof(*s));

	if (s != NULL)
		s->ssl = SSL_new(c->ctx);
	if (s == NULL || s->ssl == NULL) {
		free(s);
		return ST_NOMEM;
	}
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	if (s->in == NULL || s->out == NULL) {
		BIO_free(s->in);
		BIO_free(s->out);
		SSL_free(s->ssl);
		free(s);
		return ST_NOMEM;
	}
	SSL_set_bio(s->ssl, s->in, s->out);
	if (c->server)
		SSL_set_accept_state(s->ssl);
	else
		SSL_set_connect_state(s->ssl);
	if (!c->server && !expects(s->ssl, host)) {
		secure_free(s);
		return ST_INVALID;
	}
	*out = s;
	return ST_OK;
}

void secure_free(struct secure *s)
{
	if (s == NULL)
		return;
	SSL_free(s->ssl);
	free(s);
}

enum status secure_put(struct secure *s, struct slice bytes)
{
	return bytes.n <= INT_MAX && BIO_write(s->in, bytes.p, (int)bytes.n) == (int)bytes.n ?
	       ST_OK : ST_NOMEM;
}

size_t secure_take(struct secure *s, uint8_t *buf, size_t n)
{
	int got = BIO_read(s->out, buf, n < INT_MAX ? (int)n : INT_MAX);

	return got > 0 ? (size_t)got : 0;
}

enum status secure_handshake(struct secure *s, struct error *e)
{
	int rc = SSL_do_handshake(s->ssl), why;

	if (rc == 1)
		return ST_OK;
	why = SSL_get_error(s->ssl, rc);
	if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE)
		return ST_AGAIN;
	return told(ST_DENIED, "TLS handshake", e);
}

enum status secure_write(struct secure *s, struct slice bytes)
{
	ERR_clear_error();
	return SSL_write(s->ssl, bytes.p, (int)bytes.n) == (int)bytes.n ? ST_OK : ST_IO;
}

ssize_t secure_read(struct secure *s, uint8_t *buf, size_t n)
{
	int rc;

	ERR_clear_error();
	rc = SSL_read(s->ssl, buf, (int)n);
	if (rc > 0)
		return rc;
	return SSL_get_error(s->ssl, rc) == SSL_ERROR_WANT_READ ? 0 : -1;
}
