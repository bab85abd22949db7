#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include "catalogue/catalogue.h"
#include "catalogue/demo.h"
#include "cli/cli.h"
#include "cli/keylist.h"
#include "signer/devca.h"

#define NAMES_MAX 32
#define VALID_DAYS 730
#define CRL_DAYS 365
#define CRL_HOURS_MAX 168		/* the engine's default */
#define SCHEMAS_HERE "schemas"

static const char usage[] =
	"trien keys dev [--data DIR] [--schemas DIR] [--algorithm rsa2048|rsa3072|pss2048|p256]\n"
	"               [--passphrase-file FILE] [--client PRINCIPAL]… [--crl-days N] [--json]\n"
	"               [--expired KEY]… [--not-yet-valid KEY]… [--revoked KEY]…\n"
	"               [--pkcs11 MODULE --token LABEL --pin-file FILE [--in-token KEY]…\n"
	"               [--token-path PATH]… [--sessions N]]\n"
	"trien keys list [--data DIR] [--schemas DIR] [--crl-hours-max N] [--json]\n"
	"\n"
	"DIR: left out, TRIEN_DATA.\n"
	"dev: a throw-away CA; a seal (UNIT.seal) for each agency and a key (SIGNER.sign) for\n"
	"each officer of the catalogue; TLS certificates; plain images. Never overwrites keys.\n"
	"With --pkcs11 all keys, or those named, are made in that token and stay there; PATHs are\n"
	"what its module opens. For development only.\n"
	"list: who can sign what until when, whether he can today, and what stops on which day:\n"
	"certificates, days of keys.json, offices and delegations of the schemas, and revocation\n"
	"lists (nextUpdate, or N hours old; 168 as in the engine, 0 = not needed).\n";

struct names { const char *of[NAMES_MAX]; uint32_t n; };

struct options {
	const char *data, *schemas, *passphrase_file;
	enum algorithm algorithm;
	uint32_t crl_days, crl_hours_max;
	struct names clients, expired, not_yet, revoked, in_token;
	struct token_policy token;	/* without module: none */
	bool json;
};

enum flag { DATA = 256, SCHEMAS, ALGORITHM, PASSPHRASE, CLIENT, CRL_DAYS_OPTION, EXPIRED, NOT_YET,
	      REVOKED, JSON, PKCS11, TOKEN, PIN_FILE, IN_TOKEN, TOKEN_PATH, SESSIONS,
	      CRL_HOURS };

static const struct option long_options[] = {
	{ "data", required_argument, NULL, DATA },
	{ "schemas", required_argument, NULL, SCHEMAS },
	{ "algorithm", required_argument, NULL, ALGORITHM },
	{ "passphrase-file", required_argument, NULL, PASSPHRASE },
	{ "client", required_argument, NULL, CLIENT },
	{ "crl-days", required_argument, NULL, CRL_DAYS_OPTION },
	{ "expired", required_argument, NULL, EXPIRED },
	{ "not-yet-valid", required_argument, NULL, NOT_YET },
	{ "revoked", required_argument, NULL, REVOKED },
	{ "json", no_argument, NULL, JSON },
	{ "crl-hours-max", required_argument, NULL, CRL_HOURS },
	{ "pkcs11", required_argument, NULL, PKCS11 },
	{ "token", required_argument, NULL, TOKEN },
	{ "pin-file", required_argument, NULL, PIN_FILE },
	{ "in-token", required_argument, NULL, IN_TOKEN },
	{ "token-path", required_argument, NULL, TOKEN_PATH },
	{ "sessions", required_argument, NULL, SESSIONS },
	{ NULL, 0, NULL, 0 }
};

static bool add_name(struct names *l, const char *name)
{
	if (l->n == NAMES_MAX)
		return false;
	l->of[l->n++] = name;
	return true;
}

static bool has_name(const struct names *l, const char *name)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (strcmp(l->of[i], name) == 0)
			return true;
	return false;
}

static bool read_number(uint32_t *out, const char *text, uint32_t min, uint32_t max)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	*out = (uint32_t)v;
	return end != text && *end == '\0' && v >= min && v <= max;
}

static bool take_token_option(struct options *o, int which, const char *value)
{
	struct token_policy *t = &o->token;

	switch (which) {
	case PKCS11:
		t->module = value;
		return value[0] == '/';
	case TOKEN:
		t->label = value;
		return true;
	case PIN_FILE:
		t->pin_file = value;
		return true;
	case IN_TOKEN:
		return add_name(&o->in_token, value);
	case TOKEN_PATH:
		if (t->paths_n == TOKEN_PATHS_MAX || value[0] != '/')
			return false;
		t->paths[t->paths_n++] = value;
		return true;
	case SESSIONS:
		return read_number(&t->sessions, value, 1, TOKEN_SESSIONS_MAX);
	default:
		return false;
	}
}

static bool take_option(struct options *o, int which, const char *value)
{
	switch (which) {
	case DATA:
		o->data = value;
		return true;
	case SCHEMAS:
		o->schemas = value;
		return true;
	case ALGORITHM:
		return algorithm_by_name(&o->algorithm, slice_str(value));
	case PASSPHRASE:
		o->passphrase_file = value;
		return true;
	case CLIENT:
		return add_name(&o->clients, value);
	case CRL_DAYS_OPTION:
		return read_number(&o->crl_days, value, 1, 3650);
	case CRL_HOURS:
		return read_number(&o->crl_hours_max, value, 0, 8760);
	case EXPIRED:
		return add_name(&o->expired, value);
	case NOT_YET:
		return add_name(&o->not_yet, value);
	case REVOKED:
		return add_name(&o->revoked, value);
	case JSON:
		o->json = true;
		return true;
	default:
		return take_token_option(o, which, value);
	}
}

static bool read_options(struct options *o, int argc, char **argv)
{
	int which;

	*o = (struct options){ .data = getenv("TRIEN_DATA"), .algorithm = ALG_RSA2048,
			       .crl_hours_max = CRL_HOURS_MAX, .crl_days = CRL_DAYS,
			       .token = { .name = "token", .slot = -1 } };
	optind = 1;
	while ((which = getopt_long(argc, argv, "", long_options, NULL)) != -1)
		if (!take_option(o, which, optarg))
			return false;
	/* A key that is meant for a token never comes to lie in a file. */
	if (o->token.module == NULL ? o->in_token.n > 0 || o->token.label != NULL :
	    o->token.label == NULL || o->token.pin_file == NULL)
		return false;
	return optind == argc && o->data != NULL;
}

static int fail(const struct error *e)
{
	fprintf(stderr, "trien keys: %s\n", e->text);
	return status_class(e->status) == CLASS_REJECT ? EX_DATAERR : EX_IOERR;
}

/* ---- dev ---- */

static enum status read_passphrase(char *out, size_t n, const char *file, struct error *e)
{
	FILE *f = fopen(file, "r");
	size_t got;

	if (f == NULL)
		return error_set(e, ST_NOT_FOUND, "%s: %s", file, strerror(errno));
	got = fread(out, 1, n - 1, f);
	fclose(f);
	out[got] = '\0';
	out[strcspn(out, "\r\n")] = '\0';
	return out[0] != '\0' ? ST_OK : error_set(e, ST_INVALID, "%s is empty", file);
}

/* Place and validity, as the options want them. */
static void set_options(const struct options *o, struct devca_key *k)
{
	k->in_token = o->token.module != NULL &&
		(o->in_token.n == 0 || has_name(&o->in_token, k->id));
	k->valid_from_days = -1;
	k->valid_to_days = VALID_DAYS;
	if (has_name(&o->expired, k->id)) {
		k->valid_from_days = -VALID_DAYS;
		k->valid_to_days = -1;
	} else if (has_name(&o->not_yet, k->id)) {
		k->valid_from_days = VALID_DAYS;
		k->valid_to_days = 2 * VALID_DAYS;
	}
}

static enum status add_seal(struct devca *ca, const struct options *o, const struct unit *u,
			    struct error *e)
{
	char id[KEY_ID_BYTES_MAX + 1];
	struct devca_key k = { .id = id, .unit = u->code, .name = u->name, .organisation = u->name,
		.algorithm = o->algorithm, .from = u->from, .to = u->to };

	snprintf(id, sizeof(id), "%s.seal", u->code);
	set_options(o, &k);
	return devca_add(ca, &k, e);
}

static enum status add_officer(struct devca *ca, const struct options *o, const struct catalogue *c,
			       const struct signer *s, struct error *e)
{
	char id[KEY_ID_BYTES_MAX + 1];
	const struct unit *u = catalogue_unit(c, slice_str(s->unit), s->from);
	struct devca_key k = { .id = id, .unit = s->unit, .signer = s->code, .name = s->name,
		.organisation = u != NULL ? u->name : NULL, .algorithm = o->algorithm,
		.kinds = s->kinds, .kinds_n = s->kinds_n, .from = s->from, .to = s->to };

	snprintf(id, sizeof(id), "%s.sign", s->code);
	set_options(o, &k);
	return devca_add(ca, &k, e);
}

/* One key a code: the catalogue lists every dated version, the last one rules. */
static enum status add_all(struct devca *ca, const struct options *o, const struct catalogue *c,
			   struct error *e)
{
	const struct unit *u;
	const struct signer *s;
	enum status st = ST_OK;

	for (uint32_t i = 0; st == ST_OK && (u = catalogue_unit_at(c, i)) != NULL; i++) {
		const struct unit *next = catalogue_unit_at(c, i + 1);

		if (next == NULL || strcmp(next->code, u->code) != 0)
			st = add_seal(ca, o, u, e);
	}
	for (uint32_t i = 0; st == ST_OK && (s = catalogue_signer_at(c, i)) != NULL; i++) {
		const struct signer *next = catalogue_signer_at(c, i + 1);

		if (next == NULL || strcmp(next->code, s->code) != 0)
			st = add_officer(ca, o, c, s, e);
	}
	return st;
}

static enum status make_tls(struct devca *ca, const struct options *o, struct error *e)
{
	enum status st = devca_server(ca, e);

	for (uint32_t i = 0; st == ST_OK && i < o->clients.n; i++)
		st = devca_client(ca, o->clients.of[i], e);
	return st;
}

static bool key_exists(const struct catalogue *c, const char *want)
{
	char id[KEY_ID_BYTES_MAX + 1];
	const struct unit *u;
	const struct signer *s;
	bool found = false;

	for (uint32_t i = 0; !found && (u = catalogue_unit_at(c, i)) != NULL; i++) {
		snprintf(id, sizeof(id), "%s.seal", u->code);
		found = strcmp(id, want) == 0;
	}
	for (uint32_t i = 0; !found && (s = catalogue_signer_at(c, i)) != NULL; i++) {
		snprintf(id, sizeof(id), "%s.sign", s->code);
		found = strcmp(id, want) == 0;
	}
	return found;
}

/* A misspelt key id would leave a test with a good key. */
static enum status check_names(const struct options *o, const struct catalogue *c, struct error *e)
{
	const struct names *lists[] = { &o->expired, &o->not_yet, &o->in_token };

	for (size_t l = 0; l < ARRAY_LEN(lists); l++)
		for (uint32_t n = 0; n < lists[l]->n; n++)
			if (!key_exists(c, lists[l]->of[n]))
				return error_set(e, ST_NOT_FOUND, "there is no key '%s'",
						 lists[l]->of[n]);
	return ST_OK;
}

static enum status make_keys(const struct options *o, const struct catalogue *c, struct error *e)
{
	struct devca_config cfg = { .data = o->data, .algorithm = o->algorithm,
				    .crl_days = o->crl_days, .now_ms = (int64_t)time(NULL) * 1000 };
	char passphrase[1024];
	struct devca *ca = NULL;
	enum status st = check_names(o, c, e);

	if (st == ST_OK && o->passphrase_file != NULL) {
		st = read_passphrase(passphrase, sizeof(passphrase), o->passphrase_file, e);
		cfg.passphrase = passphrase;
	}
	if (o->token.module != NULL)
		cfg.token = &o->token;
	/* PSS certificates are issued under a plain RSA authority. */
	if (cfg.algorithm == ALG_PSS2048)
		cfg.algorithm = ALG_RSA2048;
	if (st == ST_OK)
		st = devca_new(&ca, &cfg, e);
	if (st == ST_OK)
		st = add_all(ca, o, c, e);
	for (uint32_t i = 0; st == ST_OK && i < o->revoked.n; i++)
		st = devca_revoke(ca, o->revoked.of[i], e);
	if (st == ST_OK)
		st = make_tls(ca, o, e);
	if (st == ST_OK)
		st = devca_publish(ca, e);
	devca_free(ca);
	return st;
}

static int list(const struct options *o);

static int dev(const struct options *o)
{
	struct catalogue_config cfg = { .schemas = o->schemas != NULL ? o->schemas : SCHEMAS_HERE };
	struct catalogue *c = NULL;
	struct error e = { 0 };
	enum status st = catalogue_demo_images(cfg.schemas, &e);

	if (st == ST_OK)
		st = catalogue_load(&c, &cfg, &e);
	if (st == ST_OK)
		st = make_keys(o, c, &e);
	catalogue_unref(c);
	return st == ST_OK ? list(o) : fail(&e);
}

/* ---- list ---- */

/* Who names no schemas, and has none here, sees no ends of offices and delegations. */
static int list(const struct options *o)
{
	struct keylist_options k = { .data = o->data, .schemas = o->schemas,
				     .crl_hours_max = o->crl_hours_max, .json = o->json };

	if (k.schemas == NULL && access(SCHEMAS_HERE "/signers", F_OK) == 0)
		k.schemas = SCHEMAS_HERE;
	return keylist(&k);
}

int cli_keys(int argc, char **argv)
{
	struct options o;
	bool wants_dev = argc > 1 && strcmp(argv[1], "dev") == 0;
	bool wants_list = argc > 1 && strcmp(argv[1], "list") == 0;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			fputs(usage, stdout);
			return 0;
		}
	}
	if ((!wants_dev && !wants_list) || !read_options(&o, argc - 1, argv + 1)) {
		fputs(usage, stderr);
		return 2;
	}
	return wants_dev ? dev(&o) : list(&o);
}
