#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "load/plot.h"
#include "load/report.h"

#define POINTS_MAX 2048			/* as many as there are moments */
#define SHARES 60

/* Room for the points of one plot. */
struct points { double x[PLOT_LINES_MAX][POINTS_MAX], y[PLOT_LINES_MAX][POINTS_MAX]; };

static void escape(FILE *f, const char *text)
{
	for (; *text != '\0'; text++) {
		const char *as = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" :
				 *text == '>' ? "&gt;" : *text == '"' ? "&quot;" : NULL;

		if (as != NULL)
			fputs(as, f);
		else
			fputc(*text, f);
	}
}

static void add_line(struct plot *p, struct points *at, const char *name, uint32_t n)
{
	uint32_t i = p->lines_n++;

	p->lines[i] = (struct plot_line){ name, at->x[i], at->y[i], n };
}

/* ---- over time ---- */

/* The proof afterwards is no load. */
static double end_of(const struct run_report *r)
{
	return r->load_s + (double)r->d->phases[0].begin_us / 1e6 + 0.5;
}

/* What changed a second between moments that are far enough apart to say so. */
static uint32_t rates_of(const struct run_report *r, double *x, double *y,
			 uint64_t (*value)(const struct moment *m))
{
	const struct drive *d = r->d;
	double span_s = fmax(0.5, d->moment_s);
	uint32_t n = 0, before = 0;

	for (uint32_t i = 1; i < d->moments_n && d->moments[i].at_s < end_of(r); i++) {
		const struct moment *a = &d->moments[before], *b = &d->moments[i];

		if (b->at_s - a->at_s < span_s)
			continue;
		x[n] = b->at_s;
		y[n++] = (double)(value(b) - value(a)) / (b->at_s - a->at_s);
		before = i;
	}
	return n;
}

static uint64_t due_of(const struct moment *m) { return m->due; }
static uint64_t accepted_of(const struct moment *m) { return m->accepted; }

static void throughput(const struct run_report *r, struct points *at, FILE *f)
{
	struct plot p = { .title = "Throughput", .x_name = "seconds", .y_name = "a second" };
	const struct fetch *x = r->fetch;
	uint32_t every = (uint32_t)fmax(1, ceil(0.5 / x->mark_s)), n = 0;

	add_line(&p, at, "cases due", rates_of(r, at->x[0], at->y[0], due_of));
	add_line(&p, at, "cases accepted", rates_of(r, at->x[1], at->y[1], accepted_of));
	for (uint32_t i = 0; i + every <= x->marks_n && i * x->mark_s < end_of(r) && n < POINTS_MAX;
	     i += every, n++) {
		uint64_t sum = 0;

		for (uint32_t k = 0; k < every; k++)
			sum += x->stored_per_mark[i + k];
		at->x[2][n] = (i + every) * x->mark_s;
		at->y[2][n] = (double)sum / (every * x->mark_s);
	}
	add_line(&p, at, "results stored", n);
	plot_write(&p, f);
}

static void backlog(const struct run_report *r, struct points *at, FILE *f)
{
	struct plot p = { .title = "Backlog", .x_name = "seconds", .y_name = "how many" };
	const struct drive *d = r->d;
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->moments_n && d->moments[i].at_s < end_of(r); i++, n++) {
		at->x[0][i] = at->x[1][i] = d->moments[i].at_s;
		at->y[0][i] = (double)d->moments[i].backlog;
		at->y[1][i] = (double)(d->moments[i].due - d->moments[i].accepted);
	}
	add_line(&p, at, "results accepted, not stored", n);
	add_line(&p, at, "cases due, without a receipt", n);
	plot_write(&p, f);
}

static void processes(const struct run_report *r, struct points *at, FILE *f)
{
	const struct process_watch *w = r->watch;
	struct plot cpu = { .title = "CPU", .x_name = "seconds", .y_name = "cores" };
	struct plot memory = { .title = "Memory (PSS)", .x_name = "seconds", .y_name = "MB" };
	struct plot written = { .title = "Bytes written", .x_name = "seconds",
				.y_name = "MB/s" };
	uint32_t n = w->marks_n < POINTS_MAX ? w->marks_n : POINTS_MAX;

	for (uint32_t k = 0; k < w->rows_n; k++) {
		for (uint32_t i = 1; i < n; i++) {
			const struct process_mark *a = &w->marks[i - 1], *b = &w->marks[i];

			at->x[k][i - 1] = b->at_s;
			at->y[k][i - 1] = (b->cpu_s[k] - a->cpu_s[k]) / (b->at_s - a->at_s);
		}
		add_line(&cpu, at, w->rows[k].name, n > 0 ? n - 1 : 0);
	}
	plot_write(&cpu, f);
	for (uint32_t k = 0; k < w->rows_n; k++) {
		for (uint32_t i = 0; i < n; i++) {
			at->x[k][i] = w->marks[i].at_s;
			at->y[k][i] = w->marks[i].pss_kb[k] / 1024.0;
		}
		add_line(&memory, at, w->rows[k].name, n);
	}
	plot_write(&memory, f);
	for (uint32_t i = 1; i < n; i++) {
		const struct process_mark *a = &w->marks[i - 1], *b = &w->marks[i];
		double bytes = b->written > a->written ? (double)(b->written - a->written) : 0;

		at->x[0][i - 1] = b->at_s;
		at->y[0][i - 1] = bytes / 1e6 / (b->at_s - a->at_s);
	}
	add_line(&written, at, "all processes", n > 0 ? n - 1 : 0);
	plot_write(&written, f);
}

/* ---- latencies ---- */

static void percentiles(struct plot *p, struct points *at, const char *name,
			const struct histogram *h)
{
	uint32_t line = p->lines_n, n = 0;

	if (h->n == 0 || line == PLOT_LINES_MAX)
		return;
	/* Evenly on the axis of nines, as far as so many values can tell. */
	for (uint32_t i = 0; i <= SHARES; i++) {
		double share = 1 - pow(10, -3.0 * i / SHARES);

		if (i > 0 && (1 - share) * (double)h->n < 1)
			break;
		at->x[line][n] = share;
		at->y[line][n++] = (double)histogram_at(h, share) / 1e3;
	}
	add_line(p, at, name, n);
}

static void latencies(const struct run_report *r, struct points *at, FILE *f)
{
	static const char *const stages[STAGES] = { "due to sent", "sent to durable",
						    "durable to numbered", "numbered to stored" };
	struct plot stage = { .title = "Time per stage", .x_name = "so many are not slower",
			      .y_name = "ms", .nines = true, .log_y = true };
	struct plot reads = { .title = "Lists and downloads", .x_name = "so many are not slower",
			      .y_name = "ms", .nines = true, .log_y = true };

	for (uint32_t i = 0; i < r->d->phases_n; i++) {
		const struct phase *ph = &r->d->phases[i];
		char title[120];
		struct plot p = { .title = title, .x_name = "so many are not slower",
				  .y_name = "ms", .nines = true, .log_y = true };

		snprintf(title, sizeof(title), "Latency of receipts: %s", ph->name);
		percentiles(&p, at, "from when due (corrected)", ph->corrected);
		percentiles(&p, at, "from when sent (raw)", ph->raw);
		percentiles(&p, at, "stored, by the engine's clock", ph->stored);
		percentiles(&p, at, "visible to the citizen", ph->visible);
		plot_write(&p, f);
	}
	for (int i = 0; i < STAGES; i++)
		percentiles(&stage, at, stages[i], r->fetch->stage[i]);
	plot_write(&stage, f);
	percentiles(&reads, at, "list", r->d->tally.list);
	percentiles(&reads, at, "list, raw", r->d->tally.list_raw);
	percentiles(&reads, at, "download", r->d->tally.download);
	percentiles(&reads, at, "download, raw", r->d->tally.download_raw);
	if (reads.lines_n > 0)
		plot_write(&reads, f);
}

/* ---- the page ---- */

static const char style[] =
	"body{font:15px/1.5 system-ui,sans-serif;color:#111;background:#fff;max-width:1600px;"
	"margin:2em auto;padding:0 1.5em}h1{font-size:1.4em;margin-bottom:.2em}"
	"pre{background:#f5f5f3;padding:.8em;overflow-x:auto;font-size:13px}"
	".v{display:inline-block;padding:.3em .8em;border-radius:4px;color:#fff;font-weight:600}"
	".good{background:#2e7d32}.bad{background:#b71c1c}"
	".p{display:grid;grid-template-columns:repeat(auto-fit,minmax(560px,1fr));gap:1em}"
	"svg{width:100%;height:auto;border:1px solid #e5e5e5}"
	"table{border-collapse:collapse;font-size:13px}td{padding:.1em 1em .1em 0}"
	"td+td{text-align:right;font-variant-numeric:tabular-nums}";

static void write_page(const struct run_report *r, const struct measures *m, struct points *at,
		       FILE *f)
{
	const struct proof *p = r->proof;
	char *text = NULL, title[WORKLOAD_TEXT_MAX + 80];
	size_t n;
	FILE *memory = open_memstream(&text, &n);

	report_title(r, title, sizeof(title));
	fprintf(f, "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
		"<meta name=\"viewport\" content=\"width=device-width\"><title>trien-load ");
	escape(f, r->w->name);
	fprintf(f, "</title><style>%s</style></head><body>\n<h1>", style);
	escape(f, title);
	fprintf(f, "</h1>\n<p>");
	escape(f, r->w->source);
	fprintf(f, "</p>\n<p><span class=\"v %s\">%s</span> lost %" PRIu64 ", duplicates %" PRIu64
		", gaps %" PRIu64 " of %" PRIu64 " results</p>\n", r->good ? "good" : "bad",
		r->good ? "the proof holds" : "THE PROOF DOES NOT HOLD", p->lost, p->duplicates,
		p->gaps, p->results);
	fprintf(f, "<div class=\"p\">\n");
	throughput(r, at, f);
	latencies(r, at, f);
	backlog(r, at, f);
	processes(r, at, f);
	fprintf(f, "</div>\n<h2>Report</h2>\n<pre>");
	if (memory != NULL) {
		report_text(r, m, memory);
		fclose(memory);
		escape(f, text);
	}
	fprintf(f, "</pre>\n<h2>All measures</h2>\n<table>\n");
	for (uint32_t i = 0; i < m->n; i++)
		fprintf(f, "<tr><td>%s</td><td>%.10g</td></tr>\n", m->of[i].key, m->of[i].value);
	fprintf(f, "</table>\n</body></html>\n");
	free(text);
}

static enum status open_file(FILE **f, struct points **at, const char *path, struct error *e)
{
	*at = calloc(1, sizeof(**at));
	*f = *at != NULL ? fopen(path, "we") : NULL;
	if (*f != NULL)
		return ST_OK;
	free(*at);
	return error_set(e, ST_IO, "%s: %s", path, strerror(errno));
}

static enum status close_file(FILE *f, struct points *at, const char *path, struct error *e)
{
	free(at);
	return fclose(f) == 0 ? ST_OK : error_set(e, ST_IO, "%s: %s", path, strerror(errno));
}

enum status report_html(const struct run_report *r, const struct measures *m, const char *path,
			struct error *e)
{
	struct points *at;
	FILE *f;
	enum status st = open_file(&f, &at, path, e);

	if (st != ST_OK)
		return st;
	write_page(r, m, at, f);
	return close_file(f, at, path, e);
}

enum status report_svg(const struct run_report *r, const char *path, struct error *e)
{
	struct points *at;
	FILE *f;
	enum status st = open_file(&f, &at, path, e);

	if (st != ST_OK)
		return st;
	throughput(r, at, f);
	return close_file(f, at, path, e);
}
