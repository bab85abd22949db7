#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <signal.h>
#include <sysexits.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/options.h"
#include "client/failure.h"
#include "client/protojson.h"
#include "foreign/foreign.h"
#include "limits.h"

static const char usage[] =
	"trien inspect FILE… [--seconds N] [--json]\n"
	"\n"
	"Would the engine make certified copies of these files, and how: rebuilt from images, or\n"
	"attached behind the certifying statement? Looks into each as the engine does, in a\n"
	"process that can do nothing else; needs no engine. --seconds: of processor time for one\n"
	"file (10). Exit: 0 all can be copied, 1 one cannot, 66 one cannot be read, 75 try\n"
	"again, 78 trien-foreign does not lie beside trien.\n";

#define ARENA_BYTES (2 * 1024 * 1024)
#define PIECE_BYTES (64 * 1024)

struct inspector {
	struct foreign *foreign;
	struct sha256 *hash;
	struct arena arena;
	json_t *list;			/* NULL: for people */
	uint32_t refused, unreadable, again;
};

/* ---- the file ---- */

static bool hash_read(struct inspector *i, int fd, uint8_t out[SHA256_BYTES])
{
	uint8_t piece[PIECE_BYTES];
	off_t at = 0;
	ssize_t n;

	sha256_start(i->hash);
	while ((n = pread(fd, piece, sizeof(piece), at)) > 0) {
		sha256_add(i->hash, piece, (size_t)n);
		at += n;
	}
	sha256_end(i->hash, out);
	return n == 0;
}

static enum status inspect(struct inspector *i, int fd, struct foreign_file *file,
			   struct original *out, struct foreign_verdict *v, struct error *e)
{
	struct stat st;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return error_set(e, ST_INVALID, "no file");
	file->fd = fd;
	if (st.st_size > (off_t)ORIGINAL_BYTES_MAX) {
		*v = (struct foreign_verdict){ REASON_ORIGINAL_TOO_LARGE, "" };
		snprintf(v->detail, sizeof(v->detail), "%lld bytes", (long long)st.st_size);
		return ST_OK;
	}
	file->size = (uint32_t)st.st_size;
	if (!hash_read(i, fd, file->sha256))
		return error_set(e, ST_IO, "%s", strerror(errno));
	arena_reset(&i->arena);
	return foreign_inspect(i->foreign, file, &i->arena, out, v);
}

/* ---- what is said of it ---- */

static const char *const formats[] = { "", "JPEG", "PNG", "PDF" };
static const char *const wrappings[] = {
	"REBUILT", "NOT_IMAGES", "SIGNED", "COLOUR", "CODING", "LONG", "OWN", "TAIL",
};
static const char *const wrapped_why[] = {
	"rebuilt from its images", "attached: a page is not just one image",
	"attached: signed or certified", "attached: its colours cannot be taken over",
	"attached: alpha, interlaced or another coding that cannot be taken over",
	"attached: more than a copy can rebuild", "a result of the engine",
	"attached: more bytes behind the image",
};
static const char *const codings[] = { "", "JPEG", "FLATE", "FLATE_ROWS", "FAX" };

static_assert(ARRAY_LEN(formats) == ORIGINAL_FORMAT_COUNT, "each format has a name");
static_assert(ARRAY_LEN(wrappings) == ORIGINAL_WRAPPED_COUNT, "each way has a name");
static_assert(ARRAY_LEN(wrapped_why) == ORIGINAL_WRAPPED_COUNT, "and a text");
static_assert(ARRAY_LEN(codings) == IMAGE_CODING_COUNT, "each coding has a name");

static json_t *hex_json(const uint8_t *p, size_t n)
{
	char text[2 * 768 + 1];

	hex_lower(text, p, n);
	return json_stringn(text, 2 * n);
}

static json_t *image_json(const struct original_image *m)
{
	json_t *j = json_pack("{s:i, s:i, s:s, s:i, s:i, s:i, s:b, s:[i,i], s:[i,i,i,i]}",
			      "width", (int)m->width, "height", (int)m->height, "coding",
			      codings[m->coding], "components", m->components, "bits", m->bits,
			      "orientation", m->orientation, "inverted", m->inverted, "page",
			      (int)m->page_width, (int)m->page_height, "shown", (int)m->x,
			      (int)m->y, (int)m->shown_width, (int)m->shown_height);
	json_t *runs = json_array();

	for (uint16_t i = 0; i < m->runs_n; i++)
		json_array_append_new(runs, json_pack("[I,I]", (json_int_t)m->runs[i].offset,
						      (json_int_t)m->runs[i].size));
	json_object_set_new(j, "palette", hex_json(m->palette.p, m->palette.n));
	json_object_set_new(j, "runs", runs);
	return j;
}

static json_t *original_json(const struct original *o)
{
	json_t *j = json_pack("{s:s, s:s, s:i, s:i}", "format", formats[o->format], "wrapped",
			      wrappings[o->wrapped], "size", (int)o->size, "pages",
			      (int)o->pages);
	json_t *images = json_array();

	for (uint16_t i = 0; i < o->images_n; i++)
		json_array_append_new(images, image_json(&o->images[i]));
	json_object_set_new(j, "sha256", hex_json(o->sha256, SHA256_BYTES));
	json_object_set_new(j, "images", images);
	return j;
}

static void tell(struct inspector *i, const char *path, const struct original *o,
		 const struct foreign_verdict *v)
{
	const struct reason_text *t = reason_text(v->why);
	json_t *j;

	i->refused += v->why != REASON_NONE;
	if (i->list == NULL) {
		if (v->why == REASON_NONE)
			printf("%s: %s, %u %s: %s\n", path, formats[o->format], o->pages,
			       o->pages == 1 ? "page" : "pages", wrapped_why[o->wrapped]);
		else
			printf("%s: %s (%s)\n  %s\n  %s\n", path, t->name, v->detail, t->vi, t->en);
		return;
	}
	j = v->why == REASON_NONE ? original_json(o) :
		json_pack("{s:s, s:s, s:s, s:s}", "refused", t->name, "detail", v->detail, "vi",
			  t->vi, "en", t->en);
	json_object_set_new(j, "file", json_string(path));
	json_array_append_new(i->list, j);
}

static void one(struct inspector *i, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct foreign_verdict v = { REASON_NONE, "" };
	struct foreign_file file = { .fd = -1 };
	struct error e = { 0 };
	struct original o;
	enum status st;

	st = fd < 0 ? error_set(&e, ST_NOT_FOUND, "%s", strerror(errno)) :
	     inspect(i, fd, &file, &o, &v, &e);
	if (fd >= 0)
		close(fd);
	if (st == ST_OK) {
		tell(i, path, &o, &v);
		return;
	}
	i->again += st == ST_UNAVAILABLE;
	i->unreadable += st != ST_UNAVAILABLE;
	fprintf(stderr, "trien inspect: %s: %s\n", path, e.text[0] != '\0' ? e.text :
		reason_text(REASON_ORIGINAL_READER_AWAY)->en);
}

/* ---- the process beside us ---- */

static enum status begin(struct inspector *i, uint32_t seconds, struct error *e)
{
	const struct foreign_words words = { "error", seconds, NULL };

	return foreign_start(i->foreign, &words, e);
}

static int run(struct inspector *i, int argc, char **argv, uint32_t seconds)
{
	struct error e = { 0 };
	enum status st = foreign_new(&i->foreign, -1, 0, &e);

	i->hash = sha256_new();
	if (st == ST_OK && i->hash == NULL)
		st = error_set(&e, ST_NOMEM, "memory");
	if (st == ST_OK)
		st = arena_init(&i->arena, ARENA_BYTES);
	if (st == ST_OK)
		st = begin(i, seconds, &e);
	if (st != ST_OK) {
		int code = error_exit("inspect", &e);

		return st == ST_PRECONDITION ? EX_CONFIG : code;
	}
	for (int n = 1; n < argc; n++)
		one(i, argv[n]);
	if (i->list != NULL)
		json_print(json_incref(i->list));
	if (i->unreadable > 0)
		return EX_NOINPUT;
	return i->again > 0 ? EX_TEMPFAIL : i->refused > 0;
}

int cli_inspect(int argc, char **argv)
{
	struct inspector i = { .foreign = NULL };
	uint64_t seconds = INSPECTION_CPU_S_MAX;
	bool json = false;
	const struct option_row rows[] = {
		{ "seconds", OPTION_COUNT, &seconds, 1, INSPECTION_CPU_S_MAX },
		{ "json", OPTION_FLAG, &json, 0, 0 },
	};
	int code = options_read(usage, &argc, argv, rows, ARRAY_LEN(rows));

	if (code >= 0)
		return code;
	if (argc < 2)
		return options_wrong(usage, "at least one file is needed");
	i.list = json ? json_array() : NULL;
	code = run(&i, argc, argv, (uint32_t)seconds);
	json_decref(i.list);
	foreign_free(i.foreign);
	sha256_free(i.hash);
	return code;
}
