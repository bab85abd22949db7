#include "cli/preview.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/calendar.h"
#include "catalogue/catalogue.h"
#include "client/protojson.h"
#include "config.h"
#include "intake/raw.h"
#include "intake/validate.h"
#include "io/file.h"
#include "render/render.h"
#include "trien/v1/case.pb-c.h"

#define ARENA_BYTES (8 * 1024 * 1024)
#define CASE_JSON_BYTES_MAX (4 * 1024 * 1024)

struct preview {
	const struct preview_options *o;
	struct error *e;
	struct catalogue *catalogue;
	struct render *render;
	struct arena raw, scratch, decoded;
	uint8_t *wire;			/* the encoded case; what is read of it borrows from here */
	size_t wire_n;
	uint8_t *pdf;
	size_t pdf_n;
};

static enum status open_all(struct preview *p)
{
	static struct config config;	/* its strings live until the process ends */
	char *argv[] = { "preview", NULL };
	enum status st = config_load(&config, 1, argv, p->e);
	struct catalogue_config cc = { .schemas = p->o->schemas, .kind_file = p->o->kind_file };
	struct render_config rc;

	if (st != ST_OK)
		return st;
	if (cc.schemas == NULL)
		cc.schemas = config.schemas;
	rc = (struct render_config){
		.font_regular = config.font_regular, .font_bold = config.font_bold,
		.font_italic = config.font_italic, .font_bold_italic = config.font_bold_italic,
		.verify_host = config.verify_host, .templates_max = 1 };
	st = catalogue_load(&p->catalogue, &cc, p->e);
	if (st == ST_OK)
		st = render_open(&p->render, &rc, p->e);
	if (st == ST_OK && (arena_init(&p->raw, ARENA_BYTES) != ST_OK ||
			    arena_init(&p->scratch, ARENA_BYTES) != ST_OK ||
			    arena_init(&p->decoded, ARENA_BYTES) != ST_OK))
		st = error_set(p->e, ST_NOMEM, "memory is short");
	return st;
}

static void close_all(struct preview *p)
{
	arena_free(&p->raw);
	arena_free(&p->scratch);
	arena_free(&p->decoded);
	render_close(p->render);
	catalogue_unref(p->catalogue);
	free(p->wire);
	free(p->pdf);
}

static enum status read_case(struct preview *p)
{
	struct error why = { 0 };
	ProtobufCMessage *m;
	uint8_t *text;
	size_t n;
	enum status st = file_read(p->o->case_file, CASE_JSON_BYTES_MAX, &text, &n, p->e);

	if (st != ST_OK)
		return st;
	st = protojson_parse(&m, slice_of(text, n), &trien__v1__case__descriptor, &why);
	free(text);
	if (st != ST_OK)
		return error_set(p->e, st, "%s: %s", p->o->case_file, why.text);
	p->wire = malloc(protobuf_c_message_get_packed_size(m) + 1);
	if (p->wire != NULL)
		p->wire_n = protobuf_c_message_pack(m, p->wire);
	protobuf_c_message_free_unpacked(m, NULL);
	return p->wire != NULL ? ST_OK : error_set(p->e, ST_NOMEM, "memory is short");
}

static enum status refused(const struct preview *p, const struct refusal *r)
{
	const struct reason_text *t = reason_text(r->reason);

	return error_set(p->e, ST_INVALID, "%s: %s%s%s: %s / %s%s%s", p->o->case_file, r->field,
			 r->field[0] != '\0' ? ": " : "", t->name, t->vi, t->en,
			 r->detail[0] != '\0' ? ": " : "", r->detail);
}

/* Today, or the first day of the last version: a draft is often ahead of its time. */
static uint32_t day_of(const struct preview *p, const char *code, int64_t now_ms)
{
	uint32_t day = day_vietnam(now_ms);
	const struct kind *k;

	if (catalogue_kind(p->catalogue, slice_str(code), day) != NULL)
		return day;
	for (uint32_t i = 0; (k = catalogue_kind_at(p->catalogue, i)) != NULL; i++)
		if (strcmp(k->code, code) == 0)
			day = k->effective_from;
	return day;
}

static enum status draw(struct preview *p, const struct submitted_case *c, int64_t issued_ms,
			const char *code)
{
	struct item item = { .accepted_ms = issued_ms, .issued_ms = issued_ms,
			     .sign_ms = issued_ms };
	const struct submitted_result *r;

	if (case_decode(&item.c, c->bytes, &p->decoded) != ST_OK)
		return error_set(p->e, ST_INTERNAL, "%s: the case cannot be read back",
				 p->o->case_file);
	while (item.result_index < item.c.results_n &&
	       !slice_eq(item.c.results[item.result_index].kind, slice_str(code)))
		item.result_index++;
	if (item.result_index == item.c.results_n)
		return error_set(p->e, ST_INVALID, "%s: no result is of the kind %s",
				 p->o->case_file, code);
	r = &c->results[item.result_index];
	item.result = &item.c.results[item.result_index];
	item.case_bytes = c->bytes;
	item.kind = r->kind;
	item.unit = r->unit;
	item.signer = r->signer;
	return render_preview(p->render, &item, &p->pdf, &p->pdf_n, p->e);
}

static enum status draw_case(struct preview *p)
{
	const char *code = catalogue_kind_at(p->catalogue, 0)->code;
	int64_t now_ms = (int64_t)time(NULL) * 1000;
	struct validate_env env = { .catalogue = p->catalogue,
				    .coverage = render_coverage(p->render),
				    .day = day_of(p, code, now_ms), .scratch = &p->scratch,
				    .draft = true };
	struct submitted_case c = { 0 };
	struct raw_case raw;
	enum status st = read_case(p);

	if (st != ST_OK)
		return st;
	st = raw_read(&raw, slice_of(p->wire, p->wire_n), &p->raw, &c.refusal);
	if (st == ST_OK)
		st = validate_case(&c, &raw, &env, &p->decoded);
	if (st != ST_OK)
		return refused(p, &c.refusal);
	return draw(p, &c, env.day == day_vietnam(now_ms) ? now_ms : day_start_ms(env.day), code);
}

static enum status write_pdf(const struct preview *p, char *path)
{
	const char *from = p->o->case_file;
	size_t n = strlen(from);

	if (p->o->output != NULL && strcmp(p->o->output, "-") == 0) {
		snprintf(path, PATH_MAX, "-");
		if (fwrite(p->pdf, 1, p->pdf_n, stdout) != p->pdf_n || fflush(stdout) != 0)
			return error_set(p->e, ST_IO, "standard output cannot be written");
		return ST_OK;
	}
	if (n > 5 && strcmp(from + n - 5, ".json") == 0)
		n -= 5;
	if (p->o->output != NULL ? snprintf(path, PATH_MAX, "%s", p->o->output) >= PATH_MAX :
	    snprintf(path, PATH_MAX, "%.*s.pdf", (int)n, from) >= PATH_MAX)
		return error_set(p->e, ST_INVALID, "the output's path is too long");
	return file_replace(path, slice_of(p->pdf, p->pdf_n), 0644, p->e);
}

enum status preview_write(const struct preview_options *o, char *path, struct error *e)
{
	struct preview p = { .o = o, .e = e };
	enum status st = open_all(&p);

	if (st == ST_OK)
		st = draw_case(&p);
	if (st == ST_OK)
		st = write_pdf(&p, path);
	close_all(&p);
	return st;
}
