#include "spine/awaitedkey.h"

#include "signer/policy.h"

const struct signing_key *key_named(const struct keyring *k, const char *unit,
				    const char *signer, struct slice id)
{
	const struct signing_key *key;
	uint32_t at = UINT32_MAX;

	while ((key = keyring_next(k, slice_str(unit), slice_str(signer), &at)) != NULL)
		if (slice_eq(slice_str(key->policy->id), id))
			return key;
	return NULL;
}

/* May it have signed then? Whether a service's is revoked is judged once more when it has. */
static bool is_trusted(const struct signing_key *key, const struct question *q)
{
	enum reason why = trust_at(key, q->sign_ms);

	return why == REASON_NONE || (why == REASON_CRL_STALE && q->service[0] != '\0');
}

static bool is_there(const struct key_policy *p, const char *service)
{
	if (service[0] == '\0')
		return p->source == SOURCE_BRIDGE;
	return p->source == SOURCE_REMOTE &&
	       slice_eq(slice_str(p->service), slice_str(service));
}

static const struct signing_key *key_of(const struct keyring *k, const struct question *q)
{
	const struct signing_key *key = key_named(k, q->unit, q->signer, q->key);

	return key != NULL ? key : key_named(k, q->unit, "", q->key);	/* the agency's seal */
}

static int64_t end_ms(const struct signing_key *key)
{
	return key->valid_to_ms < key->policy->to_ms ? key->valid_to_ms : key->policy->to_ms - 1;
}

bool key_outlasts(const struct keyring *k, const struct question *q)
{
	const struct signing_key *key = key_of(k, q);

	return key != NULL && end_ms(key) > q->until_ms;
}

const struct signing_key *key_asked(const struct keyring *k, const struct question *q,
				    int64_t now_ms)
{
	const struct signing_key *key = key_of(k, q);

	/* A certificate that was renewed under its old name was not valid then. */
	return key != NULL && is_there(key->policy, q->service) &&
	       policy_covers(key->policy, slice_str(q->kind)) && is_trusted(key, q) &&
	       now_ms <= end_ms(key) && (q->until_ms == 0 || now_ms <= q->until_ms) ? key : NULL;
}
