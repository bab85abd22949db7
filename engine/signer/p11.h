/*
 * p11.h - plain calls on a PKCS#11 2.40 module (OASIS): load it, find a token, log in, find a key,
 * sign. Nothing here tries anything twice: that is pkcs11.h.
 *
 * Only the signer process, and `trien keys dev`, load a module: its code runs in the process (P6).
 * Calls answer the module's CK_RV. Threads: as the module allows; we ask it for locking of its own.
 */
#ifndef TRIEN_SIGNER_P11_H
#define TRIEN_SIGNER_P11_H

#include <p11-kit/pkcs11.h>
#include <stdbool.h>

#include "base/status.h"
#include "signer/policy.h"
#include "signer/signer.h"

#define PIN_BYTES_MAX 255

/* A secret, wiped by whoever read it. */
struct pin { uint8_t bytes[PIN_BYTES_MAX]; uint8_t n; };

/*
 * The first line of a file that only its owner can read. ST_NOT_FOUND, ST_DENIED (others could read
 * it), ST_INVALID (empty, too long), ST_IO.
 */
enum status pin_read(struct pin *out, const char *file, struct error *e) must_use;
void pin_wipe(struct pin *p);

/* dlopen and the module's function list. ST_NOT_FOUND: no such library; ST_INVALID: no module. */
enum status p11_load(void **library, CK_FUNCTION_LIST **f, const char *path,
		     struct error *e) must_use;
/* C_Initialize with the operating system's locks. */
CK_RV p11_initialize(CK_FUNCTION_LIST *f);

/* "CKR_TOKEN_NOT_PRESENT", or its number in the buffer for the rarer ones. */
const char *p11_reason(CK_RV rv, char buf[32]);

/* By label, or by slot number where label is NULL. CKR_TOKEN_NOT_PRESENT: none is like that. */
CK_RV p11_find_token(CK_FUNCTION_LIST *f, const char *label, int64_t number, CK_SLOT_ID *slot,
		     CK_TOKEN_INFO *info);
/*
 * Logs the user in, but not after a refusal: when the token says that the last PIN tried was wrong
 * (CKF_USER_PIN_COUNT_LOW) or that one more would lock it, nothing is sent and the answer is
 * CKR_PIN_INCORRECT. A PIN that is wrong is so sent once, whatever restarts in between.
 */
CK_RV p11_login(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE s, const CK_TOKEN_INFO *info,
		const struct pin *pin);
/* Answers which a login gives when the PIN itself is the trouble. */
bool p11_pin_refused(CK_RV rv);

/* The one private key of that label and/or id. CKR_KEY_HANDLE_INVALID: none, or several. */
CK_RV p11_find_key(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE s, const struct key_policy *k,
		   CK_OBJECT_HANDLE *out);

/*
 * C_SignInit and C_Sign: PKCS#1 v1.5 over DigestInfo (RFC 8017, 9.2), PSS with a salt of 32 bytes,
 * ECDSA with r and s as DER. CKR_FUNCTION_FAILED also when the module's signature has not the size
 * that the algorithm's has.
 */
CK_RV p11_sign(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key,
	       enum algorithm algorithm, const uint8_t digest[32], uint8_t out[SIGNATURE_BYTES_MAX],
	       uint16_t *size);

#endif
