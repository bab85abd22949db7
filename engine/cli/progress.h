/*
 * progress.h - how far a long command is, on stderr: a bar on a terminal, else a line every ten
 * seconds.
 */
#ifndef TRIEN_CLI_PROGRESS_H
#define TRIEN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool terminal, shown;		/* shown: the bar stands on the line */
	int64_t start_ms, last_ms;
	const char *what;		/* "submitted" */
};

/* Milliseconds of a clock that never steps. */
int64_t progress_now_ms(void);

void progress_start(struct progress *p, const char *what);
/* count: items done, shown with their rate. done of total, of whatever unit, gives the bar; total
 * 0: not known. */
void progress_show(struct progress *p, uint64_t count, uint64_t done, uint64_t total);
/* Before anything else is written: takes the bar away. The next progress_show() brings it back. */
void progress_clear(struct progress *p);

/* 1234567 as 1,234,567. */
#define COUNT_TEXT_BYTES 28
const char *count_text(char out[COUNT_TEXT_BYTES], uint64_t n);

#endif
