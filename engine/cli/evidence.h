/*
 * evidence.h - why a result's signatures were trusted, from the engine into files.
 */
#ifndef TRIEN_CLI_EVIDENCE_H
#define TRIEN_CLI_EVIDENCE_H

#include "client/client.h"
#include "trien/v1/repository.pb-c.h"

/*
 * Into dir/RESULT_ID/, which is made: of each signature, by its role, ROLE.pem (its certificate,
 * then the issuers' up to the root), ROLE.crl.pem (the revocation lists, where there were any) and
 * ROLE.txt (the evidence itself, which names them). Each is checked against its SHA-256. Exit code;
 * what went wrong is said on stderr.
 */
int evidence_save(struct client *c, uint64_t timeout_s, const Trien__V1__Result *r,
		  const char *dir);

#endif
