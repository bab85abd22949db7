/*
 * copies_bench [--json FILE] [--most US] [--share OF_HASH] - a copy's own cost in the press: laying
 * out and assembling the file, and apart from it the hash of its section, done once a document.
 *
 * Assembly is what a reader of the store does once more: prefix, runs of the original and tail,
 * copied one behind the other. Medians over turns, in CPU time of one thread. With --most it fails
 * where the first two together take more than so many µs for a page of 300 KB; they may take 200.
 * With --share, more than that of the hash: the same whatever core it is.
 */
#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "copyrig.h"
#include "leaf.h"

#define TURNS 41
#define ROUNDS 16			/* of one turn */
#define PAGES_MAX 10
#define ARENA_BYTES (1u << 20)

static const struct { const char *name; uint8_t format; uint16_t pages; uint32_t page_bytes; }
rows[] = {
	{ "jpeg_300k", ORIGINAL_JPEG, 1, 300 * 1024 },
	{ "pdf_3m_10_pages", ORIGINAL_PDF, PAGES_MAX, 300 * 1024 },
};

struct bench {
	struct render *render;
	struct press *press;
	struct arena arena;
	struct copyrig rig;
	struct original_image images[PAGES_MAX];
	struct original_run runs[PAGES_MAX];
	struct sha256 *hash;
	uint8_t *object, *file;
};

struct figures { double render_us, assembly_us, hash_us; uint32_t file_bytes; };

static double cpu_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double median(double *v)
{
	qsort(v, TURNS, sizeof(*v), by_value);
	return v[TURNS / 2];
}

/* Samples are never looked at: any bytes will do. */
static void make_original(struct bench *b, struct original *o, size_t row)
{
	size_t n = (size_t)rows[row].pages * rows[row].page_bytes;

	b->object = malloc(n);
	assert(b->object != NULL);
	for (size_t i = 0; i < n; i++)
		b->object[i] = (uint8_t)(i * 2654435761u >> 13);
	for (uint16_t i = 0; i < rows[row].pages; i++) {
		b->runs[i] = (struct original_run){ i * rows[row].page_bytes,
						    rows[row].page_bytes };
		b->images[i] = (struct original_image){
			.width = 1240, .height = 1754, .coding = IMAGE_JPEG, .components = 3,
			.bits = 8, .orientation = 6, .page_width = 59528, .page_height = 84189,
			.shown_width = 59528, .shown_height = 84189, .runs_n = 1,
			.runs = &b->runs[i] };
	}
	*o = (struct original){ .format = rows[row].format, .pages = rows[row].pages,
				.images_n = rows[row].pages, .images = b->images };
	copyrig_open(&b->rig, COPYRIG_CERTIFIED, o, slice_of(b->object, n));
	copyrig_plan(&b->rig, 4000);
}

static void lay_out(struct bench *b)
{
	enum status st;

	arena_reset(&b->arena);
	st = copyrig_press(&b->rig, b->render, b->press, &b->arena);
	assert(st == ST_OK);
	render_release(b->render, b->rig.item.template);
}

static void measure(struct bench *b, struct figures *f)
{
	double render[TURNS], assembly[TURNS], hash[TURNS];
	uint8_t digest[SHA256_BYTES];

	lay_out(b);
	f->file_bytes = b->rig.item.doc.file_size;
	b->file = malloc(f->file_bytes);
	assert(b->file != NULL);
	memset(b->file, 0, f->file_bytes);
	for (int t = 0; t < TURNS; t++) {
		double at = cpu_us();

		for (int i = 0; i < ROUNDS; i++)
			lay_out(b);
		render[t] = (cpu_us() - at) / ROUNDS;
		at = cpu_us();
		for (int i = 0; i < ROUNDS; i++)
			copyrig_splice(&b->rig, b->file);
		assembly[t] = (cpu_us() - at) / ROUNDS;
		at = cpu_us();
		sha256_start(b->hash);
		copyrig_hash(&b->rig, b->hash);
		sha256_end(b->hash, digest);
		hash[t] = cpu_us() - at;
	}
	f->render_us = median(render);
	f->assembly_us = median(assembly);
	f->hash_us = median(hash);
}

static void report(FILE *out, size_t row, const struct figures *f)
{
	bool last = row + 1 == ARRAY_LEN(rows);

	printf("%-16s %9u %10.1f %10.1f %10.1f\n", rows[row].name, f->file_bytes, f->render_us,
	       f->assembly_us, f->hash_us);
	if (out == NULL)
		return;
	fprintf(out, "  \"copies.%s.render_us\": %.2f,\n  \"copies.%s.assembly_us\": %.2f,\n"
		"  \"copies.%s.hash_us\": %.2f,\n  \"copies.%s.file_bytes\": %u%s\n",
		rows[row].name, f->render_us, rows[row].name, f->assembly_us, rows[row].name,
		f->hash_us, rows[row].name, f->file_bytes, last ? "" : ",");
}

struct options { const char *json; double most_us, share; };

static bool options_read(struct options *o, int argc, char **argv)
{
	*o = (struct options){ .most_us = INFINITY, .share = INFINITY };
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--json") == 0)
			o->json = argv[i + 1];
		else if (strcmp(argv[i], "--most") == 0)
			o->most_us = strtod(argv[i + 1], NULL);
		else if (strcmp(argv[i], "--share") == 0)
			o->share = strtod(argv[i + 1], NULL);
		else
			return false;
	}
	return argc % 2 == 1;
}

static bool is_kept(const struct figures *f, const struct options *o)
{
	double us = f->render_us + f->assembly_us;

	return us <= o->most_us && us <= o->share * f->hash_us;
}

int main(int argc, char **argv)
{
	static struct bench b;
	struct options o;
	bool good = options_read(&o, argc, argv), kept = true;
	FILE *out = good && o.json != NULL ? fopen(o.json, "w") : NULL;

	b.render = leaf_render(false);
	b.hash = sha256_new();
	if (!good || (o.json != NULL && out == NULL) || b.render == NULL || b.hash == NULL ||
	    press_new(&b.press, b.render) != ST_OK || arena_init(&b.arena, ARENA_BYTES) != ST_OK) {
		fprintf(stderr, "copies_bench [--json FILE] [--most US] [--share OF_HASH]\n");
		return 2;
	}
	if (out != NULL)
		fprintf(out, "{\n");
	printf("original              file B  render µs  assemb. µs   hash µs\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct original original;
		struct figures f;

		make_original(&b, &original, i);
		measure(&b, &f);
		report(out, i, &f);
		/* The first one is the page that is bounded. */
		kept = kept && (i > 0 || is_kept(&f, &o));
		copyrig_close(&b.rig);
		free(b.object);
		free(b.file);
	}
	if (out != NULL) {
		fprintf(out, "}\n");
		fclose(out);
	}
	sha256_free(b.hash);
	press_free(b.press);
	render_close(b.render);
	arena_free(&b.arena);
	if (!kept)
		fprintf(stderr, "copies_bench: a page takes longer to render and assemble than it "
			"may: %.0f µs, %.2f of what its file's hash takes\n", o.most_us, o.share);
	return kept ? 0 : 1;
}
