#include "render/compose.h"

#include "catalogue/runs.h"

/* One text under way. */
struct compile {
	struct composer *c;
	struct template *t;
	const struct parties *p;
	bool foreign, nomem;
	uint16_t n;
	struct source sources[RUNS_MAX + 4];
};

static void *take(struct compile *k, size_t n)
{
	void *p = pool_take(&k->t->pool, n > 0 ? n : 1);

	k->nomem |= p == NULL;
	return p;
}

static void add(struct compile *k, struct source s)
{
	if (k->n < ARRAY_LEN(k->sources))
		k->sources[k->n++] = s;
}

/* Encoded with the composer's press, then copied. */
static void literal(struct compile *k, const char *text, enum face face, bool upper)
{
	struct press *p = k->c->press;
	struct span *spans;
	uint8_t *bytes;

	if (text == NULL)
		return;
	press_clear(p);
	text_begin(p);
	text_plain(p, slice_str(text), face, upper);
	k->foreign |= p->well.foreign;
	bytes = take(k, (size_t)(p->well.p - p->text));
	spans = take(k, p->well.n * sizeof(*spans));
	if (bytes == NULL || spans == NULL)
		return;
	memcpy(bytes, p->text, (size_t)(p->well.p - p->text));
	memcpy(spans, p->well.spans, p->well.n * sizeof(*spans));
	for (uint32_t i = 0; i < p->well.n; i++)
		spans[i].p = bytes + (spans[i].p - p->text);
	add(k, (struct source){ .spans = spans, .spans_n = p->well.n, .field = -1 });
}

/* What is known of it with the template; false: it is the item's. */
static bool static_builtin(struct compile *k, enum run_builtin b, enum face face, bool upper)
{
	const struct signer *signer = k->p->signer;

	switch (b) {
	case BUILTIN_PLACE:
		literal(k, k->p->unit->place, face, upper);
		break;
	case BUILTIN_UNIT:
		literal(k, k->p->unit->name, face, upper);
		break;
	case BUILTIN_SUPERIOR:
		literal(k, k->p->unit->superior, face, upper);
		break;
	case BUILTIN_SIGNER:
		literal(k, signer != NULL ? signer->name : NULL, face, upper);
		break;
	case BUILTIN_TITLE:
		literal(k, signer != NULL ? signer->title : NULL, face, upper);
		break;
	case BUILTIN_NONE:
	case BUILTINS:
		break;
	default:
		return false;
	}
	return true;
}

static void builtin(struct compile *k, enum run_builtin b, enum run_format format, enum face face,
		    bool upper)
{
	upper |= format == RUN_UPPER;
	if (!static_builtin(k, b, face, upper))
		add(k, (struct source){ .field = -1, .builtin = (uint8_t)b,
					.format = (uint8_t)format, .face = (uint8_t)face,
					.upper = upper });
}

static enum face face_of(bool bold, bool italic)
{
	return (enum face)((bold ? FACE_BOLD : 0) | (italic ? FACE_ITALIC : 0));
}

static void runs(struct compile *k, const struct runs *r, enum face base, bool upper)
{
	for (uint16_t i = 0; i < r->n; i++) {
		const struct run *run = &r->run[i];
		enum face face = (enum face)(base | face_of(run->bold, run->italic));

		if (run->literal != NULL)
			literal(k, run->literal, face, upper);
		else if (run->builtin != BUILTIN_NONE)
			builtin(k, run->builtin, run->format, face, upper);
		else
			add(k, (struct source){ .field = run->field, .format = run->format,
						.face = (uint8_t)face, .upper = upper });
	}
}

static struct text finish(struct compile *k)
{
	struct source *sources = take(k, k->n * sizeof(*sources));
	struct text t = { k->n, sources };

	if (sources != NULL)
		memcpy(sources, k->sources, k->n * sizeof(*sources));
	k->n = 0;
	return t;
}

static struct text text_of(struct compile *k, const struct runs *r, enum face base, bool upper)
{
	runs(k, r, base, upper);
	return finish(k);
}

/* ND 30/2020 PL I, II.3-4: "Số: 07/GXN-UBND" and "Lạc Xuân, ngày …" in italics. */
static void number_date(struct compile *k, struct block_texts *t)
{
	literal(k, "Số: ", FACE_REGULAR, false);
	builtin(k, BUILTIN_NUMBER, RUN_PLAIN, FACE_REGULAR, false);
	t->text = finish(k);
	literal(k, k->p->unit->place, FACE_ITALIC, false);
	literal(k, ", ", FACE_ITALIC, false);
	builtin(k, BUILTIN_DATE, RUN_PLAIN, FACE_ITALIC, false);
	t->subtitle = finish(k);
}

static void block(struct compile *k, const struct block *b, struct block_texts *t)
{
	struct line_texts *lines = take(k, b->lines_n * sizeof(*lines));
	enum face base = face_of(b->type == BLOCK_TITLE, b->italic);

	if (lines == NULL)
		return;
	t->text = text_of(k, &b->text, base, b->type == BLOCK_TITLE);
	t->subtitle = text_of(k, &b->subtitle, base, false);
	t->lines = lines;
	for (uint16_t i = 0; i < b->lines_n; i++) {
		runs(k, &b->lines[i].label, base, false);
		if (b->lines[i].label.n > 0)
			literal(k, ": ", base, false);
		lines[i].label = finish(k);
		lines[i].value = text_of(k, &b->lines[i].value, base, false);
	}
	if (b->type == BLOCK_NUMBER_DATE)
		number_date(k, t);
	if (b->type == BLOCK_SIGNATURE || b->type == BLOCK_RECIPIENTS) {
		literal(k, "Nơi nhận:", FACE_BOLD_ITALIC, false);
		t->text = finish(k);
	}
	if (b->type == BLOCK_QR) {
		literal(k, k->c->url, FACE_REGULAR, false);
		t->subtitle = finish(k);
	}
}

/* ---- attached data ---- */

static void member(struct writer *w, const char *name, const char *value)
{
	if (value == NULL || value[0] == '\0')
		return;
	if (w->p[-1] != '{')
		write_u8(w, ',');
	write_json_text(w, slice_str(name));
	write_u8(w, ':');
	write_json_text(w, slice_str(value));
}

static struct slice keep(struct compile *k, const struct writer *w)
{
	uint8_t *p = take(k, writer_size(w));

	if (p == NULL)
		return (struct slice){ NULL, 0 };
	memcpy(p, w->start, writer_size(w));
	return slice_of(p, writer_size(w));
}

/* Up to the result's own values (schemas/result-data.json); the address is plain (composer). */
static void data_head(struct compile *k)
{
	uint8_t buf[8192];
	struct writer w = writer_of(buf, sizeof(buf));
	const struct parties *p = k->p;

	write_str(&w, "{\"schema\":\"trien-result/1\",\"kind\":{");
	member(&w, "code", p->kind->code);
	member(&w, "name", p->kind->name_vi);
	write_str(&w, "},\"unit\":{");
	member(&w, "code", p->unit->code);
	member(&w, "name", p->unit->name);
	member(&w, "org_code", p->unit->org_code);
	write_str(&w, "}");
	if (p->signer != NULL) {
		write_str(&w, ",\"signer\":{");
		member(&w, "name", p->signer->name);
		member(&w, "title", p->signer->title);
		write_str(&w, "}");
	}
	write_str(&w, p->draft ? ",\"draft\":true" : ",\"url\":\"");
	if (!p->draft)
		write_str(&w, k->c->url);
	k->t->data_head = keep(k, &w);
	k->nomem |= w.bad;
}

static void data_keys(struct compile *k)
{
	const struct kind *kind = k->p->kind;
	struct slice *keys = take(k, kind->fields_n * sizeof(*keys));
	uint8_t *sizes = take(k, kind->fields_n), buf[4 * FIELD_NAME_BYTES_MAX];

	if (keys == NULL || sizes == NULL)
		return;
	for (uint8_t i = 0; i < kind->fields_n; i++) {
		struct writer w = writer_of(buf, sizeof(buf));

		sizes[i] = (uint8_t)strlen(kind->fields[i].name);
		if (!kind->fields[i].public)
			continue;
		write_json_text(&w, slice_str(kind->fields[i].name));
		write_u8(&w, ':');
		keys[i] = keep(k, &w);
	}
	k->t->name_sizes = sizes;
	k->t->data_keys = keys;
}

enum status texts_compile(struct template *t, struct composer *c, const struct parties *p,
			  struct error *e)
{
	struct compile k = { .c = c, .t = t, .p = p };
	struct block_texts *blocks = take(&k, p->kind->blocks_n * sizeof(*blocks));

	if (blocks == NULL)
		return error_set(e, ST_NOMEM, "no memory for a template");
	t->blocks = blocks;
	t->url = slice_str(c->url);
	for (uint8_t i = 0; i < p->kind->blocks_n; i++)
		block(&k, &p->kind->blocks[i], &blocks[i]);
	data_head(&k);
	data_keys(&k);
	if (k.nomem)
		return error_set(e, ST_NOMEM, "no memory for a template");
	if (k.foreign)
		return error_set(e, ST_INVALID,
				 "kind %s, unit %s: a text has a character that the fonts lack",
				 p->kind->code, p->unit->code);
	return ST_OK;
}
