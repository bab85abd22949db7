#include "remote/services.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "remote/template.h"
#include "remote/tree.h"

#define TEXT_BYTES_MAX 1024
#define FILE_BYTES_MAX (1024 * 1024)
#define HOST_CA "/etc/ssl/certs/ca-certificates.crt"

struct text { struct text *next; size_t n; char bytes[]; };	/* a file that was read */

struct services {
	json_t *root;
	uint32_t n;
	struct service of[SERVICES_MAX];
	struct text *texts;
};

/* Where in the file we are, and where its files are. */
struct place {
	struct services *all;
	const char *service;		/* for the error text */
	const char *certs_dir, *secrets_dir;
	struct error *e;
};

static enum status bad(const struct place *at, const char *member, const char *what)
{
	return error_set(at->e, ST_INVALID, "remote.json: %s: %s: %s", at->service, member, what);
}

/* ---- files ---- */

static enum status file_read(const struct place *at, const char *dir, const char *file, bool secret,
			     struct slice *out)
{
	char path[4096];
	struct text *t = malloc(sizeof(*t) + FILE_BYTES_MAX + 1);
	struct stat st;
	ssize_t n;
	int fd;

	if (t == NULL)
		return error_set(at->e, ST_NOMEM, "remote.json: out of memory");
	t->next = at->all->texts;
	t->n = 0;
	at->all->texts = t;
	if (snprintf(path, sizeof(path), "%s%s%s", dir, dir[0] != '\0' ? "/" : "", file) >=
	    (int)sizeof(path))
		return bad(at, file, "the path is too long");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_set(at->e, errno == ENOENT ? ST_NOT_FOUND : ST_IO, "%s: %s", path,
				 strerror(errno));
	if (secret && (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & 077) != 0)) {
		close(fd);
		return error_set(at->e, ST_DENIED,
				 "%s: others could read this secret; run: chmod 600 %s", path,
				 path);
	}
	n = read(fd, t->bytes, FILE_BYTES_MAX);
	close(fd);
	if (n <= 0 || n == FILE_BYTES_MAX || (secret && n > SECRET_BYTES_MAX))
		return error_set(at->e, ST_INVALID, "%s: empty, unreadable or too long", path);
	t->n = (size_t)n;
	t->bytes[n] = '\0';
	*out = slice_of(t->bytes, t->n);
	return ST_OK;
}

static bool is_file_name(const char *s)
{
	return s != NULL && s[0] != '\0' && s[0] != '.' && strlen(s) <= 255 &&
	       strchr(s, '/') == NULL;
}

/* The secret's first line, as it may stand in a header or a body. */
static enum status secret_line(const struct place *at, const char *member, const char *file,
			       const char **out)
{
	struct slice all;
	enum status st;

	if (!is_file_name(file))
		return bad(at, member, "the name of a file of the secrets folder is required");
	st = file_read(at, at->secrets_dir, file, true, &all);
	if (st != ST_OK)
		return st;
	((char *)all.p)[strcspn((const char *)all.p, "\r\n")] = '\0';
	*out = (const char *)all.p;
	return ST_OK;
}

static enum status pem(const struct place *at, json_t *o, const char *member, bool secret,
		       struct slice *out)
{
	json_t *v = json_object_get(o, member);

	if (v == NULL)
		return ST_OK;
	if (!is_file_name(json_string_value(v)))
		return bad(at, member, "the name of a file is required");
	return file_read(at, secret ? at->secrets_dir : at->certs_dir, json_string_value(v), secret,
			 out);
}

/* ---- members ---- */

static enum status known(const struct place *at, json_t *o, const char *const *names, size_t n)
{
	const char *name;
	json_t *v;

	json_object_foreach(o, name, v) {
		bool found = false;

		for (size_t i = 0; i < n; i++)
			found = found || strcmp(name, names[i]) == 0;
		if (!found)
			return bad(at, name, "unknown member");
	}
	return ST_OK;
}

static bool is_plain(const char *s, size_t n)
{
	if (n == 0 || n > TEXT_BYTES_MAX || strlen(s) != n)
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' || s[i] == 0x7f)
			return false;
	return true;
}

static enum status text(const struct place *at, json_t *o, const char *member, bool required,
			const char **out)
{
	json_t *v = json_object_get(o, member);

	if (v == NULL && !required)
		return ST_OK;
	if (!json_is_string(v) || !is_plain(json_string_value(v), json_string_length(v)))
		return bad(at, member, "a text is required");
	*out = json_string_value(v);
	return ST_OK;
}

/* Nothing goes to a service in the clear, and no user or token stands in a URL. */
static enum status url(const struct place *at, json_t *o, const char *member, bool required,
		       const char **out)
{
	enum status st = text(at, o, member, required, out);

	if (st != ST_OK || *out == NULL)
		return st;
	if (strncmp(*out, "https://", 8) != 0 || strpbrk(*out, "@# ") != NULL)
		return bad(at, member, "an https:// address without user and fragment is required");
	return ST_OK;
}

/* One of two words; absent: the first. */
static enum status choice(const struct place *at, json_t *o, const char *member, const char *no,
			  const char *yes, bool *out)
{
	json_t *v = json_object_get(o, member);
	const char *s = v == NULL ? no : json_string_value(v);

	if (s == NULL || (strcmp(s, no) != 0 && strcmp(s, yes) != 0))
		return error_set(at->e, ST_INVALID,
				 "remote.json: %s: %s: \"%s\" or \"%s\" is required", at->service,
				 member, no, yes);
	*out = strcmp(s, yes) == 0;
	return ST_OK;
}

static const struct number {
	const char *name;
	size_t offset;
	uint32_t fallback, min, max;
} numbers[] = {
#define NUMBER(m, fallback, min, max) { #m, offsetof(struct service, m), fallback, min, max }
	NUMBER(hashes_max, 200, 1, SERVICE_HASHES_MAX),
	NUMBER(calls_max, 4, 1, SERVICE_CALLS_MAX),
	NUMBER(queue_max, 20000, 1, 200000),
	NUMBER(age_ms, 50, 0, 60000),
	NUMBER(timeout_ms, 180000, 100, 3600000),
	NUMBER(tries, 5, 1, 100),
	NUMBER(wrong_tries, 3, 1, 10),
	NUMBER(back_off_ms, 1000, 1, 60000),
	NUMBER(back_off_max_ms, 60000, 1, 3600000),
	NUMBER(poll_ms, 2000, 10, 600000),
	NUMBER(poll_max_ms, 30000, 10, 3600000),
	NUMBER(patience_ms, 4 * 3600 * 1000, 100, 7 * 24 * 3600 * 1000),
};

static enum status numbers_read(const struct place *at, json_t *o, struct service *s)
{
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		const struct number *n = &numbers[i];
		json_t *v = json_object_get(o, n->name);
		json_int_t x = v == NULL ? n->fallback : json_integer_value(v);

		if ((v != NULL && !json_is_integer(v)) || x < n->min || x > n->max)
			return error_set(at->e, ST_INVALID,
					 "remote.json: %s: %s: a number from %u to %u is required",
					 at->service, n->name, n->min, n->max);
		*(uint32_t *)((char *)s + n->offset) = (uint32_t)x;
	}
	return ST_OK;
}

static enum status headers(const struct place *at, json_t *o, struct service *s)
{
	json_t *all = json_object_get(o, "headers"), *v;
	const char *name;

	if (all == NULL)
		return ST_OK;
	if (!json_is_object(all) || json_object_size(all) > SERVICE_HEADERS_MAX)
		return bad(at, "headers", "an object of a few texts is required");
	json_object_foreach(all, name, v) {
		struct service_header *h = &s->headers[s->headers_n++];
		json_t *file = json_object_get(v, "secret");
		enum status st;

		h->name = name;
		if (name[0] == '\0' || strlen(name) > 64 ||
		    strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
			    != strlen(name))
			return bad(at, "headers", "a name is malformed");
		if (file != NULL && json_object_size(v) == 1)
			st = secret_line(at, "headers", json_string_value(file), &h->value);
		else
			st = text(at, all, name, true, &h->value);
		if (st != ST_OK)
			return st;
	}
	return ST_OK;
}

static enum status oauth(const struct place *at, json_t *o, struct service *s)
{
	static const char *const names[] = { "url", "client", "secret", "scope" };
	json_t *a = json_object_get(o, "oauth");
	const char *file = NULL;
	enum status st;

	if (a == NULL)
		return ST_OK;
	if (!json_is_object(a))
		return bad(at, "oauth", "an object is required");
	st = known(at, a, names, ARRAY_LEN(names));
	if (st == ST_OK)
		st = url(at, a, "url", true, &s->token_url);
	if (st == ST_OK)
		st = text(at, a, "client", true, &s->client);
	if (st == ST_OK)
		st = text(at, a, "scope", false, &s->scope);
	if (st == ST_OK)
		st = text(at, a, "secret", true, &file);
	return st == ST_OK ? secret_line(at, "secret", file, &s->client_secret) : st;
}

/* {"$secret": FILE} anywhere in v becomes the file's first line. */
static enum status secrets_in(const struct place *at, const char *member, json_t *v)
{
	enum status st = ST_OK;
	const char *name, *value;
	json_t *child, *file;
	size_t i;
	void *tmp;

	if (json_is_object(v)) {
		json_object_foreach_safe(v, tmp, name, child) {
			file = json_object_get(child, "$secret");
			if (file == NULL)
				st = secrets_in(at, member, child);
			else
				st = secret_line(at, member, json_string_value(file), &value);
			if (st == ST_OK && file != NULL &&
			    json_object_set_new(v, name, json_string(value)) != 0)
				st = bad(at, member, "a secret is no text");
			if (st != ST_OK)
				return st;
		}
	} else if (json_is_array(v)) {
		json_array_foreach(v, i, child) {
			st = secrets_in(at, member, child);
			if (st != ST_OK)
				return st;
		}
	}
	return ST_OK;
}

static enum status template(const struct place *at, json_t *o, const char *member, bool required,
			    const char *allowed, const json_t **out)
{
	json_t *v = json_object_get(o, member);
	const char *unknown;

	if (v == NULL)
		return required ? bad(at, member, "required") : ST_OK;
	unknown = template_unknown(v, allowed);
	if (unknown != NULL)
		return error_set(at->e, ST_INVALID, "remote.json: %s: %s: '%.40s' is none of %s",
				 at->service, member, unknown, allowed);
	*out = v;
	return secrets_in(at, member, v);
}

static enum status pointer(const struct place *at, json_t *o, const char *member, bool required,
			   const char **out)
{
	json_t *v = json_object_get(o, member);

	if (v == NULL && !required)
		return ST_OK;
	if (!tree_is_pointer(json_string_value(v)))
		return bad(at, member, "a JSON pointer like \"/data/signatures\" is required");
	*out = json_string_value(v);
	return ST_OK;
}

static enum status values(const struct place *at, json_t *o, const char *member, const json_t **out)
{
	json_t *v = json_object_get(o, member), *one;
	size_t i;

	if (v == NULL)
		return ST_OK;
	if (!json_is_array(v) || json_array_size(v) > 16)
		return bad(at, member, "a short list of texts or numbers is required");
	json_array_foreach(v, i, one)
		if (!json_is_string(one) && !json_is_integer(one))
			return bad(at, member, "only texts and numbers");
	*out = v;
	return ST_OK;
}

/* ---- the two kinds ---- */

static enum status answer_read(const struct place *at, json_t *o, struct hash_array *f)
{
	static const char *const names[] = { "signatures", "signature", "id", "transaction",
		"status", "done", "pending", "refused", "lost", "encoding" };
	json_t *a = json_object_get(o, "answer");
	bool hex = false;
	enum status st;

	if (!json_is_object(a))
		return bad(at, "answer", "an object is required");
	st = known(at, a, names, ARRAY_LEN(names));
	f->signature = "";
	if (st == ST_OK)
		st = pointer(at, a, "signatures", true, &f->signatures);
	if (st == ST_OK)
		st = pointer(at, a, "signature", false, &f->signature);
	if (st == ST_OK)
		st = pointer(at, a, "id", false, &f->id);
	if (st == ST_OK)
		st = pointer(at, a, "transaction", false, &f->transaction);
	if (st == ST_OK)
		st = pointer(at, a, "status", false, &f->status);
	if (st == ST_OK)
		st = values(at, a, "done", &f->done);
	if (st == ST_OK)
		st = values(at, a, "pending", &f->pending);
	if (st == ST_OK)
		st = values(at, a, "refused", &f->refused);
	if (st == ST_OK)
		st = values(at, a, "lost", &f->lost);
	if (st == ST_OK)
		st = choice(at, a, "encoding", "base64", "hex", &hex);
	f->signature_form = hex ? FORM_HEX : FORM_BASE64;
	if (st == ST_OK && f->status == NULL &&
	    (f->done != NULL || f->pending != NULL || f->refused != NULL || f->lost != NULL))
		st = bad(at, "status", "required where its values are listed");
	return st;
}

static enum status poll_read(const struct place *at, json_t *o, struct hash_array *f)
{
	static const char *const names[] = { "url", "body" };
	json_t *p = json_object_get(o, "poll");
	enum status st;

	if ((p != NULL) != (f->transaction != NULL))
		return bad(at, "poll", "goes together with answer.transaction");
	if (p == NULL)
		return ST_OK;
	if (!json_is_object(p))
		return bad(at, "poll", "an object is required");
	st = known(at, p, names, ARRAY_LEN(names));
	if (st == ST_OK)
		st = url(at, p, "url", true, &f->poll_url);
	return st == ST_OK ? template(at, p, "body", false, TEMPLATE_POLL, &f->poll_body) : st;
}

static enum status hash_array_read(const struct place *at, json_t *o, struct service *s)
{
	static const char *const names[] = { "name", "api", "url", "headers", "oauth", "ca",
		"client_certificate", "client_key", "body", "item", "hash", "serial", "answer",
		"poll", "form" };
	const char *all[ARRAY_LEN(names) + ARRAY_LEN(numbers)];
	bool hex = false;
	enum status st;

	memcpy(all, names, sizeof(names));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		all[ARRAY_LEN(names) + i] = numbers[i].name;
	st = known(at, o, all, ARRAY_LEN(all));
	if (st == ST_OK)
		st = template(at, o, "body", true, TEMPLATE_BODY, &s->form.body);
	if (st == ST_OK)
		st = template(at, o, "item", false, TEMPLATE_ITEM, &s->form.item);
	if (st == ST_OK)
		st = choice(at, o, "hash", "base64", "hex", &hex);
	s->form.hash_form = hex ? FORM_HEX : FORM_BASE64;
	if (st == ST_OK)
		st = choice(at, o, "serial", "hex", "decimal", &s->form.serial_decimal);
	if (st == ST_OK)
		st = answer_read(at, o, &s->form);
	return st == ST_OK ? poll_read(at, o, &s->form) : st;
}

static enum status auth_data_read(const struct place *at, const char *member, json_t *a)
{
	json_t *one;
	size_t i;

	if (!json_is_array(a) || json_array_size(a) == 0)
		return bad(at, member, "a list of {\"id\", \"value\"} is required");
	json_array_foreach(a, i, one)
		if (!json_is_string(json_object_get(one, "id")))
			return bad(at, member, "each entry has an \"id\"");
	return secrets_in(at, member, a);
}

static enum status csc_read_members(const struct place *at, json_t *o, struct service *s)
{
	static const char *const names[] = { "name", "api", "url", "headers", "oauth", "ca",
		"client_certificate", "client_key", "mode", "auth_data", "auth_data_of", "form" };
	const char *all[ARRAY_LEN(names) + ARRAY_LEN(numbers)];
	json_t *of = json_object_get(o, "auth_data_of"), *one;
	const char *key;
	enum status st;

	memcpy(all, names, sizeof(names));
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		all[ARRAY_LEN(names) + i] = numbers[i].name;
	st = known(at, o, all, ARRAY_LEN(all));
	if (st == ST_OK)
		st = choice(at, o, "mode", "synchronous", "asynchronous", &s->asynchronous);
	s->auth_data = json_object_get(o, "auth_data");
	s->auth_data_of = of;
	if (st == ST_OK && s->auth_data != NULL)
		st = auth_data_read(at, "auth_data", json_object_get(o, "auth_data"));
	if (st == ST_OK && of != NULL && !json_is_object(of))
		st = bad(at, "auth_data_of", "an object, by ids of keys, is required");
	json_object_foreach(of, key, one)
		if (st == ST_OK)
			st = auth_data_read(at, "auth_data_of", one);
	return st;
}

static enum status tls_read(const struct place *at, json_t *o, struct service *s)
{
	enum status st = pem(at, o, "ca", false, &s->ca);

	if (st == ST_OK && s->ca.n == 0)
		st = file_read(at, "", HOST_CA, false, &s->ca);
	if (st == ST_OK)
		st = pem(at, o, "client_certificate", false, &s->client_certificate);
	if (st == ST_OK)
		st = pem(at, o, "client_key", true, &s->client_key);
	if (st == ST_OK && (s->client_certificate.n == 0) != (s->client_key.n == 0))
		st = bad(at, "client_key", "goes together with client_certificate");
	return st;
}

static void mark(struct service *s)
{
	struct sha256 *h = sha256_new();
	uint8_t out[SHA256_BYTES] = { 0 };

	if (h != NULL) {
		sha256_start(h);
		sha256_add(h, s->name, strlen(s->name) + 1);
		sha256_add(h, s->url, strlen(s->url));
		sha256_end(h, out);
	}
	sha256_free(h);
	memcpy(s->mark, out, sizeof(s->mark));
}

static enum status service_read(struct place *at, json_t *o, struct service *s)
{
	bool hash_array = false;
	enum status st = text(at, o, "name", true, &s->name);

	if (st != ST_OK)
		return st;
	if (strlen(s->name) > 64 ||
	    strspn(s->name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != strlen(s->name))
		return bad(at, "name", "only a-z, 0-9, '.', '-', '_' are allowed, at most 64");
	at->service = s->name;
	if (services_find(at->all, s->name) >= 0)
		return bad(at, "name", "stands twice");
	st = choice(at, o, "api", "csc", "hash_array", &hash_array);
	if (st == ST_OK && json_object_get(o, "api") == NULL)
		st = bad(at, "api", "required");
	s->api = hash_array ? API_HASH_ARRAY : API_CSC;
	if (st == ST_OK)
		st = url(at, o, "url", true, &s->url);
	if (st == ST_OK && strchr(s->url, '$') != NULL)
		st = bad(at, "url", "nothing is filled in here");
	if (st == ST_OK)
		st = hash_array ? hash_array_read(at, o, s) : csc_read_members(at, o, s);
	if (st == ST_OK)
		st = choice(at, o, "form", "der", "raw", &s->raw);
	if (st == ST_OK)
		st = numbers_read(at, o, s);
	if (st == ST_OK)
		st = headers(at, o, s);
	if (st == ST_OK)
		st = oauth(at, o, s);
	if (st == ST_OK)
		st = tls_read(at, o, s);
	if (st == ST_OK)
		mark(s);
	return st;
}

static enum status services_read(struct services *all, struct place *at)
{
	json_t *list = json_object_get(all->root, "services");
	size_t n = json_array_size(list);
	enum status st = ST_OK;

	if (json_integer_value(json_object_get(all->root, "version")) != 1)
		return error_set(at->e, ST_UNSUPPORTED, "remote.json: version: 1 is required");
	if (!json_is_array(list) || n == 0 || n > SERVICES_MAX || json_object_size(all->root) != 2)
		return error_set(at->e, ST_INVALID, "remote.json: exactly \"version\" and a list "
				 "\"services\" of 1 to %d are required", SERVICES_MAX);
	for (size_t i = 0; i < n && st == ST_OK; i++) {
		char place[32];

		snprintf(place, sizeof(place), "services[%zu]", i);
		at->service = place;
		st = service_read(at, json_array_get(list, i), &all->of[i]);
		all->n = (uint32_t)i + 1;
	}
	return st;
}

enum status services_load(struct services **out, const char *certs_dir, const char *secrets_dir,
			  struct error *e)
{
	struct services *all = calloc(1, sizeof(*all));
	struct place at = { all, "", certs_dir, secrets_dir, e };
	json_error_t je;
	char path[4096];
	enum status st;

	if (all == NULL)
		return error_set(e, ST_NOMEM, "remote.json: out of memory");
	if (snprintf(path, sizeof(path), "%s/remote.json", certs_dir) >= (int)sizeof(path)) {
		free(all);
		return error_set(e, ST_INVALID, "the path of remote.json is too long");
	}
	all->root = json_load_file(path, JSON_REJECT_DUPLICATES, &je);
	if (all->root == NULL)
		st = error_set(e, je.line < 0 ? ST_NOT_FOUND : ST_INVALID, "%s:%d: %s", path,
			       je.line, je.text);
	else
		st = services_read(all, &at);
	if (st != ST_OK) {
		services_free(all);
		return st;
	}
	*out = all;
	return ST_OK;
}

void services_free(struct services *s)
{
	struct text *t;

	if (s == NULL)
		return;
	while ((t = s->texts) != NULL) {
		s->texts = t->next;
		OPENSSL_cleanse(t->bytes, t->n);
		free(t);
	}
	json_decref(s->root);
	free(s);
}

uint32_t services_count(const struct services *s)
{
	return s->n;
}

const struct service *services_at(const struct services *s, uint32_t index)
{
	return &s->of[index];
}

int32_t services_find(const struct services *s, const char *name)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (strcmp(s->of[i].name, name) == 0)
			return (int32_t)i;
	return -1;
}
