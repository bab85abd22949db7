/*
 * preview.h - page 1 of a result as a picture. A process of its own (starter.h) runs poppler's
 * pdftoppm once for each: without network, files to write, or more processes, within
 * PREVIEW_CPU_S, PREVIEW_MEMORY_BYTES and PREVIEW_MS. A certified copy shows what somebody brought:
 * who draws it is trusted with nothing else.
 *
 *	portal   ── 'P' + descriptors of PDF and PNG (memfd) ─▶  process ── fork, exec ─▶ pdftoppm
 *	portal   ◀── 'Y' or 'N' ───────────────────────────────  process
 *
 * Pictures are kept in memory, the oldest give way; who asks for one was seen to before.
 */
#ifndef TRIEN_PORTAL_PREVIEW_H
#define TRIEN_PORTAL_PREVIEW_H

#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "portal/starter.h"

struct preview;

/*
 * starter is borrowed. *out NULL, ST_OK: pdftoppm is not installed, there are no pictures; the log
 * says so. ST_NOMEM.
 */
enum status preview_open(struct preview **out, struct starter *starter) must_use;
/* NULL is allowed. */
void preview_close(struct preview *p);

/* Kept for (lane, sequence)? A malloc'd copy; n 0: not. Any thread. */
void *preview_kept(struct preview *p, uint8_t lane, uint64_t sequence, size_t *n);
/*
 * Drawn from the file and kept; a malloc'd PNG. Any thread, one after the other. ST_AGAIN: others
 * wait already; ST_UNSUPPORTED: it cannot be drawn; ST_UNAVAILABLE: the process is gone; the
 * next one has another.
 */
enum status preview_draw(struct preview *p, uint8_t lane, uint64_t sequence, struct slice pdf,
			 void **png, size_t *n) must_use;

/* previewer.c: the process; never returns. */
void previewer_run(int socket) __attribute__((noreturn));
#define PREVIEW_PROGRAM "/usr/bin/pdftoppm"

#endif
