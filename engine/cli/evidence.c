#include "cli/evidence.h"

#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/hash.h"
#include "cli/cli.h"
#include "document.h"
#include "limits.h"

#define PATH_BYTES 4200

struct saving {
	struct client *client;
	uint64_t timeout_s;
	const Trien__V1__Result *result;
	char *folder;
	const char *role;		/* of the signature at hand */
	FILE *chain, *lists;		/* lists NULL: none yet */
};

static int say(const struct saving *s, const char *what, const char *why, int code)
{
	fprintf(stderr, "trien get: %s: %s: %s\n", s->result->result_id, what, why);
	return code;
}

/* One object, whole and checked; *bytes is freed by the caller, whatever comes. */
static int fetch(const struct saving *s, const uint8_t sha256[SHA256_BYTES], uint8_t **bytes,
		 size_t *n)
{
	Trien__V1__DownloadObjectRequest q = TRIEN__V1__DOWNLOAD_OBJECT_REQUEST__INIT;
	Trien__V1__DownloadObjectResponse *m;
	uint8_t is[SHA256_BYTES];
	struct failure f = { 0 };
	struct client_stream *stream;
	bool fits = true;

	q.result_id = s->result->result_id;
	q.sha256 = (ProtobufCBinaryData){ SHA256_BYTES, (uint8_t *)sha256 };
	*n = 0;
	*bytes = malloc(EVIDENCE_BYTES_MAX);
	if (*bytes == NULL)
		return say(s, "evidence", "no memory", EX_OSERR);
	stream = client_stream_open(s->client, REPOSITORY "DownloadObject", &q.base, s->timeout_s);
	while ((m = (void *)client_stream_read(
			stream, &trien__v1__download_object_response__descriptor, &f)) != NULL) {
		fits &= m->chunk.len <= EVIDENCE_BYTES_MAX - *n;
		if (fits && m->chunk.len > 0)
			memcpy(*bytes + *n, m->chunk.data, m->chunk.len);
		*n += fits ? m->chunk.len : 0;
		trien__v1__download_object_response__free_unpacked(m, NULL);
	}
	client_stream_close(stream);
	if (f.code != 0) {
		failure_print("get", &f);
		return failure_exit(&f);
	}
	sha256_once(*bytes, *n, is);
	return fits && memcmp(is, sha256, SHA256_BYTES) == 0 ? 0 :
	       say(s, "evidence", "what came is not what was asked for", EX_DATAERR);
}

static FILE *create(const struct saving *s, const char *suffix)
{
	char path[PATH_BYTES];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s%s", s->folder, s->role, suffix);
	f = fopen(path, "we");
	if (f == NULL)
		say(s, path, strerror(errno), 0);
	return f;
}

static int append(struct saving *s, const uint8_t sha256[SHA256_BYTES], bool list)
{
	uint8_t *der = NULL;
	size_t n;
	int code = fetch(s, sha256, &der, &n);

	if (code == 0 && list && s->lists == NULL)
		s->lists = create(s, ".crl.pem");
	if (code == 0 && ((list && s->lists == NULL) ||
			  PEM_write(list ? s->lists : s->chain, list ? "X509 CRL" : "CERTIFICATE",
				    "", der, (long)n) <= 0))
		code = EX_IOERR;
	free(der);
	return code;
}

/* What the set names, in its order. */
static int members(struct saving *s, const char *set)
{
	int code = 0;

	for (const char *line = set; code == 0 && line != NULL && *line != '\0';
	     line = strchr(line, '\n') != NULL ? strchr(line, '\n') + 1 : NULL) {
		bool list = strncmp(line, "list ", 5) == 0;
		const char *hex = strncmp(line, "certificate ", 12) == 0 ? line + 12 :
				  list ? line + 5 : "";
		uint8_t sha256[SHA256_BYTES];

		if (hex_read(sha256, SHA256_BYTES, slice_of(hex, strcspn(hex, "\n"))))
			code = append(s, sha256, list);
	}
	return code;
}

static int set_save(struct saving *s, const uint8_t sha256[SHA256_BYTES])
{
	uint8_t *bytes = NULL;
	FILE *out = NULL;
	char *set = NULL;
	size_t n;
	int code = fetch(s, sha256, &bytes, &n);

	if (code == 0) {
		set = strndup((const char *)bytes, n);
		out = create(s, ".txt");
		code = set == NULL || out == NULL || fwrite(bytes, 1, n, out) != n ? EX_IOERR : 0;
	}
	if (out != NULL && fclose(out) != 0)
		code = EX_IOERR;
	if (code == 0)
		code = members(s, set);
	free(set);
	free(bytes);
	return code;
}

static int signature_save(struct saving *s, const Trien__V1__Signature *sig)
{
	int code;

	s->role = sig->role == TRIEN__V1__SIGNATURE__SIGNER_ROLE__PERSON ? "person" : "agency";
	s->lists = NULL;
	if (sig->certificate_sha256.len != SHA256_BYTES)
		return say(s, s->role, "the signature names no certificate", 1);
	s->chain = create(s, ".pem");
	if (s->chain == NULL)
		return EX_CANTCREAT;
	code = append(s, sig->certificate_sha256.data, false);
	if (code == 0 && sig->evidence_sha256.len == SHA256_BYTES)
		code = set_save(s, sig->evidence_sha256.data);
	if (fclose(s->chain) != 0 || (s->lists != NULL && fclose(s->lists) != 0))
		code = code != 0 ? code : EX_IOERR;
	return code;
}

int evidence_save(struct client *c, uint64_t timeout_s, const Trien__V1__Result *r, const char *dir)
{
	struct saving s = { .client = c, .timeout_s = timeout_s, .result = r };
	int code = 0;

	if (r->n_signatures == 0)
		return say(&s, "evidence", "it is not stored: it has no signatures", 1);
	if ((mkdir(dir, 0777) != 0 && errno != EEXIST) ||
	    asprintf(&s.folder, "%s/%s", dir, r->result_id) < 0)
		return say(&s, dir, strerror(errno), EX_CANTCREAT);
	if (mkdir(s.folder, 0777) != 0 && errno != EEXIST)
		code = say(&s, s.folder, strerror(errno), EX_CANTCREAT);
	for (size_t i = 0; i < r->n_signatures && code == 0; i++)
		code = signature_save(&s, r->signatures[i]);
	free(s.folder);
	return code;
}
