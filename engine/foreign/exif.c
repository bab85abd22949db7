#include "foreign/exif.h"

#define TAG_ORIENTATION 0x0112
#define TAG_X_RESOLUTION 0x011A
#define TAG_Y_RESOLUTION 0x011B
#define TAG_RESOLUTION_UNIT 0x0128
#define TYPE_SHORT 3
#define TYPE_RATIONAL 5
#define UNIT_CM 3

struct tiff { struct slice bytes; bool big; };

/* 0 beyond the block's end: as not said. */
static uint32_t number(const struct tiff *t, size_t at, size_t width)
{
	uint32_t v = 0;

	if (at > t->bytes.n || t->bytes.n - at < width)
		return 0;
	for (size_t i = 0; i < width; i++)
		v = v << 8 | t->bytes.p[t->big ? at + i : at + width - 1 - i];
	return v;
}

/* × 100 */
static uint32_t rational(const struct tiff *t, size_t at)
{
	uint64_t over = number(t, at, 4), under = number(t, at + 4, 4);
	uint64_t v = under == 0 ? 0 : over * 100 / under;

	return v <= UINT32_MAX / 254 ? (uint32_t)v : 0;
}

void exif_read(struct slice tiff, struct exif *out)
{
	struct tiff t = { tiff, false };
	uint32_t directory, entries, unit = 2;

	*out = (struct exif){ 0 };
	if (tiff.n < 8 || (memcmp(tiff.p, "II*\0", 4) != 0 && memcmp(tiff.p, "MM\0*", 4) != 0))
		return;
	t.big = tiff.p[0] == 'M';
	directory = number(&t, 4, 4);
	entries = number(&t, directory, 2);
	for (uint32_t i = 0; i < entries && directory + 2 + 12 * (size_t)i < tiff.n; i++) {
		size_t at = directory + 2 + 12 * (size_t)i;
		uint32_t tag = number(&t, at, 2), type = number(&t, at + 2, 2);
		uint32_t value = type == TYPE_SHORT ? number(&t, at + 8, 2) : 0;

		if (tag == TAG_ORIENTATION && value >= 1 && value <= 8)
			out->orientation = (uint8_t)value;
		if (tag == TAG_RESOLUTION_UNIT && type == TYPE_SHORT)
			unit = value;
		if (tag == TAG_X_RESOLUTION && type == TYPE_RATIONAL)
			out->density.x = rational(&t, number(&t, at + 8, 4));
		if (tag == TAG_Y_RESOLUTION && type == TYPE_RATIONAL)
			out->density.y = rational(&t, number(&t, at + 8, 4));
	}
	if (unit == UNIT_CM) {
		out->density.x = out->density.x * 254 / 100;
		out->density.y = out->density.y * 254 / 100;
	} else if (unit != 2) {
		out->density = (struct density){ 0, 0 };
	}
}
