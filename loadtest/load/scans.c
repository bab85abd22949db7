#include "load/scans.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sample/random.h"

#define SCAN_BYTES_MAX (192 * 1024)
#define PDF_OBJECTS_MAX 10
#define GREYS 256
#define PAPER 235
#define INK 70
#define DOTS 8				/* of a block's side; a block has one grey */

/* One file, and where its code stands. */
struct scan { uint8_t *p; size_t n, code_at; };
struct scans { struct scan of[SCANS]; };

struct drawing {
	struct random *random;
	uint8_t *p;			/* SCAN_BYTES_MAX */
	size_t n, code_at;
	uint32_t bits, bits_n;		/* of the JPEG's data: not yet a byte */
	uint32_t objects_n;
	size_t objects[PDF_OBJECTS_MAX];	/* where each begins */
};

static void add(struct drawing *d, const void *p, size_t n)
{
	if (n > SCAN_BYTES_MAX - d->n)
		abort();		/* the pages below are smaller */
	memcpy(d->p + d->n, p, n);
	d->n += n;
}

static void add_text(struct drawing *d, const char *fmt, ...) printf_like(2, 3);

static void add_text(struct drawing *d, const char *fmt, ...)
{
	char text[512];
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	add(d, text, (size_t)n);
}

static void add_code(struct drawing *d)
{
	static const uint8_t room[SCAN_CODE_BYTES] = { 0 };

	d->code_at = d->n;
	add(d, room, sizeof(room));
}

/* ---- a page as a picture: a grey for each block of 8 × 8 dots, and the paper's grain ---- */

static uint8_t grey_at(struct random *r, uint32_t x, uint32_t y, uint32_t wide, uint32_t high)
{
	uint32_t margin = wide / 10, line = y % 5, word = (x * 7 + y / 5 * 13) % 17;
	bool text = x > margin && x < wide - margin && y > margin && y < high - margin &&
		    line < 2 && word > 2 && y / 5 % 6 != 5;

	return (uint8_t)((text ? INK : PAPER) + random_below(r, 16));
}

/* ---- baseline JPEG (ITU-T T.81) of one component ---- */

static void add_bits(struct drawing *d, uint32_t bits, uint32_t n)
{
	d->bits = d->bits << n | bits;
	d->bits_n += n;
	while (d->bits_n >= 8) {
		uint8_t byte[2] = { (uint8_t)(d->bits >> (d->bits_n - 8)), 0 };

		/* 0xFF in the data is followed by a zero. */
		add(d, byte, byte[0] == 0xff ? 2 : 1);
		d->bits_n -= 8;
	}
}

/* The DC difference by table K.3, then some of the lowest AC coefficients: 0, 1 or -1. */
static void add_block(struct drawing *d, int difference)
{
	static const struct { uint8_t bits, n; } dc[] = {
		{ 0, 2 }, { 2, 3 }, { 3, 3 }, { 4, 3 }, { 5, 3 }, { 6, 3 }, { 14, 4 }, { 30, 5 },
		{ 62, 6 }, { 126, 7 },
	};
	uint32_t magnitude = (uint32_t)abs(difference), category = 0;

	while (magnitude >> category > 0)
		category++;
	add_bits(d, dc[category].bits, dc[category].n);
	if (category > 0)
		add_bits(d, (uint32_t)(difference > 0 ? difference :
				       difference + (1 << category) - 1), category);
	for (uint32_t grain = random_below(d->random, 8); grain > 0; grain--)
		add_bits(d, 4 | random_below(d->random, 2), 3);	/* run 0, size 1: "10", sign */
	add_bits(d, 0, 1);		/* the end of the block: "0" */
}

static void add_tables(struct drawing *d)
{
	static const uint8_t dc[] = { 0xff, 0xc4, 0, 31, 0x00, 0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0,
				      0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 };
	static const uint8_t ac[] = { 0xff, 0xc4, 0, 21, 0x10, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
				      0, 0, 0, 0, 0x00, 0x01 };
	static const uint8_t quantities[] = { 0xff, 0xdb, 0, 67, 0, 8 };
	uint8_t others[63];

	memset(others, 12, sizeof(others));
	add(d, quantities, sizeof(quantities));
	add(d, others, sizeof(others));
	add(d, dc, sizeof(dc));
	add(d, ac, sizeof(ac));
}

/* wide and high in blocks; code: it has the comment that tells it from others. */
static void draw_jpeg(struct drawing *d, uint32_t wide, uint32_t high, uint8_t dots_inch, bool code)
{
	const uint8_t head[] = { 0xff, 0xd8, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 1, 0,
				 dots_inch, 0, dots_inch, 0, 0 };
	const uint8_t comment[] = { 0xff, 0xfe, 0, 2 + SCAN_CODE_BYTES };
	const uint8_t frame[] = { 0xff, 0xc0, 0, 11, 8, (uint8_t)(high * DOTS >> 8),
				  (uint8_t)(high * DOTS), (uint8_t)(wide * DOTS >> 8),
				  (uint8_t)(wide * DOTS), 1, 1, 0x11, 0 };
	static const uint8_t scan[] = { 0xff, 0xda, 0, 8, 1, 1, 0x00, 0, 63, 0 };
	static const uint8_t end[] = { 0xff, 0xd9 };
	int before = 0;

	add(d, head, sizeof(head));
	if (code) {
		add(d, comment, sizeof(comment));
		add_code(d);
	}
	add_tables(d);
	add(d, frame, sizeof(frame));
	add(d, scan, sizeof(scan));
	d->bits = d->bits_n = 0;
	for (uint32_t i = 0; i < wide * high; i++) {
		/* A block of one grey has eight times its distance from the middle as DC, which is
		 * divided by 8. */
		int dc = grey_at(d->random, i % wide, i / wide, wide, high) - GREYS / 2;

		add_block(d, dc - before);
		before = dc;
	}
	if (d->bits_n > 0)
		add_bits(d, (1u << (8 - d->bits_n)) - 1, 8 - d->bits_n);
	add(d, end, sizeof(end));
}

/* ---- PDF ---- */

static void begin_object(struct drawing *d)
{
	if (d->objects_n == PDF_OBJECTS_MAX)
		abort();
	d->objects[d->objects_n++] = d->n;
	add_text(d, "%u 0 obj\n", d->objects_n);
}

static void end_object(struct drawing *d)
{
	add_text(d, "\nendobj\n");
}

/* Its catalogue and its page tree: page i is object 3 + 3 i, content and resource behind it. */
static void begin_pdf(struct drawing *d, uint32_t pages)
{
	add_text(d, "%%PDF-1.7\n%%");
	add(d, "\xe2\xe3\xcf\xd3 ", 5);
	add_code(d);
	add_text(d, "\n");
	begin_object(d);
	add_text(d, "<</Type/Catalog/Pages 2 0 R>>");
	end_object(d);
	begin_object(d);
	add_text(d, "<</Type/Pages/Count %u/Kids[", pages);
	for (uint32_t i = 0; i < pages; i++)
		add_text(d, "%u 0 R ", 3 + 3 * i);
	add_text(d, "]>>");
	end_object(d);
}

static void end_pdf(struct drawing *d)
{
	size_t at = d->n;

	add_text(d, "xref\n0 %u\n0000000000 65535 f \n", d->objects_n + 1);
	for (uint32_t i = 0; i < d->objects_n; i++)
		add_text(d, "%010zu 00000 n \n", d->objects[i]);
	add_text(d, "trailer\n<</Size %u/Root 1 0 R>>\nstartxref\n%zu\n%%%%EOF\n",
		 d->objects_n + 1, at);
}

static void add_stream(struct drawing *d, const char *entries, const void *p, size_t n)
{
	begin_object(d);
	add_text(d, "<<%s/Length %zu>>\nstream\n", entries, n);
	add(d, p, n);
	add_text(d, "\nendstream");
	end_object(d);
}

static void begin_page(struct drawing *d, const char *resource, const char *content)
{
	uint32_t own = d->objects_n + 1;

	begin_object(d);
	add_text(d, "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents %u 0 R"
		 "/Resources<<%s %u 0 R>>>>>>", own + 1, resource, own + 2);
	end_object(d);
	add_stream(d, "", content, strlen(content));
}

static void draw_scanned(struct drawing *d, uint32_t pages, uint32_t wide, uint32_t high)
{
	struct drawing picture = { .random = d->random, .p = malloc(SCAN_BYTES_MAX) };
	char entries[160];

	if (picture.p == NULL)
		abort();
	snprintf(entries, sizeof(entries), "/Type/XObject/Subtype/Image/Width %u/Height %u"
		 "/ColorSpace/DeviceGray/BitsPerComponent 8/Filter/DCTDecode", wide * DOTS,
		 high * DOTS);
	begin_pdf(d, pages);
	for (uint32_t i = 0; i < pages; i++) {
		picture.n = 0;
		draw_jpeg(&picture, wide, high, 100, false);
		begin_page(d, "/XObject<</I", "q 595 0 0 842 0 0 cm /I Do Q");
		add_stream(d, entries, picture.p, picture.n);
	}
	end_pdf(d);
	free(picture.p);
}

/* An electronic original: its page is more than an image. */
static void draw_text(struct drawing *d)
{
	char content[4096];
	int n = snprintf(content, sizeof(content), "BT /F 12 Tf 60 780 Td 16 TL\n");

	for (uint32_t i = 0; i < 40; i++)
		n += snprintf(content + n, sizeof(content) - (size_t)n, "(%u: %08x %08x) Tj T*\n",
			      i + 1, random_below(d->random, UINT32_MAX),
			      random_below(d->random, UINT32_MAX));
	snprintf(content + n, sizeof(content) - (size_t)n, "ET");
	begin_pdf(d, 1);
	begin_page(d, "/Font<</F", content);
	begin_object(d);
	add_text(d, "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>");
	end_object(d);
	end_pdf(d);
}

/* ---- all of them ---- */

static void draw(struct drawing *d, uint32_t which)
{
	switch (which % 8) {
	case 0:
	case 1:
	case 2:
		draw_jpeg(d, 103, 146, 100, true);	/* A4 at 100 dots an inch */
		break;
	case 3:
		draw_jpeg(d, 109, 155, 150, true);	/* A5 at 150 */
		break;
	case 4:
		draw_jpeg(d, 155, 219, 150, true);	/* A4 at 150 */
		break;
	case 5:
	case 6:
		draw_scanned(d, 1 + which % 2, 103, 146);
		break;
	default:
		draw_text(d);
	}
}

struct scans *scans_make(uint64_t seed)
{
	struct scans *s = calloc(1, sizeof(*s));
	uint8_t *p = malloc(SCAN_BYTES_MAX);

	if (s == NULL || p == NULL)
		abort();
	for (uint32_t i = 0; i < SCANS; i++) {
		struct random r = random_of(seed, i);
		struct drawing d = { .random = &r, .p = p };

		draw(&d, i);
		s->of[i] = (struct scan){ malloc(d.n), d.n, d.code_at };
		if (s->of[i].p == NULL)
			abort();
		memcpy(s->of[i].p, p, d.n);
	}
	free(p);
	return s;
}

void scans_free(struct scans *s)
{
	for (uint32_t i = 0; s != NULL && i < SCANS; i++)
		free(s->of[i].p);
	free(s);
}

size_t scans_size(const struct scans *s, uint32_t which)
{
	return s->of[which % SCANS].n;
}

void scans_write(const struct scans *s, uint32_t which, const char code[SCAN_CODE_BYTES],
		 uint8_t *to)
{
	const struct scan *one = &s->of[which % SCANS];

	memcpy(to, one->p, one->n);
	memcpy(to + one->code_at, code, SCAN_CODE_BYTES);
}
