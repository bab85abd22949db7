#include "living.h"

#define LINES 6

static bool line_fits(struct slice s, size_t bytes_max)
{
	return s.n <= bytes_max && (s.n == 0 || memchr(s.p, '\n', s.n) == NULL);
}

/* yyyymmdd as eight digits. */
static void write_day(struct writer *w, uint32_t day)
{
	uint8_t digits[8];

	for (size_t i = sizeof(digits); i > 0; i--) {
		digits[i - 1] = (uint8_t)('0' + day % 10);
		day /= 10;
	}
	write_bytes(w, digits, sizeof(digits));
}

static bool read_day(struct slice s, uint32_t *day)
{
	*day = 0;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		*day = *day * 10 + (uint32_t)(s.p[i] - '0');
	}
	return s.n == 8;
}

enum status decision_write(const struct decision *d, struct writer *w)
{
	char id[ID_TEXT_BYTES];

	if (!line_fits(d->unit, CODE_BYTES_MAX) ||
	    !line_fits(d->number, DECISION_NUMBER_BYTES_MAX) ||
	    !line_fits(d->person, DECISION_PERSON_BYTES_MAX) ||
	    !line_fits(d->ground, DECISION_GROUND_BYTES_MAX))
		return ST_TOO_LARGE;
	write_bytes(w, d->unit.p, d->unit.n);
	write_u8(w, '\n');
	write_bytes(w, d->number.p, d->number.n);
	write_u8(w, '\n');
	write_day(w, d->day);
	write_u8(w, '\n');
	id_text(id, d->paper);
	if (!id_is_zero(d->paper))
		write_bytes(w, id, sizeof(id));
	write_u8(w, '\n');
	write_bytes(w, d->person.p, d->person.n);
	write_u8(w, '\n');
	write_bytes(w, d->ground.p, d->ground.n);
	return w->bad ? ST_TOO_LARGE : ST_OK;
}

enum status decision_read(struct decision *d, struct slice detail)
{
	struct slice line[LINES];
	const uint8_t *p = detail.p, *end = detail.p + detail.n;

	*d = (struct decision){ 0 };
	for (uint32_t i = 0; i + 1 < LINES; i++) {
		const uint8_t *to = p == end ? NULL : memchr(p, '\n', (size_t)(end - p));

		if (to == NULL)
			return ST_CORRUPT;
		line[i] = slice_of(p, (size_t)(to - p));
		p = to + 1;
	}
	line[LINES - 1] = slice_of(p, (size_t)(end - p));
	d->unit = line[0];
	d->number = line[1];
	d->person = line[4];
	d->ground = line[5];
	if (!read_day(line[2], &d->day) || !line_fits(d->number, DECISION_NUMBER_BYTES_MAX) ||
	    !line_fits(d->unit, CODE_BYTES_MAX))
		return ST_CORRUPT;
	return line[3].n == 0 || (line[3].n == ID_TEXT_BYTES && id_read(d->paper, line[3])) ?
	       ST_OK : ST_CORRUPT;
}

void act_digest(uint8_t out[SHA256_BYTES], uint8_t kind, struct slice detail)
{
	uint8_t buf[1 + DECISION_BYTES_MAX];
	struct writer w = writer_of(buf, sizeof(buf));

	write_u8(&w, kind);
	write_bytes(&w, detail.p, detail.n < DECISION_BYTES_MAX ? detail.n : DECISION_BYTES_MAX);
	sha256_once(buf, writer_size(&w), out);
}

uint8_t event_undone_by(uint8_t kind)
{
	return kind == EVENT_HIDDEN ? EVENT_SHOWN : kind == EVENT_SHOWN ? EVENT_HIDDEN : 0;
}

void act_trace_take(struct act_trace *t, uint8_t kind, struct slice detail, uint32_t n,
		    uint8_t said_kind, struct slice said)
{
	if (!slice_eq(detail, said))
		return;
	if (said_kind == kind && n > t->same)
		t->same = n;
	if (said_kind == event_undone_by(kind) && n > t->undone)
		t->undone = n;
}

bool act_is_again(const struct act_trace *t, uint8_t kind, uint32_t seen)
{
	if (t->same == 0 || event_undone_by(kind) == 0)
		return t->same != 0;
	return t->same > t->undone || t->same > seen;
}

bool living_has_room(uint8_t kind, uint32_t acts)
{
	if (kind == EVENT_HIDDEN || kind == EVENT_SHOWN)
		return acts < LIVING_HOLDERS_ACTS_MAX;
	return acts < LIVING_ACTS_MAX - (kind != EVENT_REVOKED);
}

/* A revocation says more than a corrigendum, of two of a kind the newer one. */
static bool says_more(const struct living *l, uint8_t kind, int64_t at_ms)
{
	return kind > l->note.kind || (kind == l->note.kind && at_ms >= l->note_ms);
}

static void note_take(struct living *l, uint8_t kind, int64_t at_ms, const struct decision *d)
{
	l->note_ms = at_ms;
	l->note.kind = kind;
	l->note.day = d->day;
	memcpy(l->note.paper, d->paper, sizeof(l->note.paper));
	memcpy(l->note.number, d->number.p, d->number.n);
	l->note.number[d->number.n] = '\0';
}

enum status living_take(struct living *l, uint8_t kind, int64_t at_ms, struct slice detail)
{
	struct decision d;

	if (!event_is_act(kind))
		return ST_OK;
	l->acts++;
	if (kind == EVENT_HIDDEN || kind == EVENT_SHOWN)
		return detail.n == HOLDER_DETAIL_BYTES ? ST_OK : ST_CORRUPT;
	if ((kind == EVENT_RESTRICTED || kind == EVENT_RELEASED) && at_ms >= l->shown_ms) {
		l->shown_ms = at_ms;
		l->restricted = kind == EVENT_RESTRICTED;
	}
	if (kind > EVENT_REVOKED || !says_more(l, kind, at_ms))
		return ST_OK;
	/* Whatever it says, the result is what its kind makes of it. */
	if (decision_read(&d, detail) != ST_OK)
		d = (struct decision){ .number = slice_str("") };
	note_take(l, kind, at_ms, &d);
	return ST_OK;
}

bool living_shown(uint8_t kind, int64_t when_ms, struct slice detail, const uint8_t holder_key[16],
		  bool *hidden, int64_t *at_ms)
{
	uint8_t key[16];

	if ((kind != EVENT_HIDDEN && kind != EVENT_SHOWN) || when_ms < *at_ms ||
	    !hex_read(key, sizeof(key), detail) || memcmp(key, holder_key, sizeof(key)) != 0)
		return false;
	*hidden = kind == EVENT_HIDDEN;
	*at_ms = when_ms;
	return true;
}
