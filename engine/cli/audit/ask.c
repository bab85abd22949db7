#include <stdlib.h>
#include <string.h>

#include "cli/audit/ask.h"
#include "trien/v1/audit.pb-c.h"
#include "trien/v1/operations.pb-c.h"

#define PAGE 200

struct audit_engine {
	struct client *client;
	uint64_t timeout_s;
	struct audit_head *of;		/* by name */
	size_t n, room;
};

static int by_name(const void *a, const void *b)
{
	const struct audit_head *x = a, *y = b;
	int order = strcmp(x->unit, y->unit);

	if (order == 0)
		order = strcmp(x->code, y->code);
	return order != 0 ? order : (x->year > y->year) - (x->year < y->year);
}

static enum status keep(struct audit_engine *g, const Trien__V1__Register *r)
{
	struct audit_head *h;

	if (strlen(r->unit) > CODE_BYTES_MAX || strlen(r->code) > CODE_BYTES_MAX)
		return ST_OK;
	if (g->n == g->room) {
		size_t room = g->room == 0 ? 64 : 2 * g->room;
		void *bigger = realloc(g->of, room * sizeof(*g->of));

		if (bigger == NULL)
			return ST_NOMEM;
		g->of = bigger;
		g->room = room;
	}
	h = &g->of[g->n++];
	*h = (struct audit_head){ .year = r->year, .first = r->first, .next = r->next };
	memcpy(h->unit, r->unit, strlen(r->unit));
	memcpy(h->code, r->code, strlen(r->code));
	return ST_OK;
}

static enum status heads_read(struct audit_engine *g, struct error *e)
{
	Trien__V1__ListRegistersRequest q = TRIEN__V1__LIST_REGISTERS_REQUEST__INIT;
	Trien__V1__ListRegistersResponse *page = NULL;
	struct failure f = { 0 };
	enum status st = ST_OK;

	q.page_size = PAGE;
	do {
		Trien__V1__ListRegistersResponse *next = (void *)client_call(
			g->client, OPERATIONS "ListRegisters", &q.base,
			&trien__v1__list_registers_response__descriptor, &f);

		if (page != NULL)
			trien__v1__list_registers_response__free_unpacked(page, NULL);
		page = next;
		for (size_t i = 0; page != NULL && i < page->n_registers && st == ST_OK; i++)
			st = keep(g, page->registers[i]);
		q.page_token = page != NULL ? page->next_page_token : "";
	} while (st == ST_OK && q.page_token[0] != '\0');
	if (page == NULL)
		return error_set(e, ST_UNAVAILABLE, "%s", f.en);
	trien__v1__list_registers_response__free_unpacked(page, NULL);
	return st == ST_OK ? ST_OK : error_set(e, st, "no memory for the engine's registers");
}

enum status audit_engine_open(struct audit_engine **out, const struct client_options *o,
			      struct error *e)
{
	struct audit_engine *g = calloc(1, sizeof(*g));
	enum status st = g == NULL ? ST_NOMEM : client_open(&g->client, o, e);

	if (st == ST_OK) {
		g->timeout_s = o->timeout_s;
		st = heads_read(g, e);
	}
	if (st != ST_OK) {
		audit_engine_close(g);
		return st;
	}
	qsort(g->of, g->n, sizeof(*g->of), by_name);
	*out = g;
	return ST_OK;
}

void audit_engine_close(struct audit_engine *g)
{
	if (g == NULL)
		return;
	client_close(g->client);
	free(g->of);
	free(g);
}

const struct audit_head *audit_engine_heads(const struct audit_engine *g, size_t *n)
{
	*n = g != NULL ? g->n : 0;
	return g != NULL ? g->of : NULL;
}

const struct audit_head *audit_engine_head(const struct audit_engine *g,
					   const struct register_mark *m)
{
	struct audit_head name = { .year = m->year };

	if (g == NULL || g->n == 0)
		return NULL;
	memcpy(name.unit, m->unit, sizeof(name.unit));
	memcpy(name.code, m->code, sizeof(name.code));
	return bsearch(&name, g->of, g->n, sizeof(*g->of), by_name);
}

bool audit_engine_pending(struct audit_engine *g, const struct register_mark *m, uint64_t from,
			  uint64_t to, void (*one)(void *ctx, uint64_t number), void *ctx)
{
	Trien__V1__ListRegisterRequest q = TRIEN__V1__LIST_REGISTER_REQUEST__INIT;
	Trien__V1__ListRegisterResponse *page;
	struct client_stream *s;
	struct failure f = { 0 };
	bool beyond = false;

	q.unit = (char *)m->unit;
	q.code = (char *)m->code;
	q.year = m->year;
	q.after_number = from - 1;
	s = client_stream_open(g->client, AUDIT "ListRegister", &q.base, g->timeout_s);
	while (!beyond && (page = (void *)client_stream_read(
			s, &trien__v1__list_register_response__descriptor, &f)) != NULL) {
		for (size_t i = 0; i < page->n_entries && !beyond; i++) {
			const Trien__V1__RegisterEntry *entry = page->entries[i];

			beyond = entry->number > to;
			if (!beyond && entry->state == TRIEN__V1__REGISTER_ENTRY__STATE__PENDING)
				one(ctx, entry->number);
		}
		trien__v1__list_register_response__free_unpacked(page, NULL);
	}
	client_stream_close(s);
	return f.code == 0;
}
