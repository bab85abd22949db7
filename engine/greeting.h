/*
 * greeting.h - what a signer, or a remote signer, says first: is it ready, or why does it refuse?
 * It is only looked at: whoever gets the socket then reads it from there.
 */
#ifndef TRIEN_GREETING_H
#define TRIEN_GREETING_H

#include "base/status.h"

#define GREETING_WHY_BYTES 512

enum greeter { GREETER_SIGNER, GREETER_REMOTE };

/*
 * ST_OK: ready. ST_AGAIN: nothing yet, or not all of it. ST_PRECONDITION: it refuses, or has ended;
 * why, cut to fit, is for the log.
 */
enum status greeting_look(int fd, enum greeter who, char why[GREETING_WHY_BYTES]) must_use;

#endif
