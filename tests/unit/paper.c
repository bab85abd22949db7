#include "paper.h"

#include <assert.h>
#include <string.h>

/* Objects: 1 catalog, 2 form, 3 empty appearance (prefix); 4 pages, 5 page, 6 and 7 widgets,
 * 8 content, 9 and 10 signatures (tail). */
#define CATALOG "1 0 obj\n<</Type/Catalog/Pages 4 0 R/AcroForm 2 0 R" \
		"/Perms<</DocMDP 9 0 R>>>>\nendobj\n"
#define FORM "2 0 obj\n<</Fields[6 0 R 7 0 R]/SigFlags 3>>\nendobj\n"
#define FORM_ONE "2 0 obj\n<</Fields[6 0 R]/SigFlags 3>>\nendobj\n"
#define EMPTY "3 0 obj\n<</Type/XObject/Subtype/Form/BBox[0 0 0 0]/Length 0>>\n" \
	      "stream\n\nendstream\nendobj\n"
#define WIDGET "/Type/Annot/Subtype/Widget/FT/Sig/F 132/Rect[0 0 0 0]/P 5 0 R/AP<</N 3 0 R>>"

struct sheet { struct paper *p; struct writer w; uint32_t file_at, part_at; uint32_t at[11]; };

void paper_open(struct paper *p, const char *unit, const char *signer, uint8_t signs_n)
{
	struct writer w;

	memset(p, 0, sizeof(*p));
	p->unit.code = unit;
	p->signer.code = signer;
	p->signer.authority = "";
	p->kind.code = "x";
	p->kind.signs_n = signs_n;
	p->kind.signs[0] = signs_n == 2 ? ROLE_PERSON : ROLE_AGENCY;
	p->kind.signs[1] = ROLE_AGENCY;
	w = writer_of(p->layer_bytes, sizeof(p->layer_bytes));
	write_str(&w, "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" CATALOG);
	write_str(&w, signs_n == 2 ? FORM : FORM_ONE);
	write_str(&w, EMPTY);
	assert(!w.bad);
	p->layer.bytes = p->layer_bytes;
	p->layer.size = (uint32_t)writer_size(&w);
	sha256_once(p->layer.bytes, p->layer.size, p->layer.sha256);
	p->prefix = sha256_new();
	p->item.mid = sha256_new();
	assert(p->prefix != NULL && p->item.mid != NULL);
	sha256_start(p->prefix);
	sha256_add(p->prefix, p->layer.bytes, p->layer.size);
}

void paper_close(struct paper *p)
{
	sha256_free(p->prefix);
	sha256_free(p->item.mid);
}

static uint32_t here(const struct sheet *s)
{
	return s->file_at + (uint32_t)writer_size(&s->w) - s->part_at;
}

static void object(struct sheet *s, int number, const char *content)
{
	char head[32];

	s->at[number] = here(s);
	snprintf(head, sizeof(head), "%d 0 obj\n", number);
	write_str(&s->w, head);
	write_str(&s->w, content);
	write_str(&s->w, "\nendobj\n");
}

static void end_part(struct sheet *s)
{
	struct document *d = &s->p->item.doc;
	uint32_t at = (uint32_t)writer_size(&s->w);

	d->parts[d->parts_n++] = (struct part){ NULL, s->part_at, at - s->part_at };
	s->file_at += at - s->part_at;
	s->part_at = at;
}

/*
 * The signature dictionary with its hole. Returns where /ByteRange's 32 spaces stand in the body.
 */
static uint8_t *signature(struct sheet *s, uint8_t slot, const char *extra)
{
	struct document *d = &s->p->item.doc;
	struct hole *hole = &d->holes[d->holes_n++];
	const struct signature_slot *plan = &s->p->item.slots[slot].plan;
	uint8_t *range;
	char head[64];

	s->at[9 + slot] = here(s);
	snprintf(head, sizeof(head), "%d 0 obj\n", 9 + slot);
	write_str(&s->w, head);
	write_str(&s->w, "<</Type/Sig/Filter/Adobe.PPKLite/SubFilter/ETSI.CAdES.detached"
		  "/M(D:20261124120000+07'00')");
	write_str(&s->w, extra);
	write_str(&s->w, "/ByteRange[0 ");
	range = s->w.p;
	write_str(&s->w, "                                ");
	write_str(&s->w, "]/Contents");
	end_part(s);
	*hole = (struct hole){ .part = d->parts_n, .file_offset = s->file_at,
			       .file_bytes = plan->hole_bytes,
			       .body_offset = (uint32_t)writer_size(&s->w) };
	d->parts[d->parts_n++] = (struct part){ NULL, 0, plan->hole_bytes };
	s->file_at += plan->hole_bytes;
	for (uint32_t i = 0; i < plan->body_bytes; i++)
		write_u8(&s->w, '0');
	s->part_at = (uint32_t)writer_size(&s->w);
	write_str(&s->w, ">>\nendobj\n");
	return range;
}

static void end_revision(struct sheet *s, uint8_t slot, uint8_t *range, uint32_t prev,
			 const int *sections, int sections_n, const char *id)
{
	struct hole *hole = &s->p->item.doc.holes[slot];
	uint32_t xref = here(s), after;
	char line[200];

	write_str(&s->w, "xref\n");
	for (int i = 0; i < sections_n; i++) {
		int first = sections[2 * i], n = sections[2 * i + 1];

		snprintf(line, sizeof(line), "%d %d\n", first, n);
		write_str(&s->w, line);
		for (int k = first; k < first + n; k++) {
			snprintf(line, sizeof(line),
				 k == 0 ? "%010u 65535 f \n" : "%010u 00000 n \n", s->at[k]);
			write_str(&s->w, line);
		}
	}
	snprintf(line, sizeof(line), "trailer\n<</Size %d/Root 1 0 R/ID[<00112233><%s>]", 10 + slot,
		 id);
	write_str(&s->w, line);
	if (prev != 0) {
		snprintf(line, sizeof(line), "/Prev %u", prev);
		write_str(&s->w, line);
	}
	snprintf(line, sizeof(line), ">>\nstartxref\n%u\n%%%%EOF\n", xref);
	write_str(&s->w, line);
	hole->revision_end = here(s);
	after = hole->file_offset + hole->file_bytes;
	snprintf(line, sizeof(line), "%u %u %u", hole->file_offset, after,
		 hole->revision_end - after);
	memcpy(range, line, strlen(line));
	s->at[0] = xref;
}

static void content(struct sheet *s, const char *text)
{
	char stream[256], all[400];

	snprintf(stream, sizeof(stream), "%% %s\n0 0 10 10 re f", text);
	snprintf(all, sizeof(all), "<</Length %zu>>\nstream\n%s\nendstream", strlen(stream),
		 stream);
	object(s, 8, all);
}

static void lay_tail(struct sheet *s, const char *text)
{
	bool two = s->p->item.slots_n == 2;
	static const int all[] = { 0, 10 }, update[] = { 7, 1, 10, 1 };
	uint8_t *range;

	object(s, 4, "<</Type/Pages/Kids[5 0 R]/Count 1>>");
	object(s, 5,
	       two ? "<</Type/Page/Parent 4 0 R/MediaBox[0 0 595 842]/Resources<<>>/Contents 8 0 R"
		     "/Annots[6 0 R 7 0 R]>>" :
		     "<</Type/Page/Parent 4 0 R/MediaBox[0 0 595 842]/Resources<<>>/Contents 8 0 "
		     "R/Annots[6 0 R]>>");
	object(s, 6, "<<" WIDGET "/T(first)/V 9 0 R>>");
	object(s, 7,
	       two ? "<<" WIDGET "/T(agency)/Lock<</Type/SigFieldLock/Action/All>>>>" : "null");
	content(s, text);
	range = signature(s, 0, "/Reference[<</Type/SigRef/TransformMethod/DocMDP/TransformParams"
			  "<</Type/TransformParams/P 2/V/1.2>>>>]");
	s->at[0] = 0;
	end_revision(s, 0, range, 0, all, 1, "00112233");
	if (two) {
		uint32_t prev = s->at[0];

		object(s, 7,
		       "<<" WIDGET "/T(agency)/Lock<</Type/SigFieldLock/Action/All>>/V 10 0 R>>");
		range = signature(s, 1, "");
		end_revision(s, 1, range, prev, update, 2, "44556677");
	}
}

void paper_render(struct paper *p, const char *text)
{
	struct document *d = &p->item.doc;
	struct sheet s = { .p = p, .w = writer_of(p->body, sizeof(p->body)) };

	*d = (struct document){ .body = p->body, .prefix_parts = 1, .pages = 1, .parts_n = 1 };
	d->parts[0] = (struct part){ &p->layer, 0, p->layer.size };
	s.file_at = p->layer.size;
	for (int i = 1; i <= 3; i++) {
		char head[16];

		snprintf(head, sizeof(head), "\n%d 0 obj", i);
		s.at[i] = (uint32_t)((uint8_t *)memmem(p->layer_bytes, p->layer.size, head,
						       strlen(head)) -
				     p->layer_bytes) +
			  1;
	}
	lay_tail(&s, text);
	end_part(&s);
	assert(!s.w.bad);
	d->body_size = (uint32_t)writer_size(&s.w);
}

enum status paper_sign(struct paper *p, struct sign_worker *w, const struct keyring *k,
		       struct vault *v, struct vault_hand *h, int64_t signed_ms)
{
	struct item *it = &p->item;

	it->unit = &p->unit;
	it->kind = &p->kind;
	it->signer = &p->signer;
	sign_plan(it, k, signed_ms);
	if (it->held != REASON_NONE)
		return ST_PRECONDITION;
	paper_render(p, "giấy thử");
	sha256_fork(it->mid, p->prefix);
	for (uint8_t i = 0; i < it->slots_n; i++) {
		struct signed_slot *s = &it->slots[i];
		int32_t key = vault_find(v, slice_str(signing_key_row(s->key)->id));
		enum status st = sign_prepare(w, it, i);

		if (st == ST_OK)
			st = vault_sign(h, (uint32_t)key, s->to_sign, p->values[i], &s->value_size);
		s->value = p->values[i];
		if (st == ST_OK)
			st = sign_bind(w, it, i);
		if (st != ST_OK)
			return st;
	}
	return ST_OK;
}

uint8_t *paper_file(const struct paper *p, size_t *size)
{
	const struct document *d = &p->item.doc;
	uint8_t *all = malloc(d->file_size);
	size_t at = 0;

	for (uint8_t i = 0; all != NULL && i < d->parts_n; i++) {
		memcpy(all + at, part_bytes(d, &d->parts[i]), d->parts[i].size);
		at += d->parts[i].size;
	}
	assert(at == d->file_size);
	*size = at;
	return all;
}

int desk_open(struct desk *d, enum algorithm a)
{
	struct keyring_config ring = { .certs_dir = d->keys.certs, .crl_age_hours_max = 24 * 30,
				       .check_one_in = 1, .development = true };
	struct signer_config cfg = { .keys_dir = d->keys.keys, .certs_dir = d->keys.certs };

	if (devkeys_open(&d->keys, a == ALG_P256 ? ALG_P256 : ALG_RSA2048, NULL) != 0 ||
	    devkeys_add(&d->keys, a, "seal", "u", NULL) != 0 ||
	    devkeys_add(&d->keys, a, "pen", "u", "s") != 0 ||
	    devca_publish(d->keys.ca, &d->keys.e) != ST_OK ||
	    keyring_load(&d->ring, &ring, &d->keys.e) != ST_OK ||
	    vault_open(&d->vault, &cfg, &d->keys.e) != ST_OK ||
	    vault_hand_new(&d->hand, d->vault, VAULT_FILES) != ST_OK ||
	    sign_worker_new(&d->worker) != ST_OK)
		return -1;
	return 0;
}

void desk_close(struct desk *d)
{
	sign_worker_free(d->worker);
	vault_hand_free(d->hand);
	vault_close(d->vault);
	keyring_unref(d->ring);
	devkeys_close(&d->keys);
}
