#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <pthread.h>
#include <unistd.h>

#include "base/hash.h"
#include "catalogue/catalogue.h"
#include "io/file.h"
#include "schemafile.h"

/* A schemas folder, and an archive beside it. */
struct world { struct tmpdir dir; char archive[300]; struct catalogue_config cfg; };

static void world_make(struct world *w)
{
	assert_int_equal(tmpdir_make(&w->dir), 0);
	schema_folder(w->dir.path);
	snprintf(w->archive, sizeof(w->archive), "%s/data/catalogue", w->dir.path);
	w->cfg = (struct catalogue_config){ .schemas = w->dir.path, .archive = w->archive };
}

static struct catalogue *load(const struct world *w)
{
	struct catalogue *c;
	struct error e = { 0 };

	if (catalogue_load(&c, &w->cfg, &e) != ST_OK)
		fail_msg("%s", e.text);
	return c;
}

/* A black square of 8 × n pixels. */
static void put_image(const struct world *w, const char *name, uint32_t n)
{
	char path[600];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", w->dir.path, name);
	f = fopen(path, "w");
	fprintf(f, "P4\n8 %u\n", n);
	for (uint32_t i = 0; i < n; i++)
		fputc(0xff, f);
	fclose(f);
}

static void reads_what_the_file_says(void **state)
{
	struct world w;
	struct catalogue *c;
	const struct kind *k;
	const struct unit *u;
	const struct signer *s;

	world_make(&w);
	c = load(&w);
	k = catalogue_kind(c, slice_str("k"), 20260101);
	assert_string_equal(k->name_en, "Paper");
	assert_int_equal(k->signs_n, 2);
	assert_int_equal(k->signs[0], ROLE_PERSON);
	assert_true(k->certify);
	assert_ptr_equal(k->home, c);
	assert_int_equal(k->validity_field, kind_field(k, slice_str("den")));
	assert_int_equal(k->child_birth_field, kind_field(k, slice_str("sinh")));
	assert_int_equal(k->fields_n, 6);
	assert_int_equal(k->fields[kind_field(k, slice_str("ten"))].bytes_max, 400);
	assert_int_equal(k->fields[kind_field(k, slice_str("so"))].max, 100);
	/* By name, whatever the file's order. */
	assert_string_equal(k->fields[0].name, "bang");
	assert_string_equal(k->fields[5].name, "ten");
	assert_int_equal(k->fields[0].rows_max, 100);
	assert_int_equal(k->fields[0].columns[1].width_permille, 400);
	assert_int_equal(k->blocks_n, 6);
	assert_int_equal(k->blocks[1].align, 'j');
	assert_true(k->blocks[1].indent);
	assert_int_equal(k->blocks[2].only_if, kind_field(k, slice_str("co")));
	assert_int_equal(k->blocks[4].table_field, kind_field(k, slice_str("bang")));
	u = catalogue_unit(c, slice_str("u"), 20260101);
	assert_string_equal(u->header, "Ủy ban\nnhân dân");
	assert_null(u->seal.bits);
	assert_null(u->superior);
	s = catalogue_signer(c, slice_str("s"), 20260101);
	assert_string_equal(s->unit, "u");
	assert_int_equal(s->kinds_n, 1);
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

static void fields_are_found_by_name(void **state)
{
	struct world w;
	struct catalogue *c;
	const struct kind *k;

	world_make(&w);
	c = load(&w);
	k = catalogue_kind_at(c, 0);
	for (int i = 0; i < k->fields_n; i++)
		assert_int_equal(kind_field(k, slice_str(k->fields[i].name)), i);
	assert_int_equal(kind_field(k, slice_str("te")), -1);
	assert_int_equal(kind_field(k, slice_str("tenn")), -1);
	assert_int_equal(kind_field(k, slice_of("ten\0", 4)), -1);
	assert_int_equal(kind_field(k, slice_of(NULL, 0)), -1);
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

/* Only what a page shows whenever it has it may stand in the attached data. */
static void public_follows_from_the_layout(void **state)
{
	static const struct { const char *name; bool public; } want[] = {
		{ "ten", true }, { "sinh", true },
		{ "den", true },	/* under its own condition */
		{ "so", false },	/* under a flag */
		{ "co", false },	/* never shown itself */
		{ "bang", true },	/* under a field that always has a value */
	};
	struct world w;
	struct catalogue *c;
	const struct kind *k;

	world_make(&w);
	c = load(&w);
	k = catalogue_kind_at(c, 0);
	for (size_t i = 0; i < ARRAY_LEN(want); i++)
		assert_int_equal(k->fields[kind_field(k, slice_str(want[i].name))].public,
				 want[i].public);
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

static void versions_hold_from_first_to_last_day(void **state)
{
	struct world w;
	struct catalogue *c;
	struct slice u = slice_str("u"), k = slice_str("k");

	world_make(&w);
	c = load(&w);
	assert_null(catalogue_unit(c, u, 20191231));
	assert_string_equal(catalogue_unit(c, u, 20200101)->notation, "UB");
	assert_string_equal(catalogue_unit(c, u, 20250630)->notation, "UB");
	assert_string_equal(catalogue_unit(c, u, 20250701)->notation, "UBND");
	assert_string_equal(catalogue_unit(c, u, 99991231)->notation, "UBND");
	assert_null(catalogue_unit(c, slice_str("v"), 20260101));
	assert_null(catalogue_unit(c, slice_of(NULL, 0), 20260101));
	assert_null(catalogue_kind(c, k, 20251231));
	assert_true(catalogue_kind_exists(c, k));
	assert_false(catalogue_kind_exists(c, u));
	assert_string_equal(catalogue_unit_at(c, 0)->notation, "UB");
	assert_string_equal(catalogue_unit_at(c, 1)->notation, "UBND");
	assert_null(catalogue_unit_at(c, 2));
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

/* Of a file of one version, as schemafile.h has them: what stands behind "from". */
#define BODY(file) (strstr(file, "{\n\"from\"") + strlen("{\n\"from\": \"2026-01-01\",\n"))
#define TAIL "] }\n"

/* A kind until March, and from October until the end of that year. */
static void put_two(const struct world *w, const char *first, const char *second)
{
	char text[8192];
	int n = snprintf(text, sizeof(text), "{\n\"code\": \"k\",\n\"versions\": [\n"
			 "{ \"from\": \"2025-10-01\", \"to\": \"2026-03-31\",\n%.*s,\n"
			 "{ \"from\": \"2026-10-01\", \"to\": \"2026-12-30\",\n%s",
			 (int)(strlen(BODY(first)) - strlen(TAIL)), BODY(first), BODY(second));

	assert_in_range(n, 1, sizeof(text) - 1);
	schema_put(w->dir.path, "results/k.json", text, NULL, NULL);
}

static void a_kind_is_found_within_days(void **state)
{
	struct world w;
	struct catalogue *c;
	const struct kind *early, *late;
	struct slice k = slice_str("k");

	world_make(&w);
	put_two(&w, good_kind, good_kind);
	c = load(&w);
	early = catalogue_kind(c, k, 20251001);
	late = catalogue_kind(c, k, 20261001);
	assert_non_null(early);
	assert_non_null(late);
	assert_ptr_not_equal(early, late);
	/* A period that neither begins nor ends with it. */
	assert_null(catalogue_kind(c, k, 20261231));
	assert_ptr_equal(catalogue_kind_within(c, k, 20260401, 20261231), late);
	assert_ptr_equal(catalogue_kind_within(c, k, 20260101, 20261231), late);
	assert_ptr_equal(catalogue_kind_within(c, k, 20250101, 20251231), early);
	assert_ptr_equal(catalogue_kind_within(c, k, 20260331, 20260930), early);
	assert_null(catalogue_kind_within(c, k, 20260401, 20260930));
	assert_null(catalogue_kind_within(c, k, 20261231, 20271231));
	assert_ptr_equal(catalogue_kind_within(c, k, 0, UINT32_MAX), late);
	assert_null(catalogue_kind_within(c, slice_str("kk"), 0, UINT32_MAX));
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

static void pins_are_the_hash_of_the_archived_file(void **state)
{
	struct world w;
	struct catalogue *c;
	const struct kind *k;
	uint8_t digest[SHA256_BYTES], *bytes;
	char path[600], hex[2 * PIN_BYTES + 1] = "";
	size_t n;

	world_make(&w);
	c = load(&w);
	k = catalogue_kind_at(c, 0);
	hex_lower(hex, k->pin, PIN_BYTES);
	snprintf(path, sizeof(path), "%s/%s.json", w.archive, hex);
	assert_int_equal(file_read(path, 1 << 20, &bytes, &n, NULL), ST_OK);
	sha256_once(bytes, n, digest);
	assert_memory_equal(digest, k->pin, PIN_BYTES);
	free(bytes);
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

/* Spaces, order of keys and the name of an image are not content; the image is. */
static void pins_name_content(void **state)
{
	struct world w;
	struct catalogue *c;
	uint8_t before[PIN_BYTES], kind[PIN_BYTES];

	world_make(&w);
	put_image(&w, "agencies/u.pbm", 8);
	c = load(&w);
	memcpy(before, catalogue_unit_at(c, 1)->pin, PIN_BYTES);
	memcpy(kind, catalogue_kind_at(c, 0)->pin, PIN_BYTES);
	catalogue_unref(c);

	put_image(&w, "agencies/v.pbm", 8);
	schema_put(w.dir.path, "agencies/u.json", good_unit, "u.pbm", "v.pbm");
	schema_put(w.dir.path, "results/k.json", good_kind,
		   "\"procedure\": \"1.000001\",\n\"numbered\": \"at_acceptance\"",
		   "\"numbered\":\"at_acceptance\",  \"procedure\":\"1.000001\"");
	c = load(&w);
	assert_memory_equal(catalogue_unit_at(c, 1)->pin, before, PIN_BYTES);
	assert_memory_equal(catalogue_kind_at(c, 0)->pin, kind, PIN_BYTES);
	catalogue_unref(c);

	put_image(&w, "agencies/v.pbm", 9);
	c = load(&w);
	assert_memory_not_equal(catalogue_unit_at(c, 1)->pin, before, PIN_BYTES);
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

static struct pins pins_now(const struct catalogue *c)
{
	struct pins p;

	memcpy(p.kind, catalogue_kind_at(c, 0)->pin, PIN_BYTES);
	memcpy(p.unit, catalogue_unit_at(c, 1)->pin, PIN_BYTES);
	memcpy(p.signer, catalogue_signer_at(c, 0)->pin, PIN_BYTES);
	return p;
}

struct found { const struct kind *k; const struct unit *u; const struct signer *s; };

static enum status find(struct catalogue *c, const struct pins *p, struct found *out,
			struct error *e)
{
	return catalogue_pinned(c, p, &out->k, &out->u, &out->s, e);
}

/* Every file changes, every image goes: the old record still finds what it was made with. */
static void pinned_versions_outlive_their_files(void **state)
{
	struct world w;
	struct catalogue *c;
	struct pins p;
	struct found f, again;
	struct error e;
	char path[600];

	world_make(&w);
	put_image(&w, "agencies/u.pbm", 5);
	c = load(&w);
	p = pins_now(c);
	assert_int_equal(find(c, &p, &f, &e), ST_OK);
	assert_ptr_equal(f.k, catalogue_kind_at(c, 0));
	assert_ptr_equal(f.u, catalogue_unit_at(c, 1));
	catalogue_unref(c);

	schema_put(w.dir.path, "results/k.json", good_kind, "Ông", "Bà");
	schema_put(w.dir.path, "agencies/u.json", good_unit, "UBND", "UBX");
	schema_put(w.dir.path, "signers/s.json", good_signer, "CHỦ", "PHÓ CHỦ");
	snprintf(path, sizeof(path), "%s/agencies/u.pbm", w.dir.path);
	assert_int_equal(remove(path), 0);
	c = load(&w);
	assert_int_equal(find(c, &p, &f, &e), ST_OK);
	assert_memory_equal(f.k->pin, p.kind, PIN_BYTES);
	assert_memory_equal(f.u->pin, p.unit, PIN_BYTES);
	assert_memory_equal(f.s->pin, p.signer, PIN_BYTES);
	assert_string_equal(f.k->blocks[1].text.run[0].literal, "Ông ");
	assert_ptr_equal(f.k->home, c);
	assert_string_equal(f.u->notation, "UBND");
	assert_int_equal(f.u->seal.height, 5);
	assert_int_equal(f.u->seal.bits[4], 0xff);
	assert_string_equal(f.s->title, "CHỦ TỊCH");
	/* Read once: the same object for all who ask. */
	assert_int_equal(find(c, &p, &again, &e), ST_OK);
	assert_ptr_equal(f.k, again.k);
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

static void change_byte(const char *path, long at)
{
	FILE *f = fopen(path, "r+");
	int was;

	assert_non_null(f);
	fseek(f, at, SEEK_SET);
	was = fgetc(f);
	fseek(f, at, SEEK_SET);
	fputc(was ^ 1, f);
	fclose(f);
}

static void a_damaged_archive_is_never_served(void **state)
{
	struct world w;
	struct catalogue *c;
	struct pins p;
	struct found f;
	struct error e;
	char path[600], hex[2 * PIN_BYTES + 1] = "";

	world_make(&w);
	c = load(&w);
	p = pins_now(c);
	catalogue_unref(c);
	schema_put(w.dir.path, "results/k.json", good_kind, "Ông", "Bà");
	hex_lower(hex, p.kind, PIN_BYTES);
	snprintf(path, sizeof(path), "%s/%s.json", w.archive, hex);
	change_byte(path, 12);
	c = load(&w);
	assert_int_equal(find(c, &p, &f, &e), ST_CORRUPT);
	change_byte(path, 12);
	assert_int_equal(find(c, &p, &f, &e), ST_OK);
	catalogue_unref(c);

	c = load(&w);
	assert_int_equal(remove(path), 0);
	assert_int_equal(find(c, &p, &f, &e), ST_NOT_FOUND);
	assert_non_null(strstr(e.text, hex));
	catalogue_unref(c);

	/* Without an archive only what is in the files is known. */
	w.cfg.archive = NULL;
	c = load(&w);
	assert_int_equal(find(c, &p, &f, &e), ST_NOT_FOUND);
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

/* An archived image that is not the one that was used is no better than none. */
static void a_damaged_picture_is_never_served(void **state)
{
	struct world w;
	struct catalogue *c;
	struct pins p;
	struct found f;
	struct error e;
	char path[600] = "";
	struct dirent *d;
	DIR *dir;

	world_make(&w);
	put_image(&w, "agencies/u.pbm", 5);
	c = load(&w);
	p = pins_now(c);
	catalogue_unref(c);
	schema_put(w.dir.path, "agencies/u.json", good_unit, "UBND", "UBX");
	dir = opendir(w.archive);
	while ((d = readdir(dir)) != NULL)
		if (strstr(d->d_name, ".pbm") != NULL)
			snprintf(path, sizeof(path), "%s/%s", w.archive, d->d_name);
	closedir(dir);
	schema_put(w.dir.path, "agencies/u.json", good_unit, "u.pbm", "none.pbm");
	change_byte(path, 9);
	c = load(&w);
	assert_int_equal(find(c, &p, &f, &e), ST_CORRUPT);
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

static void approval_of_a_kind(void **state)
{
	struct world w;
	struct catalogue *c;

	world_make(&w);
	schema_put(w.dir.path, "results/k.json", good_kind, "\"at_acceptance\"",
		   "\"at_approval\", \"approval\": { \"expires_days\": 30, \"own_draft\": true }");
	c = load(&w);
	assert_int_equal(catalogue_kind_at(c, 0)->numbered, NUMBERED_AT_APPROVAL);
	assert_int_equal(catalogue_kind_at(c, 0)->approval_days, 30);
	assert_true(catalogue_kind_at(c, 0)->own_draft);
	catalogue_unref(c);
	schema_put(w.dir.path, "results/k.json", good_kind, "\"at_acceptance\"",
		   "\"at_approval\"");
	c = load(&w);
	assert_int_equal(catalogue_kind_at(c, 0)->approval_days, 0);
	assert_false(catalogue_kind_at(c, 0)->own_draft);
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

static void *find_often(void *arg)
{
	struct catalogue *c = ((void **)arg)[0];
	const struct pins *p = ((void **)arg)[1];
	struct found f;

	for (int i = 0; i < 200; i++)
		if (find(c, p, &f, NULL) != ST_OK || memcmp(f.k->pin, p->kind, PIN_BYTES) != 0)
			return arg;
	return NULL;
}

static void workers_find_pinned_versions_together(void **state)
{
	struct world w;
	struct catalogue *c;
	struct pins p;
	void *arg[2], *wrong;
	pthread_t thread[4];

	world_make(&w);
	c = load(&w);
	p = pins_now(c);
	catalogue_unref(c);
	schema_put(w.dir.path, "results/k.json", good_kind, "Ông", "Bà");
	c = load(&w);
	arg[0] = c;
	arg[1] = &p;
	for (size_t i = 0; i < ARRAY_LEN(thread); i++)
		assert_int_equal(pthread_create(&thread[i], NULL, find_often, arg), 0);
	for (size_t i = 0; i < ARRAY_LEN(thread); i++) {
		pthread_join(thread[i], &wrong);
		assert_null(wrong);
	}
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

/* to: its last day, in quotes; NULL: none. */
static void put_unit_until(const struct world *w, const char *code, const char *to,
			   const char *successor)
{
	char name[64], text[400];

	snprintf(name, sizeof(name), "agencies/%s.json", code);
	snprintf(text, sizeof(text), "{\n\"code\": \"%s\",\n"
		 "\"versions\": [ {\n\"from\": \"2020-01-01\",%s%s%s\n"
		 "\"name\": \"N\", \"notation\": \"N\", \"place\": \"P\"%s%s%s } ] }\n", code,
		 to != NULL ? " \"to\": " : "", to != NULL ? to : "", to != NULL ? "," : "",
		 successor != NULL ? ",\n\"successor\": \"" : "",
		 successor != NULL ? successor : "", successor != NULL ? "\"" : "");
	schema_put(w->dir.path, name, text, NULL, NULL);
}

static void put_unit(const struct world *w, const char *code, const char *successor)
{
	put_unit_until(w, code, NULL, successor);
}

static bool succeeds_on(const struct catalogue *c, const char *unit, const char *other,
			uint32_t day)
{
	return catalogue_succeeds(c, slice_str(unit), slice_str(other), day);
}

static bool succeeds(const struct catalogue *c, const char *unit, const char *other)
{
	return succeeds_on(c, unit, other, 20260601);
}

static void successors_reach_over_any_step(void **state)
{
	struct world w;
	struct catalogue *c;

	world_make(&w);
	put_unit(&w, "a", "b");
	put_unit(&w, "b", "d");
	put_unit(&w, "c", "d");
	put_unit(&w, "d", NULL);
	c = load(&w);
	assert_true(succeeds(c, "a", "a"));
	assert_true(succeeds(c, "b", "a"));
	assert_true(succeeds(c, "d", "a"));
	assert_true(succeeds(c, "d", "c"));
	assert_false(succeeds(c, "a", "d"));
	assert_false(succeeds(c, "b", "c"));
	assert_false(succeeds(c, "u", "a"));
	assert_false(succeeds(c, "d", "nobody"));
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

/* Its file is there in June; the merger is on the first of July. */
static void a_successor_takes_over_on_its_day(void **state)
{
	struct world w;
	struct catalogue *c;

	world_make(&w);
	put_unit_until(&w, "a", "\"2026-06-30\"", "b");
	put_unit(&w, "b", "c");
	put_unit(&w, "c", NULL);
	c = load(&w);
	assert_false(succeeds_on(c, "b", "a", 20260630));
	assert_false(succeeds_on(c, "c", "a", 20260630));
	assert_true(succeeds_on(c, "b", "a", 20260701));
	assert_true(succeeds_on(c, "c", "a", 20260701));
	assert_null(catalogue_successor(c, slice_str("b"), 20191231));
	assert_string_equal(catalogue_successor(c, slice_str("b"), 20200101), "c");
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

static void load_fails(const struct world *w, const char *file, const char *text)
{
	struct catalogue *c;
	struct error e = { 0 };
	char want[600];

	snprintf(want, sizeof(want), "%s/%s:%s", w->dir.path, file, text);
	assert_int_equal(catalogue_load(&c, &w->cfg, &e), ST_INVALID);
	if (strncmp(e.text, want, strlen(want)) != 0)
		fail_msg("%s\nwanted %s", e.text, want);
}

static void references_between_files_are_checked(void **state)
{
	struct world w;

	world_make(&w);
	schema_put(w.dir.path, "signers/s.json", good_signer,
		   "\"unit\": \"u\"", "\"unit\": \"uu\"");
	load_fails(&w, "signers/s.json", "6: versions[0].unit: there is no agency \"uu\"");
	schema_put(w.dir.path, "signers/s.json", good_signer, "\"k\" ]", "\"k\", \"kk\" ]");
	load_fails(&w, "signers/s.json", "11: versions[0].kinds[1]: there is no kind \"kk\"");
	schema_put(w.dir.path, "signers/s.json", good_signer, NULL, NULL);

	put_unit(&w, "a", "z");
	load_fails(&w, "agencies/a.json", "6: versions[0].successor: there is no agency \"z\"");
	put_unit(&w, "z", "a");
	load_fails(&w, "agencies/a.json",
		   "6: versions[0].successor: the agency would succeed itself");
	put_unit(&w, "z", NULL);
	schema_put(w.dir.path, "agencies/u.json", good_unit,
		   "\"UB\"", "\"UB\", \"successor\": \"z\"");
	load_fails(&w, "agencies/u.json", "7: versions[0].successor: only the last version may");
	schema_put(w.dir.path, "agencies/u.json", good_unit, "\"UBND\"",
		   "\"012345678901234567890123456789\"");
	schema_put(w.dir.path, "results/k.json", good_kind, "{n}/K-{unit}", "{n}/KK-{unit}");
	load_fails(&w, "results/k.json", "8: versions[0].number: a number of 11 digits of agency "
		   "\"u\" would have 45 bytes; 44 are allowed");
	schema_put(w.dir.path, "agencies/u.json", good_unit, NULL, NULL);
	put_two(&w, good_kind, good_copy);
	load_fails(&w, "results/k.json",
		   "38: versions[1].copy: another than in the version before");
	/* None is another, too. */
	put_two(&w, good_copy, good_kind);
	load_fails(&w, "results/k.json",
		   "25: versions[1].copy: another than in the version before");
	tmpdir_remove(&w.dir);
}

/* ---- what another load finds changed ---- */

struct told { uint32_t n; char line[200]; };

static void tell(void *ctx, const char *line)
{
	struct told *t = ctx;

	t->n++;
	snprintf(t->line, sizeof(t->line), "%s", line);
}

static void expect_changed(const struct world *w, const struct catalogue *before, const char *line)
{
	struct catalogue *now = load(w);
	struct told t = { 0 };

	catalogue_changed(before, now, tell, &t);
	assert_int_equal(t.n, line != NULL);
	assert_string_equal(t.line, line != NULL ? line : "");
	catalogue_unref(now);
}

static void a_kinds_version_that_is_changed_is_told(void **state)
{
	struct world w;
	struct catalogue *before;
	char path[600];

	world_make(&w);
	before = load(&w);
	expect_changed(&w, before, NULL);
	schema_put(w.dir.path, "results/k.json", good_kind, "{n}/K-{unit}", "{n}/KK-{unit}");
	expect_changed(&w, before, "kind k, the version from 2026-01-01: was edited");
	schema_put(w.dir.path, "results/k.json", good_kind, "\"from\": \"2026-01-01\"",
		   "\"from\": \"2026-01-01\", \"to\": \"2027-12-31\"");
	expect_changed(&w, before, NULL);
	schema_put(w.dir.path, "results/k.json", good_kind, "\"from\": \"2026-01-01\"",
		   "\"from\": \"2026-01-02\"");
	expect_changed(&w, before, "kind k, the version from 2026-01-01: is gone");
	schema_put(w.dir.path, "signers/s.json", good_signer, "\"k\" ]", "\"c\" ]");
	schema_put(w.dir.path, "results/c.json", good_copy, NULL, NULL);
	snprintf(path, sizeof(path), "%s/results/k.json", w.dir.path);
	assert_int_equal(unlink(path), 0);
	expect_changed(&w, before, "kind k, the version from 2026-01-01: is gone");
	catalogue_unref(before);
	tmpdir_remove(&w.dir);
}

static void one_broken_file_fails_the_load(void **state)
{
	struct world w;
	struct catalogue *c;
	struct error e;

	world_make(&w);
	schema_put(w.dir.path, "results/k.json", good_kind, "{ten|upper}", "{ten|loud}");
	load_fails(&w, "results/k.json", "27: versions[0].layout[1].text: format");
	schema_put(w.dir.path, "results/other.json", good_kind, NULL, NULL);
	schema_put(w.dir.path, "results/k.json", good_kind, NULL, NULL);
	load_fails(&w, "results/other.json",
		   "2: code: is \"k\"; it must be the file's name, \"other\"");
	w.cfg.schemas = "/nowhere";
	assert_int_equal(catalogue_load(&c, &w.cfg, &e), ST_NOT_FOUND);
	tmpdir_remove(&w.dir);
}

static void a_kind_is_tried_out_in_place_of_its_old_self(void **state)
{
	struct world w;
	struct catalogue *c;
	char path[600];

	world_make(&w);
	schema_put(w.dir.path, "draft.json", good_kind, "Paper", "Draft");
	schema_put(w.dir.path, "results/j.json", good_kind, "\"code\": \"k\"", "\"code\": \"j\"");
	snprintf(path, sizeof(path), "%s/draft.json", w.dir.path);
	w.cfg.kind_file = path;
	c = load(&w);
	assert_string_equal(catalogue_kind_at(c, 0)->name_en, "Draft");
	assert_string_equal(catalogue_kind_at(c, 1)->code, "j");
	assert_null(catalogue_kind_at(c, 2));
	assert_ptr_equal(catalogue_kind(c, slice_str("k"), 20260101), catalogue_kind_at(c, 0));
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

static void the_shipped_folder_loads(void **state)
{
	struct world w;
	struct catalogue *c;
	const struct kind *k;
	struct pins p;
	struct found f;
	struct error e;

	world_make(&w);
	w.cfg.schemas = SOURCE_DIR "/schemas";
	c = load(&w);
	memcpy(p.unit, catalogue_unit_at(c, 0)->pin, PIN_BYTES);
	memcpy(p.signer, catalogue_signer_at(c, 0)->pin, PIN_BYTES);
	for (uint32_t i = 0; (k = catalogue_kind_at(c, i)) != NULL; i++) {
		memcpy(p.kind, k->pin, PIN_BYTES);
		assert_int_equal(find(c, &p, &f, &e), ST_OK);
		assert_ptr_equal(f.k, k);
		assert_ptr_equal(catalogue_kind(c, slice_str(k->code), k->effective_from), k);
	}
	catalogue_unref(c);

	/* The same again from the archive alone. */
	w.cfg.schemas = w.dir.path;
	c = load(&w);
	assert_int_equal(find(c, &p, &f, &e), ST_OK);
	assert_memory_equal(f.k->pin, p.kind, PIN_BYTES);
	catalogue_unref(c);
	tmpdir_remove(&w.dir);
}

static void references_keep_a_snapshot(void **state)
{
	struct world w;
	struct catalogue *c;

	world_make(&w);
	c = load(&w);
	assert_ptr_equal(catalogue_ref(c), c);
	catalogue_unref(c);
	assert_non_null(catalogue_kind_at(c, 0));
	catalogue_unref(c);
	catalogue_unref(NULL);
	tmpdir_remove(&w.dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_what_the_file_says),
		cmocka_unit_test(fields_are_found_by_name),
		cmocka_unit_test(public_follows_from_the_layout),
		cmocka_unit_test(versions_hold_from_first_to_last_day),
		cmocka_unit_test(a_kind_is_found_within_days),
		cmocka_unit_test(pins_are_the_hash_of_the_archived_file),
		cmocka_unit_test(pins_name_content),
		cmocka_unit_test(pinned_versions_outlive_their_files),
		cmocka_unit_test(a_damaged_archive_is_never_served),
		cmocka_unit_test(a_damaged_picture_is_never_served),
		cmocka_unit_test(approval_of_a_kind),
		cmocka_unit_test(workers_find_pinned_versions_together),
		cmocka_unit_test(successors_reach_over_any_step),
		cmocka_unit_test(a_successor_takes_over_on_its_day),
		cmocka_unit_test(references_between_files_are_checked),
		cmocka_unit_test(a_kinds_version_that_is_changed_is_told),
		cmocka_unit_test(one_broken_file_fails_the_load),
		cmocka_unit_test(a_kind_is_tried_out_in_place_of_its_old_self),
		cmocka_unit_test(the_shipped_folder_loads),
		cmocka_unit_test(references_keep_a_snapshot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
