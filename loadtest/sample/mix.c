#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "sample/edge.h"
#include "sample/kinds.h"
#include "sample/sample.h"

#define NFD_PERMILLE 30

/* Or a kind alone, from 0. */
enum mix_kind { MIX_ONE_STOP = -1, MIX_EDGE = -2, MIX_LINKED = -3, MIX_UNKNOWN = -4 };

/*
 * What a commune's one-stop unit hands out, certified copies apart: each application has its
 * receipt, the civil register is half of the rest.
 */
const struct sample_kind sample_kinds[SAMPLE_KINDS] = {
	[KIND_RECEIPT] = { "giay-tiep-nhan-ho-so", PROCEDURE_EXTRACT, 240, subject_adult,
			   fill_receipt },
	[KIND_BIRTH] = { "trich-luc-khai-sinh", PROCEDURE_EXTRACT, 190, subject_anyone,
			 fill_birth },
	[KIND_MARITAL] = { "xac-nhan-tinh-trang-hon-nhan", PROCEDURE_MARITAL, 130, subject_adult,
			   fill_marital },
	[KIND_RESIDENCE] = { "xac-nhan-thong-tin-ve-cu-tru", PROCEDURE_RESIDENCE, 120,
			     subject_anyone, fill_residence },
	[KIND_BUSINESS] = { "giay-chung-nhan-dang-ky-ho-kinh-doanh", PROCEDURE_BUSINESS, 70,
			    subject_adult, fill_business },
	[KIND_MARRIAGE] = { "trich-luc-ket-hon", PROCEDURE_EXTRACT, 70, subject_couple,
			    fill_marriage },
	[KIND_ALLOWANCE] = { "quyet-dinh-huong-tro-cap-xa-hoi", PROCEDURE_ALLOWANCE, 60,
			     subject_needy, fill_allowance },
	[KIND_DEATH] = { "trich-luc-khai-tu", PROCEDURE_DEATH, 50, subject_deceased, fill_death },
	[KIND_REFUSAL] = { "thong-bao-tu-choi", PROCEDURE_EXTRACT, 35, subject_adult,
			   fill_refusal },
	[KIND_HOUSE] = { "giay-phep-xay-dung-nha-o-rieng-le", PROCEDURE_HOUSE, 20, subject_adult,
			 fill_house },
	[KIND_PAVEMENT] = { "giay-phep-su-dung-tam-thoi-via-he", PROCEDURE_PAVEMENT, 15,
			    subject_adult, fill_pavement },
	/* Not of the one-stop mix: it comes with its original. */
	[KIND_COPY] = { SAMPLE_COPY_KIND, PROCEDURE_COPY, 0, subject_adult, fill_copy },
	[KIND_BIRTH_CERTIFICATE] = { "giay-khai-sinh", PROCEDURE_LINKED_BIRTH, 0, subject_newborn,
				     fill_birth_certificate, true },
	[KIND_RESIDENCE_NOTICE] = { "thong-bao-dang-ky-cu-tru", PROCEDURE_LINKED_BIRTH, 0,
				    subject_newborn, fill_residence_notice, true },
	[KIND_INSURANCE_CARD] = { "the-bao-hiem-y-te", PROCEDURE_LINKED_BIRTH, 0, subject_newborn,
				  fill_insurance_card, true },
};

static enum sample_kind_of pick_kind(struct random *r)
{
	uint32_t at = random_below(r, 1000), i = 0;

	while (at >= sample_kinds[i].weight)
		at -= sample_kinds[i++].weight;
	assert(i < SAMPLE_KINDS);
	return (enum sample_kind_of)i;
}

/* What a case brings besides its first result. */
static void fill_more(struct build *b, enum sample_kind_of kind)
{
	struct random *r = &b->random;

	switch (kind) {
	case KIND_BIRTH:
		if (b->child && SAMPLE_YEAR - b->who.birth.year < 2 && random_chance(r, 600))
			fill_residence(b);		/* linked: birth and residence */
		else if (random_chance(r, 200))
			for (uint32_t copies = random_between(r, 1, 2); copies > 0; copies--)
				fill_birth(b);
		break;
	case KIND_MARRIAGE:
		if (random_chance(r, 250))
			fill_marriage(b);		/* a copy for each */
		break;
	case KIND_BUSINESS:
		if (random_chance(r, 80))
			fill_pavement(b);
		break;
	case KIND_HOUSE:
		if (random_chance(r, 200))
			fill_pavement(b);		/* for the building material */
		break;
	default:
		break;
	}
}

static enum priority pick_priority(struct random *r, const struct build *b)
{
	/* "Ngày không hẹn": what is free of a term is done while one waits. */
	if (b->facts.procedure->days == 0 && b->facts.channel == CHANNEL_COUNTER)
		return random_chance(r, 600) ? PRIORITY_INTERACTIVE : PRIORITY_NORMAL;
	return PRIORITY_NORMAL;
}

/* One whole case of the one-stop mix, or of one kind alone. */
static void make_case(struct build *b, enum sample_kind_of kind, bool alone)
{
	const struct sample_kind *k = &sample_kinds[kind];
	struct random *r = &b->random;
	bool open = kind == KIND_RECEIPT || kind == KIND_REFUSAL;
	uint32_t asked;

	k->subject(b);
	asked = open ? random_below(r, PROCEDURES_OPEN) : (uint32_t)k->procedure;
	facts_fill(b, &procedures[asked], kind == KIND_RECEIPT);
	b->c.priority = (uint8_t)pick_priority(r, b);
	if (!alone && kind == KIND_ALLOWANCE && random_chance(r, 60)) {
		fill_allowance_list(b, (uint16_t)random_between(r, 40, 320));
		b->c.priority = PRIORITY_BULK;
		return;
	}
	k->fill(b);
	if (!alone)
		fill_more(b, kind);
}

static void make_numbered(struct build *b, struct arena *a, const struct sample_options *o,
			  int kind, uint64_t serial)
{
	struct random r = random_of(o->seed, serial);
	bool linked = kind == MIX_LINKED;
	bool lac_xuan = random_chance(&r, 650) || linked ||
			(kind >= 0 && sample_kinds[kind].lac_xuan);
	const struct office *office = &offices[lac_xuan ? OFFICE_LAC_XUAN : OFFICE_SUOI_MAY];

	build_start(b, a, office);
	b->random = r;
	b->serial = serial;
	if (linked)
		kind = KIND_BIRTH_CERTIFICATE;
	make_case(b, kind >= 0 ? (enum sample_kind_of)kind : pick_kind(&b->random), kind >= 0);
	if (linked) {
		fill_residence_notice(b);
		fill_insurance_card(b);
	}
	b->decompose = random_chance(&b->random, NFD_PERMILLE);
	b->c.request_id = slice_str(build_text(b, "sample-%llu-%llu%s", (unsigned long long)o->seed,
					       (unsigned long long)serial,
					       b->decompose ? "-nfd" : ""));
}

static int mix_of(const char *name)
{
	if (strcmp(name, "one-stop") == 0)
		return MIX_ONE_STOP;
	if (strcmp(name, "edge") == 0)
		return MIX_EDGE;
	if (strcmp(name, "linked") == 0)
		return MIX_LINKED;
	for (int i = 0; i < SAMPLE_KINDS; i++)
		if (strcmp(name, sample_kinds[i].code) == 0)
			return i;
	return MIX_UNKNOWN;
}

struct run {
	const struct sample_options *o;
	int mix;
	uint64_t cases;			/* at most */
	struct arena arena;
	struct json json;
	struct build *build;
	FILE *out;
};

static enum status write_all(struct run *run, struct sample_counts *counts, struct error *e)
{
	struct build *b = run->build;
	uint64_t first = run->o->first > 0 ? run->o->first : 1;

	while (counts->cases < run->cases &&
	       (run->o->results == 0 || counts->results < run->o->results)) {
		uint64_t left = run->o->results - counts->results, serial = first + counts->cases;

		if (run->mix == MIX_EDGE)
			edge_make(b, &run->arena, run->o->seed, counts->cases % EDGES, serial);
		else
			make_numbered(b, &run->arena, run->o, run->mix, serial);
		if (run->o->results > 0 && b->c.results_n > left)
			b->c.results_n = (uint8_t)left;
		if (run->o->priority >= 0)
			b->c.priority = (uint8_t)run->o->priority;
		run->json.n = 0;
		build_write(b, &run->json);
		if (fwrite(run->json.buf, 1, run->json.n, run->out) != run->json.n)
			return error_set(e, ST_IO, "write: %s", strerror(errno));
		counts->cases++;
		counts->results += b->c.results_n;
	}
	return ST_OK;
}

enum status sample_write(const struct sample_options *o, FILE *f, struct sample_counts *counts,
			 struct error *e)
{
	struct run run = { .o = o, .mix = mix_of(o->mix), .out = f };
	enum status st;

	*counts = (struct sample_counts){ 0 };
	if (run.mix == MIX_UNKNOWN)
		return error_set(e, ST_INVALID,
				 "no mix \"%s\": one-stop, edge, linked, or the code of a kind",
				 o->mix);
	run.cases = o->cases > 0 ? o->cases : run.mix == MIX_EDGE && o->results == 0 ? EDGES :
		    UINT64_MAX;
	if (run.cases == UINT64_MAX && o->results == 0)
		return error_set(e, ST_INVALID, "how many cases, or how many results?");
	st = arena_init(&run.arena, BUILD_ARENA_BYTES);
	if (st != ST_OK)
		return error_set(e, st, "out of memory");
	run.json.buf = malloc(JSON_BYTES_MAX);
	run.build = calloc(1, sizeof(*run.build));
	st = run.json.buf != NULL && run.build != NULL ? write_all(&run, counts, e)
						       : error_set(e, ST_NOMEM, "out of memory");
	free(run.build);
	free(run.json.buf);
	arena_free(&run.arena);
	return st;
}
