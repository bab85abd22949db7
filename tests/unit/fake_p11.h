/*
 * fake_p11.h - a PKCS#11 module for tests that fails as it is told (fake_p11.c, a library of its
 * own). Found by dlsym(library, "fake_p11_use"), which hands it its orders: one struct, in shared
 * memory where the module runs in a child.
 */
#ifndef TESTS_FAKE_P11_H
#define TESTS_FAKE_P11_H

#include <p11-kit/pkcs11.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <openssl/evp.h>

#define FAKE_PIN "4711"
#define FAKE_KEYS_MAX 4
#define FAKE_ORDER_MAX 256

struct fake_p11 {
	/* the token: labels and keys, made before the module is used */
	uint32_t keys_n;
	const char *labels[FAKE_KEYS_MAX];
	EVP_PKEY *keys[FAKE_KEYS_MAX];
	CK_ULONG sessions_stated;	/* ulMaxSessionCount */
	CK_ULONG sessions_real;		/* more: CKR_SESSION_COUNT; 0: any number */

	/* orders */
	_Atomic CK_RV sign_fails;	/* what C_SignInit answers until C_Finalize; 0: signs */
	atomic_bool removed;		/* the token is not in its slot */
	atomic_bool garbage;		/* signatures of the right size, but wrong */
	atomic_bool closed;		/* C_Sign waits until this is taken back */
	atomic_bool pin_low;		/* the token's memory of a wrong PIN */

	/* what was asked */
	atomic_uint initialized, logins, finds, signs, sessions, sessions_most;
	atomic_uint arrived;		/* calls of C_Sign, those that wait too */
	/* keys in the order in which they signed */
	atomic_uint order_n;
	uint8_t order[FAKE_ORDER_MAX];
};

typedef void fake_p11_use_fn(struct fake_p11 *f);

#endif
