/*
 * plot.h - lines as SVG: axes, grid, legend, nothing from outside.
 */
#ifndef LOAD_PLOT_H
#define LOAD_PLOT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PLOT_LINES_MAX 8

struct plot_line { const char *name; const double *x, *y; uint32_t n; };

struct plot {
	const char *title, *x_name, *y_name;
	bool nines;			/* x: a share, drawn as 50 %, 90 %, 99 %, 99.9 % … */
	bool log_y;
	struct plot_line lines[PLOT_LINES_MAX];
	uint32_t lines_n;
};

/* Lines without points are left out. */
void plot_write(const struct plot *p, FILE *f);

#endif
