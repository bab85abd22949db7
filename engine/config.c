#include "config.h"

#include <confuse.h>
#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/log.h"
#include "limits.h"

enum type { TEXT, COUNT, BOOL, LIST };

struct setting {
	const char *name;
	enum type type;
	size_t offset;
	const char *fallback;		/* "@x" = DATA/x, "^x" = DATAx */
	uint32_t min, max;		/* LIST: min is the offset of its number of entries */
	const char *help;
};

#define AT(field) offsetof(struct config, field)

static const struct setting settings[] = {
	{ "data", TEXT, AT(data), "data", 0, 0, "data folder" },
	{ "schemas", TEXT, AT(schemas), "schemas", 0, 0, "folder with results, agencies, signers" },
	{ "keys", TEXT, AT(keys), "@keys", 0, 0, "private keys, read by the signer process only" },
	{ "certs", TEXT, AT(certs), "@certs", 0, 0, "certificates, CRLs, keys.json" },
	{ "tsa", TEXT, AT(tsa), "", 0, 0,
	  "roots of time-stamp authorities, folder or PEM; empty = no stamp raises a level" },
	{ "remote_secrets", TEXT, AT(remote_secrets), "@remote", 0, 0,
	  "secrets for remote signing services, read by the remote signer only" },
	{ "principals", TEXT, AT(principals), "@principals.json", 0, 0, "who may call" },
	{ "passphrase_file", TEXT, AT(passphrase_file), "", 0, 0, "passphrase of encrypted keys" },
	{ "pin_file", TEXT, AT(pin_file), "", 0, 0, "PIN of PKCS#11 tokens that name no file" },
	{ "listen", LIST, AT(listen), "@engine.sock", AT(listen_n), 0, "unix:PATH or HOST:PORT" },
	{ "insecure_loopback", TEXT, AT(insecure_loopback), "", 0, 0,
	  "principal of clear-text loopback callers" },
	{ "tls_cert", TEXT, AT(tls_cert), "", 0, 0, "server certificate chain, PEM" },
	{ "tls_key", TEXT, AT(tls_key), "", 0, 0, "server key, PEM" },
	{ "tls_client_ca", TEXT, AT(tls_client_ca), "", 0, 0, "CA of client certificates, PEM" },
	{ "metrics", TEXT, AT(metrics), "", 0, 0, "loopback HOST:PORT of /metrics" },
	{ "witness", TEXT, AT(witness), "^.witness/numbers", 0, 0,
	  "file outside of DATA that remembers the highest numbers; its folder is for it alone" },
	{ "verify_host", TEXT, AT(verify_host), "HTTPS://TRIEN.EXAMPLE", 0, 0,
	  "permanent host in QR codes, capitals" },
	{ "font_regular", TEXT, AT(font_regular), "", 0, 0, "TrueType; empty = Liberation Serif" },
	{ "font_bold", TEXT, AT(font_bold), "", 0, 0, "" },
	{ "font_italic", TEXT, AT(font_italic), "", 0, 0, "" },
	{ "font_bold_italic", TEXT, AT(font_bold_italic), "", 0, 0, "" },
	{ "log_level", TEXT, AT(log_level), "info", 0, 0, "debug, info, warn, error" },
	{ "store", TEXT, AT(store), "embedded", 0, 0, "embedded, postgres" },
	{ "postgres", LIST, AT(postgres), "", AT(postgres_n), 0,
	  "servers, as in lanes=0-31 host=/run/postgresql dbname=trien" },
	{ "postgres_connections", COUNT, AT(postgres_connections), "2", 1, 16,
	  "that write, a server" },
	{ "postgres_timeout_ms", COUNT, AT(postgres_timeout_ms), "60000", 1000, 3600000,
	  "milliseconds that a statement may take; half as long again, and it is given up" },
	{ "postgres_distribution", TEXT, AT(postgres_distribution), "plain", 0, 0,
	  "plain, citus" },
	{ "postgres_reader", TEXT, AT(postgres_reader), "", 0, 0,
	  "user of connections that only read; empty = the same" },
	{ "io", TEXT, AT(io), "auto", 0, 0, "auto, uring, posix" },
	{ "units", TEXT, AT(units), "", 0, 0,
	  "agencies that this engine issues for, comma-separated; empty = all" },
	{ "address", TEXT, AT(address), "", 0, 0,
	  "where callers reach it, told by other engines; empty = the first of listen" },
	{ "mirror", TEXT, AT(mirror), "", 0, 0,
	  "HOST:PORT of the trien mirror that has each record too; empty = none" },
	{ "mirror_policy", TEXT, AT(mirror_policy), "wait", 0, 0,
	  "without its mirror: wait, degrade (go on alone)" },
	{ "mirror_cert", TEXT, AT(mirror_cert), "", 0, 0,
	  "certificate of this side of the mirror, PEM; empty = clear, loopback only" },
	{ "mirror_key", TEXT, AT(mirror_key), "", 0, 0, "its key, PEM" },
	{ "mirror_ca", TEXT, AT(mirror_ca), "", 0, 0, "the pair's own CA, PEM" },
	{ "mirror_timeout_ms", COUNT, AT(mirror_timeout_ms), "5000", 100, 600000,
	  "milliseconds without an answer" },
	{ "development", BOOL, AT(development), "false", 0, 0,
	  "development CA: marked on each page" },
	{ "engine", COUNT, AT(engine), "0", 0, ENGINES_MAX - 1, "number of this engine" },
	{ "workers", COUNT, AT(workers), "0", 0, WORKERS_MAX, "press threads, 0 = one a core" },
	{ "signer_threads", COUNT, AT(signer_threads), "0", 0, WORKERS_MAX, "0 = one a core" },
	{ "signer_start_ms", COUNT, AT(signer_start_ms), "15000", 100, 600000,
	  "milliseconds until a signer that is not ready is replaced; its successor gets twice" },
	{ "intake_threads", COUNT, AT(intake_threads), "1", 1, 8, "gRPC threads" },
	{ "reader_threads", COUNT, AT(reader_threads), "2", 1, 32, "threads that answer reads" },
	{ "journal_slots", COUNT, AT(journal_slots), "8", 4, 1024, "journal segments" },
	{ "journal_segment_mb", COUNT, AT(journal_segment_mb), "64", 4, 256, "MiB" },
	{ "batches", COUNT, AT(batches), "6", 1, BATCHES_IN_FLIGHT_MAX, "batches in flight" },
	{ "batch_age_ms", COUNT, AT(batch_age_ms), "5", 0, 1000, "milliseconds" },
	{ "check_one_in", COUNT, AT(check_one_in), "1", 1, 64,
	  "release check, 1 = every signature" },
	{ "crl_hours_max", COUNT, AT(crl_hours_max), "168", 0, 8760, "hours; 0 = no CRL needed" },
	{ "original_mb_max", COUNT, AT(original_mb_max), "50", 1, ORIGINAL_BYTES_MAX >> 20,
	  "size of an original that is copied, MiB" },
	{ "quota_mb", COUNT, AT(quota_mb), "128", 16, 4096, "memory for requests, MiB" },
	{ "drain_ms", COUNT, AT(drain_ms), "10000", 0, 600000,
	  "milliseconds to finish on SIGTERM" },
	{ "portal_listen", TEXT, AT(portal.listen), "127.0.0.1:8480", 0, 0,
	  "HOST:PORT, an address as number; port 0 = any" },
	{ "portal_url", TEXT, AT(portal.url), "", 0, 0,
	  "https://HOST as citizens see it; empty = http and portal_listen" },
	{ "portal_proxies", TEXT, AT(portal.proxies), "", 0, 0,
	  "addresses whose X-Forwarded-For is believed, comma-separated; empty = none" },
	{ "portal_engine", LIST, AT(portal.engines), "", AT(portal.engines_n), 0,
	  "unix:PATH or loopback HOST:PORT of each engine; empty = DATA/engine.sock" },
	{ "portal_language", TEXT, AT(portal.language), "vi", 0, 0,
	  "of who has not chosen one: vi, en" },
	{ "portal_hotline", TEXT, AT(portal.hotline), "", 0, 0,
	  "whom to ask, on every page: a telephone number, an address" },
	{ "portal_workers", COUNT, AT(portal.workers), "4", 2, PORTAL_WORKERS_MAX,
	  "threads that answer" },
	{ "portal_connections", COUNT, AT(portal.connections), "12000", 16,
	  PORTAL_CONNECTIONS_MAX, "at once" },
	{ "portal_address_connections", COUNT, AT(portal.address_connections), "64", 1,
	  PORTAL_CONNECTIONS_MAX, "at once, of one address that is no proxy" },
	{ "portal_upload_mb_max", COUNT, AT(portal.upload_mb_max), "32", 1,
	  ORIGINAL_BYTES_MAX >> 20, "size of a file to be verified, MiB" },
	{ "portal_oidc_issuer", TEXT, AT(portal.sign_in.issuer), "", 0, 0,
	  "https://… of the OpenID provider, as in its tokens; empty = nobody signs in" },
	{ "portal_oidc_client", TEXT, AT(portal.sign_in.client), "", 0, 0,
	  "the portal's client_id there" },
	{ "portal_oidc_secret_file", TEXT, AT(portal.sign_in.secret_file), "", 0, 0,
	  "file with its client_secret, its owner's alone; empty = a public client" },
	{ "portal_oidc_ca", TEXT, AT(portal.sign_in.ca), "", 0, 0,
	  "CA of the provider, PEM; empty = those of the host" },
	{ "portal_oidc_scope", TEXT, AT(portal.sign_in.scope), "openid profile", 0, 0,
	  "what is asked for" },
	{ "portal_oidc_acr", TEXT, AT(portal.sign_in.acr), "", 0, 0,
	  "levels of sign-in (acr) that are enough, comma-separated; empty = any" },
	{ "portal_claim_number", TEXT, AT(portal.sign_in.number), "citizen_id", 0, 0,
	  "claim with the citizen's number: a name, or a JSON pointer as /a/b" },
	{ "portal_claim_id_kind", TEXT, AT(portal.sign_in.id_kind), "", 0, 0,
	  "claim with the kind of number; empty = portal_id_kind" },
	{ "portal_claim_country", TEXT, AT(portal.sign_in.country), "", 0, 0,
	  "claim with the country that gave it; empty = VN" },
	{ "portal_claim_name", TEXT, AT(portal.sign_in.name), "name", 0, 0, "claim to be shown" },
	{ "portal_claim_roles", TEXT, AT(portal.sign_in.roles), "roles", 0, 0,
	  "claim with roles; empty = nobody has one" },
	{ "portal_claim_units", TEXT, AT(portal.sign_in.units), "units", 0, 0,
	  "claim with the agencies that a leader leads; * = all" },
	{ "portal_id_kind", TEXT, AT(portal.sign_in.fixed_id_kind), "citizen", 0, 0,
	  "citizen, old_citizen, passport, enterprise, tax, other" },
	{ "portal_leader_role", TEXT, AT(portal.sign_in.leader), "leader", 0, 0,
	  "the role that sees the leaders' page" },
	{ "portal_api_audience", TEXT, AT(portal.sign_in.audience), "", 0, 0,
	  "audience of ID tokens that /api/v1 takes as bearer tokens; empty = none" },
	{ "portal_api_parties", TEXT, AT(portal.sign_in.parties), "", 0, 0,
	  "clients (azp) that may have asked for those, comma-separated" },
	{ "portal_dev_provider", TEXT, AT(portal.sign_in.dev_listen), "", 0, 0,
	  "loopback HOST:PORT of the built-in provider for tests; empty = off" },
	{ "portal_dev_people", TEXT, AT(portal.sign_in.dev_people), "", 0, 0,
	  "file with its invented people, JSON" },
	{ "accept_behind", BOOL, AT(accept_behind), "false", 0, 0,
	  "go on behind the store's numbers, though what only another folder knows is lost" },
};

#define SETTINGS ARRAY_LEN(settings)

/* Where each value came from, for --print-config: parallel to `settings`, filled once. */
static enum config_origin origins[SETTINGS];
static const char *const origin_names[] = { "default", "file", "environment", "flag" };

/* The values before they are typed. */
struct raw {
	const char *text[SETTINGS];
	struct { const char *of[CONFIG_LIST_MAX]; uint32_t n; } list[SETTINGS];	/* of LISTs */
};

static int setting_find(const char *name, size_t n)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		const char *s = settings[i].name;
		size_t k;

		for (k = 0; k < n && s[k] != '\0'; k++)
			if (s[k] != (name[k] == '-' ? '_' : (char)tolower((unsigned char)name[k])))
				break;
		if (k == n && s[k] == '\0')
			return (int)i;
	}
	return -1;
}

/* Edit distance, for "did you mean"; names are short. */
static uint32_t distance(const char *a, const char *b)
{
	uint32_t row[64];
	size_t n = strlen(b);

	if (n >= ARRAY_LEN(row))
		return UINT32_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = (uint32_t)j;
	for (size_t i = 1; a[i - 1] != '\0'; i++) {
		uint32_t diagonal = row[0];

		row[0] = (uint32_t)i;
		for (size_t j = 1; j <= n; j++) {
			uint32_t best = diagonal + (a[i - 1] != b[j - 1]);

			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[n];
}

static const char *nearest(const char *name)
{
	const char *best = settings[0].name;

	for (size_t i = 1; i < SETTINGS; i++)
		if (distance(name, settings[i].name) < distance(name, best))
			best = settings[i].name;
	return best;
}

static void raw_set(struct raw *raw, size_t i, const char *text, enum config_origin origin)
{
	if (settings[i].type == LIST) {
		if (origins[i] != origin)
			raw->list[i].n = 0;
		if (raw->list[i].n < CONFIG_LIST_MAX)
			raw->list[i].of[raw->list[i].n++] = text;
	} else {
		raw->text[i] = text;
	}
	origins[i] = origin;
}

/* libconfuse reports through a callback without context; the text is kept for the caller. */
static char confuse_text[400];

static void confuse_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	int n = snprintf(confuse_text, sizeof(confuse_text), "%s:%d: ",
			 cfg->filename != NULL ? cfg->filename : "config", cfg->line);

	vsnprintf(confuse_text + n, sizeof(confuse_text) - (size_t)n, fmt, ap);
}

static enum status load_file(struct raw *raw, const char *path, struct error *e)
{
	cfg_opt_t opts[SETTINGS + 1];
	cfg_t *cfg;
	int rc;

	memset(opts, 0, sizeof(opts));
	for (size_t i = 0; i < SETTINGS; i++) {
		cfg_opt_t text = CFG_STR(settings[i].name, NULL, CFGF_NODEFAULT);
		cfg_opt_t list = CFG_STR_LIST(settings[i].name, NULL, CFGF_NODEFAULT);

		opts[i] = settings[i].type == LIST ? list : text;
	}
	opts[SETTINGS] = (cfg_opt_t)CFG_END();
	cfg = cfg_init(opts, CFGF_NONE);
	cfg_set_error_function(cfg, confuse_error);
	rc = cfg_parse(cfg, path);
	if (rc == CFG_FILE_ERROR) {
		cfg_free(cfg);
		return error_set(e, ST_NOT_FOUND, "%s: cannot be read: %s", path, strerror(errno));
	}
	if (rc != CFG_SUCCESS) {
		const char *quote = strrchr(confuse_text, '\'');
		char name[64] = "";

		cfg_free(cfg);
		if (strstr(confuse_text, "no such option") != NULL && quote != NULL) {
			const char *open = quote;

			while (open > confuse_text && open[-1] != '\'')
				open--;
			snprintf(name, sizeof(name), "%.*s", (int)(quote - open), open);
			return error_set(e, ST_INVALID, "%s (did you mean '%s'?)", confuse_text,
					 nearest(name));
		}
		return error_set(e, ST_INVALID, "%s", confuse_text);
	}
	for (size_t i = 0; i < SETTINGS; i++)
		for (unsigned int k = 0; k < cfg_size(cfg, settings[i].name); k++)
			raw_set(raw, i, strdup(cfg_getnstr(cfg, settings[i].name, k)), ORIGIN_FILE);
	cfg_free(cfg);
	return ST_OK;
}

static void load_environment(struct raw *raw)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		char name[64] = "TRIEN_";
		size_t n = strlen(name);
		const char *value;

		for (const char *p = settings[i].name; *p != '\0'; p++)
			name[n++] = (char)toupper((unsigned char)*p);
		name[n] = '\0';
		value = getenv(name);
		if (value != NULL)
			raw_set(raw, i, value, ORIGIN_ENVIRONMENT);
	}
}

/* apply: NULL text pass to find --config only. */
static enum status load_flags(struct raw *raw, int argc, char **argv, const char **file,
			      struct error *e)
{
	for (int k = 1; k < argc; k++) {
		const char *arg = argv[k], *value = strchr(arg, '=');
		size_t n;
		int i;

		if (strncmp(arg, "--", 2) != 0)
			return error_set(e, ST_UNSUPPORTED,
					 "'%s': settings are given as --name VALUE", arg);
		n = value != NULL ? (size_t)(value - arg - 2) : strlen(arg + 2);
		i = setting_find(arg + 2, n);
		if (i < 0 && (n != strlen("config") || strncmp(arg + 2, "config", n) != 0))
			return error_set(e, ST_UNSUPPORTED, "unknown flag %s (did you mean --%s?)",
					 arg, nearest(arg + 2));
		if (value != NULL)
			value++;
		else if (i >= 0 && settings[i].type == BOOL &&
			 (k + 1 == argc || strncmp(argv[k + 1], "--", 2) == 0))
			value = "true";
		else if (k + 1 < argc)
			value = argv[++k];
		else
			return error_set(e, ST_UNSUPPORTED, "%s needs a value", arg);
		if (i < 0)
			*file = value;
		else if (raw != NULL)
			raw_set(raw, (size_t)i, value, ORIGIN_FLAG);
	}
	return ST_OK;
}

static enum status parse_count(const struct setting *s, const char *text, uint32_t *out,
			       struct error *e)
{
	char *end;
	unsigned long v;

	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || !isdigit((unsigned char)text[0]) ||
	    v < s->min || v > s->max)
		return error_set(e, ST_INVALID, "%s = %s: a whole number from %u to %u is needed",
				 s->name, text, s->min, s->max);
	*out = (uint32_t)v;
	return ST_OK;
}

static enum status parse_bool(const struct setting *s, const char *text, bool *out,
			      struct error *e)
{
	bool yes = strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0 ||
		   strcmp(text, "1") == 0;

	if (!yes && strcasecmp(text, "false") != 0 && strcasecmp(text, "no") != 0 &&
	    strcmp(text, "0") != 0)
		return error_set(e, ST_INVALID, "%s = %s: true or false is needed", s->name, text);
	*out = yes;
	return ST_OK;
}

static const char *below_data(const struct config *c, const char *text, const char *prefix)
{
	char *path = NULL;

	if (text[0] != '@' && text[0] != '^')
		return text;
	if (asprintf(&path, "%s%s%s%s", prefix, c->data, text[0] == '@' ? "/" : "", text + 1) < 0)
		abort();
	return path;
}

static void apply_list(struct config *c, const struct raw *raw, size_t i)
{
	const struct setting *s = &settings[i];
	const char **out = (const char **)((char *)c + s->offset);
	uint32_t *n = (uint32_t *)((char *)c + s->min);

	*n = raw->list[i].n;
	for (uint32_t k = 0; k < *n; k++)
		out[k] = raw->list[i].of[k];
	if (*n == 0 && s->fallback[0] != '\0')
		out[(*n)++] = below_data(c, s->fallback, "unix:");
}

static enum status apply(struct config *c, const struct raw *raw, struct error *e)
{
	enum status st = ST_OK;

	for (size_t i = 0; i < SETTINGS && st == ST_OK; i++) {
		const struct setting *s = &settings[i];
		const char *text = raw->text[i] != NULL ? raw->text[i] : s->fallback;
		void *at = (char *)c + s->offset;

		switch (s->type) {
		case TEXT:
			*(const char **)at = below_data(c, text, "");
			break;
		case COUNT:
			st = parse_count(s, text, at, e);
			break;
		case BOOL:
			st = parse_bool(s, text, at, e);
			break;
		case LIST:
			apply_list(c, raw, i);
			break;
		}
	}
	return st;
}

static enum status one_of(const char *name, const char *value, const char *const *allowed,
			  struct error *e)
{
	char list[128] = "";
	size_t n = 0;

	for (const char *const *a = allowed; *a != NULL; a++) {
		if (strcmp(value, *a) == 0)
			return ST_OK;
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n > 0 ? ", " : "", *a);
	}
	return error_set(e, ST_INVALID, "%s = %s: one of %s is needed", name, value, list);
}

static enum status check(const struct config *c, struct error *e)
{
	static const char *const levels[] = { "debug", "info", "warn", "error", NULL };
	static const char *const stores[] = { "embedded", "postgres", NULL };
	static const char *const distributions[] = { "plain", "citus", NULL };
	static const char *const policies[] = { "wait", "degrade", NULL };
	static const char *const languages[] = { "vi", "en", NULL };
	static const char *const ios[] = { "auto", "uring", "posix", NULL };
	enum status st = one_of("log_level", c->log_level, levels, e);

	if (st == ST_OK)
		st = one_of("store", c->store, stores, e);
	if (st == ST_OK)
		st = one_of("io", c->io, ios, e);
	if (st == ST_OK)
		st = one_of("postgres_distribution", c->postgres_distribution, distributions, e);
	if (st == ST_OK && strcmp(c->store, "postgres") == 0 && c->postgres_n == 0)
		st = error_set(e, ST_INVALID, "store = postgres: name a server, as in "
			       "postgres = {\"host=/run/postgresql dbname=trien\"}");
	if (st == ST_OK)
		st = one_of("mirror_policy", c->mirror_policy, policies, e);
	if (st == ST_OK)
		st = one_of("portal_language", c->portal.language, languages, e);
	if (st == ST_OK && ((c->mirror_cert[0] == '\0') != (c->mirror_key[0] == '\0') ||
			    (c->mirror_cert[0] == '\0') != (c->mirror_ca[0] == '\0')))
		st = error_set(e, ST_INVALID, "mirror_cert, mirror_key and mirror_ca must be given "
			       "together");
	if (st == ST_OK && c->tsa[0] != '\0' && access(c->tsa, R_OK) != 0)
		st = error_set(e, ST_INVALID, "tsa = %s: %s; a folder of *.pem, or a PEM file, is "
			       "needed", c->tsa, strerror(errno));
	if (st == ST_OK && (c->tls_cert[0] == '\0') != (c->tls_key[0] == '\0'))
		st = error_set(e, ST_INVALID, "tls_cert and tls_key must be given together");
	if (st == ST_OK && c->tls_cert[0] != '\0' && c->tls_client_ca[0] == '\0')
		st = error_set(e, ST_INVALID, "tls_cert without tls_client_ca: a TLS port needs "
			       "client certificates; name their CA");
	return st;
}

enum status config_load(struct config *c, int argc, char **argv, struct error *e)
{
	struct raw raw = { 0 };
	const char *file = getenv("TRIEN_CONFIG"), *data;
	char fallback[4096];
	enum status st;

	*c = (struct config){ 0 };
	memset(origins, 0, sizeof(origins));
	/* First pass: where is the file? A flag --data moves the default file too. */
	st = load_flags(&raw, argc, argv, &file, e);
	if (st != ST_OK)
		return st;
	data = raw.text[0] != NULL ? raw.text[0] : getenv("TRIEN_DATA");
	snprintf(fallback, sizeof(fallback), "%s/trien.conf", data != NULL ? data : "data");
	if (file == NULL && access(fallback, R_OK) == 0)
		file = fallback;
	raw = (struct raw){ 0 };
	memset(origins, 0, sizeof(origins));
	if (file != NULL)
		st = load_file(&raw, file, e);
	if (st == ST_OK) {
		load_environment(&raw);
		st = load_flags(&raw, argc, argv, &file, e);
	}
	if (st == ST_OK) {
		c->data = raw.text[0] != NULL ? raw.text[0] : settings[0].fallback;
		st = apply(c, &raw, e);
	}
	return st == ST_OK ? check(c, e) : st;
}

/* A connection string may hold a password, in one of two forms. */
static const char *without_secret(const char *text)
{
	return strstr(text, "password") != NULL || strstr(text, "://") != NULL ? "..." : text;
}

static void print_list(const struct config *c, const struct setting *s, FILE *out, bool json)
{
	const char *const *at = (const char *const *)((const char *)c + s->offset);
	uint32_t n = *(const uint32_t *)((const char *)c + s->min);

	fputs(json ? "[" : "{", out);
	for (uint32_t k = 0; k < n; k++)
		fprintf(out, "%s\"%s\"", k > 0 ? ", " : "", without_secret(at[k]));
	fputs(json ? "]" : "}", out);
}

static void print_value(const struct config *c, const struct setting *s, FILE *out, bool json)
{
	const void *at = (const char *)c + s->offset;

	switch (s->type) {
	case TEXT:
		fprintf(out, "\"%s\"", *(const char *const *)at);
		break;
	case COUNT:
		fprintf(out, "%u", *(const uint32_t *)at);
		break;
	case BOOL:
		fputs(*(const bool *)at ? "true" : "false", out);
		break;
	case LIST:
		print_list(c, s, out, json);
		break;
	}
}

void config_print(const struct config *c, FILE *out, bool json)
{
	if (json)
		fputs("{", out);
	for (size_t i = 0; i < SETTINGS; i++) {
		if (json)
			fprintf(out, "%s\n\"%s\": {\"value\": ", i > 0 ? "," : "",
				settings[i].name);
		else
			fprintf(out, "%s = ", settings[i].name);
		print_value(c, &settings[i], out, json);
		if (json)
			fprintf(out, ", \"origin\": \"%s\"}", origin_names[origins[i]]);
		else
			fprintf(out, "\t# %s\n", origin_names[origins[i]]);
	}
	if (json)
		fputs("\n}\n", out);
}

/* What the portal reads beside its own; what is in no other's. */
static const char *const of_portal[] = { "data", "schemas", "certs", "tsa", "log_level", "store",
	"postgres", "postgres_timeout_ms", "postgres_distribution", "postgres_reader" };

static bool belongs(const struct setting *s, bool portal)
{
	bool own = strncmp(s->name, "portal_", strlen("portal_")) == 0;

	for (size_t i = 0; portal && !own && i < ARRAY_LEN(of_portal); i++)
		own = strcmp(s->name, of_portal[i]) == 0;
	return own == portal;
}

void config_help(FILE *out, bool portal)
{
	for (size_t i = 0; i < SETTINGS; i++) {
		const char *fallback = settings[i].fallback;

		if (!belongs(&settings[i], portal))
			continue;
		fprintf(out, "  --%-26s %s", settings[i].name, settings[i].help);
		if (fallback[0] == '@' || fallback[0] == '^')
			fprintf(out, " (DATA%s%s)", fallback[0] == '@' ? "/" : "", fallback + 1);
		else if (fallback[0] != '\0')
			fprintf(out, " (%s)", fallback);
		fputc('\n', out);
	}
}

void config_log(const struct config *c, const char *process)
{
	enum log_level level;

	if (log_level_of(c->log_level, &level))
		log_setup(level, process);
}
