#include "catalogue/demo.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/hash.h"
#include "io/file.h"

#define DPI 600
#define DOTS 30				/* places between the rings of a seal, 12 degrees apart */
#define HUMPS_MIN 4			/* of a squiggle */
#define HUMPS_MAX 12

/* All drawing is in integers, so that every machine draws the same bytes. */
struct canvas { int32_t width, height; uint32_t row; uint8_t *bits; };
struct point { int32_t x, y; };

static void paint(struct canvas *c, int32_t x, int32_t y)
{
	if (x >= 0 && y >= 0 && x < c->width && y < c->height)
		c->bits[(uint32_t)y * c->row + (uint32_t)x / 8] |= (uint8_t)(0x80 >> (x & 7));
}

static void disc(struct canvas *c, struct point at, int32_t r)
{
	for (int32_t y = -r; y <= r; y++)
		for (int32_t x = -r; x <= r; x++)
			if (x * x + y * y <= r * r)
				paint(c, at.x + x, at.y + y);
}

static void ring(struct canvas *c, struct point at, int32_t from, int32_t to)
{
	for (int32_t y = -to; y <= to; y++)
		for (int32_t x = -to; x <= to; x++)
			if (x * x + y * y <= to * to && x * x + y * y >= from * from)
				paint(c, at.x + x, at.y + y);
}

/* The point at r from the centre, step × 6 degrees clockwise from the top. */
static struct point on_circle(struct point centre, int32_t r, uint32_t step)
{
	static const int32_t sine[16] = { 0, 10453, 20791, 30902, 40674, 50000, 58779, 66913, 74314,
					  80902, 86603, 91355, 95106, 97815, 99452, 100000 };
	uint32_t in = step % 15, quarter = step / 15 % 4;
	int32_t near = (int32_t)((int64_t)r * sine[in] / 100000);
	int32_t far = (int32_t)((int64_t)r * sine[15 - in] / 100000);
	const struct point turned[4] = { { near, -far }, { far, near }, { -near, far },
					 { -far, -near } };

	return (struct point){ centre.x + turned[quarter].x, centre.y + turned[quarter].y };
}

/* Five points; a pixel is inside when an odd number of edges lies to its right. */
static void star(struct canvas *c, struct point centre, int32_t r)
{
	struct point v[10];

	for (uint32_t i = 0; i < 10; i++)
		v[i] = on_circle(centre, i % 2 == 0 ? r : r * 382 / 1000, 6 * i);
	for (int32_t y = centre.y - r; y <= centre.y + r; y++) {
		for (int32_t x = centre.x - r; x <= centre.x + r; x++) {
			bool inside = false;

			for (uint32_t i = 0; i < 10; i++) {
				struct point a = v[i], b = v[(i + 1) % 10];
				int64_t side;

				if ((a.y > y) == (b.y > y))
					continue;
				side = (int64_t)(b.x - a.x) * (y - a.y) -
					(int64_t)(x - a.x) * (b.y - a.y);
				inside ^= b.y > a.y ? side > 0 : side < 0;
			}
			if (inside)
				paint(c, x, y);
		}
	}
}

static void draw_seal(struct canvas *c, const uint8_t seed[SHA256_BYTES])
{
	struct point centre = { c->width / 2, c->height / 2 };
	int32_t r = (c->width < c->height ? c->width : c->height) / 2 - 1;

	ring(c, centre, r * 95 / 100, r);
	ring(c, centre, r * 66 / 100, r * 68 / 100);
	star(c, centre, r * 52 / 100);
	for (uint32_t i = 0; i < DOTS; i++)
		disc(c, on_circle(centre, r * 81 / 100, 2 * i),
		     r * (seed[i / 8] >> i % 8 & 1 ? 6 : 2) / 100);
}

static struct point middle(struct point a, struct point b)
{
	return (struct point){ (a.x + b.x) / 2, (a.y + b.y) / 2 };
}

/* A quadratic curve in steps shorter than the pen is wide. */
static void curve(struct canvas *c, struct point from, struct point over, struct point to,
		  int32_t pen)
{
	const int32_t steps = 256;

	for (int32_t t = 0; t <= steps; t++) {
		int64_t a = (int64_t)(steps - t) * (steps - t), b = 2LL * t * (steps - t);
		int64_t d = (int64_t)t * t, all = (int64_t)steps * steps;
		struct point at = { (int32_t)((a * from.x + b * over.x + d * to.x) / all),
				    (int32_t)((a * from.y + b * over.y + d * to.y) / all) };

		disc(c, at, pen);
	}
}

/* Hands that nobody takes for one another: of how many strokes, how high, how they end. */
static void draw_hand(struct canvas *c, const uint8_t seed[SHA256_BYTES])
{
	int32_t humps = HUMPS_MIN + seed[30] % (HUMPS_MAX - HUMPS_MIN + 1);
	int32_t pen = c->height / 90 + 1, step = c->width / (humps + 3);
	struct point p[HUMPS_MAX + 1], last;

	for (int32_t i = 0; i <= humps; i++) {
		int32_t swing = c->height * (10 + seed[2 * i] % 28) / 100;

		p[i].x = step * (i + 1) + step * (seed[2 * i + 1] % 160 - 60) / 100;
		p[i].y = c->height * 48 / 100 + (i % 2 == 0 ? swing : -swing);
	}
	for (int32_t i = 1; i < humps; i++)
		curve(c, middle(p[i - 1], p[i]), p[i], middle(p[i], p[i + 1]), pen);
	last = middle(p[humps - 1], p[humps]);
	/* The last stroke runs back under the name, or on over it. */
	if (seed[29] % 2 == 0)
		curve(c, last, (struct point){ c->width * 98 / 100, c->height * 96 / 100 },
		      (struct point){ c->width * (20 + seed[31] % 20) / 100,
				      c->height * 88 / 100 }, pen);
	else
		curve(c, last, (struct point){ c->width * 92 / 100, c->height * 80 / 100 },
		      (struct point){ c->width * 97 / 100, c->height * (6 + seed[31] % 20) / 100 },
		      pen);
}

static enum status draw(const char *path, const char *code, bool seal, uint32_t width_mm10,
			uint32_t height_mm10, struct error *e)
{
	struct canvas c = { .width = (int32_t)(width_mm10 * DPI / 254),
			    .height = (int32_t)(height_mm10 * DPI / 254) };
	uint8_t seed[SHA256_BYTES], *file;
	size_t head, size;
	enum status st;

	c.row = (uint32_t)(c.width + 7) / 8;
	size = 32 + (size_t)c.row * (size_t)c.height;
	file = calloc(1, size);
	if (file == NULL)
		return error_set(e, ST_NOMEM, "%s: memory is short", path);
	head = (size_t)snprintf((char *)file, 32, "P4\n%d %d\n", c.width, c.height);
	c.bits = file + head;
	memset(c.bits, 0, size - head);
	sha256_once(code, strlen(code), seed);
	if (seal)
		draw_seal(&c, seed);
	else
		draw_hand(&c, seed);
	st = file_replace(path, slice_of(file, head + (size_t)c.row * (size_t)c.height), 0644, e);
	free(file);
	return st;
}

/* ---- which are missing; what is wrong with a file is told when it is loaded ---- */

static enum status draw_version(const char *dir, const char *code, const json_t *picture, bool seal,
				struct error *e)
{
	const char *name = json_string_value(json_object_get(picture, "image"));
	double width = 10 * json_number_value(json_object_get(picture, "width_mm"));
	double height = 10 * json_number_value(json_object_get(picture, "height_mm"));
	char path[PATH_MAX];

	if (name == NULL || name[0] == '.' || strchr(name, '/') != NULL || width < 10 ||
	    width > 1000 || height < 10 || height > 1000)
		return ST_OK;
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path) ||
	    access(path, F_OK) == 0)
		return ST_OK;
	return draw(path, code, seal, (uint32_t)(width + 0.5), (uint32_t)(height + 0.5), e);
}

static enum status draw_file(const char *dir, const char *name, bool seal, struct error *e)
{
	char path[PATH_MAX];
	enum status st = ST_OK;
	const char *key = seal ? "seal" : "hand", *code;
	json_t *root, *version;
	size_t i;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return error_set(e, ST_INVALID, "%s: the path is too long", dir);
	root = json_load_file(path, 0, NULL);
	code = json_string_value(json_object_get(root, "code"));
	json_array_foreach(json_object_get(root, "versions"), i, version) {
		const json_t *picture = json_object_get(version, key);

		if (code != NULL && st == ST_OK)
			st = draw_version(dir, code, picture, seal, e);
	}
	json_decref(root);
	return st;
}

static int is_json(const struct dirent *d)
{
	size_t n = strlen(d->d_name);

	return d->d_name[0] != '.' && n > 5 && strcmp(d->d_name + n - 5, ".json") == 0;
}

static enum status draw_folder(const char *schemas, const char *folder, bool seal, struct error *e)
{
	char dir[PATH_MAX];
	struct dirent **names;
	enum status st = ST_OK;
	int n;

	snprintf(dir, sizeof(dir), "%s/%s", schemas, folder);
	n = scandir(dir, &names, is_json, alphasort);
	if (n < 0)
		return error_set(e, ST_IO, "%s: cannot read the folder: %s", dir,
				 strerrordesc_np(errno));
	for (int i = 0; i < n; i++) {
		if (st == ST_OK)
			st = draw_file(dir, names[i]->d_name, seal, e);
		free(names[i]);
	}
	free(names);
	return st;
}

enum status catalogue_demo_images(const char *dir, struct error *e)
{
	enum status st = draw_folder(dir, "agencies", true, e);

	return st == ST_OK ? draw_folder(dir, "signers", false, e) : st;
}
