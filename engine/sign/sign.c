#include "sign/sign.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/calendar.h"
#include "sign/keyring.h"

/* The parts that replace a hole's placeholder: head, digest, middle, value, tail. */
#define SPLICE 5

struct sign_worker {
	struct sha256 *range;		/* fork of an item's state */
	struct sha256 *attributes;
	uint32_t checked;		/* signatures bound so far, for sampling */
};

enum status sign_worker_new(struct sign_worker **out)
{
	struct sign_worker *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return ST_NOMEM;
	w->range = sha256_new();
	w->attributes = sha256_new();
	if (w->range == NULL || w->attributes == NULL) {
		sign_worker_free(w);
		return ST_NOMEM;
	}
	*out = w;
	return ST_OK;
}

void sign_worker_free(struct sign_worker *w)
{
	if (w == NULL)
		return;
	sha256_free(w->range);
	sha256_free(w->attributes);
	free(w);
}

/* ---- plan ---- */

/* The one whose signature is kept, as long as it is trusted for its time. */
static const struct signing_key *choose_kept(const struct keyring *k, const struct item *item,
					     struct slice signer, const struct kept_signature *kept,
					     enum reason *why, const struct signing_key **wrong)
{
	const struct signing_key *key;
	uint32_t at = UINT32_MAX;

	*why = REASON_KEY_MISSING;
	while ((key = keyring_next(k, slice_str(item->unit->code), signer, &at)) != NULL) {
		if (strcmp(key->policy->id, kept->key) != 0)
			continue;
		*wrong = key;
		*why = policy_covers(key->policy, slice_str(item->kind->code)) ?
			trust_at(key, kept->sign_ms) : REASON_KEY_MISSING;
		return *why == REASON_NONE ? key : NULL;
	}
	return NULL;
}

/* A reason that names a certificate says more than "no key"; of several, the last in keys.json. */
static const struct signing_key *choose(const struct keyring *k, const struct item *item,
					struct slice signer, int64_t signed_ms, enum reason *why,
					const struct signing_key **wrong)
{
	const struct signing_key *key;
	uint32_t at = UINT32_MAX;

	*why = REASON_KEY_MISSING;
	while ((key = keyring_next(k, slice_str(item->unit->code), signer, &at)) != NULL) {
		enum reason r = policy_covers(key->policy, slice_str(item->kind->code)) ?
			trust_at(key, signed_ms) : REASON_KEY_MISSING;

		if (r == REASON_NONE)
			return key;
		if (r != REASON_KEY_MISSING || *wrong == NULL) {
			*why = r;
			*wrong = key;
		}
	}
	if (*wrong == NULL && keyring_has_signer(k, signer))
		*why = REASON_CERT_WRONG_UNIT;
	return NULL;
}

enum reason sign_person(const struct keyring *k, const struct unit *u, const struct kind *kind,
			struct slice signer, int64_t signed_ms)
{
	const struct item about = { .unit = u, .kind = kind };
	const struct signing_key *wrong = NULL;
	enum reason why;

	return choose(k, &about, signer, signed_ms, &why, &wrong) != NULL ? REASON_NONE : why;
}

static void plan_slot(struct signed_slot *slot, const struct signing_key *key, int64_t signed_ms)
{
	slot->key = key;
	slot->plan.role = key->row.role;
	slot->plan.hole_bytes = key->hole_bytes;
	slot->plan.body_bytes = 2 * (SHA256_BYTES + (uint32_t)key->info->signature_max);
	slot->plan.signed_ms = signed_ms;
	slot->plan.evidence = &key->evidence;
	memcpy(slot->plan.name, key->name, sizeof(slot->plan.name));
	memcpy(slot->plan.cert_sha256, key->row.cert_sha256, sizeof(slot->plan.cert_sha256));
}

int64_t sign_delegated_until_ms(const struct signer *s)
{
	return s != NULL && signer_stands_in(s) && s->to != 0 ?
		day_start_ms(s->to) + 24 * 3600 * 1000 - 1 : INT64_MAX;
}

/* Which key, or whose is missing; of one that is there, since when or until when it may sign. */
static void say_held(struct item *item, const struct signing_key *wrong, const char *who,
		     int64_t signed_ms)
{
	const struct key_policy *p = wrong != NULL ? wrong->policy : NULL;
	bool early = p != NULL && signed_ms < p->from_ms, late = p != NULL && signed_ms >= p->to_ms;
	uint32_t day;

	snprintf(item->held_detail, sizeof(item->held_detail), "%s", p != NULL ? p->id : who);
	if (item->held != REASON_KEY_MISSING || (!early && !late))
		return;
	day = day_vietnam(early ? p->from_ms : p->to_ms);
	snprintf(item->held_detail, sizeof(item->held_detail), "%s: not valid %s %04u-%02u-%02u",
		 p->id, early ? "before" : "from", day / 10000, day / 100 % 100, day % 100);
}

void sign_plan(struct item *item, const struct keyring *k, int64_t signed_ms)
{
	item->slots_n = item->kind->signs_n;
	for (uint8_t i = 0; i < item->slots_n; i++) {
		bool person = item->kind->signs[i] == ROLE_PERSON;
		const char *signer = !person ? "" :
				     item->signer != NULL ? item->signer->code : NULL;
		const struct signing_key *wrong = NULL, *key = NULL;
		enum reason why = REASON_KEY_MISSING;
		const struct kept_signature *kept = item->kept != NULL && i < item->kept->n ?
			&item->kept->slots[i] : NULL;

		if (signer != NULL && kept != NULL)
			key = choose_kept(k, item, slice_str(signer), kept, &why, &wrong);
		else if (person && signed_ms > sign_delegated_until_ms(item->signer))
			why = REASON_DELEGATION_ENDED;
		else if (signer != NULL)
			key = choose(k, item, slice_str(signer), signed_ms, &why, &wrong);
		if (key == NULL) {
			item->slots[i].key = NULL;
			item->held = why;
			say_held(item, wrong, signer == NULL || !person ? item->unit->code :
				 signer, signed_ms);
			return;
		}
		plan_slot(&item->slots[i], key, kept != NULL ? kept->sign_ms : signed_ms);
	}
}

/* ---- prepare ---- */

static void add_part(struct sha256 *h, const struct document *d, const struct part *p, uint32_t n)
{
	sha256_add(h, part_bytes(d, p), n);
}

/* Whole parts [first, last). */
static void add_parts(struct sha256 *h, const struct document *d, uint8_t first, uint8_t last)
{
	for (uint8_t i = first; i < last; i++)
		add_part(h, d, &d->parts[i], d->parts[i].size);
}

/* From behind the hole to the end of its revision, which may lie inside a part. */
static enum status add_second_range(struct sha256 *h, const struct document *d,
				    const struct hole *hole)
{
	uint32_t left = hole->revision_end - (hole->file_offset + hole->file_bytes);

	for (uint8_t i = hole->part + 1; i < d->parts_n && left > 0; i++) {
		uint32_t n = d->parts[i].size < left ? d->parts[i].size : left;

		add_part(h, d, &d->parts[i], n);
		left -= n;
	}
	return left == 0 ? ST_OK : ST_INTERNAL;
}

/* What render promised: the hole stands where it says, and is as large as planned. */
static enum status check_hole(const struct item *item, uint8_t slot)
{
	const struct document *d = &item->doc;
	const struct hole *hole = &d->holes[slot];
	uint64_t at = section_size(d);

	if (slot >= d->holes_n || hole->part >= d->parts_n || hole->part < d->prefix_parts ||
	    d->parts[hole->part].layer != NULL ||
	    hole->file_bytes != item->slots[slot].plan.hole_bytes ||
	    d->parts[hole->part].size != hole->file_bytes || hole->body_offset > d->body_size ||
	    item->slots[slot].plan.body_bytes > d->body_size - hole->body_offset ||
	    hole->revision_end < hole->file_offset + hole->file_bytes ||
	    d->parts_n + (SPLICE - 1) > DOC_PARTS_MAX)
		return ST_INTERNAL;
	for (uint8_t i = 0; i < hole->part; i++)
		at += d->parts[i].size;
	return at == hole->file_offset ? ST_OK : ST_INTERNAL;
}

static void digest_attributes(struct sign_worker *w, const struct signing_key *key,
			      const uint8_t message_digest[SHA256_BYTES], uint8_t out[SHA256_BYTES])
{
	uint8_t attributes[CMS_ATTRIBUTES_BYTES];

	memcpy(attributes, key->attributes, sizeof(attributes));
	memcpy(attributes + CMS_DIGEST_AT, message_digest, SHA256_BYTES);
	sha256_start(w->attributes);
	sha256_add(w->attributes, attributes, sizeof(attributes));
	sha256_end(w->attributes, out);
}

enum status sign_prepare(struct sign_worker *w, struct item *item, uint8_t slot)
{
	struct document *d = &item->doc;
	const struct hole *hole = &d->holes[slot];
	uint8_t digest[SHA256_BYTES];
	enum status st = check_hole(item, slot);

	if (st != ST_OK)
		return st;
	/* The state stands before the hole of the slot before, whose parts are now final. */
	add_parts(item->mid, d, slot == 0 ? d->prefix_parts : d->holes[slot - 1].part, hole->part);
	sha256_fork(w->range, item->mid);
	st = add_second_range(w->range, d, hole);
	if (st != ST_OK)
		return st;
	sha256_end(w->range, digest);
	hex_upper((char *)d->body + hole->body_offset, digest, SHA256_BYTES);
	digest_attributes(w, item->slots[slot].key, digest, item->slots[slot].to_sign);
	return ST_OK;
}

/* ---- bind ---- */

static enum status wrong(struct item *item, const struct signing_key *key)
{
	if (item->held == REASON_NONE) {
		item->held = REASON_SIGNATURE_WRONG;
		snprintf(item->held_detail, sizeof(item->held_detail), "%s", key->policy->id);
	}
	return ST_CORRUPT;
}

static void splice(struct item *item, uint8_t slot, const struct cms_skeleton *s)
{
	struct document *d = &item->doc;
	struct hole *hole = &d->holes[slot];
	struct part *p = &d->parts[hole->part];
	uint32_t value_at = hole->body_offset + 2 * SHA256_BYTES;
	uint32_t value_size = 2 * (uint32_t)item->slots[slot].value_size;

	memmove(p + SPLICE, p + 1, (size_t)(d->parts_n - hole->part - 1) * sizeof(*p));
	d->parts_n += SPLICE - 1;
	p[0] = (struct part){ &s->head, 0, s->head.size };
	p[1] = (struct part){ NULL, hole->body_offset, 2 * SHA256_BYTES };
	p[2] = (struct part){ &s->middle, 0, s->middle.size };
	p[3] = (struct part){ NULL, value_at, value_size };
	p[4] = (struct part){ &s->tail, 0, s->tail.size };
	hex_upper((char *)d->body + value_at, item->slots[slot].value,
		  item->slots[slot].value_size);
	/*
	 * Room that a shorter value leaves is stored with the body: it must not depend on the past.
	 */
	memset(d->body + value_at + value_size, '0',
	       item->slots[slot].plan.body_bytes - 2 * SHA256_BYTES - value_size);
	for (uint8_t i = slot + 1; i < d->holes_n; i++)
		d->holes[i].part += SPLICE - 1;
}

static enum status finish(struct item *item, uint8_t slot)
{
	struct document *d = &item->doc;
	const struct hole *hole = &d->holes[slot];
	uint64_t size = section_size(d);

	for (uint8_t i = 0; i < d->parts_n; i++)
		size += d->parts[i].size;
	/* The last signature covers the file to its end, or the file is not ours. */
	if (size != hole->revision_end)
		return ST_INTERNAL;
	d->file_size = (uint32_t)size;
	add_parts(item->mid, d, hole->part, d->parts_n);
	sha256_end(item->mid, item->file_sha256);
	return ST_OK;
}

enum status sign_bind(struct sign_worker *w, struct item *item, uint8_t slot)
{
	struct signed_slot *s = &item->slots[slot];
	const struct signing_key *key = s->key;

	if (s->value == NULL || s->value_size < key->info->signature_min ||
	    s->value_size > key->info->signature_max)
		return wrong(item, key);
	/* What was kept has been on a disk since. */
	if ((item->kept != NULL && slot < item->kept->n) ||
	    w->checked++ % key->check_one_in == 0) {
		if (!verifier_check(key, s->to_sign, s->value, s->value_size))
			return wrong(item, key);
		s->checked = true;
	}
	splice(item, slot, &key->skeletons[s->value_size - key->info->signature_min]);
	return slot + 1 == item->slots_n ? finish(item, slot) : ST_OK;
}
