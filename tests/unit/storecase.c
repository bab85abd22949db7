#include "storecase.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define ARENA_BYTES (16u * 1024 * 1024)

static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ x >> 27) * 0x94d049bb133111ebull;
	return x ^ x >> 31;
}

static void noise(uint8_t *out, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i += 8) {
		uint64_t v = mix(seed + i);

		memcpy(out + i, &v, n - i < 8 ? n - i : 8);
	}
}

int storecase_open(struct storecase *sc, uint32_t units, uint32_t holders, uint32_t body_bytes,
		   uint32_t layer_bytes)
{
	*sc = (struct storecase){ .units = units, .holders = holders, .body_bytes = body_bytes };
	sc->kind = (struct kind){ .code = "xac-nhan", .register_code = "XN", .validity_months = 6,
				  .validity_field = -1, .child_birth_field = -1 };
	sc->b = calloc(1, sizeof(*sc->b));
	sc->hash = sha256_new();
	sc->layer_bytes = malloc((size_t)STORECASE_LAYERS * layer_bytes);
	if (sc->b == NULL || sc->hash == NULL || sc->layer_bytes == NULL ||
	    arena_init(&sc->arena, ARENA_BYTES) != ST_OK)
		return -1;
	for (uint32_t i = 0; i < STORECASE_LAYERS; i++) {
		struct layer *l = &sc->layers[i];

		l->bytes = sc->layer_bytes + (size_t)i * layer_bytes;
		l->size = layer_bytes;
		noise(sc->layer_bytes + (size_t)i * layer_bytes, layer_bytes, i);
		sha256_once(l->bytes, l->size, l->sha256);
	}
	return 0;
}

void storecase_close(struct storecase *sc)
{
	arena_free(&sc->arena);
	free(sc->layer_bytes);
	sha256_free(sc->hash);
	free(sc->b);
}

uint64_t storecase_sequence(uint32_t k)
{
	return (uint64_t)(STORECASE_BASE_MS - 1577836800000LL + k) << 22 |
	       (uint64_t)STORECASE_ENGINE << 14;
}

uint8_t storecase_lane(uint32_t k)
{
	return (uint8_t)(mix(k) & (LANES - 1));
}

void storecase_unit(const struct storecase *sc, uint32_t k, char out[16])
{
	snprintf(out, 16, "don-vi-%u", (k % sc->units) % 100000000u);
}

void storecase_code(uint32_t k, char out[32])
{
	snprintf(out, 32, "H29.15-261124-%06u", k);
}

uint64_t storecase_number(const struct storecase *sc, uint32_t k)
{
	return k / sc->units + 1;
}

void storecase_holder(const struct storecase *sc, uint32_t k, char out[32])
{
	snprintf(out, 32, "0790%08llu", (unsigned long long)(mix(k) % sc->holders));
}

static struct slice keep(struct storecase *sc, const char *s)
{
	return arena_copy(&sc->arena, slice_str(s));
}

static void fill_case(struct storecase *sc, struct item *it, uint32_t k)
{
	char unit[16], code[32], holder[32];
	struct case_result *r = arena_zero(&sc->arena, sizeof(*r));
	struct field *f = arena_zero(&sc->arena, sizeof(*f));
	uint8_t *text = arena_take(&sc->arena, 600);

	storecase_unit(sc, k, unit);
	storecase_code(k, code);
	storecase_holder(sc, k, holder);
	memset(text, 'a' + (int)(k % 26), 600);
	it->c = (struct case_view){ .code = keep(sc, code), .holders_n = 1, .results_n = 1,
				    .results = r };
	it->c.holders = arena_zero(&sc->arena, CASE_HOLDERS_MAX * sizeof(*it->c.holders));
	it->c.holders[0] = (struct holder){ .id_kind = ID_CITIZEN, .role = HOLDER_OWNER,
					    .country = keep(sc, "VN"), .number = keep(sc, holder),
					    .name = keep(sc, "Người Thử") };
	*f = (struct field){ .name = keep(sc, "noi_dung"), .type = FIELD_TEXT,
			     .text = slice_of(text, 600) };
	*r = (struct case_result){ .unit = keep(sc, unit), .kind = keep(sc, sc->kind.code),
				   .signer = keep(sc, "nguoi-ky"), .ordinal = 1, .fields_n = 1,
				   .fields = f };
	it->result = r;
	it->kind = &sc->kind;
	storecase_encode(sc, it);
}

void storecase_encode(struct storecase *sc, struct item *it)
{
	size_t room = 8192;
	struct writer w = writer_of(arena_take(&sc->arena, room), room);
	enum status st = case_encode(&it->c, &w);

	assert(st == ST_OK);
	it->case_bytes = writer_slice(&w);
	st = case_digest(it->case_bytes, it->case_digest);
	assert(st == ST_OK);
}

static void fill_document(struct storecase *sc, struct item *it, uint32_t k)
{
	struct document *d = &it->doc;
	uint32_t half;

	d->body_size = sc->body_bytes + (uint32_t)(mix(k) % (sc->body_bytes / 8 + 1));
	d->body = arena_take(&sc->arena, d->body_size);
	assert(d->body != NULL);
	noise(d->body, d->body_size, mix(k));
	half = d->body_size / 2;
	d->parts_n = 5;
	d->parts[0] = (struct part){ &sc->layers[0], 0, sc->layers[0].size };
	d->parts[1] = (struct part){ NULL, 0, half };
	d->parts[2] = (struct part){ &sc->layers[1], 7, sc->layers[1].size / 2 };
	d->parts[3] = (struct part){ NULL, half, d->body_size - half };
	d->parts[4] = (struct part){ &sc->layers[2], 0, sc->layers[2].size };
	sha256_start(sc->hash);
	for (uint8_t i = 0; i < d->parts_n; i++) {
		sha256_add(sc->hash, part_bytes(d, &d->parts[i]), d->parts[i].size);
		d->file_size += d->parts[i].size;
	}
	sha256_end(sc->hash, it->file_sha256);
}

static void digest(struct storecase *sc, struct item *it, struct slice object)
{
	const struct document *d = &it->doc;

	sha256_start(sc->hash);
	sha256_add(sc->hash, part_bytes(d, &d->parts[0]), d->parts[0].size);
	for (uint32_t i = 0; i < d->section->runs_n; i++) {
		const struct section_run *run = &d->section->runs[i];

		sha256_add(sc->hash, (run->original ? object.p : d->body) + run->offset, run->size);
	}
	for (uint8_t i = 1; i < d->parts_n; i++)
		sha256_add(sc->hash, part_bytes(d, &d->parts[i]), d->parts[i].size);
	sha256_end(sc->hash, it->file_sha256);
}

void storecase_copy(struct storecase *sc, struct item *it, struct slice original)
{
	uint32_t some = original.n < 1501000 ? (uint32_t)original.n - 1000 : 1500000;
	const struct section_run runs[] = { { false, 3, 10 }, { true, 1000, some },
					    { false, 40, 20 }, { true, 0, (uint32_t)original.n },
					    { false, 0, 5 } };
	struct section *s = arena_zero(&sc->arena, sizeof(*s));
	struct original *o = arena_zero(&sc->arena, sizeof(*o));

	*o = (struct original){ .format = ORIGINAL_PDF, .wrapped = ORIGINAL_NOT_IMAGES,
				.size = (uint32_t)original.n };
	sha256_once(original.p, original.n, o->sha256);
	memcpy(s->sha256, o->sha256, SHA256_BYTES);
	s->runs_n = (uint32_t)ARRAY_LEN(runs);
	s->runs = arena_take(&sc->arena, sizeof(runs));
	memcpy(s->runs, runs, sizeof(runs));
	for (size_t i = 0; i < ARRAY_LEN(runs); i++)
		s->size += runs[i].size;
	it->c.results[0].original = o;
	storecase_encode(sc, it);
	it->doc.section = s;
	it->doc.prefix_parts = 1;
	it->doc.file_size += s->size;
	digest(sc, it, original);
}

static void fill_item(struct storecase *sc, struct item *it, uint32_t k)
{
	memset(it, 0, sizeof(*it));
	it->sequence = storecase_sequence(k);
	it->lane = storecase_lane(k);
	it->issued_ms = STORECASE_BASE_MS + k;
	it->accepted_ms = it->issued_ms - 1;
	it->number = storecase_number(sc, k);
	it->register_year = 2026;
	snprintf(it->number_text, sizeof(it->number_text), "%02u/XN", (unsigned)it->number);
	noise(it->result_id, sizeof(it->result_id), it->sequence);
	noise(it->template_version, SHA256_BYTES, 1);
	fill_case(sc, it, k);
	it->slots_n = 2;
	for (uint8_t i = 0; i < 2; i++) {
		it->slots[i].plan = (struct signature_slot){ .role = i == 0 ? ROLE_PERSON :
							    ROLE_AGENCY,
							     .signed_ms = it->issued_ms };
		snprintf(it->slots[i].plan.name, sizeof(it->slots[i].plan.name), "Khóa số %u", i);
		noise(it->slots[i].plan.cert_sha256, SHA256_BYTES, i);
	}
	fill_document(sc, it, k);
}

void storecase_fill(struct storecase *sc, uint32_t first, uint32_t n)
{
	assert(n <= BATCH_ITEMS_MAX);
	arena_reset(&sc->arena);
	sc->b->items_n = n;
	for (uint32_t i = 0; i < n; i++)
		fill_item(sc, &sc->b->items[i], first + i);
}

uint8_t *storecase_file(const struct item *it, size_t *size)
{
	const struct document *d = &it->doc;
	uint8_t *all = malloc(d->file_size);
	size_t at = 0;

	for (uint8_t i = 0; all != NULL && i < d->parts_n; i++) {
		memcpy(all + at, part_bytes(d, &d->parts[i]), d->parts[i].size);
		at += d->parts[i].size;
	}
	*size = at;
	return all;
}
