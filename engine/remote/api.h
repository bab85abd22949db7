/*
 * api.h - one call to a service: the request as bytes, and what the answer says. Pure: nothing here
 * knows sockets or time. Two makers: csc.c and hasharray.c.
 */
#ifndef TRIEN_REMOTE_API_H
#define TRIEN_REMOTE_API_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "remote/remotekey.h"
#include "remote/services.h"
#include "remote/ticket.h"

#define URL_BYTES_MAX 4096
#define TOKEN_BYTES_MAX 8192			/* access token, SAD */
#define CREDENTIALS_MAX 64			/* of a list, looked through for the certificate */

enum api_step {
	STEP_TOKEN = 1,		/* OAuth 2 client credentials */
	STEP_LIST,		/* CSC credentials/list */
	STEP_INFO,		/* CSC credentials/info */
	STEP_AUTHORIZE,		/* CSC credentials/authorize */
	STEP_CHECK,		/* CSC credentials/authorizeCheck: has the person confirmed? */
	STEP_SIGN,		/* the hash array */
	STEP_POLL,		/* are the signatures there? */
};

enum api_verdict {
	VERDICT_TOKEN,		/* text, seconds */
	VERDICT_LISTED,		/* credentials, credentials_n */
	VERDICT_FITS,		/* the credential has this certificate; sign_algo, multisign */
	VERDICT_OTHER,		/* it has another, is disabled, or wants what we cannot do */
	VERDICT_AUTHORIZED,	/* text: the SAD */
	VERDICT_PIN_REFUSED,	/* authData is not the credential's: never to be sent again */
	VERDICT_PENDING,	/* next: the step that asks again; id */
	VERDICT_SIGNED,		/* signatures, in the order of the items */
	VERDICT_REFUSED,	/* the person or the service said no */
	VERDICT_LOST,		/* no such transaction */
	VERDICT_DENIED,		/* 401: the access token */
	VERDICT_BAD,		/* this request will never be answered */
	VERDICT_AGAIN,		/* the service is not well; the request was not taken */
	VERDICT_UNREADABLE,	/* an answer that is none; it may have been worked on */
};

struct api_item { const uint8_t *digest; struct slice name; };	/* digest NULL: not asked for */

struct api_ask {
	enum api_step step;
	const struct service *service;
	const struct remote_key *key;		/* NULL: STEP_TOKEN */
	const char *credential;			/* what the service calls the key, or "" */
	const char *sign_algo;			/* CSC, from VERDICT_FITS */
	const char *id;				/* handle or transaction */
	const char *sad;			/* "" none */
	const struct api_item *items;
	uint32_t n;
};

struct api_request {
	char url[URL_BYTES_MAX];
	char *body;				/* NULL: GET; freed with api_request_free() */
	bool form;				/* urlencoded, not JSON */
};

struct api_signature { uint16_t n; uint8_t bytes[SIGNATURE_BYTES_MAX]; };	/* n = 0: none */

struct api_answer {
	enum api_verdict verdict;
	enum api_step next;
	char id[TRANSACTION_BYTES_MAX + 1];
	char text[TOKEN_BYTES_MAX + 1];
	uint32_t seconds;			/* 0: not said */
	const char *sign_algo;			/* static storage */
	uint32_t multisign;
	const char *error;			/* the specification's code, for the log, or "" */
	char credentials[CREDENTIALS_MAX][CREDENTIAL_BYTES_MAX + 1];
	uint32_t credentials_n;
	struct api_signature *signatures;	/* ask->n of them; api_answer_free() */
};

/* ST_NOMEM, ST_TOO_LARGE. */
enum status api_build(struct api_request *out, const struct api_ask *ask) must_use;
void api_request_free(struct api_request *r);
/* Any status and body; without memory: VERDICT_UNREADABLE. */
void api_read(struct api_answer *out, const struct api_ask *ask, long status, struct slice body);
void api_answer_free(struct api_answer *a);

/* ---- for the two makers ---- */

enum status csc_build(struct api_request *out, const struct api_ask *ask) must_use;
/* body: parsed, NULL when it is no JSON. verdict is set already from the HTTP status. */
void csc_read(struct api_answer *out, const struct api_ask *ask, json_t *body);
enum status hasharray_build(struct api_request *out, const struct api_ask *ask) must_use;
void hasharray_read(struct api_answer *out, const struct api_ask *ask, json_t *body);
/* Takes over `body`; NULL: ST_NOMEM. */
enum status api_body(struct api_request *out, json_t *body) must_use;
/* A text that fits n bytes with its NUL, without control characters; else false. */
bool api_text(char *out, size_t n, const json_t *v);
void api_signature_read(struct api_signature *out, const json_t *v, enum text_form form);

#endif
