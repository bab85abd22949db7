/* A service that takes a list of hashes and gives one of signatures, as remote.json describes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "remote/api.h"
#include "remote/template.h"
#include "remote/tree.h"

#define ID_BYTES 64				/* hex of the digest */

static json_t *hash_text(const struct hash_array *f, const uint8_t *digest)
{
	return f->hash_form == FORM_HEX ? tree_hex(digest, 32) : tree_base64(digest, 32);
}

static json_t *serial(const struct api_ask *ask)
{
	return json_string(ask->service->form.serial_decimal ? ask->key->serial_decimal :
			   ask->key->serial_hex);
}

static json_t *item(const struct hash_array *f, const struct api_item *i)
{
	struct template_word words[] = {
		{ "$hash", hash_text(f, i->digest) },
		{ "$id", tree_hex(i->digest, 32) },
		{ "$name", json_stringn((const char *)i->name.p, i->name.n) },
	};
	json_t *out = f->item == NULL ? json_incref(words[0].value) :
		template_fill(f->item, words, ARRAY_LEN(words));

	for (size_t k = 0; k < ARRAY_LEN(words); k++)
		json_decref(words[k].value);
	return out;
}

static enum status sign_body(struct api_request *out, const struct api_ask *ask)
{
	const struct hash_array *f = &ask->service->form;
	json_t *list = json_array();
	enum status st;

	for (uint32_t i = 0; i < ask->n; i++)
		if (ask->items[i].digest != NULL)
			json_array_append_new(list, item(f, &ask->items[i]));
	{
		struct template_word words[] = {
			{ "$hashes", list },
			{ "$serial", serial(ask) },
			{ "$credential", json_string(ask->credential) },
			{ "$certificate", json_string(ask->key->certificate_base64) },
			{ "$count", json_integer((json_int_t)json_array_size(list)) },
		};

		st = api_body(out, template_fill(f->body, words, ARRAY_LEN(words)));
		for (size_t k = 0; k < ARRAY_LEN(words); k++)
			json_decref(words[k].value);
	}
	return st;
}

static enum status poll_request(struct api_request *out, const struct api_ask *ask)
{
	const struct hash_array *f = &ask->service->form;
	struct template_word words[] = {
		{ "$transaction", json_string(ask->id) },
		{ "$credential", json_string(ask->credential) },
		{ "$serial", serial(ask) },
	};
	enum status st = template_url(out->url, sizeof(out->url), f->poll_url, ask->id) ? ST_OK :
		ST_TOO_LARGE;

	if (st == ST_OK && f->poll_body != NULL)
		st = api_body(out, template_fill(f->poll_body, words, ARRAY_LEN(words)));
	for (size_t k = 0; k < ARRAY_LEN(words); k++)
		json_decref(words[k].value);
	return st;
}

enum status hasharray_build(struct api_request *out, const struct api_ask *ask)
{
	if (ask->step == STEP_POLL)
		return poll_request(out, ask);
	if (snprintf(out->url, sizeof(out->url), "%s", ask->service->url) >= (int)sizeof(out->url))
		return ST_TOO_LARGE;
	return sign_body(out, ask);
}

/* The entry whose id is the item's, or the one at its place. */
static json_t *entry_of(const struct hash_array *f, json_t *list, const struct api_item *i,
			size_t place)
{
	char id[ID_BYTES + 1];

	if (f->id == NULL)
		return json_array_get(list, place);
	if (i->digest == NULL)
		return NULL;
	hex_lower(id, i->digest, 32);
	id[ID_BYTES] = '\0';
	for (size_t k = 0; k < json_array_size(list); k++) {
		/* Most services keep the order: begin there. */
		json_t *e = json_array_get(list, (place + k) % json_array_size(list));
		const char *s = json_string_value(tree_at(e, f->id));

		if (s != NULL && strcmp(s, id) == 0)
			return e;
	}
	return NULL;
}

static void signatures_read(struct api_answer *out, const struct api_ask *ask, json_t *list)
{
	const struct hash_array *f = &ask->service->form;

	/* All that were sent have their place, also who was cancelled since. */
	for (uint32_t i = 0; i < ask->n; i++) {
		json_t *e = entry_of(f, list, &ask->items[i], i);

		api_signature_read(&out->signatures[i], tree_at(e, f->signature),
				   f->signature_form);
	}
	out->verdict = VERDICT_SIGNED;
}

void hasharray_read(struct api_answer *out, const struct api_ask *ask, json_t *body)
{
	const struct hash_array *f = &ask->service->form;
	json_t *status = f->status == NULL ? NULL : tree_at(body, f->status);
	json_t *list = tree_at(body, f->signatures);
	bool pending = tree_one_of(status, f->pending);

	if (tree_one_of(status, f->refused)) {
		out->verdict = VERDICT_REFUSED;
	} else if (tree_one_of(status, f->lost)) {
		out->verdict = VERDICT_LOST;
	} else if (!pending && f->done != NULL && !tree_one_of(status, f->done)) {
		out->verdict = VERDICT_AGAIN;
	} else if (!pending && json_is_array(list)) {
		signatures_read(out, ask, list);
	} else if (f->transaction == NULL) {
		out->verdict = VERDICT_UNREADABLE;
	} else {
		out->verdict = VERDICT_PENDING;
		out->next = STEP_POLL;
		if (!api_text(out->id, sizeof(out->id), tree_at(body, f->transaction))) {
			if (ask->step == STEP_POLL)
				memcpy(out->id, ask->id, strlen(ask->id) + 1);
			else
				out->verdict = VERDICT_UNREADABLE;
		}
	}
}
