/*
 * backlog.h - cases that wait for a batch, in lines.
 *
 * A batch is signed as a whole, and a token takes as long as it takes: so what needs a token is
 * sealed apart from what keys in files sign, and from what other tokens do.
 *
 *	main line ─▶ batch ─▶ pressed: its keys are known ─▶ a token's leave it, for their line
 *	    └──────── known from those before ───────────────▶ line of a token ─▶ batch ─▶ pressed
 *
 * Tokens share the batches in flight evenly, and keys in files have some that no token gets. What
 * is interactive may take one of these: it overtakes the others in its token's queue (signer.h).
 *
 * Pure but for the memory of what it is given: times are given. Spine thread.
 */
#ifndef TRIEN_SPINE_BACKLOG_H
#define TRIEN_SPINE_BACKLOG_H

#include "case.h"
#include "catalogue/catalogue.h"

struct pending;			/* spine.h */

#define LINES_MAX 32			/* the main one, and sets of tokens that results need */
#define LINE_MAIN 0u
#define HABITS 256u

struct line {
	uint32_t tokens;		/* a bit each; the main one: none, or not known yet */
	struct pending *first[PRIORITY_COUNT], *last[PRIORITY_COUNT];
	uint32_t cases, batches;	/* batches: in flight; not counted for the main one */
	uint64_t oldest_ns;		/* when the oldest of the present ones came */
};

/* Those whose rows lie where a server is away (store.h), in the journal's order. */
struct aside {
	struct pending *first[PRIORITY_COUNT], *last[PRIORITY_COUNT];
	uint32_t n, resumed;		/* resumed: of these, from the waiting room */
	uint64_t away;			/* lanes that were, when that was last looked at */
};

struct backlog {
	struct line lines[LINES_MAX];
	uint32_t cases;			/* of all lines */
	size_t bytes;			/* of payloads kept in memory */
	uint32_t turn;			/* the line that was sealed last */
	/* Which tokens results with these pins needed last; only those that need one, or did. */
	struct habit { struct pins pins; uint32_t tokens; } habits[HABITS];
	/* beside them: what is tried again, all together */
	struct pending *later;
	uint32_t later_n;
	uint64_t later_ns;		/* when the first of them came */
	uint64_t told_ns;		/* when that was logged; 0: never */
	struct aside aside;		/* and what waits for a server (aside.c) */
};

/* To the end, or the head, of its priority's queue in the line of p->tokens. */
void backlog_add(struct backlog *b, struct pending *p, uint64_t now_ns);
void backlog_put_back(struct backlog *b, struct pending *p, uint64_t now_ns);
/* A list of one priority, in the journal's order: each to its place in its line. */
void backlog_merge(struct backlog *b, struct pending *list, uint64_t now_ns);
/* Within a priority the journal's order holds. oldest: of all priorities. NULL: nothing. */
struct pending *line_first(const struct line *l, bool oldest, uint8_t *priority);
/* Its first of that priority leaves it; what its payload costs is still counted. */
void line_pop(struct backlog *b, struct line *l, uint8_t priority, uint64_t now_ns);
/* The main line's first of that priority goes over to the line of p->tokens. */
void backlog_move(struct backlog *b, uint8_t priority, uint64_t now_ns);

/*
 * The line of these tokens; the main one where there are as many lines as there may be: then what
 * needs them is sealed with the others.
 */
struct line *backlog_line(struct backlog *b, uint32_t tokens);
void backlog_learn(struct backlog *b, const struct pins *pins, uint32_t tokens);
uint32_t backlog_known(const struct backlog *b, const struct pins *pins);

/* Batches that there are, how many are in flight, and how old one is sealed though it is small. */
struct batch_room { uint32_t batches, in_flight; uint64_t age_ns; };
/* May it have one more? */
bool line_has_room(const struct backlog *b, const struct line *l, const struct batch_room *room);
/* Whose turn it is of those that are not passed over; NULL: nobody's now. */
struct line *backlog_due(struct backlog *b, const struct batch_room *room,
			 const bool passed[LINES_MAX], uint64_t now_ns);
/* When the first of them is due by its age; UINT64_MAX: none of them may be sealed. */
uint64_t backlog_due_ns(const struct backlog *b, const struct batch_room *room);

#endif
