#include "spine/backlog.h"

#include "signer/policy.h"
#include "spine/spine.h"

/* A record beyond this is likely to need a batch's whole memory. */
#define LARGE_BYTES (64 * 1024)
/* So many batches are never a token's, where there are more. */
#define FILES_BATCHES 2u

static_assert(TOKENS_MAX <= 32, "a bit for each token");

/* ---- lines ---- */

struct line *backlog_line(struct backlog *b, uint32_t tokens)
{
	struct line *unused = NULL;

	for (uint32_t i = 1; i < LINES_MAX && tokens != 0; i++) {
		struct line *l = &b->lines[i];

		if (l->cases == 0 && l->batches == 0)
			unused = unused != NULL ? unused : l;
		else if (l->tokens == tokens)
			return l;
	}
	if (unused == NULL)
		return &b->lines[LINE_MAIN];
	unused->tokens = tokens;
	return unused;
}

static void line_append(struct line *l, struct pending *p)
{
	p->next = NULL;
	if (l->last[p->priority] != NULL)
		l->last[p->priority]->next = p;
	else
		l->first[p->priority] = p;
	l->last[p->priority] = p;
}

static void counted(struct backlog *b, struct line *l, const struct pending *p, uint64_t now_ns)
{
	b->cases++;
	if (l->cases++ == 0)
		l->oldest_ns = now_ns;
	if (p->payload != NULL)
		b->bytes += p->size;
}

void backlog_add(struct backlog *b, struct pending *p, uint64_t now_ns)
{
	struct line *l = backlog_line(b, p->tokens);

	p->large |= p->size > LARGE_BYTES;
	line_append(l, p);
	counted(b, l, p, now_ns);
}

void backlog_put_back(struct backlog *b, struct pending *p, uint64_t now_ns)
{
	struct line *l = backlog_line(b, p->tokens);

	p->next = l->first[p->priority];
	l->first[p->priority] = p;
	if (l->last[p->priority] == NULL)
		l->last[p->priority] = p;
	counted(b, l, p, now_ns);
}

void backlog_merge(struct backlog *b, struct pending *list, uint64_t now_ns)
{
	struct pending **at[LINES_MAX] = { NULL };

	while (list != NULL) {
		struct pending *p = list;
		struct line *l = backlog_line(b, p->tokens);
		struct pending ***place = &at[l - b->lines];

		list = p->next;
		if (*place == NULL)
			*place = &l->first[p->priority];
		while (**place != NULL && (**place)->pos < p->pos)
			*place = &(**place)->next;
		p->next = **place;
		**place = p;
		*place = &p->next;
		if (p->next == NULL)
			l->last[p->priority] = p;
		counted(b, l, p, now_ns);
	}
}

void line_pop(struct backlog *b, struct line *l, uint8_t priority, uint64_t now_ns)
{
	l->first[priority] = l->first[priority]->next;
	if (l->first[priority] == NULL)
		l->last[priority] = NULL;
	l->cases--;
	b->cases--;
	l->oldest_ns = now_ns;
}

void backlog_move(struct backlog *b, uint8_t priority, uint64_t now_ns)
{
	struct line *main = &b->lines[LINE_MAIN];
	struct pending *p = main->first[priority];
	uint64_t since_ns = main->oldest_ns;

	line_pop(b, main, priority, now_ns);
	if (p->payload != NULL)
		b->bytes -= p->size;
	backlog_add(b, p, since_ns);
}

struct pending *line_first(const struct line *l, bool oldest, uint8_t *priority)
{
	struct pending *first = NULL;

	*priority = 0;
	for (uint8_t i = 0; i < PRIORITY_COUNT && (first == NULL || oldest); i++) {
		struct pending *p = l->first[i];

		if (p == NULL || (first != NULL && p->pos > first->pos))
			continue;
		first = p;
		*priority = i;
	}
	return first;
}

/* ---- which tokens ---- */

static uint32_t place_of(const struct pins *pins)
{
	return (uint32_t)(pins->kind[0] ^ pins->unit[0] ^ pins->signer[0]) % HABITS;
}

void backlog_learn(struct backlog *b, const struct pins *pins, uint32_t tokens)
{
	struct habit *h = &b->habits[place_of(pins)];
	bool same = memcmp(&h->pins, pins, sizeof(*pins)) == 0;

	if (tokens != 0 && !same)
		h->pins = *pins;
	if (tokens != 0 || same)
		h->tokens = tokens;
}

uint32_t backlog_known(const struct backlog *b, const struct pins *pins)
{
	const struct habit *h = &b->habits[place_of(pins)];

	return h->tokens != 0 && memcmp(&h->pins, pins, sizeof(*pins)) == 0 ? h->tokens : 0;
}

/* ---- whose turn it is ---- */

static uint32_t tokens_batches(const struct backlog *b)
{
	uint32_t n = 0;

	for (uint32_t i = 1; i < LINES_MAX; i++)
		n += b->lines[i].batches;
	return n;
}

bool line_has_room(const struct backlog *b, const struct line *l, const struct batch_room *room)
{
	bool spare = room->batches > FILES_BATCHES;
	uint32_t all = spare ? room->batches - FILES_BATCHES : 1, lines = 0, share, more;

	if (l == &b->lines[LINE_MAIN])
		return true;
	for (uint32_t i = 1; i < LINES_MAX; i++)
		lines += &b->lines[i] == l || b->lines[i].cases > 0 || b->lines[i].batches > 0;
	share = all > lines ? all / lines : 1;
	more = spare && l->first[PRIORITY_INTERACTIVE] != NULL;
	return l->batches < share + more && tokens_batches(b) < all + more;
}

static bool line_due(const struct backlog *b, const struct line *l, const struct batch_room *room,
		     uint64_t now_ns)
{
	uint32_t in_flight = l != &b->lines[LINE_MAIN] ? l->batches :
		room->in_flight - tokens_batches(b);

	return l->cases > 0 && line_has_room(b, l, room) &&
	       (in_flight == 0 || l->cases >= BATCH_ITEMS_MAX ||
		l->first[PRIORITY_INTERACTIVE] != NULL || now_ns - l->oldest_ns >= room->age_ns);
}

struct line *backlog_due(struct backlog *b, const struct batch_room *room,
			 const bool passed[LINES_MAX], uint64_t now_ns)
{
	struct line *best = NULL;
	uint8_t best_priority = 0, priority;

	for (uint32_t i = 1; i <= LINES_MAX; i++) {
		uint32_t at = (b->turn + i) % LINES_MAX;
		struct line *l = &b->lines[at];

		if (passed[at] || !line_due(b, l, room, now_ns))
			continue;
		(void)line_first(l, false, &priority);
		if (best != NULL && priority >= best_priority)
			continue;
		best = l;
		best_priority = priority;
	}
	if (best != NULL)
		b->turn = (uint32_t)(best - b->lines);
	return best;
}

uint64_t backlog_due_ns(const struct backlog *b, const struct batch_room *room)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < LINES_MAX; i++) {
		const struct line *l = &b->lines[i];

		if (l->cases > 0 && line_has_room(b, l, room) && l->oldest_ns < first)
			first = l->oldest_ns;
	}
	return first == UINT64_MAX ? first : first + room->age_ns;
}
