#include "portal/drawn.h"

#include "portal/text.h"

#define QUIET 4
#define PATH_BYTES_MAX (64 * 1024)

static bool dark(const struct qr *qr, uint32_t x, uint32_t y)
{
	return (qr->rows[y * qr->row_bytes + x / 8] >> (7 - x % 8) & 1) == 0;
}

/* A stroke for each run of dark ones in a row. */
static void row(const struct qr *qr, uint32_t y, struct text *d)
{
	for (uint32_t x = 0, n; x < qr->side; x += n) {
		n = 1;
		if (!dark(qr, x, y))
			continue;
		while (x + n < qr->side && dark(qr, x + n, y))
			n++;
		text_printf(d, "M%u %uh%uv1h-%uz", x + QUIET, y + QUIET, n, n);
	}
}

void drawn_qr(const struct qr_tables *t, const char *text, json_t *m, const char *name)
{
	struct text d = text_of(PATH_BYTES_MAX);
	struct qr qr;

	if (qr_encode(t, slice_str(text), &qr) != ST_OK)
		return;
	for (uint32_t y = 0; y < qr.side; y++)
		row(&qr, y, &d);
	if (!d.bad)
		json_object_set_new(m, name, json_pack("{s:i, s:s%}", "side",
						       qr.side + 2 * QUIET, "path", d.p, d.n));
	text_free(&d);
}
