#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "cli/caselines.h"
#include "cli/cli.h"
#include "cli/copying.h"
#include "cli/options.h"
#include "client/protojson.h"

static const char usage[] =
	"trien certify FILE --case CASE.json [--validate-only] [--wait] [--wait-seconds N]\n"
	"              [--json] [--retry-seconds 60]\n"
	"trien certify --list COPIES.jsonl|- …\n"
	"\n"
	"Has an original (JPEG, PNG or PDF) certified as an electronic copy: FILE for the case in\n"
	"CASE.json (trien.v1.Case with one result, of a kind that certifies copies). --list:\n"
	"many, one {\"file\": PATH, \"case\": {…}} a line; a PATH counts from where the list is.\n"
	"Safe to run again: a repetition is answered with the same receipt. --wait: until all are\n"
	"stored or held. Exit: 0 done, 1 something was refused, 3 not all stored.\n"
	CLIENT_OPTIONS_USAGE;

/* A file that is sent, read through once before. */
struct brought {
	int fd;
	uint64_t size;
	uint8_t sha256[SHA256_BYTES];
};

static enum status file_open(struct brought *b, const char *path, struct error *e)
{
	uint8_t *piece = malloc(UPLOAD_CHUNK_BYTES_MAX);
	struct sha256 *h = sha256_new();
	struct stat st;
	ssize_t n = -1;

	*b = (struct brought){ .fd = open(path, O_RDONLY | O_CLOEXEC) };
	if (piece == NULL || h == NULL)
		abort();
	sha256_start(h);
	if (b->fd >= 0 && fstat(b->fd, &st) == 0 && S_ISREG(st.st_mode))
		while ((n = read(b->fd, piece, UPLOAD_CHUNK_BYTES_MAX)) > 0) {
			sha256_add(h, piece, (size_t)n);
			b->size += (uint64_t)n;
		}
	else if (b->fd >= 0)
		errno = EISDIR;
	sha256_end(h, b->sha256);
	sha256_free(h);
	free(piece);
	if (n == 0)
		return ST_OK;
	error_set(e, ST_NOT_FOUND, "%s: %s", path, strerror(errno));
	if (b->fd >= 0)
		close(b->fd);
	return ST_NOT_FOUND;
}

/* Sends all of it; false: the call is over before. */
static bool send_all(struct client_stream *s, const struct brought *b, uint8_t *piece)
{
	Trien__V1__CertifyCopyRequest q = TRIEN__V1__CERTIFY_COPY_REQUEST__INIT;
	uint64_t at = 0;
	ssize_t n;

	q.part_case = TRIEN__V1__CERTIFY_COPY_REQUEST__PART_CHUNK;
	while ((n = pread(b->fd, piece, UPLOAD_CHUNK_BYTES_MAX, (off_t)at)) > 0) {
		q.chunk = (ProtobufCBinaryData){ (size_t)n, piece };
		if (!client_upload_send(s, &q.base))
			return false;
		at += (uint64_t)n;
	}
	return true;
}

static Trien__V1__CertifyCopyResponse *send_once(struct copying *c, Trien__V1__Case *of,
						 const struct brought *b, uint8_t *piece,
						 struct failure *f)
{
	Trien__V1__CertifyCopyRequest q = TRIEN__V1__CERTIFY_COPY_REQUEST__INIT;
	Trien__V1__CopyHeader header = TRIEN__V1__COPY_HEADER__INIT;
	struct client_stream *s = client_upload_open(c->client, ISSUANCE "CertifyCopy",
						     c->engine.timeout_s);
	void *answer;

	header.case_ = of;
	header.size = b->size;
	header.sha256 = (ProtobufCBinaryData){ SHA256_BYTES, (uint8_t *)b->sha256 };
	header.validate_only = c->validate_only;
	q.part_case = TRIEN__V1__CERTIFY_COPY_REQUEST__PART_HEADER;
	q.header = &header;
	if (client_upload_send(s, &q.base))
		(void)send_all(s, b, piece);
	answer = client_upload_end(s, &trien__v1__certify_copy_response__descriptor, f);
	client_stream_close(s);
	return answer;
}

static void certify_file(struct copying *c, uint64_t line, const char *name,
			 const struct brought *b, Trien__V1__Case *of)
{
	uint8_t *piece = malloc(UPLOAD_CHUNK_BYTES_MAX);
	int64_t start_ms = progress_now_ms();
	Trien__V1__CertifyCopyResponse *a;
	struct failure f = { 0 };
	uint32_t tries = 0;

	if (piece == NULL)
		abort();
	do
		a = send_once(c, of, b, piece, &f);
	while (a == NULL && copying_again(c, &f, tries++, start_ms));
	if (a != NULL)
		copying_receipt(c, line, name, a->receipt);
	else
		copying_refusal(c, "certify", line, name, &f);
	if (a != NULL)
		trien__v1__certify_copy_response__free_unpacked(a, NULL);
	free(piece);
}

/* ---- a list ---- */

/* Of our own side: told in the form of a refusal. */
static void wrong_line(struct copying *c, uint64_t line, const char *of, const char *text)
{
	struct failure f = { .code = 3 };

	snprintf(f.reason, sizeof(f.reason), "LINE_INVALID");
	snprintf(f.en, sizeof(f.en), "%s", text);
	snprintf(f.vi, sizeof(f.vi), "Dòng này không nêu một bản sao hợp lệ");
	copying_refusal(c, "certify", line, of, &f);
}

static void certify_line(struct copying *c, uint64_t line, struct slice text, const char *folder)
{
	json_t *j = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
	const char *file = json_string_value(json_object_get(j, "file"));
	ProtobufCMessage *m = NULL;
	struct error e = { 0 };
	struct brought b;
	char path[PATH_MAX];

	if (file == NULL || json_object_size(j) != 2) {
		wrong_line(c, line, "?", "{\"file\": PATH, \"case\": {…}} is needed");
		json_decref(j);
		return;
	}
	snprintf(path, sizeof(path), "%s%s", file[0] != '/' ? folder : "", file);
	if (protojson_read(&m, json_object_get(j, "case"), &trien__v1__case__descriptor, &e) !=
	    ST_OK || file_open(&b, path, &e) != ST_OK) {
		wrong_line(c, line, file, e.text);
	} else {
		certify_file(c, line, file, &b, (Trien__V1__Case *)m);
		close(b.fd);
	}
	if (m != NULL)
		protobuf_c_message_free_unpacked(m, NULL);
	json_decref(j);
}

static int certify_list(struct copying *c, const char *path)
{
	const char *slash = strrchr(path, '/');
	struct cases lines;
	struct slice text;
	char folder[PATH_MAX];
	struct error e = { 0 };
	enum status st = cases_open(&lines, path, &e);

	snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) + 1 : 0, path);
	while (st == ST_OK && c->fatal.code == 0) {
		st = cases_line(&lines, &text, &e);
		if (st == ST_OK)
			certify_line(c, lines.number, text, folder);
		else if (st == ST_INVALID)
			wrong_line(c, lines.number, "?", e.text);
		if (st == ST_INVALID)
			st = ST_OK;
	}
	cases_close(&lines);
	return st == ST_OK || st == ST_NOT_FOUND ? 0 : error_exit("certify", &e);
}

static int certify_one(struct copying *c, const char *path, const char *case_file)
{
	Trien__V1__Case *of = NULL;
	struct error e = { 0 };
	struct brought b;
	enum status st = copying_case(&of, case_file, &e);

	if (st == ST_OK)
		st = file_open(&b, path, &e);
	if (st == ST_OK) {
		certify_file(c, 0, path, &b, of);
		close(b.fd);
	}
	if (of != NULL)
		trien__v1__case__free_unpacked(of, NULL);
	return st == ST_OK ? 0 : error_exit("certify", &e);
}

int cli_certify(int argc, char **argv)
{
	struct copying c = COPYING_DEFAULTS;
	const char *case_file = NULL, *list = NULL;
	const struct option_row rows[] = {
		{ "case", OPTION_TEXT, &case_file, 0, 0 },
		{ "list", OPTION_TEXT, &list, 0, 0 },
		COPYING_OPTION_ROWS(c),
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows)), end;
	struct error e = { 0 };

	if (code >= 0)
		return code;
	if (list != NULL ? argc != 1 || case_file != NULL : argc != 2 || case_file == NULL)
		return options_wrong(usage, "FILE and --case, or --list, are needed");
	c.many = list != NULL;
	if (client_open(&c.client, &c.engine, &e) != ST_OK)
		return error_exit("certify", &e);
	code = list != NULL ? certify_list(&c, list) : certify_one(&c, argv[1], case_file);
	end = copying_end(&c, "certify");
	return code != 0 ? code : end;
}
