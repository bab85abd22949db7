#include "catalogue/image.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"

#define PATH_BYTES_MAX 4096

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Space and comments, then a number of 1 to IMAGE_SIDE_MAX; 0: there is none. */
static uint32_t header_number(struct reader *r)
{
	uint32_t n = 0;

	while (r->p < r->end && (is_space(*r->p) || *r->p == '#')) {
		if (*r->p == '#')
			while (r->p < r->end && *r->p != '\n')
				r->p++;
		else
			r->p++;
	}
	while (r->p < r->end && *r->p >= '0' && *r->p <= '9' && n <= IMAGE_SIDE_MAX)
		n = n * 10 + (uint32_t)(*r->p++ - '0');
	return n <= IMAGE_SIDE_MAX ? n : 0;
}

const char *image_parse(struct slice file, uint32_t *width, uint32_t *height,
			const uint8_t **bits)
{
	struct reader r = reader_of(file);
	struct slice magic = read_bytes(&r, 2);

	if (!slice_eq(magic, slice_str("P4")))
		return "not a PBM file of type P4";
	*width = header_number(&r);
	*height = header_number(&r);
	if (*width == 0 || *height == 0 || !is_space(read_u8(&r)))
		return "its width and height must be 1 to 4000 pixels";
	if (reader_left(&r) != (size_t)((*width + 7) / 8) * *height)
		return "its size does not match its width and height";
	*bits = r.p;
	return NULL;
}

/* A name, no path: what a file refers to lies beside it. */
static const char *read_name(struct form *f, const json_t *obj)
{
	const char *name = form_text(f, obj, "image", FORM_REQUIRED | FORM_ASCII, 120);

	if (name != NULL && (name[0] == '.' || strchr(name, '/') != NULL)) {
		form_fail(f, "image", "must be the name of a file in the same folder");
		return NULL;
	}
	return name;
}

static void load(struct form *f, const char *path, bool optional, struct picture *out)
{
	struct error e = { 0 };
	uint8_t *bytes, *copy;
	const char *wrong;
	size_t n;
	enum status st = file_read(path, IMAGE_BYTES_MAX, &bytes, &n, &e);

	if (st == ST_NOT_FOUND && optional)
		return;
	if (st != ST_OK) {
		form_fail(f, "image", "%s%s", e.text,
			  st == ST_NOT_FOUND ? "; \"optional\": true lets it be missing" : "");
		return;
	}
	copy = form_take(f, n + 1);
	if (copy != NULL) {
		memcpy(copy, bytes, n);
		out->file = slice_of(copy, n);
		sha256_once(copy, n, out->sha256);
		wrong = image_parse(out->file, &out->image.width, &out->image.height,
				    &out->image.bits);
		if (wrong != NULL)
			form_fail(f, "image", "%s: %s", path, wrong);
	}
	free(bytes);
}

void image_read(struct form *f, const json_t *obj, const char *key, const char *dir,
		struct picture *out)
{
	static const char *const keys[] = { "image", "width_mm", "height_mm", "optional", NULL };
	const json_t *v = form_object(f, obj, key, 0);
	char path[PATH_BYTES_MAX];
	const char *name;

	*out = (struct picture){ 0 };
	if (v == NULL)
		return;
	form_enter(f, key);
	if (form_keys(f, v, keys)) {
		bool optional = form_bool(f, v, "optional", false);

		name = read_name(f, v);
		out->image.width_mm10 = form_tenths(f, v, "width_mm", 0, 10, 1000);
		out->image.height_mm10 = form_tenths(f, v, "height_mm", 0, 10, 1000);
		if (out->image.width_mm10 == 0 || out->image.height_mm10 == 0)
			form_fail(f, NULL, "\"width_mm\" and \"height_mm\" are required");
		if (f->status == ST_OK &&
		    snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
			form_fail(f, "image", "the path is too long");
		if (f->status == ST_OK) {
			out->image.path = pool_text(f->pool, path, strlen(path));
			load(f, path, optional, out);
		}
	}
	form_leave(f);
}
