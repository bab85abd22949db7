/*
 * original.h - what a certified copy is made from: part of its case.
 *
 * The engine finds all of it in the bytes that were brought (foreign/); nobody submits it. The
 * bytes themselves are an object, named by `sha256`, durable before the journal names it. Length
 * and SHA-256 are legal content of the case, the rest is what this engine found (case.h).
 *
 *	u8 format, u8 wrapped, u32 size, sha256[32], u16 pages,
 *	u16 images, each: u32 width, u32 height, u8 coding, u8 components, u8 bits, u8 orientation,
 *		u8 inverted, u32 page width, page height, i32 x, y, u32 shown width, shown height,
 *		str palette (u16 length + bytes), u16 runs, each: u32 offset, u32 size
 *	and where `wrapped` has 128 added (earlier versions never did): what of ours is copied,
 *	result id[16], str number and u32 day of what corrected it
 *
 * Rebuilt: each page shows one image, whose data are runs of the original, never coded anew.
 * Wrapped: the copy has no pages of it; it is attached, byte for byte, as it is to a rebuilt one.
 */
#ifndef TRIEN_ORIGINAL_H
#define TRIEN_ORIGINAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"

/* Part of the canonical case: never renumbered. */
enum original_format { ORIGINAL_JPEG = 1, ORIGINAL_PNG, ORIGINAL_PDF, ORIGINAL_FORMAT_COUNT };

/* Why it is not rebuilt from its images; ORIGINAL_REBUILT: it is. Never renumbered. */
enum original_wrapped {
	ORIGINAL_REBUILT,
	ORIGINAL_NOT_IMAGES,	/* a page of the PDF is more than one image, or other than that */
	ORIGINAL_SIGNED,	/* the PDF is signed or certified */
	ORIGINAL_COLOUR,	/* CMYK, or another colour space that sRGB does not hold */
	ORIGINAL_CODING,	/* alpha, interlaced, or a coding that cannot be passed through */
	ORIGINAL_LONG,		/* more pages, or more runs, than a copy may have, or runs that
				   are more bytes than the original */
	ORIGINAL_OWN,		/* a result of ours: bản sao từ sổ gốc */
	ORIGINAL_TAIL,		/* more bytes behind the image: other pictures, what devices note */
	ORIGINAL_WRAPPED_COUNT
};

/* How the samples are coded (ISO 32000-1, 7.4). */
enum image_coding {
	IMAGE_JPEG = 1,		/* DCTDecode */
	IMAGE_FLATE,		/* FlateDecode, rows as they are */
	IMAGE_FLATE_ROWS,	/* FlateDecode with a PNG predictor: /Predictor 15 */
	IMAGE_FAX,		/* CCITTFaxDecode, /K -1 (Group 4) */
	IMAGE_CODING_COUNT
};

/* A stretch of the original's bytes. */
struct original_run { uint32_t offset, size; };

/* One page with its one image. Lengths in cpt (1/100 pt), y upwards from the page's lower left. */
struct original_image {
	uint32_t width, height;		/* samples, as coded */
	uint8_t coding;			/* enum image_coding */
	uint8_t components;		/* 1: grey, black and white, or palette; 3: RGB */
	uint8_t bits;			/* of a component: 1, 2, 4, 8, 16 */
	uint8_t orientation;		/* 1 … 8, how the coded rows are shown: EXIF 2.3, 4.6.4 A */
	bool inverted;			/* of one bit, no palette: 1 is black (FAX: /BlackIs1) */
	uint32_t page_width, page_height;	/* as shown */
	int32_t x, y;			/* where the image is shown on it, */
	uint32_t shown_width, shown_height;	/* turned as `orientation` says */
	struct slice palette;		/* RGB triples, at most 768 bytes; empty: none */
	uint16_t runs_n;
	struct original_run *runs;	/* in order; together the image's stream */
};

/*
 * What the register says of a result of ours that is copied: its case may say nothing else. Not
 * part of the encoding: the case's fields hold it from then on.
 */
struct original_told {
	struct slice name, number, issuer;	/* of its kind, as printed, of its agency */
	uint32_t day;				/* of issue, yyyymmdd in Vietnam time */
	uint8_t holders_n;
	const struct slice *holders;		/* their names */
};

/* Which result of ours is copied, and what had become of it by then. */
struct original_source {
	uint8_t id[16];
	struct slice corrected;		/* number of the newest công văn đính chính; empty: none */
	uint32_t corrected_day;		/* its date, yyyymmdd */
};

struct original {
	uint8_t format;			/* enum original_format */
	uint8_t wrapped;		/* enum original_wrapped */
	uint32_t size;			/* bytes, at least 1 */
	uint8_t sha256[SHA256_BYTES];
	uint16_t pages;			/* of the original; 0: not counted */
	uint16_t images_n;		/* one a page where it is rebuilt, else 0 */
	struct original_image *images;
	const struct original_source *source;	/* only of ORIGINAL_OWN; NULL: not known */
	const struct original_told *told;	/* NULL: not ours, or read again */
};

static inline bool original_corrected(const struct original *o)
{
	return o->source != NULL && o->source->corrected.n > 0;
}

/* Marks w bad where it does not fit. */
void original_write(const struct original *o, struct writer *w);
/*
 * Arrays from a, slices borrow from r. Checks every bound, and that runs lie within the original.
 * Together they are no more bytes than it. ST_CORRUPT; ST_TOO_LARGE: the arena is spent.
 */
enum status original_read(struct original *o, struct reader *r, struct arena *a) must_use;

#endif
