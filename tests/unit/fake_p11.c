#include "fake_p11.h"

#include <openssl/ec.h>
#include <openssl/rsa.h>
#include <string.h>
#include <time.h>

#define SLOT 5
#define SESSIONS_MAX 64

static struct fake_p11 *fake;
/* A handle is the life of the module in thousands, and its place. */
static atomic_uint life;

struct session {
	atomic_bool open;
	CK_MECHANISM_TYPE mechanism;
	CK_OBJECT_HANDLE key;
	CK_ULONG found;
};
static struct session sessions[SESSIONS_MAX];
static atomic_bool logged_in, up;

void fake_p11_use(struct fake_p11 *f);

void fake_p11_use(struct fake_p11 *f)
{
	fake = f;
}

static struct session *session_of(CK_SESSION_HANDLE h)
{
	struct session *s = &sessions[h % 1000];

	return up && h / 1000 == life && h % 1000 < SESSIONS_MAX && s->open ? s : NULL;
}

static CK_RV initialize(void *args)
{
	if (up)
		return CKR_CRYPTOKI_ALREADY_INITIALIZED;
	fake->initialized++;
	life++;
	up = true;
	return CKR_OK;
}

static CK_RV finalize(void *reserved)
{
	for (int i = 0; i < SESSIONS_MAX; i++)
		sessions[i].open = false;
	fake->sessions = 0;
	fake->sign_fails = CKR_OK;
	logged_in = false;
	up = false;
	return CKR_OK;
}

static CK_RV slot_list(CK_BBOOL present, CK_SLOT_ID *list, CK_ULONG *n)
{
	*n = fake->removed ? 0 : 1;
	if (list != NULL && *n == 1)
		list[0] = SLOT;
	return up ? CKR_OK : CKR_CRYPTOKI_NOT_INITIALIZED;
}

static CK_RV token_info(CK_SLOT_ID slot, CK_TOKEN_INFO *info)
{
	if (slot != SLOT || fake->removed)
		return CKR_TOKEN_NOT_PRESENT;
	memset(info, 0, sizeof(*info));
	memset(info->label, ' ', sizeof(info->label));
	memcpy(info->label, "fake", 4);
	info->flags = CKF_LOGIN_REQUIRED | (fake->pin_low ? CKF_USER_PIN_COUNT_LOW : 0);
	info->ulMaxSessionCount = fake->sessions_stated;
	return CKR_OK;
}

static CK_RV open_session(CK_SLOT_ID slot, CK_FLAGS flags, void *app, CK_NOTIFY notify,
			  CK_SESSION_HANDLE *out)
{
	if (slot != SLOT || fake->removed)
		return CKR_TOKEN_NOT_PRESENT;
	if (fake->sessions_real != 0 && fake->sessions >= fake->sessions_real)
		return CKR_SESSION_COUNT;
	for (CK_ULONG i = 0; i < SESSIONS_MAX; i++) {
		bool free_one = false;

		if (!atomic_compare_exchange_strong(&sessions[i].open, &free_one, true))
			continue;
		*out = life * 1000 + i;
		if (++fake->sessions > fake->sessions_most)
			fake->sessions_most = fake->sessions;
		return CKR_OK;
	}
	return CKR_SESSION_COUNT;
}

static CK_RV close_session(CK_SESSION_HANDLE h)
{
	struct session *s = session_of(h);

	if (s == NULL)
		return CKR_SESSION_HANDLE_INVALID;
	s->open = false;
	fake->sessions--;
	return CKR_OK;
}

static CK_RV close_all(CK_SLOT_ID slot)
{
	for (int i = 0; i < SESSIONS_MAX; i++)
		sessions[i].open = false;
	fake->sessions = 0;
	logged_in = false;
	return CKR_OK;
}

static CK_RV login(CK_SESSION_HANDLE h, CK_USER_TYPE user, CK_UTF8CHAR *pin, CK_ULONG n)
{
	if (session_of(h) == NULL)
		return CKR_SESSION_HANDLE_INVALID;
	if (logged_in)
		return CKR_USER_ALREADY_LOGGED_IN;
	fake->logins++;
	if (n != strlen(FAKE_PIN) || memcmp(pin, FAKE_PIN, n) != 0) {
		fake->pin_low = true;
		return CKR_PIN_INCORRECT;
	}
	logged_in = true;
	return CKR_OK;
}

static CK_RV find_init(CK_SESSION_HANDLE h, CK_ATTRIBUTE *like, CK_ULONG n)
{
	struct session *s = session_of(h);

	if (s == NULL || !logged_in)
		return s == NULL ? CKR_SESSION_HANDLE_INVALID : CKR_USER_NOT_LOGGED_IN;
	fake->finds++;
	s->found = 0;
	for (CK_ULONG i = 0; i < n; i++)
		for (uint32_t k = 0; like[i].type == CKA_LABEL && k < fake->keys_n; k++)
			if (strlen(fake->labels[k]) == like[i].ulValueLen &&
			    memcmp(fake->labels[k], like[i].pValue, like[i].ulValueLen) == 0)
				s->found = k + 1;
	return CKR_OK;
}

static CK_RV find(CK_SESSION_HANDLE h, CK_OBJECT_HANDLE *out, CK_ULONG max, CK_ULONG *n)
{
	struct session *s = session_of(h);

	if (s == NULL)
		return CKR_SESSION_HANDLE_INVALID;
	*n = s->found != 0;
	out[0] = s->found;
	s->found = 0;
	return CKR_OK;
}

static CK_RV find_final(CK_SESSION_HANDLE h)
{
	return CKR_OK;
}

static CK_RV sign_init(CK_SESSION_HANDLE h, CK_MECHANISM *m, CK_OBJECT_HANDLE key)
{
	struct session *s = session_of(h);

	if (fake->removed)
		return CKR_DEVICE_REMOVED;
	if (fake->sign_fails != CKR_OK)
		return fake->sign_fails;
	if (s == NULL)
		return CKR_SESSION_HANDLE_INVALID;
	s->mechanism = m->mechanism;
	s->key = key;
	return key >= 1 && key <= fake->keys_n ? CKR_OK : CKR_KEY_HANDLE_INVALID;
}

/* r and s of DER's, 32 bytes each. */
static bool raw_of(unsigned char *out, CK_ULONG *n, const unsigned char *der, size_t size)
{
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &der, (long)size);
	bool ok = sig != NULL && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, 32) == 32 &&
		BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + 32, 32) == 32;

	ECDSA_SIG_free(sig);
	*n = 64;
	return ok;
}

static CK_RV sign(CK_SESSION_HANDLE h, unsigned char *data, CK_ULONG n, unsigned char *out,
		  CK_ULONG *size)
{
	struct session *s = session_of(h);
	EVP_PKEY_CTX *c;
	unsigned char value[512];
	size_t value_n = sizeof(value);
	bool ok;

	fake->arrived++;
	while (fake->closed)
		nanosleep(&(struct timespec){ 0, 1000000 }, NULL);
	if (s == NULL || fake->removed)
		return fake->removed ? CKR_DEVICE_REMOVED : CKR_SESSION_HANDLE_INVALID;
	fake->signs++;
	c = EVP_PKEY_CTX_new(fake->keys[s->key - 1], NULL);
	ok = c != NULL && EVP_PKEY_sign_init(c) == 1;
	if (ok && s->mechanism != CKM_ECDSA)
		ok = EVP_PKEY_CTX_set_rsa_padding(c, s->mechanism == CKM_RSA_PKCS ?
			RSA_PKCS1_PADDING : RSA_PKCS1_PSS_PADDING) == 1;
	if (ok && s->mechanism == CKM_RSA_PKCS_PSS)
		ok = EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) == 1 &&
			EVP_PKEY_CTX_set_rsa_pss_saltlen(c, 32) == 1;
	ok = ok && EVP_PKEY_sign(c, value, &value_n, data, n) == 1;
	EVP_PKEY_CTX_free(c);
	if (ok && s->mechanism == CKM_ECDSA) {
		ok = raw_of(out, size, value, value_n);
	} else if (ok) {
		memcpy(out, value, value_n);
		*size = value_n;
	}
	if (fake->garbage)
		out[*size / 2] ^= 1;
	if (fake->order_n < FAKE_ORDER_MAX)
		fake->order[fake->order_n++] = (uint8_t)(s->key - 1);
	return ok ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_FUNCTION_LIST list = {
	.version = { 2, 40 }, .C_Initialize = initialize, .C_Finalize = finalize,
	.C_GetSlotList = slot_list, .C_GetTokenInfo = token_info, .C_OpenSession = open_session,
	.C_CloseSession = close_session, .C_CloseAllSessions = close_all, .C_Login = login,
	.C_FindObjectsInit = find_init, .C_FindObjects = find, .C_FindObjectsFinal = find_final,
	.C_SignInit = sign_init, .C_Sign = sign,
};

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **out)
{
	*out = &list;
	return CKR_OK;
}
