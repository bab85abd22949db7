/*
 * services.h - the remote signing services: CERTS/remote.json, and the secrets it names.
 *
 * The format is described in keys/README.md. Unknown members are errors. Secrets are files of the
 * secrets folder, which only their owner may read; they are read once and never logged.
 */
#ifndef TRIEN_REMOTE_SERVICES_H
#define TRIEN_REMOTE_SERVICES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"

#define SERVICES_MAX 64
#define SERVICE_HASHES_MAX 1000			/* of one call */
#define SERVICE_CALLS_MAX 64
#define SERVICE_HEADERS_MAX 16
#define SERVICE_ANSWER_BYTES_MAX (2 * 1024 * 1024)
#define SECRET_BYTES_MAX (16 * 1024)

enum service_api { API_CSC, API_HASH_ARRAY };
enum text_form { FORM_BASE64, FORM_HEX };

/* Strings are borrowed from the services; secrets stand in them as plain text. */
struct service_header { const char *name, *value; };

/* What only "hash_array" has. Pointers are JSON pointers (RFC 6901); NULL: none. */
struct hash_array {
	const json_t *body;		/* template; "$hashes" becomes the list of items */
	const json_t *item;		/* template of one; default "$hash" */
	const char *signatures;		/* the list in an answer */
	const char *signature;		/* in each; "" = the entry itself */
	const char *id;			/* in each, to match by; NULL: by index */
	const char *transaction;
	const char *poll_url;		/* may hold $transaction */
	const json_t *poll_body;	/* NULL: GET */
	const char *status;		/* text or number that says how it stands; NULL: none */
	const json_t *done, *pending, *refused, *lost;	/* its values, lists of text */
	enum text_form hash_form, signature_form;
	bool serial_decimal;
};

struct service {
	const char *name;
	enum service_api api;
	const char *url;		/* CSC: the base, ends in /csc/v2; else where hashes go */
	struct service_header headers[SERVICE_HEADERS_MAX];
	uint32_t headers_n;
	const char *token_url, *client, *client_secret, *scope;	/* token_url NULL: no OAuth */
	const json_t *auth_data;	/* CSC authData with its secrets, or NULL; of all keys */
	const json_t *auth_data_of;	/* but those in this object, by id; NULL: none */
	bool asynchronous;		/* CSC operationMode "A" */
	bool raw;			/* ECDSA comes as r‖s */
	struct slice ca, client_certificate, client_key;	/* PEM; empty: none */
	uint32_t hashes_max, calls_max, queue_max;
	uint32_t age_ms;		/* a group waits so long for more */
	uint32_t timeout_ms;		/* of a try */
	uint32_t tries;			/* asked and not answered */
	uint32_t wrong_tries;		/* answered, and the answer is none */
	uint32_t back_off_ms, back_off_max_ms;
	uint32_t poll_ms, poll_max_ms;
	uint32_t patience_ms;
	uint8_t mark[8];		/* of a ticket: of name and url */
	struct hash_array form;
};

struct services;

/*
 * ST_NOT_FOUND, ST_INVALID, ST_DENIED (a secret that others can read): *e says which member or
 * file and what is allowed. Where the host's CA bundle is needed it is read too.
 */
enum status services_load(struct services **out, const char *certs_dir, const char *secrets_dir,
			  struct error *e) must_use;
/* Secrets are wiped. */
void services_free(struct services *s);
uint32_t services_count(const struct services *s);
const struct service *services_at(const struct services *s, uint32_t index);
/* -1: no such service. */
int32_t services_find(const struct services *s, const char *name);

#endif
