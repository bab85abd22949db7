#include "render/compose.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BUCKETS 256
#define ICC_BYTES_MAX (1024 * 1024)
#define ICC_DEFAULT "/usr/share/color/icc/sRGB.icc"

/* Liberation 2, which has Vietnamese: the folder of Debian 12, and of those that have it alone. */
static const char *const font_dirs[] = { "/usr/share/fonts/truetype/liberation2",
					 "/usr/share/fonts/truetype/liberation" };
static const char *const font_files[FACES] = { "LiberationSerif-Regular.ttf",
					       "LiberationSerif-Bold.ttf",
					       "LiberationSerif-Italic.ttf",
					       "LiberationSerif-BoldItalic.ttf" };

struct render {
	pthread_mutex_t lock;		/* all below, but for what composer shares read-only */
	struct composer composer;
	struct template *newest, *oldest;
	struct template *buckets[BUCKETS];
	uint32_t templates_n, templates_max;
};

/* ---- opening ---- */

static enum status read_profile(const char *path, struct slice *out, struct error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat s;
	uint8_t *bytes = NULL;
	ssize_t n = -1;

	if (fd >= 0 && fstat(fd, &s) == 0 && s.st_size >= 128 && s.st_size <= ICC_BYTES_MAX) {
		bytes = malloc((size_t)s.st_size);
		n = bytes != NULL ? read(fd, bytes, (size_t)s.st_size) : -1;
	}
	if (fd >= 0)
		close(fd);
	/* ISO 19005-3, 6.2.3: version below 5, a monitor's RGB profile. */
	if (n < 128 || n != s.st_size || bytes[8] > 4 || memcmp(bytes + 12, "mntrRGB ", 8) != 0) {
		free(bytes);
		return error_set(e, fd < 0 ? ST_NOT_FOUND : ST_INVALID,
				 "colour profile %s: %s; Debian has one in icc-profiles-free", path,
				 fd < 0 ? strerror(errno) :
				 "not an RGB monitor profile of ICC version 2 or 4");
	}
	*out = slice_of(bytes, (size_t)n);
	return ST_OK;
}

static enum status open_usual(struct font **f, int face, struct error *e)
{
	char path[128];
	size_t i = 0;

	do
		snprintf(path, sizeof(path), "%s/%s", font_dirs[i], font_files[face]);
	while (access(path, R_OK) != 0 && ++i < ARRAY_LEN(font_dirs));
	if (i == ARRAY_LEN(font_dirs))
		return error_set(e, ST_NOT_FOUND,
				 "font %s: not in %s; Debian's package fonts-liberation2 has it",
				 font_files[face], font_dirs[0]);
	return font_open(f, path, e);
}

static enum status open_faces(struct font *faces[FACES], const struct render_config *cfg,
			      struct error *e)
{
	const char *paths[FACES] = { cfg->font_regular, cfg->font_bold, cfg->font_italic,
				     cfg->font_bold_italic };
	enum status st = ST_OK;

	for (int f = 0; f < FACES && st == ST_OK; f++)
		st = paths[f] != NULL && paths[f][0] != '\0' ? font_open(&faces[f], paths[f], e) :
			open_usual(&faces[f], f, e);
	return st;
}

static enum status first_layer(struct composer *c, struct font *const faces[FACES], const char *icc,
			       struct error *e)
{
	struct slice profile;
	struct sheet s;
	enum status st = read_profile(icc != NULL ? icc : ICC_DEFAULT, &profile, e);

	if (st != ST_OK)
		return st;
	st = sheet_begin(&s);
	if (st == ST_OK) {
		st = fonts_layer(&c->encoding, faces, profile, &s, e);
		if (st == ST_OK)
			st = sheet_end(&s, &c->fonts);
		else
			sheet_drop(&s);
	}
	free((void *)profile.p);
	if (st != ST_OK)
		return st;
	memcpy(c->fonts_at, s.at, sizeof(c->fonts_at));
	c->fonts_state = sha256_new();
	if (c->fonts_state == NULL)
		return ST_NOMEM;
	sha256_start(c->fonts_state);
	sha256_add(c->fonts_state, c->fonts.bytes, c->fonts.size);
	return ST_OK;
}

/* The address must fit the QR code, whose alphabet needs no escape anywhere. */
static enum status check_url(struct composer *c, const char *host, struct error *e)
{
	int n = snprintf(c->url, sizeof(c->url), "%s/V/", host != NULL ? host : "");
	char text[sizeof(c->url) + ID_TEXT_BYTES + 1];
	struct qr *qr;
	enum status st;

	if (host == NULL || n < 0 || (size_t)n >= sizeof(c->url) ||
	    strncmp(host, "HTTPS://", 8) != 0 || strpbrk(host, " $%*+") != NULL)
		return error_set(e, ST_INVALID,
				 "verify_host \"%s\": must be HTTPS:// and a host, in capitals",
				 host != NULL ? host : "");
	qr = malloc(sizeof(*qr));
	if (qr == NULL)
		return ST_NOMEM;
	snprintf(text, sizeof(text), "%s%.*s", c->url, ID_TEXT_BYTES, "00000000000000000000000000");
	st = qr_encode(c->qr_tables, slice_str(text), qr);
	free(qr);
	if (st != ST_OK)
		return error_set(e, ST_INVALID, "verify_host \"%s\": too long, or not in capitals",
				 host);
	return ST_OK;
}

enum status render_open(struct render **out, const struct render_config *cfg, struct error *e)
{
	struct render *r = calloc(1, sizeof(*r));
	struct font *faces[FACES] = { NULL };
	struct composer *c;
	enum status st;

	if (r == NULL)
		return error_set(e, ST_NOMEM, "no memory for rendering");
	pthread_mutex_init(&r->lock, NULL);
	c = &r->composer;
	c->development = cfg->development;
	r->templates_max = cfg->templates_max > 0 ? cfg->templates_max : 1;
	st = qr_tables_new(&c->qr_tables);
	if (st == ST_OK)
		st = check_url(c, cfg->verify_host, e);
	if (st == ST_OK)
		st = open_faces(faces, cfg, e);
	if (st == ST_OK)
		st = encoding_make(&c->encoding, faces, e);
	if (st == ST_OK)
		st = first_layer(c, faces, cfg->icc, e);
	if (st == ST_OK)
		st = press_make(&c->press, &c->encoding, c->qr_tables);
	for (int f = 0; f < FACES; f++)
		font_close(faces[f]);
	if (st != ST_OK) {
		if (st == ST_NOMEM)
			error_set(e, st, "no memory for rendering");
		render_close(r);
		return st;
	}
	*out = r;
	return ST_OK;
}

const struct codeset *render_coverage(const struct render *r)
{
	return &r->composer.encoding.coverage;
}

const struct composer *render_composer(const struct render *r)
{
	return &r->composer;
}

enum status press_new(struct press **p, struct render *r)
{
	return press_make(p, &r->composer.encoding, r->composer.qr_tables);
}

/* ---- templates in use ---- */

static struct template **bucket_of(struct render *r, const uint8_t *key)
{
	/* Pins are hashes already. */
	return &r->buckets[(key[0] + 7u * key[PIN_BYTES] + 31u * key[2 * PIN_BYTES]) % BUCKETS];
}

static void unlink_order(struct render *r, struct template *t)
{
	*(t->newer != NULL ? &t->newer->older : &r->newest) = t->older;
	*(t->older != NULL ? &t->older->newer : &r->oldest) = t->newer;
}

static void put_newest(struct render *r, struct template *t)
{
	t->newer = NULL;
	t->older = r->newest;
	*(r->newest != NULL ? &r->newest->newer : &r->oldest) = t;
	r->newest = t;
}

static void forget(struct render *r, struct template *t)
{
	struct template **link = bucket_of(r, t->key);

	while (*link != t)
		link = &(*link)->next;
	*link = t->next;
	unlink_order(r, t);
	r->templates_n--;
	template_free(&r->composer, t);
}

/* Those that documents on their way hold stay beyond the bound. */
static void make_room(struct render *r)
{
	struct template *t = r->oldest;

	while (t != NULL && r->templates_n >= r->templates_max) {
		struct template *newer = t->newer;

		if (t->refs == 0)
			forget(r, t);
		t = newer;
	}
}

static enum status compose(struct render *r, const struct parties *p, struct template **out,
			   struct error *e)
{
	struct template **bucket;
	enum status st;

	make_room(r);
	st = template_compose(out, &r->composer, p, e);
	if (st != ST_OK)
		return st;
	bucket = bucket_of(r, (*out)->key);
	(*out)->next = *bucket;
	*bucket = *out;
	put_newest(r, *out);
	r->templates_n++;
	return ST_OK;
}

static enum status take_template(struct render *r, const struct parties *p, struct template **out,
				 struct error *e)
{
	uint8_t key[3 * PIN_BYTES + 1];
	struct template *t;
	enum status st = ST_OK;

	template_key(key, p);
	pthread_mutex_lock(&r->lock);
	t = *bucket_of(r, key);
	while (t != NULL && memcmp(t->key, key, sizeof(key)) != 0)
		t = t->next;
	if (t == NULL) {
		st = compose(r, p, &t, e);
	} else if (t != r->newest) {
		unlink_order(r, t);
		put_newest(r, t);
	}
	if (st == ST_OK) {
		t->refs++;
		*out = t;
	}
	pthread_mutex_unlock(&r->lock);
	return st;
}

enum status render_template(struct render *r, const struct kind *k, const struct unit *u,
			    const struct signer *s, struct template **out, struct error *e)
{
	struct parties p = { k, u, s, DRAFT_NONE };

	return take_template(r, &p, out, e);
}

void render_release(struct render *r, struct template *t)
{
	if (t == NULL)
		return;
	pthread_mutex_lock(&r->lock);
	assert(t->refs > 0);
	t->refs--;
	pthread_mutex_unlock(&r->lock);
}

const struct template_view *template_view(const struct template *t)
{
	return &t->view;
}

void render_close(struct render *r)
{
	if (r == NULL)
		return;
	while (r->newest != NULL)
		forget(r, r->newest);
	press_free(r->composer.press);
	sha256_free(r->composer.fonts_state);
	free((void *)r->composer.fonts.bytes);
	qr_tables_free(r->composer.qr_tables);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* ---- drafts ---- */

enum status render_unsigned(struct render *r, struct press *press, struct item *item,
			    struct arena *arena, struct error *e)
{
	struct parties parties = { item->kind, item->unit, item->signer, DRAFT_TO_SIGN };
	enum status st = take_template(r, &parties, &item->template, e);

	if (st != ST_OK)
		return st;
	item->slots_n = 0;
	st = press_item(press, item, arena);
	if (st == ST_OK)
		return ST_OK;
	render_release(r, item->template);
	item->template = NULL;
	return error_set(e, st, "the draft cannot be laid out: %s", status_name(st));
}

static uint8_t *assemble(const struct document *d)
{
	uint8_t *file = malloc(d->file_size), *at = file;

	for (uint8_t i = 0; file != NULL && i < d->parts_n; i++) {
		memcpy(at, part_bytes(d, &d->parts[i]), d->parts[i].size);
		at += d->parts[i].size;
	}
	return file;
}

enum status render_preview(struct render *r, struct item *item, uint8_t **pdf, size_t *size,
			   struct error *e)
{
	struct parties parties = { item->kind, item->unit, item->signer, DRAFT_TRY };
	struct press *press = NULL;
	struct arena arena = { 0 };
	enum status st = take_template(r, &parties, &item->template, e);

	if (st != ST_OK)
		return st;
	item->slots_n = 0;
	st = arena_init(&arena, DOC_BODY_BYTES_MAX);
	if (st == ST_OK)
		st = press_new(&press, r);
	if (st == ST_OK)
		st = press_item(press, item, &arena);
	if (st == ST_OK) {
		*size = item->doc.file_size;
		*pdf = assemble(&item->doc);
		st = *pdf != NULL ? ST_OK : ST_NOMEM;
	}
	if (st != ST_OK)
		error_set(e, st, "the draft cannot be laid out: %s", status_name(st));
	press_free(press);
	arena_free(&arena);
	render_release(r, item->template);
	item->template = NULL;
	item->doc = (struct document){ 0 };
	return st;
}
