/* Rows of a result that lie apart from it: they may have been broken off. */
#include "store/postgres/lanes.h"
#include "store/rows.h"

#define LOCATORS_MAX 2

/* column: of the key. */
static enum status all_there(struct store_reader *r, enum pg_statement which,
			     const struct place *of, uint32_t n, int column, bool *whole)
{
	PGresult *answers[LANES];
	enum status st = lanes_ask(r, which, of, n, answers);

	for (uint32_t i = 0; i < n && st == ST_OK; i++)
		*whole &= lanes_row_of(answers[of[i].lane], &of[i], column) >= 0;
	return st;
}

enum status pg_whole(struct store_reader *r, bool *whole)
{
	const struct pg_servers *s = &r->home->servers;
	const struct stored_result *v = &r->result;
	struct place holdings[CASE_HOLDERS_MAX], locators[LOCATORS_MAX];
	uint32_t locators_n = 1;
	uint8_t key[16];
	enum status st;

	*whole = true;
	if (s->n == 1 && !s->citus)
		return ST_OK;
	for (uint8_t i = 0; i < v->holdings_n; i++)
		lanes_key(&holdings[i], v->holdings[i].key, v->view.sequence);
	locator_case(key, v->view.unit, v->view.case_code);
	lanes_key(&locators[0], key, v->view.sequence);
	if (!id_is_zero(v->view.replaces)) {
		locator_replaced(key, v->view.replaces);
		lanes_key(&locators[locators_n++], key, v->view.sequence);
	}
	st = all_there(r, PG_HOLDINGS_THERE, holdings, v->holdings_n, 6, whole);
	return st == ST_OK && *whole ?
		all_there(r, PG_LOCATORS_THERE, locators, locators_n, 2, whole) : st;
}
