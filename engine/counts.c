#include <stdlib.h>

#include "base/hash.h"
#include "base/utf8.h"
#include "counts.h"

static_assert(sizeof(((struct tally_row *)0)->unit) == sizeof(((struct tally_row *)0)->kind),
	      "codes of one length");
static_assert(PARTS_BYTES_MAX < 256, "a length is a byte");

const char *const counts_names[COUNTS] = {
#define NAME3(name, column, sql) #column,
#define NAME2(name, column) #column,
	COUNTS_OF_RESULTS(NAME3) COUNTS_OF_ACTS(NAME2)
#undef NAME3
#undef NAME2
};

static uint32_t slots_of(uint32_t room)
{
	uint32_t n = 16;

	while (n < 2 * room)
		n *= 2;
	return n;
}

static uint32_t slot_of(const struct tally *t, const struct tally_row *r)
{
	uint32_t crc = crc32c(r->day ^ (uint32_t)r->engine << 25, r->unit, strlen(r->unit) + 1);

	crc = crc32c(crc, r->parts, strlen(r->parts) + 1);
	return crc32c(crc, r->kind, strlen(r->kind)) & (slots_of(t->room) - 1);
}

static void slots_fill(struct tally *t)
{
	uint32_t mask = slots_of(t->room) - 1;

	memset(t->slots, 0, (size_t)slots_of(t->room) * sizeof(*t->slots));
	for (uint32_t i = 0; i < t->n; i++) {
		uint32_t at = slot_of(t, &t->rows[i]);

		while (t->slots[at] != 0)
			at = (at + 1) & mask;
		t->slots[at] = i + 1;
	}
}

enum status tally_init(struct tally *t, uint32_t room, uint32_t most)
{
	*t = (struct tally){ .room = room, .most = most };
	t->rows = malloc((size_t)room * sizeof(*t->rows));
	t->slots = calloc(slots_of(room), sizeof(*t->slots));
	if (t->rows != NULL && t->slots != NULL)
		return ST_OK;
	tally_free(t);
	return ST_NOMEM;
}

void tally_free(struct tally *t)
{
	free(t->rows);
	free(t->slots);
	*t = (struct tally){ 0 };
}

void tally_clear(struct tally *t)
{
	t->n = 0;
	slots_fill(t);
}

static bool grow(struct tally *t)
{
	uint32_t room = t->room < t->most / 2 ? 2 * t->room : t->most;
	struct tally_row *rows;
	uint32_t *slots;

	if (room == t->room)
		return false;
	rows = realloc(t->rows, (size_t)room * sizeof(*rows));
	if (rows == NULL)
		return false;
	t->rows = rows;
	slots = malloc((size_t)slots_of(room) * sizeof(*slots));
	if (slots == NULL)
		return false;
	free(t->slots);
	t->slots = slots;
	t->room = room;
	slots_fill(t);
	return true;
}

int tally_order(const struct tally_row *x, const struct tally_row *y)
{
	int order = strcmp(x->unit, y->unit);

	if (order == 0)
		order = strcmp(x->kind, y->kind);
	if (order == 0)
		order = (x->day > y->day) - (x->day < y->day);
	if (order == 0)
		order = strcmp(x->parts, y->parts);
	return order != 0 ? order : (x->engine > y->engine) - (x->engine < y->engine);
}

struct tally_row *tally_at(struct tally *t, struct slice unit, struct slice kind, uint32_t day,
			   struct slice parts, uint8_t engine)
{
	struct tally_row key = { .day = day, .engine = engine };
	uint32_t at;

	if (unit.n > CODE_BYTES_MAX || kind.n > CODE_BYTES_MAX || parts.n >= PARTS_BYTES_MAX)
		return NULL;
	memcpy(key.unit, unit.p, unit.n);
	if (kind.n > 0)
		memcpy(key.kind, kind.p, kind.n);
	if (parts.n > 0)
		memcpy(key.parts, parts.p, parts.n);
	for (at = slot_of(t, &key); t->slots[at] != 0; at = (at + 1) & (slots_of(t->room) - 1))
		if (tally_order(&t->rows[t->slots[at] - 1], &key) == 0)
			return &t->rows[t->slots[at] - 1];
	if (t->n == t->room) {
		if (!grow(t))
			return NULL;
		return tally_at(t, unit, kind, day, parts, engine);
	}
	t->rows[t->n] = key;
	t->slots[at] = ++t->n;
	return &t->rows[t->n - 1];
}

static int by_key(const void *a, const void *b)
{
	return tally_order(a, b);
}

void tally_sort(struct tally *t)
{
	qsort(t->rows, t->n, sizeof(*t->rows), by_key);
}

/* ---- parts ---- */

uint8_t counts_join(char out[PARTS_BYTES_MAX], const struct slice of[COUNTS_PARTS])
{
	uint8_t n = 0, end = 0;

	for (int i = 0; i < COUNTS_PARTS; i++) {
		struct slice s = of[i];

		if (i > 0)
			out[n++] = COUNTS_BEHIND;
		if (s.n == 0 || s.n > CODE_BYTES_MAX || !utf8_valid(s))
			continue;
		for (size_t k = 0; k < s.n; k++)
			out[n++] = s.p[k] < ' ' || s.p[k] == 0x7f ? '?' : (char)s.p[k];
		end = n;
	}
	out[end] = '\0';
	return end;
}

struct slice counts_part(struct slice joined, enum counts_part which)
{
	for (int i = 0; ; i++) {
		const uint8_t *behind = joined.n > 0 ? memchr(joined.p, COUNTS_BEHIND, joined.n) :
						       NULL;
		size_t n = behind != NULL ? (size_t)(behind - joined.p) : joined.n;

		if (i == (int)which)
			return slice_of(joined.p, n);
		if (behind == NULL)
			return (struct slice){ NULL, 0 };
		joined = slice_of(behind + 1, joined.n - n - 1);
	}
}

struct slice counts_parts_asked(const struct counts_question *q, struct slice joined,
				char buf[PARTS_BYTES_MAX])
{
	struct slice of[COUNTS_PARTS];

	if (q->by == 0 || joined.n == 0)
		return (struct slice){ NULL, 0 };
	for (int i = 0; i < COUNTS_PARTS; i++)
		of[i] = q->by >> i & 1 ? counts_part(joined, (enum counts_part)i) :
					 (struct slice){ NULL, 0 };
	return slice_of(buf, counts_join(buf, of));
}

/* ---- questions ---- */

uint32_t counts_period_of(enum counts_period p, uint32_t yyyymmdd)
{
	uint32_t year = yyyymmdd / 10000, month = yyyymmdd / 100 % 100;

	switch (p) {
	case COUNTS_DAY:
		return yyyymmdd;
	case COUNTS_MONTH:
		return yyyymmdd / 100;
	case COUNTS_QUARTER:
		return year * 10 + (month + 2) / 3;
	case COUNTS_YEAR:
		break;
	}
	return year;
}

static bool among(const struct slice *list, uint32_t n, struct slice one)
{
	for (uint32_t i = 0; i < n; i++)
		if (slice_eq(list[i], one))
			return true;
	return n == 0;
}

bool counts_asked(const struct counts_question *q, struct slice unit, struct slice kind,
		  uint32_t yyyymmdd)
{
	return yyyymmdd >= q->from && (q->to == 0 || yyyymmdd <= q->to) &&
	       among(q->units, q->units_n, unit) && among(q->kinds, q->kinds_n, kind);
}
