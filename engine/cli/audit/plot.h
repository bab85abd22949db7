/*
 * plot.h - bars and rates as inline SVG, for a page that needs nothing else. Inside cli/audit/
 * only.
 */
#ifndef TRIEN_CLI_AUDIT_PLOT_H
#define TRIEN_CLI_AUDIT_PLOT_H

#include <stdint.h>
#include <stdio.h>

#define PLOT_BARS_MAX 62
#define PLOT_PARTS_MAX 3		/* of a bar, one on the other */

struct plot_bar { char label[48]; uint64_t parts[PLOT_PARTS_MAX]; };

/* What is not text of ours. */
void html_text(FILE *out, const char *text);
/* Upright, from the left; bars of one scale. about: read out instead of the picture. */
void plot_bars(FILE *out, const char *about, const struct plot_bar *bars, uint32_t n);
/* Lying, a line each with its number behind it. */
void plot_lines(FILE *out, const char *about, const struct plot_bar *bars, uint32_t n);
/* 0 to 100 % of parts[0] of parts[0] + parts[1]; a bar without any is left out. */
void plot_rates(FILE *out, const char *about, const struct plot_bar *bars, uint32_t n);

#endif
