#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BAR 32
#define REDRAW_MS 100
#define LINE_MS 10000

int64_t progress_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

const char *count_text(char out[COUNT_TEXT_BYTES], uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, n), at = 0;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = digits[i];
	}
	out[at] = '\0';
	return out;
}

void progress_start(struct progress *p, const char *what)
{
	*p = (struct progress){ .terminal = isatty(STDERR_FILENO) != 0, .what = what,
				.start_ms = progress_now_ms() };
	p->last_ms = p->terminal ? 0 : p->start_ms;
}

void progress_show(struct progress *p, uint64_t count, uint64_t done, uint64_t total)
{
	int64_t now = progress_now_ms(), ms = now - p->start_ms;
	char bar[BAR + 1] = "", percent[8] = "", number[COUNT_TEXT_BYTES], rate[COUNT_TEXT_BYTES];
	bool whole = total > 0 && done >= total;

	if (now - p->last_ms < (p->terminal ? REDRAW_MS : LINE_MS) && !(whole && p->terminal))
		return;
	p->last_ms = now;
	if (total > 0) {
		double part = whole ? 1 : (double)done / (double)total;

		memset(bar, '.', BAR);
		memset(bar, '#', (size_t)(part * BAR));
		snprintf(percent, sizeof(percent), "%3.0f%%", part * 100);
	}
	count_text(number, count);
	count_text(rate, ms > 0 ? count * 1000 / (uint64_t)ms : 0);
	if (p->terminal)
		fprintf(stderr, "\r\033[K%s%s%s %s %s %s, %s/s", total > 0 ? "[" : "", bar,
			total > 0 ? "]" : "", percent, number, p->what, rate);
	else
		fprintf(stderr, "%s %s %s, %s/s\n", percent, number, p->what, rate);
	fflush(stderr);
	p->shown = p->terminal;
}

void progress_clear(struct progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}
