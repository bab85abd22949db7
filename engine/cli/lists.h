/*
 * lists.h - what the lists for people have in common. Machines have --json.
 */
#ifndef TRIEN_CLI_LISTS_H
#define TRIEN_CLI_LISTS_H

#include "google/protobuf/timestamp.pb-c.h"

/*
 * The names of the columns, on a terminal only: a script that takes the first line of what it is
 * given means the first row.
 */
void list_head(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#define WHEN_BYTES 40
/* As the registers and the pages: Vietnam's time, "2026-11-29 20:04:18 +07". NULL: "-". */
const char *when_text(char out[WHEN_BYTES], const Google__Protobuf__Timestamp *t);

#endif
