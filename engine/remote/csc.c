/* Cloud Signature Consortium, API v2 (2.0.0.2): clauses 11.4 to 11.7, 11.10 and 11.12. */
#include <stdio.h>
#include <string.h>

#include "remote/api.h"
#include "remote/tree.h"

#define OID_SHA256 "2.16.840.1.101.3.4.2.1"
#define OID_RSA "1.2.840.113549.1.1.1"
#define OID_RSA_SHA256 "1.2.840.113549.1.1.11"
#define OID_PSS "1.2.840.113549.1.1.10"
#define OID_ECDSA_SHA256 "1.2.840.10045.4.3.2"
#define OID_EC "1.2.840.10045.2.1"

/* RSASSA-PSS-params of RFC 8017: SHA-256, MGF1 with SHA-256, salt of 32 bytes. */
static const uint8_t pss_params[] = {
	0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
	0x02, 0x01, 0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
	0x0d, 0x01, 0x01, 0x08, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
	0x02, 0x01, 0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, 0x20 };

static const char *path_of(enum api_step step)
{
	switch (step) {
	case STEP_LIST:
		return "credentials/list";
	case STEP_INFO:
		return "credentials/info";
	case STEP_AUTHORIZE:
		return "credentials/authorize";
	case STEP_CHECK:
		return "credentials/authorizeCheck";
	case STEP_POLL:
		return "signatures/signPolling";
	default:
		return "signatures/signHash";
	}
}

static json_t *hashes(const struct api_ask *ask)
{
	json_t *list = json_array();

	for (uint32_t i = 0; list != NULL && i < ask->n; i++)
		if (ask->items[i].digest != NULL)
			json_array_append_new(list, tree_base64(ask->items[i].digest, 32));
	return list;
}

static json_t *authorize_body(const struct api_ask *ask)
{
	const json_t *auth = json_object_get(ask->service->auth_data_of, ask->key->policy->id);
	json_t *list = hashes(ask);
	json_t *o = json_pack("{s:s, s:I, s:o, s:s}", "credentialID", ask->credential,
			      "numSignatures", (json_int_t)json_array_size(list), "hashes", list,
			      "hashAlgorithmOID", OID_SHA256);

	if (auth == NULL)
		auth = ask->service->auth_data;
	if (o != NULL && auth != NULL)
		json_object_set(o, "authData", (json_t *)auth);
	return o;
}

static json_t *sign_body(const struct api_ask *ask)
{
	json_t *o = json_pack("{s:s, s:s, s:o, s:s, s:s, s:s}", "credentialID", ask->credential,
			      "SAD", ask->sad, "hashes", hashes(ask), "hashAlgorithmOID",
			      OID_SHA256, "signAlgo", ask->sign_algo, "operationMode",
			      ask->service->asynchronous ? "A" : "S");

	if (o != NULL && strcmp(ask->sign_algo, OID_PSS) == 0)
		json_object_set_new(o, "signAlgoParams",
				    tree_base64(pss_params, sizeof(pss_params)));
	return o;
}

/* Whose: an access token of client credentials is nobody's (11.4: userID). */
static json_t *list_body(const struct api_ask *ask)
{
	json_t *o = json_pack("{s:b}", "onlyValid", 1);
	const char *user = ask->key->policy->user_id;

	if (o != NULL && user != NULL)
		json_object_set_new(o, "userID", json_string(user));
	return o;
}

enum status csc_build(struct api_request *out, const struct api_ask *ask)
{
	const char *base = ask->service->url;
	size_t n = strlen(base);

	if (snprintf(out->url, sizeof(out->url), "%s%s%s", base,
		     n > 0 && base[n - 1] == '/' ? "" : "/", path_of(ask->step)) >=
	    (int)sizeof(out->url))
		return ST_TOO_LARGE;
	switch (ask->step) {
	case STEP_LIST:
		return api_body(out, list_body(ask));
	case STEP_INFO:
		return api_body(out, json_pack("{s:s, s:s, s:b, s:b}", "credentialID",
					       ask->credential, "certificates", "single",
					       "certInfo", 0, "authInfo", 1));
	case STEP_AUTHORIZE:
		return api_body(out, authorize_body(ask));
	case STEP_CHECK:
		return api_body(out, json_pack("{s:s}", "handle", ask->id));
	case STEP_POLL:
		return api_body(out, json_pack("{s:s}", "requestID", ask->id));
	default:
		return api_body(out, sign_body(ask));
	}
}

/* ---- answers ---- */

static void list_read(struct api_answer *out, json_t *body)
{
	json_t *ids = json_object_get(body, "credentialIDs");

	if (!json_is_array(ids)) {
		out->verdict = VERDICT_UNREADABLE;
		return;
	}
	out->verdict = VERDICT_LISTED;
	for (size_t i = 0; i < json_array_size(ids) && out->credentials_n < CREDENTIALS_MAX; i++)
		if (api_text(out->credentials[out->credentials_n], CREDENTIAL_BYTES_MAX + 1,
			     json_array_get(ids, i)))
			out->credentials_n++;
}

/* The first that the key's algorithm may be called, of those that the credential offers. */
static const char *choose_algo(json_t *offered, const struct algorithm_info *info)
{
	static const char *const rsa[] = { OID_RSA_SHA256, OID_RSA, NULL };
	static const char *const pss[] = { OID_PSS, NULL };
	static const char *const ec[] = { OID_ECDSA_SHA256, OID_EC, NULL };
	const char *const *wanted = info->pss ? pss : info->rsa ? rsa : ec;

	for (; *wanted != NULL; wanted++)
		for (size_t i = 0; i < json_array_size(offered); i++) {
			const char *s = json_string_value(json_array_get(offered, i));

			if (s != NULL && strcmp(s, *wanted) == 0)
				return *wanted;
		}
	return NULL;
}

static void info_read(struct api_answer *out, const struct api_ask *ask, json_t *body)
{
	const char *cert = json_string_value(tree_at(body, "/cert/certificates/0"));
	const char *status = json_string_value(tree_at(body, "/key/status"));
	const char *mode = json_string_value(tree_at(body, "/auth/mode"));
	json_int_t multisign = json_integer_value(json_object_get(body, "multisign"));

	out->sign_algo = choose_algo(tree_at(body, "/key/algo"),
				     algorithm_info(ask->key->policy->algorithm));
	out->multisign = multisign < 1 ? 1 : multisign > SERVICE_HASHES_MAX ? SERVICE_HASHES_MAX :
		(uint32_t)multisign;
	out->verdict = cert != NULL && remote_key_is(ask->key, cert) && out->sign_algo != NULL &&
		       (status == NULL || strcmp(status, "enabled") == 0) &&
		       (mode == NULL || strcmp(mode, "explicit") == 0 ||
			strcmp(mode, "implicit") == 0) ? VERDICT_FITS : VERDICT_OTHER;
}

static void pending(struct api_answer *out, const struct api_ask *ask, json_t *id,
		    enum api_step next)
{
	out->verdict = VERDICT_PENDING;
	out->next = next;
	if (id == NULL && ask->step == next)
		memcpy(out->id, ask->id, strlen(ask->id) + 1);
	else if (!api_text(out->id, sizeof(out->id), id))
		out->verdict = VERDICT_UNREADABLE;
}

static void authorize_read(struct api_answer *out, const struct api_ask *ask, json_t *body)
{
	json_t *sad = json_object_get(body, "SAD");

	if (sad == NULL) {
		pending(out, ask, json_object_get(body, "handle"), STEP_CHECK);
		return;
	}
	out->verdict = api_text(out->text, sizeof(out->text), sad) ? VERDICT_AUTHORIZED :
		VERDICT_UNREADABLE;
}

static void sign_read(struct api_answer *out, const struct api_ask *ask, json_t *body)
{
	json_t *list = json_object_get(body, "signatures");

	if (!json_is_array(list)) {
		pending(out, ask, json_object_get(body, "responseID"), STEP_POLL);
		return;
	}
	/* By position among the hashes that were sent: also who was cancelled since has its own. */
	for (uint32_t i = 0; i < ask->n; i++)
		api_signature_read(&out->signatures[i], json_array_get(list, i), FORM_BASE64);
	out->verdict = VERDICT_SIGNED;
}

/* Only what the specification has: another text could hold anything. */
static const char *error_code(json_t *body)
{
	static const char *const codes[] = { "invalid_request", "unauthorized_client",
		"access_denied", "unsupported_response_type", "invalid_scope", "server_error",
		"temporarily_unavailable", "expired_token", "invalid_token", "invalid_client",
		"invalid_grant", "invalid_otp", "invalid_pin", "invalid_authentication_data",
		"expired_request", "unsupported_grant_type", "insufficient_scope" };
	const char *s = json_string_value(json_object_get(body, "error"));

	for (size_t i = 0; s != NULL && i < ARRAY_LEN(codes); i++)
		if (strcmp(s, codes[i]) == 0)
			return codes[i];
	return "";
}

/* Under whatever HTTP status: some services say 401, as of an access token. */
static bool is_of_pin(const char *error)
{
	return strcmp(error, "invalid_pin") == 0 || strcmp(error, "invalid_otp") == 0 ||
	       strcmp(error, "invalid_authentication_data") == 0;
}

void csc_read(struct api_answer *out, const struct api_ask *ask, json_t *body)
{
	if (out->verdict != VERDICT_SIGNED) {
		out->error = error_code(body);
		if (strcmp(out->error, "access_denied") == 0)
			out->verdict = VERDICT_REFUSED;
		else if (ask->step == STEP_AUTHORIZE && is_of_pin(out->error))
			out->verdict = VERDICT_PIN_REFUSED;
		return;
	}
	switch (ask->step) {
	case STEP_LIST:
		list_read(out, body);
		break;
	case STEP_INFO:
		info_read(out, ask, body);
		break;
	case STEP_AUTHORIZE:
	case STEP_CHECK:
		authorize_read(out, ask, body);
		break;
	default:
		sign_read(out, ask, body);
	}
}
