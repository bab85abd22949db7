/*
 * waitcheck.h - offline: does the waiting room's index say what its segments say? Of a stopped
 * engine. An index that a start would make anew, or that is behind, is no finding.
 */
#ifndef TRIEN_JOURNAL_WAITCHECK_H
#define TRIEN_JOURNAL_WAITCHECK_H

#include "base/frame.h"
#include "journal/waiting.h"

struct waitcheck;

/* dir: DATA/waiting. ST_NOMEM. */
enum status waitcheck_new(struct waitcheck **c, const char *dir) must_use;
void waitcheck_free(struct waitcheck *c);
/* Every frame of the segments, in order. ST_NOMEM. */
enum status waitcheck_frame(struct waitcheck *c, const struct frame_view *v) must_use;
/* After the last: report gets one line a finding. *rows: that wait by the segments. */
enum status waitcheck_end(struct waitcheck *c, void (*report)(void *ctx, const char *line),
			  void *ctx, uint64_t *rows, struct error *e) must_use;

#endif
