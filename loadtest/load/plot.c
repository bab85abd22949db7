#include "load/plot.h"

#include <math.h>

#define WIDE 760
#define HIGH 300
#define LEFT 66
#define RIGHT 24
#define TOP 50
#define BOTTOM 40
#define LOG_LEAST 0.1			/* what a logarithmic axis begins with at the least */

static const char *const colours[PLOT_LINES_MAX] = {
	"#0b6e99", "#c8501e", "#3a8f3a", "#8a4fa3", "#b8860b", "#5b6770", "#c2185b", "#00796b",
};

struct axis { double from, to; };

static double scaled_x(const struct plot *p, double x)
{
	return p->nines ? -log10(fmax(1 - x, 1e-6)) : x;
}

static double scaled_y(const struct plot *p, double y)
{
	return p->log_y ? log10(fmax(y, LOG_LEAST)) : y;
}

static void find_axes(const struct plot *p, struct axis *x, struct axis *y)
{
	*x = (struct axis){ p->nines ? 0 : INFINITY, -INFINITY };
	*y = (struct axis){ p->log_y ? INFINITY : 0, -INFINITY };
	for (uint32_t i = 0; i < p->lines_n; i++) {
		const struct plot_line *l = &p->lines[i];

		for (uint32_t k = 0; k < l->n; k++) {
			x->from = fmin(x->from, scaled_x(p, l->x[k]));
			x->to = fmax(x->to, scaled_x(p, l->x[k]));
			y->from = fmin(y->from, scaled_y(p, l->y[k]));
			y->to = fmax(y->to, scaled_y(p, l->y[k]));
		}
	}
	if (!(x->to > x->from))
		x->to = x->from + 1;
	if (p->log_y) {
		y->from = floor(y->from);
		y->to = ceil(y->to);
	}
	if (!(y->to > y->from))
		y->to = y->from + 1;
	else if (!p->log_y)
		y->to *= 1.05;
}

static double at_x(const struct axis *a, double v)
{
	return LEFT + (v - a->from) / (a->to - a->from) * (WIDE - LEFT - RIGHT);
}

static double at_y(const struct axis *a, double v)
{
	return HIGH - BOTTOM - (v - a->from) / (a->to - a->from) * (HIGH - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, for about five of them. */
static double step_of(double range)
{
	double raw = range / 5, power = pow(10, floor(log10(raw))), m = raw / power;

	return power * (m <= 1 ? 1 : m <= 2 ? 2 : m <= 5 ? 5 : 10);
}

/* SI thousands, so that an axis stays narrow. */
static void number(char out[32], double v)
{
	if (fabs(v) >= 1e6)
		snprintf(out, 32, "%gM", v / 1e6);
	else if (fabs(v) >= 1e4)
		snprintf(out, 32, "%gk", v / 1e3);
	else
		snprintf(out, 32, "%g", v);
}

static void x_tick(FILE *f, const struct axis *x, double v, const char *text)
{
	fprintf(f, "<path class=\"g\" d=\"M%.1f %dV%d\"/><text x=\"%.1f\" y=\"%d\" "
		"text-anchor=\"middle\">%s</text>\n", at_x(x, v), TOP, HIGH - BOTTOM, at_x(x, v),
		HIGH - BOTTOM + 16, text);
}

static void y_tick(FILE *f, const struct axis *y, double v, const char *text)
{
	fprintf(f, "<path class=\"g\" d=\"M%d %.1fH%d\"/><text x=\"%d\" y=\"%.1f\" "
		"text-anchor=\"end\">%s</text>\n", LEFT, at_y(y, v), WIDE - RIGHT, LEFT - 6,
		at_y(y, v) + 4, text);
}

static void write_axes(const struct plot *p, const struct axis *x, const struct axis *y, FILE *f)
{
	static const struct { double share; const char *text; } nines[] = {
		{ 0, "0" }, { 0.5, "50 %" }, { 0.9, "90 %" }, { 0.99, "99 %" }, { 0.999, "99.9 %" },
		{ 0.9999, "99.99 %" }, { 0.99999, "99.999 %" },
	};
	double step = step_of(y->to - y->from);
	char text[32];

	for (size_t i = 0; p->nines && i < sizeof(nines) / sizeof(nines[0]); i++)
		if (scaled_x(p, nines[i].share) <= x->to + 1e-9)
			x_tick(f, x, scaled_x(p, nines[i].share), nines[i].text);
	for (double s = step_of(x->to - x->from), v = ceil(x->from / s) * s;
	     !p->nines && v <= x->to + s * 1e-6; v += s) {
		number(text, fabs(v) < s * 1e-6 ? 0 : v);
		x_tick(f, x, v, text);
	}
	if (p->log_y)
		step = 1;
	for (double v = ceil(y->from / step) * step; v <= y->to + step * 1e-6; v += step) {
		number(text, p->log_y ? pow(10, v) : fabs(v) < step * 1e-6 ? 0 : v);
		y_tick(f, y, v, text);
	}
	fprintf(f, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", WIDE - RIGHT,
		HIGH - 6, p->x_name);
	fprintf(f, "<text x=\"%d\" y=\"%d\">%s</text>\n", LEFT, TOP - 6, p->y_name);
}

void plot_write(const struct plot *p, FILE *f)
{
	struct axis x, y;
	uint32_t legend_at = LEFT + 110;

	find_axes(p, &x, &y);
	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" "
		"aria-label=\"%s\">\n<style>text{font:12px sans-serif;fill:#444}.t{font:600 14px "
		"sans-serif;fill:#111}.g{stroke:#ddd;fill:none}.l{fill:none;stroke-width:1.6}"
		"</style>\n<rect width=\"%d\" height=\"%d\" fill=\"#fff\"/>\n"
		"<text class=\"t\" x=\"%d\" y=\"20\">%s</text>\n", WIDE, HIGH, p->title, WIDE, HIGH,
		LEFT, p->title);
	if (isfinite(x.from) && isfinite(y.to))
		write_axes(p, &x, &y, f);
	for (uint32_t i = 0; i < p->lines_n; i++) {
		const struct plot_line *l = &p->lines[i];

		if (l->n == 0)
			continue;
		fprintf(f, "<polyline class=\"l\" stroke=\"%s\" points=\"", colours[i]);
		for (uint32_t k = 0; k < l->n; k++)
			fprintf(f, "%s%.1f,%.1f", k > 0 ? " " : "", at_x(&x, scaled_x(p, l->x[k])),
				at_y(&y, scaled_y(p, l->y[k])));
		fprintf(f, "\"/>\n<rect x=\"%u\" y=\"%d\" width=\"14\" height=\"3\" fill=\"%s\"/>"
			"<text x=\"%u\" y=\"%d\">%s</text>\n", legend_at, TOP - 12, colours[i],
			legend_at + 18, TOP - 6, l->name);
		for (const char *c = l->name; *c != '\0'; c++)
			legend_at += (*c & 0xc0) != 0x80 ? 7 : 0;
		legend_at += 36;
	}
	fputs("</svg>\n", f);
}
