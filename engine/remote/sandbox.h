/*
 * sandbox.h - what the remote signer gives up: it speaks to the network, so it must not be worth
 * taking over.
 */
#ifndef TRIEN_REMOTE_SANDBOX_H
#define TRIEN_REMOTE_SANDBOX_H

#include "base/status.h"

/*
 * Before secrets are read: no core dump, not dumpable, no new privileges, few descriptors.
 */
enum status remote_sandbox_prepare(struct error *e) must_use;
/*
 * After secrets, certificates and CA bundles are read, before any thread: of all files only those
 * that turn a host's name into an address can be read from now on, none written; no program can be
 * started, no other process be looked into. Sockets stay allowed.
 */
enum status remote_sandbox_enter(struct error *e) must_use;

#endif
