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

/* What a field of a copy from the register says of its original, as the register has it. */
enum field_tells { TELLS_NOTHING, TELLS_NAME, TELLS_NUMBER, TELLS_DATE, TELLS_ISSUER,
		   TELLS_HOLDER };

struct field_def {
	const char *name;		/* [a-z][a-z0-9_]*, ≤ FIELD_NAME_BYTES_MAX */
	uint8_t name_n;
	const char *label_vi, *label_en;
	enum field_type type;
	bool required;
	uint8_t tells;			/* enum field_tells; all but TELLS_HOLDER, where the case
					 * leaves it out, are the engine's to fill */
	bool multiline;			/* LF allowed */
	bool public;			/* shown on the page whenever it has a value (derived from
					 * the layout), so it may stand in the attached JSON */
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

/* What a kind's results are copies of, if they are (original.h). */
enum copies {
	COPIES_NOTHING,
	COPIES_ORIGINAL,	/* "certified": of what was brought (bản sao chứng thực) */
	COPIES_RESULT		/* "register": of a result of ours (bản sao từ sổ gốc) */
};

/*
 * Layout: blocks from top to bottom, each a tagged record. Text is a run list, parsed once at
 * load: literal text, references `{ho_ten}` or `{ngay_sinh|date}`, bold by `**…**`, italic by
 * `__…__`, a forced line break by LF, and `\` before one of `{ } * _ \` for the character itself.
 * Built-in references: {_number} {_date} {_place} {_unit} {_superior} {_signer} {_title};
 * {_serial}, the number without its form; {_volume} {_book} where volumes are counted; and, of the
 * original that is copied, {_file} {_format} {_bytes} {_pages} {_sha256} {_wrapped} (why no page
 * shows it) {_corrected} (number and date of what corrected it).
 *
 * Formats, with the types that may carry them:
 *	plain		TEXT as is · NUMBER `1234,5` · DATE as `date` · FLAG `Có` / `Không`
 *	date		DATE `05/03/1990`, `03/1990`, `1990`
 *	date_long	DATE `ngày 05 tháng 3 năm 1990`, `tháng 3 năm 1990`, `năm 1990`
 *	date_words	DATE `Ngày năm, tháng ba, năm một nghìn chín trăm chín mươi`
 *	number		NUMBER `1.234,5`
 *	money		NUMBER `1.234.000 đồng`
 *	money_words	NUMBER `Một triệu hai trăm ba mươi tư nghìn đồng`
 *	upper		TEXT in capitals
 *	capital		TEXT, its first letter a capital
 * A reference to a field without a value prints nothing. {_date} is `ngày 24 tháng 11 năm 2026`.
 */
enum run_format { RUN_PLAIN, RUN_DATE, RUN_DATE_WORDS, RUN_NUMBER, RUN_MONEY, RUN_MONEY_WORDS,
		  RUN_UPPER, RUN_DATE_LONG, RUN_CAPITAL };
enum run_builtin { BUILTIN_NONE, BUILTIN_NUMBER, BUILTIN_DATE, BUILTIN_PLACE, BUILTIN_UNIT,
		   BUILTIN_SUPERIOR, BUILTIN_SIGNER, BUILTIN_TITLE, BUILTIN_SERIAL, BUILTIN_VOLUME,
		   BUILTIN_BOOK, BUILTIN_FILE, BUILTIN_FORMAT, BUILTIN_BYTES, BUILTIN_PAGES,
		   BUILTIN_SHA256, BUILTIN_WRAPPED, BUILTIN_CORRECTED, BUILTINS };

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
	BLOCK_FIELDS,			/* lines of label and value; two halves may share a line */
	BLOCK_TABLE,			/* table_field; header row repeats on each page */
	BLOCK_SIGNATURE,		/* lines = recipients at the left (values only, may be
					 * none), signer at the right; kept together */
	BLOCK_RECIPIENTS,		/* lines (values only) over the full width */
	BLOCK_QR,			/* text: caption, may be empty */
	BLOCK_SPACE			/* space_dpt */
};

/* When a block or line is shown: index of the field that must have a value (a flag: be true), or */
enum shown_if {
	SHOWN_ALWAYS = -1,
	/* of a kind that copies */
	SHOWN_REBUILT = -2,		/* "_rebuilt": pages show the original */
	SHOWN_WRAPPED = -3,		/* "_wrapped": none does */
	SHOWN_PAGES = -4,		/* "_pages": they were counted */
	SHOWN_CORRECTED = -5		/* "_corrected": of a result of ours that was */
};

struct field_line {
	struct runs label, value;	/* label: ": " is printed behind it; empty in recipients */
	bool half;			/* takes half the width; two in a row share one line */
	int16_t only_if;		/* field index or enum shown_if */
};

struct block {
	enum block_type type;
	struct runs text, subtitle;
	char align;			/* 'j' 'l' 'c' 'r' */
	bool indent, italic;
	bool row_numbers;		/* TABLE: a first column "STT" */
	uint16_t size_dpt;		/* 1/10 pt; 0 = the default of the block type */
	uint16_t space_dpt;		/* before, 1/10 pt; 0 = the default of the block type */
	int16_t only_if;		/* field index or enum shown_if */
	int16_t table_field;		/* TABLE: field index; -1 otherwise */
	uint16_t lines_n;
	const struct field_line *lines;	/* FIELDS, RECIPIENTS, SIGNATURE */
};

struct kind {
	uint8_t pin[PIN_BYTES];
	const char *code, *name_vi, *name_en;
	const char *procedure;		/* TTHC code */
	uint32_t effective_from, effective_to;	/* yyyymmdd, to = 0: open */
	enum numbered numbered;
	uint16_t approval_days;		/* AT_APPROVAL: it times out after so many; 0: never */
	bool own_draft;			/* AT_APPROVAL: who submitted may confirm */
	bool number_given;		/* the case brings the number */
	const char *register_code;
	const char *number_form;	/* "{n}/XNTTHN-{unit}": {n} = at least two digits, {yyyy}
					 * the year, {unit} the unit's notation, {v} the volume */
	uint32_t volume_numbers;	/* entries of a volume of the book; 0: none are counted */
	const char *book_form;		/* "{v}/{yyyy}-SCT/BS", as {_book} prints it; or NULL */
	enum copies copies;
	uint8_t signs_n;
	enum signer_role signs[DOC_SIGNATURES_MAX];	/* order */
	bool certify;			/* DocMDP P=2 on the first signature */
	uint16_t validity_months;	/* 0: for ever */
	int16_t validity_field;		/* DATE field that ends it; -1: none */
	int16_t child_birth_field;	/* DATE field: guardians hold for 18 years from it; -1 */
	uint8_t fields_n, blocks_n;
	const struct field_def *fields;	/* by name */
	const struct block *blocks;
	uint8_t field_slots_mask;	/* open addressing over field names, for kind_field() */
	const uint8_t *field_slots;	/* field index + 1; 0 = empty */
	const struct catalogue *home;
};

/* Index of the field of that name, or -1. Any thread. */
int kind_field(const struct kind *k, struct slice name);

/* ---- agencies and signers ---- */

/* From a PBM (P4) file beside the JSON file. Rows are padded to whole bytes, MSB first, 1 = paint
 * (PBM's black). Printed width_mm10 × height_mm10 tenths of a millimetre. */
struct image {
	const char *path;
	uint32_t width, height;		/* pixels */
	const uint8_t *bits;		/* NULL: no image */
	uint32_t width_mm10, height_mm10;
};

struct unit {
	uint8_t pin[PIN_BYTES];
	const char *code;		/* immutable id, in every key */
	const char *name;		/* "Ủy ban nhân dân phường …", one line */
	const char *header;		/* the name as the national header shows it, LF = line
					 * break; capitals are made by the renderer */
	const char *superior;		/* printed above it, or NULL */
	const char *notation;		/* e.g. "UBND" */
	const char *place;		/* "Lạc Xuân" in "Lạc Xuân, ngày …" */
	const char *org_code;		/* QĐ 20/2020, may be NULL */
	uint8_t aliases_n;
	const char *const *aliases;	/* former codes, e.g. of QCVN 102:2016 */
	const char *successor;		/* unit code or NULL */
	uint32_t from, to;
	struct image seal;		/* bits NULL: none */
};

struct signer {
	uint8_t pin[PIN_BYTES];
	const char *code, *name, *unit;
	const char *title;		/* as printed under the authority, e.g. "PHÓ CHỦ TỊCH" */
	const char *authority;		/* "", TM, Q, KT, TL, TUQ */
	const char *authority_line;	/* e.g. "TM. ỦY BAN NHÂN DÂN" or "KT. CHỦ TỊCH", LF = line
					 * break; "" without authority */
	const char *delegation;		/* number and date of the paper of a TL/TUQ, or NULL */
	uint8_t kinds_n;		/* 0 = all */
	const char *const *kinds;
	uint32_t from, to;
	struct image hand;		/* handwriting; bits NULL: none. Painted only where the
					 * kind's signs has the person */
};

/* For another, until a day and by a paper: thừa lệnh, ký thay, thừa ủy quyền. */
static inline bool signer_stands_in(const struct signer *s)
{
	return strcmp(s->authority, "KT") == 0 || strcmp(s->authority, "TL") == 0 ||
	       strcmp(s->authority, "TUQ") == 0;
}

struct catalogue;

struct catalogue_config {
	const char *schemas;		/* folder with results/ agencies/ signers/ */
	const char *archive;		/* DATA/catalogue, made when missing; NULL: pinned versions
					 * are not kept (CLI checks) */
	const char *kind_file;		/* NULL, or a kind that stands in for the folder's one of
					 * the same code (previews); the walk begins with it */
};

/* Loads all; the first broken file fails the whole load with "file:line: path: what; what is
 * allowed" in *e. Every version stands durably in the archive when this returns. */
enum status catalogue_load(struct catalogue **c, const struct catalogue_config *cfg,
			   struct error *e) must_use;
/* One file of results/, agencies/ or signers/ by itself (its folder or its keys tell which), as
 * `trien schema check` does. References to other files are not followed. */
enum status catalogue_check_file(const char *path, struct error *e) must_use;
struct catalogue *catalogue_ref(struct catalogue *c);
void catalogue_unref(struct catalogue *c);

/*
 * The versions of kinds that `now` does not have any more as `before` had them: edited, but for
 * their last day, or gone. A line each, which names the kind and the version. What was issued keeps
 * its own.
 */
void catalogue_changed(const struct catalogue *before, const struct catalogue *now,
		       void (*cb)(void *ctx, const char *line), void *ctx);

/* In effect on day (yyyymmdd, Vietnam time), or NULL. Borrowed from c. */
const struct kind *catalogue_kind(const struct catalogue *c, struct slice code, uint32_t day);
const struct unit *catalogue_unit(const struct catalogue *c, struct slice code, uint32_t day);
const struct signer *catalogue_signer(const struct catalogue *c, struct slice code, uint32_t day);
/* The newest one that was in effect on any of these days, or NULL. */
const struct kind *catalogue_kind_within(const struct catalogue *c, struct slice code,
					 uint32_t first, uint32_t last);
/* Is there any version of the kind at all (tells KIND_UNKNOWN from KIND_NOT_EFFECTIVE)? */
bool catalogue_kind_exists(const struct catalogue *c, struct slice code);
bool catalogue_unit_exists(const struct catalogue *c, struct slice code);
/*
 * Code of the agency that has taken over from `unit` by that day, or NULL: on the day after the
 * last one of the version that names it, or with the first of one without a last. Borrowed from c.
 */
const char *catalogue_successor(const struct catalogue *c, struct slice unit, uint32_t day);
/*
 * May `unit` replace or revoke on that day what `other` issued: itself, or a successor in any step.
 */
bool catalogue_succeeds(const struct catalogue *c, struct slice unit, struct slice other,
			uint32_t day);

/* By pin, from this snapshot or the archive (replay of an old record). Thread-safe; the object
 * lives as long as c. ST_NOT_FOUND: the archive misses it (then the item is HELD). */
enum status catalogue_pinned(struct catalogue *c, const struct pins *p, const struct kind **k,
			     const struct unit **u, const struct signer **s,
			     struct error *e) must_use;

/* Walks for reports and portal: index from 0 until NULL. */
const struct kind *catalogue_kind_at(const struct catalogue *c, uint32_t i);
const struct unit *catalogue_unit_at(const struct catalogue *c, uint32_t i);
const struct signer *catalogue_signer_at(const struct catalogue *c, uint32_t i);

/* "07/GXN-UBND" from a kind's form. out ≤ NUMBER_TEXT_BYTES_MAX, NUL-terminated. */
enum status number_format(char out[NUMBER_TEXT_BYTES_MAX + 1], const struct kind *k,
			  const struct unit *u, uint64_t number, uint32_t year) must_use;
/* The same with dots where number and year will stand: "……/GXN-UBND". */
void number_dots(char out[NUMBER_TEXT_BYTES_MAX + 1], const struct kind *k, const struct unit *u);
/* The volume that holds the number: a book goes on through the year (TT 01/2020/TT-BTP, 4), so the
 * first volume ends with number volume_numbers. 0: none are counted. */
static inline uint64_t number_volume(const struct kind *k, uint64_t number)
{
	return k->volume_numbers > 0 && number > 0 ? (number - 1) / k->volume_numbers + 1 : 0;
}
/* "01/2026-SCT/BS" from the kind's book_form, which it must have; number 0: with dots. */
void number_book(char out[NUMBER_TEXT_BYTES_MAX + 1], const struct kind *k, const struct unit *u,
		 uint64_t number, uint32_t year);

#endif
