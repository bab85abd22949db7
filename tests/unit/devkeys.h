/*
 * devkeys.h - throw-away keys for tests: an authority in a temporary folder.
 */
#ifndef TESTS_DEVKEYS_H
#define TESTS_DEVKEYS_H

#include <openssl/pem.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "signer/devca.h"
#include "tmpdir.h"

struct devkeys {
	struct tmpdir dir;
	struct devca *ca;
	struct error e;
	int64_t now_ms;
	char keys[320], certs[320];
};

static inline int devkeys_open(struct devkeys *d, enum algorithm a, const char *passphrase)
{
	struct devca_config cfg = { .algorithm = a, .crl_days = 30, .passphrase = passphrase };

	if (tmpdir_make(&d->dir) != 0)
		return -1;
	d->now_ms = (int64_t)time(NULL) * 1000;
	cfg.data = d->dir.path;
	cfg.now_ms = d->now_ms;
	snprintf(d->keys, sizeof(d->keys), "%s/keys", d->dir.path);
	snprintf(d->certs, sizeof(d->certs), "%s/certs", d->dir.path);
	return devca_new(&d->ca, &cfg, &d->e) == ST_OK ? 0 : -1;
}

/* A key valid since yesterday, for a year. signer NULL: a seal. */
static inline int devkeys_add(struct devkeys *d, enum algorithm a, const char *id, const char *unit,
			      const char *signer)
{
	struct devca_key k = { .id = id, .unit = unit, .signer = signer, .algorithm = a,
		.name = signer != NULL ? "Trần Văn Thử" : "Ủy ban nhân dân phường Thử",
		.organisation = "Cơ quan thử", .valid_from_days = -1, .valid_to_days = 365 };

	return devca_add(d->ca, &k, &d->e) == ST_OK ? 0 : -1;
}

/* The private key of one that was added; the caller's. NULL: it cannot be read. */
static inline EVP_PKEY *devkeys_private(const struct devkeys *d, const char *id)
{
	char path[sizeof(d->keys) + 80];
	EVP_PKEY *key = NULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.pem", d->keys, id);
	f = fopen(path, "r");
	if (f != NULL) {
		key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
		fclose(f);
	}
	return key;
}

static inline void devkeys_close(struct devkeys *d)
{
	devca_free(d->ca);
	tmpdir_remove(&d->dir);
}

#endif
