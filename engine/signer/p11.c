#include "signer/p11.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* r and s of P-256. */
#define HALF 32
/* A short ECDSA signature is one in 10^9: two in a row mean a broken token. */
#define SIGN_TRIES 4

enum status pin_read(struct pin *out, const char *file, struct error *e)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	char text[PIN_BYTES_MAX + 2];
	struct stat st;
	ssize_t n;
	size_t used;

	if (fd < 0)
		return error_set(e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "PIN file %s: %s", file,
				 strerror(errno));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) != 0) {
		close(fd);
		return error_set(e, ST_DENIED,
				 "PIN file %s: others could read it; run: chmod 600 %s", file,
				 file);
	}
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	used = strcspn(text, "\r\n");
	if (used > 0 && used <= PIN_BYTES_MAX) {
		memcpy(out->bytes, text, used);
		out->n = (uint8_t)used;
	}
	OPENSSL_cleanse(text, sizeof(text));
	if (used == 0 || used > PIN_BYTES_MAX)
		return error_set(e, ST_INVALID, "PIN file %s: its first line is no PIN", file);
	return ST_OK;
}

void pin_wipe(struct pin *p)
{
	OPENSSL_cleanse(p, sizeof(*p));
}

enum status p11_load(void **library, CK_FUNCTION_LIST **f, const char *path, struct error *e)
{
	CK_RV (*list)(CK_FUNCTION_LIST **) = NULL;
	void *symbol;

	*library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (*library == NULL)
		return error_set(e, ST_NOT_FOUND, "PKCS#11 module: %s", dlerror());
	symbol = dlsym(*library, "C_GetFunctionList");
	memcpy(&list, &symbol, sizeof(list));
	if (list == NULL || list(f) != CKR_OK || *f == NULL) {
		dlclose(*library);
		*library = NULL;
		return error_set(e, ST_INVALID, "%s is no PKCS#11 module", path);
	}
	return ST_OK;
}

CK_RV p11_initialize(CK_FUNCTION_LIST *f)
{
	CK_C_INITIALIZE_ARGS args = { .flags = CKF_OS_LOCKING_OK };
	CK_RV rv = f->C_Initialize(&args);

	return rv == CKR_CRYPTOKI_ALREADY_INITIALIZED ? CKR_OK : rv;
}

#define NAMED(X) \
	X(CKR_HOST_MEMORY) X(CKR_SLOT_ID_INVALID) X(CKR_GENERAL_ERROR) X(CKR_FUNCTION_FAILED) \
	X(CKR_ARGUMENTS_BAD) X(CKR_DATA_LEN_RANGE) X(CKR_DEVICE_ERROR) X(CKR_DEVICE_MEMORY) \
	X(CKR_DEVICE_REMOVED) X(CKR_KEY_HANDLE_INVALID) X(CKR_KEY_TYPE_INCONSISTENT) \
	X(CKR_KEY_FUNCTION_NOT_PERMITTED) X(CKR_MECHANISM_INVALID) X(CKR_MECHANISM_PARAM_INVALID) \
	X(CKR_OBJECT_HANDLE_INVALID) X(CKR_OPERATION_ACTIVE) X(CKR_OPERATION_NOT_INITIALIZED) \
	X(CKR_PIN_INCORRECT) X(CKR_PIN_INVALID) X(CKR_PIN_LEN_RANGE) X(CKR_PIN_EXPIRED) \
	X(CKR_PIN_LOCKED) X(CKR_SESSION_CLOSED) X(CKR_SESSION_COUNT) \
	X(CKR_SESSION_HANDLE_INVALID) X(CKR_TOKEN_NOT_PRESENT) X(CKR_TOKEN_NOT_RECOGNIZED) \
	X(CKR_USER_NOT_LOGGED_IN) X(CKR_USER_PIN_NOT_INITIALIZED) X(CKR_BUFFER_TOO_SMALL) \
	X(CKR_CRYPTOKI_NOT_INITIALIZED)

const char *p11_reason(CK_RV rv, char buf[32])
{
	switch (rv) {
#define X(name) case name: return #name;
	NAMED(X)
#undef X
	default:
		snprintf(buf, 32, "CK_RV 0x%lx", (unsigned long)rv);
		return buf;
	}
}

/* PKCS#11 pads a label with blanks to 32 bytes. */
static bool label_is(const CK_TOKEN_INFO *info, const char *label)
{
	size_t n = sizeof(info->label);

	while (n > 0 && info->label[n - 1] == ' ')
		n--;
	return n == strlen(label) && memcmp(info->label, label, n) == 0;
}

CK_RV p11_find_token(CK_FUNCTION_LIST *f, const char *label, int64_t number, CK_SLOT_ID *slot,
		     CK_TOKEN_INFO *info)
{
	CK_SLOT_ID slots[256];
	CK_ULONG n = ARRAY_LEN(slots);
	CK_RV rv = f->C_GetSlotList(CK_TRUE, slots, &n);

	for (CK_ULONG i = 0; rv == CKR_OK && i < n; i++) {
		if (label == NULL && slots[i] != (CK_SLOT_ID)number)
			continue;
		if (f->C_GetTokenInfo(slots[i], info) != CKR_OK ||
		    (label != NULL && !label_is(info, label)))
			continue;
		*slot = slots[i];
		return CKR_OK;
	}
	return rv != CKR_OK ? rv : CKR_TOKEN_NOT_PRESENT;
}

CK_RV p11_login(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE s, const CK_TOKEN_INFO *info,
		const struct pin *pin)
{
	CK_RV rv;

	if ((info->flags & CKF_LOGIN_REQUIRED) == 0)
		return CKR_OK;
	if ((info->flags & CKF_USER_PIN_LOCKED) != 0)
		return CKR_PIN_LOCKED;
	if ((info->flags & (CKF_USER_PIN_COUNT_LOW | CKF_USER_PIN_FINAL_TRY)) != 0)
		return CKR_PIN_INCORRECT;
	rv = f->C_Login(s, CKU_USER, (CK_UTF8CHAR *)pin->bytes, pin->n);
	return rv == CKR_USER_ALREADY_LOGGED_IN ? CKR_OK : rv;
}

bool p11_pin_refused(CK_RV rv)
{
	return rv == CKR_PIN_INCORRECT || rv == CKR_PIN_INVALID || rv == CKR_PIN_LEN_RANGE ||
		rv == CKR_PIN_EXPIRED || rv == CKR_PIN_LOCKED;
}

CK_RV p11_find_key(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE s, const struct key_policy *k,
		   CK_OBJECT_HANDLE *out)
{
	CK_OBJECT_CLASS class = CKO_PRIVATE_KEY;
	CK_ATTRIBUTE like[3] = { { CKA_CLASS, &class, sizeof(class) } };
	CK_OBJECT_HANDLE found[2];
	CK_ULONG n = 1, got = 0;
	CK_RV rv;

	if (k->label != NULL)
		like[n++] = (CK_ATTRIBUTE){ CKA_LABEL, (void *)k->label, strlen(k->label) };
	if (k->object_id_n > 0)
		like[n++] = (CK_ATTRIBUTE){ CKA_ID, (void *)k->object_id, k->object_id_n };
	rv = f->C_FindObjectsInit(s, like, n);
	if (rv != CKR_OK)
		return rv;
	rv = f->C_FindObjects(s, found, ARRAY_LEN(found), &got);
	f->C_FindObjectsFinal(s);
	if (rv == CKR_OK && got != 1)
		rv = CKR_KEY_HANDLE_INVALID;
	if (rv == CKR_OK)
		*out = found[0];
	return rv;
}

/* ---- signing ---- */

/* DER of a DigestInfo with SHA-256, up to the digest: RFC 8017, 9.2 note 1. */
static const uint8_t digest_info[19] = { 0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
	0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20 };

/* An INTEGER of an unsigned number: shortest form, a zero before a set sign bit. */
static size_t put_integer(uint8_t *out, const uint8_t *number)
{
	size_t skip = 0, pad;

	while (skip < HALF - 1 && number[skip] == 0)
		skip++;
	pad = number[skip] >> 7;
	out[0] = 0x02;
	out[1] = (uint8_t)(HALF - skip + pad);
	out[2] = 0;
	memcpy(out + 2 + pad, number + skip, HALF - skip);
	return 2 + pad + HALF - skip;
}

static uint16_t to_der(uint8_t *out, const uint8_t raw[2 * HALF])
{
	size_t n = put_integer(out + 2, raw);

	n += put_integer(out + 2 + n, raw + HALF);
	out[0] = 0x30;
	out[1] = (uint8_t)n;
	return (uint16_t)(2 + n);
}

static CK_RV sign_raw(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key,
		      const struct algorithm_info *info, const uint8_t digest[32],
		      uint8_t out[SIGNATURE_BYTES_MAX], CK_ULONG *n)
{
	CK_RSA_PKCS_PSS_PARAMS pss = { CKM_SHA256, CKG_MGF1_SHA256, 32 };
	CK_MECHANISM m = { info->pss ? CKM_RSA_PKCS_PSS : info->rsa ? CKM_RSA_PKCS : CKM_ECDSA,
			   info->pss ? &pss : NULL, info->pss ? sizeof(pss) : 0 };
	uint8_t data[sizeof(digest_info) + 32];
	size_t before = info->rsa && !info->pss ? sizeof(digest_info) : 0;
	CK_RV rv = f->C_SignInit(s, &m, key);

	memcpy(data, digest_info, before);
	memcpy(data + before, digest, 32);
	*n = SIGNATURE_BYTES_MAX;
	return rv == CKR_OK ? f->C_Sign(s, data, before + 32, out, n) : rv;
}

CK_RV p11_sign(CK_FUNCTION_LIST *f, CK_SESSION_HANDLE s, CK_OBJECT_HANDLE key,
	       enum algorithm algorithm, const uint8_t digest[32], uint8_t out[SIGNATURE_BYTES_MAX],
	       uint16_t *size)
{
	const struct algorithm_info *info = algorithm_info(algorithm);
	uint8_t raw[SIGNATURE_BYTES_MAX];
	CK_ULONG n;
	CK_RV rv;

	if (info->rsa) {
		rv = sign_raw(f, s, key, info, digest, out, &n);
		*size = (uint16_t)n;
		return rv == CKR_OK && n != info->signature_max ? CKR_FUNCTION_FAILED : rv;
	}
	for (int i = 0; i < SIGN_TRIES; i++) {
		rv = sign_raw(f, s, key, info, digest, raw, &n);
		if (rv != CKR_OK || n != 2 * HALF)
			return rv != CKR_OK ? rv : CKR_FUNCTION_FAILED;
		*size = to_der(out, raw);
		if (*size >= info->signature_min)
			return CKR_OK;
	}
	return CKR_FUNCTION_FAILED;
}
