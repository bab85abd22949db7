/* Who looked at my papers: what the engine noted of each read by another (Decree 278/2025). */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "identity.h"
#include "portal/inside.h"
#include "portal/models.h"
#include "portal/route.h"
#include "portal/show.h"
#include "share.h"

#define PAGE_READS 50
#define PAPERS_MAX 20			/* of one read */
#define PAPERS_NAMED 100		/* of a page with kind and number */

struct reads {
	struct reading *r;
	json_t *rows;
	uint64_t *ended;		/* what is not theirs to see any more */
	uint32_t ended_n;
};

static const char *call_name(uint8_t call)
{
	static const char *const names[] = { [READ_GET] = "get", [READ_BATCH_GET] = "get",
		[READ_DOWNLOAD] = "download", [READ_OBJECT] = "evidence", [READ_LIST] = "list",
		[READ_FIND] = "find", [READ_VERIFY] = "verify", [READ_COPY] = "copy",
		[READ_SHARE] = "share", [READ_LOOK_UP] = "look_up",
		[READ_LOOK_UP_NUMBER] = "look_up", [READ_LOOK_UP_FILE] = "verify" };

	return call < ARRAY_LEN(names) && names[call] != NULL ? names[call] : "other";
}

static bool is_theirs(const struct reads *x, uint64_t sequence)
{
	uint32_t i = 0;

	while (i < x->ended_n && x->ended[i] != sequence)
		i++;
	return i == x->ended_n;
}

/* Which papers; *n: how many. */
static json_t *papers_told(const struct reads *x, const struct reading_view *v, uint32_t *n)
{
	json_t *papers = json_array();

	*n = 0;
	for (uint16_t i = 0; i < v->names_n; i++) {
		struct result_name name = reading_name(v, i);
		char id[ID_TEXT_BYTES + 1];

		if (!is_theirs(x, name.sequence) || (*n)++ >= PAPERS_MAX)
			continue;
		reading_id_text(x->r, name.lane, name.sequence, id);
		json_array_append_new(papers, json_pack("{s:s}", "id", id));
	}
	return papers;
}

/* By a share its id and scope stand where others say why; the scope as a digit. */
static void why_told(json_t *row, const struct reading_view *v)
{
	static const char *const scopes[] = { [SHARE_STATE] = "state", [SHARE_DATA] = "data",
					      [SHARE_FILE] = "file" };
	bool shared = v->call == READ_SHARE;
	size_t scope = shared && v->purpose.n == 1 ? (size_t)(v->purpose.p[0] - '0') : 0;
	struct slice none = slice_str("");

	json_object_set_new(row, "purpose", slice_json(shared ? none : v->purpose));
	json_object_set_new(row, "legal_basis", slice_json(shared ? none : v->legal_basis));
	json_object_set_new(row, "case", slice_json(shared ? none : v->case_code));
	json_object_set_new(row, "share", slice_json(shared ? v->case_code : none));
	json_object_set_new(row, "share_scope", json_string(
		scope >= SHARE_STATE && scope < ARRAY_LEN(scopes) ? scopes[scope] : ""));
}

/* The readings' callback calls nothing of the store: only ids are written here. */
static void read_add(void *ctx, const struct reading_view *v)
{
	struct reads *x = ctx;
	uint32_t n;
	json_t *papers = papers_told(x, v, &n), *row;

	if (v->names_n > 0 && n == 0) {
		json_decref(papers);
		return;
	}
	row = json_pack("{s:o, s:s, s:b, s:o, s:i}", "when",
			moment_json(sequence_ms(v->stamp)), "call", call_name(v->call), "reuse",
			v->reuse, "papers", papers, "papers_n", (int)n);
	json_object_set_new(row, "actor", slice_json(v->actor));
	json_object_set_new(row, "requester", slice_json(v->requester));
	why_told(row, v);
	json_array_append_new(x->rows, row);
}

/* Kind and number say more than an id. */
static void papers_named(struct request *q, struct reading *r, json_t *rows)
{
	json_t *row, *paper;
	size_t i, k, n = 0;

	json_array_foreach(rows, i, row)
		json_array_foreach(json_object_get(row, "papers"), k, paper)
			if (n++ < PAPERS_NAMED)
				show_named(paper, r, q,
					   json_string_value(json_object_get(paper, "id")));
}

enum status reads_model(struct request *q, json_t **model)
{
	const char *text = form_value(&q->query, "before");
	uint64_t before = text != NULL ? strtoull(text, NULL, 16) : 0, last = 0;
	struct reads x = { .rows = json_array() };
	char next[24] = "";
	uint8_t key[16];
	enum status st = reading_of(q, &x.r);

	*model = NULL;
	person_key_of(&q->session.holder, key);
	if (st == ST_OK)
		st = reading_ended(x.r, key, q->now_ms, &x.ended, &x.ended_n);
	if (st == ST_OK)
		st = x.r->ops->readings(x.r->store, key, before, PAGE_READS, read_add, &x, &last);
	free(x.ended);
	if (st != ST_OK) {
		json_decref(x.rows);
		return st;
	}
	papers_named(q, x.r, x.rows);
	if (last != 0)
		snprintf(next, sizeof(next), "%" PRIx64, last);
	*model = json_pack("{s:o, s:s}", "reads", x.rows, "next", next);
	return ST_OK;
}

static void reads_show(struct request *q)
{
	json_t *model;
	enum status st = reads_model(q, &model);

	if (st != ST_OK)
		reading_refuse(q, st);
	else
		answer_page(q, 200, "reads", model);
}

const struct route reads_routes[] = {
	{ METHOD_GET, "/reads", reads_show, WHO_CITIZEN, LIMIT_PAGE, 0 },
	{ 0 }
};
