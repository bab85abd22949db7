/*
 * log.h - one line an event on stderr: time, level, part, message, key=value pairs.
 *
 * Identifiers only, never personal data (P9). Any thread; a line is one write(2).
 */
#ifndef TRIEN_BASE_LOG_H
#define TRIEN_BASE_LOG_H

#include <stdbool.h>

#include "base/status.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* "debug", "info", "warn", "error"; false: no level is called so. */
bool log_level_of(const char *name, enum log_level *out);
/* Before threads start. Default LOG_INFO, process name "trien". */
void log_setup(enum log_level least, const char *process);
void log_line(enum log_level level, const char *part, const char *fmt, ...) printf_like(3, 4);

#define log_debug(part, ...) log_line(LOG_DEBUG, part, __VA_ARGS__)
#define log_info(part, ...) log_line(LOG_INFO, part, __VA_ARGS__)
#define log_warn(part, ...) log_line(LOG_WARN, part, __VA_ARGS__)
#define log_error(part, ...) log_line(LOG_ERROR, part, __VA_ARGS__)

#endif
