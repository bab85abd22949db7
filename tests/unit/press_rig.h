/*
 * press_rig.h - a renderer with its fonts and one worker's press, for tests that lay out a leaf.
 */
#ifndef TESTS_PRESS_RIG_H
#define TESTS_PRESS_RIG_H

#include <stdlib.h>

#include "leaf.h"
#include "render/press.h"

struct bench {
	struct render *render;
	struct press *press;
	struct arena arena;
	struct leaf leaf;		/* the test's to open and close */
};

/* Setup and teardown, of a test or a group: *state is the bench. */
static int bench_open(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return -1;
	*state = b;
	b->render = leaf_render(true);
	return b->render != NULL && press_new(&b->press, b->render) == ST_OK &&
	       arena_init(&b->arena, 8u << 20) == ST_OK ? 0 : -1;
}

static int bench_close(void **state)
{
	struct bench *b = *state;

	press_free(b->press);
	render_close(b->render);
	arena_free(&b->arena);
	free(b);
	return 0;
}

#endif
