/*
 * qr.h - QR code symbols (ISO/IEC 18004:2015), alphanumeric mode, error correction level M, one
 * fixed mask: the matrix equals libqrencode's at that mask.
 *
 * Tables are made once; encoding is table-driven, without allocation.
 */
#ifndef TRIEN_RENDER_QR_H
#define TRIEN_RENDER_QR_H

#include "base/bytes.h"
#include "base/status.h"

#define QR_VERSION_MAX 10
#define QR_SIDE_MAX (17 + 4 * QR_VERSION_MAX)
#define QR_MASK 3			/* fixed (DESIGN 6) */
#define QR_ROW_BYTES_MAX ((QR_SIDE_MAX + 7) / 8)

/* Rows padded to whole bytes, MSB first, 0 = dark: the data of a PDF /ImageMask as it stands. */
struct qr {
	uint8_t version, side, row_bytes;
	uint8_t rows[QR_SIDE_MAX * QR_ROW_BYTES_MAX];
};

struct qr_tables;			/* immutable once made; any thread reads it */
enum status qr_tables_new(struct qr_tables **t) must_use;
void qr_tables_free(struct qr_tables *t);

/*
 * The smallest version that holds text. ST_INVALID: a character outside of the 45 of alphanumeric
 * mode (0-9 A-Z space $ % * + - . / :); ST_TOO_LARGE: beyond QR_VERSION_MAX.
 */
enum status qr_encode(const struct qr_tables *t, struct slice text, struct qr *out) must_use;

#endif
