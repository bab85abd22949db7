/*
 * encoding.h - from text to the bytes of a content stream.
 *
 * One encoding for all four faces. The characters of everyday text have a code of one byte, so a
 * string is `(` + bytes + `)` without escapes and word spacing works (ISO 32000-1, 9.3.3); all
 * others are shown through a second font over the same CIDFont, two bytes a character:
 *
 *	code	1 … 255		also the CID; 00 0A 0D 28 29 5C are never used
 *	code	256 … codes_n	CID of the wide font, written <hhhh>
 *
 * ASCII keeps its codes but for ( ) \ and the letters m j x and %: without these four no text
 * can spell endstream, obj, xref or %PDF. Immutable once made; any thread.
 */
#ifndef TRIEN_RENDER_ENCODING_H
#define TRIEN_RENDER_ENCODING_H

#include "base/bytes.h"
#include "base/utf8.h"
#include "render/font.h"

enum face { FACE_REGULAR, FACE_BOLD, FACE_ITALIC, FACE_BOLD_ITALIC, FACES };

#define ENCODING_CPS 0x2300		/* code points beyond are not shown */
#define CODES_MAX 1536
#define CODE_WIDE 256			/* the first code of two bytes */

struct encoding {
	uint16_t codes_n;
	uint16_t code[ENCODING_CPS];		/* of a code point; 0: none */
	uint16_t upper[CODES_MAX];		/* the capital's code, or the code itself */
	uint16_t width[FACES][CODES_MAX];	/* 1/1000 em */
	uint16_t cp[CODES_MAX];			/* of a code; 0: unused */
	struct codeset coverage;		/* what all four faces show */
};

/* ST_INVALID: a face lacks a letter of Vietnamese or ASCII. */
enum status encoding_make(struct encoding *e, struct font *const faces[FACES], struct error *err)
	must_use;

/* A run of encoded characters in one face. */
struct span {
	const uint8_t *p;		/* in the well, or in a template */
	uint32_t n;			/* bytes; two a character if wide */
	uint32_t width;			/* 1/1000 em */
	uint8_t face;
	bool wide;
	bool ends;			/* a forced line break follows */
};

/* Where encoded text goes: bytes and spans, both bounded. */
struct well {
	uint8_t *p, *end;
	struct span *spans;
	uint32_t n, max;
	bool full;			/* more text than room */
	bool foreign;			/* a character without a code, which intake refuses */
};

/* Appends text, LF as a forced break, TAB as a space. */
void encode(const struct encoding *e, struct well *w, struct slice text, enum face face,
	    bool upper);

#endif
