/*
 * supervisor.h - `trien serve`: starts signer, engine, the process for foreign documents and, where
 * CERTS/remote.json is, the remote signer; restarts each, passes the sockets between them
 * (DESIGN 3). Single-threaded; touches neither keys nor cases.
 *
 *	supervisor ──fork/exec──▶ trien signer   fd 3: its end of a stream socket pair
 *	           ──fork/exec──▶ trien remote   fd 3: the same
 *	           ──fork/exec──▶ trien-foreign  fd 3: the same, of a pair that keeps messages apart
 *	           ──fork/exec──▶ trien engine   fd 3: the control socket
 *	control: 'S' + descriptor to the engine: the other end of a new signer's pair
 *	         'E' + descriptor: of a new remote signer's (keys elsewhere)
 *	         'F' + descriptor: of a new process for foreign documents
 *	         'R' from the engine: this signer does not answer, start another one
 *	         'F' from the engine: the same of the process for foreign documents
 *
 * SIGTERM, SIGINT: the engine drains, then all ends. SIGHUP: a new signer and a new remote signer
 * read their files beside those that run, and take their places once both are ready; then the
 * engine reads catalogue, certificates, principals and TLS again. Where one of them refuses, those
 * that run go on, and the engine leaves the certificates as they are. Children die with the
 * supervisor.
 */
#ifndef TRIEN_SUPERVISOR_H
#define TRIEN_SUPERVISOR_H

#include "config.h"

#define CHILD_FD 3
/* In the environment of a signer after the first that ran: signer_config.later. */
#define SIGNER_LATER "TRIEN_SIGNER_LATER"
/* A SIGHUP's value (sigqueue) to the engine: the certificates are not to be read. */
#define RELOAD_KEEPS_CERTS 1

/*
 * argv: as given to `serve`; handed on to the children. Returns the process's exit code: the
 * engine's or a signer's where it refused to start (sysexits.h), 70 after too many crashes, 78
 * where trien-foreign does not lie beside this program.
 */
int supervisor_run(const struct config *c, int argc, char **argv);

/* Before a child is started again that crashed so often in a row, however often: at most 3.2 s. */
int64_t supervisor_pause_ms(uint32_t crashes);

/* The children that are this program: `trien engine`, `trien signer`, `trien remote`. */
int engine_main(int argc, char **argv);
int signer_main(int argc, char **argv);
int remote_main(int argc, char **argv);
/* The commands `trien mirror` and `trien takeover`: the process's exit code. */
int mirror_serve(const struct config *c);
int takeover_run(const struct config *c);
/* Makes DATA's folders; from then on the process reaches these and what it reads, nothing else. */
enum status engine_sandbox(const struct config *c, struct error *e) must_use;
/* The exit code that tells a script and the supervisor what kind of failure it was. */
int exit_code_of(enum status st);

#endif
