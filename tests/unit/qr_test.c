#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <qrencode.h>

#include "render/qr.h"

/*
 * libqrencode is the oracle. Its encoder with a chosen mask is exported by many builds but stands
 * in no public header; where it is not exported, texts are compared whose best mask is ours.
 */
extern QRcode *QRcode_encodeMask(QRinput *input, int mask) __attribute__((weak));

static const char alphabet[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";

static struct qr_tables *tables;

static uint32_t next_random(uint64_t *state)
{
	*state = *state * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(*state >> 33);
}

static void fill(uint8_t *text, size_t n, uint64_t *seed)
{
	for (size_t i = 0; i < n; i++)
		text[i] = (uint8_t)alphabet[next_random(seed) % 45];
}

static QRcode *reference(const uint8_t *text, size_t n, int mask)
{
	QRinput *input = QRinput_new2(0, QR_ECLEVEL_M);
	QRcode *code;

	assert_non_null(input);
	assert_int_equal(QRinput_append(input, QR_MODE_AN, (int)n, text), 0);
	code = mask >= 0 ? QRcode_encodeMask(input, mask) : QRcode_encodeInput(input);
	QRinput_free(input);
	assert_non_null(code);
	return code;
}

/* The five format bits' low three, unmasked (ISO/IEC 18004 7.9): row 8, columns 2 to 4. */
static int mask_of(const QRcode *code)
{
	const uint8_t *row = code->data + 8 * code->width;

	return ((row[2] & 1) << 2 | (row[3] & 1) << 1 | (row[4] & 1)) ^ 5;
}

static void expect_same(const struct qr *qr, const QRcode *code)
{
	assert_int_equal(qr->version, code->version);
	assert_int_equal(qr->side, code->width);
	assert_int_equal(qr->row_bytes, (code->width + 7) / 8);
	for (int row = 0; row < qr->side; row++) {
		for (int column = 0; column < qr->row_bytes * 8; column++) {
			uint8_t byte = qr->rows[row * qr->row_bytes + column / 8];
			int light = byte >> (7 - column % 8) & 1;
			int dark = column < qr->side && code->data[row * code->width + column] & 1;

			if (light == dark)
				fail_msg("version %d: row %d, column %d", qr->version, row, column);
		}
	}
}

static int set_up(void **state)
{
	return qr_tables_new(&tables) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
	qr_tables_free(tables);
	return 0;
}

static void every_length_equals_libqrencode(void **state)
{
	uint64_t seed = 18004;
	uint8_t text[320];
	struct qr qr;

	if (QRcode_encodeMask == NULL)
		skip();
	for (size_t n = 1; n <= 311; n++) {
		for (int round = 0; round < 3; round++) {
			QRcode *code;

			fill(text, n, &seed);
			code = reference(text, n, QR_MASK);
			assert_int_equal(qr_encode(tables, slice_of(text, n), &qr), ST_OK);
			expect_same(&qr, code);
			assert_int_equal(mask_of(code), QR_MASK);
			QRcode_free(code);
		}
	}
}

static void texts_whose_best_mask_is_ours(void **state)
{
	uint32_t compared[QR_VERSION_MAX + 1] = { 0 };
	uint64_t seed = 3;
	uint8_t text[320];
	struct qr qr;

	for (size_t n = 2; n <= 310; n += 4) {
		for (int round = 0; round < 12; round++) {
			QRcode *code;

			fill(text, n, &seed);
			code = reference(text, n, -1);
			if (mask_of(code) == QR_MASK) {
				assert_int_equal(qr_encode(tables, slice_of(text, n), &qr), ST_OK);
				expect_same(&qr, code);
				compared[qr.version]++;
			}
			QRcode_free(code);
		}
	}
	for (int version = 1; version <= QR_VERSION_MAX; version++)
		assert_true(compared[version] > 0);
}

static void capacities_of_level_m(void **state)
{
	static const uint16_t chars[] = { 0, 20, 38, 61, 90, 122, 154, 178, 221, 262, 311 };
	uint8_t text[320];
	struct qr qr;

	memset(text, 'A', sizeof(text));
	for (int version = 1; version <= QR_VERSION_MAX; version++) {
		assert_int_equal(qr_encode(tables, slice_of(text, chars[version]), &qr), ST_OK);
		assert_int_equal(qr.version, version);
		assert_int_equal(qr.side, 17 + 4 * version);
		if (version == QR_VERSION_MAX)
			break;
		assert_int_equal(qr_encode(tables, slice_of(text, chars[version] + 1u), &qr),
				 ST_OK);
		assert_int_equal(qr.version, version + 1);
	}
	assert_int_equal(qr_encode(tables, slice_of(text, 312), &qr), ST_TOO_LARGE);
	assert_int_equal(qr_encode(tables, slice_of(NULL, 0), &qr), ST_OK);
	assert_int_equal(qr.version, 1);
}

static void other_characters_are_refused(void **state)
{
	struct qr qr;

	for (int c = 0; c < 256; c++) {
		for (size_t at = 0; at < 3; at++) {
			uint8_t text[3] = { 'A', 'B', 'C' };
			bool known = c != 0 && strchr(alphabet, c) != NULL;

			text[at] = (uint8_t)c;
			assert_int_equal(qr_encode(tables, slice_of(text, 3), &qr),
					 known ? ST_OK : ST_INVALID);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_length_equals_libqrencode),
		cmocka_unit_test(texts_whose_best_mask_is_ours),
		cmocka_unit_test(capacities_of_level_m),
		cmocka_unit_test(other_characters_are_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
