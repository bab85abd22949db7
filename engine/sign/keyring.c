#include "sign/keyring.h"

#include <assert.h>
#include <stdlib.h>

#include "signer/certs.h"

struct keyring {
	atomic_uint refs;
	struct policy *policy;
	uint32_t keys_n;
	struct signing_key *keys;
	struct layer *lists;		/* revocation lists, borrowed by the keys' evidence */
	uint32_t mask;
	/* open addressing over (unit, signer): index + 1, 0 = empty */
	uint32_t *slots;
};

static uint64_t hash_names(struct slice unit, struct slice signer)
{
	uint64_t h = 0xcbf29ce484222325;	/* FNV-1a */

	for (size_t i = 0; i < unit.n; i++)
		h = (h ^ unit.p[i]) * 0x100000001b3;
	h = (h ^ 0xff) * 0x100000001b3;
	for (size_t i = 0; i < signer.n; i++)
		h = (h ^ signer.p[i]) * 0x100000001b3;
	return h ^ h >> 32;
}

static struct slice signer_of(const struct signing_key *k)
{
	return slice_str(k->policy->signer != NULL ? k->policy->signer : "");
}

static enum status index_keys(struct keyring *k)
{
	uint32_t size = 16;

	while (size < 2 * k->keys_n)
		size *= 2;
	k->mask = size - 1;
	k->slots = calloc(size, sizeof(*k->slots));
	if (k->slots == NULL)
		return ST_NOMEM;
	for (uint32_t i = 0; i < k->keys_n; i++) {
		const struct signing_key *key = &k->keys[i];
		uint32_t at = (uint32_t)hash_names(slice_str(key->policy->unit), signer_of(key));

		while (k->slots[at & k->mask] != 0)
			at++;
		k->slots[at & k->mask] = i + 1;
	}
	return ST_OK;
}

const struct signing_key *keyring_next(const struct keyring *k, struct slice unit,
				       struct slice signer, uint32_t *at)
{
	uint32_t i = *at == UINT32_MAX ? (uint32_t)hash_names(unit, signer) & k->mask :
		(*at + 1) & k->mask;

	for (; k->slots[i] != 0; i = (i + 1) & k->mask) {
		const struct signing_key *key = &k->keys[k->slots[i] - 1];

		if (slice_eq(slice_str(key->policy->unit), unit) &&
		    slice_eq(signer_of(key), signer)) {
			*at = i;
			return key;
		}
	}
	return NULL;
}

bool keyring_has_signer(const struct keyring *k, struct slice signer)
{
	for (uint32_t i = 0; i < k->keys_n; i++)
		if (signer.n > 0 && slice_eq(signer_of(&k->keys[i]), signer))
			return true;
	return false;
}

static enum status read_chain(struct signing_key *k, const char *dir, struct error *e)
{
	enum status st = ST_OK;

	for (uint8_t i = 0; i <= k->policy->chain_n && st == ST_OK; i++) {
		const char *file = i == 0 ? k->policy->cert_file : k->policy->chain[i - 1];
		unsigned char *der = NULL;
		int n;

		st = cert_read(&k->chain[i], dir, file, e);
		if (st != ST_OK)
			return st;
		k->chain_n = (uint8_t)(i + 1);
		n = i2d_X509(k->chain[i], &der);
		if (n <= 0)
			return error_set(e, ST_INVALID, "%s: %s", file, openssl_reason());
		k->ders[i] = slice_of(der, (size_t)n);
	}
	return st;
}

static enum status build_skeletons(struct signing_key *k, struct error *e)
{
	const struct algorithm_info *info = k->info;
	enum status st = ST_OK;
	uint8_t n = (uint8_t)(info->signature_max - info->signature_min + 1);

	assert(n <= SKELETONS_MAX);
	/* The longest first: it says how large the hole is. */
	while (n > 0 && st == ST_OK) {
		struct cms_skeleton *s = &k->skeletons[--n];
		uint16_t size = (uint16_t)(info->signature_min + n);

		st = cms_skeleton(s, k->algorithm, k->ders, k->chain_n - 1u, size, k->hole_bytes);
		if (st != ST_OK)
			break;
		k->hole_bytes = cms_hole_bytes(s, size);
		k->layers[3 * n] = &s->head;
		k->layers[3 * n + 1] = &s->middle;
		k->layers[3 * n + 2] = &s->tail;
		k->skeletons_n++;
	}
	if (st == ST_OK)
		st = cms_attributes(k->attributes, k->ders[0]);
	/* ISO 19005-3 6.1.11: strings of at most 32,767 bytes. */
	if (st == ST_OK && k->hole_bytes > 2 * 32767)
		st = ST_TOO_LARGE;
	return st == ST_OK ? ST_OK :
			     error_set(e, st, "key '%s': no signature of its form can be built: %s",
				       k->policy->id, status_name(st));
}

static void fill_row(struct signing_key *k)
{
	const struct key_policy *p = k->policy;

	k->row = (struct key_row){ .id = p->id, .unit = p->unit,
		.signer = p->signer != NULL ? p->signer : "", .algorithm = k->info->name,
		.role = p->signer != NULL ? ROLE_PERSON : ROLE_AGENCY,
		.not_before_ms = k->valid_from_ms, .not_after_ms = k->valid_to_ms,
		.from_ms = p->from_ms, .to_ms = p->to_ms, .subject = k->name,
		.fresh_to_ms = k->fresh_to_ms };
	sha256_once(k->ders[0].p, k->ders[0].n, k->row.cert_sha256);
}

/* A development CA's key signs marked pages only. */
static enum status may_be_believed(const struct signing_key *k, bool development, struct error *e)
{
	for (uint8_t i = 0; !development && i < k->chain_n; i++)
		if (cert_of_development(k->chain[i]))
			return error_set(e, ST_PRECONDITION,
					 "key '%s': its certificate is of a throw-away CA (trien "
					 "keys dev): serve with --development, which marks each "
					 "page as without legal value, or take the key out",
					 k->policy->id);
	return ST_OK;
}

static enum status load_key(struct signing_key *k, const struct keyring_config *cfg,
			    const STACK_OF(X509_CRL) *crls, const struct layer *lists,
			    struct error *e)
{
	enum status st = read_chain(k, cfg->certs_dir, e);

	if (st == ST_OK)
		st = may_be_believed(k, cfg->development, e);
	k->algorithm = k->policy->algorithm;
	k->info = algorithm_info(k->algorithm);
	/* P4: what another's device made is always checked. */
	k->check_one_in = cfg->check_one_in > 0 && k->policy->source == SOURCE_FILE ?
		cfg->check_one_in : 1;
	if (st == ST_OK && !cert_has_algorithm(k->chain[0], k->algorithm))
		st = error_set(e, ST_INVALID, "key '%s': the certificate %s is not for %s",
			       k->policy->id, k->policy->cert_file, k->info->name);
	if (st == ST_OK)
		st = trust_judge(k, crls, cfg->crl_age_hours_max, e);
	if (st == ST_OK)
		st = evidence_build(k, lists, e);
	if (st == ST_OK)
		st = build_skeletons(k, e);
	if (st == ST_OK) {
		cert_common_name(k->chain[0], k->name, sizeof(k->name));
		fill_row(k);
	}
	return st;
}

enum status keyring_load(struct keyring **out, const struct keyring_config *cfg, struct error *e)
{
	struct keyring *k = calloc(1, sizeof(*k));
	STACK_OF(X509_CRL) *crls = NULL;
	enum status st;

	if (k == NULL)
		return error_set(e, ST_NOMEM, "keyring: out of memory");
	atomic_init(&k->refs, 1);
	st = policy_load(&k->policy, cfg->certs_dir, e);
	if (st == ST_OK)
		st = crls_read_all(&crls, cfg->certs_dir, e);
	if (st == ST_OK)
		st = evidence_lists(&k->lists, crls, e);
	if (st == ST_OK) {
		k->keys = calloc(policy_count(k->policy), sizeof(*k->keys));
		st = k->keys == NULL ? ST_NOMEM : ST_OK;
	}
	while (st == ST_OK && k->keys_n < policy_count(k->policy)) {
		struct signing_key *key = &k->keys[k->keys_n];

		key->policy = policy_key(k->policy, k->keys_n++);
		st = load_key(key, cfg, crls, k->lists, e);
	}
	if (st == ST_OK)
		st = index_keys(k);
	sk_X509_CRL_pop_free(crls, X509_CRL_free);
	if (st == ST_NOMEM)
		error_set(e, st, "keyring: out of memory");
	if (st != ST_OK) {
		keyring_unref(k);
		return st;
	}
	*out = k;
	return ST_OK;
}

struct keyring *keyring_ref(struct keyring *k)
{
	atomic_fetch_add(&k->refs, 1);
	return k;
}

static void free_key(struct signing_key *k)
{
	for (uint8_t i = 0; i < k->chain_n; i++) {
		X509_free(k->chain[i]);
		OPENSSL_free((void *)k->ders[i].p);
	}
	evidence_free(k);
	for (uint8_t i = 0; i < SKELETONS_MAX; i++)
		cms_free(&k->skeletons[i]);
	for (int i = 0; i < VERIFIERS_MAX; i++)
		EVP_PKEY_CTX_free(atomic_load(&k->verifiers[i]));
}

void keyring_unref(struct keyring *k)
{
	if (k == NULL || atomic_fetch_sub(&k->refs, 1) != 1)
		return;
	for (uint32_t i = 0; i < k->keys_n; i++)
		free_key(&k->keys[i]);
	free(k->keys);
	evidence_lists_free(k->lists);
	free(k->slots);
	policy_free(k->policy);
	free(k);
}

bool keyring_row(const struct keyring *k, uint32_t index, struct key_row *out)
{
	if (index >= k->keys_n)
		return false;
	*out = k->keys[index].row;
	return true;
}

enum reason keyring_judge(const struct keyring *k, uint32_t index, int64_t at_ms)
{
	return trust_at(&k->keys[index], at_ms);
}

const struct key_row *signing_key_row(const struct signing_key *k)
{
	return &k->row;
}

const struct key_policy *signing_key_policy(const struct signing_key *k)
{
	return k->policy;
}

uint8_t signing_key_layers(const struct signing_key *k, const struct layer *const **layers)
{
	*layers = k->layers;
	return (uint8_t)(3 * k->skeletons_n);
}

uint8_t signing_key_chain(const struct signing_key *k, const struct slice **ders)
{
	*ders = k->ders;
	return k->chain_n;
}
