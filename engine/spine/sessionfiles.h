/*
 * sessionfiles.h - DATA/sessions: one small file a signing session, named by its id. Blocking:
 * never on the spine.
 */
#ifndef TRIEN_SPINE_SESSIONFILES_H
#define TRIEN_SPINE_SESSIONFILES_H

#include "base/bytes.h"
#include "base/status.h"

/* Durable when it returns; a crash leaves the old one or the new one. */
enum status session_file_keep(const char *data, const uint8_t id[16], struct slice bytes,
			      struct error *e) must_use;
/* One that is not there is forgotten already. */
enum status session_file_forget(const char *data, const uint8_t id[16], struct error *e) must_use;
/* Each file's bytes, borrowed for the call. What cannot be read is told in the log and left. */
enum status session_file_each(const char *data, void (*one)(void *owner, struct slice bytes),
			      void *owner, struct error *e) must_use;

#endif
