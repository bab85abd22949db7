/*
 * ledger.h - a long table as a document of its own: the official books on paper (ND 30/2020 annex
 * IV; TT 01/2020/TT-BTP). A4 across, the heading row on each page; PDF/A-3u with the fonts of all
 * documents, unsigned. Rows are laid out as they come and kept as finished pages. Any text is
 * printed: ¤ stands for a character that the fonts do not have, and a note at the end says so.
 *
 * One thread; the press is made here. Texts are borrowed for the call only.
 */
#ifndef TRIEN_RENDER_LEDGER_H
#define TRIEN_RENDER_LEDGER_H

#include "render/render.h"

#define LEDGER_COLUMNS_MAX 12

struct ledger_column { const char *heading; uint32_t permille; char align; /* 'l' 'c' 'r' */ };

struct ledger_form {
	/* Above the first page's table; superior may be NULL, a LF breaks a line. */
	const char *superior, *issuer, *title, *subtitle;
	const char *running;		/* at the head of every further page */
	uint32_t columns_n;
	const struct ledger_column *columns;
};

struct ledger;

/* The form's texts stay the caller's, and there until the end. ST_INVALID: too many columns. */
enum status ledger_begin(struct ledger **l, struct render *r, const struct ledger_form *form,
			 struct error *e) must_use;
void ledger_free(struct ledger *l);
/*
 * What follows is a volume of its own: named above its columns, on a new page where rows stand
 * before it.
 */
void ledger_volume(struct ledger *l, const char *name);
/* One row of columns_n cells; one that is longer than what a page has room for goes on on the next.
 * A failure is told at the end. */
void ledger_row(struct ledger *l, const char *const *cells);
/* A paragraph over the whole width, below the table; a long one goes on on the next page. */
void ledger_text(struct ledger *l, const char *text, bool bold);
/* The whole file, malloc'd. ST_TOO_LARGE: more pages than a book may have. */
enum status ledger_end(struct ledger *l, uint8_t **pdf, size_t *size, struct error *e) must_use;

#endif
