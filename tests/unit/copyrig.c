#include "copyrig.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DAY 20261129

static const struct { const char *name, *text; } texts[] = {
	{ "co_quan_cap", "Trường Đại học Bản Mới" },
	{ "muc_dich", "nộp hồ sơ xin việc làm" },
	{ "nguoi_duoc_cap", "Vừ A Dế" },
	{ "nguoi_yeu_cau", "Lò Thị Mỷ" },
	{ "so_ban_chinh", "123/BTN" },
	{ "ten_ban_chinh", "Bằng tốt nghiệp đại học" },
};

static void take_value(struct copyrig *r, const struct field_def *d)
{
	struct field *f = &r->fields[r->result.fields_n];

	*f = (struct field){ .name = slice_of(d->name, d->name_n), .type = d->type };
	if (d->type == FIELD_DATE)
		f->date = (struct partial_date){ 2019, 6, 15 };
	if (d->type == FIELD_NUMBER)
		f->number.value = 12000;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(texts[i].name, d->name) == 0)
			f->text = slice_str(texts[i].text);
	assert(d->type != FIELD_TEXT || f->text.n > 0);
	r->result.fields_n++;
}

void copyrig_open(struct copyrig *r, const char *kind, const struct original *original,
		  struct slice object)
{
	const struct catalogue_config cfg = { .schemas = SOURCE_DIR "/schemas" };
	struct error e = { 0 };
	enum status st;

	*r = (struct copyrig){ .object = object };
	st = catalogue_load(&r->catalogue, &cfg, &e);
	assert(st == ST_OK);
	r->item = (struct item){
		.kind = catalogue_kind(r->catalogue, slice_str(kind), DAY),
		.unit = catalogue_unit(r->catalogue, slice_str("ubnd-lac-xuan"), DAY),
		.signer = catalogue_signer(r->catalogue,
					   slice_str("lac-xuan-nguyen-thi-hoai-thu"), DAY),
		.result = &r->result, .issued_ms = 1795932000000, .sign_ms = 1795932000000,
		.number = 1207, .register_year = 2026, .result_id = { 0x12, 0x34, 0x56, 0x78 } };
	assert(r->item.kind != NULL && r->item.unit != NULL && r->item.signer != NULL);
	st = number_format(r->item.number_text, r->item.kind, r->item.unit, r->item.number, 2026);
	assert(st == ST_OK);
	for (uint8_t i = 0; i < r->item.kind->fields_n; i++)
		take_value(r, &r->item.kind->fields[i]);
	r->result.fields = r->fields;
	if (original == NULL)
		return;
	r->original = *original;
	r->original.size = (uint32_t)object.n;
	sha256_once(object.p, object.n, r->original.sha256);
	r->result.original = &r->original;
}

void copyrig_close(struct copyrig *r)
{
	catalogue_unref(r->catalogue);
}

void copyrig_plan(struct copyrig *r, uint32_t hole_bytes)
{
	r->item.slots_n = r->item.kind->signs_n;
	for (uint8_t i = 0; i < r->item.slots_n; i++) {
		struct signature_slot *s = &r->item.slots[i].plan;

		*s = (struct signature_slot){ .role = r->item.kind->signs[i],
					      .hole_bytes = hole_bytes,
					      .body_bytes = hole_bytes,
					      .signed_ms = r->item.sign_ms };
		snprintf(s->name, sizeof(s->name), "%s",
			 s->role == ROLE_PERSON ? r->item.signer->name : r->item.unit->name);
	}
}

enum status copyrig_press(struct copyrig *r, struct render *render, struct press *p,
			  struct arena *a)
{
	struct error e = { 0 };
	enum status st = render_template(render, r->item.kind, r->item.unit, r->item.signer,
					 &r->item.template, &e);

	if (st != ST_OK)
		fprintf(stderr, "%s\n", e.text);
	return st == ST_OK ? render_item(p, &r->item, a) : st;
}

static const uint8_t *run_bytes(const struct copyrig *r, const struct section_run *run)
{
	if (!run->original)
		return r->item.doc.body + run->offset;
	assert(run->offset <= r->object.n && run->size <= r->object.n - run->offset);
	return r->object.p + run->offset;
}

void copyrig_hash(const struct copyrig *r, struct sha256 *h)
{
	const struct section *s = r->item.doc.section;

	for (uint32_t i = 0; s != NULL && i < s->runs_n; i++)
		sha256_add(h, run_bytes(r, &s->runs[i]), s->runs[i].size);
}

static bool is_hole(const struct document *d, uint8_t part)
{
	for (uint8_t k = 0; k < d->holes_n; k++)
		if (d->holes[k].part == part && d->parts[part].layer == NULL)
			return true;
	return false;
}

static uint8_t *copy(uint8_t *at, const uint8_t *from, uint32_t n)
{
	memcpy(at, from, n);
	return at + n;
}

static uint8_t *copy_section(const struct copyrig *r, uint8_t *at)
{
	const struct section *s = r->item.doc.section;

	for (uint32_t i = 0; s != NULL && i < s->runs_n; i++)
		at = copy(at, run_bytes(r, &s->runs[i]), s->runs[i].size);
	return at;
}

void copyrig_splice(const struct copyrig *r, uint8_t *file)
{
	const struct document *d = &r->item.doc;
	uint8_t *at = file;

	for (uint8_t i = 0; i < d->parts_n; i++) {
		if (i == d->prefix_parts)
			at = copy_section(r, at);
		/* Signed, a hole is made of other parts. */
		if (is_hole(d, i) && r->item.file_sha256[0] == 0) {
			memset(at, '0', d->parts[i].size);
			at[0] = '<';
			at[d->parts[i].size - 1] = '>';
			at += d->parts[i].size;
		} else {
			at = copy(at, part_bytes(d, &d->parts[i]), d->parts[i].size);
		}
	}
	assert(at == file + d->file_size);
}

uint8_t *copyrig_file(const struct copyrig *r, size_t *size)
{
	uint8_t *file = malloc(r->item.doc.file_size);

	assert(file != NULL);
	copyrig_splice(r, file);
	*size = r->item.doc.file_size;
	return file;
}
