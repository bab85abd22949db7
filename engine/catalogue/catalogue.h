/*
 * catalogue.h - the dated data: document kinds, agencies, signers.
 *
 * A kind is data, not code (schemas/results/<code>.json), as are agencies (schemas/agencies/)
 * and signers (schemas/signers/). One file is one object with dated versions. Loading
 * gives an immutable snapshot; a reload swaps the pointer, readers of the old one keep it by
 * reference count. A version is named by the first 16 bytes of the SHA-256 of its canonical JSON;
 * each result pins the three versions it used, and every pinned version stays loadable for ever
 * from the archive folder (DATA/catalogue/<32 hex>.json), so a replay renders the same bytes.
 *
 * Any thread may read a snapshot; load and reload happen on one thread.
 */
#ifndef TRIEN_CATALOGUE_H
#define TRIEN_CATALOGUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/status.h"
#include "base/utf8.h"
#include "case.h"
#include "document.h"
#include "limits.h"

#define PIN_BYTES 16

struct pins { uint8_t kind[PIN_BYTES], unit[PIN_BYTES], signer[PIN_BYTES]; };

/* ---- kinds ---- */

struct column_def { const char *name, *label; uint32_t width_permille; bool number; };

struct field_def {
	const char *name;		/* [a-z][a-z0-9_]*, ≤ FIELD_NAME_BYTES_MAX */
	const char *label_vi, *label_en;
	enum field_type type;
	bool required;
	bool multiline;			/* LF allowed */
	bool public;			/* shown on the page, so it may stand in the attached JSON */
	uint32_t bytes_max;		/* TEXT: UTF-8 bytes after NFC; cells of a TABLE too */
	uint32_t rows_max;		/* TABLE */
	int64_t min, max;		/* NUMBER */
	uint8_t decimals_max;		/* NUMBER */
	bool year_only;			/* DATE: partial dates allowed */
	uint8_t values_n;		/* TEXT: closed set, 0 = any */
	const char *const *values;
	uint8_t columns_n;
	const struct column_def *columns;
};

enum numbered { NUMBERED_AT_ACCEPTANCE, NUMBERED_AT_APPROVAL };

/*
 * Layout: blocks from top to bottom, each a tagged record. Text is a run list: literal text and
 * field references (`{ho_ten}`, `{ngay_sinh|date}`, `{ngay_sinh|date_words}`, `{so_tien|money}`,
 * `{so_tien|money_words}`), bold by `**…**`, italic by `__…__`, parsed once at load.
 * Built-in references: {_number} {_date} {_place} {_unit} {_superior} {_signer} {_title}.
 */
enum run_format { RUN_PLAIN, RUN_DATE, RUN_DATE_WORDS, RUN_NUMBER, RUN_MONEY, RUN_MONEY_WORDS,
		  RUN_UPPER };
enum run_builtin { BUILTIN_NONE, BUILTIN_NUMBER, BUILTIN_DATE, BUILTIN_PLACE, BUILTIN_UNIT,
		   BUILTIN_SUPERIOR, BUILTIN_SIGNER, BUILTIN_TITLE };

struct run {
	const char *literal;		/* NULL: a reference */
	int16_t field;			/* index in kind.fields; -1 if built-in or literal */
	uint8_t builtin;		/* enum run_builtin */
	uint8_t format;			/* enum run_format */
	bool bold, italic;
};

struct runs { uint16_t n; const struct run *run; };

enum block_type {
	BLOCK_NATIONAL_HEADER,		/* agency left, Quốc hiệu and Tiêu ngữ right, rules below */
	BLOCK_NUMBER_DATE,		/* "Số: 07/…" left, place and date right */
	BLOCK_TITLE,			/* text; subtitle (trích yếu) */
	BLOCK_PARAGRAPH,		/* text; align, indent, italic */
	BLOCK_FIELDS,			/* label: value lines; may be two columns */
	BLOCK_TABLE,			/* one TABLE field, header row repeats on each page */
	BLOCK_SIGNATURE,		/* recipients at the left, signer at the right; kept together */
	BLOCK_RECIPIENTS,
	BLOCK_QR,
	BLOCK_SPACE
};

struct field_line { struct runs label, value; bool half; /* left or right half of the width */
		    int16_t only_if; /* field index; -1 = always */ };

struct block {
	enum block_type type;
	struct runs text, subtitle;
	char align;			/* 'j' 'l' 'c' 'r' */
	bool indent, italic;
	uint16_t size_dpt;		/* 1/10 pt; 0 = the default of the block type */
	uint16_t space_dpt;		/* before, 1/10 pt */
	int16_t only_if;		/* shown only when this field has a value (flag: is true); -1 = always */
	int16_t table_field;
	uint16_t lines_n;
	const struct field_line *lines;	/* FIELDS, RECIPIENTS */
};

struct kind {
	uint8_t pin[PIN_BYTES];
	const char *code, *name_vi, *name_en;
	const char *procedure;		/* TTHC code */
	uint32_t effective_from, effective_to;	/* yyyymmdd, to = 0: open */
	enum numbered numbered;
	bool number_given;		/* the case brings the number */
	const char *register_code;
	const char *number_form;	/* "{n}/XNTTHN": {n} = at least two digits, {yyyy} the year, {unit} the unit's notation */
	uint8_t signs_n;
	enum signer_role signs[DOC_SIGNATURES_MAX];	/* order */
	bool certify;			/* DocMDP P=2 on the first signature */
	uint16_t validity_months;	/* 0: for ever */
	int16_t validity_field;		/* DATE field that ends it; -1: none */
	uint8_t fields_n, blocks_n;
	const struct field_def *fields;
	const struct block *blocks;
	const struct catalogue *home;
};

/* ---- agencies and signers ---- */

struct image { const char *path; uint32_t width, height; uint8_t *bits; /* 1 bit, MSB first, rows padded; 1 = paint */
	       uint32_t width_mm10, height_mm10; };

struct unit {
	uint8_t pin[PIN_BYTES];
	const char *code;		/* immutable id, in every key */
	const char *name, *superior;	/* as printed, caps made by the renderer */
	const char *notation;		/* e.g. "UBND" */
	const char *place;		/* "Phường 3, ngày …" */
	const char *org_code;		/* QĐ 20/2020, may be NULL */
	const char *successor;		/* unit code or NULL */
	uint32_t from, to;
	struct image seal;		/* bits NULL: none */
};

struct signer {
	uint8_t pin[PIN_BYTES];
	const char *code, *name, *unit;
	const char *title;		/* as printed under the authority, e.g. "PHÓ CHỦ TỊCH" */
	const char *authority;		/* "", TM, Q, KT, TL, TUQ */
	const char *authority_line;	/* e.g. "TM. ỦY BAN NHÂN DÂN" or "KT. CHỦ TỊCH" */
	const char *delegation;		/* paper of a TL/TUQ, or NULL */
	uint8_t kinds_n;		/* 0 = all */
	const char *const *kinds;
	uint32_t from, to;
	struct image hand;		/* handwriting; bits NULL: none */
};

struct catalogue;

struct catalogue_config {
	const char *schemas;		/* folder with results/ agencies/ signers/ */
	const char *archive;		/* DATA/catalogue; NULL: pinned versions are not kept (CLI checks) */
};

/* Loads all; the first broken file fails the whole load with file, line, and reason in *e. */
enum status catalogue_load(struct catalogue **c, const struct catalogue_config *cfg,
			   struct error *e) must_use;
struct catalogue *catalogue_ref(struct catalogue *c);
void catalogue_unref(struct catalogue *c);

/* In effect on day (yyyymmdd, Vietnam time), or NULL. Borrowed from c. */
const struct kind *catalogue_kind(const struct catalogue *c, struct slice code, uint32_t day);
const struct unit *catalogue_unit(const struct catalogue *c, struct slice code, uint32_t day);
const struct signer *catalogue_signer(const struct catalogue *c, struct slice code, uint32_t day);
/* Is there any version of the kind at all (tells KIND_UNKNOWN from KIND_NOT_EFFECTIVE)? */
bool catalogue_kind_exists(const struct catalogue *c, struct slice code);
/* May `unit` replace or revoke what `other` issued: itself, or a successor in any step. */
bool catalogue_succeeds(const struct catalogue *c, struct slice unit, struct slice other);

/* By pin, from this snapshot or the archive (replay of an old record). Thread-safe; the object
 * lives as long as c. ST_NOT_FOUND: the archive misses it (then the item is HELD). */
enum status catalogue_pinned(struct catalogue *c, const struct pins *p, const struct kind **k,
			     const struct unit **u, const struct signer **s, struct error *e) must_use;

/* Walks for reports and portal: index from 0 until NULL. */
const struct kind *catalogue_kind_at(const struct catalogue *c, uint32_t i);
const struct unit *catalogue_unit_at(const struct catalogue *c, uint32_t i);
const struct signer *catalogue_signer_at(const struct catalogue *c, uint32_t i);

/* "07/GXN-UBND" from a kind's form. out ≤ NUMBER_TEXT_BYTES_MAX, NUL-terminated. */
enum status number_format(char out[NUMBER_TEXT_BYTES_MAX + 1], const struct kind *k,
			  const struct unit *u, uint64_t number, uint32_t year) must_use;

#endif
