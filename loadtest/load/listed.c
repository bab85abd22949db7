#include "load/listed.h"

#include <stdio.h>
#include <string.h>

#include "base/wire.h"

static bool is_id(const char id[STENCIL_ID_BYTES], struct slice text)
{
	return text.n == STENCIL_ID_BYTES && memcmp(id, text.p, STENCIL_ID_BYTES) == 0;
}

/* Did a receipt for the case at that place name it? */
static bool is_promised(const struct ledger *l, uint64_t place, struct slice id)
{
	const struct load_case *c = place < l->cases_n ? &l->cases[place] : NULL;
	bool found = false;

	for (uint8_t k = 0; c != NULL && k < c->results; k++)
		found |= l->results[c->first + k].receipts > 0 &&
			 is_id(l->results[c->first + k].id, id);
	return found;
}

static void take_result(struct listed *g, struct slice id, struct slice code)
{
	uint32_t serial;
	bool own = false;

	for (uint8_t k = 0; k < g->c->results; k++)
		if (is_id(g->l->results[g->c->first + k].id, id)) {
			g->seen[k]++;
			own = true;
		}
	if (own || !stencil_serial(g->stencils, code, &serial) ||
	    is_promised(g->l, serial, id) ||
	    (g->reissue_from > 0 && is_promised(g->l, serial + g->reissue_from, id)))
		return;
	g->unpromised++;
	memset(g->unpromised_id, '?', STENCIL_ID_BYTES);
	if (id.n == STENCIL_ID_BYTES)
		memcpy(g->unpromised_id, id.p, STENCIL_ID_BYTES);
}

static void take_holding(struct listed *g, struct slice holding)
{
	struct wire w = wire_of(holding), r;
	struct wire_field f, in;

	while (wire_next(&w, &f)) {
		struct slice id = { NULL, 0 }, code = { NULL, 0 };

		if (f.number != 1)
			continue;
		r = wire_of(f.bytes);
		while (wire_next(&r, &in)) {
			if (in.number == 1)
				id = in.bytes;
			else if (in.number == 5)
				code = in.bytes;
		}
		take_result(g, id, code);
	}
}

void listed_page(struct listed *g, struct slice page)
{
	struct wire w = wire_of(page);
	struct wire_field f;

	g->token[0] = '\0';
	while (wire_next(&w, &f)) {
		if (f.number == 1)
			take_holding(g, f.bytes);
		else if (f.number == 2 && f.bytes.n < sizeof(g->token))
			snprintf(g->token, sizeof(g->token), "%.*s", (int)f.bytes.n,
				 (const char *)f.bytes.p);
	}
}

void listed_end(const struct listed *g, struct proof *p)
{
	for (uint8_t k = 0; k < g->c->results; k++) {
		const char *id = g->l->results[g->c->first + k].id;

		p->listed += g->seen[k] == 1;
		p->list_missing += g->seen[k] == 0;
		p->list_twice += g->seen[k] > 1;
		if (g->seen[k] != 1)
			prove_example(p, "list: its holder sees %.26s %u times", id, g->seen[k]);
	}
	p->duplicates += g->unpromised;
	if (g->unpromised > 0)
		prove_example(p, "double: a holder sees %.26s, which no receipt named",
			      g->unpromised_id);
}
