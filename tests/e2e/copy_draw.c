/*
 * copy_draw final|draft|preview KIND FILE OUT.pdf - a copy of FILE as it would be drawn, unsigned
 * or with empty signatures: pages for test_copy_pages.py and for whoever wants to look at them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "copyrig.h"
#include "foreign/look.h"
#include "io/file.h"
#include "leaf.h"

#define ARENA_BYTES (16u << 20)

struct drawing {
	struct copyrig rig;
	struct render *render;
	struct press *press;
	struct arena arena;
	uint8_t *file;
	size_t size;
	struct error e;
};

/* Only where someone answers for it the pages bear no mark. */
static enum status draw(struct drawing *d, const char *how)
{
	enum status st = ST_OK;

	d->render = leaf_render(strcmp(how, "final") != 0);
	if (d->render == NULL || press_new(&d->press, d->render) != ST_OK)
		return ST_NOMEM;
	if (strcmp(how, "preview") == 0)
		return render_preview(d->render, &d->rig.item, &d->file, &d->size, &d->e);
	if (strcmp(how, "draft") == 0) {
		st = render_unsigned(d->render, d->press, &d->rig.item, &d->arena, &d->e);
	} else {
		copyrig_plan(&d->rig, 4000);
		st = copyrig_press(&d->rig, d->render, d->press, &d->arena);
	}
	if (st == ST_OK)
		d->file = copyrig_file(&d->rig, &d->size);
	render_release(d->render, d->rig.item.template);
	return st;
}

int main(int argc, char **argv)
{
	static struct drawing d;
	struct original original = { 0 };
	struct detail why = { "" };
	uint8_t *bytes;
	size_t n;
	enum status st;
	enum reason no;

	if (argc != 5 || arena_init(&d.arena, ARENA_BYTES) != ST_OK ||
	    file_read(argv[3], ORIGINAL_BYTES_MAX, &bytes, &n, &d.e) != ST_OK) {
		fprintf(stderr, "copy_draw final|draft|preview KIND FILE OUT.pdf\n%s\n", d.e.text);
		return 2;
	}
	no = look_at(slice_of(bytes, n), strcmp(argv[2], COPYRIG_REGISTER) == 0, &d.arena,
		     &original, &why);
	if (no != REASON_NONE) {
		fprintf(stderr, "%s: %s\n", reason_text(no)->name, why.text);
		return 1;
	}
	copyrig_open(&d.rig, argv[2], strcmp(argv[1], "preview") != 0 ? &original : NULL,
		     slice_of(bytes, n));
	st = draw(&d, argv[1]);
	if (st == ST_OK)
		st = file_replace(argv[4], slice_of(d.file, d.size), 0644, &d.e);
	if (st != ST_OK)
		fprintf(stderr, "%s: %s\n", status_name(st), d.e.text);
	free(d.file);
	free(bytes);
	press_free(d.press);
	render_close(d.render);
	copyrig_close(&d.rig);
	arena_free(&d.arena);
	return st == ST_OK ? 0 : 1;
}
