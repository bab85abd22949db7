#include "desk_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct engine engine;

static const struct kind kind = { .code = "k", .own_draft = true };
static const struct unit unit = { .code = "u" };
struct signer signer = { .code = "s", .unit = "u", .name = "A", .title = "T",
				.authority = "", .authority_line = "" };

/* The catalogue has this one signer, unit and kind. */
const struct signer *__wrap_catalogue_signer(const struct catalogue *c, struct slice code,
					     uint32_t day);
const struct signer *__wrap_catalogue_signer(const struct catalogue *c, struct slice code,
					     uint32_t day)
{
	return day < signer.to ? &signer : NULL;
}

const struct unit *__wrap_catalogue_unit(const struct catalogue *c, struct slice code,
					 uint32_t day);
const struct unit *__wrap_catalogue_unit(const struct catalogue *c, struct slice code, uint32_t day)
{
	return &unit;
}

const struct kind *__wrap_catalogue_kind(const struct catalogue *c, struct slice code,
					 uint32_t day);
const struct kind *__wrap_catalogue_kind(const struct catalogue *c, struct slice code, uint32_t day)
{
	return &kind;
}

void __wrap_catalogue_unref(struct catalogue *c);
void __wrap_catalogue_unref(struct catalogue *c)
{
}

/* ---- the engine's doors ---- */

static struct catalogue *catalogue_of(void *ctx)
{
	return NULL;
}

static int64_t now_of(void *ctx)
{
	int64_t now;

	pthread_mutex_lock(&engine.lock);
	now = engine.now_ms;
	pthread_mutex_unlock(&engine.lock);
	return now;
}

static enum status reader_open(void *ctx, void **reader, struct error *e)
{
	*reader = &engine;
	return ST_OK;
}

static void reader_close(void *reader)
{
}

static enum status get(void *reader, const uint8_t id[16], struct result_view *out)
{
	if (id[0] >= PAPERS)
		return ST_NOT_FOUND;
	*out = (struct result_view){ .state = engine.state[id[0]] };
	return engine.state[id[0]] == 0 ? ST_NOT_FOUND : ST_OK;
}

static enum status paper(void *reader, struct catalogue *c, const uint8_t id[16], bool file,
			 struct waiting_paper *out, struct error *e)
{
	uint8_t k = id[0];
	enum status st;

	pthread_mutex_lock(&engine.lock);
	st = engine.state[k] != STATE_AWAITING_APPROVAL ? ST_NOT_FOUND : engine.paper_status;
	*out = (struct waiting_paper){ .kind = &kind, .unit = &unit, .signer = &signer,
				       .row = { .sequence = 100u + k } };
	memset(out->case_sha256, k, SHA256_BYTES);
	memset(out->preview_sha256, engine.draft[k], SHA256_BYTES);
	pthread_mutex_unlock(&engine.lock);
	return st;
}

static enum reason may_sign(void *ctx, const struct waiting_paper *paper, int64_t at_ms)
{
	return REASON_NONE;
}

static enum status act(void *ctx, struct act *a)
{
	pthread_mutex_lock(&engine.lock);
	assert_int_equal(a->type, ACT_APPROVE);
	engine.acts++;
	engine.now_ms += engine.act_ms;
	a->status = engine.act_status;
	if (engine.act_fails != NULL && memcmp(a->approval->session, engine.act_fails, 16) == 0)
		a->status = ST_FULL;
	for (uint32_t i = 0; a->status == ST_OK && i < a->approval->items_n; i++) {
		struct approval_item *item = &a->approval->items[i];
		uint32_t k = (uint32_t)item->sequence - 100;

		if (engine.state[k] != STATE_AWAITING_APPROVAL || engine.decided[k]) {
			item->refused = REASON_NOT_WAITING;
			continue;
		}
		item->refused = item->against;
		if (item->refused != REASON_NONE)
			continue;
		engine.decided[k] = true;
		if (!engine.slow)
			engine.state[k] = STATE_NUMBERED;
		engine.approved[engine.approved_n++] = k;
	}
	if (engine.lose_answer)
		a->status = ST_UNAVAILABLE;
	pthread_mutex_unlock(&engine.lock);
	a->done(a);
	return ST_OK;
}

static enum status session_keep(void *ctx, const uint8_t id[16], struct slice bytes,
				struct error *e)
{
	enum status st = ST_OK;
	uint32_t i = 0;

	pthread_mutex_lock(&engine.lock);
	while (i < engine.files_n && memcmp(engine.files[i].id, id, 16) != 0)
		i++;
	if (engine.writes_left == 0) {
		st = error_set(e, ST_NOSPACE, "full");
	} else {
		engine.writes_left--;
		engine.files_n += i == engine.files_n;
		memcpy(engine.files[i].id, id, 16);
		free(engine.files[i].bytes);
		engine.files[i].bytes = malloc(bytes.n);
		memcpy(engine.files[i].bytes, bytes.p, bytes.n);
		engine.files[i].n = bytes.n;
	}
	pthread_mutex_unlock(&engine.lock);
	return st;
}

static enum status session_forget(void *ctx, const uint8_t id[16], struct error *e)
{
	pthread_mutex_lock(&engine.lock);
	for (uint32_t i = 0; i < engine.files_n; i++) {
		if (memcmp(engine.files[i].id, id, 16) != 0)
			continue;
		free(engine.files[i].bytes);
		engine.files[i] = engine.files[--engine.files_n];
	}
	pthread_mutex_unlock(&engine.lock);
	return ST_OK;
}

static enum status session_each(void *ctx, void (*one)(void *owner, struct slice bytes),
				void *owner, struct error *e)
{
	for (uint32_t i = 0; i < engine.files_n; i++)
		one(owner, slice_of(engine.files[i].bytes, engine.files[i].n));
	return ST_OK;
}

struct intake in = { .ops = {
	.act = act, .catalogue = catalogue_of, .now_ms = now_of, .reader_open = reader_open,
	.reader_close = reader_close, .get = get, .waiting_paper = paper, .may_sign = may_sign,
	.session_keep = session_keep, .session_forget = session_forget,
	.session_each = session_each } };

/* ---- the tests' own ---- */

struct desk *open_desk(void)
{
	struct desk *d;
	struct error e;

	assert_int_equal(desk_open(&d, &in, &e), ST_OK);
	return d;
}

int reset(void **state)
{
	while (engine.files_n > 0)
		free(engine.files[--engine.files_n].bytes);
	engine = (struct engine){ .lock = PTHREAD_MUTEX_INITIALIZER, .now_ms = NOW,
				  .writes_left = 1000 };
	for (int i = 0; i < PAPERS; i++) {
		engine.state[i] = STATE_AWAITING_APPROVAL;
		engine.draft[i] = (uint8_t)(i + 1);
	}
	signer.to = 99999999;
	return 0;
}

void open_session(struct desk *d, uint8_t id[16], uint32_t first, uint32_t n)
{
	struct session *s = session_new(n);

	s->state = SESSION_OPEN;
	s->opened_ms = engine.now_ms;
	s->expires_ms = engine.now_ms + 60000;
	snprintf(s->signer, sizeof(s->signer), "s");
	snprintf(s->principal, sizeof(s->principal), "p");
	for (uint32_t i = 0; i < n; i++) {
		struct session_item *item = &s->items[i];

		item->result_id[0] = (uint8_t)(first + i);
		item->sequence = 100 + first + i;
		snprintf(item->unit, sizeof(item->unit), "u");
		snprintf(item->kind, sizeof(item->kind), "k");
		memset(item->case_sha256, (int)(first + i), SHA256_BYTES);
		memset(item->preview_sha256, (int)(first + i + 1), SHA256_BYTES);
	}
	assert_int_equal(desk_add(d, s, id), ST_OK);
}

void told(struct confirmation *c)
{
	atomic_store(&((struct waiter *)c->owner)->done, true);
}

enum status confirm(struct desk *d, const uint8_t id[16])
{
	struct waiter w = { .c = { .done = told, .owner = &w } };
	struct session *s = desk_lock(d, id, "p");

	assert_non_null(s);
	memcpy(w.c.session, id, 16);
	memcpy(w.c.manifest, s->manifest, SHA256_BYTES);
	desk_unlock(d);
	desk_confirm(d, &w.c);
	while (!atomic_load(&w.done))
		usleep(1000);
	return w.c.status;
}

enum session_state state_of(struct desk *d, const uint8_t id[16])
{
	struct session *s = desk_lock(d, id, "p");
	enum session_state st = s != NULL ? s->state : (enum session_state)0;

	if (s != NULL)
		desk_unlock(d);
	return st;
}

void fill_disk(bool full)
{
	pthread_mutex_lock(&engine.lock);
	engine.writes_left = full ? 0 : 1000;
	pthread_mutex_unlock(&engine.lock);
}

void advance(int64_t ms)
{
	pthread_mutex_lock(&engine.lock);
	engine.now_ms += ms;
	pthread_mutex_unlock(&engine.lock);
}

enum session_state state_on_disk(const uint8_t id[16])
{
	enum session_state st = (enum session_state)0;

	pthread_mutex_lock(&engine.lock);
	for (uint32_t i = 0; i < engine.files_n; i++) {
		struct session *s;

		if (memcmp(engine.files[i].id, id, 16) != 0)
			continue;
		assert_int_equal(session_decode(&s, slice_of(engine.files[i].bytes,
							     engine.files[i].n)), ST_OK);
		st = s->state;
		session_free(s);
	}
	pthread_mutex_unlock(&engine.lock);
	return st;
}

void wait_state(struct desk *d, const uint8_t id[16], enum session_state want)
{
	for (int i = 0; state_of(d, id) != want; i++) {
		assert_true(i < 5000);
		usleep(1000);
	}
}

struct session_item item_of(struct desk *d, const uint8_t id[16], uint32_t i)
{
	struct session *s = desk_lock(d, id, "p");
	struct session_item item = s->items[i];

	desk_unlock(d);
	return item;
}
