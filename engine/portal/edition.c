#include "portal/edition.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/hash.h"
#include "base/log.h"

#define PATH_BYTES 4096

/* ---- reading ---- */

static enum status secrets_read(struct identity **out, const struct config *c, struct error *e)
{
	char dir[PATH_BYTES];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(dir, sizeof(dir), "%s/identity", c->data);
	return identity_open(out, dir, (int64_t)now.tv_sec * 1000, false, e);
}

static void first_told(const char *consequence, const struct error *why)
{
	log_warn("portal", "%s: %s", consequence, why->text);
}

/* A part that was there is not lost to a file that is being made or is broken. */
static void stays_told(struct edition *ed, const char *part, const struct error *why)
{
	ed->whole = false;
	log_error("portal", "%s stay as they were: %s", part, why->text);
}

static void trust_read(struct edition *ed, const struct config *c, const struct edition *before)
{
	struct error why = { 0 };

	if (trust_load(&ed->trust, c->certs, c->certs, c->tsa, &why) == ST_OK)
		return;
	if (before != NULL && before->trust != NULL) {
		stays_told(ed, "certificates and revocation lists", &why);
		ed->trust = trust_ref(before->trust);
	} else {
		first_told("signatures cannot be verified", &why);
	}
}

static void identity_take(struct edition *ed, const struct config *c,
			  const struct edition *before)
{
	struct error why = { 0 };

	if (secrets_read(&ed->identity, c, &why) == ST_OK)
		return;
	if (before != NULL && before->identity != NULL) {
		stays_told(ed, "the secrets of result ids", &why);
		ed->identity = identity_dup(before->identity);
	} else {
		first_told("no result can be read yet", &why);
	}
}

enum status edition_read(struct edition **out, const struct config *c,
			 const struct edition *before, struct error *e)
{
	struct catalogue_config names = { .schemas = c->schemas };
	struct edition *ed = calloc(1, sizeof(*ed));
	enum status st;

	*out = NULL;
	if (ed == NULL)
		return ST_NOMEM;
	atomic_init(&ed->refs, 1);
	ed->whole = true;
	st = catalogue_load(&ed->catalogue, &names, e);
	if (st != ST_OK && before == NULL) {
		edition_unref(ed);
		return st;
	}
	if (st != ST_OK) {
		stays_told(ed, "schemas", e);
		ed->catalogue = catalogue_ref(before->catalogue);
	}
	trust_read(ed, c, before);
	identity_take(ed, c, before);
	*out = ed;
	return ST_OK;
}

struct edition *edition_ref(struct edition *ed)
{
	atomic_fetch_add(&ed->refs, 1);
	return ed;
}

void edition_unref(struct edition *ed)
{
	if (ed == NULL || atomic_fetch_sub(&ed->refs, 1) != 1)
		return;
	catalogue_unref(ed->catalogue);
	trust_unref(ed->trust);
	identity_close(ed->identity);
	free(ed);
}

/* ---- have they changed? ---- */

static uint64_t file_number(const char *name, const struct stat *s)
{
	struct { char name[NAME_MAX + 1]; struct timespec written, changed; uint64_t at, size; } f;
	uint8_t digest[SHA256_BYTES];
	uint64_t number;

	memset(&f, 0, sizeof(f));
	snprintf(f.name, sizeof(f.name), "%s", name);
	f.written = s->st_mtim;
	f.changed = s->st_ctim;
	f.at = s->st_ino;
	f.size = (uint64_t)s->st_size;
	sha256_once(&f, sizeof(f), digest);
	memcpy(&number, digest, sizeof(number));
	return number;
}

/* A sum, since a folder gives its names in no order. */
static uint64_t folder_number(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;
	uint64_t sum = 0;
	struct stat s;

	while (d != NULL && (entry = readdir(d)) != NULL)
		if (entry->d_name[0] != '.' && fstatat(dirfd(d), entry->d_name, &s, 0) == 0)
			sum += file_number(entry->d_name, &s);
	if (d != NULL)
		closedir(d);
	return sum;
}

static uint64_t place_number(const char *path)
{
	struct stat s;

	if (path[0] == '\0' || stat(path, &s) != 0)
		return 0;
	return S_ISDIR(s.st_mode) ? folder_number(path) : file_number(path, &s);
}

uint64_t edition_files(const struct config *c)
{
	static const char *const schemas[] = { "results", "agencies", "signers" };
	uint64_t sum = folder_number(c->certs) + place_number(c->tsa);
	char path[PATH_BYTES];

	for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
		snprintf(path, sizeof(path), "%s/%s", c->schemas, schemas[i]);
		sum += folder_number(path);
	}
	return sum;
}

uint64_t edition_secrets(const struct config *c)
{
	char path[PATH_BYTES];

	snprintf(path, sizeof(path), "%s/identity", c->data);
	return folder_number(path);
}
