#include "rawcase.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/wire.h"
#include "schemafile.h"

/* ---- the catalogue ---- */

#define FIELDS_OF_ALL \
	"\"fields\": [" \
	"{ \"name\": \"ho_ten\", \"type\": \"text\"," \
	"  \"label\": { \"vi\": \"Họ tên\", \"en\": \"Name\" } }," \
	"{ \"name\": \"gioi_tinh\", \"type\": \"text\", \"values\": [\"Nam\", \"Nữ\"]," \
	"  \"label\": { \"vi\": \"Giới tính\", \"en\": \"Sex\" } }," \
	"{ \"name\": \"ghi_chu\", \"type\": \"text\", \"required\": false, \"multiline\": true," \
	"  \"bytes_max\": 40, \"label\": { \"vi\": \"Ghi chú\", \"en\": \"Note\" } }," \
	"{ \"name\": \"ngay_sinh\", \"type\": \"date\", \"partial\": true," \
	"  \"label\": { \"vi\": \"Ngày sinh\", \"en\": \"Birth\" } }," \
	"{ \"name\": \"den_ngay\", \"type\": \"date\", \"required\": false," \
	"  \"label\": { \"vi\": \"Đến ngày\", \"en\": \"Until\" } }," \
	"{ \"name\": \"so_tien\", \"type\": \"number\", \"min\": 0, \"max\": 1000," \
	"  \"decimals_max\": 2," \
	"  \"label\": { \"vi\": \"Số tiền\", \"en\": \"Amount\" } }," \
	"{ \"name\": \"co_con\", \"type\": \"flag\"," \
	"  \"label\": { \"vi\": \"Có con\", \"en\": \"Child\" } }," \
	"{ \"name\": \"bang\", \"type\": \"table\", \"required\": false, \"rows_max\": 3," \
	"  \"bytes_max\": 20, \"label\": { \"vi\": \"Bảng\", \"en\": \"Table\" }, \"columns\": [" \
	"    { \"name\": \"a\", \"label\": \"A\", \"width_permille\": 600 }," \
	"    { \"name\": \"b\", \"label\": \"B\", \"width_permille\": 400 } ] } ]," \
	"\"layout\": [ { \"type\": \"paragraph\"," \
	"  \"text\": \"{ho_ten} {gioi_tinh} {ghi_chu} {ngay_sinh} {den_ngay} {so_tien}" \
	" {co_con}\" }," \
	"  { \"type\": \"table\", \"field\": \"bang\" }, { \"type\": \"signature\" } ]"

static void put_file(const char *folder, const char *name, const char *text)
{
	char path[600];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	f = fopen(path, "w");
	if (f == NULL || fputs(text, f) < 0 || fclose(f) != 0)
		abort();
}

static void put_kind(const char *folder, const char *code, const char *to, const char *numbered,
		     const char *given)
{
	char name[100], text[4000];

	snprintf(name, sizeof(name), "results/%s.json", code);
	snprintf(text, sizeof(text),
		 "{ \"code\": \"%s\", \"versions\": [ { \"from\": \"2025-07-01\",%s \"name\": "
		 "{ \"vi\": \"Mẫu\", \"en\": \"Sample\" }, \"procedure\": \"1.000001\", "
		 "\"numbered\": \"%s\", \"number\": { \"register\": \"M\", "
		 "\"form\": \"{n}/M-{unit}\"%s },"
		 "\"signs\": [\"person\", \"agency\"], " FIELDS_OF_ALL " } ] }", code, to, numbered,
		 given);
	put_file(folder, name, text);
}

static void put_unit(const char *folder, const char *code)
{
	char name[100], text[500];

	snprintf(name, sizeof(name), "agencies/%s.json", code);
	snprintf(text, sizeof(text),
		 "{ \"code\": \"%s\", \"versions\": [ { \"from\": \"2025-07-01\", "
		 "\"name\": \"Ủy ban\", "
		 "\"notation\": \"UBND\", \"place\": \"Lạc Xuân\" } ] }", code);
	put_file(folder, name, text);
}

static void put_signer(const char *folder, const char *code, const char *unit, const char *kinds)
{
	char name[100], text[500];

	snprintf(name, sizeof(name), "signers/%s.json", code);
	snprintf(text, sizeof(text),
		 "{ \"code\": \"%s\", \"versions\": [ { \"from\": \"2025-07-01\", "
		 "\"name\": \"Người Ký\", "
		 "\"unit\": \"%s\", \"title\": \"CHỦ TỊCH\"%s } ] }", code, unit, kinds);
	put_file(folder, name, text);
}

struct catalogue *rawcase_catalogue(const char *folder)
{
	static const char *const folders[] = { "results", "agencies", "signers" };
	struct catalogue_config cfg = { .schemas = folder };
	struct catalogue *c;
	struct error e;

	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		char path[600];

		snprintf(path, sizeof(path), "%s/%s", folder, folders[i]);
		if (mkdir(path, 0700) != 0)
			abort();
	}
	put_kind(folder, "mau", "", "at_acceptance", "");
	put_kind(folder, "so-cho-san", "", "at_acceptance", ", \"given\": true");
	put_kind(folder, "cho-duyet", "", "at_approval", "");
	put_file(folder, "results/c.json", good_copy);
	put_kind(folder, "het-han", " \"to\": \"2026-06-30\",", "at_acceptance", "");
	put_unit(folder, "u");
	put_unit(folder, "v");
	put_signer(folder, "s", "u", "");
	put_signer(folder, "t", "u", ", \"kinds\": [\"so-cho-san\"]");
	put_signer(folder, "w", "v", "");
	if (catalogue_load(&c, &cfg, &e) != ST_OK) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	return c;
}

void rawcase_coverage(struct codeset *set)
{
	static const uint16_t ranges[][2] = { { 0x20, 0x7e }, { 0xa0, 0xac }, { 0xae, 0x24f },
					      { 0x1ea0, 0x1ef9 }, { 0x2010, 0x2026 } };

	memset(set, 0, sizeof(*set));
	for (size_t i = 0; i < ARRAY_LEN(ranges); i++)
		for (uint32_t cp = ranges[i][0]; cp <= ranges[i][1]; cp++)
			codeset_add(set, cp);
}

/* ---- the case ---- */

struct raw_field *rawcase_field(struct rawcase *c, const char *name)
{
	struct raw_result *r = &c->results[0];

	for (uint32_t i = 0; i < r->fields_n; i++)
		if (slice_eq(c->fields[0][i].name, slice_str(name)))
			return &c->fields[0][i];
	c->fields[0][r->fields_n] = (struct raw_field){ .name = slice_str(name) };
	return &c->fields[0][r->fields_n++];
}

void rawcase_drop(struct rawcase *c, const char *name)
{
	*rawcase_field(c, name) = c->fields[0][c->results[0].fields_n - 1];
	c->results[0].fields_n--;
}

static void put_text_field(struct rawcase *c, const char *name, const char *text)
{
	struct raw_field *f = rawcase_field(c, name);

	f->type = FIELD_TEXT;
	f->text = slice_str(text);
}

static void put_date_field(struct rawcase *c, const char *name, uint32_t y, uint32_t m, uint32_t d)
{
	struct raw_field *f = rawcase_field(c, name);

	f->type = FIELD_DATE;
	f->date = (struct raw_date){ true, y, m, d };
}

void rawcase_good(struct rawcase *c)
{
	struct raw_field *f;

	*c = (struct rawcase){ 0 };
	c->raw = (struct raw_case){ .code = slice_str("H99.11-261124-0001"),
				    .request_id = slice_str("req-1"), .priority = 3, .holders_n = 1,
				    .results_n = 1, .holders = c->holders, .results = c->results };
	c->holders[0] = (struct raw_holder){ .id_kind = ID_CITIZEN,
					     .number = slice_str("001099000001"),
					     .name = slice_str("Trần Thị Bích Ngọc") };
	for (size_t i = 0; i < ARRAY_LEN(c->results); i++)
		c->results[i] = (struct raw_result){
			.unit = slice_str("u"), .kind = slice_str("mau"), .signer = slice_str("s"),
			.fields = c->fields[i] };
	put_text_field(c, "ho_ten", "Trần Thị Bích Ngọc");
	put_text_field(c, "gioi_tinh", "Nữ");
	put_text_field(c, "ghi_chu", "dòng một\ndòng hai");
	put_date_field(c, "ngay_sinh", 1950, 0, 0);
	put_date_field(c, "den_ngay", 2027, 2, 28);
	f = rawcase_field(c, "so_tien");
	f->type = FIELD_NUMBER;
	f->number.value = 12345;
	f->number.decimals = 2;
	f = rawcase_field(c, "co_con");
	f->type = FIELD_FLAG;
	f->flag = true;
	f = rawcase_field(c, "bang");
	f->type = FIELD_TABLE;
	c->cells[0][0] = slice_str("Nguyễn Văn An");
	c->cells[0][1] = slice_str("");
	c->cells[1][0] = slice_str("Lê Thị Bé");
	c->cells[1][1] = slice_str("con");
	for (uint32_t r = 0; r < 2; r++)
		c->rows[r] = (struct raw_row){ 2, c->cells[r] };
	f->table.rows_n = 2;
	f->table.rows = c->rows;
}

struct raw_result *rawcase_result(struct rawcase *c)
{
	uint32_t n = c->raw.results_n++;

	memcpy(c->fields[n], c->fields[0], sizeof(c->fields[n]));
	c->results[n] = c->results[0];
	c->results[n].fields = c->fields[n];
	return &c->results[n];
}

struct raw_holder *rawcase_holder(struct rawcase *c)
{
	static const char *const numbers[] = { "", "001099000002", "001099000003", "001099000004",
					       "001099000005", "001099000006", "001099000007",
					       "001099000008", "001099000009" };
	uint32_t n = c->raw.holders_n++;

	c->holders[n] = c->holders[0];
	c->holders[n].number = slice_str(numbers[n]);
	return &c->holders[n];
}

/* ---- the wire ---- */

static void put_date(struct writer *w, uint32_t number, const struct raw_date *d)
{
	uint8_t *at;

	if (!d->given)
		return;
	at = put_begin(w, number);
	put_number(w, 1, d->year);
	put_number(w, 2, d->month);
	put_number(w, 3, d->day);
	put_end(w, at);
}

static void put_table(struct writer *w, const struct raw_field *f)
{
	uint8_t *table = put_begin(w, 6);

	for (uint32_t r = 0; r < f->table.rows_n; r++) {
		uint8_t *row = put_begin(w, 1);

		for (uint32_t i = 0; i < f->table.rows[r].cells_n; i++) {
			put_varint(w, 1 << 3 | WIRE_BYTES);
			write_u8(w, (uint8_t)f->table.rows[r].cells[i].n);
			write_bytes(w, f->table.rows[r].cells[i].p, f->table.rows[r].cells[i].n);
		}
		put_end(w, row);
	}
	put_end(w, table);
}

static void put_field(struct writer *w, const struct raw_field *f)
{
	uint8_t *at = put_begin(w, 9), *inner;

	put_slice(w, 1, f->name);
	switch (f->type) {
	case FIELD_TEXT:
		put_slice(w, 2, f->text);
		break;
	case FIELD_NUMBER:
		inner = put_begin(w, 3);
		put_number(w, 1, (uint64_t)f->number.value << 1 ^
				 (uint64_t)(f->number.value >> 63));
		put_number(w, 2, f->number.decimals);
		put_end(w, inner);
		break;
	case FIELD_FLAG:
		put_varint(w, 4 << 3 | WIRE_VARINT);
		put_varint(w, f->flag);
		break;
	case FIELD_DATE:
		put_date(w, 5, &f->date);
		break;
	case FIELD_TABLE:
		put_table(w, f);
		break;
	}
	put_end(w, at);
}

static void put_holder(struct writer *w, const struct raw_holder *h)
{
	uint8_t *at = put_begin(w, 2);

	put_number(w, 1, h->id_kind);
	put_slice(w, 2, h->country);
	put_slice(w, 3, h->number);
	put_slice(w, 4, h->name);
	put_number(w, 5, h->role);
	put_date(w, 6, &h->from);
	put_date(w, 7, &h->to);
	put_number(w, 8, h->visibility);
	put_end(w, at);
}

static void put_result(struct writer *w, const struct raw_result *r)
{
	uint8_t *at = put_begin(w, 3);

	put_slice(w, 1, r->unit);
	put_slice(w, 2, r->kind);
	put_number(w, 3, r->ordinal);
	put_number(w, 4, r->revision);
	put_slice(w, 5, r->replaces);
	put_slice(w, 6, r->signer);
	put_number(w, 7, r->given_number);
	put_slice(w, 8, r->given_text);
	for (uint32_t i = 0; i < r->fields_n; i++)
		put_field(w, &r->fields[i]);
	put_end(w, at);
}

void rawcase_write(struct writer *w, const struct raw_case *c)
{
	put_slice(w, 1, c->code);
	for (uint32_t i = 0; i < c->holders_n; i++)
		put_holder(w, &c->holders[i]);
	for (uint32_t i = 0; i < c->results_n; i++)
		put_result(w, &c->results[i]);
	put_number(w, 4, c->priority);
	put_slice(w, 5, c->request_id);
	put_slice(w, 6, c->facts);
	put_slice(w, 7, c->approval);
}
