/*
 * certs.h - reading certificates and revocation lists (RFC 5280), for the signer, the keyring and
 * the verifier. Cold paths; any thread.
 */
#ifndef TRIEN_SIGNER_CERTS_H
#define TRIEN_SIGNER_CERTS_H

#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "signer/policy.h"

/* The first certificate of a PEM file. Caller frees with X509_free(). */
enum status cert_read(X509 **out, const char *dir, const char *file, struct error *e) must_use;
/* Every certificate of every *.pem in dir, or of the one file; one without any is passed over. */
enum status certs_read_all(STACK_OF(X509) **out, const char *dir, struct error *e) must_use;
/* Every *.crl in dir, or the one file, PEM or DER; none is no error. */
enum status crls_read_all(STACK_OF(X509_CRL) **out, const char *dir, struct error *e) must_use;

/* Milliseconds since 1970 UTC. */
int64_t cert_time_ms(const ASN1_TIME *t);
/* The subject's CN as UTF-8, "" if it has none. Cut at a character to fit. */
void cert_common_name(const X509 *cert, char *out, size_t n);
/*
 * The agency that the certificate names itself: SAN URI `trien://unit/CODE` of our profiles
 * (keys/README.md). false: it names none.
 */
bool cert_unit(X509 *cert, char *out, size_t n);
/*
 * O of every authority that `trien keys dev` makes. What is signed below one has no legal value
 * (DESIGN 6), so it is asked of the certificate, not of who starts the engine.
 */
#define DEVELOPMENT_CA "Trien development"
bool cert_of_development(const X509 *cert);
/* A context that signs, or checks, SHA-256 digests under the algorithm; NULL: OpenSSL refuses. */
EVP_PKEY_CTX *algorithm_context(const struct algorithm_info *info, EVP_PKEY *key, bool signing);
/* Is the public key what the algorithm says (type, size, curve)? */
bool cert_has_algorithm(X509 *cert, enum algorithm a);

enum revocation_state { REVOCATION_UNKNOWN, REVOCATION_GOOD, REVOCATION_REVOKED };
struct revocation {
	enum revocation_state state;
	int list;			/* index of the newest list; -1: none */
	int64_t this_ms, next_ms;	/* of the newest; next = INT64_MAX when it names none */
	int64_t revoked_ms;		/* REVOKED only */
};

/*
 * What the lists of `issuer` say of cert, old ones too: an expired certificate may be left out of
 * later ones (RFC 5280 3.3), and revoked is for good, since the earliest date that one says. Only a
 * hold ends: by a later list without it that is not younger than the certificate's own end. Lists
 * that issuer did not sign are passed over, as are those with an unknown critical extension (delta,
 * partitioned): they cannot speak for the whole.
 */
struct revocation crl_look_up(const STACK_OF(X509_CRL) *crls, X509 *cert, X509 *issuer);

/* OpenSSL's last reason as text; clears its queue. Static storage. */
const char *openssl_reason(void);

#endif
