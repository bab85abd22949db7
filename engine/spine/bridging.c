#include "spine/bridging.h"

#include <stdlib.h>

#include "signer/policy.h"
#include "spine/awaitedkey.h"
#include "spine/elsewhere.h"

_Static_assert(KEY_NAME_BYTES_MAX >= KEY_ID_BYTES_MAX, "every key's id has room");
_Static_assert(SIGNATURE_VALUE_BYTES_MAX <= KEPT_VALUE_BYTES_MAX, "what is given can be kept");

/* Of trien.v1.SignatureAlgorithm. */
enum form { FORM_PKCS1 = 1, FORM_PSS, FORM_ECDSA };

static uint8_t form_of(const struct algorithm_info *info)
{
	return info->pss ? FORM_PSS : info->rsa ? FORM_PKCS1 : FORM_ECDSA;
}

/*
 * What a row asks of a key on a device; only: of that key. ST_NOT_FOUND: nothing; ST_EXISTS: it has
 * been given.
 */
static enum status asked_of(struct spine *s, struct waiting_reader *rows,
			    const struct waiting_row *row, const struct keyring *k,
			    const char *only, uint8_t *record, struct awaited_signature *out)
{
	const struct signing_key *key;
	struct record_signature r;
	struct question q;
	struct error e = { 0 };
	uint8_t type, last;
	enum status st;
	size_t n;

	if (row->state != STATE_AWAITING_SIGNATURE || row->record != RECORD_SIGNATURE)
		return ST_NOT_FOUND;
	st = waiting_read(rows, row->sequence, &type, record, JOURNAL_RECORD_BYTES_MAX, &n, &e);
	if (st == ST_OK)
		st = record_signature_decode(&r, slice_of(record, n));
	if (st != ST_OK)
		return st;
	last = (uint8_t)(r.slots_n - 1);
	q = (struct question){ .unit = row->unit, .signer = row->signer, .kind = row->kind,
			       .service = "", .key = r.slots[last].key,
			       .sign_ms = r.slots[last].sign_ms, .until_ms = r.until_ms };
	if (r.service.n > 0 || (only != NULL && !slice_eq(q.key, slice_str(only))))
		return ST_NOT_FOUND;
	key = key_asked(k, &q, io_wall_ms());
	if (key == NULL) {
		atomic_store(&s->elsewhere->outdated, true);
		return ST_NOT_FOUND;
	}
	*out = (struct awaited_signature){ .sequence = row->sequence, .lane = row->lane,
					   .slot = last, .form = form_of(key->info),
					   .sign_ms = r.slots[last].sign_ms };
	memcpy(out->cert_sha256, key->row.cert_sha256, SHA256_BYTES);
	memcpy(out->digest, r.slots[last].digest, SHA256_BYTES);
	memcpy(out->key, key->policy->id, strlen(key->policy->id) + 1);
	memcpy(out->signer, row->signer, sizeof(out->signer));
	memcpy(out->unit, row->unit, sizeof(out->unit));
	memcpy(out->kind, row->kind, sizeof(out->kind));
	memcpy(out->number_text, row->number_text, sizeof(out->number_text));
	return r.slots[last].value.n > 0 ? ST_EXISTS : ST_OK;
}

/* What is in flight has its signature, or its row is being written just now. */
static bool is_in_flight(struct spine *s, uint64_t sequence, enum state *state)
{
	struct state_change now;
	int64_t accepted_ms;
	uint8_t lane;
	bool found = inflight_get(s->inflight, sequence, &now, &lane, &accepted_ms);

	*state = found ? now.state : 0;
	return found;
}

static bool is_unreadable(enum status st)
{
	return st == ST_CORRUPT || st == ST_DAMAGED || st == ST_IO;
}

enum status bridging_list(struct spine *s, struct waiting_reader *rows, uint8_t *record,
			  const char *signer, const char *only, struct waiting_place *at,
			  struct awaited_signature *out, uint32_t max, uint32_t *n)
{
	struct waiting_filter f = { .state = STATE_AWAITING_SIGNATURE, .signer = signer };
	struct waiting_row *page = calloc(PAGE_SIZE_MAX, sizeof(*page));
	struct keyring *k = spine_keyring(s);
	enum state state;
	enum status st = page != NULL ? ST_OK : ST_NOMEM;
	uint32_t got = PAGE_SIZE_MAX, unreadable = 0;

	*n = 0;
	while (st == ST_OK && *n < max && got == PAGE_SIZE_MAX) {
		st = waiting_list(rows, &f, at->sequence != 0 ? at : NULL, page, PAGE_SIZE_MAX,
				  &got, NULL);
		for (uint32_t i = 0; st == ST_OK && i < got && *n < max; i++) {
			const struct waiting_row *row = &page[i];

			*at = (struct waiting_place){ row->priority, row->due_ms, row->sequence };
			if (is_in_flight(s, row->sequence, &state))
				continue;
			st = asked_of(s, rows, row, k, only, record, &out[*n]);
			*n += st == ST_OK;
			if (is_unreadable(st) && unreadable++ == 0)
				row_unreadable(row, status_name(st));
			/* One that cannot be read, or has gone meanwhile, harms no other. */
			if (st == ST_NOT_FOUND || st == ST_EXISTS || is_unreadable(st))
				st = ST_OK;
		}
	}
	keyring_unref(k);
	free(page);
	return st;
}

enum status bridging_find(struct spine *s, struct waiting_reader *rows, uint8_t *record,
			  uint64_t sequence, struct awaited_signature *out)
{
	struct keyring *k = spine_keyring(s);
	struct waiting_row row;
	struct error e = { 0 };
	enum state state;
	enum status st = waiting_find(rows, sequence, &row, &e);

	if (st == ST_OK)
		st = asked_of(s, rows, &row, k, NULL, record, out);
	/* One that was given and is not durable yet, or is not waited for: the spine knows. */
	if (st == ST_OK && is_in_flight(s, sequence, &state) && state != STATE_AWAITING_SIGNATURE)
		st = state == STATE_VOID || state == STATE_HELD ? ST_NOT_FOUND : ST_EXISTS;
	keyring_unref(k);
	return st;
}

bool bridging_check(struct spine *s, const struct awaited_signature *a, struct slice value)
{
	struct keyring *k = spine_keyring(s);
	const struct signing_key *key = key_named(k, a->unit, a->signer, slice_str(a->key));
	/* A certificate that was exchanged meanwhile is not the one that was asked. */
	bool good = key != NULL && value.n >= key->info->signature_min &&
		    value.n <= key->info->signature_max &&
		    memcmp(key->row.cert_sha256, a->cert_sha256, SHA256_BYTES) == 0 &&
		    verifier_check(key, a->digest, value.p, (uint16_t)value.n);

	keyring_unref(k);
	return good;
}

bool bridging_signer(struct spine *s, const uint8_t cert_sha256[SHA256_BYTES],
		     char out[CODE_BYTES_MAX + 1])
{
	struct keyring *k = spine_keyring(s);
	struct key_row row;
	bool found = false;

	for (uint32_t i = 0; !found && keyring_row(k, i, &row); i++) {
		const struct signing_key *key = NULL;

		if (memcmp(row.cert_sha256, cert_sha256, SHA256_BYTES) == 0)
			key = key_named(k, row.unit, row.signer, slice_str(row.id));
		found = key != NULL && key->policy->source == SOURCE_BRIDGE;
		if (found)
			snprintf(out, CODE_BYTES_MAX + 1, "%.*s", CODE_BYTES_MAX, row.signer);
	}
	keyring_unref(k);
	return found;
}

/* ---- what bridges give ---- */

/* A row as the janitor found it. */
struct given_row { enum status status; struct waiting_row row; uint8_t *bytes; size_t n; };

/* Their records together; beyond, the rest is given again later. */
static size_t row_load(struct spine *s, uint64_t sequence, uint8_t *buf, size_t bytes_max,
		       struct given_row *g)
{
	struct error e = { 0 };

	g->status = waiting_find(s->rows, sequence, &g->row, &e);
	if (g->status == ST_OK)
		g->status = waiting_read(s->rows, sequence, &g->row.record, buf,
					 JOURNAL_RECORD_BYTES_MAX, &g->n, &e);
	if (g->status == ST_OK && g->n > bytes_max)
		g->status = ST_FULL;
	if (g->status == ST_OK) {
		g->bytes = malloc(g->n);
		if (g->bytes != NULL)
			memcpy(g->bytes, buf, g->n);
		else
			g->status = ST_NOMEM;
	}
	return g->status == ST_OK ? g->n : 0;
}

enum status given_find(struct spine *s, struct job *j)
{
	const struct act *a = j->act;
	uint8_t *buf = malloc(JOURNAL_RECORD_BYTES_MAX);
	size_t left = ASKED_BYTES_MAX;

	j->given = calloc(a->signatures_n, sizeof(*j->given));
	if (buf == NULL || j->given == NULL) {
		free(buf);
		return error_set(&j->error, ST_NOMEM, "no memory for signatures that came");
	}
	for (uint32_t i = 0; i < a->signatures_n; i++)
		left -= row_load(s, a->signatures[i].sequence, buf, left, &j->given[i]);
	free(buf);
	return ST_OK;
}

/* It was what the reader checked; is it what the row asks for now? */
static bool is_asked(const struct errand *e, const struct given_signature *g)
{
	return e->kept.n == g->slot && strcmp(e->asked.key, g->key) == 0 &&
	       memcmp(e->asked.digest, g->digest, SHA256_BYTES) == 0;
}

static enum status give(struct spine *s, const struct given_row *row,
			const struct given_signature *g)
{
	struct errand *e;
	enum status st = row->status;

	/* Gone since the reader looked: signed, or void. Given again it is told which. */
	if (st == ST_NOT_FOUND)
		return ST_AGAIN;
	if (st != ST_OK || row->row.state != STATE_AWAITING_SIGNATURE)
		return st != ST_OK ? st : ST_NOT_FOUND;
	e = calloc(1, sizeof(*e));
	if (e == NULL || !errand_decode(e, &row->row, slice_of(row->bytes, row->n)))
		st = e == NULL ? ST_NOMEM : ST_CORRUPT;
	else if (e->came != CAME_NOTHING)
		st = ST_EXISTS;
	else if (!is_asked(e, g))
		st = ST_CONFLICT;
	else
		st = elsewhere_given(s, e, slice_of(g->value, g->value_n));
	if (st == ST_OK)
		return ST_OK;		/* e is elsewhere's */
	if (e != NULL)
		free(e->record);
	free(e);
	return st;
}

void given_found(struct spine *s, struct job *j)
{
	struct act *a = j->act;

	for (uint32_t i = 0; i < a->signatures_n && j->given != NULL; i++) {
		if (j->status == ST_OK)
			a->signatures[i].status = give(s, &j->given[i], &a->signatures[i]);
		free(j->given[i].bytes);
	}
	free(j->given);
	j->given = NULL;
	a->status = j->status;
	a->error = j->error;
	/* Those that were given before may be on their way to the disk, too. */
	j->type = JOB_ANSWER;
	j->after = s->appended;
	job_push(s, j);
}
