#include "cli/audit/plot.h"

#include <inttypes.h>
#include <string.h>

#include "base/status.h"
#include "cli/progress.h"

#define WIDE 720
#define HIGH 200
#define LEFT 64
#define BOTTOM 44
#define LINE_HIGH 22
#define LINE_LEFT 260

void html_text(FILE *out, const char *text)
{
	for (const char *c = text; *c != '\0'; c++) {
		if (*c == '<')
			fputs("&lt;", out);
		else if (*c == '>')
			fputs("&gt;", out);
		else if (*c == '&')
			fputs("&amp;", out);
		else if (*c == '"')
			fputs("&quot;", out);
		else
			fputc(*c, out);
	}
}

static void begin(FILE *out, const char *about, unsigned high)
{
	fprintf(out, "<svg viewBox=\"0 0 %d %u\" role=\"img\" aria-label=\"", WIDE, high);
	html_text(out, about);
	fputs("\">\n", out);
}

static uint64_t sum_of(const struct plot_bar *b)
{
	uint64_t sum = 0;

	for (int i = 0; i < PLOT_PARTS_MAX; i++)
		sum += b->parts[i];
	return sum;
}

static uint64_t highest_of(const struct plot_bar *bars, uint32_t n)
{
	uint64_t most = 1;

	for (uint32_t i = 0; i < n; i++)
		if (sum_of(&bars[i]) > most)
			most = sum_of(&bars[i]);
	return most;
}

/* Four lines across, and what they stand for. */
static void scale(FILE *out, uint64_t most, const char *unit)
{
	for (unsigned i = 0; i <= 4; i++) {
		double y = 10 + (HIGH - BOTTOM - 10) * (4 - i) / 4.0;
		char number[COUNT_TEXT_BYTES];

		fprintf(out, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
			"<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s%s</text>\n", LEFT, WIDE,
			y, y, LEFT - 6, y + 4, count_text(number, most * i / 4), unit);
	}
}

static void label(FILE *out, const struct plot_bar *b, double x)
{
	fprintf(out, "<text transform=\"translate(%.1f %d) rotate(-40)\" text-anchor=\"end\">", x,
		HIGH - BOTTOM + 12);
	html_text(out, b->label);
	fputs("</text>\n", out);
}

/* Not so many names that they lie on each other. */
static bool is_named(uint32_t i, uint32_t n)
{
	return n <= 16 || i % (n / 12 + 1) == 0;
}

static void bar(FILE *out, double x, double y, double w, double h, int part, const char *name,
		uint64_t value)
{
	fprintf(out, "<rect class=\"p%d\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\">"
		"<title>", part, x, y, w, h);
	html_text(out, name);
	fprintf(out, ": %" PRIu64 "</title></rect>\n", value);
}

void plot_bars(FILE *out, const char *about, const struct plot_bar *bars, uint32_t n)
{
	uint64_t most = highest_of(bars, n);
	double step = n > 0 ? (double)(WIDE - LEFT) / n : 0, room = HIGH - BOTTOM - 10;

	begin(out, about, HIGH);
	scale(out, most, "");
	for (uint32_t i = 0; i < n; i++) {
		double x = LEFT + step * i, y = HIGH - BOTTOM;

		for (int k = 0; k < PLOT_PARTS_MAX; k++) {
			double h = room * (double)bars[i].parts[k] / (double)most;

			if (bars[i].parts[k] == 0)
				continue;
			y -= h;
			bar(out, x + step * 0.1, y, step * 0.8, h, k, bars[i].label,
			    bars[i].parts[k]);
		}
		if (is_named(i, n))
			label(out, &bars[i], x + step / 2);
	}
	fputs("</svg>\n", out);
}

void plot_rates(FILE *out, const char *about, const struct plot_bar *bars, uint32_t n)
{
	double step = n > 0 ? (double)(WIDE - LEFT) / n : 0, room = HIGH - BOTTOM - 10;

	begin(out, about, HIGH);
	scale(out, 100, " %");
	for (uint32_t i = 0; i < n; i++) {
		uint64_t all = bars[i].parts[0] + bars[i].parts[1];
		double x = LEFT + step * i, rate = all > 0 ? (double)bars[i].parts[0] / all : 0;

		if (is_named(i, n))
			label(out, &bars[i], x + step / 2);
		if (all == 0)
			continue;
		fprintf(out, "<rect class=\"p0\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" "
			"height=\"%.1f\"><title>", x + step * 0.1,
			HIGH - BOTTOM - room * rate, step * 0.8, room * rate);
		html_text(out, bars[i].label);
		fprintf(out, ": %.1f %% (%" PRIu64 " / %" PRIu64 ")</title></rect>\n", rate * 100,
			bars[i].parts[0], all);
	}
	fputs("</svg>\n", out);
}

void plot_lines(FILE *out, const char *about, const struct plot_bar *bars, uint32_t n)
{
	uint64_t most = highest_of(bars, n);
	double room = WIDE - LINE_LEFT - 90;
	char number[COUNT_TEXT_BYTES];

	begin(out, about, n * LINE_HIGH + 8);
	for (uint32_t i = 0; i < n; i++) {
		double x = LINE_LEFT, y = 4.0 + i * LINE_HIGH;

		fprintf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">", LINE_LEFT - 8,
			y + 14);
		html_text(out, bars[i].label);
		fputs("</text>\n", out);
		for (int k = 0; k < PLOT_PARTS_MAX; k++) {
			double w = room * (double)bars[i].parts[k] / (double)most;

			if (bars[i].parts[k] == 0)
				continue;
			bar(out, x, y, w, LINE_HIGH - 5, k, bars[i].label, bars[i].parts[k]);
			x += w;
		}
		fprintf(out, "<text x=\"%.1f\" y=\"%.1f\">%s</text>\n", x + 6, y + 14,
			count_text(number, sum_of(&bars[i])));
	}
	fputs("</svg>\n", out);
}
