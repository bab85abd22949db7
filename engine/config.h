/*
 * config.h - one table of settings; flags over environment over file over defaults.
 *
 * File syntax is libconfuse's: `name = value`, lists `name = {a, b}`. Each setting is also the flag
 * `--name` and the environment variable `TRIEN_NAME` (capitals, `-` and `_` alike). A broken value
 * stops the start with file and line (exit 78, EX_CONFIG of sysexits). Read once at start; a SIGHUP
 * reads data (schemas, certificates, principals) again, not this file.
 */
#ifndef TRIEN_CONFIG_H
#define TRIEN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/status.h"

#define CONFIG_LIST_MAX 8

/* Who may sign in to the portal, and what its provider's tokens call things; portal/signin.h. */
struct config_sign_in {
	const char *issuer, *client;	/* of the OpenID provider; issuer "": nobody signs in */
	const char *secret_file, *ca;	/* "" = none, the host's */
	const char *scope, *acr;	/* acr: "a,b"; "": any */
	const char *number, *id_kind, *country, *name, *roles, *units;	/* names of claims */
	const char *fixed_id_kind;	/* where id_kind is "" */
	const char *leader;		/* the role */
	const char *audience, *parties;	/* of bearer tokens; "a,b" */
	const char *dev_listen, *dev_people;	/* the built-in provider; "" = off */
};

/* Settings `portal_…`: of `trien portal` alone. */
struct config_portal {
	const char *listen;		/* "HOST:PORT", an address as number; port 0: any */
	const char *url;		/* as citizens see it, no slash at its end; "" = listen */
	const char *proxies;		/* "a,b": whose X-Forwarded-For is believed; "" = none */
	/* "unix:PATH" or "HOST:PORT", of all on these stores; none: DATA/engine.sock */
	const char *engines[CONFIG_LIST_MAX];
	uint32_t engines_n;
	const char *language;		/* of who has not chosen: "vi", "en" */
	const char *hotline;		/* text on every page */
	uint32_t workers;		/* threads that answer */
	uint32_t connections;		/* at once */
	uint32_t address_connections;	/* of one address that is no proxy */
	uint32_t upload_mb_max;		/* a file to be verified */
	struct config_sign_in sign_in;
};

enum config_origin { ORIGIN_DEFAULT, ORIGIN_FILE, ORIGIN_ENVIRONMENT, ORIGIN_FLAG };

struct config {
	const char *data;		/* data folder; everything below it is the engine's */
	const char *schemas;		/* folder with results/, agencies/, signers/ */
	const char *keys;		/* private keys; default DATA/keys */
	const char *certs;		/* certificates and keys.json; default DATA/certs */
	const char *tsa;		/* roots of time-stamp authorities; "" = none */
	const char *remote_secrets;	/* of remote signing services; default DATA/remote */
	const char *principals;		/* who may call; default DATA/principals.json */
	const char *passphrase_file;	/* for encrypted keys; "" = none */
	const char *pin_file;		/* of tokens that name none of their own; "" = none */
	const char *listen[CONFIG_LIST_MAX];	/* "unix:PATH" or "HOST:PORT" */
	uint32_t listen_n;
	const char *insecure_loopback;	/* principal of clear-text loopback callers; "" = refused */
	const char *tls_cert, *tls_key, *tls_client_ca;	/* "" = no TLS port */
	const char *metrics;		/* loopback "HOST:PORT", "" = off */
	const char *witness;		/* default DATA.witness/numbers; see store.h */
	const char *verify_host;	/* permanent host in QR codes, "HTTPS://…" in capitals */
	const char *font_regular, *font_bold, *font_italic, *font_bold_italic;
	const char *log_level;
	const char *store;		/* "embedded", "postgres" */
	const char *postgres[CONFIG_LIST_MAX];	/* servers: store/postgres/servers.h */
	uint32_t postgres_n;
	uint32_t postgres_connections;	/* that write, a server */
	uint32_t postgres_timeout_ms;	/* of a statement that writes */
	const char *postgres_distribution;	/* "plain", "citus" */
	const char *postgres_reader;	/* user of connections that only read; "" = the same */
	const char *io;			/* "auto", "uring", "posix" */
	const char *units;		/* "a,b": this engine's agencies; "" = all */
	const char *address;		/* where callers reach it; "" = listen[0] */
	const char *mirror;		/* "HOST:PORT"; "" = none */
	const char *mirror_policy;	/* "wait", "degrade" */
	const char *mirror_cert, *mirror_key, *mirror_ca;	/* "" = loopback, in the clear */
	uint32_t mirror_timeout_ms;
	bool development;		/* every page says so; development CAs only so */
	uint32_t engine;		/* 0–255, part of every sequence */
	uint32_t workers;		/* press threads; 0 = one a core */
	uint32_t signer_threads;	/* 0 = one a core */
	uint32_t signer_start_ms;	/* a signer that has not greeted by then is replaced */
	uint32_t intake_threads;
	uint32_t reader_threads;
	uint32_t journal_slots, journal_segment_mb;
	uint32_t batches;		/* in flight */
	uint32_t batch_age_ms;		/* a batch is sealed when its oldest item is older */
	uint32_t check_one_in;		/* release check of server-held keys: 1 = every signature */
	uint32_t crl_hours_max;		/* 0 = no CRL needed */
	uint32_t original_mb_max;	/* of what is copied */
	uint32_t quota_mb;		/* gRPC memory */
	uint32_t drain_ms;
	struct config_portal portal;
	/* a person's decision: continue behind the store's numbers */
	bool accept_behind;
};

/*
 * argv[0] is the subcommand. On ST_OK *c is filled; strings live until the process ends.
 * --config FILE names the file (default DATA/trien.conf where it exists). ST_UNSUPPORTED: an
 * argument that is none, what the command line calls wrong usage; ST_INVALID: a wrong value.
 */
enum status config_load(struct config *c, int argc, char **argv, struct error *e) must_use;
/* name = value  # origin */
void config_print(const struct config *c, FILE *out, bool json);
/* portal: those of `trien portal`; else all but its own. */
void config_help(FILE *out, bool portal);
/* log_setup() with the configured level. */
void config_log(const struct config *c, const char *process);

#endif
