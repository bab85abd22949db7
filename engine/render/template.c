#include "render/compose.h"

#include <stdlib.h>

void template_key(uint8_t key[3 * PIN_BYTES + 1], const struct parties *p)
{
	memcpy(key, p->kind->pin, PIN_BYTES);
	memcpy(key + PIN_BYTES, p->unit->pin, PIN_BYTES);
	if (p->signer != NULL)
		memcpy(key + 2 * PIN_BYTES, p->signer->pin, PIN_BYTES);
	else
		memset(key + 2 * PIN_BYTES, 0, PIN_BYTES);
	key[3 * PIN_BYTES] = (uint8_t)p->draft;
}

/* ---- layers ---- */

static bool has_qr(const struct kind *k)
{
	for (uint8_t i = 0; i < k->blocks_n; i++)
		if (k->blocks[i].type == BLOCK_QR)
			return true;
	return false;
}

static void number_tail(struct template *t, const struct parties *p)
{
	uint32_t next = OBJ_PAGES + 1;

	t->draft = (uint8_t)p->draft;
	t->has_qr = has_qr(p->kind) && !p->draft;
	t->signs_n = p->draft ? 0 : p->kind->signs_n;
	t->copies = p->kind->copies != COPIES_NOTHING && p->draft != DRAFT_TRY;
	for (uint8_t i = 0; i < t->signs_n; i++)
		t->person |= p->kind->signs[i] == ROLE_PERSON;
	t->object_data = next++;
	if (t->signs_n > 0)
		t->object_signature = next++;
	t->object_widget = next;
	next += t->signs_n;
	if (t->has_qr)
		t->object_qr = next++;
	if (t->copies) {
		t->object_original = next++;
		t->object_source = next++;
		t->object_names = next++;
	}
	t->object_page = next;
}

static void catalog(const struct template *t, const struct kind *k, struct sheet *s)
{
	object_begin(s, OBJ_CATALOG);
	fprintf(s->f, "<</Type/Catalog/Pages %d 0 R/Lang(vi-VN)/Metadata %d 0 R"
		"/ViewerPreferences<</DisplayDocTitle true>>"
		"/OutputIntents[<</Type/OutputIntent/S/GTS_PDFA1"
		"/OutputConditionIdentifier(sRGB IEC61966-2.1)/Info(sRGB IEC61966-2.1)"
		"/DestOutputProfile %d 0 R>>]",
		OBJ_PAGES, OBJ_METADATA, OBJ_ICC);
	if (t->copies)
		fprintf(s->f, "/AF[%d 0 R %u 0 R]/Names<</EmbeddedFiles %u 0 R>>", OBJ_FILESPEC,
			t->object_source, t->object_names);
	else
		fprintf(s->f, "/AF[%d 0 R]/Names<</EmbeddedFiles<</Names[(result.json)%d 0 R]>>>>",
			OBJ_FILESPEC, OBJ_FILESPEC);
	for (uint8_t i = 0; i < t->signs_n; i++)
		fprintf(s->f, "%s%u 0 R", i == 0 ? "/AcroForm<</Fields[" : " ",
			t->object_widget + i);
	if (t->signs_n > 0)
		fputs("]/SigFlags 3>>", s->f);
	if (t->signs_n > 0 && k->certify)
		fprintf(s->f, "/Perms<</DocMDP %u 0 R>>", t->object_signature);
	fputs(">>", s->f);
	object_end(s);
}

static enum status form_layer(struct template *t, struct composer *c, const struct parties *p,
			      struct sheet *s)
{
	enum status st;

	catalog(t, p->kind, s);
	st = metadata_object(s, p->kind->name_vi, p->kind->name_en);
	object_begin(s, OBJ_FILESPEC);
	fprintf(s->f, "<</Type/Filespec/F(result.json)/UF(result.json)/AFRelationship/Data"
		"/EF<</F %u 0 R/UF %u 0 R>>>>", t->object_data, t->object_data);
	object_end(s);
	object_begin(s, OBJ_RESOURCES);
	fprintf(s->f, "<</Font %d 0 R/XObject<</H %d 0 R/S %d 0 R", OBJ_FONTS, OBJ_HEADER,
		OBJ_SIGNER);
	if (t->marked)
		fprintf(s->f, "/M %d 0 R", OBJ_MARK);
	if (t->has_qr)
		fprintf(s->f, "/Q %u 0 R", t->object_qr);
	fputs(">>>>", s->f);
	object_end(s);
	return st == ST_OK ? draw_mark(c, s, p->draft) : st;
}

static enum status layer_write(struct template *t, struct composer *c, const struct parties *p,
			       struct shared_layer *l, struct sheet *s)
{
	enum status st;

	switch (l->type) {
	case LAYER_FORM:
		return form_layer(t, c, p, s);
	case LAYER_UNIT:
		st = draw_header(c, s, p->unit, l);
		return st == ST_OK ? draw_image(s, &p->unit->seal, OBJ_SEAL_IMAGE, true, l) : st;
	default:
		st = draw_image(s, p->signer != NULL ? &p->signer->hand : NULL, OBJ_HAND_IMAGE,
				false, l);
		return st == ST_OK ? draw_signer(c, s, p->unit, p->signer, l) : st;
	}
}

/* A layer depends on what its key names and on nothing else. */
static void layer_key(uint8_t key[2 * PIN_BYTES + 2], enum layer_type type, const struct parties *p)
{
	memset(key, 0, 2 * PIN_BYTES + 2);
	if (type == LAYER_FORM) {
		memcpy(key, p->kind->pin, PIN_BYTES);
		key[2 * PIN_BYTES] = (uint8_t)p->draft;
	} else if (type == LAYER_SIGNER && p->signer != NULL) {
		memcpy(key, p->signer->pin, PIN_BYTES);
	} else {
		memcpy(key, p->unit->pin, PIN_BYTES);
		key[2 * PIN_BYTES + 1] = 1;
	}
}

static enum status layer_take(struct template *t, struct composer *c, const struct parties *p,
			      enum layer_type type)
{
	uint8_t key[sizeof(((struct shared_layer *)NULL)->key)];
	struct shared_layer *l;
	struct sheet s;
	enum status st;

	layer_key(key, type, p);
	for (l = c->shared; l != NULL; l = l->next)
		if (l->type == type && memcmp(l->key, key, sizeof(key)) == 0)
			break;
	if (l == NULL) {
		l = calloc(1, sizeof(*l));
		if (l == NULL || sheet_begin(&s) != ST_OK) {
			free(l);
			return ST_NOMEM;
		}
		l->type = type;
		memcpy(l->key, key, sizeof(key));
		st = layer_write(t, c, p, l, &s);
		if (st == ST_OK)
			st = sheet_end(&s, &l->layer);
		else
			sheet_drop(&s);
		if (st != ST_OK) {
			free(l);
			return st;
		}
		memcpy(l->at, s.at, sizeof(l->at));
		l->next = c->shared;
		c->shared = l;
	}
	l->refs++;
	t->shared[type] = l;
	return ST_OK;
}

static void layer_drop(struct composer *c, struct shared_layer *l)
{
	struct shared_layer **link = &c->shared;

	if (l == NULL || --l->refs > 0)
		return;
	while (*link != l)
		link = &(*link)->next;
	*link = l->next;
	free((void *)l->layer.bytes);
	free(l);
}

/* ---- the whole ---- */

/* Entries of the objects 0 … PREFIX_OBJECTS, each of 20 bytes (ISO 32000-1, 7.5.4). */
static enum status xref_layer(struct template *t, const struct composer *c)
{
	size_t size = 20 * (size_t)OBJ_PAGES;
	char *text = malloc(size + 1);

	if (text == NULL)
		return ST_NOMEM;
	snprintf(text, size + 1, "0000000000 65535 f \n");
	for (uint32_t n = 1; n < OBJ_PAGES; n++) {
		uint32_t at = c->fonts_at[n], before = at == UINT32_MAX ? c->fonts.size : 0;

		for (int i = 0; i < LAYER_TYPES && at == UINT32_MAX; i++) {
			at = t->shared[i]->at[n];
			if (at == UINT32_MAX)
				before += t->shared[i]->layer.size;
		}
		assert(at != UINT32_MAX);
		snprintf(text + 20 * n, size + 1 - 20 * n, "%010u 00000 n \n", before + at);
	}
	t->xref = (struct layer){ .bytes = (uint8_t *)text, .size = (uint32_t)size };
	sha256_once(t->xref.bytes, t->xref.size, t->xref.sha256);
	return ST_OK;
}

static enum status view_make(struct template *t, const struct composer *c)
{
	struct template_view *v = &t->view;
	uint8_t hashes[(LAYER_TYPES + 2) * SHA256_BYTES];

	t->layers[0] = &c->fonts;
	for (int i = 0; i < LAYER_TYPES; i++)
		t->layers[i + 1] = &t->shared[i]->layer;
	t->layers[LAYER_TYPES + 1] = &t->xref;
	*v = (struct template_view){ .layers = t->layers, .layers_n = LAYER_TYPES + 2,
				     .prefix_n = LAYER_TYPES + 1 };
	t->state = sha256_new();
	if (t->state == NULL)
		return ST_NOMEM;
	sha256_fork(t->state, c->fonts_state);
	for (uint8_t i = 0; i < v->layers_n; i++) {
		memcpy(hashes + i * SHA256_BYTES, t->layers[i]->sha256, SHA256_BYTES);
		if (i < v->prefix_n)
			v->prefix_size += t->layers[i]->size;
		if (i > 0 && i < v->prefix_n)
			sha256_add(t->state, t->layers[i]->bytes, t->layers[i]->size);
	}
	sha256_once(hashes, sizeof(hashes), v->version);
	v->prefix_state = t->state;
	return ST_OK;
}

enum status template_compose(struct template **out, struct composer *c, const struct parties *p,
			     struct error *e)
{
	struct template *t = calloc(1, sizeof(*t));
	enum status st = ST_OK;

	if (t == NULL)
		return error_set(e, ST_NOMEM, "no memory for a template");
	template_key(t->key, p);
	t->marked = p->draft || c->development;
	number_tail(t, p);
	for (int i = 0; i < LAYER_TYPES && st == ST_OK; i++)
		st = layer_take(t, c, p, (enum layer_type)i);
	if (st == ST_OK)
		st = xref_layer(t, c);
	if (st == ST_OK)
		st = view_make(t, c);
	if (st != ST_OK)
		error_set(e, st, "kind %s, unit %s: the template cannot be made: %s", p->kind->code,
			  p->unit->code, status_name(st));
	else
		st = texts_compile(t, c, p, e);
	if (st != ST_OK) {
		template_free(c, t);
		return st;
	}
	*out = t;
	return ST_OK;
}

void template_free(struct composer *c, struct template *t)
{
	if (t == NULL)
		return;
	for (int i = 0; i < LAYER_TYPES; i++)
		layer_drop(c, t->shared[i]);
	free((void *)t->xref.bytes);
	sha256_free(t->state);
	pool_free(&t->pool);
	free(t);
}
