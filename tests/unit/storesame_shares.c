/* Shares of a result, as every store has to keep and to tell them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "identity.h"
#include "share.h"
#include "storesame.h"

static const uint8_t me[16] = { 4, 2 };

static void tell_as(struct storesame *f, uint32_t k, uint8_t kind, const struct share *s,
		    int64_t at_ms, enum status want)
{
	uint8_t buf[SHARE_DETAIL_BYTES_MAX];
	struct writer w = writer_of(buf, sizeof(buf));
	struct result_event ev = { .lane = storecase_lane(k), .sequence = storecase_sequence(k),
				   .kind = kind, .at_ms = at_ms, .actor = slice_str("portal") };
	struct error e = { 0 };

	share_write(s, slice_str("Hà Nội"), &w);
	ev.detail = writer_slice(&w);
	assert_int_equal(f->store->ops->events(f->store, &ev, 1, &e), want);
}

static void tell(struct storesame *f, uint32_t k, uint8_t kind, const struct share *s,
		 int64_t at_ms)
{
	tell_as(f, k, kind, s, at_ms, ST_OK);
}

struct taken { struct shares all; uint32_t n; };

static void take(void *ctx, const struct result_event *v)
{
	struct taken *t = ctx;

	t->n++;
	assert_true(slice_eq(v->actor, slice_str("portal")));
	assert_int_equal(shares_take(&t->all, v->kind, v->at_ms, v->detail), ST_OK);
}

static struct taken shares_at(struct storesame *f, uint32_t k)
{
	struct taken t = { .n = 0 };

	assert_int_equal(f->store->ops->shares(f->reader, storecase_lane(k),
					       storecase_sequence(k), take, &t), ST_OK);
	shares_of(&t.all, me);
	return t;
}

static void check(struct storesame *f, int64_t now)
{
	struct taken t = shares_at(f, 1);

	assert_int_equal(t.n, 5);
	assert_int_equal(t.all.n, 2);
	assert_int_equal(share_state(&t.all.of[0], now), SHARE_REVOKED);
	assert_int_equal(t.all.of[1].views, 2);
	assert_int_equal(share_state(&t.all.of[1], now), SHARE_USED_UP);
	shares_free(&t.all);
	t = shares_at(f, 2);
	assert_int_equal(t.n, 0);
	shares_free(&t.all);
}

/* Each change once, however often it is told; nothing of a life, and nothing of another result. */
void same_shares(void **state)
{
	struct storesame *f = *state;
	struct share a = { .stamp = 1, .holder = { 4, 2 }, .kind = SHARE_LINK,
			   .scope = SHARE_DATA, .views_max = 2, .expire_ms = SAME_NOW_MS + 9000 };
	struct share b = a;
	struct result_event rows[8];
	struct result_view v;
	struct taken t = { .n = 0 };
	uint32_t n;

	b.stamp = 2;
	same_put(f, 0, 4);
	for (int again = 0; again < 2; again++) {
		a.views = 0;
		b.end = 0;
		tell(f, 1, EVENT_SHARED, &a, SAME_NOW_MS);
		tell(f, 1, EVENT_SHARED, &b, SAME_NOW_MS + 1);
		for (uint16_t i = 1; i <= 2; i++) {
			a.views = i;
			tell(f, 1, EVENT_SHARE_VIEWED, &a, SAME_NOW_MS + 1 + i);
		}
		b.end = SHARE_REVOKED;
		tell(f, 1, EVENT_SHARE_ENDED, &b, SAME_NOW_MS + 4);
		check(f, SAME_NOW_MS + 5);
		f->reopen(f);
		check(f, SAME_NOW_MS + 5);
	}
	assert_int_equal(f->store->ops->history(f->reader, storecase_lane(1),
						storecase_sequence(1), 8, rows, &n), ST_OK);
	assert_int_equal(n, 0);
	assert_int_equal(same_get(f, 1, &v), ST_OK);
	assert_int_equal(v.living.acts, 0);
	assert_int_equal(v.life, LIFE_VALID);
	tell_as(f, 99, EVENT_SHARED, &a, SAME_NOW_MS, ST_NOT_FOUND);
	assert_int_equal(f->store->ops->shares(f->reader, storecase_lane(99),
					       storecase_sequence(99), take, &t), ST_NOT_FOUND);
}

/* More than a life may have: none of it hides what the result's life says. */
void same_shares_hide_no_life(void **state)
{
	struct storesame *f = *state;
	struct share s = { .stamp = 1, .holder = { 4, 2 }, .kind = SHARE_CODE,
			   .scope = SHARE_FILE, .views_max = SHARE_VIEWS_MAX,
			   .expire_ms = SAME_NOW_MS + 9000 };
	struct result_event revoked = { .lane = storecase_lane(1),
					.sequence = storecase_sequence(1), .kind = EVENT_REVOKED,
					.at_ms = SAME_NOW_MS, .actor = slice_str("van-thu"),
					.detail = slice_str("12/QĐ") };
	struct error e = { 0 };
	struct result_view v;
	struct taken t;

	same_put(f, 0, 4);
	assert_int_equal(f->store->ops->events(f->store, &revoked, 1, &e), ST_OK);
	tell(f, 1, EVENT_SHARED, &s, SAME_NOW_MS + 1);
	for (uint16_t i = 1; i <= LIVING_ACTS_MAX + HANDOVERS_MAX + 2; i++) {
		s.views = i;
		tell(f, 1, EVENT_SHARE_VIEWED, &s, SAME_NOW_MS + 1 + i);
	}
	f->reopen(f);
	assert_int_equal(same_get(f, 1, &v), ST_OK);
	assert_int_equal(v.life, LIFE_REVOKED);
	t = shares_at(f, 1);
	assert_int_equal(t.all.n, 1);
	assert_int_equal(t.all.of[0].views, LIVING_ACTS_MAX + HANDOVERS_MAX + 2);
	shares_free(&t.all);
}
