#include "spine/replacing.h"

static void place_key(uint8_t key[16], const uint8_t old[16])
{
	uint8_t text[32], hash[SHA256_BYTES];
	struct writer w = writer_of(text, sizeof(text));

	write_str(&w, "replaced");
	write_bytes(&w, old, 16);
	sha256_once(text, writer_size(&w), hash);
	memcpy(key, hash, 16);
}

/* The entry's digest begins with the key of the result that took the place. */
static bool taken(struct spine *s, const uint8_t old[16], struct keyentry *place)
{
	struct keyentry by;
	uint8_t key[16];

	place_key(key, old);
	if (!key_known(s, key, place))
		return false;
	return !key_known(s, place->digest, &by) || (by.flags & KEYENTRY_ENDED) == 0;
}

static bool taken_by_another(struct spine *s, const uint8_t old[16], const uint8_t mine[16])
{
	struct keyentry place;

	return taken(s, old, &place) && memcmp(place.digest, mine, 16) != 0;
}

bool replacing_done(struct spine *s, const uint8_t old[16])
{
	struct keyentry place;

	return taken(s, old, &place) && clerk_stored(s, place.sequence);
}

bool replacing_taken(struct spine *s, struct submitted_case *c)
{
	for (uint8_t i = 0; i < c->results_n; i++) {
		const struct submitted_result *r = &c->results[i];
		bool gone = !id_is_zero(r->replaces) && taken_by_another(s, r->replaces, r->key);
		char field[48];

		for (uint8_t k = 0; k < i && !id_is_zero(r->replaces); k++)
			gone |= memcmp(c->results[k].replaces, r->replaces, 16) == 0;
		if (!gone)
			continue;
		snprintf(field, sizeof(field), "results[%u].replaces", i);
		refuse(&c->refusal, REASON_REPLACES_MISMATCH, field,
		       "another takes its place already: replace that one");
		return true;
	}
	return false;
}

enum status replacing_remember(struct spine *s, const uint8_t old[16], const uint8_t key[16],
			       uint64_t sequence, uint8_t lane, uint64_t pos)
{
	struct keyentry k = { .sequence = sequence, .lane = lane };

	if (id_is_zero(old))
		return ST_OK;
	place_key(k.key, old);
	memcpy(k.digest, key, 16);
	return keyindex_put(s->keys, &k, pos);
}
