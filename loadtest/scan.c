/*
 * trien-scan FILE.png: a page as a scanner would give it, of nobody: A4 at 100 dpi with a frame,
 * lines of grey words, a red seal and the paper's grain. For demonstrations of certified copies.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"

#define WIDTH 827
#define HEIGHT 1169
#define ROW_BYTES (1 + 3 * WIDTH)	/* a filter byte in front */
#define SEAL_X 600
#define SEAL_Y 930

static uint32_t state = 2026;

static uint32_t next(uint32_t n)
{
	state = state * 1664525u + 1013904223u;
	return (state >> 8) % n;
}

static void dot(uint8_t *page, int x, int y, uint32_t rgb)
{
	uint8_t *p = page + (size_t)y * ROW_BYTES + 1 + 3 * (size_t)x;

	p[0] = (uint8_t)(rgb >> 16);
	p[1] = (uint8_t)(rgb >> 8);
	p[2] = (uint8_t)rgb;
}

static void box(uint8_t *page, int x, int y, int width, int height, uint32_t rgb)
{
	for (int j = y; j < y + height; j++)
		for (int i = x; i < x + width; i++)
			dot(page, i, j, rgb);
}

/* Words of bars: nobody's data. */
static void line(uint8_t *page, int y, int from, int to, int height)
{
	for (int x = from; x < to;) {
		int width = 8 + (int)next(52);

		if (x + width > to)
			width = to - x;
		for (int i = x; i < x + width; i += 7)
			box(page, i, y + (int)next(3), 4, height - (int)next(4), 0x303038);
		x += width + 11;
	}
}

static void seal(uint8_t *page)
{
	for (int y = -75; y <= 75; y++)
		for (int x = -75; x <= 75; x++) {
			int r = x * x + y * y;

			if ((r < 75 * 75 && r > 70 * 70) || (r < 58 * 58 && r > 56 * 56) ||
			    (r < 20 * 20 && (x * y) % 3 != 0))
				dot(page, SEAL_X + x, SEAL_Y + y, 0xc02030);
		}
}

static void draw(uint8_t *page)
{
	for (int y = 0; y < HEIGHT; y++)
		for (int x = 0; x < WIDTH; x++)
			dot(page, x, y, 0xf4f1ea - 0x010101 * next(6));
	box(page, 60, 60, WIDTH - 120, 4, 0x7a2030);
	box(page, 60, HEIGHT - 64, WIDTH - 120, 4, 0x7a2030);
	box(page, 60, 60, 4, HEIGHT - 120, 0x7a2030);
	box(page, WIDTH - 64, 60, 4, HEIGHT - 120, 0x7a2030);
	line(page, 130, 220, 610, 18);
	line(page, 220, 160, 670, 30);
	for (int i = 0; i < 14; i++)
		line(page, 320 + 36 * i, 110, i % 5 == 4 ? 430 : 720, 14);
	seal(page);
	line(page, 1040, 500, 710, 16);
}

static void put(FILE *f, const char *type, const uint8_t *p, size_t n)
{
	uint8_t bytes[8], sum[4];
	struct writer w = writer_of(bytes, sizeof(bytes));
	uLong crc = crc32(crc32(0, (const Bytef *)type, 4), p, (uInt)n);

	for (int i = 0; i < 4; i++) {
		write_u8(&w, (uint8_t)(n >> (24 - 8 * i)));
		sum[i] = (uint8_t)(crc >> (24 - 8 * i));
	}
	write_bytes(&w, type, 4);
	fwrite(bytes, 1, sizeof(bytes), f);
	fwrite(p, 1, n, f);
	fwrite(sum, 1, sizeof(sum), f);
}

int main(int argc, char **argv)
{
	/* 8 bits, RGB; 100 dpi = 3937 dots a metre. */
	static const uint8_t header[13] = { 0, 0, WIDTH >> 8, WIDTH & 255, 0, 0, HEIGHT >> 8,
					    HEIGHT & 255, 8, 2, 0, 0, 0 };
	static const uint8_t density[9] = { 0, 0, 0x0f, 0x61, 0, 0, 0x0f, 0x61, 1 };
	uLongf n = compressBound((uLong)HEIGHT * ROW_BYTES);
	uint8_t *page = calloc(HEIGHT, ROW_BYTES), *packed = malloc(n);
	FILE *f = argc == 2 ? fopen(argv[1], "wbe") : NULL;

	if (f == NULL || page == NULL || packed == NULL) {
		fprintf(stderr, "trien-scan FILE.png\n");
		return 2;
	}
	draw(page);
	if (compress2(packed, &n, page, (uLong)HEIGHT * ROW_BYTES, 6) != Z_OK)
		return 70;
	fwrite("\x89PNG\r\n\x1a\n", 1, 8, f);
	put(f, "IHDR", header, sizeof(header));
	put(f, "pHYs", density, sizeof(density));
	put(f, "IDAT", packed, n);
	put(f, "IEND", page, 0);	/* zlib has no sum of nothing at NULL */
	free(page);
	free(packed);
	return fclose(f) == 0 ? 0 : 74;
}
