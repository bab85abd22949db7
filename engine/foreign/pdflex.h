/*
 * pdflex.h - the words of a PDF (ISO 32000-1, 7.2 and 7.3), as far as our own scan of it needs
 * them: cross-reference sections, stream dictionaries, the operators of an image's page.
 *
 * Nothing is copied: slices lie in what is read. No word is longer than what is left.
 */
#ifndef TRIEN_FOREIGN_PDFLEX_H
#define TRIEN_FOREIGN_PDFLEX_H

#include "base/bytes.h"

enum pdf_type {
	PDF_END,		/* nothing more */
	PDF_BAD,		/* no word of the language; the reader is bad from here */
	PDF_INTEGER,
	PDF_REAL,
	PDF_NAME,		/* text without its slash, #xx as it stands */
	PDF_STRING,		/* either kind; text with its brackets */
	PDF_ARRAY, PDF_ARRAY_END,
	PDF_DICT, PDF_DICT_END,
	PDF_WORD,		/* obj, stream, cm, true, R */
};

struct pdf_word {
	enum pdf_type type;
	struct slice text;
	int64_t integer;	/* PDF_INTEGER */
	double number;		/* PDF_INTEGER and PDF_REAL; finite */
};

/* Skips space and comments before it. */
void pdf_next(struct reader *r, struct pdf_word *w);
/* The next word is this one: consumed. Else the reader is bad. */
bool pdf_expect(struct reader *r, const char *word);
/* false, and the reader is bad: no integer from 0 to max. */
bool pdf_expect_integer(struct reader *r, int64_t max, int64_t *out);
/* A whole dictionary, `<<` to `>>`; false: the reader is bad. */
bool pdf_expect_dict(struct reader *r, struct slice *dict);

/* A name or keyword is this one, #xx read. */
bool pdf_is(struct slice text, const char *name);
/*
 * The value of a key of this dictionary itself, not of those within. false: not there. A reference
 * is its first number: ask *left, the words after it.
 */
bool pdf_find(struct slice dict, const char *key, struct pdf_word *value, struct reader *left);
/* A direct integer from 0 to max; absent: `missing`. false: it is another thing. */
bool pdf_find_integer(struct slice dict, const char *key, int64_t max, int64_t missing,
		      int64_t *out);

#endif
