/*
 * anypdf.h - the slow strict path: any PDF, whoever made it. V1-V6 and V9 of verify.h hold, but for
 * the form of the file: see anyfile.h. TOTAL-PASSED only where the last signature covers all of the
 * file but DSS and document time-stamps.
 *
 * Hostile bytes are read here, streams inflated: it runs in the limited child of foreign/. What it
 * needs there beside the file, and what comes back, are plain bytes: roots_pack(), report_pack().
 */
#ifndef TRIEN_VERIFY_ANYPDF_H
#define TRIEN_VERIFY_ANYPDF_H

#include "verify/verify.h"

#define REPORT_PACKED_BYTES_MAX (12 * 1024)

/* As verify_document(), which fills what is not the verdict: digest and /ID are the caller's. */
enum status any_document(const struct roots *roots, struct slice file,
			 struct report *out) must_use;
/* Once, before a process shuts itself in: what OpenSSL would load later. */
void any_prepare(void);

/* ---- between processes ---- */

/* Verdict and signatures: what any_document() fills. Marks w bad where it does not fit. */
void report_pack(const struct report *r, struct writer *w);
/* Over *r, whose other fields stay. ST_CORRUPT: no packed report; then *r is as before. */
enum status report_unpack(struct report *r, struct slice packed) must_use;

/* All that roots_load() took, in a sealed memfd that is the caller's. ST_NOMEM, ST_IO. */
enum status roots_pack(const struct roots *r, int *fd) must_use;
enum status roots_unpack(struct roots **out, struct slice packed) must_use;

#endif
