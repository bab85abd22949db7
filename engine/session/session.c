#include "session/session.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct session *session_new(uint32_t items_n)
{
	struct session *s;

	if (items_n == 0 || items_n > SESSION_ITEMS_MAX)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return NULL;
	s->items = calloc(items_n, sizeof(*s->items));
	if (s->items == NULL) {
		free(s);
		return NULL;
	}
	s->items_n = items_n;
	return s;
}

void session_free(struct session *s)
{
	if (s == NULL)
		return;
	free(s->items);
	free(s);
}

bool session_pending(const struct session *s, uint32_t i)
{
	return s->items[i].approved && !state_is_end((enum state)s->items[i].state);
}

bool session_expire(struct session *s, int64_t now_ms)
{
	if (s->state != SESSION_OPEN || now_ms < s->expires_ms)
		return false;
	s->state = SESSION_EXPIRED;
	s->ended_ms = s->expires_ms;
	return true;
}

enum status session_begin(struct session *s, const uint8_t manifest[SHA256_BYTES], int64_t now_ms)
{
	session_expire(s, now_ms);
	if (s->state == SESSION_CANCELLED || s->state == SESSION_EXPIRED)
		return ST_PRECONDITION;
	if (memcmp(s->manifest, manifest, SHA256_BYTES) != 0)
		return ST_CONFLICT;
	if (s->state != SESSION_OPEN)
		return ST_EXISTS;
	s->state = SESSION_CONFIRMING;
	s->confirmed_ms = now_ms;
	for (uint32_t i = 0; i < s->items_n; i++)
		s->items[i].claimed = true;
	return ST_OK;
}

static void change(struct session *s, struct session_item *item, enum state state,
		   enum reason reason, int64_t at_ms)
{
	item->state = (uint8_t)state;
	item->reason = (uint16_t)reason;
	item->changed_ms = at_ms;
	item->cursor = ++s->cursor;
}

void session_refuse(struct session *s, uint32_t i, enum state state, enum reason why,
		    int64_t now_ms)
{
	assert(s->state == SESSION_CONFIRMING);
	if (!s->items[i].claimed)
		return;
	s->items[i].claimed = false;
	change(s, &s->items[i], state, why, now_ms);
}

static void end_when_done(struct session *s)
{
	for (uint32_t i = 0; i < s->items_n; i++)
		if (session_pending(s, i))
			return;
	s->state = SESSION_DONE;
}

void session_confirmed(struct session *s, int64_t now_ms)
{
	assert(s->state == SESSION_CONFIRMING);
	for (uint32_t i = 0; i < s->items_n; i++) {
		struct session_item *item = &s->items[i];

		if (!item->claimed)
			continue;
		item->claimed = false;
		item->approved = true;
		change(s, item, STATE_AWAITING_APPROVAL, REASON_NONE, now_ms);
	}
	s->state = SESSION_CONFIRMED;
	s->ended_ms = now_ms;
	end_when_done(s);
}

enum status session_cancel(struct session *s, int64_t now_ms)
{
	session_expire(s, now_ms);
	if (s->state == SESSION_CANCELLED)
		return ST_EXISTS;
	if (s->state != SESSION_OPEN)
		return ST_PRECONDITION;
	s->state = SESSION_CANCELLED;
	s->ended_ms = now_ms;
	return ST_OK;
}

bool session_follow(struct session *s, uint32_t i, enum state state, enum reason reason,
		    const char *number_text, int64_t at_ms)
{
	struct session_item *item = &s->items[i];

	if (s->state != SESSION_CONFIRMED || !session_pending(s, i) ||
	    (item->state == (uint8_t)state && item->reason == (uint16_t)reason))
		return false;
	if (number_text[0] != '\0')
		snprintf(item->number_text, sizeof(item->number_text), "%s", number_text);
	change(s, item, state, reason, at_ms);
	end_when_done(s);
	return true;
}

uint32_t session_next(const struct session *s, uint64_t cursor)
{
	uint32_t found = s->items_n;

	for (uint32_t i = 0; i < s->items_n; i++) {
		uint64_t c = s->items[i].cursor;

		if (c > cursor && (found == s->items_n || c < s->items[found].cursor))
			found = i;
	}
	return found;
}

uint32_t session_index(const struct session *s, const uint8_t result_id[16])
{
	uint32_t i = 0;

	while (i < s->items_n && memcmp(s->items[i].result_id, result_id, 16) != 0)
		i++;
	return i;
}

struct session_counts session_count(const struct session *s)
{
	struct session_counts c = { 0 };

	for (uint32_t i = 0; i < s->items_n; i++) {
		c.approved += s->items[i].approved;
		c.settled += s->items[i].approved &&
			state_is_end((enum state)s->items[i].state);
	}
	return c;
}

int64_t session_forget_ms(const struct session *s)
{
	return s->ended_ms == 0 ? 0 : s->ended_ms + SESSION_KEPT_MS;
}
