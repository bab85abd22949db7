/*
 * sandbox.h - what the process of foreign.h and its children may still do.
 *
 * The process: no file (landlock), no network, no program; it forks, waits, ends its children and
 * moves messages. A child: memory, its answer's socket, and to end.
 */
#ifndef TRIEN_FOREIGN_SANDBOX_H
#define TRIEN_FOREIGN_SANDBOX_H

#include <stdint.h>

#include "base/status.h"

struct foreign_sandbox;		/* a child's filter, made once */

/* The calling process shuts itself in; it has no other threads. */
enum status foreign_sandbox_enter(struct foreign_sandbox **child, struct error *e) must_use;
/*
 * In a child that has just been forked. memory: bytes of address space that it may take beside
 * what the process had when it shut itself in; the file that it will map is part of them. ST_IO: it
 * must not go on.
 */
enum status foreign_sandbox_child(const struct foreign_sandbox *s, uint32_t cpu_s,
				  uint64_t memory) must_use;
void foreign_sandbox_free(struct foreign_sandbox *s);

#endif
