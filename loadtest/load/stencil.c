#include "load/stencil.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/caselines.h"
#include "load/scans.h"
#include "sample/sample.h"

#define SAMPLES 600
#define HOLES_MAX 160
#define WORDS_MAX 4096
#define NAME_WORDS_MAX 8
#define OWN_DIGITS 6			/* of a personal number; before them province, sex, year */
#define GIVEN_BASE (1ull << 43)		/* above the samples'; its varint has 7 bytes */
#define GIVEN_BYTES 7

enum hole_kind { HOLE_CODE, HOLE_DIGITS, HOLE_WORD, HOLE_GIVEN, HOLE_REPLACES };

/* which: holder, or holder and word. */
struct hole { uint32_t at; uint8_t kind, which, n; };

struct form { uint8_t *bytes; uint32_t n, holes_n; struct hole *holes; };

struct stencil {
	struct form first, again;	/* again: with replaces, where the workload re-issues */
	char unit[CODE_BYTES_MAX + 1], citizen[STENCIL_CITIZEN_BYTES + 1];
	uint8_t results;
	bool copies;
};

/* Words of the samples' names: any of them stands for any other of its place and length. */
struct word { char text[24]; uint8_t n, place; };

struct stencils {
	uint64_t seed;
	uint32_t run, n;
	bool reissue;
	struct stencil all[SAMPLES];
	struct word words[WORDS_MAX];
	uint32_t words_n;
	struct scans *scans;		/* NULL: nothing is copied */
};

static uint64_t mixed(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static uint64_t chance(const struct stencils *s, uint32_t serial)
{
	return mixed(s->seed * 0x9e3779b97f4a7c15u + serial);
}

static const struct stencil *of(const struct stencils *s, uint32_t serial)
{
	return &s->all[chance(s, serial) % s->n];
}

/* ---- making ---- */

static void add_hole(struct form *f, size_t at, enum hole_kind kind, uint32_t which, size_t n)
{
	if (f->holes_n < HOLES_MAX)
		f->holes[f->holes_n++] = (struct hole){ (uint32_t)at, (uint8_t)kind,
							(uint8_t)which, (uint8_t)n };
}

/* family, middle or last: what may stand there. */
static uint8_t place_of(uint32_t i, uint32_t n)
{
	return i == 0 ? 0 : i + 1 == n ? 2 : 1;
}

/* Calls add(form, position) wherever the text stands. */
static void find(struct form *f, const char *text, size_t n, enum hole_kind kind, uint32_t which,
		 size_t skip, size_t hole_n)
{
	const uint8_t *p = f->bytes, *end = f->bytes + f->n;

	while (n > 0 && (p = memmem(p, (size_t)(end - p), text, n)) != NULL) {
		add_hole(f, (size_t)(p - f->bytes) + skip, kind, which, hole_n);
		p += n;
	}
}

static void add_word(struct stencils *s, const char *text, size_t n, uint8_t place)
{
	if (n == 0 || n >= sizeof(s->words[0].text) || s->words_n == WORDS_MAX)
		return;
	for (uint32_t i = 0; i < s->words_n; i++)
		if (s->words[i].n == n && s->words[i].place == place &&
		    memcmp(s->words[i].text, text, n) == 0)
			return;
	s->words[s->words_n] = (struct word){ .n = (uint8_t)n, .place = place };
	memcpy(s->words[s->words_n++].text, text, n);
}

/* Splits a name; false where it is none that can be put together anew. */
static bool name_words(const char *name, struct slice words[NAME_WORDS_MAX], uint32_t *n)
{
	*n = 0;
	while (*name != '\0') {
		size_t k = strcspn(name, " ");

		if (*n == NAME_WORDS_MAX || k == 0)
			return false;
		words[(*n)++] = slice_of(name, k);
		name += k;
		name += *name == ' ';
	}
	return *n >= 2;
}

static void name_holes(struct stencils *s, struct form *f, const char *name, uint32_t holder)
{
	struct slice words[NAME_WORDS_MAX];
	uint32_t n;

	if (!name_words(name, words, &n))
		return;
	for (uint32_t i = 0; i < n; i++) {
		uint8_t place = place_of(i, n);

		add_word(s, (const char *)words[i].p, words[i].n, place);
		find(f, name, strlen(name), HOLE_WORD, holder << 5 | i << 2 | place,
		     (size_t)((const char *)words[i].p - name), words[i].n);
	}
}

static bool is_person(const Trien__V1__Holder *h)
{
	return h->id_kind == TRIEN__V1__HOLDER__ID_KIND__CITIZEN &&
	       strlen(h->number) == STENCIL_CITIZEN_BYTES;
}

static void find_holes(struct stencils *s, struct form *f, const Trien__V1__Case *c)
{
	uint8_t given[GIVEN_BYTES];

	find(f, c->code, STENCIL_CODE_BYTES, HOLE_CODE, 0, 0, STENCIL_CODE_BYTES);
	for (uint32_t i = 0; i < c->n_holders && i < 8; i++) {
		const Trien__V1__Holder *h = c->holders[i];

		if (!is_person(h))
			continue;
		find(f, h->number, STENCIL_CITIZEN_BYTES, HOLE_DIGITS, i,
		     STENCIL_CITIZEN_BYTES - OWN_DIGITS, OWN_DIGITS);
		name_holes(s, f, h->name, i);
	}
	for (uint32_t i = 0; i < c->n_results; i++) {
		uint64_t v = c->results[i]->given_number;

		for (int k = 0; v != 0 && k < GIVEN_BYTES; k++)
			given[k] = (uint8_t)(v >> (7 * k) | (k < GIVEN_BYTES - 1 ? 0x80 : 0));
		find(f, (const char *)given, v != 0 ? GIVEN_BYTES : 0, HOLE_GIVEN, 0, 0,
		     GIVEN_BYTES);
		find(f, c->results[i]->replaces, strlen(c->results[i]->replaces), HOLE_REPLACES, 0,
		     0, STENCIL_ID_BYTES);
	}
}

static void pack_form(struct stencils *s, struct form *f, const Trien__V1__Case *c)
{
	f->n = (uint32_t)trien__v1__case__get_packed_size(c);
	f->bytes = malloc(f->n);
	f->holes = calloc(HOLES_MAX, sizeof(*f->holes));
	if (f->bytes == NULL || f->holes == NULL)
		abort();
	trien__v1__case__pack(c, f->bytes);
	find_holes(s, f, c);
}

/* The fields that the caller changes belong to the message while they are swapped in. */
static void add_case(struct stencils *s, Trien__V1__Case *c)
{
	static const char code[] = "L=====-=========", id[] = "00000000000000000000000000";
	struct stencil *t = &s->all[s->n];
	char *own_code = c->code, *own_replaces[8];
	uint32_t given = 0;

	for (uint32_t i = 0; i < c->n_results; i++) {
		Trien__V1__CaseResult *r = c->results[i];

		given += r->given_number != 0;
		r->given_number = r->given_number != 0 ? GIVEN_BASE : 0;
	}
	/* Two given numbers need two holes; a merger's case replaces one result. */
	if (given > 1 || c->n_results > 8 || (s->reissue && (c->n_results != 1 || given > 0)))
		return;
	c->code = (char *)code;
	pack_form(s, &t->first, c);
	for (uint32_t i = 0; s->reissue && i < c->n_results; i++) {
		own_replaces[i] = c->results[i]->replaces;
		c->results[i]->replaces = (char *)id;
		c->results[i]->revision = 1;
	}
	if (s->reissue)
		pack_form(s, &t->again, c);
	for (uint32_t i = 0; s->reissue && i < c->n_results; i++)
		c->results[i]->replaces = own_replaces[i];
	c->code = own_code;
	t->results = (uint8_t)c->n_results;
	t->copies = strcmp(c->results[0]->kind, SAMPLE_COPY_KIND) == 0;
	if (t->copies && s->scans == NULL)
		s->scans = scans_make(s->seed);
	snprintf(t->unit, sizeof(t->unit), "%s", c->results[0]->unit);
	if (is_person(c->holders[0]))
		snprintf(t->citizen, sizeof(t->citizen), "%s", c->holders[0]->number);
	s->n++;
}

/* From the sample library's lines, as `trien submit` would read them. */
static enum status add_mix(struct stencils *s, const char *mix, uint64_t cases, struct error *e)
{
	struct sample_options o = { .seed = s->seed, .cases = cases, .mix = mix, .priority = -1,
				    .first = s->n + 1 };
	struct sample_counts counts;
	struct cases lines = { .file = tmpfile() };
	Trien__V1__Case *c;
	enum status st;

	if (lines.file == NULL || (lines.line = malloc(CASES_LINE_BYTES_MAX)) == NULL)
		st = error_set(e, ST_IO, "no temporary file");
	else
		st = sample_write(&o, lines.file, &counts, e);
	if (st == ST_OK)
		rewind(lines.file);
	while (st == ST_OK && s->n < SAMPLES && (st = cases_next(&lines, &c, e)) == ST_OK) {
		add_case(s, c);
		trien__v1__case__free_unpacked(c, NULL);
	}
	cases_close(&lines);
	return st == ST_NOT_FOUND ? ST_OK : st;
}

enum status stencil_make(struct stencils **out, const struct workload *w, uint64_t seed,
			 uint32_t run, struct error *e)
{
	struct stencils *s = calloc(1, sizeof(*s));
	double weights = 0;
	enum status st = ST_OK;

	if (s == NULL)
		return error_set(e, ST_NOMEM, "out of memory");
	*s = (struct stencils){ .seed = seed, .run = run % STENCIL_RUN_MAX,
				.reissue = w->reissue };
	for (uint32_t i = 0; i < w->mixes_n; i++)
		weights += w->mixes[i].weight;
	for (uint32_t i = 0; i < w->mixes_n && st == ST_OK; i++) {
		uint64_t n = (uint64_t)(SAMPLES * w->mixes[i].weight / weights + 0.5);

		st = add_mix(s, w->mixes[i].name, n > 0 ? n : 1, e);
	}
	if (st == ST_OK && s->n == 0)
		st = error_set(e, ST_INVALID, "the mix has no case that can be sent so");
	if (st == ST_OK)
		*out = s;
	else
		stencil_free(s);
	return st;
}

void stencil_free(struct stencils *s)
{
	if (s == NULL)
		return;
	for (uint32_t i = 0; i < SAMPLES; i++) {
		free(s->all[i].first.bytes);
		free(s->all[i].first.holes);
		free(s->all[i].again.bytes);
		free(s->all[i].again.holes);
	}
	scans_free(s->scans);
	free(s);
}

/* ---- using ---- */

static void write_decimal(uint8_t *to, uint64_t v, uint32_t digits)
{
	while (digits > 0) {
		to[--digits] = (uint8_t)('0' + v % 10);
		v /= 10;
	}
}

/* The holders of a case never get the same. */
static void write_digits(const struct stencils *s, uint32_t serial, uint32_t holder, uint8_t *to)
{
	uint64_t v = mixed(((uint64_t)s->run << 32 | serial) * 0x9e3779b97f4a7c15u);

	write_decimal(to, v + holder * 111111u, OWN_DIGITS);
}

static void write_word(const struct stencils *s, uint32_t serial, const struct hole *h, uint8_t *to)
{
	uint64_t from = mixed(((uint64_t)serial << 8 | h->which) + s->seed);

	for (uint32_t i = 0; i < s->words_n; i++) {
		const struct word *w = &s->words[(from + i) % s->words_n];

		if (w->n == h->n && w->place == (h->which & 3)) {
			memcpy(to, w->text, w->n);
			return;
		}
	}
}

static void write_given(const struct stencils *s, uint32_t serial, uint8_t *to)
{
	uint64_t v = GIVEN_BASE + ((uint64_t)(s->run & 0xfffff) << 24 | serial);

	for (int k = 0; k < GIVEN_BYTES; k++)
		to[k] = (uint8_t)((v >> (7 * k) & 0x7f) | (k < GIVEN_BYTES - 1 ? 0x80 : 0));
}

void stencil_code(const struct stencils *s, uint32_t serial, char out[STENCIL_CODE_BYTES + 1])
{
	static const char letters[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

	out[0] = 'L';
	for (uint32_t i = 0; i < STENCIL_RUN_BYTES; i++)
		out[1 + i] = letters[s->run >> (5 * (STENCIL_RUN_BYTES - 1 - i)) & 31];
	out[1 + STENCIL_RUN_BYTES] = '-';
	write_decimal((uint8_t *)out + STENCIL_RUN_BYTES + 2, serial,
		      STENCIL_CODE_BYTES - STENCIL_RUN_BYTES - 2);
	out[STENCIL_CODE_BYTES] = '\0';
}

bool stencil_serial(const struct stencils *s, struct slice code, uint32_t *serial)
{
	char own[STENCIL_CODE_BYTES + 1];
	uint64_t v = 0;

	if (code.n != STENCIL_CODE_BYTES)
		return false;
	for (size_t i = STENCIL_RUN_BYTES + 2; i < STENCIL_CODE_BYTES; i++)
		v = 10 * v + (uint64_t)(code.p[i] - '0') % 10;
	*serial = (uint32_t)v;
	stencil_code(s, *serial, own);
	return memcmp(own, code.p, STENCIL_CODE_BYTES) == 0;
}

size_t stencil_size(const struct stencils *s, uint32_t serial, bool replaces)
{
	return replaces ? of(s, serial)->again.n : of(s, serial)->first.n;
}

uint8_t stencil_results(const struct stencils *s, uint32_t serial)
{
	return of(s, serial)->results;
}

void stencil_write(const struct stencils *s, uint32_t serial, const char *replaces, uint8_t *to)
{
	const struct stencil *t = of(s, serial);
	const struct form *f = replaces != NULL ? &t->again : &t->first;
	char code[STENCIL_CODE_BYTES + 1];

	stencil_code(s, serial, code);
	memcpy(to, f->bytes, f->n);
	for (uint32_t i = 0; i < f->holes_n; i++) {
		const struct hole *h = &f->holes[i];

		if (h->kind == HOLE_CODE)
			memcpy(to + h->at, code, STENCIL_CODE_BYTES);
		else if (h->kind == HOLE_DIGITS)
			write_digits(s, serial, h->which, to + h->at);
		else if (h->kind == HOLE_WORD)
			write_word(s, serial, h, to + h->at);
		else if (h->kind == HOLE_GIVEN)
			write_given(s, serial, to + h->at);
		else
			memcpy(to + h->at, replaces, STENCIL_ID_BYTES);
	}
}

bool stencil_copies(const struct stencils *s, uint32_t serial)
{
	return of(s, serial)->copies;
}

/* Which of the scans; high bits, as the low ones chose the case. */
static uint32_t scan_of(const struct stencils *s, uint32_t serial)
{
	return (uint32_t)(chance(s, serial) >> 40);
}

size_t stencil_original_size(const struct stencils *s, uint32_t serial)
{
	return scans_size(s->scans, scan_of(s, serial));
}

void stencil_original(const struct stencils *s, uint32_t serial, uint8_t *to)
{
	char code[STENCIL_CODE_BYTES + 1];

	stencil_code(s, serial, code);
	scans_write(s->scans, scan_of(s, serial), code, to);
}

const char *stencil_unit(const struct stencils *s, uint32_t serial)
{
	return of(s, serial)->unit;
}

bool stencil_citizen(const struct stencils *s, uint32_t serial,
		     char out[STENCIL_CITIZEN_BYTES + 1])
{
	const char *number = of(s, serial)->citizen;

	if (number[0] == '\0')
		return false;
	memcpy(out, number, STENCIL_CITIZEN_BYTES + 1);
	write_digits(s, serial, 0, (uint8_t *)out + STENCIL_CITIZEN_BYTES - OWN_DIGITS);
	return true;
}
