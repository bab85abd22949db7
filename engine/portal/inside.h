/*
 * inside.h - what all of the portal shares, made at start and then only read.
 */
#ifndef TRIEN_PORTAL_INSIDE_H
#define TRIEN_PORTAL_INSIDE_H

#include "config.h"
#include "portal/address.h"
#include "portal/limit.h"
#include "portal/page.h"
#include "portal/session.h"
#include "portal/words.h"
#include "portal/workers.h"

#define PORTAL_URL_BYTES 300

struct figure_desk;
struct http;
struct library;
struct preview;
struct qr_tables;
struct signin;
struct starter;

struct portal {
	const struct config *config;
	char url[PORTAL_URL_BYTES];	/* as citizens see it, without a slash at its end */
	bool https;			/* it begins with https: */
	bool loopback;			/* the listening address is */
	struct proxies proxies;
	struct words *words;
	struct pages *pages;
	struct limits *limits;
	struct sessions *sessions;
	struct signin *signin;		/* NULL: nobody can sign in */
	struct workers *workers;
	struct library *library;	/* library.h */
	struct starter *starter;	/* of processes; starter.h */
	struct preview *preview;	/* NULL: no pictures */
	struct qr_tables *qr;
	uint8_t secret[32];		/* of this process: seals what its forms carry */
	struct figure_desk *figures;	/* leaders' numbers; figures.h */
	struct http *http;
};

/* Name of a cookie of ours: "__Host-" in front where citizens see https; static storage. */
const char *portal_session_cookie(const struct portal *p);

#endif
