#include "signer/p11make.h"

#include <dlfcn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

#include "signer/certs.h"
#include "signer/p11.h"

struct p11_maker {
	const struct token_policy *token;
	void *library;
	CK_FUNCTION_LIST *f;
	bool up;
	CK_SESSION_HANDLE session;
};

static enum status failed(struct error *e, enum status st, const struct token_policy *t,
			  const char *what, CK_RV rv)
{
	char number[32];

	return error_set(e, st, "token '%s': %s: %s", t->name, what, p11_reason(rv, number));
}

static enum status log_in(struct p11_maker *m, const struct pin *pin, struct error *e)
{
	const struct token_policy *t = m->token;
	CK_TOKEN_INFO info;
	CK_SLOT_ID slot;
	CK_RV rv = p11_initialize(m->f);

	m->up = rv == CKR_OK;
	if (rv == CKR_OK)
		rv = p11_find_token(m->f, t->label, t->slot, &slot, &info);
	if (rv == CKR_OK)
		rv = m->f->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL,
					 &m->session);
	if (rv != CKR_OK)
		return failed(e, ST_UNAVAILABLE, t, "not found", rv);
	rv = p11_login(m->f, m->session, &info, pin);
	return rv == CKR_OK ? ST_OK :
		failed(e, p11_pin_refused(rv) ? ST_DENIED : ST_UNAVAILABLE, t, "login", rv);
}

enum status p11_maker_open(struct p11_maker **out, const struct token_policy *t,
			   const char *pin_file, struct error *e)
{
	struct p11_maker *m = calloc(1, sizeof(*m));
	const char *file = t->pin_file != NULL ? t->pin_file : pin_file;
	struct pin pin = { .n = 0 };
	enum status st = ST_OK;

	if (m == NULL)
		return error_set(e, ST_NOMEM, "out of memory");
	m->token = t;
	if (file == NULL)
		st = error_set(e, ST_NOT_FOUND, "token '%s': its PIN file is needed", t->name);
	if (st == ST_OK)
		st = pin_read(&pin, file, e);
	if (st == ST_OK)
		st = p11_load(&m->library, &m->f, t->module, e);
	if (st == ST_OK)
		st = log_in(m, &pin, e);
	pin_wipe(&pin);
	if (st != ST_OK) {
		p11_maker_close(m);
		return st;
	}
	*out = m;
	return ST_OK;
}

void p11_maker_close(struct p11_maker *m)
{
	if (m == NULL)
		return;
	if (m->up)
		m->f->C_Finalize(NULL);
	if (m->library != NULL)
		dlclose(m->library);
	free(m);
}

/* prime256v1 as a DER object identifier. */
static const uint8_t curve[] = { 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07 };
static const uint8_t exponent[] = { 0x01, 0x00, 0x01 };

static CK_RV generate(struct p11_maker *m, const struct algorithm_info *info, const char *label,
		      CK_OBJECT_HANDLE *public)
{
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG bits = info->bits;
	CK_MECHANISM how = { info->rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN, NULL, 0 };
	CK_ULONG length = strlen(label);
	void *name = (void *)label;
	CK_ATTRIBUTE shown[6] = { { CKA_TOKEN, &yes, 1 }, { CKA_VERIFY, &yes, 1 },
		{ CKA_LABEL, name, length }, { CKA_ID, name, length } };
	CK_ATTRIBUTE hidden[] = { { CKA_TOKEN, &yes, 1 }, { CKA_PRIVATE, &yes, 1 },
		{ CKA_SENSITIVE, &yes, 1 }, { CKA_EXTRACTABLE, &no, 1 }, { CKA_SIGN, &yes, 1 },
		{ CKA_LABEL, name, length }, { CKA_ID, name, length } };
	CK_OBJECT_HANDLE private;
	CK_ULONG n = 4;

	if (info->rsa) {
		shown[n++] = (CK_ATTRIBUTE){ CKA_MODULUS_BITS, &bits, sizeof(bits) };
		shown[n++] = (CK_ATTRIBUTE){ CKA_PUBLIC_EXPONENT, (void *)exponent,
					     sizeof(exponent) };
	} else {
		shown[n++] = (CK_ATTRIBUTE){ CKA_EC_PARAMS, (void *)curve, sizeof(curve) };
	}
	return m->f->C_GenerateKeyPair(m->session, &how, shown, n, hidden, ARRAY_LEN(hidden),
				       public, &private);
}

static CK_RV get(struct p11_maker *m, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE what, uint8_t *out,
		 size_t max, size_t *n)
{
	CK_ATTRIBUTE a = { what, out, max };
	CK_RV rv = m->f->C_GetAttributeValue(m->session, object, &a, 1);

	*n = a.ulValueLen;
	return rv == CKR_OK && *n > max ? CKR_BUFFER_TOO_SMALL : rv;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *b)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY *key = NULL;

	if (c == NULL || params == NULL || EVP_PKEY_fromdata_init(c) != 1 ||
	    EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(c);
	return key;
}

static EVP_PKEY *rsa_public(const uint8_t *modulus, size_t n)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	BIGNUM *m = BN_bin2bn(modulus, (int)n, NULL);
	BIGNUM *x = BN_bin2bn(exponent, sizeof(exponent), NULL);
	EVP_PKEY *key = NULL;

	if (b != NULL && OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, m) == 1 &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, x) == 1)
		key = from_params("RSA", b);
	OSSL_PARAM_BLD_free(b);
	BN_free(m);
	BN_free(x);
	return key;
}

/* CKA_EC_POINT is the point inside an OCTET STRING: 04 41 04 x y. */
static EVP_PKEY *ec_public(const uint8_t *point, size_t n)
{
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	EVP_PKEY *key = NULL;

	if (b != NULL && n == 67 && point[0] == 0x04 && point[1] == 65 &&
	    OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, point + 2, n - 2) == 1)
		key = from_params("EC", b);
	OSSL_PARAM_BLD_free(b);
	return key;
}

enum status p11_maker_pair(struct p11_maker *m, enum algorithm a, const char *label, EVP_PKEY **out,
			   struct error *e)
{
	const struct algorithm_info *info = algorithm_info(a);
	CK_OBJECT_HANDLE public = CK_INVALID_HANDLE;
	uint8_t value[1024];
	size_t n = 0;
	CK_RV rv = generate(m, info, label, &public);

	if (rv == CKR_OK)
		rv = get(m, public, info->rsa ? CKA_MODULUS : CKA_EC_POINT, value, sizeof(value),
			 &n);
	if (rv != CKR_OK)
		return failed(e, ST_IO, m->token, label, rv);
	*out = info->rsa ? rsa_public(value, n) : ec_public(value, n);
	return *out != NULL ? ST_OK :
		error_set(e, ST_INVALID, "token '%s': %s: no public key: %s", m->token->name, label,
			  openssl_reason());
}
