/* Keys and signed tokens of a test's own, and wrong ones. Made with OpenSSL, not with our code. */
#ifndef TESTS_TOKENS_H
#define TESTS_TOKENS_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

EVP_PKEY *made_p256(void);
EVP_PKEY *made_rsa(unsigned bits);
/* Malloc'd: base64url of n bytes. */
char *encoded(const void *p, size_t n);
/* Malloc'd: HEADER.CLAIMS, with a signature as the key's kind has it. */
char *token_of(EVP_PKEY *key, const char *header, const char *claims);
/* Malloc'd: the same with a signature that is given. */
char *token_with(const char *header, const char *claims, const void *signature, size_t n);
/* Malloc'd: the key as JSON; extra: further members, each with a comma in front, or "". */
char *jwk_of(EVP_PKEY *key, const char *kid, const char *extra);
/* Malloc'd: HMAC-SHA256 over the token's content, with these bytes as its key. */
char *token_hmac(const char *header, const char *claims, const void *secret, size_t n);

#endif
